use std::cell::Cell;
use std::collections::HashSet;

use kernel::domain::ALIAS;

use super::Erased;
use super::embedded::Embedded;
use super::record::Record;
use crate::Result;

impl Embedded {
    /// Erases what is known under ids, and notes when that is done.
    pub(super) fn finish_erasing(&self, ids: &[String]) -> Result<Erased> {
        let mut erased = Erased::default();
        for id in ids {
            self.index().rows(id, false, false, |_, _| {
                erased.events += 1;
                Ok(true)
            })?;
            self.index().rows(id, true, false, |_, _| {
                erased.scores += 1;
                Ok(true)
            })?;
        }
        self.index().erase(ids)?;
        let all: HashSet<&str> = ids.iter().map(String::as_str).collect();
        // As JSON has them, so that one is not found within another.
        let quoted: Vec<String> =
            ids.iter().filter_map(|id| serde_json::to_string(id).ok()).collect();
        let rejected = Cell::new(0);
        self.forget(|record| match record {
            Record::Event { event, .. } => {
                let joined = event.anonymous_id.as_deref().filter(|_| event.event == ALIAS);
                all.contains(event.customer_id.as_str())
                    || joined.is_some_and(|joined| all.contains(joined))
            }
            Record::Rejected(record) => {
                let names = quoted.iter().any(|id| record.event.contains(id));
                rejected.set(rejected.get() + usize::from(names));
                names
            }
            Record::Erased => false,
        })?;
        erased.rejected = rejected.get();
        self.index().note_erasing(ids, false)?;
        self.forget_in_memory(ids);
        Ok(erased)
    }
}
