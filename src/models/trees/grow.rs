use std::cmp::Ordering;
use std::collections::BinaryHeap;

use kernel::scoring::{Branch, Split};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::bins::{Binned, Bins};
use super::histogram::{self, Bin, Column};
use super::split::{Cut, Found, Node, Rules, Units, best_of_column};

/// How a tree grows.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    pub(super) rules: Rules,
    pub(super) max_leaves: usize,
    pub(super) max_depth: usize,
    /// The columns that the tree may read.
    pub(super) columns: Vec<usize>,
    /// Columns that each split is looked for in, drawn anew; none reads all of the tree.
    pub(super) columns_per_split: Option<usize>,
}

/// What a row says: a whole-number gradient and curvature in one, as [`histogram`] adds it up.
pub(super) struct Rows<'a> {
    pub(super) sums: &'a [Bin],
    pub(super) units: Units,
}

/// A tree over bins that has grown.
pub(super) struct Grown {
    nodes: Vec<GrownNode>,
    /// The leaves: their node, and where their rows are.
    pub(super) leaves: Vec<Leaf>,
    /// The rows, those of a leaf together.
    pub(super) rows: Vec<u32>,
}

/// A leaf, and its rows.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    node: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Between what its value must be.
    pub(super) least: f64,
    pub(super) most: f64,
}

#[derive(Clone, Debug)]
struct GrownNode {
    n_rows: f64,
    decision: Option<Decision>,
    value: f64,
}

#[derive(Clone, Copy, Debug)]
struct Decision {
    column: usize,
    cut: Cut,
    missing_left: bool,
    /// The left child; the right one is the next.
    left: usize,
}

/// A leaf that may be split.
struct Candidate {
    leaf: usize,
    depth: usize,
    found: Found,
    node: Node,
    histogram: Vec<Column>,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    /// The largest gain first, of equal ones the leaf that was there first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.found.gain.total_cmp(&other.found.gain).then(other.leaf.cmp(&self.leaf))
    }
}

struct Grower<'a> {
    binned: &'a Binned,
    growth: &'a Growth,
    said: &'a Rows<'a>,
    random: &'a mut Xoshiro256PlusPlus,
    tree: Grown,
    queue: BinaryHeap<Candidate>,
    /// Room for the rows that go right.
    aside: Vec<u32>,
    /// Histograms that are not in use.
    free: Vec<Vec<Column>>,
}

/// Grows a tree on rows, the leaf of the largest gain first.
pub(super) fn grow(
    binned: &Binned,
    growth: &Growth,
    said: &Rows<'_>,
    rows: Vec<u32>,
    random: &mut Xoshiro256PlusPlus,
) -> Grown {
    let end = rows.len();
    let sum = rows.iter().map(|row| said.sums[*row as usize]).sum();
    let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
    let root = Node { sum, n_rows: count(end), least, most };
    let tree = Grown {
        nodes: vec![GrownNode { n_rows: root.n_rows, decision: None, value: 0.0 }],
        leaves: vec![Leaf { node: 0, start: 0, end, least, most }],
        rows,
    };
    let (queue, aside, free) = (BinaryHeap::new(), Vec::new(), Vec::new());
    let mut grower = Grower { binned, growth, said, random, tree, queue, aside, free };
    let histogram = grower.histogram_of(0, None);
    grower.consider(0, 0, root, histogram);
    while grower.tree.leaves.len() < growth.max_leaves {
        let Some(candidate) = grower.queue.pop() else { break };
        grower.split(candidate);
    }
    grower.tree
}

#[allow(clippy::cast_precision_loss, reason = "fewer than 2^32 rows")]
const fn count(n: usize) -> f64 {
    n as f64
}

