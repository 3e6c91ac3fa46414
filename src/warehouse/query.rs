use std::time::Instant;

use duckdb::Connection;
use duckdb::arrow::datatypes::{DataType, TimeUnit as TimeUnitOf};
use duckdb::types::{TimeUnit, ValueRef};
use kernel::domain::{Job, MICROS_PER_DAY, Time, Value};

use crate::columns::{self, Described, Reading};
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
        self.run_query(sql, limit, false, job).map(|(result, _)| result)
    }

    /// Does the same as [`Warehouse::query`], but gives structs, maps, unions and other nested values as texts
    /// of JSON; and for each column whether it has such texts.
    ///
    /// # Errors
    /// As those of `query`.
    pub fn query_json(
        &self,
        sql: &str,
        limit: usize,
        job: &Job,
    ) -> Result<(QueryResult, Vec<bool>)> {
        self.run_query(sql, limit, true, job)
    }

    fn run_query(
        &self,
        sql: &str,
        limit: usize,
        nested_as_json: bool,
        job: &Job,
    ) -> Result<(QueryResult, Vec<bool>)> {
        let started = Instant::now();
        let connection = self.connect()?;
        self.check_statement(sql)?;
        let interrupt = connection.interrupt_handle();
        let run = || {
            let plan = Plan::of(&connection, sql, nested_as_json);
            connection.execute_batch("BEGIN TRANSACTION READ ONLY")?;
            plan.run(&connection, limit)
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
        let Rows { columns, rows, truncated, readings, .. } = read;
        let are_json = readings.iter().map(|reading| *reading == Reading::Json).collect();
        let seconds = started.elapsed().as_secs_f64();
        Ok((QueryResult { columns, rows, truncated, seconds }, are_json))
    }
}

/// What was read of a statement.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) types: Vec<DataType>,
    /// How the cells of each column were read.
    pub(crate) readings: Vec<Reading>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more.
    pub(crate) truncated: bool,
}

/// How a statement is run so that all its cells can be read.
struct Plan {
    sql: String,
    /// The columns; none where the cells are read as they are.
    columns: Vec<Described>,
    readings: Vec<Reading>,
}

impl Plan {
    /// Plans a statement. Not in a transaction, which an error would end: what cannot be described has an error
    /// of its own when it runs, with its place in the text, or is no query.
    fn of(connection: &Connection, sql: &str, nested_as_json: bool) -> Self {
        let columns = columns::describe(connection, sql).unwrap_or_default();
        let readings: Vec<Reading> =
            columns.iter().map(|column| column.reading(nested_as_json)).collect();
        if readings.iter().all(|reading| *reading == Reading::Native) {
            return Self { sql: sql.to_owned(), columns: Vec::new(), readings };
        }
        let each = (0..).zip(columns.iter().zip(&readings));
        let expressions: Vec<String> = each
            .map(|(position, (column, reading))| column.read(&columns::name(position), *reading))
            .collect();
        Self { sql: columns::over(sql, columns.len(), &expressions), columns, readings }
    }

    /// Runs the statement, and reads its first `limit` rows; none if a column has a type that cannot be read.
    fn run(self, connection: &Connection, limit: usize) -> duckdb::Result<Rows> {
        let mut rows = native_rows_of(connection, &self.sql, limit)?;
        if self.columns.is_empty() {
            return Ok(rows);
        }
        rows.columns = self.columns.into_iter().map(|column| column.name).collect();
        for row in &mut rows.rows {
            for (cell, reading) in row.iter_mut().zip(&self.readings) {
                if let (Value::Text(text), Reading::Number) = (&*cell, reading) {
                    *cell = number(text);
                }
            }
        }
        rows.readings = self.readings;
        Ok(rows)
    }
}

/// Runs a statement outside of a transaction, and reads its first `limit` rows.
pub(crate) fn rows_of(connection: &Connection, sql: &str, limit: usize) -> duckdb::Result<Rows> {
    Plan::of(connection, sql, false).run(connection, limit)
}

fn native_rows_of(connection: &Connection, sql: &str, limit: usize) -> duckdb::Result<Rows> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let columns = rows.as_ref().map_or_else(Vec::new, |statement| statement.column_names());
    let schema = rows.as_ref().map(duckdb::Statement::schema);
    let types: Vec<DataType> = schema
        .iter()
        .flat_map(|schema| schema.fields())
        .map(|field| field.data_type().clone())
        .collect();
    let readings = vec![Reading::Native; types.len()];
    let mut read = Rows { columns, types, readings, rows: Vec::new(), truncated: false };
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

/// The types of the columns of a query, as the client library has them.
pub(crate) fn types_of(connection: &Connection, sql: &str) -> duckdb::Result<Vec<DataType>> {
    Ok(native_rows_of(connection, &format!("SELECT * FROM ({sql}) LIMIT 0"), 0)?.types)
}

/// A number as DuckDB prints it; a text of all its digits where a float has not all of them.
fn number(text: &str) -> Value {
    let Some((_, fraction)) = text.split_once('.') else {
        return text.parse().map_or_else(|_too_wide| Value::text(text), whole);
    };
    let digits = match fraction.bytes().all(|digit| digit == b'0') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text.trim_end_matches('0'),
    };
    match text.parse::<f64>() {
        Ok(number) if number.to_string() == digits => Value::Number(number),
        _ => Value::text(text),
    }
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
        // 0.1 as a shorter float is 0.1, and not 0.10000000149.
        ValueRef::Float(x) => Value::Number(x.to_string().parse().unwrap_or_else(|_| x.into())),
        ValueRef::Double(x) => Value::Number(x),
        ValueRef::Timestamp(_, i64::MAX) | ValueRef::Date32(i32::MAX) => Value::text("infinity"),
        ValueRef::Timestamp(_, n) if n == -i64::MAX => Value::text("-infinity"),
        ValueRef::Date32(days) if days == -i32::MAX => Value::text("-infinity"),
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
    use super::{number, sql_error};
    use kernel::domain::Value;

    #[test]
    fn numbers_keep_their_digits() {
        for text in ["1.5", "0.1", "-3", "9007199254740992", "123456789.25"] {
            assert!(matches!(number(text), Value::Number(_)), "{text}");
        }
        assert_eq!(number("1.50"), Value::Number(1.5));
        assert_eq!(number("2.00"), Value::Number(2.0));
        for text in
            ["9007199254740993", "9007199254740992.25", "12345678901234567890.123", &"9".repeat(60)]
        {
            assert_eq!(number(text), Value::text(text), "{text}");
        }
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
