use serde::{Deserialize, Serialize};

use super::Shares;
use super::trees_file::TreesFile;
use super::walk::Walk;

/// Maximum number of nodes of all trees of a model.
pub const MAX_NODES: usize = 1 << 21;
/// Maximum number of splits between a root and a leaf: explanations recurse that deep.
pub const MAX_TREE_DEPTH: usize = 512;
/// Maximum number of outputs of a model of trees, one for each class.
pub const MAX_OUTPUTS: usize = 1_000;
/// Maximum number of columns that trees read.
pub const MAX_COLUMNS: usize = 65_536;

/// Trees that are added up: boosted trees, random forests, isolation forests and single trees.
///
/// Nodes of all trees are in one array, the two children of a node beside each other, and once more in the
/// order in which many trees are walked at once (`super::walk`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TreesFile", into = "TreesFile")]
pub struct Trees {
    pub(super) nodes: Vec<Node>,
    /// The first node of each tree.
    pub(super) roots: Vec<u32>,
    /// Training rows, or their weight, that reached each node; for explanations.
    pub(super) covers: Vec<f32>,
    /// The categories that go left, as bits, of splits by category.
    pub(super) sets: Vec<[u64; 4]>,
    /// What is added to the trees of each output. A tree `t` belongs to output `t % base.len()`.
    pub(super) base: Vec<f64>,
    pub(super) link: Link,
    pub(super) classes: Vec<String>,
    pub(super) width: usize,
    pub(super) walk: Walk,
}

/// What the sum of trees becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The sum itself.
    Identity,
    /// The sum, which is a share: kept from 0 to 1, where rounding may lead beyond.
    Share,
    /// `1 / (1 + exp(-sum))`.
    Logistic,
    /// `exp(sum)`.
    Exponential,
    /// `exp(sum_k) / sum_j exp(sum_j)`, one sum a class.
    Softmax,
    /// One sum a class that is a share already; divided by their total.
    Shares,
    /// `2^(-sum)`: the sum is a mean path length over what is usual (Liu, Ting and Zhou 2008).
    Isolation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// The split of a number: `x <= value` goes left; the set of a split by category; what a leaf adds.
    pub(super) value: f64,
    /// The left child; the right one is the next. A leaf is its own left child.
    pub(super) child: u32,
    pub(super) column: u16,
    pub(super) kind: u16,
}

const NOTHING: Node = Node { value: 0.0, child: 0, column: 0, kind: LEAF };

pub(super) const LEAF: u16 = 0;
/// A number; missing goes left, or right.
pub(super) const NUMBER_LEFT: u16 = 1;
pub(super) const NUMBER_RIGHT: u16 = 2;
/// A category; missing and unseen ones go left, or right.
pub(super) const SET_LEFT: u16 = 3;
pub(super) const SET_RIGHT: u16 = 4;

/// How a node decides.
pub(super) struct Decision {
    /// The split of a number, `x <= value` goes left; or the place of a set.
    pub(super) value: f64,
    pub(super) column: u16,
    pub(super) missing_right: bool,
    pub(super) is_set: bool,
    /// The left child; the right one is the next.
    pub(super) left: u32,
}

/// How a node of a tree that is being built decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// `x <= threshold` goes left.
    Number {
        /// The threshold.
        threshold: f64,
    },
    /// A category goes left if its bit is set; categories are numbered from 0 and there are up to 256.
    Categories {
        /// The bits.
        left: [u64; 4],
    },
}

/// A node of a tree that is being built.
#[derive(Clone, Debug, PartialEq)]
pub enum Branch {
    /// Where a row ends.
    Leaf {
        /// What it adds.
        value: f64,
        /// Training rows that ended here, or their weight.
        cover: f64,
    },
    /// Where rows part.
    Split {
        /// The column that is read.
        column: usize,
        /// How it decides.
        split: Split,
        /// Whether a missing value goes left.
        missing_left: bool,
        /// Training rows that came by, or their weight.
        cover: f64,
        /// Places of the children among the branches.
        children: (usize, usize),
    },
}

