use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    AggregationName, AsOf, Bound, Catalog, DefinitionError, FeatureDefinition, SpineRow, Timelines,
    View,
};
use crate::domain::{Cell, Name, Span, Time, Type, Value};
use crate::expression::Expression;

/// A label as a model spec writes it: an aggregation over the time after the as-of time, or, without an
/// aggregation, what the spine's file says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelDefinition {
    /// How events become one value; none takes the label from the column `label` of the spine's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<AggregationName>,
    /// Which events; none means all but system events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which property's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Which events, by an expression over their own properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The quantile, for `quantile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// How many values, for `first_k` and `last_k`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// The pause that ends a session, for `sessions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// When an event counts half, for `decayed_count` and `decayed_sum`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Span>,
    /// How far ahead: events with `t <= event_time < t + horizon`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Span>,
    /// What makes a row positive, by an expression over `label`; for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
}

/// Items of a label that is a list or a histogram.
const MOST_ITEMS: u32 = 1_000;

/// A checked label.
#[derive(Clone, Debug)]
pub struct Label {
    source: Source,
    horizon: Option<Span>,
    positive: Option<Expression>,
}

/// Where the label of a row comes from.
#[derive(Clone, Debug)]
enum Source {
    /// The one feature of this view, over the horizon after the as-of time, in microseconds.
    Events(Box<View>, i64),
    /// The spine's file; the type of its column.
    Given(Type),
}

impl Label {
    /// Checks a definition against what is known of the data; `given` is the type of the column `label`
    /// of the spine, if it has one.
    ///
    /// # Errors
    /// What makes no sense, and what would be right.
    pub fn check(
        definition: &LabelDefinition,
        catalog: &Catalog,
        given: Option<Type>,
    ) -> Result<Self, DefinitionError> {
        let (source, type_) = match (definition.aggregation, definition.horizon, given) {
            (Some(_), _, Some(_)) => {
                let message = "the spine file has a column 'label', and the model's own is an \
                               aggregation; leave one of them out";
                return Err(DefinitionError::new("label", message));
            }
            (Some(aggregation), Some(horizon), None) => {
                let view = Self::view(definition, aggregation, catalog)?;
                let type_ = view.features().first().map_or(Type::Number, |feature| feature.type_);
                (Source::Events(Box::new(view), horizon.micros()), type_)
            }
            (Some(_), None, _) => {
                let message = "a label needs a horizon: horizon = \"30d\"";
                return Err(DefinitionError::new("label", message));
            }
            (None, _, Some(given)) => (Source::Given(given), given),
            (None, _, None) => {
                let message =
                    "give it an aggregation and a horizon, or a spine file with a column 'label'";
                return Err(DefinitionError::new("label", message));
            }
        };
        let positive = match &definition.positive {
            None => None,
            Some(source) => {
                let scope = std::collections::BTreeMap::from([("label".to_owned(), type_)]);
                let compiled = Expression::compile(source, &scope)
                    .map_err(|error| DefinitionError::expression("label, positive", &error))?;
                if compiled.result().is_some_and(|result| result != Type::Boolean) {
                    let message = format!("'{source}' must be true or false");
                    return Err(DefinitionError::new("label, positive", message));
                }
                Some(compiled)
            }
        };
        Ok(Self { source, horizon: definition.horizon, positive })
    }

    fn view(
        definition: &LabelDefinition,
        aggregation: AggregationName,
        catalog: &Catalog,
    ) -> Result<View, DefinitionError> {
        let name: Name = "label".parse().map_err(|error: crate::domain::NameError| {
            DefinitionError::new("label", error.to_string())
        })?;
        let mut feature = FeatureDefinition::named(name.clone());
        feature.events.clone_from(&definition.events);
        feature.property.clone_from(&definition.property);
        feature.condition.clone_from(&definition.condition);
        (feature.p, feature.k) = (definition.p, definition.k);
        (feature.gap, feature.half_life) = (definition.gap, definition.half_life);
        let counts = [AggregationName::Histogram, AggregationName::TopK];
        if counts.contains(&aggregation) {
            // A label of items has all of them.
            feature.k = Some(MOST_ITEMS);
        }
        let by = [AggregationName::CountBy, AggregationName::SumBy];
        if by.contains(&aggregation) {
            let message = "a label is one value; use histogram or top_k for one a category";
            return Err(DefinitionError::new("label, aggregation", message));
        }
        View::of_one(name, aggregation, &feature, catalog)
    }

    /// No label: null everywhere, for what is learned without one.
    #[must_use]
    pub const fn none() -> Self {
        Self { source: Source::Given(Type::Number), horizon: None, positive: None }
    }

    /// What it reads.
    #[must_use]
    pub fn reads(&self) -> Catalog {
        match &self.source {
            Source::Events(view, _) => view.reads().clone(),
            Source::Given(_) => Catalog::default(),
        }
    }

    /// How far ahead it looks, in microseconds.
    #[must_use]
    pub fn horizon(&self) -> i64 {
        self.horizon.map_or(0, Span::micros)
    }

    /// Whether it comes with the spine.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        matches!(self.source, Source::Given(_))
    }

    /// The type of its values.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match &self.source {
            Source::Events(view, _) => view.features().first().map_or(Type::Number, |f| f.type_),
            Source::Given(type_) => *type_,
        }
    }

    /// Whether all of the horizon after a time has been observed.
    #[must_use]
    pub fn is_observed(&self, timelines: &Timelines, time: Time) -> bool {
        self.is_given() || time.plus(self.horizon()) <= timelines.observed_until()
    }

    /// The label of each row, over `t <= event_time < t + horizon`; null where the spine brings it.
    #[must_use]
    pub fn values(&self, timelines: &Timelines, rows: &[SpineRow]) -> Vec<Value> {
        let Source::Events(view, horizon) = &self.source else {
            return vec![Value::Null; rows.len()];
        };
        let bound = Bound::after(view, timelines, *horizon);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.par_sort_unstable_by_key(|place| rows[*place]);
        let groups: Vec<&[usize]> =
            order.chunk_by(|left, right| rows[*left].0 == rows[*right].0).collect();
        let mut labels: Vec<(usize, Value)> = groups
            .par_iter()
            .map_init(
                || (bound.evaluator(), Vec::<Value>::new()),
                |(evaluator, out), group| {
                    let label = |place: &usize| {
                        let (customer, time) = rows[*place];
                        evaluator.row(customer, AsOf::at(time), &[], out);
                        (*place, out.pop().unwrap_or_default())
                    };
                    group.iter().map(label).collect::<Vec<_>>()
                },
            )
            .flatten_iter()
            .collect();
        labels.par_sort_unstable_by_key(|(place, _)| *place);
        labels.into_iter().map(|(_, label)| label).collect()
    }

    /// Whether a label is positive: by the expression, or a number above zero, or true.
    #[must_use]
    pub fn is_positive(&self, label: &Value) -> bool {
        match (&self.positive, label) {
            (Some(expression), label) => expression.is_true(&|_| Cell::from(label)),
            (None, Value::Number(number)) => *number > 0.0,
            (None, label) => *label == Value::Boolean(true),
        }
    }
}
