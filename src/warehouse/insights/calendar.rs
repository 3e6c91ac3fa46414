use jiff::ToSpan as _;
use jiff::civil::{Date, Time as Clock, Weekday};
use kernel::domain::Time;
use serde::{Deserialize, Serialize};

use super::zone::{Offsets, Zone, outside};
use super::{Bound, Range, sql};
use crate::{Error, Result};

/// How long an interval is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// An hour of the clock.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar week, from Monday.
    #[default]
    Week,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
    /// A calendar year.
    Year,
}

impl Interval {
    /// All of them, from short to long.
    pub const ALL: [Self; 6] =
        [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// Its length where every one is alike: hours and days as the clock runs, 7, 30, 91 and 365 days.
    #[must_use]
    pub const fn rolling_hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 24 * 7,
            Self::Month => 24 * 30,
            Self::Quarter => 24 * 91,
            Self::Year => 24 * 365,
        }
    }

    fn span(self, n: i64) -> jiff::Span {
        match self {
            Self::Hour => n.hours(),
            Self::Day => n.days(),
            Self::Week => n.weeks(),
            Self::Month => n.months(),
            Self::Quarter => (3 * n).months(),
            Self::Year => n.years(),
        }
    }

    /// The first day of the interval that a day is in.
    fn first_day(self, day: Date) -> Result<Date> {
        let first = match self {
            Self::Hour | Self::Day => Ok(day),
            Self::Week if day.weekday() == Weekday::Monday => Ok(day),
            Self::Week => day.nth_weekday(-1, Weekday::Monday),
            Self::Month => Ok(day.first_of_month()),
            Self::Quarter => day.with().month((day.month() - 1) / 3 * 3 + 1).day(1).build(),
            Self::Year => Ok(day.first_of_year()),
        };
        first.map_err(outside)
    }

    /// The first day of the interval after the one that a day is in.
    fn next_first_day(self, day: Date) -> Result<Date> {
        let days = if self == Self::Hour { 1.day() } else { self.span(1) };
        self.first_day(day)?.checked_add(days).map_err(outside)
    }
}

/// Intervals one after the other, half-open, in a time zone. The first and the last may be a part of an
/// interval only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    interval: Interval,
    name: String,
    zone: Zone,
    /// The first day, and the day before which it ends.
    days: (Date, Date),
    /// The first instant of each interval, and the end of the last. A day that a zone skips has no length.
    bounds: Vec<i64>,
    /// The first instant of the whole interval that the first one is in.
    whole_start: i64,
    /// The end of the whole interval that the last one is in.
    whole_end: i64,
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// The most intervals of a chart.
const MOST_INTERVALS: usize = 2_000;

impl Calendar {
    /// The intervals of a range, which begin where days do in a time zone. Days are as written. A bound with a
    /// time of the day is widened to its day, or to its hour where intervals are hours.
    ///
    /// # Errors
    /// The zone is not known, the range is empty, or there are too many intervals.
    pub fn between(interval: Interval, zone: &str, from: Bound, until: Bound) -> Result<Self> {
        let clock = Zone::get(zone)?;
        let (start, end) = match interval {
            Interval::Hour => (hour_of(&clock, from, false)?, hour_of(&clock, until, true)?),
            _ => (
                clock.start_of_day(day_of(&clock, from, false)?)?,
                clock.start_of_day(day_of(&clock, until, true)?)?,
            ),
        };
        if end <= start {
            return Err(Error::Mapping(format!("until {until} is not after from {from}")));
        }
        match interval {
            Interval::Hour => Self::of_hours(zone, clock, start, end),
            _ => {
                let days = (day_of(&clock, from, false)?, day_of(&clock, until, true)?);
                Self::of_days(interval, zone, clock, days)
            }
        }
    }

