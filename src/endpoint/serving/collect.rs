//! The collector: the Segment HTTP tracking API as clients really use it.

use std::borrow::Cow;
use std::io::Read as _;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use kernel::domain::{IDENTIFY, Properties, Time, Value, is_system, limits, property_name};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json_};

use super::keys::Keys;
use super::state::Endpoint;
use super::{Role, wire};
use crate::online::{Incoming, Kind, Rejected};
use crate::{Error, Result};

/// The largest body, before and after decompression.
pub(super) const LARGEST_BODY: usize = 500 * 1024;
/// Bytes up to which a body is read where it came in: that takes less than handing it over.
const LONGEST_READ_AT_ONCE: usize = 8 * 1024;
/// The largest event, as JSON.
const LARGEST_EVENT: usize = 32 * 1024;
/// Reasons that an answer carries.
const REPORTED_REASONS: usize = 10;

/// `POST /v1/{track,identify,page,screen,group,alias,batch}` and the short forms `t i p s g a b`. The
/// content type is not looked at: SDKs send JSON under several.
pub(super) async fn collect(
    State(endpoint): State<Arc<Endpoint>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<wire::Collected>> {
    let admission = endpoint.writer.admit(body.len()).inspect_err(|_| {
        endpoint.metrics.refused.add(1);
    })?;
    let is_short = body.len() <= LONGEST_READ_AT_ONCE && !is_packed(&headers, &body);
    let read = if is_short {
        read(&endpoint, &method, &headers, &body)?
    } else {
        // On another thread, so that those that answer are free to refuse and to score.
        let turn = endpoint.reading.acquire().await;
        let read = move |endpoint: &Endpoint| read(endpoint, &method, &headers, &body);
        let read = super::server::blocking(&endpoint, read).await?;
        drop(turn);
        read
    };
    let Read { received, events, rejected: kept, reasons } = read;
    let (n, rejected) = (events.len(), kept.len());
    let receipts = endpoint.writer.append(events, kept, admission).await.inspect_err(|_| {
        endpoint.metrics.refused.add(n);
    })?;
    let duplicate = receipts.iter().filter(|receipt| receipt.duplicate).count();
    endpoint.metrics.received.add(received);
    endpoint.metrics.rejected.add(rejected);
    endpoint.metrics.duplicate.add(duplicate);
    endpoint.metrics.accepted.add(receipts.len() - duplicate);
    Ok(Json(wire::Collected {
        success: true,
        accepted: receipts.len() - duplicate,
        duplicate,
        rejected,
        reasons,
    }))
}

/// What a request says.
struct Read {
    /// The number of its events, those that are none included.
    received: usize,
    events: Vec<Incoming>,
    rejected: Vec<Rejected>,
    /// What is wrong with the first of those that were rejected.
    reasons: Vec<String>,
}

/// Reads a request whose key allows it.
fn read(endpoint: &Endpoint, method: &str, headers: &HeaderMap, body: &Bytes) -> Result<Read> {
    let body = unpack(headers, body)?;
    let is_batch = matches!(method, "batch" | "b" | "import");
    let type_ = if is_batch { None } else { Some(long_name(method)?) };
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Error::BadRequest("the body is not a JSON object".to_owned()));
    }
    let envelope: Envelope<'_> = wire::parse(&body)?;
    let items = match (type_, envelope.batch) {
        (Some(_), _) => vec![wire::parse(&body)?],
        (None, Some(items)) => items,
        (None, None) => return Err(Error::BadRequest("a batch needs a list 'batch'".to_owned())),
    };
    let in_body = envelope.write_key.as_ref().and_then(Json_::as_str).map(str::to_owned);
    let in_body = in_body.or_else(|| key_of_event(items.first()));
    let now = endpoint.clock.as_of();
    endpoint.keys.check(headers, in_body.as_deref(), Role::Write, now)?;
    let sent_at = envelope.sent_at.as_ref().and_then(Json_::as_str);
    let sent_at = sent_at.and_then(|text| text.parse().ok());
    let mut events = Vec::with_capacity(items.len());
    let mut rejects = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match incoming(item.get(), type_, sent_at, now) {
            Ok(event) => events.push(event),
            Err(reason) => rejects.push((place, reason, item.get())),
        }
    }
    let kept = |(_, reason, event): &(usize, String, &str)| Rejected {
        received_at: now,
        reason: reason.clone(),
        event: (*event).to_owned(),
    };
    let reasons = rejects.iter().take(REPORTED_REASONS);
    Ok(Read {
        received: items.len(),
        events,
        rejected: rejects.iter().map(kept).collect(),
        reasons: reasons.map(|(place, reason, _)| format!("event {place}: {reason}")).collect(),
    })
}

