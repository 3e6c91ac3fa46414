//! The endpoint over a real port: collecting, scoring, deploying, and what survives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::support::{Answer, TestEndpoint, agent, program, read, sample};

/// A function that scores by one number: orders in 30 days, trained on nothing.
pub(crate) fn function(weight: f64) -> String {
    use kernel::features::{AggregationName, Catalog, FeatureDefinition, ViewDefinition};
    use kernel::scoring::{
        EncodedColumn, Encoder, Encoding, FORMAT, FrozenModel, FunctionFile, Trained,
    };
    let mut orders = FeatureDefinition::named("orders".parse().unwrap());
    orders.aggregation = Some(AggregationName::Count);
    orders.events = vec!["order".to_owned()];
    orders.window = Some("30d".parse().unwrap());
    let mut country = FeatureDefinition::named("country".parse().unwrap());
    country.trait_name = Some("country".to_owned());
    let schema = Catalog {
        context: std::collections::BTreeMap::new(),
        events: ["order".to_owned()].into(),
        properties: Default::default(),
        traits: [("country".to_owned(), kernel::domain::Type::Text)].into(),
    };
    let number =
        Encoding::Number { fill: 0.0, mean: 0.0, scale: 1.0, indicator: false, log: false };
    let countries = Encoding::OneHot { categories: vec!["DE".to_owned()], rare: false };
    let column = |feature: &str, encoding| EncodedColumn { feature: feature.to_owned(), encoding };
    let file = FunctionFile {
        format: FORMAT,
        hash: String::new(),
        name: "tiny".parse().unwrap(),
        view: ViewDefinition { name: "v".parse().unwrap(), features: vec![orders, country] },
        schema,
        encoder: Encoder { columns: vec![column("orders", number), column("country", countries)] },
        model: FrozenModel::LogisticRegression { intercept: -1.0, weights: vec![weight, 0.25] },
        trained: Trained {
            spec: String::new(),
            observed_until: kernel::domain::Time(0),
            rows: 0,
            positives: 0,
            metrics: Default::default(),
        },
        expected: None,
        outcome: None,
    };
    file.sealed().unwrap().to_json().unwrap()
}

pub(crate) fn deploy(endpoint: &TestEndpoint, name: &str, function: &str) -> Answer {
    let admin = &endpoint.keys.admin;
    let uploaded = endpoint.post(admin, "/v1/functions", function.as_bytes());
    assert_eq!(uploaded.status, 200, "{uploaded:?}");
    let body = json!({ "function": uploaded.body["function"] }).to_string();
    endpoint.post(admin, &format!("/v1/deployments/{name}"), body.as_bytes())
}

