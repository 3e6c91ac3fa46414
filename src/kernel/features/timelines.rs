use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::{AsOf, Column, TraitTimeline};
use crate::domain::{Time, is_system};

/// The timelines of customers as plain columns in customer order: what the kernel runs over.
///
/// The rows of a customer are contiguous and ordered by (event time, seq); only the properties and
/// traits of the [`super::Catalog`] that it was built for are there. One customer at request time is the
/// same structure with one customer in it. An event takes 12 bytes, 8 for each number or time, 1 to 4 for
/// each text, and 8 more only where events were received later than they happened.
#[derive(Clone, Debug)]
pub struct Timelines {
    pub(super) customers: Vec<Arc<str>>,
    pub(super) offsets: Vec<usize>,
    pub(super) times: Vec<i64>,
    /// None where every event was received when it happened.
    pub(super) received: Option<Vec<i64>>,
    pub(super) events: Vec<u32>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) properties: Vec<(String, Column)>,
    pub(super) traits: Vec<(String, TraitTimeline)>,
    pub(super) first_seen: Vec<i64>,
    pub(super) observed_until: Time,
    /// The place of each customer, once somebody looks for many.
    pub(super) places: OnceLock<Places>,
}

/// Places of customers by their ids.
pub(super) type Places = HashMap<Arc<str>, u32, foldhash::fast::RandomState>;

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

    /// The places of all customers, for who looks for many.
    pub(super) fn places(&self) -> &Places {
        self.places.get_or_init(|| self.customers.iter().cloned().zip(0..).collect())
    }

    /// The number of events, system events included.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.times.len()
    }

    /// The rows of a customer; none for a place beyond the customers.
    #[must_use]
    #[inline]
    pub fn rows(&self, customer: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(customer), self.offsets.get(customer.saturating_add(1))) {
            (Some(&from), Some(&to)) => from..to,
            _ => 0..0,
        }
    }

    /// The time of the customer's first event; none without one. System events do not count.
    #[must_use]
    pub fn first_seen(&self, customer: usize) -> Option<Time> {
        self.first_seen.get(customer).filter(|time| **time != i64::MAX).map(|time| Time(*time))
    }

    /// Whether anything was known of a customer as of a time. System events do not count.
    pub(super) fn is_seen(&self, customer: usize, as_of: AsOf) -> bool {
        let is_before = |seen: Time| seen < as_of.time;
        if !self.first_seen(customer).is_some_and(is_before) {
            return false;
        }
        let Some(received) = &self.received else { return true };
        let is_own = |row: usize| !is_system(&self.names[self.events[row] as usize]);
        let mut before = self.rows(customer).take_while(|row| self.times[*row] < as_of.time.0);
        before.any(|row| as_of.knows(received[row]) && is_own(row))
    }

    /// The time of the latest event of all: what happened later is not known.
    #[must_use]
    pub const fn observed_until(&self) -> Time {
        self.observed_until
    }

    /// Timelines of some of the customers, where the events of all reach until a time.
    #[must_use]
    pub fn of_part(self, observed_until: Time) -> Self {
        Self { observed_until, ..self }
    }

    /// The event times by row.
    #[must_use]
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The events by row, as positions in [`Self::names`].
    #[must_use]
    pub fn events(&self) -> &[u32] {
        &self.events
    }

    /// The names of events; their positions are the codes in the event column.
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// When the event of a row was received.
    #[must_use]
    #[inline]
    pub fn received_at(&self, row: usize) -> i64 {
        self.received.as_ref().map_or_else(|| self.times[row], |received| received[row])
    }

    /// The column of a property, if it was built.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Column> {
        self.place_of(name).map(|place| &self.properties[place].1)
    }

    pub(super) fn place_of(&self, property: &str) -> Option<usize> {
        self.properties.iter().position(|(known, _)| known == property)
    }

    /// The values of a trait, if it was built.
    #[must_use]
    pub fn trait_timeline(&self, name: &str) -> Option<&TraitTimeline> {
        self.place_of_trait(name).map(|place| &self.traits[place].1)
    }

    pub(super) fn place_of_trait(&self, name: &str) -> Option<usize> {
        self.traits.iter().position(|(known, _)| known == name)
    }

    /// The memory that they take, in bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let id = |id: &Arc<str>| id.len() + 40;
        let received = self.received.as_ref().map_or(0, |received| received.capacity() * 8);
        let places = self.places.get().map_or(0, |places| places.capacity() * 24);
        places
            + self.customers.iter().map(id).sum::<usize>()
            + (self.offsets.capacity() + self.first_seen.capacity() + self.times.capacity()) * 8
            + received
            + self.events.capacity() * 4
            + self.properties.iter().map(|(_, column)| column.bytes()).sum::<usize>()
            + self.traits.iter().map(|(_, changes)| changes.bytes()).sum::<usize>()
    }
}
