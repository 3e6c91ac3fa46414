use workspace::{Algorithm, ModelDefinition};

/// A number that an algorithm may be told.
pub(super) struct Parameter {
    /// What it is called on screen.
    pub(super) title: &'static str,
    /// What it is where nothing is said.
    pub(super) usual: &'static str,
    get: fn(&ModelDefinition) -> Option<f64>,
    set: fn(&mut ModelDefinition, Option<f64>),
}

impl Parameter {
    /// What a model says, as text; nothing where it says nothing.
    pub(super) fn text(&self, model: &ModelDefinition) -> String {
        (self.get)(model).map(|value| value.to_string()).unwrap_or_default()
    }

    /// Takes a text; an empty one leaves the usual number.
    pub(super) fn take(&self, model: &mut ModelDefinition, text: &str) -> Result<(), String> {
        let text = text.trim();
        if text.is_empty() {
            (self.set)(model, None);
            return Ok(());
        }
        let number: f64 =
            text.parse().map_err(|_nan| format!("{}: '{text}' is not a number", self.title))?;
        (self.set)(model, Some(number));
        Ok(())
    }
}

macro_rules! number {
    ($title:literal, $usual:literal, $field:ident) => {
        Parameter {
            title: $title,
            usual: $usual,
            get: |model| model.$field,
            set: |model, value| model.$field = value,
        }
    };
}

macro_rules! count {
    ($title:literal, $usual:literal, $field:ident) => {
        Parameter {
            title: $title,
            usual: $usual,
            #[allow(clippy::cast_precision_loss, reason = "a small number")]
            get: |model| model.$field.map(|value| value as f64),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked with the spec"
            )]
            set: |model, value| model.$field = value.map(|value| value as usize),
        }
    };
}

/// The numbers of an algorithm.
pub(super) fn of(algorithm: Algorithm) -> Vec<Parameter> {
    use Algorithm as A;
    match algorithm {
        A::LogisticRegression | A::Ridge | A::Poisson | A::Gamma => {
            vec![number!("L2 penalty", "1", alpha)]
        }
        A::Tweedie => vec![number!("L2 penalty", "1", alpha), number!("Power", "1.5", power)],
        A::ElasticNet => {
            vec![number!("Penalty", "0.01", alpha), number!("Share of L1", "0.5", l1_ratio)]
        }
        A::DecisionTree => vec![
            count!("Depth", "6", depth),
            count!("Leaves", "32", leaves),
            count!("Rows of a leaf", "20", min_rows),
        ],
        A::RandomForest => vec![
            count!("Trees", "100", trees),
            count!("Depth", "12", depth),
            count!("Leaves", "512", leaves),
            count!("Rows of a leaf", "5", min_rows),
            number!("Share of columns", "root", columns),
        ],
        A::GradientBoosting | A::TLearner | A::XLearner | A::DrLearner => vec![
            count!("Trees", "500", trees),
            number!("Learning rate", "0.05", learning_rate),
            count!("Leaves", "15", leaves),
            count!("Depth", "64", depth),
            count!("Rows of a leaf", "20", min_rows),
            number!("L2 of leaves", "1", lambda),
            number!("Share of rows", "0.8", subsample),
            number!("Share of columns", "0.8", columns),
            count!("Stop after", "40", early_stopping),
            number!("Quantile", "0.5", quantile),
            number!("Tweedie power", "1.5", power),
        ],
        A::IsolationForest => vec![count!("Trees", "200", trees)],
        A::KMeans | A::GaussianMixture => {
            vec![
                count!("Clusters", "as it fits", clusters),
                count!("Components", "none", components),
            ]
        }
        A::Dbscan => vec![
            number!("Radius", "by columns", radius),
            count!("Rows of a region", "10", min_rows),
        ],
        A::Ease => vec![number!("Penalty", "400", lambda)],
        A::ImplicitAls => vec![
            count!("Factors", "64", factors),
            count!("Iterations", "15", iterations),
            number!("Penalty", "10", lambda),
            number!("Confidence", "10", alpha),
        ],
        A::NaiveBayes | A::BgNbd | A::ItemItem | A::BuyAgain => Vec::new(),
    }
}
