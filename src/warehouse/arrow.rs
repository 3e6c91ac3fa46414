//! What DuckDB gives as Arrow arrays, as the kernel takes it.

use duckdb::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use kernel::domain::{Cell, Time, Type};

/// The whole numbers or times of a column that has no nulls.
pub(crate) fn micros(array: &ArrayRef) -> &[i64] {
    let array = array.as_any();
    if let Some(times) = array.downcast_ref::<TimestampMicrosecondArray>() {
        times.values()
    } else if let Some(numbers) = array.downcast_ref::<Int64Array>() {
        numbers.values()
    } else {
        &[]
    }
}

/// A column of texts; what is none is empty.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a>(Option<&'a StringArray>);

impl<'a> Texts<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Self {
        Self(array.as_any().downcast_ref())
    }

    #[inline]
    pub(crate) fn text(self, row: usize) -> &'a str {
        match self.0 {
            Some(texts) if !texts.is_null(row) => texts.value(row),
            _ => "",
        }
    }
}

/// A column of values as the kernel takes them.
pub(crate) enum Values<'a> {
    Numbers(&'a Float64Array),
    Texts(&'a StringArray),
    Booleans(&'a BooleanArray),
    Times(&'a TimestampMicrosecondArray),
    Unknown,
}

impl<'a> Values<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Self {
        let array = array.as_any();
        if let Some(numbers) = array.downcast_ref() {
            Self::Numbers(numbers)
        } else if let Some(texts) = array.downcast_ref() {
            Self::Texts(texts)
        } else if let Some(booleans) = array.downcast_ref() {
            Self::Booleans(booleans)
        } else if let Some(times) = array.downcast_ref() {
            Self::Times(times)
        } else {
            Self::Unknown
        }
    }

    /// The same; none where all of them are null.
    pub(crate) fn unless_null(array: &'a ArrayRef) -> Option<Self> {
        (array.null_count() < array.len()).then(|| Self::of(array))
    }

    /// The type of the values, if it is one of ours.
    pub(crate) const fn type_of(&self) -> Option<Type> {
        match self {
            Self::Numbers(_) => Some(Type::Number),
            Self::Texts(_) => Some(Type::Text),
            Self::Booleans(_) => Some(Type::Boolean),
            Self::Times(_) => Some(Type::Time),
            Self::Unknown => None,
        }
    }

    #[inline]
    pub(crate) fn cell(&self, row: usize) -> Cell<'a> {
        match self {
            Self::Numbers(numbers) if !numbers.is_null(row) => Cell::Number(numbers.value(row)),
            Self::Texts(texts) if !texts.is_null(row) => Cell::Text(texts.value(row)),
            Self::Booleans(booleans) if !booleans.is_null(row) => {
                Cell::Boolean(booleans.value(row))
            }
            Self::Times(times) if !times.is_null(row) => Cell::Time(Time(times.value(row))),
            _ => Cell::Null,
        }
    }
}
