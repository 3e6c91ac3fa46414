//! The log under a disk that forgets, tears, fills up and fails: what was acknowledged is there, once.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use endpoint::online::log::{Disk, Frame, Log, LogError, LogFile, MAX_FRAME_BYTES, SEGMENT_BYTES};
use endpoint::online::{
    Embedded, EventLog as _, Group, Incoming, Kind, Origin, Receipt, Settings, TimelineStore as _,
};
use kernel::domain::Value;

/// A disk in memory. What is not synced may be lost, or half of it, when the power goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Simulated(pub(crate) Arc<Mutex<State>>);

/// What a disk does, each of which may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Names,
    Open,
    Replace,
    Remove,
    Prepare,
    TakePrepared,
    SyncNames,
    Write,
    Read,
    Cut,
    Sync,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, File>,
    /// Names that are durable.
    durable: BTreeMap<String, File>,
    capacity: Option<usize>,
    /// Syncs of files until all fail.
    syncs: Option<usize>,
    /// The operation that fails once, and how many of its kind succeed before.
    fault: Option<(Operation, usize)>,
    /// What is ready to be given a name.
    prepared: Option<File>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) synced: Vec<u8>,
}

#[derive(Debug)]
struct Open(Simulated, String);

impl Simulated {
    /// Makes the operation of a kind after `n` others fail once.
    pub(crate) fn fail(&self, operation: Operation, n: usize) {
        self.0.lock().unwrap().fault = Some((operation, n));
    }

    /// Whether the fault is still to come; none comes later.
    pub(crate) fn take_fault(&self) -> bool {
        self.0.lock().unwrap().fault.take().is_some()
    }

    fn does(&self, operation: Operation) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match &mut state.fault {
            Some((failing, 0)) if *failing == operation => {
                state.fault = None;
                Err(io::Error::other(format!("{operation:?} failed")))
            }
            Some((failing, left)) if *failing == operation => {
                *left -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What the disk has after the power went: of each file what was synced, and any part of the rest.
    pub(crate) fn after_power_loss(&self, random: &mut Random) -> Self {
        let state = self.0.lock().unwrap();
        let mut files = BTreeMap::new();
        for (name, file) in &state.durable {
            // A file that was written on since its name became durable has its later content.
            let file = state.files.get(name).unwrap_or(file);
            files.insert(name.clone(), torn(file, random));
        }
        for (name, file) in &state.files {
            if !state.durable.contains_key(name) && random.below(2) == 0 {
                files.insert(name.clone(), torn(file, random));
            }
        }
        let durable = files.clone();
        Self(Arc::new(Mutex::new(State { files, durable, ..State::default() })))
    }
}

/// A file of which only what was synced is sure; of what was written since, any part may be there, and where
/// it is not, there is what was there before, or zeros.
fn torn(file: &File, random: &mut Random) -> File {
    let differs = |at: &usize| file.synced.get(*at) != file.content.get(*at);
    let first = (0..file.content.len()).find(differs).unwrap_or(file.content.len());
    let end = (0..file.content.len()).rfind(differs).map_or(first, |last| last + 1);
    let kept = random.below(end - first + 1);
    let part = match random.below(3) {
        0 => first..first + kept,
        1 => end - kept..end,
        _ => first..first,
    };
    let mut content = file.synced.clone();
    content.resize(content.len().max(part.end), 0);
    content[part.clone()].copy_from_slice(&file.content[part]);
    File { synced: content.clone(), content }
}

impl Disk for Simulated {
    fn names(&self) -> io::Result<Vec<String>> {
        self.does(Operation::Names)?;
        Ok(self.0.lock().unwrap().files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        self.does(Operation::Open)?;
        self.0.lock().unwrap().files.entry(name.to_owned()).or_default();
        Ok(Box::new(Open(self.clone(), name.to_owned())))
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.does(Operation::Replace)?;
        let file = File { content: content.to_vec(), synced: content.to_vec() };
        self.0.lock().unwrap().files.insert(name.to_owned(), file);
        Disk::sync(self)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.does(Operation::Remove)?;
        self.0.lock().unwrap().files.remove(name);
        Ok(())
    }

    fn prepare(&self, _length: u64) -> io::Result<()> {
        self.does(Operation::Prepare)?;
        // A little room shows as much as a lot.
        let content = vec![0; 400];
        self.0.lock().unwrap().prepared = Some(File { synced: content.clone(), content });
        Ok(())
    }

    fn take_prepared(&self, name: &str) -> io::Result<()> {
        self.does(Operation::TakePrepared)?;
        let mut state = self.0.lock().unwrap();
        let prepared = state.prepared.take().ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(name.to_owned(), prepared);
        drop(state);
        Disk::sync(self)
    }

    fn sync(&self) -> io::Result<()> {
        self.does(Operation::SyncNames)?;
        let mut state = self.0.lock().unwrap();
        state.durable = state.files.clone();
        Ok(())
    }

    fn free(&self) -> Option<u64> {
        None
    }
}

impl LogFile for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().unwrap().files[&self.1].content.len() as u64)
    }

