//! History: the events that came from files, as an endpoint takes them.
//!
//! In: the sequence numbers of the events that are asked for. Out: groups of JSON lines, customer by
//! customer in the order of time, written from Arrow columns without an event in between.

use duckdb::Connection;
use duckdb::arrow::array::{Array as _, RecordBatch};
use kernel::domain::{IDENTIFY, Job, Time, Value};
use kernel::expression::quote_identifier;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::arrow::{Texts, Values, micros};
use crate::misfits::{self, Originals};
use crate::{Error, Result, Warehouse, schema};

/// Events as JSON, one a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryLines {
    /// Number of events.
    pub n: usize,
    /// Their lines, each ended by a line feed.
    pub json: Vec<u8>,
}

/// Events of a group, and bytes after which it ends earlier.
const GROUP: usize = 4_000;
const GROUP_BYTES: usize = 4 << 20;
/// Columns before the properties.
const HEADS: usize = 8;

impl Warehouse {
    /// The sequence number of the latest row from a file; 0 without one.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn last_file_seq(&self) -> Result<u64> {
        self.connect()?
            .query_row(&format!("SELECT {}", schema::last_file_seq()), [], |row| row.get(0))
            .map_err(Error::duckdb("look for its latest row"))
    }

    /// The number of events whose sequence numbers are in `after + 1 ..= until`, an identify being one.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn count_history(&self, after: u64, until: u64) -> Result<u64> {
        let range = range(after, until);
        let sql = format!(
            "SELECT (SELECT count(*) FROM stored_events WHERE {range})
                + (SELECT count(*) FROM (SELECT DISTINCT message_id, customer_id, event_time, received_at
                    FROM traits WHERE {range}))"
        );
        let n = self.connect()?.query_row(&sql, [], |row| row.get(0));
        n.map_err(Error::duckdb("count its events"))
    }

    /// Gives the events whose sequence numbers are in `after + 1 ..= until` to `take`, in groups.
    ///
    /// # Errors
    /// The warehouse cannot be read, the job was canceled, or `take` failed.
    pub fn history<E: From<Error>>(
        &self,
        (after, until): (u64, u64),
        job: &Job,
        mut take: impl FnMut(HistoryLines) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let connection = self.connect()?;
        let sql = sql(&connection, &range(after, until))?;
        let originals = misfits::by_message(&connection)?;
        let failed = || Error::duckdb("read its history");
        let interrupt = connection.interrupt_handle();
        let read = || {
            let mut group = HistoryLines::default();
            let mut statement = connection.prepare(&sql).map_err(failed())?;
            for batch in statement.stream_arrow([]).map_err(failed())? {
                let batch = batch.map_err(failed())?;
                let lines = Lines::of(&batch, &originals);
                for row in 0..batch.num_rows() {
                    serde_json::to_writer(&mut group.json, &Line { lines: &lines, row })
                        .map_err(|error| Error::Table(error.to_string()))?;
                    group.json.push(b'\n');
                    group.n += 1;
                    if group.n >= GROUP || group.json.len() >= GROUP_BYTES {
                        take(std::mem::take(&mut group))?;
                    }
                }
            }
            if group.n > 0 { take(group) } else { Ok(()) }
        };
        let result = job.interruptible(move || interrupt.interrupt(), read);
        if job.is_canceled() { Err(Error::Canceled.into()) } else { result }
    }
}

fn range(after: u64, until: u64) -> String {
    format!("seq > {after} AND seq <= {until} AND seq < {}", schema::LIVE_SEQ)
}

/// SQL of the events of a range. Trait changes of one identify are one event again, with its traits as
/// properties.
fn sql(connection: &Connection, range: &str) -> Result<String> {
    let properties = schema::properties(connection)?;
    let columns: String = properties
        .iter()
        .map(|(name, type_)| {
            let name = quote_identifier(name);
            format!(", CAST({name} AS {}) AS {name}", type_.sql())
        })
        .collect();
    Ok(format!(
        "SELECT * FROM (
            SELECT message_id, customer_id, anonymous_id, event, event_time, received_at, seq,
                NULL::VARCHAR AS traits{columns}
            FROM events WHERE {range}
            UNION ALL BY NAME
            SELECT message_id, customer_id, '{IDENTIFY}' AS event, event_time, received_at,
                min(seq) AS seq, CAST(json_group_object(trait, value) AS VARCHAR) AS traits
            FROM traits WHERE {range}
            GROUP BY message_id, customer_id, traits.event_time, traits.received_at)
         ORDER BY customer_id, event_time, seq"
    ))
}

/// The columns of a batch.
struct Lines<'a> {
    texts: [Texts<'a>; 4],
    anonymous: &'a duckdb::arrow::array::ArrayRef,
    event_times: &'a [i64],
    received: &'a [i64],
    seqs: &'a [i64],
    traits: Texts<'a>,
    properties: Vec<(String, Values<'a>)>,
    /// Values as they came, where their column does not hold them so: an endpoint may read another type.
    originals: &'a Originals,
}

impl<'a> Lines<'a> {
    fn of(batch: &'a RecordBatch, originals: &'a Originals) -> Self {
        let column = |place: usize| batch.column(place);
        let schema = batch.schema();
        let properties = schema.fields().iter().zip(batch.columns()).skip(HEADS);
        let properties = properties
            .filter_map(|(field, values)| {
                Some((field.name().clone(), Values::unless_null(values)?))
            })
            .collect();
        Self {
            texts: [0, 1, 2, 3].map(|place| Texts::of(column(place))),
            anonymous: column(2),
            event_times: micros(column(4)),
            received: micros(column(5)),
            seqs: micros(column(6)),
            traits: Texts::of(column(7)),
            properties,
            originals,
        }
    }
}

/// One event: as [`kernel::domain::Event`] is in JSON.
struct Line<'a> {
    lines: &'a Lines<'a>,
    row: usize,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { lines, row } = *self;
        let [message_id, customer_id, anonymous_id, event] =
            lines.texts.map(|texts| texts.text(row));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message_id", message_id)?;
        map.serialize_entry("customer_id", customer_id)?;
        if !lines.anonymous.is_null(row) {
            map.serialize_entry("anonymous_id", anonymous_id)?;
        }
        map.serialize_entry("event", event)?;
        map.serialize_entry("event_time", &Time(lines.event_times[row]))?;
        map.serialize_entry("received_at", &Time(lines.received[row]))?;
        map.serialize_entry("seq", &lines.seqs[row])?;
        map.serialize_entry("properties", &Properties { lines, row })?;
        map.end()
    }
}

struct Properties<'a> {
    lines: &'a Lines<'a>,
    row: usize,
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self { lines, row } = *self;
        let traits = lines.traits.text(row);
        if !traits.is_empty()
            && let Ok(traits) = serde_json::from_str::<kernel::domain::Properties>(traits)
        {
            return traits.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        let originals = lines.originals.get(lines.texts[0].text(row));
        for (name, values) in &lines.properties {
            let value = Value::from(values.cell(row));
            let has_original =
                || originals.is_some_and(|all| all.iter().any(|(property, _)| property == name));
            if !value.is_null() && !has_original() {
                map.serialize_entry(name, &value)?;
            }
        }
        for (name, text) in originals.into_iter().flatten() {
            map.serialize_entry(name, text)?;
        }
        map.end()
    }
}
