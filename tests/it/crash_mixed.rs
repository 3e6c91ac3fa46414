//! Kills while everything happens at once: events, batches with rejected records, deployments, keys, erasures and
//! backups. Each client's journal of acknowledged requests is compared with what the endpoint has afterwards.

#![allow(clippy::print_stdout, reason = "figures for --nocapture")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use serde_json::{Value as Json, json};

use crate::endpoint::{Serve, function};
use crate::support::{Answer, agent, read};

/// Cycles of a start, a load and a kill; `FULLCIRCLE_CRASH_CYCLES` sets another number.
const CYCLES: usize = 25;
/// Clients that send single events.
const SENDERS: usize = 4;
/// Acknowledged requests of a cycle after which the endpoint is killed, at most.
const MAX_REQUESTS: u64 = 60;
/// Backups of a run: each is a copy of the folder.
const MAX_BACKUPS: usize = 20;

/// The keys of the first start.
#[derive(Clone)]
struct Keys {
    write: String,
    score: String,
    admin: String,
}

/// The endpoint of one cycle as a client sees it.
struct Client<'a> {
    url: &'a str,
    keys: &'a Keys,
    done: SyncSender<()>,
    is_killed: &'a AtomicBool,
}

impl Client<'_> {
    /// Sends a request; `None` once the endpoint is gone. A refusal for load is sent again.
    fn send(&self, method: &str, path: &str, key: &str, body: &str) -> Option<Answer> {
        loop {
            let url = format!("{}{path}", self.url);
            let bearer = format!("Bearer {key}");
            let response = match method {
                "GET" => agent().get(&url).header("authorization", &bearer).call(),
                "DELETE" => agent().delete(&url).header("authorization", &bearer).call(),
                _ => agent().post(&url).header("authorization", &bearer).send(body),
            };
            // After the kill, an endpoint of another test may listen at the same port.
            let answer = response.ok().filter(|_| !self.is_killed.load(Ordering::Acquire))?;
            let answer = read(answer);
            if matches!(answer.status, 429 | 503) {
                continue;
            }
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            self.done.send(()).ok()?;
            return Some(answer);
        }
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        self.send(method, path, &self.keys.admin, body)
    }
}

/// Acknowledged requests of all cycles.
#[derive(Default)]
struct Journal {
    /// Events of each sender.
    events: [u64; SENDERS],
    /// Batches: each has two events and one record that is rejected.
    batches: u64,
    /// Customers whose erasure was acknowledged.
    erased: BTreeSet<String>,
    /// Number of the next customer to be erased.
    next_erased: u64,
    /// Keys that were made, and ids of keys that were revoked.
    made: BTreeMap<String, String>,
    revoked: BTreeSet<String>,
    /// Versions of the deployment.
    version: u64,
    backups: usize,
}

fn send_events(client: &Client<'_>, sender: usize, n: &mut u64) {
    loop {
        let body = json!({ "userId": format!("c{sender}"), "event": "order", "messageId": format!("{sender}-{n}") });
        if client.send("POST", "/v1/track", &client.keys.write, &body.to_string()).is_none() {
            return;
        }
        *n += 1;
    }
}

fn send_batches(client: &Client<'_>, n: &mut u64) {
    loop {
        let event = |place: u64| json!({ "type": "track", "userId": "batch", "event": "view", "messageId": format!("b-{n}-{place}") });
        let body = json!({ "batch": [event(0), 1, event(1)] }).to_string();
        let Some(answer) = client.send("POST", "/v1/batch", &client.keys.write, &body) else {
            return;
        };
        assert_eq!(answer.body["rejected"], 1);
        *n += 1;
    }
}

fn erase(client: &Client<'_>, journal: &mut Journal) {
    loop {
        let customer = format!("erased-{}", journal.next_erased);
        journal.next_erased += 1;
        let body =
            json!({ "userId": customer, "event": "order", "messageId": format!("{customer}-m") });
        let sent = client.send("POST", "/v1/track", &client.keys.write, &body.to_string());
        if sent.is_none()
            || client.admin("DELETE", &format!("/v1/customers/{customer}"), "").is_none()
        {
            return;
        }
        journal.erased.insert(customer);
    }
}

