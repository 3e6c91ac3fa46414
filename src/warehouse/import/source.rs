use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What separates the columns of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimiter {
    /// One character between two columns.
    Character(char),
    /// Runs of blanks, also before the first column.
    Blanks,
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(',') => f.write_str("comma"),
            Self::Character('\t') => f.write_str("tab"),
            Self::Character(';') => f.write_str("semicolon"),
            Self::Character(c) => write!(f, "{c}"),
            Self::Blanks => f.write_str("blanks"),
        }
    }
}

/// The format of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Lines of columns; the names are in the first line, or made.
    Text { delimiter: Delimiter, header: bool, names: Vec<String> },
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// The files of one import, all of one format.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(super) files: Vec<PathBuf>,
    pub(super) format: Format,
    pub(super) gzip: bool,
}

/// Endings that are looked for in a folder.
const ENDINGS: [&str; 7] = ["csv", "tsv", "txt", "parquet", "ndjson", "jsonl", "json"];
/// Bytes of a file that are looked at to know its format.
const HEAD: usize = 256 * 1024;
/// Lines that are looked at to know what separates the columns.
const HEAD_LINES: usize = 200;

impl Source {
    /// Finds the files that are meant by paths, folders and globs, and their format.
    pub(crate) fn find(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(expand(path)?);
        }
        // The same file by two paths is one file.
        let mut seen = std::collections::BTreeSet::new();
        files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_gone| file.clone())));
        let Some(first) = files.first() else {
            return Err(Error::Mapping("name at least one file to import".to_owned()));
        };
        let (format, gzip) = detect(first)?;
        for file in files.iter().skip(1) {
            if detect(file)? != (format.clone(), gzip) {
                return Err(Error::File {
                    path: file.clone(),
                    message: format!(
                        "its format or columns are not those of {}; import it on its own",
                        first.display()
                    ),
                });
            }
        }
        Ok(Self { files, format, gzip })
    }

    /// What to call it on screen.
    pub(super) fn title(&self) -> String {
        let name = |path: &Path| {
            path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        match self.files.as_slice() {
            [only] => name(only),
            [first, rest @ ..] => format!("{} and {} more", name(first), rest.len()),
            [] => String::new(),
        }
    }
}

fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(Error::io("read", path))?;
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|file| file.is_file() && has_known_ending(file))
            .collect();
        files.sort();
        if files.is_empty() {
            let message = format!("there is no file to import in it ({})", ENDINGS.join(", "));
            return Err(Error::File { path: path.to_owned(), message });
        }
        return Ok(files);
    }
    let text = path.to_string_lossy();
    if !path.exists() && text.contains(['*', '?', '[']) {
        let bad = |message: String| Error::File { path: path.to_owned(), message };
        let matches =
            glob::glob(&text).map_err(|error| bad(format!("this is no glob: {error}")))?;
        let files: Vec<PathBuf> = matches.flatten().filter(|file| file.is_file()).collect();
        if files.is_empty() {
            return Err(bad("no file matches".to_owned()));
        }
        return Ok(files);
    }
    Ok(vec![path.to_owned()])
}

fn has_known_ending(file: &Path) -> bool {
    let name = file.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

fn open(file: &Path, gzip: bool) -> Result<Box<dyn BufRead>> {
    let reader = File::open(file).map_err(Error::io("read", file))?;
    Ok(if gzip {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(reader)))
    } else {
        Box::new(BufReader::new(reader))
    })
}

