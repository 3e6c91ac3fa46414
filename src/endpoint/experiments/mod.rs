//! Live experiments: which variant a customer gets, and that they got it.
//!
//! In: definitions that were started, timelines, and the log. Out: decisions, exposures as events, and what
//! bandits have learned. Who got a variant keeps it, whatever is learned later: the exposure in their
//! timeline says it, after a restart and after a join too. Never: HTTP, or statistics.

mod decide;
mod learning;
mod live;
mod running;

pub use decide::{Decision, Why};
pub use learning::{Learned, Learning};
pub use live::{Change, Record, State};
pub use running::{Experiments, Running};
