use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kernel::domain::{Name, SCORE, Time};
use kernel::scoring::ScoringFunction;
use serde::{Deserialize, Serialize};

use crate::online::ConfigStore;
use crate::{Error, Result};

/// What is live, by name. Readers get a snapshot; a switch replaces it whole.
#[derive(Debug)]
pub(super) struct Deployments {
    live: RwLock<Arc<BTreeMap<String, Arc<Live>>>>,
    /// Held by the one who changes something.
    changing: Mutex<()>,
}

/// What is live under a name: one champion, and perhaps a challenger and a shadow.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) record: Record,
    pub(super) champion: Arc<Variant>,
    /// Answers for a share of the customers.
    challenger: Option<Arc<Variant>>,
    /// Scores and is recorded, but never answers.
    pub(super) shadow: Option<Arc<Variant>>,
}

/// A function that is live.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// `champion`, `challenger` or `shadow`, or the name of a variant of an experiment.
    pub(super) role: Arc<str>,
    pub(super) version: u32,
    pub(super) function: Arc<ScoringFunction>,
    /// The hash of the function.
    pub(super) hash: Arc<str>,
}

/// A deployment as it is stored, with all that ever was live under its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) versions: Vec<Version>,
    /// Versions that were champion, latest last.
    pub(super) champions: Vec<u32>,
    #[serde(default)]
    pub(super) challenger: Option<Challenger>,
    #[serde(default)]
    pub(super) shadow: Option<u32>,
    /// A score that is younger, in seconds, is given again unless an event came since.
    #[serde(default)]
    pub(super) shelf_life: Option<f64>,
    /// What was changed, latest last.
    #[serde(default)]
    pub(super) changes: Vec<Change>,
}

/// A version that answers for a share of the customers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Challenger {
    pub(super) version: u32,
    /// Its share of the customers, above 0 and below 100.
    pub(super) percent: f64,
}

/// An entry of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) at: Time,
    /// `deploy`, `challenge`, `shadow`, `promote`, `stop` or `rollback`.
    pub(super) action: String,
    pub(super) version: u32,
}

/// Changes that are kept of a name.
const KEPT_CHANGES: usize = 1_000;

/// A version of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
    /// Hash of the function.
    pub(super) function: String,
    pub(super) deployed_at: Time,
}

pub(super) fn function_key(hash: &str) -> String {
    format!("function/{hash}")
}

impl Deployments {
    /// Reads what was live.
    pub(super) fn open(store: &dyn ConfigStore) -> Result<Self> {
        let mut live = BTreeMap::new();
        for key in store.names("deployment/")? {
            let Some(bytes) = store.get(&key)? else { continue };
            let record: Record =
                serde_json::from_slice(&bytes).map_err(Error::store("read a deployment"))?;
            live.insert(record.name.to_string(), Arc::new(load(store, record)?));
        }
        Ok(Self { live: RwLock::new(Arc::new(live)), changing: Mutex::new(()) })
    }

    /// What is live now.
    pub(super) fn snapshot(&self) -> Arc<BTreeMap<String, Arc<Live>>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether something is live under a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.live.read().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// What is live under a name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Live>> {
        let live = self.snapshot();
        live.get(name).cloned().ok_or_else(|| {
            let suggestion = kernel::domain::did_you_mean(name, live.keys().map(String::as_str));
            Error::NotFound(format!("nothing is deployed as '{name}'{suggestion}"))
        })
    }

    /// Makes a change durable, then visible, in one step: requests see all of it or nothing. `before_live`
    /// prepares for what they will see.
    pub(super) fn change(
        &self,
        store: &dyn ConfigStore,
        name: &Name,
        change: impl FnOnce(&mut Record) -> Result<()>,
        before_live: impl FnOnce(&Live),
    ) -> Result<Arc<Live>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot().get(name.as_str()).map(|live| live.record.clone());
        let mut record = current.unwrap_or_else(|| Record {
            name: name.clone(),
            versions: Vec::new(),
            champions: Vec::new(),
            challenger: None,
            shadow: None,
            shelf_life: None,
            changes: Vec::new(),
        });
        change(&mut record)?;
        let excess = record.changes.len().saturating_sub(KEPT_CHANGES);
        record.changes.drain(..excess);
        let json = serde_json::to_vec(&record).map_err(Error::store("write a deployment"))?;
        let live = Arc::new(load(store, record)?);
        store.put(&[(format!("deployment/{name}"), json)])?;
        before_live(&live);
        let mut all = BTreeMap::clone(&self.snapshot());
        all.insert(name.to_string(), live.clone());
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(live)
    }
}

impl Live {
    /// The variant that answers for a customer: always the same one while the shares stay.
    pub(super) fn answering(&self, customer_id: &str) -> &Arc<Variant> {
        let share = self.record.challenger.map_or(0.0, |challenger| challenger.percent);
        match &self.challenger {
            Some(challenger) if place_of(&self.record.name, customer_id) < share => challenger,
            _ => &self.champion,
        }
    }

    /// All functions that are live.
    pub(super) fn variants(&self) -> impl Iterator<Item = &Arc<Variant>> {
        std::iter::once(&self.champion).chain(&self.challenger).chain(&self.shadow)
    }
}

impl Variant {
    pub(super) fn new(role: &str, version: u32, function: ScoringFunction) -> Self {
        let hash = function.hash().into();
        Self { role: role.into(), version, hash, function: Arc::new(function) }
    }

    /// Whether it reads recorded scores.
    pub(super) fn reads_scores(&self) -> bool {
        let mut selections = self.function.view().selections().iter();
        selections.any(|selection| selection.events.iter().any(|event| event == SCORE))
    }
}

impl Record {
    /// A version as a variant.
    pub(super) fn variant(
        &self,
        store: &dyn ConfigStore,
        version: u32,
        role: &str,
    ) -> Result<Variant> {
        let known = self.versions.iter().find(|known| known.version == version);
        let known = known
            .ok_or_else(|| Error::NotFound(format!("'{}' has no version {version}", self.name)))?;
        Ok(Variant::new(role, version, function(store, &known.function)?))
    }
}

/// Where a customer is between 0 and 100 for a name: by a hash, so that it needs no memory, and that two
/// names do not divide the customers alike.
fn place_of(name: &Name, customer_id: &str) -> f64 {
    let hash = blake3::hash(format!("{name}\0{customer_id}").as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0) * 100.0
}

fn load(store: &dyn ConfigStore, record: Record) -> Result<Live> {
    let variant = |version: u32, role| record.variant(store, version, role).map(Arc::new);
    let champion = *record
        .champions
        .last()
        .ok_or_else(|| Error::NotFound(format!("no version of '{}' is live", record.name)))?;
    Ok(Live {
        champion: variant(champion, "champion")?,
        challenger: record
            .challenger
            .map(|challenger| variant(challenger.version, "challenger"))
            .transpose()?,
        shadow: record.shadow.map(|version| variant(version, "shadow")).transpose()?,
        record,
    })
}

/// An uploaded function.
pub(super) fn function(store: &dyn ConfigStore, hash: &str) -> Result<ScoringFunction> {
    let Some(json) = store.get(&function_key(hash))? else {
        return Err(Error::NotFound(format!("there is no function {hash}")));
    };
    ScoringFunction::from_json(&String::from_utf8_lossy(&json))
        .map_err(|error| Error::BadRequest(error.to_string()))
}
