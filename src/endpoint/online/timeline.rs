use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use kernel::domain::{Event, Time};
use kernel::features::{AsOf, LiveTimeline};
use kernel::scoring::{Score, ScoringFunction};

/// One customer's events, ordered by (event time, seq), identify events included, and what functions have
/// made of them, so that a score costs what is new and not what is there.
#[derive(Debug, Default)]
pub struct Timeline {
    events: RwLock<Events>,
    readings: Mutex<Vec<(String, Arc<Mutex<Reading>>)>>,
}

/// Events in order, and how often one came that was not the last.
#[derive(Debug, Default)]
struct Events {
    ordered: Vec<Arc<Event>>,
    insertions: u64,
}

/// The timeline as one function reads it, as of so many insertions.
#[derive(Debug)]
struct Reading {
    live: LiveTimeline,
    insertions: u64,
}

/// Functions whose readings are kept: a champion, a challenger, a shadow and the version before.
const MOST_READINGS: usize = 4;

impl Timeline {
    /// A timeline of events that are in order.
    #[must_use]
    pub fn new(ordered: Vec<Arc<Event>>) -> Self {
        let events = RwLock::new(Events { ordered, insertions: 0 });
        Self { events, readings: Mutex::default() }
    }

    /// Its events, which stay as they are while this is held.
    #[must_use]
    pub fn events(&self) -> TimelineEvents<'_> {
        TimelineEvents(self.events.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an event at its place, and says whether it was new.
    pub(super) fn add(&self, event: &Arc<Event>) -> bool {
        fn key(event: &Event) -> (Time, u64, &str) {
            (event.event_time, event.seq, &event.message_id)
        }
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        let place = events.ordered.partition_point(|known| key(known) < key(event));
        match events.ordered.get(place) {
            Some(known) if key(known) == key(event) => return false,
            Some(_) => events.insertions += 1,
            None => {}
        }
        events.ordered.insert(place, event.clone());
        true
    }

    /// The score of a function as of a time, with `context` for what its view reads of the occasion.
    #[must_use]
    pub fn score(
        &self,
        function: &ScoringFunction,
        as_of: AsOf,
        context: &[kernel::domain::Value],
    ) -> Score {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        let reading = self.reading(function, &events);
        let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.insertions == events.insertions {
            reading.live.catch_up(function.view(), &events.ordered);
        } else {
            reading.live = LiveTimeline::new(function.view(), &events.ordered);
            reading.insertions = events.insertions;
        }
        function.score_live(&mut reading.live, as_of, context)
    }

    fn reading(&self, function: &ScoringFunction, events: &Events) -> Arc<Mutex<Reading>> {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, reading)) = readings.iter().find(|(hash, _)| hash == function.hash()) {
            return reading.clone();
        }
        if readings.len() == MOST_READINGS {
            readings.remove(0);
        }
        let live = LiveTimeline::new(function.view(), &events.ordered);
        let reading = Arc::new(Mutex::new(Reading { live, insertions: events.insertions }));
        readings.push((function.hash().to_owned(), reading.clone()));
        reading
    }
}

/// The events of a timeline, held as they are.
#[derive(Debug)]
pub struct TimelineEvents<'t>(RwLockReadGuard<'t, Events>);

impl std::ops::Deref for TimelineEvents<'_> {
    type Target = [Arc<Event>];

    fn deref(&self) -> &Self::Target {
        &self.0.ordered
    }
}
