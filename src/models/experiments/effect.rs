use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use super::Estimate;

/// What a variant changes of a metric, against the control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    control: Estimate,
    treatment: Estimate,
    /// Whether it is a share of the control's mean.
    relative: bool,
}

/// An interval around an effect, and how unlikely it would be without one.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// What was measured.
    pub estimate: f64,
    /// From here.
    pub low: f64,
    /// To here.
    pub high: f64,
    /// The p-value of no effect.
    pub p_value: f64,
}

/// When an interval holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// At one look that was planned before: Welch's t-test.
    Fixed,
    /// At every look: an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
    /// 2021, "Time-uniform central limit theory and asymptotic confidence sequences", equations 9, 155 and
    /// 161), which is narrowest after so many customers.
    Sequential(f64),
}

/// Customers of a variant below which nothing is claimed at every look: before, the normal limit that the
/// sequence rests on is not there.
const LEAST_CUSTOMERS: f64 = 50.0;

impl Effect {
    /// The difference of the means.
    #[must_use]
    pub const fn absolute(control: Estimate, treatment: Estimate) -> Self {
        Self { control, treatment, relative: false }
    }

    /// The difference as a share of the control's mean; its variance is by the delta method.
    #[must_use]
    pub const fn relative(control: Estimate, treatment: Estimate) -> Self {
        Self { control, treatment, relative: true }
    }

    /// What was measured.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let difference = self.treatment.mean - self.control.mean;
        if self.relative { difference / self.control.unadjusted } else { difference }
    }

    /// The variance of what was measured.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let (control, treatment) = (&self.control, &self.treatment);
        let (of_control, of_treatment) =
            (control.variance / control.n, treatment.variance / treatment.n);
        if !self.relative {
            return of_control + of_treatment;
        }
        let (mean, other) = (control.unadjusted, treatment.unadjusted);
        of_treatment / mean.powi(2) + of_control * other.powi(2) / mean.powi(4)
    }

    /// The p-value of no change between the effects on two groups of customers (z-test); 1 where nothing is
    /// known of one.
    #[must_use]
    pub fn change(early: &Self, late: &Self) -> f64 {
        let error = (early.variance() + late.variance()).sqrt();
        let Ok(normal) = Normal::new(0.0, 1.0) else { return 1.0 };
        let z = (late.estimate() - early.estimate()) / error;
        if z.is_finite() { 2.0 * normal.cdf(-z.abs()) } else { 1.0 }
    }

    /// The interval at a confidence of `1 - alpha`. Where nothing varies, or there are too few customers, it
    /// claims nothing.
    #[must_use]
    pub fn interval(&self, method: Method, alpha: f64) -> Interval {
        let (estimate, variance) = (self.estimate(), self.variance());
        let is_known = self.control.n > 1.0
            && self.treatment.n > 1.0
            && variance.is_finite()
            && variance > 0.0
            && estimate.is_finite();
        if !is_known {
            let estimate = if estimate.is_finite() { estimate } else { 0.0 };
            return nothing(estimate);
        }
        match method {
            Method::Fixed => self.fixed(estimate, variance, alpha),
            Method::Sequential(tuned) => self.sequential(estimate, variance, alpha, tuned),
        }
    }

    fn fixed(&self, estimate: f64, variance: f64, alpha: f64) -> Interval {
        let Ok(t) = StudentsT::new(0.0, 1.0, self.degrees_of_freedom()) else {
            return nothing(estimate);
        };
        let error = variance.sqrt();
        let reach = -t.inverse_cdf(alpha / 2.0) * error;
        let p_value = (2.0 * t.cdf(-(estimate / error).abs())).min(1.0);
        Interval { estimate, low: estimate - reach, high: estimate + reach, p_value }
    }

    /// By Welch and Satterthwaite.
    fn degrees_of_freedom(&self) -> f64 {
        let share = |it: &Estimate| it.variance / it.n;
        let part = |it: &Estimate| share(it).powi(2) / (it.n - 1.0);
        let (control, treatment) = (&self.control, &self.treatment);
        (share(control) + share(treatment)).powi(2) / (part(control) + part(treatment))
    }

    fn sequential(&self, estimate: f64, variance: f64, alpha: f64, tuned: f64) -> Interval {
        if self.control.n.min(self.treatment.n) < LEAST_CUSTOMERS {
            return nothing(estimate);
        }
        let n = self.control.n + self.treatment.n;
        let rho2 = (-2.0 * alpha.ln() + (-2.0 * alpha.ln() + 1.0).ln()) / tuned;
        let grown = n * rho2 + 1.0;
        let reach =
            (variance * n * 2.0 * grown / (n * n * rho2) * (grown.sqrt() / alpha).ln()).sqrt();
        let squared = estimate * estimate * n / variance;
        let evidence = (rho2 * squared / (2.0 * grown)).exp() / grown.sqrt();
        let p_value = (1.0 / evidence).min(1.0);
        Interval { estimate, low: estimate - reach, high: estimate + reach, p_value }
    }
}

const fn nothing(estimate: f64) -> Interval {
    Interval { estimate, low: f64::NEG_INFINITY, high: f64::INFINITY, p_value: 1.0 }
}
