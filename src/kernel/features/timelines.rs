use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Catalog, Cell, Column, TraitTimeline};
use crate::domain::{Event, IDENTIFY, Time, is_system, property};

/// The timelines of customers as plain columns in customer order: what the kernel runs over.
///
/// The rows of a customer are contiguous and ordered by (event time, seq); only the properties and
/// traits of the [`Catalog`] that it was built for are there. One customer at request time is the
/// same structure with one customer in it.
#[derive(Clone, Debug)]
pub struct Timelines {
    customers: Vec<Arc<str>>,
    offsets: Vec<usize>,
    pub(super) times: Vec<i64>,
    pub(super) received: Vec<i64>,
    pub(super) events: Vec<u32>,
    names: Vec<Arc<str>>,
    properties: BTreeMap<String, Column>,
    traits: BTreeMap<String, TraitTimeline>,
    first_seen: Vec<i64>,
    observed_until: Time,
}

impl Timelines {
    /// The ids of the customers, in ascending order of their bytes.
    #[must_use]
    pub fn customers(&self) -> &[Arc<str>] {
        &self.customers
    }

    /// The place of a customer in that order.
    #[must_use]
    pub fn position(&self, customer_id: &str) -> Option<usize> {
        self.customers.binary_search_by(|id| id.as_ref().cmp(customer_id)).ok()
    }

    /// The number of events, system events included.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.times.len()
    }

    /// The rows of a customer.
    #[must_use]
    pub fn rows(&self, customer: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(customer), self.offsets.get(customer + 1)) {
            (Some(&from), Some(&to)) => from..to,
            _ => 0..0,
        }
    }

    /// The time of the customer's first event; none without one. System events do not count.
    #[must_use]
    pub fn first_seen(&self, customer: usize) -> Option<Time> {
        self.first_seen.get(customer).filter(|time| **time != i64::MAX).map(|time| Time(*time))
    }

    /// The time of the latest event of all: what happened later is not known.
    #[must_use]
    pub const fn observed_until(&self) -> Time {
        self.observed_until
    }

    /// The names of events; their positions are the codes in the event column.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The column of a property, if it was built.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Column> {
        self.properties.get(name)
    }

    /// The values of a trait, if it was built.
    #[must_use]
    pub fn trait_timeline(&self, name: &str) -> Option<&TraitTimeline> {
        self.traits.get(name)
    }

    /// The timeline of one customer from their events, which are ordered by (event time, seq).
    #[must_use]
    pub fn of_customer<'e>(
        customer_id: &str,
        events: impl IntoIterator<Item = &'e Event>,
        catalog: &Catalog,
    ) -> Self {
        let mut builder = TimelinesBuilder::new(catalog);
        builder.begin_customer(customer_id);
        for event in events {
            if event.event == IDENTIFY {
                for (name, value) in &event.properties {
                    let cell = Cell::from(value);
                    builder.trait_change(name, event.event_time, event.received_at, cell);
                }
            } else {
                builder.event(&event.event, event.event_time, event.received_at, |name| {
                    property(&event.properties, name).map_or(Cell::Null, Cell::from)
                });
            }
        }
        builder.finish()
    }
}

/// Builds [`Timelines`] from rows that come in order: by customer, then by (event time, seq).
#[derive(Debug)]
pub struct TimelinesBuilder {
    timelines: Timelines,
    codes: HashMap<Arc<str>, u32>,
    columns: Vec<(String, Column)>,
}

impl TimelinesBuilder {
    /// A builder for the properties and traits of a catalog.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let columns = catalog
            .properties
            .iter()
            .map(|(name, type_)| (name.clone(), Column::new(*type_)))
            .collect();
        let traits = catalog
            .traits
            .iter()
            .map(|(name, type_)| (name.clone(), TraitTimeline::new(*type_)))
            .collect();
        let timelines = Timelines {
            customers: Vec::new(),
            offsets: Vec::new(),
            times: Vec::new(),
            received: Vec::new(),
            events: Vec::new(),
            names: Vec::new(),
            properties: BTreeMap::new(),
            traits,
            first_seen: Vec::new(),
            observed_until: Time(i64::MIN),
        };
        Self { timelines, codes: HashMap::new(), columns }
    }

    /// The names of the properties, in the order in which [`Self::event`] asks for them.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Begins the rows of the next customer.
    pub fn begin_customer(&mut self, customer_id: &str) {
        let built = &mut self.timelines;
        built.customers.push(customer_id.into());
        built.offsets.push(built.times.len());
        built.first_seen.push(i64::MAX);
        for timeline in built.traits.values_mut() {
            timeline.offsets.push(timeline.times.len());
        }
    }

    /// Appends an event of the customer; `property` gives the value of a property by its name.
    pub fn event<'c>(
        &mut self,
        name: &str,
        time: Time,
        received_at: Time,
        mut property: impl FnMut(&str) -> Cell<'c>,
    ) {
        let code = match self.codes.get(name) {
            Some(code) => *code,
            None => self.new_name(name),
        };
        let built = &mut self.timelines;
        built.times.push(time.0);
        built.received.push(received_at.0);
        built.events.push(code);
        for (name, column) in &mut self.columns {
            column.push(property(name));
        }
        if !is_system(name) {
            if let Some(first_seen) = built.first_seen.last_mut() {
                *first_seen = (*first_seen).min(time.0);
            }
            built.observed_until = built.observed_until.max(time);
        }
    }

    fn new_name(&mut self, name: &str) -> u32 {
        let code = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.timelines.names.push(name.clone());
        self.codes.insert(name, code);
        code
    }

    /// Appends a change of a trait of the customer, if the catalog has it.
    pub fn trait_change(&mut self, name: &str, time: Time, received_at: Time, cell: Cell<'_>) {
        if let Some(timeline) = self.timelines.traits.get_mut(name) {
            timeline.times.push(time.0);
            timeline.received.push(received_at.0);
            timeline.values.push(cell);
        }
    }

    /// The finished timelines.
    #[must_use]
    pub fn finish(self) -> Timelines {
        let mut built = self.timelines;
        built.offsets.push(built.times.len());
        for timeline in built.traits.values_mut() {
            timeline.offsets.push(timeline.times.len());
        }
        built.properties = self.columns.into_iter().collect();
        built
    }
}