pub(crate) fn score(endpoint: &TestEndpoint, name: &str, customer: &str) -> Json {
    let path = format!("/v1/score/{name}?customer_id={customer}&explain=true");
    let answer = endpoint.get(&endpoint.keys.score, &path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn an_acknowledged_event_is_in_the_next_score() {
    let endpoint = TestEndpoint::new();
    assert_eq!(deploy(&endpoint, "tiny", &function(0.5)).status, 200);
    let mut last = score(&endpoint, "tiny", "ada");
    assert_eq!(last["known"], false, "a customer without events is scored, and it says so");
    for n in 1..=50 {
        endpoint.track("ada", "order", &json!({ "n": n }));
        let next = score(&endpoint, "tiny", "ada");
        assert_eq!(next["features"]["orders"].as_f64(), Some(f64::from(n)));
        assert_eq!(next["known"], true);
        assert!(next["score"].as_f64() > last["score"].as_f64());
        // As times: a fraction of a second is written without its last zeros.
        let as_of = |score: &Json| -> kernel::domain::Time {
            score["as_of"].as_str().unwrap().parse().unwrap()
        };
        assert!(as_of(&next) > as_of(&last));
        last = next;
    }
    assert_eq!(last["reasons"][0]["feature"], "orders");
    // A reason ends at the events behind its feature.
    assert_eq!(last["reasons"][0]["event_count"], 50);
    assert_eq!(last["reasons"][0]["events"][0]["event"], "order");
    assert_eq!(last["reasons"][0]["events"].as_array().unwrap().len(), 3);
    assert_eq!(last["version"], 1);
    assert_eq!(last["variant"], "champion");
}

#[test]
fn traits_are_as_of_the_time_and_can_be_unset() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let identify = |traits: Json| {
        let body = json!({ "userId": "ada", "traits": traits }).to_string();
        assert_eq!(
            endpoint.post(&endpoint.keys.write, "/v1/identify", body.as_bytes()).status,
            200
        );
        score(&endpoint, "tiny", "ada")["features"]["country"].clone()
    };
    assert_eq!(identify(json!({ "country": "DE", "age": 41 })), "DE");
    assert_eq!(identify(json!({ "age": 42 })), "DE");
    assert_eq!(identify(json!({ "country": null })), Json::Null);
    endpoint.track("ada", "order", &json!({}));
    let customer = endpoint.customer("ada");
    assert_eq!(customer["traits"], json!({ "age": 42.0 }));
    assert_eq!(customer["event_count"], 1, "identify events are no events of their own");
}

#[test]
fn a_message_counts_once_and_a_bad_event_does_not_spoil_a_batch() {
    let endpoint = TestEndpoint::new();
    let batch = json!({ "batch": [
        { "type": "track", "userId": "ada", "event": "order", "messageId": "m1" },
        { "type": "track", "userId": "ada", "event": "order", "messageId": "m1" },
        { "type": "track", "event": "order" },
        { "type": "track", "userId": "ada" },
        { "type": "dance", "userId": "ada" },
        "nonsense",
        { "type": "page", "anonymousId": "anon-1", "name": "Home", "messageId": "m2" },
    ]});
    let send = || endpoint.post(&endpoint.keys.write, "/v1/batch", batch.to_string().as_bytes());
    let first = send();
    assert_eq!(first.status, 200, "{first:?}");
    let counts = |a: &Answer| {
        [&a.body["accepted"], &a.body["duplicate"], &a.body["rejected"]].map(Json::clone)
    };
    assert_eq!(counts(&first), [json!(2), json!(1), json!(4)], "{first:?}");
    assert_eq!(counts(&send()), [json!(0), json!(3), json!(4)]);
    let metrics = endpoint.get(&endpoint.keys.score, "/metrics").body;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "events_received_total 14",
        "events_accepted_total 2",
        "events_duplicate_total 4",
        "events_rejected_total 8",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[test]
fn published_sdks_are_understood() {
    let endpoint = TestEndpoint::new();
    let captures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/captures.jsonl");
    let mut n = 0;
    for line in std::fs::read_to_string(captures).unwrap().lines() {
        let capture: Json = serde_json::from_str(line).unwrap();
        let mut body = capture["body"].as_str().unwrap().as_bytes().to_vec();
        let mut request =
            agent().post(format!("{}{}", endpoint.url, capture["path"].as_str().unwrap()));
        if capture["gzip"] == true {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body).unwrap();
            body = encoder.finish().unwrap();
            request = request.header("content-encoding", "gzip");
        }
        // SDKs send their write key as the user of basic authentication.
        use base64_of as base64;
        let basic = format!("Basic {}", base64(&format!("{}:", endpoint.keys.write)));
        let request = request
            .header("content-type", capture["content_type"].as_str().unwrap())
            .header("authorization", basic);
        let answer = read(request.send(&body[..]).unwrap());
        assert_eq!(answer.status, 200, "{} {answer:?}", capture["sdk"]);
        assert_eq!(answer.body["rejected"], 0, "{} {answer:?}", capture["sdk"]);
        n += answer.body["accepted"].as_u64().unwrap();
    }
    assert!(n >= 5, "{n} events");
}

fn base64_of(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text.as_bytes()
        .chunks(3)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            (0..4).map(move |place| match place <= chunk.len() {
                true => LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char,
                false => '=',
            })
        })
        .collect()
}

