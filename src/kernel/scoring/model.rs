use serde::{Deserialize, Serialize};

/// A trained model as plain numbers: all that is needed to score, nothing of the training library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case", deny_unknown_fields)]
pub enum FrozenModel {
    /// Probability `1 / (1 + exp(-(intercept + weights . x)))` of the positive class.
    LogisticRegression {
        /// The intercept.
        intercept: f64,
        /// A weight for each encoded column.
        weights: Vec<f64>,
    },
}

impl FrozenModel {
    /// The number of encoded columns that it reads.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::LogisticRegression { weights, .. } => weights.len(),
        }
    }

    /// Whether all of its numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        match self {
            Self::LogisticRegression { intercept, weights } => {
                intercept.is_finite() && weights.iter().all(|weight| weight.is_finite())
            }
        }
    }

    /// The score of an encoded row.
    #[must_use]
    pub fn score(&self, row: &[f64]) -> f64 {
        match self {
            Self::LogisticRegression { intercept, weights } => {
                let sum = weights.iter().zip(row).fold(*intercept, |sum, (w, x)| sum + w * x);
                logistic(sum)
            }
        }
    }

    /// What each encoded column adds to the score's log-odds, against the mean training row.
    #[must_use]
    pub fn contributions(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::LogisticRegression { weights, .. } => {
                weights.iter().zip(row).map(|(w, x)| w * x).collect()
            }
        }
    }
}

/// The logistic function, without overflow on either side.
fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}
