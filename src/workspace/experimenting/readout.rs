use kernel::domain::{Job, MICROS_PER_DAY, Name, Time};
use kernel::experiments::{Allocation, ExperimentDefinition, Goal, MetricDefinition, MetricRole};
use models::experiments::{
    Belief, Effect, Estimate, Interval, Logged, Method, Moments, Plan, PolicyValue, RatioMismatch,
    holm, off_policy, sample_size, theta,
};
use serde::Serialize;
use warehouse::experiments::{Measured, Outcomes, by_segment};

use crate::{Project, Result};

/// What came of an experiment, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Readout {
    /// The experiment.
    pub experiment: Name,
    /// The version that it is about.
    pub version: u32,
    /// What is known until then.
    pub observed_until: Time,
    /// Customers who got a variant.
    pub customers: usize,
    /// Customers who got several, because an id was joined to another; left out.
    pub crossed: usize,
    /// Days from the first exposure.
    pub days: f64,
    /// Whether customers were divided as they should be; none where a bandit divides them.
    pub split: Option<RatioMismatch>,
    /// Customers by variant.
    pub arms: Vec<(Name, usize)>,
    /// For each metric, the primary one first.
    pub metrics: Vec<MetricReadout>,
    /// The primary metric as customers came.
    pub looks: Vec<Look>,
    /// Whether the effect fades or grows.
    pub novelty: Vec<Novelty>,
    /// The primary metric by what customers were.
    pub segments: Vec<SegmentReadout>,
    /// What giving everybody one variant would bring, where probabilities differed.
    pub policies: Vec<PolicyReadout>,
    /// What to do.
    pub advice: Advice,
}

/// A metric by variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricReadout {
    /// The metric.
    pub name: Name,
    /// What it is for.
    pub role: MetricRole,
    /// Which way is good.
    pub goal: Goal,
    /// Customers whose time is not over.
    pub waiting: usize,
    /// Each variant.
    pub arms: Vec<ArmReadout>,
    /// Each variant against the control.
    pub effects: Vec<EffectReadout>,
}

/// A metric of a variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmReadout {
    /// The variant.
    pub variant: Name,
    /// Customers who are measured.
    pub customers: usize,
    /// The mean, or the ratio, as it was measured.
    pub mean: f64,
}

/// What a variant changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectReadout {
    /// The variant.
    pub variant: Name,
    /// The difference, with an interval that holds at every look.
    pub absolute: Interval,
    /// The same as a share of the control's mean.
    pub relative: Interval,
    /// The difference, with an interval for one look that was planned before.
    pub fixed: Interval,
    /// The same as a share of the control's mean.
    pub fixed_relative: Interval,
    /// What to believe; none where nothing varies.
    pub belief: Option<Belief>,
    /// The share of the variance that was there before the exposure, and is taken out.
    pub explained: f64,
    /// The p-value of every look, corrected for the number of secondary metrics.
    pub corrected_p: f64,
    /// Of a guardrail: whether it is harmed for sure, or safe for sure.
    pub guardrail: Option<Guardrail>,
}

/// What is known of a guardrail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guardrail {
    /// It is not worse by more than its margin.
    Safe,
    /// It is worse.
    Harmed,
    /// Neither is sure.
    Unclear,
}

/// The primary metric over the first so many customers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Look {
    /// The variant.
    pub variant: Name,
    /// When the last of them came.
    pub at: Time,
    /// How many.
    pub customers: usize,
    /// The difference, with an interval that holds at every look.
    pub absolute: Interval,
    /// The same as a share of the control's mean.
    pub relative: Interval,
}

/// The effect on those who came first, and on those who came last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Novelty {
    /// The variant.
    pub variant: Name,
    /// The difference over the first half.
    pub early: Interval,
    /// The difference over the second half.
    pub late: Interval,
    /// The p-value of no change between them, at one look.
    pub p_value: f64,
}

