use std::path::Path;

use duckdb::types::Value as Sql;
use kernel::domain::{Job, Time, Value};
use kernel::expression::quote_text;

use crate::warehouse::place_of;
use crate::{Error, Relation, Result, Warehouse, instance, query::sql_error};

/// The format of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Apache Parquet.
    Parquet,
    /// Text separated by commas, with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl ExportFormat {
    /// The format of a file by its ending.
    ///
    /// # Errors
    /// The ending is none that we write.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("json" | "ndjson" | "jsonl") => Ok(Self::Ndjson),
            _ => Err(Error::File {
                path: path.to_owned(),
                message: "the ending must be .parquet, .csv, .json or .ndjson".to_owned(),
            }),
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Parquet => "FORMAT parquet, COMPRESSION zstd",
            Self::Csv => "FORMAT csv, HEADER true",
            Self::Ndjson => "FORMAT json",
        }
    }
}

impl Relation {
    /// Writes it to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, format: ExportFormat, scratch: &Path) -> Result<()> {
        let failed = || Error::duckdb("write a file");
        let connection = instance::open_for_files(scratch)?;
        let create = format!("CREATE TABLE relation ({})", self.declaration());
        connection.execute_batch(&create).map_err(failed())?;
        self.append_to(&connection, ("main", "relation"), &Job::unwatched())?;
        let to = quote_text(&path.display().to_string());
        connection.execute_batch(&format!("COPY relation TO {to} ({})", format.sql())).map_err(
            |error| Error::File {
                path: path.to_owned(),
                message: format!("cannot write: {}", sql_error(&error.to_string()).message),
            },
        )
    }
}

/// A value as DuckDB takes it as a parameter.
pub(crate) fn sql_value(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Boolean(boolean) => Sql::Boolean(*boolean),
        Value::Number(number) => Sql::Double(*number),
        Value::Text(text) => Sql::Text(text.to_string()),
        Value::Time(time) => sql_time(*time),
        nested @ (Value::List(_) | Value::Counts(_)) => Sql::Text(nested.to_string()),
    }
}

pub(crate) const fn sql_time(time: Time) -> Sql {
    Sql::Timestamp(duckdb::types::TimeUnit::Microsecond, time.0)
}

impl Warehouse {
    /// Writes the rows of a query to a file: first beside the warehouse, then moved, so that the file
    /// is whole or not there.
    ///
    /// # Errors
    /// The SQL has an error, the file cannot be written, or the job was canceled.
    pub fn export(&self, sql: &str, path: &Path, job: &Job) -> Result<()> {
        let format = ExportFormat::of(path)?;
        let staged = self.staged("export");
        let connection = self.connect()?;
        self.check_statement(sql)?;
        let interrupt = connection.interrupt_handle();
        let copy = |wide_as_text| {
            // Not in the transaction, which an error would end.
            let writable = crate::columns::writable(&connection, sql, format, wide_as_text);
            connection.execute_batch(&format!(
                "BEGIN TRANSACTION READ ONLY; COPY (\n{}\n) TO {} ({}); COMMIT",
                writable.as_deref().unwrap_or(crate::statement::statement_of(sql)),
                quote_text(&staged.display().to_string()),
                format.sql()
            ))
        };
        let run = || match copy(false) {
            Err(error) if error.to_string().contains("DECIMAL(38,0)") => {
                connection.execute_batch("ROLLBACK")?;
                copy(true)
            }
            result => result,
        };
        let result = job.interruptible(move || interrupt.interrupt(), run);
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        result.map_err(|error| Error::Sql(sql_error(&error.to_string())))?;
        self.folder().hand_out(&place_of(&staged), path)
    }

    /// Writes a relation to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, relation: &Relation, path: &Path) -> Result<()> {
        let format = ExportFormat::of(path)?;
        let staged = self.staged("relation");
        relation.write(&staged, format, self.staging())?;
        self.folder().hand_out(&place_of(&staged), path)
    }
}
