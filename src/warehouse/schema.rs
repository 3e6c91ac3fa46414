use duckdb::Connection;
use kernel::domain::{Job, NOT_SYSTEM_SQL, PropertyType, PropertyTypes, Type};
use kernel::expression::quote_identifier;

use crate::{Error, Result, catalog, retype};

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
const TABLES: [(&str, &str); 12] = [
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
    (
        "stored_originals",
        "message_uuid UUID, message_id VARCHAR, property VARCHAR, is_trait BOOLEAN, original VARCHAR,
         reason VARCHAR",
    ),
    ("aliases", "anonymous_id VARCHAR, customer_id VARCHAR"),
    ("warehouse", "id VARCHAR"),
    ("pulls", "endpoint VARCHAR, \"offset\" BIGINT"),
    ("publishes", "endpoint VARCHAR, last_seq BIGINT, log_end BIGINT"),
    ("accepted_projects", "endpoint VARCHAR, project VARCHAR"),
    ("known_as", "seq BIGINT, id VARCHAR"),
    ("joins", "id VARCHAR, customer_id VARCHAR, joined_by VARCHAR"),
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
fn views(connection: &Connection) -> Result<[(&'static str, String); 3]> {
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
        (
            "misfits",
            "SELECT coalesce(message_id, CAST(message_uuid AS VARCHAR)) AS message_id, property, original,
                 reason, is_trait
             FROM stored_originals WHERE reason IS NOT NULL"
                .to_owned(),
        ),
    ])
}

/// Creates the views that people read.
pub(crate) fn create_views(connection: &Connection) -> Result<()> {
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

/// Makes sure that each property has a column. A property that the project knows keeps its type, whatever is
/// wanted; one that is new gets the wanted type. Gives the column and its type for each; none where there are
/// too many. Names that differ only in case are one column, as they are in SQL.
pub(crate) fn ensure_columns(
    connection: &Connection,
    types: &mut PropertyTypes,
    wanted: &[(String, PropertyType)],
) -> Result<Vec<Option<(String, PropertyType)>>> {
    let mut present: Vec<String> =
        properties(connection)?.into_iter().map(|(name, _)| name).collect();
    let before = present.len();
    let mut columns = Vec::with_capacity(wanted.len());
    for (property, type_) in wanted {
        let known = types.property(property).map(|(name, type_)| (name.to_owned(), type_));
        let (name, type_) = known.unwrap_or_else(|| (property.clone(), *type_));
        if !present.contains(&name) {
            if present.len() >= MOST_PROPERTIES {
                columns.push(None);
                continue;
            }
            let column = quote_identifier(&name);
            let sql =
                format!("ALTER TABLE stored_events ADD COLUMN {column} {}", type_.type_of().sql());
            connection.execute_batch(&sql).map_err(Error::duckdb("change its columns"))?;
            types.properties.insert(name.clone(), type_);
            present.push(name.clone());
        }
        columns.push(Some((name, type_)));
    }
    if present.len() != before {
        create_views(connection)?;
    }
    Ok(columns)
}

/// Brings the columns to the types of the project, which may have been changed as text, and gives types to
/// what has none yet: a warehouse of an earlier version keeps those that it has.
pub(crate) fn apply_types(
    connection: &Connection,
    types: Option<PropertyTypes>,
) -> Result<PropertyTypes> {
    let is_new = types.is_none();
    let mut types = types.unwrap_or_default();
    for (column, type_) in properties(connection)? {
        match types.property(&column).map(|(name, type_)| (name.to_owned(), type_)) {
            None => drop(types.properties.insert(column, PropertyType::found(type_))),
            Some((name, wanted)) if name != column => {
                types.properties.remove(&name);
                types.properties.insert(column.clone(), wanted);
                if wanted.type_of() != type_ {
                    retype::retype_property(
                        connection,
                        &mut types,
                        &column,
                        wanted,
                        &Job::unwatched(),
                    )?;
                }
            }
            Some((_, wanted)) if wanted.type_of() != type_ => {
                retype::retype_property(
                    connection,
                    &mut types,
                    &column,
                    wanted,
                    &Job::unwatched(),
                )?;
            }
            Some(_) => {}
        }
    }
    if is_new {
        let traits = catalog::trait_types(connection)?.into_iter();
        types.traits.extend(traits.map(|(name, type_)| (name, PropertyType::found(type_))));
    }
    Ok(types)
}
