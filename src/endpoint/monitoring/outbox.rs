use std::collections::{BTreeMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::domain::Time;
use serde::{Deserialize, Serialize};

use super::{Attempt, Delivery, DeliveryState};
use crate::online::ConfigStore;
use crate::{Error, Result};

/// Deliveries, the latest of which are kept: durable before anybody is told.
#[derive(Debug, Default)]
pub struct Outbox {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    /// By number.
    all: BTreeMap<u64, Delivery>,
    /// Those that wait.
    waiting: HashSet<u64>,
    /// Those that are being sent.
    sending: HashSet<u64>,
    next: u64,
    /// Deliveries that made room for later ones before they arrived.
    dropped: u64,
    is_stopped: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    number: u64,
    /// None if it was of a customer who was erased.
    delivery: Option<Delivery>,
}

/// Deliveries that are kept.
const KEPT: u64 = 10_000;
/// Where they are stored.
const PREFIX: &str = "delivery/";

fn stored(number: u64, delivery: Option<&Delivery>) -> Result<(String, Vec<u8>)> {
    let stored = Stored { number, delivery: delivery.cloned() };
    let json = serde_json::to_vec(&stored).map_err(Error::store("write a delivery"))?;
    Ok((format!("{PREFIX}{}", number % KEPT), json))
}

impl Outbox {
    /// Reads what there is.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn open(config: &dyn ConfigStore) -> Result<Self> {
        let mut held = Held::default();
        for key in config.names(PREFIX)? {
            let Some(bytes) = config.get(&key)? else { continue };
            let Stored { number, delivery } =
                serde_json::from_slice(&bytes).map_err(Error::store("read a delivery"))?;
            held.next = held.next.max(number + 1);
            let Some(delivery) = delivery else { continue };
            if delivery.state == DeliveryState::Waiting {
                held.waiting.insert(number);
            }
            held.all.insert(number, delivery);
        }
        Ok(Self { held: Mutex::new(held), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes deliveries, durably, together with `more` that is stored with them: all or none.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put(
        &self,
        config: &dyn ConfigStore,
        deliveries: Vec<Delivery>,
        mut more: Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        if deliveries.is_empty() && more.is_empty() {
            return Ok(());
        }
        // Held while it is written, so that numbers are given once.
        let mut held = self.lock();
        for (number, delivery) in (held.next..).zip(&deliveries) {
            more.push(stored(number, Some(delivery))?);
        }
        config.put(&more)?;
        for delivery in deliveries {
            let number = held.next;
            held.next += 1;
            if delivery.state == DeliveryState::Waiting {
                held.waiting.insert(number);
            }
            held.all.insert(number, delivery);
            if let Some(old) = number.checked_sub(KEPT) {
                held.all.remove(&old);
                held.dropped += u64::from(held.waiting.remove(&old));
            }
        }
        drop(held);
        self.changed.notify_all();
        Ok(())
    }

    /// Deliveries, newest first, at most so many.
    #[must_use]
    pub fn latest(&self, limit: usize, wanted: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let held = self.lock();
        held.all.values().rev().filter(|delivery| wanted(delivery)).take(limit).cloned().collect()
    }

    /// Those that wait, and those that made room before they arrived.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64) {
        let held = self.lock();
        (held.waiting.len(), held.dropped)
    }

    /// Sends one again, now.
    ///
    /// # Errors
    /// There is no such delivery, it goes nowhere, or the store cannot be written.
    pub fn again(&self, config: &dyn ConfigStore, id: &str, now: Time) -> Result<Delivery> {
        let mut held = self.lock();
        let known = held.all.iter().rev().find(|(_, delivery)| delivery.id == id);
        let Some((number, delivery)) = known.map(|(number, delivery)| (*number, delivery.clone()))
        else {
            return Err(Error::NotFound(format!("no delivery '{id}' is kept")));
        };
        if delivery.webhook.is_none() {
            return Err(Error::BadRequest("its rule has no webhook".to_owned()));
        }
        let mut delivery = delivery;
        delivery.again(now);
        config.put(&[stored(number, Some(&delivery))?])?;
        held.waiting.insert(number);
        held.all.insert(number, delivery.clone());
        drop(held);
        self.changed.notify_all();
        Ok(delivery)
    }

    /// Forgets what is about customers: nobody is told of them any more, either. Gives whether there was
    /// anything.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn forget(&self, config: &dyn ConfigStore, customers: &[String]) -> Result<bool> {
        let mut held = self.lock();
        let is_theirs = |delivery: &Delivery| {
            delivery.customer_id.as_ref().is_some_and(|id| customers.contains(id))
        };
        let theirs: Vec<u64> =
            held.all.iter().filter(|(_, it)| is_theirs(it)).map(|(number, _)| *number).collect();
        if theirs.is_empty() {
            return Ok(false);
        }
        let entries: Result<Vec<_>> = theirs.iter().map(|number| stored(*number, None)).collect();
        config.put(&entries?)?;
        for number in theirs {
            held.all.remove(&number);
            held.waiting.remove(&number);
        }
        Ok(true)
    }

    /// Waits for a delivery that is due by the clock; none once it is stopped.
    pub(super) fn due(&self, clock: &dyn Fn() -> Time) -> Option<(u64, Delivery)> {
        let mut held = self.lock();
        loop {
            if held.is_stopped {
                return None;
            }
            let now = clock();
            let free = held.waiting.iter().filter(|number| !held.sending.contains(number));
            let next =
                free.filter_map(|number| Some((held.all.get(number)?.next_at, *number))).min();
            let wait = match next {
                Some((at, number)) if at <= now => {
                    held.sending.insert(number);
                    let delivery = held.all.get(&number).cloned()?;
                    return Some((number, delivery));
                }
                Some((at, _)) => Duration::from_micros(at.0.saturating_sub(now.0).unsigned_abs()),
                None => Duration::from_mins(10),
            };
            let waited = self.changed.wait_timeout(held, wait);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes note of a try.
    ///
    /// # Errors
    /// The store cannot be written; then it is tried again after the next start.
    pub(super) fn tried(
        &self,
        config: &dyn ConfigStore,
        number: u64,
        attempt: Attempt,
    ) -> Result<()> {
        let mut held = self.lock();
        held.sending.remove(&number);
        let Some(delivery) = held.all.get_mut(&number) else { return Ok(()) };
        delivery.tried(attempt);
        let (state, entry) = (delivery.state, stored(number, Some(delivery)));
        if state != DeliveryState::Waiting {
            held.waiting.remove(&number);
        }
        drop(held);
        config.put(&[entry?])
    }

    /// Ends those that wait for something to send.
    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }
}
