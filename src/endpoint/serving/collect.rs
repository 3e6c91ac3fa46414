//! The collector: the Segment HTTP tracking API as clients really use it.

use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use kernel::domain::Time;
use serde_json::Value as Json_;

use super::batch::{self, Envelope, MAX_EVENTS_PER_BATCH};
use super::call::{self, Call, Surroundings};
use super::state::Endpoint;
use super::{Role, wire};
use crate::online::{Incoming, Origin, Receipt, ReceiptCounts, Rejected};
use crate::{Error, Result};

/// The largest body, before and after decompression.
pub(super) const LARGEST_BODY: usize = 500 * 1024;
/// Bytes up to which a body is read where it came in: that takes less than handing it over.
const LONGEST_READ_AT_ONCE: usize = 8 * 1024;
/// Reasons that an answer carries.
const REPORTED_REASONS: usize = 10;

/// `POST /v1/{track,identify,page,screen,group,alias,batch}` and the short forms `t i p s g a b`. The
/// content type is not looked at: SDKs send JSON under several. Browsers may send from any page: the write
/// key is public, and says all.
pub(super) async fn collect(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let collected = take(&endpoint, &parts, body).await;
    for_page(parts.headers.get(header::ORIGIN), collected.map(Json).into_response())
}

/// What a page is told that asks whether it may send.
pub(super) async fn preflight(uri: Uri, headers: HeaderMap) -> Response {
    let may = is_method(method_of(&uri)).map(|()| StatusCode::NO_CONTENT).into_response();
    for_page(headers.get(header::ORIGIN), may)
}

/// Another way to ask: of what is there, or of what is not.
pub(super) async fn other_method(uri: Uri, headers: HeaderMap) -> Response {
    let answer = match is_method(method_of(&uri)) {
        Ok(()) => {
            let message = "events are sent by POST";
            let mut refusal = super::problem::document(StatusCode::METHOD_NOT_ALLOWED, message);
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST,OPTIONS"));
            refusal
        }
        Err(nothing) => nothing.into_response(),
    };
    for_page(headers.get(header::ORIGIN), answer)
}

/// An answer that the page which asked, if one did, may read.
pub(super) fn for_page(origin: Option<&HeaderValue>, mut response: Response) -> Response {
    let Some(origin) = origin else { return response };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization,content-type,x-retry-count"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::VARY, "Origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn take(endpoint: &Arc<Endpoint>, parts: &Parts, body: Body) -> Result<wire::Collected> {
    // Before the body is read: whoever has no key costs no memory.
    let allowed = match super::keys::has_key(&parts.headers) {
        true => {
            let now = endpoint.clock.as_of();
            Some(endpoint.keys.check(&parts.headers, None, Role::Browser, now)?)
        }
        false => None,
    };
    if endpoint.writer.is_busy() {
        // Refused before anything costs time, as long as too much is admitted.
        endpoint.metrics.refused.add(1);
        let_go(body).await;
        return Err(Error::Busy);
    }
    if length_of(&parts.headers).is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    let body = whole(body).await?;
    let mut admission = endpoint.writer.admit(body.len()).inspect_err(|_| {
        endpoint.metrics.refused.add(1);
    })?;
    let method = method_of(&parts.uri);
    let is_short = body.len() <= LONGEST_READ_AT_ONCE && !is_packed(&parts.headers, &body);
    let read = if is_short {
        read(endpoint, method, &parts.headers, &body, allowed)?
    } else {
        // On another thread, so that those that answer are free to refuse and to score.
        let turn = endpoint.reading.acquire().await;
        if endpoint.writer.is_busy() {
            // What was read before took more memory than its packed bytes promised.
            endpoint.metrics.refused.add(1);
            return Err(Error::Busy);
        }
        let (method, headers) = (method.to_owned(), parts.headers.clone());
        let read = move |endpoint: &Endpoint| read(endpoint, &method, &headers, &body, allowed);
        let read = super::server::blocking(endpoint, read).await?;
        admission.resize(read.memory());
        drop(turn);
        read
    };
    admission.resize(read.memory());
    let Read { received, events, places, rejected: kept, mut reasons } = read;
    let (n, rejected) = (events.len(), kept.len());
    let receipts = endpoint.writer.append(events, kept, admission).await.inspect_err(|_| {
        endpoint.metrics.refused.add(n);
    })?;
    let counts = ReceiptCounts::new(&receipts);
    let rejected = rejected + counts.rejected;
    endpoint.metrics.received.add(received);
    endpoint.metrics.rejected.add(rejected);
    endpoint.metrics.duplicate.add(counts.duplicate);
    endpoint.metrics.conflicting.add(counts.other);
    endpoint.metrics.accepted.add(counts.accepted);
    for (place, receipt) in places.into_iter().zip(receipts) {
        let reason = match receipt {
            Receipt::Rejected { reason } => reason,
            Receipt::Duplicate { is_other: true, .. } => {
                "its messageId was sent before with other content, which counts".to_owned()
            }
            Receipt::Accepted { .. } | Receipt::Duplicate { .. } => continue,
        };
        if reasons.len() < REPORTED_REASONS {
            reasons.push(format!("event {place}: {reason}"));
        }
    }
    Ok(wire::Collected {
        success: true,
        accepted: counts.accepted,
        duplicate: counts.duplicate,
        rejected,
        reasons,
    })
}

/// What comes after `/v1/` in the path of a request.
fn method_of(uri: &Uri) -> &str {
    let path = uri.path();
    path.strip_prefix("/v1/").unwrap_or(path).trim_end_matches('/')
}

/// The body of a request, unless it is too large.
async fn whole(body: Body) -> Result<Bytes> {
    let mut chunks = body.into_data_stream();
    let mut all: Option<Vec<u8>> = None;
    let mut first = Bytes::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Error::BadRequest(format!("half a body: {error}")))?;
        let n = all.as_ref().map_or(first.len(), Vec::len) + chunk.len();
        if n > LARGEST_BODY {
            return Err(too_large());
        }
        // Most bodies are one chunk, which needs no copy.
        match &mut all {
            Some(all) => all.extend_from_slice(&chunk),
            None if first.is_empty() => first = chunk,
            None => {
                // No more room than that: much of it would be resident for bodies that never come.
                let mut both = Vec::with_capacity(n);
                both.extend_from_slice(&first);
                both.extend_from_slice(&chunk);
                all = Some(both);
            }
        }
    }
    Ok(all.map_or(first, Bytes::from))
}