/// Refuses before anything costs time, as long as too much is admitted. What was sent is let go unread: a
/// connection that is closed before would take the answer with it.
pub(super) async fn refuse_when_busy(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || !endpoint.writer.is_busy() {
        return next.run(request).await;
    }
    endpoint.metrics.refused.add(1);
    let mut body = request.into_body().into_data_stream();
    let mut left = LARGEST_BODY;
    while let Some(Ok(bytes)) = body.next().await
        && bytes.len() <= left
    {
        left -= bytes.len();
    }
    Error::Busy.into_response()
}

/// What is around events. The events stay text until each is read, so that one that is no JSON that can be
/// read (half a surrogate pair, a number beyond all) does not take the others with it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    batch: Option<Vec<&'a RawValue>>,
    #[serde(rename = "writeKey", default)]
    write_key: Option<Json_>,
    #[serde(rename = "sentAt", default)]
    sent_at: Option<Json_>,
}

/// What is read of an event. SDKs send as much again that is not, and it is skipped, not kept.
struct Call(Map<String, Json_>);

const READ: [&str; 14] = [
    "anonymousId",
    "category",
    "event",
    "groupId",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "properties",
    "sentAt",
    "timestamp",
    "traits",
    "type",
    "userId",
];

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Call;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut fields: A,
            ) -> std::result::Result<Call, A::Error> {
                let mut read = Map::new();
                while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
                    if READ.contains(&&*name) {
                        read.insert(name.into_owned(), fields.next_value()?);
                    } else {
                        fields.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Call(read))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The key that browsers write into each event of a batch.
fn key_of_event(item: Option<&&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "writeKey")]
        write_key: String,
    }
    let event: Event = serde_json::from_str(item?.get()).ok()?;
    Some(event.write_key)
}

/// `GET /v1/projects/{key}/settings`: where analytics.js sends its events, which is here.
pub(super) async fn settings(
    State(endpoint): State<Arc<Endpoint>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Json_>> {
    let now = endpoint.clock.as_of();
    endpoint.keys.check(&HeaderMap::new(), Some(&key), Role::Write, now)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let ours = serde_json::json!({
        "apiKey": key, "apiHost": format!("{host}/v1"), "protocol": "http",
    });
    Ok(Json(serde_json::json!({ "integrations": { "Segment.io": ours } })))
}

/// The body, unpacked if its header or its first bytes say that it is gzipped.
pub(super) fn unpack(headers: &HeaderMap, body: &Bytes) -> Result<Vec<u8>> {
    if !is_packed(headers, body) {
        if let Some(other) = encoding(headers)
            && !matches!(other.trim(), "" | "identity")
        {
            return Err(Error::UnknownEncoding(other.to_owned()));
        }
        return Ok(body.to_vec());
    }
    let mut unpacked = Vec::new();
    let limit = u64::try_from(LARGEST_BODY).unwrap_or(u64::MAX) + 1;
    flate2::read::GzDecoder::new(body.as_ref())
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|error| Error::BadRequest(format!("the body is not gzip: {error}")))?;
    if unpacked.len() > LARGEST_BODY {
        return Err(Error::TooLarge(format!(
            "the body is larger than {LARGEST_BODY} bytes when unpacked; send smaller batches"
        )));
    }
    Ok(unpacked)
}

fn encoding(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok())
}

fn is_packed(headers: &HeaderMap, body: &Bytes) -> bool {
    encoding(headers).is_some_and(|encoding| encoding.contains("gzip"))
        || body.starts_with(&[0x1f, 0x8b])
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

fn text<'a>(object: &'a Map<String, Json_>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Json_::as_str).filter(|text| !text.is_empty())
}

/// An id: text, or a number as text.
fn id(object: &Map<String, Json_>, name: &str) -> std::result::Result<Option<String>, String> {
    let id = match object.get(name) {
        None | Some(Json_::Null) => return Ok(None),
        Some(Json_::String(text)) if text.is_empty() => return Ok(None),
        Some(Json_::String(text)) => text.clone(),
        Some(Json_::Number(number)) => number.to_string(),
        Some(_) => return Err(format!("{name} must be a text")),
    };
    if !limits::is_id(&id) {
        return Err(format!("{name} must have at most {} bytes and no NUL", limits::LONGEST_ID));
    }
    Ok(Some(id))
}

fn time(object: &Map<String, Json_>, name: &str) -> Option<Time> {
    text(object, name).and_then(|text| text.parse().ok())
}

