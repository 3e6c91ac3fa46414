use kernel::domain::Name;
use kernel::features::{LabelDefinition, SpineDefinition};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An untrained model, as it is written in `models/<name>.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name, also that of its file.
    pub name: Name,
    /// The view whose features it reads.
    pub view: Name,
    /// What is learned.
    pub task: Task,
    /// The rows of the training set.
    pub spine: SpineDefinition,
    /// What is to be predicted.
    pub label: LabelDefinition,
    /// What is held back to evaluate it.
    #[serde(default)]
    pub split: SplitDefinition,
    /// How it is learned.
    pub model: ModelDefinition,
}

/// What a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The probability that a row is positive.
    Classification,
}

/// How rows are held back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitDefinition {
    /// What the parts differ in.
    pub by: SplitBy,
    /// The share of rows that is held back, between 0 and 1.
    pub test: f64,
}

/// What the parts of a split differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// The test part is later, by at least a horizon: no training label looks into it.
    Time,
    /// No customer is in both parts.
    Customer,
    /// Rows at random.
    Random,
}

/// How a model is learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDefinition {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// What every random choice follows from.
    #[serde(default)]
    pub seed: u64,
    /// Strength of the L2 penalty: `alpha / 2 * |weights|^2` is added to the summed log-loss.
    #[serde(default = "one")]
    pub alpha: f64,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Logistic regression with an L2 penalty.
    LogisticRegression,
}

const fn one() -> f64 {
    1.0
}

impl Default for SplitDefinition {
    fn default() -> Self {
        Self { by: SplitBy::Time, test: 0.25 }
    }
}

impl ModelSpec {
    /// Reads a spec.
    ///
    /// # Errors
    /// The text is no model spec, with the place in it.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error: toml::de::Error| Error::Spec(error.to_string()))
    }

    /// Writes a spec.
    ///
    /// # Errors
    /// It cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Spec(error.to_string()))
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.split.test) || self.split.test == 0.0 {
            return Err(Error::Spec(format!(
                "split, test: {} must be above 0 and below 1",
                self.split.test
            )));
        }
        if !(self.model.alpha.is_finite() && self.model.alpha >= 0.0) {
            return Err(Error::Spec("model, alpha: must be a number of at least 0".to_owned()));
        }
        Ok(())
    }
}
