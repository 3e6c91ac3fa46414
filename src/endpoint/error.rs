use std::path::PathBuf;

use kernel::domain::ErrorKind;

/// What failed at the endpoint, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// The request has no key, or one that is not known.
    #[error("{0}")]
    Unauthorized(String),
    /// The key may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The body is packed in a way that is not known here.
    #[error("the body is packed as '{0}'; send it as it is, or as gzip")]
    UnknownEncoding(String),
    /// The request is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// Too many events wait to be written.
    #[error("too many events are waiting to be written; try again in a second")]
    Busy,
    /// A key was used more often than it may.
    #[error("this key may make {rate} requests a second; try again in {wait:.1} s")]
    TooMany {
        /// Requests a second.
        rate: f64,
        /// Seconds until the next one.
        wait: f64,
    },
    /// The store takes nothing now; what was sent is not in it.
    #[error("the store takes nothing now: {0}; try again later")]
    Full(String),
    /// A deadline passed, and there is nothing to answer instead.
    #[error("the deadline of {0} ms passed, and no earlier score is known")]
    TooLate(u64),
    /// The store has failed and takes no more writes until a restart.
    #[error("the store takes no more writes since it failed: {0}; restart the endpoint")]
    Poisoned(String),
    /// The data folder is open in another process.
    #[error("another endpoint is running on this data folder; stop it, or use another: {}", .0.display())]
    InUse(PathBuf),
    /// The data folder was written by a newer program.
    #[error(
        "the data folder has format {found}, this program reads up to {known}; use a newer program"
    )]
    TooNew {
        /// Format of the folder.
        found: u32,
        /// Latest format that is known here.
        known: u32,
    },
    /// The data folder was written by an older program.
    #[error(
        "the data folder has format {found}, which this program does not read; start with an empty folder, \
         and publish the history of the project again"
    )]
    TooOld {
        /// Format of the folder.
        found: u32,
    },
    /// The clock is implausibly late for the log.
    #[error(
        "the clock of this machine says {now}, but the last event arrived at {last}, more than 90 days before; \
         set the clock right, or start with --accept-clock if it is"
    )]
    ClockAhead {
        /// The time of the clock.
        now: kernel::domain::Time,
        /// The last arrival of the log.
        last: kernel::domain::Time,
    },
    /// The address to listen on cannot be used.
    #[error(
        "cannot listen on {address}: {message}; choose another with --listen, or stop what uses it"
    )]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        message: String,
    },
    /// The store failed.
    #[error("the store failed to {action}: {message}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// What it says.
        message: String,
    },
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadRequest(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::TooLarge(_)
            | Self::UnknownEncoding(_)
            | Self::TooNew { .. }
            | Self::TooOld { .. } => ErrorKind::BadInput,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Busy | Self::TooMany { .. } => ErrorKind::Busy,
            Self::InUse(_) | Self::Listen { .. } | Self::ClockAhead { .. } => ErrorKind::Conflict,
            Self::Poisoned(_) | Self::Full(_) | Self::TooLate(_) => ErrorKind::Unavailable,
            Self::Store { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn store<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Store { action, message: error.to_string() }
    }
}
