use kernel::domain::Span;
use kernel::features::{BoundFilter, Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use super::groups::{By, Counts, Groups, add_counts};
use super::scene::{Scene, bound, filter};
use super::trends::quantile;
use super::{Calendar, Events, Scope, sql};
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
    pub(super) fn check(&self, scope: &Scope, catalog: &Catalog) -> Result<(Checked, Catalog)> {
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

    pub(super) fn compute(&self, checked: &Checked, scope: &Scope, scene: &Scene<'_>) -> Funnel {
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
    pub(super) fn people(
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

    pub(super) fn rule(&self) -> String {
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

    /// Whether it matters what lies between steps.
    fn looks_between(&self) -> bool {
        self.order == Order::Strict || !self.exclusions.is_empty()
    }

    /// Whether an event is one that ends attempts that have got to a step.
    fn ends(&self, step: usize, checked: &Checked) -> String {
        let all = self.exclusions.iter().zip(&checked.exclusions);
        let own = all.filter(|(exclusion, _)| (exclusion.from..exclusion.to).contains(&step));
        let conditions: Vec<String> =
            own.map(|(_, filter)| format!("({})", filter.to_sql())).collect();
        match conditions.is_empty() {
            true => "false".to_owned(),
            false => format!("coalesce({}, false)", conditions.join(" OR ")),
        }
    }

    /// How far each customer got where it matters what lies between. The events of a step are cut into runs
    /// by what ends an attempt; `s` is the start that an event joins, `q` the start of its run so far, `b` the
    /// one before the event. An attempt is clean if no excluded event ended it within its window.
    fn sql_of_attempts(&self, value: &str) -> String {
        let n = self.steps.len();
        let window = self.window.0.micros();
        let order = "ORDER BY event_time, first_step NULLS LAST, seq";
        let within = |k: usize| format!("epoch_us(event_time) - epoch_us(b{k}) <= {window}");
        let mut layers =
            "e1 AS (SELECT *, CASE WHEN list_contains(steps, 1) THEN event_time END AS s1 FROM stepped)"
                .to_owned();
        for k in 2..=n {
            let last = k - 1;
            let cut = match self.order {
                Order::Strict => {
                    format!("x{last} OR NOT coalesce(list_contains(steps, {last}), false)")
                }
                _ => format!("x{last}"),
            };
            layers.push_str(&format!(
                ",\ne{k} AS (SELECT *, CASE WHEN list_contains(steps, {k}) AND NOT x{last} AND {} \
                 THEN b{last} END AS s{k}\
                 \n  FROM (SELECT *, lag(q{last}) OVER (PARTITION BY customer_id {order}) AS b{last}\
                 \n  FROM (SELECT *, max(s{last}) OVER (PARTITION BY customer_id, r{last} {order}\
                 \n    ROWS UNBOUNDED PRECEDING) AS q{last}\
                 \n  FROM (SELECT *, count_if({cut}) OVER (PARTITION BY customer_id {order}\
                 \n    ROWS UNBOUNDED PRECEDING) AS r{last} FROM e{last}))))",
                within(last)
            ));
        }
        let ended = |k: usize| format!("count_if(x{k} AND coalesce({}, false))", within(k));
        let clean = |k: usize| {
            format!(
                "WHEN count(DISTINCT r{k}) FILTER (WHERE s{k} IS NOT NULL) > {} THEN {k}",
                ended(k)
            )
        };
        let reached: Vec<String> = std::iter::once(format!("WHEN count(s{n}) > 0 THEN {n}"))
            .chain((1..n).rev().map(clean))
            .collect();
        let excluded: Vec<String> =
            (1..n).rev().map(|k| format!("WHEN {} > 0 THEN {k}", ended(k))).collect();
        format!(
            "{layers},\nper AS (SELECT customer_id, \"group\", reached FROM (\
             \n  SELECT customer_id, {value} AS \"group\",\
             \n    CASE {} ELSE 0 END AS reached,\
             \n    CASE {} ELSE 0 END AS excluded\
             \n  FROM e{n} GROUP BY customer_id) WHERE reached >= excluded)",
            reached.join(" "),
            excluded.join(" ")
        )
    }

    pub(super) fn sql(&self, checked: &Checked, scope: &Scope, calendar: &Calendar) -> String {
        let n = self.steps.len();
        let (from, until) = (sql::instant(calendar.from()), sql::instant(calendar.until()));
        let window = self.window.0.micros();
        let steps: Vec<String> = checked
            .steps
            .iter()
            .enumerate()
            .map(|(step, filter)| format!("CASE WHEN {} THEN {} END", filter.to_sql(), step + 1))
            .collect();
        let who = sql::who(scope, calendar);
        let unnested =
            "SELECT *, list_min(steps) AS first_step, unnest(list_reverse_sort(steps)) AS step";
        let each =
            if self.looks_between() { "SELECT *, list_min(steps) AS first_step" } else { unnested };
        let between: String = match self.looks_between() {
            true => (1..n)
                .map(|step| format!(",\n    {} AS x{step}", self.ends(step, checked)))
                .collect(),
            false => String::new(),
        };
        let head = format!(
            "WITH who AS ({who}),\
             \nstepped AS ({each}\
             \n  FROM (SELECT customer_id, event_time, seq, {} AS \"group\",\
             \n    list_filter([{}], lambda x: x IS NOT NULL) AS steps{between}\
             \n    FROM events JOIN who USING (customer_id)\
             \n    WHERE event_time >= {from} AND event_time < {until} AND {}))",
            sql::group(scope),
            steps.join(", "),
            checked.any.to_sql()
        );
        // Events that are no step are there only where it matters what lies between.
        let of_steps = if self.looks_between() { " FILTER (WHERE len(steps) > 0)" } else { "" };
        let value = match (&scope.breakdown, self.attribution) {
            (None, _) => "''".to_owned(),
            (Some(_), attribution) => {
                let (pick, only) = match attribution {
                    Attribution::First => ("min_by", of_steps.to_owned()),
                    Attribution::Last => ("max_by", of_steps.to_owned()),
                    Attribution::Step(step) => {
                        ("min_by", format!(" FILTER (WHERE list_contains(steps, {step}))"))
                    }
                };
                let value = "nullif(\"group\", '(none)')";
                format!("coalesce({pick}({value}, (event_time, seq)){only}, '(none)')")
            }
        };
        let per = match self.order {
            _ if self.looks_between() => self.sql_of_attempts(&value),
            Order::Unordered => format!(
                "per AS (SELECT customer_id, max(n) AS reached, {value} AS \"group\" FROM (SELECT *,\
                 \n    count(DISTINCT step) OVER (PARTITION BY customer_id ORDER BY event_time\
                 \n      RANGE BETWEEN INTERVAL {window} MICROSECOND PRECEDING AND CURRENT ROW) AS n\
                 \n    FROM stepped) GROUP BY customer_id)"
            ),
            Order::Ordered | Order::Strict => {
                let mut layers =
                    "e1 AS (SELECT *, CASE WHEN step = 1 THEN event_time END AS s1 FROM stepped)"
                        .to_owned();
                for k in 2..=n {
                    let last = k - 1;
                    layers.push_str(&format!(
                        ",\ne{k} AS (SELECT *, CASE WHEN step = {k} AND epoch_us(event_time) - epoch_us(p{k}) \
                         <= {window} THEN p{k} END AS s{k}\
                         \n  FROM (SELECT *, max(s{last}) OVER (PARTITION BY customer_id\
                         \n    ORDER BY event_time, first_step, seq, step DESC\
                         \n    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS p{k} FROM e{last}))"
                    ));
                }
                let reached: Vec<String> =
                    (1..=n).rev().map(|k| format!("WHEN count(s{k}) > 0 THEN {k}")).collect();
                format!(
                    "{layers},\nper AS (SELECT customer_id, CASE {} END AS reached, {value} AS \"group\" FROM \
                     e{n} GROUP BY customer_id)",
                    reached.join(" ")
                )
            }
        };
        format!(
            "{head},\n{per}\nSELECT \"group\", step, count(*) AS customers\
             \nFROM per JOIN range(1, {}) AS r(step) ON reached >= step GROUP BY ALL ORDER BY ALL",
            n + 1
        )
    }
}

#[allow(clippy::cast_precision_loss, reason = "a time for people")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// How far a customer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Nothing,
    /// As far as an excluded event.
    Excluded,
    /// So many steps.
    Step(usize),
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

/// What is known of a customer on the way.
struct Run {
    /// For each step, when the latest attempt that got there began.
    starts: Vec<Option<i64>>,
    /// For each step, whether an attempt that got there ended, and not by an excluded event.
    clean: Vec<bool>,
    /// For each step, the times of that attempt: as many as there are steps each, the first ones known.
    chains: Vec<i64>,
    /// The times of the first attempt that got furthest.
    times: Vec<i64>,
    /// For each step, when it was last taken; for steps in any order.
    last: Vec<Option<i64>>,
    /// Rows that are a step, and which.
    taken: Vec<(i64, u32, usize)>,
}

impl Run {
    fn new(n: usize) -> Self {
        Self {
            starts: vec![None; n],
            clean: vec![false; n],
            chains: vec![0; n * n],
            times: Vec::new(),
            last: vec![None; n],
            taken: Vec::new(),
        }
    }
}

struct Walk<'a> {
    spec: &'a FunnelSpec,
    scene: &'a Scene<'a>,
    steps: Vec<BoundFilter<'a>>,
    exclusions: Vec<BoundFilter<'a>>,
    any: BoundFilter<'a>,
    /// For each name of an event, what its events may be: the bits of [`Self::bits`].
    by_name: Vec<u32>,
    /// The bits that a condition has to be looked at for.
    conditional: u32,
    by: By<'a>,
}

/// Bits of what an event is beyond steps.
const FIRST_EXCLUSION: usize = MOST_STEPS;

impl<'a> Walk<'a> {
    fn new(
        spec: &'a FunnelSpec,
        checked: &'a Checked,
        scene: &'a Scene<'a>,
        scope: &Scope,
    ) -> Self {
        let steps = bound(&checked.steps, scene.timelines);
        let exclusions = bound(&checked.exclusions, scene.timelines);
        let mut by_name = vec![0; scene.timelines.names().len()];
        let mut conditional = 0;
        let places = (0..steps.len()).chain(FIRST_EXCLUSION..);
        for (place, filter) in places.zip(steps.iter().chain(&exclusions)) {
            let names = by_name.iter_mut().zip(filter.names());
            names.for_each(|(bits, passes)| *bits |= u32::from(*passes) << place);
            conditional |= u32::from(!filter.is_by_name()) << place;
        }
        Self {
            spec,
            scene,
            any: checked.any.bind(scene.timelines),
            by_name,
            conditional,
            by: By::of(scope, scene),
            steps,
            exclusions,
        }
    }

    fn groups(&self) -> Groups {
        if matches!(self.by, By::Nothing) {
            return Groups::of(&self.by, Counts::new());
        }
        // In any order, every step may be the first.
        let firsts = match self.spec.order {
            Order::Unordered => &self.steps[..],
            _ => &self.steps[..1],
        };
        let each = |counts: &mut Counts, customer: usize| {
            if self.scene.rows(customer).any(|row| firsts.iter().any(|step| step.passes(row))) {
                *counts.entry(self.key(customer)).or_default() += 1;
            }
        };
        Groups::of(&self.by, self.scene.fold(Counts::new, each, add_counts))
    }

    /// The key of the group that a customer is in.
    fn key(&self, customer: usize) -> u64 {
        if matches!(self.by, By::Nothing) {
            return 0;
        }
        let rows = self.scene.rows(customer);
        let is_step = |row: &usize| self.steps.iter().any(|step| step.passes(*row));
        match self.spec.attribution {
            Attribution::First => self.by.first(customer, rows.filter(is_step)),
            Attribution::Last => self.by.first(customer, rows.rev().filter(is_step)),
            Attribution::Step(step) => {
                let of_step = |row: &usize| self.steps[step - 1].passes(*row);
                self.by.first(customer, rows.filter(of_step))
            }
        }
    }

    /// What an event is: a bit for each step and each exclusion.
    #[inline]
    fn bits(&self, row: usize) -> u32 {
        let bits = self.by_name[self.scene.timelines.events()[row] as usize];
        match bits & self.conditional {
            0 => bits,
            open => self.settled(row, bits, open),
        }
    }

    /// The bits without those whose condition does not hold.
    fn settled(&self, row: usize, bits: u32, open: u32) -> u32 {
        let filter = |place: usize| match place.checked_sub(FIRST_EXCLUSION) {
            None => &self.steps[place],
            Some(exclusion) => &self.exclusions[exclusion],
        };
        let fails = |place: &usize| open & (1 << place) != 0 && !filter(*place).passes(row);
        (0..32).filter(fails).fold(bits, |bits, place| bits & !(1 << place))
    }

    /// How far a customer got.
    fn run(&self, customer: usize, run: &mut Run) -> Reached {
        run.taken.clear();
        let is_strict = self.spec.order == Order::Strict;
        for row in self.scene.rows(customer) {
            let bits = self.bits(row);
            if bits != 0 || (is_strict && self.any.passes(row)) {
                run.taken.push((self.scene.time(row), bits, row));
            }
        }
        if run.taken.is_empty() {
            return Reached::Nothing;
        }
        // Of one instant, the events of earlier steps come first.
        let step_of = |bits: u32| (bits & ((1 << MOST_STEPS) - 1)).trailing_zeros();
        let needs_sort = run
            .taken
            .windows(2)
            .any(|pair| pair[0].0 == pair[1].0 && step_of(pair[0].1) > step_of(pair[1].1));
        if needs_sort {
            run.taken.sort_by_key(|(time, bits, row)| (*time, step_of(*bits), *row));
        }
        match self.spec.order {
            Order::Unordered => self.any_order(run),
            _ => self.in_order(run),
        }
    }

    fn any_order(&self, run: &mut Run) -> Reached {
        let Run { last, taken, times, .. } = run;
        last.fill(None);
        times.clear();
        let window = self.spec.window.0.micros();
        let mut most = 0;
        for (at, (time, bits, _)) in taken.iter().enumerate() {
            for (step, last) in last.iter_mut().enumerate() {
                if bits & (1 << step) != 0 {
                    *last = Some(*time);
                }
            }
            // Events of one instant are together.
            if taken.get(at + 1).is_none_or(|next| next.0 != *time) {
                let is_near = |last: &&Option<i64>| last.is_some_and(|last| time - last <= window);
                most = most.max(last.iter().filter(is_near).count());
            }
        }
        if most == 0 { Reached::Nothing } else { Reached::Step(most) }
    }

    /// For each step, the latest possible start is kept: an event joins the attempt of the step before if it
    /// is within the window of that attempt's first step.
    fn in_order(&self, run: &mut Run) -> Reached {
        let Run { starts, clean, chains, times, taken, .. } = run;
        starts.fill(None);
        clean.fill(false);
        times.clear();
        let n = self.steps.len();
        let window = self.spec.window.0.micros();
        let is_strict = self.spec.order == Order::Strict;
        let (mut furthest, mut excluded) = (0, 0);
        for (time, bits, _) in taken.iter() {
            for (exclusion, at) in self.spec.exclusions.iter().zip(FIRST_EXCLUSION..) {
                if bits & (1 << at) == 0 {
                    continue;
                }
                for step in exclusion.from..exclusion.to {
                    let Some(start) = starts[step - 1].take() else { continue };
                    if time - start <= window {
                        excluded = excluded.max(step);
                    } else {
                        clean[step - 1] = true;
                    }
                }
            }
            // From the last step on, so that one event is one step only.
            for step in (0..n).rev() {
                if bits & (1 << step) == 0 {
                    if is_strict {
                        clean[step] |= starts[step].take().is_some();
                    }
                    continue;
                }
                let start = match step.checked_sub(1) {
                    None => Some(*time),
                    Some(before) => starts[before].filter(|start| time - start <= window),
                };
                let Some(start) = start else { continue };
                if starts[step].is_none_or(|known| start > known) {
                    starts[step] = Some(start);
                    if let Some(before) = step.checked_sub(1) {
                        chains.copy_within(before * n..before * n + step, step * n);
                    }
                    chains[step * n + step] = *time;
                }
                if step + 1 > furthest {
                    furthest = step + 1;
                    times.clear();
                    times.extend_from_slice(&chains[step * n..=step * n + step]);
                }
            }
        }
        let reached = match self.spec.exclusions.is_empty() {
            true => furthest,
            // What an exclusion ended does not count; another attempt that got as far does.
            false => {
                let is_clean = |step: &usize| clean[*step] || starts[*step].is_some();
                (0..n).rev().find(is_clean).map_or(0, |step| step + 1)
            }
        };
        if reached < excluded {
            return Reached::Excluded;
        }
        if reached < furthest || times.len() != reached {
            times.clear();
            if let Some(step) = reached.checked_sub(1) {
                times.extend_from_slice(&chains[step * n..=step * n + step]);
            }
        }
        if reached == 0 { Reached::Nothing } else { Reached::Step(reached) }
    }
}
