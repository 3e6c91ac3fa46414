use statrs::distribution::{ChiSquared, ContinuousCDF as _};
use statrs::function::gamma::ln_gamma;

/// Whether customers were divided as they should be. If not, something loses customers of one variant, and
/// no effect can be believed (Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled
/// experiments").
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RatioMismatch {
    /// Pearson's statistic.
    pub chi_squared: f64,
    /// Its p-value, for one look.
    pub p_value: f64,
    /// A p-value that holds at every look (Lindon and Malek 2020, "Anytime-valid inference for multinomial
    /// count data").
    pub always_valid: f64,
}

/// How far the shares may be from what they should be before any is counted: customers that the prior
/// counts for.
const CONCENTRATION: f64 = 10_000.0;
/// Below this p-value the split is wrong.
const ALPHA: f64 = 0.01;

impl RatioMismatch {
    /// Holds counts against the shares that they should have. Variants of no share are left out.
    #[must_use]
    pub fn of(counts: &[f64], shares: &[f64]) -> Self {
        let parts: Vec<(f64, f64)> = counts
            .iter()
            .zip(shares)
            .filter(|(_, share)| **share > 0.0)
            .map(|(count, share)| (*count, *share))
            .collect();
        let n: f64 = parts.iter().map(|(count, _)| count).sum();
        if n == 0.0 || parts.len() < 2 {
            return Self { chi_squared: 0.0, p_value: 1.0, always_valid: 1.0 };
        }
        let all: f64 = parts.iter().map(|(_, share)| share).sum();
        let chi_squared: f64 = parts
            .iter()
            .map(|(count, share)| (count - n * share / all).powi(2) / (n * share / all))
            .sum();
        #[allow(clippy::cast_precision_loss, reason = "a number of variants")]
        let degrees = (parts.len() - 1) as f64;
        let p_value = ChiSquared::new(degrees).map_or(1.0, |it| 1.0 - it.cdf(chi_squared));
        // The evidence for any shares against the right ones.
        let evidence: f64 = ln_gamma(CONCENTRATION) - ln_gamma(CONCENTRATION + n)
            + parts
                .iter()
                .map(|(count, share)| {
                    let (share, prior) = (share / all, CONCENTRATION * share / all);
                    ln_gamma(prior + count) - ln_gamma(prior) - count * share.ln()
                })
                .sum::<f64>();
        Self { chi_squared, p_value, always_valid: (-evidence).exp().min(1.0) }
    }

    /// Whether it is wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.always_valid < ALPHA
    }
}
