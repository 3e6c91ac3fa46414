use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use kernel::domain::{ALIAS, Event, Properties, SCORE, Time};

use super::cache::Cache;
use super::{
    Clock, ConfigStore, EventLog, Incoming, Kind, LIVE_SEQ, Receipt, Timeline, TimelineStore,
};
use crate::{Error, Result};

/// The format of the data folder.
const FORMAT: u32 = 1;
/// Memory for recently used timelines.
const CACHE_BYTES: usize = 256 * 1024 * 1024;
/// Memory for fjall's blocks.
const BLOCK_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The store in one fjall database: everything that an event changes is one atomic batch.
pub struct Embedded {
    database: Database,
    /// Offset (big endian) to event.
    log: Keyspace,
    /// Customer, NUL, time, seq (all in byte order) to event.
    timelines: Keyspace,
    /// Message id to offset.
    messages: Keyspace,
    /// Anonymous id to customer id.
    aliases: Keyspace,
    /// Name to value.
    config: Keyspace,
    cache: Cache,
    clock: Arc<Clock>,
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

fn key(time: Time, seq: u64, customer_id: &str) -> Vec<u8> {
    let mut key = prefix(customer_id);
    // With its sign bit flipped an i64 is ordered by its bytes.
    key.extend_from_slice(&(time.0.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
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
        let config = keyspace("config")?;
        let last = match log.last_key_value() {
            Some(last) => {
                let value = last.value().map_err(Error::store("read its log"))?;
                decode(&value)?.received_at
            }
            None => Time(0),
        };
        let store = Self {
            database,
            log,
            timelines,
            messages,
            aliases,
            config,
            cache: Cache::new(CACHE_BYTES),
            // History keeps its own arrival times, so the last event's may be long ago; then the
            // system's clock is later anyway.
            clock: Arc::new(Clock::after(last)),
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        let found =
            self.get("format")?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        match found {
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

    fn next_offset(&self) -> Result<u64> {
        match self.log.last_key_value() {
            Some(last) => Ok(offset(&last.key().map_err(Error::store("read its log"))?) + 1),
            None => Ok(0),
        }
    }

    fn load(&self, customer_id: &str) -> Result<Timeline> {
        let entries = self.timelines.prefix(prefix(customer_id));
        entries
            .map(|entry| {
                let value = entry.value().map_err(Error::store("read a timeline"))?;
                Ok(Arc::new(decode(&value)?))
            })
            .collect()
    }
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
        for run in events.chunk_by(|_, next| next.kind != Kind::Join) {
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
}

impl TimelineStore for Embedded {
    fn timeline(&self, customer_id: &str) -> Result<Arc<Timeline>> {
        self.cache.get(customer_id, || self.load(customer_id))
    }

    fn resolve(&self, id: &str) -> Result<String> {
        let known = self.aliases.get(id).map_err(Error::store("read an alias"))?;
        Ok(known
            .map_or_else(|| id.to_owned(), |known| String::from_utf8_lossy(&known).into_owned()))
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
        let Group { batch, added, changed, .. } = group;
        batch.commit().map_err(Error::store("write events"))?;
        for event in &added {
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
        if incoming.kind == Kind::Join
            && let (Some(anonymous), Some(customer)) =
                (&incoming.anonymous_id, &incoming.customer_id)
            && anonymous != customer
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
            let key = key(event.event_time, event.seq, &event.customer_id);
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
        match self.aliases.get(id) {
            Some(customer) => Ok(customer.clone()),
            None => self.store.resolve(id),
        }
    }

    /// Joins the anonymous timeline to the customer's, now and for what comes later.
    fn join(
        &mut self,
        anonymous: &str,
        customer: &str,
        incoming: &Incoming,
        arrival: Time,
    ) -> Result<()> {
        if self.resolve(anonymous)? == customer {
            return Ok(());
        }
        let store = self.store;
        self.write(Event {
            message_id: format!("{}/join", incoming.message_id),
            customer_id: customer.to_owned(),
            anonymous_id: Some(anonymous.to_owned()),
            event: ALIAS.to_owned(),
            event_time: arrival,
            received_at: arrival,
            seq: LIVE_SEQ + self.next_offset,
            properties: Properties::new(),
        })?;
        self.batch.insert(&store.aliases, anonymous.as_bytes(), customer.as_bytes());
        self.aliases.insert(anonymous.to_owned(), customer.to_owned());
        for event in store.load(anonymous)? {
            self.batch.remove(&store.timelines, key(event.event_time, event.seq, anonymous));
            let event = Event { customer_id: customer.to_owned(), ..Event::clone(&event) };
            let to = key(event.event_time, event.seq, customer);
            self.batch.insert(&store.timelines, to, encode(&event)?);
        }
        self.changed.extend([anonymous.to_owned(), customer.to_owned()]);
        Ok(())
    }
}
