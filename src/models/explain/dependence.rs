use kernel::domain::Value;
use kernel::scoring::{Encoder, FrozenModel};

use crate::data::TrainingSet;
use crate::evaluation::{Chart, Series};

/// Places of a feature that are looked at.
const GRID: usize = 20;
/// Rows that are averaged over.
const ROWS: usize = 300;

/// The mean score of rows if a feature had each of some values (partial dependence: Friedman 2001), for
/// features that are numbers.
pub(crate) fn dependence<'f>(
    set: &TrainingSet,
    rows: &[usize],
    encoder: &Encoder,
    model: &FrozenModel,
    features: impl Iterator<Item = &'f str>,
) -> Vec<Chart> {
    let rows: Vec<usize> = rows.iter().copied().step_by(rows.len().div_ceil(ROWS).max(1)).collect();
    let values: Vec<Vec<Value>> = rows.iter().map(|row| set.row(*row)).collect();
    let mut encoded = Vec::new();
    features
        .filter_map(|feature| {
            let place = encoder.columns.iter().position(|column| column.feature == feature)?;
            let grid = grid(&values, place);
            if grid.len() < 2 {
                return None;
            }
            let mean = |x: &f64| {
                let mut sum = 0.0;
                for values in &values {
                    let mut values = values.clone();
                    values[place] = Value::Number(*x);
                    encoder.encode_into(&values, &mut encoded);
                    sum += model.score(&encoded);
                }
                #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
                let mean = sum / values.len() as f64;
                mean
            };
            let mut mean = mean;
            let points = grid.iter().map(|x| (*x, mean(x))).collect();
            Some(Chart {
                title: feature.to_owned(),
                x: feature.to_owned(),
                y: "mean score".to_owned(),
                series: vec![Series { name: "mean score".to_owned(), points }],
                bars: false,
                diagonal: false,
            })
        })
        .collect()
}

/// Quantiles of the numbers of a feature, each once.
fn grid(values: &[Vec<Value>], place: usize) -> Vec<f64> {
    let mut numbers: Vec<f64> =
        values.iter().filter_map(|values| values.get(place).and_then(Value::as_number)).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let Some(last) = numbers.len().checked_sub(1) else { return Vec::new() };
    let mut grid: Vec<f64> = (0..GRID).map(|at| numbers[at * last / (GRID - 1)]).collect();
    grid.dedup();
    grid
}
