use std::collections::HashMap;

use kernel::scoring::{Branch, MAX_NODES, MAX_OUTPUTS, Split};

use super::attributes::Attributes;
use super::column::Column;
use super::refused;
use crate::Result;

/// The trees of an ONNX file for each of their outputs, as sums of leaves.
pub(super) struct Ensemble {
    pub(super) n_outputs: usize,
    /// Added to the sum of each output.
    pub(super) base: Vec<f64>,
    /// Trees; each for one output after the other.
    pub(super) trees: Vec<Vec<Branch>>,
    /// Whether the values of every leaf over all outputs are shares: 0 or more, and 1 together.
    pub(super) has_shares: bool,
}

/// A place in the lists of the file.
type Key = (usize, usize);

/// The lists of a `TreeEnsembleRegressor` or `TreeEnsembleClassifier`.
struct Lists {
    tree_ids: Vec<usize>,
    node_ids: Vec<usize>,
    columns: Vec<usize>,
    left: Vec<usize>,
    right: Vec<usize>,
    values: Vec<f64>,
    modes: Vec<String>,
    missing: Vec<usize>,
    hits: Vec<f64>,
    place: HashMap<Key, usize>,
    leaves: HashMap<Key, Vec<(usize, f64)>>,
    n_trees: usize,
}

impl Ensemble {
    /// Reads trees whose columns are `columns`. `of` is the prefix of the attributes of leaves; `n_outputs` is
    /// the number of targets or classes in the file.
    ///
    /// # Errors
    /// The lists do not fit each other, or a split or an aggregation is not supported.
    pub(super) fn new(
        attributes: &Attributes<'_>,
        of: &str,
        n_outputs: usize,
        columns: &[Column],
    ) -> Result<Self> {
        if n_outputs > MAX_OUTPUTS {
            return Err(refused(format!("the model has more than {MAX_OUTPUTS} outputs")));
        }
        let lists = Lists::new(attributes, of, n_outputs)?;
        #[allow(clippy::cast_precision_loss, reason = "a number of trees")]
        let n_trees = lists.n_trees.max(1) as f64;
        let scale = match attributes.text("aggregate_function", "SUM").as_str() {
            "SUM" => 1.0,
            "AVERAGE" => 1.0 / n_trees,
            other => return Err(attributes.unsupported("aggregate_function", other)),
        };
        let base = attributes.numbers("base_values")?;
        let has_shares = base.is_empty() && lists.has_shares(scale * n_trees);
        let mut trees = Vec::new();
        let mut start = 0;
        while start < lists.tree_ids.len() {
            let tree = lists.tree_ids[start];
            let n = lists.tree_ids[start..].iter().take_while(|id| **id == tree).count();
            if (trees.len() + n_outputs).saturating_mul(n) > MAX_NODES {
                return Err(refused(format!("the trees have more than {MAX_NODES} nodes")));
            }
            for output in 0..n_outputs {
                let branch = |at| lists.branch(at, start, output, scale, columns);
                trees.push((start..start + n).map(branch).collect::<Result<_>>()?);
            }
            start += n;
        }
        Ok(Self { n_outputs, base, trees, has_shares })
    }
}

