use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use kernel::domain::{ALIAS, Event, PropertyTypes, UNALIAS, limits, normalized_id};

use super::state::Endpoint;
use super::wire;
use crate::online::{ConfigStore, Incoming, LIVE_SEQ, LogRange, ReceiptCounts};
use crate::{Error, Result};

/// The largest body of history.
pub(super) const LARGEST_BODY: usize = 32 * 1024 * 1024;
/// The largest event of history, as JSON, in bytes: its record fits into a frame of the log.
pub(super) const LARGEST_EVENT: usize = 8 * 1024 * 1024;
/// Events of a run of the log unless said otherwise, and at most.
const RUN: usize = 5_000;
const LONGEST_RUN: usize = 50_000;

/// `POST /v1/history?project=ID&name=NAME`: events of a project, one JSON object a line, with their own arrival
/// times and sequence numbers. An administrator waits here rather than being refused: history comes in large
/// groups, of which only a few are worked on at once.
pub(super) async fn publish(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<wire::HistoryQuery>,
    body: Bytes,
) -> Result<Json<wire::Collected>> {
    let turn = endpoint.publishing.acquire().await;
    let read = move |endpoint: &Endpoint| {
        if let Some(project) = &query.project {
            endpoint.projects.add(&*endpoint.config, project, &query.name)?;
        }
        let events = events(&body)?;
        let bytes = body.len() + events.iter().map(Incoming::memory).sum::<usize>();
        Ok((events, bytes))
    };
    let (events, bytes) = super::server::blocking(&endpoint, read).await?;
    let admission = endpoint.writer.enter(bytes);
    let n = events.len();
    let receipts =
        endpoint.writer.append(events, Vec::new(), admission).await.inspect_err(|_| {
            endpoint.metrics.refused.add(n);
        })?;
    drop(turn);
    endpoint.metrics.received.add(n);
    let ReceiptCounts { accepted, duplicate, .. } = ReceiptCounts::new(&receipts);
    endpoint.metrics.duplicate.add(duplicate);
    endpoint.metrics.accepted.add(accepted);
    let reasons = Vec::new();
    Ok(Json(wire::Collected { success: true, accepted, duplicate, rejected: 0, reasons }))
}

/// The events of a body.
fn events(body: &[u8]) -> Result<Vec<Incoming>> {
    let mut events = Vec::new();
    for (n, line) in body.split(|byte| *byte == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
        if line.len() > LARGEST_EVENT {
            let message = format!(
                "line {}: the event has {} bytes; the limit is {LARGEST_EVENT}",
                n + 1,
                line.len()
            );
            return Err(Error::TooLarge(message));
        }
        let mut event: Event = serde_json::from_slice(line)
            .map_err(|error| Error::BadRequest(format!("line {}: {error}", n + 1)))?;
        if !is_history(&event) {
            let message = format!("line {}: this is not history of a project", n + 1);
            return Err(Error::BadRequest(message));
        }
        for id in std::iter::once(&mut event.customer_id).chain(&mut event.anonymous_id) {
            if let Cow::Owned(normalized) = normalized_id(id) {
                *id = normalized;
            }
        }
        events.push(Incoming::from(event));
    }
    Ok(events)
}

/// The name of the types of properties in the configuration.
pub(super) const TYPES: &str = "types";

/// `POST /v1/types`: the types of a project's properties and traits, by which live values are read as its
/// warehouse reads them. Types of what is not named stay.
pub(super) async fn set_types(
    State(endpoint): State<Arc<Endpoint>>,
    Json(new): Json<PropertyTypes>,
) -> Result<Json<PropertyTypes>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let _changing = endpoint.changing_types.lock().unwrap_or_else(PoisonError::into_inner);
        let mut types = published_types(&*endpoint.config)?;
        types.properties.extend(new.properties);
        types.traits.extend(new.traits);
        let json = serde_json::to_vec(&types).map_err(Error::store("write the types"))?;
        endpoint.config.put(&[(TYPES.to_owned(), json)])?;
        endpoint.timelines.set_types(types.clone());
        Ok(Json(types))
    })
    .await
}

/// `GET /v1/types`: the types that were published.
pub(super) async fn types(State(endpoint): State<Arc<Endpoint>>) -> Result<Json<PropertyTypes>> {
    Ok(Json(published_types(&*endpoint.config)?))
}

/// The types that were published; none without a project.
pub(super) fn published_types(store: &dyn ConfigStore) -> Result<PropertyTypes> {
    match store.get(TYPES)? {
        Some(json) => serde_json::from_slice(&json).map_err(Error::store("read the types")),
        None => Ok(PropertyTypes::default()),
    }
}

/// Whether an event could have come out of a project's warehouse.
fn is_history(event: &Event) -> bool {
    event.seq < LIVE_SEQ
        && event.received_at >= event.event_time
        && event.event_time.is_plausible()
        && event.received_at.is_plausible()
        && limits::is_id(&event.message_id)
        && limits::is_id(&event.customer_id)
        && event.anonymous_id.as_deref().is_none_or(limits::is_id)
        && limits::is_name(&event.event)
        && event.event != ALIAS
        && event.event != UNALIAS
}

/// `GET /v1/events?from=OFFSET&limit=N`, or `?last=N`: the live events of a run of the log, and where to go on.
pub(super) async fn export(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<wire::LogQuery>,
) -> Result<Json<wire::LogRun>> {
    let limit = query.limit.unwrap_or(RUN).clamp(1, LONGEST_RUN);
    super::server::blocking(&endpoint, move |endpoint| {
        let from = query.last.map_or(query.from, |n| endpoint.log.next().saturating_sub(n));
        let log_ends = endpoint.log.next();
        if from > log_ends {
            return Err(Error::BadRequest(format!(
                "the log ends before {log_ends}: {from} was in another log, or in one that was lost"
            )));
        }
        let LogRange { mut events, mut known_as, next } = endpoint.log.read(from, limit)?;
        // A run has fewer events than records: some were not taken, or were erased.
        let end = next >= log_ends;
        events.retain(|event| event.seq >= LIVE_SEQ);
        known_as.retain(|(seq, _)| *seq >= LIVE_SEQ);
        let (id, projects) = (endpoint.id.clone(), endpoint.projects.list());
        Ok(Json(wire::LogRun { endpoint: id, next, end, events, known_as, projects }))
    })
    .await
}
