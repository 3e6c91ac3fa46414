use kernel::domain::Job;
use kernel::scoring::{Branch, Link, Trees};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::bins::Binned;
use super::boosting::finite;
use super::grow::{Grown, Growth, Rows, grow};
use super::loss::Slope;
use super::quantize::quantize;
use super::split::Rules;
use crate::estimators::{Data, Trained, weights};
use crate::{Error, Result};

/// A random forest (Breiman 2001) over histograms: probabilities, or means of numbers.
#[derive(Clone, Debug)]
pub struct RandomForest<'j> {
    /// The classes, two or more; without, numbers are learned.
    pub classes: Vec<String>,
    /// The number of trees, for each of more than two classes.
    pub trees: usize,
    /// The most splits between the root and a leaf.
    pub depth: usize,
    /// The most leaves of a tree.
    pub leaves: usize,
    /// The fewest rows of a leaf.
    pub min_rows: usize,
    /// The share of columns that each split is looked for in; none takes the square root of their number
    /// for classes, and a third for numbers.
    pub columns: Option<f64>,
    /// Columns that are numbers of categories.
    pub categorical: Vec<bool>,
    /// What random choices follow from.
    pub seed: u64,
    /// Progress, and what can be canceled.
    pub job: &'j Job,
}

/// One tree on all rows and columns.
#[derive(Clone, Debug)]
pub struct DecisionTree<'j> {
    /// The classes, two or more; without, numbers are learned.
    pub classes: Vec<String>,
    /// The most splits between the root and a leaf.
    pub depth: usize,
    /// The most leaves.
    pub leaves: usize,
    /// The fewest rows of a leaf.
    pub min_rows: usize,
    /// Columns that are numbers of categories.
    pub categorical: Vec<bool>,
    /// What can be canceled.
    pub job: &'j Job,
}

impl Fit<Array2<f64>, Array1<f64>, Error> for RandomForest<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let plan = Plan {
            classes: &self.classes,
            trees: self.trees,
            depth: self.depth,
            leaves: self.leaves,
            min_rows: self.min_rows,
            columns_per_split: Some(self.columns_per_split(data.records().ncols())),
            is_bootstrap: true,
            categorical: &self.categorical,
            seed: self.seed,
            job: self.job,
        };
        plan.fit(data)
    }
}

impl RandomForest<'_> {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of columns"
    )]
    fn columns_per_split(&self, columns: usize) -> usize {
        let n = columns as f64;
        let wanted = match self.columns {
            Some(share) => (n * share).ceil(),
            None if self.classes.is_empty() => (n / 3.0).ceil(),
            None => n.sqrt().floor(),
        };
        (wanted as usize).max(1)
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for DecisionTree<'_> {
    type Object = Trained;

    fn fit(&self, data: &Data) -> Result<Trained> {
        let plan = Plan {
            classes: &self.classes,
            trees: 1,
            depth: self.depth,
            leaves: self.leaves,
            min_rows: self.min_rows,
            columns_per_split: None,
            is_bootstrap: false,
            categorical: &self.categorical,
            seed: 0,
            job: self.job,
        };
        plan.fit(data)
    }
}

struct Plan<'a> {
    classes: &'a [String],
    trees: usize,
    depth: usize,
    leaves: usize,
    min_rows: usize,
    columns_per_split: Option<usize>,
    is_bootstrap: bool,
    categorical: &'a [bool],
    seed: u64,
    job: &'a Job,
}

