//! Experiments as feature flags, for clients that others have published: OpenFeature's remote evaluation
//! (OFREP 0.1) and the payload that GrowthBook's SDKs evaluate by themselves.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::domain::Properties;
use kernel::experiments::{Allocation, ExperimentDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};

use super::experimenting::decided;
use super::state::Endpoint;
use super::{Role, wire};
use crate::experiments::{Running, State as Experimental, Why};
use crate::{Error, Result};

/// What OFREP clients send.
#[derive(Debug, Default, Deserialize)]
struct Evaluation {
    #[serde(default)]
    context: Context,
}

/// The subject of an evaluation; what else is known of it is not read: the endpoint knows more.
#[derive(Debug, Default, Deserialize)]
struct Context {
    #[serde(rename = "targetingKey")]
    targeting_key: Option<String>,
}

/// A flag as OFREP says it.
#[derive(Debug, Serialize)]
struct Flag {
    key: String,
    reason: &'static str,
    /// Whose value it is; of who is not in the experiment that of the control: the provider for Python reads
    /// it always.
    variant: String,
    value: Json_,
    metadata: Json_,
}

/// An error as OFREP says it.
struct FlagError {
    status: StatusCode,
    key: Option<String>,
    code: &'static str,
    details: String,
}

impl IntoResponse for FlagError {
    fn into_response(self) -> Response {
        let mut body = json!({"errorCode": self.code, "errorDetails": self.details});
        if let Some(key) = self.key {
            body["key"] = key.into();
        }
        (self.status, Json(body)).into_response()
    }
}

impl FlagError {
    fn of(key: Option<&str>, error: &Error) -> Self {
        let (status, code) = match error {
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "FLAG_NOT_FOUND"),
            Error::BadRequest(_) => (StatusCode::BAD_REQUEST, "INVALID_CONTEXT"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "GENERAL"),
        };
        Self { status, key: key.map(str::to_owned), code, details: error.to_string() }
    }
}

/// The customer that a request is about.
fn subject(key: Option<&str>, body: &Bytes) -> std::result::Result<String, FlagError> {
    let bad = |code, details: String| FlagError {
        status: StatusCode::BAD_REQUEST,
        key: key.map(str::to_owned),
        code,
        details,
    };
    let asked: Evaluation =
        serde_json::from_slice(body).map_err(|error| bad("PARSE_ERROR", error.to_string()))?;
    asked.context.targeting_key.filter(|key| !key.is_empty()).ok_or_else(|| {
        bad("TARGETING_KEY_MISSING", "name the customer as context.targetingKey".to_owned())
    })
}

fn flag(endpoint: &Endpoint, key: &str, customer_id: &str) -> Result<Flag> {
    let decision = decided(endpoint, key, customer_id, &Properties::new())?;
    let reason = match decision.why {
        Why::Assigned | Why::Kept => "SPLIT",
        Why::Stopped => "DISABLED",
        Why::Decided => "STATIC",
        Why::Holdout | Why::Layer | Why::Traffic | Why::Ineligible => "DEFAULT",
    };
    let wire::Decision { experiment, version, variant, value, why, .. } = decision;
    let running = endpoint.experiments.get(key)?;
    let control = || running.experiment.definition().variants[0].name.clone();
    Ok(Flag {
        key: experiment.to_string(),
        reason,
        variant: variant.unwrap_or_else(control).to_string(),
        value,
        metadata: json!({"version": version, "why": why}),
    })
}

/// `POST /ofrep/v1/evaluate/flags/{key}`: one flag.
pub(super) async fn evaluate(
    State(endpoint): State<Arc<Endpoint>>,
    Path(key): Path<String>,
    body: Bytes,
) -> Response {
    let customer_id = match subject(Some(&key), &body) {
        Ok(customer_id) => customer_id,
        Err(error) => return error.into_response(),
    };
    match tokio::task::block_in_place(|| flag(&endpoint, &key, &customer_id)) {
        Ok(flag) => Json(flag).into_response(),
        Err(error) => FlagError::of(Some(&key), &error).into_response(),
    }
}