fn too_large() -> Error {
    Error::TooLarge(format!("the body is larger than {LARGEST_BODY} bytes; send smaller batches"))
}

/// The length of a body, where its headers say it.
fn length_of(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Lets what is sent go unread: a connection that is closed before would take the answer with it.
async fn let_go(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = LARGEST_BODY;
    while let Some(Ok(chunk)) = chunks.next().await
        && chunk.len() <= left
    {
        left -= chunk.len();
    }
}

/// What a request says.
struct Read {
    /// The number of its events, those that are none included.
    received: usize,
    events: Vec<Incoming>,
    /// The places of the events in the request.
    places: Vec<usize>,
    rejected: Vec<Rejected>,
    /// What is wrong with the first of those that were rejected.
    reasons: Vec<String>,
}

/// Reads a request. `allowed` is the origin by a key in its headers; without it the body must have one.
fn read(
    endpoint: &Endpoint,
    method: &str,
    headers: &HeaderMap,
    body: &Bytes,
    allowed: Option<Origin>,
) -> Result<Read> {
    let body = unpack(headers, body)?;
    let is_batch = is_batch(method);
    let type_ = if is_batch { None } else { Some(long_name(method)?) };
    let text = batch::text(&body);
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        return Err(Error::BadRequest("the body is not a JSON object".to_owned()));
    }
    let now = endpoint.clock.as_of();
    let may_write = |key: Option<&str>| match allowed {
        Some(origin) => Ok(origin),
        None => endpoint.keys.check(headers, key, Role::Browser, now),
    };
    // One event is read once; what is wrong with one that cannot be is said below.
    if let Some(type_) = type_
        && let Some(call) = Call::read(text)
    {
        let origin = may_write(call.write_key())?;
        let around = Surroundings { type_: Some(type_), sent_at: None, now, origin };
        return Ok(Read::of([(text, call.event(text, around))], now));
    }
    let envelope = Envelope::read(text)?;
    let items = match type_ {
        Some(_) => Some(vec![text]),
        None => envelope.items,
    };
    let in_event = || batch::key_of_event(items.as_ref()?.first());
    let origin = may_write(envelope.write_key.or_else(in_event).as_deref())?;
    let Some(items) = items else {
        return Err(Error::BadRequest("a batch needs a list 'batch'".to_owned()));
    };
    if items.len() > MAX_EVENTS_PER_BATCH {
        return Err(Error::TooLarge(format!(
            "the batch has more than {MAX_EVENTS_PER_BATCH} events; send smaller batches"
        )));
    }
    let sent_at = envelope.sent_at.and_then(|text| text.parse().ok());
    let around = Surroundings { type_, sent_at, now, origin };
    Ok(Read::of(items.iter().map(|item| (*item, call::incoming(item, around))), now))
}

