use super::bins::Bins;
use super::histogram::{Bin, Column, curvature, gradient};

/// What holds for all splits of a tree.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The fewest rows of a leaf.
    pub(super) min_rows: f64,
    /// The least curvature of a leaf.
    pub(super) min_curvature: f64,
    /// L2 penalty of leaves.
    pub(super) lambda: f64,
    /// The least gain of a split.
    pub(super) min_gain: f64,
    /// How scores may change with a column: 1, -1, or 0 for anyhow; empty means anyhow.
    pub(super) monotone: Vec<i8>,
}

/// What a whole number of a gradient, and of a curvature, stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    pub(super) gradient: f64,
    pub(super) curvature: f64,
}

/// The sums of a node, its rows, and between what its values may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) sum: Bin,
    pub(super) n_rows: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// How a node parts its bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// Bins up to this one go left.
    At(u8),
    /// The bins whose bits are set go left.
    Set([u64; 4]),
}

/// A split that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) gain: f64,
    pub(super) column: usize,
    pub(super) cut: Cut,
    pub(super) missing_left: bool,
    pub(super) left: Bin,
}

/// What is added to the curvature of a category, so that small ones are not first or last by chance.
const CATEGORY_SMOOTHING: f64 = 10.0;
/// An additional L2 penalty of splits by sets of categories.
const CATEGORY_LAMBDA: f64 = 10.0;
/// Up to this many categories, each alone is tried against all others.
const FEW_CATEGORIES: usize = 4;
/// The most categories on the smaller side.
const MOST_IN_SET: usize = 32;

struct Search<'a> {
    rules: &'a Rules,
    units: Units,
    node: &'a Node,
    column: usize,
    lambda: f64,
    /// The least curvature of a side, in whole numbers.
    least: i64,
    best: Option<Found>,
    /// The best score as a fraction: comparing fractions needs no division.
    score: (f64, f64),
}

/// The best split of a node by a column; none gains enough.
pub(super) fn best_of_column(
    rules: &Rules,
    units: Units,
    node: &Node,
    column: usize,
    bins: &Bins,
    sums: &Column,
) -> Option<Found> {
    #[allow(clippy::cast_precision_loss, reason = "less than 2^31")]
    let total = curvature(node.sum) as f64;
    // Rows of a side are estimated by its share of the curvature.
    let by_rows = rules.min_rows * total / node.n_rows.max(1.0);
    let by_curvature = rules.min_curvature / units.curvature;
    #[allow(clippy::cast_possible_truncation, reason = "less than 2^31, or nothing passes")]
    let least = (by_rows.max(by_curvature) - 1e-6).ceil() as i64;
    let lambda = rules.lambda + if bins.is_categories() { CATEGORY_LAMBDA } else { 0.0 };
    let least = least.max(1);
    let mut search =
        Search { rules, units, node, column, lambda, least, best: None, score: (0.0, 1.0) };
    match bins {
        Bins::Numbers { thresholds } => search.numbers(sums, thresholds.len() + 1),
        Bins::Categories { n } => search.categories(sums, *n),
    }
    search.finish()
}

