//! Models: from a spec and a training set to a scoring function.
//!
//! In: a model spec, a checked view and label, and timelines. Out: a trained, evaluated and frozen
//! function file. Estimators are linfa's, or ours behind linfa's traits; what they give is plain numbers,
//! and every metric is computed from those, so that what is evaluated is what is served. Never: SQL, HTTP,
//! or linfa at request time.

pub mod customers;
mod data;
mod error;
pub mod estimators;
pub mod evaluation;
pub mod exchange;
pub mod experiments;
mod explain;
mod spec;
mod training;
pub mod trees;

pub use data::{LABEL, TrainingSet};
pub use error::Error;
pub use evaluation::{Chart, Confusion, Evaluation, Metric, Series};
pub use explain::Importance;
/// The traits that estimators are used by.
pub use linfa::traits::{Fit, Predict, PredictInplace};
pub use spec::*;
pub use training::{Candidate, Fitted, Parameter, SegmentProfile, check_label, train, try_all};

/// The result of a models call.
pub type Result<T> = std::result::Result<T, Error>;
