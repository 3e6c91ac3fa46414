use duckdb::Connection;
use kernel::domain::{NOT_SYSTEM_SQL, Type};
use kernel::expression::quote_identifier;

use crate::{Error, Result};

/// The columns of `stored_events` that are not properties. People read it as the view `events`, where
/// `message_id` is the text of either id, and `received_at` is there also where it is the event's time.
pub(crate) const EVENT_COLUMNS: [&str; 8] = [
    "message_uuid",
    "message_id",
    "customer_id",
    "anonymous_id",
    "event",
    "event_time",
    "received_at",
    "seq",
];

/// The columns of `traits`.
pub(crate) const TRAIT_COLUMNS: [&str; 7] =
    ["message_id", "customer_id", "event_time", "received_at", "seq", "trait", "value"];

/// Sequence numbers of events that came live, by endpoint offset, begin here; those of files are
/// below. So ties in time are ordered alike in the warehouse and at the endpoint.
pub(crate) const LIVE_SEQ: u64 = 1 << 40;

/// The most properties that have a column of their own.
pub(crate) const MOST_PROPERTIES: usize = 1_000;

/// SQL of the number of the latest row from a file, over events and traits alike.
pub(crate) fn last_file_seq() -> String {
    format!(
        "(SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM stored_events UNION ALL SELECT seq FROM traits)
            WHERE seq < {LIVE_SEQ})"
    )
}

/// The tables, with their columns.
const TABLES: [(&str, &str); 9] = [
    (
        "stored_events",
        "message_uuid UUID, message_id VARCHAR, customer_id VARCHAR, anonymous_id VARCHAR, event VARCHAR,
         event_time TIMESTAMP, received_at TIMESTAMP, seq BIGINT",
    ),
    (
        "traits",
        "message_id VARCHAR, customer_id VARCHAR, event_time TIMESTAMP, received_at TIMESTAMP, seq BIGINT,
         trait VARCHAR, value JSON",
    ),
    (
        "imports",
        "import BIGINT, source VARCHAR, imported_at TIMESTAMP, read BIGINT, accepted BIGINT,
         duplicate BIGINT, rejected BIGINT, seconds DOUBLE",
    ),
    (
        "rejected_rows",
        "import BIGINT, source VARCHAR, line BIGINT, \"column\" VARCHAR, reason VARCHAR, content VARCHAR",
    ),
    ("aliases", "anonymous_id VARCHAR, customer_id VARCHAR"),
    ("warehouse", "id VARCHAR"),
    ("pulls", "endpoint VARCHAR, \"offset\" BIGINT"),
    ("publishes", "endpoint VARCHAR, last_seq BIGINT, log_end BIGINT"),
    ("accepted_projects", "endpoint VARCHAR, project VARCHAR"),
];

/// Creates what is missing in a warehouse file. A file that has everything is not written to.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    migrate(connection)?;
    let failed = || Error::duckdb("create its tables");
    let known = tables(connection).map_err(failed())?;
    for (name, columns) in TABLES {
        if !known.iter().any(|known| known == name) {
            let sql = format!("CREATE TABLE IF NOT EXISTS {name} ({columns})");
            connection.execute_batch(&sql).map_err(failed())?;
        }
    }
    let has_id: bool = connection
        .query_row("SELECT count(*) > 0 FROM warehouse", [], |row| row.get(0))
        .map_err(failed())?;
    if !has_id {
        let sql = "INSERT INTO warehouse SELECT CAST(uuid() AS VARCHAR)";
        connection.execute_batch(sql).map_err(failed())?;
    }
    if are_views_current(connection)? { Ok(()) } else { create_views(connection) }
}

fn tables(connection: &Connection) -> duckdb::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT table_name FROM duckdb_tables()
         WHERE database_name = current_database() AND schema_name = 'main'",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Warehouses of an earlier version have `events` as a table with ids as text.
fn migrate(connection: &Connection) -> Result<()> {
    let sql = "SELECT count(*) > 0 FROM information_schema.tables
        WHERE table_schema = 'main' AND table_name = 'events' AND table_type = 'BASE TABLE'";
    let is_old: bool = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(Error::duckdb("look for its version"))?;
    if !is_old {
        return Ok(());
    }
    // Each statement is bound when the one before it was run.
    for sql in [
        "BEGIN",
        "DROP VIEW IF EXISTS customers",
        "ALTER TABLE events RENAME TO stored_events",
        "ALTER TABLE stored_events ADD COLUMN message_uuid UUID",
        "COMMIT",
    ] {
        connection.execute_batch(sql).map_err(Error::duckdb("bring it to this version"))?;
    }
    Ok(())
}

