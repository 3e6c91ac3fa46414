//! The statistics of experiments: how much a variant changes a metric, and how sure that is.
//!
//! In: what was measured of each customer, by variant. Out: effects with intervals that hold at a fixed
//! horizon, at every look, or as a belief; whether the split is right; how long it will take. Pure
//! functions over numbers; each says which paper it follows. Never: events, or who the customers are.

mod bayesian;
mod correction;
mod effect;
mod policy;
mod power;
mod ratio_mismatch;
mod sample;

pub use bayesian::Belief;
pub use correction::holm;
pub use effect::{Effect, Interval, Method};
pub use policy::{Logged, PolicyValue, off_policy};
pub use power::{Plan, detectable, power, sample_size};
pub use ratio_mismatch::RatioMismatch;
pub use sample::{Estimate, Moments, theta};
