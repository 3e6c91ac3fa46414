use kernel::domain::{Event, Properties, Time, Value};
use serde::{Deserialize, Serialize};

/// The origin of an event: what its message id is compared with, and which ids it may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The source, within which a message id counts once: 0 is the history of projects and what the
    /// endpoint itself records, others are keys with those that replaced them.
    pub source: u32,
    /// Which joins it may make.
    pub joiner: Joiner,
}

impl Origin {
    /// The history of projects, and what the endpoint itself records.
    pub const HISTORY: Self = Self { source: 0, joiner: Joiner::Admin };
}

/// The origin of a join: a browser, a server or an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joiner {
    /// A public key: it joins only anonymous ids that belong to no customer.
    Browser,
    /// A key that is kept on a server: it joins user ids, too.
    Server,
    /// An administrator: may join what a server may.
    Admin,
}

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Identifies it.
    pub message_id: String,
    /// Who, if they are known.
    pub customer_id: Option<String>,
    /// Who, while they are not.
    pub anonymous_id: Option<String>,
    /// What happened.
    pub event: String,
    /// When it happened, by the client's corrected clock; none is at arrival.
    pub event_time: Option<Time>,
    /// What else is known of it; for an identify event the traits.
    pub properties: Properties,
    /// What it does.
    pub kind: Kind,
    /// The source of the event.
    pub origin: Origin,
}

/// What an event does to timelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is added to its timeline.
    Live,
    /// It is added, and its anonymous id is joined to its customer; or it is rejected as a whole.
    Join {
        /// Whether the join is all that it asks for.
        is_alias: bool,
        /// The event as it was sent, which is kept if it is rejected.
        sent: Box<str>,
    },
    /// It is history from a project, with its own arrival time and sequence number.
    History {
        /// When it was learned of.
        received_at: Time,
        /// Its sequence number.
        seq: u64,
    },
}

/// Memory of a property beside its name and text, in bytes: its place in the tree and two allocations.
const PROPERTY_BYTES: usize = 96;

impl Incoming {
    /// Returns the memory that the event takes while it waits, in bytes, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        let id = |id: &Option<String>| id.as_ref().map_or(0, String::len);
        let properties = self.properties.iter().map(|(name, value)| {
            let text = if let Value::Text(text) = value { text.len() } else { 0 };
            PROPERTY_BYTES + name.len() + text
        });
        size_of::<Self>()
            + self.message_id.len()
            + id(&self.customer_id)
            + id(&self.anonymous_id)
            + self.event.len()
            + properties.sum::<usize>()
            + if let Kind::Join { sent, .. } = &self.kind { sent.len() } else { 0 }
    }
}

impl From<Event> for Incoming {
    /// History from a project.
    fn from(event: Event) -> Self {
        Self {
            message_id: event.message_id,
            customer_id: Some(event.customer_id),
            anonymous_id: event.anonymous_id,
            event: event.event,
            event_time: Some(event.event_time),
            properties: event.properties,
            kind: Kind::History { received_at: event.received_at, seq: event.seq },
            origin: Origin::HISTORY,
        }
    }
}
