use std::collections::{BTreeMap, HashSet};

use duckdb::Connection;
use duckdb::types::Value as Sql;
use kernel::domain::{Event, IDENTIFY, Job, PropertyType, PropertyTypes, UNALIAS, Value, property};
use kernel::expression::quote_identifier;

use crate::export::{sql_time, sql_value};
use crate::import::type_of_values;
use crate::joins::{Joins, Owned};
use crate::message_id::MessageId;
use crate::misfits::{self, Original};
use crate::{Error, Result, Warehouse, own_ids, schema};

/// What became of pulled events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Events that were new here.
    pub accepted: u64,
    /// Events that were here already, because they were published from here.
    pub duplicate: u64,
    /// Values of new events that do not fit the type of their property.
    pub misfits: u64,
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
    /// in one transaction, so that each event is added exactly once. `known_as` has the sequence numbers of
    /// events that came with another id than that of their customer, with that id.
    ///
    /// # Errors
    /// The warehouse cannot be written, or the job was canceled.
    pub fn add_live(
        &self,
        endpoint: &str,
        events: &[Event],
        known_as: &[(u64, String)],
        next_offset: u64,
        job: &Job,
    ) -> Result<Pulled> {
        self.transaction_with_types(job, |connection, types| {
            let pulled = add(connection, types, events, known_as)?;
            connection
                .execute("INSERT INTO pulls VALUES (?, ?)", duckdb::params![endpoint, next_offset])
                .map_err(Error::duckdb("remember the pull offset"))?;
            Ok(pulled)
        })
    }
}

/// Adds a range of the log as a pull does. An undone join gives back what joins before it moved, so runs between two
/// of them are added in turn.
pub(crate) fn add(
    connection: &Connection,
    types: &mut PropertyTypes,
    events: &[Event],
    known_as: &[(u64, String)],
) -> Result<Pulled> {
    let own_ids: Vec<(u64, &str)> = known_as.iter().map(|(seq, id)| (*seq, id.as_str())).collect();
    own_ids::keep_own_ids(connection, &own_ids)?;
    let mut pulled = Pulled::default();
    for run in events.chunk_by(|left, right| left.event != UNALIAS && right.event != UNALIAS) {
        match run {
            [undone] if undone.event == UNALIAS => own_ids::undo(connection, undone)?,
            run => {
                let added = add_run(connection, types, run, &own_ids)?;
                pulled.accepted += added.accepted;
                pulled.duplicate += added.duplicate;
                pulled.misfits += added.misfits;
            }
        }
    }
    Ok(pulled)
}

/// Adds a run of the log: its joins first, which move what is there, then its events under their owners.
fn add_run(
    connection: &Connection,
    types: &mut PropertyTypes,
    events: &[Event],
    own_ids: &[(u64, &str)],
) -> Result<Pulled> {
    let (joins, owned) = Joins::read(events);
    let known: HashSet<u64> = own_ids.iter().map(|(seq, _)| *seq).collect();
    let is_assigned = |owned: &&Owned<'_>| {
        owned.customer_id != owned.event.customer_id && !known.contains(&owned.event.seq)
    };
    let assigned = owned.iter().filter(is_assigned);
    let assigned: Vec<(u64, &str)> =
        assigned.map(|owned| (owned.event.seq, &*owned.event.customer_id)).collect();
    own_ids::keep_own_ids(connection, &assigned)?;
    own_ids::keep_joins(connection, events)?;
    joins.apply(connection)?;
    let total = u64::try_from(owned.len()).unwrap_or(u64::MAX);
    let (identifies, tracks): (Vec<Owned<'_>>, Vec<Owned<'_>>) =
        owned.into_iter().partition(|owned| owned.event.event == IDENTIFY);
    let mut pulled = Pulled::default();
    if !tracks.is_empty() {
        pulled = add_tracks(connection, types, &tracks)?;
    }
    if !identifies.is_empty() {
        let added = add_identifies(connection, types, &identifies)?;
        pulled.accepted += added.accepted;
        pulled.misfits += added.misfits;
    }
    Ok(Pulled { duplicate: total - pulled.accepted, ..pulled })
}

