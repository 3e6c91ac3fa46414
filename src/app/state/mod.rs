//! What pages read, and what they ask for.

mod outbox;
mod tiles;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use workspace::insights::{Chart, Insight, InsightKind, InsightSpec};
use workspace::{
    Activity, Answer, Command, CustomerList, CustomerSummary, CustomerView, Deployment,
    EndpointView, Error, ErrorKind, EventKind, ExperimentAnswer, ExperimentCommand, ImportReport,
    JobId, LiveCustomer, LiveExperiment, LiveScore, MonitorAnswer, MonitorCommand, Name, Overview,
    PowerPlan, Preview, Progress, Proposal, Pulls, Readout, Rehearsal, Run, Slot, TrainReport,
    Tried, Update, Verified, Watched,
};

use crate::loadable::Loadable;
pub(crate) use outbox::Outbox;
pub(crate) use tiles::Queried;
use tiles::Tiles;

/// All that pages read.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) project: Loadable<(String, PathBuf)>,
    /// A project was just opened, and what the window showed of it before.
    pub(crate) opened: Option<Option<String>>,
    pub(crate) overview: Loadable<Overview>,
    /// The kinds of events, and of how many events that is known.
    pub(crate) inventory: Loadable<(Vec<EventKind>, u64)>,
    pub(crate) proposal: Loadable<Proposal>,
    pub(crate) imported: Loadable<ImportReport>,
    pub(crate) customers: Loadable<(Vec<CustomerSummary>, u64)>,
    /// Which were asked for last, and how many at most.
    pub(crate) customers_asked: (CustomerList, usize),
    pub(crate) customer: Loadable<CustomerView>,
    /// How the numbers of a view are spread over customers.
    pub(crate) distributions: Loadable<(Name, BTreeMap<Name, Vec<f64>>)>,
    /// What the tiles of Explore were answered.
    pub(crate) tiles: Tiles,
    pub(crate) people: Loadable<Vec<String>>,
    /// Where the point is that they are behind.
    pub(crate) people_of: Option<Slot>,
    /// The project was opened by this job: what earlier ones bring is of another one.
    since: Option<JobId>,
    /// The share of new customers who come back in the interval after.
    pub(crate) come_back: Option<f64>,
    pub(crate) preview: Loadable<Preview>,
    pub(crate) trained: Loadable<TrainReport>,
    pub(crate) tried: Loadable<Tried>,
    pub(crate) runs: Loadable<(Name, Vec<Run>)>,
    pub(crate) endpoint: Loadable<EndpointView>,
    pub(crate) deployed: Loadable<Deployment>,
    pub(crate) rehearsed: Loadable<Rehearsal>,
    pub(crate) connected: Loadable<()>,
    pub(crate) activity: Loadable<Activity>,
    pub(crate) live_customer: Loadable<Option<LiveCustomer>>,
    pub(crate) score: Loadable<LiveScore>,
    pub(crate) sent: Loadable<()>,
    pub(crate) pulled: Loadable<Pulls>,
    pub(crate) verified: Loadable<Verified>,
    /// What runs at the endpoint, by what the experiment is called.
    pub(crate) experiments: Loadable<Vec<LiveExperiment>>,
    pub(crate) plan: Loadable<(Name, PowerPlan)>,
    pub(crate) readout: Loadable<Readout>,
    /// How a deployment does, and what rules say.
    pub(crate) watched: Loadable<Watched>,
    /// The endpoint that the window works with.
    pub(crate) url: Option<String>,
    /// Whether what is shown can be undone, and done again.
    pub(crate) steps: (bool, bool),
    pub(crate) jobs: BTreeMap<JobId, RunningJob>,
    pub(crate) notices: Vec<Notice>,
    /// How long the latest query took.
    pub(crate) query_seconds: Option<f64>,
}

/// A job as the window shows it.
#[derive(Debug)]
pub(crate) struct RunningJob {
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) progress: Option<Progress>,
    pub(crate) started: Instant,
}

/// Something to tell the person.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) tone: Tone,
    pub(crate) since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warn,
    Bad,
}

fn firing(watched: &Watched) -> Vec<Name> {
    let firing = watched.rules.rules.iter().filter(|rule| rule.is_firing());
    firing.map(|rule| rule.definition.name.clone()).collect()
}

/// Customers that are listed at first.
pub(crate) const CUSTOMERS: usize = 500;
/// Notices that are kept.
const MOST_NOTICES: usize = 30;

