//! What the log has at an offset, as bytes. The timelines have the same bytes.

use std::sync::Arc;

use kernel::domain::{EXPOSURE, Event, Name, Properties, SCORE, Time, Value};
use serde::{Deserialize, Serialize};

use super::LIVE_SEQ;
use crate::{Error, Result};

/// A score that was given, on its way into the log.
#[derive(Clone, Debug)]
pub struct Said {
    /// Who was scored.
    pub customer_id: String,
    /// What was asked for.
    pub name: Name,
    /// The version of that name.
    pub version: u32,
    /// Hash of the function.
    pub function: Arc<str>,
    /// `champion`, `challenger` or `shadow`, or the name of a variant of an experiment.
    pub variant: Arc<str>,
    /// The score.
    pub score: f64,
    /// The time that it is as of.
    pub as_of: Time,
    /// Hash of the values of the features.
    pub features: u128,
    /// What was said of the occasion, as JSON; empty if nothing was.
    pub context: String,
    /// The candidate that it is of, if it ranks some.
    pub candidate: Option<String>,
    /// Whether it is one that was given before, still fresh.
    pub reused: bool,
}

/// A variant that somebody got, on its way into the log.
#[derive(Clone, Debug)]
pub struct Exposing {
    /// Who.
    pub customer_id: String,
    /// The experiment.
    pub experiment: Name,
    /// Its version.
    pub version: u32,
    /// The variant.
    pub variant: Name,
    /// The probability that it had.
    pub probability: f64,
    /// When they got it.
    pub at: Time,
}

/// A record as it is stored. New kinds go to the end.
#[derive(Debug, Serialize, Deserialize)]
enum Stored<'a> {
    /// A join, the undoing of one, or an event that an earlier version wrote.
    Event(#[serde(borrow)] StoredEvent<'a>),
    Score {
        received_at: i64,
        customer_id: &'a str,
        name: &'a str,
        version: u32,
        function: &'a str,
        variant: &'a str,
        score: f64,
        as_of: i64,
        features: u128,
        context: &'a str,
        candidate: Option<&'a str>,
        reused: bool,
    },
    Rejected {
        received_at: i64,
        reason: &'a str,
        event: &'a str,
    },
    Exposure {
        received_at: i64,
        customer_id: &'a str,
        experiment: &'a str,
        version: u32,
        variant: &'a str,
        probability: f64,
        at: i64,
    },
    /// An event of a source, within which its message id counts once.
    Sourced {
        source: u32,
        #[serde(borrow)]
        event: StoredEvent<'a>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredEvent<'a> {
    message_id: &'a str,
    /// The id that its row is stored under. With a source that is the id that it came with, so that a join can be
    /// undone; earlier versions stored the customer that the id stood for.
    customer_id: &'a str,
    anonymous_id: Option<&'a str>,
    event: &'a str,
    event_time: i64,
    received_at: i64,
    /// Of history; that of a live event follows from its offset.
    seq: Option<u64>,
    /// The id that it came with, where that is another.
    known_as: Option<&'a str>,
    #[serde(borrow)]
    properties: Vec<(&'a str, StoredValue<'a>)>,
}

#[derive(Debug, Serialize, Deserialize)]
enum StoredValue<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
    Time(i64),
}

/// An event that was not taken, with the reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rejected {
    /// When it came.
    pub received_at: Time,
    /// Why it was not taken.
    pub reason: String,
    /// The event as it was sent.
    pub event: String,
}

impl Rejected {
    /// Returns the memory that it takes while it waits, in bytes, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.reason.len() + self.event.len()
    }
}

/// What a record is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    /// Something that is in a timeline, a join, or a score.
    Event {
        event: Event,
        known_as: Option<String>,
        /// None for what an earlier version wrote, and for joins.
        source: Option<u32>,
    },
    Rejected(Rejected),
    /// Nothing: it was erased.
    Erased,
}

fn write(stored: &Stored<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    // The writer takes the vector and gives it back, so that nothing is copied.
    let begun = std::mem::take(bytes);
    *bytes = postcard::to_extend(stored, begun).map_err(Error::store("encode an event"))?;
    Ok(())
}

