use std::borrow::Cow;

use duckdb::arrow::array::{Array, ArrayRef, Int64Array};
use kernel::domain::{Cell, Time, Type, Value, boolean_of, is_missing, keeps_digits};

use super::numbers::{self, Decimal};
use super::time_format::TimeFormat;
use crate::arrow::Values;

/// What can be said of the values of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) n: u64,
    pub(super) not_null: u64,
    /// Texts that are a spelling of a missing value, and the first of them.
    pub(super) missing: u64,
    pub(super) missing_as: Option<String>,
    numbers: u64,
    written: WrittenNumbers,
    /// Digits with a fraction, and those of them whose fraction is 0: `1001.0` is `1001` for some programs.
    fractions: u64,
    zero_fractions: u64,
    /// The first text that is no number.
    odd: Option<String>,
    booleans: u64,
    iso_times: u64,
    /// Digits that are an id and not a number were seen.
    ids: bool,
    /// The type that the file itself gives; none where it has texts.
    own: Option<Type>,
    /// Whether texts were seen, and whether files disagree about the type.
    has_texts: bool,
    is_mixed: bool,
    /// Values, and how many of them each time format reads.
    sampled: u64,
    times: Vec<u64>,
}

/// Numbers as people write them, by what separates their fraction.
#[derive(Clone, Debug, Default)]
struct WrittenNumbers {
    /// Texts that are numbers with a decimal point, and with a decimal comma.
    point: u64,
    comma: u64,
    /// Plain numbers with a point that could group thousands too: `1.234`.
    doubtful: u64,
    /// Whether digits are grouped in ways that leave no doubt.
    is_sure: bool,
    /// The first currency or `%`, and whether there are others.
    unit: Option<String>,
    has_units: bool,
}

