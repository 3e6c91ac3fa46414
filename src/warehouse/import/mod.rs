//! Import: any file of events or traits, by one path and in one pass.
//!
//! In: files as they are. Out: a [`Proposal`] of how to read them, then an [`ImportReport`]. Rows flow from
//! `read` (any format as columns) through `check` (types, ids, rejects) into `load` (the warehouse, and the
//! timelines where it was empty), a few thousand at a time; the first rows say what types there are, the
//! first value of a column says it where they have none, and where a later one does not fit, all are looked
//! at and the import begins anew. A property that the project has a type for keeps it: a value that does not
//! fit is a misfit. The warehouse takes all of it in one transaction: a failed or canceled import changes
//! nothing. Rows that cannot be read are kept with line, column and reason. A hostile file never meets the
//! data: text is read by us, Parquet by an instance of its own.

mod calls;
mod check;
mod dialect;
mod event_names;
mod facts;
mod finder;
mod ids;
mod infer;
mod joins;
mod known_rows;
mod load;
mod look;
mod mapping;
mod normal;
mod numbers;
mod read;
mod roles;
mod source;
mod table;
mod time_format;
mod typed;
mod who;
mod written_date;

pub use mapping::{ColumnMapping, Mapping, Options, Proposal, ProposedColumn, RowKind};
pub use numbers::Decimal;
pub use source::Delimiter;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use duckdb::arrow::array::{ArrayRef, StringArray};
use kernel::domain::{Job, PropertyType, PropertyTypes, Value};
use serde::Serialize;

use crate::{Error, Result, Warehouse};
use facts::Facts;
use look::Look;
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
    /// Values of accepted rows that do not fit the type of their property; all of them are in `misfits`.
    pub misfits: u64,
    /// How long it took.
    pub seconds: f64,
    /// The first rejected rows.
    pub rejects: Vec<Reject>,
    /// What became of values that a person may not expect.
    pub remarks: Vec<String>,
    /// Values that are a spelling of a missing value, such as `NULL`, by property that has none for them.
    pub missing: BTreeMap<String, u64>,
    /// Who, when, what.
    pub mapping: Mapping,
    /// The role of each column, with its reason.
    pub columns: Vec<ColumnMapping>,
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
        let types = self.types();
        let of = (SAMPLE_ROWS, None);
        let (_, proposal) = self.look(&source, options, &types, of, &Job::unwatched())?;
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
        let types = self.types();
        self.with_types(&source, options, &types, job, |columns, proposal| {
            match self.event_of_known_rows(&source, columns, proposal, job)? {
                Some(event) => {
                    let known = proposal.clone().named(event);
                    self.load(&source, columns, &known, started, job)
                }
                None => self.load(&source, columns, proposal, started, job),
            }
        })
    }

    /// Does something with files as the first rows say they are; where a later row is not so, as all rows
    /// say they are.
    fn with_types<T>(
        &self,
        source: &Source,
        options: &Options,
        types: &PropertyTypes,
        job: &Job,
        mut work: impl FnMut(&Columns, &Proposal) -> std::result::Result<T, Stop>,
    ) -> Result<T> {
        let (mut most, mut counter) = (SAMPLE_ROWS, None);
        loop {
            let known = (most, counter.as_deref());
            let (columns, proposal) = self.look(source, options, types, known, job)?;
            match work(&columns, &proposal) {
                Err(Stop::Misfit) if most < usize::MAX => most = usize::MAX,
                Err(Stop::Repeated) if counter.is_none() => counter = proposal.mapping.message_id,
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Enough | Stop::Misfit | Stop::Repeated) => break,
                Ok(done) => return Ok(done),
            }
            job.report("Looking at all rows", 0.0);
        }
        Err(Error::Mapping(format!("{} changed while it was read", source.title())))
    }

    /// Looks at so many rows, and proposes how to read them; one column may be known to be no id of rows.
    fn look(
        &self,
        source: &Source,
        options: &Options,
        types: &PropertyTypes,
        (most, counter): (usize, Option<&str>),
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
        if let Err(Stop::Failed(error)) = read {
            return Err(error);
        }
        look.is_of_all_rows = n < most;
        let proposal = infer::propose(source, &columns, &look, options, counter, types)?;
        Ok((columns, proposal))
    }
}

/// The type of values that were never seen in a file: the narrowest that all of them have, as in files.
pub(crate) fn type_of_values(values: &[&Value]) -> PropertyType {
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values(values.iter().map(|value| value.to_string())));
    let found = PropertyType::found(Facts::of(&texts).type_of());
    match values.iter().all(|value| found.fit(value).is_ok()) {
        true => found,
        false => PropertyType::Text,
    }
}
