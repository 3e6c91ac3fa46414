use std::collections::BTreeMap;

use duckdb::Connection;
use kernel::domain::{EVENT_FIELDS, Event, IDENTIFY, NOT_SYSTEM_SQL, Name, Time, Value};
use kernel::expression::quote_identifier;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Warehouse, query};

/// A customer in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerSummary {
    /// Who.
    pub customer_id: String,
    /// Time of the first event.
    pub first_seen: Time,
    /// Time of the last event.
    pub last_seen: Time,
    /// Number of events, system events left out.
    pub event_count: u64,
}

/// Which customers are listed, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomerList {
    /// A part of their ids; case and accents do not matter.
    pub search: String,
    /// An event that they have.
    pub event: Option<String>,
    /// A segment that they were in when it was saved.
    pub segment: Option<Name>,
    /// Which come first.
    pub sort: CustomerSort,
}

/// An order of customers; among equals by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerSort {
    /// Those seen last.
    #[default]
    LastSeen,
    /// Those seen first most lately.
    Newest,
    /// Those with the most events.
    MostEvents,
    /// By id.
    Id,
}

impl CustomerSort {
    const fn sql(self) -> &'static str {
        match self {
            Self::LastSeen => "last_seen DESC, customer_id",
            Self::Newest => "first_seen DESC, customer_id",
            Self::MostEvents => "event_count DESC, customer_id",
            Self::Id => "customer_id",
        }
    }
}

impl CustomerList {
    /// Customers whose id contains a text, last seen first.
    #[must_use]
    pub fn search(text: &str) -> Self {
        Self { search: text.to_owned(), ..Self::default() }
    }

    fn condition(&self) -> (String, Vec<String>) {
        let mut condition =
            "contains(strip_accents(lower(customer_id)), strip_accents(lower(?)))".to_owned();
        let mut values = vec![self.search.clone()];
        if let Some(event) = &self.event {
            condition += " AND customer_id IN (SELECT customer_id FROM events WHERE event = ?)";
            values.push(event.clone());
        }
        if let Some(segment) = &self.segment {
            let table = quote_identifier(segment.as_str());
            condition += &format!(" AND customer_id IN (SELECT customer_id FROM segments.{table})");
        }
        (condition, values)
    }
}

/// What there is, at a glance.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Summary {
    /// Events, system events left out.
    pub events: u64,
    /// Customers with an event.
    pub customers: u64,
    /// Time of the first and the last event.
    pub span: Option<(Time, Time)>,
    /// Customers with an event in the 30 days before the last event.
    pub active_customers: u64,
    /// Events by name, most frequent first.
    pub by_event: Vec<(String, u64)>,
    /// Events a week, oldest first: the week's first day and the count.
    pub weekly: Vec<(Time, u64)>,
    /// Imports, latest first: source, accepted, duplicate, rejected.
    pub imports: Vec<(String, u64, u64, u64)>,
    /// Values that do not fit the type of their property.
    pub misfits: u64,
}

/// Weeks of a summary.
const WEEKS: usize = 104;

impl Warehouse {
    /// What there is, at a glance.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        summary(&self.connect()?).map_err(Error::duckdb("summarize its events"))
    }

    /// The first customers of a list, at most so many, and how many there are in all.
    ///
    /// # Errors
    /// The segment has no table, or the warehouse cannot be read.
    pub fn customers(
        &self,
        list: &CustomerList,
        limit: usize,
    ) -> Result<(Vec<CustomerSummary>, u64)> {
        let connection = self.connect()?;
        let (condition, values) = list.condition();
        let read = || {
            let total = connection.query_row(
                &format!("SELECT count(*) FROM customers WHERE {condition}"),
                duckdb::params_from_iter(&values),
                |row| row.get(0),
            )?;
            let mut statement = connection.prepare(&format!(
                "SELECT customer_id, epoch_us(first_seen), epoch_us(last_seen), event_count
                 FROM customers WHERE {condition} ORDER BY {} LIMIT {limit}",
                list.sort.sql()
            ))?;
            let rows = statement.query_map(duckdb::params_from_iter(&values), |row| {
                Ok(CustomerSummary {
                    customer_id: row.get(0)?,
                    first_seen: Time(row.get(1)?),
                    last_seen: Time(row.get(2)?),
                    event_count: row.get(3)?,
                })
            })?;
            Ok((rows.collect::<duckdb::Result<Vec<_>>>()?, total))
        };
        read().map_err(Error::duckdb("list customers"))
    }

    /// All events of a customer in order, identify events included.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn events_of(&self, customer_id: &str) -> Result<Vec<Event>> {
        let mut all = Vec::new();
        self.each_event(customer_id, &mut |event| all.push(event))?;
        Ok(all)
    }

    fn each_event(&self, customer_id: &str, take: &mut dyn FnMut(Event)) -> Result<()> {
        let failed = || Error::duckdb("read events");
        let connection = self.connect()?;
        // Earlier versions kept ids as they came.
        let condition = format!(
            "customer_id IN ({}, {})",
            kernel::expression::quote_text(customer_id),
            kernel::expression::quote_text(&kernel::domain::normalized_id(customer_id))
        );
        // Trait changes of one identify are one event again, with its traits as properties.
        let sql = format!(
            "SELECT * FROM (
                SELECT message_id, customer_id, anonymous_id, event,
                    epoch_us(event_time) AS event_time, epoch_us(received_at) AS received_at, seq,
                    NULL AS traits,
                    COLUMNS(* EXCLUDE (message_id, customer_id, anonymous_id, event, event_time,
                        received_at, seq))
                FROM events WHERE {condition}
                UNION ALL BY NAME
                SELECT message_id, customer_id, '{IDENTIFY}' AS event,
                    epoch_us(event_time) AS event_time, epoch_us(received_at) AS received_at,
                    min(seq) AS seq,
                    CAST(json_group_object(trait, value) AS VARCHAR) AS traits
                FROM traits WHERE {condition}
                GROUP BY message_id, customer_id, traits.event_time, traits.received_at)
             ORDER BY customer_id, event_time, seq",
        );
        let sql = match has_properties(&connection)? {
            true => sql,
            false => sql.replace(
                ",
                    COLUMNS(* EXCLUDE (message_id, customer_id, anonymous_id, event, event_time,
                        received_at, seq))",
                "",
            ),
        };
        let mut statement = connection.prepare(&sql).map_err(failed())?;
        let mut rows = statement.query([]).map_err(failed())?;
        let names = rows.as_ref().map_or_else(Vec::new, |statement| statement.column_names());
        while let Some(row) = rows.next().map_err(failed())? {
            take(event(row, &names).map_err(failed())?);
        }
        Ok(())
    }
}

