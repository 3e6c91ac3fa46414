use sqlparser::tokenizer::Span;

/// Why a text is not an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct ExpressionError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Line in the text, from 1.
    pub line: u64,
    /// Column in the line, from 1.
    pub column: u64,
    /// The column that it names and that is not there, if that is what is wrong.
    pub unknown: Option<String>,
}

impl ExpressionError {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        let start = span.start;
        Self {
            message: message.into(),
            line: start.line.max(1),
            column: start.column.max(1),
            unknown: None,
        }
    }

    /// From a parser's message, which carries its place as ` at Line: 1, Column: 5`.
    pub(super) fn from_parser(message: &str, end: (u64, u64)) -> Self {
        let text = message.trim_start_matches("sql parser error: ");
        let Some((text, place)) = text.split_once(" at Line: ") else {
            // Without a place the text ended too early.
            return Self { message: text.to_owned(), line: end.0, column: end.1, unknown: None };
        };
        let (line, column) = place.split_once(", Column: ").unwrap_or(("1", "1"));
        Self {
            message: text.to_owned(),
            line: line.trim().parse().unwrap_or(1),
            column: column.trim().parse().unwrap_or(1),
            unknown: None,
        }
    }
}
