use kernel::domain::Time;

use super::Retention;
use super::log::SEGMENT_BYTES;

/// How a store works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of memory for timelines, for what is not in the index yet and for the index.
    pub memory: usize,
    /// What is kept of the past.
    pub retention: Retention,
    /// Bytes of a segment of the log after which the next one begins; tests use less than the default, 64 MiB.
    pub segment_bytes: u64,
    /// Whether a clock that is more than 90 days after the last arrival is right.
    pub accepts_clock: bool,
    /// Events, scores and rejected events that arrived later are forgotten at the start: they came while the
    /// clock was wrong.
    pub forget_after: Option<Time>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: 512 * 1024 * 1024,
            retention: Retention::default(),
            segment_bytes: SEGMENT_BYTES,
            accepts_clock: false,
            forget_after: None,
        }
    }
}
