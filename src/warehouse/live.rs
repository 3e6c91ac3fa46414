use std::collections::BTreeMap;

use duckdb::Connection;
use duckdb::types::Value as Sql;
use kernel::domain::{Event, IDENTIFY, Job, Type, Value, property};
use kernel::expression::quote_identifier;

use crate::export::{sql_time, sql_value};
use crate::joins::{Joins, Owned};
use crate::message_id::MessageId;
use crate::{Error, Result, Warehouse, schema};

/// What became of pulled events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Events that were new here.
    pub accepted: u64,
    /// Events that were here already, because they were published from here.
    pub duplicate: u64,
}

impl Warehouse {
    /// The offset of the next event to pull from an endpoint, by the endpoint's own id.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn pull_offset(&self, endpoint: &str) -> Result<u64> {
        self.connect()?
            .query_row(
                "SELECT coalesce(max(\"offset\"), 0) FROM pulls WHERE endpoint = ?",
                [endpoint],
                |row| row.get(0),
            )
            .map_err(Error::duckdb("read the pull offset"))
    }

    /// Adds events of an endpoint's log, in the order of the log, and remembers where it stopped: both
    /// in one transaction, so that each event is added exactly once.
    ///
    /// # Errors
    /// The warehouse cannot be written, or the job was canceled.
    pub fn add_live(
        &self,
        endpoint: &str,
        events: &[Event],
        next_offset: u64,
        job: &Job,
    ) -> Result<Pulled> {
        self.transaction(job, |connection| {
            let pulled = add(connection, events)?;
            connection
                .execute("INSERT INTO pulls VALUES (?, ?)", duckdb::params![endpoint, next_offset])
                .map_err(Error::duckdb("remember the pull offset"))?;
            Ok(pulled)
        })
    }
}

/// Adds a run of the log: its joins first, which move what is there, then its events under their owners.
pub(crate) fn add(connection: &Connection, events: &[Event]) -> Result<Pulled> {
    let (joins, owned) = Joins::read(events);
    joins.apply(connection)?;
    let total = u64::try_from(owned.len()).unwrap_or(u64::MAX);
    let (identifies, tracks): (Vec<Owned<'_>>, Vec<Owned<'_>>) =
        owned.into_iter().partition(|owned| owned.event.event == IDENTIFY);
    let mut accepted = 0;
    if !tracks.is_empty() {
        accepted += add_tracks(connection, &tracks)?;
    }
    if !identifies.is_empty() {
        accepted += add_identifies(connection, &identifies).map_err(Error::duckdb("add traits"))?;
    }
    Ok(Pulled { accepted, duplicate: total - accepted })
}

/// What each event has, in the order of [`schema::EVENT_COLUMNS`].
fn head(Owned { event, customer_id }: Owned<'_>) -> Vec<Sql> {
    let (uuid, text) = match MessageId::of(&event.message_id) {
        MessageId::Uuid(_) => (Sql::Text(event.message_id.clone()), Sql::Null),
        MessageId::Text(text) => (Sql::Null, Sql::Text(text.to_string())),
    };
    vec![
        uuid,
        text,
        Sql::Text(customer_id.to_owned()),
        event.anonymous_id.clone().map_or(Sql::Null, Sql::Text),
        Sql::Text(event.event.clone()),
        sql_time(event.event_time),
        sql_time(event.received_at),
        Sql::BigInt(i64::try_from(event.seq).unwrap_or(i64::MAX)),
    ]
}

fn add_tracks(connection: &Connection, events: &[Owned<'_>]) -> Result<u64> {
    let mut wanted: BTreeMap<String, (String, Type)> = BTreeMap::new();
    for (name, value) in events.iter().flat_map(|owned| &owned.event.properties) {
        if let Some(type_) = value.type_of() {
            let (_, known) =
                wanted.entry(name.to_lowercase()).or_insert_with(|| (name.clone(), type_));
            if *known != type_ {
                *known = Type::Text;
            }
        }
    }
    let wanted: Vec<(String, Type)> = wanted.into_values().collect();
    // Beyond the most columns there can be, properties stay in the endpoint's log.
    let columns: Vec<(String, Type)> =
        schema::ensure_columns(connection, &wanted)?.into_iter().flatten().collect();
    let names: Vec<String> = schema::EVENT_COLUMNS
        .iter()
        .copied()
        .chain(columns.iter().map(|(name, _)| name.as_str()))
        .map(quote_identifier)
        .collect();
    let names = names.join(", ");
    let failed = || Error::duckdb("add events");
    connection
        .execute_batch(&format!(
            "CREATE OR REPLACE TEMP TABLE pulled AS SELECT {names} FROM stored_events LIMIT 0"
        ))
        .map_err(failed())?;
    let mut appender = connection.appender("pulled").map_err(failed())?;
    for owned in events {
        let mut row = head(*owned);
        for (column, type_) in &columns {
            let value = property(&owned.event.properties, column).unwrap_or(&Value::Null);
            row.push(sql_value(&value.coerce(*type_)));
        }
        appender.append_row(duckdb::appender_params_from_iter(row)).map_err(failed())?;
    }
    appender.flush().map_err(failed())?;
    drop(appender);
    // Ids of one form are only looked for among ids of that form.
    let new = ["message_uuid", "message_id"]
        .map(|id| format!(" ANTI JOIN stored_events {id}s ON p.{id} = {id}s.{id}"))
        .concat();
    let n = connection
        .execute(
            &format!(
                "INSERT INTO stored_events ({names}) SELECT p.* FROM pulled p{new} ORDER BY p.seq"
            ),
            [],
        )
        .map_err(failed())?;
    connection.execute_batch("DROP TABLE pulled").map_err(failed())?;
    Ok(u64::try_from(n).unwrap_or(u64::MAX))
}

fn add_identifies(connection: &Connection, events: &[Owned<'_>]) -> duckdb::Result<u64> {
    connection.execute_batch(
        "CREATE OR REPLACE TEMP TABLE pulled_traits AS SELECT * FROM traits LIMIT 0",
    )?;
    let mut appender = connection.appender("pulled_traits")?;
    for Owned { event, customer_id } in events {
        for (name, value) in &event.properties {
            let json = value.to_json().to_string();
            appender.append_row(duckdb::params![
                event.message_id,
                customer_id,
                sql_time(event.event_time),
                sql_time(event.received_at),
                event.seq,
                name,
                json
            ])?;
        }
    }
    appender.flush()?;
    drop(appender);
    let known: u64 = connection.query_row(
        "SELECT count(DISTINCT message_id) FROM pulled_traits SEMI JOIN traits USING (message_id)",
        [],
        |row| row.get(0),
    )?;
    connection.execute(
        "INSERT INTO traits SELECT p.* FROM pulled_traits p ANTI JOIN traits t
            ON p.message_id = t.message_id",
        [],
    )?;
    connection.execute_batch("DROP TABLE pulled_traits")?;
    Ok(u64::try_from(events.len()).unwrap_or(u64::MAX) - known)
}
