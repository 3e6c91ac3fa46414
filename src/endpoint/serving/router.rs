use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post};

use super::state::Endpoint;
use super::{
    Role, administration, collect, customers, deploying, documentation, experimenting, flags,
    history, inference, monitoring, operations, rank, recommend, replay, score,
};
use crate::online::Origin;
use crate::{Error, Result};

/// The largest function file.
const LARGEST_FUNCTION: usize = 16 * 1024 * 1024;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// All routes over one endpoint.
pub fn router(endpoint: Arc<Endpoint>) -> Router {
    // What is asked most has nothing around it.
    let collector =
        Router::new().route("/v1/{method}", collector()).route("/v1/{method}/", collector());
    let pages = Router::new()
        .route("/v1/projects/{key}/settings", get(collect::settings))
        .route("/api/features/{key}", get(flags::growthbook))
        .layer(middleware::from_fn(cors));
    // They ask for the key themselves.
    let score = Router::new().route("/v1/score/{name}", get(score::get).post(score::post));
    let scores = Router::new()
        .route("/v1/rank/{name}", post(rank::rank))
        .route("/v1/recommend/{name}", post(recommend::recommend))
        .route("/v2/models/{name}", get(inference::metadata))
        .route("/v2/models/{name}/ready", get(inference::ready))
        .route("/v2/models/{name}/infer", post(inference::infer))
        .route("/v2/models/{name}/versions/{version}", get(inference::metadata))
        .route("/v2/models/{name}/versions/{version}/ready", get(inference::ready))
        .route("/v2/models/{name}/versions/{version}/infer", post(inference::infer))
        .route("/invocations", post(inference::invocations))
        .route("/v1/customers/{id}", get(customers::get))
        .route("/v1/decide/{name}", get(experimenting::ask).post(experimenting::ask_with))
        .route("/v1/experiments", get(experimenting::list))
        .route("/ofrep/v1/evaluate/flags", post(flags::evaluate_all))
        .route("/ofrep/v1/evaluate/flags/{key}", post(flags::evaluate))
        .route("/v1/experiments/{name}", get(experimenting::get))
        .route("/v1/deployments", get(deploying::list))
        .route_layer(middleware::from_fn_with_state(endpoint.clone(), may_score));
    let administration = Router::new()
        .route("/v1/customers/{id}", delete(customers::erase))
        .route("/v1/deployments/{name}", post(deploying::deploy))
        .route("/v1/deployments/{name}/rollback", post(deploying::roll_back))
        .route("/v1/deployments/{name}/replay", post(replay::replay))
        .route("/v1/deployments/{name}/promote", post(deploying::promote))
        .route("/v1/deployments/{name}/stop", post(deploying::stop))
        .route("/v1/deployments/{name}/freshness", post(deploying::freshness))
        .route("/v1/experiments/{name}", post(experimenting::start))
        .route("/v1/experiments/{name}/decide", post(experimenting::decide))
        .route("/v1/experiments/{name}/stop", post(experimenting::stop))
        .route("/v1/monitor/{name}", get(monitoring::report))
        .route("/v1/rules", get(monitoring::rules))
        .route("/v1/rules/{name}", post(monitoring::put_rule).delete(monitoring::remove_rule))
        .route("/v1/rules/{name}/test", post(monitoring::test_rule))
        .route("/v1/deliveries", get(monitoring::deliveries))
        .route("/v1/deliveries/{id}/again", post(monitoring::again))
        .route("/v1/webhook-secret", get(monitoring::secret))
        .route("/v1/webhook-secret/rotate", post(monitoring::rotate_secret))
        .route("/v1/keys", get(administration::keys).post(administration::make_key))
        .route("/v1/keys/{id}", delete(administration::revoke_key))
        .route("/v1/keys/{id}/rotate", post(administration::rotate_key))
        .route("/v1/joins", get(administration::joins))
        .route("/v1/joins/{id}", delete(administration::undo_join))
        .route("/v1/backup", post(administration::back_up))
        .route("/v1/rejected", get(administration::rejected))
        .route(
            "/v1/functions",
            post(deploying::upload).layer(DefaultBodyLimit::max(LARGEST_FUNCTION)),
        )
        .route(
            "/v1/history",
            post(history::publish).layer(DefaultBodyLimit::max(history::LARGEST_BODY)),
        )
        .route("/v1/types", get(history::types).post(history::set_types))
        .route("/v1/events", get(history::export))
        .route_layer(middleware::from_fn_with_state(endpoint.clone(), may_administer));
    let operations = Router::new()
        .route("/healthz", get(operations::health))
        .route("/readyz", get(operations::ready))
        .route("/v2", get(inference::server))
        .route("/v2/health/live", get(inference::live))
        .route("/v2/health/ready", get(operations::ready))
        .route("/ping", get(inference::live))
        .route("/health", get(inference::live))
        .route("/version", get(operations::version))
        .route("/metrics", get(operations::metrics))
        .route("/openapi.json", get(documentation::openapi))
        .route("/", get(documentation::page));
    let all =
        collector.merge(pages).merge(score).merge(scores).merge(administration).merge(operations);
    all.fallback(operations::nothing_here).with_state(endpoint)
}

