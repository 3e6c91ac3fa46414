use memchr::memchr;

use crate::import::source::Delimiter;

/// Splits the lines of a text file into fields.
///
/// A field is quoted if it begins with a quote; then delimiters and line breaks inside of it are text, two
/// quotes are one, and a quote before a delimiter or at the end of a line closes it. A quote anywhere else is
/// text, so `5" pipe` and `"big" shoes` are read as they stand. In a tab-separated file a quoted field may hold
/// line breaks or tabs, but not both: else its quote is text, because tools that write tabs often quote nothing.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    delimiter: Delimiter,
    /// Whether a backslash before a quote keeps the quote as text.
    has_backslashes: bool,
    /// The fields without their quotes, one after the other.
    text: Vec<u8>,
    /// Where each field begins and ends in `text`.
    ends: Vec<(usize, usize)>,
    /// Where the field that is still open begins in `text`.
    open: usize,
    /// Whether a field took several lines and has a delimiter in it.
    is_mixed: bool,
}

/// Whether a record ends with its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It does.
    Complete,
    /// A quoted field goes on in the next line.
    Open,
}

impl Fields {
    pub(crate) fn new(delimiter: Delimiter, has_backslashes: bool) -> Self {
        let (text, ends) = (Vec::new(), Vec::new());
        Self { delimiter, has_backslashes, text, ends, open: 0, is_mixed: false }
    }

    /// Whether runs of blanks separate the fields.
    pub(crate) fn is_blanks(&self) -> bool {
        self.delimiter == Delimiter::Blanks
    }

    /// The number of fields of the record.
    pub(crate) fn n(&self) -> usize {
        self.ends.len()
    }

    /// The fields of the record; none if they are not UTF-8.
    pub(crate) fn texts(&self) -> Option<impl Iterator<Item = &str>> {
        // Fields are cut at characters of one byte, so they are text where all of it is.
        let text = std::str::from_utf8(&self.text).ok()?;
        Some(self.ends.iter().map(|(start, end)| text.get(*start..*end).unwrap_or_default()))
    }

    /// Whether the fields from a place on are all empty.
    pub(crate) fn are_empty_from(&self, place: usize) -> bool {
        self.ends.iter().skip(place).all(|(start, end)| start == end)
    }

    /// Reads the first line of a record, without its end.
    pub(crate) fn read(&mut self, line: &[u8]) -> Line {
        self.start(line, false)
    }

    /// Reads a line on its own: a quote that nothing closes in it is text.
    pub(crate) fn read_alone(&mut self, line: &[u8]) {
        self.start(line, true);
    }

    /// Reads one more line of an open record; `end` is how the line before it ended.
    pub(crate) fn read_on(&mut self, end: &[u8], line: &[u8]) -> Line {
        self.text.extend_from_slice(end);
        let Delimiter::Character(_) = self.delimiter else { return Line::Complete };
        let Some(at) = self.quoted(line, 0, None) else { return Line::Open };
        self.is_mixed |= memchr(self.byte(), &self.text[self.open..]).is_some();
        if at >= line.len() { Line::Complete } else { self.split(line, at + 1, false) }
    }

    /// Whether the quote of a field that took several lines, or that nothing closes, is text: see [`Fields`].
    pub(crate) fn is_lone_quote(&self, read: Line) -> bool {
        self.delimiter == Delimiter::Character('\t') && (self.is_mixed || read == Line::Open)
    }

    fn byte(&self) -> u8 {
        match self.delimiter {
            Delimiter::Character(c) => u8::try_from(c).unwrap_or(b','),
            Delimiter::Blanks => b' ',
        }
    }

    fn start(&mut self, line: &[u8], is_alone: bool) -> Line {
        self.text.clear();
        self.ends.clear();
        self.is_mixed = false;
        if self.delimiter != Delimiter::Blanks {
            return self.split(line, 0, is_alone);
        }
        self.text.extend_from_slice(line);
        let text = std::str::from_utf8(line).unwrap_or_default();
        for word in text.split_whitespace() {
            let start = word.as_ptr().addr() - text.as_ptr().addr();
            self.ends.push((start, start + word.len()));
        }
        Line::Complete
    }

    /// Reads fields from a place in a line on.
    fn split(&mut self, line: &[u8], mut at: usize, is_alone: bool) -> Line {
        loop {
            at = match line.get(at) {
                Some(b'"') => {
                    self.open = self.text.len();
                    match self.quoted(line, at + 1, Some(at)) {
                        Some(next) => next,
                        None if is_alone => {
                            self.text.truncate(self.open);
                            self.plain(line, at)
                        }
                        None => return Line::Open,
                    }
                }
                _ => self.plain(line, at),
            };
            if at >= line.len() {
                return Line::Complete;
            }
            at += 1;
        }
    }

