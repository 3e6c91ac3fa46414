use std::collections::HashSet;

use super::read::{Fields, Line};
use super::roles;
use super::source::Delimiter;
use super::time_format::TimeFormat;

/// How text files are written, as far as all files of an import must be written alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: Delimiter,
    /// Whether the first line of columns has their names.
    pub(crate) has_header: bool,
    /// The names of the columns, which may be made.
    pub(crate) names: Vec<String>,
    /// Whether a backslash keeps a quote that follows it.
    pub(crate) has_backslashes: bool,
}

/// How one file is laid out, which may differ between the files of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Lines before the columns begin, such as comments.
    pub(crate) skipped: u64,
    /// The byte that ends a line.
    pub(crate) line_end: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self { skipped: 0, line_end: b'\n' }
    }
}

/// Records that are looked at to know what separates the columns.
const HEAD_RECORDS: usize = 200;
/// The most lines before the columns.
const MOST_SKIPPED: usize = 40;

/// The dialect of a text by its beginning, which may be cut; none if no columns are found.
pub(crate) fn detect(head: &str, is_whole: bool) -> Option<(Dialect, Layout)> {
    let line_end = match head.contains('\n') || !head.contains('\r') {
        true => b'\n',
        false => b'\r',
    };
    let lines = lines_of(head, line_end, is_whole);
    // Excel's own first line.
    let first = lines.first()?.trim();
    let said = first.get(..4).filter(|start| start.eq_ignore_ascii_case("sep="));
    let said = said.and_then(|_| first[4..].chars().next()).map(Delimiter::Character);
    let n_before = usize::from(said.is_some());
    let lines = lines.get(n_before..)?;
    let candidates = match said {
        Some(delimiter) => vec![delimiter],
        None => [',', '\t', ';', '|'].map(Delimiter::Character).to_vec(),
    };
    let found =
        candidates.into_iter().filter_map(|delimiter| Table::find(lines, delimiter, is_whole));
    let found = found
        .max_by_key(|table| (table.is_regular, std::cmp::Reverse(table.n_skipped), table.width));
    let table = match found {
        None if said.is_none() => Table::find(lines, Delimiter::Blanks, is_whole)?,
        found => found?,
    };
    let skipped = (n_before + table.line) as u64;
    Some((table.dialect(), Layout { skipped, line_end }))
}

/// The lines of a text without their ends; the last one may be cut, and is left out then.
fn lines_of(head: &str, line_end: u8, is_whole: bool) -> Vec<&str> {
    let mut lines: Vec<&str> = head.split(char::from(line_end)).collect();
    if (!is_whole && lines.len() > 1) || lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
}

/// One record of the beginning.
struct Record {
    /// Its first line, from 0.
    line: usize,
    fields: Vec<String>,
}

/// The columns that a delimiter finds.
struct Table {
    delimiter: Delimiter,
    has_backslashes: bool,
    header: Record,
    rows: Vec<Record>,
    /// The line that it begins with, from 0.
    line: usize,
    /// Records before it that are no comments.
    n_skipped: usize,
    width: usize,
    /// Whether nearly all rows have all columns.
    is_regular: bool,
}

impl Table {
    fn find(lines: &[&str], delimiter: Delimiter, is_whole: bool) -> Option<Self> {
        let has_backslashes = has_backslashes(lines, delimiter);
        let mut records = records(lines, delimiter, has_backslashes, is_whole);
        let usual = usual_width(&records)?;
        let is_comment = |record: &Record| {
            let first = record.fields.first().map_or("", String::as_str);
            first.starts_with('#') || first.starts_with("//")
        };
        // A comment is no header, unless it is the only line that can be one.
        let mut start = records
            .iter()
            .enumerate()
            .take(MOST_SKIPPED)
            .take_while(|(place, record)| {
                let next = records.get(place + 1);
                is_comment(record)
                    && (record.fields.len() != usual
                        || next
                            .is_some_and(|next| is_comment(next) || is_header_like(&next.fields)))
            })
            .count();
        let mut n_skipped = 0;
        let width = records.get(start)?.fields.len();
        if width < usual {
            // Lines about the file: narrower than the columns, and no names of columns themselves.
            let before = records[start..].iter().take(MOST_SKIPPED + 1);
            n_skipped = before.take_while(|record| record.fields.len() < usual).count();
            let before = &records[start..(start + n_skipped).min(records.len())];
            let is_about = |record: &Record| {
                record.fields.len() == 1
                    || (record.fields.len() + 1 < usual && !is_header_like(&record.fields))
            };
            let has_rows = start + n_skipped + 1 < records.len() && delimiter != Delimiter::Blanks;
            match has_rows && n_skipped <= MOST_SKIPPED && before.iter().all(is_about) {
                true => start += n_skipped,
                false => n_skipped = 0,
            }
        }
        let rows = records.split_off((start + 1).min(records.len()));
        let header = records.pop()?;
        let width = header.fields.len();
        // Some programs end each line with a delimiter.
        let is_alike = |record: &&Record| {
            let fields = &record.fields;
            fields.len() >= width && fields[width..].iter().all(String::is_empty)
        };
        let alike = rows.iter().filter(is_alike).count();
        // A few bad lines are rows to reject; more of them mean that it is something else.
        let is_regular = alike * 10 >= rows.len() * 8;
        let is_known =
            alike > 0 && delimiter != Delimiter::Blanks && is_header_like(&header.fields);
        let line = header.line;
        let table =
            Self { delimiter, has_backslashes, header, rows, line, n_skipped, width, is_regular };
        (width > 1 && (is_regular || is_known)).then_some(table)
    }

