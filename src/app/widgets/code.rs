use eframe::egui::text::{LayoutJob, TextFormat};
use eframe::egui::{Color32, FontSelection, TextStyle, Ui};

use crate::theme::Tokens;

/// SQL laid out in the colors of the theme.
pub(crate) fn sql_job(ui: &Ui, sql: &str) -> LayoutJob {
    let tokens = Tokens::at(ui);
    let font = FontSelection::Style(TextStyle::Monospace).resolve(ui.style());
    let mut job = LayoutJob::default();
    let mut rest = sql;
    while !rest.is_empty() {
        let (length, color) = piece(rest, tokens);
        let (text, after) = rest.split_at(length);
        job.append(text, 0.0, TextFormat::simple(font.clone(), color));
        rest = after;
    }
    job
}

/// SQL that is only read.
pub(crate) fn sql_ui(ui: &mut Ui, sql: &str) {
    let job = sql_job(ui, sql);
    ui.add(eframe::egui::Label::new(job).selectable(true));
}

/// The bytes of the first piece of a text, and its color.
fn piece(text: &str, tokens: &Tokens) -> (usize, Color32) {
    let until = |end: &str| text[1..].find(end).map_or(text.len(), |at| at + 1 + end.len());
    let while_ = |is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    let first = text.chars().next().unwrap_or(' ');
    match first {
        '\'' => (until("'"), tokens.good),
        '"' => (until("\""), tokens.text),
        '-' if text.starts_with("--") => (text.find('\n').unwrap_or(text.len()), tokens.weak),
        '/' if text.starts_with("/*") => (until("*/"), tokens.weak),
        c if c.is_ascii_digit() => (while_(|c| c.is_ascii_alphanumeric() || c == '.'), tokens.warn),
        c if c.is_alphabetic() || c == '_' => {
            let length = while_(|c| c.is_alphanumeric() || c == '_');
            let is_keyword = KEYWORDS.contains(&text[..length].to_uppercase().as_str());
            (length, if is_keyword { tokens.accent_text } else { tokens.text })
        }
        c => (c.len_utf8(), tokens.text),
    }
}

/// The words of SQL that have a color, as far as they are used to read.
const KEYWORDS: [&str; 62] = [
    "ALL",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "DATE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FIRST",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "QUALIFY",
    "RANGE",
    "RIGHT",
    "ROWS",
    "SELECT",
    "SHOW",
    "SUMMARIZE",
    "THEN",
    "TIMESTAMP",
    "TRUE",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::Theme;

    #[test]
    fn pieces_are_told_apart_and_none_is_lost() {
        let tokens = Tokens::of(Theme::Light);
        let sql = "SELECT \"a b\", 'it''s' -- why\nFROM é_1 /* x */ WHERE 1.5e3<2 'open";
        let (mut rest, mut colors) = (sql, Vec::new());
        while !rest.is_empty() {
            let (length, color) = piece(rest, tokens);
            assert!(length > 0);
            colors.push((&rest[..length], color));
            rest = &rest[length..];
        }
        assert!(colors.contains(&("SELECT", tokens.accent_text)));
        assert!(colors.contains(&("\"a b\"", tokens.text)));
        assert!(colors.contains(&("-- why", tokens.weak)));
        assert!(colors.contains(&("é_1", tokens.text)));
        assert!(colors.contains(&("1.5e3", tokens.warn)));
        assert!(colors.contains(&("'open", tokens.good)));
    }
}
