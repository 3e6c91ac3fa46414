use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::Value;

/// Turns feature values into the numbers that a model reads. Fitted on training rows only; frozen here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// One entry a feature, in the order of the view.
    pub columns: Vec<EncodedColumn>,
}

/// How one feature is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedColumn {
    /// The name of the feature.
    pub feature: String,
    /// What becomes of its values.
    pub encoding: Encoding,
}

/// An encoding of the values of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A missing number becomes `fill`; then `(x - mean) / scale`. With `indicator`, a second column
    /// is 1 where the value was missing.
    Number {
        /// Stands in for a missing value.
        fill: f64,
        /// Mean over the training rows, after filling.
        mean: f64,
        /// Standard deviation over the training rows, after filling; never 0.
        scale: f64,
        /// Whether a missing value has a column of its own.
        indicator: bool,
        /// Whether `ln(1 + x)` is taken first, of what is below 0 as of 0: for numbers with a long tail.
        #[serde(default, skip_serializing_if = "is_false")]
        log: bool,
    },
    /// The number itself; NaN where it is missing. For models that know what to do with that.
    Plain,
    /// A column for each category, 1 where the value is that category. Missing values have no column: all
    /// are 0. So have rare and unseen ones, unless there is a column for them.
    OneHot {
        /// The categories, as text.
        categories: Vec<String>,
        /// Whether there is a last column for values that are none of them.
        #[serde(default, skip_serializing_if = "is_false")]
        rare: bool,
    },
    /// The number of the category, and the one after the last for rare and unseen ones; NaN where it is
    /// missing. For trees, which split by sets of categories.
    Codes {
        /// The categories, sorted.
        categories: Vec<String>,
    },
    /// The mean of the label over the training rows of the category, drawn to that of all where there are
    /// few (Micci-Barreca 2001); then `(x - mean) / scale`.
    Target {
        /// The categories, sorted.
        categories: Vec<String>,
        /// What each becomes.
        values: Vec<f64>,
        /// What any other, and a missing one, becomes.
        prior: f64,
        /// Mean over the training rows.
        mean: f64,
        /// Standard deviation over the training rows; never 0.
        scale: f64,
    },
    /// A column for each key: how often it is in a list or in counts, as `ln(1 + n) / scale`.
    Counts {
        /// The keys, sorted.
        keys: Vec<String>,
        /// What each column is divided by; never 0.
        scales: Vec<f64>,
    },
    /// A column for each item: how often it is in a list or in counts. For recommendations.
    Items {
        /// The items, sorted.
        items: Vec<String>,
    },
    /// The feature says nothing (one value everywhere in training) and gives no column.
    Dropped,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Encoding {
    /// The number of columns that it gives.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Number { indicator, .. } => 1 + usize::from(*indicator),
            Self::OneHot { categories, rare } => categories.len() + usize::from(*rare),
            Self::Plain | Self::Codes { .. } | Self::Target { .. } => 1,
            Self::Counts { keys, .. } => keys.len(),
            Self::Items { items } => items.len(),
            Self::Dropped => 0,
        }
    }

    /// Adds the columns of a value to a row.
    pub fn encode_into(&self, value: &Value, row: &mut Vec<f64>) {
        match self {
            Self::Number { fill, mean, scale, indicator, log } => {
                let number = number(value).filter(|number| number.is_finite());
                let tame = |number: f64| if *log { number.max(0.0).ln_1p() } else { number };
                row.push((number.map_or(*fill, tame) - mean) / scale);
                if *indicator {
                    row.push(f64::from(u8::from(number.is_none())));
                }
            }
            Self::Plain => row.push(number(value).unwrap_or(f64::NAN)),
            Self::OneHot { categories, rare } => {
                let text = text(value);
                let at = row.len();
                row.resize(at + self.width(), 0.0);
                let Some(text) = text else { return };
                match categories.iter().position(|category| *category == text) {
                    Some(place) => row[at + place] = 1.0,
                    None if *rare => row[at + categories.len()] = 1.0,
                    None => {}
                }
            }
            Self::Codes { categories } => {
                let code = |text: Cow<'_, str>| place_of(categories, &text);
                row.push(text(value).map_or(f64::NAN, |text| {
                    #[allow(clippy::cast_precision_loss, reason = "a number of categories")]
                    let code = code(text).unwrap_or(categories.len()) as f64;
                    code
                }));
            }
            Self::Target { categories, values, prior, mean, scale } => {
                let known = text(value).and_then(|text| place_of(categories, &text));
                let value = known.and_then(|place| values.get(place)).unwrap_or(prior);
                row.push((value - mean) / scale);
            }
            Self::Counts { keys, scales } => {
                let at = row.len();
                row.resize(at + keys.len(), 0.0);
                add_counts(value, keys, &mut row[at..]);
                let counts = row[at..].iter_mut().zip(scales);
                counts.for_each(|(count, scale)| *count = count.ln_1p() / scale);
            }
            Self::Items { items } => {
                let at = row.len();
                row.resize(at + items.len(), 0.0);
                add_counts(value, items, &mut row[at..]);
            }
            Self::Dropped => {}
        }
    }

    fn names(&self, feature: &str, names: &mut Vec<String>) {
        match self {
            Self::Number { indicator, .. } => {
                names.push(feature.to_owned());
                if *indicator {
                    names.push(format!("{feature} is missing"));
                }
            }
            Self::Plain | Self::Codes { .. } | Self::Target { .. } => {
                names.push(feature.to_owned())
            }
            Self::OneHot { categories: keys, .. }
            | Self::Counts { keys, .. }
            | Self::Items { items: keys } => {
                names.extend(keys.iter().map(|key| format!("{feature} = {key}")));
                if matches!(self, Self::OneHot { rare: true, .. }) {
                    names.push(format!("{feature} is rare"));
                }
            }
            Self::Dropped => {}
        }
    }

    /// Whether its lists fit each other and its numbers are finite.
    fn is_sound(&self) -> bool {
        let is_sorted = |names: &[String]| names.windows(2).all(|pair| pair[0] < pair[1]);
        match self {
            Self::Number { fill, mean, scale, .. } => {
                fill.is_finite() && mean.is_finite() && scale.is_finite() && *scale != 0.0
            }
            Self::Codes { categories } => is_sorted(categories),
            Self::Target { categories, values, prior, mean, scale } => {
                let numbers = [prior, mean, scale];
                is_sorted(categories)
                    && categories.len() == values.len()
                    && values.iter().chain(numbers).all(|number| number.is_finite())
                    && *scale != 0.0
            }
            Self::Counts { keys, scales } => {
                is_sorted(keys)
                    && keys.len() == scales.len()
                    && scales.iter().all(|scale| scale.is_finite() && *scale != 0.0)
            }
            Self::Items { items } => is_sorted(items),
            Self::Plain | Self::OneHot { .. } | Self::Dropped => true,
        }
    }
}

