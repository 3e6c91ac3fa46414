use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use kernel::domain::{Job, Name, Time, Type, Value};
use kernel::features::{AsOf, Bound, Catalog, Knowledge, Timelines, View, ViewDefinition, compute};
use models::{Evaluation, Fitted, Parameter, TrainingSet};
use serde::Serialize;
use warehouse::{Relation, Warehouse};

use crate::{Error, Project, Result};

/// A view that was computed.
#[derive(Clone, Debug, Serialize)]
pub struct ViewReport {
    /// Rows: customers with an event before the as-of time.
    pub rows: usize,
    /// Features.
    pub features: usize,
    /// The as-of time.
    pub as_of: Time,
    /// How long it took.
    pub seconds: f64,
}

/// A model that was trained.
#[derive(Clone, Debug, Serialize)]
pub struct TrainReport {
    /// The model's name.
    pub name: Name,
    /// Rows that it was trained on.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// Rows whose horizon is not fully observed.
    pub dropped: usize,
    /// How long it took.
    pub seconds: f64,
    /// Metrics by part.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// What was learned, strongest first.
    pub parameters: Vec<Parameter>,
    /// The scoring function's file in the project.
    pub path: String,
    /// Its hash.
    pub hash: String,
    /// All that is known of the training part.
    #[serde(skip)]
    pub train: Evaluation,
    /// All that is known of the test part.
    #[serde(skip)]
    pub test: Evaluation,
}

/// What a view is like on the data, while it is being written.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The as-of time.
    pub as_of: Time,
    /// Each feature's name, type, and what it is like over all customers.
    pub features: Vec<FeatureSummary>,
    /// A few customers and their values.
    pub rows: Vec<(String, Vec<Value>)>,
    /// The same view as DuckDB SQL.
    pub sql: String,
    /// How long the kernel took for all customers.
    pub seconds: f64,
    /// Customers.
    pub n_customers: usize,
}

/// What a feature is like over all customers.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSummary {
    /// Its name.
    pub name: Name,
    /// The type of its values.
    pub type_: Type,
    /// Missing values, between 0 and 1.
    pub null_share: f64,
    /// Least, mean and greatest number.
    pub range: Option<(f64, f64, f64)>,
    /// A histogram of the numbers between least and greatest.
    pub histogram: Vec<u32>,
}

/// Bars of a histogram.
const BARS: usize = 24;
/// Customers of a preview.
const PREVIEW_CUSTOMERS: usize = 8;

impl Project {
    /// All that a view reads, as timelines in memory.
    pub(crate) fn timelines(&self, reads: &Catalog, job: &Job) -> Result<Timelines> {
        Ok(self.warehouse.timelines(reads, job)?)
    }

