use std::collections::BTreeMap;

use kernel::domain::{Name, Span, Time};
use kernel::monitoring::{Drift, RuleDefinition};
use serde::{Deserialize, Serialize};

use crate::client::escape;
use crate::{Client, Error, Result};

/// A deployment over a period, and how far a version of it is from what it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveReport {
    /// The deployment.
    pub name: Name,
    /// The version whose features, scores and outcomes these are.
    pub version: u32,
    /// The period, by whole quarters of an hour.
    pub from: Time,
    /// Its end.
    pub until: Time,
    /// Requests to the deployment.
    pub requests: u64,
    /// Those that made no sense.
    pub refused: u64,
    /// Those that failed.
    pub failed: u64,
    /// The milliseconds that half of the answers took at most.
    pub p50_ms: Option<f64>,
    /// The milliseconds that 99 of 100 answers took at most.
    pub p99_ms: Option<f64>,
    /// Scores of the version.
    pub scores: u64,
    /// Those whose features were looked at.
    pub observed: u64,
    /// The number of scores, requests or outcomes that a reading needs before a rule can use it.
    #[serde(default)]
    pub minimum: u64,
    /// How the scores moved; none if nothing is known of how they were.
    pub score: Option<LiveMoved>,
    /// How each feature moved, most first.
    pub features: Vec<LiveMoved>,
    /// What became of scores; none if no event says it.
    pub outcomes: Option<LiveOutcomes>,
    /// The same, quarter by quarter.
    pub series: Vec<LivePoint>,
}

/// How far values are from how they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveMoved {
    /// The feature; `score` for the scores.
    pub name: String,
    /// How far; none if there is nothing to compare.
    pub drift: Option<Drift>,
    /// Whether that is more than usual, and more than chance.
    pub has_moved: bool,
    /// The share that was missing at training.
    pub missing_then: f64,
    /// The shares of each bin.
    pub bins: Vec<LiveBin>,
    /// Texts that were not there at training.
    pub unseen: BTreeMap<String, u64>,
}

/// A bin of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveBin {
    /// What is in it.
    pub label: String,
    /// Its share at training.
    pub then: f64,
    /// Its share now.
    pub now: f64,
}

/// Scores whose time has come, beside what became of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveOutcomes {
    /// How many.
    pub n: u64,
    /// Whether the scores are probabilities.
    pub is_probability: bool,
    /// The expected calibration error.
    pub calibration_error: Option<f64>,
    /// The mean squared error; of probabilities the Brier score.
    pub mean_squared_error: Option<f64>,
    /// By bins of the score.
    pub bins: Vec<LiveOutcomeBin>,
}

/// Scores of a bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveOutcomeBin {
    /// How many.
    pub n: u64,
    /// Their mean.
    pub score: f64,
    /// The mean of what became of them.
    pub outcome: f64,
}

/// A quarter of an hour of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LivePoint {
    /// When it begins.
    pub at: Time,
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// The milliseconds that 99 of 100 answers took at most.
    pub p99_ms: Option<f64>,
    /// Scores of the version.
    pub scores: u64,
    /// Their mean.
    pub mean_score: Option<f64>,
}

/// The rules of an endpoint, and what waits to be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveRules {
    /// The rules.
    pub rules: Vec<LiveRule>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that made room for later ones before they arrived.
    pub dropped: u64,
}

/// A rule as an endpoint has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveRule {
    /// What was written.
    pub definition: RuleDefinition,
    /// Since when it is here.
    pub started_at: Time,
    /// `watching` or `firing`.
    pub state: String,
    /// Since when it is in this state.
    pub since: Time,
    /// How often it fired.
    pub fired: u64,
    /// When it fired last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Time>,
    /// Why it cannot be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl LiveRule {
    /// Whether its condition holds now.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.state == "firing"
    }
}

/// Something that a rule told, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveDelivery {
    /// Identifies it.
    pub id: String,
    /// The rule that fired.
    pub rule: Name,
    /// `alert.firing`, `alert.resolved`, `customer.action` or `test`.
    pub kind: String,
    /// Whom it is about, if it is about a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// When it happened.
    pub at: Time,
    /// Where it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What is sent: JSON.
    pub body: String,
    /// `waiting`, `delivered`, `failed` or `recorded`.
    pub state: String,
    /// When it is tried next, while it waits.
    pub next_at: Time,
    /// What was tried, latest last.
    #[serde(default)]
    pub attempts: Vec<LiveAttempt>,
}

/// A try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveAttempt {
    /// When.
    pub at: Time,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// What webhooks of an endpoint are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSecrets {
    /// The secret, as receivers configure it.
    pub current: String,
    /// The one before, while it still signs.
    pub previous: Option<String>,
    /// Until when.
    pub previous_until: Option<Time>,
}

impl Client {
    /// How a deployment does: requests, drift, outcomes. Of the champion if no version is said.
    ///
    /// # Errors
    /// There is no such deployment, or the key may not ask.
    pub fn monitor(&self, name: &str, over: Span, version: Option<u32>) -> Result<LiveReport> {
        let version = version.map(|version| format!("&version={version}")).unwrap_or_default();
        self.get(&format!("/v1/monitor/{}?over={over}{version}", escape(name)))
    }

    /// The rules that are there.
    ///
    /// # Errors
    /// It does not answer, or the key may not ask.
    pub fn rules(&self) -> Result<LiveRules> {
        self.get("/v1/rules")
    }

    /// Puts a rule there; one that was there with another definition begins anew.
    ///
    /// # Errors
    /// It makes no sense of what is deployed, or the key may not.
    pub fn put_rule(&self, rule: &RuleDefinition) -> Result<LiveRule> {
        let body = serde_json::to_vec(rule).map_err(|error| Error::Fault(error.to_string()))?;
        self.post(&format!("/v1/rules/{}", rule.name), &body)
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// There is no such rule, or the key may not.
    pub fn remove_rule(&self, name: &Name) -> Result<LiveRule> {
        self.delete(&format!("/v1/rules/{name}"))
    }

    /// Sends something to the webhook of a rule, to see whether it arrives.
    ///
    /// # Errors
    /// There is no such rule or webhook, or the key may not.
    pub fn test_rule(&self, name: &Name) -> Result<LiveDelivery> {
        self.post(&format!("/v1/rules/{name}/test"), b"")
    }

    /// What rules told, newest first, at most so many.
    ///
    /// # Errors
    /// It does not answer, or the key may not ask.
    pub fn deliveries(&self, rule: Option<&Name>, limit: usize) -> Result<Vec<LiveDelivery>> {
        #[derive(Deserialize)]
        struct List {
            deliveries: Vec<LiveDelivery>,
        }
        let rule = rule.map(|rule| format!("&rule={rule}")).unwrap_or_default();
        Ok(self.get::<List>(&format!("/v1/deliveries?limit={limit}{rule}"))?.deliveries)
    }

    /// Sends something again.
    ///
    /// # Errors
    /// It is not kept any more, or the key may not.
    pub fn deliver_again(&self, id: &str) -> Result<LiveDelivery> {
        self.post(&format!("/v1/deliveries/{}/again", escape(id)), b"")
    }

    /// What webhooks are signed with; `rotate` makes another one, and for a day both sign.
    ///
    /// # Errors
    /// It does not answer, or the key may not.
    pub fn webhook_secrets(&self, rotate: bool) -> Result<LiveSecrets> {
        match rotate {
            true => self.post("/v1/webhook-secret/rotate", b""),
            false => self.get("/v1/webhook-secret"),
        }
    }
}
