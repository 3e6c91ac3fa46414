use super::binding::Binding;
use super::history::{History, Reading, Side};
use super::row::Values;
use super::{Timelines, View};
use crate::domain::{Time, Value};

/// The time that a feature is taken at, and what counts as known then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Only what happened strictly before it is read.
    pub time: Time,
    /// Whether late arrivals are read.
    pub knowledge: Knowledge,
}

/// Which events before a time are read at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// All that happened before it, whenever it was learned of.
    #[default]
    AsItWas,
    /// Only what had also been received before it.
    AsItWasKnown,
}

impl AsOf {
    /// As it was at a time.
    #[must_use]
    pub const fn at(time: Time) -> Self {
        Self { time, knowledge: Knowledge::AsItWas }
    }

    /// Whether something received then is known.
    #[inline]
    pub(super) fn knows(self, received_at: i64) -> bool {
        self.knowledge == Knowledge::AsItWas || received_at < self.time.0
    }
}

/// Rows of a customer that are brought near.
const MOST_NEAR: usize = 4_096;

/// A view bound to timelines: names resolved to places.
#[derive(Debug)]
pub struct Bound<'a> {
    view: &'a View,
    timelines: &'a Timelines,
    binding: Binding,
    side: Side,
}

/// Computes rows, customer by customer: several rows of one customer in a row read their events once.
/// It keeps its memory from customer to customer.
#[derive(Debug)]
pub struct Evaluator<'a> {
    bound: &'a Bound<'a>,
    customer: Option<usize>,
    history: History,
    /// The customer with only what was known at a time, where that differs.
    known: History,
}

impl<'a> Bound<'a> {
    /// Binds a view to timelines. What the timelines do not have is null.
    #[must_use]
    pub fn new(view: &'a View, timelines: &'a Timelines) -> Self {
        Self { view, timelines, binding: Binding::new(view, timelines), side: Side::Before }
    }

    /// The same over the time after the as-of time, up to a horizon in microseconds.
    pub(super) fn after(view: &'a View, timelines: &'a Timelines, horizon: i64) -> Self {
        let mut binding = Binding::new(view, timelines);
        binding.series.iter_mut().for_each(|series| series.needs.add_later_windows());
        Self { view, timelines, binding, side: Side::After(horizon) }
    }

    /// The timelines that it is bound to.
    #[must_use]
    pub const fn timelines(&self) -> &'a Timelines {
        self.timelines
    }

    /// What computes rows.
    #[must_use]
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            bound: self,
            customer: None,
            history: History::default(),
            known: History::default(),
        }
    }

    /// The values of all features for one customer as of a time, in the order of the features. `context`
    /// has the values of [`View::context`]; what it lacks is null.
    #[must_use]
    pub fn row(&self, customer: usize, as_of: AsOf, context: &[Value]) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.view.features().len());
        self.evaluator().row(customer, as_of, context, &mut values);
        values
    }

    /// The rows of the timelines that a feature of a customer reads as of a time.
    #[must_use]
    pub fn rows_read(&self, feature: usize, customer: usize, as_of: AsOf) -> Vec<usize> {
        let mut evaluator = self.evaluator();
        evaluator
            .row(customer, as_of, &[], &mut Vec::<Value>::new())
            .rows_read(&self.binding, feature)
    }

    /// Reads the rows of a customer once, so that they are near when they are computed from. One customer after
    /// the other, each would wait for memory in every column; all at once they wait together.
    pub(super) fn bring_near(&self, customer: usize) {
        let rows = self.timelines.rows(customer);
        let rows = rows.start..rows.end.min(rows.start + MOST_NEAR);
        let times = self.timelines.times[rows.clone()].iter().step_by(8);
        let events = self.timelines.events[rows.clone()].iter().step_by(16);
        std::hint::black_box(times.fold(0, |sum, time| sum ^ time));
        std::hint::black_box(events.fold(0, |sum, event| sum ^ event));
        for place in self.binding.columns() {
            self.timelines.properties[place].1.touch(rows.clone());
        }
    }

    const fn reading(&self) -> Reading<'_> {
        Reading { view: self.view, binding: &self.binding, timelines: self.timelines }
    }
}

impl<'a> Evaluator<'a> {
    /// Computes the values of all features for one customer as of a time into `out`.
    pub(super) fn row(
        &mut self,
        customer: usize,
        as_of: AsOf,
        context: &[Value],
        out: &mut impl Values<'a>,
    ) -> &History {
        let reading = self.bound.reading();
        let until = match self.bound.side {
            Side::Before => as_of.time,
            Side::After(horizon) => as_of.time.plus(horizon),
        };
        if self.customer != Some(customer) {
            self.history.begin(reading, customer);
            self.customer = Some(customer);
        }
        // Only as far as this row reads; the next one goes on from there.
        self.history.extend_until(reading, until);
        let history = if self.history.is_complete(self.bound.timelines, as_of) {
            &mut self.history
        } else {
            self.known.load(reading, customer, Some(as_of));
            &mut self.known
        };
        history.values(reading, as_of, self.bound.side, context, out);
        history
    }
}
