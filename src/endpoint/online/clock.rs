use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::domain::Time;

/// The endpoint's one clock: it never goes back, and no two events arrive at the same instant.
///
/// A live score's as-of time is later than every acknowledged arrival and not later than any arrival
/// that is still being written, so that a score as of that instant can be computed again exactly.
#[derive(Debug)]
pub struct Clock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The latest instant that was given out.
    last: i64,
    /// The first arrival of the group that is being written.
    pending: Option<i64>,
}

impl Clock {
    /// A clock that goes on after `last`.
    #[must_use]
    pub fn after(last: Time) -> Self {
        Self { state: Mutex::new(State { last: last.0, pending: None }) }
    }

    /// Arrival times for a group of `n` events that is about to be written: the first of them.
    pub(super) fn begin_group(&self, n: usize) -> Time {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = system_micros().max(state.last + 1);
        state.last = first + i64::try_from(n).unwrap_or(i64::MAX) - 1;
        state.pending = Some(first);
        Time(first)
    }

    /// The group is written and visible, or has failed.
    pub(super) fn end_group(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).pending = None;
    }

    /// The as-of time of a live score.
    #[must_use]
    pub fn as_of(&self) -> Time {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = state.pending {
            return Time(pending);
        }
        state.last = system_micros().max(state.last + 1);
        Time(state.last)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_after_what_is_written_and_not_after_what_is_not() {
        let clock = Clock::after(Time(i64::MAX / 2));
        let first = clock.begin_group(10);
        clock.end_group();
        let as_of = clock.as_of();
        assert!(as_of > first.plus(9));
        let second = clock.begin_group(1);
        assert!(second > as_of);
        assert_eq!(clock.as_of(), second, "the second group is not visible yet");
        clock.end_group();
        assert!(clock.as_of() > second);
    }
}
