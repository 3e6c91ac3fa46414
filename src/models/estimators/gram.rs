use faer::Mat;
use kernel::domain::Job;
use rayon::prelude::*;

use super::symmetric::{add_products, at};
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

/// Rows that are multiplied at once: few enough to stay close to the processor.
const BLOCK: usize = 500;
const PIECES: usize = 16;

impl Gram {
    /// The columns are shifted close to their means before they are multiplied: far from 0, products of raw
    /// columns lose all their digits when the means are taken off.
    pub(super) fn of(data: &Data, job: &Job) -> Result<Self> {
        let x = data.records();
        let (n, d) = x.dim();
        if n == 0 || data.targets().len() != n {
            return Err(Error::Data(format!("there are {n} training rows")));
        }
        let (numbers, weights, y) = (by_column(x), weights(data), data.targets());
        let weight = |row: usize| weights.as_ref().map_or(1.0, |weights| weights[row]);
        let total: f64 = (0..n).map(weight).sum();
        // Near the means: near enough that products keep their digits, without a pass to know them.
        let columns: Vec<&[f64]> =
            numbers.chunks_exact(n).chain([y.as_slice().unwrap_or(&[])]).collect();
        let near: Vec<f64> = columns.iter().map(|column| sampled_mean(column)).collect();
        let blocks: Vec<usize> = (0..n).step_by(BLOCK).collect();
        let piece = blocks.len().div_ceil(PIECES).max(1);
        let parts: Vec<Mat<f64>> = blocks
            .par_chunks(piece)
            .map_init(
                || vec![0.0; BLOCK * (d + 2)],
                |shifted, blocks| {
                    let mut sums = Mat::zeros(d + 2, d + 2);
                    for start in blocks.iter().copied() {
                        let end = n.min(start + BLOCK);
                        let size = end - start;
                        let shifted = &mut shifted[..(d + 2) * size];
                        let (out, ones) = shifted.split_at_mut((d + 1) * size);
                        for ((column, near), out) in
                            columns.iter().zip(&near).zip(out.chunks_exact_mut(size))
                        {
                            out.iter_mut()
                                .zip(&column[start..end])
                                .for_each(|(out, x)| *out = x - near);
                        }
                        ones.fill(1.0);
                        if weights.is_some() {
                            for column in shifted.chunks_exact_mut(size) {
                                let rows = column.iter_mut().zip(start..end);
                                rows.for_each(|(x, row)| *x *= weight(row).sqrt());
                            }
                        }
                        add_products(shifted, size, &mut sums);
                    }
                    sums
                },
            )
            .collect();
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let mut sums = Mat::<f64>::zeros(d + 2, d + 2);
        parts.iter().for_each(|part| sums += part);
        if (0..d + 2).any(|i| (0..=i).any(|j| !sums[(i, j)].is_finite())) {
            let message = "the numbers are too large to add up their squares; scale them";
            return Err(Error::Data(message.to_owned()));
        }
        // How far the means are from what was taken off.
        let away: Vec<f64> = (0..=d).map(|j| sums[(d + 1, j)] / total).collect();
        let mean = |j: usize| near[j] + away[j];
        let centered = |i: usize, j: usize| {
            let product = at(&sums, i, j) - total * away[i] * away[j];
            // What a column of one number leaves by rounding is nothing.
            let rounding = total * (1e-14 * mean(i)).powi(2);
            if i == j && product <= rounding { 0.0 } else { product }
        };
        Ok(Self {
            total,
            means: (0..d).map(mean).collect(),
            y_mean: mean(d),
            products: Mat::from_fn(d, d, centered),
            with_y: (0..d).map(|j| centered(d, j)).collect(),
        })
    }

    /// The intercept that goes with weights.
    pub(super) fn intercept(&self, weights: &[f64]) -> f64 {
        self.y_mean - weights.iter().zip(&self.means).map(|(w, m)| w * m).sum::<f64>()
    }
}

/// The mean of some rows of all parts of a column.
fn sampled_mean(column: &[f64]) -> f64 {
    const RUNS: usize = 16;
    const RUN: usize = 32;
    #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len() as f64;
    let every = column.len() / RUNS;
    if every < RUN {
        return mean(column);
    }
    let means: Vec<f64> =
        (0..RUNS).map(|run| mean(&column[run * every..run * every + RUN])).collect();
    mean(&means)
}
