//! What is measured.

use std::path::Path;

use crate::data::{self, Keys};
use crate::load::{self, quantile};
use crate::servers::Server;

const CONNECTIONS: usize = 32;
/// Connections of those who send events.
const SENDERS: usize = 512;
/// Rounds of a comparison, ours and the reference in turn, and the seconds of each.
const ROUNDS: usize = 5;
const SECONDS: f64 = 4.0;

/// A measured round: requests a second, CPU micros a request that was taken, p50 and p99 in milliseconds.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
    /// Requests that were refused, for each that was taken.
    refused: f64,
}

fn round(
    server: &Server,
    connections: usize,
    request: impl Fn(usize, usize, &mut Vec<u8>) + 'static,
) -> Round {
    round_of(server, SECONDS, connections, request)
}

fn round_of(
    server: &Server,
    seconds: f64,
    connections: usize,
    request: impl Fn(usize, usize, &mut Vec<u8>) + 'static,
) -> Round {
    let cpu = server.cpu();
    let result = load::run(&server.address, connections, seconds, None, request);
    assert_eq!(result.failed, 0, "no request fails");
    let n = result.taken.len() as f64;
    Round {
        rate: result.rate(),
        cpu: (server.cpu() - cpu) * 1e6 / n,
        p50: quantile(&result.taken, 0.5),
        p99: quantile(&result.taken, 0.99),
        refused: result.refused.len() as f64 / n,
    }
}

/// The round with the median rate.
fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|left, right| left.rate.total_cmp(&right.rate));
    rounds[rounds.len() / 2]
}

fn say(name: &str, Round { rate, cpu, p50, p99, refused }: Round) {
    println!(
        "   {name:<34} {rate:>9.0} /s {cpu:>7.1} cpu-us p50 {p50:>6.2} ms p99 {p99:>6.2} ms, \
         {refused:.2} refused for each"
    );
}

fn get(path: &str, key: &str, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(
        format!("GET {path} HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {key}\r\n\r\n").as_bytes(),
    );
}

fn post(path: &str, key: &str, body: &str, bytes: &mut Vec<u8>) {
    let n = body.len();
    bytes.extend_from_slice(
        format!(
            "POST {path} HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {key}\r\ncontent-length: {n}\r\n\r\n{body}"
        )
        .as_bytes(),
    );
}

/// A number that looks like one at random.
fn mixed(connection: usize, n: usize) -> usize {
    let mixed = (connection * 1_000_003 + n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn score_of(key: &str) -> impl Fn(usize, usize, &mut Vec<u8>) + 'static + use<> {
    let (key, customers) = (key.to_owned(), data::customers());
    move |connection, n, bytes| {
        let customer = data::customer(mixed(connection, n) % customers);
        get(&format!("/v1/score/bench?customer_id={customer}"), &key, bytes);
    }
}

/// Every customer is asked for once, so that their timelines are in memory.
fn warm(server: &Server, key: &str) {
    let customers: Vec<String> = (0..data::customers()).map(data::customer).collect();
    let started = std::time::Instant::now();
    for run in customers.chunks(1_000) {
        let body = serde_json::json!({ "customer_ids": run }).to_string();
        data::post(server, key, "/v1/score/bench", body.as_bytes());
    }
    let (seconds, (memory, ..)) = (started.elapsed().as_secs_f64(), server.resources());
    println!("   first scores, from disk: {seconds:.1} s, then {memory:.0} MB resident");
}

pub(crate) fn score(folder: &Path) {
    let (data, keys) = data::make(folder);
    let started = std::time::Instant::now();
    let ours = Server::endpoint(&data);
    println!("   ready in {:.2} s", started.elapsed().as_secs_f64());
    let empty = Server::reference("empty", folder);
    warm(&ours, &keys.score);
    let (mut scores, mut pings, mut empties) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        scores.push(round(&ours, CONNECTIONS, score_of(&keys.score)));
        empties.push(round(&empty, CONNECTIONS, |_, _, bytes| get("/empty", "", bytes)));
        pings.push(round(&ours, CONNECTIONS, |_, _, bytes| get("/ping", "", bytes)));
    }
    let (scores, pings, empties) = (median(scores), median(pings), median(empties));
    say("empty axum handler", empties);
    say("our /ping", pings);
    say("score, 40 features, 100 events", scores);
    println!(
        "   score: {:.2}x the rate (asked: 0.6x), {:.2}x the CPU (2x), {:.2}x the p99 (2x)",
        scores.rate / empties.rate,
        scores.cpu / empties.cpu,
        scores.p99 / empties.p99
    );
}

