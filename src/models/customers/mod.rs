//! Models of customers: what they may want, what they will be worth, whom to act on.
//!
//! In: items of customers, purchases, treated and other rows. Out: frozen models.

mod interactions;
mod lifetime;
mod recommend;
mod uplift;

pub use interactions::Interactions;
pub use lifetime::{Purchases, fit_beta_geometric, fit_gamma_gamma, left_out};
pub use recommend::{Ease, ImplicitAls, item_item};
pub use uplift::{Learner, UpliftModel};
