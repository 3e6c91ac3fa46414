use kernel::domain::Job;
use kernel::scoring::{Branch, FrozenModel, Link, Split, Trees};
use linfa::traits::Fit;
use ndarray::{Array1, Array2};
use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::estimators::{Data, Trained, by_column};
use crate::{Error, Result};

/// An isolation forest (Liu, Ting and Zhou 2008): random splits part what is unusual early.
#[derive(Clone, Copy, Debug)]
pub struct IsolationForest<'j> {
    /// The number of trees.
    pub trees: usize,
    /// Rows that each tree is grown on.
    pub sample: usize,
    /// What random choices follow from.
    pub seed: u64,
    /// What can be canceled.
    pub job: &'j Job,
}

const EULER: f64 = 0.577_215_664_901_532_9;

/// The mean path length to a row in a search tree of `n` rows.
fn mean_path(n: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a small number of rows")]
    let n = n as f64;
    match n {
        n if n <= 1.0 => 0.0,
        n if n <= 2.0 => 1.0,
        n => 2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n,
    }
}

impl Fit<Array2<f64>, Array1<f64>, Error> for IsolationForest<'_> {
    type Object = Trained;

    /// Targets are not read.
    fn fit(&self, data: &Data) -> Result<Trained> {
        let (n, d) = data.records().dim();
        if n < 2 {
            return Err(Error::Data(format!("{n} rows have nothing unusual among them")));
        }
        let numbers = by_column(data.records());
        let size = self.sample.clamp(2, n);
        let grown: Vec<Vec<Branch>> = (0..self.trees)
            .into_par_iter()
            .map(|tree| {
                let seed = self.seed ^ ((tree as u64) << 20);
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                let rows: Vec<usize> = if size == n {
                    (0..n).collect()
                } else {
                    rand::seq::index::sample(&mut random, n, size).into_vec()
                };
                let scale = self.scale(size);
                let mut growing =
                    Growing { numbers: &numbers, n, d, scale, random, branches: Vec::new() };
                #[allow(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a small depth"
                )]
                let depth = (size as f64).log2().ceil() as usize;
                growing.grow(rows, 0, depth);
                growing.branches
            })
            .collect();
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let mut trees = Trees::new(d, vec![0.0], Link::Isolation, Vec::new());
        for tree in grown {
            trees.push(&tree).map_err(Error::Training)?;
        }
        Ok(Trained(FrozenModel::Trees(trees)))
    }
}

impl IsolationForest<'_> {
    /// What a path length counts for: the mean over trees, over what is usual.
    fn scale(&self, size: usize) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a number of trees")]
        let trees = self.trees as f64;
        1.0 / (trees * mean_path(size))
    }
}

struct Growing<'a> {
    numbers: &'a [f64],
    n: usize,
    d: usize,
    scale: f64,
    random: Xoshiro256PlusPlus,
    branches: Vec<Branch>,
}

impl Growing<'_> {
    /// Adds a tree of rows; the place of its root.
    fn grow(&mut self, rows: Vec<usize>, depth: usize, most: usize) -> usize {
        let place = self.branches.len();
        #[allow(clippy::cast_precision_loss, reason = "a small number of rows")]
        let cover = rows.len() as f64;
        let split = if depth >= most || rows.len() < 2 { None } else { self.draw(&rows) };
        let Some((column, threshold)) = split else {
            #[allow(clippy::cast_precision_loss, reason = "a small depth")]
            let value = (depth as f64 + mean_path(rows.len())) * self.scale;
            self.branches.push(Branch::Leaf { value, cover });
            return place;
        };
        // Missing values go where most rows go.
        let goes_left = |row: &usize| self.numbers[column * self.n + row] <= threshold;
        let (mut left, mut right): (Vec<usize>, Vec<usize>) = rows
            .iter()
            .filter(|row| !self.numbers[column * self.n + **row].is_nan())
            .partition(|row| goes_left(row));
        let missing_left = left.len() >= right.len();
        let missing = rows.iter().filter(|row| self.numbers[column * self.n + **row].is_nan());
        if missing_left {
            left.extend(missing)
        } else {
            right.extend(missing)
        }
        self.branches.push(Branch::Leaf { value: 0.0, cover });
        let children = (self.grow(left, depth + 1, most), self.grow(right, depth + 1, most));
        let split = Split::Number { threshold };
        self.branches[place] = Branch::Split { column, split, missing_left, cover, children };
        place
    }

    /// A random place between the least and the most of a random column that has both.
    fn draw(&mut self, rows: &[usize]) -> Option<(usize, f64)> {
        for _ in 0..self.d.saturating_mul(2) {
            let column = self.random.random_range(0..self.d);
            let known = rows.iter().map(|row| self.numbers[column * self.n + row]);
            let (least, most) = known
                // A frozen threshold is finite: JSON has no infinity.
                .filter(|x| x.is_finite())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)));
            if least < most {
                let threshold = least + self.random.random::<f64>() * (most - least);
                return Some((column, if threshold < most { threshold } else { least }));
            }
        }
        None
    }
}
