//! Experiments over HTTP: starting and ending them, and what a customer gets.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use kernel::domain::{Name, Properties};
use kernel::experiments::ExperimentFile;
use kernel::features::{AsOf, Knowledge};
use kernel::scoring::ScoringFunction;
use serde::Deserialize;

use super::deployments::{Change, Live, Variant};
use super::state::Endpoint;
use super::{deploying, score, wire};
use crate::experiments::{Decision, Running, State as Experimental};
use crate::online::Timeline;
use crate::{Error, Result};

/// The experiments that run on deployments, with the functions of their variants.
#[derive(Debug, Default)]
pub(super) struct Attached {
    by_deployment: RwLock<HashMap<String, Arc<Trial>>>,
}

/// An experiment that runs on a deployment.
#[derive(Debug)]
pub(super) struct Trial {
    running: Arc<Running>,
    /// What answers for each variant; none for the champion.
    variants: Vec<Option<Arc<Variant>>>,
}

impl Attached {
    /// The experiment that runs on a deployment.
    pub(super) fn of(&self, deployment: &str) -> Option<Arc<Trial>> {
        let attached = self.by_deployment.read().unwrap_or_else(PoisonError::into_inner);
        if attached.is_empty() { None } else { attached.get(deployment).cloned() }
    }

    /// Takes note of what runs now.
    pub(super) fn refresh(&self, endpoint: &Endpoint) -> Result<()> {
        let mut attached = HashMap::new();
        for running in endpoint.experiments.snapshot().values().filter(|it| it.is_running()) {
            if let Some(deployment) = &running.experiment.definition().deployment {
                let trial = Trial::new(endpoint, running.clone(), deployment)?;
                attached.insert(deployment.to_string(), Arc::new(trial));
            }
        }
        *self.by_deployment.write().unwrap_or_else(PoisonError::into_inner) = attached;
        Ok(())
    }
}

impl Trial {
    fn new(endpoint: &Endpoint, running: Arc<Running>, deployment: &Name) -> Result<Self> {
        let live = endpoint.deployments.get(deployment.as_str())?;
        let variants = &running.experiment.definition().variants;
        let variants = variants.iter().map(|variant| {
            let version = variant.version;
            let load = |version| {
                live.record.variant(&*endpoint.config, version, variant.name.as_str()).map(Arc::new)
            };
            version.map(load).transpose()
        });
        let variants: Vec<Option<Arc<Variant>>> = variants.collect::<Result<_>>()?;
        if variants.iter().flatten().any(|variant| variant.reads_scores()) {
            endpoint.timelines.keep_scores();
        }
        Ok(Self { running, variants })
    }

    /// The functions that its variants bring along.
    pub(super) fn functions(&self) -> impl Iterator<Item = &Arc<ScoringFunction>> {
        self.variants.iter().flatten().map(|variant| &variant.function)
    }

    fn variant(&self, place: usize, live: &Live) -> Arc<Variant> {
        self.variants[place].clone().unwrap_or_else(|| {
            let name = &self.running.experiment.definition().variants[place].name;
            Arc::new(Variant { role: name.as_str().into(), ..Variant::clone(&live.champion) })
        })
    }
}

/// What answers for a customer, and by which experiment.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) variant: Arc<Variant>,
    pub(super) experiment: Option<Name>,
    decided: Option<(Arc<Running>, Decision)>,
}

impl Answering {
    /// A variant that answers by itself.
    pub(super) const fn of(variant: Arc<Variant>) -> Self {
        Self { variant, experiment: None, decided: None }
    }

    /// Records that the customer got the variant, if they got it now.
    pub(super) fn expose(&self, endpoint: &Endpoint, timeline: &Timeline, as_of: AsOf) {
        if let Some((running, decision)) = &self.decided
            && let Some(exposure) = running.expose(timeline, as_of, decision)
        {
            endpoint.writer.expose(exposure);
        }
    }
}