/// `POST /ofrep/v1/evaluate/flags`: all flags of running and decided experiments, with a tag by which a
/// client learns cheaply that nothing has changed.
pub(super) async fn evaluate_all(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let customer_id = match subject(None, &body) {
        Ok(customer_id) => customer_id,
        Err(error) => return error.into_response(),
    };
    let experiments = endpoint.experiments.snapshot();
    let asked = experiments.values().filter(|it| it.record.state != Experimental::Stopped);
    let flags: Result<Vec<Flag>> = tokio::task::block_in_place(|| {
        asked.map(|it| flag(&endpoint, it.record.name.as_str(), &customer_id)).collect()
    });
    let flags = match flags {
        // Who gets a variant now has it from here on: the tag is that of what comes next.
        Ok(flags) => json!({ "flags": flags }),
        Err(error) => return FlagError::of(None, &error).into_response(),
    };
    let stable = flags.to_string().replace("\"why\":\"assigned\"", "\"why\":\"kept\"");
    let tag = format!("\"{}\"", &blake3::hash(stable.as_bytes()).to_hex()[..32]);
    let Ok(tag_header) = HeaderValue::from_str(&tag) else { return Json(flags).into_response() };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let mut response = match known == Some(tag.as_str()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(flags).into_response(),
    };
    response.headers_mut().insert(header::ETAG, tag_header);
    response
}

/// `GET /api/features/{key}`: running experiments as GrowthBook's SDKs evaluate them, for a write key, which
/// is as public as theirs. Who is eligible, what was given before and what a bandit has learned is known
/// only here: ask `/v1/decide` where that matters.
pub(super) async fn growthbook(
    State(endpoint): State<Arc<Endpoint>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Json_>> {
    endpoint.keys.check(&headers, Some(&key), Role::Browser, endpoint.clock.as_of())?;
    let experiments = endpoint.experiments.snapshot();
    let features: serde_json::Map<String, Json_> =
        experiments.values().filter_map(|running| feature(running)).collect();
    Ok(Json(json!({ "status": 200, "features": features })))
}

fn feature(running: &Running) -> Option<(String, Json_)> {
    let definition = running.experiment.definition();
    let value = |place: usize| definition.variants[place].value.clone();
    let feature = match &running.record.state {
        Experimental::Stopped => json!({ "defaultValue": value(0) }),
        Experimental::Decided(winner) => {
            json!({ "defaultValue": value(definition.variant(winner.as_str()).unwrap_or(0)) })
        }
        // Only the endpoint knows what its bandits have learned.
        Experimental::Running if definition.allocation != Allocation::Fixed => return None,
        Experimental::Running => json!({ "defaultValue": value(0), "rules": [rule(definition)] }),
    };
    Some((running.record.name.to_string(), feature))
}

fn rule(definition: &ExperimentDefinition) -> Json_ {
    let mut filters = Vec::new();
    if definition.holdout > 0.0 {
        filters.push(filter(kernel::experiments::HOLDOUT_SEED, definition.holdout, 1.0));
    }
    if let Some(layer) = &definition.layer {
        filters.push(filter(layer.name.as_str(), layer.from, layer.until));
    }
    let variants = || definition.variants.iter();
    let meta: Vec<Json_> = variants().map(|it| json!({"key": it.name, "name": it.name})).collect();
    let mut rule = json!({
        "key": definition.name,
        "seed": definition.seed(),
        "hashAttribute": "id",
        "hashVersion": 2,
        "coverage": definition.traffic,
        "weights": definition.weights(),
        "variations": variants().map(|variant| variant.value.clone()).collect::<Vec<_>>(),
        "meta": meta,
    });
    if !filters.is_empty() {
        rule["filters"] = filters.into();
    }
    rule
}

fn filter(seed: &str, from: f64, until: f64) -> Json_ {
    json!({"seed": seed, "attribute": "id", "hashVersion": 2, "ranges": [[from, until]]})
}
