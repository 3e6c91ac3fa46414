use std::time::{Duration, Instant};

use kernel::domain::Job;
use kernel::features::View;
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::cross_validation::{Fold, folds, loss, loss_of, telling};
use super::{Fitted, fitted, parts};
use crate::data::{Outcome, TrainingSet};
use crate::{Algorithm, Error, ModelDefinition, ModelSpec, Result};

/// An algorithm that was tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The metric that it was judged by on parts of the training rows, and its value; none if it failed.
    pub judged: Option<(String, f64)>,
    /// The trained model, of those that did not fail.
    pub fitted: Option<Box<Fitted>>,
    /// Why it failed, or was not tried.
    pub problem: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The most settings that are tried where a spec does not say.
const TRIALS: usize = 40;
/// A setting whose first part is worse than the best by this share is not tried on the others.
const HOPELESS: f64 = 0.02;

/// Tries the algorithms of a task with the usual parameters, judges them by cross-validation over the
/// training rows, and trains each on all of them; best first. What does not begin within the budget is left
/// out, and said to be.
///
/// # Errors
/// The spec or the data is not fit for training, or the job was canceled.
pub fn try_all(
    spec: &ModelSpec,
    view: &View,
    set: &TrainingSet,
    budget: Duration,
    job: &Job,
) -> Result<Vec<Candidate>> {
    let started = Instant::now();
    let (outcome, split) = parts(spec, set)?;
    let folds = folds(spec, set, &split.train);
    let mut candidates = Vec::new();
    for algorithm in spec.task.algorithms() {
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        job.report(format!("Trying {algorithm}"), share(started.elapsed(), budget));
        let mut candidate = Candidate {
            algorithm: *algorithm,
            judged: None,
            fitted: None,
            problem: None,
            seconds: 0.0,
        };
        if started.elapsed() > budget {
            candidate.problem = Some("there was no time left for it".to_owned());
            candidates.push(candidate);
            continue;
        }
        let begun = Instant::now();
        let usual = ModelDefinition {
            calibration: spec.model.calibration,
            balance: spec.model.balance,
            ..ModelDefinition::new(*algorithm, spec.model.seed)
        };
        let own = ModelSpec { model: usual, search: None, ..spec.clone() };
        let judged = own.check().and_then(|()| loss(&own, set, &outcome, &folds, job));
        let trained =
            judged.and_then(|loss| Ok((loss, fitted(&own, view, set, &outcome, &split, job)?)));
        match trained {
            Ok((loss, fitted)) => {
                let (name, sign) = telling(&own);
                candidate.judged = Some((name.to_owned(), sign * loss));
                candidate.fitted = Some(Box::new(fitted));
            }
            Err(Error::Canceled) => return Err(Error::Canceled),
            Err(error) => candidate.problem = Some(error.to_string()),
        }
        candidate.seconds = begun.elapsed().as_secs_f64();
        candidates.push(candidate);
    }
    let (_, sign) = telling(spec);
    let loss = |candidate: &Candidate| {
        candidate.judged.as_ref().map_or(f64::INFINITY, |(_, value)| sign * value)
    };
    candidates.sort_by(|left, right| loss(left).total_cmp(&loss(right)));
    Ok(candidates)
}

/// A spec with the parameters that were best on parts of the training rows, if it asks for a search.
pub(super) fn searched(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    rows: &[usize],
    job: &Job,
) -> Result<ModelSpec> {
    let Some(search) = spec.search else { return Ok(spec.clone()) };
    let started = Instant::now();
    let budget = Duration::from_micros(u64::try_from(search.budget.micros()).unwrap_or(0));
    let folds = folds(spec, set, rows);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(spec.model.seed);
    // What the spec says is the first setting.
    let mut best = (f64::INFINITY, spec.clone());
    let mut first_part = f64::INFINITY;
    for trial in 0..search.trials.unwrap_or(TRIALS) {
        if trial > 0 && started.elapsed() > budget {
            break;
        }
        job.report(format!("Trying setting {}", trial + 1), share(started.elapsed(), budget));
        let own = match trial {
            0 => spec.clone(),
            _ => ModelSpec { model: drawn(&spec.model, &mut random), ..spec.clone() },
        };
        let tried = try_setting(&own, set, outcome, &folds, first_part, job);
        match tried {
            Ok(Some((first, mean))) => {
                first_part = first_part.min(first);
                if mean < best.0 {
                    best = (mean, own);
                }
            }
            Ok(None) => {}
            Err(Error::Canceled) => return Err(Error::Canceled),
            // What is wrong with the spec or the data is wrong with every setting.
            Err(error) if trial == 0 => return Err(error),
            Err(_) => {}
        }
    }
    Ok(ModelSpec { search: None, ..best.1 })
}

