use kernel::domain::{MICROS_PER_DAY, Time};
use kernel::expression::quote_identifier;
use kernel::features::{Catalog, Column, EventFilter};
use serde::{Deserialize, Serialize};

use super::scene::{Scene, filter, read_number};
use super::zone::Offsets;
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// Customers by recency, frequency and money: each gets a score from 1 to 5 of each, and a segment by the
/// first two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentsSpec {
    /// The event that is an order.
    #[serde(skip_serializing_if = "Events::is_any")]
    pub event: Events,
    /// The property that is its worth; without one every order is worth 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The names of the segments, best first.
pub const SEGMENTS: [&str; 10] = [
    "Champions",
    "Loyal",
    "Potential loyalist",
    "New",
    "Promising",
    "Need attention",
    "About to sleep",
    "At risk",
    "Can't lose",
    "Hibernating",
];

/// The segment of scores of recency and frequency, as a place in [`SEGMENTS`].
#[must_use]
pub const fn segment_of(recency: u8, frequency: u8) -> usize {
    match (recency, frequency) {
        (5, 4..) => 0,
        (3..=4, 4..) => 1,
        (4.., 2..=3) => 2,
        (5, _) => 3,
        (4, _) => 4,
        (3, 3) => 5,
        (3, _) => 6,
        (..3, 5..) => 8,
        (..3, 3 | 4) => 7,
        _ => 9,
    }
}

/// Customers by recency, frequency and money.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segments {
    /// The start of the day as of which customers are scored: the end of the range.
    pub as_of: Time,
    /// The segments that have customers, best first.
    pub segments: Vec<SegmentRow>,
    /// Customers by score of recency and of frequency, each from 1 to 5.
    pub grid: [[u64; 5]; 5],
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentRow {
    /// Its name.
    pub name: String,
    /// Its customers.
    pub customers: u64,
    /// The mean number of calendar days from the day of the last order to the as-of day.
    pub mean_recency_days: f64,
    /// The mean number of orders.
    pub mean_frequency: f64,
    /// The mean worth of all orders.
    pub mean_monetary: f64,
}

/// A customer with orders.
struct Customer {
    place: usize,
    /// Calendar days from the day of the last order to the as-of day.
    recency: i64,
    frequency: u64,
    monetary: f64,
    /// Scores from 1 to 5 of recency and frequency.
    scores: (u8, u8),
}

#[derive(Debug)]
pub(super) struct Checked {
    event: EventFilter,
    /// The days of the range, in its zone.
    offsets: Offsets,
}

impl SegmentsSpec {
    pub(super) fn check(
        &self,
        scope: &Scope,
        catalog: &Catalog,
        calendar: &Calendar,
    ) -> Result<(Checked, Catalog)> {
        if scope.breakdown.is_some() {
            return Err(Error::Mapping("segments have no breakdown".to_owned()));
        }
        let event = filter(&self.event, scope, catalog)?;
        let mut reads = event.reads();
        if let Some(value) = &self.value {
            read_number(value, catalog, &mut reads)?;
        }
        Ok((Checked { event, offsets: calendar.offsets()? }, reads))
    }

    fn customers(&self, checked: &Checked, scene: &Scene<'_>) -> Vec<Customer> {
        let filter = checked.event.bind(scene.timelines);
        let column = match self.value.as_ref().and_then(|name| scene.timelines.property(name)) {
            Some(Column::Number(numbers)) => Some(numbers),
            _ => None,
        };
        let as_of = scene.calendar.day_of_end();
        let each = |found: &mut Vec<Customer>, place: usize| {
            let (mut frequency, mut monetary, mut last) = (0, 0.0, None);
            for row in scene.rows(place) {
                if filter.passes(row) {
                    frequency += 1;
                    let worth = column.map_or(1.0, |column| column[row]);
                    monetary += if worth.is_nan() { 0.0 } else { worth };
                    last = Some(scene.time(row));
                }
            }
            if let Some(last) = last {
                let recency = as_of - checked.offsets.day(last);
                found.push(Customer { place, recency, frequency, monetary, scores: (0, 0) });
            }
        };
        let mut customers = scene
            .fold(Vec::new, each, |found: &mut Vec<Customer>, mut piece| found.append(&mut piece));
        // The latest orders are the best: their share of customers is counted from the other end.
        let recency = fifths(&customers.iter().map(|it| -it.recency).collect::<Vec<_>>());
        let frequency = fifths(&customers.iter().map(|it| it.frequency).collect::<Vec<_>>());
        let scores = recency.into_iter().zip(frequency);
        customers.iter_mut().zip(scores).for_each(|(customer, scores)| customer.scores = scores);
        customers
    }

