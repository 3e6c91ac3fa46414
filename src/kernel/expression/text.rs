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
