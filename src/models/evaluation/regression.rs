use super::mean;

/// Distributions whose deviance is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deviance {
    /// Counts.
    Poisson,
    /// Positive numbers.
    Gamma,
    /// Numbers that are often 0; the power, between 1 and 2.
    Tweedie(f64),
}

/// The root of the mean squared error.
#[must_use]
pub fn root_mean_square(scores: &[f64], y: &[f64], weights: Option<&[f64]>) -> f64 {
    mean(weights, scores.iter().zip(y).map(|(score, y)| (score - y).powi(2))).sqrt()
}

/// The mean absolute error.
#[must_use]
pub fn mean_absolute(scores: &[f64], y: &[f64], weights: Option<&[f64]>) -> f64 {
    mean(weights, scores.iter().zip(y).map(|(score, y)| (score - y).abs()))
}

/// The share of the variance that is explained; of a constant outcome 1 where it is met and 0 where not.
#[must_use]
pub fn r_squared(scores: &[f64], y: &[f64], weights: Option<&[f64]>) -> f64 {
    let center = mean(weights, y.iter().copied());
    let left = mean(weights, scores.iter().zip(y).map(|(score, y)| (y - score).powi(2)));
    let spread = mean(weights, y.iter().map(|y| (y - center).powi(2)));
    if spread > 0.0 {
        1.0 - left / spread
    } else if left == 0.0 {
        1.0
    } else {
        0.0
    }
}

/// The mean deviance, twice what the likelihood lacks. NaN where a score is not above 0.
#[must_use]
pub fn deviance(scores: &[f64], y: &[f64], of: Deviance, weights: Option<&[f64]>) -> f64 {
    let one = |(score, y): (&f64, &f64)| {
        if *score <= 0.0 {
            return f64::NAN;
        }
        2.0 * match of {
            Deviance::Poisson => {
                let own = if *y > 0.0 { y * (y / score).ln() } else { 0.0 };
                own - y + score
            }
            Deviance::Gamma => (score / y).ln() + y / score - 1.0,
            Deviance::Tweedie(p) => {
                y.max(0.0).powf(2.0 - p) / ((1.0 - p) * (2.0 - p))
                    - y * score.powf(1.0 - p) / (1.0 - p)
                    + score.powf(2.0 - p) / (2.0 - p)
            }
        }
    };
    mean(weights, scores.iter().zip(y).map(one))
}

/// The mean pinball loss of a quantile.
#[must_use]
pub fn mean_pinball(scores: &[f64], y: &[f64], quantile: f64, weights: Option<&[f64]>) -> f64 {
    let one = |(score, y): (&f64, &f64)| {
        let off = y - score;
        (quantile * off).max((quantile - 1.0) * off)
    };
    mean(weights, scores.iter().zip(y).map(one))
}
