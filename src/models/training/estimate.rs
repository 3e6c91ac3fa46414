use std::collections::HashMap;

use kernel::domain::Job;
use kernel::scoring::{Encoding, FrozenModel, Lifetime, Neighbors, Recommender};
use linfa::traits::Fit as _;
use ndarray::Array2;

use crate::customers::{self, Ease, ImplicitAls, Interactions, Learner, Purchases, UpliftModel};
use crate::data::{Outcome, Prepared, TrainingSet, check, customer_share, learnable, number};
use crate::estimators::{
    Dbscan, ElasticNet, GaussianMixture, GeneralizedLinear, KMeans, LogLink, LogisticRegression,
    MultinomialRegression, NaiveBayes, PrincipalComponents, Ridge, Trained,
};
use crate::trees::{DecisionTree, GradientBoosting, Groups, IsolationForest, Loss, RandomForest};
use crate::{Algorithm, Error, ModelDefinition, ModelSpec, Objective, Result, Task};

/// All that an algorithm needs beside its spec.
pub(super) struct Learning<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) set: &'a TrainingSet,
    pub(super) outcome: &'a Outcome,
    pub(super) rows: &'a [usize],
    pub(super) job: &'a Job,
}

/// The share of customers that shows boosting when to stop.
const VALIDATION_SHARE: f64 = 0.15;
/// Rows below which nothing is held back for that.
const FEW_ROWS: usize = 400;

