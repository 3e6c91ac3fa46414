use std::time::Instant;

use duckdb::Connection;
use duckdb::arrow::datatypes::{DataType, TimeUnit as TimeUnitOf};
use duckdb::types::{TimeUnit, ValueRef};
use kernel::domain::{Job, MICROS_PER_DAY, Time, Value};

use crate::{Error, Result, Warehouse};

/// The rows of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, as far as they were asked for.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more.
    pub truncated: bool,
    /// How long it took.
    pub seconds: f64,
}

/// What is wrong with a SQL text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place(.position))]
pub struct SqlError {
    /// What DuckDB says, in one line.
    pub message: String,
    /// Line and column in the text, from 1, if DuckDB says so.
    pub position: Option<(usize, usize)>,
    /// All that DuckDB says.
    pub details: String,
}

fn place(position: &Option<(usize, usize)>) -> String {
    position.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default()
}

/// A whole number above this is not exact as `f64`, and shown as text.
const EXACT: i128 = 1 << 53;

impl Warehouse {
    /// Runs a query that reads, and gives its first `limit` rows. It runs in a read-only transaction of
    /// an instance that reaches no file outside of the staging folder.
    ///
    /// # Errors
    /// The SQL has an error (with its place), or the job was canceled.
    pub fn query(&self, sql: &str, limit: usize, job: &Job) -> Result<QueryResult> {
        let started = Instant::now();
        let connection = self.connect()?;
        one_statement(&connection, sql)?;
        let interrupt = connection.interrupt_handle();
        let run = || {
            connection.execute_batch("BEGIN TRANSACTION READ ONLY")?;
            rows_of(&connection, sql, limit)
        };
        let result = job.interruptible(move || interrupt.interrupt(), run);
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let read = result.map_err(|error| sql_error(&error.to_string()))?;
        if let Some(place) = read.types.iter().position(|type_| !is_readable(type_)) {
            let name = read.columns.get(place).map(String::as_str).unwrap_or_default();
            let message = format!("'{name}' has a type that cannot be shown; cast it to VARCHAR");
            return Err(sql_error(&message).into());
        }
        let Rows { columns, rows, truncated, .. } = read;
        Ok(QueryResult { columns, rows, truncated, seconds: started.elapsed().as_secs_f64() })
    }
}

/// What was read of a statement.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) types: Vec<DataType>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more.
    pub(crate) truncated: bool,
}

/// Runs a statement, and reads its first `limit` rows; none if a column has a type that cannot be read.
pub(crate) fn rows_of(connection: &Connection, sql: &str, limit: usize) -> duckdb::Result<Rows> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let columns = rows.as_ref().map_or_else(Vec::new, |statement| statement.column_names());
    let schema = rows.as_ref().map(duckdb::Statement::schema);
    let types: Vec<DataType> = schema
        .iter()
        .flat_map(|schema| schema.fields())
        .map(|field| field.data_type().clone())
        .collect();
    let mut read = Rows { columns, types, rows: Vec::new(), truncated: false };
    if !read.types.iter().all(is_readable) {
        return Ok(read);
    }
    while let Some(row) = rows.next()? {
        if read.rows.len() == limit {
            read.truncated = true;
            break;
        }
        let cell = |(place, type_): (usize, &DataType)| match type_ {
            DataType::Null => Ok(Value::Null),
            _ => Ok(value(row.get_ref(place)?)),
        };
        let values: duckdb::Result<Vec<Value>> = read.types.iter().enumerate().map(cell).collect();
        read.rows.push(values?);
    }
    Ok(read)
}

/// Statements beside SELECT that only look at something.
const LOOKING: [&str; 4] = ["DESCRIBE", "EXPLAIN", "SHOW", "SUMMARIZE"];

