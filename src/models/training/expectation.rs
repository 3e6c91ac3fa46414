use kernel::domain::{Type, Value};
use kernel::features::{Column, LabelDefinition};
use kernel::monitoring::{Expectation, Expected};
use kernel::scoring::{Encoder, FrozenModel, OutcomeDefinition};

use super::checks::sampled;
use crate::data::{Outcome, Split, TrainingSet};
use crate::{ModelSpec, Task};

/// How features were spread over the training part, and scores over the test part: those of rows that were
/// learned from are surer than any will be.
pub(super) fn of(
    set: &TrainingSet,
    split: &Split,
    encoder: &Encoder,
    model: &FrozenModel,
) -> Expectation {
    let train = sampled(&split.train);
    let spread = |(column, (_, type_)): (&Column, &(_, Type))| {
        let values: Vec<Value> = train.iter().map(|row| column.value(*row)).collect();
        Expected::of(*type_, &values)
    };
    let features = set.features.values.iter().zip(&set.features.columns).map(spread).collect();
    let unseen = if split.test.is_empty() { train.clone() } else { sampled(&split.test) };
    let score = |row: &usize| Value::Number(model.score(&encoder.encode(&set.row(*row))));
    let scores: Vec<Value> = unseen.iter().map(score).collect();
    Expectation { features, scores: Expected::of(Type::Number, &scores) }
}

/// What becomes of a score, where events will say it and it is one number.
pub(super) fn outcome(
    spec: &ModelSpec,
    set: &TrainingSet,
    outcome: &Outcome,
) -> Option<OutcomeDefinition> {
    let is_probability = spec.task == Task::Classification && outcome.classes.len() == 2;
    let is_guess = matches!(spec.task, Task::Regression | Task::LifetimeValue);
    let is_observed = spec.needs_label()
        && spec.label.aggregation.is_some()
        // Of a text label without a condition the second class is the positive one, by its name only.
        && (!is_probability || spec.label.positive.is_some() || !is_text(set));
    (is_observed && (is_probability || is_guess)).then(|| OutcomeDefinition {
        label: LabelDefinition::clone(&spec.label),
        reads: set.label_reads.clone(),
        is_probability,
    })
}

fn is_text(set: &TrainingSet) -> bool {
    set.labels.iter().any(|label| matches!(label, Value::Text(_)))
}
