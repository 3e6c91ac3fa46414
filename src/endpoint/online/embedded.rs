use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kernel::domain::{Event, PropertyTypes, SCORE, Time, Value, normalized_id};
use kernel::features::AsOf;
use kernel::scoring::{Score, ScoringFunction};

use super::backup::{self, COPY_FILE, make_folder};
use super::cache::Cache;
use super::config::{Config, sources_since};
use super::group::{self, Change};
use super::index::Index;
use super::index_recovery::IndexMemory;
use super::log::{Log, LogError};
use super::property_types::Published;
use super::recent::{Generations, Map, Message, MessageHash, Place, Recent, Set};
use super::record::{self, Record};
use super::room::make_room;
use super::timeline::Loaded;
use super::{
    Clock, Erased, EventLog, Group, Join, LIVE_SEQ, LogRange, Receipt, Rejected, Retention,
    Settings, SystemTimeSource, TimeSource, Timeline, TimelineStore,
};
use super::{erasures, format, index_recovery, replay, room};
use crate::{Error, Result};

/// The format of the data folder.
const FORMAT: u32 = 4;
/// The earliest format that is read. Format 3 added records to format 2; format 4 changed the log.
const OLDEST_FORMAT: u32 = 2;
/// Recent events go into the index when they take an eighth of the memory, within these bounds in
/// bytes. Beyond twice as many nothing more is accepted until the index has caught up.
const MIN_CHECKPOINT_BYTES: usize = 4 * 1024 * 1024;
const MAX_CHECKPOINT_BYTES: usize = 128 * 1024 * 1024;
/// Memory of fjall's blocks: an eighth of the memory, within these bounds.
const MIN_BLOCK_BYTES: usize = 8 * 1024 * 1024;
const MAX_BLOCK_BYTES: usize = 64 * 1024 * 1024;
/// Memory of a settled customer in bytes, estimated.
const SETTLED_BYTES: usize = 128;
/// A group is written as several frames of about this many bytes. With the largest record beside it, a frame
/// stays under [`MAX_FRAME_BYTES`](super::log::MAX_FRAME_BYTES).
const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Records that are looked at together from the end of the log.
const RUN: u64 = 20_000;

/// The store on one machine: the log is the truth; the index has all of it but what is recent.
#[derive(Debug)]
pub struct Embedded {
    folder: PathBuf,
    log: Arc<Log>,
    index: Index,
    recent: RwLock<Generations>,
    /// Held by the one who brings the index up to date.
    indexing: Mutex<()>,
    /// Held by the one who writes.
    writing: Mutex<()>,
    /// The offset after the last record that is found.
    applied: AtomicU64,
    pub(super) config: Config,
    cache: Cache,
    memory: usize,
    checkpoint_bytes: usize,
    types: Published,
    clock: Arc<Clock>,
    retention: Retention,
    /// Whether timelines in memory have the scores that were recorded.
    keeps_scores: AtomicBool,
    /// Customers who were found to be known by their own id and not joined to another. Each saves its event two
    /// lookups.
    pub(super) settled: Mutex<Set<String>>,
    /// Numbers of ids of customers.
    pub(super) id_counts: Mutex<Map<String, usize>>,
    /// The offset from which on events have a source; 0 if all have.
    sources_since: u64,
    /// The ids of who was being erased when the endpoint ended, and is erased now.
    erased_late: Vec<String>,
    /// Held to read while an id is resolved and its timeline found, to write while a join changes both.
    joining: RwLock<()>,
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Refused(error) => Self::Full(error.to_string()),
            LogError::Failed(message) => Self::Poisoned(message),
            LogError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            other => Self::Store { action: "use its log", message: other.to_string() },
        }
    }
}

