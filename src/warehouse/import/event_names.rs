use std::collections::BTreeMap;
use std::sync::Arc;

use duckdb::arrow::array::{Array, ArrayRef, StringArray};
use kernel::domain::{ACTION, EXPOSURE, SCORE, is_system};

/// The names that events of files have here.
///
/// An event of another tool that has the name of one of ours is kept without the `$`: a file cannot bring scores,
/// exposures and actions of this product, unless a person says that it is an export of it.
#[derive(Debug, Default)]
pub(super) struct EventNames {
    /// Whether events of ours in the files are ours.
    has_own: bool,
    /// How many events have another name here, by the name in the files.
    renamed: BTreeMap<String, u64>,
}

impl EventNames {
    pub(super) fn new(has_own: bool) -> Self {
        Self { has_own, renamed: BTreeMap::new() }
    }

    /// Events, as they are written, under the names that they have here.
    pub(super) fn named(&mut self, events: &ArrayRef) -> ArrayRef {
        let has_own = self.has_own;
        let is_kept = |name: &str| has_own && [ACTION, EXPOSURE, SCORE].contains(&name);
        let is_ours = |name: &str| is_system(name) && !is_kept(name);
        let Some(names) = events.as_any().downcast_ref::<StringArray>() else {
            return events.clone();
        };
        if !names.iter().flatten().any(is_ours) {
            return events.clone();
        }
        for ours in names.iter().flatten().filter(|name| is_ours(name)) {
            *self.renamed.entry(ours.to_owned()).or_default() += 1;
        }
        let name = |name: &'_ str| if is_ours(name) { bare(name) } else { name }.to_owned();
        Arc::new(names.iter().map(|text| text.map(name)).collect::<StringArray>())
    }

    /// Says which events have another name here.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.renamed.iter().map(|(name, n)| {
            format!(
                "{n} events named '{name}' are kept as '{}': Full Circle records events of that name itself",
                bare(name)
            )
        })
    }
}

/// The trimmed text of each event, as a file has it; null where there is none.
pub(super) fn trimmed(events: ArrayRef) -> ArrayRef {
    let Some(names) = events.as_any().downcast_ref::<StringArray>() else { return events };
    if names.iter().flatten().all(|name| !name.is_empty() && name.trim() == name) {
        return events;
    }
    let trimmed = names.iter().map(|name| name.map(str::trim).filter(|name| !name.is_empty()));
    Arc::new(trimmed.collect::<StringArray>())
}

/// The name of an event of ours for an event of another tool.
fn bare(name: &str) -> &str {
    name.trim_start_matches('$')
}
