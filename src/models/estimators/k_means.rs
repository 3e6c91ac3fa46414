use kernel::domain::Job;
use kernel::scoring::{FrozenModel, Segments};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::{Data, Trained};
use crate::{Error, Result};

/// k-means: starts by greedy k-means++ on a sample, the best of several; then Lloyd's steps on all rows,
/// with Hamerly's bounds (2010), which skip the distances that cannot matter and change no result.
///
/// linfa's stops at an absolute shift of the centers, so that it runs to its last iteration on most data,
/// and its parallel start is not the same twice.
#[derive(Clone, Copy, Debug)]
pub struct KMeans<'j> {
    /// The number of centers.
    pub clusters: usize,
    /// Starts that are tried.
    pub starts: usize,
    /// What random choices follow from.
    pub seed: u64,
    /// What can be canceled.
    pub job: &'j Job,
}

/// Rows that starts are tried on.
const SAMPLE: usize = 4_000;
const MOST_STEPS: usize = 300;
/// It has converged when the centers' squared shift is below this share of the mean variance of the
/// columns, as scikit-learn has it.
const TOLERANCE: f64 = 1e-4;
/// Rows of a piece; the sums of pieces are added in order.
const PIECE: usize = 8_192;

impl Fit<Array2<f64>, Array1<f64>, Error> for KMeans<'_> {
    type Object = Trained;

    /// Targets are not read.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        if n < self.clusters || self.clusters == 0 || d == 0 {
            let clusters = self.clusters;
            return Err(Error::Data(format!(
                "{n} rows of {d} columns make no {clusters} clusters"
            )));
        }
        let rows: Vec<f64> = data.records().iter().copied().collect();
        let tolerance = TOLERANCE * mean_variance(&rows, n, d);
        if !tolerance.is_finite() {
            let message = "the numbers are too large to square; scale them";
            return Err(Error::Data(message.to_owned()));
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let sample = sample(&rows, n, d, &mut random);
        let mut best: Option<(f64, Vec<f64>)> = None;
        for _ in 0..self.starts.max(1) {
            let start = plus_plus(&sample, d, self.clusters, &mut random);
            let (inertia, centers) = self.lloyd(&sample, d, start, tolerance)?;
            if best.as_ref().is_none_or(|(least, _)| inertia < *least) {
                best = Some((inertia, centers));
            }
        }
        let start = best.map(|(_, centers)| centers).unwrap_or_default();
        let (_, centers) = self.lloyd(&rows, d, start, tolerance)?;
        let names = (1..=self.clusters).map(|place| format!("segment {place}")).collect();
        let centers = centers.chunks_exact(d).map(<[f64]>::to_vec).collect();
        Ok(Trained(FrozenModel::Segments(Segments::new(names, centers))))
    }
}

fn mean_variance(rows: &[f64], n: usize, d: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "fewer than 2^53 rows")]
    let count = n as f64;
    let mut means = vec![0.0; d];
    rows.chunks_exact(d).for_each(|row| means.iter_mut().zip(row).for_each(|(m, x)| *m += x));
    means.iter_mut().for_each(|mean| *mean /= count);
    let squares: f64 = rows.chunks_exact(d).map(|row| distance(row, &means)).sum();
    #[allow(clippy::cast_precision_loss, reason = "a number of columns")]
    let mean = squares / count / d as f64;
    mean
}

fn sample(rows: &[f64], n: usize, d: usize, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    if n <= SAMPLE {
        return rows.to_vec();
    }
    let mut sample = Vec::with_capacity(SAMPLE * d);
    for _ in 0..SAMPLE {
        let row = random.random_range(0..n);
        sample.extend_from_slice(&rows[row * d..(row + 1) * d]);
    }
    sample
}

