use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use super::{Expected, Tally};

/// How far values have moved from how they were spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The population stability index (Siddiqi 2006): sum of `(q - p) ln(q / p)` over the bins, missing
    /// values being one; 0 is no difference.
    pub psi: f64,
    /// What the index stays below in 99 of 100 cases where nothing has moved: about
    /// `(1/n + 1/m)` times a chi-squared quantile (Yurdakul 2018), for n values now and m then.
    pub noise: f64,
    /// Values now.
    pub n: u64,
    /// The share that is missing now.
    pub missing: f64,
    /// The share of texts now that were not in the training set.
    pub unseen: f64,
}

/// An index from which on values have moved; below 0.1 they have not (Siddiqi 2006).
const MOVED: f64 = 0.2;
/// Shares below it are taken as it: an empty bin would make the index infinite.
const LEAST_SHARE: f64 = 1e-4;
/// How often the noise is stayed below.
const SURE: f64 = 0.99;

impl Drift {
    /// Compares what is counted now with what was expected. None without any value.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "shares of values")]
    pub fn of(expected: &Expected, now: &Tally) -> Option<Self> {
        if now.n == 0 {
            return None;
        }
        let n = now.n as f64;
        let share = |count: u64| count as f64 / n;
        let bins = (0..expected.n_bins()).map(|bin| {
            let then = expected.shares.get(bin).copied().unwrap_or(0.0);
            (then, share(now.bins.get(bin).copied().unwrap_or(0)))
        });
        let pairs = || bins.clone().chain([(expected.missing, share(now.missing))]);
        let part = |(then, now): (f64, f64)| {
            let (then, now) = (then.max(LEAST_SHARE), now.max(LEAST_SHARE));
            (now - then) * (now / then).ln()
        };
        let used = pairs().filter(|(then, now)| *then > 0.0 || *now > 0.0).count();
        let noise = match ChiSquared::new(used.saturating_sub(1) as f64) {
            Ok(chi) => (1.0 / n + 1.0 / expected.rows.max(1) as f64) * chi.inverse_cdf(SURE),
            // A single bin cannot move.
            Err(_) => 0.0,
        };
        Some(Self {
            psi: pairs().map(part).sum(),
            noise,
            n: now.n,
            missing: share(now.missing),
            unseen: share(now.unseen),
        })
    }

    /// Whether values have moved: more than is usual, and more than by chance.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.psi >= MOVED && self.psi > self.noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Type, Value};

    fn drift(then: &[Value], now: &[Value], type_: Type) -> Drift {
        let expected = Expected::of(type_, then);
        let mut tally = Tally::default();
        now.iter().for_each(|value| expected.count(&mut tally, value));
        Drift::of(&expected, &tally).unwrap()
    }

    fn texts(counts: &[(&str, usize)]) -> Vec<Value> {
        let many = |(text, n): &(&str, usize)| vec![Value::text(*text); *n];
        counts.iter().flat_map(many).collect()
    }

    /// By hand: shares 0.5, 0.3, 0.2 against 0.4, 0.3, 0.3.
    #[test]
    fn the_index_is_what_its_formula_says() {
        let then = texts(&[("a", 50), ("b", 30), ("c", 20)]);
        let now = texts(&[("a", 40), ("b", 30), ("c", 30)]);
        let by_hand = (0.4 - 0.5) * f64::ln(0.4 / 0.5) + (0.3 - 0.2) * f64::ln(0.3 / 0.2);
        let drift = drift(&then, &now, Type::Text);
        assert!((drift.psi - by_hand).abs() < 1e-12, "{drift:?}");
        assert!(!drift.has_moved());
    }

    #[test]
    fn what_is_missing_or_unseen_moves_it() {
        let then = texts(&[("a", 500), ("b", 500)]);
        let mut now = texts(&[("a", 300), ("z", 300)]);
        now.extend(vec![Value::Null; 400]);
        let drift = drift(&then, &now, Type::Text);
        assert!(drift.has_moved(), "{drift:?}");
        assert!((drift.missing - 0.4).abs() < 1e-12 && (drift.unseen - 0.3).abs() < 1e-12);
    }

    /// Few values differ by chance; the index says so itself.
    #[test]
    fn chance_is_not_drift() {
        let numbers = |n: u32, step: u32| -> Vec<Value> {
            (0..n).map(|k| Value::Number(f64::from(k * step % 1_009))).collect()
        };
        let few = drift(&numbers(1_009, 1), &numbers(20, 389), Type::Number);
        assert!(few.noise > 1.0 && !few.has_moved(), "{few:?}");
        let many = drift(&numbers(1_009, 1), &numbers(1_009, 389), Type::Number);
        assert!(many.psi < 1e-3 && many.noise < 0.05, "{many:?}");
    }

    /// Most are zero: one bin for them, and what is above is told apart.
    #[test]
    fn equal_values_are_one_bin() {
        let mut then = vec![Value::Number(0.0); 80];
        then.extend((1..=20).map(|k| Value::Number(f64::from(k))));
        let expected = Expected::of(Type::Number, &then);
        assert_eq!(expected.n_bins(), 3, "{expected:?}");
        assert!((expected.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let constant = Expected::of(Type::Number, &vec![Value::Number(7.0); 50]);
        let mut now = Tally::default();
        constant.count(&mut now, &Value::Number(8.0));
        assert_eq!(now.bins, [0, 1], "above what was ever seen is a bin of its own");
    }
}
