use std::ops::Range;

use super::series::{Needs, Series, half};
use super::tally::Tally;
use super::{Aggregation, Column, exact};
use crate::domain::{MICROS_PER_DAY, Time, Value};

/// A window of a series: what an aggregation turns into one value.
pub(super) struct Window<'a> {
    pub(super) series: &'a Series,
    pub(super) needs: &'a Needs,
    /// The places of the series that are in it.
    pub(super) range: Range<usize>,
    /// The property, if the aggregation reads one, and the customer's first row in it.
    pub(super) column: Option<&'a Column>,
    pub(super) base: usize,
    /// The as-of time, which the window need not end at.
    pub(super) as_of: Time,
}

#[allow(clippy::cast_precision_loss, reason = "a day count needs no more than 53 bits")]
fn days(micros: i64) -> f64 {
    micros as f64 / MICROS_PER_DAY as f64
}

#[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 events")]
fn number(n: usize) -> f64 {
    n as f64
}

impl Window<'_> {
    /// The value of an aggregation. `tally` is what the aggregation remembers of the series.
    pub(super) fn value(self, aggregation: Aggregation, tally: &mut Tally) -> Value {
        let n = self.range.len();
        match aggregation {
            Aggregation::Count => return Value::Number(number(n)),
            Aggregation::Distinct => {
                return Value::Number(f64::from(self.series.distinct(&self.range)));
            }
            Aggregation::Sum if n == 0 => return Value::Number(0.0),
            Aggregation::DecayedCount(_) | Aggregation::DecayedSum(_) if n == 0 => {
                return Value::Number(0.0);
            }
            Aggregation::ActiveDays => {
                return Value::Number(f64::from(self.series.active_days(&self.range)));
            }
            Aggregation::Sessions(gap) => {
                let session = self.needs.session(gap.micros());
                return Value::Number(f64::from(self.series.sessions(session, &self.range)));
            }
            _ if n == 0 => return Value::Null,
            _ => {}
        }
        let times = &self.series.times;
        let (first, last) = (self.range.start, self.range.end - 1);
        match aggregation {
            Aggregation::Sum => Value::Number(self.sum()),
            Aggregation::Mean => Value::Number(self.sum() / number(n)),
            Aggregation::Min => self.extreme(std::cmp::Ordering::Less),
            Aggregation::Max => self.extreme(std::cmp::Ordering::Greater),
            Aggregation::Variance => self.variance().map_or(Value::Null, Value::Number),
            Aggregation::Stddev => {
                self.variance().map_or(Value::Null, |variance| Value::Number(variance.sqrt()))
            }
            Aggregation::Quantile(p) => {
                Value::Number(tally.quantile(&self.range, p, &self.series.numbers))
            }
            Aggregation::First => self.at(first),
            Aggregation::Last => self.at(last),
            Aggregation::FirstK(k) => self.list(first..(first + k).min(self.range.end)),
            Aggregation::LastK(k) => {
                self.list(self.range.end.saturating_sub(k).max(first)..self.range.end)
            }
            Aggregation::Mode => self.top(1, tally).pop().map_or(Value::Null, |(value, _)| value),
            Aggregation::TopK(k) => {
                Value::List(self.top(k, tally).into_iter().map(|(value, _)| value).collect())
            }
            Aggregation::Histogram(k) => Value::Counts(self.top(k, tally).into()),
            Aggregation::DaysSinceFirst => Value::Number(days(self.as_of.0 - times[first])),
            Aggregation::DaysSinceLast => Value::Number(days(self.as_of.0 - times[last])),
            Aggregation::MeanGapDays if n < 2 => Value::Null,
            Aggregation::MeanGapDays => {
                Value::Number(days(times[last] - times[first]) / number(n - 1))
            }
            Aggregation::StddevGapDays if n < 3 => Value::Null,
            Aggregation::StddevGapDays => {
                let sum = i128::from(times[last] - times[first]);
                let squares = self.series.squared_gaps(&self.range);
                let variance = exact::variance(n as u64 - 1, sum, squares, 0);
                Value::Number(variance.sqrt() / days_in_micros())
            }
            Aggregation::Trend => {
                let slope = self.series.slope(&self.range);
                slope.map_or(Value::Null, |slope| Value::Number(slope * days_in_micros()))
            }
            Aggregation::DecayedCount(half_life) | Aggregation::DecayedSum(half_life) => {
                let micros = half_life.micros();
                let left = self.series.decayed(self.needs.decay(micros), &self.range);
                Value::Number(left * half(self.as_of.0 - times[last], micros))
            }
            Aggregation::Count
            | Aggregation::Distinct
            | Aggregation::ActiveDays
            | Aggregation::Sessions(_) => Value::Null,
        }
    }

    /// The exact sum, rounded once; in order where the values span too much for that.
    fn sum(&self) -> f64 {
        match self.series.sum(&self.range) {
            Some((sum, unit)) => exact::rounded(sum, unit),
            None => self.numbers().iter().sum(),
        }
    }

    fn numbers(&self) -> &[f64] {
        self.series.numbers.get(self.range.clone()).unwrap_or_default()
    }

    /// The exact sample variance, rounded at the end; by Welford's update where the values span too much.
    fn variance(&self) -> Option<f64> {
        let n = self.range.len();
        if n < 2 {
            return None;
        }
        let exact = self.series.sum(&self.range).zip(self.series.sum_of_squares(&self.range));
        if let Some(((sum, unit), squares)) = exact {
            return Some(exact::variance(n as u64, sum, squares, unit));
        }
        let (mut mean, mut squares) = (0.0, 0.0);
        for (before, x) in self.numbers().iter().enumerate() {
            let delta = x - mean;
            mean += delta / number(before + 1);
            squares += delta * (x - mean);
        }
        Some(squares / number(n - 1))
    }

    fn row(&self, at: usize) -> usize {
        self.base + self.series.rows[at] as usize
    }

    fn at(&self, at: usize) -> Value {
        self.column.map_or(Value::Null, |column| column.value(self.row(at)))
    }

    fn list(&self, range: Range<usize>) -> Value {
        Value::List(range.map(|at| self.at(at)).collect())
    }

    fn extreme(&self, wanted: std::cmp::Ordering) -> Value {
        if let Some(Column::Number(_)) = self.column {
            let (least, greatest) = self.series.extremes(&self.range);
            return Value::Number(if wanted.is_lt() { least } else { greatest });
        }
        let Some(column) = self.column else { return Value::Null };
        // Equal keys are equal values: most rows need no look at the value itself.
        let mut best = (column.key(self.row(self.range.start)), self.at(self.range.start));
        for at in self.range.clone().skip(1) {
            let key = column.key(self.row(at));
            if key != best.0 {
                let value = self.at(at);
                if value.order(&best.1) == wanted {
                    best = (key, value);
                }
            }
        }
        best.1
    }

    fn top(&self, k: usize, tally: &mut Tally) -> Vec<(Value, u64)> {
        match self.column {
            Some(column) => tally.top(&self.range, k, column, |at| self.row(at)),
            None => Vec::new(),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a day has few microseconds")]
fn days_in_micros() -> f64 {
    MICROS_PER_DAY as f64
}
