use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::Type;

/// What is known of the data: the events, properties and traits that a definition may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Names of events.
    pub events: BTreeSet<String>,
    /// Properties of events, each with one type whatever event it belongs to.
    pub properties: BTreeMap<String, Type>,
    /// Traits of customers.
    pub traits: BTreeMap<String, Type>,
    /// What is known of the occasion of a row or a request, beside the properties of events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, Type>,
}

impl Catalog {
    /// Adds everything that `other` knows. Where the types differ, the type here stays.
    pub fn extend(&mut self, other: &Self) {
        self.events.extend(other.events.iter().cloned());
        for (name, type_) in &other.properties {
            self.properties.entry(name.clone()).or_insert(*type_);
        }
        for (name, type_) in &other.traits {
            self.traits.entry(name.clone()).or_insert(*type_);
        }
        for (name, type_) in &other.context {
            self.context.entry(name.clone()).or_insert(*type_);
        }
    }

    /// Whether timelines that have all of this have all that `other` needs, with the same types.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let has = |own: &BTreeMap<String, Type>, wanted: &BTreeMap<String, Type>| {
            wanted.iter().all(|(name, type_)| own.get(name) == Some(type_))
        };
        has(&self.properties, &other.properties) && has(&self.traits, &other.traits)
    }
}
