//! The log under faults of its disk and damage of its files: nothing acknowledged is lost without a word.

#![allow(clippy::print_stdout, reason = "figures of the cases that ran, for --nocapture")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use endpoint::online::log::{Log, LogError, verify};
use endpoint::online::{
    Embedded, EventLog as _, Group, Incoming, Kind, Origin, Settings, TimelineStore as _,
    verify_log,
};
use kernel::domain::Value;

use crate::log::{File, Operation, Random, Simulated, frame};
use crate::support::{fullcircle, fullcircle_json};

/// Segments of a few frames.
const SMALL: u64 = 600;

fn open(disk: &Simulated) -> Result<Log, LogError> {
    Log::open(Box::new(disk.clone()), SMALL)
}

/// All records by offset.
fn read(log: &Log) -> Result<BTreeMap<u64, Vec<u8>>, LogError> {
    let mut records = BTreeMap::new();
    log.read(0, |offset, record| {
        records.insert(offset, record.to_vec());
        true
    })?;
    Ok(records)
}

fn is_forgotten(record: &[u8]) -> bool {
    record.first() == Some(&b'f')
}

/// What a script of operations did to a log.
#[derive(Default)]
struct Outcome {
    /// Acknowledged records, by offset.
    acknowledged: Vec<Vec<u8>>,
    /// Records of an append whose result is not known.
    unknown: Vec<Vec<u8>>,
    /// Whether records may be forgotten, and whether they are.
    may_forget: bool,
    did_forget: bool,
}

