//! Features: what a customer looks like as of an instant, by one function for every use.
//!
//! In: definitions (as written), a [`Catalog`] of what is known of the data, and [`Timelines`].
//! Out: checked [`View`]s and [`Label`]s, and their values as of any instant. The same [`Bound::row`]
//! computes a view of all customers, a training set and a live request, so that they cannot differ.
//! Never: I/O or a clock; the as-of time is always an argument.

mod aggregate;
mod aggregation;
mod catalog;
mod column;
mod definition;
mod error;
mod evaluate;
mod label;
mod spine;
mod table;
mod timelines;
mod traits;
mod view;

pub use aggregation::{Aggregation, AggregationName};
pub use catalog::Catalog;
pub use column::{Cell, Column};
pub use definition::{FeatureDefinition, ViewDefinition};
pub use error::DefinitionError;
pub use evaluate::{AsOf, Bound, Knowledge};
pub use label::{Label, LabelDefinition};
pub use spine::{Spine, SpineDefinition, SpineRow};
pub use table::{Canceled, Table, compute};
pub use timelines::{Timelines, TimelinesBuilder};
pub use traits::TraitTimeline;
pub use view::{Aggregate, Feature, Input, Selection, Source, View};
