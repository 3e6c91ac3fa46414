use duckdb::Connection;
use kernel::domain::{Type, did_you_mean};

use super::raw::{Raw, RawColumn};
use super::source::{Format, Source};
use super::{Mapping, Options, Proposal, ProposedColumn, RowKind};
use crate::{Error, Result, schema};

/// Names that say who, when, what and which, without case and punctuation; earlier ones win.
const CUSTOMER: [&str; 15] = [
    "customerid",
    "customer",
    "userid",
    "user",
    "cid",
    "clientid",
    "client",
    "memberid",
    "accountid",
    "visitorid",
    "distinctid",
    "actor",
    "personid",
    "email",
    "anonymousid",
];
const TIME: [&str; 14] = [
    "eventtime",
    "timestamp",
    "originaltimestamp",
    "time",
    "datetime",
    "occurredat",
    "eventdate",
    "createdat",
    "date",
    "orderdate",
    "purchasedate",
    "ts",
    "at",
    "day",
];
const EVENT: [&str; 7] = ["event", "eventname", "eventtype", "action", "activity", "type", "name"];
const MESSAGE_ID: [&str; 4] = ["messageid", "eventid", "eventuuid", "uuid"];

/// How times may be written, and the SQL that reads a text `{}` of that kind.
const TIME_FORMATS: [(&str, &str); 12] = [
    ("iso", "make_timestamp(epoch_us(TRY_CAST({} AS TIMESTAMPTZ)))"),
    ("%Y%m%d", "CASE WHEN length({}) = 8 THEN try_strptime({}, '%Y%m%d') END"),
    (
        "epoch_s",
        "CASE WHEN regexp_full_match({}, '\\d{9,10}') THEN make_timestamp(CAST({} AS BIGINT) * 1000000) END",
    ),
    (
        "epoch_ms",
        "CASE WHEN regexp_full_match({}, '\\d{12,13}') THEN make_timestamp(CAST({} AS BIGINT) * 1000) END",
    ),
    (
        "epoch_us",
        "CASE WHEN regexp_full_match({}, '\\d{15,16}') THEN make_timestamp(CAST({} AS BIGINT)) END",
    ),
    ("%Y/%m/%d %H:%M:%S", ""),
    ("%Y/%m/%d", ""),
    ("%d.%m.%Y %H:%M:%S", ""),
    ("%d.%m.%Y", ""),
    ("%m/%d/%Y", ""),
    ("%d/%m/%Y", ""),
    ("%m/%d/%Y %H:%M", ""),
];

/// Rows of a preview.
const PREVIEW_ROWS: usize = 50;

/// SQL that reads a text column as a time written in a format.
pub(super) fn read_time(column: &str, format: &str) -> String {
    let known = TIME_FORMATS.into_iter().find(|(known, sql)| *known == format && !sql.is_empty());
    match known {
        Some((_, sql)) => sql.replace("{}", column),
        None => format!("try_strptime({column}, {})", kernel::expression::quote_text(format)),
    }
}

/// SQL that reads a raw column as text, exactly as it is written.
pub(super) fn as_text(column: &RawColumn, place: usize) -> String {
    match column.sql_type.as_str() {
        "VARCHAR" => format!("c{place}"),
        nested if nested.contains("STRUCT") || nested.contains("MAP") || nested.ends_with("[]") => {
            format!("CAST(to_json(c{place}) AS VARCHAR)")
        }
        _ => format!("CAST(c{place} AS VARCHAR)"),
    }
}

