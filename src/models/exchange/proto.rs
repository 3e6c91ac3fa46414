//! The messages of `onnx.proto` that are read or written, with their field numbers.
//!
//! A message of two bytes becomes a structure of hundreds, so [`check_sizes`] counts messages before they are
//! decoded.

use prost::Message;
use prost::encoding::WireType;

use super::refused;
use crate::Result;

/// Maximum number of nodes, initializers, inputs and outputs of a graph.
pub(super) const MAX_GRAPH_PARTS: usize = 4_096;
/// Maximum number of inputs, outputs and attributes of all nodes together.
pub(super) const MAX_NODE_PARTS: usize = 65_536;
/// Maximum number of bytes of an ONNX file.
pub(super) const MAX_ONNX_BYTES: usize = 128 << 20;

/// Checks the number of messages of a file without decoding them.
///
/// # Errors
/// The file is not protobuf, or exceeds a limit, which the error states.
pub(super) fn check_sizes(bytes: &[u8]) -> Result<()> {
    if bytes.len() > MAX_ONNX_BYTES {
        return Err(refused("an ONNX file is larger than 128 MB"));
    }
    // A field that is repeated is merged, so the counts are over all of them.
    let (mut n_graph, mut n_node) = (0, 0);
    each_message(bytes, &mut |field, graph| match field {
        7 => each_message(graph, &mut |field, node| {
            n_graph += 1;
            if field == 1 {
                each_message(node, &mut |_, _| {
                    n_node += 1;
                    limit(n_node, MAX_NODE_PARTS, "inputs, outputs and attributes of nodes")
                })?;
            }
            limit(n_graph, MAX_GRAPH_PARTS, "nodes, initializers, inputs and outputs")
        }),
        _ => Ok(()),
    })
}

fn limit(n: usize, most: usize, what: &str) -> Result<()> {
    match n <= most {
        true => Ok(()),
        false => Err(refused(format!("the graph has more than {most} {what}"))),
    }
}

/// Calls `read` with the number and the bytes of each field that is a message, a text or bytes.
fn each_message<'b>(
    mut bytes: &'b [u8],
    read: &mut dyn FnMut(u32, &'b [u8]) -> Result<()>,
) -> Result<()> {
    let not_onnx =
        |error| refused(format!("this is neither an ONNX file nor a model of LightGBM: {error}"));
    while !bytes.is_empty() {
        let (field, wire) = prost::encoding::decode_key(&mut bytes).map_err(not_onnx)?;
        if wire == WireType::LengthDelimited {
            let length = prost::encoding::decode_varint(&mut bytes).map_err(not_onnx)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some((own, rest)) = bytes.split_at_checked(length) else {
                return Err(refused("the ONNX file is cut off"));
            };
            read(field, own)?;
            bytes = rest;
        } else {
            let context = prost::encoding::DecodeContext::default();
            prost::encoding::skip_field(wire, field, &mut bytes, context).map_err(not_onnx)?;
        }
    }
    Ok(())
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Model {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(super) strings: Vec<Vec<u8>>,
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
}

/// What an attribute has.
pub(super) mod kind {
    pub(in super::super) const INT: i32 = 2;
    pub(in super::super) const STRING: i32 = 3;
    pub(in super::super) const TENSOR: i32 = 4;
    pub(in super::super) const INTS: i32 = 7;
    pub(in super::super) const STRINGS: i32 = 8;
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub(super) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(super) int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub(super) int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub(super) double_data: Vec<f64>,
    /// 1 if the numbers are in another file.
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

/// Types of tensors.
pub(super) const FLOAT: i32 = 1;
pub(super) const INT32: i32 = 6;
pub(super) const INT64: i32 = 7;
pub(super) const TEXT: i32 = 8;
pub(super) const DOUBLE: i32 = 11;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(oneof = "Size", tags = "1, 2")]
    pub(super) size: Option<Size>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Size {
    #[prost(int64, tag = "1")]
    Value(i64),
    #[prost(string, tag = "2")]
    Named(String),
}

impl Attribute {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.s).into_owned()
    }
}

impl Tensor {
    /// Its numbers, as many as its dimensions say.
    ///
    /// # Errors
    /// The type is not a number, the data is in another file, or the number of values does not fit.
    pub(super) fn numbers(&self) -> Result<Vec<f64>> {
        let wrong = |what: String| refused(format!("the tensor '{}' {what}", self.name));
        if self.data_location != 0 {
            return Err(wrong("is in another file, which is not read".to_owned()));
        }
        let raw = self.raw_data.as_slice();
        #[allow(clippy::cast_precision_loss, reason = "shapes and positions are small")]
        let numbers: Vec<f64> = match self.data_type {
            DOUBLE if raw.is_empty() => self.double_data.clone(),
            FLOAT if raw.is_empty() => self.float_data.iter().copied().map(f64::from).collect(),
            INT64 if raw.is_empty() => self.int64_data.iter().map(|int| *int as f64).collect(),
            INT32 if raw.is_empty() => self.int32_data.iter().copied().map(f64::from).collect(),
            DOUBLE => raw.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect(),
            FLOAT => {
                raw.as_chunks().0.iter().map(|it| f64::from(f32::from_le_bytes(*it))).collect()
            }
            INT64 => raw.as_chunks().0.iter().map(|it| i64::from_le_bytes(*it) as f64).collect(),
            INT32 => {
                raw.as_chunks().0.iter().map(|it| f64::from(i32::from_le_bytes(*it))).collect()
            }
            other => return Err(wrong(format!("has the type {other}, which is not supported"))),
        };
        let wanted = self.dims.iter().try_fold(1_i64, |n, dim| n.checked_mul(*dim));
        if wanted.and_then(|n| usize::try_from(n).ok()) != Some(numbers.len()) {
            return Err(wrong(format!("has {} numbers, not those of its shape", numbers.len())));
        }
        Ok(numbers)
    }
}
