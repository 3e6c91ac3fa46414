use std::collections::BTreeMap;

use kernel::domain::{Type, Value};
use kernel::features::Column;
use kernel::monitoring::{Drift, Expected, Tally};
use kernel::scoring::{Encoder, FrozenModel};

use super::evaluate::Part;
use crate::customers::{self, Purchases};
use crate::data::{Outcome, Split, TrainingSet, matrix, numbers};
use crate::evaluation::roc_auc;
use crate::{ModelSpec, Task};

/// A feature that alone orders rows as well as this nearly is the label.
const LEAKING_AUC: f64 = 0.97;
/// A feature that correlates with the label as much as this nearly is it.
const LEAKING_CORRELATION: f64 = 0.98;
/// Rows that features are checked on.
const ROWS: usize = 20_000;

/// How good simple scores are on the test part: of no feature, and of the best single one.
pub(super) fn baselines(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    split: &Split,
) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut baselines = BTreeMap::new();
    let is_binary = spec.task == Task::Classification && outcome.classes.len() == 2;
    let is_number =
        matches!(spec.task, Task::Regression | Task::LifetimeValue) && spec.needs_label();
    if !is_binary && !is_number {
        return baselines;
    }
    let part = Part { spec, set, outcome, rows: &split.test, intervals: false };
    let y = outcome.of_rows(&split.test);
    let train_y = outcome.of_rows(&split.train);
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    let mean = train_y.iter().sum::<f64>() / train_y.len().max(1) as f64;
    let constant = vec![mean; y.len()];
    let of = |scores: &[f64]| match is_binary {
        true => part.probabilities(scores, &y).by_name(),
        false => part.numbers(scores, &y).by_name(),
    };
    baselines.insert("the mean".to_owned(), of(&constant));
    // The feature that orders the training rows best, as a line.
    let some = sampled(&split.train);
    let best = best_feature(set, &some, &outcome.of_rows(&some));
    if let Some((place, intercept, slope, center)) = best {
        let (name, column) = (&set.features.columns[place].0, &set.features.values[place]);
        let line = |x: f64| {
            let score = intercept + slope * (if x.is_finite() { x } else { center });
            if is_binary { score.clamp(0.0, 1.0) } else { score }
        };
        let scores: Vec<f64> = numbers(column, &split.test).into_iter().map(line).collect();
        baselines.insert(format!("{name} alone"), of(&scores));
    }
    baselines
}

/// Rows enough to check a feature on, evenly.
pub(super) fn sampled(rows: &[usize]) -> Vec<usize> {
    rows.iter().copied().step_by(rows.len().div_ceil(ROWS).max(1)).collect()
}

/// The feature of the largest correlation with the outcome: its place, line and mean.
fn best_feature(set: &TrainingSet, rows: &[usize], y: &[f64]) -> Option<(usize, f64, f64, f64)> {
    let lines = set.features.values.iter().enumerate().filter_map(|(place, column)| {
        let (intercept, slope, center, correlation) = line(column, rows, y)?;
        Some((correlation.abs(), (place, intercept, slope, center)))
    });
    lines.max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, line)| line)
}

/// The least-squares line of an outcome over a feature: intercept, slope, mean of the feature, correlation.
fn line(column: &Column, rows: &[usize], y: &[f64]) -> Option<(f64, f64, f64, f64)> {
    let pairs = numbers(column, rows).into_iter().zip(y.iter().copied());
    let pairs: Vec<(f64, f64)> = pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    let n = pairs.len() as f64;
    if n < 10.0 {
        return None;
    }
    let (x_mean, y_mean) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let sums = pairs.iter().fold((0.0, 0.0, 0.0), |(xx, xy, yy), (x, y)| {
        let (x, y) = (x - x_mean, y - y_mean);
        (xx + x * x, xy + x * y, yy + y * y)
    });
    let correlation = sums.1 / (sums.0 * sums.2).sqrt();
    let slope = sums.1 / sums.0;
    correlation.is_finite().then_some((y_mean - slope * x_mean, slope, x_mean, correlation))
}

/// Features that nearly are the label, and features that are others in the test part.
pub(super) fn warnings(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    split: &Split,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_binary = outcome.classes.len() == 2;
    for ((name, type_), column) in set.features.columns.iter().zip(&set.features.values) {
        let has_outcome = spec.needs_label() && spec.task != Task::Recommendation;
        if has_outcome && let Some(how) = leak(column, &split.train, outcome, is_binary) {
            warnings.push(format!(
                "'{name}' alone nearly is the label ({how}): does it know what happened afterwards?"
            ));
        }
        let drift = moved(column, *type_, &split.train, &split.test);
        if let Some(drift) = drift.filter(Drift::has_moved) {
            warnings.push(format!(
                "'{name}' is different in the test part (stability index {:.2}): what was learned of it \
                 may not hold",
                drift.psi
            ));
        }
    }
    warnings
}

fn leak(column: &Column, rows: &[usize], outcome: &Outcome, is_binary: bool) -> Option<String> {
    let rows = sampled(rows);
    let y = outcome.of_rows(&rows);
    if is_binary {
        // Missing is a value like others: it may say it, too.
        let known_or_least = |x: f64| if x.is_nan() { f64::MIN } else { x };
        let scores: Vec<f64> = numbers(column, &rows).into_iter().map(known_or_least).collect();
        let positive: Vec<bool> = y.iter().map(|y| *y > 0.5).collect();
        let auc = roc_auc(&scores, &positive, None);
        let auc = auc.max(1.0 - auc);
        return (auc >= LEAKING_AUC).then(|| format!("AUC {auc:.3}"));
    }
    let (.., correlation) = line(column, &rows, &y)?;
    (correlation.abs() >= LEAKING_CORRELATION).then(|| format!("correlation {correlation:.3}"))
}

/// How far a feature has moved from one part to another.
fn moved(column: &Column, type_: Type, train: &[usize], test: &[usize]) -> Option<Drift> {
    let values = |rows: &[usize]| -> Vec<Value> {
        sampled(rows).into_iter().map(|row| column.value(row)).collect()
    };
    let expected = Expected::of(type_, &values(train));
    let mut now = Tally::default();
    values(test).iter().for_each(|value| expected.count(&mut now, value));
    Drift::of(&expected, &now)
}

/// The training rows that a model of lifetime values was not fitted on, in words.
pub(super) fn left_out(
    set: &TrainingSet,
    rows: &[usize],
    encoder: &Encoder,
    model: &FrozenModel,
) -> Vec<String> {
    let FrozenModel::Lifetime(lifetime) = model else { return Vec::new() };
    let x = matrix(set, rows, encoder);
    let row = |row: ndarray::ArrayView1<'_, f64>| {
        Purchases::of_row(&row.to_vec(), &lifetime.columns, lifetime.unit_days)
    };
    let purchases: Vec<Purchases> = x.rows().into_iter().map(row).collect();
    customers::left_out(&purchases, lifetime.value.is_some())
}
