use kernel::domain::{Event, Properties, Time, Value};

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
}

/// What an event does to timelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is added to its timeline.
    Live,
    /// It is added, and its anonymous id is joined to its customer.
    Join,
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
        }
    }
}
