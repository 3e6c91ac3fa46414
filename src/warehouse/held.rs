use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::Connection;
use duckdb::arrow::datatypes::DataType;
use kernel::domain::{Job, Value};
use kernel::expression::quote_text;

use crate::columns::{self, Described, name};
use crate::query::{rows_of, sql_error, types_of};
use crate::summaries::{BINS, ColumnSummary, MOST_DISTINCT};
use crate::warehouse::place_of;
use crate::{Error, ProjectFolder, Result, Warehouse, instance};

/// All rows of a query, however many: in a database of their own in the staging folder, from where pages
/// of them are read in any order. They stay as they were when the query ran.
#[derive(Debug)]
pub struct Held {
    connection: Mutex<Connection>,
    folder: Arc<ProjectFolder>,
    file: PathBuf,
    types: Vec<DataType>,
    n: u64,
    /// The arrangement that the table of arranged rows is in, and how many rows it has.
    arranged: Mutex<(Arrangement, u64)>,
}

/// Which rows of a result, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// A text that a column has, in any case.
    pub filter: String,
    /// The column that has it; none is any of them.
    pub column: Option<usize>,
    /// The column that they are ordered by, and whether from the largest; none is as they came.
    pub sort: Option<(usize, bool)>,
}

/// Some rows of a result, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldPage {
    /// The arrangement that they are of.
    pub arrangement: Arrangement,
    /// Rows that the arrangement has.
    pub n: u64,
    /// The place of the first.
    pub from: u64,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

impl Warehouse {
    /// Runs a query that reads, as [`Warehouse::query`] does, and keeps all of its rows.
    ///
    /// # Errors
    /// The SQL has an error, a column has a type that cannot be kept, the disk is full, or the job was
    /// canceled.
    pub fn hold(&self, sql: &str, job: &Job) -> Result<Held> {
        let connection = self.connect()?;
        self.check_statement(sql)?;
        let failed = |error: duckdb::Error| Error::Sql(sql_error(&error.to_string()));
        let staged = self.staged("held-rows");
        job.report("Running the query", 0.1);
        let run = || -> duckdb::Result<Vec<Described>> {
            let Some(columns) = columns::describe(&connection, sql) else {
                // What cannot be described has an error of its own, or is no query.
                drop(connection.prepare(sql)?);
                return Ok(Vec::new());
            };
            let each: Vec<String> = (0..).zip(&columns).map(kept).collect();
            connection.execute_batch(&format!(
                "BEGIN TRANSACTION READ ONLY;
                 COPY ({}) TO {} (FORMAT parquet, COMPRESSION lz4_raw); COMMIT",
                columns::over(sql, columns.len(), &each),
                quote_text(&staged.display().to_string()),
            ))?;
            Ok(columns)
        };
        let interrupt = connection.interrupt_handle();
        let copied = job.interruptible(move || interrupt.interrupt(), run);
        let held = match copied {
            _ if job.is_canceled() => Err(Error::Canceled),
            Ok(columns) if columns.is_empty() => {
                Err(Error::Sql(sql_error("this statement has no rows to keep; run a SELECT")))
            }
            Ok(columns) => {
                job.report("Keeping its rows", 0.7);
                let file = self.staged("held");
                Held::of(self.folder().clone(), &staged, file, &columns, job)
            }
            Err(error) => Err(failed(error)),
        };
        drop(self.folder().remove(&place_of(&staged)));
        held
    }
}

/// A column as the file can have it: as text where it would be rounded or changed.
fn kept((position, column): (usize, &Described)) -> String {
    let name = name(position);
    match column.is_lossy_in_parquet() {
        true => format!("CAST({name} AS VARCHAR) AS {name}"),
        false => name,
    }
}

/// A column of the file as it was.
fn restored((position, column): (usize, &Described)) -> String {
    let name = name(position);
    let types = ["INTERVAL", "HUGEINT", "UHUGEINT", "TIME WITH TIME ZONE", "BIGNUM", "BIT"];
    match types.contains(&column.type_.as_str()) {
        true => format!("CAST({name} AS {}) AS {name}", column.type_),
        false => name,
    }
}

