use std::collections::BTreeMap;

use kernel::domain::Value;

use super::{TrainingSet, number};
use crate::{Error, ModelSpec, Result, Task};

/// What each row of a training set turned out to be, as a number.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// A number a row: 0 or 1, the place of a class, or the label itself. NaN where there is none.
    pub(crate) y: Vec<f64>,
    /// The classes of a classification, in order; of two, the second is the positive one.
    pub(crate) classes: Vec<String>,
}

/// The most classes that a label may have.
const MOST_CLASSES: usize = 50;

impl Outcome {
    pub(crate) fn of(spec: &ModelSpec, set: &TrainingSet) -> Result<Self> {
        let is_text = set.labels.iter().any(|label| matches!(label, Value::Text(_)));
        let truth = || set.positive.iter().map(|positive| f64::from(u8::from(*positive))).collect();
        let two = || vec!["negative".to_owned(), "positive".to_owned()];
        match spec.task {
            Task::Classification if is_text && spec.label.positive.is_none() => {
                Self::of_classes(&set.labels)
            }
            Task::Classification => Ok(Self { y: truth(), classes: two() }),
            Task::Uplift | Task::Ranking if spec.label.positive.is_some() => {
                Ok(Self { y: truth(), classes: Vec::new() })
            }
            Task::Clustering | Task::Anomaly | Task::Recommendation => {
                Ok(Self { y: vec![0.0; set.n_rows()], classes: Vec::new() })
            }
            Task::LifetimeValue if !spec.needs_label() => {
                Ok(Self { y: vec![0.0; set.n_rows()], classes: Vec::new() })
            }
            Task::Regression | Task::Ranking | Task::LifetimeValue | Task::Uplift => {
                let y = set.labels.iter().map(|label| number(label).unwrap_or(f64::NAN)).collect();
                let outcome = Self { y, classes: Vec::new() };
                match is_text {
                    true => Err(Error::Spec(format!(
                        "label: {} needs a number; the label is a text",
                        spec.task
                    ))),
                    false => Ok(outcome),
                }
            }
        }
    }

    fn of_classes(labels: &[Value]) -> Result<Self> {
        let mut places: BTreeMap<String, f64> = BTreeMap::new();
        for label in labels.iter().filter(|label| !label.is_null()) {
            places.insert(label.to_string(), 0.0);
        }
        if places.len() > MOST_CLASSES {
            return Err(Error::Data(format!(
                "the label has {} values; at most {MOST_CLASSES} classes can be told apart: say which \
                 is positive, or group them",
                places.len()
            )));
        }
        for (place, value) in (0_u32..).zip(places.values_mut()) {
            *value = f64::from(place);
        }
        let place = |label: &Value| match label.is_null() {
            true => f64::NAN,
            false => places.get(&label.to_string()).copied().unwrap_or(f64::NAN),
        };
        let y = labels.iter().map(place).collect();
        Ok(Self { y, classes: places.into_keys().collect() })
    }

    /// The rows that have an outcome.
    pub(crate) fn known(&self) -> Vec<usize> {
        (0..self.y.len()).filter(|row| !self.y[*row].is_nan()).collect()
    }

    /// The outcomes of some rows.
    pub(crate) fn of_rows(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|row| self.y[*row]).collect()
    }
}
