use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::row::{Other, Row};
use super::{AsOf, Bound, Cell, Column, Feature, Knowledge, SpineRow, SpineRows, View};
use crate::domain::{Job, Name, Type, Value};

/// Feature values of many rows, by column.
#[derive(Clone, Debug)]
pub struct Table {
    /// Names and types of the columns, in the order of the features.
    pub columns: Vec<(Name, Type)>,
    /// The values, one column a feature, one row a requested row.
    pub values: Vec<Column>,
}

/// Why a table was not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The job was canceled.
    #[error("canceled")]
    Canceled,
    /// The texts, lists and counts exceed [`MAX_TABLE_BYTES`].
    #[error(
        "the texts, lists and counts of the features need more than 1 GiB of memory; leave out features with long \
         texts or lists, or compute fewer rows"
    )]
    TooLarge,
}

/// Maximum number of bytes of the texts that expressions make, and of the lists and counts, of one table.
pub const MAX_TABLE_BYTES: usize = 1 << 30;

/// Rows whose customers are brought near together.
const TOGETHER: usize = 16;
/// Pieces that the work is cut into, so that it spreads evenly and can be canceled.
const PIECES: usize = 256;

/// Computes a bound view for the rows of a spine, in parallel by customer, in the order of the rows.
///
/// # Errors
/// [`ComputeError::Canceled`] soon after the job was, or [`ComputeError::TooLarge`].
pub fn compute(
    view: &View,
    bound: &Bound<'_>,
    spine: &SpineRows,
    knowledge: Knowledge,
    job: &Job,
) -> Result<Table, ComputeError> {
    compute_within(MAX_TABLE_BYTES, view, bound, spine, knowledge, job)
}

fn compute_within(
    most_bytes: usize,
    view: &View,
    bound: &Bound<'_>,
    spine: &SpineRows,
    knowledge: Knowledge,
    job: &Job,
) -> Result<Table, ComputeError> {
    let bytes = AtomicUsize::new(0);
    let order = by_customer(&spine.rows);
    let rows: Vec<SpineRow> = order.iter().map(|place| spine.rows[*place as usize]).collect();
    let features = view.features();
    let context: Vec<Option<&Column>> =
        view.context().iter().map(|(name, _)| spine.occasions.column(name)).collect();
    let done = AtomicUsize::new(0);
    let pieces = pieces(&rows, bound);
    // Numbers, which most features are, are written where they stay.
    let is_number = |feature: &Feature| feature.type_ == Type::Number;
    let (of_numbers, of_others): (Vec<usize>, Vec<usize>) =
        (0..features.len()).partition(|place| is_number(&features[*place]));
    let mut numbers: Vec<Vec<f64>> = of_numbers.iter().map(|_| vec![0.0; order.len()]).collect();
    let places = cut(&mut numbers, &pieces);
    let others: Result<Vec<Vec<Column>>, ComputeError> = pieces
        .into_par_iter()
        .zip(places)
        .map(|(piece, numbers)| {
            let mut columns = Columns::new(features, numbers, &of_numbers, &of_others);
            let mut evaluator = bound.evaluator();
            let mut row = Row::default();
            let mut occasion = Vec::with_capacity(context.len());
            let places = &order[piece.clone()];
            let together = rows[piece.clone()].chunks(TOGETHER).zip(places.chunks(TOGETHER));
            for (rows, places) in together {
                if job.is_canceled() {
                    return Err(ComputeError::Canceled);
                }
                rows.chunk_by(is_same_customer).for_each(|rows| bound.bring_near(rows[0].0));
                for (&(customer, time), place) in rows.iter().zip(places) {
                    let value = |column: &Option<&Column>| {
                        column.map_or(Value::Null, |column| column.value(*place as usize))
                    };
                    occasion.clear();
                    occasion.extend(context.iter().map(value));
                    evaluator.row(customer, AsOf { time, knowledge }, &occasion, &mut row);
                    columns.push(&row);
                }
                let own = std::mem::take(&mut columns.bytes);
                if own > 0 && bytes.fetch_add(own, Ordering::Relaxed) + own > most_bytes {
                    return Err(ComputeError::TooLarge);
                }
                columns.take_numbers(&mut row);
            }
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            let share = (done.fetch_add(piece.len(), Ordering::Relaxed) + piece.len()) as f32
                / spine.rows.len().max(1) as f32;
            job.report("Computing features", share);
            Ok(columns.others)
        })
        .collect();
    let mut numbers = numbers.into_iter().map(Column::Number);
    let mut others = joined(others?, features).into_iter();
    let mut values: Vec<Column> = features
        .iter()
        .filter_map(|feature| if is_number(feature) { numbers.next() } else { others.next() })
        .collect();
    if let Some(places) = inverse(&order) {
        let rearrange =
            |spare: &mut Vec<f64>, column: &mut Column| column.rearrange(&places, spare);
        values.par_iter_mut().for_each_init(Vec::new, rearrange);
    }
    let columns = features.iter().map(|feature| (feature.name.clone(), feature.type_)).collect();
    Ok(Table { columns, values })
}

