//! Monitoring: what is live, quarter by quarter of an hour, and rules that tell somebody.
//!
//! In: scores as they are given, what became of them, and rules. Out: reports against what a function
//! expects of its features and scores, rules that hold, and deliveries that are tried until they arrive.
//! A request only ever counts; everything else has threads of its own. Never: HTTP of our own, or which
//! function answers.

mod bucket;
mod delivery;
mod outbox;
mod report;
mod rules;
mod sending;
mod watch;
mod webhook;
mod webhook_address;

pub use bucket::{Bucket, Requests, Seen};
pub use delivery::{Attempt, Delivery, DeliveryKind, DeliveryState};
pub use outbox::Outbox;
pub use report::{
    BinShare, MIN_VALUES_OF_READING, Moved, OutcomeBin, Outcomes, Point, Report, reading_types,
};
pub use rules::{Rule, RuleState, Rules};
pub use sending::Sending;
pub use watch::Watch;
pub use webhook::{Secrets, signature};
