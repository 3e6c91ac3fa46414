use std::time::Instant;

use kernel::domain::{Job, Name};
use kernel::features::{AsOf, Knowledge};
use serde::Serialize;

use crate::client::{Client, Deployment, LiveScore, Rehearsal, Rollout};
use crate::{Error, Project, Result};

/// History that was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Published {
    /// Events that are new at the endpoint.
    pub accepted: u64,
    /// Events that it had already.
    pub duplicate: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Live events that were pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pulls {
    /// Events that are new here.
    pub accepted: u64,
    /// Events that were here already.
    pub duplicate: u64,
    /// How long it took.
    pub seconds: f64,
}

/// What was erased of a customer.
#[derive(Clone, Debug, Serialize)]
pub struct Erasure {
    /// In the warehouse.
    pub here: warehouse::Erased,
    /// What the endpoint says, if one was asked.
    pub endpoint: Option<serde_json::Value>,
}

/// Live scores held against offline ones as of the same instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// Customers that were compared.
    pub compared: usize,
    /// Customers whose scores differ in any bit.
    pub different: usize,
    /// The first of those: who, live, offline.
    pub differences: Vec<(String, f64, f64)>,
}

/// Events of a published group.
const PUBLISH_GROUP: usize = 4_000;
/// Events of a pulled run.
const PULL_RUN: usize = 10_000;
/// Customers of a replay request.
const REPLAY_GROUP: usize = 500;
/// Differences that are reported.
const REPORTED_DIFFERENCES: usize = 20;

impl Project {
    /// Publishes the history of the project's customers into an endpoint's timelines.
    ///
    /// # Errors
    /// The endpoint does not answer or refuses, or the job was canceled; publishing again goes on.
    pub fn publish(&self, client: &Client, job: &Job) -> Result<Published> {
        let started = Instant::now();
        let total = self.summary()?.events.max(1);
        let mut published = Published::default();
        self.warehouse.history(PUBLISH_GROUP, job, |events| -> Result<()> {
            let collected = client.publish(&events)?;
            published.accepted += collected.accepted;
            published.duplicate += collected.duplicate;
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            let share = (published.accepted + published.duplicate) as f32 / total as f32;
            job.report("Publishing history", share.min(1.0));
            if job.is_canceled() { Err(Error::Canceled) } else { Ok(()) }
        })?;
        published.seconds = started.elapsed().as_secs_f64();
        Ok(published)
    }

    /// Uploads a function and tells what it would have said, before it says anything.
    ///
    /// # Errors
    /// There is no such function, or the endpoint does not take it.
    pub fn rehearse(&self, function: &Name, client: &Client, name: &Name) -> Result<Rehearsal> {
        let function = self.function(function)?;
        client.upload(&function.file().to_json()?)?;
        client.rehearse(name.as_str(), function.hash())
    }

    /// Makes a function live under a name.
    ///
    /// # Errors
    /// There is no such function, or the endpoint does not take it.
    pub fn deploy(
        &self,
        function: &Name,
        client: &Client,
        name: &Name,
        role: Rollout,
    ) -> Result<Deployment> {
        let function = self.function(function)?;
        client.upload(&function.file().to_json()?)?;
        client.deploy(name.as_str(), function.hash(), role)
    }

    /// Erases a customer at an endpoint, if one is given, and then here. Gives what was erased.
    ///
    /// # Errors
    /// The endpoint does not answer or refuses, or the job was canceled; then nothing changed here.
    pub fn erase(&self, customer_id: &str, client: Option<&Client>, job: &Job) -> Result<Erasure> {
        let endpoint = client.map(|client| client.erase(customer_id)).transpose()?;
        Ok(Erasure { here: self.warehouse.erase(customer_id, job)?, endpoint })
    }

    /// Pulls new live events into the warehouse, each exactly once.
    ///
    /// # Errors
    /// The endpoint does not answer, or the job was canceled; what was pulled stays, the rest comes next.
    pub fn pull(&self, client: &Client, job: &Job) -> Result<Pulls> {
        let started = Instant::now();
        let endpoint = client.health()?.endpoint;
        let mut from = self.warehouse.pull_offset(&endpoint)?;
        let mut pulls = Pulls::default();
        loop {
            let run = client.log(from, PULL_RUN)?;
            if run.endpoint != endpoint {
                let message = format!("another endpoint answers at {} now", client.url());
                return Err(Error::BadInput(message));
            }
            if run.next != from {
                let pulled = self.warehouse.add_live(&endpoint, &run.events, run.next, job)?;
                pulls.accepted += pulled.accepted;
                pulls.duplicate += pulled.duplicate;
                from = run.next;
            }
            job.report(format!("Pulled {} events", pulls.accepted), 0.5);
            if run.end {
                break;
            }
        }
        pulls.seconds = started.elapsed().as_secs_f64();
        Ok(pulls)
    }

    /// Compares live and offline scores of customers as of one instant, bit for bit.
    ///
    /// # Errors
    /// The live function is not of this project, or the endpoint does not answer.
    pub fn verify(
        &self,
        client: &Client,
        name: &Name,
        customers: usize,
        job: &Job,
    ) -> Result<Verified> {
        // The instant first, so that everything known by then is pulled.
        let as_of = client.health()?.time;
        self.pull(client, job)?;
        let deployments = client.deployments()?;
        let deployment = deployments.iter().find(|live| live.name == name.as_str());
        let Some(deployment) = deployment else {
            return Err(Error::NotFound(format!("nothing is deployed as '{name}' there")));
        };
        let function = self.function_with_hash(&deployment.function)?;
        let timelines = self.warehouse.timelines(function.view().reads(), job)?;
        let scorer = function.bind(&timelines);
        let ids: Vec<String> = sample(timelines.customers().len(), customers)
            .map(|place| timelines.customers()[place].to_string())
            .collect();
        let mut verified = Verified::default();
        for (n, group) in ids.chunks(REPLAY_GROUP).enumerate() {
            #[allow(clippy::cast_precision_loss, reason = "progress for people")]
            job.report("Comparing scores", (n * REPLAY_GROUP) as f32 / ids.len() as f32);
            for live in client.replay(name.as_str(), group, as_of)? {
                let offline = timelines.position(&live.customer_id).map(|place| {
                    let known = AsOf { time: as_of, knowledge: Knowledge::AsItWasKnown };
                    let score = scorer.score(place, known, &[]);
                    (score.score, score.known)
                });
                verified.add(&live, offline);
            }
        }
        Ok(verified)
    }
}

/// `n` places spread evenly over all.
fn sample(all: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(all);
    (0..n).map(move |k| k * all / n.max(1))
}

impl Verified {
    fn add(&mut self, live: &LiveScore, offline: Option<(f64, bool)>) {
        self.compared += 1;
        let same = offline.is_some_and(|(score, known)| {
            score.to_bits() == live.score.to_bits() && known == live.known
        });
        if !same {
            self.different += 1;
            if self.differences.len() < REPORTED_DIFFERENCES {
                let score = offline.map_or(f64::NAN, |(score, _)| score);
                self.differences.push((live.customer_id.clone(), live.score, score));
            }
        }
    }
}
