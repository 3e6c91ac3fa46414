use kernel::domain::{Job, MICROS_PER_DAY, Span, Time};
use kernel::experiments::{ExperimentDefinition, MetricDefinition};
use kernel::features::{
    AsOf, Bound, Catalog, Knowledge, Label, SpineRow, Timelines, View, ViewDefinition,
};
use models::experiments::{Method, Moments, Plan, detectable, sample_size};
use serde::Serialize;

use super::readout::TUNED;
use crate::{Error, Project, Result};

/// How long an experiment would take, from what customers did until now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PowerPlan {
    /// Customers who would have been in it, a day.
    pub customers_a_day: f64,
    /// Those whose past it was measured on.
    pub measured_on: usize,
    /// The chance that a true effect is found.
    pub power: f64,
    /// One minus the confidence.
    pub alpha: f64,
    /// For each metric.
    pub metrics: Vec<MetricPlan>,
}

/// What an experiment needs for a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricPlan {
    /// The metric.
    pub name: String,
    /// Its mean without a change.
    pub mean: f64,
    /// The share of its variance that what was there before explains.
    pub explained: f64,
    /// The relative effect that is looked for.
    pub effect: f64,
    /// Customers in all, at one look and at every look; none where no number is enough.
    pub customers: Option<f64>,
    /// The same where every look counts.
    pub customers_always: Option<f64>,
    /// Days until then, the time that the metric takes included.
    pub days: Option<f64>,
    /// The same where every look counts.
    pub days_always: Option<f64>,
    /// The relative effect that four weeks would find at every look.
    pub in_four_weeks: Option<f64>,
}

/// The time that customers of the past are taken from.
const PAST: Span = Span::days(28);
/// What a metric without an end is measured over.
const USUAL_WITHIN: Span = Span::days(14);
/// The chance that a true effect is found.
const POWER: f64 = 0.8;
/// The relative effect that is looked for, if the definition says nothing.
const USUAL_EFFECT: f64 = 0.05;

impl Project {
    /// How long an experiment would take: its metrics over customers of the last weeks, who stand for those
    /// who would have been in it.
    ///
    /// # Errors
    /// A metric makes no sense on this data, or the job was canceled.
    pub fn plan_experiment(
        &self,
        definition: &ExperimentDefinition,
        job: &Job,
    ) -> Result<PowerPlan> {
        definition.check()?;
        let catalog = self.catalog()?;
        let view = self.eligibility(definition, &catalog)?;
        let longest = definition.metrics.iter().map(within).max().unwrap_or(USUAL_WITHIN);
        let mut reads = Catalog::default();
        let mut measures = Vec::new();
        for metric in &definition.metrics {
            let measure = Measure::check(metric, &catalog)?;
            measure.reads(&mut reads);
            measures.push(measure);
        }
        view.iter().for_each(|view| reads.extend(view.reads()));
        let timelines = self.warehouse.timelines(&reads, job)?;
        let until = timelines.observed_until().plus(-longest.micros());
        let mut rows = first_seen_between(&timelines, until.plus(-PAST.micros()), until);
        if let Some(view) = &view {
            let bound = Bound::new(view, &timelines);
            let is_eligible = |(customer, at): &SpineRow| {
                let row =
                    bound.row(*customer, AsOf { time: *at, knowledge: Knowledge::AsItWas }, &[]);
                row.last() == Some(&kernel::domain::Value::Boolean(true))
            };
            rows.retain(is_eligible);
        }
        let layer = definition.layer.as_ref().map_or(1.0, |layer| layer.until - layer.from);
        let share = definition.traffic * (1.0 - definition.holdout) * layer;
        #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
        let customers_a_day = rows.len() as f64 * share / days(PAST);
        let metrics = definition.metrics.iter().zip(&measures).map(|(metric, measure)| {
            let moments = measure.moments(metric, &timelines, &rows);
            plan(definition, metric, &moments, customers_a_day)
        });
        Ok(PowerPlan {
            customers_a_day,
            measured_on: rows.len(),
            power: POWER,
            alpha: definition.alpha,
            metrics: metrics.collect(),
        })
    }

    /// The view whose last feature says who may be in it.
    fn eligibility(
        &self,
        definition: &ExperimentDefinition,
        catalog: &Catalog,
    ) -> Result<Option<View>> {
        let Some(function) = self.experiment_file(definition)?.function else { return Ok(None) };
        let view: ViewDefinition = function.view;
        Ok(Some(View::check(&view, catalog)?))
    }
}

#[allow(clippy::cast_precision_loss, reason = "days")]
fn days(span: Span) -> f64 {
    span.micros() as f64 / MICROS_PER_DAY as f64
}

