use ndarray::Array2;
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::estimators::by_column;

/// A matrix whose numbers are places of bins: by rows, to add up histograms, and by columns, to part rows.
pub(crate) struct Binned {
    pub(crate) n_rows: usize,
    pub(crate) n_columns: usize,
    /// Lines of a row.
    pub(super) n_lines: usize,
    /// The bins of each row, 32 in a line: a line is read at once.
    pub(super) lines: Vec<Line>,
    pub(super) columns: Vec<u8>,
    pub(super) bins: Vec<Bins>,
}

/// Bins of 32 columns of a row.
pub(super) type Line = [u8; 32];

/// The bins of a column. A missing number has the bin after the last.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bins {
    /// Bin `b` has the numbers above `thresholds[b - 1]` and up to `thresholds[b]`.
    Numbers { thresholds: Vec<f64> },
    /// Bin `b` is category `b`.
    Categories { n: usize },
}

/// The most bins of numbers; one more is for missing ones.
const MOST_BINS: usize = 255;
/// Rows that are turned at once.
const PIECE: usize = 4_096;
/// Rows that the bins are made from.
const SAMPLE: usize = 60_000;

impl Bins {
    /// The bin of missing numbers.
    pub(super) fn missing(&self) -> usize {
        match self {
            Self::Numbers { thresholds } => thresholds.len() + 1,
            Self::Categories { n } => *n,
        }
    }

    pub(super) const fn is_categories(&self) -> bool {
        matches!(self, Self::Categories { .. })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 255")]
    fn bin(&self, x: f64) -> u8 {
        match self {
            _ if x.is_nan() => self.missing() as u8,
            Self::Numbers { thresholds } => place_of(thresholds, x) as u8,
            Self::Categories { n } => {
                if x >= 0.0 && x < *n as f64 {
                    x as u8
                } else {
                    self.missing() as u8
                }
            }
        }
    }
}

/// The number of thresholds below a number, by halving without a branch that cannot be foreseen.
fn place_of(thresholds: &[f64], x: f64) -> usize {
    let (mut start, mut length) = (0, thresholds.len());
    while length > 0 {
        let half = length / 2;
        let is_after = thresholds[start + half] < x;
        start = if is_after { start + half + 1 } else { start };
        length = if is_after { length - half - 1 } else { half };
    }
    start
}

impl Binned {
    /// Cuts the columns of a matrix into bins; `most` is the most bins of numbers.
    pub(crate) fn of(x: &Array2<f64>, categorical: &[bool], seed: u64) -> Self {
        let (n, d) = x.dim();
        let numbers = by_column(x);
        let places = sample(n, seed);
        let is_categories = |column: usize| categorical.get(column).copied().unwrap_or(false);
        let mut columns = vec![0_u8; n * d];
        let bins: Vec<Bins> = columns
            .par_chunks_mut(n.max(1))
            .zip(numbers.par_chunks(n.max(1)))
            .enumerate()
            .map(|(column, (out, numbers))| {
                let bins = match is_categories(column) {
                    true => Bins::Categories { n: n_categories(numbers) },
                    false => Bins::Numbers { thresholds: thresholds(numbers, &places) },
                };
                out.iter_mut().zip(numbers).for_each(|(out, x)| *out = bins.bin(*x));
                bins
            })
            .collect();
        let n_lines = d.div_ceil(32);
        let mut lines = vec![[0; 32]; n * n_lines];
        lines.par_chunks_mut((n_lines * PIECE).max(1)).enumerate().for_each(|(piece, lines)| {
            for column in 0..d {
                let bins = &columns[column * n + piece * PIECE..(column + 1) * n];
                let own = lines.iter_mut().skip(column / 32).step_by(n_lines);
                own.zip(bins).for_each(|(line, bin)| line[column % 32] = *bin);
            }
        });
        Self { n_rows: n, n_columns: d, n_lines, lines, columns, bins }
    }

    /// The bin of a row in a column.
    pub(super) fn bin(&self, row: usize, column: usize) -> u8 {
        self.columns[column * self.n_rows + row]
    }

    /// The bins of a column.
    pub(super) fn column(&self, column: usize) -> &[u8] {
        &self.columns[column * self.n_rows..(column + 1) * self.n_rows]
    }
}

fn sample(n: usize, seed: u64) -> Vec<usize> {
    if n <= SAMPLE {
        return (0..n).collect();
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..SAMPLE).map(|_| random.random_range(0..n)).collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 255")]
fn n_categories(codes: &[f64]) -> usize {
    let most = codes.iter().copied().filter(|code| *code >= 0.0).fold(-1.0, f64::max);
    (most.min(254.0) + 1.0) as usize
}

/// Thresholds that part a sample into bins of about the same size; a number that is more frequent than
/// that has a bin of its own.
fn thresholds(numbers: &[f64], places: &[usize]) -> Vec<f64> {
    let mut sorted: Vec<f64> =
        places.iter().map(|place| numbers[*place]).filter(|x| !x.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for x in &sorted {
        match distinct.last_mut() {
            Some((last, n)) if *last == *x => *n += 1,
            _ => distinct.push((*x, 1)),
        }
    }
    let between = |left: f64, right: f64| {
        let middle = left / 2.0 + right / 2.0;
        // Next to each other there is nothing between: the left one is the threshold.
        if middle >= left && middle < right { middle } else { left }
    };
    if distinct.len() <= MOST_BINS {
        return distinct.windows(2).map(|pair| between(pair[0].0, pair[1].0)).collect();
    }
    let mut thresholds = Vec::with_capacity(MOST_BINS);
    let (mut rest, mut own) = (sorted.len(), 0);
    for (at, (x, n)) in distinct.iter().enumerate() {
        own += n;
        rest -= n;
        let left = MOST_BINS - thresholds.len();
        let Some((next, next_n)) = distinct.get(at + 1) else { break };
        let enough = (own + rest) / left.max(1);
        let is_full = own >= enough.max(1);
        let is_before_heavy = *next_n >= enough.max(1) && own * 2 >= enough;
        if (is_full || is_before_heavy) && thresholds.len() + 1 < MOST_BINS {
            thresholds.push(between(*x, *next));
            own = 0;
        }
    }
    thresholds
}
