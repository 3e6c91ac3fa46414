use duckdb::Connection;

use crate::query::sql_error;
use crate::{Error, Result};

/// Statements that only read, beside SELECT in all its forms.
const READING: [&str; 5] = ["DESCRIBE", "DESC", "EXPLAIN", "SHOW", "SUMMARIZE"];
/// First words of statements that give rows of a query. DuckDB turns a PIVOT without a list of values into
/// several statements, which its serializer refuses.
const SELECTING: [&str; 8] =
    ["SELECT", "WITH", "FROM", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "PIVOT_WIDER"];

const REFUSED: &str =
    "only SELECT, PIVOT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN run here, one at a time";

/// Refuses all but one statement that reads. A client library runs all statements of a text but the last when
/// it prepares it, and the first could end the read-only transaction; so DuckDB's own parser counts them.
/// `parser` is an instance without data: in a foreign file a macro may have the name of any function.
///
/// # Errors
/// `Error::Sql` with what is wrong, and where.
pub(crate) fn one_statement(parser: &Connection, sql: &str) -> Result<()> {
    let refuse = |message: &str| Err(Error::Sql(sql_error(message)));
    if sql.contains('\0') {
        return refuse("the query has a NUL character");
    }
    let parsed: String = parser
        .query_row("SELECT CAST(json_serialize_sql(CAST(? AS VARCHAR)) AS VARCHAR)", [sql], |row| {
            row.get(0)
        })
        .map_err(|error| Error::Sql(sql_error(&error.to_string())))?;
    let parsed: serde_json::Value = serde_json::from_str(&parsed).unwrap_or_default();
    if parsed["error"] == serde_json::Value::Bool(false) {
        return match parsed["statements"].as_array().map(Vec::len) {
            Some(1) => Ok(()),
            Some(0) => refuse("the query is empty"),
            _ => refuse("run one statement at a time; select one of them"),
        };
    }
    if parsed["error_type"] == "parser" || parsed["error_type"] == "syntax" {
        let message = parsed["error_message"].as_str().unwrap_or("the query has an error");
        let place = parsed["position"].as_str().and_then(|place| place.parse::<usize>().ok());
        let mut error = sql_error(&format!("Parser Error: {message}"));
        error.position = place.map(|place| line_and_column(sql, place));
        return Err(Error::Sql(error));
    }
    // Not a SELECT alone: one statement by its text, which begins as one that reads.
    let Some(text) = without_semicolon(sql) else {
        return refuse(
            "run one statement at a time; in a text of such a statement write chr(59) for a semicolon",
        );
    };
    match reads(text) {
        true => Ok(()),
        false => refuse(REFUSED),
    }
}

/// A text up to its semicolon, if nothing but semicolons and comments follow. Whether the semicolon is in a
/// string or not is not asked: there is only one, so there are not two statements in any case.
fn without_semicolon(sql: &str) -> Option<&str> {
    let Some((statement, rest)) = sql.split_once(';') else { return Some(sql) };
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with("--");
    (!rest.contains(';') && rest.lines().all(is_comment)).then_some(statement)
}

/// Whether a statement that is no plain SELECT only reads, by its first words.
fn reads(text: &str) -> bool {
    let (first, rest) = first_word(text);
    match first.as_str() {
        "EXPLAIN" => {
            let (next, after) = first_word(rest);
            let explained = if next == "ANALYZE" { after } else { rest };
            let explained = explained.trim_start();
            let explained = match explained.strip_prefix('(') {
                // Options, such as the format.
                Some(options) => options.split_once(')').map_or("", |(_, after)| after),
                None => explained,
            };
            SELECTING.contains(&first_word(explained).0.as_str())
        }
        word => READING.contains(&word) || SELECTING.contains(&word),
    }
}

