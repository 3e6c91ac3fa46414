//! The timelines in memory: what the kernel runs over, and insights that follow each customer's order.
//!
//! In: a catalog of the properties and traits that definitions read. Out: [`kernel::features::Timelines`]
//! of all customers, by one scan of the warehouse that no query orders; kept while they fit a budget of
//! memory, extended by what was imported or pulled since, or handed out in ranges of customers where all
//! do not fit at once. Never: a copy that is older than the last change of the warehouse.

mod cache;
mod file;
mod growing;
mod ranges;
mod read;

pub(crate) use cache::Cache;
pub(crate) use growing::Growing;
pub(crate) use read::read_into;
