use std::path::Path;
use std::time::Instant;

use duckdb::Connection;
use kernel::domain::Job;
use kernel::expression::{quote_identifier, quote_text};

use super::source::Source;
use super::stage::Staged;
use super::{ImportReport, REPORTED_REJECTS, Reject, RowKind};
use crate::{Error, Result, Warehouse, schema};

impl Warehouse {
    /// Takes staged rows: all of them, or nothing.
    pub(super) fn load(
        &self,
        source: &Source,
        staged: &Staged,
        started: Instant,
        job: &Job,
    ) -> Result<ImportReport> {
        self.transaction(job, |connection| {
            let accepted = match staged.kind {
                RowKind::Events => insert_events(connection, staged)?,
                RowKind::Traits => insert_traits(connection, staged)?,
            };
            // Who is known under another id by now is so in files too.
            for table in ["events", "traits"] {
                let join = format!(
                    "UPDATE {table} SET customer_id = a.customer_id FROM aliases a
                     WHERE {table}.customer_id = a.anonymous_id"
                );
                connection.execute(&join, []).map_err(Error::duckdb("join timelines"))?;
            }
            let rejected = u64::try_from(staged.rejects.len()).unwrap_or(u64::MAX);
            let report = ImportReport {
                read: staged.read,
                accepted,
                duplicate: staged.read - rejected - accepted,
                rejected,
                seconds: started.elapsed().as_secs_f64(),
                rejects: staged.rejects.iter().take(REPORTED_REJECTS).cloned().collect(),
            };
            record(connection, &source.files, &report, &staged.rejects)
                .map_err(Error::duckdb("record the import"))?;
            Ok(report)
        })
    }
}

fn insert_events(connection: &Connection, staged: &Staged) -> Result<u64> {
    let columns = schema::ensure_columns(connection, &staged.properties)?;
    let mut names = String::new();
    let mut values = String::new();
    for ((property, staged_type), column) in staged.properties.iter().zip(&columns) {
        let Some((column, type_)) = column else {
            return Err(Error::Mapping(format!(
                "there are {} properties already; leave out '{property}'",
                schema::MOST_PROPERTIES
            )));
        };
        let value = format!("s.{}", quote_identifier(&format!("property:{property}")));
        let value = match (staged_type, type_) {
            (from, to) if from == to => value,
            (from, _) => schema::as_text(&value, *from),
        };
        names.push_str(&format!(", {}", quote_identifier(column)));
        values.push_str(&format!(", {value}"));
    }
    let has_events: bool = connection
        .query_row("SELECT count(*) > 0 FROM (SELECT 1 FROM events LIMIT 1)", [], |row| row.get(0))
        .map_err(Error::duckdb("look for events"))?;
    let sql = format!(
        "INSERT INTO events (message_id, customer_id, event, event_time, received_at, seq{names})
         SELECT s.message_id, s.customer_id, s.event, s.event_time, s.event_time,
            s.row + {last}{values}
         FROM read_parquet({file}) s{new}",
        // The staged rows are in order; the first ones of a warehouse are all new.
        new = match has_events {
            true => " ANTI JOIN events e ON s.message_id = e.message_id ORDER BY s.row",
            false => "",
        },
        last = schema::last_file_seq(),
        file = quote_text(&staged.file.display().to_string()),
    );
    insert(connection, &sql)
}

fn insert_traits(connection: &Connection, staged: &Staged) -> Result<u64> {
    let file = quote_text(&staged.file.display().to_string());
    let new =
        format!("FROM read_parquet({file}) s ANTI JOIN traits t ON s.message_id = t.message_id");
    let count = format!("SELECT count(DISTINCT s.message_id) {new}");
    let accepted = connection
        .query_row(&count, [], |row| row.get(0))
        .map_err(Error::duckdb("count traits"))?;
    let sql = format!(
        "INSERT INTO traits SELECT s.message_id, s.customer_id, s.event_time, s.event_time,
            s.row + {}, s.trait, s.value {new}",
        schema::last_file_seq()
    );
    insert(connection, &sql)?;
    Ok(accepted)
}

fn insert(connection: &Connection, sql: &str) -> Result<u64> {
    let n = connection.execute(sql, []).map_err(Error::duckdb("add rows"))?;
    Ok(u64::try_from(n).unwrap_or(u64::MAX))
}

fn record(
    connection: &Connection,
    files: &[std::path::PathBuf],
    report: &ImportReport,
    rejects: &[Reject],
) -> duckdb::Result<()> {
    let import: i64 =
        connection.query_row("SELECT count(*) + 1 FROM imports", [], |row| row.get(0))?;
    let source: Vec<String> = files.iter().map(|file| absolute(file)).collect();
    connection.execute(
        "INSERT INTO imports VALUES (?, ?, make_timestamp(epoch_us(now())), ?, ?, ?, ?, ?)",
        duckdb::params![
            import,
            source.join(", "),
            report.read,
            report.accepted,
            report.duplicate,
            report.rejected,
            report.seconds
        ],
    )?;
    let mut appender = connection.appender("rejected_rows")?;
    for reject in rejects {
        appender.append_row(duckdb::params![
            import,
            reject.source,
            reject.line,
            reject.column,
            reject.reason,
            reject.content
        ])?;
    }
    appender.flush()
}

fn absolute(file: &Path) -> String {
    file.canonicalize().unwrap_or_else(|_| file.to_owned()).display().to_string()
}
