use std::collections::HashSet;

use kernel::domain::Value;
use serde::Serialize;

/// What the values of a column are like.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ColumnSummary {
    /// Values that are null.
    pub nulls: usize,
    /// Different values, null left out; none where there are more than [`MOST_DISTINCT`].
    pub distinct: Option<usize>,
    /// The least and the largest value, as text; none where all are null.
    pub range: Option<(String, String)>,
    /// How many numbers or times are in each part of that range; empty for other values.
    pub histogram: Vec<u32>,
}

/// Different values that are counted exactly.
pub(crate) const MOST_DISTINCT: usize = 20_000;
/// Parts of a histogram.
pub(crate) const BINS: usize = 20;

/// Summaries of the columns of rows.
#[must_use]
pub fn summarize(n_columns: usize, rows: &[Vec<Value>]) -> Vec<ColumnSummary> {
    (0..n_columns).map(|place| summary_of(rows.iter().filter_map(|row| row.get(place)))).collect()
}

/// The summary of the values of a column.
pub(crate) fn summary_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> ColumnSummary {
    let mut summary = ColumnSummary::default();
    let mut known: Option<HashSet<String>> = Some(HashSet::new());
    let (mut least, mut largest): (Option<&Value>, Option<&Value>) = (None, None);
    let mut numbers = Vec::new();
    for value in values {
        if value.is_null() {
            summary.nulls += 1;
            continue;
        }
        if least.is_none_or(|least| before(value, least)) {
            least = Some(value);
        }
        if largest.is_none_or(|largest| before(largest, value)) {
            largest = Some(value);
        }
        numbers.extend(number(value));
        if let Some(texts) = &mut known {
            texts.insert(value.to_string());
            if texts.len() > MOST_DISTINCT {
                known = None;
            }
        }
    }
    summary.distinct = known.map(|texts| texts.len());
    summary.range = least.zip(largest).map(|(l, r)| (l.to_string(), r.to_string()));
    summary.histogram = histogram(&numbers);
    summary
}

/// The order of two values of a column; values of different types are as they come.
#[must_use]
pub fn before(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left < right,
        (Value::Time(left), Value::Time(right)) => left < right,
        (Value::Text(left), Value::Text(right)) => left < right,
        (Value::Boolean(left), Value::Boolean(right)) => !left & right,
        _ => false,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a place in a histogram")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) if x.is_finite() => Some(*x),
        Value::Time(time) => Some(time.0 as f64),
        _ => None,
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a histogram"
)]
fn histogram(numbers: &[f64]) -> Vec<u32> {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if numbers.is_empty() || least >= largest {
        return Vec::new();
    }
    let mut bins = vec![0; BINS];
    for x in numbers {
        let place = ((x - least) / (largest - least) * BINS as f64) as usize;
        bins[place.min(BINS - 1)] += 1;
    }
    bins
}
