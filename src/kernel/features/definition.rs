use serde::{Deserialize, Serialize};

use super::AggregationName;
use crate::domain::{Name, Span};

/// A view as it is written in `views/<name>.toml`. [`super::View::check`] makes it usable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewDefinition {
    /// Its name, also that of its file.
    pub name: Name,
    /// Its features, in the order of their columns.
    #[serde(default)]
    pub features: Vec<FeatureDefinition>,
}

/// A feature as it is written: an aggregation, a trait or an expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureDefinition {
    /// Its name, also that of its column.
    pub name: Name,
    /// How events become one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<AggregationName>,
    /// Which events; none means all but system events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Which property's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// How far back; none means all time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Which events, by an expression over their own properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The quantile, between 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The gap that starts a new session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// The time after which an event counts half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Span>,
    /// A trait, as of the time.
    #[serde(default, rename = "trait", skip_serializing_if = "Option::is_none")]
    pub trait_name: Option<String>,
    /// An expression over the features before it, and traits as `traits.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

impl FeatureDefinition {
    /// A definition with nothing but a name.
    #[must_use]
    pub const fn named(name: Name) -> Self {
        Self {
            name,
            aggregation: None,
            events: Vec::new(),
            property: None,
            window: None,
            condition: None,
            p: None,
            gap: None,
            half_life: None,
            trait_name: None,
            expression: None,
        }
    }
}
