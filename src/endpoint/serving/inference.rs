//! The Open Inference Protocol (version 2, REST) and MLflow's two routes over the same scores, for clients
//! that score models wherever they are served.
//!
//! A model is a deployment. It is asked by `customer_id`, which reads the timeline as [`score`] does, or by
//! whole rows of features, which reads nothing and is not recorded: no customer is named.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use kernel::domain::{Properties, Type, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json_, json};

use super::deployments::{Live, Variant};
use super::state::Endpoint;
use super::{collect, score, wire};
use crate::{Error, Result};

/// The input that names customers.
const CUSTOMER: &str = "customer_id";
/// The most rows of one request.
const MOST_ROWS: usize = 1_000;

/// `GET /v2`: what serves.
pub(super) async fn server() -> Json<Json_> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({ "name": "fullcircle", "version": version, "extensions": ["binary_tensor_data"] }))
}

/// `GET /v2/health/live`, `GET /ping`: the process is there.
pub(super) async fn live() -> Json<Json_> {
    Json(json!({ "live": true }))
}

/// `GET /v2/models/{name}`, also with a version: inputs and outputs.
pub(super) async fn metadata(
    State(endpoint): State<Arc<Endpoint>>,
    Path(model): Path<Model>,
) -> Result<Json<Json_>> {
    let live = endpoint.deployments.get(&model.name)?;
    let variant = model.variant(&live)?;
    let tensor =
        |name: &str, datatype: &str| json!({ "name": name, "datatype": datatype, "shape": [-1] });
    let features = variant.function.view().features().iter();
    let features = features.map(|feature| tensor(feature.name.as_str(), datatype(feature.type_)));
    let inputs: Vec<Json_> = std::iter::once(tensor(CUSTOMER, "BYTES")).chain(features).collect();
    Ok(Json(json!({
        "name": live.record.name,
        "versions": live.variants().map(|variant| variant.version.to_string()).collect::<Vec<_>>(),
        "platform": "fullcircle",
        "inputs": inputs,
        "outputs": [tensor("score", "FP64"), tensor("known", "BOOL")],
    })))
}

/// `GET /v2/models/{name}/ready`, also with a version.
pub(super) async fn ready(
    State(endpoint): State<Arc<Endpoint>>,
    Path(model): Path<Model>,
) -> Result<Json<Json_>> {
    let live = endpoint.deployments.get(&model.name)?;
    model.variant(&live)?;
    Ok(Json(json!({ "name": live.record.name, "ready": true })))
}

/// A model as a path names it.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    name: String,
    version: Option<String>,
}

impl Model {
    /// The function that is meant: the champion unless a version that is live is named.
    fn variant<'l>(&self, live: &'l Live) -> Result<&'l Arc<Variant>> {
        let Some(version) = &self.version else { return Ok(&live.champion) };
        live.variants().find(|variant| variant.version.to_string() == *version).ok_or_else(|| {
            Error::NotFound(format!("version {version} of '{}' is not live", live.record.name))
        })
    }
}

/// The name of a type in the protocol.
const fn datatype(type_: Type) -> &'static str {
    match type_ {
        Type::Number => "FP64",
        Type::Boolean => "BOOL",
        Type::Text | Type::Time | Type::List(_) | Type::Counts(_) => "BYTES",
    }
}

