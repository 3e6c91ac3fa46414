use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::domain::{MICROS_PER_DAY, Time};

use crate::{Error, Result};

/// The clocks of a machine, in microseconds, so that tests can put others in their place.
pub trait TimeSource: Send + Sync + std::fmt::Debug {
    /// Time since the epoch by the clock that people and NTP set.
    fn wall(&self) -> i64;

    /// Time since any instant by a clock that is never set, and that goes on while the machine sleeps.
    fn steady(&self) -> i64;
}

/// The clocks of this machine.
#[derive(Debug)]
pub struct SystemTimeSource;

impl TimeSource for SystemTimeSource {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    #[cfg(target_os = "linux")]
    fn steady(&self) -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
    }

    /// Elsewhere the time that a machine slept is a step of its clock.
    #[cfg(not(target_os = "linux"))]
    fn steady(&self) -> i64 {
        static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let began = BEGAN.get_or_init(std::time::Instant::now);
        i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

/// The wall clock is followed while it differs by no more from what it should be: NTP moves it a little.
const TOLERANCE: i64 = 10_000_000;
/// A step ahead up to this one is followed when it has stood for [`SETTLING_TIME`].
const MAX_FOLLOWED_STEP: i64 = MICROS_PER_DAY;
const SETTLING_TIME: i64 = 600_000_000;
/// The wall clock may be so much later than the last arrival of the log when the endpoint starts.
const MAX_PAUSE: i64 = 90 * MICROS_PER_DAY;

/// The endpoint's one clock: it never goes back, and no two events arrive at the same instant.
///
/// A live score's as-of time is later than every acknowledged arrival and not later than any arrival
/// that is still being written, so that a score as of that instant can be computed again exactly. So one arrival
/// in the far future would keep all later scores there. Therefore the clock does not follow steps of the wall
/// clock blindly:
///
/// - After a step ahead it goes on at the pace of the steady clock. A step of at most a day is followed after ten
///   minutes; a larger one at the next start.
/// - While the wall clock is behind, it goes on at half the pace, until the wall clock has caught up.
/// - At the start, a wall clock that is more than 90 days after the last arrival has to be confirmed.
#[derive(Debug)]
pub struct Clock {
    source: Box<dyn TimeSource>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The latest instant that was given out.
    last: i64,
    /// The first arrival of the group that is being written.
    pending: Option<i64>,
    /// The time as of `steady`.
    now: i64,
    steady: i64,
    step: Option<Step>,
    steps: u64,
}

/// A difference between the wall clock and the endpoint's.
#[derive(Clone, Copy, Debug)]
struct Step {
    difference: i64,
    /// When it was first seen, by the steady clock.
    since: i64,
}

/// How the wall clock differs from the endpoint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReport {
    /// Microseconds by which the wall clock is ahead, or behind if negative; 0 while it is followed.
    pub difference: i64,
    /// Steps since the start.
    pub steps: u64,
}

impl Clock {
    /// A clock of this machine that goes on after `last`, the last arrival of a log; 0 is none.
    #[must_use]
    pub fn after(last: Time) -> Self {
        Self::with_source(last, Box::new(SystemTimeSource))
    }

    /// The same with other clocks.
    #[must_use]
    pub fn with_source(last: Time, source: Box<dyn TimeSource>) -> Self {
        let (wall, steady) = (source.wall(), source.steady());
        let mut state = State {
            last: last.0,
            pending: None,
            now: wall.max(last.0),
            steady,
            step: None,
            steps: 0,
        };
        state.advance(wall, steady);
        Self { source, state: Mutex::new(state) }
    }

    /// Checks the wall clock against the last arrival of the log.
    ///
    /// # Errors
    /// [`Error::ClockAhead`] if it is more than 90 days later.
    pub(super) fn check_start(last: Time, source: &dyn TimeSource) -> Result<()> {
        let wall = source.wall();
        if last.0 > 0 && wall.saturating_sub(last.0) > MAX_PAUSE {
            return Err(Error::ClockAhead { now: Time(wall), last });
        }
        Ok(())
    }

    fn advanced(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(self.source.wall(), self.source.steady());
        state
    }

    /// Arrival times for a group of `n` events that is about to be written: the first of them.
    pub(super) fn begin_group(&self, n: usize) -> Time {
        let mut state = self.advanced();
        let first = state.now.max(state.last + 1);
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
        let mut state = self.advanced();
        if let Some(pending) = state.pending {
            return Time(pending);
        }
        state.last = state.now.max(state.last + 1);
        Time(state.last)
    }

    /// How the wall clock differs from this one.
    #[must_use]
    pub fn report(&self) -> ClockReport {
        let state = self.advanced();
        let difference = state.step.map_or(0, |step| step.difference);
        ClockReport { difference, steps: state.steps }
    }
}