/// SQL that reads a raw column as a type; null where it does not fit.
pub(crate) fn as_type(column: &RawColumn, place: usize, type_: Type, time_format: &str) -> String {
    let text = as_text(column, place);
    match (schema::type_of(&column.sql_type), type_) {
        (_, Type::Text | Type::List(_) | Type::Counts(_)) => text,
        (Type::Number, Type::Number) => finite(&format!("CAST(c{place} AS DOUBLE)")),
        (_, Type::Number) => finite(&format!("TRY_CAST({text} AS DOUBLE)")),
        // Without ICU there is no cast from a time with a zone, but its microseconds are UTC.
        (Type::Time, Type::Time) if column.sql_type.contains("TIME ZONE") => {
            format!("make_timestamp(epoch_us(c{place}))")
        }
        (Type::Time, Type::Time) => format!("TRY_CAST(c{place} AS TIMESTAMP)"),
        (_, Type::Time) => read_time(&text, time_format),
        (_, Type::Boolean) => format!("TRY_CAST({text} AS BOOLEAN)"),
    }
}

fn finite(sql: &str) -> String {
    format!("CASE WHEN isfinite({sql}) THEN {sql} END")
}

/// What can be said of the values of a raw column.
struct Facts {
    n: u64,
    not_null: u64,
    numbers: u64,
    ids: bool,
    booleans: u64,
    /// Values among the sampled rows, and how many of them each time format reads.
    sampled: u64,
    times: Vec<u64>,
}

impl Facts {
    /// The column's type: the narrowest that all of its values have.
    fn type_of(&self, column: &RawColumn) -> Type {
        let known = schema::type_of(&column.sql_type);
        if column.sql_type != "VARCHAR" || self.not_null == 0 {
            return known;
        }
        if self.numbers == self.not_null && !self.ids {
            Type::Number
        } else if self.booleans == self.not_null {
            Type::Boolean
        } else if self.sampled > 0 && self.times.first() == Some(&self.sampled) {
            Type::Time
        } else {
            Type::Text
        }
    }

    /// The format that most of its values have, if that is most of them.
    fn time_format(&self, column: &RawColumn) -> Option<&'static str> {
        if schema::type_of(&column.sql_type) == Type::Time {
            return Some("iso");
        }
        let (place, most) = self.times.iter().enumerate().rev().max_by_key(|(_, n)| **n)?;
        let enough = self.sampled > 0 && *most * 2 > self.sampled;
        TIME_FORMATS.get(place).map(|(format, _)| *format).filter(|_| enough)
    }
}

/// Digits that are an id and not a number: leading zeros, underscores, more than an `f64` keeps.
const LIKE_AN_ID: &str = "^[-+]?0[0-9]|_|^[-+]?[0-9]{16,}$";
/// Rows that say how times are written.
const TIME_SAMPLE: usize = 5_000;

/// Looks at all rows for what types they have, and at the first ones for how times are written.
fn facts(connection: &Connection, raw: &Raw) -> Result<Vec<Facts>> {
    let mut counts = Vec::new();
    let mut times = Vec::new();
    for (place, column) in raw.columns.iter().enumerate() {
        let text = as_text(column, place);
        let is_text = column.sql_type == "VARCHAR";
        let says_time = is_text || schema::type_of(&column.sql_type) == Type::Number;
        let or_zero = |condition: bool, sql: String| if condition { sql } else { "0".to_owned() };
        counts.push(format!("count(c{place})"));
        counts.push(or_zero(is_text, format!("count(TRY_CAST({text} AS DOUBLE))")));
        let ids = format!("count(CASE WHEN regexp_matches({text}, '{LIKE_AN_ID}') THEN 1 END)");
        counts.push(or_zero(is_text, ids));
        let booleans = format!("count(CASE WHEN lower({text}) IN ('true', 'false') THEN 1 END)");
        counts.push(or_zero(is_text, booleans));
        times.push(format!("count({text})"));
        times.extend(
            TIME_FORMATS.iter().map(|(format, _)| {
                or_zero(says_time, format!("count({})", read_time(&text, format)))
            }),
        );
    }
    let sample = format!("(SELECT * FROM raw LIMIT {TIME_SAMPLE})");
    let counts = count(connection, &counts, "raw")?;
    let times = count(connection, &times, &sample)?;
    let n = count(connection, &["count(*)".to_owned()], "raw")?.first().copied().unwrap_or(0);
    let chunks = counts.chunks(4).zip(times.chunks(1 + TIME_FORMATS.len()));
    Ok(chunks
        .map(|(counts, times)| Facts {
            n,
            not_null: counts[0],
            numbers: counts[1],
            ids: counts[2] > 0,
            booleans: counts[3],
            sampled: times[0],
            times: times[1..].to_vec(),
        })
        .collect())
}

