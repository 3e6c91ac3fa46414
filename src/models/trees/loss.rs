use kernel::scoring::{Link, logistic, softmax};
use rayon::prelude::*;

use super::quantize::WHOLE;

/// What boosting makes small.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Log-loss of 0 and 1.
    Logistic,
    /// Log-loss of the places of classes.
    Softmax(usize),
    /// Squared error.
    Squared,
    /// Poisson deviance, on a log scale.
    Poisson,
    /// Gamma deviance, on a log scale.
    Gamma,
    /// Tweedie deviance of a power between 1 and 2, on a log scale.
    Tweedie(f64),
    /// Pinball loss of a quantile.
    Quantile(f64),
    /// Pairs of one list in the wrong order, by what their exchange would gain in NDCG (Burges 2010).
    Pairs(Groups),
}

/// The rows of each list that is ranked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Groups(pub Vec<Vec<u32>>);

/// Gradient and curvature of a row.
pub(super) type Slope = [f32; 2];

/// Poisson's curvature is this much larger, so that leaves of few rows do not jump, as `LightGBM` has it.
const POISSON_CAUTION: f64 = 0.7;
/// Pairs whose better place is after this one are not looked at.
const DEEPEST_PAIR: usize = 30;
/// Scores on a log scale are kept within this.
const FARTHEST: f64 = 100.0;

impl Loss {
    /// The numbers that a row is scored by.
    pub(super) const fn n_outputs(&self) -> usize {
        match self {
            Self::Softmax(classes) => *classes,
            _ => 1,
        }
    }

    pub(super) const fn link(&self) -> Link {
        match self {
            Self::Logistic => Link::Logistic,
            Self::Softmax(_) => Link::Softmax,
            Self::Squared | Self::Quantile(_) | Self::Pairs(_) => Link::Identity,
            Self::Poisson | Self::Gamma | Self::Tweedie(_) => Link::Exponential,
        }
    }