/// The primary metric of customers who are alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentReadout {
    /// The trait.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Customers.
    pub customers: usize,
    /// The variant.
    pub variant: Name,
    /// The relative effect, corrected for the number of segments.
    pub relative: Interval,
}

/// What giving everybody a variant would bring.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyReadout {
    /// The variant.
    pub variant: Name,
    /// By inverse propensity, and doubly robust.
    pub value: PolicyValue,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// In a word.
    pub verdict: Verdict,
    /// Which variant that is about.
    pub variant: Option<Name>,
    /// Why, in a sentence.
    pub why: String,
    /// Days from the first exposure until it was decided, or will be if it goes on as it did; none where
    /// that cannot be told.
    pub days_to_decision: Option<f64>,
}

/// What to do, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A variant is better: give it to everybody.
    Ship,
    /// All variants are worse: go back to the control.
    RollBack,
    /// The variants differ by less than would matter.
    NoDifference,
    /// It is not known yet.
    KeepRunning,
    /// Customers were not divided as they should be: find out why.
    SplitIsWrong,
}

/// Customers after which an interval that holds at every look is narrowest: as GrowthBook has it.
pub(super) const TUNED: f64 = 5_000.0;
/// Looks that are shown.
const LOOKS: usize = 30;
/// Values of a segment that are shown.
const MOST_SEGMENTS: usize = 8;
const SEQUENTIAL: Method = Method::Sequential(TUNED);

impl Project {
    /// Reads out an experiment from the events that are here: of its latest version unless one is named.
    ///
    /// # Errors
    /// There is no such experiment, nobody was exposed, or a metric makes no sense on this data.
    pub fn readout(&self, name: &Name, version: Option<u32>, job: &Job) -> Result<Readout> {
        let definition = self.experiment(name)?;
        let outcomes = self.warehouse.outcomes(&definition, version, job)?;
        job.report("Comparing variants", 0.9);
        Ok(Analysis { definition: &definition, outcomes: &outcomes }.readout())
    }

    /// The metrics of an experiment by variant, each as one query; those that SQL does not say are left out.
    ///
    /// # Errors
    /// There is no such experiment, or a metric makes no sense on this data.
    pub fn readout_sql(&self, name: &Name, version: u32) -> Result<Vec<(Name, String)>> {
        let definition = self.experiment(name)?;
        let mut queries = Vec::new();
        for metric in &definition.metrics {
            let sql = self.warehouse.readout_sql(&definition, metric, version)?;
            queries.extend(sql.map(|sql| (metric.name.clone(), sql)));
        }
        Ok(queries)
    }
}

/// An experiment and what came of it.
struct Analysis<'a> {
    definition: &'a ExperimentDefinition,
    outcomes: &'a Outcomes,
}