#[derive(Debug, Deserialize)]
struct InferRequest {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<Tensor>,
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

#[derive(Debug, Serialize)]
pub(super) struct InferAnswer {
    model_name: String,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<Json_>,
}

/// `POST /v2/models/{name}/infer`, also with a version: scores of customers, or of rows of features.
/// Tensors may be binary; the answer is JSON, which clients take either way.
pub(super) async fn infer(
    State(endpoint): State<Arc<Endpoint>>,
    Path(model): Path<Model>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<InferAnswer>> {
    let body = collect::unpack(&headers, &body)?;
    let (request, rows) = tensors(&headers, &body)?;
    let live = endpoint.deployments.get(&model.name)?;
    let variant = model.variant(&live)?;
    let asked = model.version.is_some().then_some(variant);
    let scores = tokio::task::block_in_place(|| scores(&endpoint, &live, asked, &rows))?;
    let output = |name: &str, datatype: &str, data: Vec<Json_>| json!({ "name": name, "datatype": datatype, "shape": [data.len()], "data": data });
    Ok(Json(InferAnswer {
        model_name: live.record.name.to_string(),
        model_version: variant.version.to_string(),
        id: request.id,
        outputs: vec![
            output("score", "FP64", scores.iter().map(|(score, _)| json!(score)).collect()),
            output("known", "BOOL", scores.iter().map(|(_, known)| json!(known)).collect()),
        ],
    }))
}

/// Rows of named values.
type Rows = Vec<Map<String, Json_>>;

/// The request and its tensors as rows.
fn tensors(headers: &HeaderMap, body: &[u8]) -> Result<(InferRequest, Rows)> {
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
    let mut rows = Rows::new();
    for tensor in &request.inputs {
        let values = match tensor.parameters.binary_data_size {
            Some(size) => {
                let Some((own, rest)) = binary.split_at_checked(size) else {
                    return Err(short(tensor));
                };
                binary = rest;
                decoded(tensor, own)?
            }
            None => flat(tensor.data.as_ref()),
        };
        let n = values.len();
        if tensor.shape.iter().try_fold(1_u64, |n, part| n.checked_mul(*part)) != Some(n as u64) {
            return Err(short(tensor));
        }
        if rows.is_empty() {
            check_size(n)?;
            rows.resize(n, Map::new());
        }
        if rows.len() != n {
            let message = format!("input '{}' has {n} rows, not {}", tensor.name, rows.len());
            return Err(Error::BadRequest(message));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            row.insert(tensor.name.clone(), value);
        }
    }
    Ok((request, rows))
}

fn short(tensor: &Tensor) -> Error {
    Error::BadRequest(format!("input '{}' has not the data that its shape says", tensor.name))
}

fn check_size(n: usize) -> Result<()> {
    if n <= MOST_ROWS {
        return Ok(());
    }
    Err(Error::TooLarge(format!("ask for at most {MOST_ROWS} rows")))
}

/// Data as JSON, which may be nested as its shape is.
fn flat(data: Option<&Json_>) -> Vec<Json_> {
    match data {
        Some(Json_::Array(items)) => items.iter().flat_map(|item| flat(Some(item))).collect(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    }
}

/// Data as bytes: numbers in little endian, texts each after its length in four bytes.
fn decoded(tensor: &Tensor, mut bytes: &[u8]) -> Result<Vec<Json_>> {
    fn fixed<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> Json_) -> Vec<Json_> {
        bytes.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok().map(read)).collect()
    }
    Ok(match tensor.datatype.as_str() {
        "FP64" => fixed(bytes, |b| json!(f64::from_le_bytes(b))),
        "FP32" => fixed(bytes, |b| json!(f32::from_le_bytes(b))),
        "INT64" => fixed(bytes, |b| json!(i64::from_le_bytes(b))),
        "INT32" => fixed(bytes, |b| json!(i32::from_le_bytes(b))),
        "BOOL" => fixed(bytes, |[b]| json!(b != 0)),
        "BYTES" => {
            let mut texts = Vec::new();
            while let Some((length, rest)) = bytes.split_first_chunk() {
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let Some((text, rest)) = rest.split_at_checked(length) else {
                    return Err(short(tensor));
                };
                texts.push(Json_::from(String::from_utf8_lossy(text)));
                bytes = rest;
            }
            texts
        }
        other => {
            let message = format!(
                "input '{}' is {other}; send FP64, FP32, INT64, INT32, BOOL or BYTES",
                tensor.name
            );
            return Err(Error::BadRequest(message));
        }
    })
}

/// The score of each row, by the version that was asked for if one was, and whether its customer is known. A row with a customer is recorded as any other
/// score; one with features has no customer.
fn scores(
    endpoint: &Endpoint,
    live: &Live,
    asked: Option<&Arc<Variant>>,
    rows: &Rows,
) -> Result<Vec<(f64, bool)>> {
    let mut scores = Vec::with_capacity(rows.len());
    for row in rows {
        scores.push(match row.get(CUSTOMER) {
            Some(customer) => {
                let id = customer.as_str().map_or_else(|| customer.to_string(), str::to_owned);
                let context = Properties::new();
                let scored = score::score_one(endpoint, live, asked, &id, &context)?;
                (scored.score, scored.known)
            }
            None => (of_features(asked.unwrap_or(&live.champion), row)?, false),
        });
    }
    Ok(scores)
}

/// The score of a row of features; what it lacks is null.
fn of_features(variant: &Variant, row: &Map<String, Json_>) -> Result<f64> {
    let features = variant.function.view().features();
    let names = || features.iter().map(|feature| feature.name.as_str());
    if let Some(unknown) = row.keys().find(|name| names().all(|known| known != *name)) {
        let hint = kernel::domain::did_you_mean(unknown, names());
        return Err(Error::BadRequest(format!(
            "there is no input '{unknown}'{hint}; ask by {CUSTOMER}, or by all features"
        )));
    }
    let value = |feature: &kernel::features::Feature| match row.get(feature.name.as_str()) {
        Some(value) => Value::from_json(value).coerce(feature.type_),
        None => Value::Null,
    };
    Ok(variant.function.score_features(&features.iter().map(value).collect::<Vec<_>>()))
}

#[derive(Debug, Deserialize)]
pub(super) struct InvocationQuery {
    /// The deployment; needed where there are several.
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Invocation {
    dataframe_records: Option<Rows>,
    dataframe_split: Option<Split>,
    instances: Option<Json_>,
    inputs: Option<Json_>,
}

#[derive(Debug, Deserialize)]
struct Split {
    columns: Vec<String>,
    data: Vec<Vec<Json_>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Predictions {
    predictions: Vec<f64>,
}

/// `POST /invocations`, as MLflow, SageMaker and Vertex ask: rows with `customer_id`, or rows of features.
pub(super) async fn invocations(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<InvocationQuery>,
    body: Bytes,
) -> Result<Json<Predictions>> {
    let rows = invocation_rows(wire::parse(&body)?)?;
    check_size(rows.len())?;
    let deployed = endpoint.deployments.snapshot();
    let name = match (query.name, deployed.keys().next()) {
        (Some(name), _) => name,
        (None, Some(only)) if deployed.len() == 1 => only.clone(),
        (None, _) => {
            let names: Vec<&str> = deployed.keys().map(String::as_str).collect();
            let message =
                format!("name a deployment: /invocations?name=…, of {}", names.join(", "));
            return Err(Error::BadRequest(message));
        }
    };
    let live = endpoint.deployments.get(&name)?;
    let scores = tokio::task::block_in_place(|| scores(&endpoint, &live, None, &rows))?;
    Ok(Json(Predictions { predictions: scores.into_iter().map(|(score, _)| score).collect() }))
}

fn invocation_rows(asked: Invocation) -> Result<Rows> {
    let rows_of = |json: Json_| -> Result<Rows> {
        match json {
            // Columns of equal length, or rows.
            Json_::Object(columns) => {
                let mut rows = Rows::new();
                for (name, values) in columns {
                    let values = flat(Some(&values));
                    rows.resize(rows.len().max(values.len()), Map::new());
                    for (row, value) in rows.iter_mut().zip(values) {
                        row.insert(name.clone(), value);
                    }
                }
                Ok(rows)
            }
            rows => serde_json::from_value(rows).map_err(|error| {
                Error::BadRequest(format!("rows are objects with names: {error}"))
            }),
        }
    };
    match asked {
        Invocation { dataframe_records: Some(rows), .. } => Ok(rows),
        Invocation { dataframe_split: Some(split), .. } => {
            let row = |values: Vec<Json_>| split.columns.iter().cloned().zip(values).collect();
            Ok(split.data.into_iter().map(row).collect())
        }
        Invocation { instances: Some(rows), .. } | Invocation { inputs: Some(rows), .. } => {
            rows_of(rows)
        }
        _ => Err(Error::BadRequest(
            "send dataframe_records, dataframe_split, instances or inputs".to_owned(),
        )),
    }
}
