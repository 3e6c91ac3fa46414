use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernel::domain::{Job, Name};
use kernel::features::{AsOf, Knowledge, Timelines};
use serde::Serialize;
use warehouse::{HistoryLines, PublishMark};

use crate::client::{
    Client, Collected, Deployment, LiveScore, LogRun, PublishedProject, Rehearsal, Rollout,
};
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
    /// Values of new events that do not fit the type of their property; they are in `misfits`.
    pub misfits: u64,
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

/// Groups that are sent at once, so that the endpoint reads one while it writes another.
const SENDERS: usize = 2;
/// Groups that are read ahead.
const WAITING: usize = 2;
/// Times that a group is sent to an endpoint that is busy, and the time in between.
const ATTEMPTS: usize = 100;
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// Events of a pulled run.
const PULL_RUN: usize = 10_000;
/// Customers of a replay request.
const REPLAY_GROUP: usize = 500;
/// Differences that are reported.
const REPORTED_DIFFERENCES: usize = 20;

impl Project {
    /// Publishes the history of the project's customers into an endpoint's timelines: what is new since the
    /// last time.
    ///
    /// # Errors
    /// The endpoint does not answer or refuses, or the job was canceled; publishing again goes on.
    pub fn publish(&self, client: &Client, job: &Job) -> Result<Published> {
        self.publish_history(client, false, job)
    }

