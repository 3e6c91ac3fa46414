//! The warehouse: an embedded DuckDB with all events of a project.
//!
//! In come files, live events and SQL; out go tables, insights and the timelines that the kernel runs
//! over. It is a cache that can be rebuilt from its sources, never in the way of an acknowledgement.
//! Foreign files are read by an instance of their own; the instance with the data cannot leave its
//! project folder. Never: models, HTTP, or a decision about a customer.

mod arrow;
mod catalog;
mod columns;
mod customers;
mod endpoints;
mod erasing;
mod error;
pub mod experiments;
mod export;
mod folder;
mod foreign_objects;
mod held;
mod history;
pub mod import;
mod incoming;
pub mod insights;
mod instance;
mod inventory;
mod joins;
mod live;
mod message_id;
mod misfits;
mod oracle;
mod own_ids;
mod query;
mod relation;
mod retype;
mod schema;
mod spine;
mod statement;
mod summaries;
mod timelines;
mod trial;
mod types_file;
mod warehouse;

pub use customers::{CustomerList, CustomerSort, CustomerSummary, Summary};
pub use endpoints::PublishMark;
pub use erasing::Erased;
pub use error::Error;
pub use export::ExportFormat;
pub use folder::{Access, ProjectFolder};
pub use held::{Arrangement, Held, HeldPage};
pub use history::HistoryLines;
pub use inventory::{EventKind, MOST_PROPERTIES, PropertyUse};
pub use live::Pulled;
pub use oracle::view_sql;
pub use query::{QueryResult, SqlError};
pub use relation::Relation;
pub use retype::Retyped;
pub use spine::SpineFile;
pub use summaries::{ColumnSummary, before, summarize};
pub use trial::Trial;
pub use warehouse::Warehouse;

/// The result of a warehouse call.
pub type Result<T> = std::result::Result<T, Error>;