impl State {
    /// A command goes out as a job.
    pub(crate) fn begin(&mut self, id: JobId, command: &Command) {
        let kind = command.kind();
        self.jobs.insert(
            id,
            RunningJob { kind, title: String::new(), progress: None, started: Instant::now() },
        );
        match command {
            Command::Open { .. } => self.project.begin(id),
            Command::Look => self.overview.begin(id),
            Command::Inventory => self.inventory.begin(id),
            Command::Propose(..) => self.proposal.begin(id),
            Command::Import(..) => self.imported.begin(id),
            Command::Customers(list, limit) => {
                self.customers_asked = (list.clone(), *limit);
                self.customers.begin(id);
            }
            Command::Customer { .. } => self.customer.begin(id),
            Command::Distributions(_) => self.distributions.begin(id),
            Command::Query(..) | Command::Hold(..) | Command::Page(..) | Command::Insight(..) => {
                self.tiles.begin(id, command);
            }
            Command::People { slot, .. } => {
                self.people_of = Some(*slot);
                self.people.clear();
                self.people.begin(id);
            }
            Command::Preview(_) => self.preview.begin(id),
            Command::Train(_) | Command::TryAll(..) => self.trained.begin(id),
            Command::Runs(_) => self.runs.begin(id),
            Command::Endpoint(_) => self.endpoint.begin(id),
            Command::Deploy { .. }
            | Command::Promote(..)
            | Command::StopRollout(..)
            | Command::RollBack(..) => self.deployed.begin(id),
            Command::Rehearse { .. } => self.rehearsed.begin(id),
            Command::Connect { .. } => self.connected.begin(id),
            Command::Activity(_) => self.activity.begin(id),
            Command::LiveCustomer { .. } => self.live_customer.begin(id),
            Command::Score { .. } => self.score.begin(id),
            Command::Send { .. } => self.sent.begin(id),
            Command::Pull(_) => self.pulled.begin(id),
            Command::Verify(..) => self.verified.begin(id),
            Command::Experiment(command) => match command {
                ExperimentCommand::List(_) => self.experiments.begin(id),
                ExperimentCommand::Plan(_) => self.plan.begin(id),
                ExperimentCommand::ReadOut { .. } => self.readout.begin(id),
                ExperimentCommand::Start { .. } | ExperimentCommand::End { .. } => {}
            },
            Command::Monitor(MonitorCommand::Look { .. }) => self.watched.begin(id),
            Command::Monitor(_) => {}
            Command::Export(..)
            | Command::ExportInsight(..)
            | Command::SaveInsight(..)
            | Command::SaveQuery(..)
            | Command::SaveBoard(..)
            | Command::KeepWindow(_)
            | Command::Select(..)
            | Command::ImportModel { .. }
            | Command::ExportModel(..)
            | Command::SaveSegment(_)
            | Command::ProposeView(_)
            | Command::SaveView(_)
            | Command::SaveModel(_)
            | Command::UseRun(..)
            | Command::GoLive
            | Command::StopEndpoint => {}
        }
    }