    /// Adds what stands up to the next delimiter as a field; where it ends.
    fn plain(&mut self, line: &[u8], at: usize) -> usize {
        let end = self.end_of_field(line, at);
        self.push(&line[at..end]);
        end
    }

    fn push(&mut self, field: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(field);
        self.ends.push((start, self.text.len()));
    }

    fn end_of_field(&self, line: &[u8], from: usize) -> usize {
        memchr(self.byte(), &line[from..]).map_or(line.len(), |place| from + place)
    }

    /// Reads a quoted field from after its quote, which stands at `quote` of the record's first line. Where it
    /// ends in the line; none if it goes on in the next.
    fn quoted(&mut self, line: &[u8], mut from: usize, quote: Option<usize>) -> Option<usize> {
        loop {
            let Some(found) = memchr(b'"', &line[from..]).map(|place| from + place) else {
                self.text.extend_from_slice(&line[from..]);
                return None;
            };
            if self.has_backslashes && is_escaped(&line[from..found]) {
                self.text.extend_from_slice(&line[from..found - 1]);
                self.text.push(b'"');
                from = found + 1;
                continue;
            }
            match (line.get(found + 1), quote) {
                (Some(b'"'), _) => {
                    self.text.extend_from_slice(&line[from..=found]);
                    from = found + 2;
                }
                (next, _) if next.is_none_or(|next| *next == self.byte()) => {
                    self.text.extend_from_slice(&line[from..found]);
                    self.ends.push((self.open, self.text.len()));
                    return Some(found + 1);
                }
                // A quote inside that should have been two: the field is what stands up to the delimiter.
                (_, Some(quote)) => {
                    let end = self.end_of_field(line, found);
                    self.text.truncate(self.open);
                    match line.get(quote + 1..end - 1) {
                        Some(inside) if line[end - 1] == b'"' && end - 1 > found => {
                            self.push(inside)
                        }
                        _ => self.push(&line[quote..end]),
                    }
                    return Some(end);
                }
                (_, None) => {
                    self.text.extend_from_slice(&line[from..=found]);
                    from = found + 1;
                }
            }
        }
    }
}

/// Whether what stands after a text is escaped: the text ends with an odd number of backslashes.
fn is_escaped(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_of(lines: &[&str], delimiter: char, has_backslashes: bool) -> Option<Vec<String>> {
        let mut fields = Fields::new(Delimiter::Character(delimiter), has_backslashes);
        let mut read = fields.read(lines[0].as_bytes());
        for line in &lines[1..] {
            assert_eq!(read, Line::Open, "{lines:?}");
            read = fields.read_on(b"\n", line.as_bytes());
        }
        let texts = fields.texts().unwrap().map(str::to_owned).collect();
        (read == Line::Complete).then_some(texts)
    }

    #[test]
    fn quotes_are_read_by_one_rule() {
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(fields_of(&[line], ',', false).unwrap(), expected, "{line}");
        };
        check("a,b,", &["a", "b", ""]);
        check("", &[""]);
        check("\"a,\"\"b\"\"\",c", &["a,\"b\"", "c"]);
        check("\"\",x", &["", "x"]);
        check("5\" pipe,x", &["5\" pipe", "x"]);
        check("\"big\" shoes,\"x\"", &["\"big\" shoes", "x"]);
        check("\"a \"quoted\" b\",x", &["a \"quoted\" b", "x"]);
        check("x, \"y\"", &["x", " \"y\""]);
        assert_eq!(fields_of(&["\"open,x"], ',', false), None);
        assert_eq!(fields_of(&["\"a \\\"b\\\", c\",d"], ',', true).unwrap(), ["a \"b\", c", "d"]);
        let lines = ["1,\"one, \"\"two\"\"", "", "three\",4"];
        assert_eq!(fields_of(&lines, ',', false).unwrap(), ["1", "one, \"two\"\n\nthree", "4"]);
    }

    #[test]
    fn a_lone_quote_between_tabs_is_text() {
        let mut fields = Fields::new(Delimiter::Character('\t'), false);
        assert_eq!(fields.read(b"u2\t1\t\"hello"), Line::Open);
        let read = fields.read_on(b"\n", b"u3\t2\tworld\"");
        assert!(read == Line::Complete && fields.is_lone_quote(read));
        fields.read_alone(b"u2\t1\t\"hello");
        assert_eq!(fields.texts().unwrap().collect::<Vec<_>>(), ["u2", "1", "\"hello"]);
        // Line breaks without tabs are a cell of several lines.
        assert_eq!(fields.read(b"u2\t\"hello"), Line::Open);
        let read = fields.read_on(b"\n", b"world\"\t1");
        assert!(read == Line::Complete && !fields.is_lone_quote(read));
        assert_eq!(fields.texts().unwrap().collect::<Vec<_>>(), ["u2", "hello\nworld", "1"]);
        assert_eq!(fields.read(b"u2\t\"a\tb\"\t1"), Line::Complete);
        assert_eq!(fields.n(), 3);
    }
}
