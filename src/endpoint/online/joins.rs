//! Joins of ids to customers: which there are, what an id stands for, and which ids a customer has.

use std::borrow::Cow;
use std::sync::PoisonError;

use kernel::domain::{Time, normalized_id};
use serde::Serialize;

use super::Joiner;
use super::embedded::Embedded;
use super::recent::{Recent, Set};
use crate::Result;

/// The most ids that one customer can have, their own included. A cold score reads the rows of each.
pub const MAX_IDS_PER_CUSTOMER: usize = 1_000;
/// Customers whose number of ids is kept in memory.
const MAX_COUNTED: usize = 20_000;

/// Customers who are remembered as settled.
const MAX_SETTLED: usize = 200_000;

/// What an id is joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    /// The customer, who may be joined to another.
    pub(super) customer: String,
    /// None for joins that an earlier version made; so is `joined_by`.
    pub(super) joined_at: Option<Time>,
    pub(super) joined_by: Option<Joiner>,
    /// Whether what came with the id before is the customer's. Not so where an earlier version joined an id a
    /// second time: what came before stayed with the first customer.
    pub(super) is_whole: bool,
}

impl Alias {
    /// Whether the join ends when the id is used as a user id: a public key, which anyone has, made it.
    pub(super) fn ends_with_first_use(&self) -> bool {
        self.is_whole && matches!(self.joined_by, None | Some(Joiner::Browser))
    }

    /// The bytes that the index keeps: those of earlier versions are the customer alone, and ids have no NUL.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.customer.as_bytes().to_vec();
        let joined_by = match self.joined_by {
            None => 0,
            Some(Joiner::Browser) => 1,
            Some(Joiner::Server) => 2,
            Some(Joiner::Admin) => 3,
        };
        bytes.push(0);
        bytes.extend_from_slice(&self.joined_at.map_or(0, |at| at.0).to_be_bytes());
        bytes.extend_from_slice(&[joined_by, u8::from(self.is_whole)]);
        bytes
    }

    /// Reads what [`Self::to_bytes`] gives; `is_whole` says it for what an earlier version wrote.
    pub(super) fn from_bytes(
        bytes: &[u8],
        is_whole: impl FnOnce(&str) -> Result<bool>,
    ) -> Result<Self> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let customer = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let more = bytes.get(end + 1..).unwrap_or_default();
        let (Some(at), [.., joined_by, whole]) = (more.first_chunk::<8>(), more) else {
            let is_whole = is_whole(&customer)?;
            return Ok(Self { customer, joined_at: None, joined_by: None, is_whole });
        };
        let joined_at = Some(i64::from_be_bytes(*at)).filter(|at| *at != 0).map(Time);
        let joined_by = match joined_by {
            1 => Some(Joiner::Browser),
            2 => Some(Joiner::Server),
            3 => Some(Joiner::Admin),
            _ => None,
        };
        Ok(Self { customer, joined_at, joined_by, is_whole: *whole == 1 })
    }
}

/// A join of an id to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Join {
    /// The id that was joined.
    pub id: String,
    /// The customer that it was joined to, who may be joined to another.
    pub customer_id: String,
    /// When; none where an earlier version made it.
    pub joined_at: Option<Time>,
    /// The kind of key that made it.
    pub joined_by: Option<Joiner>,
}

impl Embedded {
    pub(super) fn alias(&self, id: &str) -> Result<Option<Alias>> {
        let found = self
            .find(|recent| recent.aliases.get(id).cloned(), |index| Ok(Some(index.alias(id)?)))?;
        Ok(found.flatten())
    }

    /// Whether an id is joined to another.
    pub(super) fn is_joined(&self, id: &str) -> Result<bool> {
        Ok(self.alias(id)?.is_some())
    }

    /// The customer that an id stands for in the end.
    pub(super) fn resolve(&self, id: &str) -> Result<String> {
        let mut id = id.to_owned();
        for _ in 0..MAX_IDS_PER_CUSTOMER {
            match self.alias(&id)? {
                Some(alias) => id = alias.customer,
                None => break,
            }
        }
        Ok(id)
    }

