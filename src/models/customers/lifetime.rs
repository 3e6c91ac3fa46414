use argmin::core::{CostFunction, Executor};
use argmin::solver::neldermead::NelderMead;
use kernel::domain::Job;
use kernel::scoring::{BetaGeometric, GammaGamma};
use rayon::prelude::*;
use statrs::function::gamma::ln_gamma;

use crate::{Error, Result};

/// What is known of a customer's purchases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purchases {
    /// Repeat purchases: all but the first.
    pub frequency: f64,
    /// From the first to the last purchase.
    pub recency: f64,
    /// Since the first purchase.
    pub age: f64,
    /// The mean value of the repeat purchases.
    pub value: f64,
}

/// Customers that a model of few parameters is fitted on; more are sampled evenly.
const MOST_CUSTOMERS: usize = 50_000;
/// The fewest customers who came back.
const FEWEST_CUSTOMERS: usize = 10;
const PIECE: usize = 4_096;

/// The likelihood of customers under positive parameters, which are logarithms here.
struct Likelihood<'a, F> {
    customers: &'a [Purchases],
    of: F,
    job: &'a Job,
}

impl<F: Fn(&[f64], &Purchases) -> f64 + Sync> CostFunction for Likelihood<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, logarithms: &Vec<f64>) -> std::result::Result<f64, argmin::core::Error> {
        if self.job.is_canceled() {
            return Err(argmin::core::Error::msg("canceled"));
        }
        let parameters: Vec<f64> = logarithms.iter().map(|x| x.clamp(-30.0, 30.0).exp()).collect();
        let parts: Vec<f64> = self
            .customers
            .par_chunks(PIECE)
            .map(|customers| customers.iter().map(|c| (self.of)(&parameters, c)).sum())
            .collect();
        let sum: f64 = parts.iter().sum();
        #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
        let mean = -sum / self.customers.len() as f64;
        Ok(if mean.is_finite() { mean } else { f64::MAX })
    }
}

/// The parameters of the largest likelihood, by the simplex method (Nelder and Mead 1965), started again
/// from where it ended; and the mean log-likelihood.
fn maximize(
    customers: &[Purchases],
    start: &[f64],
    of: impl Fn(&[f64], &Purchases) -> f64 + Sync,
    job: &Job,
) -> Result<(Vec<f64>, f64)> {
    let failed = |error: argmin::core::Error| match job.is_canceled() {
        true => Error::Canceled,
        false => Error::Training(error.to_string()),
    };
    let mut best: Vec<f64> = start.iter().map(|x| x.ln()).collect();
    let mut cost = f64::INFINITY;
    for _ in 0..6 {
        let mut simplex = vec![best.clone()];
        simplex.extend((0..best.len()).map(|i| {
            let mut corner = best.clone();
            corner[i] += 0.3;
            corner
        }));
        let solver = NelderMead::new(simplex).with_sd_tolerance(1e-13).map_err(failed)?;
        let likelihood = Likelihood { customers, of: &of, job };
        let run = Executor::new(likelihood, solver).configure(|state| state.max_iters(2_000)).run();
        let state = run.map_err(failed)?.state;
        let gain = cost - state.best_cost;
        cost = state.best_cost;
        best = state.best_param.unwrap_or(best);
        if gain < 1e-12 {
            break;
        }
    }
    let parameters: Vec<f64> = best.iter().map(|x| x.clamp(-30.0, 30.0).exp()).collect();
    match cost < f64::MAX && parameters.iter().all(|x| x.is_finite()) {
        true => Ok((parameters, -cost)),
        false => Err(Error::Training("the purchases fit no such model".to_owned())),
    }
}

fn sampled(customers: Vec<Purchases>) -> Vec<Purchases> {
    let stride = customers.len().div_ceil(MOST_CUSTOMERS).max(1);
    customers.into_iter().step_by(stride).collect()
}

