//! The calendar of times, as DuckDB counts it: proleptic Gregorian, UTC, in whole microseconds.
//!
//! Days become dates by shifting the year to begin in March, so that the leap day is the last one.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// The first time that DuckDB has; the last one is `i64::MAX - 1`.
const FIRST: i64 = -9_223_372_022_400_000_000;

/// A part of a time, or a length of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the part of its name")]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// The unit of a name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "microsecond" | "microseconds" | "us" => Self::Microsecond,
            "millisecond" | "milliseconds" | "ms" => Self::Millisecond,
            "second" | "seconds" | "s" => Self::Second,
            "minute" | "minutes" | "m" => Self::Minute,
            "hour" | "hours" | "h" => Self::Hour,
            "day" | "days" | "d" => Self::Day,
            "week" | "weeks" | "w" => Self::Week,
            "month" | "months" | "mon" => Self::Month,
            "quarter" | "quarters" => Self::Quarter,
            "year" | "years" | "y" | "yr" => Self::Year,
            _ => return None,
        })
    }

    /// The name as SQL writes it.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Microsecond => "microsecond",
            Self::Millisecond => "millisecond",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// Its microseconds, if it always has as many.
    pub(super) const fn fixed(self) -> Option<i64> {
        Some(match self {
            Self::Microsecond => 1,
            Self::Millisecond => 1_000,
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month | Self::Quarter | Self::Year => return None,
        })
    }
}

/// What can be asked of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the DuckDB function of its name")]
pub enum Part {
    Year,
    Quarter,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Week,
    DayOfWeek,
    IsoDow,
    DayOfYear,
    IsoYear,
    YearWeek,
    EpochMs,
    EpochUs,
}

fn in_range(micros: i64) -> Option<i64> {
    (FIRST..i64::MAX).contains(&micros).then_some(micros)
}

const fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY), micros.rem_euclid(DAY))
}

fn join(days: i64, of_day: i64) -> Option<i64> {
    days.checked_mul(DAY)?.checked_add(of_day).and_then(in_range)
}

/// Year, month and day of days since 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = year - i64::from(month <= 2);
    let (era, year) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + of_year - 719_468
}

fn month_days(year: i64, month: i64) -> i64 {
    days(year + month / 12, month % 12 + 1, 1) - days(year, month, 1)
}

/// Monday is 1.
const fn iso_day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

fn iso_year_and_week(day: i64) -> (i64, i64) {
    let thursday = day - iso_day_of_week(day) + 4;
    let year = date(thursday).0;
    (year, (thursday - days(year, 1, 1)) / 7 + 1)
}

/// A part of a time.
pub(super) fn part(part: Part, micros: i64) -> i64 {
    let (day, time) = split(micros);
    let (year, month, day_of_month) = date(day);
    match part {
        Part::Year => year,
        Part::Quarter => (month - 1) / 3 + 1,
        Part::Month => month,
        Part::Day => day_of_month,
        Part::Hour => time / 3_600_000_000,
        Part::Minute => time / 60_000_000 % 60,
        Part::Second => time / 1_000_000 % 60,
        // These two have the seconds in them.
        Part::Millisecond => time % 60_000_000 / 1_000,
        Part::Microsecond => time % 60_000_000,
        Part::Week => iso_year_and_week(day).1,
        Part::DayOfWeek => iso_day_of_week(day) % 7,
        Part::IsoDow => iso_day_of_week(day),
        Part::DayOfYear => day - days(year, 1, 1) + 1,
        Part::IsoYear => iso_year_and_week(day).0,
        Part::YearWeek => match iso_year_and_week(day) {
            (year, week) if year > 0 => year * 100 + week,
            (year, week) => year * 100 - week,
        },
        // Rounded away from the epoch at one half.
        Part::EpochMs => (micros / 500 + if micros / 500 < 0 { -1 } else { 1 }) / 2,
        Part::EpochUs => micros,
    }
}