/// Refuses all but one statement that looks at something. A client library runs all statements of a text
/// but the last when it prepares it, and the first could end the read-only transaction; so DuckDB's own
/// parser says how many there are.
pub(crate) fn one_statement(connection: &Connection, sql: &str) -> Result<()> {
    let refuse = |message: &str| Err(Error::Sql(sql_error(message)));
    if sql.contains('\0') {
        return refuse("the query has a NUL character");
    }
    let parsed: String = connection
        .query_row("SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", [sql], |row| {
            row.get(0)
        })
        .map_err(|error| Error::Sql(sql_error(&error.to_string())))?;
    let parsed: serde_json::Value = serde_json::from_str(&parsed).unwrap_or_default();
    if parsed["error"] == serde_json::Value::Bool(false) {
        return match parsed["statements"].as_array().map(Vec::len) {
            Some(1) => Ok(()),
            _ => refuse("run one statement at a time; select one of them"),
        };
    }
    if parsed["error_type"] == "parser" || parsed["error_type"] == "syntax" {
        let message = parsed["error_message"].as_str().unwrap_or("the query has an error");
        let place = parsed["position"].as_str().and_then(|place| place.parse::<usize>().ok());
        let mut error = sql_error(&format!("Parser Error: {message}"));
        error.position = place.map(|place| line_and_column(sql, place));
        return Err(Error::Sql(error));
    }
    // Not a SELECT: only what looks, and nothing after it.
    let text = sql.trim().trim_end_matches(';');
    let first = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    match LOOKING.contains(&first.as_str()) && !text.contains(';') {
        true => Ok(()),
        false => {
            refuse("only SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN run here, one at a time")
        }
    }
}

/// The one statement of a text, without the semicolon that ends it and what is after that.
pub(crate) fn statement_of(sql: &str) -> &str {
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let skipped = |open: usize, end: &str| {
            rest[open..].find(end).map_or(rest.len(), |at| open + at + end.len())
        };
        let length = match first {
            ';' => return &sql[..sql.len() - rest.len()],
            '\'' => skipped(1, "'"),
            '"' => skipped(1, "\""),
            '-' if rest.starts_with("--") => skipped(2, "\n"),
            '/' if rest.starts_with("/*") => skipped(2, "*/"),
            _ => first.len_utf8(),
        };
        rest = &rest[length..];
    }
    sql
}

fn line_and_column(sql: &str, place: usize) -> (usize, usize) {
    let before = sql.get(..place).unwrap_or(sql);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// What a value of a type is read as; none if the client library cannot read it.
fn is_readable(type_: &DataType) -> bool {
    match type_ {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::Time64(TimeUnitOf::Microsecond)
        | DataType::Interval(_)
        | DataType::Null => true,
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            *field.data_type() != DataType::Null && is_readable(field.data_type())
        }
        DataType::Struct(fields) => fields
            .iter()
            .all(|field| *field.data_type() != DataType::Null && is_readable(field.data_type())),
        DataType::Map(field, _) => is_readable(field.data_type()),
        DataType::Dictionary(_, values) => is_readable(values),
        _ => false,
    }
}

/// DuckDB's error text as a message and a place: it quotes the line and marks the column with `^`.
pub(crate) fn sql_error(text: &str) -> SqlError {
    let mut lines = text.lines();
    let message = lines.next().unwrap_or_default().trim_end_matches('.').to_owned();
    let mut position = None;
    let all: Vec<&str> = text.lines().collect();
    for pair in all.windows(2) {
        if let (Some(rest), Some(caret)) = (pair[0].strip_prefix("LINE "), pair[1].find('^')) {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let prefix = "LINE ".len() + number.len() + ": ".len();
            if let Ok(line) = number.parse() {
                position = Some((line, (caret + 1).saturating_sub(prefix).max(1)));
            }
        }
    }
    SqlError { message, position, details: text.to_owned() }
}

fn whole(number: i128) -> Value {
    #[allow(clippy::cast_precision_loss, reason = "exact below 2^53")]
    if number.abs() <= EXACT {
        Value::Number(number as f64)
    } else {
        Value::text(number.to_string())
    }
}

