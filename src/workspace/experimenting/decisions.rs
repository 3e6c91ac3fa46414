use kernel::domain::{Name, Time};
use kernel::experiments::{ExperimentDefinition, ExperimentFile};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::escape;
use crate::{Client, Error, LiveScore, Project, Result};

/// An experiment as an endpoint has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveExperiment {
    /// Its name.
    pub name: Name,
    /// Counts how often it was started anew.
    pub version: u32,
    /// `running`, `decided` or `stopped`.
    pub state: String,
    /// What everybody gets, if that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<Name>,
    /// When this version was started.
    pub started_at: Time,
    /// What was started.
    pub definition: ExperimentDefinition,
    /// What a bandit has learned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<LiveArm>,
    /// The decision log, latest last.
    #[serde(default)]
    pub changes: Vec<LiveChange>,
}

/// What a bandit has learned of a variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveArm {
    /// The variant.
    pub variant: Name,
    /// Customers who got it.
    pub exposed: f64,
    /// The sum of their rewards.
    pub rewards: f64,
    /// Its share of the next customers.
    pub chance: f64,
}

/// An entry of the decision log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChange {
    /// When.
    pub at: Time,
    /// `start`, `decide` or `stop`.
    pub action: String,
    /// Of which version.
    pub version: u32,
    /// The variant that was decided for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a customer gets of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveDecision {
    /// The experiment.
    pub experiment: Name,
    /// Its version.
    pub version: u32,
    /// Who.
    pub customer_id: String,
    /// What they get; none for who is not in it.
    pub variant: Option<Name>,
    /// What to act on.
    pub value: serde_json::Value,
    /// Why.
    pub why: String,
    /// The probability that it had, if it was assigned now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Whether this is their exposure.
    pub first: bool,
    /// Their score, where the variants are scoring functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<LiveScore>,
}

impl Client {
    /// The experiments that were ever started there.
    ///
    /// # Errors
    /// It does not answer, or the key may not ask.
    pub fn experiments(&self) -> Result<Vec<LiveExperiment>> {
        #[derive(Deserialize)]
        struct List {
            experiments: Vec<LiveExperiment>,
        }
        Ok(self.get::<List>("/v1/experiments")?.experiments)
    }

    /// What a customer gets of an experiment; who gets it first is exposed.
    ///
    /// # Errors
    /// It was not started there, or the endpoint does not answer.
    pub fn decide(&self, experiment: &str, customer_id: &str) -> Result<LiveDecision> {
        let body = json!({ "customer_id": customer_id }).to_string();
        self.post(&format!("/v1/decide/{}", escape(experiment)), body.as_bytes())
    }

    pub(crate) fn start_experiment(&self, file: &ExperimentFile) -> Result<LiveExperiment> {
        let body = serde_json::to_vec(file).map_err(|error| Error::Fault(error.to_string()))?;
        self.post(&format!("/v1/experiments/{}", file.definition.name), &body)
    }

    /// Ends an experiment: everybody gets the variant, and a version of a deployment becomes champion.
    ///
    /// # Errors
    /// There is no such experiment or variant, or the key may not.
    pub fn decide_experiment(
        &self,
        name: &Name,
        variant: &Name,
        note: &str,
    ) -> Result<LiveExperiment> {
        let body = json!({ "variant": variant, "note": note }).to_string();
        self.post(&format!("/v1/experiments/{name}/decide"), body.as_bytes())
    }

    /// Ends an experiment: everybody gets the control.
    ///
    /// # Errors
    /// There is no such experiment, or the key may not.
    pub fn stop_experiment(&self, name: &Name, note: &str) -> Result<LiveExperiment> {
        let body = json!({ "note": note }).to_string();
        self.post(&format!("/v1/experiments/{name}/stop"), body.as_bytes())
    }
}

impl Project {
    /// Starts an experiment at an endpoint.
    ///
    /// # Errors
    /// There is no such experiment, it makes no sense on this data, or the endpoint does not take it.
    pub fn start_experiment(&self, name: &Name, client: &Client) -> Result<LiveExperiment> {
        client.start_experiment(&self.experiment_file(&self.experiment(name)?)?)
    }
}
