use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel::domain::{Job, Name, Progress, Time};
use warehouse::{Held, summarize};

use crate::answer::{Answer, CustomerView, EndpointView, FunctionEntry, Overview};
use crate::command::{Command, Slot};
use crate::definitions::keep_window;
use crate::sample::Sample;
use crate::{Client, Error, KnownEndpoint, LocalEndpoint, Project, Result};

/// Tells jobs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// What the window hears of its jobs.
#[derive(Debug)]
pub enum Update {
    /// A job has begun.
    Started(JobId, String),
    /// A job goes on.
    Progress(JobId, Progress),
    /// A job has ended, after so many seconds.
    Ended(JobId, f64, Result<Answer>),
}

/// A project that is worked on: commands in, updates out.
pub struct Session {
    shared: Arc<Shared>,
    updates: Receiver<Update>,
    next: u64,
    running: HashMap<JobId, (What, Arc<Job>)>,
}

/// The kind of a job, and the place that it is for.
type What = (&'static str, Slot);

struct Shared {
    project: Mutex<Option<Arc<Project>>>,
    endpoint: Mutex<Option<LocalEndpoint>>,
    /// Results whose rows are all kept, by where they are shown.
    held: Mutex<HashMap<Slot, Arc<Held>>>,
    /// The program, to start an endpoint with.
    program: PathBuf,
    updates: SyncSender<Update>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// Updates that may wait for the window.
const QUEUE: usize = 1_024;
/// Rows that are fetched at a time.
const PAGE: usize = 1_000;
/// Rows of a query that the window shows at once; more of them are kept and fetched as they are scrolled to.
const QUERY_ROWS: usize = 100_000;
/// Customers whose scores are compared.
const VERIFY_CUSTOMERS: usize = 1_000;
/// Events and scores of an endpoint that are looked at.
const LATEST: usize = 200;
/// Where an endpoint of the window listens.
const LISTEN: &str = "127.0.0.1:7360";

impl Session {
    /// A session without a project; `wake` is called when there are updates.
    pub fn new(program: &Path, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (sender, updates) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            project: Mutex::new(None),
            endpoint: Mutex::new(None),
            held: Mutex::default(),
            program: program.to_owned(),
            updates: sender,
            wake: Box::new(wake),
        });
        Self { shared, updates, next: 0, running: HashMap::new() }
    }

    /// Starts a job. One that makes an earlier one of its kind pointless cancels that.
    pub fn send(&mut self, command: Command) -> JobId {
        self.next += 1;
        let id = JobId(self.next);
        let (kind, slot) = (command.kind(), command.slot());
        if command.replaces_earlier() {
            let is_pointless =
                |(known, of): What| of == slot && (known == kind || replaces(kind, known));
            for (_, job) in self.running.values().filter(|(known, _)| is_pointless(*known)) {
                job.cancel();
            }
        }
        let shared = self.shared.clone();
        let heard = self.shared.clone();
        let job = Arc::new(Job::new(move |progress| heard.tell(Update::Progress(id, progress))));
        self.running.insert(id, ((kind, slot), job.clone()));
        let title = command.title();
        let spawned = std::thread::Builder::new().name(format!("job-{kind}")).spawn(move || {
            shared.tell(Update::Started(id, title));
            let started = Instant::now();
            let result = run(&shared, command, &job);
            shared.tell(Update::Ended(id, started.elapsed().as_secs_f64(), result));
        });
        if let Err(error) = spawned {
            let fault = Error::Fault(format!("no thread for a job: {error}"));
            self.shared.tell(Update::Ended(id, 0.0, Err(fault)));
        }
        id
    }

    /// Cancels a job.
    pub fn cancel(&self, id: JobId) {
        if let Some((_, job)) = self.running.get(&id) {
            job.cancel();
        }
    }

    /// The next update, if there is one.
    pub fn next_update(&mut self) -> Option<Update> {
        let update = self.updates.try_recv().ok()?;
        self.forget_ended(&update);
        Some(update)
    }

    /// The next update, waiting for it; none when all jobs have ended.
    pub fn wait_for_update(&mut self) -> Option<Update> {
        if self.running.is_empty() {
            return self.next_update();
        }
        let update = self.updates.recv().ok()?;
        self.forget_ended(&update);
        Some(update)
    }

    fn forget_ended(&mut self, update: &Update) {
        if let Update::Ended(id, ..) = update {
            self.running.remove(id);
        }
    }

    /// Only these places are there: what others asked for is canceled, and their rows are let go.
    pub fn retain(&self, is_there: impl Fn(Slot) -> bool) {
        for ((kind, slot), job) in self.running.values() {
            if ["query", "hold", "page", "insight"].contains(kind) && !is_there(*slot) {
                job.cancel();
            }
        }
        self.shared.held().retain(|slot, _| is_there(*slot));
    }

    /// Whether any job is running.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }
}

