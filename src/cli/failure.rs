use serde_json::{Value as Json, json};

/// What failed in a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// In the workspace.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// At the endpoint that was to be served.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// Of an argument.
    #[error("{0}")]
    Argument(String),
    /// Of the command itself: it ran, and what it found is bad.
    #[error("{0}")]
    Found(String),
}

impl Failure {
    /// The failure as `--json` prints it on standard error: `error`, the message, and `kind`, which is one of
    /// `bad_usage`, `bad_input`, `not_found`, `conflict`, `busy`, `unavailable`, `canceled`, `internal`, and `found`
    /// where the command ran and its result is bad.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let kind = match self {
            Self::Workspace(error) => error.kind().as_str(),
            Self::Endpoint(error) => error.kind().as_str(),
            Self::Argument(_) => "bad_usage",
            Self::Found(_) => "found",
        };
        json!({ "error": self.to_string(), "kind": kind })
    }
}
