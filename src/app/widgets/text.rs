/// A count with thin spaces between thousands: `69 659`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number as a person reads it: few digits, no noise.
pub(crate) fn number(x: f64) -> String {
    if !x.is_finite() {
        return "–".to_owned();
    }
    let size = x.abs();
    if x == x.trunc() && size < 1e9 {
        return format!("{x:.0}");
    }
    if !(1e-4..1e9).contains(&size) {
        return format!("{x:.3e}");
    }
    let decimals = if size >= 100.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        4
    };
    format!("{x:.decimals$}")
}

/// The beginning of a text that may be long, control characters made visible.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { '\u{b7}' } else { c };
    let mut short: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(thousands(69_659).replace('\u{202f}', " "), "69 659");
        assert_eq!(thousands(7), "7");
        assert_eq!(number(0.123_456), "0.1235");
        assert_eq!(number(42.0), "42");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(shorten("ab\ncd", 3), "ab·…");
    }
}
