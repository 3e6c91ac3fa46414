//! The shapes of requests and answers. Nothing else in the room is a promise to clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::domain::{Event, Name, Properties, Time, Value};
use kernel::experiments::{Allocation, ExperimentDefinition};
use kernel::scoring::{Reason as KernelReason, Recommendation};
use serde::{Deserialize, Serialize};

use super::Role;
use super::deployments::{Challenger, Change, Live};
use crate::experiments::{Change as ExperimentChange, Running, State, Why};
use crate::online::{Exposed, Join, Rejected};
use crate::{Error, Result};

/// Reads a JSON body, whatever its content type says.
pub(super) fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::BadRequest(format!("the body is not what is expected: {error}")))
}

#[derive(Debug, Serialize)]
pub(super) struct Collected {
    pub(super) success: bool,
    pub(super) accepted: usize,
    pub(super) duplicate: usize,
    pub(super) rejected: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Uploaded {
    pub(super) function: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployRequest {
    /// Hash of an uploaded function.
    pub(super) function: String,
    #[serde(default)]
    pub(super) role: DeployRole,
    /// The challenger's share of the customers.
    pub(super) percent: Option<f64>,
}

/// What a function becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeployRole {
    #[default]
    Champion,
    Challenger,
    Shadow,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// Hash of an uploaded function.
    pub(super) function: String,
    /// How many requests.
    pub(super) limit: Option<usize>,
}

/// What a function would have said.
#[derive(Debug, Serialize)]
pub(super) struct Replay {
    /// `requests` that were recorded, or `customers` where none were.
    pub(super) source: &'static str,
    pub(super) requests: usize,
    /// Scores that are no numbers.
    pub(super) errors: usize,
    /// Scores of the candidate, of what is live, and their differences request by request.
    pub(super) candidate: Option<Spread>,
    pub(super) live: Option<Spread>,
    pub(super) shift: Option<Spread>,
    /// Microseconds a score of the candidate.
    pub(super) micros: Option<Spread>,
    /// For each feature of the candidate, the share of requests where it is null.
    pub(super) null_share: BTreeMap<Name, f64>,
    pub(super) parity: Parity,
}

/// Recorded scores that were computed again by the function that gave them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Parity {
    pub(super) checked: usize,
    /// Those that did not come out the same, bit for bit.
    pub(super) different: usize,
}

/// How numbers are spread.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    mean: f64,
    min: f64,
    median: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    /// The spread of at least one number; quantiles are numbers that are there.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place between 0 and the count"
    )]
    pub(super) fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = |share: f64| sorted.get((last as f64 * share).round() as usize).copied();
        let at = |share: f64| at(share).unwrap_or(f64::NAN);
        Self {
            mean: sorted.iter().sum::<f64>() / sorted.len().max(1) as f64,
            min: at(0.0),
            median: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Deployment {
    name: Name,
    version: u32,
    function: String,
    deployed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenger: Option<Challenger>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shelf_life_seconds: Option<f64>,
    versions: Vec<VersionEntry>,
    changes: Vec<Change>,
}

#[derive(Debug, Serialize)]
pub(super) struct VersionEntry {
    version: u32,
    function: String,
    deployed_at: Time,
}

#[derive(Debug, Serialize)]
pub(super) struct DeploymentList {
    pub(super) deployments: Vec<Deployment>,
}

impl From<&Live> for Deployment {
    fn from(live: &Live) -> Self {
        let versions = &live.record.versions;
        let current = versions.iter().find(|version| version.version == live.champion.version);
        Self {
            name: live.record.name.clone(),
            version: live.champion.version,
            function: live.champion.function.hash().to_owned(),
            challenger: live.record.challenger,
            shadow: live.record.shadow,
            shelf_life_seconds: live.record.shelf_life,
            changes: live.record.changes.clone(),
            deployed_at: current.map(|version| version.deployed_at),
            versions: versions
                .iter()
                .map(|version| VersionEntry {
                    version: version.version,
                    function: version.function.clone(),
                    deployed_at: version.deployed_at,
                })
                .collect(),
        }
    }
}

/// What `POST /v1/score/{name}` takes; `GET` takes the same as a query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreRequest {
    pub(super) customer_id: Option<String>,
    #[serde(default)]
    pub(super) customer_ids: Vec<String>,
    /// What the function's view reads as `context.name`.
    #[serde(default)]
    pub(super) context: Properties,
    #[serde(default)]
    pub(super) explain: bool,
    /// A replay as of this time, which is not recorded.
    pub(super) as_of: Option<Time>,
    /// After so many milliseconds the last score is better than none.
    pub(super) deadline_ms: Option<u64>,
}