/// A score whose every request is the exposure of a customer, beside the same score without an experiment;
/// and what an assignment alone costs.
pub(crate) fn exposures(folder: &Path) {
    assignments();
    let (data, keys) = data::make(folder);
    let ours = Server::endpoint(&data);
    warm(&ours, &keys.score);
    let customers = data::customers();
    let each_once = |key: &str| {
        let key = key.to_owned();
        move |connection: usize, n: usize, bytes: &mut Vec<u8>| {
            let customer = data::customer((n * CONNECTIONS + connection) % customers);
            get(&format!("/v1/score/bench?customer_id={customer}"), &key, bytes);
        }
    };
    let (mut plain, mut exposed) = (Vec::new(), Vec::new());
    let run = run_id();
    for turn in 0..ROUNDS {
        plain.push(round_of(&ours, 1.5, CONNECTIONS, each_once(&keys.score)));
        let definition = serde_json::json!({ "format": 1, "definition": {
            "name": "bench", "deployment": "bench", "seed": format!("{run}-{turn}"),
            "variants": [{ "name": "a" }, { "name": "b" }],
        }});
        let path = "/v1/experiments/bench";
        data::post(&ours, &keys.admin, path, definition.to_string().as_bytes());
        exposed.push(round_of(&ours, 1.5, CONNECTIONS, each_once(&keys.score)));
        data::post(&ours, &keys.admin, &format!("{path}/stop"), b"");
    }
    let (plain, exposed) = (median(plain), median(exposed));
    say("score", plain);
    say("score that exposes", exposed);
    println!("   an exposure: {:.2}x the CPU of the score (asked: 1.2x)", exposed.cpu / plain.cpu);
}

/// Assignments of a million customers, with a layer and a holdout, on one core.
fn assignments() {
    use kernel::experiments::{Assigner, Assignment, ExperimentDefinition};
    let definition = ExperimentDefinition::from_toml(
        "name = \"bench\"\nholdout = 0.05\nlayer = { name = \"checkout\", from = 0.0, until = 0.5 }\n\
         [[variants]]\nname = \"a\"\n[[variants]]\nname = \"b\"\n",
    );
    let assigner = Assigner::new(&definition.unwrap());
    let ids: Vec<String> = (0..1_000_000).map(data::customer).collect();
    let started = std::time::Instant::now();
    let is_in = |id: &&String| matches!(assigner.assign(id), Assignment::Variant(..));
    let n = ids.iter().filter(is_in).count();
    let rate = ids.len() as f64 / started.elapsed().as_secs_f64();
    println!(
        "   {rate:.0} assignments a second on one core (asked: 1,000,000); {n} customers are in"
    );
}

/// Tells the events of this run from those of others, which the endpoint still knows.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no other clock")]
fn run_id() -> u128 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros()
}

/// Events that are written before the clock runs; what a request costs whoever sends it is taken from whoever
/// answers it, on the same computer.
const WRITTEN_EVENTS: usize = 100_000;
/// What stands in them for the number of the connection and of its request.
const NUMBER: &str = "00000000-00000000";

/// A request with events of customers that are there, each of an id of its own.
fn events_of(
    keys: &Keys,
    path: &'static str,
    batch: usize,
) -> impl Fn(usize, usize, &mut Vec<u8>) + 'static + use<> {
    let run = run_id();
    let event = |n: usize, k: usize| {
        let customer = data::customer(mixed(n, k) % data::customers());
        format!(
            "{{\"type\":\"track\",\"userId\":\"{customer}\",\"event\":\"product_viewed\",\
             \"messageId\":\"{run}-{NUMBER}-{k}\",\"timestamp\":\"2026-06-01T12:00:00.000Z\",\
             \"properties\":{{\"channel\":\"web\",\"category\":\"category-{}\",\"product\":\"product-{}\",\
             \"amount\":{}.5}},\"context\":{{\"library\":{{\"name\":\"bench\",\"version\":\"1.0\"}}}}}}",
            k % 11,
            n % 997,
            n % 100
        )
    };
    let written = (0..WRITTEN_EVENTS / batch).map(|n| {
        let body = match batch {
            1 => event(n, 0),
            _ => {
                let events: Vec<String> = (0..batch).map(|k| event(n, k)).collect();
                format!("{{\"batch\":[{}]}}", events.join(","))
            }
        };
        let mut bytes = Vec::new();
        post(path, &keys.write, &body, &mut bytes);
        let text = std::str::from_utf8(&bytes).unwrap();
        let places: Vec<usize> = text.match_indices(NUMBER).map(|(place, _)| place).collect();
        (bytes, places)
    });
    let written: Vec<(Vec<u8>, Vec<usize>)> = written.collect();
    move |connection, n, bytes| {
        let (body, places) = &written[mixed(connection, n) % written.len()];
        bytes.extend_from_slice(body);
        let number = format!("{connection:08}-{n:08}");
        for place in places {
            bytes[*place..place + number.len()].copy_from_slice(number.as_bytes());
        }
    }
}

