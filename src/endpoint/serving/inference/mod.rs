//! The Open Inference Protocol (version 2, REST) and MLflow's two routes over the same scores, for clients
//! that score models wherever they are served.
//!
//! A model is a deployment. It is asked by `customer_id`, which reads the timeline as [`score`](super::score)
//! does, or by whole rows of features, which reads nothing and is not recorded: no customer is named. What is
//! given beside a customer, a feature or a `context.NAME`, counts instead of what is known.

mod invocations;
mod rows;
mod tensor;

pub(super) use invocations::invocations;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use kernel::domain::Type;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};

use super::collect;
use super::deployments::{Live, Variant};
use super::state::Endpoint;
use crate::{Error, Result};
use rows::{CONTEXT, CUSTOMER, Scored};
use tensor::tensors;

/// What a model says of each row.
const OUTPUTS: [(&str, &str); 3] = [("score", "FP64"), ("known", "BOOL"), ("version", "INT32")];

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
    let context = variant.function.view().context().iter();
    let context =
        context.map(|(name, type_)| tensor(&format!("{CONTEXT}{name}"), datatype(*type_)));
    let customer = std::iter::once(tensor(CUSTOMER, "BYTES"));
    let inputs: Vec<Json_> = customer.chain(features).chain(context).collect();
    let outputs = OUTPUTS.map(|(name, datatype)| tensor(name, datatype));
    Ok(Json(json!({
        "name": live.record.name,
        "versions": live.variants().map(|variant| variant.version.to_string()).collect::<Vec<_>>(),
        "platform": "fullcircle",
        "inputs": inputs,
        "outputs": outputs,
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

/// An answer. The version is that of all rows; where customers of one request have different ones, as in a
/// split, each row says its own.
#[derive(Debug, Serialize)]
pub(super) struct InferAnswer {
    model_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<String>,
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
    let wanted = wanted(request.outputs.as_deref())?;
    let scores = tokio::task::block_in_place(|| rows::scores(&endpoint, &live, asked, &rows))?;
    let output = |(name, datatype): (&str, &str)| {
        let data: Vec<Json_> = scores.iter().map(|scored| value_of(name, scored)).collect();
        json!({ "name": name, "datatype": datatype, "shape": [data.len()], "data": data })
    };
    Ok(Json(InferAnswer {
        model_name: live.record.name.to_string(),
        model_version: one_version(&scores).map(|version| version.to_string()),
        id: request.id,
        outputs: wanted.into_iter().map(output).collect(),
    }))
}

/// The version that all scores are of, if there is one.
fn one_version(scores: &[Scored]) -> Option<u32> {
    let first = scores.first()?.version;
    scores.iter().all(|scored| scored.version == first).then_some(first)
}

fn value_of(output: &str, scored: &Scored) -> Json_ {
    match output {
        "score" => json!(scored.score),
        "known" => json!(scored.known),
        _ => json!(scored.version),
    }
}

/// The outputs that are asked for: all, unless some are named.
fn wanted(named: Option<&[tensor::Output]>) -> Result<Vec<(&'static str, &'static str)>> {
    let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok(OUTPUTS.into()) };
    let known: BTreeMap<&str, (&str, &str)> =
        OUTPUTS.into_iter().map(|output| (output.0, output)).collect();
    let find = |output: &tensor::Output| {
        known.get(output.name.as_str()).copied().ok_or_else(|| {
            let names: Vec<&str> = OUTPUTS.iter().map(|(name, _)| *name).collect();
            let message =
                format!("there is no output '{}'; there are {}", output.name, names.join(", "));
            Error::BadRequest(message)
        })
    };
    named.iter().map(find).collect()
}
