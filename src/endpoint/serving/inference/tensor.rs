use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value as Json_, json};

use super::super::wire;
use super::rows::{self, Rows};
use crate::{Error, Result};

#[derive(Debug, Deserialize)]
pub(super) struct InferRequest {
    #[serde(default)]
    pub(super) id: Option<String>,
    inputs: Vec<Tensor>,
    #[serde(default)]
    pub(super) outputs: Option<Vec<Output>>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    parameters: TensorParameters,
    #[serde(default)]
    data: Option<Json_>,
}

#[derive(Debug, Default, Deserialize)]
struct TensorParameters {
    binary_data_size: Option<usize>,
}

/// The request and its tensors as rows.
pub(super) fn tensors(headers: &HeaderMap, body: &[u8]) -> Result<(InferRequest, Rows)> {
    let length = headers.get("inference-header-content-length");
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(body.len());
    let Some((head, mut binary)) = body.split_at_checked(length) else {
        let message = "the Inference-Header-Content-Length is more than there is".to_owned();
        return Err(Error::BadRequest(message));
    };
    // tritonclient leaves the header of a binary request in the headers that its caller shares among
    // requests; what is JSON as a whole has no binary part.
    let request: InferRequest = wire::parse(head).or_else(|error| {
        binary = &[];
        wire::parse(body).map_err(|_not_json_either| error)
    })?;
    let mut columns = Vec::with_capacity(request.inputs.len());
    for tensor in &request.inputs {
        let values = match tensor.parameters.binary_data_size {
            Some(size) => {
                let Some((own, rest)) = binary.split_at_checked(size) else {
                    return Err(short(tensor));
                };
                binary = rest;
                decoded(tensor, own)?
            }
            None => rows::flat(tensor.data.as_ref()),
        };
        values.iter().try_for_each(|value| check(tensor, value))?;
        let n = values.len() as u64;
        if tensor.shape.iter().try_fold(1_u64, |n, part| n.checked_mul(*part)) != Some(n) {
            return Err(short(tensor));
        }
        columns.push((tensor.name.clone(), values));
    }
    let rows = rows::of_columns(columns)?;
    Ok((request, rows))
}

fn short(tensor: &Tensor) -> Error {
    Error::BadRequest(format!("input '{}' has not the data that its shape says", tensor.name))
}

fn other_type(tensor: &Tensor) -> Error {
    Error::BadRequest(format!(
        "input '{}' is {}; send FP64, FP32, an INT or UINT of 8 to 64 bits, BOOL or BYTES",
        tensor.name, tensor.datatype
    ))
}

/// Whether a value is of the type that its tensor says; null is missing, whatever the type.
fn check(tensor: &Tensor, value: &Json_) -> Result<()> {
    let whole = |least: i64, most: u64| {
        value.as_i64().map_or_else(
            || value.as_u64().is_some_and(|n| n <= most),
            |n| n >= least && u64::try_from(n).map_or(true, |n| n <= most),
        )
    };
    let fits = match tensor.datatype.as_str() {
        _ if value.is_null() => true,
        "FP64" | "FP32" | "FP16" => value.is_number(),
        "INT64" => whole(i64::MIN, i64::MAX.cast_unsigned()),
        "INT32" => whole(i32::MIN.into(), i32::MAX.unsigned_abs().into()),
        "INT16" => whole(i16::MIN.into(), i16::MAX.unsigned_abs().into()),
        "INT8" => whole(i8::MIN.into(), i8::MAX.unsigned_abs().into()),
        "UINT64" => whole(0, u64::MAX),
        "UINT32" => whole(0, u32::MAX.into()),
        "UINT16" => whole(0, u16::MAX.into()),
        "UINT8" => whole(0, u8::MAX.into()),
        "BOOL" => value.is_boolean(),
        "BYTES" => value.is_string(),
        _ => return Err(other_type(tensor)),
    };
    if fits {
        return Ok(());
    }
    Err(Error::BadRequest(format!("input '{}': {value} is no {}", tensor.name, tensor.datatype)))
}

/// Data as bytes: numbers in little endian, texts each after its length in four bytes. NaN is missing.
fn decoded(tensor: &Tensor, mut bytes: &[u8]) -> Result<Vec<Json_>> {
    fn fixed<const N: usize>(
        tensor: &Tensor,
        bytes: &[u8],
        read: fn([u8; N]) -> Json_,
    ) -> Result<Vec<Json_>> {
        let (chunks, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(short(tensor));
        }
        Ok(chunks.iter().map(|chunk| read(*chunk)).collect())
    }
    let is_infinite = match tensor.datatype.as_str() {
        "FP64" => bytes.as_chunks().0.iter().any(|b| f64::from_le_bytes(*b).is_infinite()),
        "FP32" => bytes.as_chunks().0.iter().any(|b| f32::from_le_bytes(*b).is_infinite()),
        _ => false,
    };
    if is_infinite {
        return Err(Error::BadRequest(format!("input '{}' is infinite", tensor.name)));
    }
    match tensor.datatype.as_str() {
        "FP64" => fixed(tensor, bytes, |b| json!(f64::from_le_bytes(b))),
        "FP32" => fixed(tensor, bytes, |b| json!(f32::from_le_bytes(b))),
        "INT64" => fixed(tensor, bytes, |b| json!(i64::from_le_bytes(b))),
        "INT32" => fixed(tensor, bytes, |b| json!(i32::from_le_bytes(b))),
        "INT16" => fixed(tensor, bytes, |b| json!(i16::from_le_bytes(b))),
        "INT8" => fixed(tensor, bytes, |b| json!(i8::from_le_bytes(b))),
        "UINT64" => fixed(tensor, bytes, |b| json!(u64::from_le_bytes(b))),
        "UINT32" => fixed(tensor, bytes, |b| json!(u32::from_le_bytes(b))),
        "UINT16" => fixed(tensor, bytes, |b| json!(u16::from_le_bytes(b))),
        "UINT8" => fixed(tensor, bytes, |b| json!(u8::from_le_bytes(b))),
        "BOOL" => fixed(tensor, bytes, |[b]| json!(b != 0)),
        "BYTES" => {
            let mut texts = Vec::new();
            while let Some((length, rest)) = bytes.split_first_chunk() {
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let Some((text, rest)) = rest.split_at_checked(length) else {
                    return Err(short(tensor));
                };
                let text = std::str::from_utf8(text).map_err(|_not_text| {
                    Error::BadRequest(format!("input '{}' is not UTF-8 text", tensor.name))
                })?;
                texts.push(Json_::from(text));
                bytes = rest;
            }
            Ok(texts)
        }
        _ => Err(other_type(tensor)),
    }
}