impl Grower<'_> {
    /// The histogram of a leaf: added up, or that of its parent less its sibling's.
    fn histogram_of(
        &mut self,
        leaf: usize,
        parent: Option<(Vec<Column>, &[Column])>,
    ) -> Vec<Column> {
        if self.growth.columns_per_split.is_some() {
            return Vec::new();
        }
        if let Some((mut parent, sibling)) = parent {
            for (own, other) in parent.iter_mut().zip(sibling) {
                own.iter_mut().zip(other).for_each(|(own, other)| *own -= other);
            }
            return parent;
        }
        let mut histogram = self.free.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(histogram::padded(self.binned.n_columns), [0; 256]);
        let Leaf { start, end, .. } = self.tree.leaves[leaf];
        let rows = &self.tree.rows[start..end];
        histogram::add_rows(self.binned, rows, self.said.sums, &mut histogram);
        histogram
    }

    /// Looks for the best split of a leaf; it joins the queue if there is one.
    fn consider(&mut self, leaf: usize, depth: usize, node: Node, histogram: Vec<Column>) {
        let is_too_small = node.n_rows < 2.0 * self.growth.rules.min_rows;
        let found = match depth >= self.growth.max_depth || is_too_small {
            true => None,
            false => match self.growth.columns_per_split {
                Some(n) => self.best_of_sample(leaf, &node, n),
                None => self.best(&node, &histogram),
            },
        };
        match found {
            Some(found) => self.queue.push(Candidate { leaf, depth, found, node, histogram }),
            None => self.free.push(histogram),
        }
    }

    fn best(&self, node: &Node, histogram: &[Column]) -> Option<Found> {
        let of_column = |column: &usize| {
            let (bins, sums) = (&self.binned.bins[*column], &histogram[*column]);
            best_of_column(&self.growth.rules, self.said.units, node, *column, bins, sums)
        };
        larger(self.growth.columns.iter().filter_map(of_column))
    }

    /// The best split by some columns, drawn at random; if they have none, by others.
    fn best_of_sample(&mut self, leaf: usize, node: &Node, n: usize) -> Option<Found> {
        let mut columns = self.growth.columns.clone();
        columns.shuffle(self.random);
        let Leaf { start, end, .. } = self.tree.leaves[leaf];
        let rows = &self.tree.rows[start..end];
        for columns in columns.chunks(n.max(1)) {
            let of_column = |column: &usize| {
                let mut sums = [0; 256];
                let bins = self.binned.column(*column);
                histogram::add_column(bins, rows, self.said.sums, &mut sums);
                let (rules, units) = (&self.growth.rules, self.said.units);
                best_of_column(rules, units, node, *column, &self.binned.bins[*column], &sums)
            };
            let best = larger(columns.iter().filter_map(of_column));
            if best.is_some() {
                return best;
            }
        }
        None
    }

    fn split(&mut self, candidate: Candidate) {
        let Candidate { leaf, depth, found, node, histogram } = candidate;
        let Found { column, cut, missing_left, left, .. } = found;
        let Leaf { node: place, start, end, .. } = self.tree.leaves[leaf];
        let middle = self.part(start, end, &found);
        let children = self.tree.nodes.len();
        self.tree.nodes[place].decision =
            Some(Decision { column, cut, missing_left, left: children });
        let (mut left_node, mut right_node) = (
            Node { sum: left, n_rows: count(middle - start), ..node },
            Node { sum: node.sum - left, n_rows: count(end - middle), ..node },
        );
        self.bound(column, &mut left_node, &mut right_node);
        for child in [&left_node, &right_node] {
            let n_rows = child.n_rows;
            self.tree.nodes.push(GrownNode { n_rows, decision: None, value: 0.0 });
        }
        let right_leaf = self.tree.leaves.len();
        let bounds = |node: &Node| (node.least, node.most);
        let (least, most) = bounds(&left_node);
        self.tree.leaves[leaf] = Leaf { node: children, start, end: middle, least, most };
        let (least, most) = bounds(&right_node);
        self.tree.leaves.push(Leaf { node: children + 1, start: middle, end, least, most });
        // The last leaves are not split: nobody reads their histograms.
        if self.tree.leaves.len() >= self.growth.max_leaves || depth + 1 >= self.growth.max_depth {
            self.free.push(histogram);
            return;
        }
        let is_left_smaller = middle - start <= end - middle;
        let (small, large) = if is_left_smaller { (leaf, right_leaf) } else { (right_leaf, leaf) };
        let small_histogram = self.histogram_of(small, None);
        let large_histogram = self.histogram_of(large, Some((histogram, &small_histogram)));
        let (small_node, large_node) =
            if is_left_smaller { (left_node, right_node) } else { (right_node, left_node) };
        self.consider(small, depth + 1, small_node, small_histogram);
        self.consider(large, depth + 1, large_node, large_histogram);
    }

    /// Under a monotone split, values left and right stay on their sides of the middle.
    fn bound(&self, column: usize, left: &mut Node, right: &mut Node) {
        let direction = self.growth.rules.monotone.get(column).copied().unwrap_or(0);
        if direction == 0 {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "less than 2^31")]
        let value = |node: &Node| {
            let g = histogram::gradient(node.sum) as f64 * self.said.units.gradient;
            let h = histogram::curvature(node.sum) as f64 * self.said.units.curvature;
            (-g / (h + self.growth.rules.lambda).max(f64::MIN_POSITIVE))
                .clamp(node.least, node.most)
        };
        let middle = f64::midpoint(value(left), value(right));
        if direction > 0 {
            (left.most, right.least) = (middle, middle);
        } else {
            (left.least, right.most) = (middle, middle);
        }
    }

    /// Moves the rows that go left before those that go right, each in their order; the place between.
    fn part(&mut self, start: usize, end: usize, found: &Found) -> usize {
        let goes_left = goes_left(&self.binned.bins[found.column], found.cut, found.missing_left);
        let bins = self.binned.column(found.column);
        let rows = &mut self.tree.rows[start..end];
        self.aside.resize(self.aside.len().max(rows.len()), 0);
        let (mut left, mut right) = (0, 0);
        for at in 0..rows.len() {
            let row = rows[at];
            let is_left = goes_left[usize::from(bins[row as usize])];
            // Both are written, and one of the places moves on: no branch has to be foreseen.
            rows[left] = row;
            self.aside[right] = row;
            left += usize::from(is_left);
            right += usize::from(!is_left);
        }
        rows[left..].copy_from_slice(&self.aside[..right]);
        start + left
    }
}