/// Whether a job of a kind makes one of another kind pointless: rows of a query before are not wanted.
fn replaces(kind: &str, other: &str) -> bool {
    kind == "query" && ["hold", "page"].contains(&other)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn tell(&self, update: Update) {
        // Progress may be dropped when the window is slow; an end may not.
        let told = match update {
            Update::Progress(..) => self.updates.try_send(update).is_ok(),
            other => self.updates.send(other).is_ok(),
        };
        if told {
            (self.wake)();
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Slot, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn project(&self) -> Result<Arc<Project>> {
        let project = self.project.lock().unwrap_or_else(PoisonError::into_inner).clone();
        project.ok_or_else(|| Error::BadInput("open a project first".to_owned()))
    }
}

/// Runs a command; a panic in it is an error like any other, and not the end of the window.
fn run(shared: &Shared, command: Command, job: &Job) -> Result<Answer> {
    let result = catch_unwind(AssertUnwindSafe(|| execute(shared, command, job)));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::Fault(text.unwrap_or("a job ended unexpectedly").to_owned()))
    })
}

fn execute(shared: &Shared, command: Command, job: &Job) -> Result<Answer> {
    if let Command::Open { folder, sample } = command {
        return open(shared, &folder, sample, job);
    }
    let project = shared.project()?;
    match command {
        Command::Open { .. } => Err(Error::Fault("opened twice".to_owned())),
        Command::Look => Ok(Answer::Looked(Box::new(look(&project)?))),
        Command::Propose(files, options) => {
            Ok(Answer::Proposed(Box::new(project.propose(&files, &options)?)))
        }
        Command::Import(files, options) => {
            Ok(Answer::Imported(Box::new(project.import(&files, &options, job)?)))
        }
        Command::Inventory => Ok(Answer::Inventory(project.warehouse.inventory()?)),
        Command::Customers(list, limit) => {
            let (customers, total) = project.customers(&list, limit, job)?;
            Ok(Answer::Customers(customers, total))
        }
        Command::Customer { customer_id, view, as_of } => {
            customer(&project, customer_id, view, as_of)
        }
        Command::Distributions(view) => {
            let distributions = project.distributions(&view, job)?;
            Ok(Answer::Distributions(view, distributions))
        }
        Command::Experiment(command) => {
            Ok(Answer::Experiment(project.run_experiment(command, job)?))
        }
        Command::Monitor(command) => Ok(Answer::Monitor(project.run_monitor(command)?)),
        Command::Query(slot, sql) => {
            let result = project.query(&sql, QUERY_ROWS, job)?;
            let summaries = summarize(result.columns.len(), &result.rows);
            shared.held().remove(&slot);
            Ok(Answer::Queried(slot, result, summaries))
        }
        Command::Hold(slot, sql) => {
            let held = project.hold(&sql, job)?;
            let summaries = held.summaries(job)?;
            let n = held.n_rows();
            shared.held().insert(slot, Arc::new(held));
            Ok(Answer::Held(slot, n, summaries))
        }
        Command::Page(slot, arrangement, from) => {
            let held = shared.held().get(&slot).cloned().ok_or(Error::Canceled)?;
            Ok(Answer::Page(slot, held.page(&arrangement, from, PAGE, job)?))
        }
        Command::SaveQuery(name, sql) => {
            project.save_query(&name, &sql)?;
            Ok(Answer::SavedQuery(name))
        }
        Command::Export(sql, path) => {
            project.export(&sql, &path, job)?;
            Ok(Answer::Exported(path))
        }
        Command::Insight(slot, spec) => {
            Ok(Answer::Insight(slot, Box::new(project.insight(&spec, job)?), Box::new(spec)))
        }
        Command::People { slot, spec, point, select } => {
            let people = project.people(&spec, &point, job)?;
            if select {
                project.select(&people, job)?;
            }
            Ok(Answer::People(people, select.then_some(slot)))
        }
        Command::Select(slot, customers) => {
            project.select(&customers, job)?;
            Ok(Answer::Selected(slot, customers.len()))
        }
        Command::SaveBoard(name, text) => {
            project.save_board(&name, &text)?;
            Ok(Answer::SavedBoard(name))
        }
        Command::KeepWindow(text) => {
            keep_window(project.folder(), &text)?;
            Ok(Answer::KeptWindow)
        }
        Command::ExportInsight(spec, path) => {
            project.write_insight(&project.insight(&spec, job)?, &path)?;
            Ok(Answer::Exported(path))
        }
        Command::SaveInsight(name, spec) => {
            project.save_insight(&name, &spec)?;
            Ok(Answer::SavedInsight(name))
        }
        Command::SaveSegment(segment) => {
            let n = project.save_segment(&segment, job)?;
            Ok(Answer::SavedSegment(segment.name, n))
        }
        Command::Preview(definition) => {
            Ok(Answer::Previewed(Box::new(project.preview(&definition, job)?)))
        }
        Command::ProposeView(name) => {
            project.save_view(&project.propose_view(&name)?)?;
            Ok(Answer::SavedView(name))
        }
        Command::SaveView(definition) => {
            project.save_view(&definition)?;
            Ok(Answer::SavedView(definition.name))
        }
        Command::SaveModel(spec) => {
            project.save_model(&spec)?;
            Ok(Answer::SavedModel(spec.name))
        }
        Command::Train(name) => Ok(Answer::Trained(Box::new(project.train(&name, job)?))),
        Command::TryAll(spec, seconds) => {
            project.save_model(&spec)?;
            let budget = Duration::try_from_secs_f64(seconds)
                .map_err(|error| Error::BadInput(format!("the time: {error}")))?;
            Ok(Answer::Tried(Box::new(project.try_all(&spec.name, budget, job)?)))
        }
        Command::Runs(name) => {
            let runs = project.runs(&name)?;
            Ok(Answer::Runs(name, runs))
        }
        Command::UseRun(name, run) => {
            let function = project.use_run(&name, &run)?;
            Ok(Answer::UsedRun(name, function.hash().to_owned()))
        }
        Command::ImportModel { file, view, name } => {
            let imported = project.import_model(&file, &view, &name)?;
            Ok(Answer::ImportedModel(name, imported.remarks))
        }
        Command::ExportModel(function, out) => {
            project.export_onnx(&function, &out)?;
            Ok(Answer::Exported(out))
        }
        live => execute_live(shared, &project, live, job),
    }
}