/// The latest time at which a unit began.
pub(super) fn truncate(unit: Unit, micros: i64) -> Option<i64> {
    let day = split(micros).0;
    let (year, month, _) = date(day);
    match unit {
        Unit::Week => join(day - iso_day_of_week(day) + 1, 0),
        Unit::Month => join(days(year, month, 1), 0),
        Unit::Quarter => join(days(year, (month - 1) / 3 * 3 + 1, 1), 0),
        Unit::Year => join(days(year, 1, 1), 0),
        other => other.fixed().and_then(|size| in_range(micros.div_euclid(size) * size)),
    }
}

/// How often a unit begins between two times; of weeks, how many the dates are apart.
pub(super) fn difference(unit: Unit, from: i64, to: i64) -> Option<i64> {
    let (from_day, to_day) = (split(from).0, split(to).0);
    let ((from_year, from_month, _), (to_year, to_month, _)) = (date(from_day), date(to_day));
    match unit {
        Unit::Year => Some(to_year - from_year),
        Unit::Quarter => {
            Some((to_year * 12 + to_month - 1) / 3 - (from_year * 12 + from_month - 1) / 3)
        }
        Unit::Month => Some(to_year * 12 + to_month - from_year * 12 - from_month),
        Unit::Week => Some((to_day - from_day) / 7),
        Unit::Microsecond => to.checked_sub(from),
        other => other.fixed().map(|size| to.div_euclid(size) - from.div_euclid(size)),
    }
}

/// How many whole units fit between two times.
pub(super) fn whole_units(unit: Unit, from: i64, to: i64) -> Option<i64> {
    match unit {
        Unit::Month => Some(whole_months(from, to)),
        Unit::Quarter => Some(whole_months(from, to) / 3),
        Unit::Year => Some(whole_months(from, to) / 12),
        other => other.fixed().and_then(|size| Some(to.checked_sub(from)? / size)),
    }
}

fn whole_months(from: i64, to: i64) -> i64 {
    if from > to {
        return -whole_months(to, from);
    }
    let ((from_days, from_time), (to_days, to_time)) = (split(from), split(to));
    let ((from_year, from_month, mut from_day), (to_year, to_month, to_day)) =
        (date(from_days), date(to_days));
    // The last day of a shorter month completes the month.
    if to_day == month_days(to_year, to_month) && from_day > to_day {
        from_day = to_day;
    }
    let incomplete = (to_day, to_time) < (from_day, from_time);
    to_year * 12 + to_month - from_year * 12 - from_month - i64::from(incomplete)
}

/// A time moved by months; a day that the month does not have becomes its last.
pub(super) fn add_months(micros: i64, months: i64) -> Option<i64> {
    let (day, time) = split(micros);
    let (year, month, day_of_month) = date(day);
    let all = (year * 12 + month - 1).checked_add(months)?;
    let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
    if year.abs() > 400_000 {
        return None;
    }
    join(days(year, month, day_of_month.min(month_days(year, month))), time)
}

/// A time moved by microseconds.
pub(super) fn add_micros(micros: i64, more: i64) -> Option<i64> {
    micros.checked_add(more).and_then(in_range)
}

/// The English name of a time's weekday.
pub(super) fn day_name(micros: i64) -> &'static str {
    match part(Part::DayOfWeek, micros) {
        0 => "Sunday",
        1 => "Monday",
        2 => "Tuesday",
        3 => "Wednesday",
        4 => "Thursday",
        5 => "Friday",
        _ => "Saturday",
    }
}

/// The English name of a time's month.
pub(super) fn month_name(micros: i64) -> &'static str {
    match part(Part::Month, micros) {
        1 => "January",
        2 => "February",
        3 => "March",
        4 => "April",
        5 => "May",
        6 => "June",
        7 => "July",
        8 => "August",
        9 => "September",
        10 => "October",
        11 => "November",
        _ => "December",
    }
}
