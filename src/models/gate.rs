use ndarray::Array2;

use crate::{Error, Result};

/// The fewest rows of each class that a model is trained on.
const FEWEST_OF_A_CLASS: usize = 5;

/// The one gate in front of every training: linfa panics or fits nonsense on what it refuses.
///
/// # Errors
/// What is wrong with the data, and what to do.
pub(crate) fn check(matrix: &Array2<f64>, positive: &[bool]) -> Result<()> {
    let refuse = |message: String| Err(Error::Data(message));
    let (rows, columns) = matrix.dim();
    if rows == 0 || rows != positive.len() {
        return refuse(format!("there are {rows} training rows; import more events"));
    }
    if columns == 0 {
        return refuse(
            "every feature has one value everywhere; add features that differ between customers"
                .to_owned(),
        );
    }
    if let Some((row, _)) =
        matrix.indexed_iter().find(|(_, x)| !x.is_finite()).map(|(at, x)| (at.0, x))
    {
        return refuse(format!("row {row} has a value that is not finite after encoding"));
    }
    let positives = positive.iter().filter(|positive| **positive).count();
    let fewest = positives.min(rows - positives);
    if fewest < FEWEST_OF_A_CLASS {
        return refuse(format!(
            "of {rows} training rows {positives} are positive; both kinds need at least \
             {FEWEST_OF_A_CLASS}: change the label or its horizon"
        ));
    }
    Ok(())
}
