//! Monitoring: whether what is live still looks like what a model was trained on, and rules over that.
//!
//! In: values as they were at training, values as they are now. Out: counts, a stability index with what
//! chance alone would make of it, and whether a rule holds. Never: I/O, a clock, or who is told.

mod drift;
mod expected;
mod rule;
mod tally;

pub use drift::Drift;
pub use expected::{Bins, Expectation, Expected};
pub use rule::{Condition, OVER, RuleDefinition, RuleError, Subject};
pub use tally::{Calibration, Tally};
