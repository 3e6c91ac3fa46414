//! Clients that mean harm or know no better: the right refusal, no panic, and good traffic goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::endpoint::{Serve, deploy, function, score};
use crate::support::{TestEndpoint, agent, read};

/// Sends bytes as they are, and gives the status of the answer; none if the connection was closed.
fn raw(url: &str, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may be refused, and the connection closed, before all of it is sent.
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&part[..n]),
        }
    }
    std::str::from_utf8(&answer).ok()?.get(9..12)?.parse().ok()
}

fn track(key: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         {more}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn json_is_taken_or_refused_as_its_grammar_says() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let taken = [
        "1",
        "-0",
        "1e5",
        "1E-2",
        "0.5",
        "\"\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "[]",
        "{}",
        "[1,2]",
        "{\"a\":{\"b\":1}}",
        "true",
        "null",
        "\"\u{7f}\"",
        "\" é \"",
        "9007199254740993",
        "123456789012345678901234567890",
        "1e-400",
        // They are kept: a number as its digits, and half of a surrogate pair as U+FFFD.
        "1e999",
        "\"\\ud800\"",
        "{\"a\":1,\"a\":2}",
        &deep(60),
    ]
    .map(str::to_owned);
    let refused = [
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "--1",
        "0x1",
        "NaN",
        "Infinity",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "[1,]",
        "[,1]",
        "[1",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "True",
        "nul",
        "\"\t\"",
        "1 2",
        "\u{feff}1",
        "// 1",
        &deep(200),
        "",
    ]
    .map(str::to_owned);
    let status = |value: &str| {
        let body = format!("{{\"userId\":\"a\",\"event\":\"e\",\"properties\":{{\"x\":{value}}}}}");
        let answer = endpoint.post(key, "/v1/track", body.as_bytes());
        let rejected = answer.body["rejected"] == 1;
        if rejected { 400 } else { answer.status }
    };
    for value in &taken {
        assert_eq!(status(value), 200, "{value}");
    }
    for value in &refused {
        assert_eq!(status(value), 400, "{value}");
    }
    for body in
        [&b"\xff\xfe{}"[..], b"\xef\xbb\xbf{}", b"[]", b"null", b"", b"{", b"{\"batch\":{}}", b"\0"]
    {
        let answer = endpoint.post(key, "/v1/batch", body);
        assert_eq!(answer.status, 400, "{body:?}: {answer:?}");
    }
}

#[test]
fn bodies_that_are_packed_badly_are_refused() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    let bomb = pack(&vec![b' '; 200 * 1024 * 1024]);
    assert!(bomb.len() < 300 * 1024, "{} bytes", bomb.len());
    let good = pack(br#"{"userId":"a","event":"e"}"#);
    let gzip = "content-encoding: gzip\r\n";
    for (status, more, body) in [
        (200, gzip, good.clone()),
        (200, "", good.clone()),
        (413, gzip, bomb),
        (400, gzip, good[..good.len() / 2].to_vec()),
        (400, gzip, b"{}".to_vec()),
        (415, "content-encoding: br\r\n", b"{}".to_vec()),
        (415, "content-encoding: deflate\r\n", b"{}".to_vec()),
        (413, "", vec![b' '; 600 * 1024]),
    ] {
        assert_eq!(
            raw(&endpoint.url, &track(key, more, &body)),
            Some(status),
            "{more:?} {}",
            body.len()
        );
    }
}

/// A body as gzip.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn small_requests_with_many_events_do_not_stop_the_endpoint() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    let body = pack(format!("{{\"batch\":[{}]}}", vec!["1"; 255_900].join(",")).as_bytes());
    assert!(body.len() < 1_000, "{} bytes", body.len());
    let bytes = {
        let key = &endpoint.keys.write;
        let mut bytes = format!(
            "POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32).map(|_| scope.spawn(|| raw(&endpoint.url, &bytes))).collect();
        for client in clients {
            let status = client.join().unwrap();
            assert!(matches!(status, Some(413 | 429)), "{status:?}");
        }
    });
    endpoint.restart();
    assert_eq!(endpoint.customer("ada")["event_count"], 1);
}

#[test]
fn a_batch_has_at_most_as_many_events_as_documented() {
    let endpoint = TestEndpoint::new();
    for (n, status) in [(2_499, 200), (2_500, 200), (2_501, 413)] {
        for item in ["{\"userId\":\"a\",\"event\":\"e\"}", "1"] {
            let body = format!("{{\"batch\":[{}]}}", vec![item; n].join(","));
            let answer = endpoint.post(&endpoint.keys.write, "/v1/batch", body.as_bytes());
            assert_eq!(answer.status, status, "{n} of {item}: {answer:?}");
            if status == 200 {
                let counted = if item == "1" { "rejected" } else { "accepted" };
                assert_eq!(answer.body[counted], n, "{answer:?}");
            }
        }
    }
}

#[test]
fn requests_that_are_no_http_end_and_harm_nobody() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let key = &endpoint.keys.write;
    let many = "x-a: 1\r\n".repeat(500);
    let long = format!("x-long: {}\r\n", "a".repeat(200 * 1024));
    let path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    for request in [
        track(key, &many, b"{}"),
        track(key, &long, b"{}"),
        path.into_bytes(),
        b"GARBAGE\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01".to_vec(),
        b"POST /v1/track HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /v1/track HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello"
            .to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        vec![0; 100_000],
    ] {
        let status = raw(&endpoint.url, &request);
        let start = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{start}: {status:?}");
        endpoint.track("ada", "order", &json!({}));
    }
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 10.0);
}

#[test]
fn a_thousand_silent_and_dripping_clients_do_not_keep_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path());
    let address = serve.url().trim_start_matches("http://").to_owned();
    // As many as files may be open here, at most a thousand.
    let mut clients = Vec::new();
    for n in 0..1_000 {
        let Ok(mut stream) = TcpStream::connect(&address) else { break };
        if n % 2 == 0
            && stream.write_all(b"POST /v1/track HTTP/1.1\r\nhost: x\r\nx-drip: ").is_err()
        {
            break;
        }
        clients.push(stream);
    }
    assert!(clients.len() >= 400, "{} connections", clients.len());
    let key = serve.ready["write_key"].as_str().unwrap();
    let mut slowest = Duration::ZERO;
    for n in 0..50 {
        let started = Instant::now();
        let body = json!({ "userId": "ada", "event": "order", "n": n }).to_string();
        let request = agent().post(format!("{}/v1/track", serve.url()));
        let request = request.header("authorization", format!("Bearer {key}"));
        assert_eq!(read(request.send(body).unwrap()).status, 200);
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    // They are left when their time for headers is over.
    let first = clients.first_mut().unwrap();
    first.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut end = Vec::new();
    assert!(first.read_to_end(&mut end).is_ok(), "the connection is closed");
}
