//! Models to and from other programs: ONNX, and in also `LightGBM`'s own text.
//!
//! In: a frozen model, or the bytes of a file. Out: bytes, or a frozen model with its encodings. ONNX is as
//! in `onnx.proto` and the operators of `ai.onnx` and `ai.onnx.ml`; what is not one of ours is refused with
//! its name. A foreign file is data: nothing in it runs.

mod export;
mod import;
mod lightgbm;
mod proto;

pub use export::to_onnx;
use kernel::scoring::{Encoding, FrozenModel, Trees};

use crate::{Error, Result};

/// A model that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// How each column is encoded: as it is, or scaled.
    pub encodings: Vec<Encoding>,
    /// The model.
    pub model: FrozenModel,
}

/// The most bytes of a file.
pub const MOST_BYTES: usize = 256 << 20;

/// The most columns of trees: a file only says how many there are.
const MOST_COLUMNS: usize = 65_536;

/// Reads a model that was trained elsewhere: an ONNX file of a linear model or a tree ensemble, perhaps
/// behind a scaler, as scikit-learn's converter writes them; or boosted trees as `LightGBM` saves them.
///
/// # Errors
/// It is no such file; what is not known in it is named.
pub fn import(bytes: &[u8]) -> Result<Imported> {
    if bytes.len() > MOST_BYTES {
        return Err(Error::Data("the file has more than 256 MB".to_owned()));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.lines().next() == Some(lightgbm::FIRST_LINE) => lightgbm::from_text(text),
        _ => import::from_onnx(bytes),
    }
}

/// Trees as they come out of a function file, whose checks are those of every function.
fn checked(trees: &Trees) -> Result<FrozenModel> {
    if trees.width() > MOST_COLUMNS {
        return Err(Error::Data(format!("the model has more than {MOST_COLUMNS} columns")));
    }
    let json = serde_json::to_value(trees).map_err(|error| Error::Data(error.to_string()))?;
    serde_json::from_value(json)
        .map(FrozenModel::Trees)
        .map_err(|error| Error::Data(format!("the trees make no sense: {error}")))
}
