use statrs::distribution::{ContinuousCDF as _, Normal};

use super::{Effect, Estimate, Method};

/// What an experiment would need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The control's mean.
    pub mean: f64,
    /// The variance of one customer's metric, after what is taken out of it.
    pub variance: f64,
    /// The share of the customers that gets the control, and the one that gets the variant.
    pub shares: (f64, f64),
    /// One minus the confidence.
    pub alpha: f64,
    /// The chance that a true effect is found.
    pub power: f64,
}

/// The most customers that are thought of.
const MOST: f64 = 1e12;
/// Halvings of a search.
const HALVINGS: usize = 200;

/// The chance that an effect is found by so many customers in all, at one look (two-sided z-test).
#[must_use]
pub fn power(plan: &Plan, effect: f64, customers: f64) -> f64 {
    let Ok(normal) = Normal::new(0.0, 1.0) else { return 0.0 };
    let (control, treatment) = plan.shares;
    let error =
        (plan.variance / (customers * control) + plan.variance / (customers * treatment)).sqrt();
    let (reach, shift) = (-normal.inverse_cdf(plan.alpha / 2.0), effect.abs() / error);
    normal.cdf(shift - reach) + normal.cdf(-shift - reach)
}

/// The customers in all that it takes to find an effect, at one look, or at every look: then until the
/// interval of that width excludes it on average. None where no number of customers does.
#[must_use]
pub fn sample_size(plan: &Plan, effect: f64, method: Method) -> Option<f64> {
    if effect == 0.0 || !effect.is_finite() || plan.variance <= 0.0 {
        return None;
    }
    let is_enough = |customers: f64| match method {
        Method::Fixed => power(plan, effect, customers) >= plan.power,
        Method::Sequential(_) => sequential_power(plan, effect, customers, method) >= plan.power,
    };
    let (mut from, mut until) = (4.0, MOST);
    if !is_enough(until) {
        return None;
    }
    for _ in 0..HALVINGS {
        // By powers first: the answer may be ten or ten billion.
        let middle = (from * until).sqrt();
        if is_enough(middle) {
            until = middle
        } else {
            from = middle
        }
        if until / from < 1.0 + 1e-12 {
            break;
        }
    }
    Some(until)
}

/// The chance that the interval at so many customers excludes no effect: of one look of the sequence, which
/// earlier looks can only add to.
fn sequential_power(plan: &Plan, effect: f64, customers: f64, method: Method) -> f64 {
    let Ok(normal) = Normal::new(0.0, 1.0) else { return 0.0 };
    let estimate = |share: f64, mean: f64| Estimate {
        n: customers * share,
        mean,
        unadjusted: mean,
        variance: plan.variance,
    };
    let (control, treatment) = plan.shares;
    let effect_ =
        Effect::absolute(estimate(control, plan.mean), estimate(treatment, plan.mean + effect));
    let interval = effect_.interval(method, plan.alpha);
    let reach = interval.high - interval.estimate;
    if reach.is_finite() {
        normal.cdf((effect.abs() - reach) / effect_.variance().sqrt())
    } else {
        0.0
    }
}

/// The least effect that so many customers in all find, at one look or at every look.
#[must_use]
pub fn detectable(plan: &Plan, customers: f64, method: Method) -> Option<f64> {
    let scale = (plan.variance / customers.max(1.0)).sqrt();
    let (mut from, mut until) = (0.0, scale * 1e3);
    let is_found = |effect: f64| match method {
        Method::Fixed => power(plan, effect, customers) >= plan.power,
        Method::Sequential(_) => sequential_power(plan, effect, customers, method) >= plan.power,
    };
    if scale == 0.0 || !is_found(until) {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(from, until);
        if is_found(middle) { until = middle } else { from = middle }
    }
    Some(until)
}
