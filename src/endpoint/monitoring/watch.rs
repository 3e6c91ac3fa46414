use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::domain::{Time, Value};
use kernel::monitoring::Expectation;

use super::bucket::{Bucket, KEPT, LENGTH};
use crate::online::ConfigStore;
use crate::{Error, Result};

/// What happened at each deployment in the last week.
#[derive(Debug, Default)]
pub struct Watch {
    all: Mutex<HashMap<String, Watched>>,
    /// The second that is now, and the scores of it whose features were looked at.
    second: AtomicI64,
    looked_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Watched {
    /// Shared with who reads them: what is read is not held up, nor holds up what is counted.
    buckets: BTreeMap<i64, Arc<Bucket>>,
    /// Those that are not stored as they are.
    changed: BTreeSet<i64>,
}

/// Scores of a second whose features are looked at: enough to know them by, and no burden.
const LOOKED_AT: u64 = 200;
/// Where buckets are stored.
const PREFIX: &str = "watch/";

impl Watched {
    fn bucket(&mut self, at: Time) -> &mut Bucket {
        let number = Bucket::number_of(at);
        self.changed.insert(number);
        let fresh = || Arc::new(Bucket { number, ..Bucket::default() });
        Arc::make_mut(self.buckets.entry(number).or_insert_with(fresh))
    }
}

/// A ring: what is a week old makes room.
fn key(name: &str, number: i64) -> String {
    format!("{PREFIX}{name}/{}", number.rem_euclid(KEPT))
}

impl Watch {
    /// Reads what was stored. What cannot be read any more is left out: it is only the last week.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn open(config: &dyn ConfigStore, now: Time) -> Result<Self> {
        let mut all: HashMap<String, Watched> = HashMap::new();
        let oldest = Bucket::number_of(now) - KEPT;
        for key in config.names(PREFIX)? {
            let name = key.trim_start_matches(PREFIX).rsplit_once('/').map(|(name, _)| name);
            let (Some(name), Some(bytes)) = (name, config.get(&key)?) else { continue };
            match serde_json::from_slice::<Bucket>(&bytes) {
                Ok(bucket) if bucket.number > oldest => {
                    let watched = all.entry(name.to_owned()).or_default();
                    watched.buckets.insert(bucket.number, Arc::new(bucket));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, key, "a quarter of an hour is not known any more")
                }
            }
        }
        Ok(Self { all: Mutex::new(all), ..Self::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Watched>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, name: &str, at: Time, count: impl FnOnce(&mut Bucket)) {
        let mut all = self.lock();
        match all.get_mut(name) {
            Some(watched) => count(watched.bucket(at)),
            None => count(all.entry(name.to_owned()).or_default().bucket(at)),
        }
    }

    /// A request to a deployment was answered.
    pub fn answered(&self, name: &str, status: u16, took: Duration, at: Time) {
        self.with(name, at, |bucket| bucket.requests.count(status, took));
    }

    /// A version gave a score. Of a few each second the features are looked at.
    pub fn scored(
        &self,
        name: &str,
        version: u32,
        expected: Option<&Expectation>,
        (features, score): (&[Value], f64),
        at: Time,
    ) {
        let expected = expected.filter(|_| self.looks_at(at));
        self.with(name, at, |bucket| {
            let seen = bucket.versions.entry(version).or_default();
            seen.scores += 1;
            if let Some(expected) = expected {
                seen.observe(expected, features, score);
            }
        });
    }

    fn looks_at(&self, at: Time) -> bool {
        let second = at.0.div_euclid(1_000_000);
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.looked_at.store(0, Ordering::Relaxed);
        }
        self.looked_at.fetch_add(1, Ordering::Relaxed) < LOOKED_AT
    }

    /// It is known now what became of a score of a bin.
    pub fn came_out(
        &self,
        name: &str,
        version: u32,
        bin: usize,
        (score, outcome): (f64, f64),
        at: Time,
    ) {
        self.with(name, at, |bucket| {
            let seen = bucket.versions.entry(version).or_default();
            seen.outcomes.count(bin, score, outcome);
        });
    }

    /// What happened at a deployment between two instants, quarter by quarter.
    #[must_use]
    pub fn buckets(&self, name: &str, from: Time, until: Time) -> Vec<Arc<Bucket>> {
        let all = self.lock();
        let Some(watched) = all.get(name) else { return Vec::new() };
        let wanted = Bucket::number_of(from)..=Bucket::number_of(until);
        watched.buckets.range(wanted).map(|(_, bucket)| bucket.clone()).collect()
    }

    /// Forgets every text that was not seen at training: whose they were is not known, so this is done
    /// whenever somebody is erased. Later ones are remembered again. Gives whether there were any.
    pub fn forget_examples(&self) -> bool {
        let mut is_any = false;
        for watched in self.lock().values_mut() {
            let with = watched.buckets.iter_mut().filter(|(_, bucket)| bucket.has_examples());
            for (number, bucket) in with {
                watched.changed.insert(*number);
                Arc::make_mut(bucket).forget_examples();
                is_any = true;
            }
        }
        is_any
    }

    /// What is to be stored: quarters that are over, or all. It counts as stored from now on.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn take_changes(&self, now: Time, is_last: bool) -> Result<Vec<(String, Vec<u8>)>> {
        let current = Bucket::number_of(now);
        let mut changes = Vec::new();
        for (name, watched) in self.lock().iter_mut() {
            watched.buckets.retain(|number, _| *number > current - KEPT);
            let is_due = |number: &i64| is_last || *number < current;
            let due: Vec<i64> = watched.changed.iter().copied().filter(is_due).collect();
            for number in due {
                watched.changed.remove(&number);
                let Some(bucket) = watched.buckets.get(&number) else { continue };
                let json =
                    serde_json::to_vec(&**bucket).map_err(Error::store("write a quarter"))?;
                changes.push((key(name, number), json));
            }
        }
        Ok(changes)
    }
}

/// When a period that ends now begins: with a quarter of an hour.
pub(super) fn start_of(now: Time, micros: i64) -> Time {
    Time((Bucket::number_of(Time(now.0 - micros)) + 1) * LENGTH)
}
