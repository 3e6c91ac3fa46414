use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use kernel::domain::{Name, Properties, SCORE, Time, Type, Value, limits};
use kernel::features::{AsOf, Knowledge};
use kernel::scoring::Score as KernelScore;
use serde::Deserialize;

use super::deployments::{Live, Variant};
use super::keys::Keys;
use super::state::Endpoint;
use super::{Role, wire};
use crate::online::{Incoming, Kind, Timeline};
use crate::{Error, Result};

/// The most customers of one request.
const MOST_CUSTOMERS: usize = 1_000;

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
    answer_in_place(&endpoint, &name, &request)
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
    answer_in_place(&endpoint, &name, &request)
}

/// Answers at once what is in memory. A timeline that is not is read from disk, on a thread that the runtime
/// gives up for it: others must not wait for that.
fn answer_in_place(
    endpoint: &Endpoint,
    name: &str,
    request: &wire::ScoreRequest,
) -> Result<Json<wire::ScoreAnswer>> {
    let mut ids = request.customer_ids.iter().chain(&request.customer_id);
    if ids.all(|id| endpoint.timelines.is_in_memory(id)) {
        answer(endpoint, name, request)
    } else {
        tokio::task::block_in_place(|| answer(endpoint, name, request))
    }
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
    check_context(live, &request.context)?;
    let mut scores = Vec::with_capacity(ids.len());
    let mut records = Vec::new();
    for id in ids {
        check_id(id)?;
        // The as-of time is taken before the timeline is read: what arrives between the two is not yet
        // known as of that time. A replay reads what was known then, so that it repeats exactly.
        let time = request.as_of.unwrap_or_else(|| endpoint.clock.as_of());
        let as_of = AsOf { time, knowledge: Knowledge::AsItWasKnown };
        let (customer_id, timeline) = endpoint.timelines.timeline(id)?;
        let variant = live.answering(&customer_id);
        let scored = scored(variant, &timeline, as_of, &request.context);
        let score = said(live, variant, &customer_id, as_of, &scored, request.explain);
        if request.as_of.is_none() {
            records.push(record(&score, &scored.features, &request.context));
            if let Some(shadow) = &live.shadow {
                let scored = self::scored(shadow, &timeline, as_of, &request.context);
                let score = said(live, shadow, &customer_id, as_of, &scored, false);
                records.push(record(&score, &scored.features, &request.context));
            }
        }
        scores.push(score);
    }
    record_later(endpoint, records);
    endpoint.metrics.scores.add(scores.len());
    endpoint.metrics.score_micros.add(usize::try_from(started.elapsed().as_micros()).unwrap_or(0));
    Ok(scores)
}

/// The score of one customer now, recorded: of the function that answers for them, or of one that was
/// asked for by name.
pub(super) fn score_one(
    endpoint: &Endpoint,
    live: &Live,
    asked: Option<&Variant>,
    id: &str,
    context: &Properties,
) -> Result<KernelScore> {
    check_id(id)?;
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let (customer_id, timeline) = endpoint.timelines.timeline(id)?;
    let variant = asked.unwrap_or_else(|| live.answering(&customer_id));
    let scored = scored(variant, &timeline, as_of, context);
    let said = said(live, variant, &customer_id, as_of, &scored, false);
    record_later(endpoint, vec![record(&said, &scored.features, context)]);
    endpoint.metrics.scores.add(1);
    Ok(scored)
}

/// Records scores without keeping the reply waiting.
pub(super) fn record_later(endpoint: &Endpoint, records: Vec<Incoming>) {
    let n = records.len();
    if n > 0 && !endpoint.writer.append_later(records) {
        endpoint.metrics.unrecorded_scores.add(n);
    }
}

pub(super) fn check_id(id: &str) -> Result<()> {
    if limits::is_id(id) {
        return Ok(());
    }
    Err(Error::BadRequest(format!("a customer_id has 1 to {} bytes", limits::LONGEST_ID)))
}

/// Refuses what no function that is live reads of the occasion.
pub(super) fn check_context(live: &Live, said: &Properties) -> Result<()> {
    let read = || live.variants().flat_map(|variant| variant.function.view().context());
    let Some(unknown) = said.keys().find(|name| read().all(|(known, _)| known != *name)) else {
        return Ok(());
    };
    let hint = kernel::domain::did_you_mean(unknown, read().map(|(name, _)| name.as_str()));
    let name = &live.record.name;
    Err(Error::BadRequest(format!("the function '{name}' reads no context.{unknown}{hint}")))
}

/// What a function says of a timeline as of a time. What is not said of the occasion is null.
pub(super) fn scored(
    variant: &Variant,
    timeline: &Timeline,
    as_of: AsOf,
    context: &Properties,
) -> KernelScore {
    let value = |(name, type_): &(String, Type)| {
        context.get(name).map_or(Value::Null, |value| value.coerce(*type_))
    };
    let context: Vec<Value> = variant.function.view().context().iter().map(value).collect();
    timeline.score(&variant.function, as_of, &context)
}

/// A score as it is answered.
pub(super) fn said(
    live: &Live,
    variant: &Variant,
    customer_id: &str,
    as_of: AsOf,
    scored: &KernelScore,
    explain: bool,
) -> wire::Score {
    let reasons = || variant.function.reasons(&scored.features).into_iter();
    wire::Score {
        name: live.record.name.clone(),
        version: variant.version,
        function: variant.function.hash().to_owned(),
        customer_id: customer_id.to_owned(),
        score: scored.score,
        as_of: as_of.time,
        known: scored.known,
        stale: false,
        variant: variant.role,
        features: explain.then(|| named(variant, &scored.features)),
        reasons: explain.then(|| reasons().map(wire::Reason::from).collect()),
    }
}

/// Feature values by the names of a function's view.
pub(super) fn named(variant: &Variant, values: &[Value]) -> BTreeMap<Name, Value> {
    let features = variant.function.view().features().iter();
    features.map(|feature| feature.name.clone()).zip(values.iter().cloned()).collect()
}

/// What was said, as an event.
pub(super) fn record(score: &wire::Score, features: &[Value], context: &Properties) -> Incoming {
    let features = serde_json::to_string(features).unwrap_or_default();
    let features_hash = blake3::hash(features.as_bytes()).to_hex();
    let mut properties = Properties::from([
        ("name".to_owned(), Value::text(score.name.as_str())),
        ("version".to_owned(), Value::Number(f64::from(score.version))),
        ("function".to_owned(), Value::text(score.function.as_str())),
        ("score".to_owned(), Value::Number(score.score)),
        ("variant".to_owned(), Value::text(score.variant)),
        ("as_of".to_owned(), Value::text(score.as_of.to_string())),
        ("features_hash".to_owned(), Value::text(features_hash.as_str())),
    ]);
    // What was asked with, so that a replay can ask again.
    if let Ok(json) = serde_json::to_string(context)
        && !context.is_empty()
    {
        properties.insert("context".to_owned(), Value::text(json));
    }
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
