//! The data: an endpoint's folder with customers, their events, and a function of 40 features that is live.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kernel::domain::{Event, Time, Type};
use kernel::features::{View, ViewDefinition};
use kernel::scoring::{
    EncodedColumn, Encoder, Encoding, FORMAT, FrozenModel, FunctionFile, Trained,
};
use serde_json::json;

use crate::events::{self, MINUTE};
use crate::servers::Server;

const EVENTS_EACH: usize = 100;
/// 2026-01-01.
const START: i64 = 1_767_225_600_000_000;

pub(crate) fn customers() -> usize {
    std::env::var("FULLCIRCLE_CUSTOMERS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000)
}

/// The keys of the endpoint in a folder.
pub(crate) struct Keys {
    pub(crate) write: String,
    pub(crate) score: String,
    pub(crate) admin: String,
}

/// Makes the data if it is not there, and gives its folder and keys.
pub(crate) fn make(folder: &Path) -> (PathBuf, Keys) {
    let data = folder.join(format!("endpoint-{}", customers()));
    let keys = data.join("bench-keys.json");
    if !keys.exists() {
        if data.exists() {
            std::fs::remove_dir_all(&data).unwrap();
        }
        std::fs::create_dir_all(&data).unwrap();
        let server = Server::endpoint(&data);
        let admin = server.ready["admin_key"].as_str().unwrap();
        println!("publishing {} events of {} customers", customers() * EVENTS_EACH, customers());
        publish(&server, admin);
        deploy(&server, admin);
        std::fs::write(&keys, server.ready.to_string()).unwrap();
    }
    let said: serde_json::Value = serde_json::from_slice(&std::fs::read(&keys).unwrap()).unwrap();
    let key = |name: &str| said[name].as_str().unwrap().to_owned();
    let (write, score, admin) = (key("write_key"), key("score_key"), key("admin_key"));
    (data, Keys { write, score, admin })
}

pub(crate) fn post(server: &Server, key: &str, path: &str, body: &[u8]) -> serde_json::Value {
    let request = ureq::post(format!("http://{}{path}", server.address));
    let answer = request.header("authorization", format!("Bearer {key}")).send(body);
    serde_json::from_slice(&answer.unwrap().body_mut().read_to_vec().unwrap()).unwrap()
}

pub(crate) fn customer(n: usize) -> String {
    format!("customer-{n:06}")
}

fn publish(server: &Server, admin: &str) {
    let started = std::time::Instant::now();
    for first in (0..customers()).step_by(500) {
        let mut body = Vec::new();
        for customer in first..(first + 500).min(customers()) {
            for n in 0..EVENTS_EACH {
                serde_json::to_writer(&mut body, &event(customer, n)).unwrap();
                body.push(b'\n');
            }
        }
        post(server, admin, "/v1/history", &body);
    }
    let (n, seconds) = (customers() * EVENTS_EACH, started.elapsed().as_secs_f64());
    println!("   published in {seconds:.1} s, {:.0} events a second", n as f64 / seconds);
}

/// An event of a timeline; they are some hours apart.
fn event(customer: usize, n: usize) -> Event {
    let time = Time(START + (n * 397 + customer % 97) as i64 * MINUTE);
    let seq = (customer * EVENTS_EACH + n) as u64;
    Event { seq, ..events::event(&self::customer(customer), customer, n, time) }
}

fn deploy(server: &Server, admin: &str) {
    let uploaded = post(server, admin, "/v1/functions", function().as_bytes());
    let body = json!({ "function": uploaded["function"] }).to_string();
    post(server, admin, "/v1/deployments/bench", body.as_bytes());
}

/// A logistic model over the 40 features of the benchmark's view.
fn function() -> String {
    let schema = events::catalog();
    let view: ViewDefinition = toml::from_str(include_str!("../kernel/view.toml")).unwrap();
    let checked = View::check(&view, &schema).unwrap();
    let columns: Vec<EncodedColumn> = checked
        .features()
        .iter()
        .map(|feature| EncodedColumn {
            feature: feature.name.to_string(),
            encoding: match feature.type_ {
                Type::Number => Encoding::Number {
                    fill: 1.0,
                    mean: 0.5,
                    scale: 2.0,
                    indicator: false,
                    log: false,
                },
                _ => Encoding::OneHot { categories: vec!["web".to_owned()], rare: false },
            },
        })
        .collect();
    let weights = (0..columns.len()).map(|n| (n as f64 - 20.0) / 100.0).collect();
    let file = FunctionFile {
        format: FORMAT,
        hash: String::new(),
        name: "bench".parse().unwrap(),
        view,
        schema,
        encoder: Encoder { columns },
        model: FrozenModel::LogisticRegression { intercept: -1.0, weights },
        trained: Trained {
            spec: String::new(),
            observed_until: Time(0),
            rows: 0,
            positives: 0,
            metrics: BTreeMap::default(),
        },
        expected: None,
        outcome: None,
    };
    file.sealed().unwrap().to_json().unwrap()
}
