use std::ops::Range;

use super::aggregate::Selected;
use super::{Aggregate, Column, Input, Selection, Source, Timelines, TraitTimeline, View};
use crate::domain::{Time, Value, is_system};

/// The time that a feature is taken at, and what counts as known then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Only what happened strictly before it is read.
    pub time: Time,
    /// Whether late arrivals are read.
    pub knowledge: Knowledge,
}

/// Which events before a time are read at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
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
    pub(super) fn knows(self, received_at: i64) -> bool {
        self.knowledge == Knowledge::AsItWas || received_at < self.time.0
    }
}

/// A view (or a label's aggregate) bound to timelines: names resolved to columns, and each distinct
/// selection evaluated once for every event, so that a row only walks its own events.
#[derive(Debug)]
pub struct Bound<'a> {
    view: &'a View,
    timelines: &'a Timelines,
    selected: Vec<Vec<bool>>,
    features: Vec<BoundSource<'a>>,
}

#[derive(Debug)]
enum BoundSource<'a> {
    Aggregate(&'a Aggregate, Option<&'a Column>),
    Trait(Option<&'a TraitTimeline>),
    Expression(&'a crate::expression::Expression, Vec<BoundInput<'a>>),
}

#[derive(Debug)]
enum BoundInput<'a> {
    Feature(usize),
    Trait(Option<&'a TraitTimeline>),
}

impl<'a> Bound<'a> {
    /// Binds a view to timelines. What the timelines do not have is null.
    #[must_use]
    pub fn new(view: &'a View, timelines: &'a Timelines) -> Self {
        let selected =
            view.selections().iter().map(|selection| select(selection, timelines)).collect();
        let features = view
            .features()
            .iter()
            .map(|feature| match &feature.source {
                Source::Aggregate(aggregate) => BoundSource::Aggregate(
                    aggregate,
                    aggregate.property.as_deref().and_then(|name| timelines.property(name)),
                ),
                Source::Trait(name) => BoundSource::Trait(timelines.trait_timeline(name)),
                Source::Expression(expression, inputs) => {
                    let inputs = inputs.iter().map(|input| match input {
                        Input::Feature(position) => BoundInput::Feature(*position),
                        Input::Trait(name) => BoundInput::Trait(timelines.trait_timeline(name)),
                    });
                    BoundSource::Expression(expression, inputs.collect())
                }
            })
            .collect();
        Self { view, timelines, selected, features }
    }

    /// The values of all features for one customer as of a time, in the order of the features.
    #[must_use]
    pub fn row(&self, customer: usize, as_of: AsOf) -> Vec<Value> {
        let windows = self.windows(customer, as_of);
        let mut values: Vec<Value> = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            let value = match feature {
                BoundSource::Aggregate(aggregate, column) => {
                    self.aggregate(aggregate, *column, windows[aggregate.window].clone(), as_of)
                }
                BoundSource::Trait(timeline) => {
                    timeline.map_or(Value::Null, |timeline| timeline.value(customer, as_of))
                }
                BoundSource::Expression(expression, inputs) => {
                    expression.evaluate(&|index| match &inputs[index] {
                        BoundInput::Feature(position) => values[*position].clone(),
                        BoundInput::Trait(timeline) => {
                            timeline.map_or(Value::Null, |timeline| timeline.value(customer, as_of))
                        }
                    })
                }
            };
            // What is not finite is no number that a table, a model or JSON could hold.
            values.push(match value {
                Value::Number(number) if !number.is_finite() => Value::Null,
                value => value,
            });
        }
        values
    }

    /// The value of an aggregate over the rows of a range of time, whichever side of `as_of` it is.
    pub(super) fn aggregate(
        &self,
        aggregate: &Aggregate,
        column: Option<&Column>,
        range: Range<usize>,
        as_of: AsOf,
    ) -> Value {
        let selected = &self.selected[aggregate.selection];
        let received = &self.timelines.received;
        let selected = Selected {
            rows: range.filter(|row| selected[*row] && as_of.knows(received[*row])),
            times: &self.timelines.times,
            column,
            as_of: as_of.time,
        };
        selected.aggregate(aggregate.aggregation)
    }

    /// The rows of a customer that a feature read as of a time.
    pub fn rows_read(&self, feature: usize, customer: usize, as_of: AsOf) -> Vec<usize> {
        match self.features.get(feature) {
            Some(BoundSource::Aggregate(aggregate, _)) => {
                let range = self.windows(customer, as_of)[aggregate.window].clone();
                let selected = &self.selected[aggregate.selection];
                let received = &self.timelines.received;
                range.filter(|row| selected[*row] && as_of.knows(received[*row])).collect()
            }
            _ => Vec::new(),
        }
    }

    /// For each window of the view, the rows with `t - W <= event_time < t`.
    fn windows(&self, customer: usize, as_of: AsOf) -> Vec<Range<usize>> {
        self.view
            .windows()
            .iter()
            .map(|window| {
                let from = window.map_or(Time(i64::MIN), |span| as_of.time.minus(span.micros()));
                rows_between(self.timelines, customer, from, as_of.time)
            })
            .collect()
    }
}

/// The rows of a customer with `from <= event_time < until`.
pub(super) fn rows_between(
    timelines: &Timelines,
    customer: usize,
    from: Time,
    until: Time,
) -> Range<usize> {
    let rows = timelines.rows(customer);
    let times = &timelines.times[rows.clone()];
    let first = times.partition_point(|time| *time < from.0);
    let last = times.partition_point(|time| *time < until.0);
    rows.start + first..rows.start + last.max(first)
}

/// For every event, whether it is selected: by its name, and by a condition that is true.
fn select(selection: &Selection, timelines: &Timelines) -> Vec<bool> {
    let wanted: Vec<bool> = timelines
        .names()
        .iter()
        .map(|name| match selection.events.is_empty() {
            true => !is_system(name),
            false => selection.events.iter().any(|event| event.as_str() == name.as_ref()),
        })
        .collect();
    let named = |row: usize| wanted[timelines.events[row] as usize];
    let Some((_, condition)) = &selection.condition else {
        return (0..timelines.n_events()).map(named).collect();
    };
    let columns: Vec<Option<&Column>> =
        condition.columns().iter().map(|(name, _)| timelines.property(name)).collect();
    let types: Vec<_> = condition.columns().iter().map(|(_, type_)| *type_).collect();
    (0..timelines.n_events())
        .map(|row| {
            let value = |index: usize| {
                columns[index].map_or(Value::Null, |column| column.value(row).coerce(types[index]))
            };
            named(row) && condition.evaluate(&value) == Value::Boolean(true)
        })
        .collect()
}