impl Read {
    /// Memory of what waits to be written, in bytes, roughly.
    fn memory(&self) -> usize {
        self.events.iter().map(Incoming::memory).sum::<usize>()
            + self.rejected.iter().map(Rejected::memory).sum::<usize>()
    }

    /// What the items of a request say, each with the event that it is, or why it is none.
    fn of<'i>(
        items: impl IntoIterator<
            IntoIter: ExactSizeIterator<Item = (&'i str, std::result::Result<Incoming, String>)>,
        >,
        now: Time,
    ) -> Self {
        let items = items.into_iter();
        let received = items.len();
        let mut read = Self {
            received,
            events: Vec::with_capacity(received),
            places: Vec::with_capacity(received),
            rejected: Vec::new(),
            reasons: Vec::new(),
        };
        for (place, (item, event)) in items.enumerate() {
            match event {
                Ok(event) => {
                    read.events.push(event);
                    read.places.push(place);
                }
                Err(reason) => {
                    if read.reasons.len() < REPORTED_REASONS {
                        read.reasons.push(format!("event {place}: {reason}"));
                    }
                    let event = item.to_owned();
                    read.rejected.push(Rejected { received_at: now, reason, event });
                }
            }
        }
        read
    }
}

/// `GET /v1/projects/{key}/settings`: where analytics.js sends its events, which is here.
pub(super) async fn settings(
    State(endpoint): State<Arc<Endpoint>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Json_>> {
    let now = endpoint.clock.as_of();
    endpoint.keys.check(&HeaderMap::new(), Some(&key), Role::Browser, now)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    // A proxy says how it was asked itself.
    let protocol = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    let ours = serde_json::json!({
        "apiKey": key, "apiHost": format!("{host}/v1"), "protocol": protocol,
    });
    Ok(Json(serde_json::json!({ "integrations": { "Segment.io": ours } })))
}

/// The body, unpacked if its header or its first bytes say that it is gzipped.
pub(super) fn unpack(headers: &HeaderMap, body: &Bytes) -> Result<Bytes> {
    if !is_packed(headers, body) {
        if let Some(other) = encoding(headers)
            && !matches!(other.trim(), "" | "identity")
        {
            return Err(Error::UnknownEncoding(other.to_owned()));
        }
        return Ok(body.clone());
    }
    let mut unpacked = Vec::new();
    let limit = u64::try_from(LARGEST_BODY).unwrap_or(u64::MAX) + 1;
    flate2::read::MultiGzDecoder::new(body.as_ref())
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|error| Error::BadRequest(format!("the body is not gzip: {error}")))?;
    if unpacked.len() > LARGEST_BODY {
        return Err(Error::TooLarge(format!(
            "the body is larger than {LARGEST_BODY} bytes when unpacked; send smaller batches"
        )));
    }
    Ok(unpacked.into())
}

fn encoding(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok())
}

fn is_packed(headers: &HeaderMap, body: &Bytes) -> bool {
    encoding(headers).is_some_and(|encoding| encoding.contains("gzip"))
        || body.starts_with(&[0x1f, 0x8b])
}

fn is_batch(method: &str) -> bool {
    matches!(method, "batch" | "b" | "import")
}

/// Whether events are sent under a name.
fn is_method(method: &str) -> Result<()> {
    if is_batch(method) { Ok(()) } else { long_name(method).map(|_| ()) }
}

fn long_name(method: &str) -> Result<&'static str> {
    Ok(match method {
        "track" | "t" => "track",
        "identify" | "i" => "identify",
        "page" | "p" => "page",
        "screen" | "s" => "screen",
        "group" | "g" => "group",
        "alias" | "a" => "alias",
        other => return Err(Error::NotFound(format!("there is no /v1/{other}"))),
    })
}
