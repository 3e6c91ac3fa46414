use std::sync::Arc;

use kernel::domain::{ALIAS, Event, Properties, Time};

use super::embedded::Embedded;
use super::log::{Frame, Range};
use super::recent::{Map, MessageHash, Place, Recent, Row, Set};
use super::record::{self, Record};
use super::{Exposing, Incoming, Kind, LIVE_SEQ, Receipt, Rejected, Said};
use crate::Result;

/// What a group of events changes, before it is written.
pub(super) struct Change<'a> {
    store: &'a Embedded,
    frame: Frame,
    /// Records of a frame that was taken.
    n: u64,
    /// The offset of the first record.
    first: u64,
    messages: Map<MessageHash, (u64, i64)>,
    aliases: Map<String, String>,
    pub(super) joins: Vec<Join>,
    customers: Set<String>,
    rows: Vec<New>,
    clock: i64,
}

/// An anonymous id that becomes a customer's.
pub(super) struct Join {
    pub(super) anonymous: String,
    pub(super) customer: String,
    /// What came before it is theirs too. Of an id that was joined to another before, that stays there.
    is_first: bool,
}

impl Join {
    pub(super) fn put_into(&self, recent: &mut Recent) {
        recent.join(&self.anonymous, &self.customer, self.is_first);
    }
}

/// A row that a group adds.
struct New {
    /// None for a score that nothing in memory reads.
    event: Option<Arc<Event>>,
    id: String,
    is_score: bool,
    place: Place,
    offset: u64,
    range: Range,
}

/// A hash that nobody who sends events can make collide.
pub(super) fn hash(message_id: &str) -> MessageHash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&blake3::hash(message_id.as_bytes()).as_bytes()[..16]);
    hash
}

/// The place of an event in its timeline. What this endpoint said is never two at one seq.
pub(super) fn place(event: &Event) -> Place {
    place_by(event, || hash(&event.message_id))
}

