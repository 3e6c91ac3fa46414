//! Who may do what: each route of the documentation, with each kind of key, from each origin, as the table says.
//!
//! `FULLCIRCLE_WRITE_TABLE=1` writes the table as the endpoint answers now; the difference is what to look at.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::support::{TestEndpoint, agent};

const TABLE: &str = "tests/it/authorization.txt";
const KEYS: [&str; 5] = ["none", "browser", "server", "score", "admin"];
/// A program on this machine, a page of somebody else, the endpoint's own page, and proxies on this machine.
const ORIGINS: [&str; 4] = ["program", "page", "own-page", "proxy"];

/// What a table says of an answer: a refusal for who asks by its status, anything else as `ok`.
fn word(status: u16) -> String {
    match status {
        401 | 403 => status.to_string(),
        _ => "ok".to_owned(),
    }
}

/// A request with a key, as it comes from an origin.
fn with_headers<B>(
    mut request: ureq::RequestBuilder<B>,
    endpoint: &TestEndpoint,
    key: &str,
    origin: &str,
) -> ureq::RequestBuilder<B> {
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    match origin {
        "page" => request.header("origin", "https://shop.example"),
        "own-page" => request.header("origin", &endpoint.url),
        "proxy" => request.header("x-forwarded-for", "10.1.2.3"),
        _ => request,
    }
}

/// Asks, and asks again where the connection was closed in between.
fn ask(endpoint: &TestEndpoint, method: &str, path: &str, key: &str, origin: &str) -> u16 {
    let url = format!("{}{path}", endpoint.url);
    let mut last = None;
    for _ in 0..5 {
        let agent = agent();
        let answer = match method {
            "GET" => with_headers(agent.get(&url), endpoint, key, origin).call(),
            "DELETE" => with_headers(agent.delete(&url), endpoint, key, origin).call(),
            "POST" => with_headers(agent.post(&url), endpoint, key, origin).send("{}"),
            other => panic!("{other} {path}"),
        };
        match answer {
            Ok(response) => return response.status().as_u16(),
            Err(error) => last = Some(error),
        }
    }
    panic!("{method} {path} from {origin}: {last:?}");
}

#[test]
fn every_route_answers_each_kind_of_key_as_the_table_says() {
    let endpoint = TestEndpoint::new();
    let keys = &endpoint.keys;
    let keys = ["", &keys.write, &keys.server, &keys.score, &keys.admin];
    let documentation = endpoint.get("", "/openapi.json").body;
    let mut table = String::from(
        "# Answers by route, origin and kind of key. ok: not refused for who asks; 401: no valid key; 403: the\n\
         # key or the origin may not. `{key}` in a path is the browser key. Checked by authorization.rs.\n",
    );
    writeln!(table, "# {:<64} {:<9} {}", "route", "origin", KEYS.join(" ")).unwrap();
    let mut n = 0;
    for (path, methods) in documentation["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            for origin in ORIGINS {
                // The key that a path itself has says all.
                let mut real = path.clone();
                if path == "/v1/projects/{key}/settings" || path == "/api/features/{key}" {
                    real = real.replace("{key}", keys[1]);
                }
                for name in ["{name}", "{id}", "{version}", "{key}"] {
                    real = real.replace(name, "1");
                }
                let answers: Vec<String> = keys
                    .iter()
                    .map(|key| word(ask(&endpoint, &method, &real, key, origin)))
                    .collect();
                let route = format!("{method} {path}");
                let row: Vec<String> = answers
                    .iter()
                    .zip(KEYS)
                    .map(|(answer, key)| format!("{answer:<width$}", width = key.len()))
                    .collect();
                writeln!(table, "{route:<66} {origin:<9} {}", row.join(" ").trim_end()).unwrap();
                n += 1;
            }
        }
    }
    assert!(n > 4 * 60, "{n} rows");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var("FULLCIRCLE_WRITE_TABLE").is_ok() {
        std::fs::write(&file, &table).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (is, says) = (lines(&table), lines(&committed));
    let differ: Vec<&String> = is.symmetric_difference(&says).collect();
    assert!(differ.is_empty(), "the table and the endpoint differ: {differ:#?}");
}

/// The rules behind the table, so that a table that was written anew cannot say something else.
#[test]
fn the_table_says_what_the_documentation_promises() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let table = std::fs::read_to_string(file).unwrap();
    let documentation: Json =
        serde_json::from_str(include_str!("../../src/endpoint/serving/openapi.json")).unwrap();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let [method, path, origin, answers @ ..] = &cells[..] else { panic!("{line}") };
        let [none, browser, server, score, admin] = answers else { panic!("{line}") };
        let route = &documentation["paths"][path][method.to_lowercase()];
        let is_open = route["security"].as_array().unwrap().is_empty();
        let needs = route["description"].as_str().unwrap_or_default();
        let is_collecting = needs.contains("browser or server key") && !is_open;
        let all = [none, browser, server, score, admin].map(|answer| *answer);
        let expected = match (is_open, is_collecting, *origin) {
            (true, ..) => ["ok"; 5],
            // The key is in the path, unless there is another in a header.
            _ if *path == "/api/features/{key}" => ["ok", "ok", "ok", "403", "ok"],
            // Pages may send events from anywhere, and so may what comes through a proxy.
            (_, true, _) => ["401", "ok", "ok", "403", "ok"],
            (_, _, "page") => ["403"; 5],
            (_, _, "proxy") if needs.contains("admin key") => ["403"; 5],
            _ if needs.contains("admin key") => ["401", "403", "403", "403", "ok"],
            _ => ["401", "403", "403", "ok", "ok"],
        };
        assert_eq!(all, expected, "{line} ({needs})");
    }
}
