//! The ids that rows came with, so that a join can be undone.
//!
//! In: live events and joins as they are pulled. Kept: the id that each row came with, where that is not its
//! customer, and which id was joined to which. Out: which rows a join moves, and rows that belong to their own id
//! again.

use duckdb::Connection;
use kernel::domain::{ALIAS, Event};

use crate::schema::LIVE_SEQ;
use crate::{Error, Result};

const TABLES: [&str; 2] = ["stored_events", "traits"];

/// SQL of whether a join of the customer of a row moves it. A browser key, which is public, moves no customer of a
/// file: of those rows it moves only what came with the id as an anonymous one.
pub(crate) fn is_moved(table: &str) -> String {
    let is_anonymous = match table {
        "stored_events" => "OR stored_events.anonymous_id = stored_events.customer_id",
        _ => "",
    };
    format!(
        "({table}.seq >= {LIVE_SEQ} {is_anonymous} OR {table}.customer_id NOT IN
            (SELECT id FROM joins WHERE joined_by = 'browser'))"
    )
}

/// Keeps the ids that events came with, by their sequence numbers.
pub(crate) fn keep_own_ids(connection: &Connection, known_as: &[(u64, &str)]) -> Result<()> {
    if known_as.is_empty() {
        return Ok(());
    }
    let keep = || {
        let mut appender = connection.appender("known_as")?;
        for (seq, id) in known_as {
            appender.append_row(duckdb::params![seq, id])?;
        }
        appender.flush()
    };
    keep().map_err(Error::duckdb("keep the ids of events"))
}

/// Keeps what the joins among events are about to move. To be called before rows are moved.
pub(crate) fn keep_joins(connection: &Connection, events: &[Event]) -> Result<()> {
    let joins = events.iter().filter(|event| event.event == ALIAS);
    let joins: Vec<(&str, &str, Option<String>)> = joins
        .filter_map(|join| {
            let joined_by = join.properties.get("joined_by").map(ToString::to_string);
            Some((join.anonymous_id.as_deref()?, &*join.customer_id, joined_by))
        })
        .collect();
    if joins.is_empty() {
        return Ok(());
    }
    let keep = || {
        let mut appender = connection.appender("joins")?;
        for (id, customer, joined_by) in &joins {
            appender.append_row(duckdb::params![id, customer, joined_by])?;
        }
        appender.flush()
    };
    keep().map_err(Error::duckdb("keep the joins of ids"))?;
    keep_moved(connection)
}

/// Keeps the ids of rows that joins are about to move.
pub(crate) fn keep_moved(connection: &Connection) -> Result<()> {
    for table in TABLES {
        // A row that was moved before keeps the id that it came with first.
        let sql = format!(
            "INSERT INTO known_as SELECT DISTINCT seq, customer_id FROM {table}
                WHERE customer_id IN (SELECT id FROM joins) AND seq NOT IN (SELECT seq FROM known_as)
                    AND {}",
            is_moved(table)
        );
        connection.execute_batch(&sql).map_err(Error::duckdb("keep the ids of events"))?;
    }
    Ok(())
}

/// Gives the rows that came with an id, and with those that were joined to it, back to it.
pub(crate) fn undo(connection: &Connection, undone: &Event) -> Result<()> {
    let Some(id) = undone.anonymous_id.as_deref() else { return Ok(()) };
    let undo = || -> duckdb::Result<()> {
        // The ids that were joined to it go with it.
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE undone AS
             WITH RECURSIVE ids AS (
                SELECT CAST(? AS VARCHAR) AS id
                UNION SELECT joins.id FROM joins JOIN ids ON joins.customer_id = ids.id)
             SELECT id FROM ids",
            [id],
        )?;
        for table in TABLES {
            connection.execute(
                &format!(
                    "UPDATE {table} SET customer_id = ?1
                     WHERE customer_id IN (SELECT customer_id FROM aliases WHERE anonymous_id = ?1)
                        AND seq IN (SELECT seq FROM known_as SEMI JOIN undone USING (id))"
                ),
                [id],
            )?;
        }
        connection.execute("DELETE FROM aliases WHERE anonymous_id = ?", [id])?;
        connection.execute(
            "UPDATE aliases SET customer_id = ? WHERE anonymous_id IN (SELECT id FROM undone)",
            [id],
        )?;
        connection.execute("DELETE FROM joins WHERE id = ?", [id])?;
        // What is kept of timelines is of another warehouse then.
        connection.execute_batch("UPDATE warehouse SET id = CAST(uuid() AS VARCHAR)")?;
        connection.execute_batch("DROP TABLE undone")
    };
    undo().map_err(Error::duckdb("undo a join"))
}
