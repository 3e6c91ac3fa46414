use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use kernel::domain::{Name, Properties, Time, Type, Value, limits};
use kernel::features::{AsOf, Knowledge, evidence};
use kernel::scoring::{Detail, Score as KernelScore};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::deployments::{Live, Variant};
use super::experimenting::{Answering, answering};
use super::last_scores::Last;
use super::router::MayScore;
use super::state::Endpoint;
use super::wire;
use crate::online::{Said, Timeline};
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
    deadline_ms: Option<u64>,
}

/// `GET /v1/score/{name}?customer_id=…`.
pub(super) async fn get(
    _: MayScore,
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Query(query): Query<ScoreQuery>,
) -> Result<Json<wire::ScoreAnswer>> {
    if query.customer_id.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Error::BadRequest("the customer_id is not UTF-8 text".to_owned()));
    }
    let request = wire::ScoreRequest {
        customer_id: Some(query.customer_id),
        customer_ids: Vec::new(),
        context: Properties::new(),
        explain: query.explain,
        as_of: query.as_of,
        deadline_ms: query.deadline_ms,
    };
    answer(endpoint, &name, request).await
}

/// `POST /v1/score/{name}`: one customer, or many.
pub(super) async fn post(
    _: MayScore,
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::ScoreAnswer>> {
    answer(endpoint, &name, wire::parse(&body)?).await
}

async fn answer(
    endpoint: Arc<Endpoint>,
    name: &str,
    request: wire::ScoreRequest,
) -> Result<Json<wire::ScoreAnswer>> {
    let live = endpoint.deployments.get(name)?;
    let ids = check(&endpoint, &live, &request)?;
    // What is in memory is answered at once. What is read from a disk has a thread that the runtime
    // gives up for it: others must not wait for that.
    let ready: Option<Vec<_>> = ids.iter().map(|id| ready(&endpoint, &live, id)).collect();
    let never = AtomicBool::new(false);
    let scores = match (ready, request.deadline_ms) {
        (Some(ready), _) => score_all(&endpoint, &live, &request, ready, &never)?,
        (None, None) => tokio::task::block_in_place(|| {
            let found = find(&endpoint, &request)?;
            score_all(&endpoint, &live, &request, found, &never)
        })?,
        (None, Some(deadline)) => score_until(endpoint, live, request.clone(), deadline).await?,
    };
    Ok(Json(match (request.customer_id.is_some(), scores) {
        (true, mut scores) if scores.len() == 1 => {
            wire::ScoreAnswer::One(Box::new(scores.remove(0)))
        }
        (_, scores) => wire::ScoreAnswer::Many { scores },
    }))
}

/// The customers of a request that makes sense.
fn check<'r>(
    endpoint: &Endpoint,
    live: &Live,
    request: &'r wire::ScoreRequest,
) -> Result<&'r [String]> {
    let ids = request.ids();
    if request.customer_id.is_some() && !request.customer_ids.is_empty() {
        let message = "name a customer_id or customer_ids, not both".to_owned();
        return Err(Error::BadRequest(message));
    }
    if ids.is_empty() {
        return Err(Error::BadRequest("name a customer_id or customer_ids".to_owned()));
    }
    if ids.len() > MOST_CUSTOMERS {
        return Err(Error::TooLarge(format!("ask for at most {MOST_CUSTOMERS} customers")));
    }
    ids.iter().try_for_each(|id| check_id(id))?;
    check_context(endpoint, live, &request.context)?;
    Ok(ids)
}

/// The timeline of a customer whose score waits for no disk.
fn ready(endpoint: &Endpoint, live: &Live, id: &str) -> Option<Arc<Timeline>> {
    let timeline = endpoint.timelines.in_memory(id)?;
    let answering = super::experimenting::ready(endpoint, live, &timeline)?;
    let mut asked = live.shadow.iter().map(|it| &it.function).chain([&answering]);
    asked.all(|function| timeline.is_read_by(function)).then_some(timeline)
}

/// The timelines of the customers of a request.
fn find(endpoint: &Endpoint, request: &wire::ScoreRequest) -> Result<Vec<Arc<Timeline>>> {
    request.ids().iter().map(|id| endpoint.timelines.timeline(id)).collect()
}

