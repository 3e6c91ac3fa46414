use std::collections::{HashMap, HashSet};

use duckdb::arrow::array::ArrayRef;
use kernel::domain::{MICROS_PER_DAY, Time, Type, Value, is_missing};

use super::facts::{Facts, RawValues, number_as};
use super::numbers::Decimal;
use super::read::{Columns, Rows};
use super::time_format::TimeFormat;
use super::written_date::{self, Order};
use crate::summaries::{ColumnSummary, summary_of};

/// Rows of a preview.
pub(super) const PREVIEW_ROWS: usize = 50;
/// Rows whose columns are summarized, and cells of them at most.
const SUMMARY_ROWS: usize = 2_000;
const SUMMARY_CELLS: usize = 400_000;
/// Characters of a cell of a preview.
const PREVIEW_WIDTH: usize = 200;

/// What is known of the rows of files: facts about each column, and the first rows.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) formats: Vec<TimeFormat>,
    pub(super) facts: Vec<Facts>,
    /// The first rows.
    pub(super) sample: Vec<Vec<Option<String>>>,
    /// Whether all rows were looked at.
    pub(super) is_of_all_rows: bool,
}

impl Look {
    pub(super) fn new(columns: &Columns) -> Self {
        Self {
            formats: TimeFormat::known(),
            facts: vec![Facts::default(); columns.names.len()],
            sample: Vec::new(),
            is_of_all_rows: false,
        }
    }

    /// Looks at more rows.
    pub(super) fn see(&mut self, rows: &Rows) {
        for (facts, array) in self.facts.iter_mut().zip(&rows.columns) {
            facts.see(array, &self.formats);
        }
        let cell = |array: &ArrayRef, row| {
            let text = RawValues::of(array).text(row)?;
            Some(text.chars().take(PREVIEW_WIDTH).collect())
        };
        let most = SUMMARY_ROWS.min(SUMMARY_CELLS / rows.columns.len().max(1)).max(PREVIEW_ROWS);
        for row in 0..rows.n().min(most - self.sample.len()) {
            // Columns that were not promised are not looked at.
            let columns = rows.columns.iter().take(self.facts.len());
            self.sample.push(columns.map(|array| cell(array, row)).collect());
        }
    }

    /// The first values of a column; those that are missing are left out.
    pub(super) fn values(&self, place: usize) -> impl Iterator<Item = &str> {
        let values = self.sample.iter().filter_map(move |row| row.get(place)?.as_deref());
        values.filter(|text| !is_missing(text))
    }

    /// How many of the first values are there, and how many different ones.
    pub(super) fn distinct(&self, place: usize) -> (usize, usize) {
        let different: HashSet<&str> = self.values(place).collect();
        (self.values(place).count(), different.len())
    }

    /// Whether a value of the first rows comes again in a row that says something else.
    pub(super) fn repeats(&self, place: usize) -> bool {
        let mut seen: HashMap<&str, &Vec<Option<String>>> = HashMap::new();
        self.sample.iter().any(|row| {
            let Some(Some(value)) = row.get(place) else { return false };
            let known = *seen.entry(value).or_insert(row);
            !is_missing(value) && known != row
        })
    }

    /// The format that most values of a column have as times.
    pub(super) fn time_format(&self, place: usize) -> Option<TimeFormat> {
        self.facts.get(place)?.time_format(&self.formats)
    }

    /// The first times of a column, in microseconds.
    pub(super) fn times(&self, place: usize) -> Vec<Option<i64>> {
        let Some(format) = self.time_format(place) else { return Vec::new() };
        let time = |row: &Vec<Option<String>>| format.micros(row.get(place)?.as_deref()?);
        self.sample.iter().map(time).collect()
    }

    /// A column of times of day beside a column that has days alone.
    pub(super) fn clock_beside(&self, days: usize) -> Option<usize> {
        let midnight = |time: &i64| time.rem_euclid(MICROS_PER_DAY) == 0;
        if !self.times(days).iter().flatten().all(midnight) {
            return None;
        }
        let is_clock = |text: &str| {
            text.contains(':')
                && written_date::micros(&format!("2000/1/1 {text}"), Order::YearFirst).is_some()
        };
        (0..self.facts.len()).find(|place| {
            let mut values = self.values(*place).peekable();
            *place != days && values.peek().is_some() && values.all(is_clock)
        })
    }

    /// Another format that reads the times of a column as well, and as other times.
    pub(super) fn other_reading(&self, place: usize) -> Option<(TimeFormat, TimeFormat)> {
        let facts = self.facts.get(place)?;
        let read = facts.time_format(&self.formats)?;
        let differs = |other: &&TimeFormat| {
            self.values(place).any(|text| other.micros(text) != read.micros(text))
        };
        let other = facts.as_good_as(&read, &self.formats).find(differs)?.clone();
        Some((read, other))
    }

    /// What the columns leave no doubt about comes before fractions.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        let mut sure = self.facts.iter().filter_map(Facts::sure_decimal);
        let first = sure.next()?;
        sure.all(|other| other == first).then_some(first)
    }

    /// What the first values of a column are like, as a type.
    pub(super) fn summary(
        &self,
        place: usize,
        type_: Type,
        decimal: Option<Decimal>,
    ) -> ColumnSummary {
        let format = self.time_format(place);
        let value = |text: &str| match type_ {
            Type::Number => number_as(text, decimal).map(Value::Number),
            Type::Time => format.as_ref()?.micros(text).map(|micros| Value::Time(Time(micros))),
            _ => Some(Value::text(text)),
        };
        let values = self.sample.iter().map(|row| {
            row.get(place).and_then(Option::as_deref).and_then(value).unwrap_or(Value::Null)
        });
        let values: Vec<Value> = values.collect();
        summary_of(&values)
    }
}
