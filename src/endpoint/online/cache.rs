use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use kernel::domain::Event;

use super::Timeline;
use super::recent::Place;

/// Recently used timelines, within a budget of memory.
#[derive(Debug)]
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    shard_budget: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<String, Entry, RandomState>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry {
    timeline: Arc<Timeline>,
    bytes: usize,
    used: u64,
}

const N_SHARDS: usize = 64;
/// Entries that are looked at to find one to drop.
const EVICTION_SAMPLE: usize = 16;
/// Uses of a shard after which the entry in use is measured again.
const WEIGHED_EVERY: u64 = 8;

impl Cache {
    pub(super) fn new(budget: usize) -> Self {
        let shards = (0..N_SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        Self {
            shards,
            hasher: RandomState::default(),
            shard_budget: AtomicUsize::new(budget / N_SHARDS),
        }
    }

    /// Changes the budget, which each shard follows when it is used next.
    pub(super) fn set_budget(&self, budget: usize) {
        self.shard_budget.store(budget / N_SHARDS, Ordering::Relaxed);
    }

    fn shard_budget(&self) -> usize {
        self.shard_budget.load(Ordering::Relaxed)
    }

    /// Drops entries until the budget holds.
    pub(super) fn trim(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.evict(self.shard_budget(), "");
        }
    }

    fn shard(&self, customer_id: &str) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(self.hasher.hash_one(customer_id)).unwrap_or(0) % N_SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timeline of a customer, if it is here.
    pub(super) fn find(&self, customer_id: &str) -> Option<Arc<Timeline>> {
        let mut shard = self.shard(customer_id);
        shard.tick += 1;
        let tick = shard.tick;
        let entry = shard.entries.get_mut(customer_id)?;
        entry.used = tick;
        let timeline = entry.timeline.clone();
        if tick.is_multiple_of(WEIGHED_EVERY) {
            shard.weigh(customer_id, self.shard_budget());
        }
        Some(timeline)
    }

    /// The timeline of a customer, which is empty if it is not here.
    pub(super) fn get(&self, customer_id: &str) -> Arc<Timeline> {
        let mut shard = self.shard(customer_id);
        shard.tick += 1;
        let tick = shard.tick;
        if let Some(entry) = shard.entries.get_mut(customer_id) {
            entry.used = tick;
            return entry.timeline.clone();
        }
        let timeline = Arc::new(Timeline::new(customer_id));
        let entry = Entry { timeline: timeline.clone(), bytes: 0, used: tick };
        shard.entries.insert(customer_id.to_owned(), entry);
        shard.weigh(customer_id, self.shard_budget());
        timeline
    }

    /// Takes note of what a timeline weighs now.
    pub(super) fn weigh(&self, customer_id: &str) {
        self.shard(customer_id).weigh(customer_id, self.shard_budget());
    }

    /// Adds an event to its customer's timeline, if that is here.
    pub(super) fn add(&self, offset: u64, place: Place, event: &Arc<Event>) {
        let mut shard = self.shard(&event.customer_id);
        if let Some(entry) = shard.entries.get(&event.customer_id) {
            entry.timeline.add(offset, place, event);
            shard.weigh(&event.customer_id, self.shard_budget());
        }
    }

    /// Forgets everyone.
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

    /// The memory that it takes, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let bytes =
            |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).bytes;
        self.shards.iter().map(bytes).sum()
    }
}

impl Shard {
    fn weigh(&mut self, customer_id: &str, budget: usize) {
        if let Some(entry) = self.entries.get_mut(customer_id)
            && let Some(bytes) = entry.timeline.bytes()
        {
            self.bytes = self.bytes + bytes - entry.bytes;
            entry.bytes = bytes;
        }
        self.evict(budget, customer_id);
    }

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

#[cfg(test)]
mod tests {
    use kernel::domain::{Properties, Time, Value};

    use super::*;

    #[test]
    fn pending_events_count_against_the_budget() {
        const BUDGET: usize = 8 * 1024 * 1024;
        let cache = Cache::new(BUDGET);
        let event = |customer: usize, n: u64| Event {
            message_id: format!("m{customer}-{n}"),
            customer_id: format!("c{customer}"),
            anonymous_id: None,
            event: "order".to_owned(),
            event_time: Time(0),
            received_at: Time(0),
            seq: n,
            properties: Properties::from([("note".to_owned(), Value::text("x".repeat(100)))]),
        };
        for customer in 0..1_000 {
            cache.get(&format!("c{customer}"));
        }
        assert!((0..1_000).all(|customer| cache.find(&format!("c{customer}")).is_some()));
        let before = cache.bytes();
        for n in 0..30 {
            for customer in 0..1_000 {
                let place = Place { time: 0, seq: n, tie: 0 };
                cache.add(n, place, &Arc::new(event(customer, n)));
            }
        }
        assert!(before < BUDGET / 4 && cache.bytes() <= BUDGET, "{before}, {}", cache.bytes());
        let left = (0..1_000).filter(|customer| cache.find(&format!("c{customer}")).is_some());
        assert!(
            (100..900).contains(&left.count()),
            "the cache evicted some entries and kept others"
        );
    }
}
