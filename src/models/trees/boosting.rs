use kernel::domain::Job;
use kernel::scoring::{Branch, FrozenModel, Trees};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rand::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::bins::Binned;
use super::grow::{Grown, Growth, Rows, draw_columns, grow};
use super::histogram::Bin;
use super::loss::{Loss, Slope, quantile_of};
use super::quantize::quantize;
use super::split::Rules;
use crate::estimators::{Data, Trained, weights};
use crate::{Error, Result};

/// Gradient boosting over histograms (Friedman 2001; Ke et al. 2017), leaf by leaf.
#[derive(Clone, Debug)]
pub struct GradientBoosting<'j> {
    /// What is made small.
    pub loss: Loss,
    /// Names of the classes of a softmax.
    pub classes: Vec<String>,
    /// The most rounds; each has a tree for each output.
    pub rounds: usize,
    /// What each round adds of what it found.
    pub learning_rate: f64,
    /// The most leaves of a tree.
    pub leaves: usize,
    /// The most splits between the root and a leaf.
    pub depth: usize,
    /// The fewest rows of a leaf.
    pub min_rows: usize,
    /// The least curvature of a leaf.
    pub min_curvature: f64,
    /// L2 penalty of the values of leaves.
    pub lambda: f64,
    /// The share of rows that each round sees.
    pub subsample: f64,
    /// The share of columns that each tree may read.
    pub columns: f64,
    /// Columns that are numbers of categories.
    pub categorical: Vec<bool>,
    /// How the score may change with each column: 1, -1, or 0; empty for anyhow.
    pub monotone: Vec<i8>,
    /// Rows that are not learned from but show when to stop.
    pub validation: Vec<u32>,
    /// Rounds without an improvement after which it stops, and goes back to the best.
    pub patience: Option<usize>,
    /// What random choices follow from.
    pub seed: u64,
    /// Progress, and what can be canceled.
    pub job: &'j Job,
}

impl<'j> GradientBoosting<'j> {
    /// The usual parameters, those of `LightGBM`.
    #[must_use]
    pub const fn new(loss: Loss, job: &'j Job) -> Self {
        Self {
            loss,
            classes: Vec::new(),
            rounds: 100,
            learning_rate: 0.1,
            leaves: 31,
            depth: 64,
            min_rows: 20,
            min_curvature: 1e-3,
            lambda: 0.0,
            subsample: 1.0,
            columns: 1.0,
            categorical: Vec::new(),
            monotone: Vec::new(),
            validation: Vec::new(),
            patience: None,
            seed: 0,
            job,
        }
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for GradientBoosting<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        let y: Vec<f64> = data.targets().iter().copied().collect();
        if n == 0 || y.len() != n || u32::try_from(n).is_err() {
            return Err(Error::Data(format!("{n} training rows are none, or too many")));
        }
        if let Some(message) = self.loss.refuses(&y) {
            return Err(Error::Data(message.to_owned()));
        }
        if let Loss::Softmax(classes) = self.loss
            && (classes < 2 || classes != self.classes.len())
        {
            return Err(Error::Data("a softmax needs two classes or more".to_owned()));
        }
        let binned = Binned::of(data.records(), &self.categorical, self.seed);
        let weights = weights(data);
        let mut held_back = vec![false; n];
        self.validation.iter().for_each(|row| held_back[*row as usize] = true);
        let all = 0..u32::try_from(n).unwrap_or(u32::MAX);
        let rows: Vec<u32> = all.filter(|row| !held_back[*row as usize]).collect();
        if rows.is_empty() {
            return Err(Error::Data("no row is left to learn from".to_owned()));
        }
        let weight = |row: usize| weights.as_ref().map_or(1.0, |weights| weights[row]);
        let base = self.loss.start(&y, &weight, &rows);
        let scores = base.iter().flat_map(|start| std::iter::repeat_n(*start, n)).collect();
        let trees = Trees::new(d, base, self.loss.link(), self.classes.clone());
        let random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let slopes = vec![[0.0; 2]; n * self.loss.n_outputs()];
        let sums = vec![0; n];
        let fit = self;
        let weights = weights.as_deref();
        let mut boosting =
            Boosting { fit, binned, y, weights, rows, scores, slopes, sums, trees, random };
        boosting.run()?;
        finite(boosting.trees)
    }
}

/// Trees whose numbers are all finite.
pub(super) fn finite(trees: Trees) -> Result<Trained> {
    let is_finite = |branch: &Branch| match branch {
        Branch::Leaf { value, .. } => value.is_finite(),
        Branch::Split { .. } => true,
    };
    let all_are = trees.branches().iter().flatten().all(is_finite);
    match all_are && trees.base().iter().all(|base| base.is_finite()) {
        true => Ok(Trained(FrozenModel::Trees(trees))),
        false => Err(Error::Training("the label is too large to learn from".to_owned())),
    }
}

struct Boosting<'a> {
    fit: &'a GradientBoosting<'a>,
    binned: Binned,
    y: Vec<f64>,
    weights: Option<&'a [f64]>,
    /// Rows that are learned from.
    rows: Vec<u32>,
    /// The sums so far, output by output.
    scores: Vec<f64>,
    slopes: Vec<Slope>,
    sums: Vec<Bin>,
    trees: Trees,
    random: Xoshiro256PlusPlus,
}

