use std::path::Path;

use duckdb::types::Value as Sql;
use kernel::domain::{Job, Time, Type, Value};
use kernel::expression::{quote_identifier, quote_text};
use kernel::features::Column;

use crate::{Error, Result, Warehouse, instance, query::sql_error};

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

/// Columns of equal length, named: what is written to a file.
#[derive(Clone, Debug, Default)]
pub struct Relation {
    /// Names and values.
    pub columns: Vec<(String, Column)>,
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
    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, format: ExportFormat, scratch: &Path) -> Result<()> {
        let failed = || Error::duckdb("write a file");
        let connection = instance::open_for_files(scratch)?;
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, column)| format!("{} {}", quote_identifier(name), column.type_of().sql()))
            .collect();
        let create = format!("CREATE TABLE relation ({})", columns.join(", "));
        connection.execute_batch(&create).map_err(failed())?;
        let mut appender = connection.appender("relation").map_err(failed())?;
        for row in 0..self.n_rows() {
            let values = self.columns.iter().map(|(_, column)| sql_value(&column.value(row)));
            appender
                .append_row(duckdb::appender_params_from_iter(values.collect::<Vec<_>>()))
                .map_err(failed())?;
        }
        appender.flush().map_err(failed())?;
        drop(appender);
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
        crate::query::one_statement(&connection, sql)?;
        let interrupt = connection.interrupt_handle();
        let copy = format!(
            "BEGIN TRANSACTION READ ONLY; COPY (\n{}\n) TO {} ({}); COMMIT",
            sql.trim().trim_end_matches(';'),
            quote_text(&staged.display().to_string()),
            format.sql()
        );
        let result =
            job.interruptible(move || interrupt.interrupt(), || connection.execute_batch(&copy));
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        result.map_err(|error| Error::Sql(sql_error(&error.to_string())))?;
        self.hand_out(&staged, path)
    }

    /// Writes a relation to a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, relation: &Relation, path: &Path) -> Result<()> {
        let format = ExportFormat::of(path)?;
        let staged = self.staged("relation");
        relation.write(&staged, format, self.staging())?;
        self.hand_out(&staged, path)
    }

    fn hand_out(&self, staged: &Path, path: &Path) -> Result<()> {
        let moved = std::fs::rename(staged, path).or_else(|_| {
            std::fs::copy(staged, path).map(|_| ()).and_then(|()| std::fs::remove_file(staged))
        });
        moved.map_err(Error::io("write", path))
    }
}

impl Relation {
    /// Adds a column of texts.
    #[must_use]
    pub fn with_texts<'a>(mut self, name: &str, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut column = Column::new(Type::Text);
        for text in texts {
            column.push(kernel::features::Cell::Text(text));
        }
        self.columns.push((name.to_owned(), column));
        self
    }

    /// Adds a column of times.
    #[must_use]
    pub fn with_times(mut self, name: &str, times: impl Iterator<Item = Time>) -> Self {
        self.columns.push((name.to_owned(), Column::Time(times.map(|time| time.0).collect())));
        self
    }

    /// Adds a column.
    #[must_use]
    pub fn with_column(mut self, name: &str, column: Column) -> Self {
        self.columns.push((name.to_owned(), column));
        self
    }
}
