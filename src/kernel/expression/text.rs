//! Text as DuckDB sees it: one character to one character in case, and its own idea of a blank.

/// One character to one character, as DuckDB maps case.
pub(super) fn map_case(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

/// A separator of Unicode's class Zs, which is what DuckDB trims.
pub(super) const fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

pub(super) fn lower(c: char) -> char {
    if c == '\u{130}' {
        return 'i';
    }
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(super) fn upper(c: char) -> char {
    if c == '\u{df}' {
        return '\u{1e9e}';
    }
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The widest that DuckDB takes positions in texts.
const MOST: i64 = 4_294_967_295;

fn length(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

fn between(text: &str, from: i64, to: i64) -> String {
    let place = |n: i64| usize::try_from(n).unwrap_or(0);
    text.chars().skip(place(from)).take(place(to - from)).collect()
}

/// From a place, counted from 1, or from the end if it is negative; a negative length goes backwards.
pub(super) fn substring(text: &str, start: i64, count: Option<i64>) -> Option<String> {
    let mut count = count.unwrap_or(MOST);
    let supported = -MOST - 1..=MOST;
    if !supported.contains(&start) || !supported.contains(&count) {
        return None;
    }
    if start == 0 {
        // One before the first character.
        count -= 1;
        if count <= 0 {
            return Some(String::new());
        }
    }
    let n = length(text);
    let from = match start {
        0 => 0,
        1.. => start - 1,
        _ => n + start,
    };
    let (from, to) = if count >= 0 { (from, from + count) } else { (from + count, from) };
    Some(between(text, from.clamp(0, n), to.clamp(0, n)))
}

/// The first characters; with a negative number all but the last.
pub(super) fn left(text: &str, count: i64) -> Option<String> {
    let n = length(text);
    let kept = if count >= 0 { count.min(n) } else { n.saturating_add(count).max(0) };
    (count <= MOST).then(|| between(text, 0, kept))
}

/// The last characters; with a negative number all but the first.
pub(super) fn right(text: &str, count: i64) -> String {
    let n = length(text);
    let skipped = if count >= 0 { n - n.min(count) } else { count.saturating_neg().min(n) };
    between(text, skipped, n)
}

/// Filled up, or cut, to a length of at most 32,767.
pub(super) fn pad(text: &str, length: i64, fill: &str, at_left: bool) -> Option<String> {
    if !(-32_768..=32_767).contains(&length) {
        return None;
    }
    let length = usize::try_from(length).unwrap_or(0);
    let count = text.chars().count();
    if length <= count {
        return Some(text.chars().take(length).collect());
    }
    if fill.is_empty() {
        return None;
    }
    let padding: String = fill.chars().cycle().take(length - count).collect();
    Some(if at_left { padding + text } else { text.to_owned() + &padding })
}

/// The place of a part, counted from 1; 0 if it is not there.
pub(super) fn position(text: &str, part: &str) -> i64 {
    text.find(part).map_or(0, |at| length(&text[..at]) + 1)
}

/// The so-manieth part between separators, from the end if it is negative; empty if there is none.
pub(super) fn split_part(text: &str, separator: &str, n: i64) -> String {
    let parts: Vec<String> = match (text, separator) {
        ("", _) => vec![String::new()],
        (_, "") => text.chars().map(String::from).collect(),
        _ => text.split(separator).map(str::to_owned).collect(),
    };
    let count = i64::try_from(parts.len()).unwrap_or(i64::MAX);
    let at = match n {
        1.. => n - 1,
        0 => -1,
        _ => count + n,
    };
    usize::try_from(at).ok().and_then(|at| parts.get(at).cloned()).unwrap_or_default()
}
