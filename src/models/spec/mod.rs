//! The untrained model, as it is written in `models/<name>.toml`.

mod algorithm;
mod sections;

use kernel::domain::Name;
use kernel::features::{LabelDefinition, SpineDefinition};
use serde::{Deserialize, Serialize};

pub use algorithm::{Algorithm, CalibrationKind, Objective, Task};
pub use sections::{
    Costs, LifetimeSection, ModelDefinition, RankingSection, RecommendationSection, SearchSection,
    SplitBy, SplitDefinition, UpliftSection,
};

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
    /// What is to be predicted; tasks without a label have none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub label: LabelDefinition,
    /// What is held back to evaluate it.
    #[serde(default)]
    pub split: SplitDefinition,
    /// How it is learned.
    pub model: ModelDefinition,
    /// Which features say how often and for how much a customer buys; for lifetime values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<LifetimeSection>,
    /// Which feature has the items; for recommendations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<RecommendationSection>,
    /// Which feature says who was treated; for uplift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplift: Option<UpliftSection>,
    /// Which rows are ranked against each other; for ranking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingSection>,
    /// How parameters are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSection>,
    /// What wrong decisions cost; for the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

fn is_empty(label: &LabelDefinition) -> bool {
    *label == LabelDefinition::default()
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

    /// Whether its rows need a label.
    #[must_use]
    pub const fn needs_label(&self) -> bool {
        match self.task {
            Task::Clustering | Task::Anomaly => false,
            // What was bought before says enough.
            Task::LifetimeValue | Task::Recommendation => self.label.aggregation.is_some(),
            _ => true,
        }
    }

    /// Checks what does not need data.
    ///
    /// # Errors
    /// What makes no sense, with its place and what would be right.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Spec(message));
        if !(0.0..1.0).contains(&self.split.test) || self.split.test == 0.0 {
            return refuse(format!("split, test: {} must be above 0 and below 1", self.split.test));
        }
        if !self.task.algorithms().contains(&self.model.algorithm) {
            let known: Vec<&str> = self.task.algorithms().iter().map(|a| a.name()).collect();
            return refuse(format!(
                "model, algorithm: {} does not do {}; use {}",
                self.model.algorithm,
                self.task,
                known.join(", ")
            ));
        }
        let section = match self.task {
            Task::LifetimeValue if self.model.algorithm == Algorithm::BgNbd => {
                (self.lifetime.is_none(), "lifetime")
            }
            Task::Recommendation => (self.recommendation.is_none(), "recommendation"),
            Task::Uplift => (self.uplift.is_none(), "uplift"),
            _ => (false, ""),
        };
        if let (true, name) = section {
            return refuse(format!("{} needs a section [{name}]", self.task));
        }
        self.model.check()
    }
}
