//! How many take one step after the other: what is asked, the walk over each customer's events (`walk`), and
//! the SQL that gives the same numbers (`sql`).

mod sql;
mod walk;

use kernel::domain::Span;
use kernel::features::{Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use self::walk::{Reached, Run, Walk};
use super::scene::{Scene, filter};
use super::trends::quantile;
use super::{Events, Scope};
use crate::{Error, Result};

/// How many take one step after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FunnelSpec {
    /// The steps.
    pub steps: Vec<Events>,
    /// The time from the first step to the last.
    pub window: Window,
    /// What may lie between steps.
    pub order: Order,
    /// Events that must not lie between steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<Exclusion>,
    /// Which value of a broken down property counts for a customer.
    pub attribution: Attribution,
}

/// A span; two weeks where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Window(pub Span);

impl Default for Window {
    fn default() -> Self {
        Self(Span::days(14))
    }
}

/// What may lie between steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Steps in their order, with anything between.
    #[default]
    Ordered,
    /// Steps in their order, with nothing between but more of the step before.
    Strict,
    /// All steps within the window, in any order.
    Unordered,
}

/// Events that must not lie between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Which events.
    pub event: Events,
    /// After which step, from 1.
    pub from: usize,
    /// Before which step.
    pub to: usize,
}

/// Which value of a broken down property counts for a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// The first that one of the steps' events has.
    #[default]
    First,
    /// The last.
    Last,
    /// The first that an event of this step has, from 1.
    Step(usize),
}

/// Funnels, one a value of the breakdown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Funnel {
    /// What each step is.
    pub steps: Vec<String>,
    /// The funnels.
    pub groups: Vec<FunnelGroup>,
}

/// A funnel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FunnelGroup {
    /// The value of the breakdown; empty without one.
    pub group: String,
    /// The steps.
    pub steps: Vec<FunnelStep>,
    /// How many took how long from the first step to the last.
    pub times: Vec<Bin>,
    /// Customers who were left out because an excluded event lay between.
    pub excluded: u64,
}

/// A step of a funnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FunnelStep {
    /// Customers who got here.
    pub customers: u64,
    /// Their share of those of the first step.
    pub of_first: f64,
    /// Their share of those of the step before.
    pub of_previous: f64,
    /// The mean time from the step before, in seconds; none where times are not known.
    pub mean_seconds: Option<f64>,
    /// The middle time from the step before, in seconds.
    pub median_seconds: Option<f64>,
}

/// A part of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// From, in seconds.
    pub from: f64,
    /// To, in seconds.
    pub to: f64,
    /// Customers.
    pub customers: u64,
}

#[derive(Debug)]
pub(super) struct Checked {
    steps: Vec<EventFilter>,
    exclusions: Vec<EventFilter>,
    any: EventFilter,
}

/// The most steps of a funnel.
pub(super) const MOST_STEPS: usize = 20;
const MOST_EXCLUSIONS: usize = 12;
/// Parts of the histogram of times.
const BINS: usize = 24;

impl FunnelSpec {
    pub(in crate::insights) fn check(
        &self,
        scope: &Scope,
        catalog: &Catalog,
    ) -> Result<(Checked, Catalog)> {
        let n = self.steps.len();
        if !(2..=MOST_STEPS).contains(&n) {
            return Err(Error::Mapping(format!(
                "a funnel has 2 to {MOST_STEPS} steps, not {n}; write [[steps]] with event = \"…\""
            )));
        }
        if self.order == Order::Unordered && !self.exclusions.is_empty() {
            let message = "steps in any order have nothing between; take the exclusions out";
            return Err(Error::Mapping(message.to_owned()));
        }
        if self.exclusions.len() > MOST_EXCLUSIONS {
            let message = format!("a funnel has at most {MOST_EXCLUSIONS} exclusions");
            return Err(Error::Mapping(message));
        }
        for Exclusion { from, to, .. } in &self.exclusions {
            if *from < 1 || from >= to || *to > n {
                return Err(Error::Mapping(format!(
                    "an exclusion lies between step {from} and {to}; there are 1 to {n}"
                )));
            }
        }
        if let Attribution::Step(step) = self.attribution
            && !(1..=n).contains(&step)
        {
            return Err(Error::Mapping(format!("there is no step {step}")));
        }
        let check = |events: &Events| filter(events, scope, catalog);
        let steps: Vec<EventFilter> = self.steps.iter().map(check).collect::<Result<_>>()?;
        let exclusions = self.exclusions.iter().map(|exclusion| check(&exclusion.event));
        let exclusions: Vec<EventFilter> = exclusions.collect::<Result<_>>()?;
        let any = check(&Events::default())?;
        let mut reads = any.reads();
        steps.iter().chain(&exclusions).for_each(|filter| reads.extend(&filter.reads()));
        Ok((Checked { steps, exclusions, any }, reads))
    }

