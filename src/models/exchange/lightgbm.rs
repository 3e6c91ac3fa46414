use std::collections::HashMap;
use std::str::FromStr;

use kernel::scoring::{Branch, Encoding, Link, Split, Trees};

use super::{Imported, checked};
use crate::{Error, Result};

/// The first line of a model in `LightGBM`'s own text.
pub(super) const FIRST_LINE: &str = "tree";

/// Bits of a node's `decision_type`.
const BY_CATEGORY: u32 = 1;
const MISSING_LEFT: u32 = 2;
/// What stands for missing, in the two bits above: nothing, 0, or NaN.
const MISSING_SHIFT: u32 = 2;
const NOTHING_IS_MISSING: u32 = 0;
const ZERO_IS_MISSING: u32 = 1;

/// Reads a model as `LightGBM` saves it (`save_model`, version 3 or 4): all of its trees, numbers in full
/// precision, and how many training rows reached each node, so that it is explained as there.
///
/// # Errors
/// It is no such text, or it has what our trees have not; it is named.
pub(super) fn from_text(text: &str) -> Result<Imported> {
    let mut sections = text.split("\n\n").map(Section::of);
    let head = sections.next().unwrap_or_default();
    if head.text("version").is_none_or(|version| !matches!(version, "v3" | "v4")) {
        return Err(Error::Data("this is no model of LightGBM, version 3 or 4".to_owned()));
    }
    if head.flags.contains(&"average_output") {
        let message = "LightGBM's random forests are not read; boosted trees are";
        return Err(Error::Data(message.to_owned()));
    }
    let width = head.number::<usize>("max_feature_idx")?.saturating_add(1);
    let n_outputs: usize = head.number("num_tree_per_iteration")?;
    if n_outputs == 0 || n_outputs > MOST_OUTPUTS {
        return Err(Error::Data(format!("the model has {n_outputs} trees an iteration")));
    }
    let objective = head.text("objective").unwrap_or("regression");
    let (link, scale) = link(objective)?;
    let classes = match n_outputs {
        1 => Vec::new(),
        n => (0..n).map(|class| class.to_string()).collect(),
    };
    let mut trees = Trees::new(width, vec![0.0; n_outputs], link, classes);
    for section in sections.filter(|section| section.text("Tree").is_some()) {
        let tree = section.text("Tree").unwrap_or_default();
        let branches = branches(&section, scale)
            .map_err(|error| Error::Data(format!("tree {tree}: {error}")))?;
        trees.push(&branches).map_err(Error::Data)?;
    }
    let model = checked(&trees)?;
    Ok(Imported { encodings: vec![Encoding::Plain; width], model })
}

const MOST_OUTPUTS: usize = 1_000;

/// Lines of names and values, up to an empty one.
#[derive(Default)]
struct Section<'a> {
    values: HashMap<&'a str, &'a str>,
    /// Lines without a value.
    flags: Vec<&'a str>,
}

impl<'a> Section<'a> {
    fn of(text: &'a str) -> Self {
        let mut section = Self::default();
        for line in text.lines() {
            match line.split_once('=') {
                Some((name, value)) => _ = section.values.insert(name, value.trim()),
                None => section.flags.push(line.trim()),
            }
        }
        section
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied()
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let number = self.text(name).and_then(|text| text.parse().ok());
        number.ok_or_else(|| Error::Data(format!("'{name}' is no number, or not there")))
    }

    /// A list of numbers; as many as are wanted, if that is known.
    fn list<T: FromStr>(&self, name: &str, wanted: Option<usize>) -> Result<Vec<T>> {
        let text = self.text(name).unwrap_or_default();
        let numbers: Vec<T> = text
            .split_ascii_whitespace()
            .map(|number| {
                let wrong = |_| Error::Data(format!("'{name}' has '{number}', no number"));
                number.parse().map_err(wrong)
            })
            .collect::<Result<_>>()?;
        match wanted {
            Some(wanted) if wanted != numbers.len() => {
                Err(Error::Data(format!("'{name}' has {} numbers, not {wanted}", numbers.len())))
            }
            _ => Ok(numbers),
        }
    }
}

/// What the sum of the trees becomes, and what it is multiplied by before.
fn link(objective: &str) -> Result<(Link, f64)> {
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let sigmoid = words.find_map(|word| word.strip_prefix("sigmoid:")).map(str::parse::<f64>);
    match name {
        "binary" | "cross_entropy" => match sigmoid.unwrap_or(Ok(1.0)) {
            Ok(scale) if scale.is_finite() => Ok((Link::Logistic, scale)),
            _ => Err(Error::Data(format!("the objective '{objective}' makes no sense"))),
        },
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
        | "rank_xendcg"
            if !objective.contains("sqrt") =>
        {
            Ok((Link::Identity, 1.0))
        }
        "poisson" | "gamma" | "tweedie" => Ok((Link::Exponential, 1.0)),
        "multiclass" => Ok((Link::Softmax, 1.0)),
        _ => Err(Error::Data(format!("the objective '{objective}' is not known"))),
    }
}

