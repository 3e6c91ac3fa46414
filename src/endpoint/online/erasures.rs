//! Erasures beside the backups, so that an endpoint which starts from a backup repeats those that came after it.
//!
//! A backup keeps what is erased later. `backups/erasures.jsonl` in the data folder has a line for each erasure:
//! the offset at which the log ended, and hashes of the ids instead of the ids. A backup in its place finds the file
//! beside itself. Where a backup is moved, the file goes with it, into its folder or beside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::backup::make_folder;
use super::recent::Set;
use crate::{Error, Result};

/// The file, in the folder of backups.
const FILE: &str = "erasures.jsonl";

/// One erasure.
#[derive(Debug, Serialize, Deserialize)]
struct Erasure {
    /// The offset at which the log ended: what comes later is not erased.
    log_end: u64,
    /// Hashes of the ids.
    ids: Vec<String>,
}

/// All erasures of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Erasures(Vec<Erasure>);

/// Hashes of ids that were erased.
#[derive(Debug, Default)]
pub(super) struct Hashes(Set<String>);

impl Hashes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains(&hash(id))
    }
}

fn hash(id: &str) -> String {
    let hash = blake3::derive_key("full circle 2026 erased id", id.as_bytes());
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Records an erasure in the folder of backups, durably.
pub(super) fn record(backups: &Path, log_end: u64, ids: &[String]) -> Result<()> {
    let failed = "record an erasure beside its backups";
    let erasure = Erasure { log_end, ids: ids.iter().map(|id| hash(id)).collect() };
    let mut line = serde_json::to_vec(&erasure).map_err(Error::store(failed))?;
    line.push(b'\n');
    let write = || -> io::Result<()> {
        make_folder(backups)?;
        let path = backups.join(FILE);
        let is_new = !path.exists();
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        // A line that was cut by a loss of power makes room.
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let whole = u64::try_from(whole).map_err(io::Error::other)?;
        file.set_len(whole)?;
        file.seek(io::SeekFrom::Start(whole))?;
        file.write_all(&line)?;
        file.sync_all()?;
        if is_new {
            File::open(backups)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(Error::store(failed))
}

impl Erasures {
    /// The erasures that are kept in the folder of a backup or beside it; none if there is no such file.
    ///
    /// # Errors
    /// A file cannot be read, or a line of it is damaged.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        let mut found: Option<Self> = None;
        for path in [Some(folder), folder.parent()].into_iter().flatten().map(|at| at.join(FILE)) {
            match std::fs::read_to_string(&path) {
                Ok(text) => found.get_or_insert_default().read(&text, &path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::store("read the erasures since a backup")(error)),
            }
        }
        Ok(found)
    }

    fn read(&mut self, text: &str, path: &Path) -> Result<()> {
        for (n, line) in text.lines().enumerate() {
            // A line that was cut by a loss of power: its erasure was not acknowledged, but asked for again.
            let is_cut = n + 1 == text.lines().count() && !text.ends_with('\n');
            match serde_json::from_str(line) {
                Ok(erasure) => self.0.push(erasure),
                Err(_) if is_cut => {}
                Err(error) => {
                    return Err(Error::Store {
                        action: "read the erasures since a backup",
                        message: format!("{}, line {}: {error}", path.display(), n + 1),
                    });
                }
            }
        }
        Ok(())
    }

    /// The ids that were erased when a log had ended at an offset, or later.
    pub(super) fn after(&self, log_end: u64) -> Hashes {
        let later = self.0.iter().filter(|erasure| erasure.log_end >= log_end);
        Hashes(later.flat_map(|erasure| erasure.ids.iter().cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erasures_are_read_back_by_offset() {
        let folder = tempfile::tempdir().unwrap();
        let backups = folder.path().join("backups");
        let copy = backups.join("1");
        assert!(Erasures::find(&copy).unwrap().is_none());
        record(&backups, 5, &["ada".to_owned(), "anon".to_owned()]).unwrap();
        record(&backups, 9, &["bob".to_owned()]).unwrap();
        let text = std::fs::read_to_string(backups.join(FILE)).unwrap();
        assert!(!text.contains("ada"));
        std::fs::write(backups.join(FILE), format!("{text}{{\"log_end\":9,\"ids")).unwrap();
        let all = Erasures::find(&copy).unwrap().unwrap();
        for (end, ada, bob) in
            [(4, true, true), (5, true, true), (6, false, true), (10, false, false)]
        {
            let hashes = all.after(end);
            assert_eq!((hashes.has("ada"), hashes.has("bob")), (ada, bob), "{end}");
        }
        assert!(all.after(0).has("anon") && !all.after(0).has("eve"));
        record(&backups, 11, &["eve".to_owned()]).unwrap();
        assert!(Erasures::find(&copy).unwrap().unwrap().after(10).has("eve"), "after a cut line");
        std::fs::write(backups.join(FILE), format!("x\n{text}")).unwrap();
        assert!(Erasures::find(&copy).unwrap_err().to_string().contains("line 1"));
    }
}
