use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use kernel::domain::{ALIAS, Event, Properties, SCORE, Time};

use super::cache::Cache;
use super::{
    Clock, ConfigStore, Erased, EventLog, Incoming, Kind, LIVE_SEQ, Receipt, Timeline,
    TimelineStore,
};
use crate::{Error, Result};

/// The format of the data folder.
const FORMAT: u32 = 1;
/// Where the latest arrival is kept, so that the clock does not go back over a restart.
const CLOCK: &str = "clock";
/// Where the next place in the log is kept.
const NEXT_OFFSET: &str = "next_offset";
/// Joins that are followed from an id to its customer.
const LONGEST_CHAIN: usize = 16;
/// Memory for recently used timelines.
const CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Memory for fjall's blocks.
const BLOCK_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The store in one fjall database: everything that an event changes is one atomic batch.
pub struct Embedded {
    database: Database,
    /// Offset (big endian) to event.
    log: Keyspace,
    /// Customer, NUL, time, seq, message id (all in byte order) to event.
    timelines: Keyspace,
    /// Message id to offset.
    messages: Keyspace,
    /// Anonymous id to customer id.
    aliases: Keyspace,
    /// Ids that were sent as those of known customers: they cannot be joined to another.
    customers: Keyspace,
    /// Name to value.
    config: Keyspace,
    cache: Cache,
    clock: Arc<Clock>,
    /// Whether timelines in memory have the scores that were recorded.
    keeps_scores: AtomicBool,
    /// Held to read while an id is resolved and its timeline read, to write while a join changes both.
    joining: RwLock<()>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

/// What a group of events changes, before it is written.
struct Group<'a> {
    store: &'a Embedded,
    batch: fjall::OwnedWriteBatch,
    next_offset: u64,
    /// What this group has written already, which the database does not show yet.
    messages: HashMap<String, u64>,
    aliases: HashMap<String, String>,
    added: Vec<Arc<Event>>,
    /// Customers whose cached timelines are no longer right.
    changed: Vec<String>,
}

/// Ordered by customer, time and seq; the message id keeps events of two projects apart.
fn key(event: &Event, customer_id: &str) -> Vec<u8> {
    let mut key = prefix(customer_id);
    // With its sign bit flipped an i64 is ordered by its bytes.
    key.extend_from_slice(&(event.event_time.0.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&event.seq.to_be_bytes());
    key.extend_from_slice(event.message_id.as_bytes());
    key
}

fn prefix(customer_id: &str) -> Vec<u8> {
    let mut prefix = customer_id.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

fn encode(event: &Event) -> Result<Vec<u8>> {
    serde_json::to_vec(event).map_err(Error::store("encode an event"))
}

fn decode(bytes: &[u8]) -> Result<Event> {
    serde_json::from_slice(bytes).map_err(Error::store("decode an event"))
}

impl Embedded {
    /// Opens the store in a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written, is open in another process, or has a newer format.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::store("make its data folder"))?;
        let database =
            Database::builder(folder).cache_size(BLOCK_CACHE_BYTES).open().map_err(|error| {
                match error {
                    fjall::Error::Locked => Error::InUse(folder.to_owned()),
                    other => Error::Store { action: "open", message: other.to_string() },
                }
            })?;
        let keyspace = |name: &str| {
            database
                .keyspace(name, KeyspaceCreateOptions::default)
                .map_err(Error::store("open a keyspace"))
        };
        let (log, timelines) = (keyspace("log")?, keyspace("timelines")?);
        let (messages, aliases) = (keyspace("messages")?, keyspace("aliases")?);
        let (customers, config) = (keyspace("customers")?, keyspace("config")?);
        let last = config.get(CLOCK).map_err(Error::store("read its clock"))?;
        let last =
            last.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, i64::from_be_bytes);
        let store = Self {
            database,
            log,
            timelines,
            messages,
            aliases,
            customers,
            config,
            cache: Cache::new(CACHE_BYTES),
            clock: Arc::new(Clock::after(Time(last))),
            keeps_scores: AtomicBool::new(false),
            joining: RwLock::new(()),
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        // What cannot be read is of a program that is not known here.
        let number = |bytes: Vec<u8>| String::from_utf8(bytes).ok()?.parse().ok();
        match self.get("format")?.map(|bytes| number(bytes).unwrap_or(u32::MAX)) {
            None => self.put(&[("format".to_owned(), FORMAT.to_string().into_bytes())]),
            Some(found) if found > FORMAT => Err(Error::TooNew { found, known: FORMAT }),
            Some(_) => Ok(()),
        }
    }

    /// The clock of arrivals and live scores.
    #[must_use]
    pub fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }

    /// The next place in the log: never one that an event had that was erased.
    fn next_offset(&self) -> Result<u64> {
        let kept = self.get(NEXT_OFFSET)?.map_or(0, |bytes| offset(&bytes));
        match self.log.last_key_value() {
            Some(last) => {
                let last = offset(&last.key().map_err(Error::store("read its log"))?);
                Ok(kept.max(last + 1))
            }
            None => Ok(kept),
        }
    }

    /// The customer that an id stands for in the end.
    fn resolve(&self, id: &str) -> Result<String> {
        let mut id = id.to_owned();
        for _ in 0..LONGEST_CHAIN {
            match self.aliases.get(&id).map_err(Error::store("read an alias"))? {
                Some(next) => id = String::from_utf8_lossy(&next).into_owned(),
                None => break,
            }
        }
        Ok(id)
    }

    /// Whether an event joins two timelines that are not one yet.
    fn is_new_join(&self, incoming: &Incoming) -> bool {
        match (incoming.kind, &incoming.anonymous_id, &incoming.customer_id) {
            (Kind::Join, Some(anonymous), Some(customer)) => {
                // What cannot be read is found again, and said, when the event is added.
                self.resolve(anonymous).ok() != self.resolve(customer).ok()
            }
            _ => false,
        }
    }

    /// The places in the log of an event, and of the join that it may have made.
    fn offsets(&self, event: &Event) -> Result<Vec<u64>> {
        if event.event == SCORE {
            return Ok(event.seq.checked_sub(LIVE_SEQ).into_iter().collect());
        }
        let mut places = Vec::new();
        for id in [event.message_id.clone(), join_id(&event.message_id)] {
            let known = self.messages.get(id).map_err(Error::store("read a message"))?;
            places.extend(known.map(|place| offset(&place)));
        }
        Ok(places)
    }

    fn load(&self, customer_id: &str) -> Result<Vec<Arc<Event>>> {
        let entries = self.timelines.prefix(prefix(customer_id));
        entries
            .map(|entry| {
                let value = entry.value().map_err(Error::store("read a timeline"))?;
                Ok(Arc::new(decode(&value)?))
            })
            .collect()
    }
}

