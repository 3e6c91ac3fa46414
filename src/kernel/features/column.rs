use std::collections::HashMap;
use std::sync::Arc;

use super::codes::{Code, Codes, with_codes};
use crate::domain::{Cell, Time, Type, Value};

/// Values of one type, one a row, null included: text as codes of a dictionary.
#[derive(Clone, Debug)]
pub enum Column {
    /// 0 false, 1 true, 2 null.
    Boolean(Vec<u8>),
    /// NaN is null.
    Number(Vec<f64>),
    /// Codes into a dictionary.
    Text(Texts),
    /// Microseconds; [`Column::NO_TIME`] is null.
    Time(Vec<i64>),
    /// Where the values of each row end; null rows have none.
    List(Vec<usize>, Box<Column>),
    /// Where the counted values of each row end, the values, and their counts.
    Counts(Vec<usize>, Box<Column>, Vec<u64>),
}

/// Texts as codes of a dictionary.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    codes: Codes,
    /// The texts, in order of first appearance.
    dictionary: Vec<Arc<str>>,
    /// The code of each text.
    index: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    /// The code that was asked for last: the next one is often the same.
    last: u32,
}

impl Texts {
    /// No rows, but a dictionary: the code of each text is its place.
    pub(super) fn of(dictionary: &[Arc<str>]) -> Self {
        let index = dictionary.iter().cloned().zip(0..).collect();
        Self { dictionary: dictionary.to_vec(), index, ..Self::default() }
    }

    /// Rows by the codes of a dictionary.
    pub(super) fn of_codes(codes: Codes, dictionary: &[Arc<str>]) -> Self {
        Self { codes, ..Self::of(dictionary) }
    }

    /// The code of each row.
    #[must_use]
    pub const fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The texts by their codes.
    #[must_use]
    pub fn dictionary(&self) -> &[Arc<str>] {
        &self.dictionary
    }

    /// The code of a text, a new one if it is new.
    #[inline]
    pub fn code(&mut self, text: &str) -> u32 {
        let is_last = self.dictionary.get(self.last as usize).is_some_and(|last| **last == *text);
        if !is_last {
            self.last = match self.index.get(text) {
                Some(code) => *code,
                None => self.new_code(text),
            };
        }
        self.last
    }

    #[cold]
    fn new_code(&mut self, text: &str) -> u32 {
        let code = u32::try_from(self.dictionary.len()).unwrap_or(Column::NO_TEXT);
        let text: Arc<str> = text.into();
        self.dictionary.push(text.clone());
        self.index.insert(text, code);
        code
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(Column::NO_TEXT, |text| self.code(text));
        self.codes.push(code);
    }