/// Scores until a deadline; then each customer's last score, marked stale.
async fn score_until(
    endpoint: Arc<Endpoint>,
    live: Arc<Live>,
    request: wire::ScoreRequest,
    deadline: u64,
) -> Result<Vec<wire::Score>> {
    let is_abandoned = Arc::new(AtomicBool::new(false));
    let work = {
        let (endpoint, live, request) = (endpoint.clone(), live.clone(), request.clone());
        let is_abandoned = is_abandoned.clone();
        move || {
            let found = find(&endpoint, &request)?;
            score_all(&endpoint, &live, &request, found, &is_abandoned)
        }
    };
    let work = tokio::task::spawn_blocking(work);
    match tokio::time::timeout(Duration::from_millis(deadline), work).await {
        Ok(scores) => scores.map_err(Error::store("score"))?,
        Err(_) => {
            // What comes out of it now was not said to anybody, and is not recorded.
            is_abandoned.store(true, Ordering::Release);
            let name = live.record.name.as_str();
            let (mut scores, mut records) = (Vec::new(), Vec::new());
            for id in request.ids() {
                let last = endpoint.last_scores.get(name, id).ok_or(Error::TooLate(deadline))?;
                let score = again(&live, id, &last, wire::Freshness::Stale);
                let said = record(&score, last.features, &request.context);
                records.push(Said { reused: true, ..said });
                scores.push(score);
            }
            endpoint.writer.record(records);
            endpoint.metrics.scores.add(scores.len());
            Ok(scores)
        }
    }
}

/// Scores customers, in order, and records what was said in one request to the writer.
fn score_all(
    endpoint: &Endpoint,
    live: &Live,
    request: &wire::ScoreRequest,
    timelines: Vec<Arc<Timeline>>,
    is_abandoned: &AtomicBool,
) -> Result<Vec<wire::Score>> {
    let started = Instant::now();
    let mut scores = Vec::with_capacity(timelines.len());
    let mut records = Vec::with_capacity(timelines.len());
    for timeline in timelines {
        // The as-of time is taken before the timeline is read: what arrives between the two is not yet
        // known as of that time. A replay reads what was known then, so that it repeats exactly.
        let time = request.as_of.unwrap_or_else(|| endpoint.clock.as_of());
        let as_of = AsOf { time, knowledge: Knowledge::AsItWasKnown };
        if let Some((score, features)) = still_fresh(endpoint, live, &timeline, as_of, request) {
            records.push(Said { reused: true, ..record(&score, features, &request.context) });
            scores.push(score);
            continue;
        }
        let changes = timeline.changes();
        let answering = answering(endpoint, live, &timeline, as_of)?;
        let variant = &*answering.variant;
        let scored = scored(endpoint, variant, &timeline, as_of, &request.context)?;
        let customer_id = timeline.customer_id();
        let score = answer_of(live, &answering, customer_id, as_of, &scored, request.explain);
        let mut score = with_detail(score, variant, &scored);
        if let Some(reasons) = &mut score.reasons {
            add_evidence(endpoint, variant, customer_id, as_of, reasons)?;
        }
        if request.as_of.is_none() {
            answering.expose(endpoint, &timeline, as_of);
            watched(endpoint, live, variant, &scored, as_of);
            let features = hash(&scored.features);
            records.push(record(&score, features, &request.context));
            remember(endpoint, variant, &score, features, changes);
            if let Some(shadow) = &live.shadow {
                let scored = self::scored(endpoint, shadow, &timeline, as_of, &request.context)?;
                watched(endpoint, live, shadow, &scored, as_of);
                let shadow = Answering::of(shadow.clone());
                let score = answer_of(live, &shadow, customer_id, as_of, &scored, false);
                records.push(record(&score, hash(&scored.features), &request.context));
            }
        }
        scores.push(score);
    }
    if !is_abandoned.load(Ordering::Acquire) {
        endpoint.writer.record(records);
        endpoint.metrics.scored(scores.len(), started.elapsed());
    }
    Ok(scores)
}

fn remember(
    endpoint: &Endpoint,
    variant: &Variant,
    score: &wire::Score,
    features: u128,
    changes: u64,
) {
    let last = Last {
        score: score.score,
        as_of: score.as_of,
        version: score.version,
        function: variant.hash.clone(),
        variant: variant.role.clone(),
        known: score.known,
        features,
        changes,
    };
    endpoint.last_scores.put(score.name.as_str(), &score.customer_id, last);
}

/// A score that was given before, if it is young enough and nothing has happened since: only where the
/// deployment says so, and nothing else is asked for.
fn still_fresh(
    endpoint: &Endpoint,
    live: &Live,
    timeline: &Timeline,
    as_of: AsOf,
    request: &wire::ScoreRequest,
) -> Option<(wire::Score, u128)> {
    let shelf_life = live.record.shelf_life?;
    // Who is in an experiment may be exposed now.
    if endpoint.attached.of(live.record.name.as_str()).is_some() {
        return None;
    }
    if request.explain || request.as_of.is_some() || !request.context.is_empty() {
        return None;
    }
    let last = endpoint.last_scores.get(live.record.name.as_str(), timeline.customer_id())?;
    #[allow(clippy::cast_precision_loss, reason = "seconds of an age")]
    let age = (as_of.time.0 - last.as_of.0) as f64 / 1e6;
    let answering = live.answering(timeline.customer_id());
    let is_fresh = age < shelf_life
        && !answering.function.says_more()
        && last.changes == timeline.changes()
        && *last.function == *answering.hash;
    is_fresh.then(|| {
        let score = again(live, timeline.customer_id(), &last, wire::Freshness::Reused);
        (score, last.features)
    })
}

