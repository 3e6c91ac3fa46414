use std::collections::BTreeMap;
use std::time::Duration;

use kernel::domain::{Event, PropertyTypes, Time, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Error, Result};

/// A client of an endpoint over HTTP, like any other.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    key: Option<String>,
    agent: ureq::Agent,
}

/// An endpoint that answers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EndpointHealth {
    /// Its id.
    pub endpoint: String,
    /// Its clock.
    pub time: Time,
    /// Seconds by which the clock of its machine is ahead of `time`, or behind if negative; 0 if it is followed.
    #[serde(default)]
    pub clock_difference_seconds: f64,
}

/// A function that is live under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The name.
    pub name: String,
    /// The version that is champion.
    pub version: u32,
    /// The hash of its function.
    pub function: String,
    /// Since when.
    pub deployed_at: Option<Time>,
    /// All versions there were.
    #[serde(default)]
    pub versions: Vec<DeployedVersion>,
    /// The version that answers for a share of the customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<Challenger>,
    /// The version that scores and is recorded, but never answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<u32>,
    /// A score that is younger, in seconds, is given again unless an event came since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelf_life_seconds: Option<f64>,
}

/// A version that answers for a share of the customers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenger {
    /// The version.
    pub version: u32,
    /// Its share, in percent.
    pub percent: f64,
}

/// What happens at an endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// The latest events and scores, newest first.
    pub latest: Vec<Event>,
    /// Scores that were given since its start.
    pub scores: f64,
    /// Events that were taken since its start.
    pub events: f64,
    /// Requests for scores and with events that were answered with an error or a refusal since its start.
    pub errors: f64,
    /// Seconds spent on requests for scores since its start, and how many those were.
    pub score_seconds: (f64, f64),
}

/// What a function becomes under a name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Rollout {
    /// It answers.
    #[default]
    Champion,
    /// It answers for a share of the customers, in percent.
    Challenger(f64),
    /// It scores and is recorded, but never answers.
    Shadow,
}

/// What a function would have said to the latest requests to a name, or of the customers seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// `requests` or `customers`.
    pub source: String,
    /// How many.
    pub requests: u64,
    /// Scores that are no numbers.
    pub errors: u64,
    /// Its scores.
    pub candidate: Option<Spread>,
    /// The scores of what is live.
    pub live: Option<Spread>,
    /// The differences, request by request.
    pub shift: Option<Spread>,
    /// Microseconds a score.
    pub micros: Option<Spread>,
    /// For each feature the share of requests where it is null.
    pub null_share: BTreeMap<String, f64>,
    /// Recorded scores computed again by the function that gave them.
    pub parity: Parity,
}

/// How recorded scores came out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parity {
    /// Scores that were computed again.
    pub checked: u64,
    /// Those that were not the same, bit for bit.
    pub different: u64,
}

/// How numbers are spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// What 99 of 100 do not exceed.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

/// A version of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedVersion {
    /// Its number.
    pub version: u32,
    /// The hash of its function.
    pub function: String,
    /// When it was deployed.
    pub deployed_at: Time,
}

/// An item that an endpoint recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommended {
    /// The item.
    pub item: String,
    /// How much speaks for it.
    pub score: f64,
    /// The item of the customer that speaks most for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// A score as the endpoint gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveScore {
    /// The deployment.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The hash of its function.
    pub function: String,
    /// Who.
    pub customer_id: String,
    /// The score.
    pub score: f64,
    /// As of when.
    pub as_of: Time,
    /// Whether the customer has an event.
    pub known: bool,
    /// Whether it is an older score than asked for.
    pub stale: bool,
    /// Which variant answered.
    pub variant: String,
    /// The share of each class, or which segment it is; of functions that say that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<BTreeMap<String, f64>>,
    /// What the customer may want, best first; of functions that recommend items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Recommended>>,
    /// What was read, if asked to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<BTreeMap<String, Value>>,
    /// Why, if asked to explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<Reason>>,
}

/// What a feature adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The feature.
    pub feature: String,
    /// Its value.
    pub value: Value,
    /// What it adds, on the scale of the model.
    pub contribution: f64,
    /// How many events the feature comes from.
    #[serde(default)]
    pub event_count: u64,
    /// The latest of them, newest first.
    #[serde(default)]
    pub events: Vec<ReasonEvent>,
}

/// An event behind a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReasonEvent {
    /// What happened.
    pub event: String,
    /// When.
    pub event_time: Time,
    /// Which one it is.
    pub message_id: String,
}

/// A customer as the endpoint knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveCustomer {
    /// Who.
    pub customer_id: String,
    /// Their traits.
    pub traits: BTreeMap<String, Value>,
    /// Their events, system events left out.
    pub event_count: u64,
    /// Events, newest first.
    pub timeline: Vec<LiveEvent>,
    /// What is deployed says of them.
    pub scores: Vec<LiveScore>,
}

