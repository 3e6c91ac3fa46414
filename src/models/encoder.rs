use std::collections::BTreeMap;

use kernel::domain::{Type, Value};
use kernel::scoring::{EncodedColumn, Encoder, Encoding};

use crate::TrainingSet;

/// The most categories of a feature that have a column of their own.
const MOST_CATEGORIES: usize = 30;
/// The smallest share of training rows that a category with a column has.
const RAREST_CATEGORY: f64 = 0.005;

/// Fits an encoder on the training rows only.
pub(crate) fn fit(set: &TrainingSet, rows: &[usize]) -> Encoder {
    let columns = set
        .features
        .columns
        .iter()
        .zip(&set.features.values)
        .map(|((name, type_), column)| {
            let values = rows.iter().map(|row| column.value(*row));
            let encoding = match type_ {
                Type::Text => fit_one_hot(values, rows.len()),
                Type::Number | Type::Boolean | Type::Time => fit_number(values),
                // No encoding of lists and counts yet: the model does not read them.
                Type::List(_) | Type::Counts(_) => Encoding::Dropped,
            };
            EncodedColumn { feature: name.to_string(), encoding }
        })
        .collect();
    Encoder { columns }
}

/// Missing numbers become the mean; the column says nothing if all rows are alike.
fn fit_number(values: impl Iterator<Item = Value>) -> Encoding {
    let raw = Encoding::Number { fill: f64::NAN, mean: 0.0, scale: 1.0, indicator: false };
    let raw = Encoder { columns: vec![EncodedColumn { feature: String::new(), encoding: raw }] };
    let numbers: Vec<f64> =
        values.map(|value| raw.encode(&[value]).first().copied().unwrap_or(f64::NAN)).collect();
    let known: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    let missing = numbers.len() - known.len();
    if known.is_empty() {
        return Encoding::Dropped;
    }
    let fill = mean(&known);
    let filled: Vec<f64> = numbers.iter().map(|x| if x.is_finite() { *x } else { fill }).collect();
    let center = mean(&filled);
    let squares: Vec<f64> = filled.iter().map(|x| (x - center) * (x - center)).collect();
    let scale = mean(&squares).sqrt();
    let varies = scale.is_finite() && scale > 1e-12 * center.abs().max(1.0);
    match (varies, missing > 0) {
        (false, false) => Encoding::Dropped,
        (varies, indicator) => Encoding::Number {
            fill,
            mean: center,
            scale: if varies { scale } else { 1.0 },
            indicator,
        },
    }
}

fn mean(numbers: &[f64]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    let n = numbers.len() as f64;
    numbers.iter().sum::<f64>() / n
}

fn fit_one_hot(values: impl Iterator<Item = Value>, n: usize) -> Encoding {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in values.filter(|value| !value.is_null()) {
        *counts.entry(value.to_string()).or_insert(0) += 1;
    }
    #[allow(clippy::cast_precision_loss, reason = "a share of a number of rows")]
    let is_frequent = |count: usize| count as f64 >= RAREST_CATEGORY * n as f64;
    let mut frequent: Vec<(String, usize)> =
        counts.into_iter().filter(|(_, count)| is_frequent(*count) && *count < n).collect();
    frequent.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    frequent.truncate(MOST_CATEGORIES);
    if frequent.is_empty() {
        return Encoding::Dropped;
    }
    Encoding::OneHot { categories: frequent.into_iter().map(|(category, _)| category).collect() }
}