impl Trees {
    /// Trees without a tree: the sum is `base`, one number an output.
    #[must_use]
    pub fn new(width: usize, base: Vec<f64>, link: Link, classes: Vec<String>) -> Self {
        Self {
            nodes: Vec::new(),
            roots: Vec::new(),
            covers: Vec::new(),
            sets: Vec::new(),
            base,
            link,
            classes,
            width,
            walk: Walk::default(),
        }
    }

    /// Adds a tree, whose root is the first branch. Trees of several outputs are added in turn.
    ///
    /// # Errors
    /// The branches are not a tree in which every branch has one parent, or a limit is exceeded
    /// ([`MAX_NODES`], [`MAX_TREE_DEPTH`], [`MAX_COLUMNS`]).
    pub fn push(&mut self, branches: &[Branch]) -> Result<(), String> {
        if self.nodes.len() + branches.len() > MAX_NODES {
            return Err(format!("the trees have more than {MAX_NODES} nodes"));
        }
        is_a_tree(branches)?;
        let too_large = |_| format!("the trees read more than {MAX_COLUMNS} columns");
        let root = u32::try_from(self.nodes.len()).map_err(too_large)?;
        self.roots.push(root);
        // Breadth first, so that children are neighbors and the first levels are close together.
        let mut queue = std::collections::VecDeque::from([(0, self.push_empty())]);
        while let Some((place, at)) = queue.pop_front() {
            let Some(branch) = branches.get(place) else {
                return Err("a tree has a child that is not there".to_owned());
            };
            match branch {
                Branch::Leaf { value, cover } => {
                    let child = u32::try_from(at).map_err(too_large)?;
                    self.nodes[at] = Node { value: *value, child, ..NOTHING };
                    self.covers[at] = single(*cover);
                }
                Branch::Split { column, split, missing_left, cover, children } => {
                    let left = self.push_empty();
                    let right = self.push_empty();
                    let (value, kinds) = match split {
                        Split::Number { threshold } => (*threshold, [NUMBER_LEFT, NUMBER_RIGHT]),
                        Split::Categories { left } => {
                            self.sets.push(*left);
                            let set = u32::try_from(self.sets.len() - 1).map_err(too_large)?;
                            (f64::from(set), [SET_LEFT, SET_RIGHT])
                        }
                    };
                    self.nodes[at] = Node {
                        value,
                        child: u32::try_from(left).map_err(too_large)?,
                        column: u16::try_from(*column).map_err(too_large)?,
                        kind: kinds[usize::from(!missing_left)],
                    };
                    self.covers[at] = single(*cover);
                    queue.push_back((children.0, left));
                    queue.push_back((children.1, right));
                }
            }
        }
        self.add_to_walk(self.roots.len() - 1);
        Ok(())
    }

    fn add_to_walk(&mut self, tree: usize) {
        let mut walk = std::mem::take(&mut self.walk);
        walk.push(self, self.roots[tree], self.end(tree));
        self.walk = walk;
    }

