use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use kernel::domain::{MICROS_PER_DAY, Time};

use crate::{Error, Result};

/// The calendar and the clock of a time zone. Instants are microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone(TimeZone);

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_HOUR: i64 = 3_600;

impl Zone {
    /// Looks up a time zone of the IANA database, like `Europe/Berlin`.
    pub(super) fn get(name: &str) -> Result<Self> {
        TimeZone::get(name).map(Self).map_err(|_unknown| {
            Error::Mapping(format!(
                "there is no time zone '{name}'; write it like Europe/Berlin or UTC"
            ))
        })
    }

    /// The day that an instant is in.
    pub(super) fn date(&self, at: i64) -> Result<Date> {
        Ok(self.0.to_datetime(timestamp(at)?).date())
    }

    /// The instant of a time of the clock: where the clock shows it twice the first; where it does not
    /// show it as much later as the clock is moved.
    pub(super) fn instant(&self, clock: jiff::civil::DateTime) -> Result<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(clock);
        ambiguous.compatible().map(Timestamp::as_microsecond).map_err(outside)
    }

    /// The first instant of a day. Where the clock skips midnight it is the instant at which the clock was
    /// moved, which need not be a whole hour later; a day that is skipped begins with the next one.
    pub(super) fn start_of_day(&self, day: Date) -> Result<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(day.at(0, 0, 0, 0));
        let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let start = ambiguous.compatible().map_err(outside)?;
        match is_skipped {
            true => self.last_change(start),
            false => Ok(start.as_microsecond()),
        }
    }

    /// The last instant, not after another, at which the clock was moved; that instant itself if there is none.
    fn last_change(&self, at: Timestamp) -> Result<i64> {
        let after = at.checked_add(SignedDuration::from_nanos(1)).map_err(outside)?;
        let change = self.0.preceding(after).next().map(|change| change.timestamp());
        Ok(change.unwrap_or(at).as_microsecond())
    }

    /// The first instant of the hour of the clock that an instant is in.
    pub(super) fn start_of_hour(&self, at: i64) -> Result<i64> {
        let instant = timestamp(at)?;
        let start = at - self.since_hour(at)?;
        // The clock was moved within this hour.
        match self.0.to_offset(timestamp(start)?) == self.0.to_offset(instant) {
            true => Ok(start),
            false => self.last_change(instant),
        }
    }

    /// The first instant of the next hour of the clock; no hour goes beyond its day.
    pub(super) fn next_hour(&self, at: i64) -> Result<i64> {
        let next = at + SECONDS_PER_HOUR * MICROS_PER_SECOND - self.since_hour(at)?;
        let tomorrow = self.start_of_day(self.date(at)?.tomorrow().map_err(outside)?)?;
        Ok(if tomorrow > at { next.min(tomorrow) } else { next })
    }

    fn since_hour(&self, at: i64) -> Result<i64> {
        let clock = self.0.to_datetime(timestamp(at)?);
        let seconds = i64::from(clock.minute()) * 60 + i64::from(clock.second());
        Ok(seconds * MICROS_PER_SECOND + i64::from(clock.subsec_nanosecond()) / 1_000)
    }

    /// The instant that is so many calendar days before another, at the same time of the clock.
    pub(super) fn days_before(&self, at: i64, days: i64) -> Result<i64> {
        let zoned = timestamp(at)?.to_zoned_datetime(self.0.clone());
        if self.start_of_day(zoned.date())? == at {
            return self.start_of_day(zoned.date().checked_sub(days.days()).map_err(outside)?);
        }
        let before = zoned.checked_sub(days.days()).map_err(outside)?;
        Ok(before.timestamp().as_microsecond())
    }

    /// What the clock shows within a day, as `12:30`; none at the start of the day.
    pub(super) fn time_of_day(&self, at: i64) -> Result<Option<String>> {
        let clock = self.0.to_datetime(timestamp(at)?);
        let is_start = self.start_of_day(clock.date())? == at;
        Ok((!is_start).then(|| format!("{:02}:{:02}", clock.hour(), clock.minute())))
    }

    /// How far the clock is ahead of UTC between two instants.
    pub(super) fn offsets(&self, from: i64, until: i64) -> Result<Offsets> {
        let start = timestamp(from)?;
        let micros = |at: Timestamp| i64::from(self.0.to_offset(at).seconds()) * MICROS_PER_SECOND;
        let mut changes = vec![(from, micros(start))];
        for change in self.0.following(start) {
            let at = change.timestamp();
            if at.as_microsecond() >= until {
                break;
            }
            changes.push((at.as_microsecond(), micros(at)));
        }
        Ok(Offsets { changes, until })
    }
}

