use crate::estimators::Data;
use crate::{Error, Result};

/// The fewest rows of each class that a model is trained on.
const FEWEST_OF_A_CLASS: usize = 5;
/// The fewest rows that a number is learned from.
const FEWEST_ROWS: usize = 10;

/// The one gate in front of every training: estimators need not ask again whether there is anything to
/// learn from. `takes_missing` lets missing numbers pass.
///
/// # Errors
/// What is wrong with the data, and what to do.
pub(crate) fn check(data: &Data, classes: &[String], takes_missing: bool) -> Result<()> {
    let refuse = |message: String| Err(Error::Data(message));
    let (rows, columns) = data.records().dim();
    if rows == 0 || rows != data.targets().len() {
        return refuse(format!("there are {rows} training rows; import more events"));
    }
    if columns == 0 {
        return refuse(
            "every feature has one value everywhere; add features that differ between customers"
                .to_owned(),
        );
    }
    let is_fit = |x: f64| x.is_finite() || (takes_missing && x.is_nan());
    if let Some((at, _)) = data.records().indexed_iter().find(|(_, x)| !is_fit(**x)) {
        return refuse(format!(
            "row {} has a value that is not finite in column {} after encoding",
            at.0, at.1
        ));
    }
    let y = data.targets();
    if let Some(row) = y.iter().position(|y| !y.is_finite()) {
        return refuse(format!("the label of row {row} is not a finite number"));
    }
    if classes.is_empty() {
        if rows < FEWEST_ROWS {
            return refuse(format!("{rows} training rows are too few to learn from; import more"));
        }
        return Ok(());
    }
    for (class, name) in (0_u32..).zip(classes) {
        let n = y.iter().filter(|y| **y == f64::from(class)).count();
        if n < FEWEST_OF_A_CLASS {
            return refuse(format!(
                "of {rows} training rows {n} are {name}; every kind needs at least \
                 {FEWEST_OF_A_CLASS}: change the label or its horizon"
            ));
        }
    }
    Ok(())
}
