//! Who may join which ids, what a join does and how it is undone, and which message ids are one.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::endpoint::{deploy, function, score};
use crate::support::{Answer, TestEndpoint, agent, program, read};

fn send(endpoint: &TestEndpoint, key: &str, method: &str, body: &Json) -> Answer {
    let answer = endpoint.post(key, &format!("/v1/{method}"), body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer
}

fn browser(endpoint: &TestEndpoint, method: &str, body: &Json) -> Answer {
    send(endpoint, &endpoint.keys.write, method, body)
}

fn server(endpoint: &TestEndpoint, method: &str, body: &Json) -> Answer {
    send(endpoint, &endpoint.keys.server, method, body)
}

/// Accepted, duplicate and rejected events of an answer.
fn counts(answer: &Answer) -> [u64; 3] {
    ["accepted", "duplicate", "rejected"].map(|name| answer.body[name].as_u64().unwrap())
}

/// The one event of an answer was rejected, for a reason that names the server key.
fn is_refused(answer: &Answer) {
    assert_eq!(counts(answer), [0, 0, 1], "{answer:?}");
    let reason = answer.body["reasons"][0].as_str().unwrap();
    assert!(reason.contains("server key"), "{reason}");
}

/// The customer that an id stands for, and their number of events; none if nothing is known of them.
fn customer(endpoint: &TestEndpoint, id: &str) -> Option<(String, u64)> {
    let answer = endpoint.get(&endpoint.keys.score, &format!("/v1/customers/{id}"));
    if answer.status == 404 {
        return None;
    }
    let customer = answer.body["customer_id"].as_str().unwrap().to_owned();
    Some((customer, answer.body["event_count"].as_u64().unwrap()))
}

fn is(endpoint: &TestEndpoint, id: &str, customer_id: &str, events: u64) {
    assert_eq!(customer(endpoint, id), Some((customer_id.to_owned(), events)), "{id}");
}

fn joins(endpoint: &TestEndpoint, query: &str) -> Vec<[String; 3]> {
    let answer = endpoint.get(&endpoint.keys.admin, &format!("/v1/joins{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |join: &Json, name: &str| join[name].as_str().unwrap_or("-").to_owned();
    let list = answer.body["joins"].as_array().unwrap().clone();
    list.iter()
        .map(|join| ["id", "customer_id", "joined_by"].map(|name| text(join, name)))
        .collect()
}

fn history(customer: &str, message: &str, seq: u64) -> Json {
    json!({
        "message_id": message, "customer_id": customer, "event": "order", "seq": seq,
        "event_time": "2020-01-01T00:00:00Z", "received_at": "2020-01-01T00:00:00Z", "properties": {},
    })
}

fn publish(endpoint: &TestEndpoint, event: &Json) -> [u64; 3] {
    let body = event.to_string();
    let answer = endpoint.post(&endpoint.keys.admin, "/v1/history", body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    counts(&answer)
}

#[test]
fn an_alias_of_an_id_that_was_never_seen_captures_nothing() {
    let mut endpoint = TestEndpoint::new();
    browser(&endpoint, "track", &json!({ "userId": "mallory", "event": "visit" }));
    let alias = json!({ "userId": "mallory", "previousId": "C777777" });
    is_refused(&browser(&endpoint, "alias", &alias));
    assert_eq!(publish(&endpoint, &history("C777777", "h1", 1)), [1, 0, 0]);
    endpoint.track("C777777", "order", &json!({}));
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        is(&endpoint, "C777777", "C777777", 2);
        is(&endpoint, "mallory", "mallory", 1);
    }
    is_refused(&browser(&endpoint, "alias", &alias));
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/mallory");
    assert_eq!(erased.body["events"], 1, "{erased:?}");
    is(&endpoint, "C777777", "C777777", 2);
}

/// Whoever makes an id look anonymous before its owner is seen holds it until then.
#[test]
fn the_owner_of_an_id_takes_it_back_with_their_first_event() {
    for with_event in [false, true] {
        for is_published in [false, true] {
            let mut endpoint = TestEndpoint::new();
            if with_event {
                let event = json!({ "anonymousId": "C777777", "event": "visit" });
                browser(&endpoint, "track", &event);
            }
            let stolen = json!({ "userId": "mallory", "anonymousId": "C777777", "traits": {} });
            browser(&endpoint, "identify", &stolen);
            if is_published {
                publish(&endpoint, &history("C777777", "h1", 1));
            } else {
                endpoint.track("C777777", "order", &json!({}));
            }
            endpoint.track("C777777", "order", &json!({}));
            let n = 2 + u64::from(with_event);
            for restarted in [false, true] {
                if restarted {
                    endpoint.restart();
                }
                is(&endpoint, "C777777", "C777777", n);
                is(&endpoint, "mallory", "mallory", 0);
                assert_eq!(joins(&endpoint, ""), <[[String; 3]; 0]>::default());
            }
            is_refused(&browser(&endpoint, "identify", &stolen));
            endpoint.delete(&endpoint.keys.admin, "/v1/customers/mallory");
            is(&endpoint, "C777777", "C777777", n);
        }
    }
}

#[test]
fn a_browser_key_joins_only_what_belongs_to_nobody() {
    let endpoint = TestEndpoint::new();
    endpoint.track("victim", "order", &json!({}));
    for (method, id) in [("identify", "anonymousId"), ("alias", "previousId")] {
        is_refused(&browser(&endpoint, method, &json!({ "userId": "thief", id: "victim" })));
    }
    is(&endpoint, "victim", "victim", 1);
    assert_eq!(customer(&endpoint, "thief"), None, "nothing of a refused call is kept");
    let rejected = endpoint.get(&endpoint.keys.admin, "/v1/rejected").body["rejected"].clone();
    assert!(rejected[0]["event"].as_str().unwrap().contains("victim"), "{rejected}");
    // An anonymous id is joined once, and again to the same customer.
    browser(&endpoint, "track", &json!({ "anonymousId": "anon", "event": "visit" }));
    let own = json!({ "userId": "ada", "anonymousId": "anon" });
    assert_eq!(counts(&browser(&endpoint, "identify", &own)), [1, 0, 0]);
    assert_eq!(counts(&browser(&endpoint, "identify", &own)), [1, 0, 0]);
    is_refused(&browser(
        &endpoint,
        "identify",
        &json!({ "userId": "mallory", "anonymousId": "anon" }),
    ));
    is(&endpoint, "anon", "ada", 1);
    let alias = json!({ "userId": "ada", "previousId": "phone" });
    is_refused(&browser(&endpoint, "alias", &alias));
    browser(&endpoint, "track", &json!({ "anonymousId": "phone", "event": "visit" }));
    assert_eq!(counts(&browser(&endpoint, "alias", &alias)), [1, 0, 0]);
    is(&endpoint, "phone", "ada", 2);
}

#[test]
fn a_server_key_joins_user_ids() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("old", "order", &json!({}));
    endpoint.track("new", "order", &json!({}));
    let alias = json!({ "userId": "new", "previousId": "old" });
    assert_eq!(counts(&server(&endpoint, "alias", &alias)), [1, 0, 0]);
    is(&endpoint, "old", "new", 2);
    // What comes with the old id later is the customer's, too: a server made the join.
    endpoint.track("old", "order", &json!({}));
    is(&endpoint, "old", "new", 3);
    // One that is joined stays where it is until that is undone.
    let other = json!({ "userId": "third", "previousId": "old" });
    let answer = server(&endpoint, "alias", &other);
    assert_eq!(counts(&answer), [0, 0, 1]);
    assert!(answer.body["reasons"][0].as_str().unwrap().contains("undo that join first"));
    let identify = json!({ "userId": "third", "anonymousId": "old", "traits": { "a": 1 } });
    assert_eq!(counts(&server(&endpoint, "identify", &identify)), [1, 0, 0], "traits are kept");
    // An administrator may, too.
    let admin = json!({ "userId": "new", "previousId": "third" });
    assert_eq!(counts(&send(&endpoint, &endpoint.keys.admin, "alias", &admin)), [1, 0, 0]);
    let expected = [["old", "new", "server"], ["third", "new", "admin"]];
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        assert_eq!(joins(&endpoint, ""), expected);
        assert_eq!(joins(&endpoint, "?customer_id=third"), expected);
        assert_eq!(joins(&endpoint, "?after=old&limit=1"), [expected[1]]);
        assert_eq!(joins(&endpoint, "?customer_id=nobody"), <[[String; 3]; 0]>::default());
        is(&endpoint, "third", "new", 3);
    }
}

/// A join between others is undone with all that followed from it, in memory, in the index and after a replay.
#[test]
fn a_join_is_undone() {
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let anonymous = json!({ "anonymousId": "anon", "event": "order" });
    browser(&endpoint, "track", &anonymous);
    browser(&endpoint, "track", &json!({ "userId": "mallory", "event": "order" }));
    browser(&endpoint, "identify", &json!({ "userId": "mallory", "anonymousId": "anon" }));
    browser(&endpoint, "track", &anonymous);
    let both = json!({ "userId": "mallory", "anonymousId": "anon", "event": "order" });
    browser(&endpoint, "track", &both);
    assert_eq!(score(&endpoint, "tiny", "anon")["features"]["orders"], 4.0);
    endpoint.restart();
    is(&endpoint, "anon", "mallory", 4);
    let undone = endpoint.delete(&endpoint.keys.admin, "/v1/joins/anon");
    assert_eq!(undone.body["customer_id"], "mallory", "{undone:?}");
    let again = endpoint.delete(&endpoint.keys.admin, "/v1/joins/anon");
    assert_eq!(again.status, 404, "{again:?}");
    let check = |endpoint: &TestEndpoint| {
        is(endpoint, "anon", "anon", 2);
        is(endpoint, "mallory", "mallory", 2);
        assert_eq!(score(endpoint, "tiny", "anon")["features"]["orders"], 2.0);
        assert_eq!(score(endpoint, "tiny", "mallory")["features"]["orders"], 2.0);
        assert_eq!(joins(endpoint, ""), <[[String; 3]; 0]>::default());
    };
    check(&endpoint);
    endpoint.restart();
    check(&endpoint);
    drop(endpoint.running.take());
    std::fs::remove_dir_all(endpoint.data.join("index")).unwrap();
    endpoint.restart_stopped();
    check(&endpoint);
    // Erasing the one leaves the other, and the right one may join it now.
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/mallory");
    assert_eq!((&erased.body["events"], &erased.body["aliases"]), (&json!(3), &json!(0)));
    browser(&endpoint, "identify", &json!({ "userId": "ada", "anonymousId": "anon" }));
    is(&endpoint, "anon", "ada", 2);
    endpoint.restart();
    is(&endpoint, "ada", "ada", 2);
    assert_eq!(joins(&endpoint, ""), [["anon", "ada", "browser"]]);
}

#[test]
fn joins_are_undone_from_the_shell() {
    let endpoint = TestEndpoint::new();
    for n in 0..3 {
        let id = format!("anon-{n}");
        browser(&endpoint, "track", &json!({ "anonymousId": id, "event": "order" }));
        browser(&endpoint, "identify", &json!({ "userId": "ada", "anonymousId": id }));
    }
    let run = |arguments: &[&str]| -> Json {
        let output = std::process::Command::new(program())
            .args(["joins", "--to", &endpoint.url, "--json"])
            .args(arguments)
            .env("FULLCIRCLE_KEY", &endpoint.keys.admin)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let list = run(&["list", "--customer", "ada"]);
    assert_eq!(list["joins"].as_array().unwrap().len(), 3, "{list}");
    assert_eq!(run(&["undo", "anon-0", "anon-2"])["undone"].as_array().unwrap().len(), 2);
    assert_eq!(run(&["list"])["joins"][0]["id"], "anon-1");
    is(&endpoint, "ada", "ada", 1);
}

#[test]
fn a_customer_has_at_most_so_many_ids() {
    let endpoint = TestEndpoint::new();
    let most = endpoint::online::MAX_IDS_PER_CUSTOMER;
    let identify =
        |n: usize| json!({ "type": "identify", "userId": "ada", "anonymousId": format!("a{n}") });
    // With their own id: one less than the most, the most, and one more.
    let batch =
        |range: std::ops::Range<usize>| json!({ "batch": range.map(identify).collect::<Vec<_>>() });
    assert_eq!(counts(&browser(&endpoint, "batch", &batch(0..most - 2))), [most as u64 - 2, 0, 0]);
    assert_eq!(counts(&browser(&endpoint, "identify", &identify(most - 2))), [1, 0, 0]);
    let refused = browser(&endpoint, "identify", &identify(most - 1));
    is_refused(&refused);
    assert!(
        refused.body["reasons"][0].as_str().unwrap().contains(&most.to_string()),
        "{refused:?}"
    );
    assert_eq!(counts(&server(&endpoint, "identify", &identify(most - 1))), [0, 0, 1]);
    let full = json!({ "userId": "eve", "previousId": "ada" });
    assert_eq!(counts(&server(&endpoint, "alias", &full)), [0, 0, 1], "of both together");
    endpoint.delete(&endpoint.keys.admin, "/v1/joins/a7");
    assert_eq!(counts(&browser(&endpoint, "identify", &identify(most - 1))), [1, 0, 0]);
    assert_eq!(counts(&browser(&endpoint, "identify", &identify(most))), [0, 0, 1]);
}

/// 80,000 calls onto one customer made a score take 11.8 s.
#[test]
fn many_joins_onto_one_customer_keep_scores_quick() {
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    endpoint.track("ada", "order", &json!({}));
    for run in 0..40 {
        let calls: Vec<Json> = (run * 2_000..(run + 1) * 2_000)
            .map(|n| json!({ "type": "identify", "userId": "ada", "anonymousId": format!("a{n}") }))
            .collect();
        browser(&endpoint, "batch", &json!({ "batch": calls }));
    }
    endpoint.restart();
    let started = Instant::now();
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 1.0);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_guessed_message_id_suppresses_nothing() {
    let mut endpoint = TestEndpoint::new();
    let order = |amount: u64| {
        json!({ "userId": "ada", "event": "order", "messageId": "order-1001",
            "properties": { "amount": amount } })
    };
    assert_eq!(counts(&browser(&endpoint, "track", &order(1))), [1, 0, 0]);
    assert_eq!(counts(&server(&endpoint, "track", &order(99))), [1, 0, 0], "the real one");
    assert_eq!(publish(&endpoint, &history("ada", "order-1001", 1)), [1, 0, 0]);
    let made = endpoint.post(&endpoint.keys.admin, "/v1/keys", br#"{"role":"server"}"#).body;
    let other = made["key"].as_str().unwrap().to_owned();
    assert_eq!(counts(&send(&endpoint, &other, "track", &order(5))), [1, 0, 0], "another shop");
    // Each source knows its own, now and after a restart, and after its key was replaced.
    let keys = endpoint.get(&endpoint.keys.admin, "/v1/keys").body["keys"].clone();
    let id =
        keys.as_array().unwrap().iter().find(|key| key["role"] == "browser").unwrap()["id"].clone();
    let path = format!("/v1/keys/{}/rotate", id.as_str().unwrap());
    let rotated = endpoint.post(&endpoint.keys.admin, &path, b"{}").body["key"].clone();
    let rotated = rotated.as_str().unwrap().to_owned();
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        assert_eq!(counts(&browser(&endpoint, "track", &order(1))), [0, 1, 0]);
        assert_eq!(counts(&send(&endpoint, &rotated, "track", &order(1))), [0, 1, 0]);
        assert_eq!(counts(&server(&endpoint, "track", &order(99))), [0, 1, 0]);
        assert_eq!(counts(&send(&endpoint, &other, "track", &order(5))), [0, 1, 0]);
        assert_eq!(publish(&endpoint, &history("ada", "order-1001", 1)), [0, 1, 0]);
    }
    is(&endpoint, "ada", "ada", 4);
}

#[test]
fn a_duplicate_with_other_content_is_counted_and_said() {
    let mut endpoint = TestEndpoint::new();
    let event = |amount: u64| json!({ "userId": "ada", "event": "order", "messageId": "m1", "properties": { "amount": amount } });
    browser(&endpoint, "track", &event(1));
    let conflicts = |endpoint: &TestEndpoint| {
        let metrics = endpoint.get(&endpoint.keys.score, "/metrics").body;
        let metrics = metrics.as_str().unwrap().to_owned();
        let line =
            metrics.lines().find(|line| line.starts_with("fullcircle_events_conflicting_total"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        let same = browser(&endpoint, "track", &event(1));
        assert_eq!(counts(&same), [0, 1, 0]);
        assert!(same.body["reasons"].is_null() && conflicts(&endpoint) == 0, "{same:?}");
        let other = browser(&endpoint, "track", &event(2));
        assert_eq!(counts(&other), [0, 1, 0]);
        assert!(other.body["reasons"][0].as_str().unwrap().contains("other content"), "{other:?}");
        assert_eq!(conflicts(&endpoint), 1);
    }
    // A retry has another correction of the same time.
    for sent_at in ["2090-01-01T00:01:00Z", "2090-01-01T00:02:00Z"] {
        let event = json!({ "userId": "ada", "event": "order", "messageId": "m2", "sentAt": sent_at,
            "timestamp": "2090-01-01T00:00:00Z" });
        browser(&endpoint, "track", &event);
    }
    assert_eq!(conflicts(&endpoint), 1);
}

#[test]
fn ids_that_name_nobody_join_nobody() {
    let endpoint = TestEndpoint::new();
    let nobody = ["undefined", "null", "[object Object]", "NaN", "none", "", " ", "NULL"];
    for (n, id) in nobody.iter().enumerate() {
        let anonymous = format!("anon-{n}");
        browser(&endpoint, "track", &json!({ "anonymousId": anonymous, "event": "visit" }));
        let call = json!({ "anonymousId": anonymous, "userId": id, "traits": { "n": n } });
        assert_eq!(counts(&browser(&endpoint, "identify", &call)), [1, 0, 0], "{id}");
        let alone = browser(&endpoint, "track", &json!({ "userId": id, "event": "visit" }));
        assert_eq!(counts(&alone), [0, 0, 1], "{id}");
        browser(&endpoint, "track", &json!({ "userId": "ada", "event": "visit", "messageId": id }));
    }
    for n in 0..nobody.len() {
        let anonymous = format!("anon-{n}");
        is(&endpoint, &anonymous, &anonymous, 1);
        assert_eq!(endpoint.customer(&anonymous)["traits"]["n"], n as f64, "their own traits");
    }
    is(&endpoint, "ada", "ada", nobody.len() as u64);
}

#[test]
fn ids_that_are_numbers_keep_their_digits() {
    let endpoint = TestEndpoint::new();
    let track = |id: &str| {
        let body = format!(r#"{{"userId":{id},"event":"visit"}}"#);
        counts(&read(
            agent()
                .post(format!("{}/v1/track", endpoint.url))
                .header("authorization", format!("Bearer {}", endpoint.keys.write))
                .send(body)
                .unwrap(),
        ))
    };
    for id in ["12345678901234567890123", "12345678901234567890124", "7", "7.0", "\"7\""] {
        assert_eq!(track(id), [1, 0, 0], "{id}");
    }
    is(&endpoint, "12345678901234567890123", "12345678901234567890123", 1);
    is(&endpoint, "12345678901234567890124", "12345678901234567890124", 1);
    is(&endpoint, "7", "7", 3);
    assert_eq!(track("1e400"), [0, 0, 1]);
}

#[test]
fn ids_that_look_alike_are_one_everywhere() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let (composed, decomposed) = ("Zo\u{eb}", "Zoe\u{308}");
    endpoint.track(composed, "order", &json!({}));
    endpoint.track(decomposed, "order", &json!({}));
    publish(&endpoint, &history(decomposed, "h1", 1));
    for escaped in ["Zo%C3%AB", "Zoe%CC%88"] {
        is(&endpoint, escaped, composed, 3);
        assert_eq!(score(&endpoint, "tiny", escaped)["customer_id"], composed);
    }
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/Zoe%CC%88");
    assert_eq!(erased.body["events"], 3, "{erased:?}");
    assert_eq!(customer(&endpoint, "Zo%C3%AB"), None);
}

#[test]
fn erasing_finds_rejected_events_however_their_id_is_written() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    endpoint.track("12345678901234567890123", "order", &json!({}));
    endpoint.track("ad\u{e9}", "order", &json!({}));
    for body in [
        r#"{"type":"dance","userId":12345678901234567890123}"#,
        r#"{"type":"dance","userId":"ad\u00e9"}"#,
        r#"{"type":"dance","userId":"ade\u0301"}"#,
        r#"{"type":"dance","anonymousId":"x","properties":{"raw":"{\"userId\":\"ad\\u00e9\"}"}}"#,
        r#"{"type":"dance","userId":"adele"}"#,
    ] {
        let batch = format!("{{\"batch\":[{body}]}}");
        assert_eq!(counts(&endpoint.post(key, "/v1/batch", batch.as_bytes())), [0, 0, 1]);
    }
    let erase = |id: &str| {
        let erased = endpoint.delete(&endpoint.keys.admin, &format!("/v1/customers/{id}"));
        erased.body["rejected"].as_u64().unwrap()
    };
    assert_eq!((erase("12345678901234567890123"), erase("ad%C3%A9")), (1, 3));
    let left = endpoint.get(&endpoint.keys.admin, "/v1/rejected").body["rejected"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
}

#[test]
fn an_endpoint_that_starts_from_a_backup_repeats_the_erasures_since() {
    let mut endpoint = TestEndpoint::new();
    let admin = endpoint.keys.admin.clone();
    for id in ["gone", "ada", "back", "bob"] {
        endpoint.track(id, "order", &json!({}));
    }
    browser(&endpoint, "track", &json!({ "anonymousId": "anon", "event": "order" }));
    browser(&endpoint, "identify", &json!({ "userId": "ada", "anonymousId": "anon" }));
    let bad = br#"{"batch":[{"type":"dance","userId":"\u0061da"}]}"#;
    endpoint.post(&endpoint.keys.write, "/v1/batch", bad);
    let erase = |endpoint: &TestEndpoint, id: &str| {
        assert_eq!(endpoint.delete(&admin, &format!("/v1/customers/{id}")).status, 200);
    };
    erase(&endpoint, "gone");
    erase(&endpoint, "back");
    endpoint.track("back", "order", &json!({}));
    let backup = endpoint.post(&admin, "/v1/backup", b"").body;
    assert!(backup["note"].as_str().unwrap().contains("erased later"), "{backup}");
    let folder = std::path::PathBuf::from(backup["folder"].as_str().unwrap());
    assert!(std::fs::read_to_string(folder.join("README.txt")).unwrap().contains("erased after"));
    endpoint.track("eve", "order", &json!({}));
    erase(&endpoint, "ada");
    endpoint.data = folder;
    endpoint.restart();
    for id in ["ada", "anon", "gone"] {
        assert_eq!(customer(&endpoint, id), None, "{id}");
    }
    is(&endpoint, "bob", "bob", 1);
    is(&endpoint, "back", "back", 1);
    let left = endpoint.get(&admin, "/v1/rejected").body["rejected"].clone();
    assert_eq!(left, json!([]));
    let log = endpoint.get(&admin, "/v1/events").body;
    assert!(!log["events"].to_string().contains("ada"), "{log}");
    endpoint.restart();
    is(&endpoint, "bob", "bob", 1);
}

#[test]
fn a_join_and_its_end_reach_the_warehouse() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let endpoint = TestEndpoint::new();
    let job = workspace::Job::unwatched();
    let pull = || {
        let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
        project.pull(&client, &job).unwrap().accepted
    };
    let owners = || -> Vec<String> {
        let sql = "SELECT customer_id || ' ' || event FROM events ORDER BY seq";
        let rows = project.query(sql, 100, &job).unwrap().rows;
        rows.iter().map(|row| row[0].to_string()).collect()
    };
    let anonymous = |event: &str| json!({ "anonymousId": "anon", "event": event });
    browser(&endpoint, "track", &anonymous("before"));
    assert_eq!(pull(), 1);
    let traits = json!({ "anonymousId": "anon", "traits": { "plan": "pro" } });
    browser(&endpoint, "identify", &traits);
    browser(&endpoint, "identify", &json!({ "userId": "eve", "anonymousId": "anon" }));
    browser(&endpoint, "track", &anonymous("after"));
    browser(&endpoint, "track", &json!({ "userId": "eve", "anonymousId": "anon", "event": "own" }));
    pull();
    assert_eq!(owners(), ["eve before", "eve after", "eve own"]);
    endpoint.delete(&endpoint.keys.admin, "/v1/joins/anon");
    browser(&endpoint, "track", &anonymous("later"));
    pull();
    assert_eq!(owners(), ["anon before", "anon after", "eve own", "anon later"]);
    let traits = project.query("SELECT customer_id FROM traits", 9, &job).unwrap().rows;
    assert_eq!(traits[0][0].to_string(), "anon");
    // A project that pulls all of it at once comes to the same, and so it does when it is joined again.
    browser(&endpoint, "identify", &json!({ "userId": "ada", "anonymousId": "anon" }));
    pull();
    let expected = ["ada before", "ada after", "eve own", "ada later"];
    assert_eq!(owners(), expected);
    let folder = tempfile::tempdir().unwrap();
    let other = workspace::Project::open(folder.path()).unwrap();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    other.pull(&client, &job).unwrap();
    let sql = "SELECT customer_id || ' ' || event FROM events ORDER BY seq";
    let rows = other.query(sql, 100, &job).unwrap().rows;
    let rows: Vec<String> = rows.iter().map(|row| row[0].to_string()).collect();
    assert_eq!(rows, expected);
}

/// Two sources may use one message id: both events are pulled, and none twice.
#[test]
fn events_of_two_sources_with_one_id_are_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let endpoint = TestEndpoint::new();
    let order = json!({ "userId": "ada", "event": "order", "messageId": "m1" });
    let traits = json!({ "userId": "ada", "traits": { "a": 1 }, "messageId": "m2" });
    for key in [&endpoint.keys.write, &endpoint.keys.server] {
        send(&endpoint, key, "track", &order);
        send(&endpoint, key, "identify", &traits);
    }
    let job = workspace::Job::unwatched();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    assert_eq!(project.pull(&client, &job).unwrap().accepted, 4);
    assert_eq!(project.pull(&client, &job).unwrap().accepted, 0);
    let rows = project.query("SELECT count(*) FROM events", 1, &job).unwrap().rows;
    assert_eq!(rows[0][0].to_string(), "2");
}

#[test]
fn a_batch_survives_what_is_no_json_in_one_of_its_events() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    let event = |n: u64, value: &str| {
        format!(
            r#"{{"type":"track","userId":"n{n}","event":"e","messageId":"m{n}","properties":{{"x":{value}}}}}"#
        )
    };
    for word in ["NaN", "Infinity", "-Infinity", "undefined", "None"] {
        let body =
            format!("{{\"batch\":[{},{},{}]}}", event(1, "1"), event(2, word), event(3, "2"));
        let answer = endpoint.post(key, "/v1/batch", body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["rejected"], 1);
        let reason = answer.body["reasons"][0].as_str().unwrap();
        assert!(
            reason.starts_with("event 1: ") && reason.contains(&format!("{word} at byte 78")),
            "{reason}"
        );
    }
    assert_eq!(endpoint.customer("n1")["event_count"], 1);
    let rejected = endpoint.get(&endpoint.keys.admin, "/v1/rejected").body["rejected"].clone();
    assert_eq!(rejected.as_array().unwrap().len(), 5);
    // Half of a character, escaped or as bytes, is one that is missing.
    let half =
        format!("{{\"batch\":[{},{}]}}", event(4, r#""a\ud83d b""#), event(5, r#""\ud83d\ude00""#));
    assert_eq!(counts(&endpoint.post(key, "/v1/batch", half.as_bytes())), [2, 0, 0]);
    let mut bytes = br#"{"userId":"n6","event":"e","properties":{"x":"a"#.to_vec();
    bytes.extend_from_slice(b"\xED\xA0\xBD b\"}}");
    assert_eq!(counts(&endpoint.post(key, "/v1/track", &bytes)), [1, 0, 0]);
    let x = |id: &str| endpoint.customer(id)["timeline"][0]["properties"]["x"].clone();
    assert_eq!(
        (x("n4"), x("n5"), x("n6")),
        (json!("a\u{fffd} b"), json!("\u{1f600}"), json!("a\u{fffd} b"))
    );
    let single = endpoint.post(key, "/v1/track", event(7, "NaN").as_bytes());
    assert_eq!((single.status, counts(&single)), (200, [0, 0, 1]));
}

#[test]
fn an_empty_list_is_an_empty_object() {
    let endpoint = TestEndpoint::new();
    let key = &endpoint.keys.write;
    for (method, field) in [
        ("track", "properties"),
        ("page", "properties"),
        ("identify", "traits"),
        ("group", "traits"),
    ] {
        for (list, expected) in [("[]", [1, 0, 0]), ("[ ]", [1, 0, 0]), ("[1]", [0, 0, 1])] {
            let body = format!(r#"{{"userId":"php","event":"e","groupId":"g","{field}":{list}}}"#);
            let answer = endpoint.post(key, &format!("/v1/{method}"), body.as_bytes());
            assert_eq!(counts(&answer), expected, "{body}: {answer:?}");
        }
    }
}

/// An old `sentAt` is that of a retry, or of a clock that is behind: it moves nothing. One that is ahead of us is of
/// a clock that is ahead.
#[test]
fn an_old_sent_at_moves_no_time() {
    let endpoint = TestEndpoint::new();
    let now = endpoint.get(&endpoint.keys.score, "/healthz").body["time"].clone();
    let now: kernel::domain::Time = now.as_str().unwrap().parse().unwrap();
    let ago = |seconds: i64| kernel::domain::Time(now.0 - seconds * 1_000_000).to_string();
    for (name, sent_at, at, moved) in [
        ("retry", Some(600), 640, 0),
        ("days", Some(86_400 * 3), 86_400 * 3 + 40, 0),
        ("fresh", Some(0), 40, 0),
        ("unsaid", None, 40, 0),
        ("ahead", Some(-3_600), -3_560, 3_600),
    ] {
        let mut event =
            json!({ "type": "track", "userId": name, "event": "e", "timestamp": ago(at) });
        if let Some(sent_at) = sent_at {
            event["sentAt"] = json!(ago(sent_at));
        }
        browser(&endpoint, "batch", &json!({ "batch": [event] }));
        let event = endpoint.customer(name)["timeline"][0].clone();
        let time: kernel::domain::Time = event["event_time"].as_str().unwrap().parse().unwrap();
        let off = time.0 - (now.0 - (at + moved) * 1_000_000);
        // A clock that is ahead is corrected by when the event arrived.
        let slack = if moved == 0 { 0 } else { 20_000_000 };
        assert!((0..=slack).contains(&off), "{name}: {off}");
        assert_eq!(event["properties"]["original_timestamp"].is_string(), moved != 0, "{name}");
    }
}

/// A join by a public key moves no customer of a file, and publishing gives the id back to its owner.
#[test]
fn a_stolen_id_takes_no_history_of_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let job = workspace::Job::unwatched();
    let import = |name: &str, time: &str| {
        let file = folder.path().join(name);
        let row = format!("customer_id,event,event_time\nC777777,order,{time}\nbob,order,{time}\n");
        std::fs::write(&file, row).unwrap();
        project.import(&[file], &workspace::Options::default(), &job).unwrap();
    };
    import("first.csv", "2024-01-01T00:00:00Z");
    let endpoint = TestEndpoint::new();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    let stolen = json!({ "userId": "mallory", "anonymousId": "C777777", "traits": {} });
    browser(&endpoint, "identify", &stolen);
    browser(&endpoint, "track", &json!({ "anonymousId": "C777777", "event": "visit" }));
    project.pull(&client, &job).unwrap();
    import("second.csv", "2024-01-02T00:00:00Z");
    let owners = |event: &str| {
        let sql =
            format!("SELECT DISTINCT customer_id FROM events WHERE event = '{event}' ORDER BY 1");
        let rows = project.query(&sql, 9, &job).unwrap().rows;
        rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(owners("order"), ["C777777", "bob"]);
    assert_eq!(owners("visit"), ["mallory"]);
    project.publish(&client, &job).unwrap();
    is(&endpoint, "C777777", "C777777", 3);
    project.pull(&client, &job).unwrap();
    assert_eq!(owners("visit"), ["C777777"]);
}

/// The same customer in a file and live, however their name is composed.
#[test]
fn ids_of_files_are_in_one_form_with_live_ones() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let job = workspace::Job::unwatched();
    let file = folder.path().join("events.csv");
    let rows = "customer_id,event,event_time\nZo\u{eb},order,2024-01-01T00:00:00Z\n\
                Zoe\u{308},order,2024-01-02T00:00:00Z\n";
    std::fs::write(&file, rows).unwrap();
    project.import(&[file], &workspace::Options::default(), &job).unwrap();
    let rows = project.query("SELECT DISTINCT customer_id FROM events", 9, &job).unwrap().rows;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0].to_string(), "Zo\u{eb}");
}
