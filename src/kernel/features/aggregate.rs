use std::ops::Range;

use super::needs::Needs;
use super::series::{Series, half};
use super::tally::{Tally, value_of};
use super::{Aggregation, Column, Texts, exact};
use crate::domain::{MICROS_PER_DAY, Time, Value};

/// A window of a series: what an aggregation turns into one value.
pub(super) struct Window<'a, 't> {
    pub(super) series: &'a Series,
    pub(super) needs: &'a Needs,
    /// The places of the series that are in it.
    pub(super) range: Range<usize>,
    /// The times of the customer's rows.
    pub(super) times: &'a [i64],
    /// The property, if the aggregation reads one, and the customer's first row in it.
    pub(super) column: Option<&'t Column>,
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

impl<'t> Window<'_, 't> {
    /// The value of an aggregation where the number of events says it: all do over none, and a count does.
    #[inline]
    pub(super) fn number_by_count(aggregation: Aggregation, n: usize) -> Option<f64> {
        match aggregation {
            Aggregation::Count => Some(number(n)),
            _ if n > 0 => None,
            Aggregation::Distinct
            | Aggregation::ActiveDays
            | Aggregation::Sessions(_)
            | Aggregation::Sum
            | Aggregation::DecayedCount(_)
            | Aggregation::DecayedSum(_) => Some(0.0),
            _ => Some(f64::NAN),
        }
    }

    /// The value of an aggregation over some events that gives a number, NaN for null; none if it gives
    /// something else. `tally` is what the aggregation remembers of the series.
    #[inline]
    pub(super) fn number(&self, aggregation: Aggregation, tally: &mut Tally) -> Option<f64> {
        let n = self.range.len();
        match aggregation {
            Aggregation::Distinct => return Some(f64::from(self.series.distinct(&self.range))),
            Aggregation::ActiveDays => {
                return Some(f64::from(self.series.active_days(&self.range)));
            }
            Aggregation::Sessions(gap) => {
                let session = self.needs.session(gap.micros());
                return Some(f64::from(self.series.sessions(session, &self.range)));
            }
            Aggregation::Min | Aggregation::Max
                if !matches!(self.column, Some(Column::Number(_))) =>
            {
                return None;
            }
            Aggregation::First
            | Aggregation::Last
            | Aggregation::FirstK(_)
            | Aggregation::LastK(_)
            | Aggregation::Mode
            | Aggregation::TopK(_)
            | Aggregation::Histogram(_) => return None,
            _ => {}
        }
        let time = |at: usize| self.times[self.series.row(at)];
        let (first, last) = (self.range.start, self.range.end - 1);
        Some(match aggregation {
            Aggregation::Sum => self.sum(),
            Aggregation::Mean => self.sum() / number(n),
            Aggregation::Min => self.series.extremes(&self.range).0,
            Aggregation::Max => self.series.extremes(&self.range).1,
            Aggregation::Variance => self.variance(),
            Aggregation::Stddev => self.variance().sqrt(),
            Aggregation::Quantile(p) => tally.quantile(&self.range, p, &self.series.numbers),
            Aggregation::DaysSinceFirst => days(self.as_of.0 - time(first)),
            Aggregation::DaysSinceLast => days(self.as_of.0 - time(last)),
            Aggregation::MeanGapDays if n < 2 => f64::NAN,
            Aggregation::MeanGapDays => days(time(last) - time(first)) / number(n - 1),
            Aggregation::StddevGapDays if n < 3 => f64::NAN,
            Aggregation::StddevGapDays => {
                let sum = i128::from(time(last) - time(first));
                let squares = self.series.squared_gaps(&self.range);
                exact::variance(n as u64 - 1, sum, squares, 0).sqrt() / days_in_micros()
            }
            Aggregation::Trend => self
                .series
                .slope(&self.range, self.times)
                .map_or(f64::NAN, |slope| slope * days_in_micros()),
            Aggregation::DecayedCount(half_life) | Aggregation::DecayedSum(half_life) => {
                let micros = half_life.micros();
                let left = self.series.decayed(self.needs.decay(micros), &self.range);
                left * half(self.as_of.0 - time(last), micros)
            }
            _ => return None,
        })
    }

    /// The text that an aggregation picks, by its code, if it picks one of the property's texts.
    pub(super) fn text(
        &self,
        aggregation: Aggregation,
        tally: &mut Tally,
    ) -> Option<(&'t Texts, u32)> {
        let Some(column @ Column::Text(texts)) = self.column else { return None };
        let picked = match aggregation {
            Aggregation::First => Some(self.row(self.range.start)),
            Aggregation::Last => Some(self.row(self.range.end - 1)),
            Aggregation::Mode => tally.mode(&self.range, column, |at| self.row(at)),
            _ => return None,
        };
        Some((texts, picked.map_or(Column::NO_TEXT, |row| texts.codes().at(row))))
    }

    /// The value of an aggregation over some events that gives no number.
    pub(super) fn value(&self, aggregation: Aggregation, tally: &mut Tally) -> Value {
        let (first, end) = (self.range.start, self.range.end);
        match aggregation {
            Aggregation::Min => self.extreme(false, tally),
            Aggregation::Max => self.extreme(true, tally),
            Aggregation::First => self.at(first),
            Aggregation::Last => self.at(end - 1),
            Aggregation::FirstK(k) => self.list(first..(first + k).min(end)),
            Aggregation::LastK(k) => self.list(end.saturating_sub(k).max(first)..end),
            Aggregation::Mode => self.column.map_or(Value::Null, |column| {
                let row = tally.mode(&self.range, column, |at| self.row(at));
                row.map_or(Value::Null, |row| value_of(row, column))
            }),
            Aggregation::TopK(k) => {
                Value::List(self.top(k, tally).into_iter().map(|(value, _)| value).collect())
            }
            Aggregation::Histogram(k) => Value::Counts(self.top(k, tally).into()),
            _ => Value::Null,
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

    /// The exact sample variance, rounded at the end, NaN under two values; by Welford's update where the values span too much.
    fn variance(&self) -> f64 {
        let n = self.range.len();
        if n < 2 {
            return f64::NAN;
        }
        let exact = self.series.sum(&self.range).zip(self.series.sum_of_squares(&self.range));
        if let Some(((sum, unit), squares)) = exact {
            return exact::variance(n as u64, sum, squares, unit);
        }
        let (mut mean, mut squares) = (0.0, 0.0);
        for (before, x) in self.numbers().iter().enumerate() {
            let delta = x - mean;
            mean += delta / number(before + 1);
            squares += delta * (x - mean);
        }
        squares / number(n - 1)
    }

    fn row(&self, at: usize) -> usize {
        self.base + self.series.row(at)
    }

    fn at(&self, at: usize) -> Value {
        self.column.map_or(Value::Null, |column| column.value(self.row(at)))
    }

    fn list(&self, range: Range<usize>) -> Value {
        Value::List(range.map(|at| self.at(at)).collect())
    }

    fn extreme(&self, is_greatest: bool, tally: &mut Tally) -> Value {
        self.column.map_or(Value::Null, |column| {
            let row = tally.extreme(&self.range, is_greatest, column, |at| self.row(at));
            row.map_or(Value::Null, |row| value_of(row, column))
        })
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