fn place_of(sorted: &[String], text: &str) -> Option<usize> {
    sorted.binary_search_by(|known| known.as_str().cmp(text)).ok()
}

/// Adds up how often each key is in a list or in counts.
fn add_counts(value: &Value, keys: &[String], counts: &mut [f64]) {
    let mut add = |key: &Value, n: f64| {
        if let Some(place) = text(key).and_then(|text| place_of(keys, &text)) {
            counts[place] += n;
        }
    };
    match value {
        Value::List(values) => values.iter().for_each(|value| add(value, 1.0)),
        Value::Counts(values) => {
            #[allow(clippy::cast_precision_loss, reason = "a number of events")]
            values.iter().for_each(|(value, n)| add(value, *n as f64));
        }
        Value::Null => {}
        single => add(single, 1.0),
    }
}

/// A value as the text of a category; none of what is missing.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// Booleans and times are numbers too: 0 and 1, and days since the epoch.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Boolean(boolean) => Some(f64::from(u8::from(*boolean))),
        #[allow(clippy::cast_precision_loss, reason = "days need few bits")]
        Value::Time(time) => Some(time.0 as f64 / crate::domain::MICROS_PER_DAY as f64),
        Value::Text(_) | Value::Null | Value::List(_) | Value::Counts(_) => None,
    }
}

impl Encoder {
    /// The number of columns of an encoded row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(|column| column.encoding.width()).sum()
    }

    /// A row of feature values as the model reads it.
    #[must_use]
    pub fn encode(&self, values: &[Value]) -> Vec<f64> {
        let mut row = Vec::with_capacity(self.width());
        self.encode_into(values, &mut row);
        row
    }

    /// The same into a row that is there already.
    pub fn encode_into(&self, values: &[Value], row: &mut Vec<f64>) {
        row.clear();
        for (column, value) in self.columns.iter().zip(values) {
            column.encoding.encode_into(value, row);
        }
    }

    /// Names of the encoded columns: `feature`, `feature is missing`, `feature = category`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.width());
        for EncodedColumn { feature, encoding } in &self.columns {
            encoding.names(feature, &mut names);
        }
        names
    }

    /// The feature whose encoding makes no sense, if there is one.
    #[must_use]
    pub fn unsound(&self) -> Option<&str> {
        let unsound = self.columns.iter().find(|column| !column.encoding.is_sound());
        unsound.map(|column| column.feature.as_str())
    }
}
