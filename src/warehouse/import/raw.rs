use std::path::{Path, PathBuf};

use duckdb::Connection;
use kernel::expression::{quote_identifier, quote_text};

use super::Delimiter;
use super::Reject;
use super::source::{Format, Source, blanks_to_tabs};
use crate::{Error, Result};

/// The rows of the files as they are, in a table `raw` with columns `line`, `file`, `c0`, `c1`, ….
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// The columns, in the order of `c0`, `c1`, ….
    pub(crate) columns: Vec<RawColumn>,
    /// Rows that are not even rows.
    pub(crate) rejects: Vec<Reject>,
    /// Files that were rewritten to be read, and what they were made from.
    rewritten: Vec<(String, String)>,
}

impl Raw {
    /// The file that a person knows, by the one that was read.
    pub(super) fn original(&self, file: &str) -> String {
        let known = self.rewritten.iter().find(|(read, _)| read == file);
        known.map_or_else(|| file.to_owned(), |(_, original)| original.clone())
    }

    /// The line of a row in its file, given its line without the rows that could not be read.
    pub(super) fn true_line(&self, source: &str, line: u64) -> u64 {
        let lost = self.rejects.iter().filter(|reject| reject.source == source);
        lost.fold(line, |line, reject| line + u64::from(reject.line <= line))
    }
}

/// A column of the files.
#[derive(Clone, Debug)]
pub(crate) struct RawColumn {
    pub(crate) name: String,
    /// Its type in DuckDB; VARCHAR for all text formats.
    pub(crate) sql_type: String,
}

/// Longest line of a text file, in bytes.
const LONGEST_LINE: usize = 8 * 1024 * 1024;
/// Characters of a rejected row that are kept.
const KEPT_CONTENT: usize = 500;

/// Reads files into `raw`: all rows, or the first so many.
pub(crate) fn read(
    connection: &Connection,
    source: &Source,
    scratch: &Path,
    limit: Option<usize>,
) -> Result<Raw> {
    let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    match &source.format {
        Format::Parquet => read_parquet(connection, source, &limit),
        Format::Ndjson => read_ndjson(connection, source, &limit),
        Format::Text { delimiter: Delimiter::Blanks, header, names } => {
            let mut tabbed = Vec::with_capacity(source.files.len());
            for (n, file) in source.files.iter().enumerate() {
                let out = scratch.with_extension(format!("{n}.tsv"));
                blanks_to_tabs(&mut *source.open(file)?, &out, file)?;
                tabbed.push(out);
            }
            let result =
                read_text(connection, source, &tabbed, '\t', false, (*header, names), &limit);
            for file in &tabbed {
                drop(std::fs::remove_file(file));
            }
            let name = |path: &PathBuf| path.display().to_string();
            let rewritten =
                tabbed.iter().zip(&source.files).map(|(read, from)| (name(read), name(from)));
            result.map(|raw| Raw { rewritten: rewritten.collect(), ..raw })
        }
        Format::Text { delimiter: Delimiter::Character(delimiter), header, names } => {
            let columns = (*header, names.as_slice());
            read_text(connection, source, &source.files, *delimiter, source.gzip, columns, &limit)
        }
    }
}