    fn write_at(&self, place: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.0.does(Operation::Write) {
            // A part of it may be there.
            let mut state = self.0.0.lock().unwrap();
            let content = &mut state.files.get_mut(&self.1).unwrap().content;
            let (place, n) = (place as usize, bytes.len() / 2);
            content.resize(content.len().max(place + n), 0);
            content[place..place + n].copy_from_slice(&bytes[..n]);
            return Err(error);
        }
        let mut state = self.0.0.lock().unwrap();
        let used: usize = state.files.values().map(|file| file.content.len()).sum();
        let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        let content = &mut state.files.get_mut(&self.1).unwrap().content;
        let place = place as usize;
        // Disks that fill up take a part of what is written; what is written over takes no room.
        let taken = bytes.len().min(content.len().saturating_add(room).saturating_sub(place));
        content.resize(content.len().max(place + taken), 0);
        content[place..place + taken].copy_from_slice(&bytes[..taken]);
        match taken < bytes.len() {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }

    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.does(Operation::Read)?;
        let state = self.0.0.lock().unwrap();
        let content = &state.files[&self.1].content;
        let rest = content.get(place as usize..).unwrap_or_default();
        let n = rest.len().min(bytes.len());
        bytes[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.0.does(Operation::Cut)?;
        let mut state = self.0.0.lock().unwrap();
        let file = state.files.get_mut(&self.1).unwrap();
        file.content.truncate(length as usize);
        file.synced.truncate(length as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.does(Operation::Sync)?;
        let mut state = self.0.0.lock().unwrap();
        if let Some(left) = &mut state.syncs {
            if *left == 0 {
                return Err(io::Error::other("the disk failed"));
            }
            *left -= 1;
        }
        let file = state.files.get_mut(&self.1).unwrap();
        file.synced = file.content.clone();
        Ok(())
    }
}

/// Knuth's numbers: the same for a seed, everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

fn open(disk: &Simulated) -> Result<Log, LogError> {
    Log::open(Box::new(disk.clone()), SEGMENT_BYTES)
}

pub(crate) fn frame(records: &[Vec<u8>]) -> Frame {
    let mut frame = Frame::new();
    for record in records {
        frame
            .push(|bytes| {
                bytes.extend_from_slice(record);
                Ok::<(), ()>(())
            })
            .unwrap();
    }
    frame
}

fn all(log: &Log) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    log.read(0, |offset, record| {
        assert_eq!(offset, records.len() as u64, "offsets have no gaps");
        records.push(record.to_vec());
        true
    })
    .unwrap();
    records
}

#[test]
fn what_was_acknowledged_survives_the_loss_of_power_ten_thousand_times() {
    let seeds = std::env::var("FULLCIRCLE_POWER_SEEDS").ok().and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(10_000) {
        let mut random = Random(seed);
        let mut disk = Simulated::default();
        let mut written: Vec<Vec<u8>> = Vec::new();
        let mut acknowledged = 0;
        for _ in 0..1 + random.below(4) {
            let log = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let found = all(&log);
            assert!(found.len() >= acknowledged, "seed {seed}: lost");
            assert_eq!(found, written[..found.len()], "seed {seed}: invented or out of order");
            written.truncate(found.len());
            acknowledged = found.len();
            // The power may go at any sync.
            let left = random.below(6);
            disk.0.lock().unwrap().syncs = Some(left);
            loop {
                // A segment ends, and the next one is ready or is not.
                if random.below(4) == 0 {
                    log.prepare().unwrap();
                }
                if random.below(4) == 0 && log.forget(|_, _| false).is_err() {
                    break;
                }
                let n = 1 + random.below(3);
                let record = |n: usize| format!("{seed}-{}", "x".repeat(n)).into_bytes();
                let records: Vec<_> = (0..n).map(|_| record(random.below(40))).collect();
                let appended = log.append(frame(&records));
                written.extend(records);
                match appended {
                    Ok(_) => acknowledged = written.len(),
                    Err(_) => break,
                }
            }
            disk = disk.after_power_loss(&mut random);
        }
        let log = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = all(&log);
        assert!(found.len() >= acknowledged, "seed {seed}: lost");
        assert_eq!(found, written[..found.len()], "seed {seed}");
    }
}

#[test]
fn a_tail_that_is_torn_anywhere_gives_what_was_whole() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    let records: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 20 + usize::from(n)]).collect();
    let mut ends = Vec::new();
    for record in &records {
        log.append(frame(std::slice::from_ref(record))).unwrap();
        ends.push(disk.0.lock().unwrap().files.values().next().unwrap().content.len());
    }
    // The files of a process that was killed: the manifest is from when the log began.
    let whole = disk.0.lock().unwrap().files.clone();
    let (name, file) = whole.first_key_value().unwrap();
    let reopened = |content: Vec<u8>| {
        let disk = Simulated::default();
        let file = File { synced: content.clone(), content };
        disk.0.lock().unwrap().files = whole.clone();
        disk.0.lock().unwrap().files.insert(name.clone(), file);
        open(&disk).map(|log| all(&log).len())
    };
    for length in ends[3]..=file.content.len() {
        let expected = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(reopened(file.content[..length].to_vec()).unwrap(), expected, "cut at {length}");
    }
    for garbage in 1..200 {
        for byte in [0, 1, 0xff] {
            let mut content = file.content.clone();
            content.resize(content.len() + garbage, byte);
            assert_eq!(reopened(content).unwrap(), records.len(), "{garbage} bytes of {byte}");
        }
    }
    // A bit that flips before the last frame is damage, and is said: nothing is cut.
    let last = ends[ends.len() - 2];
    for place in 0..last {
        let mut content = file.content.clone();
        content[place] ^= 1 << (place % 8);
        let opened = reopened(content);
        assert!(matches!(opened, Err(LogError::Damaged { .. })), "byte {place}: {opened:?}");
    }
}