/// What takes events.
fn collector() -> MethodRouter<Arc<Endpoint>> {
    post(collect::collect).options(collect::preflight).fallback(collect::other_method)
}

/// Bytes of a refusal by the framework that are read.
const LONGEST_REFUSAL: usize = 4 * 1024;

/// What the framework refuses by itself (a body that is too large, a query that lacks something, a method
/// that is not there) as a problem document like every other refusal.
pub(super) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let is_json = |value: &HeaderValue| value.to_str().is_ok_and(|type_| type_.contains("json"));
    if response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
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

/// What pages ask for from anywhere.
async fn cors(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    collect::for_page(origin.as_ref(), response)
}

/// Who may have scores: as an argument of a handler, what it is asked costs less than around it.
pub(super) struct MayScore;

impl FromRequestParts<Arc<Endpoint>> for MayScore {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Arc<Endpoint>) -> Result<Self> {
        check(endpoint, &parts.headers, Role::Score).map(|_| Self)
    }
}

/// Scores are for those who have a key for them: asked before a body is read.
async fn may_score(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&endpoint, request.headers(), Role::Score) {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Administration needs its own key, and comes from this machine unless more was allowed.
async fn may_administer(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    if !endpoint.allows_remote_administration
        && let Some(reason) = remote_reason(&request)
    {
        let message = format!(
            "administration is taken from this machine only: {reason}; start the endpoint with \
             --allow-remote-administration to change that"
        );
        return Error::Forbidden(message).into_response();
    }
    match check(&endpoint, request.headers(), Role::Admin) {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Headers of clients. Any other may be that of a proxy, each of which names its client in its own way.
const CLIENT_HEADERS: [&str; 24] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "referer",
    "te",
    "transfer-encoding",
    "user-agent",
    "x-api-key",
    "x-requested-with",
];

/// Why a request may come from another machine; none if it comes from this one.
fn remote_reason(request: &Request) -> Option<String> {
    let peer = request.extensions().get::<Peer>();
    if peer.is_none_or(|peer| !peer.0.is_loopback()) {
        return Some("this request comes from another one".to_owned());
    }
    // As nginx hands requests on, unless it is told otherwise.
    if request.version() != Version::HTTP_11 {
        return Some("this request is not HTTP/1.1, so a proxy may have handed it on".to_owned());
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_this_machine) {
        return Some("this request is for a host of another name".to_owned());
    }
    let is_foreign = |name: &&str| !name.starts_with("sec-") && !CLIENT_HEADERS.contains(name);
    let foreign = request.headers().keys().map(HeaderName::as_str).find(is_foreign)?;
    Some(format!("this request has the header '{foreign}', so a proxy may have handed it on"))
}

fn check(endpoint: &Endpoint, headers: &HeaderMap, role: Role) -> Result<Origin> {
    only_own_pages(headers)?;
    endpoint.keys.check(headers, None, role, endpoint.clock.as_of())
}

/// All but collecting is for programs, and for the endpoint's own page: a page of somebody else in a browser
/// on this machine, whatever name it reached us by, must not be able to ask.
fn only_own_pages(headers: &HeaderMap) -> Result<()> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = text(header::HOST).unwrap_or_default();
    let is_own = origin.as_bytes() == format!("http://{host}").as_bytes();
    if is_own && is_this_machine(host) {
        return Ok(());
    }
    Err(Error::Forbidden("this is not for pages of others; ask from a server".to_owned()))
}

/// Whether a host is named as this machine alone can be: a name may lead anywhere tomorrow.
fn is_this_machine(host: &str) -> bool {
    let Ok(uri) = format!("http://{host}/").parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
