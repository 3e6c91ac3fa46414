use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::online::ClockReport;

/// Counts of what happened since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// Events in requests.
    pub(super) received: Count,
    /// Events that are new and durable.
    pub(super) accepted: Count,
    /// Events whose message id was known.
    pub(super) duplicate: Count,
    /// Duplicates that say something else than the first event with their message id.
    pub(super) conflicting: Count,
    /// Events that make no sense, kept with the reason.
    pub(super) rejected: Count,
    /// Events that were refused as too many; of a request that was refused unread, one.
    pub(super) refused: Count,
    /// Scores that were given.
    pub(super) scores: Count,
    /// Microseconds spent on scores.
    pub(super) score_micros: Count,
    /// How long requests took.
    pub(super) latencies: Latencies,
}

/// What a request was about, as far as its latency goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Score,
    Collect,
    Other,
}

const KINDS: [(Kind, &str); 3] =
    [(Kind::Score, "score"), (Kind::Collect, "collect"), (Kind::Other, "other")];

/// Upper bounds of latencies in microseconds; the last bucket has no bound.
const BOUNDS: [u64; 13] =
    [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 2_000_000];

/// How long requests took, by kind; and how they were answered.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    buckets: [[Count; BOUNDS.len() + 1]; KINDS.len()],
    micros: [Count; KINDS.len()],
    /// By kind and hundreds of the status.
    statuses: [[Count; 6]; KINDS.len()],
}

impl Latencies {
    /// A request was answered.
    pub(super) fn add(&self, kind: Kind, status: u16, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        let kind = kind as usize;
        self.buckets[kind][bucket].add(1);
        self.micros[kind].add(usize::try_from(micros).unwrap_or(0));
        self.statuses[kind][usize::from(status / 100).min(5)].add(1);
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds for a graph")]
    fn to_text(&self) -> String {
        let name = "fullcircle_request_seconds";
        let mut text = format!("# HELP {name} How long requests took.\n# TYPE {name} histogram\n");
        for (kind, said) in KINDS {
            let mut n = 0;
            for (place, count) in self.buckets[kind as usize].iter().enumerate() {
                n += count.get();
                let bound = BOUNDS.get(place).map(|micros| (*micros as f64 / 1e6).to_string());
                let bound = bound.as_deref().unwrap_or("+Inf");
                text += &format!("{name}_bucket{{kind=\"{said}\",le=\"{bound}\"}} {n}\n");
            }
            let seconds = self.micros[kind as usize].get() as f64 / 1e6;
            text += &format!("{name}_sum{{kind=\"{said}\"}} {seconds}\n");
            text += &format!("{name}_count{{kind=\"{said}\"}} {n}\n");
        }
        let name = "fullcircle_answers_total";
        text += &format!("# HELP {name} Answers by status.\n# TYPE {name} counter\n");
        for (kind, said) in KINDS {
            for hundreds in 1..6 {
                let n = self.statuses[kind as usize][hundreds].get();
                text += &format!("{name}{{kind=\"{said}\",status=\"{hundreds}xx\"}} {n}\n");
            }
        }
        text
    }
}

/// A count that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// Scores were given.
    pub(super) fn scored(&self, n: usize, took: Duration) {
        self.scores.add(n);
        self.score_micros.add(usize::try_from(took.as_micros()).unwrap_or(0));
    }

    /// In the text format of Prometheus; `memory` is what timelines take, in bytes, then scores that
    /// were not recorded, then how the clock of the machine differs.
    pub(super) fn to_text(&self, memory: usize, n_unrecorded: usize, clock: ClockReport) -> String {
        let unrecorded = &Count::default();
        unrecorded.add(n_unrecorded);
        let rows = [
            ("events_received_total", "Events in requests.", &self.received),
            ("events_accepted_total", "Events that are new and durable.", &self.accepted),
            ("events_duplicate_total", "Events whose message id was known.", &self.duplicate),
            (
                "events_conflicting_total",
                "Duplicates that say something else than the first event with their message id.",
                &self.conflicting,
            ),
            ("events_rejected_total", "Events that make no sense.", &self.rejected),
            ("events_refused_total", "Events refused as too many.", &self.refused),
            ("scores_total", "Scores that were given.", &self.scores),
            ("scores_unrecorded_total", "Scores that were not recorded.", unrecorded),
            ("score_microseconds_total", "Microseconds spent on scores.", &self.score_micros),
        ];
        let mut text: String = rows
            .iter()
            .map(|(name, help, count)| {
                let name = format!("fullcircle_{name}");
                let count = count.get();
                format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n")
            })
            .collect();
        let name = "fullcircle_timelines_bytes";
        let help = "Memory of recently used timelines and of what is not in the index yet.";
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {memory}\n");
        let name = "fullcircle_clock_difference_seconds";
        let help = "Seconds by which the clock of the machine is ahead of the endpoint's; 0 while it is followed.";
        let seconds = clock.difference / 1_000_000;
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {seconds}\n");
        let (name, steps) = ("fullcircle_clock_steps_total", clock.steps);
        let help = "Steps of the clock of the machine that were not followed at once.";
        text += &format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {steps}\n");
        text + &self.latencies.to_text()
    }
}
