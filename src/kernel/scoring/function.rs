use std::cell::RefCell;

use super::{Detail, FrozenModel, FunctionError, FunctionFile, Recommendation, Wish};
use crate::domain::{Name, Time, Value};
use crate::features::{AsOf, Bound, LiveTimeline, Timelines, View};

/// A scoring function, ready to score: checked, its view compiled.
#[derive(Clone, Debug)]
pub struct ScoringFunction {
    file: FunctionFile,
    view: View,
}

/// A score of one customer as of a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The score; for classification the probability of the positive class.
    pub score: f64,
    /// Whether the customer had an event before the time.
    pub known: bool,
    /// The values of the features that were read, in the order of the view.
    pub features: Vec<Value>,
}

/// What a feature adds to a score, on the scale of the model (log-odds for classification), against
/// the mean training row.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The feature.
    pub feature: Name,
    /// Its value.
    pub value: Value,
    /// What it adds.
    pub contribution: f64,
}

impl ScoringFunction {
    /// Checks that the parts of a file fit each other.
    ///
    /// # Errors
    /// The view makes no sense, or encoder and model are of another shape.
    pub fn new(file: FunctionFile) -> Result<Self, FunctionError> {
        let view = View::check(&file.view, &file.schema)?;
        let shape = |message: String| Err(FunctionError::Shape(message));
        let (n_features, n_encoded) = (view.features().len(), file.encoder.columns.len());
        if n_features != n_encoded {
            return shape(format!("{n_features} features, but the encoder has {n_encoded}"));
        }
        let (width, weights) = (file.encoder.width(), file.model.width());
        if width != weights {
            return shape(format!("{width} encoded columns, but the model reads {weights}"));
        }
        if let Some(feature) = file.encoder.unsound() {
            return shape(format!("the encoding of '{feature}' makes no sense"));
        }
        if let Err(message) = file.model.check() {
            return shape(message);
        }
        Ok(Self { file, view })
    }

    /// Reads and checks a function file.
    ///
    /// # Errors
    /// As [`FunctionFile::from_json`] and [`Self::new`].
    pub fn from_json(text: &str) -> Result<Self, FunctionError> {
        Self::new(FunctionFile::from_json(text)?)
    }

    /// The file that it was made from.
    #[must_use]
    pub const fn file(&self) -> &FunctionFile {
        &self.file
    }

    /// The hash of its content.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.file.hash
    }

    /// Its compiled view; the timelines that it scores must be built for what this reads.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Binds it to timelines, to score their customers.
    #[must_use]
    pub fn bind<'a>(&'a self, timelines: &'a Timelines) -> Scorer<'a> {
        Scorer { function: self, timelines, bound: Bound::new(&self.view, timelines) }
    }

    /// The score of one customer from their live timeline, as of a time. `context` has the values of the
    /// view's [`View::context`].
    #[must_use]
    pub fn score_live(&self, live: &mut LiveTimeline, as_of: AsOf, context: &[Value]) -> Score {
        let mut features = Vec::with_capacity(self.view.features().len());
        live.values(&self.view, as_of, context, &mut features);
        self.scored(features, live.first_seen(), as_of)
    }

    /// The score of values of the features, in the order of the view.
    #[must_use]
    pub fn score_features(&self, features: &[Value]) -> f64 {
        self.with_encoded(features, |row| self.file.model.score(row))
    }

    /// What the function says of values of the features beside the score: classes, segments or items.
    #[must_use]
    pub fn detail(&self, features: &[Value]) -> Option<Detail> {
        if !self.says_more() {
            return None;
        }
        self.with_encoded(features, |row| self.file.model.detail(row))
    }

    /// Whether it says more than one number: classes, segments or items.
    #[must_use]
    pub fn says_more(&self) -> bool {
        self.file.model.says_more()
    }

    /// Items for values of the features, if the function recommends items.
    #[must_use]
    pub fn recommend(&self, features: &[Value], wish: &Wish) -> Option<Vec<Recommendation>> {
        match &self.file.model {
            FrozenModel::Recommender(recommender) => {
                Some(self.with_encoded(features, |row| recommender.recommend(row, wish)))
            }
            _ => None,
        }
    }

    /// What the encoder makes of values of the features.
    #[must_use]
    pub fn encode(&self, features: &[Value]) -> Vec<f64> {
        self.with_encoded(features, <[f64]>::to_vec)
    }

    /// Encodes into a row that each thread keeps, so that a score allocates nothing for it.
    fn with_encoded<T>(&self, features: &[Value], read: impl FnOnce(&[f64]) -> T) -> T {
        thread_local! {
            static ROW: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
        }
        ROW.with_borrow_mut(|row| {
            self.file.encoder.encode_into(features, row);
            read(row)
        })
    }

    fn scored(&self, features: Vec<Value>, first_seen: Option<Time>, as_of: AsOf) -> Score {
        let score = self.score_features(&features);
        let known = first_seen.is_some_and(|first_seen| first_seen < as_of.time);
        Score { score, known, features }
    }

    /// Why a score is what it is: what each feature adds, largest effect first.
    #[must_use]
    pub fn reasons(&self, features: &[Value]) -> Vec<Reason> {
        let row = self.file.encoder.encode(features);
        let contributions = self.file.model.contributions(&row);
        let mut start = 0;
        let mut reasons = Vec::with_capacity(features.len());
        let columns = self.file.encoder.columns.iter().zip(self.view.features()).zip(features);
        for ((column, feature), value) in columns {
            let width = column.encoding.width();
            reasons.push(Reason {
                feature: feature.name.clone(),
                value: value.clone(),
                contribution: contributions.iter().skip(start).take(width).sum(),
            });
            start += width;
        }
        reasons.sort_by(|left, right| right.contribution.abs().total_cmp(&left.contribution.abs()));
        reasons
    }
}

/// A scoring function bound to timelines.
#[derive(Debug)]
pub struct Scorer<'a> {
    function: &'a ScoringFunction,
    timelines: &'a Timelines,
    bound: Bound<'a>,
}

impl Scorer<'_> {
    /// The score of the customer at a place of the timelines, as of a time. `context` has the values of
    /// the view's [`View::context`].
    #[must_use]
    pub fn score(&self, customer: usize, as_of: AsOf, context: &[Value]) -> Score {
        let features = self.bound.row(customer, as_of, context);
        self.function.scored(features, self.timelines.first_seen(customer), as_of)
    }
}
