use serde::{Deserialize, Serialize};

use super::Shares;
use super::walk::Walk;

/// Trees that are added up: boosted trees, random forests, isolation forests and single trees.
///
/// Nodes of all trees are in one array, the two children of a node beside each other, and once more in the
/// order in which many trees are walked at once (`super::walk`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TreesFile", into = "TreesFile")]
pub struct Trees {
    nodes: Vec<Node>,
    /// The first node of each tree.
    roots: Vec<u32>,
    /// Training rows, or their weight, that reached each node; for explanations.
    covers: Vec<f32>,
    /// The categories that go left, as bits, of splits by category.
    sets: Vec<[u64; 4]>,
    /// What is added to the trees of each output. A tree `t` belongs to output `t % base.len()`.
    base: Vec<f64>,
    link: Link,
    classes: Vec<String>,
    width: usize,
    walk: Walk,
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
struct Node {
    /// The split of a number: `x <= value` goes left; the set of a split by category; what a leaf adds.
    value: f64,
    /// The left child; the right one is the next. A leaf is its own left child.
    child: u32,
    column: u16,
    kind: u16,
}

const NOTHING: Node = Node { value: 0.0, child: 0, column: 0, kind: LEAF };

const LEAF: u16 = 0;
/// A number; missing goes left, or right.
const NUMBER_LEFT: u16 = 1;
const NUMBER_RIGHT: u16 = 2;
/// A category; missing and unseen ones go left, or right.
const SET_LEFT: u16 = 3;
const SET_RIGHT: u16 = 4;
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
    /// It has too many nodes or columns for the format.
    pub fn push(&mut self, branches: &[Branch]) -> Result<(), String> {
        let too_large = |_| "the trees have more nodes or columns than fit".to_owned();
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

    fn lay_out(&mut self) {
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
        if !(0.0..256.0).contains(&x) {
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

/// Covers need few digits.
#[allow(clippy::cast_possible_truncation, reason = "a count of rows for explanations")]
const fn single(cover: f64) -> f32 {
    cover as f32
}

/// Trees as they are in a file: an array a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TreesFile {
    width: usize,
    link: Link,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
    base: Vec<f64>,
    roots: Vec<u32>,
    kinds: Vec<u16>,
    columns: Vec<u16>,
    values: Vec<f64>,
    children: Vec<u32>,
    covers: Vec<f32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sets: Vec<[u64; 4]>,
}

impl From<Trees> for TreesFile {
    fn from(trees: Trees) -> Self {
        let nodes = || trees.nodes.iter();
        Self {
            kinds: nodes().map(|node| node.kind).collect(),
            columns: nodes().map(|node| node.column).collect(),
            values: nodes().map(|node| node.value).collect(),
            children: nodes().map(|node| node.child).collect(),
            width: trees.width,
            link: trees.link,
            classes: trees.classes,
            base: trees.base,
            roots: trees.roots,
            covers: trees.covers,
            sets: trees.sets,
        }
    }
}

impl TryFrom<TreesFile> for Trees {
    type Error = String;

    /// Checks that every walk ends: a child is after its parent, within the tree.
    fn try_from(file: TreesFile) -> Result<Self, String> {
        let n = file.kinds.len();
        let same = [file.columns.len(), file.values.len(), file.children.len(), file.covers.len()];
        if same.iter().any(|length| *length != n) {
            return Err("the arrays of the trees have different lengths".to_owned());
        }
        if file.base.is_empty() || (file.base.len() > 1 && file.classes.len() != file.base.len()) {
            return Err(
                "the trees need a base for each output, and a class for each of many".into()
            );
        }
        if !file.roots.len().is_multiple_of(file.base.len()) {
            return Err("the outputs have different numbers of trees".to_owned());
        }
        let is_in_order = file.roots.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_in_order || file.roots.first().is_some_and(|root| *root != 0) {
            return Err("the roots of the trees are not in order".to_owned());
        }
        let mut nodes = Vec::with_capacity(n);
        let ends = file.roots.iter().skip(1).copied().map(|end| end as usize).chain([n]);
        for (root, end) in file.roots.iter().map(|root| *root as usize).zip(ends) {
            if end > n || root >= n {
                return Err("a tree has no node".to_owned());
            }
            for at in root..end {
                let (kind, value, child) = (file.kinds[at], file.values[at], file.children[at]);
                let is_ahead = child as usize > at && (child as usize) + 1 < end;
                let column = file.columns[at];
                #[allow(clippy::cast_precision_loss, reason = "a number of sets")]
                let is_fit = match kind {
                    LEAF => child as usize == at && value.is_finite(),
                    NUMBER_LEFT | NUMBER_RIGHT => is_ahead && !value.is_nan(),
                    SET_LEFT | SET_RIGHT => {
                        is_ahead && value >= 0.0 && value < file.sets.len() as f64
                    }
                    _ => false,
                };
                let is_known = usize::from(column) < file.width;
                if !is_fit || (kind != LEAF && !is_known) {
                    return Err(format!("node {at} of the trees makes no sense"));
                }
                nodes.push(Node { value, child, column, kind });
            }
        }
        if nodes.len() != n {
            return Err("the trees have nodes without a root".to_owned());
        }
        let mut trees = Self {
            nodes,
            roots: file.roots,
            covers: file.covers,
            sets: file.sets,
            base: file.base,
            link: file.link,
            classes: file.classes,
            width: file.width,
            walk: Walk::default(),
        };
        trees.lay_out();
        Ok(trees)
    }
}
