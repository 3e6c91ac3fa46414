use duckdb::arrow::array::ArrayRef;
use kernel::domain::{Time, Type, Value, did_you_mean};

use super::facts::{Facts, RawValues, as_number};
use super::read::{Columns, Rows};
use super::source::{Format, Source};
use super::time_format::TimeFormat;
use super::{Mapping, Options, Proposal, ProposedColumn, RowKind};
use crate::summaries::{ColumnSummary, summary_of};
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
const RECEIVED_AT: [&str; 5] = ["receivedat", "arrivedat", "ingestedat", "loadedat", "knownat"];

/// Columns that are no properties: who, when, what, which and since when.
pub(super) const ROLES: usize = 5;
/// Rows of a preview.
const PREVIEW_ROWS: usize = 50;
/// Rows whose columns are summarized, and cells of them at most.
const SUMMARY_ROWS: usize = 2_000;
const SUMMARY_CELLS: usize = 400_000;
/// Characters of a cell of a preview.
const PREVIEW_WIDTH: usize = 200;

/// What is known of the rows of files: facts about each column, and the first rows.
#[derive(Debug)]
pub(super) struct Look {
    formats: Vec<TimeFormat>,
    facts: Vec<Facts>,
    /// The first rows.
    sample: Vec<Vec<Option<String>>>,
}

impl Look {
    pub(super) fn new(columns: &Columns) -> Self {
        Self {
            formats: TimeFormat::known(),
            facts: vec![Facts::default(); columns.names.len()],
            sample: Vec::new(),
        }
    }

    /// Looks at more rows.
    pub(super) fn see(&mut self, rows: &Rows) {
        for (facts, array) in self.facts.iter_mut().zip(&rows.columns) {
            facts.see(array, &self.formats);
        }
        let cell = |array: &ArrayRef, row| {
            let text = RawValues::of(array).text(row)?;
            Some(text.chars().take(PREVIEW_WIDTH).collect())
        };
        let most = SUMMARY_ROWS.min(SUMMARY_CELLS / rows.columns.len().max(1)).max(PREVIEW_ROWS);
        for row in 0..rows.n().min(most - self.sample.len()) {
            // Columns that were not promised are not looked at.
            let columns = rows.columns.iter().take(self.facts.len());
            self.sample.push(columns.map(|array| cell(array, row)).collect());
        }
    }
}

impl Look {
    /// Says of times that they can be read in two ways, if nobody said which is right.
    fn two_ways(&self, place: usize, column: &str, options: &Options) -> Option<String> {
        let facts = &self.facts[place];
        let read = facts.time_format(&self.formats).filter(|_| options.time_format.is_none())?;
        let differs = |other: &&TimeFormat| {
            let mut texts = self.sample.iter().filter_map(|row| row.get(place)?.as_deref());
            texts.any(|text| other.micros(text) != read.micros(text))
        };
        let other = facts.as_good_as(&read, &self.formats).find(differs)?;
        Some(format!(
            "the times of '{column}' can be read as {read} and as {other}; they are read as {read}, unless a time \
             format is given (--time-format)"
        ))
    }

    /// What the first values of a column are like, as a type.
    fn summary(&self, place: usize, type_: Type) -> ColumnSummary {
        let format = self.facts[place].time_format(&self.formats);
        let value = |text: &str| match type_ {
            Type::Number => as_number(text).map(Value::Number),
            Type::Time => format.as_ref()?.micros(text).map(|micros| Value::Time(Time(micros))),
            _ => Some(Value::text(text)),
        };
        let values = self.sample.iter().map(|row| {
            row.get(place).and_then(Option::as_deref).and_then(value).unwrap_or(Value::Null)
        });
        let values: Vec<Value> = values.collect();
        summary_of(&values)
    }
}

/// Refuses files with more columns than there can be properties.
pub(super) fn check_width(source: &Source, columns: &Columns, options: &Options) -> Result<()> {
    const MOST_COLUMNS: usize = schema::MOST_PROPERTIES + ROLES;
    let n_columns = columns.names.len().saturating_sub(options.left_out.len());
    if n_columns > MOST_COLUMNS {
        return Err(Error::Mapping(format!(
            "{} has {n_columns} columns; there can be {} properties: leave columns out (--leave-out)",
            source.title(),
            schema::MOST_PROPERTIES
        )));
    }
    Ok(())
}

