use jiff::civil::Date;

/// How the parts of a written date are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `2024/3/1`.
    YearFirst,
    /// `3/1/2024`.
    MonthFirst,
    /// `1.3.2024` or `1/3/2024`.
    DayFirst,
    /// `1 March 2024`, `Mar 1, 2024`, `1-Mar-24` or `Fri Mar  1 12:00:00 2024`.
    MonthName,
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Zones with a name, as RFC 822 has them, and their offsets in hours.
const ZONES: [(&str, i64); 13] = [
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("ut", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("cet", 1),
];

/// The instant of a date with or without a time of day, in microseconds; without an offset it is UTC. A name
/// of a weekday may come first, a time may be of 12 hours with AM or PM, and an offset may stand after a blank
/// and have no colon, or be a zone of RFC 822.
pub(super) fn micros(text: &str, order: Order) -> Option<i64> {
    let text = text.trim();
    // Most texts are no dates, by their length or first letter.
    let first = text.as_bytes().first()?;
    if text.len() > 64 || !first.is_ascii_alphanumeric() || !text.is_ascii() {
        return None;
    }
    let mut rest = Rest(text.as_bytes());
    rest.weekday();
    let (date, time) = rest.date(order)?;
    let time = match time {
        Some(time) => Some(time),
        None if rest.0.is_empty() => Some(0),
        None => rest.gap().then(|| rest.time()).flatten(),
    }?;
    let offset = rest.zone()?;
    let days = i64::from((date - jiff::civil::date(1970, 1, 1)).get_days());
    Some(days * 86_400 * MICROS_PER_SECOND + time - offset)
}

/// What is not read yet of a text.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes one of some bytes.
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let first = *self.0.first()?;
        bytes.contains(&first).then(|| self.take(1)[0])
    }

    fn blanks(&mut self) {
        while self.one_of(b" ").is_some() {}
    }

    /// A number of at least and at most so many digits.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let n = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n < least || n > most {
            return None;
        }
        Some(self.take(n).iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// The letters that come next, in lower case.
    fn word(&self) -> String {
        let letters = self.0.iter().take_while(|byte| byte.is_ascii_alphabetic());
        letters.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
    }

    /// Takes a word that is one of some, or begins one with at least three letters; its place.
    fn one_of_words(&mut self, words: &[&str]) -> Option<usize> {
        let word = self.word();
        let place = words.iter().position(|known| word.len() >= 3 && known.starts_with(&word))?;
        self.take(word.len());
        self.one_of(b".");
        Some(place)
    }

    fn weekday(&mut self) {
        if self.0.first().is_some_and(u8::is_ascii_alphabetic)
            && self.one_of_words(&WEEKDAYS).is_some()
        {
            self.one_of(b",");
            self.blanks();
        }
    }

    /// A year of four digits, or of two as POSIX reads them.
    fn year(&mut self) -> Option<i64> {
        let n = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let year = self.number(2, 4).filter(|_| n != 3)?;
        Some(match n {
            4 => year,
            _ if year < 69 => year + 2000,
            _ => year + 1900,
        })
    }

    /// A date, and the time if that comes before the year.
    fn date(&mut self, order: Order) -> Option<(Date, Option<i64>)> {
        if order == Order::MonthName {
            return self.date_with_name();
        }
        let (separators, is_year_first): (&[u8], bool) = match order {
            Order::YearFirst => (b"-/.", true),
            Order::MonthFirst => (b"/-", false),
            Order::DayFirst | Order::MonthName => (b"/-.", false),
        };
        let first = if is_year_first { self.number(4, 4)? } else { self.number(1, 2)? };
        let separator = self.one_of(separators)?;
        self.blanks();
        let second = self.number(1, 2)?;
        self.one_of(&[separator])?;
        self.blanks();
        let third = if is_year_first { self.number(1, 2)? } else { self.year()? };
        let date = match order {
            Order::YearFirst => date(first, second, third),
            Order::MonthFirst => date(third, first, second),
            Order::DayFirst | Order::MonthName => date(third, second, first),
        };
        Some((date?, None))
    }

    fn date_with_name(&mut self) -> Option<(Date, Option<i64>)> {
        const BETWEEN: &[u8] = b"-/,. ";
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let between = |rest: &mut Self| while rest.one_of(BETWEEN).is_some() {};
        if digits == 4 {
            let year = self.number(4, 4)?;
            between(self);
            let month = self.month()?;
            between(self);
            return Some((date(year, month, self.day()?)?, None));
        }
        let (day, month);
        if digits > 0 {
            day = self.day()?;
            between(self);
            month = self.month()?;
        } else {
            month = self.month()?;
            between(self);
            day = self.day()?;
        }
        between(self);
        // As C has it, the time comes before the year.
        if self.0.iter().take(3).any(|byte| *byte == b':') {
            let time = self.time()?;
            self.blanks();
            self.one_of_words(&["utc", "gmt"]);
            self.blanks();
            return Some((date(self.number(4, 4)?, month, day)?, Some(time)));
        }
        Some((date(self.year()?, month, day)?, None))
    }

    fn month(&mut self) -> Option<i64> {
        let place = match self.word().as_str() {
            "sept" => {
                self.take(4);
                8
            }
            _ => self.one_of_words(&MONTHS)?,
        };
        i64::try_from(place + 1).ok()
    }

    fn day(&mut self) -> Option<i64> {
        let day = self.number(1, 2)?;
        if matches!(self.word().as_str(), "st" | "nd" | "rd" | "th") {
            self.take(2);
        }
        Some(day)
    }

    /// Takes what stands between a date and a time.
    fn gap(&mut self) -> bool {
        let before = self.0.len();
        self.one_of(b",:Tt");
        self.blanks();
        if self.word() == "at" {
            self.take(2);
            self.blanks();
        }
        self.0.len() < before
    }

    /// A time of day, in microseconds.
    fn time(&mut self) -> Option<i64> {
        let mut hour = self.number(1, 2)?;
        let has_minutes = self.one_of(b":").is_some();
        let minute = if has_minutes { self.number(2, 2)? } else { 0 };
        let mut micros = 0;
        if has_minutes && self.one_of(b":").is_some() {
            let second = self.number(2, 2).filter(|second| *second < 60)?;
            micros = second * MICROS_PER_SECOND;
            if self.one_of(b".,").is_some() {
                let n = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let digits = self.take(n);
                if !(1..=9).contains(&n) {
                    return None;
                }
                let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
                micros += padded.fold(0, |all, digit| all * 10 + i64::from(digit - b'0'));
            }
        }
        let before = self.0;
        self.blanks();
        match self.half_of_day() {
            Some(is_afternoon) => {
                if !(1..=12).contains(&hour) {
                    return None;
                }
                hour = hour % 12 + if is_afternoon { 12 } else { 0 };
            }
            None => self.0 = before,
        }
        let is_time = hour < 24 && minute < 60 && (has_minutes || self.0.len() < before.len());
        is_time.then_some((hour * 60 + minute) * 60 * MICROS_PER_SECOND + micros)
    }

    /// Takes `AM` or `PM`, with or without points; whether it is afternoon.
    fn half_of_day(&mut self) -> Option<bool> {
        let letters: String =
            self.0.iter().take(4).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
        let is_afternoon = match letters.chars().next()? {
            'a' => false,
            'p' => true,
            _ => return None,
        };
        let n = match letters.get(1..)? {
            ".m." => 4,
            rest if rest.starts_with('m') => 2,
            _ => return None,
        };
        self.take(n);
        Some(is_afternoon)
    }

    /// The offset that ends a text, in microseconds; nothing is UTC. None for anything else.
    fn zone(&mut self) -> Option<i64> {
        self.blanks();
        let word = self.word();
        let mut hours = 0;
        if !word.is_empty() {
            hours = ZONES.iter().find(|(name, _)| *name == word)?.1;
            self.take(word.len());
        }
        let mut seconds = hours * 3_600;
        if let Some(sign) = self.one_of(b"+-") {
            let (hour, minute) =
                match self.0.iter().take_while(|byte| byte.is_ascii_digit()).count() {
                    4 => {
                        let both = self.number(4, 4)?;
                        (both / 100, both % 100)
                    }
                    _ => {
                        let hour = self.number(1, 2)?;
                        let has_minutes = self.one_of(b":").is_some();
                        (hour, if has_minutes { self.number(2, 2)? } else { 0 })
                    }
                };
            let size = (hour * 60 + minute) * 60;
            seconds += if sign == b'-' { -size } else { size };
            if hour > 18 || minute > 59 {
                return None;
            }
        }
        // A name after the offset, as JavaScript writes it.
        self.blanks();
        if self.0.starts_with(b"(") && self.0.ends_with(b")") {
            self.0 = &[];
        }
        self.0.is_empty().then_some(seconds * MICROS_PER_SECOND)
    }
}

fn date(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}
