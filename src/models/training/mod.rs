//! From a spec and a training set to a trained, evaluated and frozen model.
//!
//! In: a model spec, a checked view and its training set. Out: a scoring function, how good it is on rows
//! that it has not seen, and what it reads. Choices (of parameters, of an algorithm) are made on training
//! rows only; test rows are looked at once, at the end. Never: a file.

mod checks;
mod cross_validation;
mod estimate;
mod evaluate;
mod expectation;
mod search;
mod segments;

use std::collections::BTreeMap;

use kernel::domain::{Job, Name, Type};
use kernel::features::{Catalog, Label, LabelDefinition, View};
use kernel::scoring::{Encoder, FORMAT, FrozenModel, FunctionFile, ScoringFunction, Trained};

use crate::data::{Outcome, Split, Style, TrainingSet, prepare, split};
use crate::evaluation::{Chart, Evaluation};
use crate::explain::{Importance, dependence, permutation_importance};
use crate::{Algorithm, Error, ModelSpec, Result, Task};

pub use search::{Candidate, try_all};
pub use segments::SegmentProfile;

use cross_validation::out_of_fold;
use estimate::Learning;
use evaluate::Part;

/// A trained model: evaluated, frozen, ready to deploy.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The scoring function.
    pub function: ScoringFunction,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// Rows of the spine whose horizon is not fully observed, or that have no label.
    pub dropped: usize,
    /// On the training part.
    pub train: Evaluation,
    /// On the test part.
    pub test: Evaluation,
    /// What was learned, strongest first.
    pub parameters: Vec<Parameter>,
    /// What the score loses without each feature, most first.
    pub importance: Vec<Importance>,
    /// How the score changes with the features that matter most.
    pub dependence: Vec<Chart>,
    /// What is different in each segment.
    pub segments: Vec<SegmentProfile>,
    /// How good simple scores are on the test part, by name.
    pub baselines: BTreeMap<String, BTreeMap<String, f64>>,
    /// What a person should look at before the model is used.
    pub warnings: Vec<String>,
}

/// A number that was learned.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Parameter {
    /// The encoded column, or `intercept`.
    pub name: String,
    /// Its weight, on the scale of the standardized column; of trees, the share of rows that it parts.
    pub weight: f64,
}

/// Features whose partial dependence is shown.
const SHOWN_FEATURES: usize = 6;

/// A model that has learned, and what encodes for it.
pub(crate) struct Learned {
    pub(crate) encoder: Encoder,
    pub(crate) model: FrozenModel,
}

/// Trains the model of a spec on its training set.
///
/// # Errors
/// The spec or the data is not fit for training, or the job was canceled.
pub fn train(spec: &ModelSpec, view: &View, set: &TrainingSet, job: &Job) -> Result<Fitted> {
    let (outcome, split) = parts(spec, set)?;
    let spec = &search::searched(spec, set, &outcome, &split.train, job)?;
    fitted(spec, view, set, &outcome, &split, job)
}

/// The outcomes of a training set, and its parts.
fn parts(spec: &ModelSpec, set: &TrainingSet) -> Result<(Outcome, Split)> {
    spec.check()?;
    set.check_rows()?;
    let outcome = Outcome::of(spec, set)?;
    let split = split(spec.split, spec.model.seed, set, &outcome.known(), horizon(spec))?;
    Ok((outcome, split))
}

/// Trains, evaluates and explains with the parameters of the spec as they are.
fn fitted(
    spec: &ModelSpec,
    view: &View,
    set: &TrainingSet,
    outcome: &Outcome,
    split: &Split,
    job: &Job,
) -> Result<Fitted> {
    job.report("Training", 0.6);
    let Learned { encoder, mut model } = learn(spec, set, outcome, &split.train, job)?;
    if let Some(kind) = spec.model.calibration {
        job.report("Calibrating", 0.75);
        model = calibrated(kind, model, spec, set, outcome, &split.train, job)?;
    }
    let segments = match spec.task {
        Task::Clustering => segments::name(set, &split.train, &encoder, &mut model),
        _ => Vec::new(),
    };
    job.report("Evaluating", 0.8);
    let part = |rows, intervals| Part { spec, set, outcome, rows, intervals };
    let train = part(&split.train, false).evaluate(&model, &encoder)?;
    let test = part(&split.test, true).evaluate(&model, &encoder)?;
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    job.report("Explaining", 0.9);
    let importance =
        permutation_importance(spec, set, outcome, &split.test, &encoder, &model, job)?;
    let shown = importance.iter().take(SHOWN_FEATURES).map(|one| one.feature.as_str());
    let dependence = dependence(set, &split.test, &encoder, &model, shown);
    let baselines = checks::baselines(spec, set, outcome, split);
    let mut warnings = checks::warnings(spec, set, outcome, split);
    warnings.extend(checks::left_out(set, &split.train, &encoder, &model));
    let parameters = parameters(&model, &encoder.names());
    let mut metrics = BTreeMap::from([
        ("train".to_owned(), train.by_name()),
        ("test".to_owned(), test.by_name()),
    ]);
    metrics.extend(
        baselines.iter().map(|(name, metrics)| (format!("baseline: {name}"), metrics.clone())),
    );
    let expected = expectation::of(set, split, &encoder, &model);
    let file = FunctionFile {
        format: FORMAT,
        hash: String::new(),
        name: spec.name.clone(),
        view: view.definition().clone(),
        schema: view.reads().clone(),
        encoder,
        model,
        trained: Trained {
            spec: spec.to_toml()?,
            observed_until: set.observed_until,
            rows: count(train.rows),
            positives: count(train.positives),
            metrics,
        },
        expected: Some(expected),
        outcome: expectation::outcome(spec, set, outcome),
    };
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    Ok(Fitted {
        function: ScoringFunction::new(file.sealed()?)?,
        rows: train.rows,
        positives: train.positives,
        dropped: set.dropped + set.n_rows() - outcome.known().len(),
        train,
        test,
        parameters,
        importance,
        dependence,
        segments,
        baselines,
        warnings,
    })
}

