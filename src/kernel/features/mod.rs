//! Features: what a customer looks like as of an instant, by one function for every use.
//!
//! In: definitions (as written), a [`Catalog`] of what is known of the data, and [`Timelines`].
//! Out: checked [`View`]s and [`Label`]s, and their values as of any instant. The same `History::values`
//! computes a view of all customers, a training set and a live request, so that they cannot differ.
//! Never: I/O or a clock; the as-of time is always an argument.
//!
//! How a value is computed: a [`View`] is bound to timelines (`binding`), which gives few series: the
//! events of a selection with the values of a property. A customer's events become these series once
//! (`history`), with prefix sums over them (`series`, `exact`); a window is a range of places in a series,
//! and most aggregates of it are a difference of two prefixes (`aggregate`). So many rows of one customer
//! cost what their events do, and an event that comes live costs what it adds ([`LiveTimeline`]).

mod aggregate;
mod aggregation;
mod binary;
mod binding;
mod builder;
mod catalog;
mod codes;
mod column;
mod definition;
mod error;
mod evaluate;
mod event_filter;
mod evidence;
mod exact;
mod history;
mod label;
mod live;
mod needs;
mod ranked;
mod row;
mod series;
mod spine;
mod table;
mod tally;
mod timelines;
mod traits;
mod view;

pub use aggregation::{Aggregation, AggregationName, MOST_VALUES};
pub use builder::{EventRun, TimelinesBuilder};
pub use catalog::Catalog;
pub use codes::Codes;
pub use column::{Column, Texts};
pub use definition::{FeatureDefinition, MAX_CATEGORIES, ViewDefinition};
pub use error::DefinitionError;
pub use evaluate::{AsOf, Bound, Evaluator, Knowledge};
pub use event_filter::{BoundFilter, EventFilter};
pub use evidence::evidence;
pub use label::{Label, LabelDefinition};
pub use live::LiveTimeline;
pub use spine::{Occasions, Spine, SpineDefinition, SpineRow, SpineRows};
pub use table::{ComputeError, MAX_TABLE_BYTES, Table, compute};
pub use timelines::Timelines;
pub use traits::TraitTimeline;
pub use view::{
    Aggregate, Feature, Input, MAX_LIST_VALUES, MAX_TEXT_COPIES, MOST_FEATURES, Selection, Source,
    View,
};

pub use crate::domain::Cell;
