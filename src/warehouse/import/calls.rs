//! Archives of calls of the Segment API: the same events, traits and joins as the calls over HTTP.

use std::sync::Arc;

use duckdb::arrow::array::{Array, ArrayRef, BooleanArray, StringArray};
use duckdb::arrow::compute::filter;

use super::check::as_texts;
use super::read::{Rows, Stop};
use super::{Proposal, RowKind};
use crate::Error;

/// Which rows of a file are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    #[default]
    All,
    /// Calls that are events.
    Events,
    /// Calls that set traits or join ids.
    Identities,
}

/// The call that joins one id to another.
pub(super) const ALIAS: &str = "alias";
const IDENTITIES: [&str; 2] = ["identify", ALIAS];

impl Proposal {
    /// The parts in which the files are read one after the other.
    pub(super) fn parts(&self) -> Vec<Self> {
        if self.mapping.call.is_none() {
            return vec![self.clone()];
        }
        let (mut events, mut identities) = (self.clone(), self.clone());
        events.part = Part::Events;
        // Traits are properties of a group alone: their columns begin with their first value.
        let traits = |name: &str| name.starts_with("traits.");
        events.columns.iter_mut().filter(|it| traits(&it.name)).for_each(|it| it.null_share = 1.0);
        identities.part = Part::Identities;
        identities.mapping.kind = RowKind::Traits;
        identities
            .columns
            .iter_mut()
            .filter(|it| !traits(&it.name))
            .for_each(|it| it.property = None);
        vec![events, identities]
    }
}

/// The rows of one part, by the column with their calls.
pub(super) fn rows_of(rows: Rows, place: Option<usize>, part: Part) -> Result<Rows, Stop> {
    let (Some(place), true) = (place, part != Part::All) else { return Ok(rows) };
    let calls = as_texts(&rows.columns[place]);
    let is_own: Vec<bool> = match calls.as_any().downcast_ref::<StringArray>() {
        Some(calls) => {
            let is_identity =
                |call: Option<&str>| call.is_some_and(|call| IDENTITIES.contains(&call));
            calls.iter().map(|call| is_identity(call) == (part == Part::Identities)).collect()
        }
        None => vec![part == Part::Events; rows.n()],
    };
    let lines = rows.lines.iter().zip(&is_own).filter(|(_, is_own)| **is_own);
    let lines = lines.map(|(line, _)| *line).collect();
    let is_own = BooleanArray::from(is_own);
    let columns = rows.columns.iter().map(|column| filter(column, &is_own));
    let columns = columns.collect::<Result<_, _>>();
    // What is no row is counted once.
    let is_counted = part == Part::Events;
    Ok(Rows {
        lines,
        columns: columns.map_err(|error| Error::Table(error.to_string()))?,
        rejects: if is_counted { rows.rejects } else { Vec::new() },
        remarks: if is_counted { rows.remarks } else { Vec::new() },
        ..rows
    })
}

/// What each call is: the event of a track, and else the call itself.
pub(super) fn events(calls: &ArrayRef, events: Option<&ArrayRef>) -> ArrayRef {
    let (calls, events) = (as_texts(calls), events.map(as_texts));
    let texts = |array: &'_ ArrayRef| array.as_any().downcast_ref::<StringArray>().cloned();
    let events = events.as_ref().and_then(texts);
    let Some(calls) = texts(&calls) else { return calls };
    let event = |row: usize| match (!calls.is_null(row)).then(|| calls.value(row)) {
        Some("track") | None => {
            let events = events.as_ref().filter(|events| !events.is_null(row));
            events.map(|events| events.value(row).to_owned())
        }
        Some(call) => Some(call.to_owned()),
    };
    Arc::new((0..calls.len()).map(event).collect::<StringArray>())
}

/// The other ids of the rows: the anonymous id, or for an alias the id before.
pub(super) fn others(
    calls: &ArrayRef,
    anonymous: Option<ArrayRef>,
    previous: Option<ArrayRef>,
) -> Option<ArrayRef> {
    let Some(previous) = previous else { return anonymous };
    let calls = as_texts(calls);
    let texts = |array: &'_ ArrayRef| array.as_any().downcast_ref::<StringArray>().cloned();
    let (calls, previous) = (texts(&calls)?, texts(&previous)?);
    let anonymous = anonymous.as_ref().and_then(texts);
    let other = |row: usize| {
        let is_alias = !calls.is_null(row) && calls.value(row) == ALIAS;
        let ids = if is_alias { Some(&previous) } else { anonymous.as_ref() };
        ids.filter(|ids| !ids.is_null(row)).map(|ids| ids.value(row).to_owned())
    };
    Some(Arc::new((0..calls.len()).map(other).collect::<StringArray>()))
}
