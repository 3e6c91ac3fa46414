use super::Texts;
use crate::domain::{Cell, Value};

/// Where the values of a row go, in the order of the features.
pub(super) trait Values<'t> {
    /// Makes room for another row.
    fn clear(&mut self);
    /// The next value, a number; what is not finite is null, because no table, model or JSON could hold it.
    fn number(&mut self, number: f64);
    /// The next value, a text of the timelines by its code.
    fn text(&mut self, texts: &'t Texts, code: u32);
    /// The next value.
    fn value(&mut self, value: Value);
    /// A value that is there already.
    fn cell(&self, feature: usize) -> Cell<'_>;
}

impl Values<'_> for Vec<Value> {
    fn clear(&mut self) {
        self.clear();
    }

    #[inline]
    fn number(&mut self, number: f64) {
        if number.is_finite() {
            self.push(Value::Number(number));
        } else {
            self.push(Value::Null);
        }
    }

    fn text(&mut self, texts: &Texts, code: u32) {
        let text = texts.dictionary().get(code as usize);
        self.push(text.map_or(Value::Null, |text| Value::Text(text.clone())));
    }

    #[inline]
    fn value(&mut self, value: Value) {
        self.push(value);
    }

    fn cell(&self, feature: usize) -> Cell<'_> {
        Cell::from(&self[feature])
    }
}

/// The values of a row on their way into columns: most are numbers, which need no tag there.
#[derive(Debug, Default)]
pub(super) struct Row<'t> {
    /// A number for each feature, NaN where it is null or no number, of the rows before and this one.
    pub(super) numbers: Vec<f64>,
    /// Where the numbers of this row begin.
    begin: usize,
    /// Values of this row that are no numbers and not null, with their features.
    pub(super) others: Vec<(usize, Other<'t>)>,
}

/// A value that is no number.
#[derive(Debug)]
pub(super) enum Other<'t> {
    /// A text of the timelines by its code: threads that share it need not count who has it.
    Text(&'t Texts, u32),
    Value(Value),
}

impl Other<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Text(texts, code) => {
                texts.dictionary().get(*code as usize).map_or(Cell::Null, |text| Cell::Text(text))
            }
            Self::Value(value) => Cell::from(value),
        }
    }
}

impl<'t> Values<'t> for Row<'t> {
    fn clear(&mut self) {
        self.begin = self.numbers.len();
        self.others.clear();
    }

    #[inline]
    fn number(&mut self, number: f64) {
        self.numbers.push(if number.is_finite() { number } else { f64::NAN });
    }

    fn text(&mut self, texts: &'t Texts, code: u32) {
        self.others.push((self.numbers.len() - self.begin, Other::Text(texts, code)));
        self.numbers.push(f64::NAN);
    }

    #[inline]
    fn value(&mut self, value: Value) {
        match value {
            Value::Number(number) => self.number(number),
            Value::Null => self.numbers.push(f64::NAN),
            other => {
                self.others.push((self.numbers.len() - self.begin, Other::Value(other)));
                self.numbers.push(f64::NAN);
            }
        }
    }

    fn cell(&self, feature: usize) -> Cell<'_> {
        let number = self.numbers[self.begin + feature];
        if !number.is_nan() {
            return Cell::Number(number);
        }
        match self.others.binary_search_by_key(&feature, |(place, _)| *place) {
            Ok(at) => self.others[at].1.cell(),
            Err(_) => Cell::Null,
        }
    }
}
