use statrs::distribution::{Beta, ContinuousCDF as _, Normal};

use super::Estimate;

/// What to believe of a variant against the control, from what was measured and a flat prior. Looking often
/// and stopping when it pleases makes it wrong more often than it says.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Belief {
    /// The probability that the variant is better.
    pub chance_to_win: f64,
    /// What is lost on average, in the unit of the metric, by choosing the variant where it is worse.
    pub expected_loss: f64,
}

/// Pieces of an integral.
const PIECES: usize = 2_000;
/// How many standard deviations an integral goes to.
const REACH: f64 = 9.0;

/// What is believed of one mean.
enum Posterior {
    Beta(Beta, f64, f64),
    Normal(Normal, f64, f64),
}

impl Posterior {
    /// Of a conversion: a beta distribution from a uniform one.
    fn conversion(estimate: &Estimate) -> Option<Self> {
        let converted = estimate.unadjusted * estimate.n;
        let (a, b) = (1.0 + converted, 1.0 + estimate.n - converted);
        let (mean, sum) = (a / (a + b), a + b);
        let deviation = (a * b / (sum * sum * (sum + 1.0))).sqrt();
        Beta::new(a, b).ok().map(|beta| Self::Beta(beta, mean, deviation))
    }

    /// Of a mean: a normal distribution of its error.
    fn mean(estimate: &Estimate) -> Option<Self> {
        let deviation = (estimate.variance / estimate.n).sqrt();
        let normal = Normal::new(estimate.mean, deviation).ok()?;
        Some(Self::Normal(normal, estimate.mean, deviation))
    }

    fn below(&self, x: f64) -> f64 {
        match self {
            Self::Beta(beta, ..) => beta.cdf(x),
            Self::Normal(normal, ..) => normal.cdf(x),
        }
    }

    const fn span(&self) -> (f64, f64) {
        let (Self::Beta(_, mean, deviation) | Self::Normal(_, mean, deviation)) = self;
        (*mean - REACH * *deviation, *mean + REACH * *deviation)
    }
}

impl Belief {
    /// What to believe; none where nothing varies. `more_is_better` says which way is good.
    #[must_use]
    pub fn of(
        control: &Estimate,
        treatment: &Estimate,
        is_conversion: bool,
        more_is_better: bool,
    ) -> Option<Self> {
        let is_known = |it: &Estimate| it.n > 1.0 && (is_conversion || it.variance > 0.0);
        if !is_known(control) || !is_known(treatment) {
            return None;
        }
        let posterior = if is_conversion { Posterior::conversion } else { Posterior::mean };
        let (control, treatment) = (posterior(control)?, posterior(treatment)?);
        let (better, worse) =
            if more_is_better { (&treatment, &control) } else { (&control, &treatment) };
        Some(Self { chance_to_win: greater(better, worse), expected_loss: excess(worse, better) })
    }
}

/// The probability that one mean is greater than another: the integral of the other's distribution over the
/// one's.
fn greater(one: &Posterior, other: &Posterior) -> f64 {
    let (from, until) = one.span();
    let step = (until - from) / steps();
    let mut before = one.below(from);
    let mut chance = 0.0;
    for piece in 0..PIECES {
        let at = from + step * place(piece);
        let after = one.below(at + step);
        chance += (after - before) * other.below(at + step / 2.0);
        before = after;
    }
    chance
}

/// The mean of what one mean is above another, where it is: the integral of the probability that a number
/// lies between them.
fn excess(one: &Posterior, other: &Posterior) -> f64 {
    let ((a, b), (c, d)) = (one.span(), other.span());
    let (from, until) = (a.min(c), b.max(d));
    let step = (until - from) / steps();
    let between = |piece: usize| {
        let at = from + step * (place(piece) + 0.5);
        other.below(at) * (1.0 - one.below(at))
    };
    (0..PIECES).map(between).sum::<f64>() * step
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
const fn steps() -> f64 {
    PIECES as f64
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
const fn place(piece: usize) -> f64 {
    piece as f64
}
