use std::path::{Path, PathBuf};

use kernel::domain::ErrorKind;

/// What failed, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// In the warehouse.
    #[error(transparent)]
    Warehouse(#[from] warehouse::Error),
    /// In training.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// In a definition.
    #[error(transparent)]
    Definition(#[from] kernel::features::DefinitionError),
    /// In a function file.
    #[error(transparent)]
    Function(#[from] kernel::scoring::FunctionError),
    /// A text that is no name.
    #[error(transparent)]
    Name(#[from] kernel::domain::NameError),
    /// A file of the project is not what it should be.
    #[error("{message}: {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action}: {source}: {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    BadInput(String),
    /// The endpoint does not answer.
    #[error(
        "no endpoint answers at {url}: {message}; start one with 'fullcircle serve', or check the address"
    )]
    NoEndpoint {
        /// Its address.
        url: String,
        /// Why not.
        message: String,
    },
    /// The endpoint refused.
    #[error("the endpoint at {url} refused ({status}): {detail}")]
    Refused {
        /// Its address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// Another project was published to the endpoint, so its events may not belong here.
    #[error(
        "{} was published to the endpoint at {url}, so its events may not belong in this project; nothing was \
         pulled. To pull them all the same: fullcircle pull --from-other-project --from {url}",
        projects(.names)
    )]
    OtherProject {
        /// Its address.
        url: String,
        /// The names of the other projects.
        names: Vec<String>,
    },
    /// The endpoint on this machine could not be started.
    #[error("the endpoint could not be started: {0}")]
    Endpoint(String),
    /// The job was canceled.
    #[error("canceled; nothing was changed")]
    Canceled,
    /// A fault of ours, caught at the edge of a job.
    #[error("this is a fault of Full Circle: {0}")]
    Fault(String),
}

fn projects(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.as_slice() {
        [one] => format!("another project, {one},"),
        all => format!("other projects ({}) than this one", all.join(", ")),
    }
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Warehouse(error) => error.kind(),
            Self::Models(error) => error.kind(),
            Self::Definition(_)
            | Self::Function(_)
            | Self::Name(_)
            | Self::File { .. }
            | Self::Io { .. }
            | Self::BadInput(_)
            | Self::OtherProject { .. }
            | Self::Refused { .. } => ErrorKind::BadInput,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NoEndpoint { .. } | Self::Endpoint(_) => ErrorKind::Unavailable,
            Self::Canceled => ErrorKind::Canceled,
            Self::Fault(_) => ErrorKind::Internal,
        }
    }

    /// Line and column of what is wrong in a query, from 1.
    #[must_use]
    pub const fn position(&self) -> Option<(usize, usize)> {
        match self {
            Self::Warehouse(warehouse::Error::Sql(error)) => error.position,
            _ => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl From<kernel::features::ComputeError> for Error {
    fn from(error: kernel::features::ComputeError) -> Self {
        match error {
            kernel::features::ComputeError::Canceled => Self::Canceled,
            error @ kernel::features::ComputeError::TooLarge => Self::BadInput(error.to_string()),
        }
    }
}
