//! Models to and from other programs: ONNX, and `LightGBM`'s own text.
//!
//! Export: a frozen model becomes the bytes of an ONNX file. Import: the bytes of a file become a frozen model
//! with its encodings. Every field, attribute and operator of a file is either honored, so that scores equal
//! those of the program that wrote it, or the file is refused and the error names it. Nothing in a foreign file
//! is executed.

mod attributes;
mod column;
mod ensemble;
mod export;
mod features;
mod import;
mod lightgbm;
mod linear;
mod proto;
mod tree_text;

pub use export::to_onnx;
pub use features::Matched;
use kernel::scoring::{Encoding, FrozenModel};

use crate::{Error, Result};

/// A model that was read from a foreign file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Names of the columns, if the file names them; otherwise empty.
    pub names: Vec<String>,
    /// The encoding of each column, in the order of the file.
    pub encodings: Vec<Encoding>,
    /// The model.
    pub model: FrozenModel,
}

/// Maximum size of a file, in bytes.
pub const MOST_BYTES: usize = 256 << 20;

/// Reads a model that was trained elsewhere: an ONNX file of a linear model or a tree ensemble, as scikit-learn's
/// converter and [`to_onnx`] write them, or boosted trees as `LightGBM` saves them.
///
/// # Errors
/// [`Error::Exchange`] names the field, attribute or operator that cannot be honored, or the limit that the file
/// exceeds: 256 MB and the limits of [`kernel::scoring::Trees`].
pub fn import(bytes: &[u8]) -> Result<Imported> {
    if bytes.len() > MOST_BYTES {
        return Err(refused("the file is larger than 256 MB"));
    }
    // Editors on Windows write a byte order mark.
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    match text {
        Ok(text) if text.lines().next() == Some(lightgbm::FIRST_LINE) => lightgbm::from_text(text),
        _ => import::from_onnx(bytes),
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::Exchange(message.into())
}

/// A number of a file as a position below `n`.
fn position(number: f64, n: usize) -> Option<usize> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range is checked, and positions are below 2^53"
    )]
    let position =
        (number >= 0.0 && number.fract() == 0.0 && number < n as f64).then_some(number as usize);
    position
}