/// Sends one call of an SDK, which must be taken.
fn send(endpoint: &TestEndpoint, method: &str, body: &Json) {
    let answer = endpoint.post(&endpoint.keys.write, method, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_anonymous_timeline_joins_the_customers() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let send = |method: &str, body: Json| send(&endpoint, method, &body);
    send("/v1/track", json!({ "anonymousId": "anon", "event": "order" }));
    send("/v1/track", json!({ "userId": "ada", "event": "order" }));
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 1.0);
    send("/v1/identify", json!({ "anonymousId": "anon", "userId": "ada", "traits": {} }));
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 2.0);
    send("/v1/track", json!({ "anonymousId": "anon", "event": "order" }));
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 3.0);
    assert_eq!(score(&endpoint, "tiny", "anon")["customer_id"], "ada");
}

#[test]
fn a_score_of_an_anonymous_visitor_does_not_keep_them_from_being_identified() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let send = |method: &str, body: Json| send(&endpoint, method, &body);
    send("/v1/track", json!({ "anonymousId": "anon", "event": "order" }));
    assert_eq!(score(&endpoint, "tiny", "anon")["features"]["orders"], 1.0);
    send("/v1/track", json!({ "anonymousId": "anon", "event": "order" }));
    send("/v1/identify", json!({ "anonymousId": "anon", "userId": "ada" }));
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 2.0);
}