/// The columns of a piece, as its rows come.
struct Columns<'c> {
    /// Where numbers stay, those of rows that have not come apart.
    numbers: Vec<&'c mut [f64]>,
    of_numbers: &'c [usize],
    n_features: usize,
    others: Vec<Column>,
    of_others: &'c [usize],
    /// What is known of the codes of texts, by column.
    codes: Vec<Vec<u32>>,
    /// Memory of the values that were pushed since it was last taken, in bytes, roughly.
    bytes: usize,
}

impl<'c> Columns<'c> {
    fn new(
        features: &[Feature],
        numbers: Vec<&'c mut [f64]>,
        of_numbers: &'c [usize],
        of_others: &'c [usize],
    ) -> Self {
        let others = of_others.iter().map(|place| Column::new(features[*place].type_)).collect();
        let codes = vec![Vec::new(); of_others.len()];
        Self { numbers, of_numbers, n_features: features.len(), others, of_others, codes, bytes: 0 }
    }

    /// Takes the values of a row that are no numbers.
    fn push(&mut self, row: &Row<'_>) {
        let mut said = row.others.iter().peekable();
        let columns = self.others.iter_mut().zip(self.of_others).zip(&mut self.codes);
        for ((column, feature), codes) in columns {
            match said.next_if(|(place, _)| place == feature) {
                Some((_, Other::Text(texts, code))) => column.push_code(texts, *code, codes),
                Some((_, Other::Value(value))) => {
                    self.bytes += bytes_of(value);
                    column.push(Cell::from(value));
                }
                None => column.push(Cell::Null),
            }
        }
    }

    /// Takes the numbers of all rows that have come. One row after the other into all columns would touch as
    /// many pages of memory each time.
    fn take_numbers(&mut self, row: &mut Row<'_>) {
        let n_rows = row.numbers.len() / self.n_features.max(1);
        for (column, feature) in self.numbers.iter_mut().zip(self.of_numbers) {
            let (own, rest) = std::mem::take(column).split_at_mut(n_rows);
            let values = row.numbers.iter().skip(*feature).step_by(self.n_features);
            own.iter_mut().zip(values).for_each(|(own, value)| *own = *value);
            *column = rest;
        }
        row.numbers.clear();
    }
}

/// The part of each column that each piece writes.
fn cut<'c>(columns: &'c mut [Vec<f64>], pieces: &[Range<usize>]) -> Vec<Vec<&'c mut [f64]>> {
    let mut rest: Vec<&mut [f64]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let mut own = Vec::with_capacity(rest.len());
        for column in &mut rest {
            let (part, after) = std::mem::take(column).split_at_mut(piece.len());
            own.push(part);
            *column = after;
        }
        parts.push(own);
    }
    parts
}

/// The columns of all pieces, one after the other, of the features that are no numbers.
fn joined(pieces: Vec<Vec<Column>>, features: &[Feature]) -> Vec<Column> {
    let others = features.iter().filter(|feature| feature.type_ != Type::Number);
    let mut columns: Vec<Column> = others.map(|feature| Column::new(feature.type_)).collect();
    columns.par_iter_mut().enumerate().for_each(|(place, column)| {
        pieces.iter().for_each(|piece| column.append(&piece[place]));
    });
    columns
}