/// The views that people read, with their SQL for the properties that there are.
fn views(connection: &Connection) -> Result<[(&'static str, String); 2]> {
    let properties = properties(connection)?;
    let columns: String =
        properties.iter().map(|(name, _)| format!(", {}", quote_identifier(name))).collect();
    Ok([
        (
            "events",
            format!(
                "SELECT coalesce(message_id, CAST(message_uuid AS VARCHAR)) AS message_id, customer_id,
                    anonymous_id, event, event_time, coalesce(received_at, event_time) AS received_at,
                    seq{columns}
                 FROM stored_events"
            ),
        ),
        (
            "customers",
            format!(
                "SELECT customer_id, min(event_time) AS first_seen, max(event_time) AS last_seen,
                    count(*) AS event_count
                 FROM events WHERE {NOT_SYSTEM_SQL} GROUP BY customer_id"
            ),
        ),
    ])
}

/// Creates the views that people read.
fn create_views(connection: &Connection) -> Result<()> {
    for (name, sql) in views(connection)? {
        connection
            .execute_batch(&format!("CREATE OR REPLACE VIEW {name} AS {sql}"))
            .map_err(Error::duckdb("create its views"))?;
    }
    Ok(())
}

/// Whether the views are those that this version makes, seen by making them once more beside the file.
fn are_views_current(connection: &Connection) -> Result<bool> {
    let is_current = |(name, sql): (&str, String)| -> duckdb::Result<bool> {
        let expected = format!("expected_{name}");
        let body = |name: &str, is_temporary: bool| -> duckdb::Result<Option<String>> {
            let sql = "SELECT sql FROM duckdb_views() WHERE view_name = ? AND temporary = ?
                AND (temporary OR (database_name = current_database() AND schema_name = 'main'))";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query(duckdb::params![name, is_temporary])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let sql: String = row.get(0)?;
            Ok(sql.split_once(" AS SELECT ").map(|(_, body)| body.to_owned()))
        };
        let Some(found) = body(name, false)? else { return Ok(false) };
        connection.execute_batch(&format!("CREATE OR REPLACE TEMP VIEW {expected} AS {sql}"))?;
        let is_current = body(&expected, true)? == Some(found);
        connection.execute_batch(&format!("DROP VIEW {expected}"))?;
        Ok(is_current)
    };
    let mut all = true;
    for view in views(connection)? {
        all = all && is_current(view).unwrap_or(false);
    }
    Ok(all)
}

/// The properties that have a column in `events`, with their types.
pub(crate) fn properties(connection: &Connection) -> Result<Vec<(String, Type)>> {
    let read = || {
        let mut statement = connection.prepare(
            "SELECT column_name, data_type FROM information_schema.columns
             WHERE table_name = 'stored_events' AND table_schema = 'main' ORDER BY ordinal_position",
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

/// Makes sure that each property has a column that holds its type; widens to text where types differ.
/// Gives the column and its type for each; none where there are too many. Names that differ only in
/// case are one column, as they are in SQL.
pub(crate) fn ensure_columns(
    connection: &Connection,
    wanted: &[(String, Type)],
) -> Result<Vec<Option<(String, Type)>>> {
    let before = properties(connection)?;
    let mut present = before.clone();
    let mut columns = Vec::with_capacity(wanted.len());
    let alter =
        |sql: String| connection.execute_batch(&sql).map_err(Error::duckdb("change its columns"));
    for (property, type_) in wanted {
        let same = |known: &str| known.to_lowercase() == property.to_lowercase();
        let found = present.iter().position(|(known, _)| same(known));
        let n_present = present.len();
        let column = match found.and_then(|position| present.get_mut(position)) {
            None if n_present >= MOST_PROPERTIES => None,
            None => {
                let quoted = quote_identifier(property);
                alter(format!("ALTER TABLE stored_events ADD COLUMN {quoted} {}", type_.sql()))?;
                present.push((property.clone(), *type_));
                Some((property.clone(), *type_))
            }
            Some((name, known)) if known == type_ => Some((name.clone(), *type_)),
            Some((name, Type::Text)) => Some((name.clone(), Type::Text)),
            Some((name, known)) => {
                let quoted = quote_identifier(name);
                let text = as_text(&quoted, *known);
                alter(format!(
                    "ALTER TABLE stored_events ALTER {quoted} TYPE VARCHAR USING {text}"
                ))?;
                *known = Type::Text;
                Some((name.clone(), Type::Text))
            }
        };
        columns.push(column);
    }
    if present != before {
        create_views(connection)?;
    }
    Ok(columns)
}

/// Gives a property that is text the type that a person says it has; whether it was text.
pub(crate) fn retype(connection: &Connection, property: &str, type_: Type) -> Result<bool> {
    let same = |known: &str| known.to_lowercase() == property.to_lowercase();
    let known = properties(connection)?.into_iter().find(|(known, _)| same(known));
    let Some((name, Type::Text)) = known.filter(|_| type_ != Type::Text) else { return Ok(false) };
    let column = quote_identifier(&name);
    let typed = format!("TRY_CAST({column} AS {})", type_.sql());
    let odd =
        format!("SELECT min({column}) FROM stored_events WHERE {column} <> '' AND {typed} IS NULL");
    let odd: Option<String> = connection
        .query_row(&odd, [], |row| row.get(0))
        .map_err(Error::duckdb("look at a column"))?;
    if let Some(odd) = odd {
        return Err(Error::Mapping(format!(
            "'{name}' is text here, and has values like '{odd}': it cannot become a {type_}"
        )));
    }
    connection
        .execute_batch(&format!(
            "ALTER TABLE stored_events ALTER {column} TYPE {} USING {typed}",
            type_.sql()
        ))
        .map_err(Error::duckdb("change its columns"))?;
    create_views(connection)?;
    Ok(true)
}

/// SQL that turns a column of a type into the text that the kernel's coercion makes of it.
pub(crate) fn as_text(column: &str, type_: Type) -> String {
    match type_ {
        Type::Text | Type::List(_) | Type::Counts(_) => column.to_owned(),
        Type::Boolean => format!("CAST({column} AS VARCHAR)"),
        Type::Number => format!(
            "CASE WHEN {column} = trunc({column}) AND abs({column}) < 1e15
             THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) ELSE CAST({column} AS VARCHAR) END"
        ),
        // As RFC 3339 without zeros at the end of the fraction.
        Type::Time => format!(
            "regexp_replace(regexp_replace(strftime({column}, '%Y-%m-%dT%H:%M:%S.%f'),
                '0+$', ''), '\\.$', '') || 'Z'"
        ),
    }
}
