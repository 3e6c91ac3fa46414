use faer::Mat;
use kernel::domain::Job;
use kernel::scoring::{FrozenModel, Multinomial, softmax};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::symmetric::{add_products, at, dot, solve_positive};
use super::{Data, Trained, by_column, weights};
use crate::{Error, Result};

/// Multinomial logistic regression with an L2 penalty, by Newton's method. linfa's subtracts one maximum
/// of the whole matrix before it exponentiates, so that rows far below it lose all their digits.
#[derive(Clone, Debug)]
pub struct MultinomialRegression<'j> {
    /// The classes; targets are their places.
    pub classes: Vec<String>,
    /// `alpha / 2 * |weights|^2` is added to the summed loss.
    pub alpha: f64,
    /// What can be canceled.
    pub job: &'j Job,
}

const MOST_STEPS: usize = 100;
const TOLERANCE: f64 = 1e-9;
/// The most numbers of all classes' weights: their curvature is the square of it.
const MOST_NUMBERS: usize = 2_000;
const BLOCK: usize = 512;
const PIECES: usize = 16;

struct Sums {
    loss: f64,
    gradient: Vec<f64>,
    /// The lower triangle.
    curvature: Mat<f64>,
}

impl Fit<Array2<f64>, Array1<f64>, Error> for MultinomialRegression<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        let k = self.classes.len();
        if n == 0 || k < 2 {
            return Err(Error::Data(format!("{n} rows of {k} classes cannot be told apart")));
        }
        if k * (d + 1) > MOST_NUMBERS {
            return Err(Error::Data(format!(
                "{k} classes of {d} columns are too many for a multinomial regression; use \
                 gradient_boosting, or fewer classes"
            )));
        }
        let numbers = by_column(data.records());
        let weights = weights(data);
        let problem = Problem { fit: self, numbers: &numbers, y: data.targets(), weights, n, d, k };
        let point = problem.solve()?;
        let own = |class: usize| &point[class * (d + 1)..(class + 1) * (d + 1)];
        Ok(Trained(FrozenModel::Multinomial(Multinomial::new(
            self.classes.clone(),
            (0..k).map(|class| own(class)[d]).collect(),
            (0..k).map(|class| own(class)[..d].to_vec()).collect(),
        ))))
    }
}

struct Problem<'a> {
    fit: &'a MultinomialRegression<'a>,
    numbers: &'a [f64],
    y: &'a Array1<f64>,
    weights: Option<Vec<f64>>,
    n: usize,
    d: usize,
    k: usize,
}

