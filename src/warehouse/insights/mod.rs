//! Insights: the charts of product analytics, with exact semantics.
//!
//! In: a spec (TOML, also the state of the page). Out: plain numbers, ready to draw. One file an
//! insight, each with its spec, its result and its SQL.

mod retention;

pub use retention::{Interval, Retention, RetentionMode, RetentionSpec};
