use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use kernel::domain::{Name, Time};
use kernel::scoring::ScoringFunction;
use serde::{Deserialize, Serialize};

use super::state::Endpoint;
use super::{Role, wire};
use crate::online::ConfigStore;
use crate::{Error, Result};

/// What is live, by name. Readers get a snapshot; a switch replaces it whole.
#[derive(Debug)]
pub(super) struct Deployments {
    live: RwLock<Arc<BTreeMap<String, Arc<Live>>>>,
    /// Held by the one who changes something.
    changing: Mutex<()>,
}

/// A function that is live under a name.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) record: Record,
    pub(super) version: u32,
    pub(super) function: ScoringFunction,
}

/// A deployment as it is stored, with all that ever was live under its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) versions: Vec<Version>,
    /// Versions that were champion, latest last.
    pub(super) champions: Vec<u32>,
}

/// A version of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
    /// Hash of the function.
    pub(super) function: String,
    pub(super) deployed_at: Time,
}

fn function_key(hash: &str) -> String {
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

    /// What is live under a name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Live>> {
        let live = self.snapshot();
        live.get(name).cloned().ok_or_else(|| {
            let suggestion = kernel::domain::did_you_mean(name, live.keys().map(String::as_str));
            Error::NotFound(format!("nothing is deployed as '{name}'{suggestion}"))
        })
    }

    /// Makes a change durable, then visible, in one step.
    fn change(
        &self,
        store: &dyn ConfigStore,
        name: &Name,
        change: impl FnOnce(&mut Record) -> Result<()>,
    ) -> Result<Arc<Live>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot().get(name.as_str()).map(|live| live.record.clone());
        let mut record = current.unwrap_or_else(|| Record {
            name: name.clone(),
            versions: Vec::new(),
            champions: Vec::new(),
        });
        change(&mut record)?;
        let json = serde_json::to_vec(&record).map_err(Error::store("write a deployment"))?;
        let live = Arc::new(load(store, record)?);
        store.put(&[(format!("deployment/{name}"), json)])?;
        let mut all = BTreeMap::clone(&self.snapshot());
        all.insert(name.to_string(), live.clone());
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        Ok(live)
    }
}

fn load(store: &dyn ConfigStore, record: Record) -> Result<Live> {
    let champion = record.champions.last().copied();
    let version = record.versions.iter().find(|version| Some(version.version) == champion);
    let Some(version) = version else {
        return Err(Error::NotFound(format!("no version of '{}' is live", record.name)));
    };
    let Some(json) = store.get(&function_key(&version.function))? else {
        return Err(Error::NotFound(format!("there is no function {}", version.function)));
    };
    let function = ScoringFunction::from_json(&String::from_utf8_lossy(&json))
        .map_err(|error| Error::BadRequest(error.to_string()))?;
    Ok(Live { version: version.version, function, record })
}

/// `POST /v1/functions`: uploads a function file.
pub(super) async fn upload(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<wire::Uploaded>> {
    endpoint.keys.check(&headers, None, Role::Admin)?;
    let text = std::str::from_utf8(&body)
        .map_err(|_not_utf8| Error::BadRequest("the function is not UTF-8 text".to_owned()))?;
    let function =
        ScoringFunction::from_json(text).map_err(|error| Error::BadRequest(error.to_string()))?;
    let hash = function.hash().to_owned();
    let (key, value) = (function_key(&hash), body.to_vec());
    super::server::blocking(&endpoint, move |endpoint| endpoint.config.put(&[(key, value)]))
        .await?;
    Ok(Json(wire::Uploaded { function: hash }))
}

/// `POST /v1/deployments/{name}`: makes an uploaded function the champion of a name.
pub(super) async fn deploy(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<wire::Deployment>> {
    endpoint.keys.check(&headers, None, Role::Admin)?;
    let name = parse_name(&name)?;
    let request: wire::DeployRequest = wire::parse(&body)?;
    let deployed_at = endpoint.clock.as_of();
    let live = super::server::blocking(&endpoint, move |endpoint| {
        endpoint.deployments.change(&*endpoint.config, &name, |record| {
            let version = record.versions.last().map_or(1, |last| last.version + 1);
            record.versions.push(Version { version, function: request.function, deployed_at });
            record.champions.push(version);
            Ok(())
        })
    })
    .await?;
    Ok(Json(wire::Deployment::from(&*live)))
}

/// `POST /v1/deployments/{name}/rollback`: the champion before is champion again.
pub(super) async fn roll_back(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<wire::Deployment>> {
    endpoint.keys.check(&headers, None, Role::Admin)?;
    let name = parse_name(&name)?;
    endpoint.deployments.get(name.as_str())?;
    let live = super::server::blocking(&endpoint, move |endpoint| {
        endpoint.deployments.change(&*endpoint.config, &name, |record| {
            if record.champions.len() < 2 {
                let message = format!("'{name}' has no earlier version to roll back to");
                return Err(Error::BadRequest(message));
            }
            record.champions.pop();
            Ok(())
        })
    })
    .await?;
    Ok(Json(wire::Deployment::from(&*live)))
}

/// `GET /v1/deployments`: what is live.
pub(super) async fn list(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
) -> Result<Json<wire::DeploymentList>> {
    endpoint.keys.check(&headers, None, Role::Score)?;
    let live = endpoint.deployments.snapshot();
    let deployments = live.values().map(|live| wire::Deployment::from(&**live)).collect();
    Ok(Json(wire::DeploymentList { deployments }))
}

fn parse_name(name: &str) -> Result<Name> {
    name.parse().map_err(|error: kernel::domain::NameError| Error::BadRequest(error.to_string()))
}
