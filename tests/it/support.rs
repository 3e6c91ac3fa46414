//! What the tests share: temporary projects, files, and events in a few words.

use std::path::{Path, PathBuf};

use kernel::domain::Job;
use warehouse::Warehouse;
use warehouse::import::{ImportReport, Options};

/// A temporary project folder with a warehouse; gone when dropped.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) warehouse: Warehouse,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(folder.path()).unwrap();
        Self { folder, warehouse }
    }

    /// Writes a file beside the project.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn import(&self, file: &Path, options: &Options) -> ImportReport {
        self.warehouse.import(&[file.to_owned()], options, &Job::unwatched()).unwrap()
    }

    /// The cells of a query, by rows, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let result = self.warehouse.query(sql, 100_000, &Job::unwatched()).unwrap();
        result.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }
}

/// The repository's sample data.
pub(crate) fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(file)
}