    fn dialect(self) -> Dialect {
        let has_header = self.has_header();
        let names = if has_header {
            // An index without a name, as some tools write it, is a column like any other.
            let name = |(n, name): (usize, &String)| match name.trim_start_matches('#').trim() {
                "" => format!("column_{}", n + 1),
                _ if n > 0 => name.trim().to_owned(),
                name => name.to_owned(),
            };
            self.header.fields.iter().enumerate().map(name).collect()
        } else {
            (1..=self.width).map(|n| format!("column_{n}")).collect()
        };
        let (delimiter, has_backslashes) = (self.delimiter, self.has_backslashes);
        Dialect { delimiter, has_header, names: unique(names), has_backslashes }
    }

    /// Whether the first line has names: no column has a number or a time there as in most of its rows.
    fn has_header(&self) -> bool {
        let fields = &self.header.fields;
        if fields.iter().all(|field| field.trim().is_empty()) {
            return false;
        }
        let formats = TimeFormat::known();
        let kind = |field: &str| Kind::of(field, &formats);
        fields.iter().enumerate().all(|(place, field)| {
            let first = kind(field);
            if !matches!(first, Kind::Number | Kind::Time) {
                return true;
            }
            let values = self.rows.iter().filter_map(|row| row.fields.get(place));
            let kinds = values.map(|value| kind(value)).filter(|kind| *kind != Kind::Missing);
            let (alike, others): (Vec<Kind>, Vec<Kind>) = kinds.partition(|kind| *kind == first);
            alike.len() < others.len()
        })
    }
}

/// What a field looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Number,
    Time,
    Text,
}

impl Kind {
    fn of(field: &str, formats: &[TimeFormat]) -> Self {
        let field = field.trim();
        match field.as_bytes().first() {
            _ if kernel::domain::is_missing(field) => Self::Missing,
            _ if field.parse::<f64>().is_ok() => Self::Number,
            _ if formats.iter().any(|format| format.micros(field).is_some()) => Self::Time,
            _ => Self::Text,
        }
    }
}

/// Whether fields are names of columns: one is known as such, and none is a number or a time.
fn is_header_like(fields: &[String]) -> bool {
    let formats = TimeFormat::known();
    fields.len() > 1
        && fields.iter().any(|field| roles::is_known(field))
        && !fields
            .iter()
            .any(|field| matches!(Kind::of(field, &formats), Kind::Number | Kind::Time))
}

/// The number of fields that most records have, if it is more than one; of two, the larger.
fn usual_width(records: &[Record]) -> Option<usize> {
    let mut widths: Vec<usize> = records.iter().map(|record| record.fields.len()).collect();
    widths.sort_unstable();
    let runs = widths.chunk_by(|left, right| left == right);
    let runs = runs.filter(|run| run[0] > 1);
    runs.max_by_key(|run| run.len()).map(|run| run[0])
}

/// Whether a backslash keeps a quote: one stands before a quote inside of a quoted field.
fn has_backslashes(lines: &[&str], delimiter: Delimiter) -> bool {
    let Delimiter::Character(delimiter) = delimiter else { return false };
    let is_kept = |line: &&str| {
        let mut after = line.match_indices("\\\"").filter_map(|(at, _)| line.get(at + 2..));
        line.contains(['"'])
            && after.any(|rest| !rest.is_empty() && !rest.starts_with([delimiter, '"']))
    };
    lines.iter().any(is_kept)
}

