use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use kernel::features::{AsOf, Knowledge};
use kernel::scoring::Wish;

use super::experimenting::answering;
use super::state::Endpoint;
use super::{score, wire};
use crate::{Error, Result};

/// The most items of one request.
const MOST_ITEMS: usize = 1_000;
/// The most items or categories that a request may name.
const MOST_NAMES: usize = 10_000;

/// `POST /v1/recommend/{name}`: items for one customer, best first, with what the application knows better:
/// what is out of stock, which categories the page is about. What was recommended is recorded as a score.
pub(super) async fn recommend(
    State(endpoint): State<Arc<Endpoint>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<wire::Score>> {
    let request: wire::RecommendRequest = wire::parse(&body)?;
    tokio::task::block_in_place(|| recommended(&endpoint, &name, request))
}

fn recommended(
    endpoint: &Endpoint,
    name: &str,
    request: wire::RecommendRequest,
) -> Result<Json<wire::Score>> {
    let live = endpoint.deployments.get(name)?;
    score::check_id(&request.customer_id)?;
    score::check_context(endpoint, &live, &request.context)?;
    let names = [&request.exclude, &request.only, &request.categories];
    if request.limit > MOST_ITEMS || names.iter().any(|names| names.len() > MOST_NAMES) {
        return Err(Error::TooLarge(format!(
            "ask for at most {MOST_ITEMS} items, and name at most {MOST_NAMES}"
        )));
    }
    let as_of = AsOf { time: endpoint.clock.as_of(), knowledge: Knowledge::AsItWasKnown };
    let timeline = endpoint.timelines.timeline(&request.customer_id)?;
    let answering = answering(endpoint, &live, &timeline, as_of)?;
    let scored = score::scored(endpoint, &answering.variant, &timeline, as_of, &request.context)?;
    let wish = Wish {
        limit: request.limit,
        exclude: request.exclude,
        only: request.only,
        categories: request.categories,
        repeats: request.repeats,
        diversity: request.diversity,
    };
    let Some(items) = answering.variant.function.recommend(&scored.features, &wish) else {
        return Err(Error::BadRequest(format!(
            "the function '{name}' recommends no items; ask for its score"
        )));
    };
    let customer_id = timeline.customer_id();
    answering.expose(endpoint, &timeline, as_of);
    let said = score::answer_of(&live, &answering, customer_id, as_of, &scored, false);
    let said = wire::Score { items: Some(items), ..said };
    endpoint.writer.record([score::record(&said, score::hash(&scored.features), &request.context)]);
    endpoint.metrics.scores.add(1);
    Ok(Json(said))
}