/// One event of a request, or why it is none. `type_` is what the path says it is.
fn incoming(
    item: &str,
    type_: Option<&str>,
    batch_sent_at: Option<Time>,
    now: Time,
) -> std::result::Result<Incoming, String> {
    if item.len() > LARGEST_EVENT {
        return Err(format!("it is larger than {LARGEST_EVENT} bytes"));
    }
    if !item.starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let Call(object) = serde_json::from_str(item).map_err(|error| format!("no JSON: {error}"))?;
    let object = &object;
    let type_ = type_.or_else(|| text(object, "type")).unwrap_or("track");
    let customer_id = id(object, "userId")?;
    let anonymous_id = match type_ {
        "alias" => id(object, "previousId")?,
        _ => id(object, "anonymousId")?,
    };
    if customer_id.is_none() && anonymous_id.is_none() {
        return Err("it has neither a userId nor an anonymousId".to_owned());
    }
    let message_id =
        id(object, "messageId")?.unwrap_or_else(|| format!("made-{}-{}", now.0, Keys::random_id()));
    let (event, source) = match type_ {
        "track" => (text(object, "event").ok_or("a track needs an 'event'")?, "properties"),
        "identify" => (IDENTIFY, "traits"),
        "alias" => (IDENTIFY, ""),
        "page" | "screen" => (type_, "properties"),
        "group" => ("group", "traits"),
        other => return Err(format!("there is no type '{other}'")),
    };
    if type_ == "track" && is_system(event) {
        return Err(format!("'{event}': names that begin with $ are ours"));
    }
    if !limits::is_name(event) {
        let most = limits::LONGEST_NAME;
        return Err(format!("its name must have 1 to {most} bytes and no control characters"));
    }
    let mut properties = properties(object, source, event == IDENTIFY)?;
    for name in ["name", "category"] {
        if let (Some(said), "page" | "screen") = (text(object, name), type_) {
            properties.entry(name.to_owned()).or_insert_with(|| Value::text(said));
        }
    }
    if let (Some(group), "group") = (id(object, "groupId")?, type_) {
        properties.insert("group_id".to_owned(), Value::text(group));
    }
    let said = time(object, "originalTimestamp").or_else(|| time(object, "timestamp"));
    let event_time = corrected(said, time(object, "sentAt").or(batch_sent_at), now);
    if event_time.is_some_and(|time| !time.is_plausible()) {
        return Err("its time is not between 1900 and 2200".to_owned());
    }
    // What the client's clock said is kept where it was corrected.
    if let (Some(said), Some(corrected)) = (said, event_time)
        && said != corrected
    {
        properties.insert("original_timestamp".to_owned(), Value::text(said.to_string()));
    }
    let joins =
        matches!(type_, "identify" | "alias") && customer_id.is_some() && anonymous_id.is_some();
    Ok(Incoming {
        message_id,
        customer_id,
        anonymous_id,
        event: event.to_owned(),
        event_time,
        properties,
        kind: if joins { Kind::Join } else { Kind::Live },
    })
}

fn properties(
    object: &Map<String, Json_>,
    source: &str,
    are_traits: bool,
) -> std::result::Result<Properties, String> {
    let flat = match object.get(source) {
        Some(Json_::Object(inner)) => Value::flatten(inner),
        None | Some(Json_::Null) => Properties::new(),
        Some(_) => return Err(format!("'{source}' must be an object")),
    };
    if flat.len() > limits::MOST_PROPERTIES {
        return Err(format!("it has more than {} properties", limits::MOST_PROPERTIES));
    }
    for (name, value) in &flat {
        if !limits::is_name(name) {
            let most = limits::LONGEST_NAME;
            return Err(format!(
                "a property's name must have 1 to {most} bytes and no control characters"
            ));
        }
        if let Value::Text(text) = value
            && text.len() > limits::LONGEST_TEXT
        {
            return Err(format!("'{name}' is longer than {} bytes", limits::LONGEST_TEXT));
        }
    }
    let keep = |name: String| if are_traits { name } else { property_name(&name) };
    Ok(flat.into_iter().map(|(name, value)| (keep(name), value)).collect())
}

/// The time of an event by our clock: what the client's said, less how far it was off when it sent.
/// A clock that is less than a second off is taken as it is, and nothing happens after its arrival.
fn corrected(said: Option<Time>, sent_at: Option<Time>, now: Time) -> Option<Time> {
    const CLOSE: i64 = 1_000_000;
    let said = said?;
    let skew = sent_at.map_or(0, |sent_at| now.0.saturating_sub(sent_at.0));
    let corrected = if skew.abs() <= CLOSE { said } else { said.plus(skew) };
    Some(corrected.min(now))
}
