//! The kernel: what a customer looks like at an instant, and what to decide about them.
//!
//! In come definitions (text) and timelines (events and traits in time order); out go feature values,
//! labels and scores. One implementation serves views of all customers, point-in-time training sets
//! and live requests. It must never do I/O, read a clock, or depend on anything but its arguments.
//!
//! The rooms, in the order in which they may use each other:
//!
//! - [`domain`]: the nouns: time, span, value, name, event.
//! - [`expression`]: SQL scalar expressions with DuckDB's meaning: parse, check, evaluate, print.
//! - [`features`]: features, views, timelines, the kernel over them, spines and labels.
//! - [`monitoring`]: whether values still look as they did at training, and rules over that.
//! - [`scoring`]: the frozen scoring function: its file format, and scoring one customer.
//! - [`experiments`]: which variant of an experiment a customer gets, and what bandits learn.

pub mod domain;
pub mod experiments;
pub mod expression;
pub mod features;
pub mod monitoring;
pub mod scoring;