fn administer(client: &Client<'_>, journal: &mut Journal) {
    loop {
        let weight = f64::from(u32::try_from(journal.version % 7).unwrap());
        let Some(uploaded) = client.admin("POST", "/v1/functions", &function(0.5 + weight)) else {
            return;
        };
        let body = json!({ "function": uploaded.body["function"] }).to_string();
        let Some(deployed) = client.admin("POST", "/v1/deployments/tiny", &body) else { return };
        let version = deployed.body["version"].as_u64().unwrap_or(journal.version + 1);
        assert!(version > journal.version, "{deployed:?}");
        journal.version = version;
        let Some(made) = client.admin("POST", "/v1/keys", r#"{"role": "score"}"#) else { return };
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        let (id, key) = (text("id"), text("key"));
        if version.is_multiple_of(3) {
            if client.admin("DELETE", &format!("/v1/keys/{id}"), "").is_none() {
                return;
            }
            journal.revoked.insert(key);
        } else {
            journal.made.insert(id, key);
        }
        if version.is_multiple_of(5) && journal.backups < MAX_BACKUPS {
            if client.admin("POST", "/v1/backup", "").is_none() {
                return;
            }
            journal.backups += 1;
        }
    }
}

/// One cycle: all clients send until `until` requests are acknowledged, then the endpoint is killed.
fn cycle(serve: Serve, keys: &Keys, journal: &mut Journal, until: u64) {
    let url = serve.url().to_owned();
    let (sender, answers) = sync_channel(SENDERS + 3);
    let is_killed = AtomicBool::new(false);
    let (mut events, mut batches) = (journal.events, journal.batches);
    let mut erasing = Journal { next_erased: journal.next_erased, ..Journal::default() };
    let mut administering =
        Journal { version: journal.version, backups: journal.backups, ..Journal::default() };
    std::thread::scope(|scope| {
        let client = || Client { url: &url, keys, done: sender.clone(), is_killed: &is_killed };
        for (place, n) in events.iter_mut().enumerate() {
            let client = client();
            scope.spawn(move || send_events(&client, place, n));
        }
        let (client_a, client_b, client_c) = (client(), client(), client());
        let (batches, erasing, administering) = (&mut batches, &mut erasing, &mut administering);
        scope.spawn(move || send_batches(&client_a, batches));
        scope.spawn(move || erase(&client_b, erasing));
        scope.spawn(move || administer(&client_c, administering));
        drop(sender);
        let n = answers.iter().take(usize::try_from(until).unwrap()).count();
        assert_eq!(n as u64, until, "the endpoint ended by itself");
        is_killed.store(true, Ordering::Release);
        drop(serve);
        drop(answers);
    });
    journal.events = events;
    journal.batches = batches;
    journal.next_erased = erasing.next_erased;
    journal.erased.append(&mut erasing.erased);
    journal.version = administering.version;
    journal.backups = administering.backups;
    journal.made.append(&mut administering.made);
    journal.revoked.append(&mut administering.revoked);
}

fn get(url: &str, key: &str, path: &str) -> Answer {
    let request =
        agent().get(format!("{url}{path}")).header("authorization", format!("Bearer {key}"));
    read(request.call().unwrap())
}

/// Counts the message ids of the log.
fn logged(url: &str, key: &str) -> BTreeMap<String, u64> {
    let (mut counts, mut from) = (BTreeMap::new(), 0);
    loop {
        let run = get(url, key, &format!("/v1/events?from={from}&limit=50000")).body;
        for event in run["events"].as_array().unwrap() {
            *counts.entry(event["message_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        if run["end"] == true {
            return counts;
        }
        from = run["next"].as_u64().unwrap();
    }
}

/// Compares what the endpoint has with what was acknowledged.
fn compare(url: &str, keys: &Keys, journal: &Journal) {
    let counts = logged(url, &keys.admin);
    assert!(counts.values().all(|n| *n == 1), "an event is there twice");
    for (sender, n) in journal.events.iter().enumerate() {
        assert!((0..*n).all(|n| counts.contains_key(&format!("{sender}-{n}"))), "an event is lost");
    }
    for n in 0..journal.batches {
        let has = |place: u64| counts.contains_key(&format!("b-{n}-{place}"));
        assert!(has(0) && has(1), "an event of a batch is lost");
    }
    for customer in &journal.erased {
        assert!(!counts.contains_key(&format!("{customer}-m")), "{customer} is back");
    }
    let deployed = get(url, &keys.score, "/v1/deployments").body;
    let version = deployed["deployments"][0]["champion"]["version"].as_u64();
    assert!(version.is_none_or(|version| version >= journal.version), "{deployed}");
    for (id, key) in &journal.made {
        assert_eq!(get(url, key, "/v1/deployments").status, 200, "the key {id} is lost");
    }
    for key in &journal.revoked {
        assert_eq!(get(url, key, "/v1/deployments").status, 401, "a revoked key is valid");
    }
}

/// Every backup that was acknowledged starts as an endpoint of its own.
fn start_backups(data: &Path, keys: &Keys, acknowledged: usize) {
    let Ok(folders) = std::fs::read_dir(data.join("backups")) else {
        assert_eq!(acknowledged, 0, "the backups are gone");
        return;
    };
    let mut started = 0;
    for folder in folders.flatten().filter(|folder| folder.path().join("FORMAT").exists()) {
        let copy = Serve::start(&folder.path());
        let counts = logged(copy.url(), &keys.admin);
        assert!(counts.values().all(|n| *n == 1));
        started += 1;
    }
    assert!(started >= acknowledged, "{started} of {acknowledged} backups start");
}

#[test]
fn nothing_acknowledged_is_lost_when_everything_is_killed_at_once() {
    let cycles = std::env::var("FULLCIRCLE_CRASH_CYCLES").ok().and_then(|n| n.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::default();
    let mut keys: Option<Keys> = None;
    let mut random = 11_u64;
    for _ in 0..cycles.unwrap_or(CYCLES) {
        let serve = Serve::start(folder.path());
        let ready: &Json = &serve.ready;
        let key = |name: &str| ready[name].as_str().map(str::to_owned);
        let keys = keys
            .get_or_insert_with(|| Keys {
                write: key("write_key").unwrap(),
                score: key("score_key").unwrap(),
                admin: key("admin_key").unwrap(),
            })
            .clone();
        // Knuth's multiplier: the moment of the kill differs in each cycle.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        cycle(serve, &keys, &mut journal, 1 + (random >> 33) % MAX_REQUESTS);
    }
    let keys = keys.unwrap();
    let serve = Serve::start(folder.path());
    compare(serve.url(), &keys, &journal);
    drop(serve);
    start_backups(folder.path(), &keys, journal.backups);
    let total: u64 = journal.events.iter().sum();
    println!(
        "{} cycles: {total} events, {} batches, {} erasures, {} keys, {} versions, {} backups",
        cycles.unwrap_or(CYCLES),
        journal.batches,
        journal.erased.len(),
        journal.made.len() + journal.revoked.len(),
        journal.version,
        journal.backups,
    );
    assert!(total > 50, "{total} events");
}
