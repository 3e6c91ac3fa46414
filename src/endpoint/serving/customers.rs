use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use kernel::domain::{Event, IDENTIFY, Properties, Time, is_system};
use kernel::features::{AsOf, Knowledge};

use super::experimenting::answering;
use super::state::Endpoint;
use super::{score, tending, wire};
use crate::online::Erased;
use crate::{Error, Result};

/// Events of a page unless said otherwise, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 10_000;

/// `GET /v1/customers/{id}`: traits, timeline (newest first), features and scores of what is deployed.
pub(super) async fn get(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
    Query(query): Query<wire::CustomerQuery>,
) -> Result<Json<wire::Customer>> {
    tokio::task::block_in_place(|| read(&endpoint, &id, &query))
}

/// `DELETE /v1/customers/{id}`: erases a customer here, and says what was erased.
pub(super) async fn erase(
    State(endpoint): State<Arc<Endpoint>>,
    Path(id): Path<String>,
) -> Result<Json<Erased>> {
    score::check_id(&id)?;
    // It goes on if nobody waits for the answer any more: half of it would be no erasure.
    let erasing = tokio::spawn(async move { erase_everywhere(&endpoint, id).await });
    erasing.await.map_err(|error| Error::Poisoned(format!("erasing ended: {error}")))?.map(Json)
}

async fn erase_everywhere(endpoint: &Endpoint, id: String) -> Result<Erased> {
    let _nobody_is_told = endpoint.telling.lock().await;
    let erased = endpoint.writer.erase(id).await?;
    for name in endpoint.deployments.snapshot().keys() {
        endpoint.last_scores.remove(name, &erased.customer_id);
    }
    tokio::task::block_in_place(|| {
        let was_told = endpoint.outbox.forget(&*endpoint.config, &erased.ids)?;
        if endpoint.watch.forget_examples() || was_told {
            tending::store(endpoint, true)?;
            endpoint.config.drop_replaced()?;
        }
        Ok::<(), Error>(())
    })?;
    Ok(erased)
}

fn read(
    endpoint: &Endpoint,
    id: &str,
    query: &wire::CustomerQuery,
) -> Result<Json<wire::Customer>> {
    let known = endpoint.timelines.timeline(id)?;
    let customer_id = known.customer_id().to_owned();
    let events = endpoint.timelines.events(&customer_id)?;
    endpoint.timelines.load_exposures(&known)?;
    // Who was only ever scored has an empty timeline, but was heard of.
    let is_known =
        !events.is_empty() || !endpoint.timelines.page(&customer_id, Time(i64::MAX), 1)?.is_empty();
    if !is_known {
        return Err(Error::NotFound(format!("no event of customer '{id}' is known here")));
    }
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let mut features = BTreeMap::new();
    let mut scores = Vec::new();
    for live in endpoint.deployments.snapshot().values() {
        let answering = answering(endpoint, live, &known, as_of)?;
        let variant = &*answering.variant;
        let scored = score::scored(endpoint, variant, &known, as_of, &Properties::new())?;
        scores.push(score::answer_of(live, &answering, &customer_id, as_of, &scored, false));
        let view = variant.function.view().name().clone();
        features.insert(view, score::named(variant, &scored.features));
    }
    let own = || events.iter().filter(|event| !is_system(&event.event));
    let before = query.before.unwrap_or(Time(i64::MAX));
    let limit = query.limit.unwrap_or(PAGE).min(LARGEST_PAGE);
    let page = endpoint.timelines.page(&customer_id, before, limit)?;
    Ok(Json(wire::Customer {
        traits: traits(events.iter()),
        event_count: own().count(),
        first_seen: own().next().map(|event| event.event_time),
        last_seen: own().next_back().map(|event| event.event_time),
        // Traits without a date are among the traits.
        timeline: page
            .iter()
            .filter(|event| !event.is_undated())
            .map(wire::TimelineEvent::from)
            .collect(),
        features,
        scores,
        variants: known.exposures().into_iter().map(wire::ExposedTo::from).collect(),
        customer_id,
    }))
}

/// The traits after a timeline: the latest value of each, unset ones left out.
fn traits<'e>(timeline: impl Iterator<Item = &'e Event>) -> Properties {
    let mut traits = Properties::new();
    for event in timeline.filter(|event| event.event == IDENTIFY) {
        traits.extend(event.properties.clone());
    }
    traits.retain(|_, value| !value.is_null());
    traits
}
