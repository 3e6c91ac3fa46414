use faer::{Mat, Scale};
use kernel::domain::Job;
use kernel::scoring::FrozenModel;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::symmetric::{add_weighted, dot, solve_positive};
use super::{Data, Trained, by_column, weights};
use crate::{Error, Result};

/// Logistic regression with an L2 penalty, by Newton's method.
///
/// linfa's own follows the gradient of the summed loss with L-BFGS: it takes some 20 times as long and
/// ends with coefficients 1e-6 to 1e-2 off. Here the curvature comes from a share of the rows and the
/// gradient from all (Byrd et al. 2011), so that a pass is little more than reading the data once.
#[derive(Clone, Copy, Debug)]
pub struct LogisticRegression<'j> {
    /// `alpha / 2 * |weights|^2` is added to the summed loss.
    pub alpha: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// A mean on a log scale with an L2 penalty, by the same method. linfa's Poisson regression stops at a
/// wrong point without saying so.
#[derive(Clone, Copy, Debug)]
pub struct GeneralizedLinear<'j> {
    /// The distribution.
    pub link: LogLink,
    /// `alpha / 2 * |weights|^2` is added to half the summed deviance.
    pub alpha: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// Distributions whose mean is `exp` of the linear sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogLink {
    /// Counts.
    Poisson,
    /// Positive numbers.
    Gamma,
    /// Numbers that are often 0; the power of the variance, between 1 and 2.
    Tweedie(f64),
}

/// What a row adds to the loss at a linear sum.
#[derive(Clone, Copy, Debug)]
struct Term {
    loss: f64,
    gradient: f64,
    curvature: f64,
}

/// A loss of a linear sum.
trait Family: Sync {
    fn term(&self, sum: f64, y: f64) -> Term;
    /// The sum whose mean is that of the outcomes.
    fn start(&self, mean: f64) -> f64;
}

struct Bernoulli;

impl Family for Bernoulli {
    #[inline]
    fn term(&self, sum: f64, y: f64) -> Term {
        // One exponential for the probability and for ln(1 + exp(sum)) - y sum, without overflow.
        let e = (-sum.abs()).exp();
        let p = if sum >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
        let loss = sum.max(0.0) + e.ln_1p() - y * sum;
        Term { loss, gradient: p - y, curvature: p * (1.0 - p) }
    }

    fn start(&self, mean: f64) -> f64 {
        (mean / (1.0 - mean)).ln()
    }
}

/// Linear sums beyond this are as good as infinite on a log scale.
const FARTHEST: f64 = 200.0;

impl Family for LogLink {
    #[inline]
    fn term(&self, sum: f64, y: f64) -> Term {
        let sum = sum.clamp(-FARTHEST, FARTHEST);
        match self {
            Self::Poisson => {
                let mean = sum.exp();
                Term { loss: mean - y * sum, gradient: mean - y, curvature: mean }
            }
            Self::Gamma => {
                let ratio = y * (-sum).exp();
                Term { loss: ratio + sum, gradient: 1.0 - ratio, curvature: ratio }
            }
            Self::Tweedie(power) => {
                let (own, other) = (y * (sum * (1.0 - power)).exp(), (sum * (2.0 - power)).exp());
                Term {
                    loss: own / (power - 1.0) + other / (2.0 - power),
                    gradient: other - own,
                    curvature: (2.0 - power) * other + (power - 1.0) * own,
                }
            }
        }
    }

    fn start(&self, mean: f64) -> f64 {
        mean.ln()
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for LogisticRegression<'_> {
    type Object = Trained;

    /// Targets are 0 and 1.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (intercept, weights) = Problem::new(&Bernoulli, data, self.alpha, self.job)?.solve()?;
        Ok(Trained(FrozenModel::LogisticRegression { intercept, weights }))
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for GeneralizedLinear<'_> {
    type Object = Trained;

    /// Targets are at least 0; of a gamma distribution above 0.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let least = if self.link == LogLink::Gamma { f64::MIN_POSITIVE } else { 0.0 };
        if data.targets().iter().any(|y| *y < least) {
            let what = if least > 0.0 { "above 0" } else { "at least 0" };
            return Err(Error::Data(format!("the label must be {what} for this distribution")));
        }
        if let LogLink::Tweedie(power) = self.link
            && !(power > 1.0 && power < 2.0)
        {
            return Err(Error::Spec("model, power: must be between 1 and 2".to_owned()));
        }
        let (intercept, weights) = Problem::new(&self.link, data, self.alpha, self.job)?.solve()?;
        Ok(Trained(FrozenModel::LogLinear { intercept, weights }))
    }
}

