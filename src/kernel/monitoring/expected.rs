use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Tally;
use crate::domain::{Type, Value};

/// What a model was trained on, feature by feature, and what it said: travels in the scoring function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// One entry a feature, in the order of the view.
    pub features: Vec<Expected>,
    /// The scores of rows that the model has not learned from.
    pub scores: Expected,
}

/// How values were spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Values that this is made from, missing ones included.
    pub rows: u64,
    /// The share that was missing.
    pub missing: f64,
    /// How known values are told apart.
    pub bins: Bins,
    /// The share of each bin; with `missing` they add up to 1.
    pub shares: Vec<f64>,
}

/// How values are put into bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Bins {
    /// By these upper bounds, ascending; what is above all of them has a bin of its own. A list or a
    /// histogram counts by its length.
    Numbers {
        /// The bounds, each itself included.
        cuts: Vec<f64>,
    },
    /// The most frequent values have a bin each; all others share the last one.
    Texts {
        /// The values, most frequent first; more of them than have bins of their own.
        known: Vec<String>,
        /// Whether `known` are all there were, so that any other is unseen.
        is_complete: bool,
    },
    /// Only whether it is missing: an instant moves on by itself.
    Nothing,
}

/// Bins of numbers: deciles, as is usual for the index.
const NUMBER_BINS: usize = 10;
/// Texts with a bin of their own.
pub(super) const TEXT_BINS: usize = 20;
/// Texts that are known by name.
const MOST_KNOWN: usize = 200;
/// The longest text that is known by name, in bytes.
const LONGEST_KNOWN: usize = 100;

impl Expected {
    /// How these values are spread. `type_` is that of the feature.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "shares of rows")]
    pub fn of(type_: Type, values: &[Value]) -> Self {
        let bins = match type_ {
            Type::Text | Type::Boolean => texts(values),
            Type::Time => Bins::Nothing,
            Type::Number | Type::List(_) | Type::Counts(_) => numbers(values),
        };
        let mut expected =
            Self { rows: values.len() as u64, missing: 0.0, bins, shares: Vec::new() };
        let mut tally = Tally::default();
        values.iter().for_each(|value| expected.count(&mut tally, value));
        let n = values.len().max(1) as f64;
        expected.missing = tally.missing as f64 / n;
        expected.shares = tally.bins.iter().map(|bin| *bin as f64 / n).collect();
        expected.shares.resize(expected.n_bins(), 0.0);
        expected
    }

    /// The number of bins, that of missing values left out.
    #[must_use]
    pub fn n_bins(&self) -> usize {
        match &self.bins {
            Bins::Numbers { cuts } => cuts.len() + 1,
            Bins::Texts { known, .. } => known.len().min(TEXT_BINS) + 1,
            Bins::Nothing => 0,
        }
    }

    /// What a bin has, as a person reads it.
    #[must_use]
    pub fn label(&self, bin: usize) -> String {
        match &self.bins {
            Bins::Numbers { cuts } => {
                match (bin.checked_sub(1).and_then(|it| cuts.get(it)), cuts.get(bin)) {
                    (None, None) => "all".to_owned(),
                    (None, Some(to)) => format!("up to {}", short(*to)),
                    (Some(from), Some(to)) => format!("{} to {}", short(*from), short(*to)),
                    (Some(from), None) => format!("above {}", short(*from)),
                }
            }
            Bins::Texts { known, .. } => match known.get(bin) {
                Some(text) if bin < TEXT_BINS => text.clone(),
                _ => "others".to_owned(),
            },
            Bins::Nothing => String::new(),
        }
    }

    /// The bin of a number.
    #[must_use]
    pub fn bin_of(&self, number: f64) -> usize {
        match &self.bins {
            Bins::Numbers { cuts } => cuts.partition_point(|cut| *cut < number),
            Bins::Texts { .. } | Bins::Nothing => 0,
        }
    }

    /// Counts a value that is here now.
    pub fn count(&self, tally: &mut Tally, value: &Value) {
        tally.n += 1;
        let bin = match (&self.bins, value) {
            (_, Value::Null) => None,
            (Bins::Nothing, _) => return,
            (Bins::Numbers { .. }, value) => {
                number(value).filter(|it| it.is_finite()).map(|number| {
                    tally.sum += number;
                    self.bin_of(number)
                })
            }
            (Bins::Texts { known, is_complete }, value) => {
                let text = value.to_string();
                let place = known.iter().position(|it| *it == text);
                if place.is_none() && *is_complete {
                    tally.see(&text);
                }
                Some(place.unwrap_or(usize::MAX).min(self.n_bins() - 1))
            }
        };
        match bin {
            None => tally.missing += 1,
            Some(bin) => {
                if tally.bins.len() <= bin {
                    tally.bins.resize(self.n_bins().max(bin + 1), 0);
                }
                tally.bins[bin] += 1;
            }
        }
    }
}

fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[allow(clippy::cast_precision_loss, reason = "lengths of lists")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::List(values) => Some(values.len() as f64),
        Value::Counts(counts) => Some(counts.len() as f64),
        Value::Null | Value::Boolean(_) | Value::Text(_) | Value::Time(_) => None,
    }
}

/// Deciles of what is known, each bound once.
fn numbers(values: &[Value]) -> Bins {
    let mut known: Vec<f64> =
        values.iter().filter_map(number).filter(|number| number.is_finite()).collect();
    known.sort_unstable_by(f64::total_cmp);
    let last = known.last().copied();
    let mut cuts: Vec<f64> = (1..NUMBER_BINS)
        .filter_map(|bin| known.get((bin * known.len()).div_ceil(NUMBER_BINS).saturating_sub(1)))
        .copied()
        // Nothing is above the largest; one who is later is new.
        .filter(|cut| Some(*cut) != last || known.first() == known.last())
        .collect();
    cuts.dedup();
    Bins::Numbers { cuts }
}

fn texts(values: &[Value]) -> Bins {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        *counts.entry(value.to_string()).or_default() += 1;
    }
    let n = counts.len();
    let mut counts: Vec<(String, usize)> =
        counts.into_iter().filter(|(text, _)| text.len() <= LONGEST_KNOWN).collect();
    // By name where they are as frequent, so that the same data gives the same file.
    counts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    counts.truncate(MOST_KNOWN);
    let is_complete = counts.len() == n;
    Bins::Texts { known: counts.into_iter().map(|(text, _)| text).collect(), is_complete }
}
