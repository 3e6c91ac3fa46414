use kernel::domain::{Job, Time, Value};
use kernel::features::{Knowledge, Label, SpineRow, Table, Timelines, View, compute};

use crate::{Error, ModelSpec, Result};

/// Spine, features and label, point in time.
#[derive(Clone, Debug)]
pub struct TrainingSet {
    /// Places of customers in the timelines, and as-of times, by time and then customer.
    pub rows: Vec<SpineRow>,
    /// The features as of each row's time.
    pub features: Table,
    /// The label over the horizon after each row's time.
    pub labels: Vec<Value>,
    /// Whether each row is positive.
    pub positive: Vec<bool>,
    /// Rows of the spine that were left out, because their horizon is not fully observed.
    pub dropped: usize,
}

impl TrainingSet {
    /// Computes the training set of a spec.
    ///
    /// # Errors
    /// The spine makes no sense, or the job was canceled.
    pub fn compute(
        spec: &ModelSpec,
        view: &View,
        label: &Label,
        timelines: &Timelines,
        job: &Job,
    ) -> Result<Self> {
        let mut rows = spec.spine.check()?.rows(timelines)?;
        let all = rows.len();
        rows.retain(|(_, time): &(usize, Time)| label.is_observed(timelines, *time));
        let dropped = all - rows.len();
        job.report("Computing features as of each row", 0.2);
        let features = compute(view, timelines, &rows, Knowledge::AsItWas, job.canceled())
            .map_err(|kernel::features::Canceled| Error::Canceled)?;
        job.report("Computing labels", 0.5);
        let labels = label.values(timelines, &rows);
        let positive = labels.iter().map(|value| label.is_positive(value)).collect();
        Ok(Self { rows, features, labels, positive, dropped })
    }

    /// The feature values of a row.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.features.values.iter().map(|column| column.value(row)).collect()
    }
}
