//! Opens the index. What is damaged is made again from the log; what cannot be read now stays as it is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::index::{Index, OpenError};
use crate::{Error, Result};

/// Beside the index while a part of it was found to be damaged, until the next start makes it again.
const DAMAGE_MARK: &str = "index.damage-found";
/// The index that was damaged last.
const ASIDE: &str = "index.damaged";
/// File handles that have to be free before an index is called damaged.
const SPARE_HANDLES: usize = 32;

/// Memory of an index in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexMemory {
    /// For fjall's blocks.
    pub(super) block_bytes: usize,
    /// For the filter of known messages, at most.
    pub(super) filter_bytes: usize,
}

/// The folder of the index in a data folder.
pub(super) fn folder_of(data: &Path) -> PathBuf {
    data.join("index")
}

/// The file that marks an index as damaged.
pub(super) fn damage_mark(index: &Path) -> PathBuf {
    index.with_file_name(DAMAGE_MARK)
}

/// Opens the index, or begins an empty one in the place of one that is damaged.
///
/// # Errors
/// The index cannot be opened although nothing says that it is damaged. Then it stays as it is.
pub(super) fn open(folder: &Path, memory: IndexMemory) -> Result<Index> {
    let lacks_runs = lacks_runs(folder).map_err(Error::store("open its index"))?;
    // Opened first: another process may have it.
    match Index::open(folder, memory.block_bytes, memory.filter_bytes) {
        Ok(index) => {
            // Damage of what is read now is marked by the index itself.
            let read = index.checkpoint();
            if lacks_runs
                || damage_mark(folder).try_exists().map_err(Error::store("open its index"))?
            {
                drop(index);
                return replace(folder, memory, "a damaged part of it was read");
            }
            read.map(|_| index)
        }
        Err(OpenError::Failed(error)) => Err(error),
        Err(OpenError::Damaged(message)) => {
            // fjall reports some errors of the system as damage. Where its files cannot be read, nobody knows.
            read_all(folder).map_err(|error| Error::Store {
                action: "open its index",
                message: format!("{message}; its files cannot be read: {error}"),
            })?;
            replace(folder, memory, &message)
        }
    }
}

/// Whether a keyspace lacks the file that names its runs: fjall (3.1.13) would begin an empty one without a word.
fn lacks_runs(folder: &Path) -> io::Result<bool> {
    let keyspaces = match std::fs::read_dir(folder.join("keyspaces")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        keyspaces => keyspaces?,
    };
    for keyspace in keyspaces {
        let keyspace = keyspace?;
        if keyspace.file_type()?.is_dir() && !keyspace.path().join("current").try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts a damaged index aside and begins an empty one: all of it follows from the log.
fn replace(folder: &Path, memory: IndexMemory, reason: &str) -> Result<Index> {
    let aside = folder.with_file_name(ASIDE);
    tracing::error!(
        reason,
        aside = %aside.display(),
        "the index is damaged; it is made again from the log"
    );
    if folder.exists() {
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(Error::store("remove a damaged index"))?;
        }
        std::fs::rename(folder, &aside).map_err(Error::store("put its index aside"))?;
    }
    let index =
        Index::open(folder, memory.block_bytes, memory.filter_bytes).map_err(
            |error| match error {
                OpenError::Failed(error) => error,
                OpenError::Damaged(message) => Error::Store { action: "begin its index", message },
            },
        )?;
    match std::fs::remove_file(damage_mark(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::store("begin its index")(error))
        }
        _ => Ok(index),
    }
}

/// Reads all files below a folder while spare file handles are held.
fn read_all(folder: &Path) -> io::Result<()> {
    let spare: io::Result<Vec<File>> =
        std::iter::repeat_with(|| File::open(folder)).take(SPARE_HANDLES).collect();
    let _spare = spare?;
    let mut part = vec![0; 64 * 1024];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mut file = File::open(entry.path())?;
            while file.read(&mut part)? > 0 {}
        }
    }
    Ok(())
}
