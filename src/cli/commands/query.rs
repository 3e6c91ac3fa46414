use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use workspace::{Project, Value};

use super::Result;
use crate::arguments::Query;
use crate::{Failure, output};

/// Rows that are printed; a file has all.
const SHOWN: usize = 1_000;
/// The longest query that is read from a file or from standard input, in bytes.
const MAX_QUERY_BYTES: u64 = 16 << 20;

pub(super) fn run(arguments: &Query) -> Result {
    let sql = sql(arguments)?;
    let project = Project::open(&arguments.of.project)?;
    let job = output::watched_job();
    if let Some(out) = &arguments.out {
        match arguments.escape_formulas {
            true => project.export_without_formulas(&sql, out, &job)?,
            false => project.export(&sql, out, &job)?,
        }
        let path = out.display().to_string();
        if arguments.json.json {
            output::json(&json!({ "out": path }));
        } else {
            output::line(&format!("wrote {path}"));
        }
        return Ok(());
    }
    if arguments.json.json {
        let (result, are_json) = project.query_json(&sql, SHOWN, &job)?;
        let cell = |(value, is_json): (&Value, &bool)| match value {
            Value::Text(text) if *is_json => {
                serde_json::from_str(text).unwrap_or_else(|_not_finite| value.to_json())
            }
            value => value.to_json(),
        };
        let rows: Vec<Vec<serde_json::Value>> =
            result.rows.iter().map(|row| row.iter().zip(&are_json).map(cell).collect()).collect();
        output::json(&json!({
            "columns": result.columns,
            "rows": rows,
            "truncated": result.truncated,
            "seconds": result.seconds,
        }));
        return Ok(());
    }
    let result = project.query(&sql, SHOWN, &job)?;
    output::table(&result.columns, &result.rows);
    if result.truncated {
        output::remark(&format!("the first {SHOWN} rows; write all of them with --out FILE"));
    }
    Ok(())
}

/// The query: as written, from a file, or from standard input.
fn sql(arguments: &Query) -> std::result::Result<String, Failure> {
    match (&arguments.file, arguments.sql.as_deref()) {
        (Some(path), _) => {
            let file = std::fs::File::open(path);
            file.and_then(text_of).map_err(|error| cannot_read(&error, path))
        }
        (None, Some("-")) => {
            text_of(std::io::stdin()).map_err(|error| cannot_read(&error, Path::new("-")))
        }
        (None, sql) => Ok(sql.unwrap_or_default().to_owned()),
    }
}

fn cannot_read(error: &std::io::Error, path: &Path) -> Failure {
    Failure::Argument(format!("cannot read the query: {error}: {}", path.display()))
}

fn text_of(reader: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    let n = reader.take(MAX_QUERY_BYTES + 1).read_to_string(&mut text)?;
    if n as u64 > MAX_QUERY_BYTES {
        let message = format!("it is longer than {} MiB", MAX_QUERY_BYTES >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    // Editors of some systems mark UTF-8 so.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}
