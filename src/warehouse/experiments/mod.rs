//! What came of an experiment, from the events alone: who got which variant, and what they did then.
//!
//! In: a definition, and timelines with exposures in them. Out: one row a customer: the variant, each
//! metric after the exposure and the same before it. The values are the kernel's, as labels and features
//! are; [`readout_sql`] says the same as one query. Never: statistics.

mod sql;

use std::collections::HashMap;
use std::sync::Arc;

use kernel::domain::{EXPOSURE, Job, Name, Span, Time, Type, Value};
use kernel::experiments::{ExperimentDefinition, Measure, MetricDefinition};
use kernel::features::{
    Bound, Catalog, Codes, Column, EventFilter, FeatureDefinition, Knowledge, Label, SpineRow,
    SpineRows, Table, Timelines, View, ViewDefinition, compute,
};

use crate::{Error, Result, Warehouse};

/// A customer who got a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Who.
    pub customer_id: Arc<str>,
    /// When they got it first.
    pub at: Time,
    /// The place of the variant in the definition.
    pub variant: usize,
    /// The probability that it had.
    pub probability: f64,
}

/// A metric of each subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Its value over the time after the exposure; NaN where it says nothing, or its time is not over.
    pub values: Vec<f64>,
    /// The denominator of a ratio; 1 elsewhere.
    pub denominators: Vec<f64>,
    /// The same over the time before the exposure.
    pub before: Vec<f64>,
    /// Subjects whose time is not over.
    pub waiting: usize,
}

/// What came of an experiment.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// The version that it is about.
    pub version: u32,
    /// The time of the last event: what is known is known until then.
    pub observed_until: Time,
    /// Customers, each once, by their first exposure.
    pub subjects: Vec<Subject>,
    /// Customers who got several variants: an id was joined to another. They are left out.
    pub crossed: usize,
    /// For each metric of the definition.
    pub metrics: Vec<Measured>,
    /// For each trait of `segments`, its value at the exposure.
    pub segments: Vec<Vec<Option<String>>>,
}

/// How long before the exposure a metric without an end is measured.
const USUAL_BEFORE: Span = Span::days(28);
/// How long after it, if nothing ends it: a hundred years.
const FOREVER: Span = Span::days(36_525);
const EXPERIMENT: &str = "experiment";
const VERSION: &str = "version";
const VARIANT: &str = "variant";
const PROBABILITY: &str = "probability";

impl Warehouse {
    /// What came of a version of an experiment, the latest unless one is named.
    ///
    /// # Errors
    /// Nobody was exposed, a metric makes no sense on this data, or the job was canceled.
    pub fn outcomes(
        &self,
        definition: &ExperimentDefinition,
        version: Option<u32>,
        job: &Job,
    ) -> Result<Outcomes> {
        let catalog = self.catalog()?;
        let metrics = Metrics::check(definition, &catalog)?;
        let mut reads = metrics.reads();
        reads.events.insert(EXPOSURE.to_owned());
        for name in [EXPERIMENT, VERSION, VARIANT, PROBABILITY] {
            if let Some(type_) = catalog.properties.get(name) {
                reads.properties.insert(name.to_owned(), *type_);
            }
        }
        job.report("Reading timelines", 0.1);
        let timelines = self.timelines(&reads, job)?;
        let exposures = Exposures::find(definition, version, &timelines)?;
        job.report("Measuring what came of it", 0.5);
        metrics.measure(definition, &timelines, exposures, job)
    }

    /// One metric of an experiment by variant as one query; none for what SQL here does not say.
    ///
    /// # Errors
    /// The metric makes no sense on this data.
    pub fn readout_sql(
        &self,
        definition: &ExperimentDefinition,
        metric: &MetricDefinition,
        version: u32,
    ) -> Result<Option<String>> {
        let catalog = self.catalog()?;
        let filter = EventFilter::check(&metric.events, metric.condition.as_deref(), &catalog)?;
        Ok(sql::readout(definition, metric, &filter, version))
    }
}

/// Who got what.
struct Exposures {
    version: u32,
    rows: Vec<SpineRow>,
    variants: Vec<(usize, f64)>,
    crossed: usize,
}

