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
        if let Some(time) = usual(text.as_bytes()) {
            return Ok(time);
        }
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(timestamp.as_microsecond()));
        }
        if let Some(time) = with_zone(text).and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
            return Ok(Self(time.as_microsecond()));
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

/// The text of a time whose zone stands after a blank, as databases write it, with the zone behind the time:
/// `12:30:00 UTC` and `12:30:00 +0100`.
fn with_zone(text: &str) -> Option<String> {
    let (time, zone) = text.rsplit_once(' ')?;
    let zone = match zone {
        "UTC" | "GMT" | "Z" => "Z",
        offset if offset.starts_with(['+', '-']) => offset,
        _ => return None,
    };
    time.contains(':').then(|| format!("{}{zone}", time.trim_end()))
}

/// The instant of a text as almost all are written: `1997-03-01`, then perhaps `T` or a blank and
/// `12:30:00`, a fraction of up to six digits, and `Z`. None where it is written in another way.
fn usual(text: &[u8]) -> Option<Time> {
    let (date, rest) = text.split_at_checked(10)?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = date else { return None };
    let century = two(y0, y1)?;
    let year = i16::from(century) * 100 + i16::from(two(y2, y3)?);
    let date = jiff::civil::Date::new(year, two(m0, m1)?, two(d0, d1)?).ok()?;
    let days = (date - EPOCH).get_days();
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let micros = match *rest {
        [] if text.len() == 10 => 0,
        [b' ' | b'T', h0, h1, b':', m0, m1, b':', s0, s1, ref fraction @ ..] => {
            let (hour, minute, second) = (two(h0, h1)?, two(m0, m1)?, two(s0, s1)?);
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
            seconds * 1_000_000 + micros_of(fraction)?
        }
        _ => return None,
    };
    Some(Time(i64::from(days) * MICROS_PER_DAY + micros))
}

const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

/// The number of two digits.
fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| (byte - b'0').cast_signed());
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// The microseconds of a fraction of a second: nothing, or a dot and up to six digits.
fn micros_of(fraction: &[u8]) -> Option<i64> {
    let digits = match fraction {
        [] => return Some(0),
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some(padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
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
            ("1997-03-01T12:30:00.25Z", 857_219_400_250_000),
            ("1997-03-01 12:30:00 UTC", 857_219_400_000_000),
            ("1997-03-01 13:30:00.25 +0100", 857_219_400_250_000),
            ("1997-03-01 04:30:00 -08:00", 857_219_400_000_000),
            ("1997-03-01 12:30:00.000009", 857_219_400_000_009),
            ("1899-12-31T23:59:59", -2_208_988_801_000_000),
        ] {
            assert_eq!(text.parse::<Time>().unwrap(), Time(micros), "{text}");
            assert_eq!(Time(micros).to_string().parse::<Time>().unwrap(), Time(micros));
        }
        assert!("19970301x".parse::<Time>().is_err());
        for text in [
            "1997-03-01 UTC",
            "1997-03-01 12:30:00 EST",
            "1997-02-30",
            "1997-02-28 24:00:00",
            "1997-02-28 10:60:00",
            "1997-02-28Z",
            "1997",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
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
