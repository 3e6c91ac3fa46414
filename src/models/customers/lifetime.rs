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

/// Whether BG/NBD can be fitted on a row: there was a purchase, and its times are in order.
fn has_bought(c: &&Purchases) -> bool {
    let all = [c.frequency, c.recency, c.age];
    all.iter().all(|x| x.is_finite() && *x >= 0.0) && c.age > 0.0 && c.recency <= c.age
}

/// Whether Gamma-Gamma can be fitted on a row: there were repeat purchases, with a value.
fn has_value(c: &&Purchases) -> bool {
    c.frequency > 0.0 && c.value > 0.0 && c.frequency.is_finite() && c.value.is_finite()
}

/// The rows that the fits leave out, in words; `with_values` if Gamma-Gamma is fitted too.
#[must_use]
pub fn left_out(rows: &[Purchases], with_values: bool) -> Vec<String> {
    let n = rows.len();
    let mut remarks = Vec::new();
    let bought = rows.iter().filter(has_bought).count();
    if bought < n {
        remarks.push(format!(
            "BG/NBD left out {} of {n} rows: they have no purchase before their time",
            n - bought
        ));
    }
    let sample = |of: usize| of.div_ceil(of.div_ceil(MOST_CUSTOMERS).max(1));
    if sample(bought) < bought {
        remarks.push(format!(
            "BG/NBD was fitted on one in {} of {bought} rows, {} in all",
            bought.div_ceil(MOST_CUSTOMERS),
            sample(bought)
        ));
    }
    if !with_values {
        return remarks;
    }
    let once = rows.iter().filter(|c| c.frequency <= 0.0).count();
    let valued = rows.iter().filter(has_value).count();
    if once > 0 {
        remarks
            .push(format!("Gamma-Gamma left out {once} of {n} rows: they have no repeat purchase"));
    }
    if valued + once < n {
        remarks.push(format!(
            "Gamma-Gamma left out {} of {n} rows: their repeat purchases have no mean value above 0",
            n - once - valued
        ));
    }
    if sample(valued) < valued {
        remarks.push(format!(
            "Gamma-Gamma was fitted on one in {} of {valued} rows, {} in all",
            valued.div_ceil(MOST_CUSTOMERS),
            sample(valued)
        ));
    }
    remarks
}

impl Purchases {
    /// The purchases of an encoded row: its columns are frequency, recency, age and value, times in days.
    #[must_use]
    pub fn of_row(row: &[f64], columns: &[usize], unit_days: f64) -> Self {
        let number = |place: usize| {
            let x = columns.get(place).map_or(f64::NAN, |column| row[*column]);
            if x.is_nan() { 0.0 } else { x.max(0.0) }
        };
        let age = number(2) / unit_days;
        let recency = (number(1) / unit_days).min(age);
        Self { frequency: number(0), recency, age, value: number(3) }
    }
}

/// Fits BG/NBD; also the log-likelihood of all customers.
///
/// # Errors
/// Too few customers came back, or it was canceled.
pub fn fit_beta_geometric(customers: &[Purchases], job: &Job) -> Result<(BetaGeometric, f64)> {
    let sound: Vec<Purchases> = customers.iter().filter(has_bought).copied().collect();
    if sound.iter().filter(|c| c.frequency > 0.0).count() < FEWEST_CUSTOMERS {
        return Err(Error::Data(format!(
            "BG/NBD: fewer than {FEWEST_CUSTOMERS} rows have repeat purchases, which a lifetime value needs"
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
    // A search that got stuck must not become a model: one where all parameters are 1, in units of the data, is a
    // floor.
    let ones = [1.0, 1.0 / scale, 1.0, 1.0];
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    let floor = scaled.iter().map(|c| beta_geometric(&ones, c)).sum::<f64>() / scaled.len() as f64;
    if mean < floor {
        return Err(Error::Training(format!(
            "BG/NBD: the search ended at a log-likelihood of {mean:.4} a row, below the {floor:.4} of parameters \
             that are all 1"
        )));
    }
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
    let sound: Vec<Purchases> = customers.iter().filter(has_value).copied().collect();
    if sound.len() < FEWEST_CUSTOMERS {
        return Err(Error::Data(format!(
            "Gamma-Gamma: fewer than {FEWEST_CUSTOMERS} rows have repeat purchases with a mean value above 0"
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
        false => Err(Error::Training(format!(
            "Gamma-Gamma: the values of purchases spread so widely that they have no mean (q is {:.4}, and must be \
             above 1)",
            p[1]
        ))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_the_fits_leave_out_are_counted() {
        let row = |frequency: f64, age: f64, value: f64| {
            Purchases::of_row(&[frequency, age / 2.0, age, value], &[0, 1, 2, 3], 1.0)
        };
        let mut rows = vec![row(3.0, 50.0, 9.0); 20];
        assert_eq!(left_out(&rows, true), Vec::<String>::new());
        rows.extend([row(0.0, 0.0, 0.0), row(0.0, 30.0, 0.0), row(2.0, 30.0, 0.0)]);
        let remarks = left_out(&rows, true);
        assert_eq!(remarks.len(), 3, "{remarks:?}");
        for (remark, said) in remarks.iter().zip([
            "BG/NBD left out 1 of 23 rows",
            "Gamma-Gamma left out 2 of 23 rows: they have no repeat purchase",
            "Gamma-Gamma left out 1 of 23 rows: their repeat purchases have no mean value",
        ]) {
            assert!(remark.starts_with(said), "{remark}");
        }
        assert_eq!(left_out(&rows, false).len(), 1);
        let many = vec![row(3.0, 50.0, 9.0); MOST_CUSTOMERS + 1];
        assert!(left_out(&many, false)[0].contains("one in 2 of 50001 rows, 25001 in all"));
        assert!(left_out(&many[1..], false).is_empty());
    }
}
