use faer::Mat;
use kernel::domain::Job;
use kernel::scoring::{FrozenModel, Mixture, Segments};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{Data, KMeans, Trained};
use crate::{Error, Result};

/// A mixture of normal distributions with full covariances, by expectation and maximization from the
/// centers of k-means. linfa's takes ten times as long as scikit-learn's, restarts from its last result,
/// and loses densities that underflow.
#[derive(Clone, Copy, Debug)]
pub struct GaussianMixture<'j> {
    /// The number of components.
    pub components: usize,
    /// Whether the score is how unlikely a row is, not its component.
    pub is_anomaly: bool,
    /// What random choices follow from.
    pub seed: u64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// A normal distribution of a mixture.
struct Component {
    weight: f64,
    mean: Vec<f64>,
    whitener: Vec<f64>,
}

/// Rows that are learned from; more are sampled evenly.
const MOST_ROWS: usize = 50_000;
const MOST_STEPS: usize = 100;
/// It has converged when the mean log density gains less.
const TOLERANCE: f64 = 1e-4;
/// What is added to each variance, as scikit-learn does.
const LEAST_VARIANCE: f64 = 1e-6;

impl Fit<Array2<f64>, Array1<f64>, Error> for GaussianMixture<'_> {
    type Object = Trained;

    /// Targets are not read.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        let stride = n.div_ceil(MOST_ROWS).max(1);
        let rows: Vec<Vec<f64>> =
            (0..n).step_by(stride).map(|row| data.records().row(row).to_vec()).collect();
        let k = self.components;
        if rows.len() < k.max(2) {
            return Err(Error::Data(format!("{n} rows cannot make {k} components")));
        }
        let start = KMeans { clusters: k, starts: 3, seed: self.seed, job: self.job }.fit(data)?;
        let Trained(FrozenModel::Segments(segments)) = start else {
            return Err(Error::Training("k-means gave no centers".to_owned()));
        };
        let mut shares: Vec<Vec<f64>> = rows.iter().map(|row| one_hot(&segments, row)).collect();
        let mut model = self.maximize(&rows, &shares, d)?;
        let mut last = f64::NEG_INFINITY;
        for _ in 0..MOST_STEPS {
            if self.job.is_canceled() {
                return Err(Error::Canceled);
            }
            shares = rows.par_iter().map(|row| model.shares(row).to_vec()).collect();
            #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
            let mean = rows
                .par_iter()
                .map(|row| model.log_density(row))
                .collect::<Vec<f64>>()
                .iter()
                .sum::<f64>()
                / rows.len() as f64;
            if mean - last < TOLERANCE {
                break;
            }
            last = mean;
            model = self.maximize(&rows, &shares, d)?;
        }
        model.is_anomaly = self.is_anomaly;
        Ok(Trained(FrozenModel::Mixture(model)))
    }
}

fn one_hot(segments: &Segments, row: &[f64]) -> Vec<f64> {
    let nearest = segments.nearest(row);
    (0..segments.centers().len()).map(|place| f64::from(u8::from(place == nearest))).collect()
}

impl GaussianMixture<'_> {
    /// The distributions that make the shares of rows most likely.
    fn maximize(&self, rows: &[Vec<f64>], shares: &[Vec<f64>], d: usize) -> Result<Mixture> {
        #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
        let n = rows.len() as f64;
        let components: Vec<Result<Component>> = (0..self.components)
            .into_par_iter()
            .map(|component| {
                let total = shares.iter().map(|shares| shares[component]).sum::<f64>() + 1e-12;
                let mut mean = vec![0.0; d];
                for (row, shares) in rows.iter().zip(shares) {
                    let share = shares[component] / total;
                    mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += share * x);
                }
                let mut covariance = vec![0.0; d * d];
                let mut off = vec![0.0; d];
                for (row, shares) in rows.iter().zip(shares) {
                    let share = shares[component] / total;
                    if share < 1e-300 {
                        continue;
                    }
                    off.iter_mut().zip(row.iter().zip(&mean)).for_each(|(o, (x, m))| *o = x - m);
                    for i in 0..d {
                        let own = share * off[i];
                        let line = &mut covariance[i * d..i * d + i + 1];
                        line.iter_mut().zip(&off).for_each(|(sum, other)| *sum += own * other);
                    }
                }
                (0..d).for_each(|i| covariance[i * d + i] += LEAST_VARIANCE);
                Ok(Component { weight: total / n, mean, whitener: whitener(&covariance, d)? })
            })
            .collect();
        let mut model = Mixture {
            names: (1..=self.components).map(|place| format!("segment {place}")).collect(),
            weights: Vec::new(),
            means: Vec::new(),
            whiteners: Vec::new(),
            is_anomaly: false,
        };
        for component in components {
            let Component { weight, mean, whitener } = component?;
            model.weights.push(weight);
            model.means.push(mean);
            model.whiteners.push(whitener);
        }
        Ok(model)
    }
}

/// The lower triangle of the inverse of a covariance's Cholesky factor, by rows.
fn whitener(covariance: &[f64], d: usize) -> Result<Vec<f64>> {
    let failed = || Error::Training("a component has no spread; use fewer components".to_owned());
    let at = |i: usize, j: usize| covariance[i.max(j) * d + i.min(j)];
    let factor = Mat::from_fn(d, d, at).llt(faer::Side::Lower).map_err(|_error| failed())?;
    let lower = factor.L();
    // Rows of the inverse, by forward substitution on the columns of the identity.
    let mut inverse = vec![0.0; d * d];
    for column in 0..d {
        for i in column..d {
            let own = if i == column { 1.0 } else { 0.0 };
            let known: f64 = (column..i).map(|j| lower[(i, j)] * inverse[j * d + column]).sum();
            inverse[i * d + column] = (own - known) / lower[(i, i)];
        }
    }
    let triangle: Vec<f64> = (0..d).flat_map(|i| inverse[i * d..i * d + i + 1].to_vec()).collect();
    match triangle.iter().all(|number| number.is_finite()) {
        true => Ok(triangle),
        false => Err(failed()),
    }
}
