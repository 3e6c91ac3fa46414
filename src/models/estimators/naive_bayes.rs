use kernel::domain::Job;
use kernel::scoring::{FrozenModel, GaussianBayes};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{Data, Trained, by_column, weights};
use crate::{Error, Result};

/// Naive Bayes with normal columns. linfa's keeps its parameters to itself, and for rows far from every
/// class divides zero by zero; here densities stay logarithms until the end (in the kernel).
#[derive(Clone, Debug)]
pub struct NaiveBayes<'j> {
    /// The classes; targets are their places.
    pub classes: Vec<String>,
    /// What can be canceled.
    pub job: &'j Job,
}

/// This share of the largest variance is added to all, as scikit-learn does.
const SMOOTHING: f64 = 1e-9;

impl Fit<Array2<f64>, Array1<f64>, Error> for NaiveBayes<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        let (k, y) = (self.classes.len(), data.targets());
        if n == 0 || k < 2 {
            return Err(Error::Data(format!("{n} rows of {k} classes cannot be told apart")));
        }
        let (numbers, weights) = (by_column(data.records()), weights(data));
        let weight = |row: usize| weights.as_ref().map_or(1.0, |weights| weights[row]);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small place")]
        let class = |row: usize| (y[row] as usize).min(k - 1);
        let mut totals = vec![0.0; k];
        (0..n).for_each(|row| totals[class(row)] += weight(row));
        if totals.contains(&0.0) {
            return Err(Error::Data("a class has no training row".to_owned()));
        }
        // Of each column its mean and variance in each class, and the variance over all.
        let columns: Vec<(Vec<f64>, Vec<f64>, f64)> = numbers
            .par_chunks(n)
            .map(|column| {
                let mean = |of: &dyn Fn(usize, f64) -> f64| {
                    let mut sums = vec![0.0; k];
                    for (row, x) in column.iter().enumerate() {
                        sums[class(row)] += weight(row) * of(row, *x);
                    }
                    sums.iter().zip(&totals).map(|(sum, n)| sum / n).collect::<Vec<f64>>()
                };
                let means = mean(&|_, x| x);
                let variances = mean(&|row, x| (x - means[class(row)]).powi(2));
                let all: f64 = totals.iter().sum();
                let center: f64 = means.iter().zip(&totals).map(|(m, n)| m * n).sum::<f64>() / all;
                let spread = means.iter().zip(&variances).zip(&totals);
                let spread: f64 =
                    spread.map(|((m, v), n)| n * (v + (m - center).powi(2))).sum::<f64>() / all;
                (means, variances, spread)
            })
            .collect();
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let largest = columns.iter().map(|(_, _, spread)| *spread).fold(0.0, f64::max);
        let least = (SMOOTHING * largest).max(f64::MIN_POSITIVE);
        let all: f64 = totals.iter().sum();
        let model = GaussianBayes {
            classes: self.classes.clone(),
            priors: totals.iter().map(|n| n / all).collect(),
            means: (0..k).map(|c| columns.iter().map(|column| column.0[c]).collect()).collect(),
            variances: (0..k)
                .map(|c| columns.iter().map(|column| column.1[c] + least).collect())
                .collect(),
        };
        debug_assert_eq!(model.means[0].len(), d);
        let is_finite = model.means.iter().chain(&model.variances).flatten().all(|x| x.is_finite());
        match is_finite {
            true => Ok(Trained(FrozenModel::GaussianBayes(model))),
            false => Err(Error::Data("the numbers are too large to square; scale them".to_owned())),
        }
    }
}
