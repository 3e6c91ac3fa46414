use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{Time, Type, Value};

/// One value on its way into a column, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing is known.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number; not finite counts as null.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// An instant.
    Time(Time),
}

/// Values of one type, one a row, null included: text as codes of a dictionary.
#[derive(Clone, Debug)]
pub enum Column {
    /// 0 false, 1 true, 2 null.
    Boolean(Vec<u8>),
    /// NaN is null.
    Number(Vec<f64>),
    /// Codes into the dictionary.
    Text {
        /// The code of each row; [`Column::NO_TEXT`] is null.
        codes: Vec<u32>,
        /// The texts, in order of first appearance.
        dictionary: Vec<Arc<str>>,
        /// The code of each text.
        index: HashMap<Arc<str>, u32>,
    },
    /// Microseconds; [`Column::NO_TIME`] is null.
    Time(Vec<i64>),
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => Self::Text(text),
            Value::Time(time) => Self::Time(*time),
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
        }
    }
}

impl Column {
    /// The code of a null text.
    pub const NO_TEXT: u32 = u32::MAX;
    /// The microseconds of a null time.
    pub const NO_TIME: i64 = i64::MIN;

    /// An empty column.
    #[must_use]
    pub fn new(type_: Type) -> Self {
        match type_ {
            Type::Boolean => Self::Boolean(Vec::new()),
            Type::Number => Self::Number(Vec::new()),
            Type::Text => {
                Self::Text { codes: Vec::new(), dictionary: Vec::new(), index: HashMap::new() }
            }
            Type::Time => Self::Time(Vec::new()),
        }
    }

    /// The type of its values.
    #[must_use]
    pub const fn type_of(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::Text { .. } => Type::Text,
            Self::Time(_) => Type::Time,
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Text { codes, .. } => codes.len(),
            Self::Time(values) => values.len(),
        }
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a value, brought to the type of the column by the rule of [`Value::coerce`].
    pub fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(boolean)) => values.push(u8::from(boolean)),
            (Self::Number(values), Cell::Number(number)) => {
                values.push(if number.is_finite() { number } else { f64::NAN });
            }
            (Self::Text { codes, dictionary, index }, Cell::Text(text)) => {
                codes.push(code(dictionary, index, text));
            }
            (Self::Time(values), Cell::Time(time)) => values.push(time.0),
            (Self::Boolean(values), Cell::Null) => values.push(2),
            (Self::Number(values), Cell::Null) => values.push(f64::NAN),
            (Self::Text { codes, .. }, Cell::Null) => codes.push(Self::NO_TEXT),
            (Self::Time(values), Cell::Null) => values.push(Self::NO_TIME),
            (column, cell) => {
                let coerced = Value::from(cell).coerce(column.type_of());
                column.push(Cell::from(&coerced));
            }
        }
    }

    /// Whether the value of a row is null.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(values) => values.get(row).is_none_or(|value| *value == 2),
            Self::Number(values) => values.get(row).is_none_or(|value| value.is_nan()),
            Self::Text { codes, .. } => codes.get(row).is_none_or(|code| *code == Self::NO_TEXT),
            Self::Time(values) => values.get(row).is_none_or(|value| *value == Self::NO_TIME),
        }
    }

    /// The value of a row; null beyond the end.
    #[must_use]
    pub fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match self {
            Self::Boolean(values) => Value::Boolean(values[row] == 1),
            Self::Number(values) => Value::Number(values[row]),
            Self::Text { codes, dictionary, .. } => dictionary
                .get(codes[row] as usize)
                .map_or(Value::Null, |text| Value::Text(text.clone())),
            Self::Time(values) => Value::Time(Time(values[row])),
        }
    }

    /// Numbers that are equal exactly where the values are; for counting distinct ones.
    #[must_use]
    pub fn key(&self, row: usize) -> u64 {
        match self {
            Self::Boolean(values) => u64::from(values[row]),
            // Zero has two signs but is one value.
            Self::Number(values) => (values[row] + 0.0).to_bits(),
            Self::Text { codes, .. } => u64::from(codes[row]),
            Self::Time(values) => values[row].cast_unsigned(),
        }
    }

    /// The number of null rows.
    #[must_use]
    pub fn n_null(&self) -> usize {
        (0..self.len()).filter(|row| self.is_null(*row)).count()
    }
}

fn code(dictionary: &mut Vec<Arc<str>>, index: &mut HashMap<Arc<str>, u32>, text: &str) -> u32 {
    if let Some(code) = index.get(text) {
        return *code;
    }
    let code = u32::try_from(dictionary.len()).unwrap_or(Column::NO_TEXT);
    let text: Arc<str> = text.into();
    dictionary.push(text.clone());
    index.insert(text, code);
    code
}
