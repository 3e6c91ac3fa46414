use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::index_recovery::damage_mark;
use super::joins::Alias;
use super::known::Known;
use super::maintenance::give_way;
use super::recent::{Message, MessageHash, Place, Recent, Row};
use crate::{Error, Result};

/// Memory of what a keyspace has not written as a run yet.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// Sorted runs that are merged with what is below them together: each merge writes all of that anew.
const RUNS: u8 = 8;
/// Messages that are read before a look at what else is to be done.
const READ_AT_ONCE: usize = 4096;
/// The offset after the last record of the log that is here.
const CHECKPOINT: &str = "checkpoint";
/// The latest arrival that is here.
const CLOCK: &str = "clock";
/// There while something that was removed may be on the disk.
const REMOVED: &str = "removed";
/// Before the ids of a customer who is being erased.
const ERASING: &str = "erasing/";

/// What is found by key: timelines, known messages and ids, all of which follow from the log and can be made
/// again from it. It is brought up to date a run at a time, in the order of its keys.
pub(super) struct Index {
    database: Database,
    /// Id, NUL, place to the record.
    timelines: Keyspace,
    /// The same for scores that were given.
    scores: Keyspace,
    /// Hash of a message id to offset, arrival, and a hash of what it says.
    messages: Keyspace,
    /// Id to what it is joined to.
    aliases: Keyspace,
    /// Customer id, NUL, id that was joined to it.
    joined: Keyspace,
    /// Ids that were sent as user ids.
    customers: Keyspace,
    state: Keyspace,
    known: Known,
    /// How often something was removed since the start.
    removed: Mutex<u64>,
    /// The file that says that a part of it was found to be damaged.
    damage_mark: PathBuf,
    /// Memory of fjall's blocks.
    block_bytes: usize,
}

/// Why an index cannot be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// Its files are not what was written.
    Damaged(String),
    /// Anything else, which may go away by itself.
    Failed(Error),
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        match is_damage(&error) {
            true => Self::Damaged(error.to_string()),
            false => Self::Failed(Error::store("open its index")(error)),
        }
    }
}

/// Whether an error says that files are not what was written.
fn is_damage(error: &fjall::Error) -> bool {
    use std::io::ErrorKind::{AlreadyExists, InvalidData, InvalidInput, NotFound, UnexpectedEof};
    let is_missing = |error: &std::io::Error| {
        matches!(
            error.kind(),
            AlreadyExists | InvalidData | InvalidInput | NotFound | UnexpectedEof
        )
    };
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            is_missing(error)
        }
        fjall::Error::Locked | fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted => false,
        _ => true,
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}

fn options() -> KeyspaceCreateOptions {
    let strategy = Leveled::default().with_l0_threshold(RUNS);
    KeyspaceCreateOptions::default()
        .compaction_strategy(Arc::new(strategy))
        .max_memtable_size(MEMTABLE_BYTES)
}

fn prefix(id: &str) -> Vec<u8> {
    let mut prefix = id.as_bytes().to_vec();
    prefix.push(0);
    prefix
}

/// What comes after all rows of an id, and before those of any other: ids have no NUL.
fn beyond(id: &str) -> Vec<u8> {
    let mut beyond = id.as_bytes().to_vec();
    if !id.is_empty() {
        beyond.push(1);
    }
    beyond
}

