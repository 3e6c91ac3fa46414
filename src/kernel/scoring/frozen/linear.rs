use serde::{Deserialize, Serialize};

use super::Shares;

/// `start + weights . row`, added from left to right, so that the sum is the same everywhere.
pub(super) fn sum(start: f64, weights: &[f64], row: &[f64]) -> f64 {
    weights.iter().zip(row).fold(start, |sum, (weight, x)| sum + weight * x)
}

/// A linear sum for each class; probabilities by the softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multinomial {
    classes: Vec<String>,
    intercepts: Vec<f64>,
    /// Weights of each class.
    weights: Vec<Vec<f64>>,
}

impl Multinomial {
    /// A model of its numbers.
    #[must_use]
    pub const fn new(classes: Vec<String>, intercepts: Vec<f64>, weights: Vec<Vec<f64>>) -> Self {
        Self { classes, intercepts, weights }
    }

    pub(super) fn width(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The weights of each class.
    #[must_use]
    pub fn weights(&self) -> &[Vec<f64>] {
        &self.weights
    }

    /// The intercept of each class.
    #[must_use]
    pub fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let n = self.classes.len();
        let width = self.width();
        let is_even = self.weights.iter().all(|weights| weights.len() == width);
        if n < 2 || self.intercepts.len() != n || self.weights.len() != n || !is_even {
            return Err("classes, intercepts and weights do not fit each other".to_owned());
        }
        super::are_finite("weights", self.intercepts.iter().chain(self.weights.iter().flatten()))
    }

    pub(super) fn probabilities(&self, row: &[f64]) -> Shares {
        let sums = self.intercepts.iter().zip(&self.weights);
        super::softmax(sums.map(|(intercept, weights)| sum(*intercept, weights, row)).collect())
    }

    /// What each column adds to the log-odds of the most likely class against the mean of all.
    pub(super) fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let best = super::largest_at(&self.probabilities(row));
        #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
        let n = self.weights.len() as f64;
        let mean = |column: usize| self.weights.iter().map(|w| w[column]).sum::<f64>() / n;
        let own = self.weights.get(best).map_or(&[][..], Vec::as_slice);
        let columns = own.iter().zip(row).enumerate();
        columns.map(|(column, (weight, x))| (weight - mean(column)) * x).collect()
    }
}