impl Search<'_> {
    /// Parts the bins at each place; missing numbers go either way.
    fn numbers(&mut self, sums: &Column, n_bins: usize) {
        let missing = sums.get(n_bins).copied().unwrap_or(0);
        if missing == 0 && self.rules.monotone.is_empty() {
            self.plain_numbers(sums, n_bins.saturating_sub(1));
            return;
        }
        let mut left = 0;
        for (bin, sum) in sums.iter().enumerate().take(n_bins.saturating_sub(1)) {
            left += sum;
            if *sum == 0 {
                continue;
            }
            #[allow(clippy::cast_possible_truncation, reason = "at most 255")]
            let cut = Cut::At(bin as u8);
            self.offer(left, cut, false);
            if missing != 0 {
                self.offer(left + missing, cut, true);
            }
        }
        if missing != 0 && n_bins > 0 {
            #[allow(clippy::cast_possible_truncation, reason = "at most 255")]
            let cut = Cut::At((n_bins - 1) as u8);
            self.offer(self.node.sum - missing, cut, false);
        }
    }

    /// The same where nothing is missing and any direction is allowed: all places at once, as wide as the
    /// processor goes. A place with an empty bin is as good as the one before, which comes first.
    fn plain_numbers(&mut self, sums: &Column, n: usize) {
        let mut lefts = [0; 256];
        let mut left = 0;
        for (place, sum) in lefts.iter_mut().zip(&sums[..n]) {
            left += sum;
            *place = left;
        }
        let mut scores = [f64::NEG_INFINITY; 256];
        let (lefts, out) = (&lefts[..n], &mut scores[..n]);
        pulp::Arch::new().dispatch(|| self.score_all(lefts, out));
        let best = scores.iter().fold(f64::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
        let Some(place) = scores.iter().position(|score| *score == best && best > 0.0) else {
            return;
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 255")]
        let cut = Cut::At(place as u8);
        self.score = (best, 1.0);
        let (column, left) = (self.column, lefts[place]);
        self.best = Some(Found { gain: 0.0, column, cut, missing_left: false, left });
    }

    /// `gl^2 / hl + gr^2 / hr` of each place; a place that leaves a side too small has none.
    #[inline(always)]
    fn score_all(&self, lefts: &[Bin], out: &mut [f64]) {
        #[allow(clippy::cast_possible_truncation, reason = "less than 2^31")]
        let parts = |sum: Bin| (gradient(sum) as i32, curvature(sum) as i32);
        let (g, h) = parts(self.node.sum);
        let least = i32::try_from(self.least).unwrap_or(i32::MAX);
        let (by_gradient, by_curvature) = (self.units.gradient, self.units.curvature);
        for (left, out) in lefts.iter().zip(out) {
            let (gl, hl) = parts(*left);
            let (gr, hr) = (g - gl, h - hl);
            let is_allowed = (hl >= least) & (hr >= least);
            let (gl, gr) = (f64::from(gl) * by_gradient, f64::from(gr) * by_gradient);
            let hl = f64::from(hl) * by_curvature + self.lambda;
            let hr = f64::from(hr) * by_curvature + self.lambda;
            let score = (gl * gl * hr + gr * gr * hl) / (hl * hr);
            *out = if is_allowed { score } else { f64::NEG_INFINITY };
        }
    }

    /// Categories in order of their mean gradient, from either end (Fisher 1958).
    fn categories(&mut self, sums: &Column, n: usize) {
        let mut known: Vec<usize> = (0..n).filter(|bin| sums[*bin] != 0).collect();
        let bit = |set: &mut [u64; 4], bin: usize| set[bin / 64] |= 1 << (bin % 64);
        if known.len() <= FEW_CATEGORIES {
            for bin in known {
                let mut set = [0; 4];
                bit(&mut set, bin);
                self.offer(sums[bin], Cut::Set(set), false);
            }
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "less than 2^31")]
        let mean = |bin: usize| {
            let (g, h) = (gradient(sums[bin]) as f64, curvature(sums[bin]) as f64);
            g * self.units.gradient / (h * self.units.curvature + CATEGORY_SMOOTHING)
        };
        known.sort_by(|left, right| mean(*left).total_cmp(&mean(*right)).then(left.cmp(right)));
        let most = MOST_IN_SET.min(known.len() / 2 + 1);
        let backwards: Vec<usize> = known.iter().rev().copied().collect();
        for order in [known, backwards] {
            let (mut left, mut set) = (0, [0; 4]);
            for bin in order.into_iter().take(most) {
                left += sums[bin];
                bit(&mut set, bin);
                self.offer(left, Cut::Set(set), false);
            }
        }
    }

    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "less than 2^31")]
    fn offer(&mut self, left: Bin, cut: Cut, missing_left: bool) {
        let right = self.node.sum - left;
        let (hl, hr) = (curvature(left), curvature(right));
        if hl < self.least || hr < self.least {
            return;
        }
        let (gl, gr) = (
            gradient(left) as f64 * self.units.gradient,
            gradient(right) as f64 * self.units.gradient,
        );
        let hl = hl as f64 * self.units.curvature + self.lambda;
        let hr = hr as f64 * self.units.curvature + self.lambda;
        // gl^2 / hl + gr^2 / hr
        let score = (gl * gl * hr + gr * gr * hl, hl * hr);
        if score.0 * self.score.1 <= self.score.0 * score.1 {
            return;
        }
        if !self.rules.monotone.is_empty() && !self.is_allowed(-gl / hl, -gr / hr) {
            return;
        }
        self.score = score;
        self.best = Some(Found { gain: 0.0, column: self.column, cut, missing_left, left });
    }

    fn is_allowed(&self, left: f64, right: f64) -> bool {
        let Node { least, most, .. } = *self.node;
        let (left, right) = (left.clamp(least, most), right.clamp(least, most));
        match self.rules.monotone.get(self.column) {
            Some(1) => left <= right,
            Some(-1) => left >= right,
            _ => true,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "less than 2^31")]
    fn finish(self) -> Option<Found> {
        let best = self.best?;
        let g = gradient(self.node.sum) as f64 * self.units.gradient;
        let h = curvature(self.node.sum) as f64 * self.units.curvature + self.rules.lambda;
        let gain = self.score.0 / self.score.1 - g * g / h.max(f64::MIN_POSITIVE);
        (gain > self.rules.min_gain).then_some(Found { gain, ..best })
    }
}