/// A tree with its root first. Nodes that split come first here, then the leaves.
fn branches(tree: &Section<'_>, scale: f64) -> Result<Vec<Branch>> {
    if tree.text("is_linear").is_some_and(|linear| linear != "0") {
        return Err(Error::Data("trees with linear leaves are not read".to_owned()));
    }
    let n_leaves: usize = tree.number("num_leaves")?;
    let values: Vec<f64> = tree.list("leaf_value", Some(n_leaves))?;
    // A tree that is one leaf has no counts.
    let counts: Vec<f64> = match n_leaves {
        1 => vec![1.0],
        n => tree.list("leaf_count", Some(n))?,
    };
    let n_splits = n_leaves.saturating_sub(1);
    let columns: Vec<usize> = tree.list("split_feature", Some(n_splits))?;
    let thresholds: Vec<f64> = tree.list("threshold", Some(n_splits))?;
    // Where only what is missing goes right, the threshold is infinity, which JSON has not.
    let thresholds: Vec<f64> = thresholds.iter().map(|t| t.clamp(f64::MIN, f64::MAX)).collect();
    let types: Vec<u32> = tree.list("decision_type", Some(n_splits))?;
    let left: Vec<i64> = tree.list("left_child", Some(n_splits))?;
    let right: Vec<i64> = tree.list("right_child", Some(n_splits))?;
    let covers: Vec<f64> = tree.list("internal_count", Some(n_splits))?;
    let sets = Sets {
        starts: tree.list("cat_boundaries", None)?,
        words: tree.list("cat_threshold", None)?,
    };
    // A leaf is minus its number, minus 1.
    let place = |child: i64| match usize::try_from(child) {
        Ok(split) if split < n_splits => Ok(split),
        Err(_) => {
            let leaf = usize::try_from(-(child + 1)).ok().filter(|leaf| *leaf < n_leaves);
            leaf.map(|leaf| n_splits + leaf).ok_or(child)
        }
        Ok(_) => Err(child),
    };
    let place = |child: i64| {
        place(child).map_err(|child| Error::Data(format!("a node leads to {child}, no node")))
    };
    let mut branches = Vec::with_capacity(n_splits + n_leaves);
    for at in 0..n_splits {
        let missing_left = types[at] & MISSING_LEFT != 0;
        let (split, missing_left) = match types[at] & BY_CATEGORY {
            0 => match types[at] >> MISSING_SHIFT & 3 {
                // It is then taken for 0.
                NOTHING_IS_MISSING => {
                    (Split::Number { threshold: thresholds[at] }, 0.0 <= thresholds[at])
                }
                ZERO_IS_MISSING => {
                    let message = "it takes 0 for missing (zero_as_missing), which is not read";
                    return Err(Error::Data(message.to_owned()));
                }
                _ => (Split::Number { threshold: thresholds[at] }, missing_left),
            },
            _ => (Split::Categories { left: sets.get(thresholds[at])? }, false),
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
    is_a_tree(&branches)?;
    Ok(branches)
}

/// Sets of categories, in words of 32 bits.
struct Sets {
    starts: Vec<usize>,
    words: Vec<u32>,
}

impl Sets {
    fn get(&self, place: f64) -> Result<[u64; 4]> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is looked up"
        )]
        let place = place as usize;
        let range = self.starts.get(place).copied().zip(self.starts.get(place + 1).copied());
        let words = range.and_then(|(start, end)| self.words.get(start..end));
        let words = words.ok_or_else(|| Error::Data(format!("there is no set {place}")))?;
        let mut set = [0; 4];
        for (at, word) in words.iter().enumerate().filter(|(_, word)| **word != 0) {
            let part = set.get_mut(at / 2).ok_or_else(|| {
                Error::Data("categories above 255 are not read; number them from 0".to_owned())
            })?;
            *part |= u64::from(*word) << (32 * (at % 2));
        }
        Ok(set)
    }
}

/// Every node but the root has one parent, and nothing leads back.
fn is_a_tree(branches: &[Branch]) -> Result<()> {
    let mut parents = vec![0_u32; branches.len()];
    for (at, branch) in branches.iter().enumerate() {
        if let Branch::Split { children: (left, right), .. } = branch {
            for child in [*left, *right] {
                parents[child] += 1;
                // Splits are numbered in the order in which they were made.
                if child <= at {
                    return Err(Error::Data("a node leads back to one before it".to_owned()));
                }
            }
        }
    }
    match parents.iter().skip(1).all(|parents| *parents == 1) {
        true => Ok(()),
        false => Err(Error::Data("a node is not below one other".to_owned())),
    }
}