#[test]
fn room_that_was_made_ready_is_written_over_and_is_no_damage() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    log.append(frame(&[vec![1; 10]])).unwrap();
    assert!(!log.wants_room(), "what is small needs none");
    log.prepare().unwrap();
    log.forget(|_, _| false).unwrap();
    for n in 2..5_u8 {
        log.append(frame(&[vec![n; 10]])).unwrap();
    }
    let name = "00000000000000000001.log".to_owned();
    let killed = disk.0.lock().unwrap().files.clone();
    let file = killed[&name].clone();
    assert_eq!(file.content.len(), 400);
    drop(log);
    let records: Vec<Vec<u8>> = (1..5_u8).map(|n| vec![n; 10]).collect();
    assert_eq!(all(&open(&disk).unwrap()), records);
    let closed = disk.0.lock().unwrap().files.clone();
    assert_eq!(closed[&name].content.len(), 400, "the room stays");
    // What was torn in it is cut off; what was acknowledged behind it would be damage. Once the log was closed, its
    // manifest tells that nothing is torn.
    let last = file.content.iter().rposition(|byte| *byte != 0).unwrap();
    for (files, place, is_torn) in
        [(&killed, last, true), (&killed, 60, false), (&closed, last, false)]
    {
        let changed = Simulated::default();
        changed.0.lock().unwrap().files = files.clone();
        changed.0.lock().unwrap().files.get_mut(&name).unwrap().content[place] ^= 1;
        match (open(&changed), is_torn) {
            (Ok(log), true) => assert_eq!(all(&log).len(), 3),
            (Err(LogError::Damaged { .. }), false) => {}
            (other, _) => panic!("byte {place}: {other:?}"),
        };
    }
}