impl Embedded {
    /// Opens the store in a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written, is open in another process, or has another format.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self> {
        Self::open_with(folder, settings, Box::new(SystemTimeSource))
    }

    /// The same with other clocks than those of this machine.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::ClockAhead`] if the clock is implausible and was not confirmed.
    pub fn open_with(
        folder: &Path,
        settings: Settings,
        source: Box<dyn TimeSource>,
    ) -> Result<Self> {
        make_folder(folder).map_err(Error::store("make its data folder"))?;
        format::check(folder, OLDEST_FORMAT, FORMAT)?;
        // The index is locked by the process that has it open, and with it the folder.
        let checkpoint_bytes =
            (settings.memory / 8).clamp(MIN_CHECKPOINT_BYTES, MAX_CHECKPOINT_BYTES);
        let memory = IndexMemory {
            block_bytes: (settings.memory / 8).clamp(MIN_BLOCK_BYTES, MAX_BLOCK_BYTES),
            filter_bytes: settings.memory / 8,
        };
        let index_folder = index_recovery::folder_of(folder);
        let mut index = index_recovery::open(&index_folder, memory)?;
        let log = Arc::new(Log::open_in(&folder.join("log"), settings.segment_bytes)?);
        if let Some(latest) = settings.forget_after {
            replay::forget_arrivals(&log, latest)?;
            drop(index);
            std::fs::remove_dir_all(&index_folder).map_err(Error::store("remove its index"))?;
            index = index_recovery::open(&index_folder, memory)?;
        }
        let (checkpoint, clock) = index.checkpoint()?;
        if checkpoint > log.next() {
            return Err(Error::Store {
                action: "open",
                message: format!(
                    "its log ends at {} and its index at {checkpoint}; put back the log, or remove {} to \
                     make it again from the log",
                    log.next(),
                    folder.join("index").display()
                ),
            });
        }
        let active =
            replay::index_tail(&log, &index, (checkpoint, clock), folder, checkpoint_bytes)?;
        if !settings.accepts_clock {
            Clock::check_start(Time(active.clock), &*source)?;
        }
        let config = Config::open(&folder.join("config"))?;
        let mut store = Self {
            sources_since: sources_since(&config, &log)?,
            id_counts: Mutex::default(),
            config,
            folder: folder.to_owned(),
            applied: AtomicU64::new(log.next()),
            types: Published::default(),
            log,
            index,
            clock: Arc::new(Clock::with_source(Time(active.clock), source)),
            recent: RwLock::new(Generations { active, frozen: None }),
            indexing: Mutex::new(()),
            writing: Mutex::new(()),
            cache: Cache::new(settings.memory / 2),
            memory: settings.memory,
            checkpoint_bytes,
            retention: settings.retention,
            keeps_scores: AtomicBool::new(false),
            settled: Mutex::default(),
            erased_late: Vec::new(),
            joining: RwLock::new(()),
        };
        let erasing = store.index.erasing()?;
        if !erasing.is_empty() {
            store.finish_erasing(&erasing)?;
        }
        store.erased_late = erasing;
        if folder.join(COPY_FILE).exists() {
            let repeated = store.repeat_erasures(folder)?;
            store.erased_late.extend(repeated);
        }
        Ok(store)
    }

    /// The ids of who was being erased when the endpoint ended before: what is known of them elsewhere has
    /// to be forgotten, too.
    #[must_use]
    pub fn erased_late(&self) -> &[String] {
        &self.erased_late
    }

    /// The clock of arrivals and live scores.
    #[must_use]
    pub fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }

    /// Forgets what is in memory of ids.
    pub(super) fn forget_in_memory(&self, ids: &[String]) {
        ids.iter().for_each(|id| self.cache.remove(id));
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.id_counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn recent(&self) -> &RwLock<Generations> {
        &self.recent
    }

    /// The offset from which on events have a source.
    pub(super) fn sources_since(&self) -> u64 {
        self.sources_since
    }

    /// Whether what is recent is large enough to go into the index.
    #[must_use]
    pub fn is_checkpoint_due(&self) -> bool {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        recent.frozen.is_some() || recent.active.bytes() >= self.checkpoint_bytes
    }

    /// Brings the index up to date with all that is written by now. If that fails what is recent stays in memory, for the next time.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn checkpoint(&self) -> Result<()> {
        let _indexing = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (frozen, is_all) = {
                let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
                // What was left by a failure goes first, and then what came since.
                let is_all = recent.frozen.is_none();
                if is_all && !recent.active.is_empty() {
                    recent.frozen = Some(Arc::new(recent.active.begin_anew()));
                }
                (recent.frozen.clone(), is_all)
            };
            let Some(frozen) = frozen else { return Ok(()) };
            room::for_index(&self.folder, frozen.bytes())?;
            self.index.take(&frozen)?;
            let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
            recent.frozen = None;
            if is_all && recent.active.bytes() < self.checkpoint_bytes {
                return Ok(());
            }
        }
    }

    /// Memory beside the timelines in bytes, estimated.
    fn other_bytes(&self) -> usize {
        let recent: usize = {
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            recent.all().map(Recent::bytes).sum()
        };
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner).len();
        recent + self.index.memory() + settled * SETTLED_BYTES
    }

    /// Gives timelines the memory that nothing else takes now, and drops those that are too many.
    pub fn balance_memory(&self) {
        let left = self.memory.saturating_sub(self.other_bytes());
        self.cache.set_budget(left.max(self.memory / 8));
        self.cache.trim();
    }

    /// Forgets what is not to be kept; gives how many events and scores that were.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn forget_the_past(&self) -> Result<usize> {
        let n = self.retention.apply(self, self.clock.as_of())?;
        if n > 0 {
            self.cache.clear();
        }
        Ok(n)
    }

    /// Writes the log anew without some records.
    pub(super) fn forget(&self, is_forgotten: impl Fn(&Record) -> bool) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_forgotten = |offset: u64, bytes: &[u8]| {
            !bytes.is_empty()
                && record::read(offset, bytes).is_ok_and(|record| is_forgotten(&record))
        };
        Ok(self.log.forget(is_forgotten)?)
    }

    /// What the generations of what is recent and then the index say.
    pub(super) fn find<T>(
        &self,
        recent: impl Fn(&Recent) -> Option<T>,
        index: impl FnOnce(&Index) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let found = {
            let generations = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            generations.all().find_map(recent)
        };
        found.map_or_else(|| index(&self.index), |found| Ok(Some(found)))
    }

    /// The first event with a message id.
    pub(super) fn message(&self, hash: &MessageHash) -> Result<Option<Message>> {
        self.find(|recent| recent.messages.get(hash).copied(), |index| index.message(hash))
    }

    /// The events of a customer in order, with recorded scores if asked for.
    fn load(&self, customer_id: &str, with_scores: bool) -> Result<Loaded> {
        // What is written from here on is given to timelines in memory after it is found here.
        let until = self.applied.load(Ordering::Acquire);
        let mut events: Vec<(Place, Event)> = Vec::new();
        let mut take = |place: Place, bytes: &[u8]| {
            let is_new = place.seq >= LIVE_SEQ && place.seq - LIVE_SEQ >= until;
            let record = record::read(place.seq.saturating_sub(LIVE_SEQ), bytes)?;
            if let (Record::Event { mut event, .. }, false) = (record, is_new) {
                customer_id.clone_into(&mut event.customer_id);
                events.push((place, event));
            }
            Ok(true)
        };
        for id in self.ids(customer_id)? {
            for scores in [false, true].into_iter().filter(|scores| with_scores || !scores) {
                for row in self.recent_rows(&id, scores) {
                    if row.offset < until {
                        take(row.place, row.bytes())?;
                    }
                }
                self.index.rows(&id, scores, false, &mut take)?;
            }
        }
        // What went into the index meanwhile was found in both.
        events.sort_by_key(|(place, _)| *place);
        events.dedup_by_key(|(place, _)| *place);
        Ok(Loaded { events, until })
    }

    fn recent_rows(&self, id: &str, scores: bool) -> Vec<super::recent::Row> {
        let generations = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let rows = |recent: &Recent| {
            let rows = if scores { &recent.scores } else { &recent.rows };
            rows.get(id).cloned().unwrap_or_default()
        };
        generations.all().flat_map(rows).collect()
    }

    /// Writes a group as one frame, or where it is large, as several.
    fn write(&self, group: Group, first_arrival: Time) -> Result<Vec<Receipt>> {
        let mut change = Change::new(self);
        let keeps_scores = self.keeps_scores.load(Ordering::Acquire);
        let mut receipts = Vec::with_capacity(group.events.len());
        let mut arrivals = (first_arrival.0..).map(Time);
        for (exposing, arrival) in group.exposures.iter().zip(&mut arrivals) {
            change.expose(exposing, arrival)?;
            change = self.commit_if_large(change)?;
        }
        for (incoming, arrival) in group.events.into_iter().zip(&mut arrivals) {
            receipts.push(change.add(incoming, arrival)?);
            change = self.commit_if_large(change)?;
        }
        for (said, arrival) in group.scores.iter().zip(&mut arrivals) {
            change.say(said, arrival, keeps_scores)?;
            change = self.commit_if_large(change)?;
        }
        for rejected in &group.rejected {
            change.reject(rejected)?;
            change = self.commit_if_large(change)?;
        }
        self.commit(change)?;
        Ok(receipts)
    }

    /// Commits a change before its frame reaches the limit of a frame, and goes on with an empty one.
    fn commit_if_large<'s>(&'s self, change: Change<'s>) -> Result<Change<'s>> {
        if change.frame_bytes() < FRAME_BYTES {
            return Ok(change);
        }
        self.commit(change)?;
        Ok(Change::new(self))
    }

    /// Makes a change durable and visible.
    fn commit(&self, mut change: Change<'_>) -> Result<()> {
        let frame = change.take_frame();
        if frame.is_empty() {
            return Ok(());
        }
        if self.recent.read().unwrap_or_else(PoisonError::into_inner).active.bytes()
            > 2 * self.checkpoint_bytes
        {
            return Err(Error::Full("its index is behind".to_owned()));
        }
        let bytes = self.log.append(frame)?;
        make_room(&self.log);
        let (joins, id_counts) = change.take_joins();
        let _joining = (!joins.is_empty())
            .then(|| self.joining.write().unwrap_or_else(PoisonError::into_inner));
        let events = {
            let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
            for join in &joins {
                join.put_into(&mut recent.active);
            }
            change.into_recent(&bytes, &mut recent.active)
        };
        self.applied.store(self.log.next(), Ordering::Release);
        for (offset, place, event) in &events {
            self.cache.add(*offset, *place, event);
        }
        for id in joins.iter().flat_map(group::JoinChange::ids) {
            // The timeline of a customer who is joined to another is the other's.
            self.cache.remove(&self.resolve(id)?);
            self.cache.remove(id);
            self.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
        for (id, n) in id_counts {
            self.set_id_count(&id, n);
        }
        Ok(())
    }
}