/// Fits the encoder and the algorithm of a spec on rows.
pub(crate) fn learn(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    rows: &[usize],
    job: &Job,
) -> Result<Learned> {
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    let leave_out: Vec<Name> = [
        spec.uplift.as_ref().map(|section| section.treatment.clone()),
        spec.ranking.as_ref().and_then(|section| section.group.clone()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let style = style(spec)?;
    let prepared = prepare(set, rows, outcome, &style, &leave_out, &spec.model.monotone);
    let encoder = prepared.encoder.clone();
    let learning = Learning { spec, set, outcome, rows, job };
    let spec = &segments::with_clusters(spec, &prepared, job)?;
    let model = Learning { spec, ..learning }.fit(prepared)?;
    Ok(Learned { encoder, model })
}

fn style(spec: &ModelSpec) -> Result<Style> {
    let has_label = spec.needs_label() && spec.task != Task::Recommendation;
    Ok(match (spec.model.algorithm, &spec.lifetime, &spec.recommendation) {
        (Algorithm::BgNbd, Some(section), _) => {
            let names = [&section.frequency, &section.recency, &section.age].map(Clone::clone);
            Style::Only(names.into_iter().chain(section.value.clone()).collect())
        }
        (_, _, Some(section)) if spec.task == Task::Recommendation => {
            Style::Items(section.items.clone(), section.min_customers.unwrap_or(3))
        }
        (algorithm, ..) if algorithm.is_tree() => Style::Trees { targets: has_label },
        _ => Style::Scaled { targets: has_label },
    })
}

/// A model whose scores are probabilities, as they were on rows that models of other rows scored.
fn calibrated(
    kind: crate::CalibrationKind,
    model: FrozenModel,
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
    rows: &[usize],
    job: &Job,
) -> Result<FrozenModel> {
    if spec.task != Task::Classification || outcome.classes.len() > 2 {
        return Err(Error::Spec(
            "model, calibration: only probabilities of two classes are calibrated".to_owned(),
        ));
    }
    let scores = out_of_fold(spec, set, outcome, rows, job)?;
    let positive: Vec<bool> = rows.iter().map(|row| outcome.y[*row] > 0.5).collect();
    let calibration = crate::evaluation::fit_calibration(kind, &scores, &positive)?;
    Ok(FrozenModel::Calibrated { model: Box::new(model), calibration })
}

/// Checks the label of a spec against the data, and gives all that training reads. `given` is the type of
/// the label that the spine brings, if it does.
///
/// # Errors
/// The label makes no sense.
pub fn check_label(
    spec: &ModelSpec,
    definition: &LabelDefinition,
    view: &View,
    catalog: &Catalog,
    given: Option<Type>,
) -> Result<(Label, Catalog)> {
    if !spec.needs_label() {
        return Ok((Label::none(), view.reads().clone()));
    }
    let label = Label::check(definition, catalog, given)?;
    let type_ = label.type_of();
    if !type_.is_scalar() && spec.task != Task::Recommendation {
        let message = format!("label, aggregation: it gives a {type_}; a label is one value");
        return Err(Error::Spec(message));
    }
    let mut reads = view.reads().clone();
    reads.extend(&label.reads());
    Ok((label, reads))
}

pub(crate) fn horizon(spec: &ModelSpec) -> i64 {
    spec.label.horizon.map_or(0, kernel::domain::Span::micros)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Weights of a linear model, or how much trees read of each column.
fn parameters(model: &FrozenModel, names: &[String]) -> Vec<Parameter> {
    let named = |weights: &[f64]| -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = names
            .iter()
            .zip(weights)
            .map(|(name, weight)| Parameter { name: name.clone(), weight: *weight })
            .collect();
        parameters.sort_by(|left, right| right.weight.abs().total_cmp(&left.weight.abs()));
        parameters
    };
    let plain = |all: &[(&str, f64)]| {
        all.iter()
            .map(|(name, weight)| Parameter { name: (*name).to_owned(), weight: *weight })
            .collect()
    };
    match model {
        FrozenModel::LogisticRegression { intercept, weights }
        | FrozenModel::LinearRegression { intercept, weights }
        | FrozenModel::LogLinear { intercept, weights } => {
            let mut parameters = named(weights);
            parameters.push(Parameter { name: "intercept".to_owned(), weight: *intercept });
            parameters
        }
        FrozenModel::Trees(trees) => {
            let usage = trees.usage();
            let total: f64 = usage.iter().sum();
            let shares: Vec<f64> =
                usage.iter().map(|own| if total > 0.0 { own / total } else { 0.0 }).collect();
            named(&shares)
        }
        FrozenModel::Lifetime(lifetime) => {
            let purchases = lifetime.purchases;
            let mut all = vec![
                ("r", purchases.r),
                ("alpha", purchases.alpha),
                ("a", purchases.a),
                ("b", purchases.b),
            ];
            if let Some(value) = lifetime.value {
                all.extend([("p", value.p), ("q", value.q), ("v", value.v)]);
            }
            plain(&all)
        }
        FrozenModel::Calibrated { model, .. } => parameters(model, names),
        _ => Vec::new(),
    }
}