/// The first records; blank lines are none.
fn records(
    lines: &[&str],
    delimiter: Delimiter,
    has_backslashes: bool,
    is_whole: bool,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut fields = Fields::new(delimiter, has_backslashes);
    let mut at = 0;
    while at < lines.len() && records.len() < HEAD_RECORDS {
        let line = at;
        if lines[line].trim().is_empty() {
            at += 1;
            continue;
        }
        let mut read = fields.read(lines[line].as_bytes());
        let mut end = line + 1;
        while read == Line::Open && end < lines.len() {
            read = fields.read_on(b"\n", lines[end].as_bytes());
            end += 1;
        }
        at = end;
        if fields.is_lone_quote(read) || (read == Line::Open && is_whole) {
            fields.read_alone(lines[line].as_bytes());
            at = line + 1;
        } else if read == Line::Open {
            // It goes on after the cut.
            break;
        }
        let fields = fields.texts().map(|texts| texts.map(str::to_owned).collect());
        records.push(Record { line, fields: fields.unwrap_or_default() });
    }
    records
}

/// The same names with numbers after repeated ones (SQL ignores case).
pub(crate) fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen: HashSet<String> = HashSet::with_capacity(names.len());
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|candidate| seen.insert(candidate.to_lowercase()));
        unique.push(free.unwrap_or(name));
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Delimiter = Delimiter::Character(',');

    fn check(text: &str, delimiter: Delimiter, names: &[&str], skipped: u64) {
        let (dialect, layout) = detect(text, true).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((dialect.delimiter, layout.skipped), (delimiter, skipped), "{text}");
        assert_eq!(dialect.names, names, "{text}");
    }

    #[test]
    fn delimiters_and_headers_are_found() {
        check("id,at\n7,1997-01-01", COMMA, &["id", "at"], 0);
        check("\"a,b\";c\n1;2", Delimiter::Character(';'), &["a,b", "c"], 0);
        check(" id date\n 00001 19970101", Delimiter::Blanks, &["id", "date"], 0);
        check("1,2\n3,4", COMMA, &["column_1", "column_2"], 0);
        check("a,A,a\n1,2,3", COMMA, &["a", "A_2", "a_3"], 0);
        check("id,at\r7,1997-01-01\r8,1997-01-02", COMMA, &["id", "at"], 0);
        check("sep=;\nid;at,x\n1;2,3", Delimiter::Character(';'), &["id", "at,x"], 1);
        assert_eq!(detect("this is prose\nand no table at all", true), None);
        // Decimal commas are no delimiters.
        let german = "id;tag;amount\n1;01.02.2024;12,50\n2;02.02.2024;7,00";
        check(german, Delimiter::Character(';'), &["id", "tag", "amount"], 0);
    }

    #[test]
    fn a_first_line_like_the_others_is_no_header() {
        let made = ["column_1", "column_2", "column_3"];
        let log = "alice,2024-01-05T09:00:00Z,signup\nbob,2024-01-05T09:10:00Z,visit";
        check(log, COMMA, &made, 0);
        check("a,05/01/2024,x\nb,06/01/2024,y", COMMA, &made, 0);
        check("a,,x\nb,2024-01-01,y", COMMA, &["a", "column_2", "x"], 0);
        check("customer,2024,note\na,x,y\nb,z,w", COMMA, &["customer", "2024", "note"], 0);
    }

    #[test]
    fn lines_about_the_file_are_skipped_and_columns_are_not() {
        let table = "clientId,date,pages\nk1,20240101,3\nk2,20240102,1\n";
        let names = ["clientId", "date", "pages"];
        check(&format!("# ---\n# All data\n\n{table}\n,,10"), COMMA, &names, 3);
        check(&format!("Visits of all sites\nfor 2024\n{table}"), COMMA, &names, 2);
        check(&format!("#{table}"), COMMA, &names, 0);
        check(&format!("# a, b, c\n{table}"), COMMA, &names, 1);
        // A file that grew: its first lines have fewer columns, and are rows all the same.
        let grown = |n_before: usize| {
            let before: String = (0..n_before).map(|n| format!("K{n},2024-03-01\n")).collect();
            let after: String = (0..100).map(|n| format!("K{n},2024-03-02,web\n")).collect();
            format!("customer_id,timestamp\n{before}{after}")
        };
        for n_before in [1, 5, 30, 90] {
            check(&grown(n_before), COMMA, &["customer_id", "timestamp"], 0);
        }
    }
}
