//! Exact Shapley values of a tree, by its own paths: `TreeSHAP` (Lundberg, Erion and Lee 2018, algorithm
//! 2; Lundberg et al. 2020), in `O(leaves * depth^2)`.

use super::trees::Trees;

/// A column on the way to a leaf.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The column; the first step has none.
    column: usize,
    /// The share of training rows that go on without knowing the column.
    zero: f64,
    /// Whether this row goes on: 1 or 0.
    one: f64,
    /// The weight of all subsets of the columns so far of each size.
    weight: f64,
}

const NO_COLUMN: usize = usize::MAX;

/// Adds what each column of a row contributes to a tree's value against the mean training row.
pub(super) fn add_contributions(trees: &Trees, root: u32, row: &[f64], sums: &mut [f64]) {
    let mut path = Vec::with_capacity(16);
    let first = Step { column: NO_COLUMN, zero: 1.0, one: 1.0, weight: 0.0 };
    descend(&Walk { trees, row }, root, &mut path, first, sums);
}

struct Walk<'a> {
    trees: &'a Trees,
    row: &'a [f64],
}

fn descend(walk: &Walk<'_>, at: u32, path: &mut Vec<Step>, step: Step, sums: &mut [f64]) {
    extend(path, step);
    let Some((left, right)) = walk.trees.children(at) else {
        for place in 1..path.len() {
            let weight = unwound_sum(path, place);
            let Step { column, zero, one, .. } = path[place];
            if let Some(sum) = sums.get_mut(column) {
                *sum += weight * (one - zero) * walk.trees.value(at);
            }
        }
        return;
    };
    let hot = walk.trees.next(at, walk.row);
    let cold = if hot == left { right } else { left };
    let column = walk.trees.column(at);
    let (mut zero, mut one) = (1.0, 1.0);
    let mut path = path.clone();
    if let Some(before) = (1..path.len()).find(|place| path[*place].column == column) {
        (zero, one) = (path[before].zero, path[before].one);
        unwind(&mut path, before);
    }
    let cover = (walk.trees.cover(left) + walk.trees.cover(right)).max(f64::MIN_POSITIVE);
    let share = |child: u32| walk.trees.cover(child) / cover;
    for (child, one) in [(hot, one), (cold, 0.0)] {
        let step = Step { column, zero: zero * share(child), one, weight: 0.0 };
        descend(walk, child, &mut path.clone(), step, sums);
    }
}

#[allow(clippy::cast_precision_loss, reason = "depths of a tree")]
fn extend(path: &mut Vec<Step>, step: Step) {
    let depth = path.len();
    let weight = if depth == 0 { 1.0 } else { 0.0 };
    path.push(Step { weight, ..step });
    for place in (0..depth).rev() {
        let size = (depth + 1) as f64;
        path[place + 1].weight += step.one * path[place].weight * (place + 1) as f64 / size;
        path[place].weight = step.zero * path[place].weight * (depth - place) as f64 / size;
    }
}

/// Takes a step out again.
#[allow(clippy::cast_precision_loss, reason = "depths of a tree")]
fn unwind(path: &mut Vec<Step>, taken: usize) {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[taken];
    let mut next = path[depth].weight;
    for place in (0..depth).rev() {
        let size = (depth + 1) as f64;
        if one != 0.0 {
            let weight = path[place].weight;
            path[place].weight = next * size / ((place + 1) as f64 * one);
            next = weight - path[place].weight * zero * (depth - place) as f64 / size;
        } else if zero != 0.0 {
            path[place].weight = path[place].weight * size / (zero * (depth - place) as f64);
        }
    }
    for place in taken..depth {
        let Step { column, zero, one, .. } = path[place + 1];
        path[place] = Step { column, zero, one, weight: path[place].weight };
    }
    path.pop();
}

/// The sum of the weights as they would be without a step.
#[allow(clippy::cast_precision_loss, reason = "depths of a tree")]
fn unwound_sum(path: &[Step], taken: usize) -> f64 {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[taken];
    let mut next = path[depth].weight;
    let mut total = 0.0;
    for place in (0..depth).rev() {
        let size = (depth + 1) as f64;
        if one != 0.0 {
            let weight = next * size / ((place + 1) as f64 * one);
            total += weight;
            next = path[place].weight - weight * zero * (depth - place) as f64 / size;
        } else if zero != 0.0 {
            total += path[place].weight * size / (zero * (depth - place) as f64);
        }
    }
    total
}
