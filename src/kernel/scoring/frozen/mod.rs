//! Trained models as plain data: all that is needed to score, nothing of what trained them.
//!
//! In: an encoded row. Out: a score, what it is made of, and what each column adds to it. Every model is
//! checked once, when its function is read; scoring then cannot fail, and allocates nothing but the items of
//! a recommendation and shares of more than sixteen classes.

mod calibration;
mod clusters;
mod lifetime;
mod linear;
mod recommender;
mod shap;
mod trees;
mod trees_file;
mod walk;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use calibration::Calibration;
pub use clusters::{CorePoints, GaussianBayes, Mixture, Segments};
pub use lifetime::{BetaGeometric, GammaGamma, Lifetime};
pub use linear::Multinomial;
pub use recommender::{Neighbors, Recommendation, Recommender, Wish};
pub use trees::{Branch, Link, MAX_COLUMNS, MAX_NODES, MAX_OUTPUTS, MAX_TREE_DEPTH, Split, Trees};

/// A number of each class, segment or component; few need no memory of their own.
pub type Shares = SmallVec<[f64; 16]>;

/// A trained model as plain numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case", deny_unknown_fields)]
pub enum FrozenModel {
    /// Probability `1 / (1 + exp(-(intercept + weights . x)))` of the positive class.
    LogisticRegression {
        /// The intercept.
        intercept: f64,
        /// A weight for each encoded column.
        weights: Vec<f64>,
    },
    /// `intercept + weights . x`.
    LinearRegression {
        /// The intercept.
        intercept: f64,
        /// A weight for each encoded column.
        weights: Vec<f64>,
    },
    /// `exp(intercept + weights . x)`: a mean of a Poisson, gamma or Tweedie distribution.
    LogLinear {
        /// The intercept.
        intercept: f64,
        /// A weight for each encoded column.
        weights: Vec<f64>,
    },
    /// One linear sum a class, through the softmax.
    Multinomial(Multinomial),
    /// Trees that are added up.
    Trees(Trees),
    /// Independent normal columns in each class.
    GaussianBayes(GaussianBayes),
    /// The nearest center.
    Segments(Segments),
    /// The most likely of several normal distributions, or how unlikely a row is under all of them.
    Mixture(Mixture),
    /// The cluster of the nearest core point of DBSCAN.
    CorePoints(CorePoints),
    /// What a customer may want next.
    Recommender(Recommender),
    /// What a customer will be worth.
    Lifetime(Lifetime),
    /// What acting on a customer changes: one model minus another, or a model of the difference.
    Uplift {
        /// Outcome with treatment.
        treated: Box<FrozenModel>,
        /// Outcome without; none if the first model says the difference itself.
        control: Option<Box<FrozenModel>>,
    },
    /// A model of principal components.
    Projected {
        /// The direction of each component.
        axes: Vec<Vec<f64>>,
        /// What reads the components.
        model: Box<FrozenModel>,
    },
    /// A model whose score is made a probability afterwards.
    Calibrated {
        /// The model.
        model: Box<FrozenModel>,
        /// From its score to a probability.
        calibration: Calibration,
    },
}

/// What a model says beside one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// The share or probability of each class, or of each segment, by name, in the order of the model.
    Classes(Vec<(String, f64)>),
    /// Items, best first.
    Items(Vec<Recommendation>),
}

