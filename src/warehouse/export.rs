use std::path::Path;

use duckdb::Connection;
use duckdb::types::Value as Sql;
use kernel::domain::{Job, Time, Value};
use kernel::expression::{quote_identifier, quote_text};

use crate::query::sql_error;
use crate::warehouse::place_of;
use crate::{Error, Relation, Result, Warehouse, instance};

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

/// What a formula begins with in a spreadsheet.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// SQL of the same rows with a `'` before each text and name that begins as a formula does.
fn without_formulas(connection: &Connection, statement: &str) -> String {
    let Some(columns) = crate::columns::describe(connection, statement) else {
        // The statement has an error, which running it reports.
        return statement.to_owned();
    };
    let starts = quote_text(&FORMULA.iter().collect::<String>());
    let each = columns.iter().enumerate().map(|(place, described)| {
        let column = format!("c{place}");
        let type_ = described.type_.as_str();
        let value = match type_ == "VARCHAR" || type_ == "JSON" || type_.starts_with("ENUM(") {
            true => {
                let text = format!("CAST({column} AS VARCHAR)");
                format!(
                    "CASE WHEN {text} <> '' AND contains({starts}, left({text}, 1))
                     THEN chr(39) || {text} ELSE {text} END"
                )
            }
            false => column,
        };
        let name = &described.name;
        let name = match name.starts_with(FORMULA) {
            true => format!("'{name}"),
            false => name.clone(),
        };
        format!("{value} AS {}", quote_identifier(&name))
    });
    let each: Vec<String> = each.collect();
    let places: Vec<String> = (0..columns.len()).map(|place| format!("c{place}")).collect();
    format!("SELECT {} FROM (\n{statement}\n) AS result({})", each.join(", "), places.join(", "))
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
        self.export_rows(sql, path, false, job)
    }

    /// As [`Self::export`], to a CSV file whose texts no spreadsheet takes for a formula: those that begin
    /// with `=`, `+`, `-`, `@`, a tab or the end of a line, and such names of columns, get a `'` before them.
    /// Numbers stay as they are.
    ///
    /// # Errors
    /// As [`Self::export`], and the file is not CSV.
    pub fn export_without_formulas(&self, sql: &str, path: &Path, job: &Job) -> Result<()> {
        if ExportFormat::of(path)? != ExportFormat::Csv {
            let message = "formulas are escaped in .csv files only".to_owned();
            return Err(Error::File { path: path.to_owned(), message });
        }
        self.export_rows(sql, path, true, job)
    }

    fn export_rows(&self, sql: &str, path: &Path, escapes: bool, job: &Job) -> Result<()> {
        let format = ExportFormat::of(path)?;
        let staged = self.staged("export");
        let connection = self.connect()?;
        self.check_statement(sql)?;
        let interrupt = connection.interrupt_handle();
        let copy = |wide_as_text| {
            // Not in the transaction, which an error would end.
            let writable = crate::columns::writable(&connection, sql, format, wide_as_text);
            let mut rows =
                writable.unwrap_or_else(|| crate::statement::statement_of(sql).to_owned());
            if escapes {
                rows = without_formulas(&connection, &rows);
            }
            connection.execute_batch(&format!(
                "BEGIN TRANSACTION READ ONLY; COPY (\n{rows}\n) TO {} ({}); COMMIT",
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
