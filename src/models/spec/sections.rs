use std::collections::BTreeMap;

use kernel::domain::{Name, Span};
use serde::{Deserialize, Serialize};

use super::{Algorithm, CalibrationKind, Objective};
use crate::{Error, Result};

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

impl Default for SplitDefinition {
    fn default() -> Self {
        Self { by: SplitBy::Time, test: 0.25 }
    }
}

/// How a model is learned: an algorithm, and the parameters of it that are not the usual ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDefinition {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// What every random choice follows from.
    #[serde(default)]
    pub seed: u64,
    /// Strength of the L2 penalty of linear models: `alpha / 2 * |weights|^2` is added to the summed loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// The share of L1 in an elastic net's penalty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1_ratio: Option<f64>,
    /// The power of a Tweedie distribution's variance, between 1 and 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// Trees, or rounds of boosting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees: Option<usize>,
    /// What each round of boosting adds of what it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The most leaves of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<usize>,
    /// The most splits between the root and a leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// The fewest rows of a leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<usize>,
    /// L2 penalty of the values of leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// The share of rows that each tree sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsample: Option<f64>,
    /// The share of columns that each tree of boosting, or each split of a forest, may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<f64>,
    /// What boosting makes small, for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// The quantile of the pinball loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// Boosting stops when the held-back part of the training rows got no better for so many rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<usize>,
    /// Features that the score may only rise (1) or fall (-1) with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monotone: BTreeMap<String, i8>,
    /// Whether both classes weigh the same in total.
    #[serde(default, skip_serializing_if = "is_false")]
    pub balance: bool,
    /// How scores are made probabilities afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationKind>,
    /// Clusters, or components of a mixture; none lets the data say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// Principal components that clusters are looked for in; none takes the columns as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
    /// How near rows of a dense region are, in standard deviations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Numbers of a customer's and an item's vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factors: Option<usize>,
    /// Passes over the data of alternating least squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Which features say how often and for how much a customer buys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifetimeSection {
    /// Repeat purchases: all but the first.
    pub frequency: Name,
    /// Days from the first to the last purchase.
    pub recency: Name,
    /// Days since the first purchase.
    pub age: Name,
    /// The mean value of the repeat purchases; without it the score is the number of purchases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Name>,
    /// The unit of time that parameters are given in.
    pub unit: Span,
    /// How far ahead.
    pub horizon: Span,
}

/// Which feature has the items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendationSection {
    /// A feature that is a list or a histogram of items.
    pub items: Name,
    /// Whether items that a customer had may be recommended again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeats: bool,
    /// A property that says the category of an item, on the events that the items are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The fewest customers of an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_customers: Option<usize>,
}

/// Which feature says who was treated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpliftSection {
    /// A boolean, or a number that is above 0 for the treated.
    pub treatment: Name,
}

/// Which rows are ranked against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankingSection {
    /// A feature that is the same for the rows of one list, and is not learned from; without it, rows of
    /// one customer at one time are a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
}

/// How parameters are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSection {
    /// For how long.
    pub budget: Span,
    /// The most settings that are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
}

/// What wrong decisions cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Of acting on a row that is not positive.
    pub false_positive: f64,
    /// Of not acting on one that is.
    pub false_negative: f64,
}

impl ModelDefinition {
    /// An algorithm with the usual parameters.
    #[must_use]
    pub const fn new(algorithm: Algorithm, seed: u64) -> Self {
        Self {
            algorithm,
            seed,
            alpha: None,
            l1_ratio: None,
            power: None,
            trees: None,
            learning_rate: None,
            leaves: None,
            depth: None,
            min_rows: None,
            lambda: None,
            subsample: None,
            columns: None,
            objective: None,
            quantile: None,
            early_stopping: None,
            monotone: BTreeMap::new(),
            balance: false,
            calibration: None,
            clusters: None,
            components: None,
            radius: None,
            factors: None,
            iterations: None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let numbers: [(&str, Option<f64>, f64, f64); 9] = [
            ("alpha", self.alpha, 0.0, f64::MAX),
            ("l1_ratio", self.l1_ratio, 0.0, 1.0),
            ("power", self.power, 1.0, 2.0),
            ("learning_rate", self.learning_rate, 1e-6, 1.0),
            ("lambda", self.lambda, 0.0, f64::MAX),
            ("subsample", self.subsample, 1e-6, 1.0),
            ("columns", self.columns, 1e-6, 1.0),
            ("quantile", self.quantile, 1e-6, 1.0 - 1e-6),
            ("radius", self.radius, 1e-12, f64::MAX),
        ];
        for (name, value, least, most) in numbers {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                let most = if most == f64::MAX { String::new() } else { format!(" and {most}") };
                return Err(Error::Spec(format!(
                    "model, {name}: must be a number of at least {least}{most}"
                )));
            }
        }
        let counts: [(&str, Option<usize>, usize, usize); 9] = [
            ("trees", self.trees, 1, 10_000),
            ("leaves", self.leaves, 2, 65_536),
            ("depth", self.depth, 1, 64),
            ("min_rows", self.min_rows, 1, 100_000_000),
            ("early_stopping", self.early_stopping, 1, 10_000),
            ("clusters", self.clusters, 1, 100),
            ("components", self.components, 1, 1_000),
            ("factors", self.factors, 1, 512),
            ("iterations", self.iterations, 1, 10_000),
        ];
        for (name, value, least, most) in counts {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(Error::Spec(format!("model, {name}: must be from {least} to {most}")));
            }
        }
        if self.monotone.values().any(|direction| ![-1, 1].contains(direction)) {
            return Err(Error::Spec("model, monotone: 1 (rises with it) or -1 (falls)".to_owned()));
        }
        Ok(())
    }
}