/// Characters of a text that a remark shows.
const ODD_WIDTH: usize = 40;
/// Whole numbers below this are kept by an `f64`; what is beyond is an id.
pub(super) const KEPT_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Facts {
    /// What can be said of values alone.
    pub(super) fn of(array: &ArrayRef) -> Self {
        let mut facts = Self::default();
        facts.see(array, &[]);
        facts
    }

    /// Looks at more values.
    pub(super) fn see(&mut self, array: &ArrayRef, formats: &[TimeFormat]) {
        self.n += array.len() as u64;
        self.not_null += (array.len() - array.null_count()) as u64;
        self.times.resize(formats.len(), 0);
        let values = RawValues::of(array);
        self.see_own_type(&values, (array.len() - array.null_count()) as u64);
        match &values {
            RawValues::Whole(numbers) => {
                #[allow(clippy::cast_precision_loss, reason = "the limit itself is kept")]
                let is_beyond = |n: i64| (n as f64).abs() >= KEPT_WHOLE;
                self.ids |= numbers.iter().flatten().any(is_beyond);
            }
            RawValues::Other(Values::Texts(_)) => {
                for text in (0..array.len()).filter_map(|row| values.text(row)) {
                    self.see_text(&text);
                }
            }
            RawValues::Other(_) => {}
        }
        if matches!(self.own, None | Some(Type::Number)) && !formats.is_empty() {
            let texts = (0..array.len()).filter_map(|row| values.text(row));
            for text in texts.filter(|text| !is_missing(text)) {
                self.sampled += 1;
                for (times, format) in self.times.iter_mut().zip(formats) {
                    *times += u64::from(format.micros(&text).is_some());
                }
            }
        }
    }

    /// Looks at the type that a file itself gives to values.
    fn see_own_type(&mut self, values: &RawValues<'_>, n: u64) {
        let own = match values {
            RawValues::Whole(_) => Some(Type::Number),
            RawValues::Other(Values::Texts(_)) => None,
            RawValues::Other(values) => values.type_of(),
        };
        match own {
            Some(Type::Number) => self.numbers += n,
            Some(Type::Boolean) => self.booleans += n,
            Some(Type::Time) => self.iso_times += n,
            _ => self.has_texts |= n > 0,
        }
        if n > 0 || self.own.is_none() {
            self.is_mixed |=
                n > 0 && own.is_some() && self.own.is_some_and(|known| Some(known) != own);
            self.own = own.or(self.own);
        }
        self.is_mixed |= self.has_texts && self.own.is_some();
    }

    fn see_text(&mut self, text: &str) {
        if is_missing(text) {
            self.missing += 1;
            self.missing_as.get_or_insert_with(|| text.to_owned());
            return;
        }
        self.ids |= is_like_an_id(text) || has_more_digits(text);
        if as_number(text).is_some() {
            self.numbers += 1;
            if let Some((whole, fraction)) = text.trim().split_once('.') {
                let is_digits =
                    whole.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty();
                self.fractions += u64::from(is_digits);
                self.zero_fractions += u64::from(is_digits && is_zeros(fraction));
            }
            self.written.see_plain(text);
            return;
        }
        self.odd.get_or_insert_with(|| text.chars().take(ODD_WIDTH).collect());
        if self.written.see(text) {
            return;
        }
        if boolean_of(text).is_some() {
            self.booleans += 1;
        } else if is_instant(text) {
            self.iso_times += 1;
        }
    }

    /// Values that are there, whatever they say.
    const fn said(&self) -> u64 {
        self.not_null - self.missing
    }

    /// Whether no value says more than that it is missing.
    pub(super) const fn is_empty(&self) -> bool {
        self.not_null == self.missing
    }

    /// The column's type: the narrowest that all of its values have. Where all are spelled as missing, it is text.
    pub(super) fn type_of(&self) -> Type {
        let said = self.said();
        match self.own.filter(|_| !self.is_mixed) {
            Some(Type::Number) if self.ids => Type::Text,
            Some(own) => own,
            None if said == 0 || self.ids => Type::Text,
            None if self.numbers == said || self.decimal(None).is_some() => Type::Number,
            None if self.booleans == said => Type::Boolean,
            None if self.iso_times == said => Type::Time,
            None => Type::Text,
        }
    }

    /// How its numbers are written, where not all are plain ones: all of them, in one way and of one unit. What
    /// the other columns of the file have counts where there is a doubt.
    pub(super) fn decimal(&self, of_file: Option<Decimal>) -> Option<Decimal> {
        let (said, written) = (self.said(), &self.written);
        if self.own.is_some() || self.ids || said == 0 || written.has_units {
            return None;
        }
        let (is_point, is_comma) = (written.point == said, written.comma == said);
        let is_plain = self.numbers == said;
        match (is_point, is_comma) {
            _ if is_plain => {
                let is_other = is_comma && written.doubtful > 0 && of_file == Some(Decimal::Comma);
                is_other.then_some(Decimal::Comma)
            }
            _ if !written.is_sure => None,
            (true, true) => Some(of_file.unwrap_or(Decimal::Point)),
            (true, false) => Some(Decimal::Point),
            (false, true) => Some(Decimal::Comma),
            (false, false) => None,
        }
    }

    /// Whether all of its values are numbers that are written with this before their fraction, and not all plainly.
    pub(super) fn is_written_with(&self, decimal: Decimal) -> bool {
        let (said, written) = (self.said(), &self.written);
        let is_other = self.numbers < said || (decimal == Decimal::Comma && written.doubtful > 0);
        let n = if decimal == Decimal::Point { written.point } else { written.comma };
        self.own.is_none() && !self.ids && n == said && said > 0 && is_other && !written.has_units
    }

    /// Says of numbers that they can be read in two ways.
    pub(super) fn doubt(&self, column: &str, decimal: Decimal) -> Option<String> {
        let (said, odd) = (self.said(), self.odd.as_deref().unwrap_or("1.234"));
        let (read, other) = match decimal {
            Decimal::Point => ("commas that group thousands", "--decimal ,"),
            Decimal::Comma => ("points that group thousands", "--decimal ."),
        };
        (self.written.point == said && self.written.comma == said).then(|| {
            format!(
                "the numbers of '{column}', such as '{odd}', are read with {read}; if these come before a fraction, \
                 say so ({other})"
            )
        })
    }

    /// Says of a text column that some of its texts may mean that a value is missing.
    pub(super) fn missing_text(
        &self,
        column: &str,
        type_: Type,
        is_no_text: bool,
    ) -> Option<String> {
        let text = self.missing_as.as_ref().filter(|text| !text.trim().is_empty())?;
        (type_ == Type::Text && !is_no_text).then(|| {
            format!(
                "'{column}': {} texts like '{text}' are kept as text; if they mean that there is no value, say so \
                 (--missing {column})",
                self.missing
            )
        })
    }

    /// What its numbers leave no doubt about.
    pub(super) fn sure_decimal(&self) -> Option<Decimal> {
        let decimal = self.decimal(None)?;
        let is_sure = match decimal {
            Decimal::Point => self.written.comma < self.said(),
            Decimal::Comma => self.written.point < self.said(),
        };
        is_sure.then_some(decimal)
    }

    /// Whether no value has digits after a point.
    pub(super) const fn has_no_fractions(&self) -> bool {
        self.fractions == 0
    }

    /// Whether ids like `1001.0` are meant as `1001`: they have the fraction that programs add, and no other.
    pub(super) const fn has_whole_ids(&self) -> bool {
        self.own.is_none() && self.fractions > 0 && self.fractions == self.zero_fractions
    }

    /// The other formats that read as many of its values as one does.
    pub(super) fn as_good_as<'f>(
        &self,
        format: &TimeFormat,
        formats: &'f [TimeFormat],
    ) -> impl Iterator<Item = &'f TimeFormat> {
        let n = |wanted: &TimeFormat| {
            let place = formats.iter().position(|known| known == wanted);
            place.and_then(|place| self.times.get(place)).copied()
        };
        let most = n(format);
        // What the file itself has as times is not read at all.
        let is_read = most.is_some_and(|n| n > 0);
        let others = formats.iter().filter(move |other| is_read && n(other) == most);
        let format = format.clone();
        others.filter(move |other| **other != format).collect::<Vec<_>>().into_iter()
    }

    /// Says of texts that are nearly all numbers what keeps them from being numbers.
    pub(super) fn remark(&self, column: &str) -> Option<String> {
        let odd = self.odd.as_ref().filter(|_| self.own.is_none() && !self.ids)?;
        let (said, written) = (self.said(), &self.written);
        let numbers = written.point.max(written.comma);
        if numbers == said && written.has_units {
            return Some(format!(
                "'{column}' is text: its numbers have several units, such as '{odd}'; put the unit into a column \
                 of its own to add them up"
            ));
        }
        if numbers == said && !written.is_sure && self.numbers < said {
            return Some(format!(
                "'{column}' is text: its values look like numbers with separators, such as '{odd}'; choose what \
                 comes before a fraction to read them so (--decimal . or --decimal ,)"
            ));
        }
        let texts = said - self.numbers.max(numbers);
        (texts > 0 && texts * 10 <= said).then(|| {
            format!(
                "'{column}' is text: {texts} of {said} values are no numbers, such as '{odd}'; \
                 as a number (--type {column}=number), these are misfits"
            )
        })
    }

    /// The format that most of its values have, if that is most of them.
    pub(super) fn time_format(&self, formats: &[TimeFormat]) -> Option<TimeFormat> {
        if self.own == Some(Type::Time) {
            return Some(TimeFormat::Iso);
        }
        let (place, most) = self.times.iter().enumerate().rev().max_by_key(|(_, n)| **n)?;
        let enough = self.sampled > 0 && *most * 2 > self.sampled;
        formats.get(place).filter(|_| enough).cloned()
    }
}