fn failed(source: &Source) -> impl Fn(duckdb::Error) -> Error {
    let path = source.files.first().cloned().unwrap_or_default();
    move |error| match error.to_string() {
        text if text.contains("INTERRUPT") => Error::Canceled,
        text => Error::File { path: path.clone(), message: first_line(&text) },
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn file_list(files: &[PathBuf]) -> String {
    // DuckDB takes names for globs; a character class of one character is that character.
    let escape = |c: char| match c {
        '[' | '*' | '?' => format!("[{c}]"),
        c => c.to_string(),
    };
    let name = |file: &PathBuf| {
        quote_text(&file.display().to_string().chars().map(escape).collect::<String>())
    };
    let files: Vec<String> = files.iter().map(name).collect();
    format!("[{}]", files.join(", "))
}

fn numbered(columns: &[String]) -> String {
    let named: Vec<String> =
        columns.iter().enumerate().map(|(n, column)| format!("{column} AS c{n}")).collect();
    named.join(", ")
}

fn texts(names: &[String]) -> Vec<RawColumn> {
    let column = |name: &String| RawColumn { name: name.clone(), sql_type: "VARCHAR".to_owned() };
    names.iter().map(column).collect()
}

fn read_text(
    connection: &Connection,
    source: &Source,
    files: &[PathBuf],
    delimiter: char,
    gzip: bool,
    (header, names): (bool, &[String]),
    limit: &str,
) -> Result<Raw> {
    let types: Vec<String> = (0..names.len()).map(|n| format!("'c{n}': 'VARCHAR'")).collect();
    let quote = if source.format_has_quotes() { "'\"'" } else { "''" };
    let sql = format!(
        "CREATE TABLE raw AS SELECT row_number() OVER () AS line, * FROM read_csv({files},
            auto_detect = false, columns = {{{types}}}, delim = {delimiter}, header = {header},
            quote = {quote}, escape = {quote}, nullstr = '', strict_mode = true,
            store_rejects = true, rejects_limit = 0, max_line_size = {LONGEST_LINE},
            compression = '{compression}', filename = 'file', hive_partitioning = false){limit}",
        files = file_list(files),
        types = types.join(", "),
        delimiter = quote_text(&delimiter.to_string()),
        compression = if gzip { "gzip" } else { "none" },
    );
    connection.execute_batch(&sql).map_err(failed(source))?;
    let rejects = text_rejects(connection, source, files)?;
    number_lines(connection, header)?;
    Ok(Raw { columns: texts(names), rejects, rewritten: Vec::new() })
}

/// What DuckDB's reader could not split into columns.
fn text_rejects(
    connection: &Connection,
    source: &Source,
    files: &[PathBuf],
) -> Result<Vec<Reject>> {
    let read = || {
        let mut statement = connection.prepare(&format!(
            "SELECT s.file_path, e.line, lower(replace(CAST(e.error_type AS VARCHAR), '_', ' ')),
                left(e.csv_line, {KEPT_CONTENT})
             FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id)
             QUALIFY row_number() OVER (PARTITION BY s.file_path, e.line ORDER BY e.byte_position) = 1
             ORDER BY 1, 2"
        ))?;
        let rows = statement.query_map([], |row| {
            let path: String = row.get(0)?;
            let original = files
                .iter()
                .position(|file| file.display().to_string() == path)
                .and_then(|position| source.files.get(position));
            Ok(Reject {
                source: original.map_or(path, |file| file.display().to_string()),
                line: row.get(1)?,
                column: None,
                reason: row.get(2)?,
                content: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            })
        })?;
        rows.collect::<duckdb::Result<Vec<_>>>()
    };
    read().map_err(failed(source))
}

/// Turns row numbers over all files into line numbers of each file, the header counted in.
fn number_lines(connection: &Connection, header: bool) -> Result<()> {
    let header = u8::from(header);
    connection
        .execute_batch(&format!(
            "CREATE TABLE first_rows AS
                SELECT file, min(line) AS first_row FROM raw GROUP BY file;
             UPDATE raw SET line = line - first_row + 1 + {header} FROM first_rows
                WHERE first_rows.file = raw.file;
             DROP TABLE first_rows;"
        ))
        .map_err(Error::duckdb("number lines"))
}

fn read_parquet(connection: &Connection, source: &Source, limit: &str) -> Result<Raw> {
    let files = file_list(&source.files);
    let describe = || {
        let sql = format!(
            "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet({files}, hive_partitioning = false))"
        );
        let mut statement = connection.prepare(&sql)?;
        let rows = statement
            .query_map([], |row| Ok(RawColumn { name: row.get(0)?, sql_type: row.get(1)? }))?;
        rows.collect::<duckdb::Result<Vec<_>>>()
    };
    let columns = describe().map_err(failed(source))?;
    let selected: Vec<String> =
        columns.iter().map(|column| quote_identifier(&column.name)).collect();
    let sql = format!(
        "CREATE TABLE raw AS SELECT file_row_number + 1 AS line, \"$file\" AS file, {}
         FROM read_parquet({files}, file_row_number = true, filename = '$file', hive_partitioning = false){limit}",
        numbered(&selected)
    );
    connection.execute_batch(&sql).map_err(failed(source))?;
    Ok(Raw { columns, rejects: Vec::new(), rewritten: Vec::new() })
}

