use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel::domain::{ALIAS, EXPOSURE, Event, Time, Value};
use kernel::experiments::{
    Allocation, Arm, Experiment, Goal, LinearArm, MetricDefinition, Posterior, chances,
};
use kernel::features::{AsOf, Catalog, EventFilter, Knowledge, Timelines};

use super::running::Running;
use crate::online::{EventLog, LogRange, TimelineStore};
use crate::{Error, Result};

/// What a bandit has learned of its variants.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// What came of each variant.
    pub arms: Vec<Arm>,
    /// The chance of each, where it is the same for all customers.
    pub chances: Vec<f64>,
    linear: Vec<LinearArm>,
    /// Variance of one reward.
    variance: f64,
}

/// The least chance of a variant while a bandit learns.
const LEAST_CHANCE: f64 = 0.02;
/// Variance of a reward before any is known: that of a coin.
const USUAL_VARIANCE: f64 = 0.25;

impl Learned {
    pub(super) fn nothing(experiment: &Experiment) -> Self {
        let definition = experiment.definition();
        let n = definition.variants.len();
        let linear = match definition.allocation {
            Allocation::Contextual => vec![LinearArm::new(experiment.context_width()); n],
            Allocation::Fixed | Allocation::Thompson => Vec::new(),
        };
        Self {
            arms: vec![Arm::default(); n],
            chances: definition.weights(),
            linear,
            variance: USUAL_VARIANCE,
        }
    }

    /// The chance of each variant for a customer with these features.
    pub(super) fn weights(&self, experiment: &Experiment, features: &[Value]) -> Vec<f64> {
        if self.linear.is_empty() {
            return self.chances.clone();
        }
        let context = experiment.context(features);
        let posterior = |arm: &LinearArm| arm.posterior(&context, self.variance);
        let posteriors: Vec<Posterior> = self.linear.iter().map(posterior).collect();
        chances(&posteriors, less_is_better(experiment), LEAST_CHANCE)
    }

    /// Takes stock after new rewards.
    fn conclude(&mut self, experiment: &Experiment) {
        let n: f64 = self.arms.iter().map(|arm| arm.exposed).sum();
        let (sum, squares) = self
            .arms
            .iter()
            .fold((0.0, 0.0), |(sum, squares), arm| (sum + arm.sum, squares + arm.squares));
        if n > 1.0 && squares > 0.0 {
            // One reward of the usual variance is assumed.
            self.variance = ((squares - sum * sum / n).max(0.0) + USUAL_VARIANCE) / n;
        }
        let is_conversion = experiment.definition().primary().is_some_and(|it| it.conversion);
        let posterior = |arm: &Arm| match is_conversion {
            true => arm.conversion(),
            false => arm.mean(self.variance),
        };
        let posteriors: Vec<Posterior> = self.arms.iter().map(posterior).collect();
        self.chances = chances(&posteriors, less_is_better(experiment), LEAST_CHANCE);
    }
}

fn less_is_better(experiment: &Experiment) -> bool {
    experiment.definition().primary().is_some_and(|metric| metric.goal == Goal::Decrease)
}

/// The thread that reads the log for bandits: exposures and what came of them. It begins where the
/// experiment was started, so a restart learns the same again.
#[derive(Debug)]
pub struct Learning {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    bandits: Vec<Arc<Running>>,
    /// Grows with every change.
    generation: u64,
    is_stopped: bool,
}

/// How often the log is looked at while there is a bandit.
const EVERY: Duration = Duration::from_millis(50);
/// Records of a run of the log.
const RUN: usize = 5_000;
/// Customers that one bandit follows at once; later ones teach it nothing.
const MOST_FOLLOWED: usize = 1_000_000;

