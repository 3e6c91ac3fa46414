use std::collections::BTreeMap;

use kernel::domain::{Name, Time, Type};
use kernel::monitoring::{Drift, Expected, Tally};
use kernel::scoring::ScoringFunction;
use serde::Serialize;

use super::bucket::{Bucket, Seen};
use super::watch::{Watch, start_of};

/// A deployment over a period, and how far a version of it is from what it was trained on.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The deployment.
    pub name: Name,
    /// The version whose features, scores and outcomes these are.
    pub version: u32,
    /// The period, by whole quarters of an hour.
    pub from: Time,
    /// Its end.
    pub until: Time,
    /// Requests to the deployment.
    pub requests: u64,
    /// Those that made no sense.
    pub refused: u64,
    /// Those that failed.
    pub failed: u64,
    /// The milliseconds that half of the answers took at most, and 99 of 100.
    pub p50_ms: Option<f64>,
    /// The milliseconds that 99 of 100 answers took at most.
    pub p99_ms: Option<f64>,
    /// Scores of the version.
    pub scores: u64,
    /// Those whose features were looked at.
    pub observed: u64,
    /// The number of scores, requests or outcomes that a reading needs before a rule can use it:
    /// [`MIN_VALUES_OF_READING`].
    pub minimum: u64,
    /// How the scores moved; none if nothing is known of how they were.
    pub score: Option<Moved>,
    /// How each feature moved, most first.
    pub features: Vec<Moved>,
    /// What became of scores; none if no event says it.
    pub outcomes: Option<Outcomes>,
    /// The same, quarter by quarter.
    pub series: Vec<Point>,
}

/// How far the values of a feature, or the scores, are from how they were.
#[derive(Clone, Debug, Serialize)]
pub struct Moved {
    /// The feature; `score` for the scores.
    pub name: String,
    /// How far; none if there is nothing to compare.
    pub drift: Option<Drift>,
    /// Whether that is more than usual, and more than chance.
    pub has_moved: bool,
    /// The share that was missing at training.
    pub missing_then: f64,
    /// The shares of each bin.
    pub bins: Vec<BinShare>,
    /// Texts that were not there at training, with how often they are now.
    pub unseen: BTreeMap<String, u64>,
}

/// A bin of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BinShare {
    /// What is in it.
    pub label: String,
    /// Its share at training.
    pub then: f64,
    /// Its share now.
    pub now: f64,
}

/// Scores whose time has come, beside what became of them.
#[derive(Clone, Debug, Serialize)]
pub struct Outcomes {
    /// How many.
    pub n: u64,
    /// Whether the scores are probabilities.
    pub is_probability: bool,
    /// The expected calibration error.
    pub calibration_error: Option<f64>,
    /// The mean squared error; of probabilities the Brier score.
    pub mean_squared_error: Option<f64>,
    /// By bins of the score.
    pub bins: Vec<OutcomeBin>,
}

/// Scores of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutcomeBin {
    /// How many.
    pub n: u64,
    /// Their mean.
    pub score: f64,
    /// The mean of what became of them.
    pub outcome: f64,
}

/// A quarter of an hour of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// When it begins.
    pub at: Time,
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// The milliseconds that 99 of 100 answers took at most.
    pub p99_ms: Option<f64>,
    /// Scores of the version.
    pub scores: u64,
    /// Their mean.
    pub mean_score: Option<f64>,
}

/// A rule reads shares, quantiles, means and drift only if they are over this many scores, requests or outcomes. Of
/// fewer the reading is unknown, which makes no condition true: three scores always look like drift.
pub const MIN_VALUES_OF_READING: u64 = 20;

/// Readings of a deployment that rules can be over, beside those of each feature.
const READINGS: [&str; 16] = [
    "requests",
    "refused",
    "failed",
    "error_share",
    "p50_ms",
    "p99_ms",
    "scores",
    "mean_score",
    "score_psi",
    "worst_psi",
    "drifted",
    "worst_missing",
    "worst_unseen",
    "outcomes",
    "calibration_error",
    "mean_squared_error",
];

/// The names of the readings of a function's deployment, all of which are numbers.
#[must_use]
pub fn reading_types(function: &ScoringFunction) -> BTreeMap<String, Type> {
    let features = function.view().features().iter();
    let of_features = features.flat_map(|feature| {
        ["psi", "missing", "unseen"].map(|reading| format!("{reading}.{}", feature.name))
    });
    let names = READINGS.iter().map(|name| (*name).to_owned()).chain(of_features);
    names.map(|name| (name, Type::Number)).collect()
}

impl Report {
    /// Reports on a version of a deployment over the time up to now.
    #[must_use]
    pub fn of(
        watch: &Watch,
        name: &Name,
        version: u32,
        function: &ScoringFunction,
        (now, micros): (Time, i64),
    ) -> Self {
        let from = start_of(now, micros);
        let buckets = watch.buckets(name.as_str(), from, now);
        let mut all = Bucket::default();
        buckets.iter().for_each(|bucket| all.add(bucket));
        let seen = all.versions.remove(&version).unwrap_or_default();
        let file = function.file();
        let nothing = Tally::default();
        let mut features: Vec<Moved> = match &file.expected {
            None => Vec::new(),
            Some(expected) => function
                .view()
                .features()
                .iter()
                .zip(&expected.features)
                .enumerate()
                .map(|(place, (feature, then))| {
                    let now = seen.features.get(place).unwrap_or(&nothing);
                    Moved::of(feature.name.to_string(), then, now)
                })
                .collect(),
        };
        features.sort_by(|left, right| right.index().total_cmp(&left.index()));
        Self {
            name: name.clone(),
            version,
            from,
            until: now,
            requests: all.requests.n(),
            refused: all.requests.refused,
            failed: all.requests.failed,
            p50_ms: all.requests.quantile(0.5),
            p99_ms: all.requests.quantile(0.99),
            scores: seen.scores,
            observed: seen.said.n,
            minimum: MIN_VALUES_OF_READING,
            score: file
                .expected
                .as_ref()
                .map(|expected| Moved::of("score".to_owned(), &expected.scores, &seen.said)),
            features,
            outcomes: file
                .outcome
                .as_ref()
                .map(|outcome| Outcomes::of(&seen, outcome.is_probability)),
            series: buckets.iter().map(|bucket| Point::of(bucket, version)).collect(),
        }
    }

