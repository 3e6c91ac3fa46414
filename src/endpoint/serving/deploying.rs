//! Deploying: functions go up, become champion, challenger or shadow, and go back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use kernel::domain::{Name, Time};
use kernel::scoring::ScoringFunction;

use super::deployments::{Challenger, Change, Record, Version, function_key};
use super::state::Endpoint;
use super::wire;
use crate::{Error, Result};

/// `POST /v1/functions`: uploads a function file.
pub(super) async fn upload(
    State(endpoint): State<Arc<Endpoint>>,
    body: Bytes,
) -> Result<Json<wire::Uploaded>> {
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

/// `POST /v1/deployments/{name}`: makes an uploaded function the champion of a name, its challenger for a
/// share of the customers, or its shadow.
pub(super) async fn deploy(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Deployment>> {
    let request: wire::DeployRequest = wire::parse(&body)?;
    let share = share(&request)?;
    change(endpoint, &name, move |record, at| {
        if request.role != wire::DeployRole::Champion && record.champions.is_empty() {
            let message = format!("deploy a champion of '{}' first", record.name);
            return Err(Error::BadRequest(message));
        }
        let version = record.versions.last().map_or(1, |last| last.version + 1);
        record.versions.push(Version { version, function: request.function, deployed_at: at });
        let action = match request.role {
            wire::DeployRole::Champion => {
                record.champions.push(version);
                "deploy"
            }
            wire::DeployRole::Challenger => {
                record.challenger = Some(Challenger { version, percent: share });
                "challenge"
            }
            wire::DeployRole::Shadow => {
                record.shadow = Some(version);
                "shadow"
            }
        };
        record.changes.push(Change { at, action: action.to_owned(), version });
        Ok(())
    })
    .await
}

/// The challenger's share of the customers.
fn share(request: &wire::DeployRequest) -> Result<f64> {
    match (request.role, request.percent) {
        (wire::DeployRole::Challenger, Some(percent)) if percent > 0.0 && percent < 100.0 => {
            Ok(percent)
        }
        (wire::DeployRole::Challenger, _) => Err(Error::BadRequest(
            "a challenger needs the percent of customers that it answers for: above 0, below 100"
                .to_owned(),
        )),
        (_, None) => Ok(0.0),
        (_, Some(_)) => Err(Error::BadRequest("only a challenger has a percent".to_owned())),
    }
}

/// `POST /v1/deployments/{name}/promote`: the challenger, or else the shadow, is the champion.
pub(super) async fn promote(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<wire::Deployment>> {
    endpoint.deployments.get(&name)?;
    change(endpoint, &name, |record, at| {
        let challenger = record.challenger.take().map(|challenger| challenger.version);
        let Some(version) = challenger.or_else(|| record.shadow.take()) else {
            let message = format!("'{}' has no challenger and no shadow to promote", record.name);
            return Err(Error::BadRequest(message));
        };
        record.champions.push(version);
        record.changes.push(Change { at, action: "promote".to_owned(), version });
        Ok(())
    })
    .await
}

/// `POST /v1/deployments/{name}/stop`: there is no challenger and no shadow any more.
pub(super) async fn stop(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<wire::Deployment>> {
    endpoint.deployments.get(&name)?;
    change(endpoint, &name, |record, at| {
        let challenger = record.challenger.take().map(|challenger| challenger.version);
        for version in challenger.into_iter().chain(record.shadow.take()) {
            record.changes.push(Change { at, action: "stop".to_owned(), version });
        }
        Ok(())
    })
    .await
}

/// `POST /v1/deployments/{name}/rollback`: the champion before is champion again.
pub(super) async fn roll_back(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<wire::Deployment>> {
    endpoint.deployments.get(&name)?;
    change(endpoint, &name, |record, at| {
        let [.., before, _] = *record.champions else {
            let message = format!("'{}' has no earlier version to roll back to", record.name);
            return Err(Error::BadRequest(message));
        };
        record.champions.pop();
        record.changes.push(Change { at, action: "rollback".to_owned(), version: before });
        Ok(())
    })
    .await
}

/// `POST /v1/deployments/{name}/freshness`: how long a score may be given again.
pub(super) async fn freshness(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Deployment>> {
    let request: wire::FreshnessRequest = wire::parse(&body)?;
    if request.shelf_life_seconds.is_some_and(|seconds| !seconds.is_finite() || seconds <= 0.0) {
        return Err(Error::BadRequest("shelf_life_seconds must be above 0, or null".to_owned()));
    }
    change(endpoint, &name, move |record, at| {
        let Some(version) = record.champions.last().copied() else {
            return Err(Error::NotFound(format!("nothing is deployed as '{}'", record.name)));
        };
        record.shelf_life = request.shelf_life_seconds;
        record.changes.push(Change { at, action: "freshness".to_owned(), version });
        Ok(())
    })
    .await
}

/// Changes a deployment, away from the runtime's threads. Only a deploy makes a new name.
async fn change(
    endpoint: Arc<Endpoint>,
    name: &str,
    change: impl FnOnce(&mut Record, Time) -> Result<()> + Send + 'static,
) -> Result<Json<wire::Deployment>> {
    let name: Name = parse_name(name)?;
    let at = endpoint.clock.as_of();
    let live = super::server::blocking(&endpoint, move |endpoint| {
        let change = |record: &mut Record| change(record, at);
        super::maturing::begin(endpoint, name.as_str())?;
        endpoint.deployments.change(&*endpoint.config, &name, change, |live| {
            if live.variants().any(|variant| variant.reads_scores()) {
                endpoint.timelines.keep_scores();
            }
        })
    })
    .await?;
    Ok(Json(wire::Deployment::from(&*live)))
}

/// `GET /v1/deployments`: what is live.
pub(super) async fn list(
    State(endpoint): State<Arc<Endpoint>>,
) -> Result<Json<wire::DeploymentList>> {
    let live = endpoint.deployments.snapshot();
    let deployments = live.values().map(|live| wire::Deployment::from(&**live)).collect();
    Ok(Json(wire::DeploymentList { deployments }))
}

pub(super) fn parse_name(name: &str) -> Result<Name> {
    name.parse().map_err(|error: kernel::domain::NameError| Error::BadRequest(error.to_string()))
}