/// A score that was given before, as it is answered again.
fn again(live: &Live, customer_id: &str, last: &Last, freshness: wire::Freshness) -> wire::Score {
    wire::Score {
        name: live.record.name.clone(),
        version: last.version,
        function: last.function.clone(),
        customer_id: customer_id.to_owned(),
        score: last.score,
        as_of: last.as_of,
        known: last.known,
        stale: freshness == wire::Freshness::Stale,
        freshness,
        variant: last.variant.clone(),
        experiment: None,
        classes: None,
        items: None,
        features: None,
        reasons: None,
    }
}

/// The score of one customer now and its version, recorded: of the function that answers for them, or of one
/// that was asked for by name. `give` may put other values in the place of what is known; it says whether it did.
pub(super) fn score_one(
    endpoint: &Endpoint,
    live: &Live,
    asked: Option<&Arc<Variant>>,
    id: &str,
    context: &Properties,
    give: impl FnOnce(&Variant, &mut [Value]) -> Result<bool>,
) -> Result<(KernelScore, u32)> {
    check_id(id)?;
    let started = Instant::now();
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let timeline = endpoint.timelines.timeline(id)?;
    let answering = match asked {
        Some(asked) => Answering::of(asked.clone()),
        None => answering(endpoint, live, &timeline, as_of)?,
    };
    let variant = &*answering.variant;
    let mut scored = scored(endpoint, variant, &timeline, as_of, context)?;
    if give(variant, &mut scored.features)? {
        scored.score = variant.function.score_features(&scored.features);
    }
    answering.expose(endpoint, &timeline, as_of);
    watched(endpoint, live, variant, &scored, as_of);
    let said = answer_of(live, &answering, timeline.customer_id(), as_of, &scored, false);
    endpoint.writer.record([record(&said, hash(&scored.features), context)]);
    endpoint.metrics.scored(1, started.elapsed());
    let version = variant.version;
    Ok((scored, version))
}

/// The score of a timeline for who asked for more than it: recorded as any other.
pub(super) fn score_now(
    endpoint: &Endpoint,
    live: &Live,
    timeline: &Timeline,
    as_of: AsOf,
    context: &Properties,
) -> Result<wire::Score> {
    let started = Instant::now();
    let answering = answering(endpoint, live, timeline, as_of)?;
    let scored = scored(endpoint, &answering.variant, timeline, as_of, context)?;
    answering.expose(endpoint, timeline, as_of);
    watched(endpoint, live, &answering.variant, &scored, as_of);
    let said = answer_of(live, &answering, timeline.customer_id(), as_of, &scored, false);
    let said = with_detail(said, &answering.variant, &scored);
    endpoint.writer.record([record(&said, hash(&scored.features), context)]);
    endpoint.metrics.scored(1, started.elapsed());
    Ok(said)
}

pub(super) fn check_id(id: &str) -> Result<()> {
    if limits::is_id(id) {
        return Ok(());
    }
    let most = limits::LONGEST_ID;
    Err(Error::BadRequest(format!("a customer_id has 1 to {most} bytes and is not blank")))
}

/// Refuses what no function that is live reads of the occasion.
pub(super) fn check_context(endpoint: &Endpoint, live: &Live, said: &Properties) -> Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    let attached = endpoint.attached.of(live.record.name.as_str());
    let tried = || attached.iter().flat_map(|attached| attached.functions());
    let functions = || live.variants().map(|variant| &variant.function).chain(tried());
    let read = || functions().flat_map(|function| function.view().context());
    let Some(unknown) = said.keys().find(|name| read().all(|(known, _)| known != *name)) else {
        return Ok(());
    };
    let hint = kernel::domain::did_you_mean(unknown, read().map(|(name, _)| name.as_str()));
    let name = &live.record.name;
    Err(Error::BadRequest(format!("the function '{name}' reads no context.{unknown}{hint}")))
}

/// What a function says of a timeline as of a time. What is not said of the occasion is null.
pub(super) fn scored(
    endpoint: &Endpoint,
    variant: &Variant,
    timeline: &Timeline,
    as_of: AsOf,
    context: &Properties,
) -> Result<KernelScore> {
    let value = |(name, type_): &(String, Type)| {
        context.get(name).map_or(Value::Null, |value| value.coerce(*type_))
    };
    let context: Vec<Value> = variant.function.view().context().iter().map(value).collect();
    endpoint.timelines.score(timeline, &variant.function, as_of, &context)
}