/// A hash of what an event says; never 0. The correction of its time is left out: it is another at each try.
pub(super) fn content_hash(own_id: &str, event: &str, properties: &Properties) -> Result<u64> {
    let failed = "encode an event";
    let mut bytes = postcard::to_allocvec(&(own_id, event)).map_err(Error::store(failed))?;
    for (name, value) in properties.iter().filter(|(name, _)| *name != ORIGINAL_TIMESTAMP) {
        let value = StoredValue::from(value);
        bytes =
            postcard::to_extend(&(name.as_str(), value), bytes).map_err(Error::store(failed))?;
    }
    Ok(xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, 0).max(1))
}

/// Whether a record is a score that was given.
pub(super) fn is_score(bytes: &[u8]) -> bool {
    // The number of the variant comes first.
    bytes.first() == Some(&1)
}

/// Appends an event under the id of its row; `known_as` is the id that it came with, where that is another. A join
/// has no source.
pub(super) fn write_event(
    event: &Event,
    row_id: &str,
    known_as: Option<&str>,
    source: Option<u32>,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let properties = event.properties.iter().map(|(name, value)| (name.as_str(), value.into()));
    let properties = properties.collect();
    let stored = StoredEvent {
        message_id: &event.message_id,
        customer_id: row_id,
        anonymous_id: event.anonymous_id.as_deref(),
        event: &event.event,
        event_time: event.event_time.0,
        received_at: event.received_at.0,
        seq: (event.seq < LIVE_SEQ).then_some(event.seq),
        known_as,
        properties,
    };
    match source {
        Some(source) => write(&Stored::Sourced { source, event: stored }, bytes),
        None => write(&Stored::Event(stored), bytes),
    }
}

/// Appends a score that was given.
pub(super) fn write_score(said: &Said, received_at: Time, bytes: &mut Vec<u8>) -> Result<()> {
    let stored = Stored::Score {
        received_at: received_at.0,
        customer_id: &said.customer_id,
        name: said.name.as_str(),
        version: said.version,
        function: &said.function,
        variant: &said.variant,
        score: said.score,
        as_of: said.as_of.0,
        features: said.features,
        context: &said.context,
        candidate: said.candidate.as_deref(),
        reused: said.reused,
    };
    write(&stored, bytes)
}

/// The property that keeps the time that a client said, where it was corrected.
pub(crate) const ORIGINAL_TIMESTAMP: &str = "original_timestamp";

/// What the ids of exposures begin with, which this endpoint makes of their places.
const EXPOSED: &str = "exposed-";

/// Whether an event is something that this endpoint said: a score, or which variant somebody got. It has
/// no message id of its own: its place is all that it needs to be told from others.
pub(super) fn is_said(event: &Event) -> bool {
    let is_own = |id: &str| event.seq >= LIVE_SEQ && id.starts_with(EXPOSED);
    event.event == SCORE || (event.event == EXPOSURE && is_own(&event.message_id))
}

/// Appends a variant that somebody got; `customer_id` is whom their id stands for.
pub(super) fn write_exposure(
    exposing: &Exposing,
    customer_id: &str,
    received_at: Time,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let stored = Stored::Exposure {
        received_at: received_at.0,
        customer_id,
        experiment: exposing.experiment.as_str(),
        version: exposing.version,
        variant: exposing.variant.as_str(),
        probability: exposing.probability,
        at: exposing.at.0,
    };
    write(&stored, bytes)
}

/// Appends an event that was not taken.
pub(super) fn write_rejected(rejected: &Rejected, bytes: &mut Vec<u8>) -> Result<()> {
    let Rejected { received_at, reason, event } = rejected;
    write(&Stored::Rejected { received_at: received_at.0, reason, event }, bytes)
}

