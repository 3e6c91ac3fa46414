use std::collections::BTreeMap;

use kernel::domain::{Name, Type, Value};
use kernel::features::Column;
use kernel::scoring::{EncodedColumn, Encoder, Encoding};
use ndarray::Array2;
use rayon::prelude::*;

use super::{Outcome, TrainingSet, matrix, split::customer_share};

/// What an estimator reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Style {
    /// Numbers without missing ones, of about the same size; categories as columns.
    Scaled {
        /// Whether categories that are many become means of the label.
        targets: bool,
    },
    /// Numbers as they are, missing ones too; categories as numbers.
    Trees {
        /// Whether categories that are too many for sets become means of the label.
        targets: bool,
    },
    /// Some features as they are.
    Only(Vec<Name>),
    /// The items of one feature.
    Items(Name, usize),
}

/// Rows that are learned from, encoded.
pub(crate) struct Prepared {
    pub(crate) encoder: Encoder,
    pub(crate) x: Array2<f64>,
    /// Columns that are numbers of categories.
    pub(crate) categorical: Vec<bool>,
    /// How the score may change with each column; empty for anyhow.
    pub(crate) monotone: Vec<i8>,
}

/// The most categories that have a column of their own.
const MOST_COLUMNS: usize = 30;
/// The most categories that trees tell apart.
const MOST_CODES: usize = 250;
/// The most keys of lists and counts that have a column.
const MOST_KEYS: usize = 20;
/// The smallest share of training rows that a category with a column has.
const RAREST_CATEGORY: f64 = 0.005;
/// The mean of a category counts as much as that of all rows where it has so many.
const FEW_ROWS: f64 = 20.0;
/// Parts of the rows whose means of categories come from the other parts.
const FOLDS: u32 = 5;
/// Positive numbers are as skewed as this where their logarithm is taken.
const SKEWED: f64 = 2.0;
/// The most items that recommendations are about.
const MOST_ITEMS: usize = 8_000;

/// Fits an encoder on training rows and encodes them. `leave_out` are features that must not be read.
pub(crate) fn prepare(
    set: &TrainingSet,
    rows: &[usize],
    outcome: &Outcome,
    style: &Style,
    leave_out: &[Name],
    monotone: &BTreeMap<String, i8>,
) -> Prepared {
    let target: Option<Vec<f64>> = match style {
        Style::Scaled { targets: true } | Style::Trees { targets: true }
            if outcome.classes.len() <= 2 =>
        {
            Some(outcome.of_rows(rows))
        }
        _ => None,
    };
    let columns: Vec<EncodedColumn> = set
        .features
        .columns
        .par_iter()
        .zip(&set.features.values)
        .map(|((name, type_), column)| {
            let encoding = match leave_out.contains(name) {
                true => Encoding::Dropped,
                false => fit(style, name, *type_, column, rows, target.as_deref()),
            };
            EncodedColumn { feature: name.to_string(), encoding }
        })
        .collect();
    let encoder = Encoder { columns };
    let mut x = matrix(set, rows, &encoder);
    if let Some(target) = &target {
        cross_fit(set, rows, target, &encoder, &mut x);
    }
    let per_column = |of: &dyn Fn(&EncodedColumn) -> i8| -> Vec<i8> {
        let columns = encoder.columns.iter();
        columns.flat_map(|c| std::iter::repeat_n(of(c), c.encoding.width())).collect()
    };
    let direction = |column: &EncodedColumn| monotone.get(&column.feature).copied().unwrap_or(0);
    let is_codes =
        |column: &EncodedColumn| i8::from(matches!(column.encoding, Encoding::Codes { .. }));
    let categorical = per_column(&is_codes).into_iter().map(|flag| flag == 1).collect();
    let monotone = if monotone.is_empty() { Vec::new() } else { per_column(&direction) };
    Prepared { encoder, x, categorical, monotone }
}

fn fit(
    style: &Style,
    name: &Name,
    type_: Type,
    column: &Column,
    rows: &[usize],
    target: Option<&[f64]>,
) -> Encoding {
    match (style, type_) {
        (Style::Only(names), _) if names.contains(name) => Encoding::Plain,
        (Style::Items(items, least), _) if items == name => fit_items(column, rows, *least),
        (Style::Only(_) | Style::Items(..), _) => Encoding::Dropped,
        (Style::Trees { .. }, Type::Text) => fit_codes(column, rows, target),
        (Style::Scaled { .. }, Type::Text) => fit_categories(column, rows, target),
        (Style::Trees { .. }, Type::Number | Type::Boolean | Type::Time) => {
            if varies(column, rows) { Encoding::Plain } else { Encoding::Dropped }
        }
        (Style::Scaled { .. }, Type::Number | Type::Boolean | Type::Time) => {
            fit_number(column, rows, type_ == Type::Number)
        }
        (_, Type::List(_) | Type::Counts(_)) => fit_counts(column, rows),
    }
}

