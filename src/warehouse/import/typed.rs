//! Columns of files as the types of their properties.

use std::sync::Arc;

use duckdb::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, TimestampMicrosecondArray, new_null_array,
};
use kernel::domain::{
    Cell, MisfitReason, PropertyType, PropertyTypes, Time, Type, Value, boolean_of, is_missing,
    number_in,
};

use super::check::as_texts;
use super::facts::{KEPT_WHOLE, RawValues, as_number};
use super::time_format::TimeFormat;
use super::{ProposedColumn, RowKind};
use crate::arrow::Values;
use crate::relation::data_type;

/// A value that does not fit the type of its property.
#[derive(Clone, Debug)]
pub(super) struct Misfit {
    /// The place of its row among those that are good.
    pub(super) row: usize,
    /// The place of its property.
    pub(super) property: usize,
    pub(super) text: String,
    pub(super) reason: MisfitReason,
}

/// The type that the project has for a property or trait.
pub(super) fn known_type(types: &PropertyTypes, kind: RowKind, name: &str) -> Option<PropertyType> {
    match kind {
        RowKind::Events => types.property(name).map(|(_, type_)| type_),
        RowKind::Traits => types.trait_type(name),
    }
}

/// The type of a column's property, and whether it is settled: a person chose it, or the project has it.
pub(super) fn type_in(
    types: &PropertyTypes,
    kind: RowKind,
    column: &ProposedColumn,
    property: &str,
) -> (PropertyType, bool) {
    match known_type(types, kind, property) {
        _ if column.forced => (PropertyType::chosen(column.type_), true),
        Some(known) => (known, true),
        None => (PropertyType::found(column.type_), false),
    }
}

/// A column as a type, and the values that do not fit, by row; these are null. A settled type takes more than
/// one that was found: digits that look like an id. A chosen one also takes times as the file has them.
pub(super) fn typed(
    array: &ArrayRef,
    type_: PropertyType,
    settled: bool,
    forced: bool,
    time_format: &TimeFormat,
) -> (ArrayRef, Vec<Misfit>) {
    let values = RawValues::of(array);
    let n = array.len();
    let mut misfits = Vec::new();
    let mut misfit = |row: usize, text: &str, reason: MisfitReason| {
        misfits.push(Misfit { row, property: 0, text: text.to_owned(), reason });
    };
    let is_own = match (&values, type_.type_of()) {
        (RawValues::Other(Values::Booleans(_)), Type::Boolean)
        | (RawValues::Other(Values::Times(_)), Type::Time) => true,
        (RawValues::Other(Values::Numbers(numbers)), Type::Number) => {
            numbers.values().iter().all(|number| number.is_finite())
        }
        _ => false,
    };
    let typed: ArrayRef = match type_.type_of() {
        _ if is_own => array.clone(),
        type_ if array.null_count() == n => new_null_array(&data_type(type_), n),
        Type::Text | Type::List(_) | Type::Counts(_) => as_texts(array),
        Type::Number => {
            let number = |row| {
                let read = match (values.cell(row), &values) {
                    (Cell::Null, _) => return None,
                    (Cell::Number(number), RawValues::Whole(whole)) => {
                        let is_same = i128::from(whole.value(row)) == as_whole(number);
                        let is_kept = number.abs() < KEPT_WHOLE || (settled && is_same);
                        match is_kept || type_ == PropertyType::RoundedNumber {
                            true => Ok(Some(number)),
                            false => Err(MisfitReason::MoreDigits),
                        }
                    }
                    (Cell::Number(number), _) => finite(number),
                    _ => number_of(&values.text(row)?, type_, settled),
                };
                read.unwrap_or_else(|reason| {
                    misfit(row, &values.text(row).unwrap_or_default(), reason);
                    None
                })
            };
            Arc::new((0..n).map(number).collect::<Float64Array>())
        }
        Type::Boolean => {
            let boolean = |row| {
                let text = values.text(row)?;
                let boolean = boolean_of(&text);
                if boolean.is_none() && !is_missing(&text) {
                    misfit(row, &text, MisfitReason::NoBoolean);
                }
                boolean
            };
            Arc::new((0..n).map(boolean).collect::<BooleanArray>())
        }
        Type::Time => {
            let time = |row| {
                let text = values.text(row)?;
                let own = forced.then(|| time_format.micros(&text)).flatten();
                let known = || match settled {
                    true => text.parse().ok().map(|time: Time| time.0),
                    false => TimeFormat::Iso.micros(&text),
                };
                let time = own.or_else(known);
                if time.is_none() && !is_missing(&text) {
                    misfit(row, &text, MisfitReason::NoTime);
                }
                time
            };
            Arc::new((0..n).map(time).collect::<TimestampMicrosecondArray>())
        }
    };
    (typed, misfits)
}

fn finite(number: f64) -> Result<Option<f64>, MisfitReason> {
    match number {
        _ if number.is_nan() => Ok(None),
        _ if number.is_infinite() => Err(MisfitReason::Infinite),
        _ => Ok(Some(number)),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a whole number of 64 bits")]
fn as_whole(number: f64) -> i128 {
    number as i128
}

/// The number of a text; none where it is no value.
fn number_of(text: &str, type_: PropertyType, settled: bool) -> Result<Option<f64>, MisfitReason> {
    match type_ {
        _ if !settled => match as_number(text) {
            Some(number) => finite(number),
            None if is_missing(text) => Ok(None),
            None => Err(MisfitReason::NoNumber),
        },
        PropertyType::RoundedNumber => type_.fit(&Value::text(text)).map(|value| value.as_number()),
        _ => number_in(text),
    }
}
