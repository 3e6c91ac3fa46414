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
    },
    /// A column for each category, 1 where the value is that category. Missing, rare and unseen values
    /// have no column: all are 0.
    OneHot {
        /// The categories, as text.
        categories: Vec<String>,
    },
    /// The feature says nothing (one value everywhere in training) and gives no column.
    Dropped,
}

impl Encoding {
    /// The number of columns that it gives.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Number { indicator, .. } => 1 + usize::from(*indicator),
            Self::OneHot { categories } => categories.len(),
            Self::Dropped => 0,
        }
    }

    fn encode_into(&self, value: &Value, row: &mut Vec<f64>) {
        match self {
            Self::Number { fill, mean, scale, indicator } => {
                let known = number(value).filter(|number| number.is_finite());
                row.push((known.unwrap_or(*fill) - mean) / scale);
                if *indicator {
                    row.push(f64::from(u8::from(known.is_none())));
                }
            }
            Self::OneHot { categories } => {
                let text = value.to_string();
                let known = !value.is_null();
                let hot = |category: &String| f64::from(u8::from(known && *category == text));
                row.extend(categories.iter().map(hot));
            }
            Self::Dropped => {}
        }
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
        for (column, value) in self.columns.iter().zip(values) {
            column.encoding.encode_into(value, &mut row);
        }
        row
    }

    /// Names of the encoded columns: `feature`, `feature is missing`, `feature = category`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.width());
        for EncodedColumn { feature, encoding } in &self.columns {
            match encoding {
                Encoding::Number { indicator, .. } => {
                    names.push(feature.clone());
                    if *indicator {
                        names.push(format!("{feature} is missing"));
                    }
                }
                Encoding::OneHot { categories } => {
                    names.extend(
                        categories.iter().map(|category| format!("{feature} = {category}")),
                    );
                }
                Encoding::Dropped => {}
            }
        }
        names
    }
}
