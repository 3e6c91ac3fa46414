//! Import: any file of events or traits, by one path.
//!
//! In: files as they are. Out: a [`Proposal`] of how to read them, then an [`ImportReport`]. An instance
//! of its own reads the foreign file, checks every row and writes what is good to the staging folder;
//! the warehouse takes that in one transaction. So a failed or canceled import changes nothing, and a
//! hostile file never meets the data. Rows that cannot be read are kept with line, column and reason.

pub(crate) mod infer;
mod load;
mod mapping;
pub(crate) mod raw;
pub(crate) mod source;
mod stage;

pub use mapping::{Mapping, Options, Proposal, ProposedColumn, RowKind};
pub use source::Delimiter;

use std::path::PathBuf;
use std::time::Instant;

use kernel::domain::Job;
use serde::Serialize;

use crate::{Error, Result, Warehouse, instance};

/// Rows that a proposal looks at.
const SAMPLE_ROWS: usize = 20_000;
/// Rejected rows that a report carries; all of them are in `rejected_rows`.
const REPORTED_REJECTS: usize = 100;

/// What became of the rows of an import: `read = accepted + duplicate + rejected`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportReport {
    /// Rows in the files.
    pub read: u64,
    /// Rows that are new in the warehouse.
    pub accepted: u64,
    /// Rows that were there already.
    pub duplicate: u64,
    /// Rows that could not be read.
    pub rejected: u64,
    /// How long it took.
    pub seconds: f64,
    /// The first rejected rows.
    pub rejects: Vec<Reject>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reject {
    /// The file.
    pub source: String,
    /// The line (or row) in it, from 1.
    pub line: u64,
    /// The column, if one is to blame.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
    /// The row, cut if long.
    pub content: String,
}

impl Warehouse {
    /// Looks at files and proposes how to import them.
    ///
    /// # Errors
    /// A file cannot be read or is of no known format.
    pub fn propose(&self, files: &[PathBuf], options: &Options) -> Result<Proposal> {
        let source = source::Source::find(files)?;
        let connection = instance::open_for_files(self.staging())?;
        let raw = raw::read(&connection, &source, &self.staged("blanks"), Some(SAMPLE_ROWS))?;
        infer::propose(&connection, &source, &raw, options)
    }

    /// Imports files. Importing the same files again changes nothing.
    ///
    /// # Errors
    /// A file cannot be read, the options do not fit it, or the job was canceled. Then nothing changed.
    pub fn import(&self, files: &[PathBuf], options: &Options, job: &Job) -> Result<ImportReport> {
        let started = Instant::now();
        let source = source::Source::find(files)?;
        let connection = instance::open_for_files(self.staging())?;
        let interrupt = connection.interrupt_handle();
        job.report(format!("Reading {}", source.title()), 0.0);
        let staged = job.interruptible(
            move || interrupt.interrupt(),
            || {
                let raw = raw::read(&connection, &source, &self.staged("blanks"), None)?;
                let proposal = infer::propose(&connection, &source, &raw, options)?;
                job.report("Checking every row", 0.4);
                stage::stage(&connection, &raw, &proposal, self.staged("import"))
            },
        );
        drop(connection);
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let staged = staged?;
        job.report("Adding what is new", 0.7);
        let report = self.load(&source, &staged, started, job)?;
        job.report("Done", 1.0);
        Ok(report)
    }
}
