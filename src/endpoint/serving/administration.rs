//! Keys, backups and rejected events: what only administrators ask for.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use kernel::domain::Time;

use super::state::Endpoint;
use super::wire;
use crate::online::{Join, Rejected};
use crate::{Error, Result};

/// A key that was replaced stays valid for so long unless said otherwise: a day.
const OVERLAP_SECONDS: f64 = 86_400.0;
/// Rejected events of a request unless said otherwise, and at most.
const REJECTED: usize = 100;
const MOST_REJECTED: usize = 10_000;

/// `GET /v1/keys`: the keys, without the keys themselves.
pub(super) async fn keys(State(endpoint): State<Arc<Endpoint>>) -> Json<wire::KeyList> {
    Json(wire::KeyList { keys: endpoint.keys.list().iter().map(wire::Key::from).collect() })
}

/// `POST /v1/keys`: makes a key, which is shown here only.
pub(super) async fn make_key(
    State(endpoint): State<Arc<Endpoint>>,
    body: Bytes,
) -> Result<Json<wire::NewKey>> {
    let request: wire::KeyRequest = wire::parse(&body)?;
    if request.requests_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Error::BadRequest("requests_per_second must be above 0".to_owned()));
    }
    super::server::blocking(&endpoint, move |endpoint| {
        let now = endpoint.clock.as_of();
        let rate = request.requests_per_second;
        let (key, kept) = endpoint.keys.make(&*endpoint.config, request.role, rate, now)?;
        Ok(Json(wire::NewKey { key, about: wire::Key::from(&kept) }))
    })
    .await
}

/// `POST /v1/keys/{id}/rotate`: makes a key that replaces one, which stays valid for a while.
pub(super) async fn rotate_key(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<wire::NewKey>> {
    let request: wire::RotateRequest =
        if body.is_empty() { wire::RotateRequest::default() } else { wire::parse(&body)? };
    let overlap = request.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    if !overlap.is_finite() || overlap < 0.0 {
        return Err(Error::BadRequest("overlap_seconds must be 0 or more".to_owned()));
    }
    super::server::blocking(&endpoint, move |endpoint| {
        let now = endpoint.clock.as_of();
        #[allow(clippy::cast_possible_truncation, reason = "microseconds of a span")]
        let until = now.plus((overlap * 1e6) as i64);
        if !until.is_plausible() {
            let message = format!("overlap_seconds: a key is valid until {} at most", Time::LATEST);
            return Err(Error::BadRequest(message));
        }
        let (key, kept) = endpoint.keys.rotate(&*endpoint.config, &id, until, now)?;
        Ok(Json(wire::NewKey { key, about: wire::Key::from(&kept) }))
    })
    .await
}

/// `DELETE /v1/keys/{id}`: ends a key at once.
pub(super) async fn revoke_key(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Key>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let now = endpoint.clock.as_of();
        let kept = endpoint.keys.revoke(&*endpoint.config, &id, now)?;
        Ok(Json(wire::Key::from(&kept)))
    })
    .await
}

/// Joins of a request unless it says a number, and at most.
const JOINS: usize = 1_000;
const MAX_JOINS: usize = 10_000;

/// `GET /v1/joins?customer_id=ID`, or `?after=ID&limit=N`: which ids are joined to which customers.
pub(super) async fn joins(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<wire::JoinsQuery>,
) -> Result<Json<wire::JoinList>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let limit = query.limit.unwrap_or(JOINS).min(MAX_JOINS);
        let joins = match &query.customer_id {
            Some(id) => endpoint.log.joins_of(&kernel::domain::normalized_id(id), limit)?,
            None => endpoint.log.joins(&query.after, limit)?,
        };
        Ok(Json(wire::JoinList { joins }))
    })
    .await
}

/// `DELETE /v1/joins/{id}`: undoes the join of an id; what came with it is its own again.
pub(super) async fn undo_join(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
) -> Result<Json<Join>> {
    let id = kernel::domain::normalized_id(&id).into_owned();
    let undone = endpoint.writer.undo_join(id).await?;
    for name in endpoint.deployments.snapshot().keys() {
        endpoint.last_scores.remove(name, &undone.customer_id);
        endpoint.last_scores.remove(name, &undone.id);
    }
    Ok(Json(undone))
}

/// `POST /v1/backup`: copies what is durable into a folder beside the data, which another endpoint can start
/// from, and says which.
pub(super) async fn back_up(State(endpoint): State<Arc<Endpoint>>) -> Result<Json<wire::Backup>> {
    super::server::blocking(&endpoint, |endpoint| {
        let folder = endpoint.log.back_up()?;
        let note = "a backup keeps the data of customers who are erased later; an endpoint that starts from it \
                    repeats the erasures in erasures.jsonl, which is beside it and goes where it goes";
        Ok(Json(wire::Backup { folder: folder.display().to_string(), note }))
    })
    .await
}

/// `GET /v1/rejected?limit=N`: events that were not taken and why, newest first.
pub(super) async fn rejected(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<wire::RejectedQuery>,
) -> Result<Json<wire::RejectedList>> {
    let limit = query.limit.unwrap_or(REJECTED).min(MOST_REJECTED);
    super::server::blocking(&endpoint, move |endpoint| {
        let rejected: Vec<Rejected> = endpoint.log.rejected(limit)?;
        Ok(Json(wire::RejectedList { rejected }))
    })
    .await
}

impl From<&super::keys::Kept> for wire::Key {
    fn from(kept: &super::keys::Kept) -> Self {
        let (id, role, made_at) = (kept.id.clone(), kept.role, kept.made_at);
        let valid_until: Option<Time> = kept.valid_until;
        let requests_per_second = kept.requests_per_second;
        Self { id, role, made_at, valid_until, requests_per_second }
    }
}
