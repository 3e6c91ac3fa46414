use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{AsOf, Bound, Cell, Column, Knowledge, SpineRow, SpineRows, View};
use crate::domain::{Job, Name, Type, Value};

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

/// Pieces that the work is cut into, so that it spreads evenly and can be canceled.
const PIECES: usize = 256;

/// Computes a bound view for the rows of a spine, in parallel by customer, in the order of the rows.
///
/// # Errors
/// [`Canceled`] soon after the job was.
pub fn compute(
    view: &View,
    bound: &Bound<'_>,
    spine: &SpineRows,
    knowledge: Knowledge,
    job: &Job,
) -> Result<Table, Canceled> {
    let order = by_customer(&spine.rows);
    let features = view.features();
    let context: Vec<Option<&Column>> =
        view.context().iter().map(|(name, _)| spine.occasions.column(name)).collect();
    let done = AtomicUsize::new(0);
    let pieces: Result<Vec<Vec<Column>>, Canceled> = pieces(&spine.rows, &order, bound)
        .into_par_iter()
        .map(|piece| {
            let mut columns: Vec<Column> =
                features.iter().map(|feature| Column::new(feature.type_)).collect();
            let mut evaluator = bound.evaluator();
            let mut values = Vec::with_capacity(features.len());
            let mut occasion = Vec::with_capacity(context.len());
            for place in piece {
                if job.is_canceled() {
                    return Err(Canceled);
                }
                let (customer, time) = spine.rows[*place as usize];
                let value = |column: &Option<&Column>| {
                    column.map_or(Value::Null, |column| column.value(*place as usize))
                };
                occasion.clear();
                occasion.extend(context.iter().map(value));
                evaluator.row(customer, AsOf { time, knowledge }, &occasion, &mut values);
                for (column, value) in columns.iter_mut().zip(&values) {
                    match (column, value) {
                        // A feature that is a number is finite.
                        (Column::Number(numbers), Value::Number(number)) => numbers.push(*number),
                        (column, value) => column.push(Cell::from(value)),
                    }
                }
            }
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            let share = (done.fetch_add(piece.len(), Ordering::Relaxed) + piece.len()) as f32
                / spine.rows.len().max(1) as f32;
            job.report("Computing features", share);
            Ok(columns)
        })
        .collect();
    let mut pieces = pieces?.into_iter();
    let empty = || features.iter().map(|feature| Column::new(feature.type_)).collect();
    let first: Vec<Column> = pieces.next().unwrap_or_else(empty);
    let rest: Vec<Vec<Column>> = pieces.collect();
    let places = inverse(&order);
    let values = first
        .into_par_iter()
        .enumerate()
        .map(|(feature, mut column)| {
            column.reserve(spine.rows.len());
            rest.iter().for_each(|piece| column.append(&piece[feature]));
            match &places {
                None => column,
                Some(places) => column.gather(places),
            }
        })
        .collect();
    let columns = features.iter().map(|feature| (feature.name.clone(), feature.type_)).collect();
    Ok(Table { columns, values })
}

/// The places of rows by customer and time, so that each customer is read once and time only goes on.
fn by_customer(rows: &[SpineRow]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(rows.len()).unwrap_or(u32::MAX)).collect();
    if !rows.is_sorted() {
        order.par_sort_unstable_by_key(|place| (rows[*place as usize], *place));
    }
    order
}

/// Where each row went; none if each stayed.
fn inverse(order: &[u32]) -> Option<Vec<u32>> {
    if order.is_sorted() {
        return None;
    }
    let mut places = vec![0; order.len()];
    for (at, place) in (0_u32..).zip(order) {
        places[*place as usize] = at;
    }
    Some(places)
}

/// Runs of rows that together cost about the same, no customer in two of them.
fn pieces<'o>(rows: &[SpineRow], order: &'o [u32], bound: &Bound<'_>) -> Vec<&'o [u32]> {
    let customer = |place: &u32| rows[*place as usize].0;
    let groups = || order.chunk_by(|left, right| customer(left) == customer(right));
    let cost = |group: &[u32]| {
        group.len() + group.first().map_or(0, |row| bound.timelines().rows(customer(row)).len())
    };
    let enough = groups().map(cost).sum::<usize>() / PIECES + 1;
    let mut pieces = Vec::new();
    let (mut start, mut end, mut cost_so_far) = (0, 0, 0);
    for group in groups() {
        end += group.len();
        cost_so_far += cost(group);
        if cost_so_far >= enough {
            pieces.push(&order[start..end]);
            (start, cost_so_far) = (end, 0);
        }
    }
    if start < end {
        pieces.push(&order[start..end]);
    }
    pieces
}

impl Table {
    /// The values of one row, in the order of the features.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.values.iter().map(|column| column.value(row)).collect()
    }
}
