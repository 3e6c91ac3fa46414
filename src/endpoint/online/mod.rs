//! The online store: the event log, the timelines that follow from it, and the configuration.
//!
//! In: events to append. Out: durable offsets, timelines of customers, runs of the log. The traits are
//! what the rest of the endpoint knows, so that a cluster can stand behind them later. The embedded
//! default is a log of our own, which is the truth; an index in fjall that follows from it, run by run; and
//! between the two what is recent, in memory. Never: HTTP, or which function answers.

mod backup;
mod cache;
mod clock;
mod config;
mod embedded;
mod erasing;
mod erasures;
mod format;
mod group;
mod incoming;
mod index;
mod index_recovery;
mod joins;
mod known;
pub mod log;
mod maintenance;
mod property_types;
mod recent;
mod record;
mod replay;
mod retention;
mod room;
mod settings;
mod timeline;
mod verification;
mod writer;

pub(crate) use backup::COPY_FILE;
pub use clock::{Clock, ClockReport, SystemTimeSource, TimeSource};
pub use embedded::Embedded;
pub use incoming::{Incoming, Joiner, Kind, Origin};
pub use joins::{Join, MAX_IDS_PER_CUSTOMER};
pub use log::LogReport;
pub use maintenance::Maintenance;
pub(crate) use maintenance::give_way;
pub use record::{Exposing, Rejected, Said};
pub use retention::Retention;
pub use settings::Settings;
pub use timeline::{Exposed, Timeline};
pub use verification::{Verification, verify_log};
pub(crate) use writer::ReceiptCounts;
pub use writer::{Admission, Receipt, Writer};

use std::path::PathBuf;
use std::sync::Arc;

use kernel::domain::{Event, PropertyTypes, Time, Value};
use kernel::features::AsOf;
use kernel::scoring::{Score, ScoringFunction};

use crate::Result;

/// Sequence numbers of events that came live begin here; those of published history are below. The
/// warehouse uses the same numbers, so that ties in time are ordered alike on both sides.
pub const LIVE_SEQ: u64 = 1 << 40;

/// What is written together.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Variants that somebody got: before all else, since what they did then is behind it.
    pub exposures: Vec<Exposing>,
    /// Events, for each of which there is a receipt.
    pub events: Vec<Incoming>,
    /// Scores that were given.
    pub scores: Vec<Said>,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
}

impl Group {
    /// What is in it and has an arrival time of its own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exposures.len() + self.events.len() + self.scores.len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.rejected.is_empty()
    }
}

/// The log of all events in the order of their arrival: the truth that everything else follows from.
pub trait EventLog: Send + Sync {
    /// Makes a group durable and returns a receipt for each event, in their order.
    ///
    /// # Errors
    /// The log cannot be written. Of a group larger than one frame (8 MiB) the first part may be in the log. After
    /// [`crate::Error::Full`] and [`crate::Error::TooLarge`] the caller may append again: known message ids count
    /// once.
    fn append(&self, group: Group) -> Result<Vec<Receipt>>;

    /// Events from an offset on, read from at most `limit` records.
    ///
    /// # Errors
    /// The log cannot be read.
    fn read(&self, from: u64, limit: usize) -> Result<LogRange>;

    /// The offset of the next record.
    fn next(&self) -> u64;

    /// Events that were not taken, newest first, at most so many.
    ///
    /// # Errors
    /// The log cannot be read.
    fn rejected(&self, limit: usize) -> Result<Vec<Rejected>>;

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

    /// Undoes the join of an id: what came with it is its own again. Gives the join.
    ///
    /// # Errors
    /// The id is not joined, or the log cannot be written.
    fn undo_join(&self, id: &str) -> Result<Join>;

    /// Joins of ids after an id, in the order of the bytes of the ids, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    fn joins(&self, after: &str, limit: usize) -> Result<Vec<Join>>;

    /// The joins of the ids of the customer that an id stands for, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    fn joins_of(&self, id: &str, limit: usize) -> Result<Vec<Join>>;

