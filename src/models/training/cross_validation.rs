use kernel::domain::Job;
use rayon::prelude::*;

use super::evaluate::{Part, scores};
use super::{horizon, learn};
use crate::data::{Outcome, TrainingSet, customer_share, matrix};
use crate::{Error, ModelSpec, Result, SplitBy};

/// Rows that are learned from, and rows that are scored.
pub(super) struct Fold {
    pub(super) train: Vec<usize>,
    pub(super) test: Vec<usize>,
}

/// Parts of the training rows.
const FOLDS: usize = 3;
/// Parts whose scores calibrate.
const CALIBRATION_FOLDS: usize = 5;

/// The folds of training rows, in the way of the split: by time, later rows are scored by models of earlier
/// ones, a horizon apart; else no customer is on both sides.
pub(super) fn folds(spec: &ModelSpec, set: &TrainingSet, rows: &[usize]) -> Vec<Fold> {
    match spec.split.by {
        SplitBy::Time => {
            let folds = by_time(set, rows, horizon(spec));
            if folds.is_empty() { by_customer(set, rows, FOLDS, spec.model.seed) } else { folds }
        }
        SplitBy::Customer | SplitBy::Random => by_customer(set, rows, FOLDS, spec.model.seed),
    }
}

fn by_time(set: &TrainingSet, rows: &[usize], horizon: i64) -> Vec<Fold> {
    let mut times: Vec<_> = rows.iter().map(|row| set.times[*row]).collect();
    times.sort_unstable();
    times.dedup();
    // The last times, each in turn, as long as enough is before them.
    let cuts = times.iter().rev().take(FOLDS);
    cuts.filter_map(|cut| {
        let train: Vec<usize> =
            rows.iter().copied().filter(|row| set.times[*row].plus(horizon) <= *cut).collect();
        let test: Vec<usize> = rows.iter().copied().filter(|row| set.times[*row] == *cut).collect();
        (train.len() * 4 >= rows.len() && !test.is_empty()).then_some(Fold { train, test })
    })
    .collect()
}

fn by_customer(set: &TrainingSet, rows: &[usize], n: usize, seed: u64) -> Vec<Fold> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a small number of folds"
    )]
    let fold = |row: usize| {
        ((customer_share(&set.customers[row], seed ^ 0xf01d) * n as f64) as usize).min(n - 1)
    };
    (0..n)
        .map(|own| {
            let (test, train) = rows.iter().copied().partition(|row| fold(*row) == own);
            Fold { train, test }
        })
        .filter(|fold| !fold.train.is_empty() && !fold.test.is_empty())
        .collect()
}

/// The mean over folds of the loss that the task makes small; folds are trained side by side.
pub(super) fn loss(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    folds: &[Fold],
    job: &Job,
) -> Result<f64> {
    let losses: Vec<Result<f64>> =
        folds.par_iter().map(|fold| loss_of(spec, set, outcome, fold, job)).collect();
    let mut sum = 0.0;
    for loss in losses {
        sum += loss?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a few folds")]
    let mean = sum / folds.len().max(1) as f64;
    Ok(mean)
}

/// The loss on the rows of a fold of a model of its other rows.
pub(super) fn loss_of(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    fold: &Fold,
    job: &Job,
) -> Result<f64> {
    let learned = learn(spec, set, outcome, &fold.train, job)?;
    let part = Part { spec, set, outcome, rows: &fold.test, intervals: false };
    let evaluation = part.evaluate(&learned.model, &learned.encoder)?;
    let (name, sign) = telling(spec);
    let value = evaluation.metric(name).unwrap_or(f64::NAN);
    match value.is_finite() {
        true => Ok(sign * value),
        false => Err(Error::Data(format!("{name} of a part of the rows is no number"))),
    }
}

/// The metric that a task is judged by, and 1 where less is better, -1 where more is.
pub(super) const fn telling(spec: &ModelSpec) -> (&'static str, f64) {
    use crate::{Objective, Task};
    match spec.task {
        Task::Classification => ("log_loss", 1.0),
        Task::Clustering => ("silhouette", -1.0),
        Task::Ranking => ("ndcg_10", -1.0),
        Task::Recommendation => ("recall_20", -1.0),
        Task::Uplift => ("qini", -1.0),
        Task::Anomaly => ("median", 1.0),
        Task::LifetimeValue if !spec.needs_label() => ("mean", 1.0),
        Task::Regression | Task::LifetimeValue => match spec.model.objective {
            Some(Objective::Quantile) => ("pinball", 1.0),
            _ => ("rmse", 1.0),
        },
    }
}

/// Scores of rows by models of other customers.
pub(super) fn out_of_fold(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    rows: &[usize],
    job: &Job,
) -> Result<Vec<f64>> {
    let mut all = vec![f64::NAN; set.n_rows()];
    let folds = by_customer(set, rows, CALIBRATION_FOLDS, spec.model.seed);
    let parts: Vec<Result<Vec<f64>>> = folds
        .par_iter()
        .map(|fold| {
            let learned = learn(spec, set, outcome, &fold.train, job)?;
            Ok(scores(&learned.model, &matrix(set, &fold.test, &learned.encoder)))
        })
        .collect();
    for (fold, part) in folds.iter().zip(parts) {
        fold.test.iter().zip(part?).for_each(|(row, score)| all[*row] = score);
    }
    Ok(rows.iter().map(|row| all[*row]).collect())
}
