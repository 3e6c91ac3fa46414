use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::domain::Type;
use serde::Serialize;

use super::calls::Part;
use super::numbers::Decimal;
use crate::summaries::ColumnSummary;

/// What the person says about files, as far as they say something; the rest is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The column that says who.
    pub customer: Option<String>,
    /// The column that says who where the customer is missing: rows with both join the two.
    pub anonymous: Option<String>,
    /// The column that says when.
    pub time: Option<String>,
    /// How times are written: `iso`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`, `day_first`, `month_first`,
    /// `year_first`, `month_name` or a pattern like `%Y%m%d`.
    pub time_format: Option<String>,
    /// The column with the name of the event.
    pub event: Option<String>,
    /// What every row is, if no column says it.
    pub event_name: Option<String>,
    /// The column with an id for each row.
    pub message_id: Option<String>,
    /// The column that says when it arrived, and so from when on it was known.
    pub received_at: Option<String>,
    /// Each row sets traits of a customer.
    pub traits: bool,
    /// Types of properties that a person chose: values that do not fit are misfits.
    pub types: BTreeMap<String, Type>,
    /// Columns to leave out.
    pub left_out: Vec<String>,
    /// What separates the fraction of numbers; else each column says it.
    pub decimal: Option<Decimal>,
    /// Whether the files are exports of this product, so that `$exposure`, `$score` and `$action` are its own events.
    pub own_events: bool,
    /// Text columns in which a spelling of a missing value, such as `NA`, is a missing value.
    pub missing: Vec<String>,
}

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// An event a row.
    Events,
    /// Traits of a customer a row.
    Traits,
}

/// How files are read: who, when, what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Events or traits.
    pub kind: RowKind,
    /// The column that says who.
    pub customer: String,
    /// The column that says who where the customer is missing; a row with both joins the two.
    pub anonymous: Option<String>,
    /// Whether ids like `1001.0` are read as `1001`, because all ids with a fraction have that of zero.
    pub has_whole_ids: bool,
    /// The column that says which call of the Segment API a row is, if the file is an archive of such calls.
    pub call: Option<String>,
    /// The column that says when; traits may do without.
    pub time: Option<String>,
    /// How times are written.
    pub time_format: String,
    /// The column with the name of the event.
    pub event: Option<String>,
    /// What every row is, if no column says it.
    pub event_name: Option<String>,
    /// The column with an id for each row.
    pub message_id: Option<String>,
    /// The column that says when it arrived; without it, each row was known when it happened.
    pub received_at: Option<String>,
    /// How arrivals are written.
    pub received_format: String,
}

impl Mapping {
    /// The columns that are no properties, and what they say.
    pub fn roles(&self) -> impl Iterator<Item = (&String, &'static str)> {
        let roles = [
            (Some(&self.customer), "the customer"),
            (self.anonymous.as_ref(), "the anonymous id"),
            (self.time.as_ref(), "the time"),
            (self.event.as_ref(), "the event"),
            (self.call.as_ref(), "the type of call"),
            (self.message_id.as_ref(), "the message id"),
            (self.received_at.as_ref(), "the arrival"),
        ];
        roles.into_iter().filter_map(|(column, role)| Some((column?, role)))
    }
}

/// How files would be imported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Their format, as a person reads it: `text separated by blanks`.
    pub format: String,
    /// Who, when, what.
    pub mapping: Mapping,
    /// All columns, in the order of the files.
    pub columns: Vec<ProposedColumn>,
    /// The first rows, a text a cell.
    pub preview: Vec<Vec<Option<String>>>,
    /// What was decided where the files leave a doubt.
    pub decisions: Vec<String>,
    /// Whether events of ours in the files are ours.
    #[serde(skip)]
    pub(super) has_own_events: bool,
    /// Which rows of the files are read.
    #[serde(skip)]
    pub(super) part: Part,
    /// Whether all rows were looked at.
    #[serde(skip)]
    pub(super) is_of_all_rows: bool,
    /// Whether no id that was looked at has a fraction.
    #[serde(skip)]
    pub(super) has_no_fractions: bool,
    /// Whether each row without a column that says what it is has its name from the file's name.
    #[serde(skip)]
    pub(super) is_named_by_file: bool,
}