/// The commands that talk to an endpoint.
fn execute_live(shared: &Shared, project: &Project, command: Command, job: &Job) -> Result<Answer> {
    match command {
        Command::GoLive => {
            job.report("Starting an endpoint", 0.3);
            let (url, local) = project.go_live(&shared.program, LISTEN)?;
            if local.is_some() {
                *shared.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = local;
            }
            Ok(Answer::Live(url))
        }
        Command::StopEndpoint => {
            let local = shared.endpoint.lock().unwrap_or_else(PoisonError::into_inner).take();
            let local = local.ok_or_else(|| {
                Error::BadInput(
                    "this window did not start the endpoint; stop its process".to_owned(),
                )
            })?;
            local.stop();
            Ok(Answer::Stopped)
        }
        Command::Endpoint(url) => {
            let client = project.client(&url, None)?;
            let deployments = client.deployments()?;
            let clock_difference_seconds = client.health()?.clock_difference_seconds;
            Ok(Answer::Endpoint(EndpointView { url, deployments, clock_difference_seconds }))
        }
        Command::Connect { url, key } => {
            let client = Client::new(&url, Some(key.clone()));
            let id = client.health()?.endpoint;
            // Only an admin key may ask for the keys.
            client.keys()?;
            let known = KnownEndpoint { id: Some(id), admin_key: Some(key), ..Default::default() };
            project.remember_endpoint(client.url(), known)?;
            Ok(Answer::Live(client.url().to_owned()))
        }
        Command::Rehearse { url, function, name } => {
            let client = project.client(&url, None)?;
            project.publish(&client, job)?;
            job.report("Replaying the latest requests", 0.9);
            Ok(Answer::Rehearsed(Box::new(project.rehearse(&function, &client, &name)?)))
        }
        Command::Deploy { url, function, name, role } => {
            let client = project.client(&url, None)?;
            let published = project.publish(&client, job)?;
            Ok(Answer::Deployed(project.deploy(&function, &client, &name, role)?, published))
        }
        Command::Promote(url, name) => {
            let live = project.client(&url, None)?.promote(name.as_str())?;
            Ok(Answer::Switched("was promoted", live))
        }
        Command::StopRollout(url, name) => {
            let live = project.client(&url, None)?.stop_rollout(name.as_str())?;
            Ok(Answer::Switched("has no challenger and no shadow", live))
        }
        Command::RollBack(url, name) => {
            let live = project.client(&url, None)?.roll_back(name.as_str())?;
            Ok(Answer::Switched("was rolled back", live))
        }
        Command::Activity(url) => {
            let activity = project.client(&url, None)?.activity(LATEST)?;
            Ok(Answer::Activity(Box::new(activity)))
        }
        Command::LiveCustomer { url, customer_id } => {
            match project.client(&url, None)?.customer(&customer_id) {
                Ok(customer) => Ok(Answer::LiveCustomer(Some(Box::new(customer)))),
                Err(Error::Refused { status: 404, .. }) => Ok(Answer::LiveCustomer(None)),
                Err(error) => Err(error),
            }
        }
        Command::Score { url, name, customer_id } => {
            let score = project.client(&url, None)?.score(&name, &customer_id, true)?;
            Ok(Answer::Scored(Box::new(score)))
        }
        Command::Send { url, customer_id, event, properties } => {
            let properties = serde_json::from_str(&properties).map_err(|error| {
                Error::BadInput(format!("the properties are not JSON: {error}"))
            })?;
            project.client(&url, None)?.track(&customer_id, &event, &properties)?;
            Ok(Answer::Sent)
        }
        Command::Pull(url) => Ok(Answer::Pulled(project.pull(&project.client(&url, None)?, job)?)),
        Command::Verify(url, name) => {
            let client = project.client(&url, None)?;
            Ok(Answer::Verified(project.verify(&client, &name, VERIFY_CUSTOMERS, job)?))
        }
        other => Err(Error::Fault(format!("{} is not for an endpoint", other.kind()))),
    }
}

