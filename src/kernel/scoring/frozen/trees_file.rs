//! Trees as they are written in a function file, and the check that every walk through them ends.

use serde::{Deserialize, Serialize};

use super::trees::{
    LEAF, Link, MAX_COLUMNS, MAX_NODES, MAX_OUTPUTS, MAX_TREE_DEPTH, NUMBER_LEFT, NUMBER_RIGHT,
    Node, SET_LEFT, SET_RIGHT, Trees,
};
use super::walk::Walk;

/// Trees as they are in a file: an array a field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TreesFile {
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

    fn try_from(file: TreesFile) -> Result<Self, String> {
        let n = file.kinds.len();
        let same = [file.columns.len(), file.values.len(), file.children.len(), file.covers.len()];
        if same.iter().any(|length| *length != n) {
            return Err("the arrays of the trees have different lengths".to_owned());
        }
        let node = |at| Node {
            value: file.values[at],
            child: file.children[at],
            column: file.columns[at],
            kind: file.kinds[at],
        };
        let mut trees = Self {
            nodes: (0..n).map(node).collect(),
            roots: file.roots,
            covers: file.covers,
            sets: file.sets,
            base: file.base,
            link: file.link,
            classes: file.classes,
            width: file.width,
            walk: Walk::default(),
        };
        trees.check()?;
        trees.lay_out();
        Ok(trees)
    }
}

impl Trees {
    /// Checks limits, numbers and structure: every node but a root has one parent before it, within its tree, so
    /// that every walk ends and every recursion is at most [`MAX_TREE_DEPTH`] deep.
    ///
    /// # Errors
    /// The first part that does not fit, with the place of its node.
    pub fn check(&self) -> Result<(), String> {
        let n = self.nodes.len();
        if n > MAX_NODES {
            return Err(format!("the trees have more than {MAX_NODES} nodes"));
        }
        if self.width > MAX_COLUMNS {
            return Err(format!("the model has more than {MAX_COLUMNS} columns"));
        }
        if self.base.len() > MAX_OUTPUTS {
            return Err(format!("the model has more than {MAX_OUTPUTS} outputs"));
        }
        super::are_finite("base values", self.base.iter())?;
        if self.base.is_empty() || (self.base.len() > 1 && self.classes.len() != self.base.len()) {
            return Err(
                "the trees need a base for each output, and a class for each of many".into()
            );
        }
        if !self.roots.len().is_multiple_of(self.base.len()) {
            return Err("the outputs have different numbers of trees".to_owned());
        }
        let is_in_order = self.roots.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_in_order || self.roots.first().is_some_and(|root| *root != 0) {
            return Err("the roots of the trees are not in order".to_owned());
        }
        if self.roots.is_empty() && n > 0 {
            return Err("the trees have nodes without a root".to_owned());
        }
        let ends = self.roots.iter().skip(1).map(|end| *end as usize).chain([n]);
        for (root, end) in self.roots.iter().map(|root| *root as usize).zip(ends) {
            if end > n || root >= n {
                return Err("a tree has no node".to_owned());
            }
            self.check_tree(root, end)?;
        }
        Ok(())
    }

    fn check_tree(&self, root: usize, end: usize) -> Result<(), String> {
        // Depth of each node; none before its parent was seen.
        let mut depths: Vec<Option<usize>> = vec![None; end - root];
        depths[0] = Some(0);
        for at in root..end {
            let Node { value, child, column, kind } = self.nodes[at];
            let Some(depth) = depths[at - root] else {
                return Err(format!("node {at} of the trees has no parent before it"));
            };
            let child = child as usize;
            let is_ahead = child > at && child + 1 < end;
            #[allow(clippy::cast_precision_loss, reason = "a number of sets")]
            let is_fit = match kind {
                LEAF => child == at && value.is_finite(),
                NUMBER_LEFT | NUMBER_RIGHT => is_ahead && !value.is_nan(),
                SET_LEFT | SET_RIGHT => is_ahead && value >= 0.0 && value < self.sets.len() as f64,
                _ => false,
            };
            // JSON has no infinity: a function that is written must be read again.
            let cover = self.covers[at];
            let is_fit = is_fit && cover.is_finite() && cover >= 0.0 && value.is_finite();
            if !is_fit || (kind != LEAF && usize::from(column) >= self.width) {
                return Err(format!("node {at} of the trees makes no sense"));
            }
            if kind == LEAF {
                continue;
            }
            if depth >= MAX_TREE_DEPTH {
                return Err(format!("a tree is deeper than {MAX_TREE_DEPTH} splits"));
            }
            for child in [child, child + 1] {
                if depths[child - root].replace(depth + 1).is_some() {
                    return Err(format!("node {child} of the trees has two parents"));
                }
            }
        }
        Ok(())
    }
}
