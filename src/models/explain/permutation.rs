use kernel::domain::{Job, Value};
use kernel::scoring::{Encoder, Encoding, FrozenModel};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::{Outcome, TrainingSet};
use crate::{Error, ModelSpec, Result, Task};

/// How much a model needs a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The feature.
    pub feature: String,
    /// What the loss grows by when its values are those of other rows (Breiman 2001): the mean over repeats.
    pub loss: f64,
    /// The standard deviation over repeats.
    pub spread: f64,
}

/// Rows whose values are exchanged.
const ROWS: usize = 2_000;
const REPEATS: u64 = 3;

/// What the loss on rows grows by when the values of one feature are exchanged, most first. Without an
/// outcome, how far the scores move.
pub(crate) fn permutation_importance(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    rows: &[usize],
    encoder: &Encoder,
    model: &FrozenModel,
    job: &Job,
) -> Result<Vec<Importance>> {
    if matches!(spec.task, Task::Recommendation | Task::Clustering) {
        return Ok(Vec::new());
    }
    let rows: Vec<usize> = rows.iter().copied().step_by(rows.len().div_ceil(ROWS).max(1)).collect();
    let values: Vec<Vec<Value>> = rows.iter().map(|row| set.row(*row)).collect();
    let score = |values: &[Value], row: &mut Vec<f64>| {
        encoder.encode_into(values, row);
        model.score(row)
    };
    let mut row = Vec::new();
    let before: Vec<f64> = values.iter().map(|values| score(values, &mut row)).collect();
    let y = outcome.of_rows(&rows);
    let loss = |scores: &[f64], place: usize| {
        one_loss(spec, model, y[place], scores[place], before[place])
    };
    let mean = |scores: &[f64]| {
        #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
        let n = scores.len().max(1) as f64;
        (0..scores.len()).map(|place| loss(scores, place)).sum::<f64>() / n
    };
    let usual = mean(&before);
    let read = encoder.columns.iter().enumerate();
    let read: Vec<(usize, &str)> = read
        .filter(|(_, column)| column.encoding != Encoding::Dropped)
        .map(|(place, column)| (place, column.feature.as_str()))
        .collect();
    let mut importance: Vec<Importance> = read
        .par_iter()
        .map(|(place, feature)| {
            let mut row = Vec::new();
            let grown: Vec<f64> = (0..REPEATS)
                .map(|repeat| {
                    let mut random =
                        Xoshiro256PlusPlus::seed_from_u64(spec.model.seed ^ (repeat << 40));
                    let mut others: Vec<usize> = (0..values.len()).collect();
                    others.shuffle(&mut random);
                    let scores: Vec<f64> = values
                        .iter()
                        .zip(&others)
                        .map(|(own, other)| {
                            if job.is_canceled() {
                                return 0.0;
                            }
                            let mut own = own.clone();
                            own[*place] = values[*other][*place].clone();
                            score(&own, &mut row)
                        })
                        .collect();
                    mean(&scores) - usual
                })
                .collect();
            #[allow(clippy::cast_precision_loss, reason = "a few repeats")]
            let n = grown.len() as f64;
            let center = grown.iter().sum::<f64>() / n;
            let squares = grown.iter().map(|g| (g - center).powi(2)).sum::<f64>();
            Importance {
                feature: (*feature).to_owned(),
                loss: center,
                spread: (squares / n).sqrt(),
            }
        })
        .collect();
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    importance.sort_by(|left, right| right.loss.total_cmp(&left.loss));
    Ok(importance)
}

/// The loss of one row.
fn one_loss(spec: &ModelSpec, model: &FrozenModel, y: f64, score: f64, before: f64) -> f64 {
    match spec.task {
        Task::Classification if model.classes().is_empty() => {
            let probability = score.clamp(1e-12, 1.0 - 1e-12);
            -(if y > 0.5 { probability } else { 1.0 - probability }).ln()
        }
        Task::Regression => (y - score).powi(2),
        Task::LifetimeValue if spec.needs_label() => (y - score).powi(2),
        // Nothing says what would have been right: how far the score moves.
        _ => (score - before).abs(),
    }
}