impl Analysis<'_> {
    fn readout(&self) -> Readout {
        let (definition, outcomes) = (self.definition, self.outcomes);
        let is_adaptive = definition.allocation != Allocation::Fixed;
        let counts = self.counts();
        #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
        let as_numbers: Vec<f64> = counts.iter().map(|n| *n as f64).collect();
        let split = (!is_adaptive).then(|| RatioMismatch::of(&as_numbers, &definition.weights()));
        let mut metrics: Vec<MetricReadout> =
            (0..definition.metrics.len()).map(|place| self.metric(place)).collect();
        correct(&mut metrics);
        metrics.sort_by_key(|metric| match metric.role {
            MetricRole::Primary => 0,
            MetricRole::Guardrail => 1,
            MetricRole::Secondary => 2,
        });
        let primary =
            definition.metrics.iter().position(|metric| metric.role == MetricRole::Primary);
        let looks = primary.map_or_else(Vec::new, |place| self.looks(place));
        let advice = self.advice(split.as_ref(), &metrics, &looks, primary);
        let names = definition.variants.iter().map(|variant| variant.name.clone());
        Readout {
            experiment: definition.name.clone(),
            version: outcomes.version,
            observed_until: outcomes.observed_until,
            customers: outcomes.subjects.len(),
            crossed: outcomes.crossed,
            days: self.days(),
            split,
            arms: names.zip(counts).collect(),
            metrics,
            looks,
            novelty: primary.map_or_else(Vec::new, |place| self.novelty(place)),
            segments: primary.map_or_else(Vec::new, |place| self.segments(place)),
            policies: match primary {
                Some(place) if is_adaptive => self.policies(place),
                _ => Vec::new(),
            },
            advice,
        }
    }

    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.definition.variants.len()];
        self.outcomes.subjects.iter().for_each(|subject| counts[subject.variant] += 1);
        counts
    }

    fn first(&self) -> Option<Time> {
        self.outcomes.subjects.iter().map(|subject| subject.at).min()
    }

    #[allow(clippy::cast_precision_loss, reason = "days")]
    fn days(&self) -> f64 {
        let last = self.outcomes.subjects.iter().map(|subject| subject.at).max();
        match (self.first(), last) {
            (Some(first), Some(last)) => {
                let until = last.max(self.outcomes.observed_until);
                (until.0 - first.0) as f64 / MICROS_PER_DAY as f64
            }
            _ => 0.0,
        }
    }

    /// The moments of a metric by variant over some subjects.
    fn moments(&self, metric: usize, subjects: impl Iterator<Item = usize>) -> Vec<Moments> {
        let Measured { values, denominators, before, .. } = &self.outcomes.metrics[metric];
        let mut moments = vec![Moments::default(); self.definition.variants.len()];
        for place in subjects.filter(|place| values[*place].is_finite()) {
            let variant = self.outcomes.subjects[place].variant;
            moments[variant].add(values[place], denominators[place], before[place]);
        }
        moments
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.outcomes.subjects.len()
    }

    /// The estimates of control and treatment, and the share of the variance that was taken out.
    fn estimates(
        &self,
        metric: usize,
        control: &Moments,
        treatment: &Moments,
    ) -> (Estimate, Estimate, f64) {
        if self.definition.metrics[metric].per.is_some() {
            return (control.ratio(), treatment.ratio(), 0.0);
        }
        let theta = theta(control, treatment);
        let adjusted = (control.adjusted(theta), treatment.adjusted(theta));
        let plain = control.plain().variance + treatment.plain().variance;
        let left = adjusted.0.variance + adjusted.1.variance;
        let explained = if plain > 0.0 { 1.0 - left / plain } else { 0.0 };
        (adjusted.0, adjusted.1, explained)
    }

    fn treatments(&self) -> impl Iterator<Item = (usize, &Name)> {
        self.definition.variants.iter().map(|variant| &variant.name).enumerate().skip(1)
    }

    /// The error that one comparison may have, so that all of a role together have that of the definition
    /// (Bonferroni).
    #[allow(clippy::cast_precision_loss, reason = "a number of comparisons")]
    fn alpha(&self, role: MetricRole) -> f64 {
        let treatments = self.definition.variants.len() - 1;
        let metrics = match role {
            MetricRole::Primary | MetricRole::Guardrail => 1,
            MetricRole::Secondary => {
                let metrics = self.definition.metrics.iter();
                metrics.filter(|metric| metric.role == MetricRole::Secondary).count().max(1)
            }
        };
        self.definition.alpha / (treatments * metrics) as f64
    }

    fn metric(&self, place: usize) -> MetricReadout {
        let metric = &self.definition.metrics[place];
        let moments = self.moments(place, self.all());
        let arms = self.definition.variants.iter().zip(&moments).map(|(variant, moments)| {
            let estimate = if metric.per.is_some() { moments.ratio() } else { moments.plain() };
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number of customers"
            )]
            let customers = moments.n as usize;
            ArmReadout { variant: variant.name.clone(), customers, mean: estimate.unadjusted }
        });
        let effects = self.treatments().map(|(variant, name)| {
            self.effect(place, metric, name, &moments[0], &moments[variant])
        });
        MetricReadout {
            name: metric.name.clone(),
            role: metric.role,
            goal: metric.goal,
            waiting: self.outcomes.metrics[place].waiting,
            arms: arms.collect(),
            effects: effects.collect(),
        }
    }

    fn effect(
        &self,
        place: usize,
        metric: &MetricDefinition,
        variant: &Name,
        control: &Moments,
        treatment: &Moments,
    ) -> EffectReadout {
        let alpha = self.alpha(metric.role);
        let (one, other, explained) = self.estimates(place, control, treatment);
        let (absolute, relative) = (Effect::absolute(one, other), Effect::relative(one, other));
        let always = absolute.interval(SEQUENTIAL, alpha);
        let always_relative = relative.interval(SEQUENTIAL, alpha);
        let more_is_better = metric.goal == Goal::Increase;
        EffectReadout {
            variant: variant.clone(),
            absolute: always,
            relative: always_relative,
            fixed: absolute.interval(Method::Fixed, alpha),
            fixed_relative: relative.interval(Method::Fixed, alpha),
            belief: Belief::of(&one, &other, metric.conversion, more_is_better),
            explained,
            corrected_p: always.p_value,
            guardrail: (metric.role == MetricRole::Guardrail)
                .then(|| guardrail(metric, always_relative)),
        }
    }

    /// Places of subjects in the order in which they came.
    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.all().collect();
        order.sort_by_key(|place| self.outcomes.subjects[*place].at);
        order
    }

    fn looks(&self, metric: usize) -> Vec<Look> {
        let order = self.in_order();
        let alpha = self.alpha(MetricRole::Primary);
        let mut looks = Vec::new();
        let mut moments = vec![Moments::default(); self.definition.variants.len()];
        let mut start = 0;
        for look in 1..=LOOKS {
            let end = order.len() * look / LOOKS;
            if end == start {
                continue;
            }
            let more = self.moments(metric, order[start..end].iter().copied());
            moments = moments.iter().zip(&more).map(|(sum, more)| sum.merged(more)).collect();
            start = end;
            for (variant, name) in self.treatments() {
                let (one, other, _) = self.estimates(metric, &moments[0], &moments[variant]);
                looks.push(Look {
                    variant: name.clone(),
                    at: self.outcomes.subjects[order[end - 1]].at,
                    customers: end,
                    absolute: Effect::absolute(one, other).interval(SEQUENTIAL, alpha),
                    relative: Effect::relative(one, other).interval(SEQUENTIAL, alpha),
                });
            }
        }
        looks
    }

    fn novelty(&self, metric: usize) -> Vec<Novelty> {
        let order = self.in_order();
        let (early, late) = order.split_at(order.len() / 2);
        let (early, late) = (
            self.moments(metric, early.iter().copied()),
            self.moments(metric, late.iter().copied()),
        );
        let alpha = self.alpha(MetricRole::Primary);
        let of = |moments: &[Moments], variant: usize| {
            let (one, other, _) = self.estimates(metric, &moments[0], &moments[variant]);
            Effect::absolute(one, other)
        };
        self.treatments()
            .map(|(variant, name)| {
                let (early, late) = (of(&early, variant), of(&late, variant));
                Novelty {
                    variant: name.clone(),
                    early: early.interval(Method::Fixed, alpha),
                    late: late.interval(Method::Fixed, alpha),
                    p_value: Effect::change(&early, &late),
                }
            })
            .collect()
    }

    fn segments(&self, metric: usize) -> Vec<SegmentReadout> {
        let groups: Vec<(&String, String, Vec<usize>)> = self
            .definition
            .segments
            .iter()
            .zip(&self.outcomes.segments)
            .flat_map(|(name, values)| {
                let groups = by_segment(values, MOST_SEGMENTS).into_iter();
                groups.map(move |(value, places)| (name, value, places))
            })
            .collect();
        #[allow(clippy::cast_precision_loss, reason = "a number of segments")]
        let alpha = self.alpha(MetricRole::Primary) / groups.len().max(1) as f64;
        let mut segments = Vec::new();
        for (name, value, places) in groups {
            let moments = self.moments(metric, places.iter().copied());
            for (variant, variant_name) in self.treatments() {
                let (one, other, _) = self.estimates(metric, &moments[0], &moments[variant]);
                segments.push(SegmentReadout {
                    name: name.clone(),
                    value: value.clone(),
                    customers: places.len(),
                    variant: variant_name.clone(),
                    relative: Effect::relative(one, other).interval(SEQUENTIAL, alpha),
                });
            }
        }
        segments
    }

    fn policies(&self, metric: usize) -> Vec<PolicyReadout> {
        let Measured { values, before, .. } = &self.outcomes.metrics[metric];
        let logged: Vec<Logged> = self
            .all()
            .filter(|place| values[*place].is_finite())
            .map(|place| {
                let subject = &self.outcomes.subjects[place];
                Logged {
                    variant: subject.variant,
                    probability: subject.probability,
                    reward: values[place],
                    context: vec![before[place]],
                }
            })
            .collect();
        let variants = self.definition.variants.iter().enumerate();
        let policy = |(place, variant): (usize, &kernel::experiments::VariantDefinition)| {
            let value = off_policy(&logged, place)?;
            Some(PolicyReadout { variant: variant.name.clone(), value })
        };
        variants.filter_map(policy).collect()
    }

    fn advice(
        &self,
        split: Option<&RatioMismatch>,
        metrics: &[MetricReadout],
        looks: &[Look],
        primary: Option<usize>,
    ) -> Advice {
        let advise = |verdict, variant: Option<&Name>, why: String, days_to_decision| Advice {
            verdict,
            variant: variant.cloned(),
            why,
            days_to_decision,
        };
        if let Some(split) = split.filter(|split| split.is_wrong()) {
            let why = format!(
                "customers were not divided as they should be (p {:.1e}, at every look): something \
                 loses some of one variant, and no effect can be believed",
                split.always_valid
            );
            return advise(Verdict::SplitIsWrong, None, why, None);
        }
        let (Some(place), Some(metric)) = (primary, metrics.first()) else {
            let why = "it has no primary metric".to_owned();
            return advise(Verdict::KeepRunning, None, why, None);
        };
        if self.definition.allocation != Allocation::Fixed {
            let why = "a bandit moves customers to the better variants by itself".to_owned();
            return advise(Verdict::KeepRunning, None, why, None);
        }
        // So that more is better.
        let sign = if metric.goal == Goal::Increase { 1.0 } else { -1.0 };
        let low = |effect: &Interval| if sign > 0.0 { effect.low } else { -effect.high };
        let high = |effect: &Interval| if sign > 0.0 { effect.high } else { -effect.low };
        let decided = |variant: &Name, is_better: bool| {
            let mut own = looks.iter().filter(|look| look.variant == *variant);
            let is_decided = |look: &&Look| match is_better {
                true => low(&look.absolute) > 0.0,
                false => high(&look.absolute) < 0.0,
            };
            own.find(is_decided).and_then(|look| self.days_until(look.at))
        };
        let best =
            metric.effects.iter().filter(|effect| low(&effect.absolute) > 0.0).max_by(|a, b| {
                (sign * a.absolute.estimate).total_cmp(&(sign * b.absolute.estimate))
            });
        if let Some(best) = best {
            let days = decided(&best.variant, true);
            let harmed = metrics.iter().find(|metric| {
                metric.effects.iter().any(|effect| {
                    effect.variant == best.variant && effect.guardrail == Some(Guardrail::Harmed)
                })
            });
            let name = &best.variant;
            if let Some(harmed) = harmed {
                let why = format!(
                    "'{name}' is better in '{}', but harms the guardrail '{}'",
                    metric.name, harmed.name
                );
                return advise(Verdict::RollBack, Some(name), why, days);
            }
            let why = format!(
                "'{name}' changes '{}' by {}, and that holds however often it was looked at",
                metric.name,
                said(best)
            );
            return advise(Verdict::Ship, Some(name), why, days);
        }
        if metric.effects.iter().all(|effect| high(&effect.absolute) < 0.0) {
            let control = &self.definition.variants[0].name;
            let days = metric.effects.first().and_then(|it| decided(&it.variant, false));
            let why = format!("every variant makes '{}' worse", metric.name);
            return advise(Verdict::RollBack, Some(control), why, days);
        }
        let least = self.definition.minimum_effect;
        let is_small = |effect: &EffectReadout| {
            least.is_some_and(|least| effect.relative.low > -least && effect.relative.high < least)
        };
        if metric.effects.iter().all(is_small) {
            let why = format!("no variant changes '{}' by as much as would matter", metric.name);
            return advise(Verdict::NoDifference, None, why, None);
        }
        let days = self.projection(place);
        let why = match metric.effects.first() {
            Some(effect) => {
                format!("'{}' changed by {} so far", metric.name, said(effect))
            }
            None => "nothing is known yet".to_owned(),
        };
        advise(Verdict::KeepRunning, None, why, days)
    }

    #[allow(clippy::cast_precision_loss, reason = "days")]
    fn days_until(&self, at: Time) -> Option<f64> {
        Some((at.0 - self.first()?.0) as f64 / MICROS_PER_DAY as f64)
    }

    /// Days until the interval would exclude no effect, if what was measured is true and customers go on to
    /// come as they did.
    #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
    fn projection(&self, metric: usize) -> Option<f64> {
        let moments = self.moments(metric, self.all());
        let (one, other, _) = self.estimates(metric, moments.first()?, moments.get(1)?);
        let effect = Effect::absolute(one, other).estimate();
        let weights = self.definition.weights();
        let both = weights[0] + weights[1];
        let plan = Plan {
            mean: one.unadjusted,
            variance: f64::midpoint(one.variance, other.variance),
            shares: (weights[0] / both, weights[1] / both),
            alpha: self.alpha(MetricRole::Primary),
            power: 0.5,
        };
        let customers = sample_size(&plan, effect, SEQUENTIAL)? / both;
        let last = self.outcomes.subjects.iter().map(|subject| subject.at).max()?;
        let coming = self.days_until(last)?;
        let a_day = self.outcomes.subjects.len() as f64 / coming;
        Some(customers / a_day).filter(|days| days.is_finite())
    }
}

