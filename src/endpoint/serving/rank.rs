use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use kernel::domain::Properties;
use kernel::features::{AsOf, Knowledge};

use super::experimenting::answering;
use super::state::Endpoint;
use super::{score, wire};
use crate::online::Said;
use crate::{Error, Result};

/// The most candidates of one request.
const MOST_CANDIDATES: usize = 1_000;

/// `POST /v1/rank/{name}`: candidates for one customer, best first. Each is scored with its own context
/// over what is known of the customer at one instant; equal ones keep their order. The best one is recorded.
pub(super) async fn rank(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Ranking>> {
    let request: wire::RankRequest = wire::parse(&body)?;
    tokio::task::block_in_place(|| ranked(&endpoint, &name, request))
}

fn ranked(
    endpoint: &Endpoint,
    name: &str,
    request: wire::RankRequest,
) -> Result<Json<wire::Ranking>> {
    let live = endpoint.deployments.get(name)?;
    score::check_id(&request.customer_id)?;
    if request.candidates.is_empty() || request.candidates.len() > MOST_CANDIDATES {
        let message = format!("rank 1 to {MOST_CANDIDATES} candidates");
        return Err(Error::BadRequest(message));
    }
    let time = endpoint.clock.as_of();
    let as_of = AsOf { time, knowledge: Knowledge::AsItWasKnown };
    let timeline = endpoint.timelines.timeline(&request.customer_id)?;
    let answering = answering(endpoint, &live, &timeline, as_of)?;
    let mut ranking = Vec::with_capacity(request.candidates.len());
    let mut best: Option<(String, Properties, kernel::scoring::Score)> = None;
    for candidate in request.candidates {
        let mut context: Properties = request.context.clone();
        context.extend(candidate.context);
        score::check_context(endpoint, &live, &context)?;
        let scored = score::scored(endpoint, &answering.variant, &timeline, as_of, &context)?;
        ranking.push(wire::Ranked { id: candidate.id.clone(), score: scored.score });
        if best.as_ref().is_none_or(|(.., best)| scored.score > best.score) {
            best = Some((candidate.id, context, scored));
        }
    }
    ranking.sort_by(|left, right| right.score.total_cmp(&left.score));
    let Some((chosen, context, scored)) = best else {
        return Err(Error::BadRequest("there is no candidate".to_owned()));
    };
    answering.expose(endpoint, &timeline, as_of);
    score::watched(endpoint, &live, &answering.variant, &scored, as_of);
    let said = score::answer_of(&live, &answering, timeline.customer_id(), as_of, &scored, false);
    let record = score::record(&said, score::hash(&scored.features), &context);
    endpoint.writer.record([Said { candidate: Some(chosen), ..record }]);
    endpoint.metrics.scores.add(ranking.len());
    Ok(Json(wire::Ranking {
        name: said.name,
        version: said.version,
        function: said.function,
        customer_id: said.customer_id,
        as_of: said.as_of,
        known: said.known,
        variant: said.variant,
        experiment: said.experiment,
        ranking,
    }))
}