    pub(in crate::insights) fn compute(
        &self,
        checked: &Checked,
        scope: &Scope,
        scene: &Scene<'_>,
    ) -> Funnel {
        let walk = Walk::new(self, checked, scene, scope);
        let groups = walk.groups();
        let n = self.steps.len();
        let each = |(sums, run): &mut (Vec<Sums>, Run), customer: usize| {
            let reached = walk.run(customer, run);
            if reached == Reached::Nothing {
                return;
            }
            let sums = &mut sums[groups.place(walk.key(customer))];
            match reached {
                Reached::Nothing => {}
                Reached::Excluded => sums.excluded += 1,
                Reached::Step(last) => {
                    (0..last).for_each(|step| sums.customers[step] += 1);
                    for (step, pair) in
                        run.times[..run.times.len().min(last)].windows(2).enumerate()
                    {
                        sums.seconds[step + 1].push(seconds(pair[1] - pair[0]));
                    }
                    if last == n && run.times.len() == n {
                        sums.total.push(seconds(run.times[n - 1] - run.times[0]));
                    }
                }
            }
        };
        let start = || ((0..groups.len()).map(|_| Sums::new(n)).collect(), Run::new(n));
        let (sums, _) = scene.fold(start, each, |(sum, _), (piece, _)| {
            sum.iter_mut().zip(piece).for_each(|(sum, piece): (&mut Sums, Sums)| sum.add(piece));
        });
        let groups = groups.labels.into_iter().zip(sums).map(|(group, sums)| sums.group(group));
        Funnel { steps: self.steps.iter().map(Events::title).collect(), groups: groups.collect() }
    }

    /// The customers who got to a step (from 0), or who got to the one before and not to it.
    pub(in crate::insights) fn people(
        &self,
        checked: &Checked,
        scope: &Scope,
        scene: &Scene<'_>,
        (group, step, dropped): (&str, usize, bool),
    ) -> Vec<usize> {
        let walk = Walk::new(self, checked, scene, scope);
        let groups = walk.groups();
        let Some(group) = groups.labels.iter().position(|label| label == group) else {
            return Vec::new();
        };
        scene.select(|customer| {
            let Reached::Step(last) = walk.run(customer, &mut Run::new(self.steps.len())) else {
                return false;
            };
            let is_there = if dropped { last == step } else { last > step };
            is_there && groups.place(walk.key(customer)) == group
        })
    }

    pub(in crate::insights) fn rule(&self) -> String {
        let window = self.window.0;
        let between = match self.order {
            Order::Ordered => format!(
                "in their order within {window} of the first, whatever lies between; of several starts the \
                 latest possible counts"
            ),
            Order::Strict => format!(
                "in their order within {window} of the first, with nothing between but more of the step before"
            ),
            Order::Unordered => format!("all within {window}, in any order"),
        };
        let excluded = match self.exclusions.is_empty() {
            true => "",
            false => {
                " Who has an excluded event between is left out, unless another attempt gets as far."
            }
        };
        format!("Customers who took the steps {between}. One event is one step only.{excluded}")
    }
}

#[allow(clippy::cast_precision_loss, reason = "a time for people")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

struct Sums {
    customers: Vec<u64>,
    /// For each step, times from the one before.
    seconds: Vec<Vec<f64>>,
    total: Vec<f64>,
    excluded: u64,
}

impl Sums {
    fn new(n: usize) -> Self {
        Self { customers: vec![0; n], seconds: vec![Vec::new(); n], total: Vec::new(), excluded: 0 }
    }

    fn add(&mut self, other: Self) {
        self.customers.iter_mut().zip(other.customers).for_each(|(sum, n)| *sum += n);
        self.seconds.iter_mut().zip(other.seconds).for_each(|(sum, own)| sum.extend(own));
        self.total.extend(other.total);
        self.excluded += other.excluded;
    }

    #[allow(clippy::cast_precision_loss, reason = "shares and times for people")]
    fn group(mut self, group: String) -> FunnelGroup {
        let share = |n: u64, of: u64| if of == 0 { f64::NAN } else { n as f64 / of as f64 };
        let first = self.customers.first().copied().unwrap_or(0);
        let mut previous = first;
        let mut steps = Vec::with_capacity(self.customers.len());
        for (customers, times) in self.customers.iter().zip(&mut self.seconds) {
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            steps.push(FunnelStep {
                customers: *customers,
                of_first: share(*customers, first),
                of_previous: share(*customers, previous),
                mean_seconds: (!times.is_empty()).then_some(mean),
                median_seconds: quantile(times, 0.5),
            });
            previous = *customers;
        }
        FunnelGroup { group, steps, times: histogram(&self.total), excluded: self.excluded }
    }
}

/// Parts of one width; the last has all that is longer than what 95 % took.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a histogram"
)]
fn histogram(times: &[f64]) -> Vec<Bin> {
    let Some(most) = quantile(&mut times.to_vec(), 0.95) else { return Vec::new() };
    let width = (most / BINS as f64).max(1e-6);
    let mut bins: Vec<Bin> = (0..BINS)
        .map(|at| Bin { from: at as f64 * width, to: (at + 1) as f64 * width, customers: 0 })
        .collect();
    for time in times {
        bins[((time / width) as usize).min(BINS - 1)].customers += 1;
    }
    if let Some(last) = bins.last_mut() {
        last.to = times.iter().copied().fold(last.to, f64::max);
    }
    bins
}
