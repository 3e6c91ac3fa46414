use std::path::PathBuf;

use duckdb::Connection;
use kernel::domain::{Type, limits};
use kernel::expression::{quote_identifier, quote_text};

use super::infer::{as_text, as_type};
use super::raw::Raw;
use super::{Proposal, Reject, RowKind};
use crate::{Error, Result};

/// Checked rows on their way into the warehouse.
#[derive(Debug)]
pub(super) struct Staged {
    /// A Parquet file in the staging folder; removed when this is dropped.
    pub(super) file: PathBuf,
    pub(super) kind: RowKind,
    /// Good rows, repeated message ids within the files left out.
    pub(super) properties: Vec<(String, Type)>,
    /// All rows of the files.
    pub(super) read: u64,
    pub(super) rejects: Vec<Reject>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.file));
    }
}

/// Characters of a rejected row that are kept.
const KEPT_CONTENT: usize = 500;
/// Times outside of this are typing errors or another unit.
const TIMES: &str = "BETWEEN TIMESTAMP '1900-01-01' AND TIMESTAMP '2200-01-01'";

/// A column of the files as the warehouse takes it.
struct Property<'a> {
    column: &'a str,
    name: String,
    type_: Type,
    sql: String,
    text: String,
    forced: bool,
}

/// Checks every row: the good ones go to a file, the bad ones to the rejects.
pub(super) fn stage(
    connection: &Connection,
    raw: &Raw,
    proposal: &Proposal,
    file: PathBuf,
) -> Result<Staged> {
    let failed = || Error::duckdb("check the rows");
    let properties = properties(raw, proposal);
    connection.execute_batch(&checked_sql(raw, proposal, &properties)).map_err(failed())?;
    let mut rejects = raw.rejects.clone();
    rejects.extend(bad_rows(connection, raw).map_err(failed())?);
    let read: u64 = connection
        .query_row("SELECT count(*) FROM checked", [], |row| row.get(0))
        .map_err(failed())?;
    let staged = Staged {
        file,
        kind: proposal.mapping.kind,
        properties: properties.iter().map(|p| (p.name.clone(), p.type_)).collect(),
        read: read + u64::try_from(raw.rejects.len()).unwrap_or(u64::MAX),
        rejects,
    };
    let has_ids = proposal.mapping.message_id.is_some();
    let select = match staged.kind {
        RowKind::Events => events_sql(&properties, has_ids),
        RowKind::Traits => traits_sql(&properties, has_ids),
    };
    let out = quote_text(&staged.file.display().to_string());
    connection
        .execute_batch(&format!("COPY ({select}) TO {out} (FORMAT parquet)"))
        .map_err(failed())?;
    Ok(staged)
}

fn properties<'a>(raw: &'a Raw, proposal: &'a Proposal) -> Vec<Property<'a>> {
    let format = &proposal.mapping.time_format;
    raw.columns
        .iter()
        .zip(&proposal.columns)
        .enumerate()
        .filter_map(|(place, (column, proposed))| {
            let name = proposed.property.clone()?;
            Some(Property {
                column: &column.name,
                name,
                type_: proposed.type_,
                sql: as_type(column, place, proposed.type_, format),
                text: as_text(column, place),
                forced: proposed.forced,
            })
        })
        .collect()
}

