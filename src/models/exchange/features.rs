use kernel::scoring::{Branch, Encoding, FrozenModel, Multinomial, Trees};

use super::{Imported, refused};
use crate::Result;

/// A model whose columns are features of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// The encoding of each feature, in the order of the view. Features that the model does not read are dropped.
    pub encodings: Vec<Encoding>,
    /// The model, which reads its columns in the order of the view.
    pub model: FrozenModel,
    /// How the columns were matched, where users should know.
    pub remark: Option<String>,
}

impl Imported {
    /// Matches columns with features: by name if the file names features of the view, otherwise by position.
    ///
    /// # Errors
    /// Some names are features and others are not, a name occurs twice, or the file names no features and has
    /// another number of columns.
    pub fn matched(self, features: &[&str]) -> Result<Matched> {
        let n = self.encodings.len();
        let place = |name: &String| features.iter().position(|feature| feature == name);
        let places: Vec<Option<usize>> = self.names.iter().map(place).collect();
        let lists = || {
            format!("its columns are {}; the view has {}", listed(&self.names), listed(features))
        };
        if places.iter().all(Option::is_none) {
            return self.by_position(features);
        }
        let Some(places) = places.iter().copied().collect::<Option<Vec<usize>>>() else {
            let unknown = places.iter().zip(&self.names).find(|(place, _)| place.is_none());
            let name = unknown.map_or("", |(_, name)| name);
            return Err(refused(format!(
                "the column '{name}' is not a feature of the view: {}; rename the features of the view to the \
                 columns of the model",
                lists()
            )));
        };
        let mut columns = vec![None; features.len()];
        for (column, place) in places.iter().enumerate() {
            if columns[*place].replace(column).is_some() {
                let name = features[*place];
                return Err(refused(format!("it has two columns with the name '{name}'")));
            }
        }
        let encoding = |column: &Option<usize>| match column {
            Some(column) => self.encodings[*column].clone(),
            None => Encoding::Dropped,
        };
        let encodings = columns.iter().map(encoding).collect();
        // Column `order[i]` of the file becomes column `i`.
        let order: Vec<usize> = columns.into_iter().flatten().collect();
        let is_same = order.iter().enumerate().all(|(new, old)| new == *old);
        let remark =
            (!is_same).then(|| format!("columns are matched with features by name: {}", lists()));
        let model = if is_same { self.model } else { reordered(self.model, &order)? };
        debug_assert_eq!(model.width(), n, "no column is lost");
        Ok(Matched { encodings, model, remark })
    }

    fn by_position(self, features: &[&str]) -> Result<Matched> {
        let (n, n_features) = (self.encodings.len(), features.len());
        let names = match self.names.is_empty() {
            true => "the file does not name its columns".to_owned(),
            false => format!("no column of the file is a feature: {}", listed(&self.names)),
        };
        if n != n_features {
            return Err(refused(format!(
                "the model reads {n} columns, the view has {n_features} features; make a view of the features \
                 that the model was trained on, in their order ({names})"
            )));
        }
        let remark =
            format!("{names}; they are read in the order of the view: {}", listed(features));
        Ok(Matched { encodings: self.encodings, model: self.model, remark: Some(remark) })
    }
}

/// At most 20 names, separated by commas.
fn listed(names: &[impl AsRef<str>]) -> String {
    const MOST_LISTED: usize = 20;
    let listed: Vec<&str> = names.iter().take(MOST_LISTED).map(AsRef::as_ref).collect();
    let rest = names.len().saturating_sub(MOST_LISTED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    listed.join(", ") + &more
}

/// The model for rows in which column `order[i]` is at `i`.
fn reordered(model: FrozenModel, order: &[usize]) -> Result<FrozenModel> {
    let pick = |weights: &[f64]| order.iter().map(|old| weights[*old]).collect::<Vec<f64>>();
    Ok(match model {
        FrozenModel::LinearRegression { intercept, weights } => {
            FrozenModel::LinearRegression { intercept, weights: pick(&weights) }
        }
        FrozenModel::LogisticRegression { intercept, weights } => {
            FrozenModel::LogisticRegression { intercept, weights: pick(&weights) }
        }
        FrozenModel::LogLinear { intercept, weights } => {
            FrozenModel::LogLinear { intercept, weights: pick(&weights) }
        }
        FrozenModel::Multinomial(model) => {
            let weights = model.weights().iter().map(|weights| pick(weights)).collect();
            let (classes, intercepts) = (model.classes().to_vec(), model.intercepts().to_vec());
            FrozenModel::Multinomial(Multinomial::new(classes, intercepts, weights))
        }
        FrozenModel::Trees(trees) => {
            let mut place = vec![0; order.len()];
            order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
            let mut moved = Trees::new(
                trees.width(),
                trees.base().to_vec(),
                trees.link(),
                trees.classes().to_vec(),
            );
            for mut branches in trees.branches() {
                for branch in &mut branches {
                    if let Branch::Split { column, .. } = branch {
                        *column = place[*column];
                    }
                }
                moved.push(&branches).map_err(refused)?;
            }
            FrozenModel::Trees(moved)
        }
        other => other,
    })
}
