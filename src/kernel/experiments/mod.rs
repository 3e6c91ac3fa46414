//! Experiments: what is tried on whom, decided for one customer, and what has been learned so far.
//!
//! In: a definition, a customer's id, numbers of an experiment. Out: a variant with its probability. The
//! same customer gets the same answer everywhere and for ever, because a hash decides and not a memory.
//! Never: I/O, a clock, a source of randomness, or statistics over many customers.

mod assignment;
mod bandit;
mod definition;
mod error;
mod file;

pub use assignment::{Assigner, Assignment, Exclusion, HOLDOUT_SEED, bucket};
pub use bandit::{Arm, LinearArm, Posterior, chances};
pub use definition::{
    Allocation, ExperimentDefinition, Goal, Layer, Measure, MetricDefinition, MetricRole,
    VariantDefinition,
};
pub use error::ExperimentError;
pub use file::{ELIGIBLE, EXPERIMENT_FORMAT, Experiment, ExperimentFile};