/// Proposes a mapping and types for files, following what the person said.
pub(super) fn propose(
    source: &Source,
    columns: &Columns,
    look: &Look,
    options: &Options,
) -> Result<Proposal> {
    let facts = &look.facts;
    let names: Vec<&str> = columns.names.iter().map(String::as_str).collect();
    let said = |what: &str, column: &Option<String>| match column {
        Some(column) if !names.contains(&column.as_str()) => Err(Error::Mapping(format!(
            "there is no {what} column '{column}' in {}{}; its columns are {}",
            source.title(),
            did_you_mean(column, names.iter().copied()),
            names.join(", ")
        ))),
        column => Ok(column.clone()),
    };
    let is_used = |name: &str| !options.left_out.iter().any(|left_out| left_out == name);
    let by_name = |candidates: &[&str], fits: &dyn Fn(usize) -> bool| {
        candidates.iter().find_map(|candidate| {
            let place = names.iter().position(|name| plain(name) == *candidate)?;
            (is_used(names[place]) && fits(place)).then(|| names[place].to_owned())
        })
    };
    let kind = if options.traits { RowKind::Traits } else { RowKind::Events };
    let customer = said("customer", &options.customer)?
        .or_else(|| by_name(&CUSTOMER, &|_| true))
        .or_else(|| names.iter().find(|name| is_used(name)).map(|name| (*name).to_owned()));
    let Some(customer) = customer else {
        return Err(Error::Mapping(format!("{} has no columns", source.title())));
    };
    let time_format = |place: usize| facts[place].time_format(&look.formats);
    let is_time = |place: usize| time_format(place).is_some();
    let time = said("time", &options.time)?.or_else(|| by_name(&TIME, &is_time)).or_else(|| {
        let other = |place: &usize| {
            names[*place] != customer && is_used(names[*place]) && kind == RowKind::Events
        };
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
                    && facts[place].type_of() == Type::Text
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
    let is_free = |place: usize| is_time(place) && Some(names[place]) != time.as_deref();
    let received_at =
        said("arrival", &options.received_at)?.or_else(|| by_name(&RECEIVED_AT, &is_free));
    let format_of = |column: &Option<String>| {
        let place = names.iter().position(|name| Some(*name) == column.as_deref())?;
        time_format(place).map(|format| format.to_string())
    };
    let time_format = options.time_format.clone().or_else(|| format_of(&time));
    let time_format = time_format.unwrap_or_else(|| "iso".to_owned());
    let received_format = format_of(&received_at).unwrap_or_else(|| time_format.clone());
    let mapping = Mapping {
        kind,
        customer,
        time,
        time_format,
        event,
        event_name,
        message_id,
        received_at,
        received_format,
    };
    check_roles(&mapping, options)?;
    if kind == RowKind::Traits && ["message_id", "trait", "value"].iter().all(|c| names.contains(c))
    {
        return Err(Error::Mapping(format!(
            "{} has one trait a row, as the table traits does; import a column a trait",
            source.title()
        )));
    }
    let columns = proposed_columns(&names, look, &mapping, options);
    Ok(Proposal {
        files: source.files.clone(),
        format: describe(source),
        preview: look.sample.iter().take(PREVIEW_ROWS).cloned().collect(),
        mapping,
        columns,
    })
}

/// Refuses what is said of a column in two ways.
fn check_roles(mapping: &Mapping, options: &Options) -> Result<()> {
    for (column, role) in mapping.roles() {
        if options.left_out.contains(column) {
            let message = format!("'{column}' is {role}; it cannot be left out too");
            return Err(Error::Mapping(message));
        }
        if options.types.contains_key(column) {
            let message = format!("'{column}' is {role}, which has no type of its own");
            return Err(Error::Mapping(message));
        }
    }
    match options.types.keys().find(|column| options.left_out.contains(column)) {
        Some(both) => Err(Error::Mapping(format!("'{both}' is left out, and needs no type"))),
        None => Ok(()),
    }
}

/// What numbers rows in the warehouse, among what else a row of it has.
const OWN: [&str; 5] = ["message_id", "customer_id", "event_time", "received_at", SEQ];
const SEQ: &str = "seq";

fn proposed_columns(
    names: &[&str],
    look: &Look,
    mapping: &Mapping,
    options: &Options,
) -> Vec<ProposedColumn> {
    // Rows that were exported are numbered anew.
    let is_own = OWN.iter().all(|column| names.contains(column));
    let mut taken: Vec<String> = Vec::new();
    names
        .iter()
        .zip(&look.facts)
        .enumerate()
        .map(|(place, (column, facts))| {
            let forced = options.types.get(*column);
            let used = mapping.roles().any(|(name, _)| name == column);
            let left_out =
                options.left_out.iter().any(|name| name == column) || (is_own && *column == SEQ);
            #[allow(clippy::cast_precision_loss, reason = "a share for people")]
            let null_share =
                if facts.n == 0 { 1.0 } else { 1.0 - facts.not_null as f64 / facts.n as f64 };
            let type_ = forced.copied().unwrap_or_else(|| facts.type_of());
            ProposedColumn {
                summary: look.summary(place, type_),
                name: (*column).to_owned(),
                property: (!used && !left_out)
                    .then(|| free_name(property_name(column), &mut taken)),
                type_,
                forced: forced.is_some(),
                remark: match (used, left_out || forced.is_some()) {
                    (false, false) => facts.remark(column),
                    (true, _) if mapping.time.as_deref() == Some(*column) => {
                        look.two_ways(place, column, options)
                    }
                    _ => None,
                },
                null_share,
            }
        })
        .collect()
}

/// Segment's files nest what we keep flat.
pub(super) fn property_name(column: &str) -> String {
    let bare = column.strip_prefix("properties.").or_else(|| column.strip_prefix("traits."));
    let name = bare.filter(|name| !name.is_empty()).unwrap_or(column);
    kernel::domain::property_name(name)
}

/// The name, or with a number after it if another column has it (case does not count).
pub(super) fn free_name(name: String, taken: &mut Vec<String>) -> String {
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