impl Held {
    fn of(
        folder: Arc<ProjectFolder>,
        rows: &Path,
        file: PathBuf,
        columns: &[Described],
        job: &Job,
    ) -> Result<Self> {
        let connection = instance::open_scratch(&file)?;
        let mut held = Self {
            connection: Mutex::new(connection),
            folder,
            file,
            types: Vec::new(),
            n: 0,
            arranged: Mutex::new((Arrangement::default(), 0)),
        };
        let from = quote_text(&rows.display().to_string());
        let each: Vec<String> = (0..).zip(columns).map(restored).collect();
        let each = each.join(", ");
        held.run(
            &format!("CREATE TABLE all_rows AS SELECT {each} FROM read_parquet({from})"),
            job,
        )?;
        held.types = held.with(job, |connection| types_of(connection, "FROM all_rows"))?;
        let count = "SELECT count(*) FROM all_rows";
        let n = held.rows(count, 1, job)?.first().and_then(|row| count_of(row.first()));
        held.n = n.unwrap_or(0);
        Ok(held)
    }

    /// How many rows there are.
    #[must_use]
    pub const fn n_rows(&self) -> u64 {
        self.n
    }

    /// At most `n` rows from a place on, in an arrangement. The first in a new arrangement arranges all.
    ///
    /// # Errors
    /// The disk is full, or the job was canceled.
    pub fn page(
        &self,
        arrangement: &Arrangement,
        from: u64,
        n: usize,
        job: &Job,
    ) -> Result<HeldPage> {
        let mut arranged = self.arranged.lock().unwrap_or_else(PoisonError::into_inner);
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let is_plain = *arrangement == Arrangement::default();
        if !is_plain && arranged.0 != *arrangement {
            // While it is written, and if that fails, the table is in no arrangement.
            *arranged = (Arrangement::default(), 0);
            *arranged = (arrangement.clone(), self.arrange(arrangement, job)?);
        }
        let (table, of) = if is_plain { ("all_rows", self.n) } else { ("arranged", arranged.1) };
        let until = from.saturating_add(n as u64);
        let sql = format!(
            "SELECT * FROM {table} WHERE rowid >= {from} AND rowid < {until} ORDER BY rowid"
        );
        let rows = self.rows(&sql, n, job)?;
        Ok(HeldPage { arrangement: arrangement.clone(), n: of, from, rows })
    }

    /// Writes the table of arranged rows; gives how many it has.
    fn arrange(&self, arrangement: &Arrangement, job: &Job) -> Result<u64> {
        job.report("Arranging the rows", 0.3);
        let text = arrangement.filter.trim().to_lowercase();
        let has = |(place, type_): (usize, &DataType)| {
            format!(
                "contains(strip_accents(lower({})), strip_accents({}))",
                as_text(&name(place), type_),
                quote_text(&text)
            )
        };
        let condition = match text.is_empty() {
            true => "true".to_owned(),
            false => {
                let all = self.types.iter().enumerate();
                let looked_at =
                    all.filter(|(place, _)| arrangement.column.is_none_or(|it| it == *place));
                looked_at.map(has).collect::<Vec<_>>().join(" OR ")
            }
        };
        let order = match arrangement.sort {
            Some((place, is_descending)) => {
                let way = if is_descending { "DESC" } else { "ASC" };
                format!("{} {way} NULLS LAST, rowid", name(place))
            }
            None => "rowid".to_owned(),
        };
        self.run(
            &format!(
                "CREATE OR REPLACE TABLE arranged AS
                 SELECT * FROM all_rows WHERE {condition} ORDER BY {order}"
            ),
            job,
        )?;
        let rows = self.rows("SELECT count(*) FROM arranged", 1, job)?;
        Ok(rows.first().and_then(|row| count_of(row.first())).unwrap_or(0))
    }

    /// What each column is like.
    ///
    /// # Errors
    /// The job was canceled.
    pub fn summaries(&self, job: &Job) -> Result<Vec<ColumnSummary>> {
        job.report("Looking at its columns", 0.9);
        let all = self.types.iter().enumerate();
        all.map(|(place, type_)| self.summary(&name(place), type_, job)).collect()
    }