impl EventLog for Embedded {
    fn append(&self, group: Group) -> Result<Vec<Receipt>> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let arrival = self.clock.begin_group(group.len());
        let result = self.write(group, arrival);
        self.clock.end_group();
        result
    }

    fn read(&self, from: u64, limit: usize) -> Result<LogRange> {
        let mut range = LogRange::default();
        let mut failed = Ok(());
        let mut looked_at = 0;
        range.next = self.log.read(from, |offset, bytes| {
            looked_at += 1;
            failed = self.read_into(offset, bytes, &mut range);
            looked_at < limit && failed.is_ok()
        })?;
        failed.map(|()| range)
    }

    fn next(&self) -> u64 {
        self.log.next()
    }

    fn rejected(&self, limit: usize) -> Result<Vec<Rejected>> {
        let mut all = Vec::new();
        self.backwards(u64::MAX, |record| {
            if let Record::Rejected(rejected) = record {
                all.push(rejected);
            }
            all.len() < limit
        })?;
        Ok(all)
    }

    fn latest(
        &self,
        limit: usize,
        looked_at: usize,
        wanted: &dyn Fn(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.backwards(u64::try_from(looked_at).unwrap_or(u64::MAX), |record| {
            if let Record::Event { event, .. } = record
                && wanted(&event)
            {
                events.push(event);
            }
            events.len() < limit
        })?;
        for event in events.iter_mut().filter(|event| event.event != SCORE) {
            event.customer_id = self.resolve(&event.customer_id)?;
        }
        Ok(events)
    }

    fn undo_join(&self, id: &str) -> Result<Join> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let arrival = self.clock.begin_group(1);
        let mut change = Change::new(self);
        let undone = change.undo_join(id, arrival);
        let undone = undone.and_then(|join| self.commit(change).map(|()| join));
        self.clock.end_group();
        undone
    }

    fn joins(&self, after: &str, limit: usize) -> Result<Vec<Join>> {
        self.list_joins(after, limit)
    }

    fn joins_of(&self, id: &str, limit: usize) -> Result<Vec<Join>> {
        Self::joins_of(self, id, limit)
    }

    fn erase(&self, id: &str) -> Result<Erased> {
        let customer_id = self.resolve(&normalized_id(id))?;
        self.checkpoint()?;
        let mut ids = self.ids(&customer_id)?;
        if *id != *normalized_id(id) {
            // Earlier versions kept ids as they came.
            ids.extend(self.ids(&self.resolve(id)?)?);
        }
        erasures::record(&self.folder.join("backups"), self.log.next(), &ids)?;
        self.index.note_erasing(&ids, true)?;
        let erased = self.finish_erasing(&ids)?;
        Ok(Erased { customer_id, aliases: ids.len() - 1, ids, ..erased })
    }

    fn try_it(&self) -> Result<()> {
        Ok(self.log.try_it()?)
    }

    fn back_up(&self) -> Result<PathBuf> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let to = self.folder.join("backups").join(self.clock.as_of().0.to_string());
        // Before the end of the log is noted, which takes room too.
        room::for_bytes(&self.folder, 0, "a backup")?;
        self.log.with_files(|log| {
            self.config.log().with_files(|config| {
                let parts = [("log", log), ("config", config)];
                backup::make(&self.folder, &to, &parts, FORMAT)
            })
        })???;
        Ok(to)
    }
}