/// The numbers of a column, NaN where they are missing.
pub(crate) fn numbers(column: &Column, rows: &[usize]) -> Vec<f64> {
    let mut numbers = Vec::with_capacity(rows.len());
    rows.iter().for_each(|row| Encoding::Plain.encode_into(&column.value(*row), &mut numbers));
    numbers
}

/// Whether not all values are alike.
fn varies(column: &Column, rows: &[usize]) -> bool {
    let numbers = numbers(column, rows);
    let is_other = |x: &f64| x.to_bits() != numbers[0].to_bits();
    numbers.iter().any(is_other) && numbers.iter().all(|x| !x.is_infinite())
}

fn mean(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    let n = numbers.len() as f64;
    numbers.sum::<f64>() / n
}

/// Missing numbers become the mean; long tails become logarithms; a column of one value says nothing.
fn fit_number(column: &Column, rows: &[usize], may_be_skewed: bool) -> Encoding {
    let numbers = numbers(column, rows);
    let mut known: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    let missing = numbers.len() - known.len();
    if known.is_empty() {
        return Encoding::Dropped;
    }
    let log = may_be_skewed && is_skewed(&known);
    if log {
        known.iter_mut().for_each(|x| *x = x.ln_1p());
    }
    let fill = mean(known.iter().copied());
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    let share = known.len() as f64 / numbers.len() as f64;
    // Filled ones are at the mean: they make the spread smaller.
    let scale = (mean(known.iter().map(|x| (x - fill) * (x - fill))) * share).sqrt();
    let varies = scale.is_finite() && scale > 1e-12 * fill.abs().max(1.0);
    match (varies, missing > 0) {
        (false, false) => Encoding::Dropped,
        (varies, indicator) => Encoding::Number {
            fill,
            mean: fill,
            scale: if varies { scale } else { 1.0 },
            indicator,
            log,
        },
    }
}

/// Whether numbers are positive and most are far below the largest.
fn is_skewed(known: &[f64]) -> bool {
    if known.iter().any(|x| *x < 0.0) {
        return false;
    }
    let center = mean(known.iter().copied());
    let moment = |power: i32| mean(known.iter().map(|x| (x - center).powi(power)));
    let spread = moment(2).sqrt();
    spread > 0.0 && moment(3) / spread.powi(3) > SKEWED
}