impl Exposures {
    fn find(
        definition: &ExperimentDefinition,
        version: Option<u32>,
        timelines: &Timelines,
    ) -> Result<Self> {
        let filter = EventFilter::check(&[EXPOSURE.to_owned()], None, &Catalog::default())?;
        let filter = filter.bind(timelines);
        let column = |name: &str| timelines.property(name);
        let text = |row: usize, name: &str| {
            let value = column(name).map(|column| column.value(row))?;
            if value.is_null() { None } else { Some(value.to_string()) }
        };
        // By its code: there may be many experiments, and each text is compared once.
        let is_own = Coded::of(column(EXPERIMENT), |it| it == definition.name.as_str());
        let variant_of = Coded::of(column(VARIANT), |it| definition.variant(it));
        // Every exposure of the experiment: customer, time, version, variant, probability.
        let mut found: Vec<(usize, i64, u32, Option<usize>, f64)> = Vec::new();
        for customer in 0..timelines.customers().len() {
            for row in timelines.rows(customer).filter(|row| filter.passes(*row)) {
                if is_own.get(row) != Some(true) {
                    continue;
                }
                let version = text(row, VERSION).and_then(|it| it.parse().ok()).unwrap_or(1);
                let variant = variant_of.get(row).flatten();
                let probability = text(row, PROBABILITY).and_then(|it| it.parse().ok());
                let probability = probability.unwrap_or(f64::NAN);
                found.push((customer, timelines.times()[row], version, variant, probability));
            }
        }
        let latest = found.iter().map(|(_, _, version, ..)| *version).max();
        let Some(version) = version.or(latest) else {
            let message = format!(
                "nobody was exposed to '{}' yet; start it, let customers ask for it, and pull",
                definition.name
            );
            return Err(Error::Mapping(message));
        };
        found.retain(|(_, _, own, ..)| *own == version);
        let (mut rows, mut variants, mut crossed) = (Vec::new(), Vec::new(), 0);
        for exposures in found.chunk_by(|left, right| left.0 == right.0) {
            let (customer, at, _, variant, probability) = exposures[0];
            match variant {
                Some(place) if exposures.iter().all(|other| other.3 == variant) => {
                    rows.push((customer, Time(at)));
                    variants.push((place, probability));
                }
                _ => crossed += 1,
            }
        }
        Ok(Self { version, rows, variants, crossed })
    }
}

/// What each text of a column means.
struct Coded<'t, T> {
    codes: Option<&'t Codes>,
    meanings: Vec<T>,
}

impl<'t, T: Copy> Coded<'t, T> {
    fn of(column: Option<&'t Column>, meaning: impl Fn(&str) -> T) -> Self {
        match column {
            Some(Column::Text(texts)) => Self {
                codes: Some(texts.codes()),
                meanings: texts.dictionary().iter().map(|text| meaning(text)).collect(),
            },
            // A name is a text; another column of this name has none.
            _ => Self { codes: None, meanings: Vec::new() },
        }
    }

    fn get(&self, row: usize) -> Option<T> {
        self.meanings.get(self.codes?.at(row) as usize).copied()
    }
}

/// What is measured, checked against the data.
struct Metrics {
    labels: Vec<(Label, Option<Label>)>,
    /// The metrics before the exposure, then the traits of segments.
    before: View,
}

impl Metrics {
    fn check(definition: &ExperimentDefinition, catalog: &Catalog) -> Result<Self> {
        let label = |metric: &MetricDefinition, measure: &Measure| {
            Label::check(&measure.label(metric.within.unwrap_or(FOREVER)), catalog, None)
        };
        let mut labels = Vec::with_capacity(definition.metrics.len());
        for metric in &definition.metrics {
            let own = label(metric, &metric.measure())?;
            if !matches!(own.type_of(), Type::Number | Type::Boolean) {
                let message = format!("the metric '{}' is no number", metric.name);
                return Err(Error::Mapping(message));
            }
            let per = metric.per.as_ref().map(|per| label(metric, per)).transpose()?;
            labels.push((own, per));
        }
        let before = Self::before(definition, catalog)?;
        Ok(Self { labels, before })
    }

