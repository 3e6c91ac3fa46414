use super::Retention;
use super::log::SEGMENT_BYTES;

/// How a store works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of memory for recently used timelines.
    pub memory: usize,
    /// What is kept of the past.
    pub retention: Retention,
    /// Bytes of a segment of the log after which the next one begins; tests use less than the default, 64 MiB.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let memory = 512 * 1024 * 1024;
        Self { memory, retention: Retention::default(), segment_bytes: SEGMENT_BYTES }
    }
}
