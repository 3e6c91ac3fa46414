use kernel::domain::{Cell, Time};
use kernel::monitoring::{Condition, RuleDefinition, Subject};
use serde_json::json;

use super::state::Endpoint;
use crate::monitoring::{
    Delivery, DeliveryKind, DeliveryState, Report, Rule, RuleState, reading_types,
};
use crate::{Error, Result};

/// An alert is not raised again so soon, unless its rule says otherwise.
const USUAL_COOLDOWN: i64 = 15 * 60 * 1_000_000;

/// Looks whether the conditions over deployments hold.
pub(super) fn look(endpoint: &Endpoint) -> Result<()> {
    for rule in endpoint.rules.snapshot().values() {
        if rule.definition.on == Subject::Deployment {
            look_at(endpoint, rule)?;
        }
    }
    Ok(())
}

fn look_at(endpoint: &Endpoint, rule: &Rule) -> Result<()> {
    let now = endpoint.clock.as_of();
    let (condition, report) = match read(endpoint, &rule.definition, now) {
        Ok(read) => read,
        // What is not deployed any more is no failure of the endpoint.
        Err(error) => {
            note(endpoint, rule, Some(error.to_string()));
            return Ok(());
        }
    };
    note(endpoint, rule, None);
    let holds = condition.holds(&|name| report.reading(name).map_or(Cell::Null, Cell::Number));
    let kind = match (rule.state, holds) {
        (RuleState::Watching, true) if !rule.is_cooling(now, USUAL_COOLDOWN) => {
            DeliveryKind::Firing
        }
        (RuleState::Firing, false) => DeliveryKind::Resolved,
        _ => return Ok(()),
    };
    let mut rule = Rule { problem: None, since: now, ..rule.clone() };
    if kind == DeliveryKind::Firing {
        rule.state = RuleState::Firing;
        rule.fired += 1;
        rule.last_fired = Some(now);
    } else {
        rule.state = RuleState::Watching;
    }
    let delivery = told(&rule.definition, kind, now, (&condition, &report))?;
    endpoint.outbox.put(&*endpoint.config, vec![delivery], vec![rule.stored()?])?;
    tracing::info!(rule = %rule.definition.name, ?kind, "a rule over a deployment");
    endpoint.rules.advance(rule);
    Ok(())
}

/// Shows why a rule cannot be looked at, or that it can.
pub(super) fn note(endpoint: &Endpoint, rule: &Rule, problem: Option<String>) {
    if rule.problem != problem {
        if let Some(problem) = &problem {
            tracing::warn!(rule = %rule.definition.name, %problem, "a rule cannot be looked at");
        }
        endpoint.rules.advance(Rule { problem, ..rule.clone() });
    }
}

/// The condition of a rule, and the report that it is over.
fn read(endpoint: &Endpoint, rule: &RuleDefinition, now: Time) -> Result<(Condition, Report)> {
    let live = endpoint.deployments.get(rule.deployment.as_str())?;
    let champion = &live.champion;
    let period = (now, rule.over.micros());
    let name = &live.record.name;
    let report = Report::of(&endpoint.watch, name, champion.version, &champion.function, period);
    Ok((condition(endpoint, rule)?, report))
}

/// The condition of a rule over a deployment as it is now.
pub(super) fn condition(endpoint: &Endpoint, rule: &RuleDefinition) -> Result<Condition> {
    let live = endpoint.deployments.get(rule.deployment.as_str())?;
    let columns = reading_types(&live.champion.function);
    Condition::new(&rule.when, &columns).map_err(|error| Error::BadRequest(error.to_string()))
}

/// What is told of a deployment: the rule, and what its condition read.
fn told(
    rule: &RuleDefinition,
    kind: DeliveryKind,
    at: Time,
    (condition, report): (&Condition, &Report),
) -> Result<Delivery> {
    let read = condition.reads().map(|name| (name.to_owned(), json!(report.reading(name))));
    let read: serde_json::Map<String, serde_json::Value> = read.collect();
    let moved = report.features.iter().filter(|moved| moved.has_moved);
    let drifted: Vec<&str> = moved.map(|moved| moved.name.as_str()).collect();
    let data = json!({
        "rule": rule.name,
        "deployment": rule.deployment,
        "version": report.version,
        "when": rule.when,
        "from": report.from,
        "until": report.until,
        "readings": read,
        "drifted": drifted,
        "send": rule.send,
    });
    delivery(rule, kind, at, None, &data)
}

/// Something that is to be told.
pub(super) fn delivery(
    rule: &RuleDefinition,
    kind: DeliveryKind,
    at: Time,
    customer_id: Option<String>,
    data: &serde_json::Value,
) -> Result<Delivery> {
    let body = json!({ "type": kind, "timestamp": at, "data": data });
    let body = serde_json::to_string(&body).map_err(Error::store("write a delivery"))?;
    let told = format!("{}\0{}\0{at}", rule.name, customer_id.as_deref().unwrap_or_default());
    let kind_of = serde_json::to_string(&kind).unwrap_or_default();
    let hash = blake3::hash(format!("{kind_of}\0{told}").as_bytes()).to_hex();
    Ok(Delivery {
        id: format!("fc_{}", &hash[..32]),
        rule: rule.name.clone(),
        kind,
        customer_id,
        at,
        state: match rule.webhook {
            Some(_) => DeliveryState::Waiting,
            None => DeliveryState::Recorded,
        },
        webhook: rule.webhook.clone(),
        body,
        next_at: at,
        attempts: Vec::new(),
    })
}