fn has_properties(connection: &Connection) -> Result<bool> {
    Ok(!crate::schema::properties(connection)?.is_empty())
}

fn event(row: &duckdb::Row<'_>, names: &[String]) -> duckdb::Result<Event> {
    let traits: Option<String> = row.get(7)?;
    let mut properties: BTreeMap<String, Value> =
        traits.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    for (place, name) in names.iter().enumerate().skip(EVENT_FIELDS.len()) {
        let value = query::value(row.get_ref(place)?);
        if !value.is_null() {
            properties.insert(name.clone(), value);
        }
    }
    Ok(Event {
        message_id: row.get(0)?,
        customer_id: row.get(1)?,
        anonymous_id: row.get(2)?,
        event: row.get(3)?,
        event_time: Time(row.get(4)?),
        received_at: Time(row.get(5)?),
        seq: row.get(6)?,
        properties,
    })
}

fn summary(connection: &Connection) -> duckdb::Result<Summary> {
    let mut summary = connection.query_row(
        &format!(
            "SELECT count(*), count(DISTINCT customer_id), epoch_us(min(event_time)),
                epoch_us(max(event_time)) FROM events WHERE {NOT_SYSTEM_SQL}"
        ),
        [],
        |row| {
            let span = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
            Ok(Summary {
                events: row.get(0)?,
                customers: row.get(1)?,
                span: span.0.zip(span.1).map(|(first, last)| (Time(first), Time(last))),
                ..Summary::default()
            })
        },
    )?;
    summary.active_customers = connection.query_row(
        &format!(
            "SELECT count(DISTINCT customer_id) FROM events WHERE {NOT_SYSTEM_SQL}
                AND event_time > (SELECT max(event_time) - INTERVAL 30 DAY FROM events
                    WHERE {NOT_SYSTEM_SQL})"
        ),
        [],
        |row| row.get(0),
    )?;
    summary.misfits = connection.query_row("SELECT count(*) FROM misfits", [], |row| row.get(0))?;
    summary.by_event = pairs(
        connection,
        "SELECT event, count(*) FROM events GROUP BY event ORDER BY 2 DESC, 1 LIMIT 50",
        |row| row.get(0),
    )?;
    summary.weekly = pairs(
        connection,
        &format!(
            "SELECT * FROM (SELECT epoch_us(CAST(date_trunc('week', event_time) AS TIMESTAMP)) AS w,
                count(*) FROM events WHERE {NOT_SYSTEM_SQL}
                GROUP BY w ORDER BY w DESC LIMIT {WEEKS}) ORDER BY w"
        ),
        |row| Ok(Time(row.get(0)?)),
    )?;
    let mut statement = connection.prepare(
        "SELECT source, accepted, duplicate, rejected FROM imports ORDER BY import DESC LIMIT 20",
    )?;
    let imports =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    summary.imports = imports.collect::<duckdb::Result<_>>()?;
    Ok(summary)
}

fn pairs<T>(
    connection: &Connection,
    sql: &str,
    first: impl Fn(&duckdb::Row<'_>) -> duckdb::Result<T>,
) -> duckdb::Result<Vec<(T, u64)>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((first(row)?, row.get(1)?)))?;
    rows.collect()
}

/// The time of the last event that is not a system event; none without one.
pub(crate) fn last_event(connection: &Connection) -> Result<Option<Time>> {
    let sql = format!("SELECT epoch_us(max(event_time)) FROM events WHERE {NOT_SYSTEM_SQL}");
    let last: Option<i64> = connection
        .query_row(&sql, [], |row| row.get(0))
        .map_err(Error::duckdb("look for the last event"))?;
    Ok(last.map(Time))
}
