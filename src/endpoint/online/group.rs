use std::sync::Arc;

use kernel::domain::{ALIAS, Event, Properties, Time, UNALIAS, Value};

use super::embedded::Embedded;
use super::joins::{Alias, MAX_IDS_PER_CUSTOMER};
use super::log::{Frame, Range};
use super::recent::{Map, Message, MessageHash, Place, Recent, Row, Set};
use super::record::{self, Record};
use super::{Exposing, Incoming, Joiner, Kind, LIVE_SEQ, Receipt, Rejected, Said};
use crate::{Error, Result};

/// What a group of events changes, before it is written.
pub(super) struct Change<'a> {
    store: &'a Embedded,
    frame: Frame,
    /// Records of a frame that was taken.
    n: u64,
    /// The offset of the first record.
    first: u64,
    messages: Map<MessageHash, Message>,
    /// What ids are joined to after the group; none where a join was undone.
    aliases: Map<String, Option<Alias>>,
    /// Joins and their ends in the order of the log.
    joins: Vec<JoinChange>,
    /// Numbers of ids of customers after the group; none where they are to be counted again.
    id_counts: Map<String, Option<usize>>,
    customers: Set<String>,
    /// Ids under which the group has events without a user id.
    anonymous: Set<String>,
    rows: Vec<New>,
    clock: i64,
}

/// A join, or its end.
#[derive(Debug)]
pub(super) enum JoinChange {
    Joined { id: String, alias: Alias },
    Undone { id: String, customer: String },
}

impl JoinChange {
    pub(super) fn put_into(&self, recent: &mut Recent) {
        match self {
            Self::Joined { id, alias } => recent.join(id, alias.clone()),
            Self::Undone { id, customer } => recent.unjoin(id, customer),
        }
    }

    /// The ids whose timelines are others now.
    pub(super) fn ids(&self) -> [&str; 2] {
        match self {
            Self::Joined { id, alias } => [id, &alias.customer],
            Self::Undone { id, customer } => [id, customer],
        }
    }
}

/// The identity of an event.
struct Identity {
    /// The customer that it belongs to now.
    customer_id: String,
    /// The id that its row is stored under: its own, so that a join can be undone.
    row_id: String,
}

/// The property of a join that says who made it.
const JOINED_BY: &str = "joined_by";

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

