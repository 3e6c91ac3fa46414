use std::path::Path;
use std::sync::Arc;

use super::log::Log;
use super::maintenance::give_way;
use crate::{Error, Result};

/// Makes the next segment of a log ready on a thread of its own, if it is time to.
pub(super) fn make_room(log: &Arc<Log>) {
    if !log.wants_room() {
        return;
    }
    let log = log.clone();
    let made = std::thread::Builder::new().name("log-room".to_owned()).spawn(move || {
        give_way();
        if let Err(error) = log.prepare() {
            tracing::debug!(%error, "the next segment of the log is not ready; it grows instead");
        }
    });
    if let Err(error) = made {
        tracing::debug!(%error, "no thread makes the next segment of the log ready");
    }
}

/// Free bytes that the index and backups leave: the log needs some to go on, and the next start to begin.
const RESERVE: u64 = 16 * 1024 * 1024;

/// Checks that the disk of a folder has room for bytes beside the reserve, where that is known.
///
/// # Errors
/// [`Error::Full`] if it has not.
pub(super) fn for_bytes(folder: &Path, bytes: u64, what: &str) -> Result<()> {
    let needed = bytes.saturating_add(RESERVE);
    match free(folder) {
        Some(free) if free < needed => Err(Error::Full(format!(
            "{what} needs {} MB of free disk, and {} MB are free",
            needed.div_ceil(1_000_000),
            free / 1_000_000
        ))),
        _ => Ok(()),
    }
}

/// Checks that the disk has room for what is recent as runs of the index, and for what merging them takes.
///
/// # Errors
/// [`Error::Full`] if it has not.
pub(super) fn for_index(folder: &Path, bytes: usize) -> Result<()> {
    for_bytes(folder, 2 * bytes as u64, "its index")
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    Some(about.f_bavail.saturating_mul(about.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}