    /// What is wrong with outcomes for this loss.
    pub(super) fn refuses(&self, y: &[f64]) -> Option<&'static str> {
        let (least, what) = match self {
            Self::Poisson | Self::Tweedie(_) => (0.0, "the label must be at least 0"),
            Self::Gamma => (f64::MIN_POSITIVE, "the label must be above 0"),
            _ => return None,
        };
        y.iter().any(|y| *y < least).then_some(what)
    }

    /// The best constant scores.
    pub(super) fn start(&self, y: &[f64], weight: &dyn Fn(usize) -> f64, rows: &[u32]) -> Vec<f64> {
        let mean = |of: &dyn Fn(f64) -> f64| {
            let (mut sum, mut total) = (0.0, 0.0);
            for row in rows {
                let weight = weight(*row as usize);
                sum += weight * of(y[*row as usize]);
                total += weight;
            }
            sum / total
        };
        match self {
            Self::Logistic => {
                let share = mean(&|y| y).clamp(1e-12, 1.0 - 1e-12);
                vec![(share / (1.0 - share)).ln()]
            }
            Self::Softmax(classes) => {
                #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
                let share = |class: usize| mean(&|y| f64::from(u8::from(y == class as f64)));
                (0..*classes).map(|class| share(class).max(1e-12).ln()).collect()
            }
            Self::Squared => vec![mean(&|y| y)],
            Self::Poisson | Self::Gamma | Self::Tweedie(_) => {
                vec![mean(&|y| y).max(1e-12).ln()]
            }
            Self::Quantile(quantile) => {
                let mut own: Vec<f64> = rows.iter().map(|row| y[*row as usize]).collect();
                vec![quantile_of(&mut own, *quantile)]
            }
            Self::Pairs(_) => vec![0.0],
        }
    }

    /// The slopes of all rows for each output; scores and slopes of an output are together.
    pub(super) fn slopes(
        &self,
        y: &[f64],
        weights: Option<&[f64]>,
        scores: &[f64],
        out: &mut [Slope],
    ) {
        let n = y.len();
        match self {
            Self::Logistic => {
                let pieces = out.par_chunks_mut(PIECE).zip(scores.par_chunks(PIECE));
                pieces.zip(y.par_chunks(PIECE)).enumerate().for_each(|(piece, ((out, s), y))| {
                    pulp::Arch::new().dispatch(|| logistic_slopes(y, s, out));
                    if let Some(weights) = weights {
                        weigh(out, &weights[piece * PIECE..]);
                    }
                });
            }
            Self::Softmax(classes) => self.softmax_slopes(*classes, y, weights, scores, out),
            Self::Pairs(groups) => pair_slopes(groups, y, scores, out),
            _ => out.par_chunks_mut(PIECE).enumerate().for_each(|(piece, out)| {
                let start = piece * PIECE;
                let end = n.min(start + PIECE);
                let rows = y[start..end].iter().zip(&scores[start..end]);
                for (at, (out, (y, score))) in out.iter_mut().zip(rows).enumerate() {
                    let (g, h) = self.slope(*score, *y);
                    let weight = weights.map_or(1.0, |weights| weights[start + at]);
                    *out = [single(weight * g), single(weight * h)];
                }
            }),
        }
    }

    #[inline]
    fn slope(&self, score: f64, y: f64) -> (f64, f64) {
        match self {
            Self::Poisson => {
                let mean = score.min(FARTHEST).exp();
                (mean - y, mean * POISSON_CAUTION.exp())
            }
            Self::Gamma => {
                let ratio = y * (-score).min(FARTHEST).exp();
                (1.0 - ratio, ratio)
            }
            Self::Tweedie(power) => {
                let own = y * (score * (1.0 - power)).min(FARTHEST).exp();
                let other = (score * (2.0 - power)).min(FARTHEST).exp();
                (other - own, (2.0 - power) * other + (power - 1.0) * own)
            }
            Self::Quantile(quantile) => (if y <= score { 1.0 - quantile } else { -quantile }, 1.0),
            Self::Squared | Self::Logistic | Self::Softmax(_) | Self::Pairs(_) => (score - y, 1.0),
        }
    }

    fn softmax_slopes(
        &self,
        classes: usize,
        y: &[f64],
        weights: Option<&[f64]>,
        scores: &[f64],
        out: &mut [Slope],
    ) {
        let n = y.len();
        #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
        let factor = classes as f64 / (classes as f64 - 1.0);
        let slopes: Vec<Vec<Slope>> = (0..n)
            .into_par_iter()
            .with_min_len(1_024)
            .map(|row| {
                let sums = (0..classes).map(|class| scores[class * n + row]).collect();
                let weight = weights.map_or(1.0, |weights| weights[row]);
                let slope = |(class, p): (usize, f64)| {
                    #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
                    let own = f64::from(u8::from(y[row] == class as f64));
                    [single(weight * (p - own)), single(weight * factor * p * (1.0 - p))]
                };
                softmax(sums).into_iter().enumerate().map(slope).collect()
            })
            .collect();
        for (row, slopes) in slopes.iter().enumerate() {
            for (class, slope) in slopes.iter().enumerate() {
                out[class * n + row] = *slope;
            }
        }
    }

    /// The mean loss of rows.
    pub(super) fn mean(&self, y: &[f64], scores: &[f64], rows: &[u32]) -> f64 {
        let n = y.len();
        if let Self::Pairs(groups) = self {
            return 1.0 - mean_ndcg(groups, y, scores, rows);
        }
        let loss = |row: &u32| {
            let row = *row as usize;
            let (y, score) = (y[row], scores[row]);
            match self {
                Self::Logistic => score.max(0.0) + (-score.abs()).exp().ln_1p() - y * score,
                Self::Softmax(classes) => {
                    let sums = (0..*classes).map(|class| scores[class * n + row]).collect();
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a place"
                    )]
                    let own = softmax(sums).get(y as usize).copied().unwrap_or(0.0);
                    -own.max(1e-300).ln()
                }
                Self::Squared | Self::Pairs(_) => (y - score) * (y - score),
                Self::Poisson => score.exp() - y * score,
                Self::Gamma => y * (-score).exp() + score,
                Self::Tweedie(power) => {
                    y * (score * (1.0 - power)).exp() / (power - 1.0)
                        + (score * (2.0 - power)).exp() / (2.0 - power)
                }
                Self::Quantile(quantile) => {
                    let off = y - score;
                    (quantile * off).max((quantile - 1.0) * off)
                }
            }
        };
        #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
        let count = rows.len().max(1) as f64;
        rows.iter().map(loss).sum::<f64>() / count
    }
}

/// Rows of a piece of the slopes.
const PIECE: usize = 16_384;

/// Gradient and curvature of log-loss, of as many rows at once as the processor takes.
#[inline(always)]
fn logistic_slopes(y: &[f64], scores: &[f64], out: &mut [Slope]) {
    for ((out, y), score) in out.iter_mut().zip(y).zip(scores) {
        let e = exp_of_negative(-score.abs());
        let small = e / (1.0 + e);
        let p = if *score >= 0.0 { 1.0 - small } else { small };
        *out = [single(p - y), single(p * (1.0 - p))];
    }
}

fn weigh(slopes: &mut [Slope], weights: &[f64]) {
    for ([g, h], weight) in slopes.iter_mut().zip(weights) {
        *g = single(f64::from(*g) * weight);
        *h = single(f64::from(*h) * weight);
    }
}