/// How many rows each category, or each key of lists and counts, is in.
fn counted(column: &Column, rows: &[usize]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |value: &Value| *counts.entry(value.to_string()).or_insert(0) += 1;
    for row in rows {
        match column.value(*row) {
            Value::Null => {}
            Value::List(values) => {
                // An item counts once a row, however often it is in the list.
                let mut distinct: Vec<String> = values.iter().map(ToString::to_string).collect();
                distinct.sort_unstable();
                distinct.dedup();
                distinct.iter().for_each(|value| add(&Value::text(value.as_str())));
            }
            Value::Counts(values) => values.iter().for_each(|(value, _)| add(value)),
            single => add(&single),
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    counts
}

/// Those that are in enough of the rows, most frequent first.
#[allow(clippy::cast_precision_loss, reason = "a share of a number of rows")]
fn frequent(counts: Vec<(String, usize)>, n: usize) -> Vec<String> {
    let is_frequent = |count: usize| count as f64 >= RAREST_CATEGORY * n as f64;
    let frequent = counts.into_iter().filter(|(_, count)| is_frequent(*count));
    frequent.map(|(category, _)| category).collect()
}

fn fit_categories(column: &Column, rows: &[usize], target: Option<&[f64]>) -> Encoding {
    let counts = counted(column, rows);
    if counts.first().is_none_or(|(_, count)| counts.len() == 1 && *count == rows.len()) {
        return Encoding::Dropped;
    }
    let n_known: usize = counts.iter().map(|(_, count)| count).sum();
    if let (true, Some(target)) = (counts.len() > MOST_COLUMNS, target) {
        return fit_target(column, rows, target);
    }
    let mut categories = frequent(counts, rows.len());
    categories.truncate(MOST_COLUMNS);
    if categories.is_empty() {
        return Encoding::Dropped;
    }
    let is_known = |row: &&usize| {
        let value = column.value(**row);
        !value.is_null() && categories.contains(&value.to_string())
    };
    let rare = rows.iter().filter(is_known).count() < n_known;
    Encoding::OneHot { categories, rare }
}

/// Means of the label by category, drawn to the mean of all.
fn target_means(
    column: &Column,
    rows: &[usize],
    target: &[f64],
    is_in: &dyn Fn(usize) -> bool,
) -> (BTreeMap<String, f64>, f64) {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let (mut all, mut n_all) = (0.0, 0.0);
    for (at, row) in rows.iter().enumerate().filter(|(at, _)| is_in(*at)) {
        all += target[at];
        n_all += 1.0;
        let value = column.value(*row);
        if !value.is_null() {
            let (sum, n) = sums.entry(value.to_string()).or_default();
            *sum += target[at];
            *n += 1.0;
        }
    }
    let prior = if n_all > 0.0 { all / n_all } else { 0.0 };
    let mean = |(sum, n): (f64, f64)| (sum + FEW_ROWS * prior) / (n + FEW_ROWS);
    (sums.into_iter().map(|(category, sums)| (category, mean(sums))).collect(), prior)
}

fn fit_target(column: &Column, rows: &[usize], target: &[f64]) -> Encoding {
    let (means, prior) = target_means(column, rows, target, &|_| true);
    let value = |row: &usize| means.get(&column.value(*row).to_string()).copied().unwrap_or(prior);
    let center = mean(rows.iter().map(value));
    let scale = mean(rows.iter().map(|row| (value(row) - center).powi(2))).sqrt();
    if scale.is_nan() || scale <= 1e-12 {
        return Encoding::Dropped;
    }
    let (categories, values) = means.into_iter().unzip();
    Encoding::Target { categories, values, prior, mean: center, scale }
}

/// Puts means of other rows in place of those that a row's own label is in: a category of few rows would
/// else tell the label.
fn cross_fit(
    set: &TrainingSet,
    rows: &[usize],
    target: &[f64],
    encoder: &Encoder,
    x: &mut Array2<f64>,
) {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small whole number"
    )]
    let fold = |at: usize| (customer_share(&set.customers[rows[at]], 17) * f64::from(FOLDS)) as u32;
    let mut place = 0;
    for (column, values) in encoder.columns.iter().zip(&set.features.values) {
        if let Encoding::Target { mean, scale, .. } = &column.encoding {
            for own in 0..FOLDS {
                let (means, prior) = target_means(values, rows, target, &|at| fold(at) != own);
                for (at, row) in rows.iter().enumerate().filter(|(at, _)| fold(*at) == own) {
                    let value = means.get(&values.value(*row).to_string()).unwrap_or(&prior);
                    x[(at, place)] = (value - mean) / scale;
                }
            }
        }
        place += column.encoding.width();
    }
}

fn fit_codes(column: &Column, rows: &[usize], target: Option<&[f64]>) -> Encoding {
    let counts = counted(column, rows);
    if counts.first().is_none_or(|(_, count)| counts.len() == 1 && *count == rows.len()) {
        return Encoding::Dropped;
    }
    if let (true, Some(target)) = (counts.len() > MOST_CODES, target) {
        return fit_target(column, rows, target);
    }
    let known = counts.into_iter().filter(|(_, count)| *count > 1).take(MOST_CODES);
    let mut categories: Vec<String> = known.map(|(category, _)| category).collect();
    categories.sort_unstable();
    if categories.is_empty() { Encoding::Dropped } else { Encoding::Codes { categories } }
}

fn fit_counts(column: &Column, rows: &[usize]) -> Encoding {
    let mut keys = frequent(counted(column, rows), rows.len());
    keys.truncate(MOST_KEYS);
    keys.sort_unstable();
    if keys.is_empty() {
        return Encoding::Dropped;
    }
    let raw = Encoding::Counts { scales: vec![1.0; keys.len()], keys: keys.clone() };
    let mut squares = vec![0.0; keys.len()];
    let mut encoded = Vec::new();
    for row in rows {
        encoded.clear();
        raw.encode_into(&column.value(*row), &mut encoded);
        squares.iter_mut().zip(&encoded).for_each(|(sum, x)| *sum += x * x);
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    let n = rows.len() as f64;
    let scale = |sum: f64| (sum / n).sqrt().max(1e-6);
    Encoding::Counts { keys, scales: squares.into_iter().map(scale).collect() }
}

fn fit_items(column: &Column, rows: &[usize], least: usize) -> Encoding {
    let counts = counted(column, rows);
    let known = counts.into_iter().filter(|(_, count)| *count >= least).take(MOST_ITEMS);
    let mut items: Vec<String> = known.map(|(item, _)| item).collect();
    items.sort_unstable();
    if items.is_empty() { Encoding::Dropped } else { Encoding::Items { items } }
}