impl Outcome {
    /// Appends, rolls, forgets and closes, in several lives of the log.
    fn run(disk: &Simulated) -> Self {
        let mut outcome = Self::default();
        for life in 0..3 {
            let Ok(log) = open(disk) else { continue };
            for n in 0..14 {
                if n % 5 == 2 && log.prepare().is_err() {
                    continue;
                }
                if n == 9 {
                    outcome.may_forget = true;
                    outcome.did_forget = log.forget(|_, record| is_forgotten(record)).is_ok();
                }
                let start = if n % 3 == 0 { "f" } else { "k" };
                // One that matches and comes after a forget is a new one.
                let start = if n > 9 { "k" } else { start };
                let records: Vec<Vec<u8>> = (0..1 + n % 3)
                    .map(|k| format!("{start}{life}-{n}-{k}{}", "x".repeat(n * 7)).into_bytes())
                    .collect();
                match log.append(frame(&records)) {
                    Ok(_) => {
                        outcome.acknowledged.extend(records);
                        outcome.did_forget &= start != "f";
                    }
                    Err(LogError::Refused(_)) => {}
                    Err(LogError::Failed(_)) => {
                        outcome.unknown = records;
                        outcome.did_forget &= start != "f";
                        return outcome;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        outcome
    }

    fn check(&self, disk: &Simulated, what: &str) {
        let log = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = read(&log).unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut expected = self.acknowledged.clone();
        let next = usize::try_from(log.next()).unwrap();
        if next > expected.len() {
            expected.extend(self.unknown.clone());
        }
        assert_eq!(next, expected.len(), "{what}: lost or invented");
        for (offset, record) in (0..).zip(&expected) {
            match found.get(&offset) {
                Some(found) if found == record => {
                    assert!(!(self.did_forget && is_forgotten(record)), "{what}: not forgotten");
                }
                // A segment at the beginning without records is dropped.
                Some(found) => {
                    let erased = found.is_empty() && is_forgotten(record) && self.may_forget;
                    assert!(erased, "{what}: offset {offset}");
                }
                None => {
                    let dropped = offset < log.first() && is_forgotten(record) && self.may_forget;
                    assert!(dropped, "{what}: offset {offset}");
                }
            }
        }
        let report = verify(disk).unwrap();
        assert!(report.intact, "{what}: {report:?}");
    }
}

const OPERATIONS: [Operation; 11] = [
    Operation::Names,
    Operation::Open,
    Operation::Replace,
    Operation::Remove,
    Operation::Prepare,
    Operation::TakePrepared,
    Operation::SyncNames,
    Operation::Write,
    Operation::Read,
    Operation::Cut,
    Operation::Sync,
];

#[test]
fn any_operation_of_the_disk_may_fail_once() {
    let mut n_faults = 0;
    for operation in OPERATIONS {
        for k in 0.. {
            let disk = Simulated::default();
            disk.fail(operation, k);
            let outcome = Outcome::run(&disk);
            if disk.take_fault() {
                assert!(k > 0 || operation == Operation::Remove, "{operation:?} never happens");
                break;
            }
            n_faults += 1;
            let what = format!("{operation:?} {k} failed");
            for seed in 0..4 {
                let disk = disk.after_power_loss(&mut Random(seed));
                outcome.check(&disk, &format!("{what}, power lost {seed}"));
            }
            outcome.check(&disk, &what);
        }
    }
    println!("{n_faults} faults of the disk, each with 4 losses of power: nothing lost");
    assert!(n_faults > 400, "{n_faults}");
}

/// Damage of a file.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize),
    Remove,
    Truncate(usize),
    Zero,
}

impl Change {
    fn apply(&self, content: &[u8]) -> Option<Vec<u8>> {
        let mut content = content.to_vec();
        match self {
            Self::Flip(place) => content[*place] ^= 1 << (place % 8),
            Self::Remove => return None,
            Self::Truncate(length) => content.truncate(*length),
            Self::Zero => content.fill(0),
        }
        Some(content)
    }

    /// Every byte of headers and every 64th byte elsewhere, and the whole file.
    fn all(name: &str, content: &[u8]) -> Vec<Self> {
        let is_manifest = name == "MANIFEST";
        let mut is_header = vec![is_manifest; content.len()];
        let mut at = if is_manifest { content.len() } else { 48 };
        is_header[..at].fill(true);
        while at + 28 <= content.len() && content[at..at + 8] != [0; 8] {
            let bytes = u32::from_le_bytes(content[at..at + 4].try_into().unwrap()) as usize;
            is_header[at..at + 28].fill(true);
            at += 28 + bytes;
        }
        // Behind it is room that was made ready.
        let (used, is_header) = (at, &is_header[..at]);
        let flips =
            is_header.iter().enumerate().filter(|(place, header)| **header || place % 64 == 0);
        let mut changes: Vec<Self> = flips.map(|(place, _)| Self::Flip(place)).collect();
        changes.extend([Self::Remove, Self::Zero]);
        changes.extend([0, 1, 7, 8, 47, 48, 49].map(Self::Truncate));
        changes.extend([1, 2, 3, 4].map(|part| Self::Truncate(used * part / 5)));
        changes.push(Self::Truncate(used - 1));
        changes
    }
}

/// Whether an error names the file that is damaged.
fn names(error: &LogError, file: &str) -> bool {
    match error {
        LogError::Damaged { file: named, .. } | LogError::Missing { file: named } => named == file,
        LogError::Unlisted { .. } => file == "MANIFEST",
        _ => false,
    }
}

#[test]
fn damage_anywhere_is_reported_with_its_file_and_never_spreads() {
    let disk = Simulated::default();
    let log = open(&disk).unwrap();
    for n in 0..18_usize {
        let start = if n % 3 == 0 { "f" } else { "k" };
        log.append(frame(&[format!("{start}{n}-{}", "x".repeat(60)).into_bytes()])).unwrap();
    }
    // One segment was rewritten.
    log.forget(|offset, _| offset == 3).unwrap();
    log.append(frame(&[b"f-last".to_vec()])).unwrap();
    log.append(frame(&[b"k-last".to_vec()])).unwrap();
    let expected = read(&log).unwrap();
    drop(log);
    let files = disk.0.lock().unwrap().files.clone();
    assert!(files.len() >= 4, "{:?}", files.keys());
    let mut n_cases = 0;
    for (name, file) in &files {
        for change in Change::all(name, &file.content) {
            let what = format!("{name} {change:?}");
            n_cases += 1;
            let damaged = Simulated::default();
            damaged.0.lock().unwrap().files = files.clone();
            match change.apply(&file.content) {
                Some(content) => {
                    let file = File { synced: content.clone(), content };
                    damaged.0.lock().unwrap().files.insert(name.clone(), file);
                }
                None => drop(damaged.0.lock().unwrap().files.remove(name)),
            }
            let before = damaged.0.lock().unwrap().files.get(name).map(|file| file.content.clone());
            let report = verify(&damaged).unwrap();
            let is_reported = report.damages.iter().any(|damage| damage.file == *name);
            assert!(!report.intact && (is_reported || name == "MANIFEST"), "{what}: {report:?}");
            let log = match open(&damaged) {
                Ok(log) => log,
                Err(error) => {
                    assert!(names(&error, name), "{what}: {error}");
                    continue;
                }
            };
            let error = read(&log).expect_err(&what);
            assert!(names(&error, name), "{what}: {error}");
            let error = log.forget(|_, record| is_forgotten(record)).expect_err(&what);
            assert!(names(&error, name), "{what}: {error}");
            // What can be read is there, or was forgotten.
            let report = verify(&damaged).unwrap();
            let intact = report.segments.iter().flat_map(|segment| &segment.intact);
            let n_intact: u64 = intact.map(|(first, end)| end - first).sum();
            let n_lost: u64 =
                report.damages.iter().filter_map(|d| d.lost).map(|(a, b)| b - a).sum();
            assert_eq!(n_intact + n_lost, report.next - report.first, "{what}: {report:?}");
            assert!(n_lost <= 1, "{what}: {report:?}");
            drop(log);
            let after = damaged.0.lock().unwrap().files.get(name).map(|file| file.content.clone());
            assert_eq!(before, after, "{what}: the damaged file was written");
        }
    }
    println!("{n_cases} damages of a log with {} files: each was reported", files.len());
    assert_eq!(expected.len(), 20);
}

/// A data folder of three segments, and its message ids.
fn data_folder(folder: &Path) -> Vec<String> {
    let store = Embedded::open(folder, small()).unwrap();
    for n in 0..30 {
        let events = (0..2).map(|k| Incoming {
            message_id: format!("m{n}-{k}"),
            customer_id: Some(format!("c{}", (n + k) % 6)),
            anonymous_id: None,
            event: "order".to_owned(),
            event_time: None,
            properties: [("text".to_owned(), Value::text("x".repeat(100)))].into(),
            kind: Kind::Live,
            origin: Origin::HISTORY,
        });
        store.append(Group { events: events.collect(), ..Group::default() }).unwrap();
    }
    let events = store.read(0, 1_000).unwrap().events;
    events.into_iter().map(|event| event.message_id).collect()
}

fn small() -> Settings {
    Settings { segment_bytes: 4_000, memory: 1024 * 1024, ..Settings::default() }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Opens a damaged data folder, reads, erases and opens it again without its index. Either something reports an
/// error, or nothing is lost.
fn is_silent(data: &Path, ids: &[String]) -> bool {
    let Ok(store) = Embedded::open(data, small()) else { return false };
    let read = |store: &Embedded| store.read(0, 1_000).map(|range| range.events);
    let mut failed = match read(&store) {
        Ok(events) => {
            let found: Vec<String> = events.into_iter().map(|event| event.message_id).collect();
            if found != ids {
                return true;
            }
            false
        }
        Err(_) => true,
    };
    failed |= store.erase("c3").is_err();
    failed |= store.timeline("c1").is_err();
    drop(store);
    std::fs::remove_dir_all(data.join("index")).unwrap();
    match Embedded::open(data, small()) {
        Ok(store) => {
            let left = read(&store).map(|events| events.len());
            // Ten of the sixty events were of the customer who was erased.
            !failed && left.ok() != Some(50)
        }
        Err(_) => !failed,
    }
}

/// Damages of the log and the configuration of a data folder. Most are left out here; `.ci/damage` runs all and
/// keeps the results.
#[test]
fn a_damaged_data_folder_loses_nothing_silently() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let ids = data_folder(&whole);
    assert_eq!(ids.len(), 60);
    let results = std::env::var("FULLCIRCLE_DAMAGE_RESULTS").ok().map(PathBuf::from);
    let done = results.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let done: std::collections::HashSet<&str> =
        done.as_deref().unwrap_or_default().lines().collect();
    let (mut n_cases, mut n_segments) = (0, 0);
    for part in ["log", "config"] {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(whole.join(part)).unwrap().flatten().map(|e| e.path()).collect();
        files.sort();
        n_segments += files.len() - 1;
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            // Room for the next segment, and a file that only shows that the disk can be written.
            if name == "next.tmp" || name == "probe" {
                continue;
            }
            let content = std::fs::read(&file).unwrap();
            for (n, change) in Change::all(&name, &content).into_iter().enumerate() {
                let what = format!("{part}/{name} {change:?}");
                let is_chosen = n % 97 == 0 || !matches!(change, Change::Flip(_));
                if done.contains(what.as_str()) || (results.is_none() && !is_chosen) {
                    continue;
                }
                // An empty log is as long as its header.
                if change.apply(&content).as_deref() == Some(content.as_slice()) {
                    continue;
                }
                let data = folder.path().join("damaged");
                copy(&whole, &data);
                let target = data.join(part).join(&name);
                match change.apply(&content) {
                    Some(content) => std::fs::write(&target, content).unwrap(),
                    None => std::fs::remove_file(&target).unwrap(),
                }
                let found = verify_log(&data).unwrap();
                assert!(!found.intact, "{what}: verify-log finds nothing");
                assert!(!is_silent(&data, &ids), "{what}: lost without an error");
                std::fs::remove_dir_all(&data).unwrap();
                n_cases += 1;
                if let Some(results) = &results {
                    let mut file =
                        std::fs::File::options().create(true).append(true).open(results).unwrap();
                    writeln!(file, "{what}").unwrap();
                }
            }
        }
    }
    println!("{n_cases} damages of a data folder ({} done before): 0 silent losses", done.len());
    assert!(n_segments >= 4, "{n_segments}");
}

/// Data folders that earlier versions wrote: format 3, and format 2, which has fewer kinds of records.
#[test]
fn data_folders_of_earlier_formats_open() {
    // They were written long ago.
    let settings = Settings { accepts_clock: true, ..Settings::default() };
    for format in ["2", "3"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/format-3"), &data);
        std::fs::write(data.join("FORMAT"), format).unwrap();
        let found = verify_log(&data).unwrap();
        assert!(found.intact, "{found:?}");
        let read = || {
            let store = Embedded::open(&data, settings).unwrap();
            let range = store.read(0, 1_000).unwrap();
            assert_eq!(range.next, 51);
            let ids = range.events.into_iter().map(|event| (event.message_id, event.customer_id));
            (ids.collect::<Vec<_>>(), store.rejected(10).unwrap().len())
        };
        let (ids, rejected) = read();
        // 48 orders less 8 of two customers who were erased, an identify event and its join.
        assert_eq!((ids.len(), rejected), (42, 1));
        assert_eq!(read().0, ids, "opened again");
        let store = Embedded::open(&data, settings).unwrap();
        assert_eq!(store.erase("c2").unwrap().events, 12);
        assert_eq!(store.timeline("a1").unwrap().customer_id(), "c1");
        drop(store);
        assert_eq!(read().0.len(), 30);
        let found = verify_log(&data).unwrap();
        assert!(found.intact, "{found:?}");
        assert_eq!(std::fs::read_to_string(data.join("FORMAT")).unwrap().trim(), "4");
    }
}

#[test]
fn verify_log_lists_what_is_damaged_and_what_is_intact() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    data_folder(&data);
    let path = data.to_str().unwrap();
    let whole = fullcircle_json(&["verify-log", "--data", path, "--json"]);
    assert_eq!((&whole["intact"], &whole["log"]["records"]), (&true.into(), &60.into()));
    let file = data.join("log").join("00000000000000000000.log");
    let mut content = std::fs::read(&file).unwrap();
    content[200] ^= 1;
    std::fs::write(&file, content).unwrap();
    let output = fullcircle(&["verify-log", "--data", path, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let damaged: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let damage = &damaged["log"]["damages"][0];
    assert_eq!(damage["file"], "00000000000000000000.log");
    assert_eq!((&damage["byte"], &damage["lost"]), (&48.into(), &serde_json::json!([0, 2])));
    assert_eq!(damaged["log"]["records"], 58);
    let output = fullcircle(&["verify-log", "--data", path]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("00000000000000000000.log at byte 48"), "{text}");
}
