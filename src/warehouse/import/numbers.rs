use serde::{Deserialize, Serialize};

/// The character before the fraction of a number; the other one, blanks and apostrophes group its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decimal {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

/// A number as people write it, and the unit beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    /// The number as programs write it, with every digit.
    pub(super) plain: String,
    /// A currency or `%`; empty without one.
    pub(super) unit: &'a str,
    /// Whether it has a fraction, which shows what the other separator is.
    pub(super) has_fraction: bool,
    /// Whether only blanks or the separator of the other style group its digits.
    pub(super) is_grouped: bool,
}

/// Reads a number with separators of thousands, a currency before or after it, `%`, or parentheses or a minus
/// after it for less than zero. None where digits are not grouped by thousands, or by the hundreds of India.
pub(super) fn read(text: &str, decimal: Decimal) -> Option<Written<'_>> {
    let text = text.trim();
    // Most texts are no numbers, by their length.
    if text.len() > 40 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (text, is_in_parentheses) =
        match text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(inside) => (inside.trim(), true),
            None => (text, false),
        };
    let (text, has_minus) = without_minus(text);
    let first = text.find(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-'))?;
    let last = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (before, after) = (text.get(..first)?.trim(), text.get(last..)?.trim());
    let unit = match (before, after) {
        ("", unit) | (unit, "") => unit,
        _ => return None,
    };
    if !is_unit(unit) {
        return None;
    }
    let (digits, has_inner_minus) = without_minus(text.get(first..last)?);
    if usize::from(is_in_parentheses) + usize::from(has_minus) + usize::from(has_inner_minus) > 1 {
        return None;
    }
    let (point, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, fraction) = match digits.rsplit_once(point) {
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, is_grouped) = ungrouped(whole, group)?;
    let sign = if is_in_parentheses || has_minus || has_inner_minus { "-" } else { "" };
    let plain = match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    };
    Some(Written { plain, unit, has_fraction: digits.contains(point), is_grouped })
}

fn without_minus(text: &str) -> (&str, bool) {
    let signs = ['-', '\u{2212}'];
    let stripped = text.strip_prefix(signs).or_else(|| text.strip_suffix(signs));
    match stripped {
        Some(rest) => (rest.trim(), true),
        None => (text.strip_prefix('+').unwrap_or(text).trim_start(), false),
    }
}

/// Codes and short names of currencies, in lower case.
const CURRENCIES: [&str; 48] = [
    "eur", "usd", "gbp", "chf", "jpy", "cny", "inr", "sek", "nok", "dkk", "pln", "czk", "huf",
    "rub", "try", "brl", "mxn", "zar", "aud", "cad", "nzd", "sgd", "hkd", "krw", "ils", "aed",
    "sar", "thb", "idr", "myr", "php", "vnd", "uah", "ron", "bgn", "ars", "clp", "cop", "pen",
    "egp", "ngn", "kes", "kr", "kr.", "rs", "rs.", "fr.", "zł",
];

/// Whether a text is a sign of a currency, perhaps after letters as in `US$`, the code of one, or `%`.
fn is_unit(unit: &str) -> bool {
    let is_sign = |c: char| matches!(c, '$' | '%' | '£' | '¥' | '¢' | '\u{20a0}'..='\u{20cf}');
    let letters = unit.trim_end_matches(is_sign);
    let is_short = letters.len() <= 3 && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    unit.is_empty()
        || (letters.len() < unit.len() && is_short)
        || CURRENCIES.contains(&unit.to_lowercase().as_str())
}

/// Digits without what groups them, and whether something does; none if they are not grouped in a known way.
fn ungrouped(digits: &str, group: char) -> Option<(String, bool)> {
    if digits.is_empty() || digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }, false));
    }
    let separator = digits.chars().find(|c| !c.is_ascii_digit())?;
    if separator != group
        && !matches!(separator, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’')
    {
        return None;
    }
    let groups: Vec<&str> = digits.split(separator).collect();
    let (first, rest) = groups.split_first()?;
    let (last, middle) = rest.split_last()?;
    let are_digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    let is_by_thousands = last.len() == 3
        && matches!(first.len(), 1..=3)
        && (middle.iter().all(|group| group.len() == 3)
            || (first.len() < 3 && middle.iter().all(|group| group.len() == 2)));
    (are_digits && is_by_thousands).then(|| (groups.concat(), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let number = |text, decimal| {
            read(text, decimal).map(|written| written.plain.parse::<f64>().unwrap())
        };
        for (text, point, comma) in [
            ("12,50", None, Some(12.5)),
            ("1.234,56", None, Some(1234.56)),
            ("1,234.56", Some(1234.56), None),
            ("1,234", Some(1234.0), Some(1.234)),
            ("1.234", Some(1.234), Some(1234.0)),
            ("1,234,567", Some(1_234_567.0), None),
            ("12,34,567.5", Some(1_234_567.5), None),
            ("1 234,5", None, Some(1234.5)),
            ("1\u{a0}234,5", None, Some(1234.5)),
            ("1'234.50", Some(1234.5), None),
            ("7", Some(7.0), Some(7.0)),
            ("$1,234.50", Some(1234.5), None),
            ("-$5.25", Some(-5.25), None),
            ("$-5.25", Some(-5.25), None),
            ("($5.25)", Some(-5.25), None),
            ("5.25-", Some(-5.25), None),
            ("12,50 €", None, Some(12.5)),
            ("EUR 12,50", None, Some(12.5)),
            ("12.5%", Some(12.5), None),
            ("US$ 3.00", Some(3.0), None),
            (".5", Some(0.5), None),
            ("1,23", None, Some(1.23)),
            ("10.0.0.1", None, None),
            ("12,3456,789", None, None),
            ("2024-01-01", None, None),
            ("10:30", None, None),
            ("A1,234", None, None),
            ("5XL", None, None),
            ("10kg", None, None),
            ("$5€", None, None),
            ("(-5)", None, None),
            ("", None, None),
        ] {
            assert_eq!(number(text, Decimal::Point), point, "{text} with a decimal point");
            assert_eq!(number(text, Decimal::Comma), comma, "{text} with a decimal comma");
        }
        let written = read("12.345.678.901.234.567,50 €", Decimal::Comma).unwrap();
        assert_eq!((written.plain.as_str(), written.unit), ("12345678901234567.50", "€"));
    }
}