    /// A number of intervals that end with the one of an instant, which is whole.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn last(interval: Interval, zone: &str, n: u16, time: Time) -> Result<Self> {
        let clock = Zone::get(zone)?;
        if interval == Interval::Hour {
            let last = clock.start_of_hour(time.0)?;
            let end = clock.next_hour(last)?;
            return Self::of_hours_before(zone, clock, n, end);
        }
        let until = interval.next_first_day(clock.date(time.0)?)?;
        Self::last_until(interval, zone, n, Bound::Day(until))
    }

    /// A number of intervals that end before a bound. Only the last may be a part of an interval.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn last_until(interval: Interval, zone: &str, n: u16, until: Bound) -> Result<Self> {
        let clock = Zone::get(zone)?;
        if interval == Interval::Hour {
            let end = hour_of(&clock, until, true)?;
            return Self::of_hours_before(zone, clock, n, end);
        }
        let until = day_of(&clock, until, true)?;
        let last = interval.first_day(until.yesterday().map_err(outside)?)?;
        let from = last.checked_sub(interval.span(i64::from(n) - 1)).map_err(outside)?;
        Self::of_days(interval, zone, clock, (from, until))
    }

    /// The same, until the day after that of an instant.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn last_until_day_of(interval: Interval, zone: &str, n: u16, time: Time) -> Result<Self> {
        let day = Zone::get(zone)?.date(time.0)?.tomorrow().map_err(outside)?;
        Self::last_until(interval, zone, n, Bound::Day(day))
    }

    fn of_days(
        interval: Interval,
        name: &str,
        zone: Zone,
        (from, until): (Date, Date),
    ) -> Result<Self> {
        let mut bounds = vec![zone.start_of_day(from)?];
        let mut day = from;
        while day < until {
            if bounds.len() > MOST_INTERVALS {
                return Err(too_many());
            }
            day = interval.next_first_day(day)?.min(until);
            bounds.push(zone.start_of_day(day)?);
        }
        let last = until.yesterday().map_err(outside)?;
        Ok(Self {
            interval,
            name: name.to_owned(),
            days: (from, until),
            whole_start: zone.start_of_day(interval.first_day(from)?)?,
            whole_end: zone.start_of_day(interval.next_first_day(last)?)?,
            zone,
            bounds,
        })
    }

    fn of_hours(name: &str, zone: Zone, start: i64, end: i64) -> Result<Self> {
        let mut bounds = vec![start];
        let mut at = start;
        while at < end {
            if bounds.len() > MOST_INTERVALS {
                return Err(too_many());
            }
            at = zone.next_hour(at)?.min(end);
            bounds.push(at);
        }
        Self::of_hour_bounds(name, zone, bounds)
    }

    /// A number of hours that end at the end of one.
    fn of_hours_before(name: &str, zone: Zone, n: u16, end: i64) -> Result<Self> {
        let mut bounds = vec![end];
        let mut at = end;
        for _ in 0..n {
            at = zone.start_of_hour(at - 1)?;
            bounds.push(at);
        }
        bounds.reverse();
        Self::of_hour_bounds(name, zone, bounds)
    }

    fn of_hour_bounds(name: &str, zone: Zone, bounds: Vec<i64>) -> Result<Self> {
        let (start, end) = (bounds[0], bounds[bounds.len() - 1]);
        let until = zone.date(end - 1)?.tomorrow().map_err(outside)?;
        Ok(Self {
            interval: Interval::Hour,
            name: name.to_owned(),
            days: (zone.date(start)?, until),
            zone,
            bounds,
            whole_start: start,
            whole_end: end,
        })
    }

    /// As many intervals right before these. The first and the last are parts as they are here.
    ///
    /// # Errors
    /// They are outside of what a calendar has.
    pub fn previous(&self) -> Result<Self> {
        let n = self.len();
        if self.interval == Interval::Hour {
            let n = u16::try_from(n).unwrap_or(u16::MAX);
            return Self::of_hours_before(&self.name, self.zone.clone(), n, self.from().0);
        }
        let span = self.interval.span(i64::try_from(n).unwrap_or(i64::MAX));
        let before = |day: Date| day.checked_sub(span).map_err(outside);
        // The last day is moved, not the end: the month before may be shorter.
        let last = before(self.days.1.yesterday().map_err(outside)?)?;
        let until = match self.last_is_partial() {
            true => last.tomorrow().map_err(outside)?,
            false => self.interval.next_first_day(last)?,
        };
        let days = (before(self.days.0)?, until);
        Self::of_days(self.interval, &self.name, self.zone.clone(), days)
    }

    /// These intervals, whole, with one before the first.
    pub(super) fn with_one_before(&self) -> Result<Self> {
        let mut longer = self.clone();
        let before = match self.interval {
            Interval::Hour => self.zone.start_of_hour(self.from().0 - 1)?,
            interval => {
                let first = interval.first_day(self.days.0)?;
                let before = first.checked_sub(interval.span(1)).map_err(outside)?;
                longer.days.0 = before;
                self.zone.start_of_day(before)?
            }
        };
        longer.bounds[0] = self.whole_start;
        longer.bounds.insert(0, before);
        longer.whole_start = before;
        Ok(longer)
    }

    /// For each interval, the instant that is a number of calendar days before its end.
    pub(super) fn days_before_ends(&self, days: i64) -> Result<Vec<i64>> {
        self.bounds[1..].iter().map(|end| self.zone.days_before(*end, days)).collect()
    }

    /// The number of intervals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first instant.
    #[must_use]
    pub fn from(&self) -> Time {
        Time(self.bounds.first().copied().unwrap_or(0))
    }

    /// The end of the last interval.
    #[must_use]
    pub fn until(&self) -> Time {
        Time(self.bounds.last().copied().unwrap_or(0))
    }

    /// Whether the first interval begins before the range.
    #[must_use]
    pub fn first_is_partial(&self) -> bool {
        self.whole_start < self.from().0
    }

    /// Whether the last interval ends after the range.
    #[must_use]
    pub fn last_is_partial(&self) -> bool {
        self.whole_end > self.until().0
    }

    /// The number of intervals that are over where the data end: none after the last event's day, and not a
    /// part of an interval. Where the range has no end of its own, the interval of the last event goes on.
    pub(super) fn complete(&self, last_event: Time, has_end: bool) -> Result<usize> {
        let end_of_data = match has_end {
            true => {
                let day = self.zone.date(last_event.0)?.tomorrow().map_err(outside)?;
                self.zone.start_of_day(day)?
            }
            false => last_event.0,
        };
        let n = self.bounds[1..].partition_point(|end| *end <= end_of_data);
        Ok(n.min(self.len() - usize::from(self.last_is_partial())))
    }

    /// The day before which the range ends, as days since 1970-01-01.
    pub(super) fn day_of_end(&self) -> i64 {
        i64::from((self.days.1 - EPOCH).get_days())
    }

    /// Whether the range begins, or ends, at the instant of a bound, and not beside it.
    pub(super) fn is_at(&self, bound: Bound, is_end: bool) -> Result<bool> {
        let own = if is_end { self.until() } else { self.from() };
        Ok(match bound {
            Bound::Day(_) => true,
            Bound::Clock(clock) => {
                clock.time() == Clock::midnight() || self.zone.instant(clock)? == own.0
            }
            Bound::Instant(time) => time == own,
        })
    }

    /// The offsets of the clock within, which tell the day of an instant.
    pub(super) fn offsets(&self) -> Result<Offsets> {
        self.zone.offsets(self.from().0, self.until().0)
    }

    /// What the range is, for people and programs.
    pub(super) fn range(&self, complete: usize) -> Result<Range> {
        let written = |day: Date, at: i64| -> Result<String> {
            Ok(match (self.interval, self.zone.time_of_day(at)?) {
                (Interval::Hour, Some(time)) => format!("{}T{time}", self.zone.date(at)?),
                (Interval::Hour, None) => self.zone.date(at)?.to_string(),
                _ => day.to_string(),
            })
        };
        let label = |start: &i64| -> Result<String> {
            let day = self.zone.date(*start)?;
            Ok(match (self.interval, self.zone.time_of_day(*start)?) {
                (Interval::Hour, time) => format!("{day} {}", time.as_deref().unwrap_or("00:00")),
                _ => day.to_string(),
            })
        };
        let labels: Result<Vec<String>> = self.bounds[..self.len()].iter().map(label).collect();
        let last = self.days.1.yesterday().map_err(outside)?;
        let mut partial = Vec::new();
        partial.extend(self.first_is_partial().then_some(0));
        let place = self.len().saturating_sub(1);
        if self.last_is_partial() && partial.last() != Some(&place) {
            partial.push(place);
        }
        Ok(Range {
            from: written(self.days.0, self.from().0)?,
            until: written(self.days.1, self.until().0)?,
            last_day: last.to_string(),
            zone: self.name.clone(),
            interval: self.interval,
            intervals: self.len(),
            start: self.from(),
            end: self.until(),
            labels: labels?,
            partial,
            complete,
            widened: Vec::new(),
        })
    }

    /// The first instant of each interval.
    pub fn starts(&self) -> impl Iterator<Item = Time> {
        self.bounds[..self.len()].iter().copied().map(Time)
    }

    /// The first instant of an interval, and its end.
    #[must_use]
    pub fn interval(&self, place: usize) -> (i64, i64) {
        (self.bounds[place], self.bounds[place + 1])
    }

    /// The interval of a time, which is looked for from a place on; the place must not be behind it.
    #[inline]
    #[must_use]
    pub fn place_from(&self, mut place: usize, time: i64) -> usize {
        while place + 1 < self.len() && time >= self.bounds[place + 1] {
            place += 1;
        }
        place
    }

    /// The interval of a time within.
    #[must_use]
    pub fn place(&self, time: i64) -> usize {
        self.bounds.partition_point(|bound| *bound <= time).saturating_sub(1)
    }

    /// The intervals as a table of SQL: `k`, and from `b` until before `e`.
    #[must_use]
    pub fn to_sql(&self) -> String {
        table_sql("calendar", &self.bounds[..self.len()], &self.bounds[1..])
    }
}

