use std::collections::HashSet;

use kernel::domain::{IDENTIFY, MICROS_PER_DAY, Time};

use super::embedded::Embedded;
use super::group::place;
use super::index::key;
use super::recent::Place;
use super::record::{self, Record};
use crate::Result;

/// What is kept of the past. Traits stay: they say what is, not what was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events and scores that happened longer ago than so many days are forgotten.
    pub days: Option<u32>,
    /// The latest events of a customer that are kept, and as many scores.
    pub events: Option<usize>,
}

/// Message ids are known for at least so many days.
const KNOWN_MESSAGES_DAYS: u32 = 7;

impl Retention {
    /// Whether everything is kept.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.days.is_none() && self.events.is_none()
    }

    /// Forgets what is not kept, in the index and in the log; gives how many events and scores that were.
    pub(super) fn apply(&self, store: &Embedded, now: Time) -> Result<usize> {
        if self.is_everything() {
            return Ok(0);
        }
        store.checkpoint()?;
        let oldest = self.days.map(|days| now.0 - i64::from(days) * MICROS_PER_DAY);
        let mut forgotten = HashSet::new();
        for scores in [false, true] {
            let excess = self.excess(store, scores)?;
            let keys = store.index().sweep(scores, |id, place, bytes| {
                let is_old = oldest.is_some_and(|oldest| place.time < oldest);
                let is_trait = || {
                    let record = record::read(0, bytes);
                    record.is_ok_and(|record| match record {
                        Record::Event { event, .. } => event.event == IDENTIFY,
                        Record::Rejected(_) | Record::Erased => false,
                    })
                };
                (is_old || excess.contains(&(id.to_owned(), place))) && (scores || !is_trait())
            })?;
            forgotten.extend(keys);
        }
        if let Some(days) = self.days {
            let days = days.max(KNOWN_MESSAGES_DAYS);
            store.index().forget_messages(now.0 - i64::from(days) * MICROS_PER_DAY)?;
        }
        if !forgotten.is_empty() {
            store.forget(|record| match record {
                Record::Event { event, .. } => {
                    forgotten.contains(&key(&event.customer_id, place(event)))
                }
                Record::Rejected(rejected) => {
                    oldest.is_some_and(|oldest| rejected.received_at.0 < oldest)
                }
                Record::Erased => false,
            })?;
        }
        Ok(forgotten.len())
    }

    /// The rows that are more than a customer may have: all but their latest.
    fn excess(&self, store: &Embedded, scores: bool) -> Result<HashSet<(String, Place)>> {
        let Some(kept) = self.events else { return Ok(HashSet::new()) };
        let mut excess = HashSet::new();
        let mut own: std::collections::VecDeque<Place> = std::collections::VecDeque::new();
        let mut whose = String::new();
        store.index().sweep(scores, |id, place, _| {
            if id != whose {
                own.clear();
                id.clone_into(&mut whose);
            }
            own.push_back(place);
            if own.len() > kept
                && let Some(oldest) = own.pop_front()
            {
                excess.insert((whose.clone(), oldest));
            }
            false
        })?;
        Ok(excess)
    }
}
