//! The online store: the event log, the timelines that follow from it, and the configuration.
//!
//! In: events to append. Out: durable offsets, timelines of customers, runs of the log. The traits are
//! what the rest of the endpoint knows, so that a cluster can stand behind them later; the embedded
//! default is one fjall database with one writer thread. Never: HTTP, or what a score is.

mod cache;
mod clock;
mod embedded;
mod incoming;
mod timeline;
mod writer;

pub use clock::Clock;
pub use embedded::Embedded;
pub use incoming::{Incoming, Kind};
pub use timeline::{Timeline, TimelineEvents};
pub use writer::{Receipt, Writer};

use std::sync::Arc;

use kernel::domain::{Event, Time};

use crate::Result;

/// Sequence numbers of events that came live begin here; those of published history are below. The
/// warehouse uses the same numbers, so that ties in time are ordered alike on both sides.
pub const LIVE_SEQ: u64 = 1 << 40;

/// The log of all events in the order of their arrival: the truth that everything else follows from.
pub trait EventLog: Send + Sync {
    /// Makes events durable, all or none, and gives a receipt for each, in their order.
    ///
    /// # Errors
    /// The log cannot be written; then none of the events is in it.
    fn append(&self, events: &[Incoming]) -> Result<Vec<Receipt>>;

    /// Events from an offset on, at most so many, and the offset to go on from.
    ///
    /// # Errors
    /// The log cannot be read.
    fn read(&self, from: u64, limit: usize) -> Result<(Vec<Event>, u64)>;

    /// The latest events that are wanted, newest first, at most so many; only so many are looked at.
    ///
    /// # Errors
    /// The log cannot be read.
    fn latest(
        &self,
        limit: usize,
        looked_at: usize,
        wanted: &dyn Fn(&Event) -> bool,
    ) -> Result<Vec<Event>>;

    /// Erases a customer: their events and scores from the log and the timelines, and the ids that were
    /// joined to theirs. Message ids stay, so that what is sent again is not taken again.
    ///
    /// # Errors
    /// The log cannot be written; then nothing is erased.
    fn erase(&self, id: &str) -> Result<Erased>;
}

/// What was erased of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// Who: the customer that an id stood for.
    pub customer_id: String,
    /// Events, scores not counted.
    pub events: usize,
    /// Recorded scores.
    pub scores: usize,
    /// Ids that were joined to theirs.
    pub aliases: usize,
}

/// The timelines of customers.
pub trait TimelineStore: Send + Sync {
    /// The customer that an id stands for (itself, unless it is an anonymous id that was joined), and
    /// their timeline; empty if there is none. It has recorded scores only if they are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    fn timeline(&self, id: &str) -> Result<(String, Arc<Timeline>)>;

    /// The events of a customer before a time, newest first, at most so many; recorded scores are there.
    ///
    /// # Errors
    /// The store cannot be read.
    fn page(&self, id: &str, before: Time, limit: usize) -> Result<Vec<Event>>;

    /// Keeps recorded scores in the timelines that are in memory, from now on: something that is live reads
    /// them. Otherwise each score would take the memory of what scores are made of.
    fn keep_scores(&self);

    /// Whether the timeline that an id stands for is in memory, so that nobody waits for a disk.
    fn is_in_memory(&self, id: &str) -> bool;
}

/// Small named values: functions, deployments, keys.
pub trait ConfigStore: Send + Sync {
    /// The value of a name.
    ///
    /// # Errors
    /// The store cannot be read.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Sets values, durably, all or none.
    ///
    /// # Errors
    /// The store cannot be written; then none is set.
    fn put(&self, values: &[(String, Vec<u8>)]) -> Result<()>;

    /// The names that begin with a prefix.
    ///
    /// # Errors
    /// The store cannot be read.
    fn names(&self, prefix: &str) -> Result<Vec<String>>;
}