/// Fits BG/NBD; also the log-likelihood of all customers.
///
/// # Errors
/// Too few customers came back, or it was canceled.
pub fn fit_beta_geometric(customers: &[Purchases], job: &Job) -> Result<(BetaGeometric, f64)> {
    let is_sound = |c: &&Purchases| {
        let all = [c.frequency, c.recency, c.age];
        all.iter().all(|x| x.is_finite() && *x >= 0.0) && c.age > 0.0 && c.recency <= c.age
    };
    let sound: Vec<Purchases> = customers.iter().filter(is_sound).copied().collect();
    if sound.iter().filter(|c| c.frequency > 0.0).count() < FEWEST_CUSTOMERS {
        return Err(Error::Data(format!(
            "fewer than {FEWEST_CUSTOMERS} customers bought again; a lifetime value needs repeat purchases"
        )));
    }
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    let n = sound.len() as f64;
    let sound = sampled(sound);
    // Times of about 1 are where the search is at its best.
    let scale = sound.iter().map(|c| c.age).fold(0.0, f64::max) / 10.0;
    let scaled: Vec<Purchases> = sound
        .iter()
        .map(|c| Purchases { recency: c.recency / scale, age: c.age / scale, ..*c })
        .collect();
    let (p, mean) = maximize(&scaled, &[1.0; 4], beta_geometric, job)?;
    let model = BetaGeometric { r: p[0], alpha: p[1] * scale, a: p[2], b: p[3] };
    // In the units of the data each purchase's density is that much smaller.
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    let repeats = sound.iter().map(|c| c.frequency).sum::<f64>() / sound.len() as f64;
    Ok((model, n * (mean - repeats * scale.ln())))
}

/// The log-likelihood of a customer (Fader, Hardie and Lee 2005, equation 6), as sums of logarithms.
fn beta_geometric(p: &[f64], customer: &Purchases) -> f64 {
    let [r, alpha, a, b] = [p[0], p[1], p[2], p[3]];
    let Purchases { frequency: x, recency, age, .. } = *customer;
    let rates = ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln();
    let leaving = ln_gamma(a + b) + ln_gamma(b + x) - ln_gamma(b) - ln_gamma(a + b + x);
    let alive = -(r + x) * (alpha + age).ln();
    if x <= 0.0 {
        return rates + leaving + alive;
    }
    let left = a.ln() - (b + x - 1.0).ln() - (r + x) * (alpha + recency).ln();
    let most = alive.max(left);
    rates + leaving + most + ((alive - most).exp() + (left - most).exp()).ln()
}

/// Fits Gamma-Gamma on customers who bought again, for something.
///
/// # Errors
/// There are too few of them, or it was canceled.
pub fn fit_gamma_gamma(customers: &[Purchases], job: &Job) -> Result<GammaGamma> {
    let is_sound = |c: &&Purchases| c.frequency > 0.0 && c.value > 0.0 && c.frequency.is_finite();
    let sound: Vec<Purchases> =
        customers.iter().filter(is_sound).filter(|c| c.value.is_finite()).copied().collect();
    if sound.len() < FEWEST_CUSTOMERS {
        return Err(Error::Data(format!(
            "fewer than {FEWEST_CUSTOMERS} customers bought again for something"
        )));
    }
    let sound = sampled(sound);
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    let scale = sound.iter().map(|c| c.value).sum::<f64>() / sound.len() as f64;
    let scaled: Vec<Purchases> =
        sound.iter().map(|c| Purchases { value: c.value / scale, ..*c }).collect();
    let (p, _) = maximize(&scaled, &[2.0, 3.0, 2.0], gamma_gamma, job)?;
    match p[1] > 1.0 {
        true => Ok(GammaGamma { p: p[0], q: p[1], v: p[2] * scale }),
        false => Err(Error::Training(
            "the values of purchases spread so widely that they have no mean".to_owned(),
        )),
    }
}

/// The log-likelihood of a customer's mean value (Fader and Hardie 2013, equation 1a).
fn gamma_gamma(parameters: &[f64], customer: &Purchases) -> f64 {
    let [p, q, v] = [parameters[0], parameters[1], parameters[2]];
    let (x, m) = (customer.frequency, customer.value);
    ln_gamma(p * x + q) - ln_gamma(p * x) - ln_gamma(q)
        + q * v.ln()
        + (p * x - 1.0) * m.ln()
        + p * x * x.ln()
        - (p * x + q) * (x * m + v).ln()
}