    fn before(definition: &ExperimentDefinition, catalog: &Catalog) -> Result<View> {
        let name =
            |text: String| text.parse::<Name>().map_err(|error| Error::Mapping(error.to_string()));
        let mut features = Vec::new();
        for (place, metric) in definition.metrics.iter().enumerate() {
            let window = metric.before.or(metric.within).unwrap_or(USUAL_BEFORE);
            features.push(metric.feature(name(format!("before_{place}"))?, Some(window)));
        }
        for (place, trait_name) in definition.segments.iter().enumerate() {
            features.push(FeatureDefinition {
                trait_name: Some(trait_name.clone()),
                ..FeatureDefinition::named(name(format!("segment_{place}"))?)
            });
        }
        let view = ViewDefinition { name: definition.name.clone(), features };
        Ok(View::check(&view, catalog)?)
    }

    fn reads(&self) -> Catalog {
        let mut reads = self.before.reads().clone();
        for (label, per) in &self.labels {
            reads.extend(&label.reads());
            per.iter().for_each(|per| reads.extend(&per.reads()));
        }
        reads
    }

    fn measure(
        &self,
        definition: &ExperimentDefinition,
        timelines: &Timelines,
        exposures: Exposures,
        job: &Job,
    ) -> Result<Outcomes> {
        let rows = &exposures.rows;
        let spine = SpineRows { rows: rows.clone(), ..SpineRows::default() };
        let bound = Bound::new(&self.before, timelines);
        let before = compute(&self.before, &bound, &spine, Knowledge::AsItWas, job)?;
        let until = timelines.observed_until();
        let metrics = definition.metrics.iter().zip(&self.labels).enumerate();
        let measured = metrics.map(|(place, (metric, (label, per)))| {
            let is_over =
                |at: Time| metric.within.is_none_or(|within| at.plus(within.micros()) <= until);
            let value = |value: &Value| match (value.as_number(), value) {
                (Some(number), _) => metric.counted(number),
                (None, Value::Boolean(true)) => 1.0,
                (None, Value::Boolean(false)) => 0.0,
                (None, _) => f64::NAN,
            };
            let values = label.values(timelines, rows);
            let values: Vec<f64> = values
                .iter()
                .zip(rows)
                .map(|(it, (_, at))| if is_over(*at) { value(it) } else { f64::NAN })
                .collect();
            let denominators = match per {
                Some(per) => {
                    let values = per.values(timelines, rows);
                    values.iter().map(|it| it.as_number().unwrap_or(0.0)).collect()
                }
                None => vec![1.0; rows.len()],
            };
            // What is not known of before is nothing: it explains nothing, and biases nothing.
            let before = numbers(&before, place);
            let waiting = rows.iter().filter(|(_, at)| !is_over(*at)).count();
            Measured { values, denominators, before, waiting }
        });
        let metrics = measured.collect();
        let first = definition.metrics.len();
        let segments =
            (0..definition.segments.len()).map(|place| texts(&before, first + place)).collect();
        let subjects = rows.iter().zip(&exposures.variants).map(|((customer, at), own)| Subject {
            customer_id: timelines.customers()[*customer].clone(),
            at: *at,
            variant: own.0,
            probability: own.1,
        });
        Ok(Outcomes {
            version: exposures.version,
            observed_until: until,
            subjects: subjects.collect(),
            crossed: exposures.crossed,
            metrics,
            segments,
        })
    }
}

fn numbers(table: &Table, column: usize) -> Vec<f64> {
    let column = &table.values[column];
    (0..column.len()).map(|row| column.value(row).as_number().unwrap_or(0.0)).collect()
}

fn texts(table: &Table, column: usize) -> Vec<Option<String>> {
    let column = &table.values[column];
    let text = |value: Value| if value.is_null() { None } else { Some(value.to_string()) };
    (0..column.len()).map(|row| text(column.value(row))).collect()
}

/// The places of subjects by the value of a segment, most subjects first, at most so many.
#[must_use]
pub fn by_segment(values: &[Option<String>], most: usize) -> Vec<(String, Vec<usize>)> {
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, value) in values.iter().enumerate() {
        groups.entry(value.as_deref().unwrap_or("unknown")).or_default().push(place);
    }
    let mut groups: Vec<(String, Vec<usize>)> =
        groups.into_iter().map(|(value, places)| (value.to_owned(), places)).collect();
    groups.sort_by(|left, right| right.1.len().cmp(&left.1.len()).then(left.0.cmp(&right.0)));
    groups.truncate(most);
    groups
}
