//! Clients that only hold connections and memory: others are answered as if they were not there.

#![allow(clippy::print_stdout, reason = "figures for --nocapture")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::endpoint::{Serve, function};
use crate::support::{TestEndpoint, agent, read};

/// Connections that stall; `FULLCIRCLE_STALLED` asks for more.
const STALLED: usize = 400;

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Reads one response: its head and its body.
fn response(stream: &mut TcpStream) -> Result<String, std::io::Error> {
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            if body.len() >= length.unwrap_or(0_usize) {
                return Ok(text);
            }
        }
        match stream.read(&mut part)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => answer.extend_from_slice(&part[..n]),
        }
    }
}

/// Megabytes of a process: `VmRSS:` are in memory now, `VmHWM:` were at most.
fn memory(pid: u64, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Many clients begin large requests and send no more; others are answered soon, and memory stays small.
fn stall(head: impl Fn(&Serve) -> String) {
    let n = std::env::var("FULLCIRCLE_STALLED").ok().and_then(|n| n.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path());
    let key = serve.ready["write_key"].as_str().unwrap().to_owned();
    let pid = serve.ready["pid"].as_u64().unwrap();
    let before = memory(pid, "VmRSS:");
    let request = [head(&serve).into_bytes(), vec![b' '; 400 * 1024]].concat();
    let mut stalled = Vec::new();
    for _ in 0..n.unwrap_or(STALLED) {
        let mut stream = connect(serve.url());
        stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
        // As much as is taken.
        let _sent = stream.write_all(&request);
        stalled.push(stream);
    }
    let agent = agent();
    let mut took: Vec<Duration> = (0..200)
        .map(|n| {
            let started = Instant::now();
            let body = json!({ "userId": "ada", "event": "order", "n": n }).to_string();
            let request = agent.post(format!("{}/v1/track", serve.url()));
            let request = request.header("authorization", format!("Bearer {key}"));
            let answer = read(request.send(body).unwrap());
            assert_eq!(answer.status, 200, "{answer:?}");
            started.elapsed()
        })
        .collect();
    took.sort_unstable();
    let (p99, grown) = (took[197], memory(pid, "VmRSS:").saturating_sub(before));
    println!("{} stalled requests: p99 {p99:?}, memory +{grown} MB", stalled.len());
    // 100 ms on an idle machine; the tests share theirs.
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
    assert!(grown < 150, "{grown} MB");
}

#[test]
fn stalled_requests_without_a_key_take_no_memory_and_delay_nobody() {
    stall(|_| {
        "POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n{\"batch\":["
            .to_owned()
    });
}

#[test]
fn stalled_requests_with_a_public_key_take_bounded_memory_and_delay_nobody() {
    stall(|serve| {
        let key = serve.ready["write_key"].as_str().unwrap();
        format!(
            "POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-length: 500000\r\n\r\n{{\"batch\":["
        )
    });
}

#[test]
fn a_body_that_stops_is_given_up_with_a_reason() {
    let endpoint = TestEndpoint::new();
    let mut stream = connect(&endpoint.url);
    let head = format!(
        "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        endpoint.keys.write
    );
    stream.write_all(head.as_bytes()).unwrap();
    let started = Instant::now();
    let answer = response(&mut stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("too slowly"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_key_is_checked_before_the_body_is_read() {
    let endpoint = TestEndpoint::new();
    for key in ["fcw_wrong", endpoint.keys.score.as_str()] {
        let mut stream = connect(&endpoint.url);
        let head = format!(
            "POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-length: 400000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = response(&mut stream).unwrap();
        let status = if key == "fcw_wrong" { "401" } else { "403" };
        assert_eq!(&answer[9..12], status, "{answer}");
    }
}

/// The key may be in the body, however large that is within the limit of all bodies.
#[test]
fn a_large_batch_with_its_key_in_the_body_is_accepted() {
    let endpoint = TestEndpoint::new();
    let event = json!({ "type": "track", "userId": "ada", "event": "order",
        "properties": { "note": "x".repeat(1_000) } });
    let body = json!({ "batch": vec![event; 400], "writeKey": endpoint.keys.write }).to_string();
    assert!(body.len() > 400_000);
    let answer = read(agent().post(format!("{}/v1/batch", endpoint.url)).send(body).unwrap());
    assert_eq!((answer.status, &answer.body["accepted"]), (200, &json!(400)), "{answer:?}");
}

/// Clients that keep their connections and are refused: each gets the response, whole.
#[test]
fn a_refusal_before_the_body_is_read_arrives_and_ends_properly() {
    let endpoint = TestEndpoint::new();
    let url = &endpoint.url;
    for length in [100, 60 * 1024, 300 * 1024, 450 * 1024, 2 * 1024 * 1024] {
        std::thread::scope(|scope| {
            for n in 0..100 {
                scope.spawn(move || {
                    let mut stream = connect(url);
                    let head = format!(
                        "POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer fcw_{n}\r\n\
                         content-length: {length}\r\n\r\n"
                    );
                    let request = [head.into_bytes(), vec![b'x'; length]].concat();
                    stream.write_all(&request).unwrap();
                    let answer = response(&mut stream).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
                    // It says that it ends, or goes on.
                    if answer.to_lowercase().contains("connection: close") {
                        assert!(length > 60 * 1024, "{length}");
                        assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
                    } else {
                        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
                        assert!(response(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
                    }
                });
            }
        });
    }
}

#[test]
fn a_request_whose_length_is_given_in_two_ways_is_refused() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    let event = json!({ "userId": "ada", "event": "order" }).to_string();
    let chunked = format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
    let post = |more: &str, body: &str| {
        format!(
            "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{more}\r\n{body}"
        )
    };
    let te = "Transfer-Encoding: chunked\r\n";
    let length = format!("content-length: {}\r\n", chunked.len());
    for more in [format!("{te}{length}"), format!("{length}{te}")] {
        let request = post(&more, &chunked);
        // In one piece, byte by byte, and behind another request on the same connection.
        let first = post(&format!("content-length: {}\r\n", event.len()), &event);
        for pieces in [vec![request.as_bytes()], request.as_bytes().chunks(1).collect()] {
            let mut stream = connect(&endpoint.url);
            stream.set_nodelay(true).unwrap();
            for piece in pieces {
                // The rest may be refused already.
                let _sent = stream.write_all(piece);
            }
            let answer = response(&mut stream).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(answer.contains("not both"), "{answer}");
            assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0, "the connection is closed");
        }
        let mut stream = connect(&endpoint.url);
        stream.write_all(format!("{first}{request}").as_bytes()).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("HTTP/1.1 400 "), "{all}");
    }
    // Each way by itself is right, again and again on one connection.
    let mut stream = connect(&endpoint.url);
    for _ in 0..3 {
        stream.write_all(post(te, &chunked).as_bytes()).unwrap();
        let answer = response(&mut stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let length = format!("content-length: {}\r\n", event.len());
        stream.write_all(post(&length, &event).as_bytes()).unwrap();
        assert!(response(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
    }
    // What is sent behind a chunked body without a pause was not checked.
    let smuggled = post(&format!("{te}{length}"), &chunked);
    let mut stream = connect(&endpoint.url);
    stream.write_all(format!("{}{smuggled}", post(te, &chunked)).as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("HTTP/1.1 400 "), "{all}");
}

#[test]
fn administration_through_a_proxy_is_refused_whichever_header_names_it() {
    let endpoint = TestEndpoint::new();
    let ask = |line: &str, more: &str| {
        let mut stream = connect(&endpoint.url);
        let key = &endpoint.keys.admin;
        let request =
            format!("{line}\r\nauthorization: Bearer {key}\r\n{more}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        response(&mut stream).unwrap()
    };
    let host = endpoint.url.trim_start_matches("http://");
    let get = "GET /v1/keys HTTP/1.1";
    let local = format!("host: {host}\r\n");
    for fine in ["", "accept: */*\r\nuser-agent: curl/8\r\n", "Sec-Fetch-Mode: cors\r\n"] {
        assert!(ask(get, &format!("{local}{fine}")).starts_with("HTTP/1.1 200 "), "{fine}");
    }
    for name in [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "X-Original-Forwarded-For",
        "Via",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "CF-Connecting-IP",
        "CF-Ray",
        "True-Client-IP",
        "Fastly-Client-IP",
        "X-Envoy-External-Address",
        "X-Amzn-Trace-Id",
        "X-ProxyUser-Ip",
        "X-Of-A-Proxy-Nobody-Knows",
    ] {
        let answer = ask(get, &format!("{local}{name}: 203.0.113.9\r\n"));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{name}: {answer}");
        assert!(answer.contains(&name.to_lowercase()), "the message names the header: {answer}");
    }
    let foreign = ask(get, "host: events.example.com\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    let old = ask("GET /v1/keys HTTP/1.0", &local);
    assert!(old.contains(" 403 "), "as nginx hands requests on: {old}");
    // Events and scores may come through proxies.
    let answer = ask("GET /v1/deployments HTTP/1.1", "host: x\r\nx-forwarded-for: 203.0.113.9\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Timelines that grow and are scored, in more memory than the budget: the process stays within it.
/// `FULLCIRCLE_SOAK_SECONDS` asks for a longer run.
#[test]
fn memory_stays_within_its_budget_while_timelines_grow() {
    const BUDGET: u64 = 64;
    /// Of the process beside the budget, as `serve --help` states it.
    const BASE: u64 = 260;
    /// Events of each of two writers in a run without `FULLCIRCLE_SOAK_SECONDS`: the load is the same on every machine.
    const EVENTS: u64 = 40_000;
    const CUSTOMERS: u64 = 20_000;
    let seconds = std::env::var("FULLCIRCLE_SOAK_SECONDS").ok().and_then(|n| n.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start_with(folder.path(), &["--memory", &BUDGET.to_string()]);
    let key = |name: &str| format!("Bearer {}", serve.ready[name].as_str().unwrap());
    let (write, score, admin) = (key("write_key"), key("score_key"), key("admin_key"));
    let post = |agent: &ureq::Agent, path: &str, key: &str, body: &str| {
        let request = agent.post(format!("{}{path}", serve.url())).header("authorization", key);
        read(request.send(body).unwrap())
    };
    let uploaded = post(&agent(), "/v1/functions", &admin, &function(0.5));
    let deployed = json!({ "function": uploaded.body["function"] }).to_string();
    let deployed = post(&agent(), "/v1/deployments/tiny", &admin, &deployed);
    assert_eq!(deployed.status, 200, "{deployed:?}");
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(60));
    let written: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u64)
            .map(|thread| {
                let (post, write, score, serve) = (&post, &write, &score, &serve);
                scope.spawn(move || {
                    let agent = agent();
                    let mut random = thread + 1;
                    let mut next = || {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (random >> 33) % CUSTOMERS
                    };
                    let mut written = 0;
                    while Instant::now() < end && (seconds.is_some() || written < EVENTS) {
                        let events: Vec<_> = (0..200)
                            .map(|n| {
                                json!({ "type": "track", "userId": format!("customer-{}", next()),
                                    "event": "order", "messageId": format!("{thread}-{written}-{n}"),
                                    "properties": { "amount": n, "note": "x".repeat(200) } })
                            })
                            .collect();
                        let batch = json!({ "batch": events }).to_string();
                        let answer = post(&agent, "/v1/batch", write, &batch);
                        assert!([200, 429, 503].contains(&answer.status), "{answer:?}");
                        written += u64::from(answer.status == 200) * 200;
                        for _ in 0..50 {
                            let path = format!("/v1/score/tiny?customer_id=customer-{}", next());
                            let request = agent.get(format!("{}{path}", serve.url()));
                            let answer = read(request.header("authorization", score).call().unwrap());
                            assert_eq!(answer.status, 200, "{answer:?}");
                        }
                    }
                    written
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let pid = serve.ready["pid"].as_u64().unwrap();
    let (peak, last) = (memory(pid, "VmHWM:"), memory(pid, "VmRSS:"));
    println!("{written} events, --memory {BUDGET}: peak {peak} MB, at the end {last} MB");
    assert!(peak <= BUDGET * 11 / 10 + BASE, "{peak} MB");
}