impl FrozenModel {
    /// The number of encoded columns that it reads; none if it takes any.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::LogisticRegression { weights, .. }
            | Self::LinearRegression { weights, .. }
            | Self::LogLinear { weights, .. } => weights.len(),
            Self::Multinomial(model) => model.width(),
            Self::Trees(trees) => trees.width(),
            Self::GaussianBayes(bayes) => bayes.width(),
            Self::Segments(segments) => segments.width(),
            Self::Mixture(mixture) => mixture.width(),
            Self::CorePoints(points) => points.width(),
            Self::Recommender(recommender) => recommender.width(),
            Self::Lifetime(lifetime) => lifetime.width,
            Self::Projected { axes, .. } => axes.first().map_or(0, Vec::len),
            Self::Uplift { treated, .. } => treated.width(),
            Self::Calibrated { model, .. } => model.width(),
        }
    }

    /// Whether all of its numbers are finite and its parts fit each other.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::LogisticRegression { intercept, weights }
            | Self::LinearRegression { intercept, weights }
            | Self::LogLinear { intercept, weights } => {
                are_finite("weights", std::iter::once(intercept).chain(weights))
            }
            Self::Multinomial(model) => model.check(),
            Self::Trees(trees) => trees.check(),
            Self::GaussianBayes(bayes) => bayes.check(),
            Self::Segments(segments) => segments.check(),
            Self::Mixture(mixture) => mixture.check(),
            Self::CorePoints(points) => points.check(),
            Self::Recommender(recommender) => recommender.check(),
            Self::Lifetime(lifetime) => lifetime.check(),
            Self::Uplift { treated, control } => {
                treated.check()?;
                let Some(control) = control else { return Ok(()) };
                control.check()?;
                match treated.width() == control.width() {
                    true => Ok(()),
                    false => Err("the models of an uplift read different columns".to_owned()),
                }
            }
            Self::Projected { axes, model } => {
                model.check()?;
                let width = axes.first().map_or(0, Vec::len);
                if model.width() != axes.len() || axes.iter().any(|axis| axis.len() != width) {
                    return Err("the components do not fit their model".to_owned());
                }
                are_finite("components", axes.iter().flatten())
            }
            Self::Calibrated { model, calibration } => {
                model.check()?;
                calibration.check()
            }
        }
    }

    /// The score of an encoded row. Of classes the largest probability, of segments the number of the
    /// segment, of items the score of the best one.
    #[must_use]
    pub fn score(&self, row: &[f64]) -> f64 {
        match self {
            Self::LogisticRegression { intercept, weights } => {
                logistic(linear::sum(*intercept, weights, row))
            }
            Self::LinearRegression { intercept, weights } => linear::sum(*intercept, weights, row),
            Self::LogLinear { intercept, weights } => linear::sum(*intercept, weights, row).exp(),
            Self::Multinomial(model) => largest(&model.probabilities(row)),
            Self::Trees(trees) => trees.score(row),
            Self::GaussianBayes(bayes) => bayes.score(row),
            Self::Segments(segments) => segments.score(row),
            Self::Mixture(mixture) => mixture.score(row),
            Self::CorePoints(points) => points.score(row),
            Self::Recommender(recommender) => recommender.best_score(row),
            Self::Lifetime(lifetime) => lifetime.value(row),
            Self::Uplift { treated, control } => {
                treated.score(row) - control.as_ref().map_or(0.0, |control| control.score(row))
            }
            Self::Projected { axes, model } => model.score(&projected(axes, row)),
            Self::Calibrated { model, calibration } => calibration.apply(model.score(row)),
        }
    }

    /// What it says beside the score, where it says more than one number.
    #[must_use]
    pub fn detail(&self, row: &[f64]) -> Option<Detail> {
        match self {
            Self::Multinomial(model) => named(model.classes(), model.probabilities(row)),
            Self::Trees(trees) => named(trees.classes(), trees.shares(row)),
            Self::GaussianBayes(bayes) => named(bayes.classes(), bayes.probabilities(row)),
            Self::Segments(segments) => named(segments.names(), segments.shares(row)),
            Self::Mixture(mixture) => named(mixture.names(), mixture.shares(row)),
            Self::CorePoints(points) => named(points.names(), points.shares(row)),
            Self::Projected { axes, model } => model.detail(&projected(axes, row)),
            Self::Calibrated { model, .. } => model.detail(row),
            Self::Recommender(recommender) => {
                Some(Detail::Items(recommender.recommend(row, &Wish::default())))
            }
            _ => None,
        }
    }

    /// Whether it says more than one number.
    #[must_use]
    pub fn says_more(&self) -> bool {
        match self {
            Self::Multinomial(_)
            | Self::Segments(_)
            | Self::CorePoints(_)
            | Self::Recommender(_) => true,
            Self::Trees(trees) => !trees.classes().is_empty(),
            Self::GaussianBayes(bayes) => !bayes.classes().is_empty(),
            Self::Mixture(mixture) => !mixture.names().is_empty(),
            Self::Calibrated { model, .. } | Self::Projected { model, .. } => model.says_more(),
            _ => false,
        }
    }

    /// The probability of each class, for evaluation; of one number none.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Multinomial(model) => model.classes(),
            Self::Trees(trees) => trees.classes(),
            Self::GaussianBayes(bayes) => bayes.classes(),
            Self::Calibrated { model, .. } => model.classes(),
            _ => &[],
        }
    }

    /// The scores of all classes of a row, in the order of [`Self::classes`].
    #[must_use]
    pub fn probabilities(&self, row: &[f64]) -> Shares {
        match self {
            Self::Multinomial(model) => model.probabilities(row),
            Self::Trees(trees) => trees.shares(row),
            Self::GaussianBayes(bayes) => bayes.probabilities(row),
            Self::Calibrated { model, .. } => model.probabilities(row),
            _ => Shares::new(),
        }
    }

    /// What each encoded column adds, on the scale on which the model adds up (log-odds for a
    /// classification), against the mean training row. Linear models and trees say it exactly (Shapley
    /// values); of others each column is replaced by the mean, one at a time.
    #[must_use]
    pub fn contributions(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::LogisticRegression { weights, .. }
            | Self::LinearRegression { weights, .. }
            | Self::LogLinear { weights, .. } => {
                // Columns are standardized: the mean row is 0.
                weights.iter().zip(row).map(|(w, x)| w * x).collect()
            }
            Self::Multinomial(model) => model.contributions(row),
            Self::Trees(trees) => trees.contributions(largest_at(&trees.shares(row)), row),
            Self::Calibrated { model, .. } => model.contributions(row),
            Self::Uplift { treated, control: Some(control) } => {
                let treated = treated.contributions(row);
                treated.iter().zip(control.contributions(row)).map(|(t, c)| t - c).collect()
            }
            Self::Uplift { treated, control: None } => treated.contributions(row),
            other => other.effects(row),
        }
    }

    /// What the score loses when a column is the mean one: not exact, and enough where nothing is.
    fn effects(&self, row: &[f64]) -> Vec<f64> {
        let score = self.score(row);
        let mut other = row.to_vec();
        (0..row.len())
            .map(|column| {
                let own = std::mem::replace(&mut other[column], 0.0);
                let effect = score - self.score(&other);
                other[column] = own;
                if effect.is_finite() { effect } else { 0.0 }
            })
            .collect()
    }
}