/// The squared distance of two points.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (l, r) = (left.chunks_exact(4), right.chunks_exact(4));
    let rest: f64 = l.remainder().iter().zip(r.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    for (left, right) in l.zip(r) {
        for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Centers far apart: each is a row drawn by its squared distance to those there are, the best of some
/// (Arthur and Vassilvitskii 2007).
fn plus_plus(rows: &[f64], d: usize, k: usize, random: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let n = rows.len() / d;
    let row = |place: usize| &rows[place * d..(place + 1) * d];
    let trials = 2 + (1..).take_while(|exponent| 1_usize << exponent <= k).count();
    let mut centers = row(random.random_range(0..n)).to_vec();
    let mut nearest: Vec<f64> = rows.chunks_exact(d).map(|row| distance(row, &centers)).collect();
    while centers.len() < k * d {
        let total: f64 = nearest.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..trials {
            let mut rest = random.random::<f64>() * total;
            let drawn = nearest.iter().position(|near| {
                rest -= near;
                rest < 0.0
            });
            let drawn = drawn.unwrap_or_else(|| random.random_range(0..n));
            let closer = |(near, other): (&f64, &[f64])| near.min(distance(other, row(drawn)));
            let next: Vec<f64> = nearest.iter().zip(rows.chunks_exact(d)).map(closer).collect();
            let sum: f64 = next.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, drawn, next));
            }
        }
        if let Some((_, drawn, next)) = best {
            centers.extend_from_slice(row(drawn));
            nearest = next;
        }
    }
    centers
}

/// What is known of a row between two steps.
#[derive(Clone, Copy, Debug)]
struct Bound {
    own: u32,
    /// At least the distance to the own center.
    upper: f64,
    /// At most the distance to any other.
    lower: f64,
}

/// How the sums of a piece's clusters change in a step.
struct Moves {
    counts: Vec<f64>,
    sums: Vec<f64>,
}

impl KMeans<'_> {
    /// Lloyd's steps; the sum of squared distances and the centers.
    fn lloyd(
        &self,
        rows: &[f64],
        d: usize,
        mut centers: Vec<f64>,
        tolerance: f64,
    ) -> Result<(f64, Vec<f64>)> {
        let (n, k) = (rows.len() / d, self.clusters);
        let unknown = Bound { own: u32::MAX, upper: f64::INFINITY, lower: 0.0 };
        let mut bounds = vec![unknown; n];
        let mut counts = vec![0.0; k];
        let mut sums = vec![0.0; k * d];
        for _ in 0..MOST_STEPS {
            if self.job.is_canceled() {
                return Err(Error::Canceled);
            }
            let gaps = half_gaps(&centers, d);
            let moves: Vec<Moves> = bounds
                .par_chunks_mut(PIECE)
                .zip(rows.par_chunks(PIECE * d))
                .map(|(bounds, rows)| assign(bounds, rows, &centers, d, &gaps))
                .collect();
            for part in moves {
                counts.iter_mut().zip(part.counts).for_each(|(sum, part)| *sum += part);
                sums.iter_mut().zip(part.sums).for_each(|(sum, part)| *sum += part);
            }
            self.fill_empty(rows, d, &mut bounds, &mut counts, &mut sums, &centers);
            let next: Vec<f64> = (0..k * d).map(|at| sums[at] / counts[at / d]).collect();
            let shifts: Vec<f64> = centers
                .chunks_exact(d)
                .zip(next.chunks_exact(d))
                .map(|(old, new)| distance(old, new))
                .collect();
            centers = next;
            let total: f64 = shifts.iter().sum();
            if total <= tolerance {
                break;
            }
            loosen(&mut bounds, &shifts);
        }
        let inertia = rows.chunks_exact(d).map(|row| nearest_two(row, &centers, d).1).sum();
        Ok((inertia, centers))
    }

    /// A cluster without a row takes the row that is farthest from its own center.
    fn fill_empty(
        &self,
        rows: &[f64],
        d: usize,
        bounds: &mut [Bound],
        counts: &mut [f64],
        sums: &mut [f64],
        centers: &[f64],
    ) {
        for empty in 0..self.clusters {
            if counts[empty] > 0.5 {
                continue;
            }
            let far = |place: &usize| {
                let own = bounds[*place].own as usize;
                let row = &rows[place * d..(place + 1) * d];
                if counts[own] > 1.5 {
                    distance(row, &centers[own * d..(own + 1) * d])
                } else {
                    -1.0
                }
            };
            let farthest = (0..bounds.len()).max_by(|left, right| far(left).total_cmp(&far(right)));
            let Some(row) = farthest else { continue };
            let own = bounds[row].own as usize;
            for (at, x) in rows[row * d..(row + 1) * d].iter().enumerate() {
                sums[own * d + at] -= x;
                sums[empty * d + at] = *x;
            }
            counts[own] -= 1.0;
            counts[empty] = 1.0;
            bounds[row] = Bound {
                own: u32::try_from(empty).unwrap_or_default(),
                upper: f64::INFINITY,
                lower: 0.0,
            };
        }
    }
}

