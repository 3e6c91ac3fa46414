use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::state::Endpoint;
use super::{collect, customers, deploying, history, inference, operations, rank, replay, score};
use crate::Error;

/// The largest function file.
const LARGEST_FUNCTION: usize = 16 * 1024 * 1024;

/// All routes over one endpoint.
pub fn router(endpoint: Arc<Endpoint>) -> Router {
    let collector = Router::new()
        .route("/v1/{method}", post(collect::collect))
        .route("/v1/{method}/", post(collect::collect))
        .route("/v1/projects/{key}/settings", get(collect::settings))
        .layer(DefaultBodyLimit::max(collect::LARGEST_BODY))
        .layer(middleware::from_fn(cors));
    let ours = Router::new()
        .route("/v1/score/{name}", get(score::get).post(score::post))
        .route("/v1/rank/{name}", post(rank::rank))
        .route("/v2/models/{name}", get(inference::metadata))
        .route("/v2/models/{name}/ready", get(inference::ready))
        .route("/v2/models/{name}/infer", post(inference::infer))
        .route("/v2/models/{name}/versions/{version}", get(inference::metadata))
        .route("/v2/models/{name}/versions/{version}/ready", get(inference::ready))
        .route("/v2/models/{name}/versions/{version}/infer", post(inference::infer))
        .route("/invocations", post(inference::invocations))
        .route("/v1/customers/{id}", get(customers::get).delete(customers::erase))
        .route("/v1/deployments", get(deploying::list))
        .route("/v1/deployments/{name}", post(deploying::deploy))
        .route("/v1/deployments/{name}/rollback", post(deploying::roll_back))
        .route("/v1/deployments/{name}/replay", post(replay::replay))
        .route("/v1/deployments/{name}/promote", post(deploying::promote))
        .route("/v1/deployments/{name}/stop", post(deploying::stop))
        .route(
            "/v1/functions",
            post(deploying::upload).layer(DefaultBodyLimit::max(LARGEST_FUNCTION)),
        )
        .route(
            "/v1/history",
            post(history::publish).layer(DefaultBodyLimit::max(history::LARGEST_BODY)),
        )
        .route("/v1/events", get(history::export))
        .layer(middleware::from_fn_with_state(endpoint.clone(), only_known))
        .layer(middleware::from_fn(no_browser));
    let operations = Router::new()
        .route("/healthz", get(operations::health))
        .route("/readyz", get(operations::ready))
        .route("/v2", get(inference::server))
        .route("/v2/health/live", get(inference::live))
        .route("/v2/health/ready", get(operations::ready))
        .route("/ping", get(inference::live))
        .route("/metrics", get(operations::metrics));
    let all = collector.merge(ours).merge(operations).fallback(operations::nothing_here);
    all.layer(middleware::from_fn(as_problem)).with_state(endpoint)
}

/// Bytes of a refusal by the framework that are read.
const LONGEST_REFUSAL: usize = 4 * 1024;

/// What the framework refuses by itself (a body that is too large, a query that lacks something, a method
/// that is not there) as a problem document like every other refusal.
async fn as_problem(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = |value: &HeaderValue| value.to_str().is_ok_and(|type_| type_.contains("json"));
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(is_json);
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = axum::body::to_bytes(body, LONGEST_REFUSAL).await.unwrap_or_default();
    let detail = match (String::from_utf8_lossy(&said).trim(), status) {
        ("", StatusCode::METHOD_NOT_ALLOWED) => "this path takes another method".to_owned(),
        ("", _) => status.canonical_reason().unwrap_or("refused").to_owned(),
        (said, _) => said.to_owned(),
    };
    let mut problem = super::problem::document(status, &detail);
    for (name, value) in &parts.headers {
        // CORS and what else was said beside the body stays.
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

/// Browsers may send events from any page: the write key is public, and says all.
async fn cors(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization,content-type,x-retry-count"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::VARY, "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// A body that may be large is read only for those who have a key.
async fn only_known(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    if endpoint.keys.knows(request.headers()) {
        return next.run(request).await;
    }
    let message = "this needs a key that is known here: send it as 'Authorization: Bearer KEY'";
    Error::Unauthorized(message.to_owned()).into_response()
}

/// Everything but collecting is for programs: a page in a browser on this machine, whatever name it
/// reached us by, must not be able to ask.
async fn no_browser(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let message = "this is not for browsers; ask from a server".to_owned();
        return Error::Forbidden(message).into_response();
    }
    next.run(request).await
}
