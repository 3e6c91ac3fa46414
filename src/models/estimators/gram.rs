use faer::Mat;
use kernel::domain::Job;
use rayon::prelude::*;

use super::symmetric::{add_products, at, dot};
use super::{Data, by_column, weights};
use crate::{Error, Result};

/// All that least squares needs of the data: products of centered columns, in one pass.
pub(super) struct Gram {
    /// Weight of all rows.
    pub(super) total: f64,
    pub(super) means: Vec<f64>,
    pub(super) y_mean: f64,
    /// Centered columns times centered columns.
    pub(super) products: Mat<f64>,
    /// Centered columns times centered outcomes.
    pub(super) with_y: Vec<f64>,
}

const BLOCK: usize = 500;
const PIECES: usize = 16;

impl Gram {
    /// The columns are centered before they are multiplied: far from 0, products of raw columns lose all
    /// their digits when the means are taken off.
    pub(super) fn of(data: &Data, job: &Job) -> Result<Self> {
        let x = data.records();
        let (n, d) = x.dim();
        if n == 0 || data.targets().len() != n {
            return Err(Error::Data(format!("there are {n} training rows")));
        }
        let (numbers, weights, y) = (by_column(x), weights(data), data.targets());
        let weight = |row: usize| weights.as_ref().map_or(1.0, |weights| weights[row]);
        let total: f64 = (0..n).map(weight).sum();
        let mean = |value: &dyn Fn(usize) -> f64| {
            (0..n).map(|row| weight(row) * value(row)).sum::<f64>() / total
        };
        let means: Vec<f64> = numbers
            .par_chunks(n)
            .map(|column| match &weights {
                None => column.iter().sum::<f64>() / total,
                Some(weights) => dot(column, weights) / total,
            })
            .collect();
        let y_mean = mean(&|row| y[row]);
        let blocks: Vec<usize> = (0..n).step_by(BLOCK).collect();
        let piece = blocks.len().div_ceil(PIECES).max(1);
        let parts: Vec<Mat<f64>> = blocks
            .par_chunks(piece)
            .map(|blocks| {
                let mut sums = Mat::zeros(d + 1, d + 1);
                let mut centered = vec![0.0; BLOCK * (d + 1)];
                for start in blocks.iter().copied() {
                    let end = n.min(start + BLOCK);
                    let size = end - start;
                    for j in 0..d {
                        let column = &numbers[j * n + start..j * n + end];
                        let out = &mut centered[j * size..(j + 1) * size];
                        out.iter_mut().zip(column).for_each(|(out, x)| *out = x - means[j]);
                    }
                    let out = &mut centered[d * size..(d + 1) * size];
                    out.iter_mut().zip(start..end).for_each(|(out, row)| *out = y[row] - y_mean);
                    if weights.is_some() {
                        for column in centered[..(d + 1) * size].chunks_exact_mut(size) {
                            let rows = column.iter_mut().zip(start..end);
                            rows.for_each(|(x, row)| *x *= weight(row).sqrt());
                        }
                    }
                    add_products(&centered[..(d + 1) * size], size, &mut sums);
                }
                sums
            })
            .collect();
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let mut sums = Mat::<f64>::zeros(d + 1, d + 1);
        parts.iter().for_each(|part| sums += part);
        if (0..=d).any(|i| (0..=i).any(|j| !sums[(i, j)].is_finite())) {
            let message = "the numbers are too large to add up their squares; scale them";
            return Err(Error::Data(message.to_owned()));
        }
        let with_y = (0..d).map(|j| sums[(d, j)]).collect();
        let products = Mat::from_fn(d, d, |i, j| at(&sums, i, j));
        Ok(Self { total, means, y_mean, products, with_y })
    }

    /// The intercept that goes with weights.
    pub(super) fn intercept(&self, weights: &[f64]) -> f64 {
        self.y_mean - weights.iter().zip(&self.means).map(|(w, m)| w * m).sum::<f64>()
    }
}
