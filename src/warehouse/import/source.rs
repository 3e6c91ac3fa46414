use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dialect::{self, Dialect, Layout};
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
    /// Lines of columns.
    Text(Dialect),
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// The files of one import, all of one format.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(super) files: Vec<PathBuf>,
    /// How each text file is laid out.
    layouts: Vec<Layout>,
    pub(super) format: Format,
    pub(super) gzip: bool,
}

/// Endings that are looked for in a folder.
const ENDINGS: [&str; 7] = ["csv", "tsv", "txt", "parquet", "ndjson", "jsonl", "json"];
/// Bytes of a file that are looked at to know its format.
const HEAD: usize = 256 * 1024;
/// Bytes that the first line may have.
const LONGEST_HEAD: usize = 8 << 20;

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
        let (format, layout, gzip) = detect(first)?;
        let mut layouts = vec![layout];
        for file in files.iter().skip(1) {
            let (own, layout, own_gzip) = detect(file)?;
            layouts.push(layout);
            if (own, own_gzip) != (format.clone(), gzip) {
                return Err(Error::File {
                    path: file.clone(),
                    message: format!(
                        "its format or columns are not those of {}; import it on its own",
                        first.display()
                    ),
                });
            }
        }
        Ok(Self { files, layouts, format, gzip })
    }

    /// A file by its place, and how it is laid out.
    pub(super) fn file(&self, place: usize) -> (&Path, Layout) {
        let layout = self.layouts.get(place).copied().unwrap_or_default();
        (self.files.get(place).map_or(Path::new(""), PathBuf::as_path), layout)
    }

    /// Lines of a file that come before its columns.
    pub(super) fn n_skipped(&self) -> u64 {
        self.layouts.iter().map(|layout| layout.skipped).max().unwrap_or_default()
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

/// Files of other formats, by how they begin, and what to do with them.
const REFUSED: [(&[u8], &str); 9] = [
    (
        b"PK\x03\x04",
        "this is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    ),
    (b"\xd0\xcf\x11\xe0", "this is an Excel workbook; save the sheet as CSV"),
    (b"\x28\xb5\x2f\xfd", "this is compressed with zstd; unpack it first (zstd -d)"),
    (b"BZh", "this is compressed with bzip2; unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "this is compressed with xz; unpack it first (unxz)"),
    (b"Obj\x01", "this is Avro; convert it to Parquet or NDJSON first"),
    (b"ARROW1", "this is Arrow IPC; convert it to Parquet first"),
    (b"\xff\xfe", "this is UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "this is UTF-16 text; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)"),
];

/// The format of a file by its content, how it is laid out, and whether it is gzipped.
fn detect(path: &Path) -> Result<(Format, Layout, bool)> {
    let bad = |message: &str| Error::File { path: path.to_owned(), message: message.to_owned() };
    let start = read_start(path, false, 8)?;
    if start.is_empty() {
        return Err(bad("the file is empty"));
    }
    if start.starts_with(b"PAR1") {
        return Ok((Format::Parquet, Layout::default(), false));
    }
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let mut head = read_start(path, gzip, HEAD)?;
    let mut is_whole = head.len() < HEAD;
    if !is_whole && memchr::memchr2(b'\n', b'\r', &head).is_none() {
        head = read_start(path, gzip, LONGEST_HEAD)?;
        is_whole = head.len() < LONGEST_HEAD;
        if !is_whole && memchr::memchr2(b'\n', b'\r', &head).is_none() {
            return Err(bad(
                "its first line is longer than 8 MB: this is no file of columns or of JSON objects",
            ));
        }
    }
    if let Some((_, message)) = REFUSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(bad(message));
    }
    let text = match std::str::from_utf8(&head) {
        Ok(text) => text,
        // The cut may be inside of a character.
        Err(error) if !is_whole && error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) if is_binary(&head) => {
            return Err(bad("this is neither UTF-8 text nor Parquet; convert it first"));
        }
        Err(error) => {
            let line =
                head[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            return Err(bad(&format!(
                "line {line} is not UTF-8; if it is Windows-1252 or Latin-1, convert it first \
                 (iconv -f WINDOWS-1252 -t UTF-8)"
            )));
        }
    };
    if text.contains('\0') {
        return Err(bad("this is neither UTF-8 text nor Parquet; convert it first"));
    }
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().chars().next() {
        None => Err(bad("the file has only blanks")),
        Some('{') => Ok((Format::Ndjson, Layout::default(), gzip)),
        Some('[') => Err(bad("this is a JSON list; write one JSON object a line (NDJSON)")),
        Some(_) => match dialect::detect(text, is_whole) {
            Some((dialect, layout)) => Ok((Format::Text(dialect), layout, gzip)),
            None => Err(bad(
                "no columns were found: commas, tabs, semicolons, bars or blanks must separate the same \
                 number of columns in each line; take off lines before the header that are no comments (#)",
            )),
        },
    }
}

/// The first bytes of a file, unpacked.
fn read_start(path: &Path, gzip: bool, bytes: usize) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut reader = open(path, gzip)?.take(u64::try_from(bytes).unwrap_or(u64::MAX));
    reader.read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start)
}

/// Whether bytes have control characters that texts do not have.
fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x01 | 0x0c))
}