fn open(shared: &Shared, folder: &Path, sample: bool, job: &Job) -> Result<Answer> {
    job.report("Opening the project", 0.1);
    let project = Arc::new(Project::open(folder)?);
    if sample {
        job.report("Loading the sample", 0.2);
        Sample::Shop.fill(&project, job)?;
    }
    let answer = Answer::Opened {
        name: project.name().to_owned(),
        folder: project.folder().to_owned(),
        window: project.kept_window(),
    };
    shared.held().clear();
    project.select(&[], job)?;
    *shared.project.lock().unwrap_or_else(PoisonError::into_inner) = Some(project);
    Ok(answer)
}

/// What can be read of a project; what cannot is a problem in the list, not a failure.
fn look(project: &Project) -> Result<Overview> {
    let mut problems = Vec::new();
    let mut keep = |error: Error| problems.push(error.to_string());
    let names = project.views()?;
    let views = names.iter().map(|name| project.view_definition(name));
    let views = views.filter_map(|view| view.map_err(&mut keep).ok()).collect();
    let names = project.models()?;
    let models = names.iter().map(|name| project.model(name));
    let models = models.filter_map(|model| model.map_err(&mut keep).ok()).collect();
    let names = project.experiments()?;
    let experiments = names.iter().map(|name| project.experiment(name));
    let experiments = experiments.filter_map(|it| it.map_err(&mut keep).ok()).collect();
    let names = project.rules()?;
    let rules = names.iter().map(|name| project.rule(name));
    let rules = rules.filter_map(|it| it.map_err(&mut keep).ok()).collect();
    let names = project.insights()?.into_iter();
    let insights = names.filter_map(|name| {
        let spec = project.saved_insight(&name).map_err(&mut keep).ok()?;
        Some((name, spec))
    });
    let insights = insights.collect();
    let queries = texts(project, "queries", "sql", &mut keep)?;
    let boards = texts(project, "boards", "json", &mut keep)?;
    let mut functions = Vec::new();
    for name in project.functions()? {
        match project.function(&name) {
            Ok(function) => functions.push(FunctionEntry {
                name,
                hash: function.hash().to_owned(),
                auc: function
                    .file()
                    .trained
                    .metrics
                    .get("test")
                    .and_then(|metrics| metrics.get("auc"))
                    .copied(),
            }),
            Err(error) => keep(error),
        }
    }
    Ok(Overview {
        summary: project.summary()?,
        catalog: project.catalog()?,
        views,
        models,
        functions,
        insights,
        segments: project.segments()?,
        experiments,
        rules,
        queries,
        boards,
        endpoints: project.endpoints()?.into_iter().collect(),
        problems,
    })
}

/// The texts of a folder, as far as they can be read.
fn texts(
    project: &Project,
    folder: &'static str,
    ending: &str,
    keep: &mut impl FnMut(Error),
) -> Result<Vec<(Name, String)>> {
    let names = project.names(folder, ending)?.into_iter();
    let read = |name: Name| {
        let text = project.read(folder, &name, ending).map_err(&mut *keep).ok()?;
        Some((name, text))
    };
    Ok(names.filter_map(read).collect())
}

fn customer(
    project: &Project,
    customer_id: String,
    view: Option<Name>,
    as_of: Option<Time>,
) -> Result<Answer> {
    let events = project.events_of(&customer_id)?;
    let as_of = as_of.map_or_else(|| project.now(), Ok)?;
    let (features, evidence) = match view {
        Some(view) => (
            project.features_of(&view, &customer_id, as_of)?,
            project.evidence_of(&view, &events, as_of)?,
        ),
        None => (Vec::new(), Vec::new()),
    };
    let segments = project.segments_of(&customer_id)?;
    let view = CustomerView { customer_id, events, features, evidence, segments, as_of };
    Ok(Answer::Customer(Box::new(view)))
}