impl Embedded {
    /// Adds the event of a record to a range, if it is one.
    fn read_into(&self, offset: u64, bytes: &[u8], range: &mut LogRange) -> Result<()> {
        let record = record::read(offset, bytes)?;
        let Record::Event { mut event, source, .. } = record else { return Ok(()) };
        if source.is_some() {
            let customer = self.resolve(&event.customer_id)?;
            if customer != event.customer_id {
                let own_id = std::mem::replace(&mut event.customer_id, customer);
                range.known_as.push((event.seq, own_id));
            }
        }
        range.events.push(event);
        Ok(())
    }

    /// The latest records, newest first, until `each` says that it has enough; only so many are looked at.
    fn backwards(&self, looked_at: u64, mut each: impl FnMut(Record) -> bool) -> Result<()> {
        let mut end = self.log.next();
        let last = end.saturating_sub(looked_at).max(self.log.first());
        while end > last {
            let start = end.saturating_sub(RUN).max(last);
            let mut run = Vec::new();
            self.log.read(start, |offset, bytes| {
                if offset < end {
                    run.push(record::read(offset, bytes));
                }
                offset + 1 < end
            })?;
            for record in run.into_iter().rev() {
                if !each(record?) {
                    return Ok(());
                }
            }
            end = start;
        }
        Ok(())
    }
}

