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
    }
}
