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
}
