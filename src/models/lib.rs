//! Models: from a spec and a training set to a scoring function.
//!
//! In: a model spec, a checked view and label, and timelines. Out: a trained, evaluated and frozen
//! function file. linfa trains; what it gives is copied into plain numbers and every metric is computed
//! from those, so that what is evaluated is what is served. Never: SQL, HTTP, or linfa at request time.

mod encoder;
mod error;
mod evaluate;
mod gate;
mod logistic;
mod spec;
mod split;
mod train;
mod training_set;

pub use error::Error;
pub use evaluate::{Bin, Evaluation};
pub use spec::{Algorithm, ModelDefinition, ModelSpec, SplitBy, SplitDefinition, Task};
pub use train::{Fitted, Parameter, check_label, train};
pub use training_set::{LABEL, TrainingSet};

/// The result of a models call.
pub type Result<T> = std::result::Result<T, Error>;
