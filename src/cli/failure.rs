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
