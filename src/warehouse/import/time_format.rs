use std::fmt;

use jiff::fmt::strtime::BrokenDownTime;
use kernel::domain::Time;

use super::written_date::{self, Order};

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// As ISO 8601 and RFC 3339 have it; without an offset it is UTC. An offset may stand after a blank and
    /// have no colon, or be `UTC`.
    Iso,
    /// Digits of a date and perhaps a time of day, `20240301` or `202403011530`: the pattern, and the digits.
    Compact(&'static str, usize),
    /// Seconds, milliseconds, microseconds or nanoseconds since 1970: its name, the digits of times in this
    /// century or the one before, and how many of it are a second.
    Epoch(&'static str, std::ops::RangeInclusive<usize>, i64),
    /// A written date, whose parts are in an order: its name, and a pattern as an example.
    Written(&'static str, &'static str, Order),
    /// A pattern of `strptime`.
    Pattern(String),
}

impl TimeFormat {
    /// All that a file is looked at for; where several fit, the first one is meant.
    pub(super) fn known() -> Vec<Self> {
        vec![
            Self::Iso,
            Self::Compact("%Y%m%d", 8),
            Self::Compact("%Y%m%d%H", 10),
            Self::Compact("%Y%m%d%H%M", 12),
            Self::Compact("%Y%m%d%H%M%S", 14),
            Self::Epoch("epoch_s", 9..=10, 1),
            Self::Epoch("epoch_ms", 12..=13, 1_000),
            Self::Epoch("epoch_us", 15..=16, 1_000_000),
            Self::Epoch("epoch_ns", 18..=19, 1_000_000_000),
            Self::Written("year_first", "%Y/%m/%d", Order::YearFirst),
            Self::Written("month_first", "%m/%d/%Y", Order::MonthFirst),
            Self::Written("day_first", "%d/%m/%Y", Order::DayFirst),
            Self::Written("month_name", "%d %b %Y", Order::MonthName),
        ]
    }

    /// The format of a name or pattern.
    pub(super) fn named(name: &str) -> Self {
        let known = Self::known().into_iter().find(|known| known.to_string() == name);
        known.unwrap_or_else(|| Self::Pattern(name.to_owned()))
    }

    /// What it is called, with an example where the name alone is none.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Written(name, pattern, _) => format!("{name} ({pattern})"),
            other => other.to_string(),
        }
    }

    /// Whether its times are digits and nothing else, as ids and counters are too.
    pub(super) const fn is_digits(&self) -> bool {
        matches!(self, Self::Compact(..) | Self::Epoch(..))
    }

    /// The instant of a text, in microseconds.
    pub(super) fn micros(&self, text: &str) -> Option<i64> {
        match self {
            Self::Iso => {
                let text = text.trim();
                match (text.as_bytes().get(4), text.as_bytes().get(8)) {
                    (Some(b'-'), _) => {
                        let time = text.parse().ok().map(|time: Time| time.0);
                        time.or_else(|| written_date::micros(text, Order::YearFirst))
                    }
                    (Some(b'0'..=b'9'), Some(b'T')) => text.parse().ok().map(|time: Time| time.0),
                    // Digits alone are a number, or the date that they are in another format.
                    _ => None,
                }
            }
            Self::Compact(_, digits) => compact(text.trim(), *digits),
            Self::Epoch(_, digits, per_second) => epoch(text.trim(), digits, *per_second),
            Self::Written(_, _, order) => written_date::micros(text, *order),
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

/// The instant of so many digits: year, month, day, and perhaps hour, minute and second.
fn compact(text: &str, digits: usize) -> Option<i64> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| text.get(from..from + 2).unwrap_or("00");
    let date = format!("{}-{}-{}", &text[..4], part(4), part(6));
    let time: Time = format!("{date}T{}:{}:{}", part(8), part(10), part(12)).parse().ok()?;
    time.is_plausible().then_some(time.0)
}

/// The instant of a number since 1970, which may have a fraction or an exponent.
fn epoch(text: &str, digits: &std::ops::RangeInclusive<usize>, per_second: i64) -> Option<i64> {
    let micros_per_unit = 1e6 / per_second as f64;
    if let Some(exponent) = text.find(['e', 'E']) {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+".contains(&byte));
        let number: f64 = text.parse().ok().filter(|_| is_number && exponent > 0)?;
        let n_digits = format!("{number:.0}").len();
        return digits.contains(&n_digits).then(|| (number * micros_per_unit).round() as i64);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.contains(&whole.len()) || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    if per_second > 1_000_000 {
        return Some(whole / (per_second / 1_000_000));
    }
    let fraction: f64 = match fraction {
        "" => 0.0,
        digits => format!("0.{digits}").parse().ok()?,
    };
    let micros = whole.checked_mul(1_000_000 / per_second)?;
    Some(micros + (fraction * micros_per_unit).round() as i64)
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iso => "iso",
            Self::Compact(name, _) | Self::Epoch(name, ..) | Self::Written(name, ..) => name,
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
            ("iso", "1997-03-01 12:00:00 +0000", Some(noon)),
            ("iso", "1997-03-01 13:00:00.000 +0100", Some(noon)),
            ("iso", "1997-03-01 12:00:00 UTC", Some(noon)),
            ("iso", "1997-03-01 12:00:00.000001 UTC", Some(noon + 1)),
            ("iso", "1997-03-01 12:00:00 Z", Some(noon)),
            ("iso", "1997-03-01 12:00", Some(noon)),
            ("iso", "1997-03-01 12:00 PM", Some(noon)),
            ("iso", "19970301T120000Z", Some(noon)),
            ("iso", "1997-02-30", None),
            ("iso", "1997-03-01 12:00:00 XYZ", None),
            ("iso", "19970301", None),
            ("%Y%m%d", "19970301", Some(midnight)),
            ("%Y%m%d", "19970230", None),
            ("%Y%m%d", "1997030é", None),
            ("%Y%m%d%H", "1997030112", Some(noon)),
            ("%Y%m%d%H", "1704276000", None),
            ("%Y%m%d%H%M", "199703011200", Some(noon)),
            ("%Y%m%d%H%M%S", "19970301120000", Some(noon)),
            ("epoch_s", "857217600", Some(noon)),
            ("epoch_s", "857217600.25", Some(noon + 250_000)),
            ("epoch_s", "857217600000", None),
            ("epoch_ms", "857217600000", Some(noon)),
            ("epoch_ms", "857217600000.5", Some(noon + 500)),
            ("epoch_us", "857217600000000", Some(noon)),
            ("epoch_us", "8.57217600000001E14", Some(noon + 1)),
            ("epoch_us", "-857217600000000", None),
            ("epoch_ns", "857217600000000999", Some(noon)),
            ("%d.%m.%Y %H:%M:%S", "01.03.1997 12:00:00", Some(noon)),
            ("%d.%m.%Y", "1.3.1997", Some(midnight)),
            ("%m/%d/%Y", "03/01/1997", Some(midnight)),
            ("%m/%d/%Y", "03/01/1997 12:00", None),
            ("%m/%d/%Y %H:%M", "03/01/1997 12:00", Some(noon)),
            ("%d %b %Y %H:%M:%S %z", "01 Mar 1997 13:00:00 +0100", Some(noon)),
            ("year_first", "1997/3/1 12:00", Some(noon)),
            ("month_first", "3/1/1997 12:00:00 PM", Some(noon)),
            ("month_first", "03/01/97", Some(midnight)),
            ("month_first", "3/1/1997 12:00:00 AM", Some(midnight)),
            ("month_first", "03/01/1997, 12 PM", Some(noon)),
            ("month_first", "13/01/1997", None),
            ("month_first", "1.3.1997", None),
            ("day_first", "13/01/1997", Some(midnight - 47 * 86_400_000_000)),
            ("day_first", "1.3.1997 12:00", Some(noon)),
            ("day_first", "1. 3. 1997", Some(midnight)),
            ("day_first", "01-03-1997 13:00:00+01:00", Some(noon)),
            ("day_first", "01/03.1997", None),
            ("month_name", "1 March 1997", Some(midnight)),
            ("month_name", "01-Mar-97", Some(midnight)),
            ("month_name", "Mar 1, 1997 12:00:00 p.m.", Some(noon)),
            ("month_name", "1997-Mar-01", Some(midnight)),
            ("month_name", "Sat, 01 Mar 1997 12:00:00 GMT", Some(noon)),
            ("month_name", "Sat Mar  1 12:00:00 1997", Some(noon)),
            ("month_name", "Sat Mar 01 1997 13:00:00 GMT+0100 (CET)", Some(noon)),
            ("month_name", "01/Mar/1997:13:00:00 +0100", Some(noon)),
            ("month_name", "March", None),
            ("month_name", "Martha 1, 1997", None),
        ] {
            let read = TimeFormat::named(format).micros(text);
            assert_eq!(read, micros, "{text} as {format}");
        }
    }
}
