//! What is live, watched: drift and outcomes against what a function expects, and rules that tell somebody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use kernel::domain::{Type, Value};
use kernel::features::{AggregationName, Catalog, LabelDefinition};
use kernel::monitoring::{Expectation, Expected};
use kernel::scoring::{FunctionFile, OutcomeDefinition};
use serde_json::{Value as Json, json};

use crate::endpoint::{deploy, function, score};
use crate::support::{Answer, TestEndpoint};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The function of orders and country, which was trained on customers of whom half had one order and half
/// two, all from Germany or France; a score says whether an order follows within two seconds.
fn watched() -> String {
    let mut file = FunctionFile::from_json(&function(0.5)).unwrap();
    let orders: Vec<Value> = (0..1_000).map(|n| Value::Number(f64::from(1 + n % 2))).collect();
    let countries: Vec<Value> =
        (0..1_000).map(|n| Value::text(if n % 4 == 0 { "FR" } else { "DE" })).collect();
    let scores: Vec<Value> = (0..1_000).map(|n| Value::Number(f64::from(n) / 1e3)).collect();
    file.expected = Some(Expectation {
        features: vec![Expected::of(Type::Number, &orders), Expected::of(Type::Text, &countries)],
        scores: Expected::of(Type::Number, &scores),
    });
    file.outcome = Some(OutcomeDefinition {
        label: LabelDefinition {
            aggregation: Some(AggregationName::Count),
            events: vec!["order".to_owned()],
            horizon: Some("2s".parse().unwrap()),
            positive: Some("label > 0".to_owned()),
            ..LabelDefinition::default()
        },
        reads: Catalog { events: ["order".to_owned()].into(), ..Catalog::default() },
        is_probability: true,
    });
    file.sealed().unwrap().to_json().unwrap()
}

fn live() -> TestEndpoint {
    let endpoint = TestEndpoint::new();
    assert_eq!(deploy(&endpoint, "tiny", &watched()).status, 200);
    endpoint
}

fn report(endpoint: &TestEndpoint) -> Json {
    let answer = endpoint.get(&endpoint.keys.admin, "/v1/monitor/tiny?over=1h");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn put(endpoint: &TestEndpoint, rule: &Json) -> Answer {
    let path = format!("/v1/rules/{}", rule["name"].as_str().unwrap());
    endpoint.post(&endpoint.keys.admin, &path, rule.to_string().as_bytes())
}

fn deliveries(endpoint: &TestEndpoint) -> Vec<Json> {
    let answer = endpoint.get(&endpoint.keys.admin, "/v1/deliveries");
    answer.body["deliveries"].as_array().unwrap().clone()
}

/// Asks until something is so.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not happen in time");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn identify(endpoint: &TestEndpoint, customer: &str, country: &str) {
    let body = json!({ "userId": customer, "traits": { "country": country } }).to_string();
    let answer = endpoint.post(&endpoint.keys.write, "/v1/identify", body.as_bytes());
    assert_eq!(answer.status, 200);
}

/// Somebody who is told: the headers and the body of each request, in their order.
struct Listener {
    url: String,
    heard: Receiver<(Vec<(String, String)>, String)>,
}

