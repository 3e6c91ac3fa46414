use kernel::domain::Job;
use kernel::scoring::{Branch, FrozenModel, Link, Trees};
use linfa::traits::Fit;
use ndarray::{Array1, Array2, Axis};

use crate::estimators::{Data, Trained};
use crate::trees::{GradientBoosting, Loss};
use crate::{Error, Result};

/// How an effect is learned from treated rows and others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// A model of the treated minus one of the others (Künzel et al. 2019).
    Two,
    /// Models of the effects that each group's model says of the other group (the same).
    Crossed,
    /// A model of effects that are right if either the outcome or the treatment is modeled rightly, from
    /// models of other rows (Kennedy 2023).
    DoublyRobust,
}

/// Learns what acting on a customer changes.
#[derive(Clone, Copy, Debug)]
pub struct UpliftModel<'a> {
    /// How.
    pub learner: Learner,
    /// Whether outcomes are 0 and 1.
    pub is_binary: bool,
    /// The parameters of all trees.
    pub boosting: &'a GradientBoosting<'a>,
    /// What can be canceled.
    pub job: &'a Job,
}

/// The fewest rows of each group.
const FEWEST_ROWS: usize = 50;
/// Parts of the rows; outcomes of one are said by a model of the others.
const FOLDS: usize = 2;

impl UpliftModel<'_> {
    /// Learns from rows, which of them were treated, and their outcomes.
    ///
    /// # Errors
    /// A group is too small, or it was canceled.
    pub fn fit(&self, data: &Data, treated: &[bool]) -> Result<FrozenModel> {
        let n_treated = treated.iter().filter(|treated| **treated).count();
        let n_others = treated.len() - n_treated;
        if n_treated < FEWEST_ROWS || n_others < FEWEST_ROWS {
            return Err(Error::Data(format!(
                "{n_treated} rows were treated and {n_others} were not; an effect needs a control group: \
                 at least {FEWEST_ROWS} rows of each"
            )));
        }
        let all = |_: usize| true;
        match self.learner {
            Learner::Two => {
                let model = |group| self.outcome(data, treated, group, &all).map(Box::new);
                Ok(FrozenModel::Uplift { treated: model(true)?, control: Some(model(false)?) })
            }
            Learner::Crossed => self.crossed(data, treated),
            Learner::DoublyRobust => self.doubly_robust(data, treated),
        }
    }

    /// A model of the outcome of one group.
    fn outcome(
        &self,
        data: &Data,
        treated: &[bool],
        group: bool,
        is_in: &dyn Fn(usize) -> bool,
    ) -> Result<FrozenModel> {
        let own = |row: &usize| treated[*row] == group && is_in(*row);
        let rows: Vec<usize> = (0..treated.len()).filter(own).collect();
        let loss = if self.is_binary { Loss::Logistic } else { Loss::Squared };
        self.boost(data, &rows, data.targets().select(Axis(0), &rows), loss)
    }

    fn boost(
        &self,
        data: &Data,
        rows: &[usize],
        y: Array1<f64>,
        loss: Loss,
    ) -> Result<FrozenModel> {
        if self.job.is_canceled() {
            return Err(Error::Canceled);
        }
        let x: Array2<f64> = data.records().select(Axis(0), rows);
        let boosting = GradientBoosting {
            loss,
            validation: Vec::new(),
            patience: None,
            ..self.boosting.clone()
        };
        let Trained(model) = boosting.fit(&Data::new(x, y))?;
        Ok(model)
    }

    fn crossed(&self, data: &Data, treated: &[bool]) -> Result<FrozenModel> {
        let all = |_: usize| true;
        let (with, without) =
            (self.outcome(data, treated, true, &all)?, self.outcome(data, treated, false, &all)?);
        let effects = |group: bool, other: &FrozenModel| {
            let rows: Vec<usize> =
                (0..treated.len()).filter(|row| treated[*row] == group).collect();
            let effect = |row: &usize| {
                let said = other.score(&data.records().row(*row).to_vec());
                let own = data.targets()[*row];
                if group { own - said } else { said - own }
            };
            let y = rows.iter().map(effect).collect();
            self.boost(data, &rows, y, Loss::Squared)
        };
        let (of_treated, of_others) = (effects(true, &without)?, effects(false, &with)?);
        #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
        let share =
            treated.iter().filter(|treated| **treated).count() as f64 / treated.len() as f64;
        // Where few were treated, what the many others say of them counts most.
        let model = weighted(&[(share, of_others), (1.0 - share, of_treated)])?;
        Ok(FrozenModel::Uplift { treated: Box::new(model), control: None })
    }

    fn doubly_robust(&self, data: &Data, treated: &[bool]) -> Result<FrozenModel> {
        let n = treated.len();
        #[allow(clippy::cast_precision_loss, reason = "numbers of rows")]
        let share = treated.iter().filter(|treated| **treated).count() as f64 / n as f64;
        let mut effects = Array1::zeros(n);
        for fold in 0..FOLDS {
            let is_in = |row: usize| row % FOLDS != fold;
            let with = self.outcome(data, treated, true, &is_in)?;
            let without = self.outcome(data, treated, false, &is_in)?;
            for row in (0..n).filter(|row| !is_in(*row)) {
                let x = data.records().row(row).to_vec();
                let (with, without, y) = (with.score(&x), without.score(&x), data.targets()[row]);
                let left = match treated[row] {
                    true => (y - with) / share,
                    false => -(y - without) / (1.0 - share),
                };
                effects[row] = with - without + left;
            }
        }
        let rows: Vec<usize> = (0..n).collect();
        let model = self.boost(data, &rows, effects, Loss::Squared)?;
        Ok(FrozenModel::Uplift { treated: Box::new(model), control: None })
    }
}

/// Trees of several models as one, each with its share.
fn weighted(models: &[(f64, FrozenModel)]) -> Result<FrozenModel> {
    let trees = |model: &FrozenModel| match model {
        FrozenModel::Trees(trees) => Ok(trees.clone()),
        _ => Err(Error::Training("only trees are added up".to_owned())),
    };
    let mut base = 0.0;
    let mut width = 0;
    let mut all = Vec::new();
    for (share, model) in models {
        let trees = trees(model)?;
        base += share * trees.base().first().copied().unwrap_or(0.0);
        width = width.max(trees.width());
        for mut branches in trees.branches() {
            for branch in &mut branches {
                if let Branch::Leaf { value, .. } = branch {
                    *value *= share;
                }
            }
            all.push(branches);
        }
    }
    let mut sum = Trees::new(width, vec![base], Link::Identity, Vec::new());
    for branches in all {
        sum.push(&branches).map_err(Error::Training)?;
    }
    Ok(FrozenModel::Trees(sum))
}
