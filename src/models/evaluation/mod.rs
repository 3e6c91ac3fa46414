//! How good scores are: metrics with intervals, and curves.
//!
//! In: scores and what happened, perhaps with a weight a row. Out: numbers as scikit-learn defines them
//! (checked by `benches/models/compare.py metrics`), and plots as plain points. Never: a model.

mod bootstrap;
mod calibration;
mod classification;
mod clustering;
mod ranking;
mod regression;
mod uplift;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use calibration::{calibration_curve, calibration_error, fit_calibration};
pub use classification::{
    Confusion, average_precision, best_threshold, brier, confusion_at, gain_curve,
    kolmogorov_smirnov, lift_at, log_loss, multiclass_accuracy, multiclass_log_loss,
    precision_recall_curve, roc_auc, roc_curve,
};
pub use clustering::{silhouette, silhouette_widths};
pub use ranking::{ndcg, recall_at};
pub use regression::{
    Deviance, deviance, mean_absolute, mean_pinball, r_squared, root_mean_square,
};
pub use uplift::{qini, uplift_at, uplift_curve};

pub(crate) use bootstrap::Resamples;
pub(crate) use calibration::calibration_error_in;
pub(crate) use classification::{by_score, of_order};

/// A number, and between what it is with a probability of 95 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// The number.
    pub value: f64,
    /// From the lower to the upper end of the interval, by resampling customers; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
}

/// A plot as plain points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What is from left to right.
    pub x: String,
    /// What goes up.
    pub y: String,
    /// Its lines, or bars.
    pub series: Vec<Series>,
    /// Whether the points are bars.
    pub bars: bool,
    /// Whether the diagonal is what chance, or perfection, gives.
    pub diagonal: bool,
}

/// A line of a plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// How good the scores of a part of the rows are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows.
    pub rows: usize,
    /// Positive rows, where that means something.
    pub positives: usize,
    /// The numbers, the most telling one first.
    pub metrics: Vec<Metric>,
    /// The curves.
    pub charts: Vec<Chart>,
    /// What was right and wrong, at a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

impl Evaluation {
    /// A number by its name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
    }

    /// The numbers by name, those that are numbers.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
        let counts = [("rows", self.rows as f64), ("positives", self.positives as f64)];
        let counts = counts.into_iter().map(|(name, value)| (name.to_owned(), value));
        let metrics = self.metrics.iter().map(|metric| (metric.name.clone(), metric.value));
        counts.chain(metrics).filter(|(_, value)| value.is_finite()).collect()
    }
}

/// The most points of a curve: more than a plot has pixels say nothing.
const MOST_POINTS: usize = 400;

/// A curve with fewer points, its ends among them.
pub(crate) fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.last().copied();
    let mut thinned: Vec<(f64, f64)> = points.into_iter().step_by(step).collect();
    if thinned.last().copied() != last {
        thinned.extend(last);
    }
    thinned
}

/// The weight of a row; 1 where there are none.
pub(crate) fn weight(weights: Option<&[f64]>, row: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[row])
}

/// A weighted mean.
pub(crate) fn mean(weights: Option<&[f64]>, values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, value) in values.enumerate() {
        let weight = weight(weights, row);
        // A row without weight does not count, whatever it says.
        if weight != 0.0 {
            sum += weight * value;
            total += weight;
        }
    }
    sum / total
}