/// An event as the endpoint shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveEvent {
    /// Its id.
    pub message_id: String,
    /// What happened.
    pub event: String,
    /// When.
    pub event_time: Time,
    /// When it was learned of.
    pub received_at: Time,
    /// What else is known.
    pub properties: BTreeMap<String, Value>,
}

/// A run of the endpoint's log.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LogRun {
    pub(crate) endpoint: String,
    pub(crate) next: u64,
    pub(crate) end: bool,
    pub(crate) events: Vec<Event>,
    /// Sequence numbers of events that came with another id than that of their customer, with that id.
    #[serde(default)]
    pub(crate) known_as: Vec<(u64, String)>,
    /// Projects whose history was published there; endpoints of earlier versions name none.
    #[serde(default)]
    pub(crate) projects: Vec<PublishedProject>,
}

/// A project whose history was published to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct PublishedProject {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What became of events that were sent.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Collected {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

/// Bodies from this size on are sent after the endpoint has asked for them: it refuses a request before it
/// reads the body, and an answer to a request that is half sent may be lost.
const EXPECTED_BYTES: usize = 4 * 1024;
/// Characters of a refusal that are shown.
const LONGEST_REASON: usize = 2_000;
/// The largest answer that is read.
const LARGEST_ANSWER: u64 = 512 * 1024 * 1024;

impl Client {
    /// A client of the endpoint at a URL, with a key.
    #[must_use]
    pub fn new(url: &str, key: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            // An endpoint is asked directly: no proxy of the environment gets to see keys.
            .proxy(None)
            .build();
        Self { url: with_scheme(url), key, agent: config.into() }
    }

