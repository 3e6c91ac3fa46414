//! The scoring function: the frozen, deployable thing, and scoring one customer with it.
//!
//! In: a function file (JSON) and a customer's timeline. Out: a score, with its reasons when asked.
//! A function holds all that it needs: the view, the types of what it reads, the encoder and the model,
//! under a hash of its content. Never: training, I/O, a clock.

mod encoder;
mod error;
mod file;
mod function;
mod model;

pub use encoder::{EncodedColumn, Encoder, Encoding};
pub use error::FunctionError;
pub use file::{FORMAT, FunctionFile, Trained};
pub use function::{Reason, Score, Scorer, ScoringFunction};
pub use model::FrozenModel;