/// The key of a row; the places of one id are in the order of its bytes.
pub(super) fn key(id: &str, place: Place) -> Vec<u8> {
    let mut key = prefix(id);
    // With its sign bit flipped an i64 is ordered by its bytes.
    key.extend_from_slice(&(place.time.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&place.seq.to_be_bytes());
    key.extend_from_slice(&place.tie.to_be_bytes());
    key
}

/// The place that a key ends with.
fn place(key: &[u8]) -> Option<Place> {
    let start = key.len().checked_sub(24)?;
    let number = |at: usize| key.get(start + at..start + at + 8)?.try_into().ok();
    Some(Place {
        time: (u64::from_be_bytes(number(0)?) ^ (1 << 63)).cast_signed(),
        seq: u64::from_be_bytes(number(8)?),
        tie: u64::from_be_bytes(number(16)?),
    })
}

/// A message as it is kept; earlier versions kept no hash of what it says.
fn message(bytes: &[u8]) -> Message {
    let number = |at: usize| bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    Message {
        offset: number(0).map_or(0, u64::from_be_bytes),
        arrival: number(8).map_or(0, i64::from_be_bytes),
        content: number(16).map_or(0, u64::from_be_bytes),
    }
}

/// The key of an id that was joined to a customer.
fn joined_key(customer: &str, id: &str) -> Vec<u8> {
    [prefix(customer), id.as_bytes().to_vec()].concat()
}

impl Index {
    /// Opens the index in a folder, and makes it if it is not there, with so many bytes for blocks and for the
    /// filter of known messages.
    ///
    /// # Errors
    /// Whether it is damaged, or cannot be opened now.
    pub(super) fn open(
        folder: &Path,
        block_bytes: usize,
        filter_bytes: usize,
    ) -> std::result::Result<Self, OpenError> {
        // One worker: the first of several asks itself again and again while another compacts
        // (fjall 3.1.13), and takes a core for it.
        let builder = Database::builder(folder).cache_size(block_bytes as u64).worker_threads(1);
        let opened = std::thread::scope(|scope| {
            // The worker is as patient as the thread that starts it.
            let opening = scope.spawn(|| {
                give_way();
                builder.open()
            });
            opening.join()
        });
        // Files that make no sense can end fjall with a panic.
        let opened =
            opened.ok().ok_or_else(|| OpenError::Damaged("fjall ended with a panic".to_owned()))?;
        let database = opened.map_err(|error| match error {
            fjall::Error::Locked => OpenError::Failed(Error::InUse(folder.to_owned())),
            other => OpenError::from(other),
        })?;
        let keyspace = |name: &str| database.keyspace(name, options).map_err(OpenError::from);
        Ok(Self {
            timelines: keyspace("timelines")?,
            scores: keyspace("scores")?,
            messages: keyspace("messages")?,
            aliases: keyspace("aliases")?,
            joined: keyspace("joined")?,
            customers: keyspace("customers")?,
            state: keyspace("state")?,
            known: Known::new(filter_bytes),
            removed: Mutex::default(),
            damage_mark: damage_mark(folder),
            block_bytes,
            database,
        })
    }

    /// What failed. Damage is marked, so that the next start makes the index again.
    fn failed(&self, action: &'static str) -> impl FnOnce(fjall::Error) -> Error {
        move |error| {
            if !is_damage(&error) {
                return Error::Store { action, message: error.to_string() };
            }
            if let Err(error) = std::fs::write(&self.damage_mark, "") {
                tracing::error!(%error, "that the index is damaged cannot be noted");
            }
            tracing::error!(%error, "the index is damaged; the next start makes it again from the log");
            let message = format!(
                "its index is damaged ({error}); restart the endpoint, which makes it again from the log"
            );
            Error::Store { action, message }
        }
    }

    /// The offset after the last record of the log that is here, and the latest arrival.
    pub(super) fn checkpoint(&self) -> Result<(u64, i64)> {
        let number = |name: &str| -> Result<Option<[u8; 8]>> {
            let value = self.state.get(name).map_err(self.failed("read its index"))?;
            Ok(value.and_then(|bytes| bytes.as_ref().try_into().ok()))
        };
        Ok((
            number(CHECKPOINT)?.map_or(0, u64::from_be_bytes),
            number(CLOCK)?.map_or(0, i64::from_be_bytes),
        ))
    }

    /// The rows of an id in their order, or the other way round, until `each` says that it has enough.
    pub(super) fn rows(
        &self,
        id: &str,
        scores: bool,
        backwards: bool,
        mut each: impl FnMut(Place, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let keyspace = if scores { &self.scores } else { &self.timelines };
        let mut rows = keyspace.prefix(prefix(id));
        while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
            let (key, value) = row.into_inner().map_err(self.failed("read a timeline"))?;
            if let Some(place) = place(&key)
                && !each(place, &value)?
            {
                break;
            }
        }
        Ok(())
    }

    /// The ids of timelines after an id, in the order of their bytes, at most so many. Each costs one
    /// lookup, however long its timeline is.
    pub(super) fn ids(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut from = beyond(after);
        while ids.len() < limit {
            let Some(row) = self.timelines.range(from.clone()..).next() else { break };
            let key = row.key().map_err(self.failed("read a timeline"))?;
            let end = key.len().saturating_sub(25);
            let id = String::from_utf8_lossy(&key[..end]).into_owned();
            from = beyond(&id);
            ids.push(id);
        }
        Ok(ids)
    }

    /// Every id that something is known under, some more than once.
    pub(super) fn each_id(&self, mut each: impl FnMut(&str)) -> Result<()> {
        for (keyspace, has_place) in [
            (&self.timelines, true),
            (&self.scores, true),
            (&self.aliases, false),
            (&self.customers, false),
        ] {
            for entry in keyspace.iter() {
                let key = entry.key().map_err(self.failed("read its index"))?;
                let end = if has_place { key.len().saturating_sub(25) } else { key.len() };
                each(&String::from_utf8_lossy(&key[..end]));
            }
        }
        Ok(())
    }

    /// Every row, by id and place: `each` says whether it is to be removed. Gives the keys that were.
    pub(super) fn sweep(
        &self,
        scores: bool,
        mut each: impl FnMut(&str, Place, &[u8]) -> bool,
    ) -> Result<Vec<Vec<u8>>> {
        let keyspace = if scores { &self.scores } else { &self.timelines };
        let mut removed = Vec::new();
        for row in keyspace.iter() {
            let (key, value) = row.into_inner().map_err(self.failed("read a timeline"))?;
            let id = key.len().checked_sub(25).map(|end| String::from_utf8_lossy(&key[..end]));
            if let (Some(id), Some(place)) = (id, place(&key))
                && each(&id, place, &value)
            {
                removed.push(key.to_vec());
            }
        }
        if !removed.is_empty() {
            self.note_removed()?;
        }
        for run in removed.chunks(10_000) {
            let mut batch = self.database.batch();
            run.iter().for_each(|key| batch.remove(keyspace, key.as_slice()));
            batch.commit().map_err(self.failed("write its index"))?;
        }
        Ok(removed)
    }

    /// Forgets the ids of messages that came before a time.
    pub(super) fn forget_messages(&self, before: i64) -> Result<()> {
        let mut batch = self.database.batch();
        for entry in self.messages.iter() {
            let (key, value) = entry.into_inner().map_err(self.failed("read its index"))?;
            if message(&value).arrival < before {
                batch.remove(&self.messages, key);
            }
        }
        batch.commit().map_err(self.failed("write its index"))
    }

    /// Reads which messages there are, if that is due, so that most of those that are not there cost no look
    /// into the runs. Between many of them `goes_on` does what must not wait, and says whether to read on.
    pub(super) fn learn_messages(&self, goes_on: &mut dyn FnMut() -> Result<bool>) -> Result<()> {
        let n = self.messages.approximate_len();
        if !self.known.is_due(n) {
            return Ok(());
        }
        // What the index takes from here on is added to the filter; what it has now is read.
        let filter = self.known.begin(n);
        let mut read = || -> Result<bool> {
            for (place, message) in self.messages.iter().enumerate() {
                if place.is_multiple_of(READ_AT_ONCE) && !goes_on()? {
                    return Ok(false);
                }
                let key = message.key().map_err(self.failed("read its messages"))?;
                if let Ok(hash) = key.as_ref().try_into() {
                    filter.add(hash);
                }
            }
            Ok(true)
        };
        let read = read();
        self.known.end(matches!(read, Ok(true)).then(|| filter.clone()));
        read.map(|_| ())
    }

    /// Its memory in bytes: of fjall's blocks and of the filter of known messages.
    pub(super) fn memory(&self) -> usize {
        self.block_bytes + self.known.bytes()
    }

    /// The first event with a message id.
    pub(super) fn message(&self, hash: &MessageHash) -> Result<Option<Message>> {
        if !self.known.may_have(hash) {
            return Ok(None);
        }
        let known = self.messages.get(hash).map_err(self.failed("read a message"))?;
        Ok(known.map(|value| message(&value)))
    }

    pub(super) fn alias(&self, id: &str) -> Result<Option<Alias>> {
        let alias = self.aliases.get(id).map_err(self.failed("read an alias"))?;
        alias.map(|bytes| self.read_alias(id, &bytes)).transpose()
    }

    fn read_alias(&self, id: &str, bytes: &[u8]) -> Result<Alias> {
        Alias::from_bytes(bytes, |customer| {
            let is_whole = self.joined.contains_key(joined_key(customer, id));
            is_whole.map_err(self.failed("read an alias"))
        })
    }

    /// The aliases of ids after an id, in the order of their bytes, at most so many.
    pub(super) fn aliases(&self, after: &str, limit: usize) -> Result<Vec<(String, Alias)>> {
        let mut from = after.as_bytes().to_vec();
        from.push(0);
        let entries = self.aliases.range(from..).take(limit).map(|entry| {
            let (key, value) = entry.into_inner().map_err(self.failed("read an alias"))?;
            let id = String::from_utf8_lossy(&key).into_owned();
            let alias = self.read_alias(&id, &value)?;
            Ok((id, alias))
        });
        entries.collect()
    }

    /// The ids that were joined to an id.
    pub(super) fn joined(&self, id: &str) -> Result<Vec<String>> {
        let prefix = prefix(id);
        let joined = self.joined.prefix(&prefix).map(|entry| {
            let key = entry.key().map_err(self.failed("read an alias"))?;
            Ok(String::from_utf8_lossy(&key[prefix.len()..]).into_owned())
        });
        joined.collect()
    }

    pub(super) fn is_customer(&self, id: &str) -> Result<bool> {
        self.customers.contains_key(id).map_err(self.failed("read a customer"))
    }

    /// Takes what is recent: rows as sorted runs that need no journal, then, durably, that they are here.
    /// What is interrupted is done again from the log, with the same result.
    pub(super) fn take(&self, recent: &Recent) -> Result<()> {
        let store = |action| self.failed(action);
        for (keyspace, rows) in [(&self.timelines, &recent.rows), (&self.scores, &recent.scores)] {
            // By the bytes of the keys: an id that another begins with comes first, as NUL does.
            let mut ids: Vec<(&String, &Vec<Row>)> = rows.iter().collect();
            ids.sort_unstable_by_key(|(id, _)| *id);
            let mut run = keyspace.start_ingestion().map_err(store("write its index"))?;
            for (id, rows) in ids {
                let mut rows: Vec<&Row> = rows.iter().collect();
                rows.sort_unstable_by_key(|row| row.place);
                rows.dedup_by_key(|row| row.place);
                for row in rows {
                    run.write(key(id, row.place), row.bytes()).map_err(store("write its index"))?;
                }
            }
            run.finish().map_err(store("write its index"))?;
        }
        let mut messages: Vec<(&MessageHash, &Message)> = recent.messages.iter().collect();
        messages.sort_unstable();
        let mut run = self.messages.start_ingestion().map_err(store("write its index"))?;
        for (hash, Message { offset, arrival, content }) in messages {
            let value =
                [offset.to_be_bytes(), arrival.to_be_bytes(), content.to_be_bytes()].concat();
            run.write(hash.as_slice(), value).map_err(store("write its index"))?;
        }
        run.finish().map_err(store("write its index"))?;
        self.known.add(recent.messages.keys());
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (id, alias) in &recent.aliases {
            match alias {
                Some(alias) => batch.insert(&self.aliases, id.as_str(), alias.to_bytes()),
                None => batch.remove(&self.aliases, id.as_str()),
            }
        }
        for (customer, ids) in &recent.unjoined {
            let again = recent.joined.get(customer);
            for id in ids.iter().filter(|id| again.is_none_or(|again| !again.contains(id))) {
                batch.remove(&self.joined, joined_key(customer, id));
            }
        }
        for (customer, ids) in &recent.joined {
            for id in ids {
                batch.insert(&self.joined, joined_key(customer, id), "");
            }
        }
        for customer in &recent.customers {
            batch.insert(&self.customers, customer.as_str(), "");
        }
        batch.insert(&self.state, CHECKPOINT, recent.next.to_be_bytes());
        batch.insert(&self.state, CLOCK, recent.clock.to_be_bytes());
        batch.commit().map_err(store("write its index"))
    }

    /// Notes, durably, that customers are being erased, or with `false` that they are.
    pub(super) fn note_erasing(&self, ids: &[String], is_begun: bool) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for id in ids {
            let name = format!("{ERASING}{id}");
            if is_begun {
                batch.insert(&self.state, name, "");
            } else {
                batch.remove(&self.state, name);
            }
        }
        batch.commit().map_err(self.failed("write its index"))
    }

    /// The ids whose erasing was begun and not ended.
    pub(super) fn erasing(&self) -> Result<Vec<String>> {
        let names = self.state.prefix(ERASING).map(|entry| {
            let name = entry.key().map_err(self.failed("read its index"))?;
            Ok(String::from_utf8_lossy(&name[ERASING.len()..]).into_owned())
        });
        names.collect()
    }

    /// Notes that something is to be removed, which is on the disk until the runs are merged.
    fn note_removed(&self) -> Result<()> {
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        *removed += 1;
        self.state.insert(REMOVED, "").map_err(self.failed("write its index"))
    }

    /// Whether what was removed is still on the disk.
    pub(super) fn has_removed(&self) -> Result<bool> {
        self.state.contains_key(REMOVED).map_err(self.failed("read its index"))
    }

    /// Merges all runs, so that what was removed is gone from the disk. That takes as long as it takes to write
    /// everything anew.
    pub(super) fn purge(&self) -> Result<()> {
        let removed = || self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *removed();
        let store = |action| self.failed(action);
        for keyspace in
            [&self.timelines, &self.scores, &self.joined, &self.aliases, &self.customers]
        {
            // That something was removed is in memory still.
            keyspace.rotate_memtable_and_wait().map_err(store("purge its index"))?;
            keyspace.major_compact().map_err(store("purge its index"))?;
        }
        let removed = removed();
        if *removed == before {
            self.state.remove(REMOVED).map_err(store("write its index"))?;
        }
        Ok(())
    }

    /// Removes all that is known under ids.
    pub(super) fn erase(&self, ids: &[String]) -> Result<()> {
        self.note_removed()?;
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for id in ids {
            for keyspace in [&self.timelines, &self.scores, &self.joined] {
                for entry in keyspace.prefix(prefix(id)) {
                    batch.remove(keyspace, entry.key().map_err(self.failed("read a timeline"))?);
                }
            }
            batch.remove(&self.aliases, id.as_str());
            batch.remove(&self.customers, id.as_str());
        }
        batch.commit().map_err(self.failed("erase a customer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_before_while_and_after_they_are_learned() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path(), 1 << 20, usize::MAX).unwrap();
        let hash = |n: u64| -> MessageHash { u128::from(n).to_be_bytes() };
        let take = |range: std::ops::Range<u64>| {
            let mut recent = Recent::default();
            range.for_each(|n| {
                recent.messages.insert(hash(n), Message { offset: n, arrival: 0, content: 0 });
            });
            index.take(&recent).unwrap();
        };
        let is_right = |end: u64| {
            (0..end + 100).all(|n| {
                let found = index.message(&hash(n)).unwrap().map(|message| message.offset);
                found == (n < end).then_some(n)
            })
        };
        let end = 3 * READ_AT_ONCE as u64;
        take(0..end);
        assert!(is_right(end) && index.known.bytes() == 0);
        let mut rounds = 0;
        let goes_on = &mut || {
            rounds += 1;
            take(end + rounds - 1..end + rounds);
            Ok(true)
        };
        index.learn_messages(goes_on).unwrap();
        assert_eq!(rounds, 3);
        assert!(is_right(end + 3) && index.known.bytes() > 0);
        take(end + 3..end + 9);
        assert!(is_right(end + 9));
        index.learn_messages(&mut || panic!("it is not due")).unwrap();
        drop(index);
        let index = Index::open(folder.path(), 1 << 20, usize::MAX).unwrap();
        index.learn_messages(&mut || Ok(false)).unwrap();
        assert_eq!(index.known.bytes(), 0, "it was left at that");
        assert_eq!(index.message(&hash(1)).unwrap().map(|message| message.offset), Some(1));
    }

    #[test]
    fn what_was_erased_is_off_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path(), 1 << 20, usize::MAX).unwrap();
        let mut recent = Recent::default();
        for (n, id) in ["ada", "eve"].into_iter().enumerate() {
            let bytes = format!("the address of {id}").into_bytes();
            let (place, range) = (Place { time: 1, seq: n as u64, tie: 0 }, 0..bytes.len());
            recent.add_row(id, false, Row::new(place, 0, bytes.into(), range));
        }
        index.take(&recent).unwrap();
        let is_there = |text: &str| {
            let mut folders = vec![folder.path().to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    let found = || {
                        let bytes = std::fs::read(&path).unwrap();
                        String::from_utf8_lossy(&bytes).contains(text)
                    };
                    match path.is_dir() {
                        true => folders.push(path),
                        false if found() => return true,
                        false => {}
                    }
                }
            }
            false
        };
        assert!(is_there("the address of ada") && !index.has_removed().unwrap());
        index.erase(&["ada".to_owned()]).unwrap();
        assert!(index.has_removed().unwrap());
        index.purge().unwrap();
        assert!(!is_there("the address of ada") && is_there("the address of eve"));
        assert!(!index.has_removed().unwrap());
    }
}
