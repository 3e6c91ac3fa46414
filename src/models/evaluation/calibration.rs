use argmin::core::{CostFunction, Executor};
use argmin::solver::neldermead::NelderMead;
use kernel::scoring::Calibration;

use super::classification::by_score;
use super::mean;
use crate::{CalibrationKind, Error, Result};

/// Scores in groups of about equally many rows, lowest first: mean score and share of positives of each.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
pub fn calibration_curve(scores: &[f64], positive: &[bool], bins: usize) -> Vec<(usize, f64, f64)> {
    let mut order: Vec<usize> = by_score(scores).into_iter().map(|row| row as usize).collect();
    order.reverse();
    let n = order.len();
    (0..bins)
        .map(|bin| &order[bin * n / bins..(bin + 1) * n / bins])
        .filter(|rows| !rows.is_empty())
        .map(|rows| {
            let count = rows.len() as f64;
            let score = rows.iter().map(|row| scores[*row]).sum::<f64>() / count;
            let observed = rows.iter().filter(|row| positive[**row]).count() as f64 / count;
            (rows.len(), score, observed)
        })
        .collect()
}

/// The mean over groups of the difference of mean score and share of positives, by rows.
#[must_use]
pub fn calibration_error(scores: &[f64], positive: &[bool], bins: usize) -> f64 {
    calibration_error_in(&by_score(scores), scores, positive, bins, None)
}

/// The same of rows that are in order already, the highest score first.
pub(crate) fn calibration_error_in(
    order: &[u32],
    scores: &[f64],
    positive: &[bool],
    bins: usize,
    weights: Option<&[f64]>,
) -> f64 {
    let n = order.len();
    // From the lowest, as the curve has them.
    let row = |place: usize| order[n - 1 - place] as usize;
    let (mut off, mut all) = (0.0, 0.0);
    for bin in 0..bins {
        let (mut difference, mut total) = (0.0, 0.0);
        for row in (bin * n / bins..(bin + 1) * n / bins).map(row) {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            difference += weight * (scores[row] - f64::from(u8::from(positive[row])));
            total += weight;
        }
        off += f64::abs(difference);
        all += total;
    }
    off / all
}

/// From scores to probabilities, as they were on rows that the model has not learned from.
///
/// # Errors
/// There is nothing to learn from.
pub fn fit_calibration(
    kind: CalibrationKind,
    scores: &[f64],
    positive: &[bool],
) -> Result<Calibration> {
    if scores.is_empty() || scores.iter().any(|score| !score.is_finite()) {
        return Err(Error::Data("there are no scores to calibrate".to_owned()));
    }
    match kind {
        CalibrationKind::Isotonic => Ok(isotonic(scores, positive)),
        CalibrationKind::Beta => beta(scores, positive),
    }
}

/// Pooled adjacent violators (Barlow et al. 1972): neighbors that fall are made one. linfa's asks for
/// sorted scores and is wrong without saying so where they are not.
fn isotonic(scores: &[f64], positive: &[bool]) -> Calibration {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|left, right| scores[*left].total_cmp(&scores[*right]));
    // Of each block: rows, positives, lowest and highest score.
    let mut blocks: Vec<(f64, f64, f64, f64)> = Vec::new();
    for ties in order.chunk_by(|left, right| scores[*left] == scores[*right]) {
        #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
        let (n, hits) =
            (ties.len() as f64, ties.iter().filter(|row| positive[**row]).count() as f64);
        let score = scores[ties[0]];
        blocks.push((n, hits, score, score));
        while let [.., left, right] = blocks.as_slice() {
            if left.1 / left.0 < right.1 / right.0 {
                break;
            }
            let pooled = (left.0 + right.0, left.1 + right.1, left.2, right.3);
            blocks.truncate(blocks.len() - 2);
            blocks.push(pooled);
        }
    }
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (n, hits, low, high) in blocks {
        let ends = if low == high { vec![low] } else { vec![low, high] };
        ys.extend(ends.iter().map(|_| hits / n));
        xs.extend(ends);
    }
    Calibration::Isotonic { scores: xs, probabilities: ys }
}

struct BetaLoss<'a> {
    scores: &'a [f64],
    positive: &'a [bool],
}

impl CostFunction for BetaLoss<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, p: &Vec<f64>) -> std::result::Result<f64, argmin::core::Error> {
        let calibration = Calibration::Beta { a: p[0].exp(), b: p[1].exp(), c: p[2] };
        let loss = |(score, positive): (&f64, &bool)| {
            let probability = calibration.apply(*score).clamp(1e-15, 1.0 - 1e-15);
            -(if *positive { probability } else { 1.0 - probability }).ln()
        };
        Ok(mean(None, self.scores.iter().zip(self.positive).map(loss)))
    }
}

/// Rows that a beta calibration is fitted on: three numbers need no more.
const MOST_ROWS: usize = 20_000;

fn beta(scores: &[f64], positive: &[bool]) -> Result<Calibration> {
    let stride = scores.len().div_ceil(MOST_ROWS);
    let scores: Vec<f64> = scores.iter().copied().step_by(stride).collect();
    let positive: Vec<bool> = positive.iter().copied().step_by(stride).collect();
    let failed = |error: argmin::core::Error| Error::Training(error.to_string());
    let start = vec![0.0; 3];
    let mut simplex = vec![start.clone()];
    simplex.extend((0..3).map(|i| {
        let mut corner = start.clone();
        corner[i] += 0.5;
        corner
    }));
    let solver = NelderMead::new(simplex).with_sd_tolerance(1e-10).map_err(failed)?;
    let loss = BetaLoss { scores: &scores, positive: &positive };
    let run = Executor::new(loss, solver).configure(|state| state.max_iters(400)).run();
    let best = run.map_err(failed)?.state.best_param.unwrap_or(start);
    Ok(Calibration::Beta { a: best[0].exp(), b: best[1].exp(), c: best[2] })
}