    /// The form in which an id is kept: normalized, unless an earlier version kept it as it came.
    pub(super) fn known_id<'i>(&self, id: &'i str) -> Result<Cow<'i, str>> {
        let normalized = normalized_id(id);
        if *normalized != *id && (self.has_rows(id)? || self.is_joined(id)?) {
            return Ok(Cow::Borrowed(id));
        }
        Ok(normalized)
    }

    /// The ids that were joined to an id directly.
    fn joined_to(&self, id: &str) -> Result<Vec<String>> {
        // What is recent first: it goes into the index meanwhile, but not out of it.
        let changes: Vec<(Vec<String>, Set<String>)> = {
            let generations = self.recent().read().unwrap_or_else(PoisonError::into_inner);
            let change = |recent: &Recent| {
                let joined = recent.joined.get(id).cloned().unwrap_or_default();
                (joined, recent.unjoined.get(id).cloned().unwrap_or_default())
            };
            generations.all().map(change).collect()
        };
        let mut joined = self.index().joined(id)?;
        for (added, removed) in changes.into_iter().rev() {
            joined.retain(|id| !removed.contains(id));
            joined.extend(added);
        }
        Ok(joined)
    }

    /// A customer's own id, then those that were joined to it, each once. Takes time in proportion to their
    /// number.
    pub(super) fn ids(&self, customer_id: &str) -> Result<Vec<String>> {
        self.first_ids(customer_id, usize::MAX)
    }

    /// The same, at most `limit` of them.
    fn first_ids(&self, customer_id: &str, limit: usize) -> Result<Vec<String>> {
        let mut ids = vec![customer_id.to_owned()];
        let mut known: Set<String> = ids.iter().cloned().collect();
        let mut n = 0;
        while let Some(id) = ids.get(n).filter(|_| ids.len() < limit).cloned() {
            for id in self.joined_to(&id)? {
                if known.insert(id.clone()) {
                    ids.push(id);
                }
            }
            n += 1;
        }
        ids.truncate(limit);
        Ok(ids)
    }

    pub(super) fn is_customer(&self, id: &str) -> Result<bool> {
        let known = |recent: &Recent| recent.customers.contains(id).then_some(());
        let found = self.find(known, |index| Ok(index.is_customer(id)?.then_some(())))?;
        Ok(found.is_some())
    }

    pub(super) fn is_settled(&self, id: &str) -> bool {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Remembers a customer who stands for themselves, if they are known for good.
    pub(super) fn settle(&self, id: &str) -> Result<()> {
        if !self.is_customer(id)? || self.is_joined(id)? {
            return Ok(());
        }
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if settled.len() >= MAX_SETTLED {
            settled.clear();
        }
        settled.insert(id.to_owned());
        Ok(())
    }

    /// The number of ids of a customer; beyond the most there may be it is not exact. Only the writer asks.
    pub(super) fn id_count(&self, customer_id: &str) -> Result<usize> {
        let counted = self.id_counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.get(customer_id).copied();
        drop(counted);
        if let Some(n) = known {
            return Ok(n);
        }
        let n = self.first_ids(customer_id, MAX_IDS_PER_CUSTOMER + 1)?.len();
        self.set_id_count(customer_id, Some(n));
        Ok(n)
    }

    /// Keeps the number of ids of a customer, or forgets it.
    pub(super) fn set_id_count(&self, customer_id: &str, n: Option<usize>) {
        let mut counted = self.id_counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MAX_COUNTED {
            counted.clear();
        }
        match n {
            Some(n) => counted.insert(customer_id.to_owned(), n),
            None => counted.remove(customer_id),
        };
    }

    /// Whether something came with an id itself, be it before it was joined to another or after.
    pub(super) fn has_rows(&self, id: &str) -> Result<bool> {
        let recent = |recent: &Recent| recent.rows.get(id).map(|_| ());
        let found = self.find(recent, |index| {
            let mut found = None;
            index.rows(id, false, false, |_, _| {
                found = Some(());
                Ok(false)
            })?;
            Ok(found)
        })?;
        Ok(found.is_some())
    }

    /// Joins whose ids come after `after` in the order of their bytes, at most `limit`.
    pub(super) fn list_joins(&self, after: &str, limit: usize) -> Result<Vec<Join>> {
        let mut all: std::collections::BTreeMap<String, Option<Alias>> = {
            let generations = self.recent().read().unwrap_or_else(PoisonError::into_inner);
            let mut recent = std::collections::BTreeMap::new();
            for (id, alias) in generations.all().flat_map(|recent| &recent.aliases) {
                if id.as_str() > after {
                    recent.entry(id.clone()).or_insert_with(|| alias.clone());
                }
            }
            recent
        };
        let undone = all.values().filter(|alias| alias.is_none()).count();
        for (id, alias) in self.index().aliases(after, limit.saturating_add(undone))? {
            all.entry(id).or_insert(Some(alias));
        }
        let joins = all.into_iter().filter_map(|(id, alias)| Some(alias?.into_join(id)));
        Ok(joins.take(limit).collect())
    }

    /// The joins of the ids of the customer that an id stands for, at most `limit`.
    pub(super) fn joins_of(&self, id: &str, limit: usize) -> Result<Vec<Join>> {
        let ids = self.first_ids(&self.resolve(id)?, limit.saturating_add(1))?;
        let mut joins = Vec::new();
        for id in ids {
            joins.extend(self.alias(&id)?.map(|alias| alias.into_join(id)));
        }
        Ok(joins)
    }
}

impl Alias {
    pub(super) fn into_join(self, id: String) -> Join {
        let Self { customer, joined_at, joined_by, .. } = self;
        Join { id, customer_id: customer, joined_at, joined_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_read_back_and_those_of_earlier_versions_too() {
        for joined_by in [None, Some(Joiner::Browser), Some(Joiner::Server), Some(Joiner::Admin)] {
            for is_whole in [false, true] {
                let joined_at = joined_by.map(|_| Time(1_700_000_000_000_000));
                let alias = Alias { customer: "é".to_owned(), joined_at, joined_by, is_whole };
                let read = Alias::from_bytes(&alias.to_bytes(), |_| panic!("it is said")).unwrap();
                assert_eq!(read, alias);
            }
        }
        let earlier = Alias::from_bytes(b"ada", |customer| Ok(customer == "ada")).unwrap();
        assert_eq!((earlier.customer.as_str(), earlier.is_whole), ("ada", true));
        assert!(earlier.ends_with_first_use());
    }
}
