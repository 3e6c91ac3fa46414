//! Symmetric matrices: sums of products of columns, and systems of equations. Only the lower triangle is
//! computed and read.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::solvers::Solve as _;
use faer::{Accum, Mat, MatRef, Par};

use crate::{Error, Result};

/// Adds the products of all pairs of columns, `n` numbers each, to the lower triangle.
pub(super) fn add_products(columns: &[f64], n: usize, sums: &mut Mat<f64>) {
    let columns = MatRef::from_column_major_slice(columns, n, sums.ncols());
    matmul(
        sums,
        BlockStructure::TriangularLower,
        Accum::Add,
        columns.transpose(),
        BlockStructure::Rectangular,
        columns,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}

/// Adds the products of all pairs of columns, each row by its weight, to the lower triangle. Nothing is
/// written between: where blocks are short and weights differ, that is quicker than a general product.
pub(super) fn add_weighted(columns: &[&[f64]], weights: &[f64], sums: &mut Mat<f64>) {
    const ROWS: usize = 4;
    const COLUMNS: usize = 2;
    let d = columns.len();
    // Beyond the last column the last one is taken again, and not added.
    let column = |place: usize| columns[place.min(d - 1)];
    for row in (0..d).step_by(ROWS) {
        for start in (0..=(row + ROWS - 1).min(d - 1)).step_by(COLUMNS) {
            let left: [&[f64]; ROWS] = std::array::from_fn(|i| column(row + i));
            let right: [&[f64]; COLUMNS] = std::array::from_fn(|j| column(start + j));
            let tile = weighted_tile(left, right, weights);
            for (i, line) in tile.iter().enumerate() {
                for (j, sum) in line.iter().enumerate() {
                    if row + i < d && start + j <= row + i {
                        sums[(row + i, start + j)] += sum;
                    }
                }
            }
        }
    }
}

/// The products of some columns with some others, held in registers.
fn weighted_tile<const A: usize, const B: usize>(
    left: [&[f64]; A],
    right: [&[f64]; B],
    weights: &[f64],
) -> [[f64; B]; A] {
    let (weights, rest) = weights.as_chunks::<2>();
    let left_pairs = left.map(|column| &column.as_chunks::<2>().0[..weights.len()]);
    let right_pairs = right.map(|column| &column.as_chunks::<2>().0[..weights.len()]);
    let mut sums = [[[0.0; 2]; B]; A];
    for (at, weight) in weights.iter().enumerate() {
        let own: [[f64; 2]; A] = std::array::from_fn(|i| {
            let x = left_pairs[i][at];
            [x[0] * weight[0], x[1] * weight[1]]
        });
        for (j, column) in right_pairs.iter().enumerate() {
            let other = column[at];
            for (own, sums) in own.iter().zip(&mut sums) {
                sums[j][0] += own[0] * other[0];
                sums[j][1] += own[1] * other[1];
            }
        }
    }
    let last = weights.len() * 2;
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let odd: f64 = rest.iter().map(|weight| weight * left[i][last] * right[j][last]).sum();
            sums[i][j][0] + sums[i][j][1] + odd
        })
    })
}

/// The number at a place of a matrix whose lower triangle is known.
pub(super) fn at(lower: &Mat<f64>, i: usize, j: usize) -> f64 {
    lower[(i.max(j), i.min(j))]
}

/// A dot product in eight sums, which a processor adds side by side.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    for (left, right) in left.iter().zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Solves a system that should be positive definite; one that is not is lifted until it is.
pub(super) fn solve_positive(system: &Mat<f64>, right: &[f64]) -> Result<Vec<f64>> {
    let n = right.len();
    let largest = (0..n).map(|i| system[(i, i)].abs()).fold(0.0, f64::max);
    let right = Mat::from_fn(n, 1, |i, _| right[i]);
    let mut lift = 0.0;
    for _ in 0..12 {
        let lifted = Mat::from_fn(n, n, |i, j| at(system, i, j) + if i == j { lift } else { 0.0 });
        if let Ok(factor) = lifted.llt(faer::Side::Lower) {
            let solution = factor.solve(&right);
            let solution: Vec<f64> = (0..n).map(|i| solution[(i, 0)]).collect();
            if solution.iter().all(|x| x.is_finite()) {
                return Ok(solution);
            }
        }
        lift = if lift == 0.0 { 1e-12 * largest.max(f64::MIN_POSITIVE) } else { lift * 10.0 };
    }
    Err(Error::Training("columns say the same as others; use a larger alpha".to_owned()))
}
