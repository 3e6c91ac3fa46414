//! Files as rows of columns, whatever their format.
//!
//! In: the files of a [`Source`]. Out: [`Rows`], a few thousand at a time, in the order of the files, and
//! with them what could not even be split into columns. Text is read here; Parquet is read by an instance
//! of DuckDB that has no data. Never: all rows at once, or what values mean.

mod lines;
mod ndjson;
mod parquet;
mod record;
mod text;

pub(crate) use record::{Fields, Line};

use duckdb::arrow::array::ArrayRef;
use kernel::domain::Job;

use super::Reject;
use super::source::{Format, Source};
use crate::{Error, Result, Warehouse};

/// Rows of one file as they are: texts, or what a Parquet file has of its own types.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// The file's place among the files of the source.
    pub(super) file: usize,
    /// The line of each row, from 1.
    pub(super) lines: Vec<u64>,
    /// Texts, whole numbers, numbers, booleans or times; null where there is no value.
    pub(crate) columns: Vec<ArrayRef>,
    /// The names of the columns that come after those that were promised: NDJSON may have more later.
    pub(super) later: Vec<String>,
    /// Lines that are no rows.
    pub(super) rejects: Vec<Reject>,
    /// What a person may not expect of how rows were read.
    pub(super) remarks: Vec<String>,
    /// How much of all files was read before, between 0 and 1.
    pub(super) share: f32,
}

impl Rows {
    pub(crate) fn n(&self) -> usize {
        self.lines.len()
    }

    /// The first rows of these, without what is no row.
    pub(super) fn first(mut self, most: usize) -> Self {
        let n = self.n().min(most);
        self.lines.truncate(n);
        self.columns.iter_mut().for_each(|column| *column = column.slice(0, n));
        self.rejects.clear();
        self
    }
}

/// The columns of files.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    /// How each is read: a JSON path for NDJSON, SQL for Parquet.
    paths: Vec<String>,
}

/// Why reading ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What was asked for is there.
    Enough,
    /// A value is not as the rows before it promised.
    Misfit,
    /// What was taken for an id of each row comes again in rows that say something else.
    Repeated,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What is done with rows.
pub(crate) type Take<'a> = dyn FnMut(Rows) -> std::result::Result<(), Stop> + 'a;

/// Rows that are handed on at once.
const BATCH_ROWS: usize = 8 * 1024;
/// Bytes of text that are handed on at once, whatever the number of rows.
const BATCH_BYTES: usize = 4 << 20;
/// Longest line of a text file, in bytes.
const LONGEST_LINE: usize = 8 << 20;
/// Characters of a rejected row that are kept.
pub(super) const KEPT_CONTENT: usize = 500;

impl Warehouse {
    /// The columns that files have; those of NDJSON are what the first rows say, or all rows.
    pub(super) fn columns(&self, source: &Source, rows: usize) -> Result<Columns> {
        match &source.format {
            Format::Parquet => parquet::columns(self.staging(), source),
            Format::Ndjson => ndjson::columns(source, rows),
            Format::Text(dialect) => {
                Ok(Columns { names: dialect.names.clone(), paths: Vec::new() })
            }
        }
    }

    /// Reads all rows of the files, until `take` has enough.
    pub(super) fn read_rows(
        &self,
        source: &Source,
        columns: &Columns,
        job: &Job,
        take: &mut Take<'_>,
    ) -> std::result::Result<(), Stop> {
        let mut take = |rows: Rows| match job.is_canceled() {
            true => Err(Error::Canceled.into()),
            false => take(rows),
        };
        let read = match &source.format {
            Format::Parquet => parquet::read(self.staging(), source, columns, job, &mut take),
            Format::Ndjson => ndjson::read(source, columns, &mut take),
            Format::Text(dialect) => text::read(source, dialect, &mut take),
        };
        match read {
            Err(Stop::Enough) => Ok(()),
            _ if job.is_canceled() => Err(Error::Canceled.into()),
            read => read,
        }
    }
}

/// A text cut to what is kept of a rejected row.
pub(super) fn kept(text: &str) -> String {
    text.chars().take(KEPT_CONTENT).collect()
}