fn within(metric: &MetricDefinition) -> Span {
    metric.within.unwrap_or(USUAL_WITHIN)
}

/// The first event of each customer between two times: when they would have been exposed.
fn first_seen_between(timelines: &Timelines, from: Time, until: Time) -> Vec<SpineRow> {
    let own: Vec<bool> =
        timelines.names().iter().map(|name| !kernel::domain::is_system(name)).collect();
    let first = |customer: usize| {
        timelines
            .rows(customer)
            .filter(|row| own[timelines.events()[*row] as usize])
            .map(|row| Time(timelines.times()[row]))
            .find(|time| *time >= from)
            .filter(|time| *time < until)
            .map(|time| (customer, time))
    };
    (0..timelines.customers().len()).filter_map(first).collect()
}

/// A metric over the past.
struct Measure {
    label: Label,
    per: Option<Label>,
    before: View,
}

impl Measure {
    fn check(metric: &MetricDefinition, catalog: &Catalog) -> Result<Self> {
        let label = |measure: &kernel::experiments::Measure| {
            Label::check(&measure.label(within(metric)), catalog, None)
        };
        let window = metric.before.unwrap_or_else(|| within(metric));
        let name = metric.name.clone();
        let features = vec![metric.feature(name.clone(), Some(window))];
        Ok(Self {
            label: label(&metric.measure())?,
            per: metric.per.as_ref().map(label).transpose()?,
            before: View::check(&ViewDefinition { name, features }, catalog)?,
        })
    }

    fn reads(&self, reads: &mut Catalog) {
        reads.extend(&self.label.reads());
        self.per.iter().for_each(|per| reads.extend(&per.reads()));
        reads.extend(self.before.reads());
    }

    fn moments(
        &self,
        metric: &MetricDefinition,
        timelines: &Timelines,
        rows: &[SpineRow],
    ) -> Moments {
        let values = self.label.values(timelines, rows);
        let per = self.per.as_ref().map(|per| per.values(timelines, rows));
        let bound = Bound::new(&self.before, timelines);
        let mut moments = Moments::default();
        for (place, (customer, at)) in rows.iter().enumerate() {
            let Some(value) = values[place].as_number() else { continue };
            let value = metric.counted(value);
            let of_per = |per: &Vec<kernel::domain::Value>| per[place].as_number().unwrap_or(0.0);
            let before = bound.row(*customer, AsOf::at(*at), &[]);
            let before = before.first().and_then(kernel::domain::Value::as_number).unwrap_or(0.0);
            moments.add(value, per.as_ref().map_or(1.0, of_per), before);
        }
        moments
    }
}

fn plan(
    definition: &ExperimentDefinition,
    metric: &MetricDefinition,
    moments: &Moments,
    a_day: f64,
) -> MetricPlan {
    let is_ratio = metric.per.is_some();
    let estimate = if is_ratio { moments.ratio() } else { moments.plain() };
    let explained = if is_ratio { 0.0 } else { moments.correlation().powi(2) };
    let weights = definition.weights();
    let shares = (weights[0], weights[1]);
    let both = (shares.0 + shares.1).max(f64::MIN_POSITIVE);
    let plan = Plan {
        mean: estimate.mean,
        variance: estimate.variance * (1.0 - explained),
        shares: (shares.0 / both, shares.1 / both),
        #[allow(clippy::cast_precision_loss, reason = "a number of variants")]
        alpha: definition.alpha / (weights.len() - 1) as f64,
        power: POWER,
    };
    let effect = definition.minimum_effect.unwrap_or(USUAL_EFFECT);
    // Customers of the two variants; the others come on top.
    let size = |method| {
        sample_size(&plan, effect * estimate.mean.abs(), method).map(|customers| customers / both)
    };
    let time = |customers: f64| customers / a_day + days(within(metric));
    let (customers, always) = (size(Method::Fixed), size(Method::Sequential(TUNED)));
    let four_weeks = detectable(&plan, a_day * 28.0 * both, Method::Sequential(TUNED));
    let is_possible = |days: &f64| days.is_finite();
    MetricPlan {
        name: metric.name.to_string(),
        mean: estimate.mean,
        explained,
        effect,
        customers,
        customers_always: always,
        days: customers.map(time).filter(is_possible),
        days_always: always.map(time).filter(is_possible),
        in_four_weeks: four_weeks.map(|it| it / estimate.mean.abs()).filter(|it| it.is_finite()),
    }
}

impl From<kernel::experiments::ExperimentError> for Error {
    fn from(error: kernel::experiments::ExperimentError) -> Self {
        Self::BadInput(error.to_string())
    }
}