impl Learning<'_> {
    fn model(&self) -> &ModelDefinition {
        &self.spec.model
    }

    fn alpha(&self) -> f64 {
        self.model().alpha.unwrap_or(1.0)
    }

    /// Trains the algorithm of the spec.
    pub(super) fn fit(&self, prepared: Prepared) -> Result<FrozenModel> {
        match self.model().algorithm {
            Algorithm::BgNbd => return self.lifetime(&prepared),
            Algorithm::Ease
            | Algorithm::ImplicitAls
            | Algorithm::ItemItem
            | Algorithm::BuyAgain => {
                return self.recommender(&prepared);
            }
            _ => {}
        }
        let y = self.outcome.of_rows(self.rows);
        let Prepared { x, categorical, monotone, .. } = prepared;
        let data = learnable(x, y, self.model().balance);
        let takes_missing = self.model().algorithm.is_tree();
        check(&data, &self.outcome.classes, takes_missing)?;
        if matches!(
            self.model().algorithm,
            Algorithm::TLearner | Algorithm::XLearner | Algorithm::DrLearner
        ) {
            return self.uplift(&data, &categorical);
        }
        if let (Task::Clustering, Some(components)) = (self.spec.task, self.model().components) {
            return self.projected(&data, components);
        }
        self.estimate(&data, categorical, monotone)
    }

    /// Classes as estimators take them: none of a number.
    fn classes(&self) -> Vec<String> {
        self.outcome.classes.clone()
    }

    fn estimate(
        &self,
        data: &crate::estimators::Data,
        categorical: Vec<bool>,
        monotone: Vec<i8>,
    ) -> Result<FrozenModel> {
        let (model, job) = (self.model(), self.job);
        let (alpha, seed, classes) = (self.alpha(), model.seed, self.classes());
        let clusters = || model.clusters.unwrap_or(4);
        let min_rows = |usual: usize| model.min_rows.unwrap_or(usual);
        let fitted = match model.algorithm {
            Algorithm::LogisticRegression if classes.len() > 2 => {
                MultinomialRegression { classes, alpha, job }.fit(data)
            }
            Algorithm::LogisticRegression => LogisticRegression { alpha, job }.fit(data),
            Algorithm::Ridge => Ridge { alpha, job }.fit(data),
            Algorithm::ElasticNet => ElasticNet {
                alpha: model.alpha.unwrap_or(0.01),
                l1_ratio: model.l1_ratio.unwrap_or(0.5),
                job,
            }
            .fit(data),
            Algorithm::Poisson => {
                GeneralizedLinear { link: LogLink::Poisson, alpha, job }.fit(data)
            }
            Algorithm::Gamma => GeneralizedLinear { link: LogLink::Gamma, alpha, job }.fit(data),
            Algorithm::Tweedie => {
                let link = LogLink::Tweedie(model.power.unwrap_or(1.5));
                GeneralizedLinear { link, alpha, job }.fit(data)
            }
            Algorithm::NaiveBayes => NaiveBayes { classes, job }.fit(data),
            Algorithm::DecisionTree => DecisionTree {
                classes,
                depth: model.depth.unwrap_or(6),
                leaves: model.leaves.unwrap_or(32),
                min_rows: min_rows(20),
                categorical,
                job,
            }
            .fit(data),
            Algorithm::RandomForest => RandomForest {
                classes,
                trees: model.trees.unwrap_or(100),
                depth: model.depth.unwrap_or(12),
                leaves: model.leaves.unwrap_or(512),
                min_rows: min_rows(5),
                columns: model.columns,
                categorical,
                seed,
                job,
            }
            .fit(data),
            Algorithm::GradientBoosting => {
                let boosting = self.boosting(self.loss(), categorical, monotone);
                boosting.fit(data)
            }
            Algorithm::IsolationForest => {
                IsolationForest { trees: model.trees.unwrap_or(200), sample: 256, seed, job }
                    .fit(data)
            }
            Algorithm::KMeans => KMeans { clusters: clusters(), starts: 10, seed, job }.fit(data),
            Algorithm::GaussianMixture => GaussianMixture {
                components: clusters(),
                is_anomaly: self.spec.task == Task::Anomaly,
                seed,
                job,
            }
            .fit(data),
            Algorithm::Dbscan => Dbscan {
                radius: model.radius.unwrap_or_else(|| usual_radius(data.records().ncols())),
                min_rows: min_rows(10),
                job,
            }
            .fit(data),
            other => return Err(Error::Spec(format!("{other} is not for {}", self.spec.task))),
        };
        fitted.map(|Trained(model)| model)
    }

    fn projected(&self, data: &crate::estimators::Data, components: usize) -> Result<FrozenModel> {
        let components = components.min(data.records().ncols());
        let principal = PrincipalComponents { components, job: self.job }.fit(data)?;
        let along = |row: usize, axis: &[f64]| {
            data.records().row(row).iter().zip(axis).map(|(x, a)| x * a).sum::<f64>()
        };
        let shape = (data.records().nrows(), components);
        let x = Array2::from_shape_fn(shape, |(row, axis)| along(row, &principal.axes[axis]));
        let data = learnable(x, data.targets().to_vec(), false);
        let model = Box::new(self.estimate(&data, Vec::new(), Vec::new())?);
        Ok(FrozenModel::Projected { axes: principal.axes, model })
    }

    fn loss(&self) -> Loss {
        let model = self.model();
        match (self.spec.task, model.objective) {
            (Task::Classification, _) if self.outcome.classes.len() > 2 => {
                Loss::Softmax(self.outcome.classes.len())
            }
            (Task::Classification, _) => Loss::Logistic,
            (Task::Ranking, _) => Loss::Pairs(self.groups()),
            (_, Some(Objective::Poisson)) => Loss::Poisson,
            (_, Some(Objective::Gamma)) => Loss::Gamma,
            (_, Some(Objective::Tweedie)) => Loss::Tweedie(model.power.unwrap_or(1.5)),
            (_, Some(Objective::Quantile)) => Loss::Quantile(model.quantile.unwrap_or(0.5)),
            // What a customer is worth is often nothing: a Tweedie deviance fits that.
            (Task::LifetimeValue, None) => Loss::Tweedie(model.power.unwrap_or(1.5)),
            (_, Some(Objective::Squared) | None) => Loss::Squared,
        }
    }

    fn boosting(
        &self,
        loss: Loss,
        categorical: Vec<bool>,
        monotone: Vec<i8>,
    ) -> GradientBoosting<'_> {
        let model = self.model();
        let mut validation = Vec::new();
        if self.rows.len() >= FEW_ROWS {
            let is_held_back = |row: usize| {
                customer_share(&self.set.customers[row], model.seed ^ 0x57) < VALIDATION_SHARE
            };
            let places = (0_u32..).zip(self.rows);
            validation = places.filter(|(_, row)| is_held_back(**row)).map(|(at, _)| at).collect();
        }
        let classes = match loss {
            Loss::Softmax(_) => self.classes(),
            _ => Vec::new(),
        };
        GradientBoosting {
            classes,
            rounds: model.trees.unwrap_or(500),
            learning_rate: model.learning_rate.unwrap_or(0.05),
            leaves: model.leaves.unwrap_or(15),
            depth: model.depth.unwrap_or(64),
            min_rows: model.min_rows.unwrap_or(20),
            lambda: model.lambda.unwrap_or(1.0),
            subsample: model.subsample.unwrap_or(0.8),
            columns: model.columns.unwrap_or(0.8),
            categorical,
            monotone,
            validation,
            patience: Some(model.early_stopping.unwrap_or(40)),
            seed: model.seed,
            ..GradientBoosting::new(loss, self.job)
        }
    }

    /// The rows of each list, as places among the training rows.
    fn groups(&self) -> Groups {
        let keys = list_keys(self.spec, self.set);
        let mut groups: std::collections::BTreeMap<&str, Vec<u32>> = Default::default();
        for (at, row) in (0_u32..).zip(self.rows) {
            groups.entry(keys[*row].as_str()).or_default().push(at);
        }
        Groups(groups.into_values().collect())
    }

    fn uplift(&self, data: &crate::estimators::Data, categorical: &[bool]) -> Result<FrozenModel> {
        let treated = treated(self.spec, self.set)?;
        let treated: Vec<bool> = self.rows.iter().map(|row| treated[*row]).collect();
        let is_binary = data.targets().iter().all(|y| *y == 0.0 || *y == 1.0);
        let boosting = GradientBoosting {
            rounds: self.model().trees.unwrap_or(100),
            ..self.boosting(Loss::Squared, categorical.to_vec(), Vec::new())
        };
        let learner = match self.model().algorithm {
            Algorithm::XLearner => Learner::Crossed,
            Algorithm::DrLearner => Learner::DoublyRobust,
            _ => Learner::Two,
        };
        let model = UpliftModel { learner, is_binary, boosting: &boosting, job: self.job };
        model.fit(data, &treated)
    }

    fn lifetime(&self, prepared: &Prepared) -> Result<FrozenModel> {
        let Some(section) = &self.spec.lifetime else {
            return Err(Error::Spec("bg_nbd needs a section [lifetime]".to_owned()));
        };
        let names = [Some(&section.frequency), Some(&section.recency), Some(&section.age)];
        let names = names.into_iter().chain([section.value.as_ref()]).flatten();
        let mut columns = Vec::new();
        for name in names {
            columns.push(self.column_of(prepared, name.as_str())?);
        }
        #[allow(clippy::cast_precision_loss, reason = "microseconds of a unit")]
        let days = |span: kernel::domain::Span| {
            span.micros() as f64 / kernel::domain::MICROS_PER_DAY as f64
        };
        let unit_days = days(section.unit);
        let customers: Vec<Purchases> = prepared
            .x
            .rows()
            .into_iter()
            .map(|row| Purchases::of_row(&row.to_vec(), &columns, unit_days))
            .collect();
        let (purchases, _) = customers::fit_beta_geometric(&customers, self.job)?;
        let value = match columns.len() {
            4 => Some(customers::fit_gamma_gamma(&customers, self.job)?),
            _ => None,
        };
        let (width, horizon) = (prepared.x.ncols(), days(section.horizon) / unit_days);
        let model = Lifetime { purchases, value, columns, width, unit_days, horizon };
        Ok(FrozenModel::Lifetime(model))
    }

    /// The column that a feature has.
    fn column_of(&self, prepared: &Prepared, feature: &str) -> Result<usize> {
        let mut place = 0;
        for column in &prepared.encoder.columns {
            if column.feature == feature {
                return match column.encoding {
                    Encoding::Plain => Ok(place),
                    _ => Err(Error::Data(format!("the feature '{feature}' is no number"))),
                };
            }
            place += column.encoding.width();
        }
        let known = prepared.encoder.columns.iter().map(|column| column.feature.as_str());
        let hint = kernel::domain::did_you_mean(feature, known);
        Err(Error::Spec(format!("the view has no feature '{feature}'{hint}")))
    }

    fn recommender(&self, prepared: &Prepared) -> Result<FrozenModel> {
        let (model, job) = (self.model(), self.job);
        let items = items_of(prepared)?;
        let data = interactions(self.set, self.rows, prepared);
        let neighbors = match model.algorithm {
            Algorithm::ImplicitAls => ImplicitAls {
                factors: model.factors.unwrap_or(64),
                iterations: model.iterations.unwrap_or(15),
                regularization: model.lambda.unwrap_or(10.0),
                confidence: model.alpha.unwrap_or(10.0),
                seed: model.seed,
                job,
            }
            .fit(&data)?,
            Algorithm::ItemItem => customers::item_item(&data, job)?,
            Algorithm::BuyAgain => {
                if data.rows.iter().all(Vec::is_empty) {
                    return Err(Error::Data("no customer has an item".to_owned()));
                }
                Neighbors::BuyAgain
            }
            _ => Ease { lambda: model.lambda.unwrap_or(400.0), job }.fit(&data)?,
        };
        let repeats = model.algorithm == Algorithm::BuyAgain
            || self.spec.recommendation.as_ref().is_some_and(|section| section.repeats);
        let category = |item: &String| self.set.item_categories.get(item).cloned();
        Ok(FrozenModel::Recommender(Recommender {
            categories: items.iter().map(category).collect(),
            items,
            popularity: data.popularity(),
            repeats,
            neighbors,
        }))
    }
}

