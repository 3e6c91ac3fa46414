use serde::{Deserialize, Serialize};

use super::logistic;

/// From a score to the probability that it should have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// A rising step function, linear between its points (Zadrozny and Elkan 2002).
    Isotonic {
        /// Scores, rising.
        scores: Vec<f64>,
        /// Probabilities, not falling.
        probabilities: Vec<f64>,
    },
    /// `1 / (1 + exp(-(c + a ln s - b ln(1 - s))))` (Kull, Silva Filho and Flach 2017).
    Beta {
        /// Of the logarithm of the score.
        a: f64,
        /// Of the logarithm of what is missing to 1.
        b: f64,
        /// The intercept.
        c: f64,
    },
}

/// Scores are kept this far from 0 and 1 under a logarithm.
const CLIP: f64 = 1e-12;

impl Calibration {
    /// The probability of a score.
    #[must_use]
    pub fn apply(&self, score: f64) -> f64 {
        match self {
            Self::Isotonic { scores, probabilities } => interpolate(scores, probabilities, score),
            Self::Beta { a, b, c } => {
                let score = score.clamp(CLIP, 1.0 - CLIP);
                logistic(c + a * score.ln() - b * (1.0 - score).ln())
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Isotonic { scores, probabilities } => {
                let rises = |numbers: &[f64]| numbers.windows(2).all(|pair| pair[0] <= pair[1]);
                let fits = !scores.is_empty() && scores.len() == probabilities.len();
                if !fits || !rises(scores) || !rises(probabilities) {
                    return Err("the points of the calibration do not rise".to_owned());
                }
                super::are_finite("points", scores.iter().chain(probabilities))
            }
            Self::Beta { a, b, c } => super::are_finite("calibration", [a, b, c].into_iter()),
        }
    }
}

fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let after = xs.partition_point(|known| *known < x);
    let (Some(first), Some(last)) = (ys.first(), ys.last()) else { return x };
    match after {
        0 => *first,
        after if after == xs.len() => *last,
        after => {
            let (x0, x1, y0, y1) = (xs[after - 1], xs[after], ys[after - 1], ys[after]);
            if x1 > x0 { y0 + (y1 - y0) * (x - x0) / (x1 - x0) } else { y1 }
        }
    }
}