    /// The text of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&Arc<str>> {
        self.dictionary.get(self.codes.at(row) as usize)
    }

    fn append(&mut self, other: &Self) {
        let codes: Vec<u32> = other.dictionary.iter().map(|text| self.code(text)).collect();
        for row in 0..other.codes.len() {
            let code = codes.get(other.codes.at(row) as usize);
            self.codes.push(code.copied().unwrap_or(Column::NO_TEXT));
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
            Type::Text => Self::Text(Texts::default()),
            Type::Time => Self::Time(Vec::new()),
            Type::List(element) => Self::List(Vec::new(), Box::new(Self::new(element.into()))),
            Type::Counts(element) => {
                Self::Counts(Vec::new(), Box::new(Self::new(element.into())), Vec::new())
            }
        }
    }

    /// The type of its values.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Time(_) => Type::Time,
            Self::List(_, values) => Type::List(values.type_of().element()),
            Self::Counts(_, values, _) => Type::Counts(values.type_of().element()),
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Boolean(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Text(texts) => texts.codes.len(),
            Self::Time(values) => values.len(),
            Self::List(ends, _) | Self::Counts(ends, ..) => ends.len(),
        }
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that it takes, in bytes, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Boolean(values) => values.capacity(),
            Self::Number(values) => values.capacity() * 8,
            Self::Text(texts) => {
                let text = |text: &Arc<str>| text.len() + TEXT_BYTES;
                texts.codes.bytes() + texts.dictionary.iter().map(text).sum::<usize>()
            }
            Self::Time(values) => values.capacity() * 8,
            Self::List(ends, values) => ends.capacity() * 8 + values.bytes(),
            Self::Counts(ends, values, counts) => {
                (ends.capacity() + counts.capacity()) * 8 + values.bytes()
            }
        }
    }

    /// Appends a value, brought to the type of the column by the rule of [`Value::coerce`].
    #[inline]
    pub fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(values), Cell::Boolean(boolean)) => values.push(u8::from(boolean)),
            (Self::Number(values), Cell::Number(number)) => {
                values.push(if number.is_finite() { number } else { f64::NAN });
            }
            (Self::Text(texts), Cell::Text(text)) => texts.push(Some(text)),
            (Self::Time(values), Cell::Time(time)) => values.push(time.0),
            (Self::Boolean(values), Cell::Null) => values.push(2),
            (Self::Number(values), Cell::Null) => values.push(f64::NAN),
            (Self::Text(texts), Cell::Null) => texts.push(None),
            (Self::Time(values), Cell::Null) => values.push(Self::NO_TIME),
            (Self::List(ends, values), cell) => {
                if let Cell::List(list) = cell {
                    list.iter().for_each(|value| values.push(Cell::from(value)));
                }
                ends.push(values.len());
            }
            (Self::Counts(ends, values, counts), cell) => {
                if let Cell::Counts(counted) = cell {
                    for (value, count) in counted {
                        values.push(Cell::from(value));
                        counts.push(*count);
                    }
                }
                ends.push(values.len());
            }
            (column, cell) => {
                let coerced = Value::from(cell).coerce(column.type_of());
                column.push(Cell::from(&coerced));
            }
        }
    }

    /// The order of the values of two rows, as [`Value::order`] has it.
    pub(super) fn order(&self, left: usize, right: usize) -> std::cmp::Ordering {
        match self {
            Self::Text(texts) => texts.get(left).cmp(&texts.get(right)),
            column => column.value(left).order(&column.value(right)),
        }
    }

    /// Appends values, each brought to the type of the column.
    pub(super) fn extend<'c>(&mut self, cells: impl Iterator<Item = Cell<'c>>) {
        match self {
            Self::Number(values) => values.extend(cells.map(|cell| match cell {
                Cell::Number(number) if number.is_finite() => number,
                Cell::Number(_) | Cell::Null => f64::NAN,
                other => Value::from(other).coerce(Type::Number).as_number().unwrap_or(f64::NAN),
            })),
            column => cells.for_each(|cell| column.push(cell)),
        }
    }

    /// Appends so many nulls.
    pub(super) fn extend_null(&mut self, n: usize) {
        let n = self.len() + n;
        match self {
            Self::Boolean(values) => values.resize(n, 2),
            Self::Number(values) => values.resize(n, f64::NAN),
            Self::Text(texts) => texts.codes.push_null(n - texts.codes.len()),
            Self::Time(values) => values.resize(n, Self::NO_TIME),
            Self::List(ends, values) | Self::Counts(ends, values, _) => {
                ends.resize(n, values.len());
            }
        }
    }

    /// Appends the rows of a column of the same type.
    pub fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Boolean(values), Self::Boolean(more)) => values.extend_from_slice(more),
            (Self::Number(values), Self::Number(more)) => values.extend_from_slice(more),
            (Self::Text(texts), Self::Text(more)) => texts.append(more),
            (Self::Time(values), Self::Time(more)) => values.extend_from_slice(more),
            (column, more) => {
                for row in 0..more.len() {
                    column.push(Cell::from(&more.value(row)));
                }
            }
        }
    }

    /// The rows at places, in the order of the places.
    #[must_use]
    pub fn gather(&self, places: &[u32]) -> Self {
        fn pick<T: Copy>(values: &[T], places: &[u32]) -> Vec<T> {
            places.iter().map(|place| values[*place as usize]).collect()
        }
        match self {
            Self::Boolean(values) => Self::Boolean(pick(values, places)),
            Self::Number(values) => Self::Number(pick(values, places)),
            Self::Text(texts) => Self::Text(Texts {
                codes: texts.codes.gather(places),
                dictionary: texts.dictionary.clone(),
                index: texts.index.clone(),
                last: 0,
            }),
            Self::Time(values) => Self::Time(pick(values, places)),
            nested => {
                let mut gathered = Self::new(nested.type_of());
                for place in places {
                    gathered.push(Cell::from(&nested.value(*place as usize)));
                }
                gathered
            }
        }
    }

    /// Whether no row of a range is null.
    pub(super) fn has_all(&self, range: &std::ops::Range<usize>) -> bool {
        /// Most often all do: without a way out early, several are looked at at once.
        fn all<T: Copy>(values: &[T], has: impl Fn(T) -> bool) -> bool {
            values.iter().fold(true, |all, value| all & has(*value))
        }
        let range = range.clone();
        match self {
            Self::Boolean(values) => all(&values[range], |value| value != 2),
            Self::Number(values) => all(&values[range], |value| !value.is_nan()),
            Self::Text(texts) => {
                with_codes!(&texts.codes, codes => all(&codes[range], |code| !code.is_null()))
            }
            Self::Time(values) => all(&values[range], |value| value != Self::NO_TIME),
            Self::List(..) | Self::Counts(..) => false,
        }
    }

    /// Appends a text by its code among other texts; `known` remembers the codes of both.
    pub(super) fn push_code(&mut self, texts: &Texts, code: u32, known: &mut Vec<u32>) {
        let text = texts.dictionary.get(code as usize);
        let Self::Text(own) = self else {
            return self.push(text.map_or(Cell::Null, |text| Cell::Text(text)));
        };
        if texts.dictionary.len() > MOST_REMEMBERED {
            return own.push(text.map(AsRef::as_ref));
        }
        known.resize(texts.dictionary.len(), Self::NO_TEXT);
        let own_code = match (known.get(code as usize), text) {
            (Some(&known), _) if known != Self::NO_TEXT => known,
            (Some(_), Some(text)) => {
                known[code as usize] = own.code(text);
                known[code as usize]
            }
            _ => Self::NO_TEXT,
        };
        own.codes.push(own_code);
    }

    /// Puts the values of some rows in the place of all. Numbers go by way of `spare`, whose memory and theirs
    /// change places: of many columns, each is written where the one before was.
    pub(super) fn rearrange(&mut self, places: &[u32], spare: &mut Vec<f64>) {
        match self {
            Self::Number(values) => {
                spare.clear();
                spare.extend(places.iter().map(|place| values[*place as usize]));
                std::mem::swap(values, spare);
            }
            other => *other = other.gather(places),
        }
    }

    /// Reads something of each line of memory that rows are in.
    pub(super) fn touch(&self, rows: std::ops::Range<usize>) {
        match self {
            Self::Number(values) => {
                let lines = values[rows].iter().step_by(8);
                std::hint::black_box(lines.fold(0, |sum, value| sum ^ value.to_bits()));
            }
            Self::Text(texts) => {
                let step = LINE_BYTES / texts.codes.width();
                with_codes!(&texts.codes, codes => {
                    let lines = codes[rows].iter().step_by(step);
                    std::hint::black_box(lines.fold(0, |sum, code| sum ^ code));
                });
            }
            _ => {}
        }
    }

    /// Whether the value of a row is null.
    #[must_use]
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(values) => values.get(row).is_none_or(|value| *value == 2),
            Self::Number(values) => values.get(row).is_none_or(|value| value.is_nan()),
            Self::Text(texts) => texts.codes.at(row) == Self::NO_TEXT,
            Self::Time(values) => values.get(row).is_none_or(|value| *value == Self::NO_TIME),
            Self::List(ends, _) | Self::Counts(ends, ..) => nested(ends, row).is_empty(),
        }
    }

    /// The value of a row, borrowed; null beyond the end and for what is nested.
    #[must_use]
    #[inline]
    pub fn cell(&self, row: usize) -> Cell<'_> {
        if self.is_null(row) {
            return Cell::Null;
        }
        match self {
            Self::Boolean(values) => Cell::Boolean(values[row] == 1),
            Self::Number(values) => Cell::Number(values[row]),
            Self::Text(texts) => texts.get(row).map_or(Cell::Null, |text| Cell::Text(text)),
            Self::Time(values) => Cell::Time(Time(values[row])),
            Self::List(..) | Self::Counts(..) => Cell::Null,
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
            Self::Text(texts) => {
                texts.get(row).map_or(Value::Null, |text| Value::Text(text.clone()))
            }
            Self::Time(values) => Value::Time(Time(values[row])),
            Self::List(ends, values) => {
                Value::List(nested(ends, row).map(|place| values.value(place)).collect())
            }
            Self::Counts(ends, values, counts) => Value::Counts(
                nested(ends, row).map(|place| (values.value(place), counts[place])).collect(),
            ),
        }
    }

    /// Numbers that are equal exactly where the values are; for counting distinct ones.
    #[must_use]
    #[inline]
    pub fn key(&self, row: usize) -> u64 {
        match self {
            Self::Boolean(values) => u64::from(values[row]),
            // Zero has two signs but is one value.
            Self::Number(values) => (values[row] + 0.0).to_bits(),
            Self::Text(texts) => u64::from(texts.codes.at(row)),
            Self::Time(values) => values[row].cast_unsigned(),
            // Only features have lists, and nothing counts distinct ones.
            Self::List(..) | Self::Counts(..) => 0,
        }
    }

    /// The number of null rows.
    #[must_use]
    pub fn n_null(&self) -> usize {
        (0..self.len()).filter(|row| self.is_null(*row)).count()
    }
}

/// Texts of a dictionary up to which their codes elsewhere are remembered.
const MOST_REMEMBERED: usize = 65_536;

/// What comes near at once when memory is read.
const LINE_BYTES: usize = 64;

/// What a text of a dictionary takes beside its bytes, roughly.
const TEXT_BYTES: usize = 64;

/// The places of the values of a row that has several.
fn nested(ends: &[usize], row: usize) -> std::ops::Range<usize> {
    let Some(&end) = ends.get(row) else { return 0..0 };
    let start = row.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    start..end
}
