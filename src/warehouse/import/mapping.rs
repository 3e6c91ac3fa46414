use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::domain::Type;
use serde::Serialize;

use crate::summaries::ColumnSummary;

/// What the person says about files, as far as they say something; the rest is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The column that says who.
    pub customer: Option<String>,
    /// The column that says when.
    pub time: Option<String>,
    /// How times are written: `iso`, `epoch_s`, `epoch_ms`, `epoch_us` or a pattern like `%Y%m%d`.
    pub time_format: Option<String>,
    /// The column that says what.
    pub event: Option<String>,
    /// What every row is, if no column says it.
    pub event_name: Option<String>,
    /// The column with an id for each row.
    pub message_id: Option<String>,
    /// The column that says when it arrived, and so from when on it was known.
    pub received_at: Option<String>,
    /// Each row sets traits of a customer.
    pub traits: bool,
    /// Types of properties that must hold: rows that do not fit are rejected.
    pub types: BTreeMap<String, Type>,
    /// Columns to leave out.
    pub left_out: Vec<String>,
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
    /// The column that says when; traits may do without.
    pub time: Option<String>,
    /// How times are written.
    pub time_format: String,
    /// The column that says what.
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
            (self.time.as_ref(), "the time"),
            (self.event.as_ref(), "the event"),
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
    /// Whether the person said the type, so that what does not fit is rejected.
    pub forced: bool,
    /// What a person may not expect of it, if there is something.
    pub remark: Option<String>,
    /// Missing values in the rows that were looked at, between 0 and 1.
    pub null_share: f64,
    /// What the values of the first rows are like.
    pub summary: ColumnSummary,
}

impl Proposal {
    /// What a person may not expect of the columns.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.columns.iter().filter_map(|column| column.remark.clone()).collect()
    }
}

impl ProposedColumn {
    /// Whether somebody or some value said the type; else the first value that comes does.
    #[must_use]
    pub fn has_type(&self) -> bool {
        self.forced || self.null_share < 1.0
    }
}
