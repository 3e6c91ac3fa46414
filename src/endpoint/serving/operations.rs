use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::state::Endpoint;
use super::wire;
use crate::{Error, Result};

/// `GET /healthz`: the process is there.
pub(super) async fn health(State(endpoint): State<Arc<Endpoint>>) -> Json<wire::Health> {
    answer(&endpoint, "ok")
}

/// `GET /readyz`: it takes events and gives scores.
pub(super) async fn ready(State(endpoint): State<Arc<Endpoint>>) -> Result<Json<wire::Health>> {
    // An empty group goes through the writer and back, so it says whether writing works.
    endpoint.writer.append(Vec::new()).await?;
    Ok(answer(&endpoint, "ready"))
}

fn answer(endpoint: &Endpoint, status: &'static str) -> Json<wire::Health> {
    let (endpoint, time) = (endpoint.id.clone(), endpoint.clock.as_of());
    Json(wire::Health { status, endpoint, time })
}

/// `GET /metrics`: counts in the text format of Prometheus.
pub(super) async fn metrics(State(endpoint): State<Arc<Endpoint>>) -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], endpoint.metrics.to_text())
}

/// Any other path.
pub(super) async fn nothing_here(uri: axum::http::Uri) -> Error {
    Error::NotFound(format!("there is no {}", uri.path()))
}
