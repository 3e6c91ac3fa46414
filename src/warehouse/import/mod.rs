//! Import: any file of events or traits, by one path and in one pass.
//!
//! In: files as they are. Out: a [`Proposal`] of how to read them, then an [`ImportReport`]. Rows flow from
//! `read` (any format as columns) through `check` (types, ids, rejects) into `load` (the warehouse, and the
//! timelines where it was empty), a few thousand at a time; the first rows say what types there are, the
//! first value of a column says it where they have none, and where a later one does not fit, all are looked
//! at and the import begins anew. The warehouse takes all of
//! it in one transaction: a failed or canceled import changes nothing. Rows that cannot be read are kept
//! with line, column and reason. A hostile file never meets the data: text is read by us, Parquet by an
//! instance of its own.

mod check;
mod facts;
mod ids;
mod infer;
mod load;
mod mapping;
mod read;
mod source;
mod table;
mod time_format;

pub use mapping::{Mapping, Options, Proposal, ProposedColumn, RowKind};
pub use source::Delimiter;

use std::path::PathBuf;
use std::time::Instant;

use kernel::domain::Job;
use serde::Serialize;

use crate::{Error, Result, Warehouse};
use infer::Look;
use read::{Columns, Stop};
use source::Source;

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
    /// What became of values that a person may not expect.
    pub remarks: Vec<String>,
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
        let source = Source::find(files)?;
        let (_, proposal) = self.look(&source, options, SAMPLE_ROWS, &Job::unwatched())?;
        Ok(proposal)
    }

    /// Imports files. Importing the same files again changes nothing.
    ///
    /// # Errors
    /// A file cannot be read, the options do not fit it, or the job was canceled. Then nothing changed.
    pub fn import(&self, files: &[PathBuf], options: &Options, job: &Job) -> Result<ImportReport> {
        let started = Instant::now();
        let source = Source::find(files)?;
        job.report(format!("Reading {}", source.title()), 0.0);
        self.with_types(&source, options, job, |columns, proposal| {
            self.load(&source, columns, proposal, started, job)
        })
    }

    /// Does something with files as the first rows say they are; where a later row is not so, as all rows
    /// say they are.
    fn with_types<T>(
        &self,
        source: &Source,
        options: &Options,
        job: &Job,
        mut work: impl FnMut(&Columns, &Proposal) -> std::result::Result<T, Stop>,
    ) -> Result<T> {
        for rows in [SAMPLE_ROWS, usize::MAX] {
            let (columns, proposal) = self.look(source, options, rows, job)?;
            match work(&columns, &proposal) {
                Err(Stop::Misfit) => job.report("Looking at all rows", 0.0),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Enough) => break,
                Ok(done) => return Ok(done),
            }
        }
        Err(Error::Mapping(format!("{} changed while it was read", source.title())))
    }

    /// Looks at so many rows, and proposes how to read them.
    fn look(
        &self,
        source: &Source,
        options: &Options,
        most: usize,
        job: &Job,
    ) -> Result<(Columns, Proposal)> {
        let columns = self.columns(source, most)?;
        infer::check_width(source, &columns, options)?;
        let mut look = Look::new(&columns);
        let mut n = 0;
        let read = self.read_rows(source, &columns, job, &mut |rows| {
            look.see(&rows);
            n += rows.n();
            if n < most { Ok(()) } else { Err(Stop::Enough) }
        });
        match read {
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) | Err(Stop::Misfit | Stop::Enough) => {}
        }
        let proposal = infer::propose(source, &columns, &look, options)?;
        Ok((columns, proposal))
    }
}