impl Learning {
    pub(super) fn start(log: Arc<dyn EventLog>, timelines: Arc<dyn TimelineStore>) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("bandits".to_owned())
            .spawn(move || learn(&*log, &*timelines, &of_thread))
            .map_err(Error::store("start its bandits"))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Follows the bandits among these from now on, and no others.
    pub(super) fn follow<'r>(&self, all: impl Iterator<Item = &'r Arc<Running>>) {
        let is_bandit = |running: &&Arc<Running>| {
            running.is_running() && running.experiment.definition().allocation != Allocation::Fixed
        };
        let mut wanted = self.shared.lock();
        wanted.bandits = all.filter(is_bandit).cloned().collect();
        wanted.generation += 1;
        drop(wanted);
        self.shared.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.shared.lock().is_stopped = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the bandits ended with a panic");
        }
    }
}

impl Drop for Learning {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to do; none if it is to stop.
    fn next(&self, known: u64, may_rest: bool) -> Option<(u64, Vec<Arc<Running>>)> {
        let mut wanted = self.lock();
        if may_rest && wanted.generation == known && !wanted.is_stopped {
            wanted = match wanted.bandits.is_empty() {
                true => self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner),
                false => {
                    let waited = self.changed.wait_timeout(wanted, EVERY);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        (!wanted.is_stopped).then(|| (wanted.generation, wanted.bandits.clone()))
    }
}

fn learn(log: &dyn EventLog, timelines: &dyn TimelineStore, shared: &Shared) {
    let mut pupils: Vec<Pupil> = Vec::new();
    let (mut generation, mut may_rest) = (0, false);
    while let Some((now, bandits)) = shared.next(generation, may_rest) {
        if now != generation {
            generation = now;
            pupils.retain(|pupil| bandits.iter().any(|bandit| Arc::ptr_eq(bandit, &pupil.running)));
            for bandit in bandits {
                if !pupils.iter().any(|pupil| Arc::ptr_eq(&bandit, &pupil.running)) {
                    pupils.extend(Pupil::new(bandit));
                }
            }
        }
        may_rest = true;
        for pupil in &mut pupils {
            match pupil.read(log, timelines) {
                Ok(is_at_the_end) => may_rest &= is_at_the_end,
                Err(error) => {
                    tracing::error!(%error, experiment = %pupil.running.record.name, "cannot learn");
                }
            }
        }
    }
}

/// One bandit and what it has read.
struct Pupil {
    running: Arc<Running>,
    learned: Learned,
    from: u64,
    reward: Reward,
    followed: HashMap<String, Followed>,
}

/// A customer who got a variant.
struct Followed {
    variant: usize,
    at: Time,
    /// What they did that counts, added up.
    total: f64,
    context: Vec<f64>,
}

impl Pupil {
    /// None if its reward reads what nobody said how to read.
    fn new(running: Arc<Running>) -> Option<Self> {
        let experiment = &running.experiment;
        let reward = Reward::new(experiment.definition().primary()?, &experiment.file().reads)
            .inspect_err(|error| tracing::error!(%error, "a bandit cannot read its reward"))
            .ok()?;
        let learned = Learned::nothing(experiment);
        let from = running.record.started_offset;
        Some(Self { running, learned, from, reward, followed: HashMap::new() })
    }

    /// Reads the next run; says whether that was the end.
    fn read(&mut self, log: &dyn EventLog, timelines: &dyn TimelineStore) -> Result<bool> {
        let LogRange { events, next, .. } = log.read(self.from, RUN)?;
        let mut is_news = false;
        for event in &events {
            is_news |= match event.event.as_str() {
                EXPOSURE => self.follow(event, timelines)?,
                ALIAS => self.join(event),
                _ => self.take(event),
            };
        }
        if is_news {
            self.learned.conclude(&self.running.experiment);
            let learned = Arc::new(self.learned.clone());
            *self.running.learned.write().unwrap_or_else(PoisonError::into_inner) = learned;
        }
        let is_end = next == self.from || next >= log.next();
        self.from = next;
        Ok(is_end)
    }

    fn follow(&mut self, event: &Event, timelines: &dyn TimelineStore) -> Result<bool> {
        let record = &self.running.record;
        let text = |name: &str| event.properties.get(name).map(Value::to_string);
        let is_own = text("experiment").as_deref() == Some(record.name.as_str())
            && event.properties.get("version") == Some(&Value::Number(f64::from(record.version)));
        let variant = text("variant").and_then(|it| record.file.definition.variant(&it));
        let (Some(variant), true) = (variant, is_own) else { return Ok(false) };
        if self.followed.contains_key(&event.customer_id) || self.followed.len() >= MOST_FOLLOWED {
            return Ok(false);
        }
        let at = event.event_time;
        let context = self.context(&event.customer_id, at, timelines)?;
        self.learned.arms[variant].exposed += 1.0;
        if let Some(arm) = self.learned.linear.get_mut(variant) {
            arm.observe(&context);
        }
        let followed = Followed { variant, at, total: 0.0, context };
        self.followed.insert(event.customer_id.clone(), followed);
        Ok(true)
    }

    /// The context of a customer when they got their variant, by the same kernel as then.
    fn context(&self, id: &str, at: Time, timelines: &dyn TimelineStore) -> Result<Vec<f64>> {
        let (Some(function), false) =
            (self.running.experiment.function(), self.learned.linear.is_empty())
        else {
            return Ok(Vec::new());
        };
        let as_of = AsOf { time: at, knowledge: Knowledge::AsItWasKnown };
        let timeline = timelines.timeline(id)?;
        let features = timelines.score(&timeline, function, as_of, &[])?.features;
        Ok(self.running.experiment.context(&features))
    }

    /// Who was anonymous goes on under another id.
    fn join(&mut self, event: &Event) -> bool {
        let Some(anonymous) = &event.anonymous_id else { return false };
        if let Some(followed) = self.followed.remove(anonymous) {
            self.followed.entry(event.customer_id.clone()).or_insert(followed);
        }
        false
    }

    fn take(&mut self, event: &Event) -> bool {
        let Some(followed) = self.followed.get_mut(&event.customer_id) else { return false };
        let more = self.reward.of(event, followed.at);
        if more == 0.0 {
            return false;
        }
        let before = self.reward.metric.counted(followed.total);
        followed.total += more;
        let after = self.reward.metric.counted(followed.total);
        self.learned.arms[followed.variant].reward(before, after);
        if let Some(arm) = self.learned.linear.get_mut(followed.variant) {
            arm.reward(&followed.context, after - before);
        }
        true
    }
}

/// What counts as a reward: the primary metric, event by event.
struct Reward {
    metric: MetricDefinition,
    filter: EventFilter,
    reads: Catalog,
}

impl Reward {
    fn new(metric: &MetricDefinition, reads: &Catalog) -> Result<Self> {
        let filter = EventFilter::check(&metric.events, metric.condition.as_deref(), reads)
            .map_err(|error| Error::BadRequest(error.to_string()))?;
        Ok(Self { metric: metric.clone(), filter, reads: reads.clone() })
    }

    /// What an event adds for a customer who got their variant at a time.
    fn of(&self, event: &Event, exposed: Time) -> f64 {
        let since = event.event_time.0 - exposed.0;
        let is_in = since >= 0 && self.metric.within.is_none_or(|within| since < within.micros());
        let is_named = self.metric.events.is_empty() || self.metric.events.contains(&event.event);
        if !is_in || !is_named {
            return 0.0;
        }
        let timelines = Timelines::of_events(&self.reads, &[event]);
        if timelines.n_events() == 0 || !self.filter.bind(&timelines).passes(0) {
            return 0.0;
        }
        let value = self.metric.property.as_ref().map(|name| {
            kernel::domain::property(&event.properties, name).cloned().unwrap_or_default()
        });
        match (self.metric.aggregation, value) {
            (kernel::features::AggregationName::Count, Some(Value::Null)) => 0.0,
            (kernel::features::AggregationName::Count, _) => 1.0,
            (_, value) => value.and_then(|value| value.as_number()).unwrap_or(0.0),
        }
    }
}
