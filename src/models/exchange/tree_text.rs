use kernel::scoring::{Branch, MAX_NODES, Split};

use super::lightgbm::Section;
use super::{position, refused};
use crate::Result;

/// Bits of a node's `decision_type`.
const BY_CATEGORY: u32 = 1;
const MISSING_LEFT: u32 = 2;
/// What stands for missing, in the two bits above: nothing, 0, or NaN.
const MISSING_SHIFT: u32 = 2;
const NOTHING_IS_MISSING: u32 = 0;
const ZERO_IS_MISSING: u32 = 1;
const NAN_IS_MISSING: u32 = 2;

/// Numbers up to this distance from 0 are 0: `kZeroThreshold` of `LightGBM`, which has single precision.
const ZERO: f64 = 1e-35_f32 as f64;

/// Fields of a tree that are read.
const READ: [&str; 14] = [
    "Tree",
    "num_leaves",
    "num_cat",
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_count",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
];
/// Fields that do not change scores. `shrinkage` and the weights of dart are in the leaves already.
const IGNORED: [&str; 5] =
    ["split_gain", "leaf_weight", "internal_value", "internal_weight", "shrinkage"];

/// A tree with its root first: the splits, then the leaves. Leaves are multiplied by `scale`.
pub(super) fn branches(tree: &Section<'_>, scale: f64) -> Result<Vec<Branch>> {
    if tree.text("is_linear").is_some_and(|linear| linear != "0") {
        return Err(refused("linear leaves (is_linear, linear_tree) are not supported"));
    }
    tree.allow(&READ, &IGNORED)?;
    let n_leaves: usize = tree.number("num_leaves")?;
    if n_leaves == 0 || n_leaves > MAX_NODES / 2 {
        return Err(refused(format!("'num_leaves' is {n_leaves}")));
    }
    let values: Vec<f64> = tree.list("leaf_value", Some(n_leaves))?;
    // A tree with one leaf has no counts.
    let counts: Vec<f64> = match n_leaves {
        1 => vec![1.0],
        n => tree.list("leaf_count", Some(n))?,
    };
    let n_splits = n_leaves - 1;
    let columns: Vec<usize> = tree.list("split_feature", Some(n_splits))?;
    let thresholds: Vec<f64> = tree.list("threshold", Some(n_splits))?;
    let types: Vec<u32> = tree.list("decision_type", Some(n_splits))?;
    let left: Vec<i64> = tree.list("left_child", Some(n_splits))?;
    let right: Vec<i64> = tree.list("right_child", Some(n_splits))?;
    let covers: Vec<f64> = tree.list("internal_count", Some(n_splits))?;
    let sets = Sets {
        starts: tree.list("cat_boundaries", None)?,
        words: tree.list("cat_threshold", None)?,
    };
    let n_sets: usize = if tree.has("num_cat") { tree.number("num_cat")? } else { 0 };
    let n_words = sets.starts.last().copied().unwrap_or(0);
    if n_sets != sets.starts.len().saturating_sub(1) || n_words != sets.words.len() {
        return Err(refused(format!(
            "'num_cat' is {n_sets}, and 'cat_boundaries' or 'cat_threshold' does not fit it"
        )));
    }
    // A leaf is minus its number, minus 1.
    let place = |child: i64| {
        let place = match usize::try_from(child) {
            Ok(split) => Some(split).filter(|split| *split < n_splits),
            Err(_) => usize::try_from(!child)
                .ok()
                .filter(|leaf| *leaf < n_leaves)
                .map(|leaf| n_splits + leaf),
        };
        place.ok_or_else(|| refused(format!("a node leads to {child}, which is no node")))
    };
    let mut branches = Vec::with_capacity(n_splits + n_leaves);
    for at in 0..n_splits {
        let (type_, threshold) = (types[at], thresholds[at]);
        let missing_left = type_ & MISSING_LEFT != 0;
        let (split, missing_left) = match (type_ & BY_CATEGORY, type_ >> MISSING_SHIFT) {
            (BY_CATEGORY, ..=NAN_IS_MISSING) => {
                (Split::Categories { left: sets.get(threshold)? }, false)
            }
            (_, ZERO_IS_MISSING) => {
                let message =
                    "a 'decision_type' that takes 0 for missing (zero_as_missing) is not supported";
                return Err(refused(message));
            }
            // A missing value counts as 0 then.
            (0, NOTHING_IS_MISSING) => {
                (Split::Number { threshold: limited(threshold)? }, 0.0 <= threshold)
            }
            (0, NAN_IS_MISSING) => (Split::Number { threshold: limited(threshold)? }, missing_left),
            _ => return Err(refused(format!("the 'decision_type' {type_} is not supported"))),
        };
        branches.push(Branch::Split {
            column: columns[at],
            split,
            missing_left,
            cover: covers[at],
            children: (place(left[at])?, place(right[at])?),
        });
    }
    let leaves = values.iter().zip(&counts);
    branches
        .extend(leaves.map(|(value, cover)| Branch::Leaf { value: value * scale, cover: *cover }));
    Ok(branches)
}

/// A threshold as JSON can have it: infinity, where only a missing value goes right, is the largest number.
fn limited(threshold: f64) -> Result<f64> {
    match threshold.is_nan() {
        true => Err(refused("'threshold' has a value that is not a number")),
        // LightGBM takes numbers within this distance of 0 for 0, so all of them take the branch of 0.
        false if (-ZERO..0.0).contains(&threshold) => Ok((-ZERO).next_down()),
        false if (0.0..=ZERO).contains(&threshold) => Ok(ZERO),
        false => Ok(threshold.clamp(f64::MIN, f64::MAX)),
    }
}

/// Sets of categories, in words of 32 bits.
struct Sets {
    starts: Vec<usize>,
    words: Vec<u32>,
}

impl Sets {
    fn get(&self, place: f64) -> Result<[u64; 4]> {
        let at = position(place, self.starts.len());
        let range = at.and_then(|at| self.starts.get(at..at + 2));
        let words = range.and_then(|range| self.words.get(range[0]..range[1]));
        let words = words.ok_or_else(|| {
            refused(format!("'cat_boundaries' and 'cat_threshold' have no set {place}"))
        })?;
        let mut set = [0; 4];
        for (at, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let part = set.get_mut(at / 2).ok_or_else(|| {
                refused(
                    "categories above 255 ('cat_threshold') are not supported; number them from 0",
                )
            })?;
            *part |= u64::from(*word) << (32 * (at % 2));
        }
        Ok(set)
    }
}
