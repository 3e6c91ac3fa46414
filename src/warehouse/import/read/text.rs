use std::path::Path;
use std::sync::Arc;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use duckdb::arrow::array::{ArrayBuilder as _, ArrayRef, StringBuilder};

use super::lines::{End, Lines};
use super::{BATCH_BYTES, BATCH_ROWS, LONGEST_LINE, Rows, Stop, Take, kept};
use crate::import::source::{Delimiter, Source};
use crate::import::{Reject, source};

/// Reads files of columns with something between them, as RFC 4180 has it: quotes around a field keep
/// delimiters and ends of lines inside of it.
///
/// A row over several lines that makes no sense is rejected by its first line alone, and reading goes on
/// with the second: a quote that nobody closed costs one row and not the rest of the file.
pub(super) fn read(
    source: &Source,
    (delimiter, header, n_columns): (Delimiter, bool, usize),
    take: &mut Take<'_>,
) -> Result<(), Stop> {
    for (place, path) in source.files.iter().enumerate() {
        let mut lines = Lines::open(source, path)?;
        let mut record = Record::new(delimiter);
        if header && record.next(&mut lines, path)?.is_some() {
            lines.take(record.bytes, record.lines);
        }
        let mut rows = Builder::new(place, n_columns);
        while let Some(read) = record.next(&mut lines, path)? {
            let line = lines.number;
            let reason = match read {
                Read::Fields if record.fields.len() == n_columns && rows.push(line, &record) => {
                    lines.take(record.bytes, record.lines);
                    if rows.is_full() {
                        take(rows.finish(source.share(place, lines.share())))?;
                    }
                    continue;
                }
                Read::Fields if record.fields.len() < n_columns => "missing columns",
                Read::Fields if record.fields.len() > n_columns => "too many columns",
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

/// The fields of one record, read into memory that is used again.
struct Record {
    delimiter: Delimiter,
    quoted: csv_core::Reader,
    text: Vec<u8>,
    /// Where each field begins and ends in `text`.
    fields: Vec<(usize, usize)>,
    /// What it takes of the file.
    bytes: usize,
    lines: u64,
    /// The bytes of its first line.
    first_line: usize,
}

impl Record {
    fn new(delimiter: Delimiter) -> Self {
        let mut quoted = ReaderBuilder::new();
        if let Delimiter::Character(c) = delimiter {
            quoted.delimiter(u8::try_from(c).unwrap_or(b','));
        }
        Self {
            delimiter,
            quoted: quoted.terminator(Terminator::Any(b'\n')).build(),
            text: Vec::new(),
            fields: Vec::new(),
            bytes: 0,
            lines: 0,
            first_line: 0,
        }
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
        self.fields.clear();
        self.text.clear();
        let line = bare(lines.bytes(end));
        match self.delimiter {
            Delimiter::Character(c) if memchr::memchr(b'"', line).is_none() => {
                self.text.extend_from_slice(line);
                let mut start = 0;
                for end in memchr::memchr_iter(u8::try_from(c).unwrap_or(b','), line) {
                    self.fields.push((start, end));
                    start = end + 1;
                }
                self.fields.push((start, line.len()));
            }
            Delimiter::Character(_) => {
                if !self.quoted(lines, path)? {
                    return Ok(Some(Read::Unclosed));
                }
            }
            Delimiter::Blanks => {
                self.text.extend_from_slice(line);
                let Ok(text) = std::str::from_utf8(&self.text) else {
                    return Ok(Some(Read::NotText));
                };
                for word in text.split_whitespace() {
                    let start = word.as_ptr().addr() - text.as_ptr().addr();
                    self.fields.push((start, start + word.len()));
                }
            }
        }
        Ok(Some(Read::Fields))
    }

    /// Reads a record with quotes, which may go on over several lines; false if nothing closes it.
    fn quoted(&mut self, lines: &mut Lines, path: &Path) -> crate::Result<bool> {
        self.quoted.reset();
        let mut unquoted =
            Unquoted { text: std::mem::take(&mut self.text), ends: Vec::new(), n: (0, 0) };
        let mut fed = 0;
        let is_closed = loop {
            let line = &lines.bytes(self.bytes)[fed..];
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if unquoted.feed(&mut self.quoted, line) || unquoted.feed(&mut self.quoted, b"\n") {
                break true;
            }
            fed = self.bytes;
            match lines.end_of_line(fed, path)? {
                Some(End::At(end)) if end <= LONGEST_LINE => {
                    self.bytes = end;
                    self.lines += 1;
                }
                _ => break false,
            }
        };
        let (n_text, n_fields) = unquoted.n;
        self.text = unquoted.text;
        self.text.truncate(n_text);
        let ends = || unquoted.ends.iter().copied().take(n_fields);
        self.fields.extend(std::iter::once(0).chain(ends()).zip(ends()));
        // What ends a line is not part of its last field.
        if lines.bytes(self.bytes).ends_with(b"\r\n")
            && let Some((start, end)) = self.fields.last_mut()
            && self.text.get(*start..*end).is_some_and(|field| field.ends_with(b"\r"))
        {
            *end -= 1;
        }
        Ok(is_closed)
    }
}

/// The fields of a record without their quotes, as far as it was read.
struct Unquoted {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Bytes and fields that are there.
    n: (usize, usize),
}

impl Unquoted {
    /// Reads on; true at the end of the record.
    fn feed(&mut self, reader: &mut csv_core::Reader, mut input: &[u8]) -> bool {
        while !input.is_empty() {
            self.text.resize(self.text.len().max(self.n.0 + input.len() + 1), 0);
            self.ends.resize(self.ends.len().max(self.n.1 + 64), 0);
            let (text, ends) = (&mut self.text[self.n.0..], &mut self.ends[self.n.1..]);
            let (result, n_in, n_text, n_ends) = reader.read_record(input, text, ends);
            input = input.get(n_in..).unwrap_or_default();
            self.n = (self.n.0 + n_text, self.n.1 + n_ends);
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                return true;
            }
        }
        false
    }
}

/// A line without its end.
pub(super) fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Rows of texts that become columns.
pub(super) struct Builder {
    file: usize,
    lines: Vec<u64>,
    columns: Vec<StringBuilder>,
    bytes: usize,
    rejects: Vec<Reject>,
}

impl Builder {
    pub(super) fn new(file: usize, n_columns: usize) -> Self {
        let columns = std::iter::repeat_with(StringBuilder::new).take(n_columns).collect();
        Self { file, lines: Vec::new(), columns, bytes: 0, rejects: Vec::new() }
    }

    /// Adds a row; false if it is no text.
    fn push(&mut self, line: u64, record: &Record) -> bool {
        // Fields are cut at characters of one byte, so they are text where all of it is.
        let Ok(text) = std::str::from_utf8(&record.text) else { return false };
        for (column, (start, end)) in self.columns.iter_mut().zip(&record.fields) {
            match text.get(*start..*end) {
                Some(field) if !field.is_empty() => column.append_value(field),
                _ => column.append_null(),
            }
        }
        self.row(line, record.bytes);
        true
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
