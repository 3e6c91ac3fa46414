use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MICROS_PER_DAY;

/// A length of time: the window of a feature or the horizon of a label. Always positive.
///
/// As text it is a whole number and a unit: `5m`, `1h`, `7d`, `12w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    micros: i64,
}

/// A text that is not a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a span; write a whole number and a unit: 5m, 1h, 7d or 12w")]
pub struct SpanError(String);

/// The units that a span is written in, largest first, with their microseconds.
const UNITS: [(&str, i64); 5] = [
    ("w", 7 * MICROS_PER_DAY),
    ("d", MICROS_PER_DAY),
    ("h", MICROS_PER_DAY / 24),
    ("m", MICROS_PER_DAY / 1_440),
    ("s", MICROS_PER_DAY / 86_400),
];

/// A hundred years: longer windows are typing errors.
const LONGEST: i64 = 36_525 * MICROS_PER_DAY;

impl Span {
    /// So many days.
    #[must_use]
    pub const fn days(days: u16) -> Self {
        let days = if days == 0 { 1 } else { days };
        Self { micros: days as i64 * MICROS_PER_DAY }
    }

    /// Its length in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.micros
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SpanError(text.to_owned());
        let (unit, scale) =
            UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(error)?;
        let digits =
            text.strip_suffix(unit).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let number: i64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(error)?;
        let micros = number.checked_mul(scale).ok_or_else(error)?;
        if micros <= 0 || micros > LONGEST { Err(error()) } else { Ok(Self { micros }) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Weeks only where they were surely meant: 7d reads better than 1w, 12w than 84d.
        let (unit, scale) = UNITS
            .into_iter()
            .skip(usize::from(self.micros < 4 * UNITS[0].1))
            .find(|(_, scale)| self.micros % scale == 0)
            .unwrap_or(("s", UNITS[4].1));
        write!(f, "{}{unit}", self.micros / scale)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for text in ["5m", "90s", "1h", "7d", "30d", "12w"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["", "d", "0d", "-3d", "1.5d", "7x", "99999999999d", "40000d", "5mm", "+7d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