#[test]
fn clients_write_paths_keys_and_bad_json_in_their_own_ways() {
    let endpoint = TestEndpoint::new();
    let key = endpoint.keys.write.clone();
    let send = |path: &str, body: &str| {
        let answer = agent().post(format!("{}{path}", endpoint.url)).send(body.as_bytes()).unwrap();
        let answer = read(answer);
        (answer.status, answer.body)
    };
    // analytics.js writes its key into each event; PostHog and others end paths with a slash.
    let event = format!(
        r#"{{"type":"page","userId":"a","name":"Home","category":"Docs","writeKey":"{key}"}}"#
    );
    let (status, said) = send("/v1/batch/", &format!(r#"{{"batch":[{event}]}}"#));
    assert_eq!((status, &said["accepted"]), (200, &json!(1)), "{said}");
    let properties = json!({ "name": "Home", "category": "Docs" });
    assert_eq!(endpoint.customer("a")["timeline"][0]["properties"], properties);
    // Half of a surrogate pair, as JSON.stringify writes it, is one character that is missing, and a number beyond
    // all is its digits; what is no JSON is kept aside alone.
    let bad = r#"{"type":"track","userId":"a","event":"\ud800"}"#;
    let huge = r#"{"type":"track","userId":"a","event":"e","properties":{"n":NaN}}"#;
    let good = r#"{"type":"track","userId":"a","event":"e"}"#;
    let (status, said) =
        send("/v1/b", &format!(r#"{{"writeKey":"{key}","batch":[{bad},{good},{huge}]}}"#));
    assert_eq!(
        (status, &said["accepted"], &said["rejected"]),
        (200, &json!(2), &json!(1)),
        "{said}"
    );
    // A basic user that is empty says nothing; the body does.
    let request = agent().post(format!("{}/v1/t", endpoint.url));
    let body = format!(r#"{{"userId":"a","event":"e","writeKey":"{key}"}}"#);
    let answer = request.header("authorization", "Basic Og==").send(body.as_bytes()).unwrap();
    assert_eq!(read(answer).status, 200);
    let metrics = read(agent().get(format!("{}/metrics", endpoint.url)).call().unwrap());
    let metrics = metrics.body.as_str().unwrap().to_owned();
    for line in ["events_received_total 5", "events_accepted_total 4", "events_rejected_total 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let settings = agent().get(format!("{}/v1/projects/{key}/settings", endpoint.url));
    let settings = read(settings.header("origin", "https://shop.example").call().unwrap());
    assert_eq!(settings.body["integrations"]["Segment.io"]["apiKey"], key.as_str());
    assert_eq!(settings.headers["access-control-allow-origin"], "https://shop.example");
}

#[test]
fn a_public_write_key_cannot_move_a_customers_timeline() {
    let endpoint = TestEndpoint::new();
    endpoint.track("victim", "order", &json!({}));
    for (method, id) in [("identify", "anonymousId"), ("alias", "previousId")] {
        let body = json!({ "userId": "thief", id: "victim", "traits": {} }).to_string();
        let path = format!("/v1/{method}");
        assert_eq!(endpoint.post(&endpoint.keys.write, &path, body.as_bytes()).status, 200);
    }
    assert_eq!(endpoint.customer("victim")["event_count"], 1);
    assert_eq!(endpoint.customer("victim")["customer_id"], "victim");
}

#[test]
fn joins_are_followed_to_the_end() {
    let endpoint = TestEndpoint::new();
    let send = |body: Json| {
        let answer = endpoint.post(&endpoint.keys.write, "/v1/batch", body.to_string().as_bytes());
        assert_eq!(answer.body["rejected"], 1, "{answer:?}");
    };
    // Two anonymous ids become one, that one becomes ada, and the first is still in use.
    send(json!({ "batch": [
        { "type": "track", "anonymousId": "phone", "event": "order" },
        { "type": "track", "anonymousId": "laptop", "event": "order" },
        { "type": "identify", "anonymousId": "phone", "userId": "ada" },
        { "type": "identify", "anonymousId": "laptop", "userId": "ada" },
        { "type": "track", "anonymousId": "phone", "event": "order" },
        // A user id is joined by a server only; this changes nothing.
        { "type": "identify", "anonymousId": "ada", "userId": "phone" },
        { "type": "track", "anonymousId": "laptop", "event": "order" },
    ]}));
    assert_eq!(endpoint.customer("ada")["event_count"], 4);
    assert_eq!(endpoint.customer("laptop")["customer_id"], "ada");
}

#[test]
fn hostile_times_and_names_spoil_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let mut endpoint = TestEndpoint::new();
    let wide: serde_json::Map<String, Json> =
        (0..150).map(|n| (format!("wide {n}"), json!(n))).collect();
    let batch = json!({ "batch": [
        { "userId": "a", "event": "x", "timestamp": "-009999-01-02T02:00:00Z", "sentAt": "9999-12-30T22:00:00Z" },
        { "userId": "a", "event": "x", "timestamp": "0001-01-01T00:00:00Z" },
        { "userId": "a", "event": "x", "properties": { "nul\u{0}": 1 } },
        { "userId": "a\u{0}b", "event": "x" },
        { "userId": "a", "event": "kept", "properties": {
            "seq": 1, "seq_": 2, "event": "e", "Event_Time": 3, "t": 4, "r": 5, "traits": 6,
            "Amount": 7, "quoted \"name\"; DROP TABLE events": 8 } },
        { "userId": "a", "event": "kept", "properties": { "amount": "text" } },
        { "userId": "a", "event": "kept", "properties": wide },
    ]});
    let answer = endpoint.post(&endpoint.keys.write, "/v1/batch", batch.to_string().as_bytes());
    assert_eq!(
        (&answer.body["accepted"], &answer.body["rejected"]),
        (&json!(3), &json!(4)),
        "{answer:?}"
    );
    endpoint.restart();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    let job = workspace::Job::unwatched();
    assert_eq!(project.pull(&client, &job).unwrap().accepted, 3);
    assert_eq!(project.events_of("a").unwrap().len(), 3);
    let sql = "SELECT amount FROM events WHERE amount IS NOT NULL ORDER BY seq";
    let rows = project.query(sql, 10, &job).unwrap().rows;
    assert_eq!(rows.len(), 2, "names that differ in case are one property");
}

#[test]
fn client_clocks_are_corrected_and_nothing_is_in_the_future() {
    let endpoint = TestEndpoint::new();
    let body = json!({
        "userId": "ada", "event": "order", "timestamp": "2090-01-01T00:00:00Z", "sentAt": "2090-01-01T00:01:00Z",
    });
    endpoint.post(&endpoint.keys.write, "/v1/track", body.to_string().as_bytes());
    let late = json!({ "userId": "ada", "event": "order", "timestamp": "2020-05-05T00:00:00Z" });
    endpoint.post(&endpoint.keys.write, "/v1/track", late.to_string().as_bytes());
    let timeline = endpoint.customer("ada")["timeline"].clone();
    assert_eq!(
        timeline[1]["event_time"], "2020-05-05T00:00:00Z",
        "late events are simply inserted"
    );
    let corrected = &timeline[0];
    assert!(corrected["event_time"].as_str() <= corrected["received_at"].as_str());
    assert!(corrected["event_time"].as_str() < Some("2090"), "{corrected}");
    assert_eq!(corrected["properties"]["original_timestamp"], "2090-01-01T00:00:00Z");
    let send = |said: Json| {
        let body = json!({ "userId": "bo", "event": "order", "timestamp": said });
        endpoint.post(&endpoint.keys.write, "/v1/track", body.to_string().as_bytes()).body
    };
    let since = [json!(1_700_000_000), json!(1_700_000_000_000_u64), json!("1700000000000000")];
    for said in since {
        assert_eq!(send(said)["accepted"], 1);
        let event = endpoint.customer("bo")["timeline"][0].clone();
        assert_eq!(event["event_time"], "2023-11-14T22:13:20Z", "by the size of the number");
    }
    for said in [json!("now"), json!(7), json!(true)] {
        let answer = send(said);
        assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(0), &json!(1)));
        let reason = answer["reasons"][0].as_str().unwrap();
        assert!(reason.contains("timestamp is no time"), "not guessed, but kept aside: {reason}");
    }
}

#[test]
fn a_run_of_the_log_ends_where_the_log_does() {
    let endpoint = TestEndpoint::new();
    let event = |n: usize| match n {
        2 => json!({ "x": 1 }),
        _ => {
            json!({ "type": "track", "userId": "ada", "event": "order", "messageId": n.to_string() })
        }
    };
    for n in 0..5 {
        let body = event(n).to_string();
        endpoint.post(&endpoint.keys.write, "/v1/track", body.as_bytes());
    }
    let run = |from: u64| {
        let run = endpoint.get(&endpoint.keys.admin, &format!("/v1/events?from={from}&limit=3"));
        let n = run.body["events"].as_array().unwrap().len();
        (n, run.body["next"].as_u64().unwrap(), run.body["end"].as_bool().unwrap())
    };
    assert_eq!(run(0), (2, 3, false), "one of three records is no event");
    assert_eq!(run(3), (2, 5, true));
    assert_eq!(run(5), (0, 5, true));
}

#[test]
fn a_page_of_a_timeline_has_all_events_of_its_last_time() {
    let endpoint = TestEndpoint::new();
    let event = |n: usize| {
        let day = if n < 2 { "02" } else { "01" };
        json!({ "type": "track", "userId": "ada", "event": "order", "messageId": n.to_string(),
            "timestamp": format!("2026-01-{day}T00:00:00Z") })
    };
    let batch = json!({ "batch": (0..9).map(event).collect::<Vec<_>>() }).to_string();
    endpoint.post(&endpoint.keys.write, "/v1/batch", batch.as_bytes());
    let page = |query: &str| {
        let path = format!("/v1/customers/ada?{query}");
        endpoint.get(&endpoint.keys.score, &path).body["timeline"].as_array().unwrap().len()
    };
    assert_eq!(page("limit=1"), 2, "both of the second day");
    assert_eq!(page("limit=3"), 9);
    assert_eq!(page("limit=3&before=2026-01-02T00:00:00Z"), 7);
    assert_eq!(page("limit=3&before=2026-01-01T00:00:00Z"), 0);
}

#[test]
fn a_deployment_switches_and_rolls_back() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    let first = deploy(&endpoint, "tiny", &function(0.5));
    assert_eq!(first.body["version"], 1);
    let before = score(&endpoint, "tiny", "ada");
    assert_eq!(deploy(&endpoint, "tiny", &function(2.0)).body["version"], 2);
    let after = score(&endpoint, "tiny", "ada");
    assert_eq!(after["version"], 2);
    assert_ne!(before["function"], after["function"]);
    endpoint.restart();
    assert_eq!(score(&endpoint, "tiny", "ada")["version"], 2, "a switch is durable");
    let back = endpoint.post(&endpoint.keys.admin, "/v1/deployments/tiny/rollback", b"");
    assert_eq!(back.body["version"], 1);
    assert_eq!(score(&endpoint, "tiny", "ada")["score"], before["score"]);
    let none = endpoint.post(&endpoint.keys.admin, "/v1/deployments/tiny/rollback", b"");
    assert_eq!(none.status, 400, "{none:?}");
    assert!(none.body["detail"].as_str().unwrap().contains("no earlier version"));
    for change in ["rollback", "promote", "stop"] {
        let path = format!("/v1/deployments/tinny/{change}");
        let unknown = endpoint.post(&endpoint.keys.admin, &path, b"");
        assert_eq!(unknown.status, 404, "{unknown:?}");
        assert!(unknown.body["detail"].as_str().unwrap().contains("did you mean 'tiny'"));
    }
}

#[test]
fn each_key_may_do_its_own_and_no_more() {
    let endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    deploy(&endpoint, "tiny", &function(0.5));
    let keys = &endpoint.keys;
    let track = json!({ "userId": "ada", "event": "order" }).to_string();
    let statuses = |path: &str, body: Option<&str>| {
        ["", "fcw_wrong", &keys.write, &keys.score, &keys.admin].map(|key| match body {
            Some(body) => endpoint.post(key, path, body.as_bytes()).status,
            None => endpoint.get(key, path).status,
        })
    };
    assert_eq!(statuses("/v1/track", Some(&track)), [401, 401, 200, 403, 200]);
    assert_eq!(statuses("/v1/score/tiny?customer_id=ada", None), [401, 401, 403, 200, 200]);
    assert_eq!(statuses("/v1/customers/ada", None), [401, 401, 403, 200, 200]);
    assert_eq!(statuses("/v1/deployments", None), [401, 401, 403, 200, 200]);
    assert_eq!(statuses("/v1/events", None), [401, 401, 403, 403, 200]);
    assert_eq!(statuses("/v1/history", Some("")), [401, 401, 403, 403, 200]);
    assert_eq!(statuses("/v1/functions", Some(&function(1.0))), [401, 401, 403, 403, 200]);
    assert_eq!(statuses("/healthz", None), [200; 5]);
}

#[test]
fn browsers_may_send_events_and_nothing_else() {
    let endpoint = TestEndpoint::new();
    let preflight = ureq::http::Request::builder()
        .method("OPTIONS")
        .uri(format!("{}/v1/t", endpoint.url))
        .header("origin", "http://shop.example")
        .header("access-control-request-headers", "authorization")
        .body(())
        .unwrap();
    let answer = read(agent().run(preflight).unwrap());
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "http://shop.example");
    let asked = agent()
        .get(format!("{}/v1/deployments", endpoint.url))
        .header("origin", "http://shop.example")
        .header("authorization", format!("Bearer {}", endpoint.keys.admin));
    assert_eq!(read(asked.call().unwrap()).status, 403, "whatever its key");
}

#[test]
fn what_makes_no_sense_is_refused_with_a_problem() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let keys = &endpoint.keys;
    let check = |answer: Answer, status: u16, part: &str| {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.body["detail"].as_str().unwrap().contains(part), "{answer:?}");
    };
    check(endpoint.post(&keys.write, "/v1/track", b"{"), 400, "not what is expected");
    check(endpoint.post(&keys.write, "/v1/track", b"[]"), 400, "not a JSON object");
    check(endpoint.post(&keys.write, "/v1/batch", b"{}"), 400, "a list 'batch'");
    check(endpoint.post(&keys.write, "/v1/dance", b"{}"), 404, "/v1/dance");
    check(endpoint.get(&keys.score, "/v1/score/tinny?customer_id=a"), 404, "did you mean 'tiny'?");
    check(endpoint.post(&keys.score, "/v1/score/tiny", b"{}"), 400, "name a customer_id");
    check(endpoint.get(&keys.score, "/v1/customers/nobody"), 404, "nobody");
    check(endpoint.get(&keys.score, "/v2/nothing"), 404, "/v2/nothing");
    let changed = function(0.5).replace("-1.0", "-2.0");
    check(endpoint.post(&keys.admin, "/v1/functions", changed.as_bytes()), 400, "was changed");
    let newer = function(0.5)
        .replace(&format!("\"format\": {}", kernel::scoring::FORMAT), "\"format\": 99");
    check(endpoint.post(&keys.admin, "/v1/functions", newer.as_bytes()), 400, "newer program");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 50_000_000]).unwrap();
    let bomb = bomb.finish().unwrap();
    check(endpoint.post(&keys.write, "/v1/track", &bomb), 413, "larger than");
    check(endpoint.get(&keys.score, "/v1/score/tiny"), 400, "customer_id");
    check(endpoint.delete(&keys.admin, "/healthz"), 405, "another method");
    let large = vec![b' '; 600_000];
    check(endpoint.post(&keys.write, "/v1/track", &large), 413, "send smaller batches");
    let long = json!({ "userId": "x".repeat(257), "event": "order" }).to_string();
    let answer = endpoint.post(&keys.write, "/v1/track", long.as_bytes());
    assert_eq!((answer.status, &answer.body["rejected"]), (200, &json!(1)));
}