    fn summary(&self, name: &str, type_: &DataType, job: &Job) -> Result<ColumnSummary> {
        let range = if is_ordered(type_) { name } else { "NULL" };
        let sql = format!(
            "SELECT count(*) - count({name}), approx_count_distinct({name}), min({range}), max({range})
             FROM all_rows"
        );
        let row = self.rows(&sql, 1, job)?.into_iter().next().unwrap_or_default();
        let count = |place: usize| count_of(row.get(place)).unwrap_or(0);
        // The estimate is off by some percent: near the limit, and below it, it is counted.
        let distinct = match count(1) {
            n if n > 2 * MOST_DISTINCT as u64 => None,
            _ => {
                let sql = format!("SELECT count(DISTINCT {name}) FROM all_rows");
                let n = self.rows(&sql, 1, job)?.first().and_then(|row| count_of(row.first()));
                n.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MOST_DISTINCT)
            }
        };
        let ends = row.get(2).zip(row.get(3)).filter(|(least, _)| !least.is_null());
        Ok(ColumnSummary {
            nulls: usize::try_from(count(0)).unwrap_or(usize::MAX),
            distinct,
            range: ends.map(|(least, largest)| (least.to_string(), largest.to_string())),
            histogram: match as_number(name, type_) {
                Some(number) => self.histogram(&number, job)?,
                None => Vec::new(),
            },
        })
    }

    fn histogram(&self, number: &str, job: &Job) -> Result<Vec<u32>> {
        let sql = format!(
            "WITH numbers AS (SELECT {number} AS x FROM all_rows WHERE isfinite({number})),
                  ends AS (SELECT min(x) AS least, max(x) AS largest FROM numbers)
             SELECT least({BINS} - 1, floor((x - least) / (largest - least) * {BINS})) AS bin, count(*)
             FROM numbers, ends WHERE least < largest GROUP BY bin"
        );
        let rows = self.rows(&sql, BINS, job)?;
        let mut bins = if rows.is_empty() { Vec::new() } else { vec![0; BINS] };
        for row in &rows {
            let bin = count_of(row.first()).and_then(|bin| usize::try_from(bin).ok());
            let n = count_of(row.get(1)).and_then(|n| u32::try_from(n).ok());
            if let (Some(bin), Some(n)) = (bin.and_then(|bin| bins.get_mut(bin)), n) {
                *bin = n;
            }
        }
        Ok(bins)
    }

    fn run(&self, sql: &str, job: &Job) -> Result<()> {
        self.with(job, |connection| connection.execute_batch(sql))
    }

    fn rows(&self, sql: &str, limit: usize, job: &Job) -> Result<Vec<Vec<Value>>> {
        self.with(job, |connection| Ok(rows_of(connection, sql, limit)?.rows))
    }

    fn with<T>(&self, job: &Job, work: impl FnOnce(&Connection) -> duckdb::Result<T>) -> Result<T> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let interrupt = connection.interrupt_handle();
        let result = job.interruptible(move || interrupt.interrupt(), || work(&connection));
        match result {
            _ if job.is_canceled() => Err(Error::Canceled),
            result => result.map_err(Error::duckdb("keep the rows of a query")),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let file = std::mem::take(&mut self.file);
        drop(self.folder.remove(&place_of(&file.with_extension("wal"))));
        drop(self.folder.remove(&place_of(&file)));
    }
}

fn count_of(value: Option<&Value>) -> Option<u64> {
    match value {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, and exact below 2^53"
        )]
        Some(Value::Number(n)) if *n >= 0.0 => Some(*n as u64),
        _ => None,
    }
}

/// Whether values of a type have an order that means something.
const fn is_ordered(type_: &DataType) -> bool {
    !matches!(
        type_,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..)
            | DataType::Null
    )
}

/// A column as the text that is shown.
fn as_text(name: &str, type_: &DataType) -> String {
    match type_ {
        DataType::Timestamp(..) => format!("strftime({name}, '%Y-%m-%dT%H:%M:%S')"),
        _ => format!("CAST({name} AS VARCHAR)"),
    }
}

/// A column as a number; none if it has none.
fn as_number(name: &str, type_: &DataType) -> Option<String> {
    match type_ {
        DataType::Timestamp(..) | DataType::Date32 => {
            Some(format!("CAST(epoch_us(CAST({name} AS TIMESTAMP)) AS DOUBLE)"))
        }
        number if number.is_numeric() => Some(format!("CAST({name} AS DOUBLE)")),
        _ => None,
    }
}