/// What answers for a customer as of a time: the variant of an experiment for who is in it.
pub(super) fn answering(
    endpoint: &Endpoint,
    live: &Live,
    timeline: &Timeline,
    as_of: AsOf,
) -> Result<Answering> {
    let plain = || Answering::of(live.answering(timeline.customer_id()).clone());
    let Some(trial) = endpoint.attached.of(live.record.name.as_str()) else { return Ok(plain()) };
    let decision = trial.running.decide(&*endpoint.timelines, timeline, as_of)?;
    if !decision.why.is_in() {
        return Ok(plain());
    }
    Ok(Answering {
        variant: trial.variant(decision.variant, live),
        experiment: Some(trial.running.record.name.clone()),
        decided: Some((trial.running.clone(), decision)),
    })
}

/// The function that answers for a customer, if that can be told without a disk.
pub(super) fn ready(
    endpoint: &Endpoint,
    live: &Live,
    timeline: &Timeline,
) -> Option<Arc<ScoringFunction>> {
    let Some(trial) = endpoint.attached.of(live.record.name.as_str()) else {
        return Some(live.answering(timeline.customer_id()).function.clone());
    };
    if let Some(place) = trial.running.kept(timeline) {
        return Some(trial.variant(place, live).function.clone());
    }
    let reads = trial.running.experiment.function();
    if !timeline.has_exposures() || reads.is_some_and(|reads| !timeline.is_read_by(reads)) {
        return None;
    }
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let decision = trial.running.decide(&*endpoint.timelines, timeline, as_of).ok()?;
    Some(match decision.why.is_in() {
        true => trial.variant(decision.variant, live).function.clone(),
        false => live.answering(timeline.customer_id()).function.clone(),
    })
}

