//! Values of files as the rest of the import has them: ids in one form, missing values as nulls, numbers as
//! programs write them. Columns that are so already are not copied.

use std::borrow::Cow;
use std::sync::Arc;

use duckdb::arrow::array::{Array, ArrayRef, StringArray};
use kernel::domain::{Type, is_missing, is_missing_id, normalized_id};

use super::check::as_texts;
use super::numbers::{self, Decimal};

/// A column of ids as texts, in Unicode's NFC; null where a text names nobody. `has_whole` takes the fraction of zero from `1001.0`.
pub(super) fn ids(column: &ArrayRef, has_whole: bool) -> ArrayRef {
    let texts = as_texts(column);
    let Some(ids) = texts.as_any().downcast_ref::<StringArray>() else { return texts };
    let is_changed = |id: &'_ str| {
        is_missing_id(id) || (has_whole && whole(id) != id) || *normalized_id(id) != *id
    };
    if !ids.iter().flatten().any(is_changed) {
        return texts;
    }
    let id = |id: &'_ str| {
        let form = normalized_id(if has_whole { whole(id) } else { id });
        (!is_missing_id(id)).then(|| form.into_owned())
    };
    Arc::new(ids.iter().map(|text| text.and_then(id)).collect::<StringArray>())
}

/// Whether the fraction of digits with one is zero; none for what is not digits with a fraction.
pub(super) fn has_fraction(id: &str) -> Option<bool> {
    let (whole, fraction) = id.split_once('.')?;
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (are_digits(whole) && are_digits(fraction)).then(|| fraction.bytes().all(|byte| byte == b'0'))
}

/// An id without a fraction of zeros.
fn whole(id: &str) -> &str {
    match (has_fraction(id), id.split_once('.')) {
        (Some(true), Some((whole, _))) => whole,
        _ => id,
    }
}

/// A column whose spellings of a missing value are nulls, as far as its type is not text or a person said so, and
/// how many there are; numbers are as programs write them.
pub(super) fn values(
    column: &ArrayRef,
    type_: Type,
    decimal: Option<Decimal>,
    drops_missing: bool,
) -> (Cow<'_, ArrayRef>, u64) {
    let texts = match column.as_any().downcast_ref::<StringArray>() {
        Some(texts) if type_ != Type::Text || drops_missing => texts,
        _ => return (Cow::Borrowed(column), 0),
    };
    let n_missing = texts.iter().flatten().filter(|text| is_missing(text)).count() as u64;
    if n_missing == 0 && decimal.is_none() {
        return (Cow::Borrowed(column), 0);
    }
    let value = |text: &'_ str| -> Option<String> {
        if is_missing(text) {
            return None;
        }
        let written = decimal.and_then(|decimal| numbers::read(text, decimal));
        Some(written.map_or_else(|| text.to_owned(), |written| written.plain))
    };
    let values: StringArray = texts.iter().map(|text| text.and_then(value)).collect();
    let values: ArrayRef = Arc::new(values);
    (Cow::Owned(values), n_missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_values_have_one_form() {
        let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let read = |array: &ArrayRef| -> Vec<Option<String>> {
            let texts = array.as_any().downcast_ref::<StringArray>().unwrap();
            texts.iter().map(|text| text.map(str::to_owned)).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let column = texts(&["1001", "1001.0", "NULL", "a.0"]);
        assert_eq!(read(&ids(&column, true)), [some("1001"), some("1001"), None, some("a.0")]);
        assert_eq!(read(&ids(&column, false))[1], some("1001.0"));
        let column = texts(&["1.234,56", "\\N", "zehn"]);
        let (numbers, missing) = values(&column, Type::Number, Some(Decimal::Comma), false);
        assert_eq!((read(&numbers), missing), (vec![some("1234.56"), None, some("zehn")], 1));
        let (kept, missing) = values(&column, Type::Text, None, false);
        assert_eq!((read(&kept)[1].clone(), missing), (some("\\N"), 0));
        assert_eq!(values(&column, Type::Text, None, true).1, 1);
    }
}
