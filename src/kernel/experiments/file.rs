use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Allocation, Assigner, ExperimentDefinition, ExperimentError};
use crate::domain::Value;
use crate::features::Catalog;
use crate::scoring::{FunctionFile, ScoringFunction};

/// The latest format of experiment files.
pub const EXPERIMENT_FORMAT: u32 = 1;
/// The feature of an experiment's function that says whether a customer may be in it.
pub const ELIGIBLE: &str = "eligible";

/// An experiment as it goes to an endpoint: with all that it reads of a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// Format of the file.
    pub format: u32,
    /// What was written.
    pub definition: ExperimentDefinition,
    /// The events and properties that its metrics read, with their types.
    #[serde(default)]
    pub reads: Catalog,
    /// The features that it reads, [`ELIGIBLE`] among them; its encoder makes the context of a bandit. Its
    /// model says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionFile>,
}

/// An experiment, checked and ready to decide.
#[derive(Clone, Debug)]
pub struct Experiment {
    file: ExperimentFile,
    assigner: Assigner,
    function: Option<Arc<ScoringFunction>>,
    /// The place of the feature that says who may be in it.
    eligible: Option<usize>,
}

impl Experiment {
    /// Checks a file.
    ///
    /// # Errors
    /// It is of a newer format, makes no sense, or lacks a feature that it reads.
    pub fn new(file: ExperimentFile) -> Result<Self, ExperimentError> {
        if file.format > EXPERIMENT_FORMAT {
            let message = format!("is {}; this program reads {EXPERIMENT_FORMAT}", file.format);
            return Err(ExperimentError::new("format", message));
        }
        file.definition.check()?;
        let function = file.function.clone().map(ScoringFunction::new).transpose()?.map(Arc::new);
        let features = || function.iter().flat_map(|function| function.view().features());
        let eligible = features().position(|feature| feature.name.as_str() == ELIGIBLE);
        if file.definition.eligible.is_some() && eligible.is_none() {
            return Err(ExperimentError::new("eligible", "its function does not say who is"));
        }
        if file.definition.allocation == Allocation::Contextual && function.is_none() {
            return Err(ExperimentError::new("context", "it has no function that reads it"));
        }
        Ok(Self { assigner: Assigner::new(&file.definition), file, function, eligible })
    }

    /// What was written.
    #[must_use]
    pub const fn definition(&self) -> &ExperimentDefinition {
        &self.file.definition
    }

    /// The file that it was made from.
    #[must_use]
    pub const fn file(&self) -> &ExperimentFile {
        &self.file
    }

    /// What assigns its customers.
    #[must_use]
    pub const fn assigner(&self) -> &Assigner {
        &self.assigner
    }

    /// What reads the features of a customer; none where nothing is read.
    #[must_use]
    pub const fn function(&self) -> Option<&Arc<ScoringFunction>> {
        self.function.as_ref()
    }

    /// Whether a customer with these features may be in it.
    #[must_use]
    pub fn is_eligible(&self, features: &[Value]) -> bool {
        self.eligible.is_none_or(|place| features.get(place) == Some(&Value::Boolean(true)))
    }

    /// The context of a customer with these features, as a linear model reads it: 1, then what the encoder
    /// makes of them.
    #[must_use]
    pub fn context(&self, features: &[Value]) -> Vec<f64> {
        let mut context = vec![1.0];
        if let Some(function) = &self.function {
            context.extend(function.encode(features));
        }
        context
    }

    /// The number of numbers of a context.
    #[must_use]
    pub fn context_width(&self) -> usize {
        1 + self.function.as_ref().map_or(0, |function| function.file().encoder.width())
    }
}
