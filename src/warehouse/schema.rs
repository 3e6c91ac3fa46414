use duckdb::Connection;
use kernel::domain::Type;
use kernel::expression::quote_identifier;

use crate::{Error, Result};

/// The columns of `events` that are not properties.
pub(crate) const EVENT_COLUMNS: [&str; 7] =
    ["message_id", "customer_id", "anonymous_id", "event", "event_time", "received_at", "seq"];

/// Sequence numbers of events that came live, by endpoint offset, begin here; those of files are
/// below. So ties in time are ordered alike in the warehouse and at the endpoint.
pub(crate) const LIVE_SEQ: u64 = 1 << 40;

/// The most properties that have a column of their own.
pub(crate) const MOST_PROPERTIES: usize = 1_000;

/// Creates what is missing in a warehouse file.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS events (
                message_id VARCHAR, customer_id VARCHAR, anonymous_id VARCHAR, event VARCHAR,
                event_time TIMESTAMP, received_at TIMESTAMP, seq BIGINT);
             CREATE TABLE IF NOT EXISTS traits (
                message_id VARCHAR, customer_id VARCHAR, event_time TIMESTAMP,
                received_at TIMESTAMP, seq BIGINT, trait VARCHAR, value JSON);
             CREATE TABLE IF NOT EXISTS imports (
                import BIGINT, source VARCHAR, imported_at TIMESTAMP, read BIGINT,
                accepted BIGINT, duplicate BIGINT, rejected BIGINT, seconds DOUBLE);
             CREATE TABLE IF NOT EXISTS rejected_rows (
                import BIGINT, source VARCHAR, line BIGINT, \"column\" VARCHAR, reason VARCHAR,
                content VARCHAR);
             CREATE TABLE IF NOT EXISTS pulls (endpoint VARCHAR, \"offset\" BIGINT);
             CREATE OR REPLACE VIEW customers AS
                SELECT customer_id, min(event_time) AS first_seen, max(event_time) AS last_seen,
                    count(*) AS event_count
                FROM events WHERE NOT starts_with(event, '$') GROUP BY customer_id;",
        )
        .map_err(Error::duckdb("create its tables"))
}

/// The properties that have a column in `events`, with their types.
pub(crate) fn properties(connection: &Connection) -> Result<Vec<(String, Type)>> {
    let read = || {
        let mut statement = connection.prepare(
            "SELECT column_name, data_type FROM information_schema.columns
             WHERE table_name = 'events' AND table_schema = 'main' ORDER BY ordinal_position",
        )?;
        let columns = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        columns.collect::<duckdb::Result<Vec<_>>>()
    };
    let columns = read().map_err(Error::duckdb("list its columns"))?;
    Ok(columns
        .into_iter()
        .filter(|(name, _)| !EVENT_COLUMNS.contains(&name.as_str()))
        .map(|(name, type_)| (name, type_of(&type_)))
        .collect())
}

/// Our type for a DuckDB type.
pub(crate) fn type_of(sql: &str) -> Type {
    match sql {
        "BOOLEAN" => Type::Boolean,
        "DOUBLE" | "FLOAT" | "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT"
        | "UTINYINT" | "USMALLINT" | "UINTEGER" | "UBIGINT" | "UHUGEINT" => Type::Number,
        sql if sql.starts_with("DECIMAL") => Type::Number,
        sql if sql.starts_with("TIMESTAMP") || sql == "DATE" => Type::Time,
        _ => Type::Text,
    }
}

/// The column for a property: its name, unless that is taken (SQL names ignore case).
pub(crate) fn property_column(property: &str, taken: &[(String, Type)]) -> String {
    let mut name = property.to_owned();
    let is_taken = |name: &str| {
        EVENT_COLUMNS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
            || taken
                .iter()
                .any(|(known, _)| known != name && known.to_lowercase() == name.to_lowercase())
    };
    while is_taken(&name) {
        name.push('_');
    }
    name
}

/// Makes sure that each property has a column that holds its type; widens to text where types
/// differ. Gives the column and its type for each.
pub(crate) fn ensure_columns(
    connection: &Connection,
    wanted: &[(String, Type)],
) -> Result<Vec<(String, Type)>> {
    let mut present = properties(connection)?;
    let mut columns = Vec::with_capacity(wanted.len());
    let alter =
        |sql: String| connection.execute_batch(&sql).map_err(Error::duckdb("change its columns"));
    for (property, type_) in wanted {
        let name = property_column(property, &present);
        let quoted = quote_identifier(&name);
        let found = present.iter().position(|(known, _)| *known == name);
        let type_ = match found.and_then(|position| present.get_mut(position)) {
            None => {
                if present.len() >= MOST_PROPERTIES {
                    return Err(Error::Mapping(format!(
                        "there are {MOST_PROPERTIES} properties already; leave out '{property}'"
                    )));
                }
                alter(format!("ALTER TABLE events ADD COLUMN {quoted} {}", type_.sql()))?;
                present.push((name.clone(), *type_));
                *type_
            }
            Some((_, known)) if known == type_ => *type_,
            Some((_, known)) if *known == Type::Text => Type::Text,
            Some((_, known)) => {
                let text = as_text(&quoted, *known);
                alter(format!("ALTER TABLE events ALTER {quoted} TYPE VARCHAR USING {text}"))?;
                *known = Type::Text;
                Type::Text
            }
        };
        columns.push((name, type_));
    }
    Ok(columns)
}

/// SQL that turns a column of a type into the text that the kernel's coercion makes of it.
pub(crate) fn as_text(column: &str, type_: Type) -> String {
    match type_ {
        Type::Text => column.to_owned(),
        Type::Boolean => format!("CAST({column} AS VARCHAR)"),
        Type::Number => format!(
            "CASE WHEN {column} = trunc({column}) AND abs({column}) < 1e15
             THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) ELSE CAST({column} AS VARCHAR) END"
        ),
        Type::Time => format!("strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')"),
    }
}
