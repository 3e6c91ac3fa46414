use super::{Time, Value};

/// One value, borrowed from where it lies: what columns give and take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing is known.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number; not finite counts as null in a column.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// An instant.
    Time(Time),
    /// Values in order.
    List(&'a [Value]),
    /// Values and how often each was there.
    Counts(&'a [(Value, u64)]),
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text),
            Value::Time(time) => Self::Time(*time),
            Value::List(values) => Self::List(values),
            Value::Counts(counts) => Self::Counts(counts),
        }
    }
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Boolean(boolean) => Self::Boolean(boolean),
            Cell::Number(number) => Self::Number(number),
            Cell::Text(text) => Self::text(text),
            Cell::Time(time) => Self::Time(time),
            Cell::List(values) => Self::List(values.into()),
            Cell::Counts(counts) => Self::Counts(counts.into()),
        }
    }
}