/// The table `checked`: each row with its parts, and the column and reason if it is bad.
fn checked_sql(raw: &Raw, proposal: &Proposal, properties: &[Property<'_>]) -> String {
    let mapping = &proposal.mapping;
    let place = |name: &str| raw.columns.iter().position(|column| column.name == name);
    let text = |name: &str| {
        place(name).map_or("NULL".to_owned(), |place| as_text(&raw.columns[place], place))
    };
    let customer = format!("nullif({}, '')", text(&mapping.customer));
    let time = match &mapping.time {
        Some(time) => place(time).map_or("NULL".to_owned(), |place| {
            as_type(&raw.columns[place], place, Type::Time, &mapping.time_format)
        }),
        // Traits without a time hold always.
        None => "make_timestamp(0)".to_owned(),
    };
    let event = match (&mapping.event, &mapping.event_name) {
        (Some(event), _) => format!("nullif(trim({}), '')", text(event)),
        (None, Some(name)) => quote_text(name),
        (None, None) => "''".to_owned(),
    };
    let message_id = mapping
        .message_id
        .as_ref()
        .map_or("NULL".to_owned(), |column| format!("nullif({}, '')", text(column)));
    let mut checks: Vec<(String, String, String)> = Vec::new();
    let mut check = |condition: String, column: &str, reason: String| {
        checks.push((condition, quote_text(column), reason));
    };
    let (id, name) = (limits::LONGEST_ID, limits::LONGEST_NAME);
    check("customer_id IS NULL".into(), &mapping.customer, "'no customer'".into());
    check(
        format!("strlen(customer_id) > {id}"),
        &mapping.customer,
        format!("'longer than {id} bytes'"),
    );
    let time_column = mapping.time.as_deref().unwrap_or_default();
    let written = text(time_column);
    check(format!("event_time IS NULL AND {written} IS NULL"), time_column, "'no time'".into());
    check(
        "event_time IS NULL".into(),
        time_column,
        format!(
            "'not a time as ' || {} || ': ' || left({written}, 60)",
            quote_text(&mapping.time_format)
        ),
    );
    check(
        format!("NOT event_time {TIMES}"),
        time_column,
        "'not between 1900 and 2200: ' || event_time".into(),
    );
    let event_column = mapping.event.as_deref().unwrap_or_default();
    check("event IS NULL".into(), event_column, "'no event'".into());
    check(format!("strlen(event) > {name}"), event_column, format!("'longer than {name} bytes'"));
    let message_column = mapping.message_id.as_deref().unwrap_or_default();
    check(
        format!("strlen(message_id) > {id}"),
        message_column,
        format!("'longer than {id} bytes'"),
    );
    for (part, column) in [
        ("customer_id", mapping.customer.as_str()),
        ("message_id", message_column),
        ("event", event_column),
    ] {
        check(format!("contains({part}, chr(0))"), column, "'has a NUL character'".into());
    }
    if mapping.kind == RowKind::Traits {
        let nulls: Vec<String> = (0..properties.len()).map(|n| format!("p{n} IS NULL")).collect();
        let nulls = if nulls.is_empty() { "true".to_owned() } else { nulls.join(" AND ") };
        check(nulls, "", "'no trait has a value'".into());
    }
    for (n, property) in properties.iter().enumerate().filter(|(_, property)| property.forced) {
        check(
            format!("p{n} IS NULL AND {} IS NOT NULL", property.text),
            property.column,
            format!("'not a {}: ' || left({}, 60)", property.type_, property.text),
        );
    }
    let case = |pick: fn(&(String, String, String)) -> &String| {
        let whens: String =
            checks.iter().map(|check| format!(" WHEN {} THEN {}", check.0, pick(check))).collect();
        format!("CASE{whens} END")
    };
    let values: String =
        properties.iter().enumerate().map(|(n, p)| format!(", {} AS p{n}", p.sql)).collect();
    let said: String = properties
        .iter()
        .map(|p| format!(", {} || '=' || {}", quote_text(&p.name), p.text))
        .collect();
    format!(
        "CREATE TABLE checked AS SELECT * EXCLUDE (bad), bad.\"column\" AS bad_column,
            bad.reason AS bad_reason FROM (
            SELECT *, {{'column': {columns}, 'reason': {reasons}}} AS bad,
                CASE WHEN message_id IS NULL THEN md5(concat_ws(chr(31), customer_id,
                    epoch_us(event_time), event{said})) END AS hash
            FROM (
                SELECT raw.*, row_number() OVER () AS row, {customer} AS customer_id,
                    {time} AS event_time, {event} AS event, {message_id} AS message_id{values}
                FROM raw));",
        columns = case(|check| &check.1),
        reasons = case(|check| &check.2),
    )
}

/// The rows that are bad, with the lines that they really have: rows that could not even be read were
/// not counted when lines were numbered.
fn bad_rows(connection: &Connection, raw: &Raw) -> duckdb::Result<Vec<Reject>> {
    let content: Vec<String> =
        raw.columns.iter().enumerate().map(|(n, column)| as_text(column, n)).collect();
    let mut statement = connection.prepare(&format!(
        "SELECT file, line, bad_column, bad_reason,
            left(concat_ws(' | ', {}), {KEPT_CONTENT})
         FROM checked WHERE bad_reason IS NOT NULL ORDER BY file, line",
        content.join(", ")
    ))?;
    let rows = statement.query_map([], |row| {
        let file: String = row.get(0)?;
        let source = raw.original(&file);
        Ok(Reject {
            line: raw.true_line(&source, row.get(1)?),
            source,
            column: row.get::<_, Option<String>>(2)?.filter(|column| !column.is_empty()),
            reason: row.get(3)?,
            content: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
        })
    })?;
    rows.collect()
}

/// The message id of a row without one: a hash of all that it says, and how often it was said before.
/// The same file gives the same ids again, and two equal rows of one file stay two events.
fn identified_sql(has_ids: bool) -> String {
    // Most rows say what no other says; only the others are counted. Ids that are made differ from each
    // other, so only those that the file brings can be there twice.
    format!(
        "SELECT * FROM (
            SELECT * EXCLUDE (hash, n, message_id),
                coalesce(message_id, hash || '-' || coalesce(n, 1)) AS message_id
            FROM checked LEFT JOIN (
                SELECT row, row_number() OVER (PARTITION BY hash ORDER BY row) AS n FROM checked
                WHERE bad_reason IS NULL AND hash IN (SELECT hash FROM checked
                    WHERE bad_reason IS NULL GROUP BY hash HAVING count(*) > 1)
            ) USING (row) WHERE bad_reason IS NULL)
         {once}",
        once = match has_ids {
            true => "QUALIFY row_number() OVER (PARTITION BY message_id ORDER BY row) = 1",
            false => "",
        }
    )
}

fn events_sql(properties: &[Property<'_>], has_ids: bool) -> String {
    let values: String = properties
        .iter()
        .enumerate()
        .map(|(n, p)| format!(", p{n} AS {}", quote_identifier(&format!("property:{}", p.name))))
        .collect();
    format!(
        "SELECT message_id, customer_id, event, event_time, row{values} FROM ({}) ORDER BY row",
        identified_sql(has_ids)
    )
}

fn traits_sql(properties: &[Property<'_>], has_ids: bool) -> String {
    let rows = identified_sql(has_ids);
    let changes: Vec<String> = properties
        .iter()
        .enumerate()
        .map(|(n, p)| format!("{{'trait': {}, 'value': to_json(p{n})}}", quote_text(&p.name)))
        .collect();
    format!(
        "SELECT message_id, customer_id, event_time, row, change.trait AS trait,
            CAST(change.value AS VARCHAR) AS value
         FROM (SELECT *, unnest([{}]) AS change FROM ({rows}))
         WHERE change.value IS NOT NULL AND CAST(change.value AS VARCHAR) <> 'null'",
        changes.join(", ")
    )
}
