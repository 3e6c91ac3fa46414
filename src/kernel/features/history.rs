use std::ops::Range;

use super::aggregate::Window;
use super::binding::{Binding, BoundFeature, BoundInput, holds};
use super::row::Values;
use super::series::{Picked, Series};
use super::tally::Tally;
use super::{AsOf, Knowledge, Source, Timelines, View};
use crate::domain::{Cell, Time, Value};

/// A view bound to timelines: what a history is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) view: &'a View,
    pub(super) binding: &'a Binding,
    pub(super) timelines: &'a Timelines,
}

/// Which time a window is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `as_of - window <= event_time < as_of`: of features.
    Before,
    /// `as_of <= event_time < as_of + horizon`, in microseconds: of labels.
    After(i64),
}

/// One customer as a view sees them: a series for each selection and property. Every row of a view, of a
/// training set and of a live request is computed from one, whatever its as-of time.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    customer: usize,
    rows: Range<usize>,
    series: Vec<Series>,
    /// What aggregations that must know all of a window remember between rows.
    tallies: Vec<Tally>,
    /// For each row, the latest arrival until then, as far as anybody asked.
    arrivals: Vec<i64>,
    /// The windows of the row that is being computed, by series.
    windows: Vec<Vec<Range<usize>>>,
    /// The rows that pass the selection that is being read.
    picked: Vec<u32>,
}

impl History {
    /// Reads a customer: all of their events, or only those that are known at a time.
    pub(super) fn load(&mut self, reading: Reading<'_>, customer: usize, known: Option<AsOf>) {
        self.begin(reading, customer);
        self.extend(reading, reading.timelines.rows(customer).end, known);
    }

    /// Gives back the memory that it has in reserve: it is kept for long, and grows rarely.
    pub(super) fn shrink(&mut self) {
        self.series.iter_mut().for_each(Series::shrink);
        self.picked = Vec::new();
    }

    /// Reads a customer's events up to a time, as far as they are not read yet.
    pub(super) fn extend_until(&mut self, reading: Reading<'_>, until: Time) {
        let rows = reading.timelines.rows(self.customer);
        let unread = &reading.timelines.times[self.rows.end.min(rows.end)..rows.end];
        // Most often everything, or nothing, that is left lies before the time.
        let n = match (unread.first(), unread.last()) {
            (Some(first), _) if *first >= until.0 => return,
            (_, Some(last)) if *last < until.0 => unread.len(),
            _ => unread.partition_point(|time| *time < until.0),
        };
        if n > 0 {
            self.extend(reading, self.rows.end + n, None);
        }
    }

    /// Turns to a customer, of whom nothing is read yet.
    pub(super) fn begin(&mut self, reading: Reading<'_>, customer: usize) {
        let rows = reading.timelines.rows(customer);
        self.customer = customer;
        self.rows = rows.start..rows.start;
        self.series.resize_with(reading.binding.series.len(), Series::default);
        for (series, bound) in self.series.iter_mut().zip(&reading.binding.series) {
            series.begin(&bound.needs);
        }
        self.tallies.resize_with(reading.binding.n_tallies, Tally::default);
        self.tallies.iter_mut().for_each(Tally::clear);
        self.windows.resize_with(reading.binding.series.len(), Vec::new);
        self.arrivals.clear();
    }

    /// Reads the customer's rows up to `end` that it has not read yet.
    pub(super) fn extend(&mut self, reading: Reading<'_>, end: usize, known: Option<AsOf>) {
        let Reading { view, binding, timelines } = reading;
        let base = self.rows.start;
        let new = self.rows.end..end;
        for (selection, bound) in view.selections().iter().zip(&binding.selections) {
            if bound.series.is_empty() {
                continue;
            }
            let condition = selection.condition.as_ref().map(|(_, condition)| condition);
            let is_known = |row: usize| {
                known.is_none_or(|as_of| as_of.knows(timelines.received_at(row)))
                    && condition.is_none_or(|it| holds(it, &bound.columns, timelines, row))
            };
            let takes_all =
                condition.is_none() && known.is_none() && bound.names.iter().all(|n| *n);
            let picked = if takes_all {
                Picked::All(new.clone())
            } else {
                let picked = pick(&mut self.picked, &bound.names, &timelines.events, new.clone());
                if condition.is_some() || known.is_some() {
                    self.picked.truncate(picked);
                    self.picked.retain(|row| is_known(*row as usize));
                    Picked::Rows(&self.picked)
                } else {
                    Picked::Rows(&self.picked[..picked])
                }
            };
            for &series in &bound.series {
                let column = binding.column(series, timelines);
                self.series[series].feed(picked.clone(), base, &timelines.times, column);
            }
        }
        self.rows.end = end;
        for (place, series) in self.series.iter_mut().enumerate() {
            let bound = &binding.series[place];
            series.index(&bound.needs, binding.column(place, timelines), base);
        }
    }