/// Many counts in one pass.
fn count(connection: &Connection, counts: &[String], from: &str) -> Result<Vec<u64>> {
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {} FROM {from}", counts.join(", "));
    connection
        .query_row(&sql, [], |row| (0..counts.len()).map(|place| row.get(place)).collect())
        .map_err(Error::duckdb("look at the columns"))
}

/// Proposes a mapping and types for what is in `raw`, following what the person said.
pub(crate) fn propose(
    connection: &Connection,
    source: &Source,
    raw: &Raw,
    options: &Options,
) -> Result<Proposal> {
    // Who, when, what and which take a few columns beside the properties.
    const MOST_COLUMNS: usize = schema::MOST_PROPERTIES + 4;
    let n_columns = raw.columns.len().saturating_sub(options.left_out.len());
    if n_columns > MOST_COLUMNS {
        return Err(Error::Mapping(format!(
            "{} has {n_columns} columns; there can be {} properties: leave columns out",
            source.title(),
            schema::MOST_PROPERTIES
        )));
    }
    let facts = facts(connection, raw)?;
    let names: Vec<&str> = raw.columns.iter().map(|column| column.name.as_str()).collect();
    let said = |what: &str, column: &Option<String>| match column {
        Some(column) if !names.contains(&column.as_str()) => Err(Error::Mapping(format!(
            "there is no {what} column '{column}' in {}{}; its columns are {}",
            source.title(),
            did_you_mean(column, names.iter().copied()),
            names.join(", ")
        ))),
        column => Ok(column.clone()),
    };
    let by_name = |candidates: &[&str], fits: &dyn Fn(usize) -> bool| {
        candidates.iter().find_map(|candidate| {
            let place = names.iter().position(|name| plain(name) == *candidate)?;
            fits(place).then(|| names[place].to_owned())
        })
    };
    let kind = if options.traits { RowKind::Traits } else { RowKind::Events };
    let customer = said("customer", &options.customer)?
        .or_else(|| by_name(&CUSTOMER, &|_| true))
        .or_else(|| names.first().map(|name| (*name).to_owned()));
    let Some(customer) = customer else {
        return Err(Error::Mapping(format!("{} has no columns", source.title())));
    };
    let is_time = |place: usize| facts[place].time_format(&raw.columns[place]).is_some();
    let time = said("time", &options.time)?.or_else(|| by_name(&TIME, &is_time)).or_else(|| {
        let other = |place: &usize| names[*place] != customer && kind == RowKind::Events;
        (0..names.len())
            .filter(other)
            .find(|place| is_time(*place))
            .map(|place| names[place].to_owned())
    });
    if time.is_none() && kind == RowKind::Events {
        return Err(Error::Mapping(format!(
            "no column of {} holds times; name it (--time COLUMN), or import it as traits (--traits); \
             its columns are {}",
            source.title(),
            names.join(", ")
        )));
    }
    let event = match (kind, &options.event_name) {
        (RowKind::Events, None) => said("event", &options.event)?.or_else(|| {
            by_name(&EVENT, &|place| {
                Some(names[place]) != time.as_deref()
                    && names[place] != customer
                    && facts[place].type_of(&raw.columns[place]) == Type::Text
            })
        }),
        _ => None,
    };
    let event_name = match (kind, &event) {
        (RowKind::Events, None) => {
            Some(options.event_name.clone().unwrap_or_else(|| name_from(&source.title())))
        }
        _ => None,
    };
    let message_id =
        said("message id", &options.message_id)?.or_else(|| by_name(&MESSAGE_ID, &|_| true));
    for column in options.types.keys().chain(&options.left_out) {
        said("property", &Some(column.clone()))?;
    }
    let time_format = options.time_format.clone().unwrap_or_else(|| {
        time.as_ref()
            .and_then(|time| names.iter().position(|name| name == time))
            .and_then(|place| facts[place].time_format(&raw.columns[place]))
            .unwrap_or("iso")
            .to_owned()
    });
    let mapping = Mapping { kind, customer, time, time_format, event, event_name, message_id };
    let columns = proposed_columns(raw, &facts, &mapping, options);
    Ok(Proposal {
        files: source.files.clone(),
        format: describe(source),
        preview: preview(connection, raw)?,
        mapping,
        columns,
    })
}

