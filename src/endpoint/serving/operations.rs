use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    if endpoint.is_draining.load(Ordering::Acquire) {
        return Err(Error::Full("it is stopping".to_owned()));
    }
    super::server::blocking(&endpoint, |endpoint| endpoint.log.try_it()).await?;
    endpoint.writer.append(Vec::new(), Vec::new(), endpoint.writer.admit(0)?).await?;
    Ok(answer(&endpoint, "ready"))
}

fn answer(endpoint: &Endpoint, status: &'static str) -> Json<wire::Health> {
    let difference = endpoint.clock.report().difference;
    #[allow(clippy::cast_precision_loss, reason = "seconds for people")]
    let clock_difference_seconds = difference as f64 / 1e6;
    Json(wire::Health {
        status,
        endpoint: endpoint.id.clone(),
        time: endpoint.clock.as_of(),
        clock: match difference {
            0 => "followed",
            1.. => "ahead",
            _ => "behind",
        },
        clock_difference_seconds,
    })
}

/// `GET /version`: of the program, as text.
pub(super) async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// `GET /metrics`: counts in the text format of Prometheus.
pub(super) async fn metrics(State(endpoint): State<Arc<Endpoint>>) -> impl IntoResponse {
    (
        [("content-type", "text/plain; version=0.0.4")],
        endpoint.metrics.to_text(
            endpoint.timelines.memory(),
            endpoint.writer.unrecorded(),
            endpoint.clock.report(),
        ),
    )
}

/// Any other path.
pub(super) async fn nothing_here(uri: axum::http::Uri) -> Error {
    Error::NotFound(format!("there is no {}", uri.path()))
}