/// `e^x` of a number up to 0, to ten digits, of which a slope keeps seven: a power of two, and a polynomial of
/// what is left (Cody and Waite 1980). Without a branch or a call it is done for several rows at once.
#[inline(always)]
fn exp_of_negative(x: f64) -> f64 {
    /// The inverses of the factorials from 9 to 0.
    const TERMS: [f64; 10] = [
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    // Beyond this it is too small for a slope.
    let x = x.max(-700.0);
    let twos = x * std::f64::consts::LOG2_E + WHOLE;
    let left = x - (twos - WHOLE) * std::f64::consts::LN_2;
    let power = f64::from_bits(twos.to_bits().wrapping_add(1_023) << 52);
    TERMS.iter().fold(0.0, |sum, term| sum * left + term) * power
}

#[allow(clippy::cast_possible_truncation, reason = "slopes are rounded to whole numbers anyway")]
const fn single(x: f64) -> f32 {
    x as f32
}

/// A quantile by linear interpolation; 0 of nothing.
pub(super) fn quantile_of(numbers: &mut [f64], quantile: f64) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among the numbers"
    )]
    let (place, share) = {
        let at = quantile * (numbers.len() - 1) as f64;
        (at.floor() as usize, at - at.floor())
    };
    let next = numbers.get(place + 1).copied().unwrap_or(numbers[place]);
    numbers[place] + share * (next - numbers[place])
}

#[allow(clippy::cast_precision_loss, reason = "places in a list")]
fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

/// What a row of a label is worth at the top of a list.
fn worth(label: f64) -> f64 {
    label.clamp(0.0, 31.0).exp2() - 1.0
}

fn best_dcg(labels: impl Iterator<Item = f64>) -> f64 {
    let mut labels: Vec<f64> = labels.collect();
    labels.sort_unstable_by(|left, right| right.total_cmp(left));
    labels.iter().enumerate().map(|(place, label)| worth(*label) * discount(place)).sum()
}

/// The rows of a list, best score first.
fn ranked(group: &[u32], scores: &[f64]) -> Vec<u32> {
    let mut rows = group.to_vec();
    let score = |row: &u32| scores[*row as usize];
    rows.sort_by(|left, right| score(right).total_cmp(&score(left)).then(left.cmp(right)));
    rows
}

fn pair_slopes(groups: &Groups, y: &[f64], scores: &[f64], out: &mut [Slope]) {
    out.fill([0.0; 2]);
    let lists: Vec<Vec<(u32, f64, f64)>> = groups
        .0
        .par_iter()
        .map(|group| {
            let label = |row: u32| y[row as usize];
            let best = best_dcg(group.iter().map(|row| label(*row)));
            if best <= 0.0 {
                return Vec::new();
            }
            let rows = ranked(group, scores);
            let mut slopes: Vec<(u32, f64, f64)> =
                rows.iter().map(|row| (*row, 0.0, 0.0)).collect();
            for high in 0..rows.len().min(DEEPEST_PAIR) {
                for low in high + 1..rows.len() {
                    let (a, b) = (label(rows[high]), label(rows[low]));
                    if a == b {
                        continue;
                    }
                    let gain =
                        ((worth(a) - worth(b)) * (discount(high) - discount(low))).abs() / best;
                    let (good, bad) = if a > b { (high, low) } else { (low, high) };
                    let off = scores[rows[good] as usize] - scores[rows[bad] as usize];
                    let p = logistic(-off);
                    slopes[good].1 -= gain * p;
                    slopes[bad].1 += gain * p;
                    slopes[good].2 += gain * p * (1.0 - p);
                    slopes[bad].2 += gain * p * (1.0 - p);
                }
            }
            slopes
        })
        .collect();
    for (row, g, h) in lists.into_iter().flatten() {
        out[row as usize] = [single(g), single(h)];
    }
}

/// The mean over the lists of some rows.
fn mean_ndcg(groups: &Groups, y: &[f64], scores: &[f64], rows: &[u32]) -> f64 {
    let mut is_in = vec![false; y.len()];
    rows.iter().for_each(|row| is_in[*row as usize] = true);
    let (mut sum, mut n) = (0.0, 0.0);
    for group in groups.0.iter().filter(|group| group.first().is_some_and(|r| is_in[*r as usize])) {
        let best = best_dcg(group.iter().map(|row| y[*row as usize]));
        if best > 0.0 {
            let rows = ranked(group, scores);
            let own =
                rows.iter().enumerate().map(|(at, row)| worth(y[*row as usize]) * discount(at));
            sum += own.sum::<f64>() / best;
            n += 1.0;
        }
    }
    if n > 0.0 { sum / n } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_of_slopes_are_right() {
        for step in 0..=70_000 {
            let x = -f64::from(step) * 0.01;
            let (own, exact) = (exp_of_negative(x), x.exp());
            assert!((own - exact).abs() <= 1e-10 * exact, "{x}: {own}, {exact}");
        }
        assert!(exp_of_negative(f64::NEG_INFINITY) < 1e-300);
    }
}