impl Lists {
    fn new(attributes: &Attributes<'_>, of: &str, n_outputs: usize) -> Result<Self> {
        let list = |name: &str| attributes.places(&format!("nodes_{name}"));
        let (tree_ids, node_ids) = (list("treeids")?, list("nodeids")?);
        let n = tree_ids.len();
        if n > MAX_NODES {
            return Err(refused(format!("the trees have more than {MAX_NODES} nodes")));
        }
        let mut place = HashMap::with_capacity(n);
        let mut n_trees = 0;
        for at in 0..n {
            let key = (tree_ids[at], node_ids.get(at).copied().unwrap_or(usize::MAX));
            if place.insert(key, at).is_some() {
                return Err(refused(format!("tree {} has two nodes {}", key.0, key.1)));
            }
            n_trees += usize::from(at == 0 || tree_ids[at - 1] != key.0);
        }
        let distinct: std::collections::BTreeSet<usize> = tree_ids.iter().copied().collect();
        if distinct.len() != n_trees {
            return Err(refused("the nodes of a tree ('nodes_treeids') are not beside each other"));
        }
        let leaf = |name: &str| attributes.places(&format!("{of}_{name}"));
        let (leaf_trees, leaf_nodes, ids) = (leaf("treeids")?, leaf("nodeids")?, leaf("ids")?);
        let weights = attributes.numbers(&format!("{of}_weights"))?;
        let lengths = [leaf_trees.len(), leaf_nodes.len(), ids.len()];
        if lengths.iter().any(|length| *length != weights.len()) {
            return Err(refused(format!("the lists '{of}_…' have different lengths")));
        }
        let mut leaves: HashMap<Key, Vec<(usize, f64)>> = HashMap::new();
        for (at, weight) in weights.iter().enumerate() {
            let key = (leaf_trees[at], leaf_nodes[at]);
            if ids[at] >= n_outputs {
                return Err(refused(format!("'{of}_ids' has {}, of {n_outputs} outputs", ids[at])));
            }
            if !place.contains_key(&key) {
                return Err(refused(format!("tree {} has no node {} for a leaf", key.0, key.1)));
            }
            leaves.entry(key).or_default().push((ids[at], *weight));
        }
        let lists = Self {
            columns: list("featureids")?,
            left: list("truenodeids")?,
            right: list("falsenodeids")?,
            values: attributes.numbers("nodes_values")?,
            modes: attributes.texts("nodes_modes"),
            missing: list("missing_value_tracks_true")?,
            hits: attributes.numbers("nodes_hitrates")?,
            tree_ids,
            node_ids,
            place,
            leaves,
            n_trees,
        };
        let wanted = [
            lists.node_ids.len(),
            lists.columns.len(),
            lists.left.len(),
            lists.right.len(),
            lists.values.len(),
            lists.modes.len(),
        ];
        let is_empty_or_n = |length| length == 0 || length == n;
        let fits = wanted.iter().all(|length| *length == n)
            && is_empty_or_n(lists.missing.len())
            && is_empty_or_n(lists.hits.len());
        if !fits {
            return Err(refused("the lists 'nodes_…' have different lengths"));
        }
        Ok(lists)
    }

    /// Whether each leaf has shares, which are `total` over all trees.
    fn has_shares(&self, total: f64) -> bool {
        const TOLERANCE: f64 = 1e-3;
        let is_leaf = |at: &usize| self.modes[*at] == "LEAF";
        (0..self.modes.len()).filter(is_leaf).all(|at| {
            let own = self.leaves.get(&(self.tree_ids[at], self.node_ids[at]));
            let own = own.map(Vec::as_slice).unwrap_or_default();
            let sum: f64 = own.iter().map(|(_, weight)| weight).sum();
            own.iter().all(|(_, weight)| *weight >= 0.0) && (sum * total - 1.0).abs() < TOLERANCE
        })
    }

    fn branch(
        &self,
        at: usize,
        start: usize,
        output: usize,
        scale: f64,
        columns: &[Column],
    ) -> Result<Branch> {
        let (tree, node) = (self.tree_ids[at], self.node_ids[at]);
        let cover = self.hits.get(at).copied().unwrap_or(1.0);
        let mode = self.modes[at].as_str();
        if mode == "LEAF" {
            let own = self.leaves.get(&(tree, node)).map(Vec::as_slice).unwrap_or_default();
            let own = own.iter().filter(|(id, _)| *id == output);
            let value = own.map(|(_, weight)| weight).sum::<f64>() * scale;
            return Ok(Branch::Leaf { value, cover });
        }
        if self.leaves.contains_key(&(tree, node)) {
            return Err(refused(format!("node {node} of tree {tree} is both a split and a leaf")));
        }
        let column = self.columns[at];
        let Some(read) = columns.get(column) else {
            let n = columns.len();
            return Err(refused(format!("tree {tree} reads column {column} of {n}")));
        };
        let value = self.values[at];
        if value.is_nan() {
            return Err(refused(format!("node {node} of tree {tree} has no threshold")));
        }
        let holds: Box<dyn Fn(f64) -> bool> = match mode {
            "BRANCH_LEQ" => Box::new(move |x| x <= value),
            "BRANCH_LT" => Box::new(move |x| x < value),
            "BRANCH_GTE" => Box::new(move |x| x >= value),
            "BRANCH_GT" => Box::new(move |x| x > value),
            other => {
                return Err(refused(format!("the split '{other}' (nodes_modes) is not supported")));
            }
        };
        let boundary = read.boundary(&holds);
        let missing = read.apply(f64::NAN);
        let missing_holds = match missing.is_nan() {
            true => self.missing.get(at).is_some_and(|tracks_true| *tracks_true != 0),
            false => holds(missing),
        };
        let child = |node: usize| match self.place.get(&(tree, node)) {
            Some(place) => Ok(place - start),
            None => Err(refused(format!("tree {tree} has no node {node}"))),
        };
        let (on_true, on_false) = (child(self.left[at])?, child(self.right[at])?);
        let children = if boundary.holds_below { (on_true, on_false) } else { (on_false, on_true) };
        Ok(Branch::Split {
            column: read.input,
            split: Split::Number { threshold: boundary.threshold },
            missing_left: missing_holds == boundary.holds_below,
            cover,
            children,
        })
    }
}