    /// The node after the last of a tree.
    fn end(&self, tree: usize) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "roots are of 32 bits")]
        let last = self.nodes.len() as u32;
        self.roots.get(tree + 1).copied().unwrap_or(last)
    }

    pub(super) fn lay_out(&mut self) {
        self.walk = Walk::default();
        (0..self.roots.len()).for_each(|tree| self.add_to_walk(tree));
    }

    fn push_empty(&mut self) -> usize {
        self.nodes.push(NOTHING);
        self.covers.push(0.0);
        self.nodes.len() - 1
    }

    /// The number of columns that it reads.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// What the sums become.
    #[must_use]
    pub const fn link(&self) -> Link {
        self.link
    }

    /// What is added to the trees of each output.
    #[must_use]
    pub fn base(&self) -> &[f64] {
        &self.base
    }

    /// The classes, one an output; none where there is one output.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Keeps the first trees only, as many as there were after some rounds of all outputs.
    pub fn truncate(&mut self, rounds: usize) {
        let keep = rounds.saturating_mul(self.base.len());
        if let Some(end) = self.roots.get(keep).map(|root| *root as usize) {
            self.roots.truncate(keep);
            self.nodes.truncate(end);
            self.covers.truncate(end);
            self.lay_out();
        }
    }

    /// The sum of the trees of an output, with its base.
    #[must_use]
    pub fn sum(&self, output: usize, row: &[f64]) -> f64 {
        let base = self.base.get(output).copied().unwrap_or(0.0);
        if (self.width..=Walk::MOST_COLUMNS).contains(&row.len()) {
            return base + self.walk.sum(self, output, row);
        }
        let own = self.roots.iter().skip(output).step_by(self.base.len().max(1));
        own.fold(base, |sum, root| sum + self.leaf(*root, row))
    }

    fn leaf(&self, root: u32, row: &[f64]) -> f64 {
        let mut at = root;
        loop {
            let next = self.step(at, row);
            if next == at {
                return self.value(at);
            }
            at = next;
        }
    }

    /// The node after a node; a leaf is after itself.
    fn step(&self, at: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[at as usize];
        // A column that is not there is missing.
        let x = row.get(usize::from(node.column)).copied().unwrap_or(f64::NAN);
        let goes_right = match node.kind {
            LEAF => false,
            NUMBER_LEFT => x > node.value,
            NUMBER_RIGHT => x > node.value || x.is_nan(),
            kind => self.is_right_of_set(node.value, x, kind == SET_RIGHT),
        };
        node.child + u32::from(goes_right)
    }

    pub(super) fn is_right_of_set(&self, set: f64, x: f64, missing_right: bool) -> bool {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast saturates, and is then looked up"
        )]
        let set = self.sets.get(set as usize).copied().unwrap_or_default();
        // Like LightGBM: a number between -1 and 0 is cut to category 0.
        if !(x > -1.0 && x < 256.0) {
            return missing_right;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let category = x as usize;
        set[category / 64] >> (category % 64) & 1 == 0
    }

    /// The score of a row: of one output the value, of several the largest share.
    #[must_use]
    pub fn score(&self, row: &[f64]) -> f64 {
        match self.link {
            Link::Identity => self.sum(0, row),
            Link::Share => self.sum(0, row).clamp(0.0, 1.0),
            Link::Logistic => super::logistic(self.sum(0, row)),
            Link::Exponential => self.sum(0, row).exp(),
            Link::Isolation => (-self.sum(0, row)).exp2(),
            Link::Softmax | Link::Shares => self.shares(row).into_iter().fold(0.0, f64::max),
        }
    }

    /// The share of each class; of one output nothing.
    #[must_use]
    pub fn shares(&self, row: &[f64]) -> Shares {
        let sums = (0..self.base.len()).map(|output| self.sum(output, row));
        match self.link {
            Link::Softmax => super::softmax(sums.collect()),
            Link::Shares => {
                let sums: Shares = sums.collect();
                let total: f64 = sums.iter().sum();
                sums.into_iter().map(|sum| if total > 0.0 { sum / total } else { 0.0 }).collect()
            }
            _ => Shares::new(),
        }
    }

    /// What each column adds to the sum of an output, against the mean training row: exact Shapley values
    /// of the trees (`super::shap`).
    #[must_use]
    pub fn contributions(&self, output: usize, row: &[f64]) -> Vec<f64> {
        let mut contributions = vec![0.0; self.width];
        let n_outputs = self.base.len().max(1);
        for root in self.roots.iter().skip(output).step_by(n_outputs) {
            super::shap::add_contributions(self, *root, row, &mut contributions);
        }
        contributions
    }

    /// The mean over training rows of the sum of an output.
    #[must_use]
    pub fn expected(&self, output: usize) -> f64 {
        let n_outputs = self.base.len().max(1);
        let own = self.roots.iter().skip(output).step_by(n_outputs);
        let base = self.base.get(output).copied().unwrap_or(0.0);
        own.fold(base, |sum, root| sum + self.mean_below(*root))
    }

    fn mean_below(&self, at: u32) -> f64 {
        match self.children(at) {
            None => self.value(at),
            Some((left, right)) => {
                let (l, r) = (self.cover(left), self.cover(right));
                match l + r > 0.0 {
                    true => (l * self.mean_below(left) + r * self.mean_below(right)) / (l + r),
                    false => 0.0,
                }
            }
        }
    }

    /// How a node decides; nothing for a leaf.
    pub(super) fn decision(&self, at: u32) -> Option<Decision> {
        let Node { value, child, column, kind } = self.nodes[at as usize];
        (kind != LEAF).then_some(Decision {
            value,
            column,
            missing_right: matches!(kind, NUMBER_RIGHT | SET_RIGHT),
            is_set: matches!(kind, SET_LEFT | SET_RIGHT),
            left: child,
        })
    }

    pub(super) fn children(&self, at: u32) -> Option<(u32, u32)> {
        let node = &self.nodes[at as usize];
        (node.kind != LEAF).then_some((node.child, node.child + 1))
    }

    pub(super) fn value(&self, at: u32) -> f64 {
        self.nodes[at as usize].value
    }

    pub(super) fn cover(&self, at: u32) -> f64 {
        f64::from(self.covers[at as usize])
    }

    pub(super) fn column(&self, at: u32) -> usize {
        usize::from(self.nodes[at as usize].column)
    }

    pub(super) fn next(&self, at: u32, row: &[f64]) -> u32 {
        self.step(at, row)
    }

    /// How much of all splits' cover each column has: what the trees read most.
    #[must_use]
    pub fn usage(&self) -> Vec<f64> {
        let mut usage = vec![0.0; self.width];
        for (node, cover) in self.nodes.iter().zip(&self.covers) {
            if let (true, Some(usage)) =
                (node.kind != LEAF, usage.get_mut(usize::from(node.column)))
            {
                *usage += f64::from(*cover);
            }
        }
        usage
    }

    /// The trees as branches again, each with its root first; for export.
    #[must_use]
    pub fn branches(&self) -> Vec<Vec<Branch>> {
        let ends = self.roots.iter().skip(1).map(|root| *root as usize).chain([self.nodes.len()]);
        let trees = self.roots.iter().map(|root| *root as usize).zip(ends);
        trees.map(|(start, end)| (start..end).map(|at| self.branch(at, start)).collect()).collect()
    }

    fn branch(&self, at: usize, start: usize) -> Branch {
        let (node, cover) = (self.nodes[at], f64::from(self.covers[at]));
        let split = match node.kind {
            LEAF => return Branch::Leaf { value: node.value, cover },
            NUMBER_LEFT | NUMBER_RIGHT => Split::Number { threshold: node.value },
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place in the sets"
            )]
            _ => Split::Categories { left: self.sets[node.value as usize] },
        };
        let left = node.child as usize - start;
        Branch::Split {
            column: usize::from(node.column),
            split,
            missing_left: matches!(node.kind, NUMBER_LEFT | SET_LEFT),
            cover,
            children: (left, left + 1),
        }
    }
}

