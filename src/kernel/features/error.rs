use crate::domain::Name;
use crate::expression::ExpressionError;

/// Why a definition makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(.feature.as_ref(), .field))]
pub struct DefinitionError {
    /// The feature, or none for the definition as a whole.
    pub feature: Option<Name>,
    /// The field of the definition, or empty.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

fn place(feature: Option<&Name>, field: &str) -> String {
    match (feature, field) {
        (Some(feature), "") => format!("feature '{feature}': "),
        (Some(feature), field) => format!("feature '{feature}', {field}: "),
        (None, "") => String::new(),
        (None, field) => format!("{field}: "),
    }
}

impl DefinitionError {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { feature: None, field, message: message.into() }
    }

    pub(super) fn expression(field: &'static str, error: &ExpressionError) -> Self {
        Self::new(field, error.to_string())
    }

    pub(super) fn of(mut self, feature: &Name) -> Self {
        self.feature.get_or_insert_with(|| feature.clone());
        self
    }
}
