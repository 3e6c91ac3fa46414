use std::collections::BTreeMap;
use std::time::Duration;

use kernel::domain::{Time, Value};
use kernel::monitoring::{Calibration, Expectation, Tally};
use serde::{Deserialize, Serialize};

/// What happened at a deployment in a quarter of an hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Which quarter of an hour: counted from the epoch.
    pub number: i64,
    /// Requests to the deployment.
    pub requests: Requests,
    /// What each version said.
    pub versions: BTreeMap<u32, Seen>,
}

/// Requests, by how they ended and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Those that were answered.
    pub answered: u64,
    /// Those that made no sense, or came without a key.
    pub refused: u64,
    /// Those that failed here, or found it too busy.
    pub failed: u64,
    /// How long answers took: by eighths of a power of two of microseconds.
    pub took: Vec<u64>,
}

/// What a version said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Scores that were given.
    pub scores: u64,
    /// The values of each feature, of a sample of them.
    pub features: Vec<Tally>,
    /// Those scores.
    pub said: Tally,
    /// Scores, earlier ones mostly, whose outcome is known now.
    pub outcomes: Calibration,
}

/// Microseconds of a bucket.
pub(super) const LENGTH: i64 = 15 * 60 * 1_000_000;
/// Buckets that are kept: a week.
pub(super) const KEPT: i64 = 7 * 24 * 4;

/// Bins of a doubling of the time that a request takes.
const A_DOUBLING: f64 = 8.0;

impl Bucket {
    /// The number of the bucket of an instant.
    pub(super) const fn number_of(at: Time) -> i64 {
        at.0.div_euclid(LENGTH)
    }

    /// When it begins.
    #[must_use]
    pub const fn start(&self) -> Time {
        Time(self.number * LENGTH)
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        for (version, seen) in &other.versions {
            self.versions.entry(*version).or_default().add(seen);
        }
    }
}

impl Bucket {
    /// Whether texts are remembered in it that may be of somebody.
    pub(super) fn has_examples(&self) -> bool {
        let mut features = self.versions.values().flat_map(|seen| &seen.features);
        features.any(|tally| !tally.examples.is_empty())
    }

    /// Forgets those texts; how many there were is kept.
    pub(super) fn forget_examples(&mut self) {
        let features = self.versions.values_mut().flat_map(|seen| &mut seen.features);
        features.for_each(|tally| tally.examples.clear());
    }
}

impl Requests {
    pub(super) fn count(&mut self, status: u16, took: Duration) {
        match status {
            429 | 500.. => self.failed += 1,
            400..500 => self.refused += 1,
            _ => {
                self.answered += 1;
                let micros = took.as_secs_f64() * 1e6;
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "below 300, a request takes 30 seconds at most"
                )]
                let bin = (A_DOUBLING * micros.max(1.0).log2()) as usize;
                if self.took.len() <= bin {
                    self.took.resize(bin + 1, 0);
                }
                self.took[bin] += 1;
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        if self.took.len() < other.took.len() {
            self.took.resize(other.took.len(), 0);
        }
        self.took.iter_mut().zip(&other.took).for_each(|(own, other)| *own += other);
    }

    /// All of them.
    #[must_use]
    pub const fn n(&self) -> u64 {
        self.answered + self.refused + self.failed
    }

    /// The milliseconds that a share of the answers took at most, to about 9 %. None without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of requests")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let n: u64 = self.took.iter().sum();
        let wanted = share * n as f64;
        let mut so_far = 0;
        let bin = self.took.iter().position(|bin| {
            so_far += bin;
            *bin > 0 && so_far as f64 >= wanted
        })?;
        Some(((bin + 1) as f64 / A_DOUBLING).exp2() / 1e3)
    }
}

impl Seen {
    pub(super) fn observe(&mut self, expected: &Expectation, features: &[Value], score: f64) {
        self.features.resize(expected.features.len(), Tally::default());
        let features = expected.features.iter().zip(&mut self.features).zip(features);
        features.for_each(|((expected, tally), value)| expected.count(tally, value));
        expected.scores.count(&mut self.said, &Value::Number(score));
    }

    fn add(&mut self, other: &Self) {
        self.scores += other.scores;
        if self.features.len() < other.features.len() {
            self.features.resize(other.features.len(), Tally::default());
        }
        self.features.iter_mut().zip(&other.features).for_each(|(own, other)| own.add(other));
        self.said.add(&other.said);
        self.outcomes.add(&other.outcomes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_what_requests_took_are_near() {
        let mut requests = Requests::default();
        for millis in 1..=100 {
            requests.count(200, Duration::from_millis(millis));
        }
        requests.count(503, Duration::from_secs(9));
        requests.count(404, Duration::from_secs(9));
        for (share, millis) in [(0.5, 50.0), (0.99, 99.0)] {
            let found = requests.quantile(share).unwrap();
            assert!(found >= millis && found < millis * 1.1, "{share}: {found}");
        }
        assert_eq!((requests.n(), requests.failed, requests.refused), (102, 1, 1));
    }
}