/// Counts a score that is given for who watches the deployment.
pub(super) fn watched(
    endpoint: &Endpoint,
    live: &Live,
    variant: &Variant,
    scored: &KernelScore,
    as_of: AsOf,
) {
    let expected = variant.function.file().expected.as_ref();
    let said = (scored.features.as_slice(), scored.score);
    let name = live.record.name.as_str();
    endpoint.watch.scored(name, variant.version, expected, said, as_of.time);
}

/// A score as it is answered.
pub(super) fn answer_of(
    live: &Live,
    answering: &Answering,
    customer_id: &str,
    as_of: AsOf,
    scored: &KernelScore,
    explain: bool,
) -> wire::Score {
    let variant = &*answering.variant;
    let reasons = || variant.function.reasons(&scored.features).into_iter();
    wire::Score {
        name: live.record.name.clone(),
        version: variant.version,
        function: variant.hash.clone(),
        customer_id: customer_id.to_owned(),
        score: scored.score,
        as_of: as_of.time,
        known: scored.known,
        stale: false,
        freshness: wire::Freshness::Computed,
        variant: variant.role.clone(),
        experiment: answering.experiment.clone(),
        classes: None,
        items: None,
        features: explain.then(|| named(variant, &scored.features)),
        reasons: explain.then(|| reasons().map(wire::Reason::from).collect()),
    }
}

/// Events of a reason that are named.
const SHOWN_EVENTS: usize = 3;

/// Adds to each reason the events behind its feature.
fn add_evidence(
    endpoint: &Endpoint,
    variant: &Variant,
    customer_id: &str,
    as_of: AsOf,
    reasons: &mut [wire::Reason],
) -> Result<()> {
    let events = endpoint.timelines.events(customer_id)?;
    let view = variant.function.view();
    let evidence = evidence(view, &events, as_of);
    for reason in reasons {
        let place = view.features().iter().position(|feature| feature.name == reason.feature);
        let Some(places) = place.map(|place| &evidence[place]) else { continue };
        reason.event_count = places.len();
        let latest = places.iter().rev().take(SHOWN_EVENTS).map(|place| &events[*place]);
        reason.events = latest
            .map(|event| wire::ReasonEvent {
                event: event.event.clone(),
                event_time: event.event_time,
                message_id: event.message_id.clone(),
            })
            .collect();
    }
    Ok(())
}

/// An answer with what the function says beside the score.
fn with_detail(score: wire::Score, variant: &Variant, scored: &KernelScore) -> wire::Score {
    match variant.function.detail(&scored.features) {
        Some(Detail::Classes(classes)) => {
            wire::Score { classes: Some(classes.into_iter().collect()), ..score }
        }
        Some(Detail::Items(items)) => wire::Score { items: Some(items), ..score },
        None => score,
    }
}

/// Feature values by the names of a function's view.
pub(super) fn named(variant: &Variant, values: &[Value]) -> BTreeMap<Name, Value> {
    let features = variant.function.view().features().iter();
    features.map(|feature| feature.name.clone()).zip(values.iter().cloned()).collect()
}

/// A hash of the values of features: of a letter for the type of each, then its bytes.
pub(super) fn hash(features: &[Value]) -> u128 {
    // Numbers, most of all, take so much.
    let mut bytes = Vec::with_capacity(features.len() * 16);
    let say = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&text.len().to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    for value in features {
        match value {
            Value::Null => bytes.push(b'-'),
            Value::Boolean(boolean) => bytes.extend_from_slice(&[b'b', u8::from(*boolean)]),
            Value::Number(number) => {
                let [a, b, c, d, e, f, g, h] = number.to_bits().to_le_bytes();
                bytes.extend_from_slice(&[b'n', a, b, c, d, e, f, g, h]);
            }
            Value::Text(text) => say(&mut bytes, text),
            other => say(&mut bytes, &other.to_string()),
        }
    }
    xxh3_128(&bytes)
}

/// What was said, as it is recorded.
pub(super) fn record(score: &wire::Score, features: u128, context: &Properties) -> Said {
    Said {
        customer_id: score.customer_id.clone(),
        name: score.name.clone(),
        version: score.version,
        function: score.function.clone(),
        variant: score.variant.clone(),
        score: score.score,
        as_of: score.as_of,
        features,
        // What was asked with, so that a replay can ask again.
        context: match context.is_empty() {
            true => String::new(),
            false => serde_json::to_string(context).unwrap_or_default(),
        },
        candidate: None,
        reused: false,
    }
}