/// `fullcircle serve` as a process of its own, killed when dropped.
/// The endpoint as a process of its own, which is killed when this is dropped.
pub(crate) struct Serve {
    child: std::process::Child,
    pub(crate) ready: Json,
}

impl Serve {
    pub(crate) fn start(data: &std::path::Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &std::path::Path, more: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    pub(crate) fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // SIGKILL: nothing gets a chance to be written.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_thousand_acknowledged_events_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder.path());
    let key = |name: &str| serve.ready[name].as_str().unwrap().to_owned();
    let (write, score) = (key("write_key"), key("score_key"));
    let url = serve.url().to_owned();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (url, write) = (&url, &write);
            scope.spawn(move || {
                let agent = agent();
                for n in 0..125 {
                    let body = json!({ "userId": "ada", "event": "order", "messageId": format!("{thread}-{n}") });
                    let request = agent
                        .post(format!("{url}/v1/track"))
                        .header("authorization", format!("Bearer {write}"));
                    assert_eq!(request.send(body.to_string()).unwrap().status(), 200);
                }
            });
        }
    });
    drop(serve);
    let serve = Serve::start(folder.path());
    assert!(serve.ready["write_key"].is_null(), "keys are given once");
    let request = agent()
        .get(format!("{}/v1/customers/ada?limit=2000", serve.url()))
        .header("authorization", format!("Bearer {score}"));
    let customer = read(request.call().unwrap()).body;
    assert_eq!(customer["event_count"], 1_000);
    let timeline = customer["timeline"].as_array().unwrap();
    let ids: std::collections::BTreeSet<&str> =
        timeline.iter().map(|event| event["message_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1_000, "each once");
}

#[test]
fn a_port_or_folder_in_use_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    let address = endpoint.url.trim_start_matches("http://");
    let data = folder.path().display().to_string();
    let said = crate::support::fullcircle_fails(&["serve", "--data", &data, "--listen", address]);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    let data = endpoint.data.display().to_string();
    let said =
        crate::support::fullcircle_fails(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    assert!(said.contains("another endpoint is running on this data folder"), "{said}");
}

/// Who goes live while another has the usual port gets one of the free ones, with its keys.
#[test]
fn going_live_takes_another_port_where_one_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let other = TestEndpoint::new();
    let taken = other.url.trim_start_matches("http://");
    let (url, local) = project.go_live(&crate::support::program(), taken).unwrap();
    assert_ne!(url, other.url);
    let deployments = project.client(&url, None).unwrap().deployments().unwrap();
    assert!(deployments.is_empty(), "its admin key is known");
    let (again, started) = project.go_live(&crate::support::program(), taken).unwrap();
    assert_eq!((again, started.is_none()), (url, true), "the same, which runs");
    local.unwrap().stop();
}