    /// Whether all that happened before a time had been received by then, so that what it was and what
    /// was known are the same.
    pub(super) fn is_complete(&mut self, timelines: &Timelines, as_of: AsOf) -> bool {
        let Some(received) = &timelines.received else { return true };
        if as_of.knowledge == Knowledge::AsItWas {
            return true;
        }
        let mut latest = self.arrivals.last().copied().unwrap_or(i64::MIN);
        let unseen = &received[self.rows.start + self.arrivals.len()..self.rows.end];
        self.arrivals.extend(unseen.iter().map(|arrival| {
            latest = latest.max(*arrival);
            latest
        }));
        let times = &timelines.times[self.rows.clone()];
        let before = times.partition_point(|time| *time < as_of.time.0);
        before == 0 || self.arrivals[before - 1] < as_of.time.0
    }

    /// The values of all features as of a time, in the order of the features. `context` has the values of
    /// [`View::context`].
    pub(super) fn values<'t>(
        &mut self,
        reading: Reading<'t>,
        as_of: AsOf,
        side: Side,
        context: &[Value],
        out: &mut impl Values<'t>,
    ) {
        let Reading { view, binding, timelines } = reading;
        out.clear();
        self.find_windows(binding, as_of, side);
        for (place, feature) in binding.features.iter().enumerate() {
            match feature {
                BoundFeature::Aggregate { series, window, aggregation, tally } => {
                    let window = Window {
                        series: &self.series[*series],
                        needs: &binding.series[*series].needs,
                        range: self.windows[*series][*window].clone(),
                        column: binding.column(*series, timelines),
                        base: self.rows.start,
                        as_of: as_of.time,
                    };
                    let tally = &mut self.tallies[*tally];
                    match window.number(*aggregation, tally) {
                        Some(number) => out.number(number),
                        None => match window.text(*aggregation, tally) {
                            Some((texts, code)) => out.text(texts, code),
                            None => out.value(window.value(*aggregation, tally)),
                        },
                    }
                }
                BoundFeature::Trait(Some(place)) => {
                    out.value(timelines.traits[*place].1.value(self.customer, as_of));
                }
                BoundFeature::Trait(None) => out.value(Value::Null),
                BoundFeature::Expression(inputs) => {
                    let Source::Expression(expression, _) = &view.features()[place].source else {
                        continue;
                    };
                    let value = expression.evaluate(&|index| match inputs[index] {
                        BoundInput::Feature(place) => out.cell(place),
                        BoundInput::Trait(Some(place)) => {
                            timelines.traits[place].1.cell(self.customer, as_of)
                        }
                        BoundInput::Trait(None) => Cell::Null,
                        BoundInput::Context(place) => {
                            context.get(place).map_or(Cell::Null, Cell::from)
                        }
                    });
                    match value {
                        Value::Number(number) => out.number(number),
                        value => out.value(value),
                    }
                }
            }
        }
    }

    fn find_windows(&mut self, binding: &Binding, as_of: AsOf, side: Side) {
        let time = as_of.time;
        for (place, series) in self.series.iter().enumerate() {
            let windows = &mut self.windows[place];
            windows.clear();
            if let Side::After(horizon) = side {
                let range = series.between(time.0, time.plus(horizon).0);
                windows.extend(binding.series[place].windows.iter().map(|_| range.clone()));
                continue;
            }
            let end = match series.times.last() {
                Some(last) if *last >= time.0 => series.times.partition_point(|at| *at < time.0),
                _ => series.times.len(),
            };
            let mut before = (0, end);
            for window in &binding.series[place].windows {
                let start = match *window {
                    None => 0,
                    // A longer window begins where a shorter one did, or earlier.
                    Some(window) => {
                        let from = if window >= before.0 { before.1 } else { end };
                        let start = series.first_from(time.minus(window).0, from);
                        before = (window, start);
                        start
                    }
                };
                windows.push(start..end);
            }
        }
    }

    /// The rows of the timelines that the last computed value of a feature read.
    pub(super) fn rows_read(&self, binding: &Binding, feature: usize) -> Vec<usize> {
        match binding.features.get(feature) {
            Some(BoundFeature::Aggregate { series, window, .. }) => {
                let places = self.windows[*series][*window].clone();
                places.map(|at| self.rows.start + self.series[*series].row(at)).collect()
            }
            Some(BoundFeature::Expression(inputs)) => {
                let mut rows: Vec<usize> = inputs
                    .iter()
                    .flat_map(|input| match input {
                        BoundInput::Feature(place) => self.rows_read(binding, *place),
                        BoundInput::Trait(_) | BoundInput::Context(_) => Vec::new(),
                    })
                    .collect();
                rows.sort_unstable();
                rows.dedup();
                rows
            }
            Some(BoundFeature::Trait(_)) | None => Vec::new(),
        }
    }

    /// The memory that it takes, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.series.iter().map(Series::bytes).sum::<usize>() + self.arrivals.capacity() * 8
    }
}

/// Puts the rows whose events pass by their names in the front of `picked`; how many there are.
fn pick(picked: &mut Vec<u32>, names: &[bool], events: &[u32], rows: Range<usize>) -> usize {
    if picked.len() < rows.len() {
        picked.resize(rows.len(), 0);
    }
    let mut n = 0;
    // Without a branch: whether a row passes only says where the next one goes.
    for (row, event) in rows.clone().zip(&events[rows]) {
        picked[n] = u32::try_from(row).unwrap_or(u32::MAX);
        n += usize::from(names[*event as usize]);
    }
    n
}
