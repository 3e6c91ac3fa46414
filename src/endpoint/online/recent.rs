use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::joins::Alias;
use super::log::Range;

/// Hashed by what nobody outside can know.
pub(super) type Map<K, V> = HashMap<K, V, RandomState>;
pub(super) type Set<K> = HashSet<K, RandomState>;

/// Where a row lies in its customer's timeline: by time, then by seq; the hash of its message id keeps
/// events of two projects apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) time: i64,
    pub(super) seq: u64,
    pub(super) tie: u64,
}

/// An event of a timeline as the log has it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) offset: u64,
    frame: Arc<[u8]>,
    range: Range,
}

impl Row {
    pub(super) fn new(place: Place, offset: u64, frame: Arc<[u8]>, range: Range) -> Self {
        Self { place, offset, frame, range }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.frame[self.range.clone()]
    }
}

/// The first bytes of the hash of a message id.
pub(super) type MessageHash = [u8; 16];

/// The first event with a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    pub(super) offset: u64,
    pub(super) arrival: i64,
    /// A hash of what it says; 0 where that is not known.
    pub(super) content: u64,
}

/// What the log has that the index does not have yet.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// By the id that the event came with.
    pub(super) rows: Map<String, Vec<Row>>,
    pub(super) scores: Map<String, Vec<Row>>,
    pub(super) messages: Map<MessageHash, Message>,
    /// An id to what it is joined to; none where its join was undone.
    pub(super) aliases: Map<String, Option<Alias>>,
    /// Customer id to the ids that were joined to it.
    pub(super) joined: Map<String, Vec<String>>,
    /// Customer id to ids that were joined to it before and are no more.
    pub(super) unjoined: Map<String, Set<String>>,
    /// Ids that were sent as those of known customers.
    pub(super) customers: Set<String>,
    /// Memory of the rows in bytes, estimated.
    row_bytes: usize,
    /// The offset after the last record that it has.
    pub(super) next: u64,
    /// The latest arrival.
    pub(super) clock: i64,
}

/// What a row takes beside its bytes, roughly.
const ROW_BYTES: usize = 160;
/// Memory of an entry beside its rows in bytes, estimated, with the free part of its hash table.
const MESSAGE_BYTES: usize = 80;
const CUSTOMER_BYTES: usize = 128;
const JOIN_BYTES: usize = 512;

/// Adds to the list of a key, whose text is only copied if it is new.
fn push<T>(lists: &mut Map<String, Vec<T>>, key: &str, value: T) {
    match lists.get_mut(key) {
        Some(list) => list.push(value),
        None => {
            lists.insert(key.to_owned(), vec![value]);
        }
    }
}

impl Recent {
    pub(super) fn add_row(&mut self, id: &str, is_score: bool, row: Row) {
        self.row_bytes += row.range.len() + ROW_BYTES;
        push(if is_score { &mut self.scores } else { &mut self.rows }, id, row);
    }

    /// Joins an id to a customer; its events so far are theirs if the alias is whole.
    pub(super) fn join(&mut self, id: &str, alias: Alias) {
        if alias.is_whole {
            push(&mut self.joined, &alias.customer, id.to_owned());
        }
        self.aliases.insert(id.to_owned(), Some(alias));
    }

    /// Undoes the join of an id to a customer.
    pub(super) fn unjoin(&mut self, id: &str, customer: &str) {
        self.aliases.insert(id.to_owned(), None);
        if let Some(joined) = self.joined.get_mut(customer) {
            joined.retain(|joined| joined != id);
        }
        self.unjoined.entry(customer.to_owned()).or_default().insert(id.to_owned());
    }

    /// Nothing yet, after a latest arrival.
    pub(super) fn after(clock: i64) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Gives what is here, and goes on with nothing; the clock goes on too.
    pub(super) fn begin_anew(&mut self) -> Self {
        let clock = self.clock;
        std::mem::replace(self, Self::after(clock))
    }

    /// Its memory in bytes, estimated.
    pub(super) fn bytes(&self) -> usize {
        let ids = self.rows.len() + self.scores.len() + self.customers.len();
        self.row_bytes
            + self.messages.len() * MESSAGE_BYTES
            + ids * CUSTOMER_BYTES
            + self.aliases.len() * JOIN_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }
}

/// What is recent: what grows, and what goes into the index now.
#[derive(Debug, Default)]
pub(super) struct Generations {
    pub(super) active: Recent,
    pub(super) frozen: Option<Arc<Recent>>,
}

impl Generations {
    pub(super) fn all(&self) -> impl Iterator<Item = &Recent> {
        std::iter::once(&self.active).chain(self.frozen.as_deref())
    }
}
