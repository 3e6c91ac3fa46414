use std::borrow::Borrow;
use std::sync::Arc;

use super::binding::Binding;
use super::history::{History, Reading, Side};
use super::{AsOf, Catalog, Timelines, TimelinesBuilder, View};
use crate::domain::{Cell, Event, IDENTIFY, Time, Value, is_system, property};

/// One customer's timeline as a view reads it, ready for requests: the same columns and the same history
/// as for all customers, kept up to date event by event. An event that comes last costs what it adds,
/// however long the timeline is.
#[derive(Debug)]
pub struct LiveTimeline {
    timelines: Timelines,
    /// That of all live timelines of the view, until an event comes that the view does not name.
    binding: Arc<Binding>,
    history: History,
    /// The customer with only what was known at a time, where that differs.
    known: History,
    /// Events that were taken, identify events included.
    taken: usize,
}

impl LiveTimeline {
    /// The timeline of a customer from all of their events, which are ordered by (event time, seq).
    #[must_use]
    pub fn new<E: Borrow<Event>>(view: &View, events: &[E]) -> Self {
        let timelines = Timelines::of_events(view.reads(), events);
        let mut binding = view.live_binding();
        add_names(&mut binding, view, &timelines);
        let mut history = History::default();
        let reading = Reading { view, binding: &binding, timelines: &timelines };
        history.load(reading, 0, None);
        history.shrink();
        let known = History::default();
        Self { timelines, binding, history, known, taken: events.len() }
    }

    /// Takes events that come after all that it has, in the order of event time and seq.
    pub fn extend<'e>(&mut self, view: &View, new: impl IntoIterator<Item = &'e Event>) {
        let before = self.taken;
        for event in new {
            self.timelines.push(event);
            self.taken += 1;
        }
        if self.taken == before {
            return;
        }
        add_names(&mut self.binding, view, &self.timelines);
        let reading = Reading { view, binding: &self.binding, timelines: &self.timelines };
        self.history.extend(reading, self.timelines.times.len(), None);
    }

    /// The number of events that it was made from.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// The time of the first event that was not a system event.
    #[must_use]
    pub fn first_seen(&self) -> Option<Time> {
        self.timelines.first_seen(0)
    }

    /// The values of all features as of a time into `out`, in the order of the features.
    pub fn values(&mut self, view: &View, as_of: AsOf, context: &[Value], out: &mut Vec<Value>) {
        let reading = Reading { view, binding: &self.binding, timelines: &self.timelines };
        if self.history.is_complete(&self.timelines, as_of) {
            self.history.values(reading, as_of, Side::Before, context, out);
        } else {
            self.known.load(reading, 0, Some(as_of));
            self.known.values(reading, as_of, Side::Before, context, out);
        }
    }

    /// The memory that it takes, in bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.timelines.bytes() + self.history.bytes() + self.known.bytes()
    }
}

/// Binds the names of events that the view does not name.
fn add_names(binding: &mut Arc<Binding>, view: &View, timelines: &Timelines) {
    let known = binding.n_names();
    for name in &timelines.names[known..] {
        Arc::make_mut(binding).add_name(view, name);
    }
}

impl View {
    /// The binding of timelines that have only what the view names.
    fn live_binding(&self) -> Arc<Binding> {
        let none: [Event; 0] = [];
        let bind = || Arc::new(Binding::new(self, &Timelines::of_events(self.reads(), &none)));
        self.live.get_or_init(bind).clone()
    }
}

impl Timelines {
    /// The timelines of given events, in any order.
    #[must_use]
    pub fn of_events<E: Borrow<Event>>(catalog: &Catalog, events: &[E]) -> Self {
        let mut builder = TimelinesBuilder::with_names_of(catalog);
        events.iter().for_each(|event| builder.event(event.borrow()));
        let mut timelines = builder.finish();
        // One customer is there even without events.
        if timelines.customers.is_empty() {
            timelines.customers.push("".into());
            timelines.offsets.push(0);
            timelines.first_seen.push(i64::MAX);
            timelines.traits.iter_mut().for_each(|(_, changes)| changes.offsets.push(0));
        }
        timelines
    }

    /// Appends an event of the last customer that comes last.
    fn push(&mut self, event: &Event) {
        if event.event == IDENTIFY {
            for (name, changes) in &mut self.traits {
                if let Some(value) = event.properties.get(name) {
                    changes.push(event.event_time, event.received_at, Cell::from(value));
                }
            }
            return;
        }
        let known = self.names.iter().position(|name| name.as_ref() == event.event);
        let name = known.unwrap_or_else(|| {
            self.names.push(event.event.as_str().into());
            self.names.len() - 1
        });
        if self.received.is_none() && event.received_at != event.event_time {
            self.received = Some(self.times.clone());
        }
        self.times.push(event.event_time.0);
        if let Some(received) = &mut self.received {
            received.push(event.received_at.0);
        }
        self.events.push(u32::try_from(name).unwrap_or(u32::MAX));
        for (name, column) in &mut self.properties {
            column.push(property(&event.properties, name).map_or(Cell::Null, Cell::from));
        }
        if let Some(end) = self.offsets.last_mut() {
            *end += 1;
        }
        if !is_system(&event.event) {
            if let Some(first_seen) = self.first_seen.last_mut() {
                *first_seen = (*first_seen).min(event.event_time.0);
            }
            self.observed_until = self.observed_until.max(event.event_time);
        }
    }
}