/// A DuckDB value as one of ours; what we have no type for becomes text.
pub(crate) fn value(value: ValueRef<'_>) -> Value {
    let time = |unit: TimeUnit, n: i64| {
        let micros = match unit {
            TimeUnit::Second => n.saturating_mul(1_000_000),
            TimeUnit::Millisecond => n.saturating_mul(1_000),
            TimeUnit::Microsecond => n,
            TimeUnit::Nanosecond => n / 1_000,
        };
        Value::Time(Time(micros))
    };
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Boolean(boolean) => Value::Boolean(boolean),
        ValueRef::TinyInt(n) => whole(n.into()),
        ValueRef::SmallInt(n) => whole(n.into()),
        ValueRef::Int(n) => whole(n.into()),
        ValueRef::BigInt(n) => whole(n.into()),
        ValueRef::HugeInt(n) => whole(n),
        ValueRef::UTinyInt(n) => whole(n.into()),
        ValueRef::USmallInt(n) => whole(n.into()),
        ValueRef::UInt(n) => whole(n.into()),
        ValueRef::UBigInt(n) => whole(n.into()),
        ValueRef::Float(x) => Value::Number(x.into()),
        ValueRef::Double(x) => Value::Number(x),
        ValueRef::Timestamp(unit, n) => time(unit, n),
        ValueRef::Date32(days) => Value::Time(Time(i64::from(days).saturating_mul(MICROS_PER_DAY))),
        ValueRef::Text(bytes) => Value::text(String::from_utf8_lossy(bytes).as_ref()),
        other => {
            let owned = duckdb::types::Value::from(other);
            match owned {
                duckdb::types::Value::Decimal(decimal) => {
                    decimal.to_string().parse().map_or(Value::Null, Value::Number)
                }
                duckdb::types::Value::List(items) if items.iter().all(is_single) => {
                    Value::List(items.iter().map(single).collect())
                }
                duckdb::types::Value::Map(entries)
                    if entries
                        .iter()
                        .all(|(key, count)| is_single(key) && counted(count).is_some()) =>
                {
                    let entry = |(key, count): &(_, _)| (single(key), counted(count).unwrap_or(0));
                    Value::Counts(
                        entries
                            .iter()
                            .map(|(key, count)| entry(&(key.clone(), count.clone())))
                            .collect(),
                    )
                }
                other => Value::text(nested(&other)),
            }
        }
    }
}

/// Whether a value in a list is one of ours.
const fn is_single(value: &duckdb::types::Value) -> bool {
    use duckdb::types::Value as Owned;
    matches!(
        value,
        Owned::Null
            | Owned::Boolean(_)
            | Owned::Double(_)
            | Owned::Text(_)
            | Owned::Int(_)
            | Owned::BigInt(_)
            | Owned::Timestamp(TimeUnit::Microsecond, _)
    )
}

fn single(value: &duckdb::types::Value) -> Value {
    use duckdb::types::Value as Owned;
    match value {
        Owned::Boolean(boolean) => Value::Boolean(*boolean),
        Owned::Double(number) => Value::Number(*number),
        Owned::Text(text) => Value::text(text.as_str()),
        Owned::Int(n) => whole((*n).into()),
        Owned::BigInt(n) => whole((*n).into()),
        Owned::Timestamp(TimeUnit::Microsecond, n) => Value::Time(Time(*n)),
        _ => Value::Null,
    }
}

/// A count in a map.
fn counted(value: &duckdb::types::Value) -> Option<u64> {
    match value {
        duckdb::types::Value::BigInt(n) => u64::try_from(*n).ok(),
        duckdb::types::Value::UBigInt(n) => Some(*n),
        _ => None,
    }
}

/// A nested value as text, much as DuckDB prints it.
fn nested(value: &duckdb::types::Value) -> String {
    use duckdb::types::Value as Owned;
    let list = |items: &[Owned]| {
        let items: Vec<String> = items.iter().map(nested).collect();
        format!("[{}]", items.join(", "))
    };
    match value {
        Owned::Null => "NULL".to_owned(),
        Owned::Text(text) | Owned::Enum(text) => text.clone(),
        Owned::Boolean(b) => b.to_string(),
        Owned::TinyInt(n) => n.to_string(),
        Owned::SmallInt(n) => n.to_string(),
        Owned::Int(n) => n.to_string(),
        Owned::BigInt(n) => n.to_string(),
        Owned::HugeInt(n) => n.to_string(),
        Owned::UInt(n) => n.to_string(),
        Owned::UBigInt(n) => n.to_string(),
        Owned::Float(x) => x.to_string(),
        Owned::Double(x) => x.to_string(),
        Owned::Decimal(decimal) => decimal.to_string(),
        Owned::Timestamp(TimeUnit::Microsecond, n) => Time(*n).to_string(),
        Owned::List(items) | Owned::Array(items) => list(items),
        Owned::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", nested(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{sql_error, statement_of};

    #[test]
    fn a_statement_ends_at_its_semicolon() {
        assert_eq!(statement_of("SELECT ';' -- ;\n FROM a; -- b"), "SELECT ';' -- ;\n FROM a");
        assert_eq!(statement_of("SELECT \"a;b\" /* ; */"), "SELECT \"a;b\" /* ; */");
    }

    #[test]
    fn the_place_of_an_error_is_found() {
        let text =
            "Binder Error: no column x\n\nLINE 2: FROM events WHERE x\n                          ^";
        let error = sql_error(text);
        assert_eq!(error.position, Some((2, 19)));
        assert_eq!(error.to_string(), "Binder Error: no column x (line 2, column 19)");
    }
}
