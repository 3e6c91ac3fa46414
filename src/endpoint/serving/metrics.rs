use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of what happened since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// Events in requests.
    pub(super) received: Count,
    /// Events that are new and durable.
    pub(super) accepted: Count,
    /// Events whose message id was known.
    pub(super) duplicate: Count,
    /// Events that make no sense, kept with the reason.
    pub(super) rejected: Count,
    /// Events that were refused as too many.
    pub(super) refused: Count,
    /// Scores that were given.
    pub(super) scores: Count,
    /// Scores that could not be recorded, because too much was waiting.
    pub(super) unrecorded_scores: Count,
    /// Microseconds spent on scores.
    pub(super) score_micros: Count,
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
    /// In the text format of Prometheus.
    pub(super) fn to_text(&self) -> String {
        let rows = [
            ("events_received_total", "Events in requests.", &self.received),
            ("events_accepted_total", "Events that are new and durable.", &self.accepted),
            ("events_duplicate_total", "Events whose message id was known.", &self.duplicate),
            ("events_rejected_total", "Events that make no sense.", &self.rejected),
            ("events_refused_total", "Events refused as too many.", &self.refused),
            ("scores_total", "Scores that were given.", &self.scores),
            ("scores_unrecorded_total", "Scores that were not recorded.", &self.unrecorded_scores),
            ("score_microseconds_total", "Microseconds spent on scores.", &self.score_micros),
        ];
        rows.iter()
            .map(|(name, help, count)| {
                let name = format!("fullcircle_{name}");
                let count = count.get();
                format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {count}\n")
            })
            .collect()
    }
}