/// The format of a file by its content, and whether it is gzipped.
fn detect(path: &Path) -> Result<(Format, bool)> {
    let bad = |message: &str| Error::File { path: path.to_owned(), message: message.to_owned() };
    let mut magic = [0; 4];
    let mut reader = open(path, false)?;
    let n = reader.read(&mut magic).map_err(Error::io("read", path))?;
    if n == 0 {
        return Err(bad("the file is empty"));
    }
    if &magic == b"PAR1" {
        return Ok((Format::Parquet, false));
    }
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let mut head = Vec::new();
    let limit = u64::try_from(HEAD).unwrap_or(u64::MAX);
    open(path, gzip)?.take(limit).read_to_end(&mut head).map_err(Error::io("read", path))?;
    let whole = head.len() < HEAD;
    let text = match std::str::from_utf8(&head) {
        Ok(text) => text,
        // The cut may be inside of a character.
        Err(error) if !whole && error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Err(bad("this is neither UTF-8 text nor Parquet; convert it first")),
    };
    if text.contains('\0') {
        return Err(bad("this is neither UTF-8 text nor Parquet; convert it first"));
    }
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().chars().next() {
        None => Err(bad("the file has only blanks")),
        Some('{') => Ok((Format::Ndjson, gzip)),
        Some('[') => Err(bad("this is a JSON list; write one JSON object a line (NDJSON)")),
        Some(_) => {
            let mut lines: Vec<&str> = text.lines().take(HEAD_LINES).collect();
            if !whole && lines.len() < HEAD_LINES && lines.len() > 1 {
                lines.pop();
            }
            lines.retain(|line| !line.trim().is_empty());
            text_format(&lines).map(|format| (format, gzip)).ok_or_else(|| {
                bad(
                    "no columns were found: commas, tabs, semicolons, bars or blanks must separate \
                     the same number of columns in each line",
                )
            })
        }
    }
}

/// Finds what separates the columns: the character that gives most columns to most of the lines.
fn text_format(lines: &[&str]) -> Option<Format> {
    let width = |delimiter: Delimiter| {
        let first = split(lines.first()?, delimiter).len();
        let alike = lines.iter().filter(|line| split(line, delimiter).len() == first).count();
        // A few bad lines are rows to reject; more of them mean that it is something else.
        (first > 1 && alike * 10 >= lines.len() * 8).then_some(first)
    };
    let characters = [',', '\t', ';', '|'].map(Delimiter::Character);
    let delimiter = characters
        .into_iter()
        .filter_map(|delimiter| width(delimiter).map(|width| (width, delimiter)))
        .max_by_key(|(width, _)| *width)
        .map(|(_, delimiter)| delimiter)
        .or_else(|| width(Delimiter::Blanks).map(|_| Delimiter::Blanks))?;
    let first = split(lines.first()?, delimiter);
    let is_number = |field: &String| field.trim().parse::<f64>().is_ok();
    let header = !first.iter().any(is_number) && first.iter().any(|field| !field.trim().is_empty());
    let names = if header {
        // An index without a name, as some tools write it, is a column like any other.
        let name = |(n, name): (usize, &String)| match name.trim() {
            "" => format!("column_{}", n + 1),
            name => name.to_owned(),
        };
        first.iter().enumerate().map(name).collect()
    } else {
        (1..=first.len()).map(|n| format!("column_{n}")).collect()
    };
    Some(Format::Text { delimiter, header, names: unique(names) })
}

/// The same names with numbers after repeated ones (SQL ignores case).
fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let taken = |candidate: &str, seen: &[String]| {
            seen.iter().any(|known| known.to_lowercase() == candidate.to_lowercase())
        };
        let mut candidate = name.clone();
        let mut n = 2;
        while taken(&candidate, &seen) {
            candidate = format!("{name}_{n}");
            n += 1;
        }
        seen.push(candidate);
    }
    seen
}

/// The fields of one line, quotes taken off.
fn split(line: &str, delimiter: Delimiter) -> Vec<String> {
    let Delimiter::Character(delimiter) = delimiter else {
        return line.split_whitespace().map(str::to_owned).collect();
    };
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            c if c == delimiter && !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_and_headers_are_found() {
        let check = |lines: &[&str], delimiter: Delimiter, names: &[&str]| match text_format(lines)
        {
            Some(Format::Text { delimiter: found, names: columns, .. }) => {
                assert_eq!(found, delimiter, "{lines:?}");
                assert_eq!(columns, names, "{lines:?}");
            }
            other => panic!("{lines:?}: {other:?}"),
        };
        let comma = Delimiter::Character(',');
        check(&["id,at", "7,1997-01-01"], comma, &["id", "at"]);
        check(&["\"a,b\";c", "1;2"], Delimiter::Character(';'), &["a,b", "c"]);
        check(&[" id date", " 00001 19970101"], Delimiter::Blanks, &["id", "date"]);
        check(&["1,2", "3,4"], comma, &["column_1", "column_2"]);
        check(&["a,A,a", "1,2,3"], comma, &["a", "A_2", "a_3"]);
        assert_eq!(text_format(&["this is prose", "and no table at all"]), None);
    }
}
