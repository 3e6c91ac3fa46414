use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::domain::{Event, Value};

use super::Timeline;
use crate::Result;

/// Recently used timelines, within a budget of memory.
///
/// Loading a timeline and adding an event to it both hold the lock of its shard, and adding is
/// idempotent, so a cached timeline is always that of the log.
#[derive(Debug)]
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    shard_budget: usize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<String, Entry>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry {
    timeline: Arc<Timeline>,
    bytes: usize,
    used: u64,
}

const N_SHARDS: usize = 16;
/// Entries that are looked at to find one to drop.
const EVICTION_SAMPLE: usize = 16;
/// What an entry takes beside its events, roughly.
const ENTRY_BYTES: usize = 200;
/// What an event takes beside its properties, roughly: itself, and what functions make of it.
const EVENT_BYTES: usize = 600;
/// What a property takes, roughly.
const PROPERTY_BYTES: usize = 120;

impl Cache {
    pub(super) fn new(budget: usize) -> Self {
        let shards = (0..N_SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        Self { shards, hasher: RandomState::new(), shard_budget: budget / N_SHARDS }
    }

    fn shard(&self, customer_id: &str) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(self.hasher.hash_one(customer_id)).unwrap_or(0) % N_SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timeline of a customer, loaded if it is not here.
    pub(super) fn get(
        &self,
        customer_id: &str,
        load: impl FnOnce() -> Result<Timeline>,
    ) -> Result<Arc<Timeline>> {
        let mut shard = self.shard(customer_id);
        shard.tick += 1;
        let tick = shard.tick;
        if let Some(entry) = shard.entries.get_mut(customer_id) {
            entry.used = tick;
            return Ok(entry.timeline.clone());
        }
        let timeline = Arc::new(load()?);
        let events: usize = timeline.events().iter().map(|event| event_bytes(event)).sum();
        let bytes = events + ENTRY_BYTES + customer_id.len();
        shard.bytes += bytes;
        let entry = Entry { timeline: timeline.clone(), bytes, used: tick };
        shard.entries.insert(customer_id.to_owned(), entry);
        shard.evict(self.shard_budget, customer_id);
        Ok(timeline)
    }

    /// Whether the timeline of a customer is here.
    pub(super) fn has(&self, customer_id: &str) -> bool {
        self.shard(customer_id).entries.contains_key(customer_id)
    }

    /// Adds an event to its customer's timeline, if that is here.
    pub(super) fn add(&self, event: &Arc<Event>) {
        let mut guard = self.shard(&event.customer_id);
        let shard = &mut *guard;
        let Some(entry) = shard.entries.get_mut(&event.customer_id) else { return };
        if entry.timeline.add(event) {
            entry.bytes += event_bytes(event);
            shard.bytes += event_bytes(event);
            let budget = self.shard_budget;
            shard.evict(budget, &event.customer_id);
        }
    }

    /// Forgets everyone. What is being loaded meanwhile is forgotten or was loaded after.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.lock().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }

    /// Forgets a customer.
    pub(super) fn remove(&self, customer_id: &str) {
        let mut shard = self.shard(customer_id);
        if let Some(entry) = shard.entries.remove(customer_id) {
            shard.bytes -= entry.bytes;
        }
    }
}

impl Shard {
    /// Drops what was not used for longest, of a few looked at, until the budget holds.
    fn evict(&mut self, budget: usize, keep: &str) {
        while self.bytes > budget {
            let oldest = self
                .entries
                .iter()
                .filter(|(id, _)| id.as_str() != keep)
                .take(EVICTION_SAMPLE)
                .min_by_key(|(_, entry)| entry.used)
                .map(|(id, _)| id.clone());
            match oldest.and_then(|id| self.entries.remove(&id)) {
                Some(entry) => self.bytes -= entry.bytes,
                None => return,
            }
        }
    }
}

fn event_bytes(event: &Event) -> usize {
    let text = |value: &Value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    let properties = event.properties.iter();
    EVENT_BYTES
        + properties.map(|(name, value)| PROPERTY_BYTES + name.len() + text(value)).sum::<usize>()
}
