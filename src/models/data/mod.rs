//! From a training set to what estimators learn from.
//!
//! In: features and labels, point in time. Out: rows that train and test, an encoder fitted on the training
//! rows only, and a matrix that has passed the gate. Never: an estimator.

mod encoder;
mod gate;
mod outcome;
mod split;
mod training_set;

use kernel::domain::Value;
use kernel::scoring::Encoder;
use ndarray::{Array1, Array2, ShapeBuilder as _};
use rayon::prelude::*;

pub(crate) use encoder::{Prepared, Style, numbers, prepare};
pub(crate) use gate::check;
pub(crate) use outcome::Outcome;
pub(crate) use split::{Split, customer_share, split};
pub use training_set::{LABEL, TrainingSet};

use crate::estimators::Data;

/// The encoded rows as a matrix in column order.
pub(crate) fn matrix(set: &TrainingSet, rows: &[usize], encoder: &Encoder) -> Array2<f64> {
    let columns: Vec<Vec<f64>> = encoder
        .columns
        .par_iter()
        .zip(&set.features.values)
        .map(|(column, values)| {
            let width = column.encoding.width();
            let mut numbers = vec![0.0; rows.len() * width];
            let mut encoded = Vec::with_capacity(width);
            for (at, row) in rows.iter().enumerate() {
                encoded.clear();
                column.encoding.encode_into(&values.value(*row), &mut encoded);
                for (place, number) in encoded.iter().enumerate() {
                    numbers[place * rows.len() + at] = *number;
                }
            }
            numbers
        })
        .collect();
    let shape = (rows.len(), encoder.width()).f();
    Array2::from_shape_vec(shape, columns.concat()).unwrap_or_default()
}

/// Rows as estimators learn from them, each class of the same weight if that is asked for.
pub(crate) fn learnable(x: Array2<f64>, y: Vec<f64>, balance: bool) -> Data {
    let weights = balance.then(|| balanced(&y));
    let data = Data::new(x, Array1::from_vec(y));
    match weights {
        Some(weights) => data.with_weights(Array1::from_vec(weights)),
        None => data,
    }
}

/// A weight for each row, so that all classes weigh the same in total.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "shares of rows")]
fn balanced(y: &[f64]) -> Vec<f32> {
    let mut counts = std::collections::BTreeMap::<u64, usize>::new();
    y.iter().for_each(|y| *counts.entry(y.to_bits()).or_default() += 1);
    let share = y.len() as f64 / counts.len().max(1) as f64;
    y.iter().map(|y| (share / counts[&y.to_bits()] as f64) as f32).collect()
}

/// A value as a number, where it is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
        Value::Boolean(boolean) => Some(f64::from(u8::from(*boolean))),
        _ => None,
    }
}