/// How far a clock is ahead of UTC, from each instant on, until an end. All are microseconds.
#[derive(Clone, Debug)]
pub(super) struct Offsets {
    changes: Vec<(i64, i64)>,
    until: i64,
}

impl Offsets {
    /// The day of an instant, as days since 1970-01-01.
    pub(super) fn day(&self, at: i64) -> i64 {
        let next = self.changes.partition_point(|(from, _)| *from <= at);
        let offset = self.changes.get(next.saturating_sub(1)).map_or(0, |(_, offset)| *offset);
        (at + offset).div_euclid(MICROS_PER_DAY)
    }

    /// The offsets as rows of SQL: from when, until before when, and microseconds.
    pub(super) fn to_sql(&self) -> String {
        let ends = self.changes.iter().skip(1).map(|(from, _)| *from).chain([self.until]);
        let row = |((from, offset), end): (&(i64, i64), i64)| {
            format!(
                "({}, {}, {offset})",
                super::sql::instant(Time(*from)),
                super::sql::instant(Time(end))
            )
        };
        self.changes.iter().zip(ends).map(row).collect::<Vec<_>>().join(", ")
    }
}

fn timestamp(at: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(at).map_err(outside)
}

pub(super) fn outside(error: jiff::Error) -> Error {
    Error::Mapping(format!("the times are outside of the calendar: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(zone: &str, day: &str) -> String {
        let zone = Zone::get(zone).unwrap();
        Time(zone.start_of_day(day.parse().unwrap()).unwrap()).to_string()
    }

    #[test]
    fn days_begin_at_their_first_instant() {
        for (zone, day, instant) in [
            // Midnight is skipped, to one o'clock.
            ("Africa/Cairo", "2025-04-25", "2025-04-24T22:00:00Z"),
            ("America/Santiago", "2024-09-08", "2024-09-08T04:00:00Z"),
            ("Asia/Beirut", "2024-03-31", "2024-03-30T22:00:00Z"),
            ("America/Havana", "2024-03-10", "2024-03-10T05:00:00Z"),
            // The clock shows midnight twice: the first counts.
            ("America/Havana", "2024-11-03", "2024-11-03T04:00:00Z"),
            // The day before has 25 hours.
            ("America/Santiago", "2024-04-07", "2024-04-07T04:00:00Z"),
            // The clock goes from 23:30 to 00:30.
            ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z"),
            // A day that is not there, and the next one.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(start(zone, day), instant, "{zone} {day}");
        }
    }

    #[test]
    fn hours_are_those_of_the_clock() {
        for (zone, day, hours) in [
            ("UTC", "2024-01-01", 24),
            ("Europe/Berlin", "2024-03-31", 23),
            ("Europe/Berlin", "2024-10-27", 25),
            ("Africa/Cairo", "2025-04-25", 23),
            ("Asia/Kolkata", "2024-01-01", 24),
            // Half an hour is skipped: the hour of two o'clock is the shorter one.
            ("Australia/Lord_Howe", "2024-10-06", 24),
        ] {
            let zone = Zone::get(zone).unwrap();
            let day: Date = day.parse().unwrap();
            let (mut at, end) = (
                zone.start_of_day(day).unwrap(),
                zone.start_of_day(day.tomorrow().unwrap()).unwrap(),
            );
            let mut n = 0;
            while at < end {
                assert_eq!(zone.start_of_hour(at).unwrap(), at);
                let next = zone.next_hour(at).unwrap();
                assert!(next > at && next <= end);
                assert_eq!(zone.start_of_hour(next - 1).unwrap(), at);
                at = next;
                n += 1;
            }
            assert_eq!((n, at), (hours, end), "{zone:?} {day}");
        }
    }
}