fn read_ndjson(connection: &Connection, source: &Source, limit: &str) -> Result<Raw> {
    let sql = format!(
        "CREATE TABLE lines AS SELECT row_number() OVER () AS line, file, trim(text) AS text
         FROM read_csv({files}, auto_detect = false, columns = {{'text': 'VARCHAR'}},
            delim = '\x1f', header = false, quote = '', escape = '', max_line_size = {LONGEST_LINE},
            compression = '{compression}', filename = 'file', hive_partitioning = false,
            store_rejects = true, rejects_limit = 0){limit};
         CREATE TABLE first_rows AS SELECT file, min(line) AS first_row FROM lines GROUP BY file;
         UPDATE lines SET line = line - first_row + 1 FROM first_rows
            WHERE first_rows.file = lines.file;",
        files = file_list(&source.files),
        compression = if source.gzip { "gzip" } else { "none" },
    );
    connection.execute_batch(&sql).map_err(failed(source))?;
    let structure: Option<String> = connection
        .query_row(
            "SELECT CAST(json_group_structure(CAST(text AS JSON)) AS VARCHAR) FROM lines
             WHERE json_valid(text) AND json_type(text) = 'OBJECT'",
            [],
            |row| row.get(0),
        )
        .map_err(failed(source))?;
    let mut pointers = Vec::new();
    if let Some(Ok(serde_json::Value::Object(object))) =
        structure.as_deref().map(serde_json::from_str::<serde_json::Value>)
    {
        leaves(&object, "", "", &mut pointers);
    }
    let extracts: Vec<String> = pointers
        .iter()
        .map(|(_, pointer)| format!("json_extract_string(text, {})", quote_text(pointer)))
        .collect();
    let columns =
        if extracts.is_empty() { String::new() } else { format!(", {}", numbered(&extracts)) };
    connection
        .execute_batch(&format!(
            "CREATE TABLE raw AS SELECT line, file{columns} FROM lines
             WHERE json_valid(text) AND json_type(text) = 'OBJECT'"
        ))
        .map_err(failed(source))?;
    let mut rejects = text_rejects(connection, source, &source.files)?;
    rejects.extend(json_rejects(connection).map_err(failed(source))?);
    let names: Vec<String> = pointers.into_iter().map(|(name, _)| name).collect();
    Ok(Raw { columns: texts(&names), rejects, rewritten: Vec::new() })
}

/// Names (`outer.inner`) and JSON pointers of all scalar places in a structure.
fn leaves(
    object: &serde_json::Map<String, serde_json::Value>,
    name: &str,
    pointer: &str,
    found: &mut Vec<(String, String)>,
) {
    for (key, inner) in object {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        match inner {
            serde_json::Value::Object(inner) => leaves(inner, &name, &pointer, found),
            _ => found.push((name, pointer)),
        }
    }
}

fn json_rejects(connection: &Connection) -> duckdb::Result<Vec<Reject>> {
    let mut statement = connection.prepare(&format!(
        "SELECT file, line, left(text, {KEPT_CONTENT}) FROM lines
         WHERE NOT json_valid(text) OR json_type(text) <> 'OBJECT' ORDER BY file, line"
    ))?;
    let rows = statement.query_map([], |row| {
        Ok(Reject {
            source: row.get(0)?,
            line: row.get(1)?,
            column: None,
            reason: "this line is not a JSON object".to_owned(),
            content: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        })
    })?;
    rows.collect()
}

impl Source {
    /// Whether quotes keep a delimiter inside of a field.
    fn format_has_quotes(&self) -> bool {
        !matches!(self.format, Format::Text { delimiter: Delimiter::Blanks, .. })
    }
}