/// The same with what knows the hash of its message id.
fn place_by(event: &Event, hash: impl FnOnce() -> MessageHash) -> Place {
    let tie = match record::is_said(event) {
        true => 0,
        false => {
            let [a, b, c, d, e, f, g, h, ..] = hash();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    };
    Place { time: event.event_time.0, seq: event.seq, tie }
}

fn place_of_said(received_at: Time, offset: u64) -> Place {
    Place { time: received_at.0, seq: LIVE_SEQ + offset, tie: 0 }
}

impl<'a> Change<'a> {
    pub(super) fn new(store: &'a Embedded) -> Self {
        Self {
            store,
            frame: Frame::new(),
            n: 0,
            first: store.log().next(),
            messages: Map::default(),
            aliases: Map::default(),
            joins: Vec::new(),
            customers: Set::default(),
            rows: Vec::new(),
            clock: 0,
        }
    }

    /// The records to write.
    pub(super) fn take_frame(&mut self) -> Frame {
        self.n = self.frame.len();
        std::mem::take(&mut self.frame)
    }

    /// Bytes of the records to write.
    pub(super) fn frame_bytes(&self) -> usize {
        self.frame.record_bytes()
    }

    fn offset(&self) -> u64 {
        self.first + self.frame.len()
    }

    /// Adds one event, unless its message id is known.
    pub(super) fn add(&mut self, incoming: Incoming, arrival: Time) -> Result<Receipt> {
        let hash = hash(&incoming.message_id);
        let known = self.messages.get(&hash).map(|(offset, _)| *offset);
        if let Some(offset) = known.map_or_else(|| self.store.message(&hash), |at| Ok(Some(at)))? {
            return Ok(Receipt { offset, duplicate: true });
        }
        let customer_id = self.customer_of(&incoming, arrival)?;
        let offset = self.offset();
        let (received_at, seq) = match incoming.kind {
            Kind::History { received_at, seq } => (received_at, seq),
            Kind::Live | Kind::Join => (arrival, LIVE_SEQ + offset),
        };
        self.clock = self.clock.max(arrival.0);
        self.messages.insert(hash, (offset, arrival.0));
        let known_as = incoming.customer_id.filter(|id| *id != customer_id);
        let event = Event {
            message_id: incoming.message_id,
            customer_id,
            anonymous_id: incoming.anonymous_id,
            event: incoming.event,
            // No event happens after it was learned of.
            event_time: incoming.event_time.unwrap_or(received_at).min(received_at),
            received_at,
            seq,
            properties: incoming.properties,
        };
        self.write(event, known_as.as_deref(), hash)?;
        Ok(Receipt { offset, duplicate: false })
    }

    /// The customer that an event is of, after the join that it may make.
    fn customer_of(&mut self, incoming: &Incoming, arrival: Time) -> Result<String> {
        let settled = incoming.customer_id.as_ref().filter(|id| self.store.is_settled(id));
        if let (None, Some(customer)) = (settled, &incoming.customer_id)
            && incoming.anonymous_id.as_ref() != Some(customer)
            && !self.is_customer(customer)?
        {
            self.customers.insert(customer.clone());
        }
        if incoming.kind == Kind::Join
            && let (Some(anonymous), Some(customer)) =
                (&incoming.anonymous_id, &incoming.customer_id)
        {
            self.join(anonymous, customer, incoming, arrival)?;
        }
        if let Some(customer) = settled {
            return Ok(customer.clone());
        }
        let id = incoming.customer_id.as_ref().or(incoming.anonymous_id.as_ref());
        let customer_id = self.resolve(id.map(String::as_str).unwrap_or_default())?;
        if incoming.customer_id.as_ref() == Some(&customer_id) {
            self.store.settle(&customer_id)?;
        }
        Ok(customer_id)
    }

    /// Adds a score that was given.
    pub(super) fn say(&mut self, said: &Said, arrival: Time, is_read: bool) -> Result<()> {
        let offset = self.offset();
        let range = self.frame.push(|bytes| record::write_score(said, arrival, bytes))?;
        let event = match is_read {
            true => match record::read(offset, &self.frame.bytes()[range.clone()])? {
                Record::Event { event, .. } => Some(Arc::new(event)),
                Record::Rejected(_) | Record::Erased => None,
            },
            false => None,
        };
        self.clock = self.clock.max(arrival.0);
        self.rows.push(New {
            event,
            id: said.customer_id.clone(),
            is_score: true,
            place: place_of_said(arrival, offset),
            offset,
            range,
        });
        Ok(())
    }

    /// Adds a variant that somebody got.
    pub(super) fn expose(&mut self, exposing: &Exposing, arrival: Time) -> Result<()> {
        let offset = self.offset();
        // They may have been joined to another since they were asked for.
        let id = self.resolve(&exposing.customer_id)?;
        let write = |bytes: &mut Vec<u8>| record::write_exposure(exposing, &id, arrival, bytes);
        let range = self.frame.push(write)?;
        let read = record::read(offset, &self.frame.bytes()[range.clone()])?;
        let Record::Event { event, .. } = read else { return Ok(()) };
        self.clock = self.clock.max(arrival.0);
        self.rows.push(New {
            place: place(&event),
            event: Some(Arc::new(event)),
            id,
            is_score: false,
            offset,
            range,
        });
        Ok(())
    }

    /// Adds an event that was not taken.
    pub(super) fn reject(&mut self, rejected: &Rejected) -> Result<()> {
        self.frame.push(|bytes| record::write_rejected(rejected, bytes)).map(|_| ())
    }

    fn write(&mut self, event: Event, known_as: Option<&str>, hash: MessageHash) -> Result<()> {
        let offset = self.offset();
        let range = self.frame.push(|bytes| record::write_event(&event, known_as, bytes))?;
        if event.event != ALIAS {
            self.rows.push(New {
                id: event.customer_id.clone(),
                is_score: false,
                place: place_by(&event, || hash),
                offset,
                range,
                event: Some(Arc::new(event)),
            });
        }
        Ok(())
    }

    fn is_customer(&self, id: &str) -> Result<bool> {
        Ok(self.customers.contains(id) || self.store.is_customer(id)?)
    }

    fn resolve(&self, id: &str) -> Result<String> {
        let known = self.store.resolve(id)?;
        Ok(self.aliases.get(&known).cloned().unwrap_or(known))
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
        let customer = self.resolve(customer)?;
        if self.is_customer(anonymous)? || self.resolve(anonymous)? == customer {
            return Ok(());
        }
        let is_first = !self.aliases.contains_key(anonymous) && !self.store.is_joined(anonymous)?;
        let event = Event {
            message_id: format!("{}/join", incoming.message_id),
            customer_id: customer.clone(),
            anonymous_id: Some(anonymous.to_owned()),
            event: ALIAS.to_owned(),
            event_time: arrival,
            received_at: arrival,
            seq: LIVE_SEQ + self.offset(),
            properties: Properties::new(),
        };
        let hash = hash(&event.message_id);
        self.write(event, None, hash)?;
        self.aliases.insert(anonymous.to_owned(), customer.clone());
        self.joins.push(Join { anonymous: anonymous.to_owned(), customer, is_first });
        Ok(())
    }

    /// Takes what was written into what is recent; gives the events that timelines in memory add.
    pub(super) fn into_recent(
        self,
        frame: &Arc<[u8]>,
        recent: &mut Recent,
    ) -> Vec<(u64, Place, Arc<Event>)> {
        recent.next = self.first + self.n;
        recent.clock = recent.clock.max(self.clock);
        recent.messages.extend(self.messages);
        recent.customers.extend(self.customers);
        let mut events = Vec::with_capacity(self.rows.len());
        for New { event, id, is_score, place, offset, range } in self.rows {
            recent.add_row(&id, is_score, Row::new(place, offset, frame.clone(), range));
            events.extend(event.map(|event| (offset, place, event)));
        }
        events
    }
}

/// Takes a record of the log into what is recent, as when it was written.
pub(super) fn replay(
    offset: u64,
    bytes: &[u8],
    recent: &mut Recent,
    is_joined: impl Fn(&str) -> Result<bool>,
) -> Result<()> {
    recent.next = offset + 1;
    let Record::Event { event, known_as } = record::read(offset, bytes)? else { return Ok(()) };
    if event.seq >= LIVE_SEQ {
        recent.clock = recent.clock.max(event.received_at.0);
    }
    if event.event == ALIAS {
        if let Some(anonymous) = &event.anonymous_id {
            let is_first = !recent.aliases.contains_key(anonymous) && !is_joined(anonymous)?;
            recent.join(anonymous, &event.customer_id, is_first);
        }
        return Ok(());
    }
    let is_score = record::is_score(bytes);
    if !record::is_said(&event) {
        recent.add_message(hash(&event.message_id), offset, recent.clock);
        // An anonymous id that is nobody's is the only id of its events.
        if event.anonymous_id.as_ref() != Some(&event.customer_id) {
            recent.customers.insert(known_as.unwrap_or_else(|| event.customer_id.clone()));
        }
    }
    let row = Row::new(place(&event), offset, bytes.into(), 0..bytes.len());
    recent.add_row(&event.customer_id, is_score, row);
    Ok(())
}
