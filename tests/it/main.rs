//! The whole product from outside, in one binary.

mod import;
mod kernel_oracle;
mod support;
