use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::sync::Arc;

use kernel::features::{Catalog, Timelines};
use serde::{Deserialize, Serialize};

use super::cache::{Kept, State};
use crate::warehouse::{TIMELINES, place_of};
use crate::{Access, Error, Result, Warehouse};

/// What a file of kept timelines begins with; another version is another word.
const MAGIC: &[u8; 8] = b"fctime03";
/// The longest description that is read, in bytes.
const LONGEST_HEAD: u64 = 64 << 20;

/// What the timelines of a file are of.
#[derive(Serialize, Deserialize)]
struct Head {
    catalog: Catalog,
    state: State,
}

/// Timelines in a file beside the warehouse, so that a start need not build them again. The file is a
/// cache of a cache: what cannot be read is as if it were not there, and what is older than the warehouse
/// is extended or built anew.
impl Warehouse {
    /// The timelines of the file with the properties of a catalog, if it has what the catalog names.
    pub(super) fn read_kept(&self, catalog: &Catalog) -> Option<Kept> {
        let (head, mut file) = self.kept_file()?;
        if !head.catalog.covers(catalog) {
            return None;
        }
        let mut own = head.catalog;
        own.properties.retain(|name, _| catalog.properties.contains_key(name));
        let is_wanted = |name: &str| own.properties.contains_key(name);
        let timelines = Arc::new(Timelines::read_from(&mut file, is_wanted).ok()?);
        Some(Kept { catalog: own, state: head.state, timelines })
    }

    /// All that the file has of the same state, if that is more.
    pub(super) fn read_more(&self, known: &Kept) -> Option<Kept> {
        let (head, mut file) = self.kept_file()?;
        let is_more = head.catalog != known.catalog && head.catalog.covers(&known.catalog);
        if !is_more || head.state != known.state {
            return None;
        }
        let timelines = Arc::new(Timelines::read_from(&mut file, |_| true).ok()?);
        Some(Kept { catalog: head.catalog, state: head.state, timelines })
    }

    /// What the file has.
    pub(super) fn kept_catalog(&self) -> Option<Catalog> {
        self.kept_file().map(|(head, _)| head.catalog)
    }

    fn kept_file(&self) -> Option<(Head, BufReader<File>)> {
        if cfg!(target_endian = "big") {
            return None;
        }
        let file = self.folder().open_file(TIMELINES).ok()??;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut start = [0; 16];
        file.read_exact(&mut start).ok()?;
        let (magic, length) = start.split_at(MAGIC.len());
        let length = u64::from_le_bytes(length.try_into().ok()?);
        if magic != MAGIC || length > LONGEST_HEAD {
            return None;
        }
        let mut head = Vec::new();
        file.by_ref().take(length).read_to_end(&mut head).ok()?;
        Some((serde_json::from_slice(&head).ok()?, file))
    }

    /// Writes timelines to the file: first beside it, then moved, so that it is whole or as it was. Where
    /// that fails, the next start builds them again.
    pub(super) fn write_kept(&self, kept: &Kept) {
        if cfg!(target_endian = "big") {
            return;
        }
        let staged = place_of(&self.staged("timelines"));
        let write = || -> Result<()> {
            let head = Head { catalog: kept.catalog.clone(), state: kept.state.clone() };
            let file = self.folder().create_file(&staged, Access::Default)?;
            let mut file = BufWriter::with_capacity(1 << 20, file);
            let mut written = || -> std::io::Result<()> {
                let head = serde_json::to_vec(&head)?;
                file.write_all(MAGIC)?;
                file.write_all(&(head.len() as u64).to_le_bytes())?;
                file.write_all(&head)?;
                kept.timelines.write_to(&mut file)?;
                file.flush()
            };
            written().map_err(Error::io("write", &self.folder().path_of(TIMELINES)))?;
            self.folder().rename(&staged, TIMELINES)
        };
        if write().is_err() {
            drop(self.folder().remove(&staged));
        }
    }
}