/// A radius that rows of so many standardized columns are within of some others.
fn usual_radius(columns: usize) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a number of columns")]
    let columns = columns as f64;
    0.6 * columns.sqrt()
}

/// The items of an encoder.
fn items_of(prepared: &Prepared) -> Result<Vec<String>> {
    let items = prepared.encoder.columns.iter().find_map(|column| match &column.encoding {
        Encoding::Items { items } => Some(items.clone()),
        _ => None,
    });
    items.ok_or_else(|| {
        Error::Data(
            "no item has enough customers: recommendation, items must name a feature that is a list or \
             a histogram of items"
                .to_owned(),
        )
    })
}

/// The items of each customer, as of the last of their rows: a customer who is in several counts once.
pub(super) fn interactions(set: &TrainingSet, rows: &[usize], prepared: &Prepared) -> Interactions {
    let columns = prepared.encoder.columns.iter().zip(&set.features.values);
    let found =
        columns.clone().find(|(column, _)| matches!(column.encoding, Encoding::Items { .. }));
    let Some((column, values)) = found else { return Interactions::default() };
    let mut encoded = Vec::new();
    let mut items_of_row = |row: &usize| {
        encoded.clear();
        column.encoding.encode_into(&values.value(*row), &mut encoded);
        #[allow(clippy::cast_possible_truncation, reason = "a number of events")]
        let items = (0_u32..).zip(&encoded).filter(|(_, n)| **n > 0.0).map(|(i, n)| (i, *n as f32));
        items.collect()
    };
    Interactions {
        n_items: column.encoding.width(),
        rows: last_of_customers(set, rows).iter().map(&mut items_of_row).collect(),
    }
}