impl Boosting<'_> {
    fn run(&mut self) -> Result<()> {
        let (mut best, mut best_round) = (f64::INFINITY, 0);
        for round in 0..self.fit.rounds {
            if self.fit.job.is_canceled() {
                return Err(Error::Canceled);
            }
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            let share = round as f32 / self.fit.rounds as f32;
            if round % 8 == 0 {
                self.fit.job.report("Training", share);
            }
            self.fit.loss.slopes(&self.y, self.weights, &self.scores, &mut self.slopes);
            let mut has_grown = false;
            for output in 0..self.fit.loss.n_outputs() {
                has_grown |= self.add_tree(round, output)?;
            }
            if !has_grown {
                break;
            }
            if let (Some(patience), false) = (self.fit.patience, self.fit.validation.is_empty()) {
                let loss = self.fit.loss.mean(&self.y, &self.scores, &self.fit.validation);
                if loss < best {
                    (best, best_round) = (loss, round);
                } else if round - best_round >= patience {
                    break;
                }
            }
        }
        if self.fit.patience.is_some() && !self.fit.validation.is_empty() {
            self.trees.truncate(best_round + 1);
        }
        Ok(())
    }

    /// Grows a tree on the slopes of an output; whether it has more than its root.
    fn add_tree(&mut self, round: usize, output: usize) -> Result<bool> {
        let (fit, n) = (self.fit, self.y.len());
        let mut rows = self.rows.clone();
        let is_sampled = fit.subsample < 1.0;
        let tree_seed = fit.seed ^ ((round as u64) << 32) ^ ((output as u64) << 56);
        if is_sampled {
            let keep = |row: &u32| unit(mixed(tree_seed ^ 0x5eed, *row)) < fit.subsample;
            rows.retain(keep);
        }
        let slopes = &self.slopes[output * n..(output + 1) * n];
        let units = quantize(slopes, &rows, tree_seed, &mut self.sums);
        let growth = Growth {
            rules: Rules {
                min_rows: rows_as_number(fit.min_rows),
                min_curvature: fit.min_curvature,
                lambda: fit.lambda,
                min_gain: 0.0,
                monotone: fit.monotone.clone(),
            },
            max_leaves: fit.leaves,
            max_depth: fit.depth,
            columns: draw_columns(self.binned.n_columns, fit.columns, &mut self.random),
            columns_per_split: None,
        };
        let said = Rows { sums: &self.sums, units };
        let mut tree = grow(&self.binned, &growth, &said, rows, &mut self.random);
        self.set_values(&mut tree, output);
        let scores = &mut self.scores[output * n..(output + 1) * n];
        for leaf in 0..tree.leaves.len() {
            let value = tree.value(leaf);
            tree.rows_of(leaf).iter().for_each(|row| scores[*row as usize] += value);
        }
        let mut others: Vec<u32> = fit.validation.clone();
        if is_sampled {
            let mut is_in = vec![false; n];
            tree.rows.iter().for_each(|row| is_in[*row as usize] = true);
            others.extend(self.rows.iter().filter(|row| !is_in[**row as usize]));
        }
        for row in others {
            scores[row as usize] += tree.value_of_row(&self.binned, row as usize);
        }
        self.trees.push(&tree.branches(&self.binned)).map_err(Error::Training)?;
        Ok(tree.leaves.len() > 1)
    }

    /// The values of the leaves, from the slopes as they were before they were rounded.
    fn set_values(&self, tree: &mut Grown, output: usize) {
        let (fit, n) = (self.fit, self.y.len());
        let slopes = &self.slopes[output * n..(output + 1) * n];
        let value = |leaf: usize| {
            let rows = tree.rows_of(leaf);
            if let Loss::Quantile(quantile) = fit.loss {
                let off = |row: &u32| self.y[*row as usize] - self.scores[*row as usize];
                let mut off: Vec<f64> = rows.iter().map(off).collect();
                return quantile_of(&mut off, quantile);
            }
            let (mut g, mut h) = (0.0, 0.0);
            for row in rows {
                let [own_g, own_h] = slopes[*row as usize];
                g += f64::from(own_g);
                h += f64::from(own_h);
            }
            if h + fit.lambda > 0.0 { -g / (h + fit.lambda) } else { 0.0 }
        };
        let values: Vec<f64> = (0..tree.leaves.len()).into_par_iter().map(value).collect();
        for (leaf, value) in values.into_iter().enumerate() {
            // What must stay between bounds is bounded before it is made smaller.
            let (least, most) = (tree.leaves[leaf].least, tree.leaves[leaf].most);
            tree.set_value(leaf, value.clamp(least, most));
            let bounded = tree.value(leaf);
            tree.leaves[leaf].least = f64::NEG_INFINITY;
            tree.leaves[leaf].most = f64::INFINITY;
            tree.set_value(leaf, bounded * fit.learning_rate);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of rows")]
const fn rows_as_number(rows: usize) -> f64 {
    rows as f64
}

/// A random number that follows from a seed and a row alone (the finalizer of `SplitMix64`).
pub(super) fn mixed(seed: u64, row: u32) -> u64 {
    let mut x = seed.wrapping_add(u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A random number as a share: from 0, below 1.
#[allow(clippy::cast_precision_loss, reason = "53 bits are kept")]
pub(super) fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}
