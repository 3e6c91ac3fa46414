//! The warehouse: an embedded DuckDB with all events of a project.
//!
//! In come files, live events and SQL; out go tables, insights and the timelines that the kernel runs
//! over. It is a cache that can be rebuilt from its sources, never in the way of an acknowledgement.
//! Foreign files are read by an instance of their own; the instance with the data cannot leave its
//! project folder. Never: models, HTTP, or a decision about a customer.

mod arrow;
mod catalog;
mod customers;
mod erasing;
mod error;
pub mod experiments;
mod export;
mod held;
pub mod import;
mod incoming;
pub mod insights;
mod instance;
mod inventory;
mod live;
mod message_id;
mod oracle;
mod query;
mod relation;
mod schema;
mod spine;
mod summaries;
mod timelines;
mod warehouse;

pub use customers::{CustomerList, CustomerSort, CustomerSummary, Summary};
pub use erasing::Erased;
pub use error::Error;
pub use export::ExportFormat;
pub use held::{Arrangement, Held, HeldPage};
pub use inventory::{EventKind, MOST_PROPERTIES, PropertyUse};
pub use live::Pulled;
pub use oracle::view_sql;
pub use query::{QueryResult, SqlError};
pub use relation::Relation;
pub use spine::SpineFile;
pub use summaries::{ColumnSummary, before, summarize};
pub use warehouse::Warehouse;

/// The result of a warehouse call.
pub type Result<T> = std::result::Result<T, Error>;