/// The first word in capital letters, without comments before it, and the text after it.
fn first_word(text: &str) -> (String, &str) {
    let mut rest = text.trim_start();
    loop {
        let after = match rest.as_bytes() {
            [b'-', b'-', ..] => rest.find(['\n', '\r']).map(|at| &rest[at..]),
            [b'/', b'*', ..] => rest.find("*/").map(|at| &rest[at + 2..]),
            _ => break,
        };
        rest = after.unwrap_or_default().trim_start();
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    (rest[..end].to_uppercase(), &rest[end..])
}

/// The one statement of a text, without the semicolon that ends it and what is after that.
pub(crate) fn statement_of(sql: &str) -> &str {
    let mut rest = sql;
    let mut is_escaping = false;
    while let Some(first) = rest.chars().next() {
        let skipped = |open: usize, end: &str| {
            rest.get(open..)
                .and_then(|text| text.find(end))
                .map_or(rest.len(), |at| open + at + end.len())
        };
        let mut prefix = false;
        let length = match first {
            ';' => return &sql[..sql.len() - rest.len()],
            '\'' if is_escaping => escaped_length(rest),
            '\'' => skipped(1, "'"),
            '"' => skipped(1, "\""),
            '-' if rest.starts_with("--") => {
                rest.find(['\n', '\r']).map_or(rest.len(), |at| at + 1)
            }
            '/' if rest.starts_with("/*") => comment_length(rest),
            '$' => match dollar_tag(rest) {
                Some(tag) => skipped(tag.len(), tag),
                None => 1,
            },
            c if is_in_word(c) && !c.is_ascii_digit() => {
                let end = rest.find(|c: char| !is_in_word(c) && c != '$').unwrap_or(rest.len());
                prefix = rest[..end].eq_ignore_ascii_case("e");
                end
            }
            '0'..='9' => rest.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        is_escaping = prefix;
        rest = &rest[length..];
    }
    sql
}

fn is_in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// The length of a string in which a backslash escapes.
fn escaped_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a comment, which may have others within.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The tag that begins a string in dollars: `$$` or `$name$`.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let name = &text[1..end - 1];
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_in_word);
    is_name.then(|| &text[..end])
}

fn line_and_column(sql: &str, place: usize) -> (usize, usize) {
    let before = sql.get(..place).unwrap_or(sql);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{reads, statement_of, without_semicolon};

    #[test]
    fn a_statement_ends_at_its_semicolon() {
        for (text, statement) in [
            ("SELECT ';' -- ;\n FROM a; -- b", "SELECT ';' -- ;\n FROM a"),
            ("SELECT \"a;b\" /* ; */", "SELECT \"a;b\" /* ; */"),
            ("SELECT E'\\';' ; x", "SELECT E'\\';' "),
            ("SELECT ename'\\' ; x", "SELECT ename'\\' "),
            ("SELECT $$;$$, $a$ $$; $a$; x", "SELECT $$;$$, $a$ $$; $a$"),
            ("SELECT a$$; x", "SELECT a$$"),
            ("SELECT /* /* ; */ ; */ 1; x", "SELECT /* /* ; */ ; */ 1"),
            ("SELECT 1_0e'\\';' ; x", "SELECT 1_0e'\\';' "),
        ] {
            assert_eq!(statement_of(text), statement, "{text}");
        }
    }

    #[test]
    fn one_semicolon_ends_one_statement() {
        for (text, is_one) in [
            ("PIVOT a ON b", true),
            ("PIVOT a ON b;", true),
            ("PIVOT a ON b ; ; \n -- done\n", true),
            ("PIVOT a ON b; DROP TABLE a", false),
            ("PIVOT a ON b; -- x\nDROP TABLE a", false),
            ("PIVOT 'a;\n-- b' ON c; DROP TABLE x", false),
            ("PIVOT a ON b; /* x */ DROP TABLE a", false),
        ] {
            assert_eq!(without_semicolon(text).is_some(), is_one, "{text}");
        }
    }

    #[test]
    fn only_what_reads_is_read() {
        for text in [
            "pivot a ON b",
            "-- x\n/* y */ SUMMARIZE a",
            "EXPLAIN ANALYZE SELECT 1",
            "explain (FORMAT json) FROM a",
            "WITH a AS (SELECT 1) PIVOT a ON b",
            "SHOW TABLES",
        ] {
            assert!(reads(text), "{text}");
        }
        for text in [
            "COPY a TO 'b'",
            "EXPLAIN ANALYZE COPY a TO 'b'",
            "EXPLAIN DELETE FROM a",
            "COMMIT",
            "SET x = 1",
            "",
            "-- SELECT",
            "EXPLAIN (FORMAT json) COPY a TO 'b'",
            "CALL x()",
        ] {
            assert!(!reads(text), "{text}");
        }
    }
}