    /// Takes what a job says; gives the commands that follow from it.
    pub(crate) fn take(&mut self, update: Update) -> Vec<Command> {
        match update {
            Update::Started(id, title) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.title = title;
                }
                Vec::new()
            }
            Update::Progress(id, progress) => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.progress = Some(progress);
                }
                Vec::new()
            }
            Update::Ended(id, seconds, result) => {
                let kind = self.jobs.remove(&id).map_or("", |job| job.kind);
                if self.since.is_some_and(|since| id < since) {
                    return Vec::new();
                }
                match result {
                    Ok(answer) => self.answer(id, seconds, answer),
                    Err(error) => {
                        self.fail(id, kind, &error);
                        Vec::new()
                    }
                }
            }
        }
    }

    fn answer(&mut self, id: JobId, seconds: f64, answer: Answer) -> Vec<Command> {
        match answer {
            Answer::Opened { name, folder, window } => {
                return self.opened(id, (name, folder), window);
            }
            Answer::Looked(overview) => return self.looked(id, *overview),
            Answer::Inventory(kinds) => {
                let events = self.look().summary.events;
                self.inventory.finish(id, (kinds, events));
            }
            Answer::Proposed(proposal) => self.proposal.finish(id, *proposal),
            Answer::Imported(report) => {
                let tone = if report.rejected > 0 { Tone::Warn } else { Tone::Good };
                let text = format!(
                    "Imported {} events, {} were known, {} were rejected",
                    report.accepted, report.duplicate, report.rejected
                );
                self.tell(tone, text);
                self.imported.finish(id, *report);
                return after_new_events();
            }
            Answer::Customers(customers, total) => self.customers.finish(id, (customers, total)),
            Answer::Customer(customer) => self.customer.finish(id, *customer),
            Answer::Distributions(view, spread) => self.distributions.finish(id, (view, spread)),
            Answer::Queried(slot, result, summaries) => {
                self.query_seconds = Some(seconds);
                return self.tiles.has_rows(id, slot, result, summaries).into_iter().collect();
            }
            Answer::Held(slot, n, summaries) => self.tiles.has_held(id, slot, n, summaries),
            Answer::Page(slot, page) => self.tiles.has_page(id, slot, page),
            Answer::ImportedModel(name, remarks) => {
                self.tell(Tone::Good, format!("Imported {name}; deploy it on the Deploy page"));
                remarks.into_iter().for_each(|remark| self.tell(Tone::Warn, remark));
                return vec![Command::Look];
            }
            Answer::SavedQuery(name) => {
                self.tell(Tone::Good, format!("Saved query {name}"));
                return vec![Command::Look];
            }
            Answer::Exported(path) => self.tell(Tone::Good, format!("Wrote {}", path.display())),
            Answer::Insight(slot, insight, spec) => {
                self.query_seconds = Some(seconds);
                self.has_insight(&insight, &spec);
                self.tiles.has_insight(id, slot, *insight, *spec);
            }
            Answer::People(people, selected) => {
                if let Some(slot) = selected {
                    self.tiles.select(slot, people.len());
                }
                self.people.finish(id, people);
            }
            Answer::Selected(slot, n) => self.tiles.select(slot, n),
            Answer::KeptWindow => {}
            Answer::SavedBoard(name) => {
                self.tell(Tone::Good, format!("Saved board {name}"));
                return vec![Command::Look];
            }
            Answer::SavedInsight(name) => {
                self.tell(Tone::Good, format!("Saved {name}"));
                return vec![Command::Look];
            }
            Answer::SavedSegment(name, n) => {
                self.tell(Tone::Good, format!("Saved segment {name}: {n} customers"));
                return vec![Command::Look];
            }
            Answer::Previewed(preview) => self.preview.finish(id, *preview),
            Answer::SavedView(name) => {
                self.tell(Tone::Good, format!("Saved view {name}"));
                return vec![Command::Look];
            }
            Answer::SavedModel(name) => return vec![Command::Look, Command::Train(name)],
            Answer::Trained(report) => {
                self.tell(Tone::Good, trained(&report));
                self.trained.finish(id, *report);
                return vec![Command::Look];
            }
            Answer::Tried(mut tried) => {
                match tried.best.take() {
                    Some(best) => {
                        self.tell(
                            Tone::Good,
                            format!("{} is best. {}", best.algorithm, trained(&best)),
                        );
                        self.trained.finish(id, *best);
                    }
                    None => {
                        let message = "none of the algorithms could be trained".to_owned();
                        self.trained.fail(id, Some(message));
                    }
                }
                self.tried.finish(id, *tried);
                return vec![Command::Look];
            }
            Answer::Runs(name, runs) => self.runs.finish(id, (name, runs)),
            Answer::UsedRun(name, hash) => {
                let short: String = hash.chars().take(8).collect();
                self.tell(Tone::Good, format!("{name} is run {short} now; deploy it"));
                return vec![Command::Look];
            }
            live => return self.live_answer(id, live),
        }
        Vec::new()
    }

    fn live_answer(&mut self, id: JobId, answer: Answer) -> Vec<Command> {
        match answer {
            Answer::Live(url) => {
                self.tell(Tone::Good, format!("An endpoint answers at {url}"));
                self.url = Some(url.clone());
                self.connected.clear();
                return vec![Command::Look, Command::Endpoint(url)];
            }
            Answer::Stopped => {
                self.tell(Tone::Warn, "The endpoint was stopped".to_owned());
                self.url = None;
                self.endpoint.clear();
            }
            Answer::Endpoint(view) => {
                self.url = Some(view.url.clone());
                self.endpoint.finish(id, view);
            }
            Answer::Deployed(deployment, published) => {
                let newest = deployment.versions.last().map_or(0, |latest| latest.version);
                let text = format!(
                    "{} version {newest} is live; {} events of history published",
                    deployment.name, published.accepted
                );
                self.rehearsed.clear();
                self.tell(Tone::Good, text);
                return self.switched(id, deployment);
            }
            Answer::Switched(what, deployment) => {
                let Deployment { name, version, .. } = &deployment;
                self.tell(Tone::Good, format!("{name} {what}: version {version} is champion"));
                return self.switched(id, deployment);
            }
            Answer::Experiment(answer) => return self.experiment_answer(id, answer),
            Answer::Monitor(MonitorAnswer::Looked(watched)) => self.has_watched(id, *watched),
            Answer::Monitor(MonitorAnswer::Changed(what)) => {
                self.tell(Tone::Good, what);
                return vec![Command::Look];
            }
            Answer::Rehearsed(rehearsal) => self.rehearsed.finish(id, *rehearsal),
            Answer::Activity(activity) => self.activity.finish(id, *activity),
            Answer::LiveCustomer(customer) => {
                self.live_customer.finish(id, customer.map(|customer| *customer));
            }
            Answer::Scored(score) => self.score.finish(id, *score),
            Answer::Sent => self.sent.finish(id, ()),
            Answer::Pulled(pulls) => {
                self.tell(Tone::Good, format!("Pulled {} live events", pulls.accepted));
                self.pulled.finish(id, pulls);
                return after_new_events();
            }
            Answer::Verified(verified) => {
                let tone = if verified.different == 0 { Tone::Good } else { Tone::Bad };
                let text = format!(
                    "Compared {} live and offline scores: {} differ",
                    verified.compared, verified.different
                );
                self.tell(tone, text);
                self.verified.finish(id, verified);
                return after_new_events();
            }
            other => self.tell(Tone::Bad, format!("an answer came to nothing: {other:?}")),
        }
        Vec::new()
    }

    fn experiment_answer(&mut self, id: JobId, answer: ExperimentAnswer) -> Vec<Command> {
        let list = |url: &Option<String>| {
            let list = |url: &String| Command::Experiment(ExperimentCommand::List(url.clone()));
            url.iter().map(list).collect::<Vec<_>>()
        };
        match answer {
            ExperimentAnswer::Listed(live) => {
                self.experiments.finish(id, live);
                Vec::new()
            }
            ExperimentAnswer::Planned(name, plan) => {
                self.plan.finish(id, (name, *plan));
                vec![Command::Look]
            }
            ExperimentAnswer::ReadOut(readout) => {
                self.readout.finish(id, *readout);
                Vec::new()
            }
            ExperimentAnswer::Changed(live) => {
                let winner = live.winner.as_ref().map(|winner| format!(" for {winner}"));
                let winner = winner.unwrap_or_default();
                self.tell(Tone::Good, format!("{} is {}{winner}", live.name, live.state));
                let mut next = list(&self.url);
                next.push(Command::Look);
                next
            }
        }
    }

    /// Says which rules hold since the last look.
    fn has_watched(&mut self, id: JobId, mut watched: Watched) {
        if watched.report.is_none() {
            // Only rules were asked for.
            watched.report = self.watched.value().and_then(|before| before.report.clone());
        }
        let known: Vec<Name> = self.watched.value().map(firing).unwrap_or_default();
        for name in firing(&watched) {
            if !known.contains(&name) {
                self.tell(Tone::Bad, format!("Alert: the rule {name} holds; see Monitor"));
            }
        }
        self.watched.finish(id, watched);
    }

    fn opened(
        &mut self,
        id: JobId,
        (name, folder): (String, PathBuf),
        window: Option<String>,
    ) -> Vec<Command> {
        *self = Self {
            jobs: std::mem::take(&mut self.jobs),
            notices: std::mem::take(&mut self.notices),
            ..Self::default()
        };
        self.since = Some(id);
        self.project.finish(id, (name, folder));
        self.opened = Some(window);
        after_new_events()
    }

    fn looked(&mut self, id: JobId, overview: Overview) -> Vec<Command> {
        for problem in &overview.problems {
            self.tell(Tone::Warn, problem.clone());
        }
        let known = overview.endpoints.first().map(|(url, _)| url.clone());
        self.overview.finish(id, overview);
        match (known, &self.url) {
            // An endpoint outlives the window: look whether it is still there.
            (Some(url), None) => vec![Command::Endpoint(url)],
            _ => Vec::new(),
        }
    }

    fn has_insight(&mut self, insight: &Insight, spec: &InsightSpec) {
        if let Chart::Retention(retention) = &insight.chart
            && *spec == InsightSpec::usual(InsightKind::Retention)
        {
            self.come_back = retention.mean.get(1).copied().filter(|share| share.is_finite());
        }
    }

    /// The rules that hold, by name.
    pub(crate) fn alerts(&self) -> usize {
        self.watched.value().map_or(0, |watched| firing(watched).len())
    }

    fn switched(&mut self, id: JobId, deployment: Deployment) -> Vec<Command> {
        self.deployed.finish(id, deployment);
        self.url.clone().map(Command::Endpoint).into_iter().collect()
    }

    fn fail(&mut self, id: JobId, kind: &str, error: &Error) {
        let canceled = error.kind() == ErrorKind::Canceled;
        let message = (!canceled).then(|| error.to_string());
        let quiet = ["endpoint", "live-customer", "preview", "query", "propose", "activity"];
        let quiet =
            quiet.contains(&kind) || ["list-experiments", "read-out", "monitor"].contains(&kind);
        let tiles = ["insight", "query", "hold", "page"];
        let quiet = quiet || tiles.contains(&kind) || kind == "keep-window";
        if let (Some(message), false) = (&message, quiet) {
            self.tell(Tone::Bad, message.clone());
        }
        match kind {
            kind if tiles.contains(&kind) => {
                self.tiles.fail(id, message.as_ref(), error.position());
            }
            "open" => self.project.fail(id, message),
            "look" => self.overview.fail(id, message),
            "inventory" => self.inventory.fail(id, message),
            "propose" => self.proposal.fail(id, message),
            "import" => self.imported.fail(id, message),
            "customers" => self.customers.fail(id, message),
            "customer" => self.customer.fail(id, message),
            "distributions" => self.distributions.fail(id, message),
            "people" => self.people.fail(id, message),
            "preview" => self.preview.fail(id, message),
            "train" => self.trained.fail(id, message),
            "runs" => self.runs.fail(id, message),
            "endpoint" => {
                // One that is only remembered from before may be gone without a word.
                if let (Some(message), Some(_)) = (&message, &self.url) {
                    self.tell(Tone::Bad, message.clone());
                }
                self.endpoint.fail(id, message);
                self.url = None;
            }
            "deploy" | "promote" | "stop-rollout" | "roll-back" => self.deployed.fail(id, message),
            "rehearse" => self.rehearsed.fail(id, message),
            "connect" => self.connected.fail(id, message),
            "activity" => self.activity.fail(id, message),
            "live-customer" => self.live_customer.fail(id, message),
            "score" => self.score.fail(id, message),
            "send" => self.sent.fail(id, message),
            "pull" => self.pulled.fail(id, message),
            "verify" => self.verified.fail(id, message),
            "list-experiments" => self.experiments.fail(id, message),
            "plan-experiment" => self.plan.fail(id, message),
            "read-out" => self.readout.fail(id, message),
            "monitor" => self.watched.fail(id, message),
            _ => {}
        }
    }

    /// Tells the person something.
    pub(crate) fn tell(&mut self, tone: Tone, text: String) {
        self.notices.push(Notice { text, tone, since: Instant::now() });
        let surplus = self.notices.len().saturating_sub(MOST_NOTICES);
        self.notices.drain(..surplus);
    }

    /// The overview, or an empty one.
    pub(crate) fn look(&self) -> &Overview {
        static EMPTY: std::sync::LazyLock<Overview> = std::sync::LazyLock::new(Overview::default);
        self.overview.value().unwrap_or(&EMPTY)
    }

    /// The folder of the open project.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.project.value().map(|(_, folder)| folder.as_path())
    }

    /// The first view, which pages show features of unless told otherwise.
    pub(crate) fn first_view(&self) -> Option<Name> {
        self.look().views.first().map(|view| view.name.clone())
    }
}

/// What a training came to, in a sentence.
fn trained(report: &TrainReport) -> String {
    let first = report.test.metrics.first();
    let first = first.map(|metric| format!(": test {} {:.3}", metric.name, metric.value));
    format!("Trained {}{}", report.name, first.unwrap_or_default())
}

/// New events change everything that was read from them.
fn after_new_events() -> Vec<Command> {
    vec![
        Command::Look,
        Command::Customers(CustomerList::default(), CUSTOMERS),
        Command::Insight(Slot::default(), InsightSpec::usual(InsightKind::Retention)),
    ]
}