    /// Publishes all of the history, also what was published before.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn publish_all(&self, client: &Client, job: &Job) -> Result<Published> {
        self.publish_history(client, true, job)
    }

    fn publish_history(&self, client: &Client, all: bool, job: &Job) -> Result<Published> {
        let started = Instant::now();
        let endpoint = client.health()?.endpoint;
        // Nothing first: the endpoint says whether the key is right before anything is read here.
        client.publish((self.id()?, self.name()), b"")?;
        client.publish_types(&self.warehouse.types())?;
        let mark = self.warehouse.publish_mark(&endpoint)?;
        let log_end = client.log_end()?.next;
        // A log that is shorter than it was is another one, or lost some of it.
        let mark = mark.filter(|mark| !all && mark.log_end <= log_end).unwrap_or_default();
        let until = self.warehouse.last_file_seq()?;
        let mut published = Published {
            duplicate: self.warehouse.count_history(0, mark.last_seq)?,
            ..Published::default()
        };
        if until > mark.last_seq {
            let sent = self.send_history(client, (mark.last_seq, until), job)?;
            published.accepted += sent.accepted;
            published.duplicate += sent.duplicate;
            let mark = PublishMark { last_seq: until, log_end: client.log_end()?.next };
            self.warehouse.set_publish_mark(&endpoint, mark, job)?;
        }
        published.seconds = started.elapsed().as_secs_f64();
        Ok(published)
    }

    /// Reads events on this thread, while others send them.
    fn send_history(&self, client: &Client, range: (u64, u64), job: &Job) -> Result<Published> {
        let total = self.warehouse.count_history(range.0, range.1)?.max(1);
        let project = (self.id()?, self.name());
        let (sender, groups) = sync_channel::<HistoryLines>(WAITING);
        let groups = Mutex::new(groups);
        let sent = Mutex::new(Published::default());
        let send = || -> Result<()> {
            loop {
                let group = groups.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(group) = group else { return Ok(()) };
                let collected = send_group(client, project, &group, job)?;
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                sent.accepted += collected.accepted;
                sent.duplicate += collected.duplicate;
                #[allow(clippy::cast_precision_loss, reason = "progress for people")]
                let share = (sent.accepted + sent.duplicate) as f32 / total as f32;
                job.report("Publishing history", share.min(1.0));
            }
        };
        std::thread::scope(|scope| -> Result<()> {
            let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(send)).collect();
            let read = self.warehouse.history(range, job, |group| {
                // Nobody receives it any more when all senders have failed.
                if sender.send(group).is_ok() { Ok(()) } else { Err(Error::Canceled) }
            });
            drop(sender);
            for ended in senders {
                ended.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            read
        })?;
        Ok(sent.into_inner().unwrap_or_else(PoisonError::into_inner))
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
    /// The endpoint does not answer, another project was published to it ([`Self::accept_other_projects`]
    /// allows that), or the job was canceled; what was pulled stays, the rest comes next.
    pub fn pull(&self, client: &Client, job: &Job) -> Result<Pulls> {
        let started = Instant::now();
        let mut pulls = Pulls::default();
        self.each_run(client, |endpoint, run| {
            self.check_projects(client, endpoint, &run.projects)?;
            let pulled =
                self.warehouse.add_live(endpoint, &run.events, &run.known_as, run.next, job)?;
            pulls.accepted += pulled.accepted;
            pulls.duplicate += pulled.duplicate;
            pulls.misfits += pulled.misfits;
            job.report(format!("Pulled {} events", pulls.accepted), 0.5);
            Ok(())
        })?;
        pulls.seconds = started.elapsed().as_secs_f64();
        Ok(pulls)
    }

    /// Allows pulls from an endpoint although other projects were published to it: those that were by now.
    ///
    /// # Errors
    /// The endpoint does not answer, or the warehouse cannot be written.
    pub fn accept_other_projects(&self, client: &Client, job: &Job) -> Result<()> {
        let run = client.log_end()?;
        let others = self.other_projects(&run.endpoint, &run.projects)?;
        let ids: Vec<String> = others.iter().map(|project| project.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        Ok(self.warehouse.accept_projects(&run.endpoint, &ids, job)?)
    }

    /// Refuses events of an endpoint to which other projects were published that nobody has accepted.
    fn check_projects(
        &self,
        client: &Client,
        endpoint: &str,
        projects: &[PublishedProject],
    ) -> Result<()> {
        let others = self.other_projects(endpoint, projects)?;
        if others.is_empty() {
            return Ok(());
        }
        let names = others.iter().map(|project| project.name.clone()).collect();
        Err(Error::OtherProject { url: client.url().to_owned(), names })
    }

    /// Projects of an endpoint that are neither this one nor accepted.
    fn other_projects<'p>(
        &self,
        endpoint: &str,
        projects: &'p [PublishedProject],
    ) -> Result<Vec<&'p PublishedProject>> {
        let accepted = self.warehouse.accepted_projects(endpoint)?;
        let is_other = |project: &&PublishedProject| {
            Some(&*project.id) != self.known_id() && !accepted.contains(&project.id)
        };
        Ok(projects.iter().filter(is_other).collect())
    }

    /// Gives the runs of an endpoint's log that were not pulled to `take`, in their order.
    fn each_run(
        &self,
        client: &Client,
        mut take: impl FnMut(&str, &LogRun) -> Result<()>,
    ) -> Result<()> {
        let endpoint = client.health()?.endpoint;
        let mut from = self.warehouse.pull_offset(&endpoint)?;
        loop {
            let run = client.log(from, PULL_RUN)?;
            if run.endpoint != endpoint {
                let message = format!("another endpoint answers at {} now", client.url());
                return Err(Error::BadInput(message));
            }
            if run.next != from {
                take(&endpoint, &run)?;
                from = run.next;
            }
            if run.end {
                return Ok(());
            }
        }
    }

    /// Compares live and offline scores of customers as of one instant, bit for bit. Events that were not
    /// pulled are compared too; nothing is written.
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
        // The instant first, so that everything known by then is read.
        let as_of = client.health()?.time;
        let deployments = client.deployments()?;
        let deployment = deployments.iter().find(|live| live.name == name.as_str());
        let Some(deployment) = deployment else {
            return Err(Error::NotFound(format!("nothing is deployed as '{name}' there")));
        };
        let function = self.function_with_hash(&deployment.function)?;
        job.report("Reading new events", 0.0);
        let timelines = self.warehouse.with_trial(job, |trial| -> Result<Timelines> {
            self.each_run(client, |_, run| Ok(trial.add_live(&run.events, &run.known_as)?))?;
            Ok(trial.timelines(customers, function.view().reads(), job)?)
        })?;
        let scorer = function.bind(&timelines);
        let ids: Vec<String> = timelines.customers().iter().map(ToString::to_string).collect();
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

/// Sends a group; an endpoint that is busy gets it again.
fn send_group(
    client: &Client,
    project: (&str, &str),
    group: &HistoryLines,
    job: &Job,
) -> Result<Collected> {
    let (_never, pause) = sync_channel::<()>(0);
    for _ in 1..ATTEMPTS {
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        match client.publish(project, &group.json) {
            Err(Error::Refused { status: 429, .. }) => drop(pause.recv_timeout(BUSY_WAIT)),
            sent => return sent,
        }
    }
    client.publish(project, &group.json)
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