/// A row along the directions of components.
fn projected(axes: &[Vec<f64>], row: &[f64]) -> Shares {
    axes.iter().map(|axis| linear::sum(0.0, axis, row)).collect()
}

fn are_finite<'n>(
    what: &str,
    mut numbers: impl Iterator<Item = &'n f64> + Clone,
) -> Result<(), String> {
    match numbers.all(|number| number.is_finite()) {
        true => Ok(()),
        false => Err(format!("the model has {what} that are not finite")),
    }
}

fn named(names: &[String], shares: Shares) -> Option<Detail> {
    let all = names.iter().cloned().zip(shares);
    (!names.is_empty()).then(|| Detail::Classes(all.collect()))
}

fn largest(shares: &[f64]) -> f64 {
    shares.iter().copied().fold(0.0, f64::max)
}

/// The place of the largest number, the first of equal ones.
fn largest_at(shares: &[f64]) -> usize {
    let mut best = 0;
    for (place, share) in shares.iter().enumerate() {
        if *share > shares[best] {
            best = place;
        }
    }
    best
}

/// The logistic function, without overflow on either side.
#[must_use]
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Exponentials divided by their sum, without overflow.
#[must_use]
pub fn softmax(mut sums: Shares) -> Shares {
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for sum in &mut sums {
        *sum = (*sum - most).exp();
        total += *sum;
    }
    sums.iter_mut().for_each(|sum| *sum /= total);
    sums
}
