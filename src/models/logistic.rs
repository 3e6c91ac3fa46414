use kernel::scoring::FrozenModel;
use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

use crate::{Error, Result};

/// Iterations after which linfa gives up; a standardized matrix needs far fewer.
const MOST_ITERATIONS: u64 = 500;
/// linfa stops when the gradient of the summed loss is below this share of the number of rows.
const GRADIENT_TOLERANCE: f64 = 1e-5;

/// Fits a logistic regression with linfa and copies it into plain numbers.
///
/// The matrix is in column order, in which linfa is several times faster, and has passed the gate.
pub(crate) fn fit(matrix: Array2<f64>, positive: &[bool], alpha: f64) -> Result<FrozenModel> {
    let n_columns = matrix.ncols();
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    let tolerance = GRADIENT_TOLERANCE * matrix.nrows() as f64;
    let dataset = DatasetBase::new(matrix, Array1::from_vec(positive.to_vec()));
    let model = LogisticRegression::default()
        .alpha(alpha)
        .max_iterations(MOST_ITERATIONS)
        .gradient_tolerance(tolerance)
        .fit(&dataset)
        .map_err(|error| Error::Training(error.to_string()))?;
    // linfa calls the more frequent class positive; ask which one that was.
    let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
    let weights: Vec<f64> = model.params().iter().map(|weight| sign * weight).collect();
    if weights.len() != n_columns {
        return Err(Error::Training(format!("{} weights for {n_columns} columns", weights.len())));
    }
    let frozen = FrozenModel::LogisticRegression { intercept: sign * model.intercept(), weights };
    if frozen.is_finite() {
        Ok(frozen)
    } else {
        Err(Error::Training("it did not converge; use a larger alpha".to_owned()))
    }
}
