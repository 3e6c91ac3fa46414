use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// The most digits of an id that is a number with an exponent.
const MAX_DIGITS: i64 = 64;

/// The form in which an id is kept and looked up: Unicode's NFC, so that `é` in one character and `e` with an
/// accent after it are one id, as people see them. Nothing else is changed: ids that differ in case or in blanks
/// are different.
///
/// Ids of customers are normalized wherever they come in: in calls, in files, in history, and where somebody
/// asks for a customer or erases one. Message ids are compared byte by byte.
#[must_use]
pub fn normalized_id(id: &str) -> Cow<'_, str> {
    // Every ASCII text is in NFC.
    if id.is_ascii() {
        return Cow::Borrowed(id);
    }
    match is_nfc_quick(id.chars()) {
        IsNormalized::Yes => Cow::Borrowed(id),
        _ => Cow::Owned(id.nfc().collect()),
    }
}

/// The id that a number of JSON is, with all of its digits: no number beyond 2^53 becomes another. A fraction of
/// zeros is left out, and an exponent is written out: 1001, 1001.0 and 1.001e3 are one id.
///
/// `None` if the text is not a number of JSON, or has an exponent that leaves a fraction or more than 64 digits.
#[must_use]
pub fn id_of_number(number: &str) -> Option<String> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i64>().ok()?)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let Some(exponent) = exponent else {
        let is_zero = fraction.is_empty() && whole.trim_start_matches('0').is_empty();
        let sign = if is_zero { "" } else { sign };
        let point = if fraction.is_empty() { "" } else { "." };
        return Some(format!("{sign}{whole}{point}{fraction}"));
    };
    let all = format!("{whole}{fraction}");
    let all = all.trim_start_matches('0');
    if all.is_empty() {
        return Some("0".to_owned());
    }
    let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let trailing = all.len() - all.trim_end_matches('0').len();
    if zeros < 0 {
        let cut = usize::try_from(zeros.unsigned_abs()).ok().filter(|cut| *cut <= trailing)?;
        return Some(format!("{sign}{}", &all[..all.len() - cut]));
    }
    if zeros > MAX_DIGITS {
        return None;
    }
    let zeros = usize::try_from(zeros).ok()?;
    Some(format!("{sign}{all}{}", "0".repeat(zeros)))
}

/// JSON in which each half of a surrogate pair that stands alone, which is no character, is U+FFFD. None if there
/// is no such half. Works on text that is not JSON, too: only escapes are looked at.
#[must_use]
pub fn without_lone_surrogates(json: &str) -> Option<String> {
    if !json.contains("\\u") {
        return None;
    }
    let bytes = json.as_bytes();
    let unit = |at: usize| {
        let escape = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let mut whole = String::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xD800..0xDC00) if matches!(unit(at + 6), Some(0xDC00..0xE000)) => at += 12,
            Some(0xD800..0xE000) => {
                whole.push_str(&json[from..at]);
                whole.push_str("\\ufffd");
                at += 6;
                from = at;
            }
            Some(_) => at += 6,
            // What is escaped is no start of another escape.
            None => at += 2,
        }
    }
    if from == 0 {
        return None;
    }
    whole.push_str(&json[from..]);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_look_alike_are_one() {
        assert_eq!(normalized_id("Zoe\u{308}"), "Zo\u{eb}");
        assert_eq!(normalized_id("Zo\u{eb}"), "Zo\u{eb}");
        assert_eq!(normalized_id("\u{1100}\u{1161}"), "\u{ac00}", "Hangul");
        assert_eq!(normalized_id("Ada "), "Ada ");
        assert_ne!(normalized_id("\u{ff21}"), "A", "a wide letter is another");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let n = |text: &str| id_of_number(text);
        for same in ["0", "7", "-7", "12345678901234567890123", "9007199254740993", "12.5", "-0.5"]
        {
            assert_eq!(n(same).as_deref(), Some(same));
        }
        for (number, id) in [
            ("1001.0", "1001"),
            ("1001.000", "1001"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("1.001E+3", "1001"),
            ("12300e-2", "123"),
            ("0e9", "0"),
            ("1e+21", "1000000000000000000000"),
        ] {
            assert_eq!(n(number).as_deref(), Some(id), "{number}");
        }
        for none in
            ["", "-", "1e400", "1e-1", "15e-1", "NaN", "1e", "0x1", "1e99999999999999999999"]
        {
            assert_eq!(n(none), None, "{none}");
        }
    }

    #[test]
    fn halves_of_characters_are_replaced_and_whole_ones_are_not() {
        let whole = |json: &str| without_lone_surrogates(json);
        assert_eq!(whole(r#""a\ud83d\ude00""#), None);
        assert_eq!(whole(r#""\\ud800""#), None, "an escaped backslash");
        assert_eq!(whole(r#""a\ud83d""#).as_deref(), Some(r#""a\ufffd""#));
        assert_eq!(whole(r#""\ude00\ud83d""#).as_deref(), Some(r#""\ufffd\ufffd""#));
        assert_eq!(whole(r#""\ud83d\ud83d\ude00x""#).as_deref(), Some(r#""\ufffd\ud83d\ude00x""#));
        assert_eq!(whole(r#""\uD800é\u00e9""#).as_deref(), Some(r#""\ufffdé\u00e9""#));
        assert_eq!(whole("\\"), None);
        assert_eq!(whole("\\u00\\"), None);
    }
}
