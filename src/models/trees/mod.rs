//! Trees over histograms: gradient boosting, random forests, single trees, isolation forests.
//!
//! In: rows of numbers, NaN where one is missing, and which columns are categories. Out: frozen trees.
//! Each column is cut into at most 255 bins once; a split is then found from sums over bins (Ke et al.
//! 2017). Gradients are whole numbers, rounded up or down at random (Shi et al. 2022), so that sums do not
//! depend on their order: the result is the same bit for bit for any number of threads.
//!
//! linfa's trees scan all rows at every node, have neither probabilities nor regression, and panic on NaN.

mod bins;
mod boosting;
mod forest;
mod grow;
mod histogram;
mod isolation;
mod loss;
mod quantize;
mod split;

pub use boosting::GradientBoosting;
pub use forest::{DecisionTree, RandomForest};
pub use isolation::IsolationForest;
pub use loss::{Groups, Loss};