    #[allow(clippy::cast_precision_loss, reason = "means for people")]
    pub(super) fn compute(&self, checked: &Checked, scene: &Scene<'_>) -> Segments {
        let customers = self.customers(checked, scene);
        let mut grid = [[0; 5]; 5];
        let mut sums = [(0_u64, 0_i64, 0_u64, 0.0); SEGMENTS.len()];
        for customer in &customers {
            let (recency, frequency) = customer.scores;
            grid[usize::from(recency - 1)][usize::from(frequency - 1)] += 1;
            let sum = &mut sums[segment_of(recency, frequency)];
            sum.0 += 1;
            sum.1 += customer.recency;
            sum.2 += customer.frequency;
            sum.3 += customer.monetary;
        }
        let row = |(name, (n, recency, frequency, monetary)): (&&str, (u64, i64, u64, f64))| {
            let count = n as f64;
            SegmentRow {
                name: (*name).to_owned(),
                customers: n,
                mean_recency_days: recency as f64 / count,
                mean_frequency: frequency as f64 / count,
                mean_monetary: monetary / count,
            }
        };
        let rows = SEGMENTS.iter().zip(sums).filter(|(_, sum)| sum.0 > 0).map(row);
        Segments { as_of: scene.calendar.until(), segments: rows.collect(), grid }
    }

    pub(super) fn people(&self, checked: &Checked, scene: &Scene<'_>, name: &str) -> Vec<usize> {
        let customers = self.customers(checked, scene);
        let is_in = |customer: &&Customer| {
            SEGMENTS[segment_of(customer.scores.0, customer.scores.1)] == name
        };
        customers.iter().filter(is_in).map(|customer| customer.place).collect()
    }

    pub(super) fn rule(&self, calendar: &Calendar) -> Result<String> {
        let worth = match &self.value {
            Some(value) => format!("the sum of {value}"),
            None => "the number of orders".to_owned(),
        };
        Ok(format!(
            "Customers with {}, as of {}: calendar days since the last, how many, and {worth}. A score is the \
             fifth that a customer is in, 5 the best; equal values have equal scores.",
            self.event.title(),
            calendar.range(0)?.until
        ))
    }

    pub(super) fn sql(&self, checked: &Checked, scope: &Scope, calendar: &Calendar) -> String {
        let worth = match &self.value {
            Some(value) => format!("coalesce(sum({}), 0)", quote_identifier(value)),
            None => "count(*)".to_owned(),
        };
        format!(
            "WITH who AS ({}),\
             \n-- How many microseconds the clock is ahead of UTC.\
             \nclock(b, e, ahead) AS (VALUES {}),\
             \nper AS (SELECT customer_id, max(event_time) AS last, count(*) AS frequency, {worth} AS monetary\
             \n  FROM events JOIN who USING (customer_id)\
             \n  WHERE event_time >= {} AND event_time < {} AND {} GROUP BY customer_id),\
             \ndays AS (SELECT per.*, DATE '{}' - CAST(last + to_microseconds(ahead) AS DATE) AS recency\
             \n  FROM per JOIN clock ON last >= b AND last < e),\
             \nscored AS (SELECT *, ceil(5 * cume_dist() OVER (ORDER BY recency DESC)) AS r,\
             \n    ceil(5 * cume_dist() OVER (ORDER BY frequency)) AS f,\
             \n    ceil(5 * cume_dist() OVER (ORDER BY monetary)) AS m FROM days)\
             \nSELECT r, f, count(*) AS customers, avg(monetary) AS monetary\
             \nFROM scored GROUP BY ALL ORDER BY r DESC, f DESC",
            sql::who(scope, calendar),
            checked.offsets.to_sql(),
            sql::instant(calendar.from()),
            sql::instant(calendar.until()),
            checked.event.to_sql(),
            Time(calendar.day_of_end() * MICROS_PER_DAY).date()
        )
    }
}

/// The fifth that each value is in: `ceil(5 * cume_dist())`, so that equal values are in the same.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 to 5"
)]
fn fifths<T: Ord + Copy>(values: &[T]) -> Vec<u8> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let n = sorted.len() as f64;
    let fifth = |value: &T| {
        let until = sorted.partition_point(|other| other <= value) as f64;
        (5.0 * (until / n)).ceil().clamp(1.0, 5.0) as u8
    };
    values.iter().map(fifth).collect()
}