/// Half the distance from each center to the nearest other one.
fn half_gaps(centers: &[f64], d: usize) -> Vec<f64> {
    let gap = |(place, center): (usize, &[f64])| {
        let others = centers.chunks_exact(d).enumerate().filter(|(other, _)| *other != place);
        let nearest =
            others.map(|(_, other)| distance(center, other)).fold(f64::INFINITY, f64::min);
        nearest.sqrt() / 2.0
    };
    centers.chunks_exact(d).enumerate().map(gap).collect()
}

fn assign(bounds: &mut [Bound], rows: &[f64], centers: &[f64], d: usize, gaps: &[f64]) -> Moves {
    let k = gaps.len();
    let mut moves = Moves { counts: vec![0.0; k], sums: vec![0.0; k * d] };
    for (bound, row) in bounds.iter_mut().zip(rows.chunks_exact(d)) {
        let old = bound.own;
        if let Some(gap) = gaps.get(old as usize) {
            let safe = gap.max(bound.lower);
            if bound.upper <= safe {
                continue;
            }
            let own = old as usize * d;
            bound.upper = distance(row, &centers[own..own + d]).sqrt();
            if bound.upper <= safe {
                continue;
            }
        }
        let (own, nearest, second) = nearest_two(row, centers, d);
        let place = u32::try_from(own).unwrap_or_default();
        *bound = Bound { own: place, upper: nearest.sqrt(), lower: second.sqrt() };
        if place == old {
            continue;
        }
        moves.counts[own] += 1.0;
        let gained = &mut moves.sums[own * d..(own + 1) * d];
        gained.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        if let Some(count) = moves.counts.get_mut(old as usize) {
            *count -= 1.0;
            let lost = &mut moves.sums[old as usize * d..(old as usize + 1) * d];
            lost.iter_mut().zip(row).for_each(|(sum, x)| *sum -= x);
        }
    }
    moves
}

/// The nearest center, and the squared distances to it and to the second nearest.
fn nearest_two(row: &[f64], centers: &[f64], d: usize) -> (usize, f64, f64) {
    let mut best = (0, f64::INFINITY, f64::INFINITY);
    for (place, center) in centers.chunks_exact(d).enumerate() {
        let distance = distance(row, center);
        if distance < best.1 {
            best = (place, distance, best.1);
        } else if distance < best.2 {
            best.2 = distance;
        }
    }
    best
}

/// After centers moved, bounds are as far off as they moved.
fn loosen(bounds: &mut [Bound], squared_shifts: &[f64]) {
    let shifts: Vec<f64> = squared_shifts.iter().map(|shift| shift.sqrt()).collect();
    let farthest = shifts.iter().copied().fold(0.0, f64::max);
    bounds.par_chunks_mut(PIECE).for_each(|bounds| {
        for bound in bounds {
            bound.upper += shifts.get(bound.own as usize).copied().unwrap_or(farthest);
            bound.lower -= farthest;
        }
    });
}