#[test]
fn a_full_disk_refuses_and_takes_again_when_there_is_room() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    let record = vec![7; 100];
    log.append(frame(std::slice::from_ref(&record))).unwrap();
    disk.0.lock().unwrap().capacity = Some(300);
    for _ in 0..3 {
        let refused = log.append(frame(std::slice::from_ref(&record)));
        assert!(matches!(refused, Err(LogError::Refused(_))), "{refused:?}");
        assert_eq!(all(&log).len(), 1, "what is there is still read");
    }
    disk.0.lock().unwrap().capacity = None;
    log.append(frame(std::slice::from_ref(&record))).unwrap();
    drop(log);
    assert_eq!(all(&open(&disk).unwrap()).len(), 2);
}

#[test]
fn after_a_failed_sync_nothing_is_taken() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    disk.0.lock().unwrap().syncs = Some(0);
    for _ in 0..2 {
        let failed = log.append(frame(&[vec![1]]));
        assert!(matches!(failed, Err(LogError::Failed(_))), "{failed:?}");
        // It may work again by itself: nobody knows what it has forgotten.
        disk.0.lock().unwrap().syncs = None;
    }
    assert_eq!(log.next(), 0);
}

#[test]
fn a_frame_is_written_only_if_the_reader_accepts_it() {
    // A record has its length before it.
    for (bytes, fits) in
        [(MAX_FRAME_BYTES - 1, true), (MAX_FRAME_BYTES, true), (MAX_FRAME_BYTES + 1, false)]
    {
        let disk = Simulated::default();
        let log = open(&disk).unwrap();
        log.append(frame(&[vec![1; 10]])).unwrap();
        let appended = log.append(frame(&[vec![7; bytes - 4]])).map(|_| ());
        match fits {
            true => appended.unwrap(),
            false => {
                assert!(matches!(appended, Err(LogError::TooLarge { bytes: b }) if b == bytes))
            }
        }
        log.append(frame(&[vec![2; 10]])).unwrap();
        let expected = if fits { vec![10, bytes - 4, 10] } else { vec![10, 10] };
        let lengths = |log: &Log| all(log).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&log), expected, "{bytes}");
        drop(log);
        assert_eq!(lengths(&open(&disk).unwrap()), expected, "{bytes}, opened again");
    }
}

#[test]
fn a_group_beyond_the_limit_of_a_frame_is_split() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Embedded::open(folder.path(), Settings::default()).unwrap();
    let text = "x".repeat(30_000);
    let event = |n: usize| Incoming {
        message_id: format!("m{n}"),
        customer_id: Some(format!("c{n}")),
        anonymous_id: None,
        event: "e".to_owned(),
        event_time: None,
        properties: [("text".to_owned(), Value::text(text.as_str()))].into(),
        kind: Kind::Live,
        origin: Origin::HISTORY,
    };
    let n = MAX_FRAME_BYTES / text.len() + 100;
    let store = open();
    let group = Group { events: (0..n).map(event).collect(), ..Group::default() };
    let receipts = store.append(group).unwrap();
    let accepted = (0..n as u64).map(|offset| Receipt::Accepted { offset });
    assert_eq!(receipts, accepted.collect::<Vec<_>>());
    assert_eq!(store.timeline("c1").unwrap().customer_id(), "c1");
    drop(store);
    let range = open().read(0, n + 1).unwrap();
    assert_eq!((range.events.len(), range.next), (n, n as u64));
}

#[test]
fn what_is_forgotten_leaves_its_place() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    for n in 0..10_u8 {
        log.append(frame(&[vec![n], vec![n, n]])).unwrap();
    }
    log.forget(|offset, record| offset >= 4 && record[0] % 2 == 0).unwrap();
    log.append(frame(&[vec![99]])).unwrap();
    let expected: Vec<Vec<u8>> = (0..10_u8)
        .flat_map(|n| [vec![n], vec![n, n]])
        .enumerate()
        .map(|(offset, record)| if offset >= 4 && record[0] % 2 == 0 { vec![] } else { record })
        .chain([vec![99]])
        .collect();
    assert_eq!(all(&log), expected);
    drop(log);
    assert_eq!(all(&open(&disk).unwrap()), expected, "also when it is opened again");
}