    /// Erases a customer: their events and scores from the log and the timelines, and the ids that were
    /// joined to theirs. Message ids stay, so that what is sent again is not taken again.
    ///
    /// # Errors
    /// The log cannot be written; what was begun is done again at the next start.
    fn erase(&self, id: &str) -> Result<Erased>;

    /// Whether something could be written now.
    ///
    /// # Errors
    /// Why not.
    fn try_it(&self) -> Result<()>;

    /// Copies what is durable now into a folder of its own, which another endpoint can start from.
    ///
    /// # Errors
    /// It cannot be written.
    fn back_up(&self) -> Result<PathBuf>;
}

/// A range of the log.
#[derive(Clone, Debug, Default)]
pub struct LogRange {
    /// The events in it.
    pub events: Vec<Event>,
    /// Sequence numbers of events that came with an id which was joined to a customer, with that id.
    pub known_as: Vec<(u64, String)>,
    /// The offset to go on from.
    pub next: u64,
}

/// What was erased of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// Who: the customer that an id stood for.
    pub customer_id: String,
    /// All ids of theirs.
    #[serde(skip)]
    pub ids: Vec<String>,
    /// Events, scores not counted.
    pub events: usize,
    /// Recorded scores.
    pub scores: usize,
    /// Ids that were joined to theirs.
    pub aliases: usize,
    /// Events that were not taken, and named them.
    pub rejected: usize,
}

/// The timelines of customers.
pub trait TimelineStore: Send + Sync {
    /// The timeline of the customer that an id stands for (themselves, unless it is an anonymous id that
    /// was joined); empty if nothing is known of them.
    ///
    /// # Errors
    /// The store cannot be read.
    fn timeline(&self, id: &str) -> Result<Arc<Timeline>>;

    /// The timeline of an id, if it is in memory.
    fn in_memory(&self, id: &str) -> Option<Arc<Timeline>>;

    /// What a function says of a timeline as of a time, with `context` for what its view reads of the
    /// occasion. It has recorded scores only if they are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    fn score(
        &self,
        timeline: &Timeline,
        function: &Arc<ScoringFunction>,
        as_of: AsOf,
        context: &[Value],
    ) -> Result<Score>;

    /// Learns which variants the customer of a timeline got, if it does not know.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load_exposures(&self, timeline: &Timeline) -> Result<()>;

    /// All events of a customer in the order of their timeline, recorded scores left out.
    ///
    /// # Errors
    /// The store cannot be read.
    fn events(&self, customer_id: &str) -> Result<Vec<Event>>;

    /// Customers with a timeline in the order of their ids, those after `after`, at most so many; an id
    /// that was joined to another's timeline is among them. None means that there are no more.
    ///
    /// # Errors
    /// The store cannot be read.
    fn customers(&self, after: &str, limit: usize) -> Result<Option<Vec<String>>>;

    /// The events of a customer before a time, newest first, at most so many, but all that happened when the
    /// last of them did, so that the next page goes on before that time; recorded scores are there.
    ///
    /// # Errors
    /// The store cannot be read.
    fn page(&self, customer_id: &str, before: Time, limit: usize) -> Result<Vec<Event>>;

    /// Reads recorded scores as events of the timelines, from now on: something that is live reads
    /// them. Otherwise each score would take the memory of what scores are made of.
    fn keep_scores(&self);

    /// Reads properties and traits as these types from now on.
    fn set_types(&self, types: PropertyTypes);

    /// The memory that timelines take, in bytes, roughly.
    fn memory(&self) -> usize;
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

    /// Takes values that were replaced off the disk: what somebody asked to be erased must not stay there.
    ///
    /// # Errors
    /// The store cannot be written.
    fn drop_replaced(&self) -> Result<()>;

    /// The names that begin with a prefix.
    ///
    /// # Errors
    /// The store cannot be read.
    fn names(&self, prefix: &str) -> Result<Vec<String>>;
}