/// Rows of a block: its columns stay in the fastest memory while they are read three times.
const BLOCK: usize = 500;
/// Pieces that a pass is cut into. Their sums are added in order, so that the result is the same for any
/// number of threads.
const PIECES: usize = 16;
/// Rows below which all rows give the curvature.
const FEW_ROWS: usize = 20_000;
/// Rows that the first steps read.
const FIRST_ROWS: usize = 10_000;
/// The share of rows that gives the curvature.
const CURVATURE_SHARE: usize = 5;
const MOST_STEPS: usize = 200;
/// It has converged when no coefficient moves by more than this share.
const TOLERANCE: f64 = 1e-9;
/// The curvature is made anew, from all rows, when a step is no smaller than this share of the last one.
const SLOW: f64 = 0.25;
/// A first step of this size changes the curvature, too.
const FAR: f64 = 0.02;

/// A linear model with a family's loss on its data.
struct Problem<'a, F> {
    family: &'a F,
    numbers: std::borrow::Cow<'a, [f64]>,
    n_rows: usize,
    n_columns: usize,
    y: &'a Array1<f64>,
    weights: Option<Vec<f64>>,
    alpha: f64,
    job: &'a Job,
}

/// Sums over rows. The intercept is last.
#[derive(Clone)]
struct Sums {
    loss: f64,
    gradient: Vec<f64>,
    /// None where it was not asked for.
    curvature: Option<Mat<f64>>,
}

impl<'a, F: Family> Problem<'a, F> {
    fn new(family: &'a F, data: &'a Data, alpha: f64, job: &'a Job) -> Result<Self> {
        let x = data.records();
        let (n_rows, n_columns) = x.dim();
        if n_rows == 0 || data.targets().len() != n_rows {
            return Err(Error::Data(format!("there are {n_rows} training rows")));
        }
        Ok(Self {
            family,
            numbers: by_column(x),
            n_rows,
            n_columns,
            y: data.targets(),
            weights: weights(data),
            alpha,
            job,
        })
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }

    fn solve(&self) -> Result<(f64, Vec<f64>)> {
        let mut point = vec![0.0; self.n_columns + 1];
        let total: f64 = (0..self.n_rows).map(|row| self.weight(row)).sum();
        let sum: f64 = (0..self.n_rows).map(|row| self.weight(row) * self.y[row]).sum();
        let start = self.family.start(sum / total);
        if !start.is_finite() {
            return Err(Error::Data("the label has one value in all training rows".to_owned()));
        }
        point[self.n_columns] = start;
        if self.n_rows > FEW_ROWS {
            // A sample brings the point near; its rows weigh as much as all, so that the penalty counts
            // as it will.
            let stride = self.n_rows / FIRST_ROWS;
            self.descend(&mut point, stride, stride, 2e-2)?;
            self.descend(&mut point, 1, CURVATURE_SHARE, TOLERANCE)?;
        } else {
            self.descend(&mut point, 1, 1, TOLERANCE)?;
        }
        if point.iter().any(|number| !number.is_finite()) {
            return Err(Error::Training("it did not converge; use a larger alpha".to_owned()));
        }
        let intercept = point.pop().unwrap_or_default();
        Ok((intercept, point))
    }

    /// Newton's steps from a point: gradients from every `stride`th block of rows, curvatures from every
    /// `curvature_stride`th. The same strides are Newton's own method; else the curvature is kept as long
    /// as it serves.
    fn descend(
        &self,
        point: &mut Vec<f64>,
        stride: usize,
        curvature_stride: usize,
        tolerance: f64,
    ) -> Result<()> {
        let is_exact = stride == curvature_stride;
        let mut curvature = None;
        let mut last_step = f64::INFINITY;
        let mut curvature_stride = curvature_stride;
        let mut sums = self.sums(point, stride, is_exact)?;
        for _ in 0..MOST_STEPS {
            if let Some(exact) = sums.curvature.take() {
                curvature = Some(exact);
            } else if curvature.is_none() {
                curvature = self.sums(point, curvature_stride, true)?.curvature;
            }
            let Some(known) = &curvature else { break };
            let step = solve_positive(known, &sums.gradient)?;
            let size = relative_size(&step, point);
            let (next, next_sums) = self.search(point, &step, &sums, stride, is_exact)?;
            let moved = next != *point;
            *point = next;
            sums = next_sums;
            // Steps shrink at least as fast as they did: the next one is not worth a pass.
            let next_size =
                if last_step.is_finite() { size * (size / last_step).min(1.0) } else { size };
            if size < tolerance || next_size < tolerance || !moved {
                break;
            }
            if !is_exact && (last_step.is_infinite() && size > FAR || size > SLOW * last_step) {
                curvature = None;
                curvature_stride = 1;
            }
            last_step = size;
        }
        Ok(())
    }

