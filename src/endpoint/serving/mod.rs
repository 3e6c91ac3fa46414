//! Serving: HTTP in front of the online store and the deployed functions.
//!
//! In: requests. Out: answers; each names what made it. Handlers are thin: they read a request into the
//! words of the domain, call one thing, and write the answer. Never: waiting for a disk on the
//! runtime's threads, or an answer that is not true yet.

mod acting;
mod administration;
mod alerting;
mod batch;
mod call;
mod collect;
mod connection;
mod customers;
mod deploying;
mod deployments;
mod documentation;
mod experimenting;
mod file_handles;
mod flags;
mod history;
mod inference;
mod keys;
mod last_scores;
mod maturing;
mod metrics;
mod monitoring;
mod operations;
mod problem;
mod projects;
mod rank;
mod recommend;
mod replay;
mod router;
mod score;
mod server;
mod state;
mod tending;
mod wire;

pub use call::read_call;
pub use keys::{Keys, Role};
pub use router::router;
pub use server::{Config, Ready, Running, run};
pub use state::Endpoint;