impl Plan<'_> {
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        if n == 0 || u32::try_from(n).is_err() || data.targets().len() != n {
            return Err(Error::Data(format!("{n} training rows are none, or too many")));
        }
        let binned = Binned::of(data.records(), self.categorical, self.seed);
        let weights = weights(data);
        let y: Vec<f64> = data.targets().iter().copied().collect();
        // Two classes are one number; more have trees each.
        let n_outputs = if self.classes.len() > 2 { self.classes.len() } else { 1 };
        let link = match self.classes.len() {
            0 => Link::Identity,
            _ if n_outputs == 1 => Link::Share,
            _ => Link::Shares,
        };
        let names = if n_outputs > 1 { self.classes.to_vec() } else { Vec::new() };
        let mut trees = Trees::new(d, vec![0.0; n_outputs], link, names);
        let grown: Vec<Result<Vec<Branch>>> = (0..self.trees * n_outputs)
            .into_par_iter()
            .map(|place| self.tree(&binned, &y, weights.as_deref(), place, n_outputs))
            .collect();
        for tree in grown {
            trees.push(&tree?).map_err(Error::Training)?;
        }
        finite(trees)
    }

    fn tree(
        &self,
        binned: &Binned,
        y: &[f64],
        weights: Option<&[f64]>,
        place: usize,
        n_outputs: usize,
    ) -> Result<Vec<Branch>> {
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let (tree, output) = (place / n_outputs, place % n_outputs);
        // Trees of one place but other classes see the same sample.
        let seed = self.seed ^ ((tree as u64) << 20);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let counts = self.sample(y.len(), &mut random);
        #[allow(clippy::cast_precision_loss, reason = "a number of classes")]
        let own = output as f64;
        let target = |row: usize| match n_outputs {
            1 => y[row],
            _ => f64::from(u8::from(y[row] == own)),
        };
        let weight =
            |row: usize| f64::from(counts[row]) * weights.map_or(1.0, |weights| weights[row]);
        let rows: Vec<u32> =
            (0_u32..).zip(&counts).filter(|(_, n)| **n > 0).map(|(row, _)| row).collect();
        let total: f64 = rows.iter().map(|row| weight(*row as usize)).sum();
        let sum = |row: &u32| weight(*row as usize) * target(*row as usize);
        let mean = rows.iter().map(sum).sum::<f64>() / total.max(f64::MIN_POSITIVE);
        // Squared error about the mean: gini's impurity is that of 0 and 1.
        #[allow(clippy::cast_possible_truncation, reason = "rounded to whole numbers later")]
        let slopes: Vec<Slope> = (0..y.len())
            .map(|row| {
                let weight = weight(row);
                [(weight * (mean - target(row))) as f32, weight as f32]
            })
            .collect();
        let mut sums = vec![0; y.len()];
        let units = quantize(&slopes, &rows, seed, &mut sums);
        #[allow(clippy::cast_precision_loss, reason = "a number of rows")]
        let min_rows = self.min_rows as f64;
        let growth = Growth {
            rules: Rules {
                min_rows,
                min_curvature: 0.0,
                lambda: 0.0,
                min_gain: 1e-12,
                monotone: Vec::new(),
            },
            max_leaves: self.leaves,
            max_depth: self.depth,
            columns: (0..binned.n_columns).collect(),
            columns_per_split: self.columns_per_split,
        };
        let said = Rows { sums: &sums, units };
        let mut grown: Grown = grow(binned, &growth, &said, rows, &mut random);
        #[allow(clippy::cast_precision_loss, reason = "a number of trees")]
        let n_trees = self.trees as f64;
        for leaf in 0..grown.leaves.len() {
            let (mut sum, mut total) = (0.0, 0.0);
            for row in grown.rows_of(leaf) {
                let weight = weight(*row as usize);
                sum += weight * target(*row as usize);
                total += weight;
            }
            let value = if total > 0.0 { sum / total } else { mean };
            grown.set_value(leaf, value / n_trees);
        }
        Ok(grown.branches(binned))
    }

    /// How often each row is in the sample of a tree.
    fn sample(&self, n: usize, random: &mut Xoshiro256PlusPlus) -> Vec<u16> {
        if !self.is_bootstrap {
            return vec![1; n];
        }
        let mut counts = vec![0_u16; n];
        for _ in 0..n {
            let row = random.random_range(0..n);
            counts[row] = counts[row].saturating_add(1);
        }
        counts
    }
}
