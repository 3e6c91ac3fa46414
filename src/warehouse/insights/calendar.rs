use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};
use kernel::domain::Time;
use serde::{Deserialize, Serialize};

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

    /// The first instant of the interval that a time is in.
    fn start(self, at: &ZonedDateTime) -> std::result::Result<ZonedDateTime, jiff::Error> {
        let date = at.date();
        let date = match self {
            Self::Hour => {
                return at.with().minute(0).second(0).subsec_nanosecond(0).build();
            }
            Self::Day => date,
            Self::Week => match date.weekday() {
                Weekday::Monday => date,
                _ => date.nth_weekday(-1, Weekday::Monday)?,
            },
            Self::Month => date.first_of_month(),
            Self::Quarter => date.with().month((date.month() - 1) / 3 * 3 + 1).day(1).build()?,
            Self::Year => date.first_of_year(),
        };
        date.to_zoned_datetime(at.time_zone().clone())
    }
}

/// Intervals one after the other, half-open, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// The first instant of each interval, and the end of the last.
    bounds: Vec<i64>,
}

/// The most intervals of a chart.
const MOST_INTERVALS: usize = 2_000;

impl Calendar {
    /// The intervals from the one of a time to the one before another, which begin where days do in a
    /// time zone.
    ///
    /// # Errors
    /// The zone is not known, or there are too many intervals.
    pub fn between(interval: Interval, zone: &str, from: Time, until: Time) -> Result<Self> {
        let (first, last) = (start(interval, zone, from)?, start(interval, zone, until.minus(1))?);
        let mut bounds = Vec::new();
        let mut at = first.clone();
        while at <= last {
            if bounds.len() >= MOST_INTERVALS {
                return Err(Error::Mapping(format!(
                    "there are more than {MOST_INTERVALS} intervals; use a longer one, or a shorter time"
                )));
            }
            bounds.push(at.timestamp().as_microsecond());
            at = step(interval, &first, bounds.len())?;
        }
        bounds.push(at.timestamp().as_microsecond());
        Ok(Self { bounds })
    }

    /// So many intervals that end with the one of a time.
    ///
    /// # Errors
    /// The zone is not known.
    pub fn last(interval: Interval, zone: &str, n: u16, time: Time) -> Result<Self> {
        let last = start(interval, zone, time)?;
        let bound = |place: u16| {
            let back = interval.span(i64::from(n) - 1 - i64::from(place));
            last.checked_sub(back).map(|at| at.timestamp().as_microsecond())
        };
        let bounds: std::result::Result<Vec<i64>, jiff::Error> = (0..=n).map(bound).collect();
        Ok(Self { bounds: bounds.map_err(outside)? })
    }

    /// As many intervals right before these.
    ///
    /// # Errors
    /// They are outside of what a calendar has.
    pub fn previous(&self, interval: Interval, zone: &str) -> Result<Self> {
        let n = u16::try_from(self.len()).unwrap_or(u16::MAX);
        Self::last(interval, zone, n, self.from().minus(1))
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
        let instant = |micros: i64| {
            let text = Time(micros).to_string();
            format!("TIMESTAMP '{}'", text.trim_end_matches('Z').replace('T', " "))
        };
        let rows: Vec<String> = self
            .bounds
            .windows(2)
            .enumerate()
            .map(|(k, pair)| format!("({k}, {}, {})", instant(pair[0]), instant(pair[1])))
            .collect();
        format!("calendar(k, b, e) AS (VALUES\n  {})", rows.join(",\n  "))
    }
}

/// A time zone of the IANA database, like `Europe/Berlin`.
fn time_zone(zone: &str) -> Result<TimeZone> {
    TimeZone::get(zone).map_err(|_unknown| {
        Error::Mapping(format!(
            "there is no time zone '{zone}'; write it like Europe/Berlin or UTC"
        ))
    })
}

fn start(interval: Interval, zone: &str, time: Time) -> Result<ZonedDateTime> {
    let at =
        Timestamp::from_microsecond(time.0).map_err(outside)?.to_zoned_datetime(time_zone(zone)?);
    interval.start(&at).map_err(outside)
}

/// From the first, so that a month has its own length.
fn step(interval: Interval, first: &ZonedDateTime, n: usize) -> Result<ZonedDateTime> {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    first.checked_add(interval.span(n)).map_err(outside)
}

fn outside(error: jiff::Error) -> Error {
    Error::Mapping(format!("the times are outside of the calendar: {error}"))
}
