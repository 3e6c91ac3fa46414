use kernel::domain::Job;
use kernel::scoring::FrozenModel;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};

use super::gram::Gram;
use super::symmetric::solve_positive;
use super::{Data, Trained};
use crate::{Error, Result};

/// Least squares with an L2 penalty, from the products of the columns: one pass over the data.
///
/// linfa's least squares gives NaN weights for NaN rows and takes ten times as long.
#[derive(Clone, Copy, Debug)]
pub struct Ridge<'j> {
    /// `alpha / 2 * |weights|^2` is added to half the summed squares; 0 is ordinary least squares.
    pub alpha: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// Least squares with an L1 and an L2 penalty, by coordinate descent over the products of the columns
/// (Friedman, Hastie and Tibshirani 2010). linfa's centers the outcome but not the columns: its model is
/// wrong unless their means are 0.
#[derive(Clone, Copy, Debug)]
pub struct ElasticNet<'j> {
    /// `alpha * (l1_ratio * |weights|_1 + (1 - l1_ratio) / 2 * |weights|^2)` is added to half the mean of
    /// the squares.
    pub alpha: f64,
    /// The share of L1.
    pub l1_ratio: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

const MOST_SWEEPS: usize = 10_000;
/// A sweep that moves no weight by more than this share of the outcome's spread is the last.
const TOLERANCE: f64 = 1e-10;

impl Fit<Array2<f64>, Array1<f64>, Error> for Ridge<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let gram = Gram::of(data, self.job)?;
        let mut system = gram.products.clone();
        (0..gram.means.len()).for_each(|j| system[(j, j)] += self.alpha);
        trained(&gram, solve_positive(&system, &gram.with_y)?)
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for ElasticNet<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let gram = Gram::of(data, self.job)?;
        let d = gram.means.len();
        let (l1, l2) = (
            self.alpha * self.l1_ratio * gram.total,
            self.alpha * (1.0 - self.l1_ratio) * gram.total,
        );
        let mut weights = vec![0.0; d];
        // What is left of the products with the outcome.
        let mut rest = gram.with_y.clone();
        let scale = |j: usize| gram.products[(j, j)] + l2;
        for _ in 0..MOST_SWEEPS {
            if self.job.is_canceled() {
                return Err(Error::Canceled);
            }
            let (mut moved, mut largest) = (0.0_f64, 0.0_f64);
            for j in (0..d).filter(|j| gram.products[(*j, *j)] > 0.0) {
                let own = rest[j] + gram.products[(j, j)] * weights[j];
                let next = own.signum() * (own.abs() - l1).max(0.0) / scale(j);
                let step = next - weights[j];
                if step != 0.0 {
                    weights[j] = next;
                    let column = gram.products.col_as_slice(j);
                    rest.iter_mut().zip(column).for_each(|(rest, product)| *rest -= step * product);
                }
                let spread = gram.products[(j, j)].sqrt();
                moved = moved.max(step.abs() * spread);
                largest = largest.max(weights[j].abs() * spread);
            }
            if moved <= TOLERANCE * largest.max(f64::MIN_POSITIVE) {
                break;
            }
        }
        trained(&gram, weights)
    }
}

fn trained(gram: &Gram, weights: Vec<f64>) -> Result<Trained> {
    let intercept = gram.intercept(&weights);
    if !intercept.is_finite() || weights.iter().any(|weight| !weight.is_finite()) {
        return Err(Error::Training("it did not converge; use a larger alpha".to_owned()));
    }
    Ok(Trained(FrozenModel::LinearRegression { intercept, weights }))
}