/// The split of the largest gain, the first of equal ones.
fn larger(found: impl Iterator<Item = Found>) -> Option<Found> {
    found.fold(None, |best: Option<Found>, next| match best {
        Some(best) if best.gain >= next.gain => Some(best),
        _ => Some(next),
    })
}

/// Whether each bin goes left.
fn goes_left(bins: &Bins, cut: Cut, missing_left: bool) -> [bool; 256] {
    let missing = bins.missing();
    std::array::from_fn(|bin| match cut {
        _ if bin == missing => missing_left,
        Cut::At(last) => bin <= usize::from(last),
        Cut::Set(set) => set[bin / 64] >> (bin % 64) & 1 == 1,
    })
}

impl Grown {
    /// Sets the value of a leaf.
    pub(super) fn set_value(&mut self, leaf: usize, value: f64) {
        let Leaf { node, least, most, .. } = self.leaves[leaf];
        self.nodes[node].value = value.clamp(least, most);
    }

    /// The value of a leaf.
    pub(super) fn value(&self, leaf: usize) -> f64 {
        self.nodes[self.leaves[leaf].node].value
    }

    /// The rows of a leaf.
    pub(super) fn rows_of(&self, leaf: usize) -> &[u32] {
        let Leaf { start, end, .. } = self.leaves[leaf];
        &self.rows[start..end]
    }

    /// The value of a row that the tree did not grow on.
    pub(super) fn value_of_row(&self, binned: &Binned, row: usize) -> f64 {
        let mut node = &self.nodes[0];
        while let Some(decision) = &node.decision {
            let bin = binned.bin(row, decision.column);
            let is_missing = usize::from(bin) == binned.bins[decision.column].missing();
            let is_left = match decision.cut {
                _ if is_missing => decision.missing_left,
                Cut::At(last) => bin <= last,
                Cut::Set(set) => set[usize::from(bin) / 64] >> (bin % 64) & 1 == 1,
            };
            node = &self.nodes[decision.left + usize::from(!is_left)];
        }
        node.value
    }

    /// The tree over numbers, as it is frozen.
    pub(super) fn branches(&self, binned: &Binned) -> Vec<Branch> {
        let branch = |node: &GrownNode| match &node.decision {
            None => Branch::Leaf { value: node.value, cover: node.n_rows },
            Some(Decision { column, cut, missing_left, left }) => Branch::Split {
                column: *column,
                split: match (cut, &binned.bins[*column]) {
                    (Cut::At(bin), Bins::Numbers { thresholds }) => {
                        // After the last bin are the missing numbers only.
                        let threshold = thresholds.get(usize::from(*bin)).copied();
                        Split::Number { threshold: threshold.unwrap_or(f64::MAX) }
                    }
                    (Cut::At(bin), Bins::Categories { .. }) => {
                        Split::Number { threshold: f64::from(*bin) }
                    }
                    (Cut::Set(left), _) => Split::Categories { left: *left },
                },
                missing_left: *missing_left,
                cover: node.n_rows,
                children: (*left, left + 1),
            },
        };
        self.nodes.iter().map(branch).collect()
    }
}

/// Draws some of the columns, in order.
pub(super) fn draw_columns(n: usize, share: f64, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a number of columns"
    )]
    let wanted = ((n as f64 * share).ceil() as usize).clamp(1.min(n), n);
    let mut columns: Vec<usize> = (0..n).collect();
    for at in 0..wanted.min(n.saturating_sub(1)) {
        let other = random.random_range(at..n);
        columns.swap(at, other);
    }
    columns.truncate(wanted);
    columns.sort_unstable();
    columns
}