/// `POST /v1/experiments/{name}`: starts an experiment, or goes on with it.
pub(super) async fn start(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Experiment>> {
    let file: ExperimentFile = wire::parse(&body)?;
    if file.definition.name.as_str() != name {
        let message = format!("the experiment is called '{}', not '{name}'", file.definition.name);
        return Err(Error::BadRequest(message));
    }
    let running = super::server::blocking(&endpoint, move |endpoint| {
        check_versions(endpoint, &file)?;
        let (at, offset) = (endpoint.clock.as_of(), endpoint.log.next());
        let running = endpoint.experiments.start(&*endpoint.config, file, at, offset)?;
        endpoint.attached.refresh(endpoint)?;
        Ok(running)
    })
    .await?;
    Ok(Json(wire::Experiment::from(&*running)))
}

/// What an experiment runs on must be there before it starts.
fn check_versions(endpoint: &Endpoint, file: &ExperimentFile) -> Result<()> {
    let Some(deployment) = &file.definition.deployment else { return Ok(()) };
    let live = endpoint.deployments.get(deployment.as_str())?;
    for version in file.definition.variants.iter().filter_map(|variant| variant.version) {
        live.record.variant(&*endpoint.config, version, "")?;
    }
    Ok(())
}

/// `POST /v1/experiments/{name}/decide`: everybody gets the winner; if that is a version of a deployment, it
/// becomes champion.
pub(super) async fn decide(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Experiment>> {
    let request: wire::DecideExperiment = wire::parse(&body)?;
    end(endpoint, &name, Some(request.variant), request.note).await
}

/// `POST /v1/experiments/{name}/stop`: everybody gets the control.
pub(super) async fn stop(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Experiment>> {
    let request: wire::StopExperiment =
        if body.is_empty() { wire::StopExperiment::default() } else { wire::parse(&body)? };
    end(endpoint, &name, None, request.note).await
}

async fn end(
    endpoint: Arc<Endpoint>,
    name: &str,
    variant: Option<Name>,
    note: String,
) -> Result<Json<wire::Experiment>> {
    let name: Name = deploying::parse_name(name)?;
    let running = super::server::blocking(&endpoint, move |endpoint| {
        let at = endpoint.clock.as_of();
        let running =
            endpoint.experiments.end(&*endpoint.config, &name, variant.clone(), note, at)?;
        if let Some(variant) = variant {
            promote(endpoint, &running, &variant, at)?;
        }
        endpoint.attached.refresh(endpoint)?;
        Ok(running)
    })
    .await?;
    Ok(Json(wire::Experiment::from(&*running)))
}

/// Makes the version of a variant the champion of the deployment that it was tried on.
fn promote(
    endpoint: &Endpoint,
    running: &Running,
    variant: &Name,
    at: kernel::domain::Time,
) -> Result<()> {
    let definition = running.experiment.definition();
    let version = definition.variants.iter().find(|it| it.name == *variant);
    let (Some(deployment), Some(version)) =
        (&definition.deployment, version.and_then(|variant| variant.version))
    else {
        return Ok(());
    };
    let change = |record: &mut super::deployments::Record| {
        if record.champions.last() != Some(&version) {
            record.champions.push(version);
            record.changes.push(Change { at, action: "promote".to_owned(), version });
        }
        Ok(())
    };
    endpoint.deployments.change(&*endpoint.config, deployment, change, |_| ())?;
    Ok(())
}

/// `GET /v1/experiments`: all that were ever started.
pub(super) async fn list(State(endpoint): State<Arc<Endpoint>>) -> Json<wire::ExperimentList> {
    let all = endpoint.experiments.snapshot();
    let experiments = all.values().map(|running| wire::Experiment::from(&**running)).collect();
    Json(wire::ExperimentList { experiments })
}

/// `GET /v1/experiments/{name}`: one of them.
pub(super) async fn get(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
) -> Result<Json<wire::Experiment>> {
    Ok(Json(wire::Experiment::from(&*endpoint.experiments.get(&name)?)))
}

/// What `GET /v1/decide/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionQuery {
    customer_id: String,
}

/// `GET /v1/decide/{name}?customer_id=…`.
pub(super) async fn ask(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    Query(query): Query<DecisionQuery>,
) -> Result<Json<wire::Decision>> {
    let context = Properties::new();
    tokio::task::block_in_place(|| decided(&endpoint, &name, &query.customer_id, &context))
        .map(Json)
}

/// `POST /v1/decide/{name}`: the variant of a customer, its value, and its score.
pub(super) async fn ask_with(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Decision>> {
    let request: wire::DecisionRequest = wire::parse(&body)?;
    tokio::task::block_in_place(|| {
        decided(&endpoint, &name, &request.customer_id, &request.context)
    })
    .map(Json)
}

/// What a customer gets of an experiment; who gets it for the first time is recorded.
pub(super) fn decided(
    endpoint: &Endpoint,
    name: &str,
    id: &str,
    context: &Properties,
) -> Result<wire::Decision> {
    let running = endpoint.experiments.get(name)?;
    score::check_id(id)?;
    let timeline = endpoint.timelines.timeline(id)?;
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let decision = running.decide(&*endpoint.timelines, &timeline, as_of)?;
    let exposure = running.expose(&timeline, as_of, &decision);
    let is_first = exposure.is_some();
    if let Some(exposure) = exposure {
        endpoint.writer.expose(exposure);
    }
    let definition = running.experiment.definition();
    let score = match &definition.deployment {
        Some(deployment) => {
            let live = endpoint.deployments.get(deployment.as_str())?;
            score::check_context(endpoint, &live, context)?;
            Some(score::score_now(endpoint, &live, &timeline, as_of, context)?)
        }
        None => None,
    };
    let chosen = &definition.variants[decision.variant];
    let is_given = decision.why.is_in() || matches!(running.record.state, Experimental::Decided(_));
    Ok(wire::Decision {
        experiment: running.record.name.clone(),
        version: running.record.version,
        customer_id: timeline.customer_id().to_owned(),
        variant: is_given.then(|| chosen.name.clone()),
        value: chosen.value.clone(),
        why: decision.why,
        probability: decision.probability,
        first: is_first,
        as_of: as_of.time,
        score,
    })
}
