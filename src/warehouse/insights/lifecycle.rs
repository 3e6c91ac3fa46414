use kernel::domain::Time;
use kernel::features::{BoundFilter, Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use super::scene::{Scene, filter};
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// Who is new, returns, comes back after a break, or stays away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifecycleSpec {
    /// The event that is activity.
    #[serde(skip_serializing_if = "Events::is_any")]
    pub event: Events,
}

/// What a customer is in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Active, in the interval of their first event of all.
    New,
    /// Active, as in the interval before.
    Returning,
    /// Active, but not in the interval before.
    Resurrecting,
    /// Not active, but in the interval before.
    Dormant,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::Returning, Self::Resurrecting, Self::Dormant];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Returning => "returning",
            Self::Resurrecting => "resurrecting",
            Self::Dormant => "dormant",
        }
    }
}

/// How many customers are what in each interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lifecycle {
    /// The first instant of each interval.
    pub starts: Vec<Time>,
    /// Customers, by status in the order of [`Status::ALL`] and interval. Dormant ones are not below 0 here.
    pub counts: Vec<Vec<u64>>,
}

#[derive(Debug)]
pub(super) struct Checked {
    event: EventFilter,
    /// The intervals with one before the first; the first itself is whole here.
    longer: Calendar,
}

impl LifecycleSpec {
    pub(super) fn check(
        &self,
        scope: &Scope,
        catalog: &Catalog,
        calendar: &Calendar,
    ) -> Result<(Checked, Catalog)> {
        if scope.breakdown.is_some() {
            return Err(Error::Mapping("a lifecycle has no breakdown; use a segment".to_owned()));
        }
        let event = filter(&self.event, scope, catalog)?;
        let longer = calendar.with_one_before()?;
        let reads = event.reads();
        Ok((Checked { event, longer }, reads))
    }

    pub(super) fn compute(checked: &Checked, scene: &Scene<'_>) -> Lifecycle {
        let n = scene.calendar.len();
        let filter = checked.event.bind(scene.timelines);
        let each = |sums: &mut Vec<Vec<u64>>, customer: usize| {
            visit(checked, &filter, scene, customer, |status, place| {
                sums[status as usize][place] += 1
            });
        };
        let add = |sum: &mut Vec<Vec<u64>>, piece: Vec<Vec<u64>>| {
            for (sum, piece) in sum.iter_mut().zip(piece) {
                sum.iter_mut().zip(piece).for_each(|(sum, n)| *sum += n);
            }
        };
        let counts = scene.fold(|| vec![vec![0; n]; Status::ALL.len()], each, add);
        Lifecycle { starts: scene.calendar.starts().collect(), counts }
    }

    pub(super) fn people(
        checked: &Checked,
        scene: &Scene<'_>,
        (wanted, interval): (Status, usize),
    ) -> Vec<usize> {
        let filter = checked.event.bind(scene.timelines);
        scene.select(|customer| {
            let mut is_in = false;
            visit(checked, &filter, scene, customer, |status, place| {
                is_in |= status == wanted && place == interval;
            });
            is_in
        })
    }

    pub(super) fn rule(&self, scope: &Scope) -> String {
        let interval = scope.interval.word();
        format!(
            "A customer with {} in a {interval} is new if their first event of all is in it, returning if they \
             were active in the {interval} before, else resurrecting; dormant are those who were active in \
             the {interval} before and are not now.",
            self.event.title()
        )
    }

    pub(super) fn sql(checked: &Checked, scope: &Scope, calendar: &Calendar) -> String {
        let outside = match calendar.first_is_partial() {
            true => format!(
                "\n      AND NOT (event_time >= {} AND event_time < {})",
                sql::instant(Time(checked.longer.interval(0).1)),
                sql::instant(calendar.from())
            ),
            false => String::new(),
        };
        format!(
            "WITH {},\nwho AS ({}),\
             \nper AS (SELECT DISTINCT customer_id, k - 1 AS k, first_seen >= b AS is_new\
             \n    FROM events JOIN who USING (customer_id) JOIN calendar ON event_time >= b AND event_time < e\
             \n    WHERE {}{outside}),\
             \nseq AS (SELECT *, lag(k) OVER w AS before, lead(k) OVER w AS after FROM per\
             \n    WINDOW w AS (PARTITION BY customer_id ORDER BY k)),\
             \nst AS (SELECT customer_id, k, CASE WHEN is_new THEN 'new' WHEN before = k - 1 THEN 'returning'\
             \n    ELSE 'resurrecting' END AS status FROM seq\
             \n  UNION ALL SELECT customer_id, k + 1, 'dormant' FROM seq WHERE after IS DISTINCT FROM k + 1)\
             \nSELECT status, k, count(*) AS customers FROM st WHERE k >= 0 AND k < {} GROUP BY ALL ORDER BY ALL",
            checked.longer.to_sql(),
            sql::who(scope, calendar),
            checked.event.to_sql(),
            calendar.len()
        )
    }
}

/// Says what a customer is in which intervals.
fn visit(
    checked: &Checked,
    filter: &BoundFilter<'_>,
    scene: &Scene<'_>,
    customer: usize,
    mut say: impl FnMut(Status, usize),
) {
    let longer = &checked.longer;
    let n = scene.calendar.len();
    let first_seen = scene.timelines.first_seen(customer).map_or(i64::MAX, |time| time.0);
    let mut place = 0;
    // Places in the longer calendar; the last interval in which the customer was active.
    let mut last: Option<usize> = None;
    for row in scene.rows_between(customer, longer.from().0, longer.until().0) {
        let time = scene.time(row);
        // Of a partial first interval, what is before the range is not counted.
        let is_outside = time >= longer.interval(0).1 && time < scene.calendar.from().0;
        if is_outside || !filter.passes(row) {
            continue;
        }
        place = longer.place_from(place, time);
        if last == Some(place) {
            continue;
        }
        if let Some(last) = last.filter(|last| last + 1 < place) {
            say(Status::Dormant, last);
        }
        if place > 0 {
            let status = if first_seen >= longer.interval(place).0 {
                Status::New
            } else if last == Some(place - 1) {
                Status::Returning
            } else {
                Status::Resurrecting
            };
            say(status, place - 1);
        }
        last = Some(place);
    }
    if let Some(last) = last.filter(|last| *last < n) {
        say(Status::Dormant, last);
    }
}