impl Problem<'_> {
    fn solve(&self) -> Result<Vec<f64>> {
        let mut point = vec![0.0; self.k * (self.d + 1)];
        let mut sums = self.sums(&point);
        for _ in 0..MOST_STEPS {
            if self.fit.job.is_canceled() {
                return Err(Error::Canceled);
            }
            let mut step = solve_positive(&sums.curvature, &sums.gradient)?;
            self.center(&mut step);
            let size = step.iter().fold(0.0_f64, |size, step| size.max(step.abs()));
            let mut share = 1.0;
            let mut moved = false;
            for _ in 0..40 {
                let next: Vec<f64> = point.iter().zip(&step).map(|(p, s)| p - share * s).collect();
                let next_sums = self.sums(&next);
                if next_sums.loss <= sums.loss + 1e-10 * sums.loss.abs() {
                    (point, sums, moved) = (next, next_sums, true);
                    break;
                }
                share *= 0.5;
            }
            if size < TOLERANCE || !moved {
                break;
            }
        }
        match point.iter().all(|number| number.is_finite()) {
            true => Ok(point),
            false => Err(Error::Training("it did not converge; use a larger alpha".to_owned())),
        }
    }

    /// The same shift of all classes changes no probability: what rounding makes of it is taken off.
    fn center(&self, step: &mut [f64]) {
        let size = self.d + 1;
        #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
        let n = self.k as f64;
        for j in 0..size {
            let mean = step.iter().skip(j).step_by(size).sum::<f64>() / n;
            step.iter_mut().skip(j).step_by(size).for_each(|step| *step -= mean);
        }
    }

    fn sums(&self, point: &[f64]) -> Sums {
        let starts: Vec<usize> = (0..self.n).step_by(BLOCK).collect();
        let piece = starts.len().div_ceil(PIECES).max(1);
        let parts: Vec<Sums> =
            starts.par_chunks(piece).map(|starts| self.sums_of(starts, point)).collect();
        let mut sums = self.empty();
        for part in parts {
            sums.loss += part.loss;
            sums.gradient.iter_mut().zip(part.gradient).for_each(|(sum, part)| *sum += part);
            sums.curvature += &part.curvature;
        }
        let size = self.d + 1;
        for (place, number) in point.iter().enumerate() {
            // The same shift of all intercepts changes nothing; a trace of a penalty decides.
            let alpha = if place % size == self.d { 1e-9 } else { self.fit.alpha.max(1e-9) };
            sums.loss += alpha / 2.0 * number * number;
            sums.gradient[place] += alpha * number;
            sums.curvature[(place, place)] += alpha;
        }
        sums
    }

    fn empty(&self) -> Sums {
        let size = self.k * (self.d + 1);
        Sums { loss: 0.0, gradient: vec![0.0; size], curvature: Mat::zeros(size, size) }
    }

    fn sums_of(&self, starts: &[usize], point: &[f64]) -> Sums {
        let (k, size) = (self.k, self.d + 1);
        let mut sums = self.empty();
        let mut products = Mat::zeros(size, size);
        let mut scaled = vec![0.0; BLOCK * size];
        let mut factors = vec![0.0; BLOCK];
        for start in starts.iter().copied() {
            let end = self.n.min(start + BLOCK);
            let rows = end - start;
            let shares = self.shares(point, start, end);
            let weight = |row: usize| self.weights.as_ref().map_or(1.0, |weights| weights[row]);
            for (class, own) in shares.chunks_exact(rows).enumerate() {
                // What the shares are off, by the weight of the row.
                for (at, (factor, share)) in factors.iter_mut().zip(own).enumerate() {
                    let is_own = place(self.y[start + at]) == class;
                    if is_own {
                        sums.loss -= weight(start + at) * share.max(f64::MIN_POSITIVE).ln();
                    }
                    *factor = weight(start + at) * (share - f64::from(u8::from(is_own)));
                }
                let gradient = &mut sums.gradient[class * size..(class + 1) * size];
                for (j, sum) in gradient.iter_mut().enumerate() {
                    *sum += match self.column(j, start, end) {
                        Some(column) => dot(column, &factors[..rows]),
                        None => factors[..rows].iter().sum(),
                    };
                }
            }
            for (left, right) in (0..k).flat_map(|left| (0..=left).map(move |right| (left, right)))
            {
                // The curvature of a pair of classes is -p q; of one class p - p p.
                let (p, q) = (&shares[left * rows..], &shares[right * rows..]);
                for (at, (factor, (p, q))) in
                    factors[..rows].iter_mut().zip(p.iter().zip(q)).enumerate()
                {
                    let own = if left == right { p - p * p } else { p * q };
                    *factor = (weight(start + at) * own).max(0.0).sqrt();
                }
                for (j, out) in scaled[..size * rows].chunks_exact_mut(rows).enumerate() {
                    match self.column(j, start, end) {
                        Some(column) => {
                            let pairs = column.iter().zip(&factors);
                            out.iter_mut().zip(pairs).for_each(|(out, (x, f))| *out = x * f);
                        }
                        None => out.copy_from_slice(&factors[..rows]),
                    }
                }
                products.fill(0.0);
                add_products(&scaled[..size * rows], rows, &mut products);
                let sign = if left == right { 1.0 } else { -1.0 };
                for (i, j) in (0..size).flat_map(|i| (0..size).map(move |j| (i, j))) {
                    sums.curvature[(left * size + i, right * size + j)] +=
                        sign * at(&products, i, j);
                }
            }
        }
        sums
    }

    /// A piece of a column; none of the intercept, which is last and 1.
    fn column(&self, j: usize, start: usize, end: usize) -> Option<&[f64]> {
        (j < self.d).then(|| &self.numbers[j * self.n + start..j * self.n + end])
    }

    /// The probabilities of rows, class by class.
    fn shares(&self, point: &[f64], start: usize, end: usize) -> Vec<f64> {
        let (rows, size) = (end - start, self.d + 1);
        let mut shares = vec![0.0; self.k * rows];
        for (class, linear) in shares.chunks_exact_mut(rows).enumerate() {
            let weights = &point[class * size..(class + 1) * size];
            linear.fill(weights[self.d]);
            for (j, weight) in weights[..self.d].iter().enumerate() {
                if let Some(column) = self.column(j, start, end) {
                    linear.iter_mut().zip(column).for_each(|(sum, x)| *sum += weight * x);
                }
            }
        }
        for row in 0..rows {
            let sums = (0..self.k).map(|class| shares[class * rows + row]).collect();
            for (class, share) in softmax(sums).into_iter().enumerate() {
                shares[class * rows + row] = share;
            }
        }
        shares
    }
}

/// A class as a place; targets are whole numbers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
const fn place(target: f64) -> usize {
    target as usize
}
