use kernel::domain::Time;
use serde::Serialize;

use super::{Calendar, Interval, Scope};
use crate::Result;

/// The range that an insight was computed over. Every answer has it, and every chart shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first day in the zone, as `2024-01-31`; with `T12:00` behind where an hour within it is the first.
    pub from: String,
    /// The day before which it ends, in the same form.
    pub until: String,
    /// The last day of which it has a part.
    pub last_day: String,
    /// The time zone in which days are meant.
    pub zone: String,
    /// The length of an interval.
    pub interval: Interval,
    /// The number of intervals.
    pub intervals: usize,
    /// The first instant.
    pub start: Time,
    /// The instant before which it ends.
    pub end: Time,
    /// What each interval is called: its first day in the zone, with the time where that is within the day.
    pub labels: Vec<String>,
    /// The positions of intervals of which only a part is within: none, the first, the last, or both.
    pub partial: Vec<usize>,
    /// The number of intervals that are over where the data end. Later ones may still grow.
    pub complete: usize,
    /// What was written with a time of the day, and is read as the whole day or hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<String>,
}

impl Range {
    /// The range of a calendar, as a spec has written it.
    pub(super) fn of(calendar: &Calendar, scope: &Scope, complete: usize) -> Result<Self> {
        let mut range = calendar.range(complete)?;
        let unit = if range.interval == Interval::Hour { "hour" } else { "day" };
        for (name, bound, is_end) in [("from", scope.from, false), ("until", scope.until, true)] {
            if let Some(bound) = bound
                && !calendar.is_at(bound, is_end)?
            {
                range.widened.push(format!("{name} {bound} is read as the whole {unit}"));
            }
        }
        Ok(range)
    }

    /// The range in words, with its last day: `2024-01-01 to 2024-01-31, UTC, by day`.
    #[must_use]
    pub fn text(&self) -> String {
        let days = match self.until.contains('T') {
            true => format!("{} until {}", self.from, self.until),
            false if self.from == self.last_day => self.from.clone(),
            false => format!("{} to {}", self.from, self.last_day),
        };
        let word = self.interval.word();
        let last = self.intervals.saturating_sub(1);
        let partial = match (self.is_partial(0), self.is_partial(last)) {
            (false, false) => String::new(),
            (true, _) if last == 0 => format!(", a partial {word}"),
            (true, false) => format!(", first {word} partial"),
            (false, true) => format!(", last {word} partial"),
            (true, true) => format!(", first and last {word} partial"),
        };
        let widened: String = self.widened.iter().map(|text| format!("; {text}")).collect();
        format!("{days}, {}, by {word}{partial}{widened}", self.zone)
    }

    /// Whether only a part of an interval is within.
    #[must_use]
    pub fn is_partial(&self, interval: usize) -> bool {
        self.partial.contains(&interval)
    }
}