impl ScoreRequest {
    /// The customers that it is about.
    pub(super) fn ids(&self) -> &[String] {
        match &self.customer_id {
            Some(id) => std::slice::from_ref(id),
            None => &self.customer_ids,
        }
    }
}

/// Where a score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Freshness {
    /// Computed for this request.
    Computed,
    /// Given before; within its shelf life, and nothing has happened since.
    Reused,
    /// Given before; there was no time for a new one.
    Stale,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ScoreAnswer {
    One(Box<Score>),
    Many { scores: Vec<Score> },
}

#[derive(Debug, Serialize)]
pub(super) struct Score {
    pub(super) name: Name,
    pub(super) version: u32,
    pub(super) function: Arc<str>,
    pub(super) customer_id: String,
    pub(super) score: f64,
    pub(super) as_of: Time,
    pub(super) known: bool,
    pub(super) stale: bool,
    pub(super) freshness: Freshness,
    pub(super) variant: Arc<str>,
    /// The experiment whose variant it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) experiment: Option<Name>,
    /// The share of each class, or which segment it is; of functions that say that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) classes: Option<BTreeMap<String, f64>>,
    /// What the customer may want, best first; of functions that recommend items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Vec<Recommendation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) features: Option<BTreeMap<Name, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasons: Option<Vec<Reason>>,
}

/// What `POST /v1/decide/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionRequest {
    pub(super) customer_id: String,
    /// What the deployment's functions read as `context.name`.
    #[serde(default)]
    pub(super) context: Properties,
}

/// What a customer gets of an experiment.
#[derive(Debug, Serialize)]
pub(super) struct Decision {
    pub(super) experiment: Name,
    pub(super) version: u32,
    pub(super) customer_id: String,
    /// None for who is not in it.
    pub(super) variant: Option<Name>,
    /// What to act on: that of the control for who is not in it.
    pub(super) value: serde_json::Value,
    pub(super) why: Why,
    /// The probability that the variant had when it was assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) probability: Option<f64>,
    /// Whether this is their exposure.
    pub(super) first: bool,
    pub(super) as_of: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<Score>,
}

/// What `POST /v1/experiments/{name}/decide` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideExperiment {
    pub(super) variant: Name,
    #[serde(default)]
    pub(super) note: String,
}

/// What `POST /v1/experiments/{name}/stop` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StopExperiment {
    #[serde(default)]
    pub(super) note: String,
}

/// An experiment that was started.
#[derive(Debug, Serialize)]
pub(super) struct Experiment {
    name: Name,
    version: u32,
    state: &'static str,
    /// What everybody gets, if that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    winner: Option<Name>,
    started_at: Time,
    definition: ExperimentDefinition,
    /// What a bandit has learned of each variant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arms: Vec<LearnedArm>,
    changes: Vec<ExperimentChange>,
}

