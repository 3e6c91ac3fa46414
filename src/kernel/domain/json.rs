//! JSON of others, without a loss that its grammar hides: numbers keep their digits, and half a surrogate
//! pair spoils nothing but itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::property_type::keeps_digits;
use super::{Value, id_of_number};

/// Lists and objects inside of each other; what is deeper is an error.
pub(super) const DEEPEST: usize = 127;

/// Returns JSON with U+FFFD in place of each escape that is half of a surrogate pair. It is valid ASCII, but
/// no UTF-8 text has it, and a strict parser refuses all that is around it.
#[must_use]
pub fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut replaced = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let start = at + found;
        // Any other escape is the backslash and one character; what is no escape stays as it is.
        let escaped = json[start + 1..].chars().next();
        at = start + 1 + escaped.map_or(1, char::len_utf8);
        let Some(unit) = code_unit(json, start) else { continue };
        at = start + 6;
        let is_high = (0xD800..0xDC00).contains(&unit);
        let is_low = |unit: u16| (0xDC00..0xE000).contains(&unit);
        if is_high && code_unit(json, at).is_some_and(is_low) {
            at += 6;
        } else if is_high || is_low(unit) {
            replaced.push_str(&json[kept..start]);
            replaced.push_str("\\ufffd");
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    replaced.push_str(&json[kept..]);
    Cow::Owned(replaced)
}

/// The UTF-16 code unit of an escape `\uXXXX` at a place.
fn code_unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

/// The value of a JSON number as it is written: a number if an `f64` holds all of its digits, else its text.
#[must_use]
pub fn number_of_json(json: &str) -> Value {
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() && keeps_digits(number, json) => Value::Number(number),
        _ => Value::text(json),
    }
}

/// An id that is a JSON number, as text: whole numbers without a fraction, so that `1001.0` is `1001`, and
/// with every digit.
#[must_use]
pub fn id_of_json_number(json: &str) -> Cow<'_, str> {
    match id_of_number(json) {
        Some(id) if id != json => Cow::Owned(id),
        _ => Cow::Borrowed(json),
    }
}

/// A list as JSON without blanks, with sorted names and all digits.
pub(super) fn compact(json: &RawValue, depth: usize, out: &mut String) -> serde_json::Result<()> {
    let text = json.get();
    let first = text.as_bytes().first();
    if depth > DEEPEST && matches!(first, Some(b'[' | b'{')) {
        return Err(serde::de::Error::custom("lists and objects are too deep"));
    }
    match first {
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (place, item) in items.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                compact(item, depth + 1, out)?;
            }
            out.push(']');
        }
        Some(b'{') => {
            let fields: BTreeMap<Key<'_>, &RawValue> = serde_json::from_str(text)?;
            out.push('{');
            for (place, (name, value)) in fields.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(&name.0)?);
                out.push(':');
                compact(value, depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'"') => {
            let Key(text) = serde_json::from_str(text)?;
            out.push_str(&serde_json::to_string(&text)?);
        }
        _ => out.push_str(text),
    }
    Ok(())
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_spoils_only_itself() {
        for (json, expected) in [
            (r#"{"a":"plain"}"#, r#"{"a":"plain"}"#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD83D""#, r#""\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83dx\n\u0041""#, r#""\ufffdx\n\u0041""#),
            // An escaped backslash, and no escape after it.
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83"#, r#""\ud83"#),
            ("\"\\é\\ud83d\"", "\"\\é\\ufffd\""),
            ("\\", "\\"),
        ] {
            assert_eq!(without_lone_surrogates(json), expected, "{json}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number_of_json("9007199254740992"), Value::Number(9_007_199_254_740_992.0));
        for text in ["9007199254740993", "12345678901234567.89", "1e400"] {
            assert_eq!(number_of_json(text), Value::text(text));
        }
        for (json, id) in [
            ("1001", "1001"),
            ("1001.0", "1001"),
            ("1001.5", "1001.5"),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            assert_eq!(id_of_json_number(json), id);
        }
    }
}