/// The losses of a setting: on the first part, and the mean of all; none if the first is hopeless.
fn try_setting(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    folds: &[Fold],
    best_first: f64,
    job: &Job,
) -> Result<Option<(f64, f64)>> {
    let Some((first_fold, others)) = folds.split_first() else {
        return Err(Error::Data("there are too few rows to try settings".to_owned()));
    };
    let first = loss_of(spec, set, outcome, first_fold, job)?;
    if first > best_first + HOPELESS * best_first.abs() {
        return Ok(None);
    }
    if others.is_empty() {
        return Ok(Some((first, first)));
    }
    let mean = loss(spec, set, outcome, others, job)?;
    #[allow(clippy::cast_precision_loss, reason = "a few folds")]
    let n = others.len() as f64;
    Ok(Some((first, (first + mean * n) / (n + 1.0))))
}

/// Other parameters of the same algorithm.
fn drawn(model: &ModelDefinition, random: &mut Xoshiro256PlusPlus) -> ModelDefinition {
    let mut other = model.clone();
    let mut log_uniform =
        |least: f64, most: f64| (least.ln() + random.random::<f64>() * (most / least).ln()).exp();
    match model.algorithm {
        Algorithm::LogisticRegression
        | Algorithm::Ridge
        | Algorithm::Poisson
        | Algorithm::Gamma
        | Algorithm::Tweedie => other.alpha = Some(log_uniform(1e-3, 1e4)),
        Algorithm::ElasticNet => {
            other.alpha = Some(log_uniform(1e-5, 1.0));
            other.l1_ratio = Some(log_uniform(0.05, 1.0));
        }
        Algorithm::Ease => other.lambda = Some(log_uniform(5.0, 5_000.0)),
        Algorithm::ImplicitAls => {
            other.lambda = Some(log_uniform(0.1, 100.0));
            other.alpha = Some(log_uniform(1.0, 100.0));
            other.factors = Some([32, 64, 128][random.random_range(0..3)]);
        }
        Algorithm::DecisionTree | Algorithm::RandomForest => {
            other.depth = Some(random.random_range(3..16));
            other.min_rows = Some([2, 5, 10, 20, 50][random.random_range(0..5)]);
            if model.algorithm == Algorithm::RandomForest {
                other.columns = Some([0.15, 0.25, 0.4, 0.6][random.random_range(0..4)]);
            }
        }
        Algorithm::GradientBoosting
        | Algorithm::TLearner
        | Algorithm::XLearner
        | Algorithm::DrLearner => {
            other.learning_rate = Some(log_uniform(0.015, 0.15));
            other.lambda = Some(log_uniform(0.1, 100.0));
            other.leaves = Some([4, 8, 15, 31, 63][random.random_range(0..5)]);
            other.min_rows = Some([5, 10, 20, 50, 100][random.random_range(0..5)]);
            other.columns = Some([0.4, 0.6, 0.8, 1.0][random.random_range(0..4)]);
            other.subsample = Some([0.6, 0.8, 1.0][random.random_range(0..3)]);
            other.trees = Some(1_000);
        }
        Algorithm::KMeans | Algorithm::GaussianMixture => {
            other.clusters = Some(random.random_range(2..9));
        }
        Algorithm::Dbscan => other.radius = Some(log_uniform(0.3, 5.0)),
        Algorithm::NaiveBayes
        | Algorithm::IsolationForest
        | Algorithm::BgNbd
        | Algorithm::ItemItem
        | Algorithm::BuyAgain => {}
    }
    other
}

#[allow(clippy::cast_possible_truncation, reason = "progress for people")]
fn share(elapsed: Duration, budget: Duration) -> f32 {
    (elapsed.as_secs_f64() / budget.as_secs_f64().max(1e-9)).min(1.0) as f32
}
