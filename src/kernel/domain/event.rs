use serde::{Deserialize, Serialize};

use super::{Properties, Time};

/// The event that sets traits: its properties are the traits, null unsets one.
pub const IDENTIFY: &str = "$identify";
/// The event that joins an anonymous timeline to a customer's.
pub const ALIAS: &str = "$alias";
/// The event that undoes the join of an id to a customer.
pub const UNALIAS: &str = "$unalias";
/// The event that records a score that was given.
pub const SCORE: &str = "$score";
/// The event that records which variant of an experiment somebody got.
pub const EXPOSURE: &str = "$exposure";
/// The event that records that a rule acted on somebody.
pub const ACTION: &str = "$action";

/// Something that a customer did, or that was learned of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Identifies the event: the same id counts once, wherever and however often it arrives.
    pub message_id: String,
    /// Whose timeline it belongs to, after anonymous ids are resolved.
    pub customer_id: String,
    /// The anonymous id that it arrived with, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
    /// What happened.
    pub event: String,
    /// When it happened.
    pub event_time: Time,
    /// When it was learned of; never before `event_time`.
    pub received_at: Time,
    /// Orders events of equal time.
    pub seq: u64,
    /// What else is known of it.
    #[serde(default)]
    pub properties: Properties,
}

impl Event {
    /// Whether it sets traits that are known without a date: they hold from [`Time::ALWAYS`] on, and are not an
    /// event of that day.
    #[must_use]
    pub fn is_undated(&self) -> bool {
        self.event == IDENTIFY && self.event_time == Time::ALWAYS
    }
}

/// What every event has, in the order of a row with `traits` for those of an identify event. A property
/// cannot have such a name, whatever its case.
pub const EVENT_FIELDS: [&str; 8] = [
    "message_id",
    "customer_id",
    "anonymous_id",
    "event",
    "event_time",
    "received_at",
    "seq",
    "traits",
];

/// A name that the warehouse needs for itself.
pub(super) const MESSAGE_UUID: &str = "message_uuid";

/// The events that the product records itself. Events of other tools whose names begin with `$`, such as
/// `$pageview`, are events of a customer.
pub const SYSTEM_EVENTS: [&str; 6] = [IDENTIFY, ALIAS, UNALIAS, SCORE, EXPOSURE, ACTION];

/// SQL that is true for an event, by its column `event`, that is no system event.
pub const NOT_SYSTEM_SQL: &str =
    "event NOT IN ('$identify', '$alias', '$unalias', '$score', '$exposure', '$action')";

/// Whether an event was made by the product rather than by a customer.
///
/// System events are read only by features that name them, and make nobody a customer.
#[must_use]
pub fn is_system(event: &str) -> bool {
    event.starts_with('$') && SYSTEM_EVENTS.contains(&event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_events_are_the_same_in_sql() {
        let names: Vec<String> = SYSTEM_EVENTS.iter().map(|name| format!("'{name}'")).collect();
        assert_eq!(NOT_SYSTEM_SQL, format!("event NOT IN ({})", names.join(", ")));
        assert!(is_system("$exposure") && !is_system("$pageview") && !is_system("exposure"));
    }
}
