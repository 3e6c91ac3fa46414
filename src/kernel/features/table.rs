use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{AsOf, Bound, Cell, Column, Knowledge, Timelines, View};
use crate::domain::{Name, Time, Type};

/// Feature values of many rows, by column.
#[derive(Clone, Debug)]
pub struct Table {
    /// Names and types of the columns, in the order of the features.
    pub columns: Vec<(Name, Type)>,
    /// The values, one column a feature, one row a requested row.
    pub values: Vec<Column>,
}

/// The computation was canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("canceled")]
pub struct Canceled;

/// Rows computed between two looks at the cancel flag.
const CHUNK: usize = 1_024;

/// Computes a view for rows of (customer, as-of time), in parallel, in the order of the rows.
///
/// # Errors
/// [`Canceled`] soon after `cancel` became true.
pub fn compute(
    view: &View,
    timelines: &Timelines,
    rows: &[(usize, Time)],
    knowledge: Knowledge,
    cancel: &AtomicBool,
) -> Result<Table, Canceled> {
    let bound = Bound::new(view, timelines);
    let chunks: Result<Vec<_>, Canceled> = rows
        .par_chunks(CHUNK)
        .map(|chunk| {
            if cancel.load(Ordering::Relaxed) {
                return Err(Canceled);
            }
            let row = |(customer, time): &(usize, Time)| {
                bound.row(*customer, AsOf { time: *time, knowledge })
            };
            Ok(chunk.iter().map(row).collect::<Vec<_>>())
        })
        .collect();
    let features = view.features();
    let mut values: Vec<Column> =
        features.iter().map(|feature| Column::new(feature.type_)).collect();
    for row in chunks?.iter().flatten() {
        for (column, value) in values.iter_mut().zip(row) {
            column.push(Cell::from(value));
        }
    }
    let columns = features.iter().map(|feature| (feature.name.clone(), feature.type_)).collect();
    Ok(Table { columns, values })
}
