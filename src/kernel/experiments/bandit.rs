use statrs::function::beta::{beta_reg, ln_beta};
use statrs::function::erf::erfc;

/// What is known of the mean reward of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Posterior {
    /// Of a conversion: a beta distribution of these parameters.
    Beta(f64, f64),
    /// Of any mean: a normal distribution of this mean and standard deviation.
    Normal(f64, f64),
}

/// Pieces of an integral over one posterior.
const PIECES: usize = 160;
/// How many standard deviations the integral goes to.
const REACH: f64 = 7.0;

impl Posterior {
    fn mean(self) -> f64 {
        match self {
            Self::Beta(a, b) => a / (a + b),
            Self::Normal(mean, _) => mean,
        }
    }

    fn deviation(self) -> f64 {
        match self {
            Self::Beta(a, b) => (a * b / ((a + b).powi(2) * (a + b + 1.0))).sqrt(),
            Self::Normal(_, deviation) => deviation,
        }
    }

    fn density(self, x: f64) -> f64 {
        match self {
            Self::Beta(a, b) => {
                ((a - 1.0) * x.ln() + (b - 1.0) * (1.0 - x).ln() - ln_beta(a, b)).exp()
            }
            Self::Normal(mean, deviation) => {
                let z = (x - mean) / deviation;
                (-0.5 * z * z).exp() / (deviation * (2.0 * std::f64::consts::PI).sqrt())
            }
        }
    }

    /// The probability of at most `x`.
    fn below(self, x: f64) -> f64 {
        match self {
            Self::Beta(a, b) => beta_reg(a, b, x.clamp(0.0, 1.0)),
            Self::Normal(mean, deviation) => {
                0.5 * erfc((mean - x) / (deviation * std::f64::consts::SQRT_2))
            }
        }
    }

    /// The same of minus the reward.
    const fn negated(self) -> Self {
        match self {
            // The mirror image has the same order of variants as the negative.
            Self::Beta(a, b) => Self::Beta(b, a),
            Self::Normal(mean, deviation) => Self::Normal(-mean, deviation),
        }
    }
}

/// The probability of each variant to be the best, each at least `floor`: what Thompson sampling would
/// choose with (Thompson 1933), here integrated rather than sampled, so that the probability that a
/// customer got their variant with is known exactly. `floor` keeps all of them explored.
#[must_use]
pub fn chances(posteriors: &[Posterior], less_is_better: bool, floor: f64) -> Vec<f64> {
    let posteriors: Vec<Posterior> =
        posteriors.iter().map(|it| if less_is_better { it.negated() } else { *it }).collect();
    let mut chances: Vec<f64> =
        (0..posteriors.len()).map(|variant| chance(&posteriors, variant)).collect();
    let sum: f64 = chances.iter().sum();
    #[allow(clippy::cast_precision_loss, reason = "a number of variants")]
    let n = posteriors.len() as f64;
    let floor = floor.min(1.0 / n);
    for chance in &mut chances {
        // Nothing is known where no integral came out.
        let own = if sum > 0.0 { *chance / sum } else { 1.0 / n };
        *chance = floor + (1.0 - n * floor) * own;
    }
    chances
}

fn chance(posteriors: &[Posterior], variant: usize) -> f64 {
    let own = posteriors[variant];
    let (mean, reach) = (own.mean(), REACH * own.deviation());
    let (mut from, mut until) = (mean - reach, mean + reach);
    if matches!(own, Posterior::Beta(..)) {
        (from, until) = (from.max(0.0), until.min(1.0));
    }
    #[allow(clippy::cast_precision_loss, reason = "a place of a few hundred")]
    let at = |piece: usize| from + (until - from) * (piece as f64 + 0.5) / PIECES as f64;
    let others = || posteriors.iter().enumerate().filter(|(other, _)| *other != variant);
    #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
    let width = (until - from) / PIECES as f64;
    (0..PIECES)
        .map(at)
        .map(|x| others().map(|(_, other)| other.below(x)).product::<f64>() * own.density(x))
        .sum::<f64>()
        * width
}

/// What came of a variant so far, customer by customer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arm {
    /// Customers who got it.
    pub exposed: f64,
    /// The sum of their rewards.
    pub sum: f64,
    /// The sum of the squares of their rewards.
    pub squares: f64,
}

impl Arm {
    /// Changes the reward of one of its customers.
    pub fn reward(&mut self, before: f64, after: f64) {
        self.sum += after - before;
        self.squares += after * after - before * before;
    }

    /// What is known of its mean: a beta distribution from a uniform one for a conversion. Who has not
    /// converted yet counts as one who does not.
    #[must_use]
    pub fn conversion(&self) -> Posterior {
        Posterior::Beta(1.0 + self.sum, 1.0 + (self.exposed - self.sum).max(0.0))
    }