/// Of the rows of each customer the one with the last as-of time, in the order of the rows.
fn last_of_customers(set: &TrainingSet, rows: &[usize]) -> Vec<usize> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let known = last.entry(&set.customers[*row]).or_insert(*row);
        if set.times[*known] <= set.times[*row] {
            *known = *row;
        }
    }
    let is_last = |row: &&usize| last.get(&*set.customers[**row]) == Some(*row);
    rows.iter().filter(is_last).copied().collect()
}

/// The column of a feature that a section names.
fn feature<'s>(
    set: &'s TrainingSet,
    name: &str,
    section: &str,
) -> Result<&'s kernel::features::Column> {
    let place = set.features.columns.iter().position(|(known, _)| known.as_str() == name);
    place.map(|place| &set.features.values[place]).ok_or_else(|| {
        let known = set.features.columns.iter().map(|(known, _)| known.as_str());
        let hint = kernel::domain::did_you_mean(name, known);
        Error::Spec(format!("{section}: the view has no feature '{name}'{hint}"))
    })
}

/// Which rows were treated.
pub(super) fn treated(spec: &ModelSpec, set: &TrainingSet) -> Result<Vec<bool>> {
    let Some(section) = &spec.uplift else {
        return Err(Error::Spec("uplift needs a section [uplift]".to_owned()));
    };
    let column = feature(set, section.treatment.as_str(), "uplift, treatment")?;
    Ok((0..set.n_rows())
        .map(|row| number(&column.value(row)).is_some_and(|number| number > 0.0))
        .collect())
}

/// What rows of one list have in common.
pub(super) fn list_keys(spec: &ModelSpec, set: &TrainingSet) -> Vec<String> {
    let group = spec.ranking.as_ref().and_then(|ranking| ranking.group.as_ref());
    let column = group.and_then(|name| feature(set, name.as_str(), "ranking, group").ok());
    (0..set.n_rows())
        .map(|row| match column {
            Some(column) => format!("{}/{}", set.customers[row], column.value(row)),
            None => format!("{}/{}", set.customers[row], set.times[row].0),
        })
        .collect()
}
