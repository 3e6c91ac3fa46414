use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::domain::{EXPOSURE, Event, PropertyTypes, SCORE, Value};
use kernel::features::{AsOf, LiveTimeline};
use kernel::scoring::{Score, ScoringFunction};

use super::recent::Place;
use crate::Result;

/// One customer's timeline as functions read it, kept up to date event by event, so that a score costs what
/// is new and not what is there. The events themselves are with the store.
#[derive(Debug)]
pub struct Timeline {
    customer_id: String,
    /// What came since the readings were brought up to date.
    pending: Mutex<Pending>,
    readings: Mutex<Vec<Reading>>,
    /// The variants that the customer got; none until they are asked for.
    exposures: Mutex<Option<Vec<Exposed>>>,
    /// Grows with every event.
    changes: AtomicU64,
}

/// A variant of an experiment that a customer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The experiment.
    pub experiment: Box<str>,
    /// Its version.
    pub version: u32,
    /// The variant.
    pub variant: Box<str>,
}

impl Exposed {
    /// What an event says, if it is an exposure.
    fn of(event: &Event) -> Option<Self> {
        let text = |name: &str| match event.properties.get(name) {
            Some(Value::Text(text)) => Some(Box::from(text.as_ref())),
            _ => None,
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small whole number, as it was written"
        )]
        let version = event.properties.get("version")?.as_number()? as u32;
        Some(Self { experiment: text("experiment")?, version, variant: text("variant")? })
    }

    fn is_of(&self, experiment: &str, version: u32) -> bool {
        *self.experiment == *experiment && self.version == version
    }
}

#[derive(Debug, Default)]
struct Pending {
    events: Vec<(u64, Place, Arc<Event>)>,
    /// Estimated memory of the events, in bytes.
    bytes: usize,
    /// More came than is kept: the readings begin anew.
    overflowed: bool,
}

/// The timeline as one function reads it.
#[derive(Debug)]
struct Reading {
    function: Arc<ScoringFunction>,
    /// The types by which properties are read.
    types: Arc<PropertyTypes>,
    /// Whether the function has other types than those.
    is_typed: bool,
    live: LiveTimeline,
    /// Events of smaller offsets are in it.
    until: u64,
    /// The place of its last event.
    last: Option<Place>,
    /// Bytes when it was weighed last, and the events that it had then.
    weight: usize,
    weighed_at: usize,
}

/// A timeline as it was loaded: its events in order, and the offset from which on they may be missing.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) events: Vec<(Place, Event)>,
    pub(super) until: u64,
}

/// Functions whose readings are kept: a champion, a challenger, a shadow, the version before, and what
/// experiments read.
const MOST_READINGS: usize = 8;
/// Events that wait for a score.
const MOST_PENDING: usize = 64;
/// What a timeline takes beside its readings, roughly.
const TIMELINE_BYTES: usize = 400;