fn proposed_columns(
    raw: &Raw,
    facts: &[Facts],
    mapping: &Mapping,
    options: &Options,
) -> Vec<ProposedColumn> {
    let mapped = [
        Some(&mapping.customer),
        mapping.time.as_ref(),
        mapping.event.as_ref(),
        mapping.message_id.as_ref(),
    ];
    let mut taken: Vec<String> = Vec::new();
    raw.columns
        .iter()
        .zip(facts)
        .map(|(column, facts)| {
            let forced = options.types.get(&column.name);
            let used = mapped.contains(&Some(&column.name));
            let left_out = options.left_out.contains(&column.name);
            #[allow(clippy::cast_precision_loss, reason = "a share for people")]
            let null_share =
                if facts.n == 0 { 0.0 } else { 1.0 - facts.not_null as f64 / facts.n as f64 };
            ProposedColumn {
                name: column.name.clone(),
                property: (!used && !left_out)
                    .then(|| free_name(property_name(&column.name), &mut taken)),
                type_: forced.copied().unwrap_or_else(|| facts.type_of(column)),
                forced: forced.is_some(),
                null_share,
            }
        })
        .collect()
}

/// Segment's files nest what we keep flat.
fn property_name(column: &str) -> String {
    let bare = column.strip_prefix("properties.").or_else(|| column.strip_prefix("traits."));
    let name = bare.filter(|name| !name.is_empty()).unwrap_or(column);
    kernel::domain::property_name(name)
}

/// The name, or with a number after it if another column has it (case does not count).
fn free_name(name: String, taken: &mut Vec<String>) -> String {
    let is_taken = |candidate: &str| taken.contains(&candidate.to_lowercase());
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|free| !is_taken(free));
    let free = free.unwrap_or(name);
    taken.push(free.to_lowercase());
    free
}

fn describe(source: &Source) -> String {
    let format = match &source.format {
        Format::Text { delimiter, header, .. } => {
            let header = if *header { "with a header" } else { "without a header" };
            format!("text separated by {delimiter}, {header}")
        }
        Format::Ndjson => "NDJSON".to_owned(),
        Format::Parquet => "Parquet".to_owned(),
    };
    if source.gzip { format + ", gzipped" } else { format }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// An event name from a file name: `Orders 2024.csv.gz` gives `orders_2024`.
fn name_from(title: &str) -> String {
    let stem = title.split('.').next().unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let name = name.trim_matches('_').to_owned();
    if name.is_empty() { "event".to_owned() } else { name }
}

fn preview(connection: &Connection, raw: &Raw) -> Result<Vec<Vec<Option<String>>>> {
    let columns: Vec<String> = raw
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| format!("left({}, 200)", as_text(column, place)))
        .collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let sql =
        format!("SELECT {} FROM raw ORDER BY file, line LIMIT {PREVIEW_ROWS}", columns.join(", "));
    let read = || {
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| {
            (0..columns.len()).map(|place| row.get(place)).collect::<duckdb::Result<Vec<_>>>()
        })?;
        rows.collect::<duckdb::Result<Vec<_>>>()
    };
    read().map_err(Error::duckdb("preview the files"))
}