/// The message id of the join that an event makes.
fn join_id(message_id: &str) -> String {
    format!("{message_id}/join")
}

fn offset(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

impl EventLog for Embedded {
    fn append(&self, events: &[Incoming]) -> Result<Vec<Receipt>> {
        let mut arrival = self.clock.begin_group(events.len());
        let mut receipts = Vec::with_capacity(events.len());
        // A join moves what is in the database already, so it begins a batch of its own.
        let mut result = Ok(());
        for run in events.chunk_by(|_, next| !self.is_new_join(next)) {
            result = self.append_batch(run, arrival).map(|added| receipts.extend(added));
            arrival = arrival.plus(i64::try_from(run.len()).unwrap_or(i64::MAX));
            if result.is_err() {
                break;
            }
        }
        self.clock.end_group();
        result.map(|()| receipts)
    }

    fn read(&self, from: u64, limit: usize) -> Result<(Vec<Event>, u64)> {
        let mut next = from;
        let mut events = Vec::new();
        for entry in self.log.range(from.to_be_bytes()..).take(limit) {
            let (key, value) = entry.into_inner().map_err(Error::store("read its log"))?;
            next = offset(&key) + 1;
            events.push(decode(&value)?);
        }
        Ok((events, next))
    }

    fn latest(
        &self,
        limit: usize,
        looked_at: usize,
        wanted: &dyn Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for entry in self.log.iter().rev().take(looked_at) {
            if events.len() == limit {
                break;
            }
            let event = decode(&entry.value().map_err(Error::store("read its log"))?)?;
            if wanted(&event) {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn erase(&self, id: &str) -> Result<Erased> {
        let customer_id = self.resolve(id)?;
        let mut erased = Erased { customer_id: customer_id.clone(), ..Erased::default() };
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for event in self.load(&customer_id)? {
            *(if event.event == SCORE { &mut erased.scores } else { &mut erased.events }) += 1;
            batch.remove(&self.timelines, key(&event, &customer_id));
            for place in self.offsets(&event)? {
                batch.remove(&self.log, place.to_be_bytes());
            }
        }
        for alias in self.aliases.iter() {
            let (alias, _) = alias.into_inner().map_err(Error::store("read an alias"))?;
            if self.resolve(&String::from_utf8_lossy(&alias))? == customer_id {
                erased.aliases += 1;
                batch.remove(&self.aliases, alias.clone());
                batch.remove(&self.customers, alias);
            }
        }
        batch.remove(&self.customers, customer_id.as_bytes());
        let next = self.next_offset()?;
        batch.insert(&self.config, NEXT_OFFSET, next.to_be_bytes());
        let _joining = self.joining.write().unwrap_or_else(PoisonError::into_inner);
        batch.commit().map_err(Error::store("erase a customer"))?;
        self.cache.remove(&customer_id);
        Ok(erased)
    }
}

impl TimelineStore for Embedded {
    fn timeline(&self, id: &str) -> Result<(String, Arc<Timeline>)> {
        let _reading = self.joining.read().unwrap_or_else(PoisonError::into_inner);
        let customer_id = self.resolve(id)?;
        let load = || {
            let mut events = self.load(&customer_id)?;
            if !self.keeps_scores.load(Ordering::Acquire) {
                events.retain(|event| event.event != SCORE);
            }
            Ok(Timeline::new(events))
        };
        let timeline = self.cache.get(&customer_id, load)?;
        Ok((customer_id, timeline))
    }

    fn page(&self, id: &str, before: Time, limit: usize) -> Result<Vec<Event>> {
        let _reading = self.joining.read().unwrap_or_else(PoisonError::into_inner);
        let mut page = Vec::new();
        for entry in self.timelines.prefix(prefix(&self.resolve(id)?)).rev() {
            if page.len() == limit {
                break;
            }
            let event = decode(&entry.value().map_err(Error::store("read a timeline"))?)?;
            if event.event_time < before {
                page.push(event);
            }
        }
        Ok(page)
    }

    fn keep_scores(&self) {
        if !self.keeps_scores.swap(true, Ordering::AcqRel) {
            self.cache.clear();
        }
    }

    fn is_in_memory(&self, id: &str) -> bool {
        self.resolve(id).is_ok_and(|customer_id| self.cache.has(&customer_id))
    }
}

impl ConfigStore for Embedded {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let value = self.config.get(name).map_err(Error::store("read its configuration"))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn put(&self, values: &[(String, Vec<u8>)]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (name, value) in values {
            batch.insert(&self.config, name.as_bytes(), value.as_slice());
        }
        batch.commit().map_err(Error::store("write its configuration"))
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        self.config
            .prefix(prefix)
            .map(|entry| {
                let key = entry.key().map_err(Error::store("read its configuration"))?;
                Ok(String::from_utf8_lossy(&key).into_owned())
            })
            .collect()
    }
}

impl Embedded {
    fn append_batch(&self, events: &[Incoming], first_arrival: Time) -> Result<Vec<Receipt>> {
        let mut group = Group {
            store: self,
            batch: self.database.batch().durability(Some(PersistMode::SyncData)),
            next_offset: self.next_offset()?,
            messages: HashMap::new(),
            aliases: HashMap::new(),
            added: Vec::with_capacity(events.len()),
            changed: Vec::new(),
        };
        let mut receipts = Vec::with_capacity(events.len());
        for (incoming, arrival) in events.iter().zip(first_arrival.0..) {
            receipts.push(group.add(incoming, Time(arrival))?);
        }
        let Group { mut batch, added, changed, next_offset, .. } = group;
        let last = first_arrival.0 + i64::try_from(events.len()).unwrap_or(0);
        batch.insert(&self.config, CLOCK, last.to_be_bytes());
        batch.insert(&self.config, NEXT_OFFSET, next_offset.to_be_bytes());
        let _joining = (!changed.is_empty())
            .then(|| self.joining.write().unwrap_or_else(PoisonError::into_inner));
        batch.commit().map_err(Error::store("write events"))?;
        let keeps_scores = self.keeps_scores.load(Ordering::Acquire);
        for event in added.iter().filter(|event| keeps_scores || event.event != SCORE) {
            self.cache.add(event);
        }
        for customer_id in &changed {
            self.cache.remove(customer_id);
        }
        Ok(receipts)
    }
}

impl Group<'_> {
    /// Adds one event to the group, unless its message id is known.
    fn add(&mut self, incoming: &Incoming, arrival: Time) -> Result<Receipt> {
        if let Some(offset) = self.known_offset(&incoming.message_id)? {
            return Ok(Receipt { offset, duplicate: true });
        }
        // A score of an anonymous id does not make it that of a known customer.
        if let Some(customer) = &incoming.customer_id
            && incoming.event != SCORE
            && incoming.anonymous_id.as_ref() != Some(customer)
        {
            self.remember_customer(customer)?;
        }
        if incoming.kind == Kind::Join
            && let (Some(anonymous), Some(customer)) =
                (&incoming.anonymous_id, &incoming.customer_id)
        {
            self.join(anonymous, customer, incoming, arrival)?;
        }
        let id = incoming.customer_id.as_ref().or(incoming.anonymous_id.as_ref());
        let id = id.map(String::as_str).unwrap_or_default();
        let customer_id = self.resolve(id)?;
        let offset = self.next_offset;
        let (received_at, seq) = match incoming.kind {
            Kind::History { received_at, seq } => (received_at, seq),
            Kind::Live | Kind::Join => (arrival, LIVE_SEQ + offset),
        };
        let event = Event {
            message_id: incoming.message_id.clone(),
            customer_id,
            anonymous_id: incoming.anonymous_id.clone(),
            event: incoming.event.clone(),
            // No event happens after it was learned of.
            event_time: incoming.event_time.unwrap_or(received_at).min(received_at),
            received_at,
            seq,
            properties: incoming.properties.clone(),
        };
        self.write(event)?;
        Ok(Receipt { offset, duplicate: false })
    }

    /// Writes an event to the log, to its timeline and to the known messages.
    fn write(&mut self, event: Event) -> Result<()> {
        let offset = self.next_offset.to_be_bytes();
        let bytes = encode(&event)?;
        let store = self.store;
        self.batch.insert(&store.log, offset, bytes.as_slice());
        if event.event != ALIAS {
            let key = key(&event, &event.customer_id);
            self.batch.insert(&store.timelines, key, bytes);
        }
        // A score has an id of our making that nobody sends again.
        if event.event != SCORE {
            self.batch.insert(&store.messages, event.message_id.as_bytes(), offset);
            self.messages.insert(event.message_id.clone(), self.next_offset);
        }
        self.next_offset += 1;
        if event.event != ALIAS {
            self.added.push(Arc::new(event));
        }
        Ok(())
    }

    fn known_offset(&self, message_id: &str) -> Result<Option<u64>> {
        if let Some(offset) = self.messages.get(message_id) {
            return Ok(Some(*offset));
        }
        let known = self.store.messages.get(message_id).map_err(Error::store("read a message"))?;
        Ok(known.map(|key| offset(&key)))
    }

    fn resolve(&self, id: &str) -> Result<String> {
        let known = self.store.resolve(id)?;
        Ok(self.aliases.get(&known).cloned().unwrap_or(known))
    }

    /// Remembers that an id was sent as that of a known customer.
    fn remember_customer(&mut self, id: &str) -> Result<()> {
        let customers = &self.store.customers;
        if !customers.contains_key(id).map_err(Error::store("read a customer"))? {
            self.batch.insert(customers, id.as_bytes(), b"".as_slice());
        }
        Ok(())
    }

    /// Joins the anonymous timeline to the customer's, now and for what comes later. Who was sent as a
    /// known customer keeps their timeline: a write key is public, and must not move it.
    fn join(
        &mut self,
        anonymous: &str,
        customer: &str,
        incoming: &Incoming,
        arrival: Time,
    ) -> Result<()> {
        let customer = &self.resolve(customer)?;
        let store = self.store;
        let is_customer =
            store.customers.contains_key(anonymous).map_err(Error::store("read a customer"))?;
        if is_customer || self.resolve(anonymous)? == *customer {
            return Ok(());
        }
        self.write(Event {
            message_id: join_id(&incoming.message_id),
            customer_id: customer.clone(),
            anonymous_id: Some(anonymous.to_owned()),
            event: ALIAS.to_owned(),
            event_time: arrival,
            received_at: arrival,
            seq: LIVE_SEQ + self.next_offset,
            properties: Properties::new(),
        })?;
        self.batch.insert(&store.aliases, anonymous.as_bytes(), customer.as_bytes());
        self.aliases.insert(anonymous.to_owned(), customer.clone());
        for event in store.load(anonymous)? {
            self.batch.remove(&store.timelines, key(&event, anonymous));
            let event = Event { customer_id: customer.clone(), ..Event::clone(&event) };
            let to = key(&event, customer);
            self.batch.insert(&store.timelines, to, encode(&event)?);
        }
        self.changed.extend([anonymous.to_owned(), customer.clone()]);
        Ok(())
    }
}
