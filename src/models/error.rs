use kernel::domain::ErrorKind;

/// Why a model cannot be trained, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The spec makes no sense.
    #[error("the model spec: {0}")]
    Spec(String),
    /// A definition in the spec makes no sense.
    #[error("the model spec: {0}")]
    Definition(#[from] kernel::features::DefinitionError),
    /// The data is not fit for training.
    #[error("cannot train on this data: {0}")]
    Data(String),
    /// A model file of another program cannot be read.
    #[error("cannot read this model: {0}")]
    Exchange(String),
    /// The training library failed.
    #[error("training failed: {0}")]
    Training(String),
    /// The function cannot be frozen.
    #[error(transparent)]
    Function(#[from] kernel::scoring::FunctionError),
    /// linfa refuses a dataset.
    #[error("training failed: {0}")]
    Linfa(#[from] linfa::Error),
    /// The job was canceled.
    #[error("canceled; nothing was changed")]
    Canceled,
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec(_) | Self::Definition(_) | Self::Data(_) | Self::Exchange(_) => {
                ErrorKind::BadInput
            }
            Self::Training(_) | Self::Function(_) | Self::Linfa(_) => ErrorKind::Internal,
            Self::Canceled => ErrorKind::Canceled,
        }
    }
}

impl From<kernel::features::ComputeError> for Error {
    fn from(error: kernel::features::ComputeError) -> Self {
        match error {
            kernel::features::ComputeError::Canceled => Self::Canceled,
            error @ kernel::features::ComputeError::TooLarge => Self::Data(error.to_string()),
        }
    }
}