/// Intervals as a table of SQL: `k`, and from `b` until before `e`.
pub(super) fn table_sql(name: &str, starts: &[i64], ends: &[i64]) -> String {
    let row = |(k, (start, end)): (usize, (&i64, &i64))| {
        format!("({k}, {}, {})", sql::instant(Time(*start)), sql::instant(Time(*end)))
    };
    let rows: Vec<String> = starts.iter().zip(ends).enumerate().map(row).collect();
    format!("{name}(k, b, e) AS (VALUES\n  {})", rows.join(",\n  "))
}

/// The day of a bound; of an end, the first day that is no more within.
fn day_of(zone: &Zone, bound: Bound, is_end: bool) -> Result<Date> {
    let (day, is_within) = match bound {
        Bound::Day(day) => (day, false),
        Bound::Clock(clock) => (clock.date(), clock.time() != Clock::midnight()),
        Bound::Instant(time) => {
            let day = zone.date(time.0)?;
            (day, zone.start_of_day(day)? != time.0)
        }
    };
    if is_end && is_within { day.tomorrow().map_err(outside) } else { Ok(day) }
}

/// The start of the hour of a bound; of an end, of the first hour that is no more within.
fn hour_of(zone: &Zone, bound: Bound, is_end: bool) -> Result<i64> {
    let at = match bound {
        Bound::Day(day) => return zone.start_of_day(day),
        Bound::Clock(clock) => zone.instant(clock)?,
        Bound::Instant(time) => time.0,
    };
    let start = zone.start_of_hour(at)?;
    if is_end && start != at { zone.next_hour(start) } else { Ok(start) }
}

fn too_many() -> Error {
    Error::Mapping(format!(
        "there are more than {MOST_INTERVALS} intervals; use a longer one, or a shorter time"
    ))
}
