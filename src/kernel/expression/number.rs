//! Numbers as DuckDB's doubles: IEEE 754, and its own way of rounding and of writing them.

/// A double as DuckDB casts it to BIGINT: half to even; none where it cannot.
pub(super) fn whole(x: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let rounded = x.round_ties_even();
    #[allow(clippy::cast_possible_truncation, reason = "it is within the range")]
    (-LIMIT..LIMIT).contains(&rounded).then_some(rounded as i64)
}

/// A double as DuckDB casts it to INTEGER.
pub(super) fn integer(x: f64) -> Option<i32> {
    whole(x).and_then(|n| i32::try_from(n).ok())
}

/// `round(x, n)` and `trunc(x, n)`, by multiplying and dividing as DuckDB does.
pub(super) fn to_places(x: f64, places: f64, nearest: fn(f64) -> f64, cut: bool) -> Option<f64> {
    let places = f64::from(integer(places)?);
    // Kept from becoming another function, which differs in the last bit.
    let power = std::hint::black_box(10.0_f64).powf(places.abs());
    let rounded = if places < 0.0 {
        if power.is_infinite() && !cut {
            return Some(if x.is_finite() { 0.0 } else { x });
        }
        nearest(x / power) * power
    } else {
        nearest(x * power) / power
    };
    Some(if rounded.is_finite() { rounded } else { x })
}

/// The next even number away from zero.
pub(super) fn even(x: f64) -> f64 {
    let away = if x >= 0.0 { x.ceil() } else { -(-x).ceil() };
    if (away / 2.0).floor() * 2.0 == away || away.is_nan() {
        away
    } else if x >= 0.0 {
        away + 1.0
    } else {
        away - 1.0
    }
}

/// 1, -1 or 0; of what is no number 0.
pub(super) fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// What DuckDB's text has around a number and takes off.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

/// A text as DuckDB's TRY_CAST to DOUBLE reads it, without underscores, which it misreads in long texts.
pub(super) fn parse(text: &str) -> Option<f64> {
    let text = text.trim_start_matches(BLANKS);
    let text = text.strip_prefix('+').unwrap_or(text).trim_end_matches(BLANKS);
    if text.starts_with('+') || text.contains('_') {
        return None;
    }
    let lower = text.strip_prefix('-').unwrap_or(text).to_ascii_lowercase();
    if let Some(inner) = lower.strip_prefix("nan(").and_then(|rest| rest.strip_suffix(')')) {
        return inner.bytes().all(|b| b.is_ascii_alphanumeric()).then_some(f64::NAN);
    }
    text.parse().ok()
}

/// A number as DuckDB writes it: the shortest digits that come back, with an exponent where it is long.
pub(super) fn write(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    let science = format!("{x:e}");
    let Some((digits, exponent)) = science.split_once('e') else { return science };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..16).contains(&exponent) => {
            let plain = format!("{x}");
            if plain.contains('.') { plain } else { plain + ".0" }
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Err(_) => science,
    }
}
