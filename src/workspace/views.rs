use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use kernel::domain::{Event, Job, Name, Time, Value};
use kernel::features::{AsOf, Bound, Column, Knowledge, SpineRows, Table, compute, evidence};
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
    /// The file, or the table of the warehouse, that has it.
    pub out: String,
}

/// Values that a distribution is known by.
const HUNDREDTHS: usize = 100;
/// The schema of the warehouse that has computed views.
const VIEWS: &str = "views";

impl Project {
    /// Computes a view for all customers as of a time (or the last event): into a file, or without one as
    /// the table `views.<name>` of the warehouse.
    ///
    /// # Errors
    /// There is no such view, it makes no sense, or the file cannot be written.
    pub fn compute_view(
        &self,
        name: &Name,
        as_of: Option<Time>,
        knowledge: Knowledge,
        out: Option<&Path>,
        job: &Job,
    ) -> Result<ViewReport> {
        let started = Instant::now();
        let view = self.view(name)?;
        if let Some((context, _)) = view.context().first() {
            return Err(Error::BadInput(format!(
                "the view '{name}' reads context.{context}, which only a row of a spine or a request \
                 has; compute a training set of it"
            )));
        }
        let as_of = as_of.map_or_else(|| self.now(), Ok)?;
        let mut relation = Relation::default();
        self.warehouse.each_timelines(view.reads(), job, |timelines| {
            let rows = SpineRows::as_of(&timelines, AsOf { time: as_of, knowledge });
            let bound = Bound::new(&view, &timelines);
            let table = compute(&view, &bound, &rows, knowledge, job)?;
            let ids = rows.rows.iter().map(|(customer, _)| rows.customer_id(&timelines, *customer));
            let times = rows.rows.iter().map(|(_, time)| *time);
            let range = with_features(Relation::of_rows(ids, times), table);
            if relation.columns.is_empty() {
                relation = range;
            } else {
                for ((_, column), (_, more)) in relation.columns.iter_mut().zip(&range.columns) {
                    column.append(more);
                }
            }
            Ok::<(), Error>(())
        })?;
        let out = match out {
            Some(out) => {
                self.warehouse.write(&relation, out)?;
                out.display().to_string()
            }
            None => {
                self.warehouse.keep(&relation, VIEWS, name, job)?;
                format!("{VIEWS}.{name}")
            }
        };
        Ok(ViewReport {
            rows: relation.n_rows(),
            features: view.features().len(),
            as_of,
            seconds: started.elapsed().as_secs_f64(),
            out,
        })
    }

    /// The SQL of a view as of a time (or the last event).
    ///
    /// # Errors
    /// There is no such view, or it makes no sense.
    pub fn view_sql(
        &self,
        name: &Name,
        as_of: Option<Time>,
        knowledge: Knowledge,
    ) -> Result<String> {
        let as_of = as_of.map_or_else(|| self.now(), Ok)?;
        Ok(Warehouse::view_sql_at(&self.view(name)?, as_of, knowledge))
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
        let values = Bound::new(&view, &timelines).row(position, AsOf::at(as_of), &[]);
        Ok(view.features().iter().map(|feature| feature.name.clone()).zip(values).collect())
    }

    /// For each feature of a view, the events of a customer that it comes from as of a time, as places among
    /// the events.
    ///
    /// # Errors
    /// There is no such view, or it makes no sense.
    pub fn evidence_of(
        &self,
        view: &Name,
        events: &[Event],
        as_of: Time,
    ) -> Result<Vec<Vec<usize>>> {
        Ok(evidence(&self.view(view)?, events, AsOf::at(as_of)))
    }

    /// For each feature of a view that is a number, its value for one in a hundred customers, ascending: what
    /// tells how unusual a value is.
    ///
    /// # Errors
    /// There is no such view, it makes no sense, or the job was canceled.
    pub fn distributions(&self, view: &Name, job: &Job) -> Result<BTreeMap<Name, Vec<f64>>> {
        let view = self.view(view)?;
        let mut values: BTreeMap<Name, Vec<f64>> = BTreeMap::new();
        if !view.context().is_empty() {
            return Ok(values);
        }
        let now = self.now()?;
        self.warehouse.each_timelines(view.reads(), job, |timelines| {
            let rows = SpineRows::at(&timelines, now);
            let bound = Bound::new(&view, &timelines);
            let table = compute(&view, &bound, &rows, Knowledge::AsItWas, job)?;
            for ((name, _), column) in table.columns.iter().zip(&table.values) {
                if let Column::Number(numbers) = column {
                    let known = numbers.iter().copied().filter(|x| !x.is_nan());
                    values.entry(name.clone()).or_default().extend(known);
                }
            }
            Ok::<(), Error>(())
        })?;
        for numbers in values.values_mut() {
            numbers.sort_unstable_by(f64::total_cmp);
            let last = numbers.len().saturating_sub(1);
            if last > HUNDREDTHS {
                *numbers = (0..=HUNDREDTHS).map(|at| numbers[at * last / HUNDREDTHS]).collect();
            }
        }
        Ok(values)
    }
}

/// A relation with a column for each feature after those that it has.
pub(crate) fn with_features(relation: Relation, table: Table) -> Relation {
    let columns = table.columns.into_iter().zip(table.values);
    columns
        .fold(relation, |relation, ((name, _), column)| relation.with_column(name.as_str(), column))
}