/// Whether every branch but the first is the child of exactly one other, reached from the first, and no branch
/// is too deep.
fn is_a_tree(branches: &[Branch]) -> Result<(), String> {
    let mut is_seen = vec![false; branches.len()];
    let mut queue = std::collections::VecDeque::from([(0, 0)]);
    while let Some((place, depth)) = queue.pop_front() {
        let (Some(branch), Some(seen)) = (branches.get(place), is_seen.get_mut(place)) else {
            return Err(format!("a node leads to {place}, which is no node of the tree"));
        };
        if std::mem::replace(seen, true) {
            return Err(format!(
                "node {place} is reached twice: it has two parents, or is in a circle"
            ));
        }
        if depth > MAX_TREE_DEPTH {
            return Err(format!("a tree is deeper than {MAX_TREE_DEPTH} splits"));
        }
        if let Branch::Split { children: (left, right), .. } = branch {
            queue.push_back((*left, depth + 1));
            queue.push_back((*right, depth + 1));
        }
    }
    match is_seen.iter().position(|seen| !seen) {
        Some(place) => Err(format!("node {place} cannot be reached from the root of its tree")),
        None => Ok(()),
    }
}

/// Covers need few digits.
#[allow(clippy::cast_possible_truncation, reason = "a count of rows for explanations")]
const fn single(cover: f64) -> f32 {
    cover as f32
}