/// Numbers of changes are never given twice, so that a timeline that was loaded again is not the one before.
static CHANGES: AtomicU64 = AtomicU64::new(0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next_change() -> u64 {
    CHANGES.fetch_add(1, Ordering::Relaxed)
}

impl Timeline {
    pub(super) fn new(customer_id: &str) -> Self {
        Self {
            customer_id: customer_id.to_owned(),
            pending: Mutex::default(),
            readings: Mutex::default(),
            exposures: Mutex::default(),
            changes: AtomicU64::new(next_change()),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn customer_id(&self) -> &str {
        &self.customer_id
    }

    /// A number that is another one after every event.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Takes an event that was written at an offset.
    pub(super) fn add(&self, offset: u64, place: Place, event: &Arc<Event>) {
        let mut pending = lock(&self.pending);
        if event.event == EXPOSURE
            && let (Some(exposed), Some(known)) =
                (Exposed::of(event), lock(&self.exposures).as_mut())
            && !known.iter().any(|it| it.is_of(&exposed.experiment, exposed.version))
        {
            known.push(exposed);
        }
        if event.event != SCORE {
            self.changes.store(next_change(), Ordering::Release);
        }
        if pending.overflowed {
            return;
        }
        if pending.events.len() == MOST_PENDING {
            *pending = Pending { overflowed: true, ..Pending::default() };
        } else {
            pending.bytes += bytes_of(event);
            pending.events.push((offset, place, event.clone()));
        }
    }

    /// Whether it is known which variants the customer got.
    #[must_use]
    pub fn has_exposures(&self) -> bool {
        lock(&self.exposures).is_some()
    }

    /// The variants that the customer got, if they are known.
    #[must_use]
    pub fn exposures(&self) -> Vec<Exposed> {
        lock(&self.exposures).clone().unwrap_or_default()
    }

    /// The variant of an experiment that the customer got, if that is known.
    #[must_use]
    pub fn exposure(&self, experiment: &str, version: u32) -> Option<Box<str>> {
        let exposures = lock(&self.exposures);
        let mut known = exposures.iter().flatten();
        Some(known.find(|exposed| exposed.is_of(experiment, version))?.variant.clone())
    }

    /// Notes that the customer got a variant; false if they had got one before.
    pub fn expose(&self, exposed: Exposed) -> bool {
        let mut exposures = lock(&self.exposures);
        let known = exposures.get_or_insert_default();
        if known.iter().any(|it| it.is_of(&exposed.experiment, exposed.version)) {
            return false;
        }
        known.push(exposed);
        true
    }

    /// Learns from the events which variants the customer got, if that is not known. The first one of an
    /// experiment counts.
    pub(super) fn load_exposures(&self, load: impl FnOnce() -> Result<Loaded>) -> Result<()> {
        // Held while it is read: what is written meanwhile waits, and is added after it.
        let mut exposures = lock(&self.exposures);
        if exposures.is_none() {
            *exposures = Some(exposures_in(&load()?));
        }
        Ok(())
    }

    /// Takes the exposures from events that were loaded for something else. One that was written since is
    /// not among them, so they are only taken if none is known and none was added.
    fn know_exposures(&self, loaded: &Loaded) {
        let pending = lock(&self.pending);
        let is_newer = |event: &Event| event.event == EXPOSURE;
        let may_lack = pending.overflowed
            || pending
                .events
                .iter()
                .any(|(offset, _, event)| *offset >= loaded.until && is_newer(event));
        let mut exposures = lock(&self.exposures);
        if exposures.is_none() && !may_lack {
            *exposures = Some(exposures_in(loaded));
        }
    }
    /// Whether a function has read it, so that a score waits for no disk.
    #[must_use]
    pub fn is_read_by(&self, function: &ScoringFunction) -> bool {
        let is_late = |pending: &Pending, reading: &Reading| {
            pending.overflowed
                || pending.events.iter().any(|(_, place, _)| Some(*place) <= reading.last)
        };
        let readings = lock(&self.readings);
        let reading = readings.iter().find(|reading| reading.is_of(function));
        reading.is_some_and(|reading| !is_late(&lock(&self.pending), reading))
    }

    /// The score of a function as of a time, with `context` for what its view reads of the occasion. `load`
    /// gives the events if the function has not read them.
    pub(super) fn score(
        &self,
        function: &Arc<ScoringFunction>,
        types: &Arc<PropertyTypes>,
        as_of: AsOf,
        context: &[Value],
        load: impl FnOnce() -> Result<Loaded>,
    ) -> Result<Score> {
        let mut readings = lock(&self.readings);
        readings.retain(|reading| Arc::ptr_eq(&reading.types, types));
        self.catch_up(&mut readings);
        let known = readings.iter().position(|known| known.is_of(function));
        let place = match known {
            Some(place) => place,
            None => {
                if readings.len() == MOST_READINGS {
                    readings.remove(0);
                }
                let loaded = load()?;
                self.know_exposures(&loaded);
                readings.push(Reading::new(function, types, loaded));
                readings.len() - 1
            }
        };
        Ok(function.score_live(&mut readings[place].live, as_of, context))
    }

    /// Gives each reading what is new. An event that is not the last begins a reading anew.
    fn catch_up(&self, readings: &mut Vec<Reading>) {
        let mut pending = lock(&self.pending);
        if pending.events.is_empty() && !pending.overflowed {
            return;
        }
        let Pending { events, overflowed, .. } = std::mem::take(&mut *pending);
        drop(pending);
        if overflowed {
            readings.clear();
        }
        readings.retain_mut(|reading| reading.take(&events));
    }

    /// Estimated memory of the timeline in bytes; `None` while a score holds its lock.
    pub(super) fn bytes(&self) -> Option<usize> {
        let readings = self.readings.try_lock().ok()?;
        let readings: usize = readings.iter().map(|reading| reading.weight).sum();
        Some(TIMELINE_BYTES + 2 * self.customer_id.len() + readings + lock(&self.pending).bytes)
    }
}

/// Estimated memory of an event in bytes. The map of properties allocates nodes of eleven entries.
fn bytes_of(event: &Event) -> usize {
    const EVENT: usize = 300;
    const NODE: usize = 600;
    let texts = |(name, value): (&String, &Value)| match value {
        Value::Text(text) => name.len() + text.len() + 32,
        _ => name.len() + 16,
    };
    let properties: usize = event.properties.iter().map(texts).sum();
    let ids = event.message_id.len() + event.customer_id.len() + event.event.len();
    EVENT + ids + properties + NODE * event.properties.len().div_ceil(11)
}

/// The variants in a timeline; the first one of an experiment counts.
fn exposures_in(loaded: &Loaded) -> Vec<Exposed> {
    let events = loaded.events.iter().map(|(_, event)| event);
    let mut known: Vec<Exposed> = Vec::new();
    for exposed in events.filter(|event| event.event == EXPOSURE).filter_map(Exposed::of) {
        if !known.iter().any(|it| it.is_of(&exposed.experiment, exposed.version)) {
            known.push(exposed);
        }
    }
    known
}

impl Reading {
    fn new(function: &Arc<ScoringFunction>, types: &Arc<PropertyTypes>, loaded: Loaded) -> Self {
        let last = loaded.events.last().map(|(place, _)| *place);
        let reads = function.view().reads();
        let is_typed = types.differ_from(&reads.properties, &reads.traits);
        let read = |event: Event| match is_typed {
            true => Event { properties: types.read(&event), ..event },
            false => event,
        };
        let events: Vec<Event> = loaded.events.into_iter().map(|(_, event)| read(event)).collect();
        let live = LiveTimeline::new(function.view(), &events);
        let weight = live.bytes();
        let weighed_at = events.len();
        Self {
            function: function.clone(),
            types: types.clone(),
            is_typed,
            live,
            until: loaded.until,
            last,
            weight,
            weighed_at,
        }
    }

    /// Whether it is what a function has read; the same function mostly is the same in memory too.
    fn is_of(&self, function: &ScoringFunction) -> bool {
        std::ptr::eq(&raw const *self.function, function) || self.function.hash() == function.hash()
    }

    /// Takes events that come after all that it has; gives false where one does not.
    fn take(&mut self, events: &[(u64, Place, Arc<Event>)]) -> bool {
        let new = || events.iter().filter(|(offset, ..)| *offset >= self.until);
        let mut last = self.last;
        for (_, place, _) in new() {
            if Some(*place) <= last {
                return false;
            }
            last = Some(*place);
        }
        let view = self.function.view();
        match self.is_typed {
            false => self.live.extend(view, new().map(|(.., event)| &**event)),
            true => {
                let read =
                    |event: &Event| Event { properties: self.types.read(event), ..event.clone() };
                let typed: Vec<Event> = new().map(|(.., event)| read(event)).collect();
                self.live.extend(view, &typed);
            }
        }
        self.last = last;
        self.until = events.last().map_or(self.until, |(offset, ..)| self.until.max(offset + 1));
        if self.live.taken() >= self.weighed_at + self.weighed_at / 8 + 8 {
            self.weight = self.live.bytes();
            self.weighed_at = self.live.taken();
        }
        true
    }
}
