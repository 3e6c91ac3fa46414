use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::domain::{Job, Time, Value};
use kernel::features::{
    Bound, Catalog, Column, Knowledge, Label, SpineRows, Table, Timelines, View, compute,
};

use crate::{Error, Result};

/// Spine, features and label, point in time.
#[derive(Clone, Debug)]
pub struct TrainingSet {
    /// Who each row is of.
    pub customers: Vec<Arc<str>>,
    /// The as-of time of each row.
    pub times: Vec<Time>,
    /// The features as of each row's time.
    pub features: Table,
    /// The label over the horizon after each row's time, or the one that the spine brought.
    pub labels: Vec<Value>,
    /// Whether each row is positive.
    pub positive: Vec<bool>,
    /// Rows of the spine that were left out, because their horizon is not fully observed.
    pub dropped: usize,
    /// The latest event that there is: later ones were not observed.
    pub observed_until: Time,
    /// The events and properties that labels were made from; none where the spine brought them.
    pub label_reads: Catalog,
    /// The category of items, where it is known; for recommendations.
    pub item_categories: BTreeMap<String, String>,
}

/// The column of a spine that brings its own labels.
pub const LABEL: &str = "label";

impl TrainingSet {
    /// That there are rows.
    ///
    /// # Errors
    /// There are none, and why.
    pub fn check_rows(&self) -> Result<()> {
        if self.n_rows() > 0 {
            return Ok(());
        }
        Err(Error::Data(match self.dropped {
            0 => "the spine has no rows; there is no customer with an event before its times"
                .to_owned(),
            dropped => format!(
                "all {dropped} rows are too late: the events end on {}, before their horizon does; use \
                 earlier times or a shorter horizon",
                self.observed_until.date()
            ),
        }))
    }

    /// Computes features and labels of the rows of a spine.
    ///
    /// # Errors
    /// No horizon is observed, or the job was canceled.
    pub fn compute(
        view: &View,
        label: &Label,
        mut spine: SpineRows,
        timelines: &Timelines,
        knowledge: Knowledge,
        job: &Job,
    ) -> Result<Self> {
        let dropped = spine.retain(|(_, time)| label.is_observed(timelines, *time));
        let bound = Bound::new(view, timelines);
        let features = compute(view, &bound, &spine, knowledge, job)?;
        job.report("Computing labels", 0.5);
        let labels = match spine.occasions.column(LABEL).filter(|_| label.is_given()) {
            Some(given) => (0..given.len()).map(|row| given.value(row)).collect(),
            None => label.values(timelines, &spine.rows),
        };
        let id = |(customer, _): &(usize, Time)| match timelines.customers().get(*customer) {
            Some(id) => id.clone(),
            None => spine.customer_id(timelines, *customer).into(),
        };
        Ok(Self {
            customers: spine.rows.iter().map(id).collect(),
            times: spine.rows.iter().map(|(_, time)| *time).collect(),
            positive: labels.iter().map(|value| label.is_positive(value)).collect(),
            features,
            labels,
            dropped,
            observed_until: timelines.observed_until(),
            label_reads: label.reads(),
            item_categories: BTreeMap::new(),
        })
    }

    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.times.len()
    }

    /// Adds the rows of another range of customers.
    pub fn append(&mut self, other: Self) {
        self.customers.extend(other.customers);
        self.times.extend(other.times);
        for (column, more) in self.features.values.iter_mut().zip(&other.features.values) {
            column.append(more);
        }
        self.labels.extend(other.labels);
        self.positive.extend(other.positive);
        self.dropped += other.dropped;
        self.observed_until = self.observed_until.max(other.observed_until);
    }

    /// The same rows by time and then customer.
    #[must_use]
    pub fn in_order(self) -> Self {
        let key = |place: &u32| (self.times[*place as usize], &self.customers[*place as usize]);
        let mut order: Vec<u32> = (0_u32..).take(self.n_rows()).collect();
        order.sort_by_key(key);
        let places = || order.iter().map(|place| *place as usize);
        Self {
            customers: places().map(|place| self.customers[place].clone()).collect(),
            times: places().map(|place| self.times[place]).collect(),
            features: Table {
                columns: self.features.columns.clone(),
                values: self.features.values.iter().map(|column| column.gather(&order)).collect(),
            },
            labels: places().map(|place| self.labels[place].clone()).collect(),
            positive: places().map(|place| self.positive[place]).collect(),
            ..self
        }
    }

    /// The labels as a column.
    #[must_use]
    pub fn label_column(&self, label: &Label) -> Column {
        let mut column = Column::new(label.type_of());
        self.labels.iter().for_each(|value| column.push(value.into()));
        column
    }

    /// The feature values of a row.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.features.row(row)
    }
}
