//! Monitoring over HTTP: reports, rules, and what was told by them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use kernel::domain::{Span, Time};
use kernel::monitoring::{OVER, RuleDefinition, Subject};
use serde::Deserialize;
use serde_json::json;

use super::state::Endpoint;
use super::{acting, alerting, wire};
use crate::monitoring::{Delivery, DeliveryKind, Report, Rule, Secrets};
use crate::{Error, Result};

/// Deliveries of an answer unless said otherwise, and at most.
const DELIVERIES: usize = 100;
const MOST_DELIVERIES: usize = 10_000;

/// What `GET /v1/monitor/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MonitorQuery {
    over: Option<Span>,
    version: Option<u32>,
}

/// `GET /v1/monitor/{name}?over=1d&version=N`: requests, drift and outcomes of a deployment.
pub(super) async fn report(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Query(query): Query<MonitorQuery>,
) -> Result<Json<Report>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let live = endpoint.deployments.get(&name)?;
        let over = query.over.unwrap_or(Span::days(1)).micros();
        if !OVER.contains(&over) {
            return Err(Error::BadRequest("over is 15m to 7d".to_owned()));
        }
        let version = query.version.unwrap_or(live.champion.version);
        let variant = live.record.variant(&*endpoint.config, version, "")?;
        let period = (endpoint.clock.as_of(), over);
        let name = &live.record.name;
        Ok(Json(Report::of(&endpoint.watch, name, version, &variant.function, period)))
    })
    .await
}

/// `GET /v1/rules`: all of them.
pub(super) async fn rules(State(endpoint): State<Arc<Endpoint>>) -> Json<wire::RuleList> {
    let rules = endpoint.rules.snapshot().values().cloned().collect();
    let (waiting, dropped) = endpoint.outbox.waiting();
    Json(wire::RuleList { rules, waiting, dropped })
}

/// `POST /v1/rules/{name}`: takes a rule that makes sense of what is deployed.
pub(super) async fn put_rule(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Arc<Rule>>> {
    let definition: RuleDefinition = wire::parse(&body)?;
    if definition.name.as_str() != name {
        let message = format!("the rule is named '{}', its path '{name}'", definition.name);
        return Err(Error::BadRequest(message));
    }
    definition.check().map_err(|error| Error::BadRequest(error.to_string()))?;
    super::server::blocking(&endpoint, move |endpoint| {
        let live = endpoint.deployments.get(definition.deployment.as_str())?;
        match definition.on {
            Subject::Deployment => alerting::condition(endpoint, &definition)?,
            Subject::Customer => acting::condition(&live.champion.function, &definition)?,
        };
        let (at, offset) = (endpoint.clock.as_of(), endpoint.log.next());
        Ok(Json(endpoint.rules.put(&*endpoint.config, definition, at, offset)?))
    })
    .await
}

/// `DELETE /v1/rules/{name}`.
pub(super) async fn remove_rule(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<Arc<Rule>>> {
    super::server::blocking(&endpoint, move |endpoint| {
        Ok(Json(endpoint.rules.remove(&*endpoint.config, &name)?))
    })
    .await
}

/// `POST /v1/rules/{name}/test`: sends something, to see whether it arrives.
pub(super) async fn test_rule(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<Delivery>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let rule = &endpoint.rules.get(&name)?.definition;
        if rule.webhook.is_none() {
            return Err(Error::BadRequest(format!("the rule '{name}' has no webhook")));
        }
        let data = json!({ "rule": rule.name, "deployment": rule.deployment, "send": rule.send });
        let at = endpoint.clock.as_of();
        let told = alerting::delivery(rule, DeliveryKind::Test, at, None, &data)?;
        endpoint.outbox.put(&*endpoint.config, vec![told.clone()], Vec::new())?;
        Ok(Json(told))
    })
    .await
}

/// What `GET /v1/deliveries` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryQuery {
    rule: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/deliveries?rule=NAME&limit=N`: what was told, newest first.
pub(super) async fn deliveries(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<DeliveryQuery>,
) -> Json<wire::DeliveryList> {
    let limit = query.limit.unwrap_or(DELIVERIES).min(MOST_DELIVERIES);
    let wanted =
        |told: &Delivery| query.rule.as_ref().is_none_or(|rule| told.rule.as_str() == rule);
    Json(wire::DeliveryList { deliveries: endpoint.outbox.latest(limit, wanted) })
}

/// `POST /v1/deliveries/{id}/again`: sends one again.
pub(super) async fn again(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
) -> Result<Json<Delivery>> {
    super::server::blocking(&endpoint, move |endpoint| {
        let now: Time = endpoint.clock.as_of();
        Ok(Json(endpoint.outbox.again(&*endpoint.config, &id, now)?))
    })
    .await
}

/// `GET /v1/webhook-secret`: what receivers check signatures with.
pub(super) async fn secret(State(endpoint): State<Arc<Endpoint>>) -> Result<Json<Secrets>> {
    super::server::blocking(&endpoint, |endpoint| Ok(Json(Secrets::open(&*endpoint.config)?))).await
}

/// `POST /v1/webhook-secret/rotate`: another one; for a day both sign.
pub(super) async fn rotate_secret(State(endpoint): State<Arc<Endpoint>>) -> Result<Json<Secrets>> {
    super::server::blocking(&endpoint, |endpoint| {
        Ok(Json(Secrets::rotate(&*endpoint.config, endpoint.clock.as_of())?))
    })
    .await
}
