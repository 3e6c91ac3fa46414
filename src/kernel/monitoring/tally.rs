use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values that were counted by the bins of an [`super::Expected`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Values, missing ones included.
    pub n: u64,
    /// Values that were missing.
    pub missing: u64,
    /// Known values by bin; bins at the end without any may be left out.
    pub bins: Vec<u64>,
    /// Texts that were not in the training set.
    pub unseen: u64,
    /// Some of them, with how often.
    pub examples: BTreeMap<String, u64>,
    /// The sum of the numbers.
    pub sum: f64,
}

/// Unseen texts that are remembered.
const MOST_EXAMPLES: usize = 10;
/// The longest of them, in characters.
const LONGEST_EXAMPLE: usize = 60;

impl Tally {
    /// Counts a text that was not in the training set.
    pub(super) fn see(&mut self, text: &str) {
        self.unseen += 1;
        let text: String = text.chars().take(LONGEST_EXAMPLE).collect();
        if self.examples.len() < MOST_EXAMPLES || self.examples.contains_key(&text) {
            *self.examples.entry(text).or_default() += 1;
        }
    }

    /// Adds what was counted elsewhere by the same bins.
    pub fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.missing += other.missing;
        self.unseen += other.unseen;
        self.sum += other.sum;
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        self.bins.iter_mut().zip(&other.bins).for_each(|(own, other)| *own += other);
        for (text, n) in &other.examples {
            if self.examples.len() < MOST_EXAMPLES || self.examples.contains_key(text) {
                *self.examples.entry(text.clone()).or_default() += n;
            }
        }
    }

    /// The mean of the numbers; none without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of values")]
    pub fn mean(&self) -> Option<f64> {
        let known: u64 = self.bins.iter().sum();
        (known > 0).then(|| self.sum / known as f64)
    }
}

/// Scores beside what became of them, by bins of the score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// For each bin: scores, their sum, and the sum of the outcomes.
    pub bins: Vec<(u64, f64, f64)>,
    /// The sum of the squares of outcome minus score.
    pub squares: f64,
}

impl Calibration {
    /// Counts a score of a bin and what became of it.
    pub fn count(&mut self, bin: usize, score: f64, outcome: f64) {
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, (0, 0.0, 0.0));
        }
        let (n, scores, outcomes) = &mut self.bins[bin];
        *n += 1;
        *scores += score;
        *outcomes += outcome;
        self.squares += (outcome - score).powi(2);
    }

    /// Adds what was counted elsewhere by the same bins.
    pub fn add(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), (0, 0.0, 0.0));
        }
        for (own, other) in self.bins.iter_mut().zip(&other.bins) {
            *own = (own.0 + other.0, own.1 + other.1, own.2 + other.2);
        }
        self.squares += other.squares;
    }

    /// Scores whose outcome is known.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.bins.iter().map(|(n, ..)| n).sum()
    }

    /// The expected calibration error (Naeini et al. 2015): the mean over bins of the difference of mean
    /// score and mean outcome, by scores. None without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of scores")]
    pub fn error(&self) -> Option<f64> {
        let n = self.n();
        let off: f64 =
            self.bins.iter().map(|(_, scores, outcomes)| (scores - outcomes).abs()).sum();
        (n > 0).then(|| off / n as f64)
    }

    /// The mean squared error, of probabilities the Brier score. None without any.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of scores")]
    pub fn mean_squared_error(&self) -> Option<f64> {
        let n = self.n();
        (n > 0).then(|| self.squares / n as f64)
    }
}