impl Listener {
    /// Answers with these statuses, one after the other, and then with 200.
    fn answering(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let (sender, heard) = sync_channel(100);
        std::thread::spawn(move || {
            let mut statuses = statuses.iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut headers = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim().split_once(": ") {
                        Some((name, value)) => {
                            headers.push((name.to_lowercase(), value.to_owned()));
                        }
                        None if line.trim().is_empty() => break,
                        None => {}
                    }
                }
                let length = header(&headers, "content-length").parse().unwrap();
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let status = statuses.next().unwrap_or(&200);
                // Who answers "moved" leads nowhere: it must not be followed.
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\
                     connection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
                if sender.send((headers, String::from_utf8(body).unwrap())).is_err() {
                    return;
                }
            }
        });
        Self { url, heard }
    }

    fn next(&self) -> (Vec<(String, String)>, Json) {
        let (headers, body) = self.heard.recv_timeout(PATIENCE).unwrap();
        (headers, serde_json::from_str(&body).unwrap())
    }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> &'h str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn a_report_says_what_moved_and_what_did_not() {
    let mut endpoint = live();
    for n in 0..200 {
        let customer = format!("c{n}");
        // As many orders as at training, but from elsewhere, or nobody knows.
        for _ in 0..=n % 2 {
            endpoint.track(&customer, "order", &json!({}));
        }
        if n % 2 == 0 {
            identify(&endpoint, &customer, "JP");
        }
        score(&endpoint, "tiny", &customer);
    }
    let bad = endpoint.get(&endpoint.keys.score, "/v1/score/tiny");
    assert_eq!(bad.status, 400);
    let check = |report: &Json| {
        let moved = |name: &str| {
            let all = report["features"].as_array().unwrap();
            all.iter().find(|moved| moved["name"] == name).unwrap().clone()
        };
        let (orders, country) = (moved("orders"), moved("country"));
        assert_eq!(orders["has_moved"], false, "{orders}");
        assert!(orders["drift"]["psi"].as_f64().unwrap() < 0.01);
        assert_eq!(country["has_moved"], true, "{country}");
        assert_eq!(country["drift"]["missing"], 0.5);
        assert_eq!(country["drift"]["unseen"], 0.5);
        assert_eq!(country["unseen"], json!({ "JP": 100 }));
        assert_eq!(report["features"][0]["name"], "country", "what moved most comes first");
        assert_eq!((&report["scores"], &report["observed"]), (&json!(200), &json!(200)));
        assert_eq!((&report["requests"], &report["refused"]), (&json!(201), &json!(1)));
        assert!(report["p99_ms"].as_f64().unwrap() >= report["p50_ms"].as_f64().unwrap());
    };
    check(&report(&endpoint));
    endpoint.restart();
    check(&report(&endpoint));
}

#[test]
fn scores_are_held_against_what_became_of_them() {
    let endpoint = live();
    let mut said = Vec::new();
    for n in 0..60 {
        let customer = format!("c{n}");
        endpoint.track(&customer, "order", &json!({}));
        said.push(score(&endpoint, "tiny", &customer)["score"].as_f64().unwrap());
        if n % 3 == 0 {
            endpoint.track(&customer, "order", &json!({}));
        }
    }
    let outcomes = until("all scores came out", || {
        let outcomes = report(&endpoint)["outcomes"].clone();
        (outcomes["n"] == 60).then_some(outcomes)
    });
    // One score for all: a third of them came true.
    let p = said[0];
    let brier = (40.0 * p * p + 20.0 * (1.0 - p) * (1.0 - p)) / 60.0;
    let near = |found: &Json, wanted: f64| (found.as_f64().unwrap() - wanted).abs() < 1e-9;
    assert!(near(&outcomes["mean_squared_error"], brier), "{outcomes}");
    assert!(near(&outcomes["calibration_error"], (p - 1.0 / 3.0).abs()), "{outcomes}");
    let bins = outcomes["bins"].as_array().unwrap();
    assert_eq!(bins.len(), 1, "{outcomes}");
    assert!(near(&bins[0]["outcome"], 1.0 / 3.0));
}