    /// Where the endpoint is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn authorization(&self) -> String {
        self.key.as_deref().map(|key| format!("Bearer {key}")).unwrap_or_default()
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.agent.get(format!("{}{path}", self.url));
        self.read(request.header("authorization", self.authorization()).call())
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request
            .header("authorization", self.authorization())
            .header("content-type", "application/json");
        let request = match body.len() {
            EXPECTED_BYTES.. => request.header("expect", "100-continue"),
            _ => request,
        };
        self.read(request.send(body))
    }

    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.agent.delete(format!("{}{path}", self.url));
        self.read(request.header("authorization", self.authorization()).call())
    }

    fn read<T: DeserializeOwned>(
        &self,
        response: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T> {
        let no_endpoint = |message: String| Error::NoEndpoint { url: self.url.clone(), message };
        let mut response = response.map_err(|error| no_endpoint(error.to_string()))?;
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()
            .map_err(|error| no_endpoint(error.to_string()))?;
        if !status.is_success() {
            let problem = serde_json::from_slice::<Problem>(&body).ok();
            let said = problem.and_then(|problem| problem.detail.or(problem.title));
            // What is no problem document comes from something before the endpoint, or from another server.
            let said = said.unwrap_or_else(|| {
                let text = String::from_utf8_lossy(&body);
                let line = text.lines().map(str::trim).find(|line| !line.is_empty());
                line.or(status.canonical_reason()).unwrap_or("it gives no reason").to_owned()
            });
            return Err(Error::Refused {
                url: self.url.clone(),
                status: status.as_u16(),
                detail: said.chars().take(LONGEST_REASON).collect(),
            });
        }
        serde_json::from_slice(&body)
            .map_err(|error| no_endpoint(format!("this is not a Full Circle endpoint: {error}")))
    }

    /// Whether the endpoint answers, and what time it has.
    ///
    /// # Errors
    /// It does not answer.
    pub fn health(&self) -> Result<EndpointHealth> {
        self.get("/healthz")
    }

    /// What is live.
    ///
    /// # Errors
    /// It does not answer, or the key may not ask.
    pub fn deployments(&self) -> Result<Vec<Deployment>> {
        #[derive(Deserialize)]
        struct List {
            deployments: Vec<Deployment>,
        }
        Ok(self.get::<List>("/v1/deployments")?.deployments)
    }

    pub(crate) fn upload(&self, function: &str) -> Result<()> {
        self.post::<serde_json::Value>("/v1/functions", function.as_bytes()).map(|_| ())
    }

    pub(crate) fn deploy(&self, name: &str, hash: &str, role: Rollout) -> Result<Deployment> {
        let (role, percent) = match role {
            Rollout::Champion => ("champion", None),
            Rollout::Challenger(percent) => ("challenger", Some(percent)),
            Rollout::Shadow => ("shadow", None),
        };
        let body = json!({ "function": hash, "role": role, "percent": percent }).to_string();
        self.post(&format!("/v1/deployments/{name}"), body.as_bytes())
    }

    /// What an uploaded function would have said to the latest requests to a name.
    pub(crate) fn rehearse(&self, name: &str, hash: &str) -> Result<Rehearsal> {
        let body = json!({ "function": hash }).to_string();
        self.post(&format!("/v1/deployments/{name}/replay"), body.as_bytes())
    }

    /// Makes the challenger, or else the shadow, the champion.
    ///
    /// # Errors
    /// There is none, or the endpoint does not answer.
    pub fn promote(&self, name: &str) -> Result<Deployment> {
        self.post(&format!("/v1/deployments/{name}/promote"), b"")
    }

    /// Ends challenger and shadow.
    ///
    /// # Errors
    /// The endpoint does not answer.
    pub fn stop_rollout(&self, name: &str) -> Result<Deployment> {
        self.post(&format!("/v1/deployments/{name}/stop"), b"")
    }

    /// What happens there: the latest so many events and scores, and counts since its start.
    ///
    /// # Errors
    /// It does not answer, or the key may not ask.
    pub fn activity(&self, latest: usize) -> Result<Activity> {
        let run: LogRun = self.get(&format!("/v1/events?last={latest}&limit={latest}"))?;
        let request = self.agent.get(format!("{}/metrics", self.url));
        let no_endpoint = |error: ureq::Error| Error::NoEndpoint {
            url: self.url.clone(),
            message: error.to_string(),
        };
        let mut response = request.call().map_err(no_endpoint)?;
        let metrics = response.body_mut().read_to_string().map_err(no_endpoint)?;
        let sum = |start: &str, with: &str| -> f64 {
            let lines =
                metrics.lines().filter(|line| line.starts_with(start) && line.contains(with));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        // What this window asks for itself is of another kind.
        let errors = |kind: &str| {
            let of = |status: &str| {
                let labels = format!("kind=\"{kind}\",status=\"{status}\"");
                sum("fullcircle_answers_total", &labels)
            };
            of("4xx") + of("5xx")
        };
        let mut latest = run.events;
        latest.reverse();
        Ok(Activity {
            latest,
            scores: sum("fullcircle_scores_total", ""),
            events: sum("fullcircle_events_accepted_total", ""),
            errors: errors("score") + errors("collect"),
            score_seconds: (
                sum("fullcircle_request_seconds_sum", "\"score\""),
                sum("fullcircle_request_seconds_count", "\"score\""),
            ),
        })
    }

    /// Makes the version before the champion again.
    ///
    /// # Errors
    /// There is none, or the endpoint does not answer.
    pub fn roll_back(&self, name: &str) -> Result<Deployment> {
        self.post(&format!("/v1/deployments/{name}/rollback"), b"")
    }

    /// The keys of the endpoint, without the keys themselves.
    ///
    /// # Errors
    /// The endpoint does not answer, or this key may not ask.
    pub fn keys(&self) -> Result<serde_json::Value> {
        self.get("/v1/keys")
    }

    /// Makes a key, which is in the answer only.
    ///
    /// # Errors
    /// As [`Self::keys`].
    pub fn make_key(&self, role: &str, per_second: Option<f64>) -> Result<serde_json::Value> {
        let body = json!({ "role": role, "requests_per_second": per_second }).to_string();
        self.post("/v1/keys", body.as_bytes())
    }

    /// Makes a key that replaces one, which stays valid for so many seconds (a day if not said).
    ///
    /// # Errors
    /// As [`Self::keys`], or there is no such key.
    pub fn rotate_key(&self, id: &str, overlap: Option<f64>) -> Result<serde_json::Value> {
        let body = json!({ "overlap_seconds": overlap }).to_string();
        self.post(&format!("/v1/keys/{}/rotate", escape(id)), body.as_bytes())
    }

    /// Ends a key at once.
    ///
    /// # Errors
    /// As [`Self::keys`], or it is the last admin key.
    pub fn revoke_key(&self, id: &str) -> Result<serde_json::Value> {
        let request = self.agent.delete(format!("{}/v1/keys/{}", self.url, escape(id)));
        self.read(request.header("authorization", self.authorization()).call())
    }

    /// The joins of ids to customers: all, or those of one customer; at most `limit`, of ids after `after`.
    ///
    /// # Errors
    /// As [`Self::keys`].
    pub fn joins(
        &self,
        customer: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<serde_json::Value> {
        let customer = customer.map(|id| format!("&customer_id={}", escape(id)));
        let customer = customer.unwrap_or_default();
        self.get(&format!("/v1/joins?limit={limit}&after={}{customer}", escape(after)))
    }

    /// Undoes the join of an id; gives the join.
    ///
    /// # Errors
    /// As [`Self::keys`], or the id is not joined.
    pub fn undo_join(&self, id: &str) -> Result<serde_json::Value> {
        self.delete(&format!("/v1/joins/{}", escape(id)))
    }

    /// Erases a customer; says what was erased.
    ///
    /// # Errors
    /// As [`Self::keys`], or nothing is known of them.
    pub fn erase(&self, customer_id: &str) -> Result<serde_json::Value> {
        self.delete(&format!("/v1/customers/{}", escape(customer_id)))
    }

    /// Copies what is durable now into a folder beside the endpoint's data, and says which.
    ///
    /// # Errors
    /// As [`Self::keys`], or it cannot be written.
    pub fn back_up(&self) -> Result<serde_json::Value> {
        self.post("/v1/backup", b"")
    }

    /// How long a score may be given again; none computes each anew.
    ///
    /// # Errors
    /// As [`Self::keys`], or nothing is deployed under the name.
    pub fn set_shelf_life(&self, name: &str, seconds: Option<f64>) -> Result<Deployment> {
        let body = json!({ "shelf_life_seconds": seconds }).to_string();
        self.post(&format!("/v1/deployments/{name}/freshness"), body.as_bytes())
    }

    /// The score of a customer, now.
    ///
    /// # Errors
    /// Nothing is deployed under the name, or the endpoint does not answer.
    pub fn score(&self, name: &str, customer_id: &str, explain: bool) -> Result<LiveScore> {
        let body = json!({ "customer_id": customer_id, "explain": explain }).to_string();
        self.post(&format!("/v1/score/{name}"), body.as_bytes())
    }

    /// The scores of many customers as of a time; they are not recorded.
    pub(crate) fn replay(&self, name: &str, ids: &[String], as_of: Time) -> Result<Vec<LiveScore>> {
        #[derive(Deserialize)]
        struct Scores {
            scores: Vec<LiveScore>,
        }
        let body = json!({ "customer_ids": ids, "as_of": as_of }).to_string();
        Ok(self.post::<Scores>(&format!("/v1/score/{name}"), body.as_bytes())?.scores)
    }

    /// A customer as the endpoint knows them.
    ///
    /// # Errors
    /// They are not known, or the endpoint does not answer.
    pub fn customer(&self, customer_id: &str) -> Result<LiveCustomer> {
        self.get(&format!("/v1/customers/{}", escape(customer_id)))
    }

    /// Sends one event, as an application would.
    ///
    /// # Errors
    /// It was not taken.
    pub fn track(
        &self,
        customer_id: &str,
        event: &str,
        properties: &serde_json::Value,
    ) -> Result<()> {
        let body =
            json!({ "userId": customer_id, "event": event, "properties": properties }).to_string();
        let collected: Collected = self.post("/v1/track", body.as_bytes())?;
        if collected.rejected == 0 {
            return Ok(());
        }
        let reasons = collected.reasons.join("; ");
        Err(Error::BadInput(format!("the endpoint at {} rejected the event: {reasons}", self.url)))
    }

    /// Publishes events of a project, as JSON lines.
    pub(crate) fn publish(&self, project: (&str, &str), lines: &[u8]) -> Result<Collected> {
        let (id, name) = (escape(project.0), escape(project.1));
        self.post(&format!("/v1/history?project={id}&name={name}"), lines)
    }

    /// The end of the endpoint's log.
    pub(crate) fn log_end(&self) -> Result<LogRun> {
        self.get("/v1/events?last=0&limit=1")
    }

    pub(crate) fn publish_types(&self, types: &PropertyTypes) -> Result<PropertyTypes> {
        let body = serde_json::to_vec(types).map_err(|error| Error::Fault(error.to_string()))?;
        self.post("/v1/types", &body)
    }

    pub(crate) fn log(&self, from: u64, limit: usize) -> Result<LogRun> {
        self.get(&format!("/v1/events?from={from}&limit={limit}"))
    }
}

/// A text as one part of a URL's path.
pub(crate) fn escape(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The address of an endpoint with its scheme: HTTP if none is given.
pub(crate) fn with_scheme(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

#[cfg(test)]
mod tests {
    use super::with_scheme;

    #[test]
    fn an_address_without_a_scheme_is_http() {
        for (given, url) in [
            ("127.0.0.1:7360", "http://127.0.0.1:7360"),
            ("localhost:7360/", "http://localhost:7360"),
            ("[::1]:7360", "http://[::1]:7360"),
            ("http://127.0.0.1:7360/", "http://127.0.0.1:7360"),
            ("https://score.example.org", "https://score.example.org"),
        ] {
            assert_eq!(with_scheme(given), url);
        }
    }
}
