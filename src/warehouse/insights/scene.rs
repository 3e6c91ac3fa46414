use kernel::domain::{Job, Type, did_you_mean};
use kernel::features::{BoundFilter, Catalog, EventFilter, Timelines};
use rayon::prelude::*;

use super::{Calendar, Events, Scope};
use crate::{Error, Result};

/// What an insight is computed over: customers, their events, and the intervals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) timelines: &'a Timelines,
    pub(super) calendar: &'a Calendar,
    /// The number of intervals that are over where the data end.
    pub(super) complete: usize,
    /// For each customer, whether they count; none is all.
    pub(super) who: Option<&'a [bool]>,
    pub(super) job: &'a Job,
}

/// Customers that one thread takes at once.
const PIECE: usize = 2_048;

impl Scene<'_> {
    /// Adds up over all customers, piece by piece, so that the sums are the same for any number of threads.
    pub(super) fn fold<T: Send>(
        &self,
        start: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, usize) + Sync,
        mut add: impl FnMut(&mut T, T),
    ) -> T {
        let n = self.timelines.customers().len();
        let pieces: Vec<T> = (0..n.div_ceil(PIECE))
            .into_par_iter()
            .map(|piece| {
                let mut sum = start();
                if self.job.is_canceled() {
                    return sum;
                }
                for customer in piece * PIECE..n.min((piece + 1) * PIECE) {
                    if self.who.is_none_or(|who| who.get(customer) == Some(&true)) {
                        each(&mut sum, customer);
                    }
                }
                sum
            })
            .collect();
        let mut sum = start();
        pieces.into_iter().for_each(|piece| add(&mut sum, piece));
        sum
    }

    /// The customers for whom something holds, as places.
    pub(super) fn select(&self, holds: impl Fn(usize) -> bool + Sync) -> Vec<usize> {
        let each = |found: &mut Vec<usize>, customer| {
            if holds(customer) {
                found.push(customer);
            }
        };
        self.fold(Vec::new, each, |found, mut piece| found.append(&mut piece))
    }

    /// A customer's rows within the intervals.
    #[inline]
    pub(super) fn rows(&self, customer: usize) -> std::ops::Range<usize> {
        self.rows_between(customer, self.calendar.from().0, self.calendar.until().0)
    }

    /// A customer's rows from a time until before another.
    #[inline]
    pub(super) fn rows_between(
        &self,
        customer: usize,
        from: i64,
        until: i64,
    ) -> std::ops::Range<usize> {
        let rows = self.timelines.rows(customer);
        let times = &self.timelines.times()[rows.clone()];
        let start = times.partition_point(|time| *time < from);
        let end = start + times[start..].partition_point(|time| *time < until);
        rows.start + start..rows.start + end
    }

    #[inline]
    pub(super) fn time(&self, row: usize) -> i64 {
        self.timelines.times()[row]
    }
}

/// Checks which events are meant, with the condition that the whole insight has.
pub(super) fn filter(events: &Events, scope: &Scope, catalog: &Catalog) -> Result<EventFilter> {
    let both = match (&events.condition, &scope.condition) {
        (Some(own), Some(all)) => Some(format!("({own}) AND ({all})")),
        (own, all) => own.clone().or_else(|| all.clone()),
    };
    Ok(EventFilter::check(&events.names, both.as_deref(), catalog)?)
}

/// Adds a property that has to be a number to what is read.
pub(super) fn read_number(property: &str, catalog: &Catalog, reads: &mut Catalog) -> Result<()> {
    match catalog.properties.get(property) {
        Some(Type::Number) => {
            reads.properties.insert(property.to_owned(), Type::Number);
            Ok(())
        }
        Some(other) => Err(Error::Mapping(format!("'{property}' is a {other}, no number"))),
        None => Err(unknown_property(property, catalog)),
    }
}

/// The error of a property that no event has.
pub(super) fn unknown_property(name: &str, catalog: &Catalog) -> Error {
    let hint = did_you_mean(name, catalog.properties.keys().map(String::as_str));
    Error::Mapping(format!("no event has a property '{name}'{hint}"))
}

/// Filters that know where the timelines have what they read.
pub(super) fn bound<'a>(
    filters: &'a [EventFilter],
    timelines: &'a Timelines,
) -> Vec<BoundFilter<'a>> {
    filters.iter().map(|filter| filter.bind(timelines)).collect()
}