/// What a bandit has learned of a variant.
#[derive(Debug, Serialize)]
pub(super) struct LearnedArm {
    variant: Name,
    exposed: f64,
    rewards: f64,
    /// Its share of the next customers; of a contextual one, if all were alike.
    chance: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct ExperimentList {
    pub(super) experiments: Vec<Experiment>,
}

impl From<&Running> for Experiment {
    fn from(running: &Running) -> Self {
        let definition = running.experiment.definition();
        let (state, winner) = match &running.record.state {
            State::Running => ("running", None),
            State::Decided(winner) => ("decided", Some(winner.clone())),
            State::Stopped => ("stopped", None),
        };
        let learned = running.learned();
        let arms = definition.variants.iter().zip(&learned.arms).zip(&learned.chances);
        let arm =
            |((variant, arm), chance): ((&kernel::experiments::VariantDefinition, _), &f64)| {
                let arm: &kernel::experiments::Arm = arm;
                let (exposed, rewards, chance) = (arm.exposed, arm.sum, *chance);
                LearnedArm { variant: variant.name.clone(), exposed, rewards, chance }
            };
        let arms = match definition.allocation {
            Allocation::Fixed => Vec::new(),
            Allocation::Thompson | Allocation::Contextual => arms.map(arm).collect(),
        };
        Self {
            name: running.record.name.clone(),
            version: running.record.version,
            state,
            winner,
            started_at: running.record.started_at,
            definition: definition.clone(),
            arms,
            changes: running.record.changes.clone(),
        }
    }
}

/// A variant that a customer got.
#[derive(Debug, Serialize)]
pub(super) struct ExposedTo {
    experiment: String,
    version: u32,
    variant: String,
}

impl From<Exposed> for ExposedTo {
    fn from(exposed: Exposed) -> Self {
        Self {
            experiment: exposed.experiment.into(),
            version: exposed.version,
            variant: exposed.variant.into(),
        }
    }
}

/// What `POST /v1/recommend/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecommendRequest {
    pub(super) customer_id: String,
    /// The most items.
    #[serde(default = "usual_items")]
    pub(super) limit: usize,
    /// Items that must not be among them: out of stock, on the page already.
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    /// The only items that may be.
    #[serde(default)]
    pub(super) only: Vec<String>,
    /// The only categories that may be.
    #[serde(default)]
    pub(super) categories: Vec<String>,
    /// Whether items that the customer had may be among them; none says as the function does.
    pub(super) repeats: Option<bool>,
    /// From 0 to 1: how much an item counts less for each of its category that is there already.
    #[serde(default)]
    pub(super) diversity: f64,
    #[serde(default)]
    pub(super) context: Properties,
}

const fn usual_items() -> usize {
    10
}

/// What `POST /v1/rank/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RankRequest {
    pub(super) customer_id: String,
    pub(super) candidates: Vec<Candidate>,
    /// What all candidates share of the occasion.
    #[serde(default)]
    pub(super) context: Properties,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    pub(super) id: String,
    /// What the function's view reads as `context.name`.
    #[serde(default)]
    pub(super) context: Properties,
}

#[derive(Debug, Serialize)]
pub(super) struct Ranking {
    pub(super) name: Name,
    pub(super) version: u32,
    pub(super) function: Arc<str>,
    pub(super) customer_id: String,
    pub(super) as_of: Time,
    pub(super) known: bool,
    pub(super) variant: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) experiment: Option<Name>,
    pub(super) ranking: Vec<Ranked>,
}

#[derive(Debug, Serialize)]
pub(super) struct Ranked {
    pub(super) id: String,
    pub(super) score: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) feature: Name,
    value: Value,
    contribution: f64,
    /// How many events the feature comes from, and the latest of them, newest first.
    pub(super) event_count: usize,
    pub(super) events: Vec<ReasonEvent>,
}

/// An event behind a feature.
#[derive(Debug, Serialize)]
pub(super) struct ReasonEvent {
    pub(super) event: String,
    pub(super) event_time: Time,
    pub(super) message_id: String,
}

