use std::collections::HashMap;
use std::collections::hash_map::Entry;

use kernel::domain::{Event, SCORE, Time, Value};
use kernel::features::{Catalog, Label, Timelines};
use kernel::monitoring::Expected;

use super::deployments::Live;
use super::state::Endpoint;
use crate::online::{LIVE_SEQ, LogRange};
use crate::{Error, Result};

/// Finds out what became of scores once the horizon of their label is over: follows the log that far
/// behind, so that nothing has to be remembered of a score meanwhile.
#[derive(Debug, Default)]
pub(super) struct Maturing {
    by_deployment: HashMap<String, Following>,
}

#[derive(Debug, Default)]
struct Following {
    from: u64,
    /// Nothing is due before.
    wait_until: Option<Time>,
    /// How the outcome of each version's scores is found; none if no event says it.
    versions: HashMap<u32, Option<Judge>>,
}

/// How the outcome of a score is found.
#[derive(Debug)]
struct Judge {
    label: Label,
    reads: Catalog,
    is_probability: bool,
    scores: Expected,
}

/// A score that was given.
struct Given<'e> {
    event: &'e Event,
    version: u32,
    score: f64,
    as_of: Time,
}

/// Records of the log that are looked at together.
const RUN: usize = 5_000;
/// Scores of such a run whose outcome is looked for, evenly: enough to know how good they are.
const JUDGED: usize = 200;
/// Where it is stored how far it is.
const PREFIX: &str = "matured/";

impl Maturing {
    /// Looks at what is due now, a run for each deployment.
    pub(super) fn look(&mut self, endpoint: &Endpoint) -> Result<()> {
        for (name, live) in endpoint.deployments.snapshot().iter() {
            let has_outcome =
                live.variants().any(|variant| variant.function.file().outcome.is_some());
            if !has_outcome {
                continue;
            }
            let following = match self.by_deployment.remove(name) {
                Some(following) => following,
                None => Following::open(endpoint, name)?,
            };
            let following = following.look(endpoint, live)?;
            self.by_deployment.insert(name.clone(), following);
        }
        Ok(())
    }
}

/// The record from which on a deployment is followed: where it was first heard of. Asked before its first
/// score is given, so that none is missed.
pub(super) fn begin(endpoint: &Endpoint, name: &str) -> Result<u64> {
    let key = format!("{PREFIX}{name}");
    let stored = endpoint.config.get(&key)?;
    if let Some(from) = stored.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()) {
        return Ok(from);
    }
    let from = endpoint.log.next();
    endpoint.config.put(&[(key, from.to_string().into_bytes())])?;
    Ok(from)
}

impl Following {
    fn open(endpoint: &Endpoint, name: &str) -> Result<Self> {
        Ok(Self { from: begin(endpoint, name)?, ..Self::default() })
    }

    fn look(mut self, endpoint: &Endpoint, live: &Live) -> Result<Self> {
        let now = endpoint.clock.as_of();
        if self.wait_until.is_some_and(|until| now < until) {
            return Ok(self);
        }
        self.wait_until = None;
        let before = self.from;
        let LogRange { events, next, .. } = endpoint.log.read(self.from, RUN)?;
        let mut due: Vec<Given<'_>> = Vec::new();
        let name = Value::text(live.record.name.as_str());
        self.from = next;
        for event in events.iter().filter(|event| event.event == SCORE) {
            let Some(given) = given(event, &name) else { continue };
            let Some(judge) = self.judge(endpoint, live, given.version)? else { continue };
            let over = given.as_of.plus(judge.label.horizon());
            if over > now {
                self.from = event.seq.saturating_sub(LIVE_SEQ);
                self.wait_until = Some(over);
                break;
            }
            due.push(given);
        }
        let step = due.len().div_ceil(JUDGED).max(1);
        for given in due.iter().step_by(step) {
            self.settle(endpoint, live, given, now)?;
        }
        if self.from != before && !due.is_empty() {
            let key = format!("{PREFIX}{}", live.record.name);
            endpoint.config.put(&[(key, self.from.to_string().into_bytes())])?;
        }
        Ok(self)
    }

    fn judge(&mut self, endpoint: &Endpoint, live: &Live, version: u32) -> Result<Option<&Judge>> {
        Ok(match self.versions.entry(version) {
            Entry::Occupied(known) => known.into_mut().as_ref(),
            Entry::Vacant(new) => new.insert(Judge::of(endpoint, live, version)?).as_ref(),
        })
    }

    fn settle(
        &mut self,
        endpoint: &Endpoint,
        live: &Live,
        given: &Given<'_>,
        now: Time,
    ) -> Result<()> {
        let Some(judge) = self.judge(endpoint, live, given.version)? else { return Ok(()) };
        let timeline = endpoint.timelines.timeline(&given.event.customer_id)?;
        let events = endpoint.timelines.events(timeline.customer_id())?;
        let timelines = Timelines::of_events(&judge.reads, &events);
        let Some(label) = judge.label.values(&timelines, &[(0, given.as_of)]).pop() else {
            return Ok(());
        };
        let outcome = match judge.is_probability {
            true => Some(f64::from(u8::from(judge.label.is_positive(&label)))),
            false => label.as_number(),
        };
        if let Some(outcome) = outcome {
            let bin = judge.scores.bin_of(given.score);
            let name = live.record.name.as_str();
            endpoint.watch.came_out(name, given.version, bin, (given.score, outcome), now);
        }
        Ok(())
    }
}

impl Judge {
    fn of(endpoint: &Endpoint, live: &Live, version: u32) -> Result<Option<Self>> {
        let Ok(variant) = live.record.variant(&*endpoint.config, version, "") else {
            return Ok(None);
        };
        let file = variant.function.file();
        let (Some(outcome), Some(expected)) = (&file.outcome, &file.expected) else {
            return Ok(None);
        };
        let label = Label::check(&outcome.label, &outcome.reads, None)
            .map_err(|error| Error::BadRequest(error.to_string()))?;
        Ok(Some(Self {
            label,
            reads: outcome.reads.clone(),
            is_probability: outcome.is_probability,
            scores: expected.scores.clone(),
        }))
    }
}

/// A recorded score of a deployment, if it was computed for somebody and answered.
fn given<'e>(event: &'e Event, name: &Value) -> Option<Given<'e>> {
    let property = |name: &str| event.properties.get(name);
    let is_own = property("name") == Some(name)
        && property("reused").is_none()
        && property("candidate").is_none();
    let number = |name: &str| property(name).and_then(Value::as_number);
    let as_of = match property("as_of") {
        Some(Value::Text(text)) => text.parse().ok(),
        _ => None,
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small whole number, as it was written"
    )]
    let version = number("version")? as u32;
    is_own.then_some(Given { event, version, score: number("score")?, as_of: as_of? })
}
