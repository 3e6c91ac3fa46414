use std::path::Path;
use std::sync::Arc;

use duckdb::arrow::array::{ArrayBuilder as _, ArrayRef, StringBuilder};

use super::lines::{End, Lines};
use super::record::{Fields, Line};
use super::{BATCH_BYTES, BATCH_ROWS, LONGEST_LINE, Rows, Stop, Take, kept};
use crate::import::dialect::Dialect;
use crate::import::source::Source;
use crate::import::{Reject, source};

/// Reads files of columns with something between them; see [`Fields`] for the rule of quotes.
///
/// A row over several lines that makes no sense is rejected by its first line alone, and reading goes on
/// with the second: a quote that nobody closed costs one row and not the rest of the file.
pub(super) fn read(source: &Source, dialect: &Dialect, take: &mut Take<'_>) -> Result<(), Stop> {
    let n_columns = dialect.names.len();
    for (place, path) in source.files.iter().enumerate() {
        let mut lines = Lines::open(source, place)?;
        let mut record = Record::new(dialect);
        if dialect.has_header && record.next(&mut lines, path)?.is_some() {
            lines.take(record.bytes, record.lines);
        }
        let mut rows = Builder::new(place, n_columns);
        while let Some(read) = record.next(&mut lines, path)? {
            let line = lines.number;
            let n = record.fields.n();
            // Some programs end each line with a delimiter.
            let is_row =
                n == n_columns || (n > n_columns && record.fields.are_empty_from(n_columns));
            let reason = match read {
                Read::Fields if is_row && rows.push(line, &record) => {
                    if record.lines > 1 && record.holds_rows(&lines, n_columns) {
                        rows.remark_rows_in_quotes(path, line, record.lines);
                    }
                    lines.take(record.bytes, record.lines);
                    if rows.is_full() {
                        take(rows.finish(source.share(place, lines.share())))?;
                    }
                    continue;
                }
                Read::Fields if n < n_columns => "missing columns",
                Read::Fields if n > n_columns => "too many columns",
                Read::Fields | Read::NotText => "not UTF-8 text",
                Read::Unclosed => "unterminated quotes",
                Read::TooLong => {
                    rows.reject(path, line, "line too long", "");
                    lines.skip_line(path)?;
                    continue;
                }
            };
            let first = record.first_line;
            rows.reject(path, line, reason, &String::from_utf8_lossy(lines.bytes(first)));
            lines.take(first, 1);
        }
        take(rows.finish(source.share(place + 1, 0.0)))?;
    }
    Ok(())
}

/// What the next record is.
enum Read {
    Fields,
    Unclosed,
    NotText,
    TooLong,
}

/// One record of a file.
struct Record {
    fields: Fields,
    /// What it takes of the file.
    bytes: usize,
    lines: u64,
    /// The bytes of its first line.
    first_line: usize,
}

impl Record {
    fn new(dialect: &Dialect) -> Self {
        let fields = Fields::new(dialect.delimiter, dialect.has_backslashes);
        Self { fields, bytes: 0, lines: 0, first_line: 0 }
    }

    /// Reads the next record without taking it; blank lines before it are taken. None at the end.
    fn next(&mut self, lines: &mut Lines, path: &Path) -> crate::Result<Option<Read>> {
        let end = loop {
            match lines.end_of_line(0, path)? {
                None => return Ok(None),
                Some(End::TooFar) => return Ok(Some(Read::TooLong)),
                Some(End::At(end)) if bare(lines.bytes(end)).is_empty() => lines.take(end, 1),
                Some(End::At(end)) => break end,
            }
        };
        (self.bytes, self.lines, self.first_line) = (end, 1, end);
        let first = bare(lines.bytes(end));
        if self.fields.is_blanks() && std::str::from_utf8(first).is_err() {
            return Ok(Some(Read::NotText));
        }
        let mut read = self.fields.read(first);
        while read == Line::Open {
            let before = lines.end_before(self.bytes);
            match lines.end_of_line(self.bytes, path)? {
                Some(End::At(end)) if end <= LONGEST_LINE => {
                    let line = bare(lines.bytes(end).get(self.bytes..).unwrap_or_default());
                    read = self.fields.read_on(before, line);
                    self.bytes = end;
                    self.lines += 1;
                }
                _ => break,
            }
        }
        if self.fields.is_lone_quote(read) {
            (self.bytes, self.lines) = (self.first_line, 1);
            self.fields.read_alone(bare(lines.bytes(self.first_line)));
            read = Line::Complete;
        }
        Ok(Some(if read == Line::Open { Read::Unclosed } else { Read::Fields }))
    }