    /// What is known of its mean: a normal distribution around the mean of its rewards, with `prior` for
    /// the variance while there are few.
    #[must_use]
    pub fn mean(&self, prior: f64) -> Posterior {
        let n = self.exposed.max(1.0);
        let mean = self.sum / n;
        // One reward of the prior's variance is assumed.
        let variance = ((self.squares - n * mean * mean).max(0.0) + prior) / n;
        Posterior::Normal(mean, (variance / n).sqrt().max(f64::MIN_POSITIVE))
    }
}

/// A linear model of a variant's reward by the context of a customer, learned one by one: ridge regression
/// with a penalty of 1 (Agrawal and Goyal 2013, "Thompson sampling for contextual bandits with linear
/// payoffs").
#[derive(Clone, Debug, PartialEq)]
pub struct LinearArm {
    /// The inverse of I + sum of x x'.
    inverse: Vec<f64>,
    /// The sum of rewards times x.
    sums: Vec<f64>,
}

impl LinearArm {
    /// Nothing is known of contexts of so many numbers.
    #[must_use]
    pub fn new(width: usize) -> Self {
        let mut inverse = vec![0.0; width * width];
        (0..width).for_each(|place| inverse[place * width + place] = 1.0);
        Self { inverse, sums: vec![0.0; width] }
    }

    /// Takes a customer whose reward is 0 as yet: the inverse by Sherman and Morrison.
    pub fn observe(&mut self, context: &[f64]) {
        let product = self.product(context);
        let scale = 1.0 + dot(&product, context);
        let width = self.sums.len();
        for (row, left) in product.iter().enumerate() {
            for (column, right) in product.iter().enumerate() {
                self.inverse[row * width + column] -= left * right / scale;
            }
        }
    }

    /// Adds to the reward of a customer who was taken.
    pub fn reward(&mut self, context: &[f64], more: f64) {
        self.sums.iter_mut().zip(context).for_each(|(sum, x)| *sum += more * x);
    }

    /// What is known of the mean reward of a context, with the variance of one reward.
    #[must_use]
    pub fn posterior(&self, context: &[f64], variance: f64) -> Posterior {
        let product = self.product(context);
        let spread = (variance * dot(&product, context)).sqrt().max(f64::MIN_POSITIVE);
        Posterior::Normal(dot(&product, &self.sums), spread)
    }

    fn product(&self, context: &[f64]) -> Vec<f64> {
        self.inverse.chunks_exact(self.sums.len()).map(|row| dot(row, context)).collect()
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_their_definition() {
        // P(Beta(2,1) > Beta(1,1)) is 2/3 by hand; equal posteriors are equally likely.
        let chances_ = chances(&[Posterior::Beta(2.0, 1.0), Posterior::Beta(1.0, 1.0)], false, 0.0);
        assert!((chances_[0] - 2.0 / 3.0).abs() < 1e-4, "{chances_:?}");
        // P(N(1,1) > N(0,1)) is the normal distribution at 1/sqrt 2.
        let normal = [Posterior::Normal(1.0, 1.0), Posterior::Normal(0.0, 1.0)];
        assert!((chances(&normal, false, 0.0)[0] - 0.760_249_9).abs() < 1e-5);
        assert!((chances(&normal, true, 0.0)[1] - 0.760_249_9).abs() < 1e-5);
        let three = chances(&[Posterior::Normal(0.0, 2.0); 3], false, 0.1);
        assert!(three.iter().all(|chance| (chance - 1.0 / 3.0).abs() < 1e-9));
        let sure =
            chances(&[Posterior::Normal(9.0, 0.1), Posterior::Normal(0.0, 0.1)], false, 0.05);
        assert!((sure[1] - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_linear_arm_is_ridge_regression() {
        let rows = [[1.0, 0.5], [1.0, -1.0], [1.0, 2.0], [1.0, 0.0]];
        let rewards = [1.0, 0.0, 3.0, 1.0];
        let mut arm = LinearArm::new(2);
        for (row, reward) in rows.iter().zip(rewards) {
            arm.observe(row);
            arm.reward(row, reward);
        }
        // (I + X'X) theta = X'y with X'X = [[4, 1.5], [1.5, 5.25]], X'y = [5, 6.5], by hand.
        let determinant = 5.0 * 6.25 - 1.5 * 1.5;
        let theta = [(5.0 * 6.25 - 1.5 * 6.5) / determinant, (5.0 * 6.5 - 1.5 * 5.0) / determinant];
        let Posterior::Normal(mean, spread) = arm.posterior(&[1.0, 1.0], 1.0) else {
            panic!("a normal distribution")
        };
        assert!((mean - theta[0] - theta[1]).abs() < 1e-12);
        assert!((spread * spread - (5.0 + 6.25 - 3.0) / determinant).abs() < 1e-12);
    }
}