    /// Goes a step, or a part of it, so that the loss does not rise by more than rounding.
    fn search(
        &self,
        point: &[f64],
        step: &[f64],
        sums: &Sums,
        stride: usize,
        wants_curvature: bool,
    ) -> Result<(Vec<f64>, Sums)> {
        let mut share = 1.0;
        for _ in 0..40 {
            let next: Vec<f64> = point.iter().zip(step).map(|(p, s)| p - share * s).collect();
            let next_sums = self.sums(&next, stride, wants_curvature)?;
            if next_sums.loss <= sums.loss + 1e-10 * sums.loss.abs() {
                return Ok((next, next_sums));
            }
            share *= 0.5;
        }
        Ok((point.to_vec(), sums.clone()))
    }

    /// Loss, gradient and, if asked for, curvature at a point, over every `stride`th block of rows.
    fn sums(&self, point: &[f64], stride: usize, wants_curvature: bool) -> Result<Sums> {
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let blocks: Vec<(usize, usize)> = if stride == 1 {
            (0..self.n_rows.div_ceil(BLOCK))
                .map(|b| (b * BLOCK, self.n_rows.min((b + 1) * BLOCK)))
                .collect()
        } else {
            // Short blocks all over the rows, which may be in order of time.
            let size = BLOCK / 8;
            (0..self.n_rows.div_ceil(size))
                .step_by(stride)
                .map(|b| (b * size, self.n_rows.min((b + 1) * size)))
                .collect()
        };
        let piece = blocks.len().div_ceil(PIECES).max(1);
        let parts: Vec<Sums> = blocks
            .par_chunks(piece)
            .map(|blocks| self.sums_of(blocks, point, wants_curvature))
            .collect();
        let mut sums = self.empty(wants_curvature);
        for part in parts {
            sums.loss += part.loss;
            sums.gradient.iter_mut().zip(part.gradient).for_each(|(s, p)| *s += p);
            if let (Some(sum), Some(part)) = (&mut sums.curvature, part.curvature) {
                *sum += part;
            }
        }
        let rows: usize = blocks.iter().map(|(start, end)| end - start).sum();
        #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
        let scale = self.n_rows as f64 / rows as f64;
        sums.scale(scale);
        sums.penalize(point, self.alpha);
        Ok(sums)
    }

    fn empty(&self, wants_curvature: bool) -> Sums {
        let size = self.n_columns + 1;
        let curvature = wants_curvature.then(|| Mat::zeros(size, size));
        Sums { loss: 0.0, gradient: vec![0.0; size], curvature }
    }

    fn sums_of(&self, blocks: &[(usize, usize)], point: &[f64], wants_curvature: bool) -> Sums {
        let mut sums = self.empty(wants_curvature);
        let (mut linear, mut curvatures) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
        let ones = vec![1.0; BLOCK];
        for (start, end) in blocks.iter().copied() {
            let n = end - start;
            let column = |j: usize| &self.numbers[j * self.n_rows + start..j * self.n_rows + end];
            linear[..n].fill(point[self.n_columns]);
            for (j, weight) in point[..self.n_columns].iter().enumerate() {
                linear[..n].iter_mut().zip(column(j)).for_each(|(sum, x)| *sum += weight * x);
            }
            for (at, (sum, curvature)) in linear[..n].iter_mut().zip(&mut curvatures).enumerate() {
                let term = self.family.term(*sum, self.y[start + at]);
                let weight = self.weight(start + at);
                sums.loss += weight * term.loss;
                // The gradient takes the place of the linear sum.
                *sum = weight * term.gradient;
                *curvature = weight * term.curvature;
            }
            for j in 0..self.n_columns {
                sums.gradient[j] += dot(column(j), &linear[..n]);
            }
            sums.gradient[self.n_columns] += linear[..n].iter().sum::<f64>();
            if let Some(curvature) = &mut sums.curvature {
                let columns: Vec<&[f64]> =
                    (0..self.n_columns).map(column).chain([&ones[..n]]).collect();
                add_weighted(&columns, &curvatures[..n], curvature);
            }
        }
        sums
    }
}

impl Sums {
    fn scale(&mut self, by: f64) {
        if by == 1.0 {
            return;
        }
        self.loss *= by;
        self.gradient.iter_mut().for_each(|g| *g *= by);
        if let Some(curvature) = &mut self.curvature {
            *curvature *= Scale(by);
        }
    }

    /// Adds the L2 penalty of all but the intercept.
    fn penalize(&mut self, point: &[f64], alpha: f64) {
        for (j, weight) in point[..point.len() - 1].iter().enumerate() {
            self.loss += alpha / 2.0 * weight * weight;
            self.gradient[j] += alpha * weight;
            if let Some(curvature) = &mut self.curvature {
                curvature[(j, j)] += alpha;
            }
        }
    }
}

fn relative_size(step: &[f64], point: &[f64]) -> f64 {
    let sizes = step.iter().zip(point).map(|(step, point)| step.abs() / (1.0 + point.abs()));
    sizes.fold(0.0, f64::max)
}
