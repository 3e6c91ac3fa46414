//! The whole product from outside, in one binary: the listing reads as what it promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorization;
mod cat;
mod circle;
mod circulation;
mod crash;
mod crash_mixed;
mod crash_workbench;
mod decisions;
mod endpoint;
mod estimators;
mod exchange;
mod exhaustion;
mod experiments;
mod explore;
mod expression_oracle;
mod features;
mod fuzz;
mod hostile;
mod identity;
mod import;
mod import_text;
mod insight_ranges;
mod insights;
mod kernel_oracle;
mod limits;
mod links;
mod log;
mod log_integrity;
mod models;
mod monitoring;
mod operating;
mod project;
mod queries;
mod reports;
mod simulation;
mod store;
mod support;
mod tasks;
mod tidy;
mod types;
mod window;