impl WrittenNumbers {
    /// Looks at a text that a number is written as plainly: `1.234` has another value with a decimal comma.
    fn see_plain(&mut self, text: &str) {
        self.point += 1;
        if memchr::memchr3(b'.', b'e', b'E', text.as_bytes()).is_none() {
            self.comma += 1;
        } else if numbers::read(text, Decimal::Comma).is_some() {
            self.comma += 1;
            self.doubtful += 1;
        }
    }

    /// Looks at another text; whether it is a number.
    fn see(&mut self, text: &str) -> bool {
        let (point, comma) =
            (numbers::read(text, Decimal::Point), numbers::read(text, Decimal::Comma));
        self.point += u64::from(point.is_some());
        self.comma += u64::from(comma.is_some());
        let Some(written) = point.or(comma) else { return false };
        // Groups alone may be a phone number.
        let is_by_separator = memchr::memchr3(b',', b'.', b'\'', text.as_bytes()).is_some();
        self.is_sure |= is_by_separator
            || written.has_fraction
            || !written.unit.is_empty()
            || !written.is_grouped;
        if !written.unit.is_empty() {
            let unit = self.unit.get_or_insert_with(|| written.unit.to_owned());
            self.has_units |= unit != written.unit;
        }
        true
    }
}

/// Whether a text is an instant as live events write it: what a file has as a time is one in a live event too.
fn is_instant(text: &str) -> bool {
    text.trim_start().as_bytes().get(4) == Some(&b'-') && text.parse::<Time>().is_ok()
}

