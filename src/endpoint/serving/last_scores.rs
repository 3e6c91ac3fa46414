use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use kernel::domain::Time;

/// The last score of a customer by a name, without the features that it read.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) score: f64,
    pub(super) as_of: Time,
    pub(super) version: u32,
    pub(super) function: Arc<str>,
    pub(super) variant: Arc<str>,
    pub(super) known: bool,
    /// Hash of the features.
    pub(super) features: u128,
    /// The number of changes of the timeline that it read.
    pub(super) changes: u64,
}

/// The last scores that were computed, as many as there is room for: what a fresh enough one saves, and what
/// a deadline that passed falls back to.
#[derive(Debug)]
pub(super) struct LastScores {
    shards: Vec<Mutex<ByKey>>,
    hashers: [RandomState; 2],
}

type ByKey = HashMap<u128, Last, RandomState>;

const N_SHARDS: usize = 64;
/// Scores of a shard: 128 bytes each, 32 MB in all.
const MOST: usize = 4_096;

impl Default for LastScores {
    fn default() -> Self {
        let shards = (0..N_SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hashers: [RandomState::default(), RandomState::default()] }
    }
}

impl LastScores {
    /// Two hashes with keys of their own: nobody can make one customer's score that of another.
    fn shard(&self, name: &str, customer_id: &str) -> (u128, MutexGuard<'_, ByKey>) {
        let [a, b] = &self.hashers;
        let (a, b) = (a.hash_one((name, customer_id)), b.hash_one((name, customer_id)));
        let shard = &self.shards[usize::try_from(a).unwrap_or(0) % N_SHARDS];
        let guard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        (u128::from(a) << 64 | u128::from(b), guard)
    }

    pub(super) fn get(&self, name: &str, customer_id: &str) -> Option<Last> {
        let (key, shard) = self.shard(name, customer_id);
        shard.get(&key).cloned()
    }

    pub(super) fn put(&self, name: &str, customer_id: &str, last: Last) {
        let (key, mut shard) = self.shard(name, customer_id);
        if shard.len() >= MOST && !shard.contains_key(&key) {
            // Any quarter: what is asked for again is soon here again.
            let dropped: Vec<u128> = shard.keys().take(MOST / 4).copied().collect();
            dropped.iter().for_each(|key| drop(shard.remove(key)));
        }
        shard.insert(key, last);
    }

    /// Forgets a customer's score by a name.
    pub(super) fn remove(&self, name: &str, customer_id: &str) {
        let (key, mut shard) = self.shard(name, customer_id);
        shard.remove(&key);
    }
}