/// The places of rows by customer and time, so that each customer is read once and time only goes on.
fn by_customer(rows: &[SpineRow]) -> Vec<u32> {
    let places = 0..u32::try_from(rows.len()).unwrap_or(u32::MAX);
    if rows.is_sorted() {
        return places.collect();
    }
    // First to their customers by counting, then by time within each.
    let n_customers = rows.iter().map(|(customer, _)| customer + 1).max().unwrap_or(0);
    let mut ends = vec![0_usize; n_customers];
    rows.iter().for_each(|(customer, _)| ends[*customer] += 1);
    let mut before = 0;
    for end in &mut ends {
        before += std::mem::replace(end, before);
    }
    let mut order = vec![0; rows.len()];
    for (place, (customer, _)) in places.zip(rows) {
        order[ends[*customer]] = place;
        ends[*customer] += 1;
    }
    // Each customer's end is where it was filled to.
    let mut begin = 0;
    for end in ends {
        if end - begin > 1 {
            order[begin..end].sort_unstable_by_key(|place| (rows[*place as usize].1, *place));
        }
        begin = end;
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

const fn is_same_customer(left: &SpineRow, right: &SpineRow) -> bool {
    left.0 == right.0
}

/// Runs of rows by customer that together cost about the same, no customer in two of them.
fn pieces(rows: &[SpineRow], bound: &Bound<'_>) -> Vec<Range<usize>> {
    let groups = || rows.chunk_by(is_same_customer);
    let cost = |group: &[SpineRow]| {
        group.len() + group.first().map_or(0, |row| bound.timelines().rows(row.0).len())
    };
    let enough = groups().map(cost).sum::<usize>() / PIECES + 1;
    let mut pieces = Vec::new();
    let (mut start, mut end, mut cost_so_far) = (0, 0, 0);
    for group in groups() {
        end += group.len();
        cost_so_far += cost(group);
        if cost_so_far >= enough {
            pieces.push(start..end);
            (start, cost_so_far) = (end, 0);
        }
    }
    if start < end {
        pieces.push(start..end);
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

/// The memory of a value in a column, in bytes, roughly.
fn bytes_of(value: &Value) -> usize {
    const EACH: usize = 24;
    match value {
        Value::Text(text) => text.len() + EACH,
        Value::List(values) => values.iter().map(bytes_of).sum::<usize>() + EACH,
        Value::Counts(counts) => counts.iter().map(|(value, _)| bytes_of(value) + EACH).sum(),
        _ => EACH,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::domain::{Event, Properties, Time};
    use crate::features::{AggregationName, Catalog, FeatureDefinition, Timelines, ViewDefinition};

    #[test]
    fn a_table_is_refused_above_its_limit_of_bytes() {
        let mut catalog = Catalog::default();
        catalog.events.insert("a".to_owned());
        catalog.properties.insert("p".to_owned(), Type::Text);
        let last = FeatureDefinition {
            aggregation: Some(AggregationName::LastK),
            property: Some("p".to_owned()),
            k: Some(3),
            ..FeatureDefinition::named("l".parse().unwrap())
        };
        let definition = ViewDefinition { name: "v".parse().unwrap(), features: vec![last] };
        let view = View::check(&definition, &catalog).unwrap();
        let event = |n: i64| Event {
            message_id: n.to_string(),
            customer_id: "c".to_owned(),
            anonymous_id: None,
            seq: 0,
            event: "a".to_owned(),
            event_time: Time(n),
            received_at: Time(n),
            properties: [("p".to_owned(), Value::text("0123456789"))]
                .into_iter()
                .collect::<Properties>(),
        };
        let events: Vec<Event> = (0..5).map(event).collect();
        let timelines = Timelines::of_events(view.reads(), &events);
        let bound = Bound::new(&view, &timelines);
        let spine = SpineRows::at(&timelines, Time(100));
        let compute = |most| {
            compute_within(most, &view, &bound, &spine, Knowledge::AsItWas, &Job::unwatched())
        };
        let needed = 3 * (10 + 24) + 24;
        assert_eq!(compute(needed - 1).unwrap_err(), ComputeError::TooLarge);
        assert!(compute(needed).is_ok());
        assert!(compute(needed + 1).is_ok());
    }
}
