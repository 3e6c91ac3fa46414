use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::evaluate::rows_between;
use super::{
    Aggregate, AggregationName, AsOf, Bound, Catalog, DefinitionError, FeatureDefinition,
    Timelines, View, ViewDefinition,
};
use crate::domain::{Name, Span, Time, Type, Value};
use crate::expression::Expression;

/// A label as a model spec writes it: an aggregation over the time after the as-of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelDefinition {
    /// How events become one value.
    pub aggregation: AggregationName,
    /// Which events; none means all but system events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which property's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Which events, by an expression over their own properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How far ahead: events with `t <= event_time < t + horizon`.
    pub horizon: Span,
    /// What makes a row positive, by an expression over `label`; for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
}

/// A checked label.
#[derive(Clone, Debug)]
pub struct Label {
    view: View,
    aggregate: Aggregate,
    type_: Type,
    horizon: Span,
    positive: Option<Expression>,
}

impl Label {
    /// Checks a definition against what is known of the data.
    ///
    /// # Errors
    /// What makes no sense, and what would be right.
    pub fn check(definition: &LabelDefinition, catalog: &Catalog) -> Result<Self, DefinitionError> {
        let name: Name = "label".parse().map_err(|error: crate::domain::NameError| {
            DefinitionError::new("label", error.to_string())
        })?;
        let mut feature = FeatureDefinition::named(name.clone());
        feature.events.clone_from(&definition.events);
        feature.property.clone_from(&definition.property);
        feature.condition.clone_from(&definition.condition);
        let empty = ViewDefinition { name, features: Vec::new() };
        let mut view = View::check(&empty, catalog)?;
        let (type_, aggregate) = view.check_aggregate(definition.aggregation, &feature, catalog)?;
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
        Ok(Self { view, aggregate, type_, horizon: definition.horizon, positive })
    }

    /// What it reads.
    #[must_use]
    pub const fn reads(&self) -> &Catalog {
        self.view.reads()
    }

    /// How far ahead it looks.
    #[must_use]
    pub const fn horizon(&self) -> Span {
        self.horizon
    }

    /// The type of its values.
    #[must_use]
    pub const fn type_of(&self) -> Type {
        self.type_
    }

    /// Whether all of the horizon after a time has been observed.
    #[must_use]
    pub fn is_observed(&self, timelines: &Timelines, time: Time) -> bool {
        time.plus(self.horizon.micros()) <= timelines.observed_until()
    }

    /// The label of each row, over `t <= event_time < t + horizon`.
    #[must_use]
    pub fn values(&self, timelines: &Timelines, rows: &[(usize, Time)]) -> Vec<Value> {
        let bound = Bound::new(&self.view, timelines);
        let column = self.aggregate.property.as_deref().and_then(|name| timelines.property(name));
        rows.par_iter()
            .map(|(customer, time)| {
                let until = time.plus(self.horizon.micros());
                let range = rows_between(timelines, *customer, *time, until);
                bound.aggregate(&self.aggregate, column, range, AsOf::at(*time))
            })
            .collect()
    }

    /// Whether a label is positive: by the expression, or a number above zero, or true.
    #[must_use]
    pub fn is_positive(&self, label: &Value) -> bool {
        match (&self.positive, label) {
            (Some(expression), label) => {
                expression.evaluate(&|_| label.clone()) == Value::Boolean(true)
            }
            (None, Value::Number(number)) => *number > 0.0,
            (None, label) => *label == Value::Boolean(true),
        }
    }
}