#[test]
fn an_alert_is_told_signed_and_told_again_until_it_arrives() {
    let endpoint = live();
    let listener = Listener::answering(&[500]);
    let rule = json!({
        "name": "drifted", "deployment": "tiny", "on": "deployment", "over": "1h",
        "when": "worst_psi > 0.2 and unseen.country >= 0.5 and scores >= 20",
        "webhook": listener.url, "send": { "channel": "models" },
    });
    let answer = put(&endpoint, &rule);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["state"], "watching");
    for n in 0..20 {
        let customer = format!("c{n}");
        endpoint.track(&customer, "order", &json!({}));
        identify(&endpoint, &customer, "JP");
        score(&endpoint, "tiny", &customer);
    }
    let (first, body) = listener.next();
    assert_eq!(body["type"], "alert.firing", "{body}");
    let data = &body["data"];
    assert_eq!((&data["rule"], &data["version"]), (&json!("drifted"), &json!(1)));
    assert_eq!(data["readings"]["unseen.country"], 1.0);
    assert_eq!(data["send"], json!({ "channel": "models" }));
    assert_eq!(data["drifted"][0], "country", "{data}");
    let (again, same) = listener.next();
    assert_eq!(header(&again, "webhook-id"), header(&first, "webhook-id"));
    assert_eq!(body, same, "what is told again is the same");
    // Who has the secret can tell that it is from here.
    let secret = endpoint.get(&endpoint.keys.admin, "/v1/webhook-secret").body;
    let timestamp = header(&again, "webhook-timestamp").parse().unwrap();
    let expected = endpoint::monitoring::signature(
        secret["current"].as_str().unwrap(),
        header(&again, "webhook-id"),
        timestamp,
        deliveries(&endpoint)[0]["body"].as_str().unwrap(),
    );
    assert_eq!(Some(header(&again, "webhook-signature")), expected.as_deref());
    let told = until("the delivery is recorded", || {
        let told = deliveries(&endpoint).remove(0);
        (told["state"] == "delivered").then_some(told)
    });
    let statuses: Vec<&Json> =
        told["attempts"].as_array().unwrap().iter().map(|tried| &tried["status"]).collect();
    assert_eq!(statuses, [&json!(500), &json!(200)]);
    let rules = endpoint.get(&endpoint.keys.admin, "/v1/rules").body;
    assert_eq!(rules["rules"][0]["state"], "firing", "{rules}");
    assert_eq!(rules["rules"][0]["fired"], 1);
    // Another version is another thing to look at: what was said of the first does not hold of it.
    assert_eq!(deploy(&endpoint, "tiny", &function(0.25)).status, 200);
    let (_, resolved) = listener.next();
    assert_eq!(resolved["type"], "alert.resolved", "{resolved}");
    // A rotated secret signs beside the one before.
    let rotated = endpoint.post(&endpoint.keys.admin, "/v1/webhook-secret/rotate", b"").body;
    assert_eq!(rotated["previous"], secret["current"]);
    let tested = endpoint.post(&endpoint.keys.admin, "/v1/rules/drifted/test", b"");
    assert_eq!(tested.status, 200, "{tested:?}");
    let (headers, test) = listener.next();
    assert_eq!(test["type"], "test");
    assert_eq!(header(&headers, "webhook-signature").split(' ').count(), 2);
}

fn actions(endpoint: &TestEndpoint, customer: &str) -> Vec<Json> {
    let timeline = endpoint.customer(customer)["timeline"].as_array().unwrap().clone();
    timeline.into_iter().filter(|event| event["event"] == "$action").collect()
}

#[test]
fn a_customer_who_crosses_is_acted_on_once() {
    let mut endpoint = live();
    for _ in 0..3 {
        endpoint.track("before", "order", &json!({}));
    }
    let listener = Listener::answering(&[]);
    let rule = json!({
        "name": "eager", "deployment": "tiny", "on": "customer", "when": "score > 0.5 and orders >= 3",
        "webhook": listener.url, "send": { "offer": "10_percent" },
    });
    assert_eq!(put(&endpoint, &rule).status, 200);
    // Who was over it before the rule was there does not cross it.
    endpoint.track("before", "order", &json!({}));
    for _ in 0..2 {
        endpoint.track("ada", "order", &json!({}));
    }
    endpoint.track("ada", "order", &json!({}));
    let (headers, body) = listener.next();
    assert_eq!(body["type"], "customer.action", "{body}");
    let data = &body["data"];
    assert_eq!(
        (&data["customer_id"], &data["send"]["offer"]),
        (&json!("ada"), &json!("10_percent"))
    );
    assert_eq!(data["read"]["orders"], 3.0, "{data}");
    // The score that was told is the one that anybody gets who asks as of then.
    let as_of = data["as_of"].as_str().unwrap();
    let path = format!("/v1/score/tiny?customer_id=ada&as_of={as_of}");
    assert_eq!(endpoint.get(&endpoint.keys.score, &path).body["score"], data["score"]);
    let own = until("the action is in the timeline", || {
        let own = actions(&endpoint, "ada");
        (!own.is_empty()).then_some(own)
    });
    assert_eq!(own[0]["message_id"].as_str(), Some(header(&headers, "webhook-id")));
    assert_eq!(own[0]["properties"]["rule"], "eager");
    // It goes on being true: nobody is told again, neither now nor after a restart. Bob shows that the
    // rule has looked at what came after.
    endpoint.track("ada", "order", &json!({}));
    endpoint.restart();
    endpoint.track("ada", "order", &json!({}));
    for _ in 0..3 {
        endpoint.track("bob", "order", &json!({}));
    }
    assert_eq!(listener.next().1["data"]["customer_id"], "bob");
    assert_eq!(actions(&endpoint, "ada").len(), 1);
    assert_eq!(actions(&endpoint, "before").len(), 0);
    let told: Vec<Json> =
        deliveries(&endpoint).iter().map(|it| it["customer_id"].clone()).collect();
    assert_eq!(told, [json!("bob"), json!("ada")]);
}

