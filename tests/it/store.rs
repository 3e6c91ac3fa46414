//! The endpoint's store when its machine misbehaves: damaged files, too few file handles, a clock that is wrong.

#![allow(clippy::print_stdout, reason = "figures for --nocapture")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use endpoint::online::{
    Embedded, EventLog as _, Group, Incoming, Joiner, Kind, Origin, Settings, TimeSource,
    TimelineStore as _,
};
use kernel::domain::{Properties, Time};
use serde_json::json;

use crate::endpoint::Serve;
use crate::support::{TestEndpoint, program};

const CUSTOMERS: usize = 40;

fn append(store: &Embedded, customer: &str, anonymous: Option<&str>, n: usize) {
    let incoming = Incoming {
        message_id: format!("{customer}-{n}"),
        customer_id: Some(customer.to_owned()),
        anonymous_id: anonymous.map(str::to_owned),
        event: "order".to_owned(),
        event_time: None,
        properties: Properties::new(),
        kind: match anonymous {
            Some(_) => Kind::Join { is_alias: false, sent: "{}".into() },
            None => Kind::Live,
        },
        origin: Origin { source: 1, joiner: Joiner::Browser },
    };
    store.append(Group { events: vec![incoming], ..Group::default() }).unwrap();
}

/// A data folder whose index has events, joins and message ids.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), Settings::default()).unwrap();
    for round in 0..3 {
        for customer in 0..CUSTOMERS {
            let anonymous = (round == 1).then(|| format!("anonymous-{customer}"));
            append(&store, &format!("c{customer}"), anonymous.as_deref(), round);
        }
        store.checkpoint().unwrap();
    }
    folder
}

/// What a store says of its customers; none if it says that a restart is needed.
fn read_all(folder: &Path) -> Option<Vec<usize>> {
    let store = match Embedded::open(folder, Settings::default()) {
        Ok(store) => store,
        Err(error) => {
            assert!(error.to_string().contains("restart the endpoint"), "{error}");
            return None;
        }
    };
    let mut events = Vec::new();
    for customer in 0..CUSTOMERS {
        let timeline = store.timeline(&format!("anonymous-{customer}"));
        let found = timeline.and_then(|timeline| store.events(timeline.customer_id()));
        match found {
            Ok(found) => events.push(found.len()),
            Err(error) => {
                assert!(error.to_string().contains("restart the endpoint"), "{error}");
                return None;
            }
        }
    }
    Some(events)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(path, to).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_damaged_index_is_made_again_from_the_log() {
    let good = folder();
    let expected = vec![3; CUSTOMERS];
    assert_eq!(read_all(good.path()).as_ref(), Some(&expected));
    let all = files(&good.path().join("index"));
    assert!(all.len() > 10, "{all:?}");
    let mut n = 0;
    for file in &all {
        let bytes = std::fs::read(file).unwrap();
        let name = file.strip_prefix(good.path()).unwrap();
        // Removed, cut in half, empty, and a byte flipped at its beginning, within it and at its end.
        let mut damages: Vec<(String, Option<Vec<u8>>)> = vec![
            ("removed".to_owned(), None),
            ("cut".to_owned(), Some(bytes[..bytes.len() / 2].to_vec())),
            ("empty".to_owned(), Some(Vec::new())),
        ];
        for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            let mut flipped = bytes.clone();
            if let Some(byte) = flipped.get_mut(at) {
                *byte ^= 0x40;
                damages.push((format!("flipped at {at}"), Some(flipped)));
            }
        }
        for (damage, content) in damages {
            let copied = tempfile::tempdir().unwrap();
            copy(good.path(), copied.path());
            match content {
                None => std::fs::remove_file(copied.path().join(name)).unwrap(),
                Some(content) => std::fs::write(copied.path().join(name), content).unwrap(),
            }
            // Damage that is found by a read is repaired by the next start.
            let found = read_all(copied.path()).or_else(|| read_all(copied.path()));
            assert_eq!(found.as_ref(), Some(&expected), "{}: {damage}", name.display());
            n += 1;
        }
    }
    println!("{n} damages of {} files, none lost anything", all.len());
}

#[test]
fn too_few_file_handles_leave_the_index_as_it_is() {
    let folder = folder();
    let mut refused = 0;
    for handles in (6..64).step_by(2) {
        let mut child = Command::new("sh")
            .args([
                "-c",
                "ulimit -n \"$1\" && exec \"$2\" serve --json --listen 127.0.0.1:0 --data \"$3\"",
                "sh",
            ])
            .arg(handles.to_string())
            .arg(program())
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        drop(child.kill());
        child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        refused += usize::from(line.is_empty());
        assert!(!said.contains("index is damaged"), "{handles} handles: {said}");
        assert!(!folder.path().join("index.damaged").exists(), "{handles} handles: {said}");
    }
    assert!(refused >= 3, "{refused} starts were refused");
    assert_eq!(read_all(folder.path()), Some(vec![3; CUSTOMERS]));
}

