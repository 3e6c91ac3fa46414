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

/// Bins of 32 columns of a row, where no line of memory ends within them: rows are read from scattered
/// places, and each would cost two fetches otherwise.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Line(pub(super) [u8; 32]);

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

    /// The bins of numbers.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 255")]
    fn place(&self, numbers: &[f64], out: &mut [u8]) {
        let missing = self.missing() as u8;
        match self {
            Self::Numbers { thresholds } => place_all(thresholds, missing, numbers, out),
            Self::Categories { n } => {
                let is_known = |x: f64| x >= 0.0 && x < *n as f64;
                let bin = |x: f64| if is_known(x) { x as u8 } else { missing };
                out.iter_mut().zip(numbers).for_each(|(out, x)| *out = bin(*x));
            }
        }
    }
}

/// Numbers that are looked for together: a processor goes on with others while one waits.
const TOGETHER: usize = 16;

/// The number of thresholds below each number, by halving without a branch that cannot be foreseen.
#[allow(clippy::cast_possible_truncation, reason = "at most 255")]
fn place_all(thresholds: &[f64], missing: u8, numbers: &[f64], out: &mut [u8]) {
    // As many halvings for all: what is beyond the last threshold is never below a number.
    let mut table = [f64::INFINITY; 256];
    table[..thresholds.len()].copy_from_slice(thresholds);
    let (groups, rest) = numbers.as_chunks::<TOGETHER>();
    let (out, out_rest) = out.as_chunks_mut::<TOGETHER>();
    let place = |numbers: &[f64; TOGETHER]| {
        let mut places = [0_u8; TOGETHER];
        for half in [128, 64, 32, 16, 8, 4, 2, 1] {
            for (place, x) in places.iter_mut().zip(numbers) {
                let is_after = table[usize::from(*place + (half - 1))] < *x;
                *place += if is_after { half } else { 0 };
            }
        }
        for (place, x) in places.iter_mut().zip(numbers) {
            *place = if x.is_nan() { missing } else { *place };
        }
        places
    };
    groups.iter().zip(out).for_each(|(numbers, out)| *out = place(numbers));
    let mut last = [0.0; TOGETHER];
    last[..rest.len()].copy_from_slice(rest);
    out_rest.copy_from_slice(&place(&last)[..rest.len()]);
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
                bins.place(numbers, out);
                bins
            })
            .collect();
        let n_lines = d.div_ceil(32);
        let mut lines = vec![Line([0; 32]); n * n_lines];
        lines.par_chunks_mut((n_lines * PIECE).max(1)).enumerate().for_each(|(piece, lines)| {
            for column in 0..d {
                let bins = &columns[column * n + piece * PIECE..(column + 1) * n];
                let own = lines.iter_mut().skip(column / 32).step_by(n_lines);
                own.zip(bins).for_each(|(line, bin)| line.0[column % 32] = *bin);
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
    // A frozen threshold is finite: JSON has no infinity.
    let finite = |x: f64| x.clamp(f64::MIN, f64::MAX);
    let mut sorted: Vec<f64> =
        places.iter().map(|place| finite(numbers[*place])).filter(|x| !x.is_nan()).collect();
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