/// Reads the record at an offset.
pub(super) fn read(offset: u64, bytes: &[u8]) -> Result<Record> {
    if bytes.is_empty() {
        return Ok(Record::Erased);
    }
    let stored: Stored<'_> =
        postcard::from_bytes(bytes).map_err(Error::store("decode an event"))?;
    Ok(match stored {
        Stored::Event(event) => event.read(offset, None),
        Stored::Sourced { source, event } => event.read(offset, Some(source)),
        Stored::Score {
            received_at,
            customer_id,
            name,
            version,
            function,
            variant,
            score,
            as_of,
            features,
            context,
            candidate,
            reused,
        } => {
            let mut properties = Properties::from([
                ("name".to_owned(), Value::text(name)),
                ("version".to_owned(), Value::Number(f64::from(version))),
                ("function".to_owned(), Value::text(function)),
                ("score".to_owned(), Value::Number(score)),
                ("variant".to_owned(), Value::text(variant)),
                ("as_of".to_owned(), Value::text(Time(as_of).to_string())),
                ("features_hash".to_owned(), Value::text(format!("{features:032x}"))),
            ]);
            if !context.is_empty() {
                properties.insert("context".to_owned(), Value::text(context));
            }
            if let Some(candidate) = candidate {
                properties.insert("candidate".to_owned(), Value::text(candidate));
            }
            if reused {
                properties.insert("reused".to_owned(), Value::Boolean(true));
            }
            let event = Event {
                // Nobody sends a score, so its place is all that it needs to be told from others.
                message_id: format!("score-{as_of}-{offset}"),
                customer_id: customer_id.to_owned(),
                anonymous_id: None,
                event: SCORE.to_owned(),
                event_time: Time(received_at),
                received_at: Time(received_at),
                seq: LIVE_SEQ + offset,
                properties,
            };
            Record::Event { event, known_as: None, source: None }
        }
        Stored::Exposure {
            received_at,
            customer_id,
            experiment,
            version,
            variant,
            probability,
            at,
        } => {
            let properties = Properties::from([
                ("experiment".to_owned(), Value::text(experiment)),
                ("version".to_owned(), Value::Number(f64::from(version))),
                ("variant".to_owned(), Value::text(variant)),
                ("probability".to_owned(), Value::Number(probability)),
            ]);
            let event = Event {
                message_id: format!("{EXPOSED}{at}-{offset}"),
                customer_id: customer_id.to_owned(),
                anonymous_id: None,
                event: EXPOSURE.to_owned(),
                event_time: Time(at.min(received_at)),
                received_at: Time(received_at),
                seq: LIVE_SEQ + offset,
                properties,
            };
            Record::Event { event, known_as: None, source: None }
        }
        Stored::Rejected { received_at, reason, event } => Record::Rejected(Rejected {
            received_at: Time(received_at),
            reason: reason.to_owned(),
            event: event.to_owned(),
        }),
    })
}

impl StoredEvent<'_> {
    fn read(self, offset: u64, source: Option<u32>) -> Record {
        let event = Event {
            message_id: self.message_id.to_owned(),
            customer_id: self.customer_id.to_owned(),
            anonymous_id: self.anonymous_id.map(str::to_owned),
            event: self.event.to_owned(),
            event_time: Time(self.event_time),
            received_at: Time(self.received_at),
            seq: self.seq.unwrap_or(LIVE_SEQ + offset),
            properties: self
                .properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect(),
        };
        Record::Event { event, known_as: self.known_as.map(str::to_owned), source }
    }
}

impl<'a> From<&'a Value> for StoredValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text.as_ref().into()),
            Value::Time(time) => Self::Time(time.0),
            // Events have none of these; as text nothing is lost.
            Value::List(_) | Value::Counts(_) => Self::Text(value.to_json().to_string().into()),
        }
    }
}

impl From<StoredValue<'_>> for Value {
    fn from(stored: StoredValue<'_>) -> Self {
        match stored {
            StoredValue::Null => Self::Null,
            StoredValue::Boolean(boolean) => Self::Boolean(boolean),
            StoredValue::Number(number) => Self::Number(number),
            StoredValue::Text(text) => Self::text(text.as_ref()),
            StoredValue::Time(time) => Self::Time(Time(time)),
        }
    }
}
