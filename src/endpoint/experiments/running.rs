use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kernel::domain::{Name, Time, did_you_mean};
use kernel::experiments::{Experiment, ExperimentFile};

use super::live::{Change, Record, State};
use super::{Learned, Learning};
use crate::online::{ConfigStore, EventLog, TimelineStore};
use crate::{Error, Result};

/// All experiments that were ever started. Readers get a snapshot; a change replaces it whole.
#[derive(Debug)]
pub struct Experiments {
    all: RwLock<Arc<BTreeMap<String, Arc<Running>>>>,
    /// Held by the one who changes something.
    changing: Mutex<()>,
    learning: Learning,
}

/// An experiment that customers ask for.
#[derive(Debug)]
pub struct Running {
    /// As it is stored.
    pub record: Record,
    /// Compiled.
    pub experiment: Experiment,
    /// What its bandit has learned, if it is one.
    pub(super) learned: RwLock<Arc<Learned>>,
}

/// Entries of a decision log that are kept.
const KEPT_CHANGES: usize = 1_000;

impl Running {
    fn new(record: Record) -> Result<Self> {
        let experiment = Experiment::new(record.file.clone())
            .map_err(|error| Error::BadRequest(error.to_string()))?;
        let learned = Learned::nothing(&experiment);
        Ok(Self { record, experiment, learned: RwLock::new(Arc::new(learned)) })
    }

    /// Whether it divides customers.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.record.state == State::Running
    }

    /// What its bandit has learned so far.
    #[must_use]
    pub fn learned(&self) -> Arc<Learned> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Experiments {
    /// Reads what was started.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn open(
        config: &dyn ConfigStore,
        log: Arc<dyn EventLog>,
        timelines: Arc<dyn TimelineStore>,
    ) -> Result<Self> {
        let mut all = BTreeMap::new();
        for key in config.names("experiment/")? {
            let Some(bytes) = config.get(&key)? else { continue };
            let record: Record =
                serde_json::from_slice(&bytes).map_err(Error::store("read an experiment"))?;
            all.insert(record.name.to_string(), Arc::new(Running::new(record)?));
        }
        let learning = Learning::start(log, timelines)?;
        learning.follow(all.values());
        Ok(Self { all: RwLock::new(Arc::new(all)), changing: Mutex::new(()), learning })
    }

    /// All of them, by name.
    #[must_use]
    pub fn snapshot(&self) -> Arc<BTreeMap<String, Arc<Running>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, name: &str) -> Result<Arc<Running>> {
        let all = self.snapshot();
        all.get(name).cloned().ok_or_else(|| {
            let suggestion = did_you_mean(name, all.keys().map(String::as_str));
            Error::NotFound(format!("no experiment '{name}' was started here{suggestion}"))
        })
    }

    /// Starts an experiment. What runs already with the same definition goes on; with another it begins
    /// anew, as its next version.
    ///
    /// # Errors
    /// It makes no sense, or takes customers that another one has.
    pub fn start(
        &self,
        config: &dyn ConfigStore,
        file: ExperimentFile,
        at: Time,
        offset: u64,
    ) -> Result<Arc<Running>> {
        let name = file.definition.name.clone();
        self.change(config, &name, |current, all| {
            if let Some(current) = current.as_ref().filter(|it| it.state == State::Running)
                && current.file == file
            {
                return Ok(current.clone());
            }
            check_neighbors(&file, all)?;
            let version = current.as_ref().map_or(0, |current| current.version) + 1;
            let mut changes = current.map(|current| current.changes).unwrap_or_default();
            let action = "start".to_owned();
            changes.push(Change { at, action, version, variant: None, note: String::new() });
            let (state, started_offset) = (State::Running, offset);
            let name = file.definition.name.clone();
            Ok(Record { name, version, file, state, started_at: at, started_offset, changes })
        })
    }

    /// Ends an experiment: everybody gets `variant`, or the control if none is named.
    ///
    /// # Errors
    /// There is no such experiment or variant.
    pub fn end(
        &self,
        config: &dyn ConfigStore,
        name: &Name,
        variant: Option<Name>,
        note: String,
        at: Time,
    ) -> Result<Arc<Running>> {
        self.change(config, name, |current, _| {
            let Some(mut record) = current else {
                return Err(Error::NotFound(format!("no experiment '{name}' was started here")));
            };
            if let Some(variant) = &variant
                && record.file.definition.variant(variant.as_str()).is_none()
            {
                let message = format!("'{name}' has no variant '{variant}'");
                return Err(Error::BadRequest(message));
            }
            let action = if variant.is_some() { "decide" } else { "stop" }.to_owned();
            let version = record.version;
            record.changes.push(Change { at, action, version, variant: variant.clone(), note });
            record.state = variant.map_or(State::Stopped, State::Decided);
            Ok(record)
        })
    }

    /// Makes a change durable, then visible.
    fn change(
        &self,
        config: &dyn ConfigStore,
        name: &Name,
        change: impl FnOnce(Option<Record>, &BTreeMap<String, Arc<Running>>) -> Result<Record>,
    ) -> Result<Arc<Running>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.snapshot();
        let current = all.get(name.as_str());
        let mut record = change(current.map(|running| running.record.clone()), &all)?;
        let excess = record.changes.len().saturating_sub(KEPT_CHANGES);
        record.changes.drain(..excess);
        if let Some(current) = current
            .filter(|current| current.record.changes.len() == record.changes.len() && excess == 0)
        {
            return Ok(current.clone());
        }
        let json = serde_json::to_vec(&record).map_err(Error::store("write an experiment"))?;
        let running = Arc::new(Running::new(record)?);
        config.put(&[(format!("experiment/{name}"), json)])?;
        let mut all = BTreeMap::clone(&all);
        all.insert(name.to_string(), running.clone());
        self.learning.follow(all.values());
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(running)
    }

    /// Ends the thread that learns.
    pub fn stop(&self) {
        self.learning.stop();
    }
}

impl Running {
    fn is_on(&self, deployment: &str) -> bool {
        let own = self.experiment.definition().deployment.as_ref();
        self.is_running() && own.is_some_and(|own| own.as_str() == deployment)
    }
}

/// Refuses what takes customers that another running experiment has.
fn check_neighbors(file: &ExperimentFile, all: &BTreeMap<String, Arc<Running>>) -> Result<()> {
    let definition = &file.definition;
    let others =
        all.values().filter(|other| other.is_running() && other.record.name != definition.name);
    for other in others {
        let (name, theirs) = (&other.record.name, other.experiment.definition());
        if let Some(deployment) = &definition.deployment
            && other.is_on(deployment.as_str())
        {
            let message = format!("the experiment '{name}' runs on '{deployment}'; end it first");
            return Err(Error::BadRequest(message));
        }
        if let (Some(own), Some(layer)) = (&definition.layer, &theirs.layer)
            && own.name == layer.name
            && own.from < layer.until
            && layer.from < own.until
        {
            return Err(Error::BadRequest(format!(
                "the experiment '{name}' has {} to {} of the layer '{}'; take another part",
                layer.from, layer.until, own.name
            )));
        }
    }
    Ok(())
}
