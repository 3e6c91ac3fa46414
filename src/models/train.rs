use std::collections::BTreeMap;

use kernel::domain::{Job, Type, Value};
use kernel::features::{Catalog, Label, LabelDefinition, View};
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

/// Trains the model of a spec on its training set.
///
/// # Errors
/// The spec or the data is not fit for training, or the job was canceled.
pub fn train(spec: &ModelSpec, view: &View, set: &TrainingSet, job: &Job) -> Result<Fitted> {
    spec.check()?;
    if set.n_rows() == 0 {
        return Err(Error::Data(match set.dropped {
            0 => "the spine has no rows; there is no customer with an event before its times"
                .to_owned(),
            dropped => format!(
                "all {dropped} rows are too late: the events end on {}, before their horizon does; use \
                 earlier times or a shorter horizon",
                set.observed_until.date()
            ),
        }));
    }
    let split = split::split(spec.split, spec.model.seed, set, horizon(spec))?;
    job.report("Fitting the encoder", 0.6);
    let encoder = encoder::fit(set, &split.train);
    let part =
        |rows: &[usize]| -> Vec<bool> { rows.iter().map(|row| set.positive[*row]).collect() };
    let positive = part(&split.train);
    let matrix = matrix(set, &split.train, &encoder);
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
            observed_until: set.observed_until,
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

/// Checks the label of a spec against the data, and gives all that training reads. `given` is the type of
/// the label that the spine brings, if it does.
///
/// # Errors
/// The label makes no sense.
pub fn check_label(
    definition: &LabelDefinition,
    view: &View,
    catalog: &Catalog,
    given: Option<Type>,
) -> Result<(Label, Catalog)> {
    let label = Label::check(definition, catalog, given)?;
    let mut reads = view.reads().clone();
    reads.extend(&label.reads());
    Ok((label, reads))
}

fn horizon(spec: &ModelSpec) -> i64 {
    spec.label.horizon.map_or(0, kernel::domain::Span::micros)
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
