use crate::features::DefinitionError;
use crate::scoring::FunctionError;

/// What makes no sense in an experiment, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("experiment, {field}: {message}")]
pub struct ExperimentError {
    field: String,
    message: String,
}

impl ExperimentError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl From<DefinitionError> for ExperimentError {
    fn from(error: DefinitionError) -> Self {
        Self::new("view", error.to_string())
    }
}

impl From<FunctionError> for ExperimentError {
    fn from(error: FunctionError) -> Self {
        Self::new("function", error.to_string())
    }
}
