use std::ops::Range;

use super::aggregate::Window;
use super::binding::{Binding, BoundFeature, BoundInput, holds};
use super::series::Series;
use super::tally::Tally;
use super::{AsOf, Column, Knowledge, Source, Timelines, View};
use crate::domain::{Cell, Value};

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
    /// What the aggregation of each feature remembers between rows.
    tallies: Vec<Tally>,
    /// For each row, the latest arrival until then; empty where nothing was received late.
    arrivals: Vec<i64>,
    /// The windows of the row that is being computed, by series.
    windows: Vec<Vec<Range<usize>>>,
}

impl History {
    /// Reads a customer: all of their events, or only those that are known at a time.
    pub(super) fn load(&mut self, reading: Reading<'_>, customer: usize, known: Option<AsOf>) {
        let rows = reading.timelines.rows(customer);
        self.customer = customer;
        self.rows = rows.start..rows.start;
        self.series.resize_with(reading.binding.series.len(), Series::default);
        self.series.iter_mut().for_each(Series::clear);
        self.tallies.resize_with(reading.binding.features.len(), Tally::default);
        self.tallies.iter_mut().for_each(Tally::clear);
        self.windows.resize_with(reading.binding.series.len(), Vec::new);
        self.arrivals.clear();
        self.extend(reading, rows.end, known);
    }

    /// Reads the customer's rows up to `end` that it has not read yet.
    pub(super) fn extend(&mut self, reading: Reading<'_>, end: usize, known: Option<AsOf>) {
        let Reading { view, binding, timelines } = reading;
        let base = self.rows.start;
        for row in self.rows.end..end {
            if known.is_some_and(|as_of| !as_of.knows(timelines.received_at(row))) {
                continue;
            }
            for &selection in binding.named(timelines.events[row]) {
                let bound = &binding.selections[selection];
                if let Some((_, condition)) = &view.selections()[selection].condition
                    && !holds(condition, &bound.columns, timelines, row)
                {
                    continue;
                }
                for &series in &bound.series {
                    let column = binding.column(series, timelines);
                    self.series[series].push(row, base, timelines.times[row], column);
                }
            }
        }
        if let Some(received) = &timelines.received {
            let mut latest = self.arrivals.last().copied().unwrap_or(i64::MIN);
            // From the first row on, if the first late event has only just come.
            let unseen = &received[base + self.arrivals.len()..end];
            self.arrivals.extend(unseen.iter().map(|arrival| {
                latest = latest.max(*arrival);
                latest
            }));
        }
        self.rows.end = end;
        for (place, series) in self.series.iter_mut().enumerate() {
            let bound = &binding.series[place];
            series.index(&bound.needs, binding.column(place, timelines), base);
        }
    }

    /// Whether all that happened before a time had been received by then, so that what it was and what
    /// was known are the same.
    pub(super) fn is_complete(&self, timelines: &Timelines, as_of: AsOf) -> bool {
        if as_of.knowledge == Knowledge::AsItWas || self.arrivals.is_empty() {
            return true;
        }
        let times = &timelines.times[self.rows.clone()];
        let before = times.partition_point(|time| *time < as_of.time.0);
        before == 0 || self.arrivals[before - 1] < as_of.time.0
    }

    /// The values of all features as of a time, in the order of the features. `context` has the values of
    /// [`View::context`].
    pub(super) fn values(
        &mut self,
        reading: Reading<'_>,
        as_of: AsOf,
        side: Side,
        context: &[Value],
        out: &mut Vec<Value>,
    ) {
        let Reading { view, binding, timelines } = reading;
        out.clear();
        self.find_windows(binding, as_of, side);
        for (place, feature) in binding.features.iter().enumerate() {
            let value = match feature {
                BoundFeature::Aggregate { series, window, aggregation } => {
                    let window = Window {
                        series: &self.series[*series],
                        needs: &binding.series[*series].needs,
                        range: self.windows[*series][*window].clone(),
                        column: binding.column(*series, timelines),
                        base: self.rows.start,
                        as_of: as_of.time,
                    };
                    window.value(*aggregation, &mut self.tallies[place])
                }
                BoundFeature::Trait(Some(place)) => {
                    timelines.traits[*place].1.value(self.customer, as_of)
                }
                BoundFeature::Trait(None) => Value::Null,
                BoundFeature::Expression(inputs) => {
                    let Source::Expression(expression, _) = &view.features()[place].source else {
                        continue;
                    };
                    expression.evaluate(&|index| match inputs[index] {
                        BoundInput::Feature(place) => Cell::from(&out[place]),
                        BoundInput::Trait(Some(place)) => {
                            timelines.traits[place].1.cell(self.customer, as_of)
                        }
                        BoundInput::Trait(None) => Cell::Null,
                        BoundInput::Context(place) => {
                            context.get(place).map_or(Cell::Null, Cell::from)
                        }
                    })
                }
            };
            // What is not finite is no number that a table, a model or JSON could hold.
            out.push(match value {
                Value::Number(number) if !number.is_finite() => Value::Null,
                value => value,
            });
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
            let end = series.times.partition_point(|at| *at < time.0);
            windows.extend(binding.series[place].windows.iter().map(|window| {
                let from = window.map_or(i64::MIN, |window| time.minus(window).0);
                let start = match window {
                    None => 0,
                    Some(_) => series.times[..end].partition_point(|at| *at < from),
                };
                start..end
            }));
        }
    }

    /// The rows of the timelines that the last computed value of a feature read.
    pub(super) fn rows_read(&self, binding: &Binding, feature: usize) -> Vec<usize> {
        match binding.features.get(feature) {
            Some(BoundFeature::Aggregate { series, window, .. }) => {
                let rows = &self.series[*series].rows[self.windows[*series][*window].clone()];
                rows.iter().map(|row| self.rows.start + *row as usize).collect()
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

impl Series {
    /// Appends an event, if it has a value.
    #[inline]
    fn push(&mut self, row: usize, base: usize, time: i64, column: Option<&Column>) {
        match column {
            None => {}
            Some(Column::Number(numbers)) => {
                let number = numbers[row];
                if number.is_nan() {
                    return;
                }
                // Zero has one sign, so that sums and extremes do not depend on an order.
                self.numbers.push(number + 0.0);
            }
            Some(column) if column.is_null(row) => return,
            Some(_) => {}
        }
        self.rows.push(u32::try_from(row - base).unwrap_or(u32::MAX));
        self.times.push(time);
    }
}
