use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds in a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00 UTC.
///
/// As text it is RFC 3339 with at most six decimals; without an offset it is read as UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A text that is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a time; write it like 1997-03-01 or 1997-03-01T12:30:00Z")]
pub struct TimeError(String);

impl Time {
    /// Before every event that has a date: what is known without a date holds from here on.
    pub const ALWAYS: Self = Self(0);

    /// The first instant that an event may have: 1900-01-01.
    pub const EARLIEST: Self = Self(-2_208_988_800_000_000);
    /// The end of the instants that an event may have: 2200-01-01.
    pub const LATEST: Self = Self(7_258_118_400_000_000);

    /// Whether an event may have it: outside are typing errors, or another unit.
    #[must_use]
    pub const fn is_plausible(self) -> bool {
        self.0 >= Self::EARLIEST.0 && self.0 <= Self::LATEST.0
    }

    /// This instant moved by `micros` microseconds, stopping at the ends of the range.
    #[must_use]
    pub const fn plus(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved back by `micros` microseconds, stopping at the ends of the range.
    #[must_use]
    pub const fn minus(self, micros: i64) -> Self {
        Self(self.0.saturating_sub(micros))
    }

    /// The UTC calendar date, as `1997-03-01`.
    #[must_use]
    pub fn date(self) -> String {
        let text = self.to_string();
        text.split_once('T').map_or(text.clone(), |(date, _)| date.to_owned())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(timestamp.as_microsecond()));
        }
        let civil = text
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| text.parse::<jiff::civil::Date>().map(jiff::civil::DateTime::from));
        civil
            .and_then(|civil| jiff::tz::Offset::UTC.to_timestamp(civil))
            .map(|timestamp| Self(timestamp.as_microsecond()))
            .map_err(|_no_civil_time| TimeError(text.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
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
    fn text_and_instant_agree_both_ways() {
        for (text, micros) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00.000001Z", 1),
            ("1997-03-01", 857_174_400_000_000),
            ("1997-03-01 12:30:00", 857_219_400_000_000),
            ("1997-03-01T13:30:00+01:00", 857_219_400_000_000),
        ] {
            assert_eq!(text.parse::<Time>().unwrap(), Time(micros), "{text}");
            assert_eq!(Time(micros).to_string().parse::<Time>().unwrap(), Time(micros));
        }
        assert!("19970301x".parse::<Time>().is_err());
        assert!("1997-02-30".parse::<Time>().is_err());
    }

    #[test]
    fn toml_dates_and_texts_are_times() {
        #[derive(Deserialize)]
        struct Spec {
            from: Time,
            until: Time,
        }
        let spec: Spec = toml::from_str("from = 1997-03-01\nuntil = \"1998-04-01\"").unwrap();
        assert_eq!(spec.from.date(), "1997-03-01");
        assert_eq!(spec.until.date(), "1998-04-01");
    }
}
