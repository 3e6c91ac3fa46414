//! The whole product from outside, in one binary: the listing reads as what it promises.

mod circle;
mod endpoint;
mod import;
mod insights;
mod kernel_oracle;
mod models;
mod project;
mod support;
mod tidy;
mod window;