    /// Computes a view for all customers as of a time (or the last event), into a file.
    ///
    /// # Errors
    /// There is no such view, it makes no sense, or the file cannot be written.
    pub fn compute_view(
        &self,
        name: &Name,
        as_of: Option<Time>,
        out: &Path,
        job: &Job,
    ) -> Result<ViewReport> {
        let started = Instant::now();
        let view = self.view(name)?;
        let as_of = as_of.map_or_else(|| self.now(), Ok)?;
        let timelines = self.timelines(view.reads(), job)?;
        let rows = customers_at(&timelines, as_of);
        let table = compute(&view, &timelines, &rows, Knowledge::AsItWas, job.canceled())
            .map_err(|kernel::features::Canceled| Error::Canceled)?;
        let relation = relation(&timelines, &rows, table);
        self.warehouse.write(&relation, out)?;
        Ok(ViewReport {
            rows: rows.len(),
            features: view.features().len(),
            as_of,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The SQL of a view as of a time (or the last event).
    ///
    /// # Errors
    /// There is no such view, or it makes no sense.
    pub fn view_sql(&self, name: &Name, as_of: Option<Time>) -> Result<String> {
        let as_of = as_of.map_or_else(|| self.now(), Ok)?;
        Ok(Warehouse::view_sql_at(&self.view(name)?, as_of))
    }

    /// Computes a view that may not be saved yet, for all customers as of the last event.
    ///
    /// # Errors
    /// It makes no sense on this data, or the job was canceled.
    pub fn preview(&self, definition: &ViewDefinition, job: &Job) -> Result<Preview> {
        let view = View::check(definition, &self.catalog()?)?;
        let as_of = self.now()?;
        let timelines = self.timelines(view.reads(), job)?;
        let started = Instant::now();
        let rows = customers_at(&timelines, as_of);
        let table = compute(&view, &timelines, &rows, Knowledge::AsItWas, job.canceled())
            .map_err(|kernel::features::Canceled| Error::Canceled)?;
        let seconds = started.elapsed().as_secs_f64();
        let features = table
            .columns
            .iter()
            .zip(&table.values)
            .map(|((name, type_), column)| summarize(name, *type_, column))
            .collect();
        let shown = rows.iter().enumerate().step_by((rows.len() / PREVIEW_CUSTOMERS).max(1));
        let rows_shown = shown
            .take(PREVIEW_CUSTOMERS)
            .map(|(row, (customer, _))| {
                let id = timelines.customers()[*customer].to_string();
                (id, table.values.iter().map(|column| column.value(row)).collect())
            })
            .collect();
        let sql = Warehouse::view_sql_at(&view, as_of);
        Ok(Preview { as_of, features, rows: rows_shown, sql, seconds, n_customers: rows.len() })
    }

    /// The features of one customer as of a time, by name.
    ///
    /// # Errors
    /// There is no such view, or it makes no sense.
    pub fn features_of(
        &self,
        view: &Name,
        customer_id: &str,
        as_of: Time,
    ) -> Result<Vec<(Name, Value)>> {
        let view = self.view(view)?;
        let timelines = self.warehouse.timeline_of(customer_id, view.reads())?;
        let Some(position) = timelines.position(customer_id) else { return Ok(Vec::new()) };
        let values = Bound::new(&view, &timelines).row(position, AsOf::at(as_of));
        Ok(view.features().iter().map(|feature| feature.name.clone()).zip(values).collect())
    }

    /// Computes the training set of a model into a file: `customer_id, as_of`, features, `label`.
    ///
    /// # Errors
    /// There is no such model, it makes no sense, or the file cannot be written.
    pub fn training_set(&self, model: &Name, out: &Path, job: &Job) -> Result<usize> {
        let spec = self.model(model)?;
        let view = self.view(&spec.view)?;
        let (label, reads) = models::check_label(&spec.label, &view, &self.catalog()?)?;
        let timelines = self.timelines(&reads, job)?;
        let set = TrainingSet::compute(&spec, &view, &label, &timelines, job)?;
        let mut labels = kernel::features::Column::new(label.type_of());
        for value in &set.labels {
            labels.push(kernel::features::Cell::from(value));
        }
        let n = set.rows.len();
        let relation = relation(&timelines, &set.rows, set.features).with_column("label", labels);
        self.warehouse.write(&relation, out)?;
        Ok(n)
    }

    /// Trains a model and saves its scoring function.
    ///
    /// # Errors
    /// There is no such model, the data is not fit for it, or the job was canceled.
    pub fn train(&self, model: &Name, job: &Job) -> Result<TrainReport> {
        let started = Instant::now();
        let spec = self.model(model)?;
        let view = self.view(&spec.view)?;
        let (label, reads) = models::check_label(&spec.label, &view, &self.catalog()?)?;
        let timelines = self.timelines(&reads, job)?;
        let fitted = models::train(&spec, &view, &label, &timelines, job)?;
        let path = self.save_function(&fitted.function)?;
        job.report("Done", 1.0);
        let Fitted { function, rows, positives, dropped, train, test, parameters } = fitted;
        Ok(TrainReport {
            name: spec.name,
            rows,
            positives,
            dropped,
            seconds: started.elapsed().as_secs_f64(),
            metrics: function.file().trained.metrics.clone(),
            parameters,
            path,
            hash: function.hash().to_owned(),
            train,
            test,
        })
    }
}

/// Every customer with an event before a time, as rows.
pub(crate) fn customers_at(timelines: &Timelines, as_of: Time) -> Vec<(usize, Time)> {
    (0..timelines.customers().len())
        .filter(|customer| timelines.first_seen(*customer).is_some_and(|first| first < as_of))
        .map(|customer| (customer, as_of))
        .collect()
}

fn relation(
    timelines: &Timelines,
    rows: &[(usize, Time)],
    table: kernel::features::Table,
) -> Relation {
    let ids = rows.iter().map(|(customer, _)| timelines.customers()[*customer].as_ref());
    let mut relation = Relation::default()
        .with_texts("customer_id", ids)
        .with_times("as_of", rows.iter().map(|(_, time)| *time));
    for ((name, _), column) in table.columns.into_iter().zip(table.values) {
        relation = relation.with_column(name.as_str(), column);
    }
    relation
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and bars for people"
)]
fn summarize(name: &Name, type_: Type, column: &kernel::features::Column) -> FeatureSummary {
    let n = column.len();
    let numbers: Vec<f64> =
        (0..n).filter_map(|row| column.value(row).as_number()).filter(|x| x.is_finite()).collect();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let range = (!numbers.is_empty()).then_some((least, mean, greatest));
    let mut histogram = Vec::new();
    if greatest > least {
        histogram = vec![0_u32; BARS];
        for x in &numbers {
            let bar = ((x - least) / (greatest - least) * BARS as f64) as usize;
            histogram[bar.min(BARS - 1)] += 1;
        }
    }
    let null_share = if n == 0 { 0.0 } else { column.n_null() as f64 / n as f64 };
    FeatureSummary { name: name.clone(), type_, null_share, range, histogram }
}
