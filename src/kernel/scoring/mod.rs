//! The scoring function: the frozen, deployable thing, and scoring one customer with it.
//!
//! In: a function file (JSON) and a customer's timeline. Out: a score, with its reasons when asked.
//! A function holds all that it needs: the view, the types of what it reads, the encoder and the model,
//! under a hash of its content. Never: training, I/O, a clock.

mod encoder;
mod error;
mod file;
mod frozen;
mod function;

pub use encoder::{EncodedColumn, Encoder, Encoding};
pub use error::FunctionError;
pub use file::{FORMAT, FunctionFile, OutcomeDefinition, Trained};
pub use frozen::{
    BetaGeometric, Branch, Calibration, CorePoints, Detail, FrozenModel, GammaGamma, GaussianBayes,
    Lifetime, Link, MAX_COLUMNS, MAX_NODES, MAX_OUTPUTS, MAX_TREE_DEPTH, Mixture, Multinomial,
    Neighbors, Recommendation, Recommender, Segments, Shares, Split, Trees, Wish, logistic,
    softmax,
};
pub use function::{Reason, Score, Scorer, ScoringFunction};
