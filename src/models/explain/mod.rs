//! What a model reads, and how its score follows from it.
//!
//! In: a trained model and rows that it has not learned from. Out: numbers and charts by feature, as people
//! know them. Exact reasons of one score are in the kernel (`scoring`), which gives them at request time.

mod dependence;
mod permutation;

pub(crate) use dependence::dependence;
pub use permutation::Importance;
pub(crate) use permutation::permutation_importance;