impl TimelineStore for Embedded {
    fn timeline(&self, id: &str) -> Result<Arc<Timeline>> {
        let _finding = self.joining.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.cache.get(&self.resolve(&self.known_id(id)?)?))
    }

    fn in_memory(&self, id: &str) -> Option<Arc<Timeline>> {
        // An id that was joined to another is not the key of a timeline.
        self.cache.find(&normalized_id(id))
    }

    fn score(
        &self,
        timeline: &Timeline,
        function: &Arc<ScoringFunction>,
        as_of: AsOf,
        context: &[Value],
    ) -> Result<Score> {
        let mut was_loaded = false;
        let load = || {
            was_loaded = true;
            self.load(timeline.customer_id(), self.keeps_scores.load(Ordering::Acquire))
        };
        let score = timeline.score(function, &self.types.get(), as_of, context, load)?;
        if was_loaded {
            self.cache.weigh(timeline.customer_id());
        }
        Ok(score)
    }

    fn set_types(&self, types: PropertyTypes) {
        self.types.set(types);
    }

    fn load_exposures(&self, timeline: &Timeline) -> Result<()> {
        timeline.load_exposures(|| self.load(timeline.customer_id(), false))
    }

    fn events(&self, customer_id: &str) -> Result<Vec<Event>> {
        let loaded = self.load(customer_id, false)?;
        Ok(loaded.events.into_iter().map(|(_, event)| event).collect())
    }

    fn customers(&self, after: &str, limit: usize) -> Result<Option<Vec<String>>> {
        let mut ids = self.index.ids(after, limit)?;
        // What is recent is only compared as far as the index was read: the rest comes with a later run.
        let last = ids.last().filter(|_| ids.len() >= limit).cloned();
        {
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            let is_here =
                |id: &&String| id.as_str() > after && last.as_ref().is_none_or(|last| *id <= last);
            ids.extend(recent.all().flat_map(|recent| recent.rows.keys()).filter(is_here).cloned());
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(None);
        }
        ids.truncate(limit.max(1));
        Ok(Some(ids))
    }

    fn page(&self, customer_id: &str, before: Time, limit: usize) -> Result<Vec<Event>> {
        let mut page: Vec<(Place, Event)> = Vec::new();
        for id in self.ids(customer_id)? {
            for scores in [false, true] {
                let mut take = |place: Place, bytes: &[u8]| -> Result<()> {
                    let offset = place.seq.saturating_sub(LIVE_SEQ);
                    if let (true, Record::Event { mut event, .. }) =
                        (place.time < before.0, record::read(offset, bytes)?)
                    {
                        customer_id.clone_into(&mut event.customer_id);
                        page.push((place, event));
                    }
                    Ok(())
                };
                for row in self.recent_rows(&id, scores) {
                    take(row.place, row.bytes())?;
                }
                let (mut n, mut last) = (0, None);
                self.index.rows(&id, scores, true, |place, bytes| {
                    n += usize::from(place.time < before.0);
                    last = last.or((n >= limit).then_some(place.time));
                    take(place, bytes)?;
                    Ok(last.is_none_or(|last| place.time == last))
                })?;
            }
        }
        page.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        page.dedup_by_key(|(place, _)| *place);
        if let Some((last, _)) = limit.checked_sub(1).and_then(|last| page.get(last)) {
            let last = last.time;
            page.retain(|(place, _)| place.time >= last);
        }
        Ok(page.into_iter().map(|(_, event)| event).collect())
    }

    fn keep_scores(&self) {
        if !self.keeps_scores.swap(true, Ordering::AcqRel) {
            self.cache.clear();
        }
    }

    fn memory(&self) -> usize {
        self.cache.bytes() + self.other_bytes()
    }
}