/// The types of what is in events and has none yet: the narrowest that all of its values have. Names that
/// differ only in case are one, with the name that comes first.
fn found_types<'e>(
    properties: impl Iterator<Item = (&'e String, &'e Value)>,
    is_known: impl Fn(&str) -> bool,
) -> Vec<(String, PropertyType)> {
    let mut found: BTreeMap<String, (String, Vec<&Value>)> = BTreeMap::new();
    for (name, value) in properties.filter(|(_, value)| !value.is_null()) {
        let (_, values) =
            found.entry(name.to_lowercase()).or_insert_with(|| (name.clone(), Vec::new()));
        values.push(value);
    }
    found.retain(|_, (name, _)| !is_known(name));
    found.into_values().map(|(name, values)| (name, type_of_values(&values))).collect()
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

fn original(event: &Event, property: &str, text: String) -> Original {
    Original {
        message: MessageId::of(&event.message_id),
        seq: i64::try_from(event.seq).unwrap_or(i64::MAX),
        property: property.to_owned(),
        is_trait: event.event == IDENTIFY,
        text,
        reason: None,
    }
}

/// Whether an event of `stored_originals` is not in a table yet.
fn is_new(table: &str, ids: &[&str]) -> String {
    let known = |id: &&str| format!("NOT EXISTS (SELECT 1 FROM {table} e WHERE e.{id} = n.{id})");
    ids.iter().map(known).collect::<Vec<_>>().join(" AND ")
}

fn add_tracks(
    connection: &Connection,
    types: &mut PropertyTypes,
    events: &[Owned<'_>],
) -> Result<Pulled> {
    let properties = || events.iter().flat_map(|owned| &owned.event.properties);
    let mut wanted = found_types(properties(), |name| types.property(name).is_some());
    let used: BTreeMap<&str, PropertyType> =
        properties().filter_map(|(name, _)| types.property(name)).collect();
    wanted.extend(used.into_iter().map(|(name, type_)| (name.to_owned(), type_)));
    // Beyond the most columns there can be, properties stay in the endpoint's log.
    let columns: Vec<(String, PropertyType)> =
        schema::ensure_columns(connection, types, &wanted)?.into_iter().flatten().collect();
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
    let mut originals = Vec::new();
    let mut appender = connection.appender("pulled").map_err(failed())?;
    for owned in events {
        let mut row = head(*owned);
        for (column, type_) in &columns {
            let value = property(&owned.event.properties, column).unwrap_or(&Value::Null);
            let (value, lost) = misfits::read(value, *type_);
            if let Some((text, reason)) = lost {
                originals.push(Original { reason, ..original(owned.event, column, text) });
            }
            row.push(sql_value(&value));
        }
        appender.append_row(duckdb::appender_params_from_iter(row)).map_err(failed())?;
    }
    appender.flush().map_err(failed())?;
    drop(appender);
    let ids = ["message_uuid", "message_id"];
    let misfits = misfits::keep(connection, &originals, &is_new("stored_events", &ids))?;
    // Ids of one form are only looked for among ids of that form.
    let new = ids
        .map(|id| {
            format!(" ANTI JOIN stored_events {id}s ON p.{id} = {id}s.{id} AND p.seq = {id}s.seq")
        })
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
    Ok(Pulled { accepted: u64::try_from(n).unwrap_or(u64::MAX), misfits, ..Pulled::default() })
}

/// Adds trait changes. A trait keeps each value as it came, and is read as its type.
fn add_identifies(
    connection: &Connection,
    types: &mut PropertyTypes,
    events: &[Owned<'_>],
) -> Result<Pulled> {
    let properties = || events.iter().flat_map(|owned| &owned.event.properties);
    // Names of traits differ by case: each is looked at on its own.
    let mut names: Vec<&String> = properties().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names
        .into_iter()
        .filter(|name| types.trait_type(name).is_none())
        .cloned()
        .collect::<Vec<_>>()
    {
        let values = properties().filter(|(known, _)| **known == name);
        types.traits.extend(found_types(values, |_| false));
    }
    let mut originals = Vec::new();
    for Owned { event, .. } in events {
        for (name, value) in &event.properties {
            let Some(type_) = types.trait_type(name) else { continue };
            if let (_, Some((text, reason @ Some(_)))) = misfits::read(value, type_) {
                originals.push(Original { reason, ..original(event, name, text) });
            }
        }
    }
    let is_new = "NOT EXISTS (SELECT 1 FROM traits t WHERE t.message_id = coalesce(n.message_id, CAST(n.message_uuid AS VARCHAR)))";
    let misfits = misfits::keep(connection, &originals, is_new)?;
    let accepted = insert_identifies(connection, events).map_err(Error::duckdb("add traits"))?;
    Ok(Pulled { accepted, misfits, ..Pulled::default() })
}

fn insert_identifies(connection: &Connection, events: &[Owned<'_>]) -> duckdb::Result<u64> {
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
    // Two sources of an endpoint may use one message id: a place in its log is one event.
    let known: u64 = connection.query_row(
        "SELECT count(DISTINCT p.seq) FROM pulled_traits p SEMI JOIN traits t
            ON p.message_id = t.message_id AND p.seq = t.seq",
        [],
        |row| row.get(0),
    )?;
    connection.execute(
        "INSERT INTO traits SELECT p.* FROM pulled_traits p ANTI JOIN traits t
            ON p.message_id = t.message_id AND p.seq = t.seq",
        [],
    )?;
    connection.execute_batch("DROP TABLE pulled_traits")?;
    Ok(u64::try_from(events.len()).unwrap_or(u64::MAX) - known)
}
