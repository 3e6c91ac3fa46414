use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use kernel::domain::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An end of a range as a spec has it. Without an offset it is read in the time zone of the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A calendar day: `2024-01-31`.
    Day(Date),
    /// A time of the clock: `2024-01-31T12:00:00`.
    Clock(DateTime),
    /// An instant: `2024-01-31T12:00:00Z`.
    Instant(Time),
}

/// A text that is not an end of a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a day; write it like 2024-01-31")]
pub struct BoundError(String);

impl Bound {
    /// The last day of a range that ends before this bound; none if the bound is not a day.
    #[must_use]
    pub fn last_day(self) -> Option<String> {
        match self {
            Self::Day(day) => day.yesterday().ok().map(|day| day.to_string()),
            Self::Clock(_) | Self::Instant(_) => None,
        }
    }

    /// The end of a range whose last day is written in a text. A text with a time of the day is the end
    /// itself.
    ///
    /// # Errors
    /// The text is neither a day nor a time.
    pub fn after(text: &str) -> Result<Self, BoundError> {
        match text.parse()? {
            Self::Day(day) => {
                day.tomorrow().map(Self::Day).map_err(|_last_day_of_all| BoundError(text.into()))
            }
            time => Ok(time),
        }
    }
}

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let text = text.trim();
        // A date of jiff may have a time behind it, which would be lost.
        if text.len() <= "-009999-01-01".len()
            && !text.contains(['T', 't', ' ', ':'])
            && let Ok(day) = text.parse()
        {
            return Ok(Self::Day(day));
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::Instant(Time(instant.as_microsecond())));
        }
        text.parse().map(Self::Clock).map_err(|_no_time| BoundError(text.to_owned()))
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Clock(time) => time.fmt(f),
            Self::Instant(time) => time.fmt(f),
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // TOML has dates of its own; JSON and quoted TOML have text.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Toml(toml::value::Datetime),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Toml(datetime) => datetime.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_written() {
        for text in
            ["2024-01-31", "2024-01-31T12:00:00", "2024-01-31T12:00:00Z", "2024-02-29T23:59:59.5"]
        {
            let bound: Bound = text.parse().unwrap();
            assert_eq!(bound.to_string(), text);
        }
        let bound: Bound = "2024-01-31T12:00:00+02:00".parse().unwrap();
        assert_eq!(bound.to_string(), "2024-01-31T10:00:00Z");
        assert!(matches!("2024-01-31 12:00".parse(), Ok(Bound::Clock(_))));
        for text in ["", "2024", "2023-02-29", "2024-01-31T", "yesterday"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_day_is_the_one_before_the_end() {
        assert_eq!(Bound::after("2024-02-29").unwrap().to_string(), "2024-03-01");
        assert_eq!("2024-03-01".parse::<Bound>().unwrap().last_day().unwrap(), "2024-02-29");
        assert!(Bound::after("9999-12-31").is_err());
    }
}
