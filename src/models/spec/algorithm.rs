use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The probability that a row is positive, or, of a label that is a text, of each of its values.
    Classification,
    /// A number.
    Regression,
    /// Groups of customers who are alike.
    Clustering,
    /// The order of candidates.
    Ranking,
    /// What a customer will buy, or be worth.
    LifetimeValue,
    /// How unusual a customer is.
    Anomaly,
    /// Items that a customer may want.
    Recommendation,
    /// What acting on a customer changes.
    Uplift,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Logistic regression with an L2 penalty; of several classes, multinomial.
    LogisticRegression,
    /// Least squares with an L2 penalty.
    Ridge,
    /// Least squares with an L1 and an L2 penalty.
    ElasticNet,
    /// A count: log link, Poisson deviance.
    Poisson,
    /// A positive number: log link, gamma deviance.
    Gamma,
    /// A number that is often 0: log link, Tweedie deviance.
    Tweedie,
    /// One tree.
    DecisionTree,
    /// Many trees, each of another sample.
    RandomForest,
    /// Trees, each of what the ones before leave.
    GradientBoosting,
    /// Columns that are normal in each class, and independent.
    NaiveBayes,
    /// Centers that rows are near to.
    KMeans,
    /// Normal distributions that rows come from.
    GaussianMixture,
    /// Regions that are dense.
    Dbscan,
    /// Trees of random splits: what is alone soon is unusual.
    IsolationForest,
    /// How often and for how much customers buy (BG/NBD with Gamma-Gamma).
    BgNbd,
    /// Item weights that predict each item from all others (Steck 2019).
    Ease,
    /// Vectors of items and customers (Hu, Koren and Volinsky 2008).
    ImplicitAls,
    /// Items that the same customers had.
    ItemItem,
    /// What a customer had before.
    BuyAgain,
    /// Two models: with and without treatment.
    TLearner,
    /// Two models of imputed effects (Künzel et al. 2019).
    XLearner,
    /// A model of doubly robust effects (Kennedy 2023).
    DrLearner,
}

/// What boosted trees make small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Squared error.
    Squared,
    /// Poisson deviance, of counts.
    Poisson,
    /// Gamma deviance, of positive numbers.
    Gamma,
    /// Tweedie deviance, of numbers that are often 0.
    Tweedie,
    /// Pinball loss of a quantile.
    Quantile,
}

/// How scores are made probabilities afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationKind {
    /// A rising step function.
    Isotonic,
    /// A curve of three parameters.
    Beta,
}

impl Task {
    /// All tasks.
    pub const ALL: [Self; 8] = [
        Self::Classification,
        Self::Regression,
        Self::Clustering,
        Self::Ranking,
        Self::LifetimeValue,
        Self::Anomaly,
        Self::Recommendation,
        Self::Uplift,
    ];

    /// What can do it, the usual choice first.
    #[must_use]
    pub const fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm as A;
        match self {
            Self::Classification => &[
                A::LogisticRegression,
                A::GradientBoosting,
                A::RandomForest,
                A::DecisionTree,
                A::NaiveBayes,
            ],
            Self::Regression => &[
                A::GradientBoosting,
                A::RandomForest,
                A::DecisionTree,
                A::Ridge,
                A::ElasticNet,
                A::Poisson,
                A::Gamma,
                A::Tweedie,
            ],
            Self::Clustering => &[A::KMeans, A::GaussianMixture, A::Dbscan],
            Self::Ranking => &[A::GradientBoosting],
            Self::LifetimeValue => {
                &[A::BgNbd, A::GradientBoosting, A::Tweedie, A::Poisson, A::Ridge]
            }
            Self::Anomaly => &[A::IsolationForest, A::GaussianMixture],
            Self::Recommendation => &[A::Ease, A::ImplicitAls, A::ItemItem, A::BuyAgain],
            Self::Uplift => &[A::TLearner, A::XLearner, A::DrLearner],
        }
    }

    /// Its name, as in a spec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
            Self::Clustering => "clustering",
            Self::Ranking => "ranking",
            Self::LifetimeValue => "lifetime_value",
            Self::Anomaly => "anomaly",
            Self::Recommendation => "recommendation",
            Self::Uplift => "uplift",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Algorithm {
    /// Its name, as in a spec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogisticRegression => "logistic_regression",
            Self::Ridge => "ridge",
            Self::ElasticNet => "elastic_net",
            Self::Poisson => "poisson",
            Self::Gamma => "gamma",
            Self::Tweedie => "tweedie",
            Self::DecisionTree => "decision_tree",
            Self::RandomForest => "random_forest",
            Self::GradientBoosting => "gradient_boosting",
            Self::NaiveBayes => "naive_bayes",
            Self::KMeans => "k_means",
            Self::GaussianMixture => "gaussian_mixture",
            Self::Dbscan => "dbscan",
            Self::IsolationForest => "isolation_forest",
            Self::BgNbd => "bg_nbd",
            Self::Ease => "ease",
            Self::ImplicitAls => "implicit_als",
            Self::ItemItem => "item_item",
            Self::BuyAgain => "buy_again",
            Self::TLearner => "t_learner",
            Self::XLearner => "x_learner",
            Self::DrLearner => "dr_learner",
        }
    }

    /// Whether it reads numbers as they are, missing ones too, and categories as numbers.
    #[must_use]
    pub const fn is_tree(self) -> bool {
        matches!(
            self,
            Self::DecisionTree
                | Self::RandomForest
                | Self::GradientBoosting
                | Self::IsolationForest
                | Self::TLearner
                | Self::XLearner
                | Self::DrLearner
        )
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