/// Whether a fraction is of zeros alone.
fn is_zeros(fraction: &str) -> bool {
    !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')
}

/// The number that a text says, however it is written in its column; not of digits that are an id.
pub(super) fn number_as(text: &str, decimal: Option<Decimal>) -> Option<f64> {
    match decimal.and_then(|decimal| numbers::read(text, decimal)) {
        Some(written) => written.plain.parse().ok(),
        None => as_number(text),
    }
}

/// The number that a text says, which may be infinite or none; not of digits that are an id.
pub(super) fn as_number(text: &str) -> Option<f64> {
    // Most texts are seen to be none by their first letter.
    let first = text.trim_start().bytes().next()?;
    let may_be = first.is_ascii_digit() || matches!(first | 0x20, b'i' | b'n' | b'+' | b'-' | b'.');
    let number = || text.trim().parse().ok().filter(|number| is_kept(*number, text));
    if may_be && !is_like_an_id(text) { number() } else { None }
}

/// Whether a number keeps all digits of a text; one that is infinite or none has no digits.
fn is_kept(number: f64, text: &str) -> bool {
    !number.is_finite() || keeps_digits(number, text.trim())
}

/// Whether a text is a number that an `f64` does not hold with every digit.
fn has_more_digits(text: &str) -> bool {
    // Most texts are too short for that.
    text.len() > 15 && text.trim().parse().is_ok_and(|number| !is_kept(number, text))
}

/// Whether digits are an id and not a number: leading zeros, underscores, more than an `f64` keeps.
fn is_like_an_id(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => true,
        [b'0'..=b'9' | b'.', rest @ ..] => {
            (rest.len() >= 15 && rest.iter().all(u8::is_ascii_digit) && digits[0] != b'.')
                || memchr::memchr(b'_', rest).is_some()
        }
        _ => false,
    }
}

/// A column of a file.
pub(super) enum RawValues<'a> {
    Whole(&'a Int64Array),
    Other(Values<'a>),
}

impl<'a> RawValues<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Self {
        match array.as_any().downcast_ref() {
            Some(whole) => Self::Whole(whole),
            None => Self::Other(Values::of(array)),
        }
    }

    /// A value as text; none where there is no value.
    pub(super) fn text(&self, row: usize) -> Option<Cow<'a, str>> {
        match self {
            Self::Whole(numbers) => {
                (!numbers.is_null(row)).then(|| Cow::Owned(numbers.value(row).to_string()))
            }
            Self::Other(values) => match values.cell(row) {
                Cell::Null => None,
                Cell::Text(text) => Some(Cow::Borrowed(text)),
                other => Some(Cow::Owned(Value::from(other).to_string())),
            },
        }
    }

    /// A value as it is.
    #[allow(clippy::cast_precision_loss, reason = "what would lose digits was seen to be an id")]
    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        match self {
            Self::Whole(numbers) if numbers.is_null(row) => Cell::Null,
            Self::Whole(numbers) => Cell::Number(numbers.value(row) as f64),
            Self::Other(values) => values.cell(row),
        }
    }
}