pub(crate) fn events(folder: &Path, batch: usize) {
    let (data, keys) = data::make(folder);
    let ours = Server::endpoint(&data);
    let bare = Server::reference("append", folder);
    let path = if batch == 1 { "/v1/track" } else { "/v1/batch" };
    let (mut own, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(round(&ours, SENDERS, events_of(&keys, path, batch)));
        bares.push(round(&bare, SENDERS, events_of(&keys, "/append", batch)));
    }
    let (own, bares) = (median(own), median(bares));
    say("bare handler, append and fdatasync", bares);
    say("ours", own);
    println!(
        "   {:.0} : {:.0} events a second, {:.2}x the rate (asked: {}x), {:.2}x the CPU",
        own.rate * batch as f64,
        bares.rate * batch as f64,
        own.rate / bares.rate,
        if batch == 1 { 0.6 } else { 0.5 },
        own.cpu / bares.cpu
    );
}

pub(crate) fn overload(folder: &Path) {
    let (data, keys) = data::make(folder);
    let ours = Server::endpoint(&data);
    // Of clients that wait when they are refused, many may send less than few.
    let closed = |connections: usize| {
        load::run(&ours.address, connections, SECONDS, None, events_of(&keys, "/v1/batch", 100))
    };
    let capacity = [8, 16, 64].map(|connections| closed(connections).rate());
    let capacity = capacity.into_iter().fold(0.0, f64::max);
    let (before, ..) = ours.resources();
    let request = events_of(&keys, "/v1/batch", 100);
    let result = load::run(&ours.address, 900, 15.0, Some(5.0 * capacity), request);
    let (after, ..) = ours.resources();
    println!(
        "   batches of 100: capacity {capacity:.0} /s; offered {:.0} /s, sent {:.0} /s over 900 connections",
        5.0 * capacity,
        (result.taken.len() + result.refused.len()) as f64 / result.seconds
    );
    println!(
        "   goodput {:.2}x (asked: 0.9x); accepted p50 {:.1} p90 {:.1} p99 {:.1} ms (50 ms); refused {} with \
         p50 {:.1} p99 {:.1} ms (5 ms); failed {}; memory {before:.0} -> {after:.0} MB",
        result.rate() / capacity,
        quantile(&result.taken, 0.5),
        quantile(&result.taken, 0.9),
        quantile(&result.taken, 0.99),
        result.refused.len(),
        quantile(&result.refused, 0.5),
        quantile(&result.refused, 0.99),
        result.failed
    );
}

/// Ten minutes at half of what it can do, events and scores.
pub(crate) fn soak(folder: &Path) {
    let (data, keys) = data::make(folder);
    let ours = Server::endpoint(&data);
    let scores = load::run(&ours.address, CONNECTIONS, SECONDS, None, score_of(&keys.score)).rate();
    let events =
        load::run(&ours.address, 64, SECONDS, None, events_of(&keys, "/v1/batch", 10)).rate();
    println!("   capacity: {scores:.0} scores a second, {events:.0} batches of 10");
    println!("   minute  resident MB  files  threads  scores p99 ms");
    for minute in 1..=10 {
        let address = ours.address.clone();
        let request = events_of(&keys, "/v1/batch", 10);
        let sender =
            std::thread::spawn(move || load::run(&address, 64, 60.0, Some(events / 4.0), request));
        let score =
            load::run(&ours.address, CONNECTIONS, 60.0, Some(scores / 4.0), score_of(&keys.score));
        let sent = sender.join().unwrap();
        assert_eq!(score.failed + sent.failed, 0, "no request fails");
        let (memory, files, threads) = ours.resources();
        let p99 = quantile(&score.taken, 0.99);
        println!("   {minute:>6}  {memory:>11.0}  {files:>5}  {threads:>7}  {p99:>13.2}");
    }
}