/// An effect as a sentence has it: in the unit of the metric, which is what decides.
fn said(effect: &EffectReadout) -> String {
    let Interval { estimate, low, high, .. } = &effect.absolute;
    let share = effect.relative.estimate;
    let share =
        if share.is_finite() { format!(", {:+.1} %", 100.0 * share) } else { String::new() };
    if low.is_finite() {
        format!("{estimate:+.4} ({low:+.4} to {high:+.4}{share})")
    } else {
        format!("{estimate:+.4} (too few customers to say how surely)")
    }
}

fn guardrail(metric: &MetricDefinition, effect: Interval) -> Guardrail {
    let (worst, best) = match metric.goal {
        Goal::Increase => (effect.low, effect.high),
        Goal::Decrease => (-effect.high, -effect.low),
    };
    if best < 0.0 {
        Guardrail::Harmed
    } else if worst > -metric.margin.unwrap_or(0.0) {
        Guardrail::Safe
    } else {
        Guardrail::Unclear
    }
}

/// Corrects the p-values of secondary metrics for their number.
fn correct(metrics: &mut [MetricReadout]) {
    let is_secondary = |metric: &MetricReadout| metric.role == MetricRole::Secondary;
    let p_values: Vec<f64> = metrics
        .iter()
        .filter(|metric| is_secondary(metric))
        .flat_map(|metric| metric.effects.iter().map(|effect| effect.absolute.p_value))
        .collect();
    let mut corrected = holm(&p_values).into_iter();
    for metric in metrics.iter_mut().filter(|metric| metric.role == MetricRole::Secondary) {
        for effect in &mut metric.effects {
            effect.corrected_p = corrected.next().unwrap_or(1.0);
        }
    }
}
