use std::collections::BTreeMap;

use kernel::domain::{Job, Value};
use kernel::features::{Catalog, Label, LabelDefinition, Timelines, View};
use kernel::scoring::{FORMAT, FrozenModel, FunctionFile, ScoringFunction, Trained};
use ndarray::{Array2, ShapeBuilder as _};
use rayon::prelude::*;

use crate::{
    Algorithm, Error, Evaluation, ModelSpec, Result, TrainingSet, encoder, gate, logistic, split,
};

/// A trained model: evaluated, frozen, ready to deploy.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The scoring function.
    pub function: ScoringFunction,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// Rows of the spine whose horizon is not fully observed.
    pub dropped: usize,
    /// On the training part.
    pub train: Evaluation,
    /// On the test part.
    pub test: Evaluation,
    /// What was learned, strongest first.
    pub parameters: Vec<Parameter>,
}

/// A number that was learned.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Parameter {
    /// The encoded column, or `intercept`.
    pub name: String,
    /// Its weight, on the scale of the standardized column.
    pub weight: f64,
}

/// Trains the model of a spec on timelines that have all that view and label read.
///
/// # Errors
/// The spec or the data is not fit for training, or the job was canceled.
pub fn train(
    spec: &ModelSpec,
    view: &View,
    label: &Label,
    timelines: &Timelines,
    job: &Job,
) -> Result<Fitted> {
    spec.check()?;
    let set = TrainingSet::compute(spec, view, label, timelines, job)?;
    let split = split::split(spec.split, spec.model.seed, &set.rows, label.horizon(), timelines)?;
    job.report("Fitting the encoder", 0.6);
    let encoder = encoder::fit(&set, &split.train);
    let part =
        |rows: &[usize]| -> Vec<bool> { rows.iter().map(|row| set.positive[*row]).collect() };
    let positive = part(&split.train);
    let matrix = matrix(&set, &split.train, &encoder);
    gate::check(&matrix, &positive)?;
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    job.report("Training", 0.7);
    let model = match spec.model.algorithm {
        Algorithm::LogisticRegression => logistic::fit(matrix, &positive, spec.model.alpha)?,
    };
    job.report("Evaluating", 0.9);
    let evaluate = |rows: &[usize]| {
        let scores: Vec<f64> =
            rows.par_iter().map(|row| model.score(&encoder.encode(&set.row(*row)))).collect();
        Evaluation::of(&scores, &part(rows))
    };
    let (train, test) = (evaluate(&split.train), evaluate(&split.test));
    let parameters = parameters(&model, &encoder.names());
    let metrics = BTreeMap::from([
        ("train".to_owned(), train.metrics()),
        ("test".to_owned(), test.metrics()),
    ]);
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
            observed_until: timelines.observed_until(),
            rows: count(train.rows),
            positives: count(train.positives),
            metrics,
        },
    };
    if job.is_canceled() {
        return Err(Error::Canceled);
    }
    Ok(Fitted {
        function: ScoringFunction::new(file.sealed()?)?,
        rows: train.rows,
        positives: train.positives,
        dropped: set.dropped,
        train,
        test,
        parameters,
    })
}

/// Checks the label of a spec against the data, and gives all that training reads.
///
/// # Errors
/// The label makes no sense.
pub fn check_label(
    definition: &LabelDefinition,
    view: &View,
    catalog: &Catalog,
) -> Result<(Label, Catalog)> {
    let label = Label::check(definition, catalog)?;
    let mut reads = view.reads().clone();
    reads.extend(label.reads());
    Ok((label, reads))
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The encoded rows as a matrix in column order.
fn matrix(set: &TrainingSet, rows: &[usize], encoder: &kernel::scoring::Encoder) -> Array2<f64> {
    let encoded: Vec<Vec<f64>> =
        rows.par_iter().map(|row| encoder.encode(&set.row(*row) as &[Value])).collect();
    Array2::from_shape_fn((rows.len(), encoder.width()).f(), |(row, column)| encoded[row][column])
}

fn parameters(model: &FrozenModel, names: &[String]) -> Vec<Parameter> {
    match model {
        FrozenModel::LogisticRegression { intercept, weights } => {
            let mut parameters: Vec<Parameter> = names
                .iter()
                .zip(weights)
                .map(|(name, weight)| Parameter { name: name.clone(), weight: *weight })
                .collect();
            parameters.sort_by(|left, right| right.weight.abs().total_cmp(&left.weight.abs()));
            parameters.push(Parameter { name: "intercept".to_owned(), weight: *intercept });
            parameters
        }
    }
}