#[test]
fn history_is_published_once_and_keeps_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let file = sample("cdnow/cdnow_master.txt");
    let options = workspace::Options { event_name: Some("order".to_owned()), ..Default::default() };
    let job = workspace::Job::unwatched();
    project.import(&[file], &options, &job).unwrap();
    let endpoint = TestEndpoint::new();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    let first = project.publish(&client, &job).unwrap();
    assert_eq!((first.accepted, first.duplicate), (69_659, 0));
    let second = project.publish(&client, &job).unwrap();
    assert_eq!((second.accepted, second.duplicate), (0, 69_659));
    let customer = endpoint.customer("00002");
    assert_eq!(customer["event_count"], 2);
    assert_eq!(customer["first_seen"], "1997-01-12T00:00:00Z");
    assert_eq!(
        customer["timeline"][0]["properties"]["dollar_value"], 77.0,
        "ties in the file's order"
    );
}

#[test]
fn pull_brings_each_live_event_back_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let job = workspace::Job::unwatched();
    let pull = |endpoint: &TestEndpoint| {
        let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
        project.pull(&client, &job).unwrap().accepted
    };
    endpoint.track("ada", "order", &json!({ "amount": 12.5, "note": "first" }));
    let anonymous = json!({ "anonymousId": "anon", "event": "view" }).to_string();
    endpoint.post(&endpoint.keys.write, "/v1/track", anonymous.as_bytes());
    score(&endpoint, "tiny", "ada");
    let identify = json!({ "anonymousId": "anon", "userId": "ada", "traits": { "country": "DE" } });
    endpoint.post(&endpoint.keys.write, "/v1/identify", identify.to_string().as_bytes());
    assert_eq!(pull(&endpoint), 4, "two events, a score and an identify");
    assert_eq!(pull(&endpoint), 0);
    endpoint.restart();
    endpoint.track("ada", "order", &json!({ "amount": "a lot" }));
    assert_eq!(pull(&endpoint), 1);
    let sql = "SELECT customer_id, event, amount FROM events WHERE event <> '$score' ORDER BY seq";
    let result = project.query(sql, 10, &job).unwrap();
    let rows: Vec<Vec<String>> =
        result.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    // A text does not fit a property that is a number: it is missing there, and kept beside it.
    assert_eq!(rows, [["ada", "order", "12.5"], ["ada", "view", ""], ["ada", "order", ""]]);
    let misfits = project.query("SELECT property, original FROM misfits", 10, &job).unwrap().rows;
    let misfits: Vec<String> = misfits.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(misfits, ["amount", "a lot"]);
    let scores = "SELECT count(*) FROM events WHERE event = '$score' AND score > 0 AND version = 1";
    assert_eq!(project.query(scores, 1, &job).unwrap().rows[0][0].to_string(), "1");
    assert_eq!(project.catalog().unwrap().traits.keys().collect::<Vec<_>>(), ["country"]);
}
