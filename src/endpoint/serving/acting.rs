use std::collections::{BTreeMap, HashMap};

use kernel::domain::{ACTION, Cell, EXPOSURE, Event, Properties, SCORE, Time, Type, Value};
use kernel::features::{AsOf, Knowledge};
use kernel::monitoring::{Condition, RuleDefinition, Subject};
use kernel::scoring::ScoringFunction;
use serde_json::json;

use super::alerting::{delivery, note};
use super::deployments::{Live, Variant};
use super::experimenting::answering;
use super::score;
use super::state::Endpoint;
use crate::monitoring::{Delivery, DeliveryKind, Rule};
use crate::online::{Incoming, Kind, LogRange, Origin, Timeline};
use crate::{Error, Result};

/// Acts on customers: a condition over their score and features that becomes true is told, once.
///
/// It becomes true when it is not true as of the instant before and true as of the one after: of an event,
/// or of a look at all customers. So no state is kept of a customer, and a restart changes nothing.
#[derive(Debug, Default)]
pub(super) struct Acting {
    /// Looks at all customers that go on, by rule.
    sweeps: HashMap<String, Swept>,
    has_begun: bool,
}

/// A look at all customers, while it goes on.
#[derive(Debug)]
struct Swept {
    /// As of when they were looked at before.
    since: Time,
    /// As of when they are looked at now.
    until: Time,
    /// The last one who was.
    after: String,
}

/// Records of the log that are looked at together.
const RUN: usize = 2_000;
/// Customers of a look at all who are looked at together.
const SWEEP: usize = 200;
/// What was told so lately may not be in its timeline, if the endpoint ended just then.
const UNSURE_MICROS: i64 = 3_600 * 1_000_000;
/// Deliveries that are looked at for that.
const MOST_UNSURE: usize = 10_000;
/// How far a rule has read is stored at least so often, by records.
const STORED_EVERY: u64 = 20_000;

/// A condition that became true of a customer.
struct Crossing {
    at: Time,
    score: f64,
    version: u32,
    function: String,
    /// What the condition read.
    read: serde_json::Map<String, serde_json::Value>,
}

impl Acting {
    /// Looks at what is new since the last look.
    pub(super) fn look(&mut self, endpoint: &Endpoint) -> Result<()> {
        let _nobody_is_erased = endpoint.telling.blocking_lock();
        if !self.has_begun {
            record_again(endpoint)?;
        }
        // If it fails in between, what was told may not be in its timeline: it is written again.
        self.has_begun = false;
        self.look_at_rules(endpoint)?;
        self.has_begun = true;
        Ok(())
    }

    fn look_at_rules(&mut self, endpoint: &Endpoint) -> Result<()> {
        for rule in endpoint.rules.snapshot().values() {
            if rule.definition.on != Subject::Customer {
                continue;
            }
            let live = endpoint.deployments.get(rule.definition.deployment.as_str());
            let compiled = live
                .and_then(|live| Ok((condition(&live.champion.function, &rule.definition)?, live)));
            match compiled {
                Ok((condition, live)) => {
                    note(endpoint, rule, None);
                    let rule = endpoint.rules.get(rule.definition.name.as_str())?;
                    let looking = Looking { endpoint, rule: &rule, live: &live, condition };
                    let rule = looking.follow()?;
                    let looking = Looking { rule: &rule, ..looking };
                    self.sweep(&looking)?;
                }
                Err(error) => note(endpoint, rule, Some(error.to_string())),
            }
        }
        Ok(())
    }