/// Nothing happens, and just that is what the rule is about.
#[test]
fn a_score_that_changes_as_time_goes_by_is_acted_on() {
    let endpoint = TestEndpoint::new();
    let mut file = FunctionFile::from_json(&function(0.5)).unwrap();
    file.view.features[0].window = Some("2s".parse().unwrap());
    deploy(&endpoint, "tiny", &file.sealed().unwrap().to_json().unwrap());
    let rule = json!({
        "name": "silent", "deployment": "tiny", "on": "customer", "when": "orders = 0",
        "every": "10s", "cooldown": "1d",
    });
    assert_eq!(put(&endpoint, &rule).status, 200);
    for n in 0..300 {
        endpoint.track(&format!("c{n}"), "order", &json!({}));
    }
    let told = until("all were told of", || {
        let answer = endpoint.get(&endpoint.keys.admin, "/v1/deliveries?limit=1000");
        let told = answer.body["deliveries"].as_array().unwrap().clone();
        (told.len() >= 300).then_some(told)
    });
    let mut customers: Vec<&str> =
        told.iter().map(|it| it["customer_id"].as_str().unwrap()).collect();
    customers.sort_unstable();
    customers.dedup();
    assert_eq!(customers.len(), 300, "each once");
    assert!(told.iter().all(|it| it["state"] == "recorded"), "nobody is told, it is recorded");
    let own = until("the action is in the timeline", || {
        let own = actions(&endpoint, "c7");
        (!own.is_empty()).then_some(own)
    });
    assert_eq!(own.len(), 1);
}

/// Neither by what was told nor by what waits to be.
#[test]
fn nobody_is_told_of_a_customer_who_is_erased() {
    let mut endpoint = live();
    let rule = json!({
        "name": "eager", "deployment": "tiny", "on": "customer", "when": "orders >= 1",
        "webhook": "http://127.0.0.1:9/nobody/is/there",
    });
    assert_eq!(put(&endpoint, &rule).status, 200);
    let anonymous = json!({ "anonymousId": "anon", "event": "order" }).to_string();
    endpoint.post(&endpoint.keys.write, "/v1/track", anonymous.as_bytes());
    endpoint.track("bob", "order", &json!({}));
    let told = |endpoint: &TestEndpoint| -> Vec<Json> {
        deliveries(endpoint).iter().map(|it| it["customer_id"].clone()).collect()
    };
    until("both are to be told of", || (told(&endpoint).len() == 2).then_some(()));
    until("the action is in the timeline", || {
        (!actions(&endpoint, "anon").is_empty()).then_some(())
    });
    let joined =
        json!({ "anonymousId": "anon", "userId": "ada", "traits": { "country": "Atlantis" } });
    endpoint.post(&endpoint.keys.write, "/v1/identify", joined.to_string().as_bytes());
    let score = endpoint.get(&endpoint.keys.score, "/v1/score/tiny?customer_id=ada");
    assert_eq!(score.status, 200, "{score:?}");
    let unseen = |endpoint: &TestEndpoint| {
        let report = endpoint.get(&endpoint.keys.admin, "/v1/monitor/tiny").body;
        report.to_string().contains("Atlantis")
    };
    assert!(unseen(&endpoint));
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/ada");
    assert_eq!(erased.body["aliases"], 1, "{erased:?}");
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        assert_eq!(told(&endpoint), [json!("bob")], "restarted: {restarted}");
        assert!(!unseen(&endpoint));
    }
}