/// The hash of a message id of a source. Those of history are hashed as they are, as earlier versions did it
/// with all.
fn source_hash(source: u32, message_id: &str) -> MessageHash {
    if source == 0 {
        return hash(message_id);
    }
    let mut hasher = blake3::Hasher::new();
    // No id has a NUL, so that none of history is one of these.
    hasher.update(&[0]).update(&source.to_le_bytes()).update(message_id.as_bytes());
    let mut hash = [0; 16];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
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
            id_counts: Map::default(),
            customers: Set::default(),
            anonymous: Set::default(),
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

    /// Adds one event, unless its message id is known or it asks for a join that it may not make.
    pub(super) fn add(&mut self, incoming: Incoming, arrival: Time) -> Result<Receipt> {
        let Incoming { customer_id: user, anonymous_id: anonymous, .. } = &incoming;
        let own_id = user.as_ref().or(anonymous.as_ref()).cloned().unwrap_or_default();
        let content = record::content_hash(&own_id, &incoming.event, &incoming.properties)?;
        let hash = source_hash(incoming.origin.source, &incoming.message_id);
        if let Some(known) = self.message(&hash, &incoming)? {
            // History may be published again in another shape.
            let is_live = !matches!(incoming.kind, Kind::History { .. });
            let is_other = is_live && known.content != 0 && known.content != content;
            return Ok(Receipt::Duplicate { offset: known.offset, is_other });
        }
        let identity = match self.identify(&incoming, &own_id, arrival)? {
            Ok(identity) => identity,
            Err(reason) => {
                let event = match incoming.kind {
                    Kind::Join { sent, .. } => sent.into(),
                    Kind::Live | Kind::History { .. } => String::new(),
                };
                let rejected = Rejected { received_at: arrival, reason, event };
                self.reject(&rejected)?;
                return Ok(Receipt::Rejected { reason: rejected.reason });
            }
        };
        let offset = self.offset();
        let (received_at, seq) = match incoming.kind {
            Kind::History { received_at, seq } => (received_at, seq),
            Kind::Live | Kind::Join { .. } => (arrival, LIVE_SEQ + offset),
        };
        self.clock = self.clock.max(arrival.0);
        self.messages.insert(hash, Message { offset, arrival: arrival.0, content });
        let Identity { customer_id, row_id } = identity;
        let known_as = Some(own_id).filter(|id| *id != row_id);
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
        self.write(event, row_id, known_as.as_deref(), Some(incoming.origin.source))?;
        Ok(Receipt::Accepted { offset })
    }

    /// The first event with a message id of a source.
    fn message(&self, hash: &MessageHash, incoming: &Incoming) -> Result<Option<Message>> {
        if let Some(known) = self.messages.get(hash) {
            return Ok(Some(*known));
        }
        let known = self.store.message(hash)?;
        // Before there were sources, an id counted once for all.
        let earlier = self.store.sources_since();
        if known.is_some() || incoming.origin.source == 0 || earlier == 0 {
            return Ok(known);
        }
        let unsourced = self.store.message(&source_hash(0, &incoming.message_id))?;
        Ok(unsourced.filter(|known| known.offset < earlier))
    }

    /// Finds the customer that an event belongs to, after the join that it makes and the one that it ends; or the
    /// reason why it is rejected, and then nothing is changed.
    fn identify(
        &mut self,
        incoming: &Incoming,
        own_id: &str,
        arrival: Time,
    ) -> Result<std::result::Result<Identity, String>> {
        let itself = |id: &str| Identity { customer_id: id.to_owned(), row_id: id.to_owned() };
        let user = incoming.customer_id.as_deref();
        let anonymous = incoming.anonymous_id.as_deref();
        let is_join = matches!(incoming.kind, Kind::Join { .. });
        if let Some(user) = user
            && !is_join
            && self.store.is_settled(user)
            && !self.aliases.contains_key(user)
        {
            return Ok(Ok(itself(user)));
        }
        // An anonymous id that is sent as the user id, too, is no sign of a user.
        let user = user.filter(|user| anonymous != Some(*user));
        // A public key may have joined the id before its owner was seen: who uses it as theirs has it.
        let ended = match user {
            Some(user) => self.alias(user)?.filter(Alias::ends_with_first_use),
            None => None,
        };
        let mut join = None;
        if is_join && let (Some(user), Some(anonymous)) = (user, anonymous) {
            let customer = match ended {
                Some(_) => user.to_owned(),
                None => self.resolve(user)?.customer_id,
            };
            match self.check_join(anonymous, &customer, incoming)? {
                Ok(true) => join = Some((anonymous, customer)),
                Ok(false) => {}
                Err(reason) => return Ok(Err(reason)),
            }
        }
        if let Some(user) = user {
            if let Some(alias) = ended {
                self.undo(user, alias.customer, arrival)?;
            }
            if !self.is_customer(user)? {
                self.customers.insert(user.to_owned());
            }
        } else {
            self.anonymous.insert(own_id.to_owned());
        }
        if let Some((anonymous, customer)) = join {
            self.join(anonymous, &customer, incoming, arrival)?;
        }
        let identity = self.resolve(own_id)?;
        if user == Some(&*identity.customer_id) {
            self.store.settle(&identity.customer_id)?;
        }
        Ok(Ok(identity))
    }

    /// Whether an id is to be joined to a customer: not if it is already, or the reason why it may not be.
    ///
    /// A public key joins only ids that belong to nobody; servers and administrators join user ids as well. An id
    /// that is joined stays with its customer until that join is undone.
    fn check_join(
        &self,
        id: &str,
        customer: &str,
        incoming: &Incoming,
    ) -> Result<std::result::Result<bool, String>> {
        let Kind::Join { is_alias, .. } = incoming.kind else { return Ok(Ok(false)) };
        if self.resolve(id)?.customer_id == customer {
            return Ok(Ok(false));
        }
        let needs_server_key = |why: &str| {
            format!(
                "'{id}' {why}, so that a browser key cannot join it; send this with a server key or an admin key"
            )
        };
        let alias = self.alias(id)?;
        if incoming.origin.joiner == Joiner::Browser {
            if alias.is_some() || self.is_customer(id)? {
                return Ok(Err(needs_server_key("belongs to another customer")));
            }
            if is_alias && !self.anonymous.contains(id) && !self.store.has_rows(id)? {
                return Ok(Err(needs_server_key("was never used as an anonymous id")));
            }
        } else if let Some(alias) = alias {
            if !is_alias {
                return Ok(Ok(false));
            }
            return Ok(Err(format!(
                "'{id}' is joined to '{}' already; undo that join first (fullcircle joins undo)",
                alias.customer
            )));
        }
        if self.id_count(customer)? + self.id_count(id)? > MAX_IDS_PER_CUSTOMER {
            return Ok(Err(format!(
                "the customer would have more than {MAX_IDS_PER_CUSTOMER} ids, which is the most there can be \
                 with any key, a server key included; undo joins that are not theirs (fullcircle joins)"
            )));
        }
        Ok(Ok(true))
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
        let id = self.resolve(&exposing.customer_id)?.customer_id;
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

    fn write(
        &mut self,
        event: Event,
        row_id: String,
        known_as: Option<&str>,
        source: Option<u32>,
    ) -> Result<()> {
        let offset = self.offset();
        let write =
            |bytes: &mut Vec<u8>| record::write_event(&event, &row_id, known_as, source, bytes);
        let range = self.frame.push(write)?;
        self.rows.push(New {
            id: row_id,
            is_score: false,
            place: place(&event),
            offset,
            range,
            event: Some(Arc::new(event)),
        });
        Ok(())
    }

    /// Records a join or its end.
    fn write_join(&mut self, event: &Event) -> Result<()> {
        let id = &event.customer_id;
        self.frame.push(|bytes| record::write_event(event, id, None, None, bytes)).map(|_| ())
    }

    fn is_customer(&self, id: &str) -> Result<bool> {
        Ok(self.customers.contains(id) || self.store.is_customer(id)?)
    }

    fn alias(&self, id: &str) -> Result<Option<Alias>> {
        match self.aliases.get(id) {
            Some(alias) => Ok(alias.clone()),
            None => self.store.alias(id),
        }
    }

    /// The customer that an id stands for, and where its rows are stored.
    fn resolve(&self, id: &str) -> Result<Identity> {
        let mut customer_id = id.to_owned();
        let mut row_id = id.to_owned();
        for _ in 0..MAX_IDS_PER_CUSTOMER {
            let Some(alias) = self.alias(&customer_id)? else { break };
            if !alias.is_whole {
                row_id.clone_from(&alias.customer);
            }
            customer_id = alias.customer;
        }
        Ok(Identity { customer_id, row_id })
    }

    fn id_count(&self, id: &str) -> Result<usize> {
        match self.id_counts.get(id) {
            Some(Some(n)) => Ok(*n),
            _ => self.store.id_count(id),
        }
    }

    /// Joins an id to a customer, now and for what comes later.
    fn join(&mut self, id: &str, customer: &str, incoming: &Incoming, arrival: Time) -> Result<()> {
        let n = self.id_count(customer)? + self.id_count(id)?;
        self.id_counts.insert(customer.to_owned(), Some(n));
        let joined_by = incoming.origin.joiner;
        let name = match joined_by {
            Joiner::Browser => "browser",
            Joiner::Server => "server",
            Joiner::Admin => "admin",
        };
        let event = Event {
            message_id: format!("{}/join", incoming.message_id),
            customer_id: customer.to_owned(),
            anonymous_id: Some(id.to_owned()),
            event: ALIAS.to_owned(),
            event_time: arrival,
            received_at: arrival,
            seq: LIVE_SEQ + self.offset(),
            properties: Properties::from([(JOINED_BY.to_owned(), Value::text(name))]),
        };
        self.write_join(&event)?;
        let alias = Alias {
            customer: customer.to_owned(),
            joined_at: Some(arrival),
            joined_by: Some(joined_by),
            is_whole: true,
        };
        self.aliases.insert(id.to_owned(), Some(alias.clone()));
        self.joins.push(JoinChange::Joined { id: id.to_owned(), alias });
        Ok(())
    }

    /// Undoes the join of an id to a customer: what came with the id is its own again.
    fn undo(&mut self, id: &str, customer: String, arrival: Time) -> Result<()> {
        let mut root = customer.clone();
        while let Some(alias) = self.alias(&root)? {
            self.id_counts.insert(root, None);
            root = alias.customer;
        }
        self.id_counts.insert(root, None);
        self.id_counts.insert(id.to_owned(), None);
        let event = Event {
            message_id: format!("undo-{}", arrival.0),
            customer_id: customer.clone(),
            anonymous_id: Some(id.to_owned()),
            event: UNALIAS.to_owned(),
            event_time: arrival,
            received_at: arrival,
            seq: LIVE_SEQ + self.offset(),
            properties: Properties::new(),
        };
        self.clock = self.clock.max(arrival.0);
        self.write_join(&event)?;
        self.aliases.insert(id.to_owned(), None);
        self.joins.push(JoinChange::Undone { id: id.to_owned(), customer });
        Ok(())
    }

    /// Undoes the join of an id, because somebody asked for it. Gives the join.
    pub(super) fn undo_join(&mut self, id: &str, arrival: Time) -> Result<super::Join> {
        let Some(alias) = self.alias(id)? else {
            return Err(Error::NotFound(format!("'{id}' is not joined to a customer")));
        };
        if !alias.is_whole {
            return Err(Error::BadRequest(format!(
                "'{id}' was joined twice by an earlier version, which cannot be undone"
            )));
        }
        self.undo(id, alias.customer.clone(), arrival)?;
        Ok(alias.into_join(id.to_owned()))
    }

    /// The joins of the group, and the numbers of ids that follow.
    pub(super) fn take_joins(&mut self) -> (Vec<JoinChange>, Map<String, Option<usize>>) {
        (std::mem::take(&mut self.joins), std::mem::take(&mut self.id_counts))
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
    let Record::Event { event, known_as, source } = record::read(offset, bytes)? else {
        return Ok(());
    };
    if event.seq >= LIVE_SEQ {
        recent.clock = recent.clock.max(event.received_at.0);
    }
    if event.event == ALIAS || event.event == UNALIAS {
        let Some(id) = &event.anonymous_id.clone() else { return Ok(()) };
        if event.event == UNALIAS {
            recent.unjoin(id, &event.customer_id);
            return Ok(());
        }
        let is_whole = match recent.aliases.get(id) {
            Some(alias) => alias.is_none(),
            None => !is_joined(id)?,
        };
        recent.join(id, join_of(event, is_whole));
        return Ok(());
    }
    let is_score = record::is_score(bytes);
    if !record::is_said(&event) {
        let own_id = known_as.as_ref().unwrap_or(&event.customer_id);
        let content = match source {
            Some(_) => record::content_hash(own_id, &event.event, &event.properties)?,
            None => 0,
        };
        let hash = source_hash(source.unwrap_or(0), &event.message_id);
        let message = Message { offset, arrival: recent.clock, content };
        recent.messages.insert(hash, message);
        // An anonymous id that is nobody's is the only id of its events.
        if event.anonymous_id.as_ref() != Some(own_id) {
            recent.customers.insert(own_id.clone());
        }
    }
    let row = Row::new(place(&event), offset, bytes.into(), 0..bytes.len());
    recent.add_row(&event.customer_id, is_score, row);
    Ok(())
}

/// The alias that a join recorded.
fn join_of(event: Event, is_whole: bool) -> Alias {
    let joined_by = match event.properties.get(JOINED_BY) {
        Some(Value::Text(name)) => match name.as_ref() {
            "browser" => Some(Joiner::Browser),
            "server" => Some(Joiner::Server),
            "admin" => Some(Joiner::Admin),
            _ => None,
        },
        _ => None,
    };
    let joined_at = joined_by.map(|_| event.received_at);
    Alias { customer: event.customer_id, joined_at, joined_by, is_whole }
}
