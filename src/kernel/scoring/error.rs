use crate::features::DefinitionError;

/// Why a function file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// The text is not a function file.
    #[error("this is not a scoring function: {0}")]
    Format(String),
    /// The format is newer than this program.
    #[error(
        "the function has format {found}, this program reads up to {known}; use a newer program"
    )]
    TooNew {
        /// Format of the file.
        found: u32,
        /// Latest format that is known here.
        known: u32,
    },
    /// The content does not have the hash that it claims.
    #[error(
        "the function was changed after it was made: its content has the hash {actual}, not {claimed}"
    )]
    Hash {
        /// Hash in the file.
        claimed: String,
        /// Hash of the content.
        actual: String,
    },
    /// The view in it makes no sense.
    #[error("the function's view: {0}")]
    View(#[from] DefinitionError),
    /// View, encoder and model do not fit each other.
    #[error("the function's parts do not fit: {0}")]
    Shape(String),
}