impl From<KernelReason> for Reason {
    fn from(reason: KernelReason) -> Self {
        let KernelReason { feature, value, contribution } = reason;
        Self { feature, value, contribution, event_count: 0, events: Vec::new() }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerQuery {
    /// At most so many events, and those of the same time as the last one.
    pub(super) limit: Option<usize>,
    /// Only events strictly before this time.
    pub(super) before: Option<Time>,
}

#[derive(Debug, Serialize)]
pub(super) struct Customer {
    pub(super) customer_id: String,
    pub(super) traits: Properties,
    pub(super) event_count: usize,
    pub(super) first_seen: Option<Time>,
    pub(super) last_seen: Option<Time>,
    pub(super) timeline: Vec<TimelineEvent>,
    pub(super) features: BTreeMap<Name, BTreeMap<Name, Value>>,
    pub(super) scores: Vec<Score>,
    /// The variants of experiments that they got.
    pub(super) variants: Vec<ExposedTo>,
}

#[derive(Debug, Serialize)]
pub(super) struct TimelineEvent {
    message_id: String,
    event: String,
    event_time: Time,
    received_at: Time,
    properties: Properties,
}

impl From<&Event> for TimelineEvent {
    fn from(event: &Event) -> Self {
        Self {
            message_id: event.message_id.clone(),
            event: event.event.clone(),
            event_time: event.event_time,
            received_at: event.received_at,
            properties: event.properties.clone(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    pub(super) from: u64,
    pub(super) limit: Option<usize>,
    /// The latest so many instead of those from an offset on.
    pub(super) last: Option<u64>,
}

/// A run of the log: the live events in it, and where to go on.
#[derive(Debug, Serialize)]
pub(super) struct LogRun {
    pub(super) endpoint: String,
    pub(super) next: u64,
    /// Whether the log ends here for now.
    pub(super) end: bool,
    pub(super) events: Vec<Event>,
    /// Sequence numbers of events that came with an id which was joined to their customer, with that id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) known_as: Vec<(u64, String)>,
    /// Projects whose history was published here.
    pub(super) projects: Vec<PublishedProject>,
}

/// A project whose history was published.
#[derive(Debug, Serialize)]
pub(super) struct PublishedProject {
    pub(super) id: String,
    pub(super) name: String,
}

/// The project that history is of.
#[derive(Debug, Deserialize)]
pub(super) struct HistoryQuery {
    pub(super) project: Option<String>,
    /// What the project is called, for people.
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) status: &'static str,
    pub(super) endpoint: String,
    pub(super) time: Time,
    /// Whether `time` follows the clock of the machine: "followed", "ahead" or "behind" it says where that is.
    pub(super) clock: &'static str,
    /// Seconds by which the clock of the machine differs from `time`.
    pub(super) clock_difference_seconds: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinsQuery {
    /// Only the joins of this customer.
    pub(super) customer_id: Option<String>,
    /// Ids after this one.
    #[serde(default)]
    pub(super) after: String,
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct JoinList {
    pub(super) joins: Vec<Join>,
}

/// A key, without the key itself.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) role: Role,
    pub(super) made_at: Time,
    pub(super) valid_until: Option<Time>,
    pub(super) requests_per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct KeyList {
    pub(super) keys: Vec<Key>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    pub(super) role: Role,
    /// Requests a second that it may make; as many as it likes if not said.
    pub(super) requests_per_second: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    /// So long the old key stays valid; a day if not said.
    pub(super) overlap_seconds: Option<f64>,
}

/// A key that was made: it is shown here only.
#[derive(Debug, Serialize)]
pub(super) struct NewKey {
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) about: Key,
}

#[derive(Debug, Serialize)]
pub(super) struct Backup {
    pub(super) folder: String,
    /// What a backup keeps, for people.
    pub(super) note: &'static str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectedQuery {
    pub(super) limit: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct RejectedList {
    pub(super) rejected: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FreshnessRequest {
    /// A score that is younger is given again unless an event came since; none computes every time.
    pub(super) shelf_life_seconds: Option<f64>,
}

/// The rules of an endpoint, and what waits to be told.
#[derive(Debug, Serialize)]
pub(super) struct RuleList {
    pub(super) rules: Vec<Arc<crate::monitoring::Rule>>,
    /// Deliveries that wait.
    pub(super) waiting: usize,
    /// Deliveries that made room for later ones before they arrived, since the start.
    pub(super) dropped: u64,
}

/// What was told by rules.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryList {
    pub(super) deliveries: Vec<crate::monitoring::Delivery>,
}
