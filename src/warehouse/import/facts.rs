use std::borrow::Cow;

use duckdb::arrow::array::{Array, ArrayRef, Int64Array};
use kernel::domain::{Cell, Type, Value, boolean_of};

use super::time_format::TimeFormat;
use crate::arrow::Values;

/// What can be said of the values of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) n: u64,
    pub(super) not_null: u64,
    numbers: u64,
    /// The first text that is no number.
    odd: Option<String>,
    booleans: u64,
    iso_times: u64,
    /// Digits that are an id and not a number were seen.
    ids: bool,
    /// The type that the file itself gives; none where it has texts.
    own: Option<Type>,
    /// Values among the first rows, and how many of them each time format reads.
    sampled: u64,
    times: Vec<u64>,
}

/// Values that say how times are written.
const TIME_SAMPLE: u64 = 5_000;
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
        match &values {
            RawValues::Whole(numbers) => {
                self.own = Some(Type::Number);
                #[allow(clippy::cast_precision_loss, reason = "the limit itself is kept")]
                let is_beyond = |n: i64| (n as f64).abs() >= KEPT_WHOLE;
                self.ids |= numbers.iter().flatten().any(is_beyond);
            }
            RawValues::Other(Values::Texts(_)) => {
                for text in (0..array.len()).filter_map(|row| values.text(row)) {
                    self.see_text(&text);
                }
            }
            RawValues::Other(values) => self.own = self.own.or_else(|| values.type_of()),
        }
        if matches!(self.own, None | Some(Type::Number)) {
            let texts = (0..array.len()).filter_map(|row| values.text(row));
            for text in texts.take(usize::try_from(TIME_SAMPLE - self.sampled).unwrap_or(0)) {
                self.sampled += 1;
                for (times, format) in self.times.iter_mut().zip(formats) {
                    *times += u64::from(format.micros(&text).is_some());
                }
            }
        }
    }

    fn see_text(&mut self, text: &str) {
        self.ids |= is_like_an_id(text);
        if as_number(text).is_some() {
            self.numbers += 1;
            return;
        }
        self.odd.get_or_insert_with(|| text.chars().take(ODD_WIDTH).collect());
        if boolean_of(text).is_some() {
            self.booleans += 1;
        } else if TimeFormat::Iso.micros(text).is_some() {
            self.iso_times += 1;
        }
    }

    /// The column's type: the narrowest that all of its values have.
    pub(super) fn type_of(&self) -> Type {
        match self.own {
            Some(Type::Number) if self.ids => Type::Text,
            Some(own) => own,
            None if self.not_null == 0 || self.ids => Type::Text,
            None if self.numbers == self.not_null => Type::Number,
            None if self.booleans == self.not_null => Type::Boolean,
            None if self.iso_times == self.not_null => Type::Time,
            None => Type::Text,
        }
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
        let texts = self.not_null - self.numbers;
        (texts * 10 <= self.not_null).then(|| {
            format!(
                "'{column}' is text: {texts} of {} values are no numbers, such as '{odd}'; \
                 as a number (--type {column}=number), these rows are rejected",
                self.not_null
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

/// The number that a text says, which may be infinite or none; not of digits that are an id.
pub(super) fn as_number(text: &str) -> Option<f64> {
    // Most texts are seen to be none by their first letter.
    let first = text.trim_start().bytes().next()?;
    let may_be = first.is_ascii_digit() || matches!(first | 0x20, b'i' | b'n' | b'+' | b'-' | b'.');
    if may_be && !is_like_an_id(text) { text.trim().parse().ok() } else { None }
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
