use std::sync::Arc;

use kernel::domain::{Properties, Type, Value};
use kernel::features::Feature;
use serde_json::{Map, Value as Json_};

use super::super::deployments::{Live, Variant};
use super::super::score;
use super::super::state::Endpoint;
use crate::{Error, Result};

/// The input that names customers.
pub(super) const CUSTOMER: &str = "customer_id";
/// What begins the names of inputs that are said of the occasion.
pub(super) const CONTEXT: &str = "context.";
/// The most rows of one request.
const MOST_ROWS: usize = 1_000;

/// Rows of named values.
pub(super) type Rows = Vec<Map<String, Json_>>;

/// What is said of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub(super) score: f64,
    /// Whether the row has a customer who is known.
    pub(super) known: bool,
    /// The version that said it.
    pub(super) version: u32,
}

/// Rows of columns that are equally long.
pub(super) fn of_columns(columns: Vec<(String, Vec<Json_>)>) -> Result<Rows> {
    let n = columns.first().map_or(0, |(_, values)| values.len());
    check_size(n)?;
    let mut rows: Rows = vec![Map::new(); n];
    for (name, values) in columns {
        if values.len() != n {
            let message = format!("input '{name}' has {} rows, not {n}", values.len());
            return Err(Error::BadRequest(message));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            if row.insert(name.clone(), value).is_some() {
                return Err(Error::BadRequest(format!("input '{name}' is there twice")));
            }
        }
    }
    Ok(rows)
}

pub(super) fn check_size(n: usize) -> Result<()> {
    match n {
        0 => Err(Error::BadRequest("there is no row to score".to_owned())),
        1..=MOST_ROWS => Ok(()),
        _ => Err(Error::TooLarge(format!("ask for at most {MOST_ROWS} rows"))),
    }
}

/// Data as JSON, which may be nested as its shape is.
pub(super) fn flat(data: Option<&Json_>) -> Vec<Json_> {
    match data {
        Some(Json_::Array(items)) => items.iter().flat_map(|item| flat(Some(item))).collect(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    }
}

/// The score of each row, by the version that was asked for if one was. A row with a customer is recorded
/// as any other score; one with features has no customer.
pub(super) fn scores(
    endpoint: &Endpoint,
    live: &Live,
    asked: Option<&Arc<Variant>>,
    rows: &Rows,
) -> Result<Vec<Scored>> {
    let score = |row| match Map::get(row, CUSTOMER) {
        Some(customer) => of_customer(endpoint, live, asked, customer, row),
        None => of_features(asked.unwrap_or(&live.champion), row),
    };
    rows.iter().map(score).collect()
}

/// The score of a customer. What is given beside them counts instead of what is known.
fn of_customer(
    endpoint: &Endpoint,
    live: &Live,
    asked: Option<&Arc<Variant>>,
    customer: &Json_,
    row: &Map<String, Json_>,
) -> Result<Scored> {
    let id = match customer {
        Json_::String(id) => id.clone(),
        Json_::Number(number) if !number.is_f64() => number.to_string(),
        other => {
            return Err(Error::BadRequest(format!("{CUSTOMER} is a text, not {other}")));
        }
    };
    let mut context = Properties::new();
    let mut features = Vec::new();
    for (name, value) in row.iter().filter(|(name, _)| *name != CUSTOMER) {
        match name.strip_prefix(CONTEXT) {
            Some(name) => drop(context.insert(name.to_owned(), Value::from_json(value))),
            None => features.push((name.as_str(), value)),
        }
    }
    score::check_context(endpoint, live, &context)?;
    for (name, _) in &features {
        let is_known =
            |variant: &Variant| features_of(variant).iter().any(|f| f.name.as_str() == *name);
        if !live.variants().any(|variant| is_known(variant)) {
            return Err(unknown(&live.champion, name));
        }
    }
    let give = |variant: &Variant, values: &mut [Value]| -> Result<bool> {
        let mut is_any_given = false;
        for (value, feature) in values.iter_mut().zip(features_of(variant)) {
            if let Some((_, given)) =
                features.iter().find(|(name, _)| *name == feature.name.as_str())
            {
                *value = typed(feature, given)?;
                is_any_given = true;
            }
        }
        Ok(is_any_given)
    };
    let (scored, version) = score::score_one(endpoint, live, asked, &id, &context, give)?;
    Ok(Scored { score: scored.score, known: scored.known, version })
}

/// The score of a row of features, all of which are given.
fn of_features(variant: &Variant, row: &Map<String, Json_>) -> Result<Scored> {
    let features = features_of(variant);
    let is_feature = |name: &str| features.iter().any(|feature| feature.name.as_str() == name);
    if let Some(unknown_name) = row.keys().find(|name| !is_feature(name)) {
        return Err(unknown(variant, unknown_name));
    }
    let value = |feature: &Feature| match row.get(feature.name.as_str()) {
        Some(given) => typed(feature, given),
        // Lists are of no use to a model, and cannot be given.
        None if matches!(feature.type_, Type::List(_) | Type::Counts(_)) => Ok(Value::Null),
        None => Err(Error::BadRequest(format!(
            "the input '{}' is missing; ask by {CUSTOMER}, or by all features (null for none)",
            feature.name
        ))),
    };
    let values: Vec<Value> = features.iter().map(value).collect::<Result<_>>()?;
    let score = variant.function.score_features(&values);
    Ok(Scored { score, known: false, version: variant.version })
}

fn features_of(variant: &Variant) -> &[Feature] {
    variant.function.view().features()
}

/// A value of a feature as it is given.
fn typed(feature: &Feature, given: &Json_) -> Result<Value> {
    let value = Value::from_json(given);
    let typed = value.coerce(feature.type_);
    if typed.is_null() && !value.is_null() {
        let (name, type_) = (&feature.name, feature.type_);
        return Err(Error::BadRequest(format!("the input '{name}' is a {type_}, not {given}")));
    }
    Ok(typed)
}

fn unknown(variant: &Variant, name: &str) -> Error {
    let names = features_of(variant).iter().map(|feature| feature.name.as_str());
    let hint = kernel::domain::did_you_mean(name, names);
    Error::BadRequest(format!(
        "there is no input '{name}'{hint}; ask by {CUSTOMER}, or by all features"
    ))
}
