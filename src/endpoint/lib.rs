//! The endpoint: events in, decisions out, over HTTP, in a process and a data folder of its own.
//!
//! In: events by the Segment HTTP API, functions to deploy, requests for scores. Out: an answer that an
//! event is durable, scores that have read every acknowledged event, and the event log to pull. Never:
//! SQL, training, or the warehouse's file.

mod error;
pub mod experiments;
pub mod monitoring;
pub mod online;
pub mod serving;

pub use error::Error;

/// The result of an endpoint call.
pub type Result<T> = std::result::Result<T, Error>;