    /// Goes on with a look at all customers, if one is due.
    fn sweep(&mut self, looking: &Looking<'_>) -> Result<()> {
        let rule = looking.rule;
        let Some(every) = rule.definition.every else { return Ok(()) };
        let name = rule.definition.name.to_string();
        let now = looking.endpoint.clock.as_of();
        let begun = self.sweeps.remove(&name).filter(|sweep| sweep.since == rule.swept_at);
        let sweep = match begun {
            Some(sweep) => sweep,
            None if now.0 - rule.swept_at.0 < every.micros() => return Ok(()),
            None => Swept { since: rule.swept_at, until: now, after: String::new() },
        };
        let customers = looking.endpoint.timelines.customers(&sweep.after, SWEEP)?;
        let Some(customers) = customers else {
            looking.done(Rule { swept_at: sweep.until, ..rule.clone() }, Vec::new(), true)?;
            return Ok(());
        };
        let mut told = Vec::new();
        for id in &customers {
            let timeline = looking.endpoint.timelines.timeline(id)?;
            // Who was joined to another is looked at as that one.
            if timeline.customer_id() == id.as_str() {
                told.extend(looking.crossed(&timeline, sweep.since, sweep.until, sweep.since)?);
            }
        }
        looking.done(rule.clone(), told, false)?;
        let after = customers.into_iter().next_back().unwrap_or_default();
        self.sweeps.insert(name, Swept { after, ..sweep });
        Ok(())
    }
}

/// The condition of a rule over a customer, as a function sees them.
pub(super) fn condition(function: &ScoringFunction, rule: &RuleDefinition) -> Result<Condition> {
    let features = function.view().features().iter();
    let scalar = features.filter(|feature| feature.type_.is_scalar());
    let mut columns: BTreeMap<String, Type> =
        scalar.map(|feature| (feature.name.to_string(), feature.type_)).collect();
    columns.insert("score".to_owned(), Type::Number);
    Condition::new(&rule.when, &columns).map_err(|error| Error::BadRequest(error.to_string()))
}

/// A rule, and what it is looked at with.
struct Looking<'e> {
    endpoint: &'e Endpoint,
    rule: &'e Rule,
    live: &'e Live,
    condition: Condition,
}

