//! Values as they came, where the column of their property does not hold them so.
//!
//! The table `stored_originals` has the misfits, which are null in their column and which people read as the
//! view `misfits`, and texts whose spelling is lost in their column (`5.50` in a column of numbers). Another
//! type reads both again, so that the warehouse and an endpoint, which keeps every event as it came, agree.

use std::collections::HashMap;

use duckdb::Connection;
use duckdb::types::Value as Sql;
use kernel::domain::{MisfitReason, PropertyType, Type, Value};

use crate::message_id::MessageId;
use crate::{Error, Result};

/// A value as it came.
#[derive(Clone, Debug)]
pub(crate) struct Original {
    /// The event.
    pub(crate) message: MessageId,
    /// The event's sequence number.
    pub(crate) seq: i64,
    /// The property or trait.
    pub(crate) property: String,
    pub(crate) is_trait: bool,
    pub(crate) text: String,
    /// Why it does not fit; none where only its spelling is lost.
    pub(crate) reason: Option<MisfitReason>,
}

/// Reads a value as a type; gives what the column holds, and what is lost in it: the text and the reason.
pub(crate) fn read(
    value: &Value,
    type_: PropertyType,
) -> (Value, Option<(String, Option<MisfitReason>)>) {
    match (type_.fit(value), value) {
        (Err(reason), value) => (Value::Null, Some((value.to_string(), Some(reason)))),
        (Ok(read), Value::Text(text)) if type_.type_of() != Type::Text => {
            let is_lost = read.to_string() != **text;
            (read, is_lost.then(|| (text.to_string(), None)))
        }
        (Ok(read), _) => (read, None),
    }
}

/// Originals of properties, as pairs of property and text, by message id.
pub(crate) type Originals = HashMap<String, Vec<(String, String)>>;

/// The originals of properties, as pairs of property and text, by message id.
pub(crate) fn by_message(connection: &Connection) -> Result<Originals> {
    let read = || {
        let mut statement = connection.prepare(
            "SELECT coalesce(message_id, CAST(message_uuid AS VARCHAR)), property, original
             FROM stored_originals WHERE NOT is_trait",
        )?;
        let mut rows = statement.query([])?;
        let mut originals = Originals::new();
        while let Some(row) = rows.next()? {
            originals.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
        }
        Ok(originals)
    };
    read().map_err(Error::duckdb("read misfits"))
}

/// Keeps the originals of events that are accepted, by a SQL condition over `n` with the columns of
/// `stored_originals` and `seq`. Gives the number of misfits among them.
pub(crate) fn keep(
    connection: &Connection,
    originals: &[Original],
    is_accepted: &str,
) -> Result<u64> {
    if originals.is_empty() {
        return Ok(0);
    }
    kept(connection, originals, is_accepted).map_err(Error::duckdb("keep misfits"))
}

fn kept(connection: &Connection, originals: &[Original], is_accepted: &str) -> duckdb::Result<u64> {
    connection.execute_batch(
        "CREATE OR REPLACE TEMP TABLE new_originals AS
            SELECT *, CAST(0 AS BIGINT) AS seq FROM stored_originals LIMIT 0",
    )?;
    let mut appender = connection.appender("new_originals")?;
    for original in originals {
        let (uuid, id) = match &original.message {
            MessageId::Uuid(_) => (Sql::Text(original.message.text()), Sql::Null),
            MessageId::Text(text) => (Sql::Null, Sql::Text(text.to_string())),
        };
        let reason = original.reason.map(|reason| reason.to_string());
        appender.append_row(duckdb::params![
            uuid,
            id,
            original.property,
            original.is_trait,
            original.text,
            reason,
            original.seq
        ])?;
    }
    appender.flush()?;
    drop(appender);
    let misfits = connection.query_row(
        &format!("SELECT count(*) FROM new_originals n WHERE reason IS NOT NULL AND {is_accepted}"),
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch(&format!(
        "INSERT INTO stored_originals SELECT n.* EXCLUDE (seq) FROM new_originals n WHERE {is_accepted};
         DROP TABLE new_originals"
    ))?;
    Ok(misfits)
}
