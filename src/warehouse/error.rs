use std::path::{Path, PathBuf};

use kernel::domain::ErrorKind;

/// What failed in the warehouse, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The warehouse file is open in another process.
    #[error("another process has this project open{}; close it, or use another project: {}", process(.pid), .path.display())]
    InUse {
        /// The warehouse file.
        path: PathBuf,
        /// The process that has it, if that could be seen.
        pid: Option<u32>,
    },
    /// A folder or file cannot be read or written.
    #[error("cannot {action}: {source}: {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something other than an ordinary file or folder is in one of the project's places.
    #[error(
        "'{}' is {found}, where a project has a {wanted} of its own; remove it, or put a copy of what it \
         leads to in its place", .path.display()
    )]
    Place {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What may be there: `file` or `folder`.
        wanted: &'static str,
    },
    /// A file cannot be imported as it is.
    #[error("{message}: {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        message: String,
    },
    /// A mapping names what is not there.
    #[error("{0}")]
    Mapping(String),
    /// A definition makes no sense.
    #[error(transparent)]
    Definition(#[from] kernel::features::DefinitionError),
    /// A query has an error.
    #[error(transparent)]
    Sql(#[from] crate::SqlError),
    /// A table cannot be made.
    #[error("a table cannot be made of these columns: {0}")]
    Table(String),
    /// The job was canceled; nothing changed.
    #[error("canceled; nothing was changed")]
    Canceled,
    /// DuckDB failed in a way that is not the user's.
    #[error("the warehouse failed to {action}: {source}")]
    DuckDb {
        /// What was tried.
        action: &'static str,
        /// What DuckDB says.
        source: duckdb::Error,
    },
}

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::Conflict,
            Self::Io { .. }
            | Self::Place { .. }
            | Self::File { .. }
            | Self::Mapping(_)
            | Self::Definition(_)
            | Self::Sql(_) => ErrorKind::BadInput,
            Self::Canceled => ErrorKind::Canceled,
            Self::Table(_) | Self::DuckDb { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What DuckDB says, unless it was interrupted by a cancel.
    pub(crate) fn duckdb(action: &'static str) -> impl FnOnce(duckdb::Error) -> Self {
        move |source| {
            if source.to_string().contains("INTERRUPT") {
                Self::Canceled
            } else {
                Self::DuckDb { action, source }
            }
        }
    }
}

impl From<kernel::features::ComputeError> for Error {
    fn from(error: kernel::features::ComputeError) -> Self {
        match error {
            kernel::features::ComputeError::Canceled => Self::Canceled,
            error @ kernel::features::ComputeError::TooLarge => Self::Mapping(error.to_string()),
        }
    }
}
