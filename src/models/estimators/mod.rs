//! Estimators, each a linfa `Fit` whose result is a linfa `PredictInplace`.
//!
//! In: a linfa dataset whose records have passed the gate. Out: [`Trained`], a frozen model, so that what
//! is evaluated is what is served. Why an estimator is ours and not linfa's is said at each. Never: reading
//! a spec, or choosing parameters.

mod clusters;
mod gram;
mod k_means;
mod linear;
mod mixture;
mod multinomial;
mod naive_bayes;
mod newton;
mod principal;
mod symmetric;

use std::borrow::Cow;

use kernel::scoring::FrozenModel;
use linfa::DatasetBase;
use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ShapeBuilder as _};
use rayon::prelude::*;

use crate::{Error, Result};

pub use clusters::Dbscan;
pub use k_means::KMeans;
pub use linear::{ElasticNet, Ridge};
pub use mixture::GaussianMixture;
pub use multinomial::MultinomialRegression;
pub use naive_bayes::NaiveBayes;
pub use newton::{GeneralizedLinear, LogLink, LogisticRegression};
pub use principal::{Principal, PrincipalComponents};

/// What estimators learn from: rows of numbers, a number a row, and perhaps a weight a row.
pub type Data = DatasetBase<Array2<f64>, Array1<f64>>;

/// A dataset of columns, each in one piece, in which order estimators are several times faster.
///
/// # Errors
/// The columns, the targets or the weights have different lengths.
pub fn dataset(columns: &[Vec<f64>], y: Vec<f64>, weights: Option<Vec<f32>>) -> Result<Data> {
    let uneven = || Error::Data("columns and label have different lengths".to_owned());
    let n = y.len();
    if columns.iter().any(|column| column.len() != n) {
        return Err(uneven());
    }
    let x = Array2::from_shape_vec((n, columns.len()).f(), columns.concat());
    let data = DatasetBase::new(x.map_err(|_error| uneven())?, Array1::from_vec(y));
    Ok(match weights {
        Some(weights) if weights.len() == n => data.with_weights(Array1::from_vec(weights)),
        Some(_) => return Err(uneven()),
        None => data,
    })
}

/// A trained model behind linfa's trait.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained(pub FrozenModel);

impl PredictInplace<Array2<f64>, Array1<f64>> for Trained {
    fn predict_inplace(&self, x: &Array2<f64>, y: &mut Array1<f64>) {
        let scores: Vec<f64> = (0..x.nrows())
            .into_par_iter()
            .map_init(Vec::new, |row, place| {
                row.clear();
                row.extend(x.row(place));
                self.0.score(row)
            })
            .collect();
        y.iter_mut().zip(scores).for_each(|(y, score)| *y = score);
    }

    fn default_target(&self, x: &Array2<f64>) -> Array1<f64> {
        Array1::zeros(x.nrows())
    }
}

/// The numbers of a matrix column by column. A matrix in row order is copied.
pub(crate) fn by_column(x: &Array2<f64>) -> Cow<'_, [f64]> {
    match x.t().to_slice() {
        Some(numbers) => Cow::Borrowed(numbers),
        None => Cow::Owned(x.t().iter().copied().collect()),
    }
}

/// The weight of each row; 1 where none are set. linfa keeps them as `f32`.
pub(crate) fn weights(data: &Data) -> Option<Vec<f64>> {
    data.weights().map(|weights| weights.iter().copied().map(f64::from).collect())
}
