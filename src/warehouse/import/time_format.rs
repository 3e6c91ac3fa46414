use std::fmt;

use jiff::fmt::strtime::BrokenDownTime;
use kernel::domain::Time;

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// As ISO 8601 and RFC 3339 have it; without an offset it is UTC.
    Iso,
    /// `19970301`.
    Compact,
    /// Seconds, milliseconds or microseconds since 1970: its name, the digits of times in this century or
    /// the one before, and the microseconds of one.
    Epoch(&'static str, std::ops::RangeInclusive<usize>, i64),
    /// A pattern of `strptime`.
    Pattern(String),
}

/// The patterns that files are looked at for.
const PATTERNS: [&str; 7] = [
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
];

impl TimeFormat {
    /// All that a file is looked at for; where several fit, the first one is meant.
    pub(super) fn known() -> Vec<Self> {
        let own = [
            Self::Iso,
            Self::Compact,
            Self::Epoch("epoch_s", 9..=10, 1_000_000),
            Self::Epoch("epoch_ms", 12..=13, 1_000),
            Self::Epoch("epoch_us", 15..=16, 1),
        ];
        let patterns = PATTERNS.iter().map(|pattern| Self::Pattern((*pattern).to_owned()));
        own.into_iter().chain(patterns).collect()
    }

    /// The format of a name or pattern.
    pub(super) fn named(name: &str) -> Self {
        let known = Self::known().into_iter().find(|known| known.to_string() == name);
        known.unwrap_or_else(|| Self::Pattern(name.to_owned()))
    }

    /// The instant of a text, in microseconds.
    pub(super) fn micros(&self, text: &str) -> Option<i64> {
        match self {
            // Digits alone are a number, or the date that they are in another format.
            Self::Iso if text.trim_start().as_bytes().get(4) != Some(&b'-') => None,
            Self::Iso => text.parse().ok().map(|time: Time| time.0),
            Self::Compact => {
                let digits: &[u8; 8] = text.as_bytes().try_into().ok()?;
                let is_date = digits.iter().all(u8::is_ascii_digit);
                let date =
                    is_date.then(|| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]))?;
                date.parse().ok().map(|time: Time| time.0)
            }
            Self::Epoch(_, digits, unit) => {
                let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
                let fits = is_whole && digits.contains(&text.len());
                fits.then(|| text.parse().ok().and_then(|n: i64| n.checked_mul(*unit)))?
            }
            Self::Pattern(pattern) => {
                let parts = BrokenDownTime::parse(pattern, text.trim()).ok()?;
                let date = parts.to_date().ok()?;
                let civil = parts.to_datetime().unwrap_or_else(|_no_time| date.into());
                let offset = parts.offset().unwrap_or(jiff::tz::Offset::UTC);
                offset.to_timestamp(civil).ok().map(|timestamp| timestamp.as_microsecond())
            }
        }
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iso => "iso",
            Self::Compact => "%Y%m%d",
            Self::Epoch(name, ..) => name,
            Self::Pattern(pattern) => pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_its_own_times_and_no_other() {
        let noon = 857_217_600_000_000;
        let midnight = 857_174_400_000_000;
        for (format, text, micros) in [
            ("iso", "1997-03-01T13:00:00+01:00", Some(noon)),
            ("iso", "1997-03-01 04:00:00-08", Some(noon)),
            ("iso", "19970301", None),
            ("%Y%m%d", "19970301", Some(midnight)),
            ("%Y%m%d", "19970230", None),
            ("%Y%m%d", "1997030é", None),
            ("epoch_s", "857217600", Some(noon)),
            ("epoch_s", "857217600000", None),
            ("epoch_ms", "857217600000", Some(noon)),
            ("epoch_us", "857217600000000", Some(noon)),
            ("epoch_us", "-857217600000000", None),
            ("%d.%m.%Y %H:%M:%S", "01.03.1997 12:00:00", Some(noon)),
            ("%d.%m.%Y", "1.3.1997", Some(midnight)),
            ("%m/%d/%Y", "03/01/1997", Some(midnight)),
            ("%m/%d/%Y", "03/01/1997 12:00", None),
            ("%m/%d/%Y %H:%M", "03/01/1997 12:00", Some(noon)),
            ("%d %b %Y %H:%M:%S %z", "01 Mar 1997 13:00:00 +0100", Some(noon)),
        ] {
            let read = TimeFormat::named(format).micros(text);
            assert_eq!(read, micros, "{text} as {format}");
        }
    }
}
