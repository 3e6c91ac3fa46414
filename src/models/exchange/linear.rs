use kernel::scoring::Encoding;

use super::attributes::Attributes;
use super::column::{Affine, Column};
use super::refused;
use crate::Result;

/// Linear sums of columns, one for each output.
pub(super) struct Sums {
    pub(super) intercepts: Vec<f64>,
    /// The weights of each output.
    pub(super) weights: Vec<Vec<f64>>,
}

impl Sums {
    /// Reads the weights of a `LinearRegressor` or `LinearClassifier`.
    pub(super) fn new(attributes: &Attributes<'_>, width: usize) -> Result<Self> {
        let weights = attributes.numbers("coefficients")?;
        let n = weights.len() / width.max(1);
        if n == 0 || weights.len() != n * width {
            return Err(refused(format!(
                "'coefficients' has {} numbers for {width} columns",
                weights.len()
            )));
        }
        let intercepts = match attributes.numbers("intercepts")? {
            none if none.is_empty() => vec![0.0; n],
            own if own.len() == n => own,
            own => {
                return Err(refused(format!("'intercepts' has {} numbers, not {n}", own.len())));
            }
        };
        Ok(Self { intercepts, weights: weights.chunks(width).map(<[f64]>::to_vec).collect() })
    }

    /// The sums of the inputs' columns, of which there are `n_inputs`, and how each of them is encoded.
    pub(super) fn of_inputs(
        mut self,
        columns: &[Column],
        n_inputs: usize,
    ) -> (Vec<Encoding>, Self) {
        let mut encodings = vec![Encoding::Plain; n_inputs];
        let mut weights = vec![vec![0.0; n_inputs]; self.weights.len()];
        let mut readers = vec![0; n_inputs];
        columns.iter().for_each(|column| readers[column.input] += 1);
        for (place, column) in columns.iter().enumerate() {
            let Affine { slope, offset, fill } = column.affine();
            let is_plain = (slope, offset, fill) == (1.0, 0.0, None);
            // Standardized, so that contributions are against the mean; a column that is read twice stays as it is.
            let is_standardized = readers[column.input] == 1 && !is_plain;
            if is_standardized {
                let mean = -offset / slope;
                encodings[column.input] = Encoding::Number {
                    fill: fill.unwrap_or(mean),
                    mean,
                    scale: 1.0 / slope,
                    indicator: false,
                    log: false,
                };
            }
            for (output, own) in weights.iter_mut().enumerate() {
                let weight = self.weights[output][place];
                if is_standardized {
                    own[column.input] += weight;
                } else {
                    own[column.input] += weight * slope;
                    self.intercepts[output] += weight * offset;
                }
            }
        }
        (encodings, Self { intercepts: self.intercepts, weights })
    }
}