/// A column of the files, and what is proposed for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProposedColumn {
    /// Its name in the files.
    pub name: String,
    /// The name of the property or trait that it becomes; none if it is mapped or left out.
    pub property: Option<String>,
    /// The type of its values.
    pub type_: Type,
    /// Whether a person chose the type.
    pub forced: bool,
    /// How its numbers are written, if not as in programs.
    pub decimal: Option<Decimal>,
    /// Whether a spelling of a missing value is one, though it is text.
    pub drops_missing: bool,
    /// Spellings of a missing value in the rows that were looked at.
    pub missing: u64,
    /// Why it has its role.
    pub reason: Option<String>,
    /// Other columns that could have its role.
    pub alternatives: Vec<String>,
    /// Whether its values may show that it has not.
    #[serde(skip)]
    pub(super) is_doubtful: bool,
    /// Whether the project has a type for it, or a person chose one: values that do not fit are misfits. Else
    /// it is the narrowest type that all values have.
    pub settled: bool,
    /// What a person may not expect of it, if there is something.
    pub remark: Option<String>,
    /// Missing values in the rows that were looked at, between 0 and 1.
    pub null_share: f64,
    /// What the values of the first rows are like.
    pub summary: ColumnSummary,
}

impl Proposal {
    /// What a person may not expect of the files and their columns.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let of_columns = self.columns.iter().filter_map(|column| column.remark.clone());
        self.decisions.iter().cloned().chain(of_columns).collect()
    }

    /// The same with rows that are events of a name, because they were imported so before.
    pub(super) fn named(mut self, event: String) -> Self {
        let own = self.mapping.event_name.take().unwrap_or_default();
        self.decisions.retain(|decision| !decision.contains("no column says what happened"));
        self.decisions.push(format!(
            "the first rows are known as the event '{event}', so all rows are, and not '{own}' after the file's name \
             (--event-name)"
        ));
        self.mapping.event_name = Some(event);
        self
    }

    /// Whether the column with message ids was found by a name that counters have too.
    pub(super) fn message_id_may_be_none(&self) -> bool {
        let column = self
            .columns
            .iter()
            .find(|column| Some(&column.name) == self.mapping.message_id.as_ref());
        column.is_some_and(|column| column.is_doubtful)
    }

    /// Each column with its role, for a report.
    #[must_use]
    pub fn mapped_columns(&self) -> Vec<ColumnMapping> {
        let mapping = &self.mapping;
        let mapped = |column: &ProposedColumn| {
            let role = mapping.roles().find(|(name, _)| **name == column.name);
            let role = role.map_or("property", |(_, role)| role.trim_start_matches("the "));
            let is = |other: &Option<String>| other.as_ref() == Some(&column.name);
            let format = match column.decimal {
                _ if is(&mapping.time) => Some(mapping.time_format.clone()),
                _ if is(&mapping.received_at) => Some(mapping.received_format.clone()),
                Some(Decimal::Comma) => Some("1.234,56".to_owned()),
                Some(Decimal::Point) => Some("1,234.56".to_owned()),
                None => None,
            };
            let is_used = role != "property" || column.property.is_some();
            ColumnMapping {
                column: column.name.clone(),
                role: if is_used { role } else { "left out" },
                property: column.property.clone().filter(|_| role == "property"),
                type_: column.has_type().then_some(column.type_),
                format,
                null_share: column.null_share,
                missing: column.missing,
                reason: column.reason.clone(),
                alternatives: column.alternatives.clone(),
            }
        };
        self.columns.iter().map(mapped).collect()
    }
}

/// The role of a column, with its reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnMapping {
    /// Its name in the files.
    pub column: String,
    /// Customer, anonymous id, time, event, type of call, message id, arrival, property, or left out.
    pub role: &'static str,
    /// The name of the property or trait that it becomes.
    pub property: Option<String>,
    /// The type of its values; none where the first rows have no value.
    #[serde(rename = "type")]
    pub type_: Option<Type>,
    /// How its times or numbers are written, where there are several ways.
    pub format: Option<String>,
    /// Missing values in the rows that were looked at, between 0 and 1.
    pub null_share: f64,
    /// Values in these rows that are a spelling of a missing value, such as `NULL`.
    pub missing: u64,
    /// Why it has its role.
    pub reason: Option<String>,
    /// Other columns that could have its role.
    pub alternatives: Vec<String>,
}

impl ProposedColumn {
    /// Whether somebody or some value said the type; else the first value that comes does.
    #[must_use]
    pub fn has_type(&self) -> bool {
        self.forced || self.null_share < 1.0
    }
}