    /// Whether each of its lines is a row by itself: then a quote may be meant as text.
    fn holds_rows(&self, lines: &Lines, n_columns: usize) -> bool {
        let mut fields = self.fields.clone();
        let mut own = lines.bytes(self.bytes).split_inclusive(|byte| *byte == b'\n');
        n_columns > 2
            && own.all(|line| {
                fields.read_alone(bare(line));
                fields.n() == n_columns
            })
    }
}

/// A line without its end.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Remarks on the rows of one file.
const MOST_REMARKS: usize = 3;

/// Rows of texts that become columns.
pub(super) struct Builder {
    file: usize,
    lines: Vec<u64>,
    columns: Vec<StringBuilder>,
    bytes: usize,
    rejects: Vec<Reject>,
    remarks: Vec<String>,
    n_remarks: usize,
}

impl Builder {
    pub(super) fn new(file: usize, n_columns: usize) -> Self {
        let columns = std::iter::repeat_with(StringBuilder::new).take(n_columns).collect();
        let (lines, rejects, remarks) = (Vec::new(), Vec::new(), Vec::new());
        Self { file, lines, columns, bytes: 0, rejects, remarks, n_remarks: 0 }
    }

    /// Adds a row; false if it is no text.
    fn push(&mut self, line: u64, record: &Record) -> bool {
        let Some(texts) = record.fields.texts() else { return false };
        for (column, field) in self.columns.iter_mut().zip(texts) {
            match field {
                "" => column.append_null(),
                field => column.append_value(field),
            }
        }
        self.row(line, record.bytes);
        true
    }

    /// Says of a row over several lines that each of them looks like a row.
    fn remark_rows_in_quotes(&mut self, path: &Path, line: u64, n_lines: u64) {
        self.n_remarks += 1;
        if self.n_remarks <= MOST_REMARKS {
            self.remarks.push(format!(
                "{}: lines {line} to {} are one row, because a quote opens in the first and closes in the last; \
                 each of them looks like a row. If the quotes are text, write them twice inside of quotes",
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(),
                line + n_lines - 1
            ));
        }
    }

    /// Makes it so many columns; those that are new have no values so far.
    pub(super) fn widen(&mut self, n_columns: usize) {
        let n = self.lines.len();
        let empty = || {
            let mut column = StringBuilder::new();
            column.append_nulls(n);
            column
        };
        self.columns.resize_with(n_columns.max(self.columns.len()), empty);
    }

    /// Adds a row of values.
    pub(super) fn push_values(&mut self, line: u64, values: &[Option<String>], bytes: usize) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.append_option(value.as_deref().filter(|value| !value.is_empty()));
        }
        self.row(line, bytes);
    }

    fn row(&mut self, line: u64, bytes: usize) {
        self.lines.push(line);
        self.bytes += bytes;
    }

    pub(super) fn reject(&mut self, path: &Path, line: u64, reason: &str, content: &str) {
        self.rejects.push(Reject {
            source: path.display().to_string(),
            line,
            column: None,
            reason: reason.to_owned(),
            content: kept(content.trim_end()),
        });
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows so far; it begins anew.
    pub(super) fn finish(&mut self, share: f32) -> Rows {
        self.bytes = 0;
        Rows {
            file: self.file,
            lines: std::mem::take(&mut self.lines),
            columns: self.columns.iter_mut().map(finished).collect(),
            later: Vec::new(),
            rejects: std::mem::take(&mut self.rejects),
            remarks: std::mem::take(&mut self.remarks),
            share,
        }
    }
}

/// The values of a column; it begins anew with room for as many.
fn finished(column: &mut StringBuilder) -> ArrayRef {
    let (n, bytes) = (column.len(), column.values_slice().len());
    let next = StringBuilder::with_capacity(n + 1, bytes + bytes / 8);
    Arc::new(std::mem::replace(column, next).finish())
}

impl source::Source {
    /// How much of all files was read, if so much of one was.
    #[allow(clippy::cast_precision_loss, reason = "progress for people")]
    pub(super) fn share(&self, file: usize, share: f32) -> f32 {
        (file as f32 + share) / self.files.len() as f32
    }
}
