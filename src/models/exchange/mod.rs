//! Models to and from ONNX: what other programs score with, and what other libraries trained.
//!
//! In: a frozen model, or the bytes of an ONNX file. Out: bytes, or a frozen model with its encodings. The
//! format is that of `onnx.proto` and the operators of `ai.onnx` and `ai.onnx.ml`; what is not one of ours
//! is refused with its name. A foreign file is data: nothing in it runs.

mod export;
mod import;
mod proto;

pub use export::to_onnx;
pub use import::{Imported, from_onnx};