impl Looking<'_> {
    /// Looks at the customers of the events that are new.
    fn follow(&self) -> Result<Rule> {
        let LogRange { events, next, .. } = self.endpoint.log.read(self.rule.from, RUN)?;
        if next == self.rule.from {
            return Ok(self.rule.clone());
        }
        let mut heard: BTreeMap<&str, (Time, Time)> = BTreeMap::new();
        for event in events.iter().filter(|event| self.is_heard(event)) {
            let at = event.received_at;
            let span = heard.entry(event.customer_id.as_str()).or_insert((at, at));
            *span = (span.0.min(at), span.1.max(at));
        }
        let mut told = Vec::new();
        for (id, (first, last)) in heard {
            let timeline = self.endpoint.timelines.timeline(id)?;
            told.extend(self.crossed(&timeline, first, Time(last.0 + 1), Time(last.0 + 1))?);
        }
        let is_far = next / STORED_EVERY > self.rule.from / STORED_EVERY;
        self.done(Rule { from: next, ..self.rule.clone() }, told, is_far)
    }

    /// What is of before the rule, or comes from here, changes nothing that it is about.
    fn is_heard(&self, event: &Event) -> bool {
        let is_own = [SCORE, EXPOSURE, ACTION].contains(&event.event.as_str());
        !is_own && event.received_at >= self.rule.started_at
    }

    /// Stores what is to be told and how far the rule is, together; then writes it into the timelines.
    fn done(&self, mut rule: Rule, told: Vec<Delivery>, is_stored: bool) -> Result<Rule> {
        rule.fired += u64::try_from(told.len()).unwrap_or(0);
        rule.last_fired = told.last().map(|told| told.at).or(rule.last_fired);
        let entry = if is_stored || !told.is_empty() { vec![rule.stored()?] } else { Vec::new() };
        let events: Vec<Incoming> = told.iter().filter_map(recorded).collect();
        self.endpoint.outbox.put(&*self.endpoint.config, told, entry)?;
        self.endpoint.rules.advance(rule.clone());
        if !events.is_empty() {
            self.endpoint.writer.append_and_wait(events)?;
        }
        Ok(rule)
    }

    /// What is told of a customer of whom the condition is true as of `after` and not as of `before`. Not if
    /// they were told of since `since`, or a cooldown ago.
    fn crossed(
        &self,
        timeline: &Timeline,
        before: Time,
        after: Time,
        since: Time,
    ) -> Result<Option<Delivery>> {
        let Some(crossing) = self.holds(timeline, after)? else { return Ok(None) };
        if self.holds(timeline, before)?.is_some() || self.was_told(timeline, after, since)? {
            return Ok(None);
        }
        let rule = &self.rule.definition;
        let data = json!({
            "rule": rule.name,
            "deployment": rule.deployment,
            "version": crossing.version,
            "function": crossing.function,
            "customer_id": timeline.customer_id(),
            "score": crossing.score,
            "as_of": crossing.at,
            "when": rule.when,
            "read": crossing.read,
            "send": rule.send,
        });
        let id = timeline.customer_id().to_owned();
        delivery(rule, DeliveryKind::Action, crossing.at, Some(id), &data).map(Some)
    }

    /// The customer as of a time, if the condition holds of them.
    fn holds(&self, timeline: &Timeline, at: Time) -> Result<Option<Crossing>> {
        let as_of = AsOf { time: at, knowledge: Knowledge::AsItWasKnown };
        let answering = answering(self.endpoint, self.live, timeline, as_of)?;
        let variant: &Variant = &answering.variant;
        let scored = score::scored(self.endpoint, variant, timeline, as_of, &Properties::new())?;
        if !scored.known {
            return Ok(None);
        }
        let features = variant.function.view().features();
        let feature = |name: &str| {
            let place = features.iter().position(|feature| feature.name.as_str() == name)?;
            scored.features.get(place)
        };
        let cell = |name: &str| match name {
            "score" => Cell::Number(scored.score),
            name => feature(name).map_or(Cell::Null, Cell::from),
        };
        if !self.condition.holds(&cell) {
            return Ok(None);
        }
        let read = self
            .condition
            .reads()
            .filter_map(|name| Some((name.to_owned(), feature(name).map(Value::to_json)?)));
        Ok(Some(Crossing {
            at,
            score: scored.score,
            version: variant.version,
            function: variant.hash.to_string(),
            read: read.collect(),
        }))
    }

    fn was_told(&self, timeline: &Timeline, at: Time, since: Time) -> Result<bool> {
        let rule = &self.rule.definition;
        let cooldown = rule.cooldown.map_or(0, kernel::domain::Span::micros);
        let since = since.min(Time(at.0 - cooldown));
        let events = self.endpoint.timelines.events(timeline.customer_id())?;
        let name = Value::text(rule.name.as_str());
        let is_own =
            |event: &&Event| event.event == ACTION && event.properties.get("rule") == Some(&name);
        Ok(events.iter().filter(is_own).any(|event| event.event_time >= since))
    }
}

/// The event that a customer was acted on.
fn recorded(told: &Delivery) -> Option<Incoming> {
    let body: serde_json::Value = serde_json::from_str(&told.body).ok()?;
    let data = &body["data"];
    let properties = Properties::from([
        ("rule".to_owned(), Value::text(told.rule.as_str())),
        ("deployment".to_owned(), Value::text(data["deployment"].as_str()?)),
        ("version".to_owned(), Value::Number(data["version"].as_f64()?)),
        ("score".to_owned(), data["score"].as_f64().map_or(Value::Null, Value::Number)),
    ]);
    Some(Incoming {
        message_id: told.id.clone(),
        // That they were acted on makes nobody a known customer: who is anonymous can still be joined.
        customer_id: None,
        anonymous_id: Some(told.customer_id.clone()?),
        event: ACTION.to_owned(),
        event_time: Some(told.at),
        properties,
        kind: Kind::Live,
        origin: Origin::HISTORY,
    })
}

/// Writes what was told lately into its timelines again: what is there already is known by its id.
fn record_again(endpoint: &Endpoint) -> Result<()> {
    let since = Time(endpoint.clock.as_of().0 - UNSURE_MICROS);
    let is_unsure = |told: &Delivery| told.kind == DeliveryKind::Action && told.at >= since;
    let told = endpoint.outbox.latest(MOST_UNSURE, is_unsure);
    let events: Vec<Incoming> = told.iter().filter_map(recorded).collect();
    if events.is_empty() {
        return Ok(());
    }
    endpoint.writer.append_and_wait(events)?;
    Ok(())
}