impl State {
    fn advance(&mut self, wall: i64, steady: i64) {
        let elapsed = steady.saturating_sub(self.steady).max(0);
        self.steady = self.steady.max(steady);
        let difference = wall.saturating_sub(self.now.saturating_add(elapsed));
        if difference.abs() <= TOLERANCE {
            self.follow(wall);
            return;
        }
        let is_known = self.step.is_some_and(|step| {
            step.difference.signum() == difference.signum()
                // Behind, it shrinks by itself.
                && (difference < 0 || (step.difference - difference).abs() <= TOLERANCE)
        });
        if !is_known {
            self.steps += 1;
            self.step = Some(Step { difference, since: self.steady });
            let seconds = difference / 1_000_000;
            tracing::warn!(
                seconds,
                "the clock of this machine was stepped, or the log is ahead of it"
            );
        }
        let Some(step) = &mut self.step else { return };
        step.difference = difference;
        let has_settled = self.steady.saturating_sub(step.since) >= SETTLING_TIME;
        if difference < 0 {
            self.now = self.now.saturating_add(elapsed / 2);
        } else if difference <= MAX_FOLLOWED_STEP && has_settled {
            self.follow(wall);
        } else {
            self.now = self.now.saturating_add(elapsed);
        }
    }

    fn follow(&mut self, wall: i64) {
        self.now = wall;
        if self.step.take().is_some() {
            tracing::info!("the clock of this machine is followed again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Set {
        wall: AtomicI64,
        steady: AtomicI64,
    }

    impl TimeSource for Arc<Set> {
        fn wall(&self) -> i64 {
            self.wall.load(Ordering::Relaxed)
        }

        fn steady(&self) -> i64 {
            self.steady.load(Ordering::Relaxed)
        }
    }

    impl Set {
        fn pass(&self, micros: i64) {
            self.wall.fetch_add(micros, Ordering::Relaxed);
            self.steady.fetch_add(micros, Ordering::Relaxed);
        }

        fn step(&self, micros: i64) {
            self.wall.fetch_add(micros, Ordering::Relaxed);
        }
    }

    const SECOND: i64 = 1_000_000;
    const START: i64 = 1_700_000_000 * SECOND;

    fn clock(last: i64) -> (Clock, Arc<Set>) {
        let set = Arc::new(Set::default());
        set.step(START);
        (Clock::with_source(Time(last), Box::new(set.clone())), set)
    }

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

    #[test]
    fn a_large_step_ahead_is_not_followed_and_leaves_no_trace() {
        let (clock, set) = clock(0);
        set.step(3_650 * MICROS_PER_DAY);
        set.pass(SECOND);
        let arrival = clock.begin_group(1);
        clock.end_group();
        assert_eq!(arrival, Time(START + SECOND));
        assert_eq!(clock.report(), ClockReport { difference: 3_650 * MICROS_PER_DAY, steps: 1 });
        for _ in 0..100 {
            set.pass(3_600 * SECOND);
            let _now = clock.as_of();
        }
        // Each as-of time is later than the one before, also within one instant.
        assert_eq!(clock.as_of(), Time(START + 360_001 * SECOND + 1));
        set.step(-3_650 * MICROS_PER_DAY);
        assert_eq!(clock.as_of().0 / SECOND, START / SECOND + 360_001);
        assert_eq!(clock.report(), ClockReport { difference: 0, steps: 1 });
    }

    #[test]
    fn a_step_within_a_day_is_followed_when_it_has_stood() {
        for (step, is_followed) in
            [(MICROS_PER_DAY - SECOND, true), (MICROS_PER_DAY + SECOND, false)]
        {
            let (clock, set) = clock(0);
            set.step(step);
            let _now = clock.as_of();
            set.pass(SETTLING_TIME - 1);
            assert_eq!(clock.as_of(), Time(START + SETTLING_TIME - 1));
            set.pass(1);
            let expected = START + SETTLING_TIME + if is_followed { step } else { 0 };
            assert_eq!(clock.as_of(), Time(expected));
            assert_eq!(clock.report().difference == 0, is_followed);
        }
    }

    #[test]
    fn small_steps_are_followed_at_once() {
        let (clock, set) = clock(0);
        set.step(TOLERANCE);
        assert_eq!(clock.as_of(), Time(START + TOLERANCE));
        set.step(TOLERANCE + 1);
        assert_eq!(clock.as_of(), Time(START + TOLERANCE + 1), "the next instant of its own");
        assert_eq!(clock.report().steps, 1);
    }

    #[test]
    fn a_clock_that_is_behind_is_waited_for_at_half_the_pace() {
        let (clock, set) = clock(0);
        set.step(-3_600 * SECOND);
        let before = clock.as_of();
        assert_eq!(clock.report().difference, -3_600 * SECOND);
        set.pass(1_000 * SECOND);
        assert_eq!(clock.as_of(), Time(START + 500 * SECOND));
        assert!(clock.as_of() > before);
        for _ in 0..65 {
            set.pass(100 * SECOND);
            let _now = clock.as_of();
        }
        assert_eq!(clock.report(), ClockReport { difference: 0, steps: 1 });
        assert_eq!(clock.as_of().0 / SECOND, (START + 3_900 * SECOND) / SECOND);
    }

    #[test]
    fn a_start_long_after_the_last_arrival_has_to_be_confirmed() {
        let set = Arc::new(Set::default());
        set.step(START);
        let check = |last: i64| Clock::check_start(Time(last), &set);
        assert!(check(0).is_ok() && check(START + MAX_PAUSE).is_ok());
        assert!(check(START - MAX_PAUSE).is_ok());
        assert!(matches!(check(START - MAX_PAUSE - 1), Err(Error::ClockAhead { .. })));
    }
}
