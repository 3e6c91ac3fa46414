use std::collections::HashSet;
use std::path::Path;

use duckdb::Connection;
use duckdb::arrow::array::RecordBatch;
use kernel::domain::{Job, Type};
use kernel::expression::{quote_identifier, quote_text};

use super::{Columns, Rows, Stop, Take};
use crate::import::source::Source;
use crate::{Error, Result, instance, schema};

fn failed(path: &Path) -> impl Fn(duckdb::Error) -> Error {
    move |error| match error.to_string() {
        text if text.contains("INTERRUPT") => Error::Canceled,
        text => {
            let line = text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
            Error::File { path: path.to_owned(), message: line }
        }
    }
}

/// The columns of all files, in the order in which they first come. A file without one of them has nulls in
/// it; names that differ only in case are one column, as in SQL.
pub(super) fn columns(staging: &Path, source: &Source) -> Result<Columns> {
    let connection = instance::open_for_files(staging)?;
    let mut columns = Columns { names: Vec::new(), paths: Vec::new() };
    let mut known = HashSet::new();
    for path in &source.files {
        for (name, _) in schema_of(&connection, path).map_err(failed(path))? {
            if known.insert(name.to_lowercase()) {
                columns.names.push(name);
            }
        }
    }
    Ok(columns)
}

/// The names and types of a file's columns.
fn schema_of(connection: &Connection, path: &Path) -> duckdb::Result<Vec<(String, String)>> {
    let describe = format!(
        "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {})",
        from_file(path)
    );
    let mut statement = connection.prepare(&describe)?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.collect()
}

fn from_file(path: &Path) -> String {
    // DuckDB takes names for globs; a character class of one character is that character.
    let escape = |c: char| match c {
        '[' | '*' | '?' => format!("[{c}]"),
        c => c.to_string(),
    };
    let name: String = path.display().to_string().chars().map(escape).collect();
    format!("read_parquet([{}], hive_partitioning = false)", quote_text(&name))
}

/// Digits of a decimal that an `f64` keeps, whatever they are.
const SAFE_DIGITS: u32 = 15;

/// SQL of a column as one of the types that rows have; what has none of them is text. Every file has its own:
/// what all of its values are is found out over all files.
fn as_it_is(column: &str, type_: &str) -> String {
    let text = format!("CAST({column} AS VARCHAR)");
    match schema::type_of(type_) {
        _ if type_.contains("STRUCT")
            || type_.contains("MAP")
            || type_.contains("UNION")
            || type_.ends_with(']') =>
        {
            format!("CAST(to_json({column}) AS VARCHAR)")
        }
        // Some writers do not note that bytes are text.
        _ if type_ == "BLOB" => format!("coalesce(TRY(decode({column})), {text})"),
        // More digits than a number keeps: what they are shows when they are looked at.
        Type::Number if type_.contains("HUGEINT") || type_ == "UBIGINT" => text,
        Type::Number if type_.ends_with("INT") || type_.ends_with("INTEGER") => {
            format!("CAST({column} AS BIGINT)")
        }
        Type::Number => match decimal(type_) {
            Some((digits, 0)) if digits > SAFE_DIGITS => text,
            // Zeros at the end of a fraction are no digits of the number.
            Some((digits, _)) if digits > SAFE_DIGITS => {
                format!("rtrim(rtrim({text}, '0'), '.')")
            }
            _ => format!("CAST({column} AS DOUBLE)"),
        },
        // Without ICU there is no cast from a time with a zone, but its microseconds are UTC.
        Type::Time if type_.contains("TIME ZONE") => format!("make_timestamp(epoch_us({column}))"),
        Type::Time => format!("TRY_CAST({column} AS TIMESTAMP)"),
        Type::Boolean => column.to_owned(),
        _ => text,
    }
}

/// The digits of a `DECIMAL(digits, scale)`, and how many of them come after the point.
fn decimal(type_: &str) -> Option<(u32, u32)> {
    let (digits, scale) = type_.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
    Some((digits.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// Reads all rows of Parquet files.
pub(super) fn read(
    staging: &Path,
    source: &Source,
    columns: &Columns,
    job: &Job,
    take: &mut Take<'_>,
) -> std::result::Result<(), Stop> {
    let connection = instance::open_for_files(staging)?;
    let interrupt = connection.interrupt_handle();
    job.interruptible(
        move || interrupt.interrupt(),
        || {
            for place in 0..source.files.len() {
                read_file(&connection, source, place, columns, take)?;
            }
            Ok(())
        },
    )
}

fn read_file(
    connection: &Connection,
    source: &Source,
    place: usize,
    columns: &Columns,
    take: &mut Take<'_>,
) -> std::result::Result<(), Stop> {
    let Some(path) = source.files.get(place) else { return Ok(()) };
    let failed = failed(path);
    let from = from_file(path);
    let total: u64 = connection
        .query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0))
        .map_err(&failed)?;
    let schema = schema_of(connection, path).map_err(&failed)?;
    let select = |(n, name): (usize, &String)| {
        let own = schema.iter().find(|(own, _)| own.to_lowercase() == name.to_lowercase());
        match own {
            Some((own, type_)) => format!("{} AS c{n}", as_it_is(&quote_identifier(own), type_)),
            None => format!("CAST(NULL AS VARCHAR) AS c{n}"),
        }
    };
    let selected: Vec<String> = columns.names.iter().enumerate().map(select).collect();
    let sql = format!("SELECT {} FROM {from}", selected.join(", "));
    let mut statement = connection.prepare(&sql).map_err(&failed)?;
    let mut line = 0;
    for batch in statement.stream_arrow([]).map_err(&failed)? {
        let batch: RecordBatch = batch.map_err(&failed)?;
        let n = batch.num_rows() as u64;
        #[allow(clippy::cast_precision_loss, reason = "progress for people")]
        let share = source.share(place, line as f32 / total.max(1) as f32);
        take(Rows {
            file: place,
            lines: (line + 1..=line + n).collect(),
            columns: batch.columns().to_vec(),
            later: Vec::new(),
            rejects: Vec::new(),
            remarks: Vec::new(),
            share,
        })?;
        line += n;
    }
    Ok(())
}