#[test]
fn a_format_that_cannot_be_read_is_reported_and_kept() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    drop(endpoint.running.take());
    let file = endpoint.data.join("FORMAT");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "").unwrap();
    let start = || {
        let listen = ["--listen", "127.0.0.1:0", "--data"];
        let mut command = Command::new(program());
        let output = command.arg("serve").args(listen).arg(&endpoint.data).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = start();
    assert!(said.contains("FORMAT is damaged") && !said.contains("newer program"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(start().contains("read its format"));
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, good).unwrap();
    endpoint.restart_stopped();
    assert_eq!(endpoint.customer("ada")["event_count"], 1);
}

const DAY: i64 = 24 * 3_600 * 1_000_000;
const NOW: i64 = 1_790_000_000 * 1_000_000;

/// The clocks of a machine that somebody sets.
#[derive(Debug, Default)]
struct Machine {
    wall: AtomicI64,
    steady: AtomicI64,
}

#[derive(Debug, Clone)]
struct Clocks(Arc<Machine>);

impl TimeSource for Clocks {
    fn wall(&self) -> i64 {
        self.0.wall.load(Ordering::Relaxed)
    }

    fn steady(&self) -> i64 {
        self.0.steady.load(Ordering::Relaxed)
    }
}

#[test]
fn a_clock_that_was_wrong_once_does_not_move_scores_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let clocks = Clocks(Arc::default());
    let set = |wall: i64| clocks.0.wall.store(wall, Ordering::Relaxed);
    let open =
        |settings: Settings| Embedded::open_with(folder.path(), settings, Box::new(clocks.clone()));
    set(NOW);
    let store = open(Settings::default()).unwrap();
    append(&store, "ada", None, 0);
    // Ten years ahead, while it runs.
    set(NOW + 3_650 * DAY);
    append(&store, "ada", None, 1);
    assert_eq!(store.clock().report().difference, 3_650 * DAY);
    assert!(store.clock().as_of() < Time(NOW + DAY));
    let events = store.events("ada").unwrap();
    assert!(events.iter().all(|event| event.received_at < Time(NOW + DAY)), "{events:?}");
    set(NOW + 1_000_000);
    assert!(store.clock().as_of() >= Time(NOW));
    assert_eq!(store.clock().report().difference, 0);
    drop(store);
    // Ten years ahead at a start: only if somebody says that it is right.
    set(NOW + 3_650 * DAY);
    let refused = open(Settings::default()).unwrap_err().to_string();
    assert!(refused.contains("--accept-clock"), "{refused}");
    let accepting = Settings { accepts_clock: true, ..Settings::default() };
    let store = open(accepting).unwrap();
    append(&store, "ada", None, 2);
    drop(store);
    // It was not: the log has an arrival in the future, which keeps scores there.
    set(NOW + DAY);
    let store = open(Settings::default()).unwrap();
    append(&store, "ada", None, 3);
    assert!(store.clock().as_of() > Time(NOW + 3_650 * DAY));
    assert!(store.clock().report().difference < -3_640 * DAY);
    drop(store);
    // The recovery: what came meanwhile is forgotten, and may be sent again.
    let forgetting = Settings { forget_after: Some(Time(NOW + DAY)), ..Settings::default() };
    let store = open(forgetting).unwrap();
    assert_eq!(store.events("ada").unwrap().len(), 2);
    assert!(store.clock().as_of() < Time(NOW + 2 * DAY));
    assert_eq!(store.clock().report().difference, 0);
    append(&store, "ada", None, 2);
    assert_eq!(store.events("ada").unwrap().len(), 3);
}

#[test]
fn probes_and_metrics_report_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path());
    let get = |path: &str| {
        let answer = crate::support::agent().get(format!("{}{path}", serve.url())).call().unwrap();
        crate::support::read(answer).body
    };
    for probe in ["/healthz", "/readyz"] {
        let health = get(probe);
        assert_eq!(health["clock"], "followed", "{health}");
        assert_eq!(health["clock_difference_seconds"], 0.0, "{health}");
    }
    let metrics = get("/metrics").as_str().unwrap().to_owned();
    assert!(metrics.contains("\nfullcircle_clock_difference_seconds 0\n"), "{metrics}");
    assert!(metrics.contains("\nfullcircle_clock_steps_total 0\n"), "{metrics}");
}