    /// A reading by its name; none where it is not known, or over fewer than [`MIN_VALUES_OF_READING`] values.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts as numbers of an expression")]
    pub fn reading(&self, name: &str) -> Option<f64> {
        let n_values = match name {
            "requests" | "refused" | "failed" | "scores" | "outcomes" => u64::MAX,
            "error_share" | "p50_ms" | "p99_ms" => self.requests,
            "calibration_error" | "mean_squared_error" => {
                self.outcomes.as_ref().map_or(0, |outcomes| outcomes.n)
            }
            _ => self.observed,
        };
        if n_values < MIN_VALUES_OF_READING {
            return None;
        }
        let drifts = || self.features.iter().filter_map(|moved| moved.drift);
        let worst = |all: &mut dyn Iterator<Item = f64>| all.reduce(f64::max);
        if let Some((reading, feature)) = name.split_once('.') {
            let drift = self.features.iter().find(|moved| moved.name == feature)?.drift?;
            return Some(match reading {
                "psi" => drift.psi,
                "missing" => drift.missing,
                _ => drift.unseen,
            });
        }
        let outcomes = self.outcomes.as_ref();
        match name {
            "requests" => Some(self.requests as f64),
            "refused" => Some(self.refused as f64),
            "failed" => Some(self.failed as f64),
            "error_share" => (self.requests > 0).then(|| self.failed as f64 / self.requests as f64),
            "p50_ms" => self.p50_ms,
            "p99_ms" => self.p99_ms,
            "scores" => Some(self.scores as f64),
            "mean_score" => {
                let points = self.series.iter();
                let (n, sum) = points
                    .filter_map(|point| Some((point.scores as f64, point.mean_score?)))
                    .fold((0.0, 0.0), |(n, sum), (scores, mean)| (n + scores, sum + scores * mean));
                (n > 0.0).then(|| sum / n)
            }
            "score_psi" => self.score.as_ref()?.drift.map(|drift| drift.psi),
            "worst_psi" => worst(&mut drifts().map(|drift| drift.psi)),
            "drifted" => {
                let moved = self.features.iter().chain(&self.score);
                Some(moved.filter(|moved| moved.has_moved).count() as f64)
            }
            "worst_missing" => {
                let more = self.features.iter().filter_map(|moved| {
                    moved.drift.map(|drift| drift.missing - moved.missing_then)
                });
                worst(&mut { more })
            }
            "worst_unseen" => worst(&mut drifts().map(|drift| drift.unseen)),
            "outcomes" => outcomes.map(|outcomes| outcomes.n as f64),
            "calibration_error" => outcomes?.calibration_error,
            "mean_squared_error" => outcomes?.mean_squared_error,
            _ => None,
        }
    }
}

impl Moved {
    #[allow(clippy::cast_precision_loss, reason = "shares of values")]
    fn of(name: String, then: &Expected, now: &Tally) -> Self {
        let drift = Drift::of(then, now);
        let share = |bin: usize| {
            let count = now.bins.get(bin).copied().unwrap_or(0);
            if now.n == 0 { 0.0 } else { count as f64 / now.n as f64 }
        };
        let bins = (0..then.n_bins()).map(|bin| BinShare {
            label: then.label(bin),
            then: then.shares.get(bin).copied().unwrap_or(0.0),
            now: share(bin),
        });
        Self {
            has_moved: drift.is_some_and(|drift| drift.has_moved()),
            missing_then: then.missing,
            bins: bins.collect(),
            unseen: now.examples.clone(),
            drift,
            name,
        }
    }

    fn index(&self) -> f64 {
        self.drift.map_or(-1.0, |drift| drift.psi)
    }
}

impl Outcomes {
    #[allow(clippy::cast_precision_loss, reason = "means of scores")]
    fn of(seen: &Seen, is_probability: bool) -> Self {
        let bins = seen.outcomes.bins.iter().filter(|(n, ..)| *n > 0);
        Self {
            n: seen.outcomes.n(),
            is_probability,
            calibration_error: seen.outcomes.error(),
            mean_squared_error: seen.outcomes.mean_squared_error(),
            bins: bins
                .map(|(n, scores, outcomes)| OutcomeBin {
                    n: *n,
                    score: scores / *n as f64,
                    outcome: outcomes / *n as f64,
                })
                .collect(),
        }
    }
}

impl Point {
    fn of(bucket: &Bucket, version: u32) -> Self {
        let seen = bucket.versions.get(&version);
        Self {
            at: bucket.start(),
            requests: bucket.requests.n(),
            failed: bucket.requests.failed,
            p99_ms: bucket.requests.quantile(0.99),
            scores: seen.map_or(0, |seen| seen.scores),
            mean_score: seen.and_then(|seen| seen.said.mean()),
        }
    }
}