#[test]
fn a_webhook_does_not_lead_to_private_addresses_unless_that_is_allowed() {
    let endpoint = live();
    for (n, address) in [
        "https://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://[::ffff:192.168.0.1]/",
    ]
    .into_iter()
    .enumerate()
    {
        let rule = json!({
            "name": format!("private_{n}"), "deployment": "tiny", "on": "customer", "when": "score > 0.5",
            "webhook": address,
        });
        assert_eq!(put(&endpoint, &rule).status, 200);
        let path = format!("/v1/rules/private_{n}/test");
        let tested = endpoint.post(&endpoint.keys.admin, &path, b"");
        assert_eq!(tested.status, 200, "{tested:?}");
        let error = until("the webhook is tried", || {
            let all = deliveries(&endpoint);
            let own = all.iter().find(|delivery| delivery["rule"] == format!("private_{n}"))?;
            own["attempts"].as_array()?.first()?["error"].as_str().map(str::to_owned)
        });
        assert!(error.contains("--allow-private-webhooks"), "{address}: {error}");
    }
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_what_would() {
    let endpoint = live();
    let rule = |changes: &Json| {
        let mut rule = json!({
            "name": "r", "deployment": "tiny", "on": "customer", "when": "score > 0.5",
        });
        rule.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        put(&endpoint, &rule)
    };
    assert_eq!(rule(&json!({})).status, 200);
    for (wrong, said) in [
        (json!({ "when": "ordrs > 3" }), "did you mean 'orders'"),
        (json!({ "when": "score" }), "must be true or false"),
        (json!({ "when": "score > " }), "when"),
        (json!({ "on": "deployment", "when": "worst_ps > 1" }), "did you mean 'worst_psi'"),
        (json!({ "deployment": "tini" }), "did you mean 'tiny'"),
        (json!({ "webhook": "http://example.com/" }), "https://"),
        (json!({ "webhook": "file:///etc/passwd" }), "https://"),
        (json!({ "over": "1m" }), "15m to 7d"),
        (json!({ "every": "1s" }), "10s"),
        (json!({ "send": "x".repeat(20_000) }), "16 KiB"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        let answer = rule(&wrong);
        assert!((400..500).contains(&answer.status), "{wrong}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{wrong}: {detail}");
    }
    // The right key only, as everything that changes something.
    let body = json!({ "name": "r", "deployment": "tiny", "on": "customer", "when": "score > 0" });
    for key in [&endpoint.keys.write, &endpoint.keys.score] {
        let answer = endpoint.post(key, "/v1/rules/r", body.to_string().as_bytes());
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(endpoint.get(key, "/v1/webhook-secret").status, 403);
    }
    assert_eq!(endpoint.delete(&endpoint.keys.admin, "/v1/rules/r").status, 200);
    assert_eq!(endpoint.delete(&endpoint.keys.admin, "/v1/rules/r").status, 404);
}

/// Three scores always look like drift.
#[test]
fn an_alert_needs_enough_scores() {
    use kernel::domain::{Time, Value};
    let function = kernel::scoring::ScoringFunction::from_json(&watched()).unwrap();
    let (watch, at) = (endpoint::monitoring::Watch::default(), Time(1_700_000_000_000_000));
    let minimum = endpoint::monitoring::MIN_VALUES_OF_READING;
    for n in 1..=minimum + 1 {
        let values = [Value::Number(1e6), Value::text("JP")];
        watch.scored("tiny", 1, function.file().expected.as_ref(), (&values, 0.99), at);
        watch.answered("tiny", 200, Duration::from_millis(9), at);
        let name = "tiny".parse().unwrap();
        let hour = 3_600_000_000;
        let report = endpoint::monitoring::Report::of(&watch, &name, 1, &function, (at, hour));
        assert_eq!((report.observed, report.minimum), (n, 20));
        for reading in [
            "worst_psi",
            "score_psi",
            "drifted",
            "psi.country",
            "missing.country",
            "mean_score",
            "error_share",
            "p99_ms",
        ] {
            assert_eq!(report.reading(reading).is_some(), n >= minimum, "{reading} of {n}");
        }
        assert_eq!(report.reading("scores"), Some(f64::from(u32::try_from(n).unwrap())));
    }
}

#[test]
fn a_period_that_is_not_kept_is_refused_and_not_changed() {
    let endpoint = live();
    for (over, status) in [("14m", 400), ("15m", 200), ("7d", 200), ("8d", 400), ("30d", 400)] {
        let answer = endpoint.get(&endpoint.keys.admin, &format!("/v1/monitor/tiny?over={over}"));
        assert_eq!(answer.status, status, "{over}: {answer:?}");
    }
}
