use kernel::features::{BoundFilter, Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use super::retention::Times;
use super::scene::{Scene, filter};
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// In how many intervals customers are active.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StickinessSpec {
    /// The event that is activity.
    #[serde(skip_serializing_if = "Events::is_any")]
    pub event: Events,
    /// How often it must happen in an interval to be activity.
    pub times: Times,
}

/// How many customers are active in how many intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stickiness {
    /// Customers active in exactly one interval, in two, and so on.
    pub exactly: Vec<u64>,
    /// Customers active in at least so many.
    pub at_least: Vec<u64>,
}

impl StickinessSpec {
    pub(super) fn check(&self, scope: &Scope, catalog: &Catalog) -> Result<(EventFilter, Catalog)> {
        if scope.breakdown.is_some() {
            return Err(Error::Mapping("stickiness has no breakdown; use a segment".to_owned()));
        }
        if self.times.0 == 0 {
            return Err(Error::Mapping("times must be at least 1".to_owned()));
        }
        let event = filter(&self.event, scope, catalog)?;
        let reads = event.reads();
        Ok((event, reads))
    }

    fn active_in(&self, filter: &BoundFilter<'_>, scene: &Scene<'_>, customer: usize) -> usize {
        let (mut place, mut n_active, mut often, mut last) = (0, 0, 0, usize::MAX);
        for row in scene.rows(customer) {
            if filter.passes(row) {
                place = scene.calendar.place_from(place, scene.time(row));
                often = if place == last { often + 1 } else { 1 };
                last = place;
                n_active += usize::from(often == self.times.0);
            }
        }
        n_active
    }

    pub(super) fn compute(&self, event: &EventFilter, scene: &Scene<'_>) -> Stickiness {
        let n = scene.calendar.len();
        let filter = event.bind(scene.timelines);
        let each = |sums: &mut Vec<u64>, customer| {
            sums[self.active_in(&filter, scene, customer)] += 1;
        };
        let add = |sum: &mut Vec<u64>, piece: Vec<u64>| {
            sum.iter_mut().zip(piece).for_each(|(sum, n)| *sum += n);
        };
        let counts = scene.fold(|| vec![0; n + 1], each, add);
        let exactly = counts[1..].to_vec();
        let mut at_least = exactly.clone();
        let mut sum = 0;
        at_least.iter_mut().rev().for_each(|n| {
            sum += *n;
            *n = sum;
        });
        Stickiness { exactly, at_least }
    }

    /// The customers who were active in exactly so many intervals.
    pub(super) fn people(&self, event: &EventFilter, scene: &Scene<'_>, n: usize) -> Vec<usize> {
        let filter = event.bind(scene.timelines);
        scene.select(|customer| self.active_in(&filter, scene, customer) == n)
    }

    pub(super) fn rule(&self, scope: &Scope) -> String {
        let often = match self.times.0 {
            1 => String::new(),
            n => format!(" at least {n} times"),
        };
        format!(
            "In how many {}s of the time a customer had {}{often}; customers who never had are left out.",
            scope.interval.word(),
            self.event.title()
        )
    }

    pub(super) fn sql(&self, event: &EventFilter, scope: &Scope, calendar: &Calendar) -> String {
        format!(
            "WITH {},\nwho AS ({}),\
             \nactive AS (SELECT customer_id, k FROM events JOIN who USING (customer_id)\
             \n    JOIN calendar ON event_time >= b AND event_time < e WHERE {} GROUP BY ALL HAVING count(*) >= {}),\
             \nper AS (SELECT customer_id, count(*) AS intervals FROM active GROUP BY customer_id)\
             \nSELECT intervals, count(*) AS exactly, sum(count(*)) OVER (ORDER BY intervals DESC) AS at_least\
             \nFROM per GROUP BY intervals ORDER BY 1",
            calendar.to_sql(),
            sql::who(scope, calendar),
            event.to_sql(),
            self.times.0
        )
    }
}
