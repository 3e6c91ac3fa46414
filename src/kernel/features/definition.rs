use serde::{Deserialize, Serialize};

use super::{AggregationName, Catalog, DefinitionError};
use crate::domain::{Name, Span, Type, did_you_mean};
use crate::expression::{quote_identifier, quote_text};

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

/// Maximum number of categories of `count_by` and `sum_by`.
pub const MAX_CATEGORIES: usize = 500;

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
    /// How many values `first_k`, `last_k`, `top_k` and `histogram` keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// The gap that starts a new session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Span>,
    /// The time after which an event counts half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Span>,
    /// The property whose values name the columns of `count_by` and `sum_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The values of `by` that have a column of their own; the rest is `other`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// A trait, as of the time.
    #[serde(default, rename = "trait", skip_serializing_if = "Option::is_none")]
    pub trait_name: Option<String>,
    /// An expression over the features before it, traits as `traits.name`, and what is known of the
    /// occasion as `context.name`: a property of the spine's event, or a parameter of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

impl FeatureDefinition {
    /// The features that this one stands for: `count_by` and `sum_by` are a plain count or sum for each
    /// category, under `name_category`, and one under `name_other` for all else, null included.
    ///
    /// # Errors
    /// `by` or `categories` is missing where it is needed, or there where it is not, or a category makes
    /// no name.
    pub(super) fn expand(&self, catalog: &Catalog) -> Result<Vec<Self>, DefinitionError> {
        let plain = match self.aggregation {
            Some(AggregationName::CountBy) => AggregationName::Count,
            Some(AggregationName::SumBy) => AggregationName::Sum,
            _ if self.by.is_some() || !self.categories.is_empty() => {
                let message = "belongs to count_by and sum_by";
                return Err(DefinitionError::new("by", message));
            }
            _ => return Ok(vec![self.clone()]),
        };
        let Some(by) = self.by.as_ref().filter(|_| !self.categories.is_empty()) else {
            let message =
                "name a property and its values: by = \"channel\", categories = [\"web\"]";
            return Err(DefinitionError::new("by", message));
        };
        if self.categories.len() > MAX_CATEGORIES {
            let n = self.categories.len();
            let message =
                format!("there are {n}; at most {MAX_CATEGORIES} have a column of their own");
            return Err(DefinitionError::new("categories", message));
        }
        let Some(type_) = catalog.properties.get(by) else {
            let hint = did_you_mean(by, catalog.properties.keys().map(String::as_str));
            let message = format!("no event has a property '{by}'{hint}");
            return Err(DefinitionError::new("by", message));
        };
        let by = quote_identifier(by);
        let values = self.categories.iter().map(|category| literal(category, *type_));
        let values: Vec<String> = values.collect::<Result<_, _>>()?;
        let mut parts: Vec<(String, String)> = Vec::with_capacity(values.len() + 1);
        for (category, value) in self.categories.iter().zip(&values) {
            let name = free_part(column_part(category), &parts);
            parts.push((name, format!("{by} = {value}")));
        }
        let other = format!("({by} IS NULL OR {by} NOT IN ({}))", values.join(", "));
        parts.push(("other".to_owned(), other));
        parts
            .into_iter()
            .map(|(part, condition)| self.of_category(plain, &part, &condition))
            .collect()
    }

    fn of_category(
        &self,
        aggregation: AggregationName,
        part: &str,
        condition: &str,
    ) -> Result<Self, DefinitionError> {
        let name = format!("{}_{part}", self.name);
        let name = name.parse().map_err(|error: crate::domain::NameError| {
            DefinitionError::new("categories", error.to_string())
        })?;
        let condition = match &self.condition {
            Some(own) => format!("({own}) AND {condition}"),
            None => condition.to_owned(),
        };
        Ok(Self {
            name,
            aggregation: Some(aggregation),
            condition: Some(condition),
            by: None,
            categories: Vec::new(),
            ..self.clone()
        })
    }

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
            k: None,
            gap: None,
            half_life: None,
            by: None,
            categories: Vec::new(),
            trait_name: None,
            expression: None,
        }
    }
}

/// A category as an expression has a value of its property.
fn literal(category: &str, type_: Type) -> Result<String, DefinitionError> {
    let is_one = match type_ {
        Type::Number => category.parse::<f64>().is_ok_and(f64::is_finite),
        Type::Boolean => matches!(category, "true" | "false"),
        _ => return Ok(quote_text(category)),
    };
    if is_one {
        return Ok(category.to_owned());
    }
    let message = format!("'{category}' is no {type_}, which the property is");
    Err(DefinitionError::new("categories", message))
}

/// The end of a name, with a number after it where another category has it.
fn free_part(part: String, taken: &[(String, String)]) -> String {
    let is_free = |name: &String| name != "other" && taken.iter().all(|(known, _)| known != name);
    let numbered = (2..).map(|n| format!("{part}_{n}"));
    std::iter::once(part.clone()).chain(numbered).find(is_free).unwrap_or(part)
}

/// A category as the end of a column's name: letters and digits, everything else as `_`.
fn column_part(category: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    category.chars().map(letter).collect()
}
