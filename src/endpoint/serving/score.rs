use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use kernel::domain::{Properties, SCORE, Time, Type, Value, limits};
use kernel::features::{AsOf, Knowledge};
use serde::Deserialize;

use super::deployments::Live;
use super::keys::Keys;
use super::state::Endpoint;
use super::{Role, wire};
use crate::online::{Incoming, Kind};
use crate::{Error, Result};

/// The most customers of one request.
const MOST_CUSTOMERS: usize = 1_000;
/// What a variant is called outside of experiments.
pub(super) const CHAMPION: &str = "champion";

/// What `GET /v1/score/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreQuery {
    customer_id: String,
    #[serde(default)]
    explain: bool,
    as_of: Option<Time>,
}

/// `GET /v1/score/{name}?customer_id=…`.
pub(super) async fn get(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Query(query): Query<ScoreQuery>,
    headers: HeaderMap,
) -> Result<Json<wire::ScoreAnswer>> {
    endpoint.keys.check(&headers, None, Role::Score)?;
    let request = wire::ScoreRequest {
        customer_id: Some(query.customer_id),
        customer_ids: Vec::new(),
        context: Properties::new(),
        explain: query.explain,
        as_of: query.as_of,
    };
    tokio::task::block_in_place(|| answer(&endpoint, &name, &request))
}

/// `POST /v1/score/{name}`: one customer, or many.
pub(super) async fn post(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<wire::ScoreAnswer>> {
    endpoint.keys.check(&headers, None, Role::Score)?;
    let request = wire::parse(&body)?;
    // A timeline that is not in memory is read from disk; others must not wait for that.
    tokio::task::block_in_place(|| answer(&endpoint, &name, &request))
}

fn answer(
    endpoint: &Endpoint,
    name: &str,
    request: &wire::ScoreRequest,
) -> Result<Json<wire::ScoreAnswer>> {
    let live = endpoint.deployments.get(name)?;
    let one = std::slice::from_ref;
    let ids = match (&request.customer_id, request.customer_ids.as_slice()) {
        (Some(id), []) => one(id),
        (None, []) => {
            return Err(Error::BadRequest("name a customer_id or customer_ids".to_owned()));
        }
        (None, ids) if ids.len() <= MOST_CUSTOMERS => ids,
        (None, _) => {
            return Err(Error::TooLarge(format!("ask for at most {MOST_CUSTOMERS} customers")));
        }
        (Some(_), _) => {
            let message = "name a customer_id or customer_ids, not both".to_owned();
            return Err(Error::BadRequest(message));
        }
    };
    let mut scores = score_all(endpoint, &live, ids, request)?;
    match (request.customer_id.is_some(), scores.pop()) {
        (true, Some(only)) => Ok(Json(wire::ScoreAnswer::One(Box::new(only)))),
        (_, last) => {
            scores.extend(last);
            Ok(Json(wire::ScoreAnswer::Many { scores }))
        }
    }
}

/// Scores customers, in order, and records what was said in one request to the writer.
fn score_all(
    endpoint: &Endpoint,
    live: &Live,
    ids: &[String],
    request: &wire::ScoreRequest,
) -> Result<Vec<wire::Score>> {
    let started = Instant::now();
    let context = context(live, &request.context)?;
    let mut scores = Vec::with_capacity(ids.len());
    let mut records = Vec::new();
    for id in ids {
        if !limits::is_id(id) {
            let message = format!("a customer_id has 1 to {} bytes", limits::LONGEST_ID);
            return Err(Error::BadRequest(message));
        }
        // The as-of time is taken before the timeline is read: what arrives between the two is not yet
        // known as of that time. A replay reads what was known then, so that it repeats exactly.
        let time = request.as_of.unwrap_or_else(|| endpoint.clock.as_of());
        let as_of = AsOf { time, knowledge: Knowledge::AsItWasKnown };
        let (score, values) = compute(endpoint, live, id, as_of, &context, request.explain)?;
        if request.as_of.is_none() {
            records.push(record(&score, &values));
        }
        scores.push(score);
    }
    let n_records = records.len();
    if n_records > 0 && !endpoint.writer.append_later(records) {
        endpoint.metrics.unrecorded_scores.add(n_records);
    }
    endpoint.metrics.scores.add(scores.len());
    endpoint.metrics.score_micros.add(usize::try_from(started.elapsed().as_micros()).unwrap_or(0));
    Ok(scores)
}

/// What a request says of its occasion, as the function's view reads it; what it does not say is null.
fn context(live: &Live, said: &Properties) -> Result<Vec<Value>> {
    let read = live.function.view().context();
    if let Some(unknown) = said.keys().find(|name| read.iter().all(|(known, _)| known != *name)) {
        let names = read.iter().map(|(name, _)| name.as_str());
        let hint = kernel::domain::did_you_mean(unknown, names);
        let message =
            format!("the function '{}' reads no context.{unknown}{hint}", live.record.name);
        return Err(Error::BadRequest(message));
    }
    let value = |(name, type_): &(String, Type)| {
        said.get(name).map_or(Value::Null, |value| value.coerce(*type_))
    };
    Ok(read.iter().map(value).collect())
}

/// The score of a customer as of a time, and the values of its features.
pub(super) fn compute(
    endpoint: &Endpoint,
    live: &Live,
    id: &str,
    as_of: AsOf,
    context: &[Value],
    explain: bool,
) -> Result<(wire::Score, Vec<Value>)> {
    let (customer_id, timeline) = endpoint.timelines.timeline(id)?;
    let function = &live.function;
    let scored = timeline.score(function, as_of, context);
    let features = explain.then(|| named(live, &scored.features));
    let reasons = explain
        .then(|| function.reasons(&scored.features).into_iter().map(wire::Reason::from).collect());
    let score = wire::Score {
        name: live.record.name.clone(),
        version: live.version,
        function: function.hash().to_owned(),
        customer_id,
        score: scored.score,
        as_of: as_of.time,
        known: scored.known,
        stale: false,
        variant: CHAMPION,
        features,
        reasons,
    };
    Ok((score, scored.features))
}

/// Feature values by the names of a function's view.
pub(super) fn named(live: &Live, values: &[Value]) -> BTreeMap<kernel::domain::Name, Value> {
    let features = live.function.view().features().iter();
    features.map(|feature| feature.name.clone()).zip(values.iter().cloned()).collect()
}

/// What was said, as an event.
fn record(score: &wire::Score, features: &[Value]) -> Incoming {
    let features = serde_json::to_string(features).unwrap_or_default();
    let features_hash = blake3::hash(features.as_bytes()).to_hex();
    let properties = Properties::from([
        ("name".to_owned(), Value::text(score.name.as_str())),
        ("version".to_owned(), Value::Number(f64::from(score.version))),
        ("function".to_owned(), Value::text(score.function.as_str())),
        ("score".to_owned(), Value::Number(score.score)),
        ("variant".to_owned(), Value::text(score.variant)),
        ("as_of".to_owned(), Value::text(score.as_of.to_string())),
        ("features_hash".to_owned(), Value::text(features_hash.as_str())),
    ]);
    Incoming {
        message_id: format!("score-{}-{}", score.as_of.0, Keys::random_id()),
        customer_id: Some(score.customer_id.clone()),
        anonymous_id: None,
        event: SCORE.to_owned(),
        event_time: None,
        properties,
        kind: Kind::Live,
    }
}
