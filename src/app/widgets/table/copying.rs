use workspace::Value;

/// Tab-separated rows for a spreadsheet; tabs and line breaks within a cell are blanks.
pub(crate) fn as_tsv<'r>(rows: impl Iterator<Item = &'r [Value]>) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => other.to_string().replace(['\t', '\n', '\r'], " "),
    };
    let line = |row: &[Value]| row.iter().map(cell).collect::<Vec<_>>().join("\t");
    rows.map(line).collect::<Vec<_>>().join("\n")
}

/// Rows below the names of their columns, with commas (RFC 4180).
pub(super) fn as_csv<'r>(columns: &[String], rows: impl Iterator<Item = &'r [Value]>) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => quoted(&other.to_string()),
    };
    let head = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
    let lines = rows.map(|row| row.iter().map(cell).collect::<Vec<_>>().join(","));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}
