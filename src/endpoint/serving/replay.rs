//! A replay: what a function would have said to the most recent requests, before it says anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use kernel::domain::{Event, Name, Properties, SCORE, Time, Value, is_system};
use kernel::features::{AsOf, Knowledge};

use super::deployments::{Live, Variant, function};
use super::state::Endpoint;
use super::{deploying, score, wire};
use crate::Result;

/// Requests of a replay unless said otherwise, and at most.
const REQUESTS: usize = 1_000;
const MOST_REQUESTS: usize = 10_000;
/// Events of the log that are looked at to find them.
const MOST_LOOKED_AT: usize = 200_000;

/// A request that was made, or could be.
struct Asked {
    customer_id: String,
    as_of: Time,
    context: Properties,
    /// The score that was given, and the hash of the function that gave it.
    said: Option<(f64, String)>,
}

/// `POST /v1/deployments/{name}/replay`: an uploaded function scores the most recent recorded requests to a
/// name, each as of its own time; where there are none, the customers that were seen last, as of now.
/// Nothing is recorded or changed.
pub(super) async fn replay(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Replay>> {
    let name = deploying::parse_name(&name)?;
    let request: wire::ReplayRequest = wire::parse(&body)?;
    super::server::blocking(&endpoint, move |endpoint| {
        let function = function(&*endpoint.config, &request.function)?;
        let candidate = Variant::new("candidate", 0, function);
        let limit = request.limit.unwrap_or(REQUESTS).clamp(1, MOST_REQUESTS);
        Ok(Json(report(endpoint, &name, &candidate, limit)?))
    })
    .await
}

#[allow(clippy::cast_precision_loss, reason = "shares for people")]
fn report(
    endpoint: &Endpoint,
    name: &Name,
    candidate: &Variant,
    limit: usize,
) -> Result<wire::Replay> {
    let live = endpoint.deployments.snapshot().get(name.as_str()).cloned();
    let recorded = recorded(endpoint, name, limit)?;
    let source = if recorded.is_empty() { "customers" } else { "requests" };
    let asked = if recorded.is_empty() { seen_last(endpoint, limit)? } else { recorded };
    let mut scores = Vec::with_capacity(asked.len());
    let mut before = Vec::new();
    let mut micros = Vec::with_capacity(asked.len());
    let mut nulls = vec![0; candidate.function.view().features().len()];
    let mut parity = wire::Parity::default();
    for request in &asked {
        let as_of = AsOf { time: request.as_of, knowledge: Knowledge::AsItWasKnown };
        let timeline = endpoint.timelines.timeline(&request.customer_id)?;
        let started = Instant::now();
        let scored = score::scored(endpoint, candidate, &timeline, as_of, &request.context)?;
        micros.push(started.elapsed().as_secs_f64() * 1e6);
        scores.push(scored.score);
        for (n, value) in nulls.iter_mut().zip(&scored.features) {
            *n += usize::from(value.is_null());
        }
        let Some(live) = &live else { continue };
        let answering =
            of_record(live, request).unwrap_or_else(|| live.answering(timeline.customer_id()));
        let again = score::scored(endpoint, answering, &timeline, as_of, &request.context)?.score;
        if let Some((said, hash)) = &request.said
            && hash == answering.function.hash()
        {
            parity.checked += 1;
            parity.different += usize::from(said.to_bits() != again.to_bits());
        }
        before.push(again);
    }
    let features = candidate.function.view().features().iter();
    let share = |n: usize| n as f64 / asked.len().max(1) as f64;
    let null_share: BTreeMap<Name, f64> =
        features.map(|feature| feature.name.clone()).zip(nulls.into_iter().map(share)).collect();
    let differences: Vec<f64> = scores.iter().zip(&before).map(|(new, old)| new - old).collect();
    Ok(wire::Replay {
        source,
        requests: asked.len(),
        errors: scores.iter().filter(|score| !score.is_finite()).count(),
        shift: (!differences.is_empty()).then(|| wire::Spread::of(&differences)),
        live: (!before.is_empty()).then(|| wire::Spread::of(&before)),
        candidate: (!scores.is_empty()).then(|| wire::Spread::of(&scores)),
        micros: (!micros.is_empty()).then(|| wire::Spread::of(&micros)),
        null_share,
        parity,
    })
}

/// The variant that gave a recorded score, if it is still live.
fn of_record<'l>(live: &'l Live, request: &Asked) -> Option<&'l Arc<Variant>> {
    let (_, hash) = request.said.as_ref()?;
    live.variants().find(|variant| variant.function.hash() == hash)
}

/// The most recent recorded requests to a name, shadows left out.
fn recorded(endpoint: &Endpoint, name: &Name, limit: usize) -> Result<Vec<Asked>> {
    let text = |event: &Event, name: &str| match event.properties.get(name) {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    };
    let wanted = |event: &Event| {
        event.event == SCORE
            && text(event, "name").as_deref() == Some(name.as_str())
            && text(event, "variant").as_deref() != Some("shadow")
    };
    let events = endpoint.log.latest(limit, MOST_LOOKED_AT, &wanted)?;
    let asked = |event: &Event| {
        let context = text(event, "context").and_then(|json| serde_json::from_str(&json).ok());
        let score = event.properties.get("score").and_then(Value::as_number);
        Some(Asked {
            customer_id: event.customer_id.clone(),
            as_of: text(event, "as_of")?.parse().ok()?,
            context: context.unwrap_or_default(),
            said: score.zip(text(event, "function")),
        })
    };
    Ok(events.iter().filter_map(asked).collect())
}

/// The customers of the latest events.
fn seen_last(endpoint: &Endpoint, limit: usize) -> Result<Vec<Asked>> {
    let now = endpoint.clock.as_of();
    let wanted = |event: &Event| !is_system(&event.event);
    let events = endpoint.log.latest(MOST_LOOKED_AT, MOST_LOOKED_AT, &wanted)?;
    let mut seen = BTreeSet::new();
    let mut asked = Vec::new();
    for event in events {
        if asked.len() < limit && seen.insert(event.customer_id.clone()) {
            asked.push(Asked {
                customer_id: event.customer_id,
                as_of: now,
                context: Properties::new(),
                said: None,
            });
        }
    }
    Ok(asked)
}
