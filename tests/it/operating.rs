//! Operating an endpoint: keys, limits, freshness, deadlines, backups, retention, documentation.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use endpoint::online::Retention;
use endpoint::serving::{Config, Running};
use serde_json::{Value as Json, json};

use crate::endpoint::{deploy, function, score};
use crate::support::{Answer, TestEndpoint, agent, read};

fn post(endpoint: &TestEndpoint, path: &str, body: &Json) -> Answer {
    endpoint.post(&endpoint.keys.admin, path, body.to_string().as_bytes())
}

fn track_with(endpoint: &TestEndpoint, key: &str) -> Answer {
    let body = json!({ "userId": "ada", "event": "order" }).to_string();
    endpoint.post(key, "/v1/track", body.as_bytes())
}

#[test]
fn keys_are_replaced_with_overlap_and_ended() {
    let mut endpoint = TestEndpoint::new();
    let list = || endpoint.get(&endpoint.keys.admin, "/v1/keys").body["keys"].clone();
    let keys = list();
    assert_eq!(keys.as_array().unwrap().len(), 4);
    let id = |role: &str| {
        let keys = list();
        let of_role = keys.as_array().unwrap().iter().find(|key| key["role"] == role).cloned();
        of_role.unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert!(!keys.to_string().contains("fcw_"), "a list has no keys");
    let write = id("browser");
    let path = format!("/v1/keys/{write}/rotate");
    let rotated = post(&endpoint, &path, &json!({ "overlap_seconds": 3_600.0 }));
    let new = rotated.body["key"].as_str().unwrap().to_owned();
    assert!(new.starts_with("fcw_"), "{rotated:?}");
    for key in [&endpoint.keys.write, &new] {
        assert_eq!(track_with(&endpoint, key).status, 200, "both are valid for a while");
    }
    // The name that scripts of earlier versions use.
    let earlier = post(&endpoint, "/v1/keys", &json!({ "role": "write" }));
    assert_eq!(earlier.body["role"], "browser", "{earlier:?}");
    for overlap in [3e11, 1e300] {
        let forever = post(&endpoint, &path, &json!({ "overlap_seconds": overlap }));
        assert_eq!(forever.status, 400, "{forever:?}");
    }
    let ended = endpoint.delete(&endpoint.keys.admin, &format!("/v1/keys/{write}"));
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(post(&endpoint, &path, &json!({})).status, 400, "what has ended is not rotated");
    endpoint.restart();
    assert_eq!(track_with(&endpoint, &endpoint.keys.write).status, 401);
    assert_eq!(track_with(&endpoint, &new).status, 200);
    let admin = endpoint.get(&endpoint.keys.admin, "/v1/keys").body;
    let admin = admin["keys"].as_array().unwrap().iter().find(|key| key["role"] == "admin");
    let path = format!("/v1/keys/{}", admin.unwrap()["id"].as_str().unwrap());
    let last = endpoint.delete(&endpoint.keys.admin, &path);
    assert_eq!(last.status, 400, "the last admin key stays: {last:?}");
}

#[test]
fn a_key_makes_as_many_requests_as_it_may() {
    let endpoint = TestEndpoint::new();
    let made = post(&endpoint, "/v1/keys", &json!({ "role": "write", "requests_per_second": 2.0 }));
    let key = made.body["key"].as_str().unwrap().to_owned();
    let answers: Vec<Answer> = (0..6).map(|_| track_with(&endpoint, &key)).collect();
    assert_eq!(answers[0].status, 200);
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(refused.len() >= 2, "{answers:?}");
    let wait: u64 = refused[0].headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait >= 1, "an integer of seconds");
    assert_eq!(track_with(&endpoint, &endpoint.keys.write).status, 200, "others go on");
}

#[test]
fn a_score_is_given_again_while_it_is_fresh_and_nothing_happened() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    endpoint.track("ada", "order", &json!({}));
    let ask = || endpoint.get(&endpoint.keys.score, "/v1/score/tiny?customer_id=ada").body;
    assert_eq!(ask()["freshness"], "computed");
    assert_eq!(ask()["freshness"], "computed", "unless something else is said");
    let set = |seconds: Json| {
        post(&endpoint, "/v1/deployments/tiny/freshness", &json!({ "shelf_life_seconds": seconds }))
    };
    assert_eq!(set(json!(3600.0)).body["shelf_life_seconds"], 3600.0);
    let first = ask();
    let again = ask();
    assert_eq!(again["freshness"], "reused");
    assert_eq!((&again["score"], &again["stale"]), (&first["score"], &json!(false)));
    endpoint.track("ada", "order", &json!({}));
    let after = ask();
    assert_eq!(after["freshness"], "computed", "an event came");
    assert!(after["score"].as_f64() > first["score"].as_f64());
    deploy(&endpoint, "tiny", &function(0.7));
    assert_eq!(ask()["freshness"], "computed", "another function answers");
    assert_eq!(set(Json::Null).status, 200);
    assert_eq!((ask(), ask()).1["freshness"], "computed");
    assert_eq!(set(json!(-1.0)).status, 400);
}

#[test]
fn a_deadline_that_passes_gives_the_last_score_or_says_that_there_is_none() {
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    endpoint.track("ada", "order", &json!({}));
    let ask = |endpoint: &TestEndpoint, deadline: u64| {
        let path = format!("/v1/score/tiny?customer_id=ada&deadline_ms={deadline}");
        endpoint.get(&endpoint.keys.score, &path)
    };
    // Nothing is in memory after a restart, and no time at all is too little to read it.
    endpoint.restart();
    let late = ask(&endpoint, 0);
    assert!(matches!(late.status, 200 | 504), "{late:?}");
    assert_eq!(ask(&endpoint, 10_000).body["freshness"], "computed");
    assert_eq!(ask(&endpoint, 0).body["stale"], false, "what is in memory needs no time");
    // A late event makes the timeline be read anew.
    let event = json!({ "userId": "ada", "event": "order", "timestamp": "2020-01-01T00:00:00Z" });
    let key = &endpoint.keys.write;
    assert_eq!(endpoint.post(key, "/v1/track", event.to_string().as_bytes()).status, 200);
    let stale = ask(&endpoint, 0);
    assert_eq!(stale.status, 200, "{stale:?}");
    assert!(["stale", "computed"].contains(&stale.body["freshness"].as_str().unwrap()));
}

#[test]
fn a_backup_is_an_endpoint_of_its_own() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    for n in 0..20 {
        endpoint.track("ada", "order", &json!({ "n": n }));
    }
    let backup = endpoint.post(&endpoint.keys.admin, "/v1/backup", b"").body;
    endpoint.track("ada", "order", &json!({ "after": true }));
    let folder = std::path::PathBuf::from(backup["folder"].as_str().unwrap());
    let running = Running::start(&Config::new(folder, "127.0.0.1:0".parse().unwrap())).unwrap();
    let path = format!("{}/v1/score/tiny?customer_id=ada&explain=true", running.ready().url);
    let request = agent().get(path);
    let bearer = format!("Bearer {}", endpoint.keys.score);
    let answer = read(request.header("authorization", bearer).call().unwrap());
    assert_eq!(answer.body["features"]["orders"], 20.0, "{answer:?}");
    assert_eq!(score(&endpoint, "tiny", "ada")["features"]["orders"], 21.0);
}

#[test]
fn an_index_that_is_damaged_is_made_again_from_the_log() {
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let identify = json!({ "userId": "ada", "anonymousId": "anon", "traits": { "country": "DE" } });
    endpoint.track("ada", "order", &json!({}));
    let send = |endpoint: &TestEndpoint, path: &str, body: &Json| {
        endpoint.post(&endpoint.keys.write, path, body.to_string().as_bytes()).status
    };
    send(&endpoint, "/v1/track", &json!({ "anonymousId": "anon", "event": "order" }));
    send(&endpoint, "/v1/identify", &identify);
    let before = endpoint.customer("ada");
    drop(endpoint.running.take());
    std::fs::remove_dir_all(endpoint.data.join("index")).unwrap();
    endpoint.restart_stopped();
    let after = endpoint.customer("ada");
    for part in ["traits", "event_count", "first_seen", "last_seen"] {
        assert_eq!(after[part], before[part]);
    }
    assert_eq!(after["event_count"], 2);
    assert_eq!(score(&endpoint, "tiny", "anon")["customer_id"], "ada");
}

#[test]
fn the_past_is_forgotten_and_traits_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let start = |retention: Retention| {
        let mut config = Config::new(folder.path().join("data"), "127.0.0.1:0".parse().unwrap());
        config.store.retention = retention;
        Running::start(&config).unwrap()
    };
    let running = start(Retention::default());
    let keys = running.ready().keys.clone().unwrap();
    let call = |running: &Running, path: &str, key: &str, body: Option<&Json>| {
        let (url, bearer) = (format!("{}{path}", running.ready().url), format!("Bearer {key}"));
        read(match body {
            Some(body) => {
                agent().post(url).header("authorization", bearer).send(body.to_string()).unwrap()
            }
            None => agent().get(url).header("authorization", bearer).call().unwrap(),
        })
    };
    let traits = json!({ "userId": "ada", "traits": { "country": "DE" },
        "timestamp": "2020-01-01T00:00:00Z" });
    call(&running, "/v1/identify", &keys.write, Some(&traits));
    for n in 0..10 {
        let mut event = json!({ "userId": "ada", "event": "order", "messageId": n.to_string() });
        if n < 4 {
            event["timestamp"] = json!(format!("2021-01-0{}T00:00:00Z", n + 1));
        }
        call(&running, "/v1/track", &keys.write, Some(&event));
    }
    let customer = |running: &Running| call(running, "/v1/customers/ada", &keys.score, None).body;
    assert_eq!(customer(&running)["event_count"], 10);
    drop(running);
    for (retention, left) in [
        (Retention { days: Some(30), events: None }, 6),
        (Retention { days: None, events: Some(3) }, 3),
    ] {
        let running = start(retention);
        // The maintenance thread forgets after the start; each answer says how far it is.
        let in_log = || {
            let log = call(&running, "/v1/events", &keys.admin, None).body;
            let orders = |event: &&Json| event["event"] == "order";
            log["events"].as_array().unwrap().iter().filter(orders).count()
        };
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while customer(&running)["event_count"] != left || in_log() != left {
            assert!(std::time::Instant::now() < until, "{:?}", customer(&running));
        }
        assert_eq!(customer(&running)["traits"]["country"], "DE");
        drop(running);
    }
    let running = start(Retention::default());
    assert_eq!(customer(&running)["event_count"], 3, "and it stays forgotten");
}

#[test]
fn rejected_events_are_kept_with_their_reasons_and_erased_with_their_customer() {
    let endpoint = TestEndpoint::new();
    let batch = json!({ "batch": [
        { "type": "dance", "userId": "ada" },
        { "type": "track", "userId": "bob" },
        { "type": "track", "userId": "ada", "event": "order" },
    ]});
    let sent = endpoint.post(&endpoint.keys.write, "/v1/batch", batch.to_string().as_bytes());
    assert_eq!(sent.body["rejected"], 2, "{sent:?}");
    let rejected = || {
        let list = endpoint.get(&endpoint.keys.admin, "/v1/rejected").body;
        list["rejected"].as_array().unwrap().clone()
    };
    assert_eq!(rejected().len(), 2);
    assert!(rejected()[0]["reason"].as_str().unwrap().contains("needs an 'event'"));
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/ada").body;
    assert_eq!(erased["rejected"], 1, "{erased}");
    let left = rejected();
    assert_eq!(left.len(), 1);
    assert!(left[0]["event"].as_str().unwrap().contains("bob"));
}

#[test]
fn the_documentation_names_every_route_and_loads_nothing_from_elsewhere() {
    let endpoint = TestEndpoint::new();
    let get = |path: &str| read(agent().get(format!("{}{path}", endpoint.url)).call().unwrap());
    let paths = get("/openapi.json").body["paths"].clone();
    let router = include_str!("../../src/endpoint/serving/router.rs");
    let mut n = 0;
    for line in router.split(".route(").skip(1) {
        let path = line.split('"').nth(1).unwrap();
        n += 1;
        // A slash at the end is the same method; the methods are named one by one.
        let is_method = path.starts_with("/v1/{method}");
        assert!(is_method || !paths[path].is_null(), "{path} is not in openapi.json");
    }
    assert!(n > 30, "{n} routes");
    let page = get("/");
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.body.as_str().unwrap().to_owned();
    assert!(!page.contains("https://") && page.contains("openapi.json"));
    // The page may ask; a page of somebody else may not, whatever it calls itself.
    let ask = |origin: &str, host: Option<&str>| {
        let request = agent().get(format!("{}/v1/deployments", endpoint.url));
        let bearer = format!("Bearer {}", endpoint.keys.score);
        let request = request.header("authorization", bearer).header("origin", origin);
        let request = match host {
            Some(host) => request.header("host", host),
            None => request,
        };
        read(request.call().unwrap()).status
    };
    assert_eq!(ask(&endpoint.url, None), 200);
    assert_eq!(ask("http://evil.example", None), 403);
    assert_eq!(ask("http://evil.example", Some("evil.example")), 403, "a name that leads here");
}

#[test]
fn history_that_is_none_is_refused() {
    let endpoint = TestEndpoint::new();
    let good = json!({
        "message_id": "m", "customer_id": "a", "event": "order", "event_time": "2020-01-01T00:00:00Z",
        "received_at": "2020-01-01T00:00:00Z", "seq": 1, "properties": {},
    });
    let publish = |event: &Json| {
        endpoint.post(&endpoint.keys.admin, "/v1/history", event.to_string().as_bytes()).status
    };
    for (field, value) in [
        ("message_id", json!("")),
        ("customer_id", json!("x".repeat(300))),
        ("event", json!("")),
        ("event_time", json!("2300-01-01")),
        ("received_at", json!("2019-01-01")),
        ("seq", json!(1_u64 << 50)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(publish(&bad), 400, "{field}");
    }
    assert_eq!(publish(&good), 200);
    // The same place in time and order, from another project: both are kept.
    let mut other = good.clone();
    other["message_id"] = json!("n");
    assert_eq!(publish(&other), 200);
    assert_eq!(endpoint.customer("a")["event_count"], 2);
}

/// The answer to bytes that no client would send.
fn raw(endpoint: &TestEndpoint, request: &str) -> String {
    let address = endpoint.url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains("\"type\"") {
        let n = stream.read(&mut bytes).unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..n]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn what_is_refused_says_what_http_wants_said() {
    let endpoint = TestEndpoint::new();
    let status = |path: &str| endpoint.get(&endpoint.keys.score, path).status;
    assert_eq!((status("/v1/nope"), status("/v1/score"), status("/v1/track")), (404, 404, 405));
    let nobody = endpoint.get("", "/v1/score/tiny?customer_id=ada");
    assert_eq!(nobody.status, 401);
    assert!(nobody.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    for (head, expected) in [
        ("GET /ping HTTP/1.1\r\n\r\n", "400"),
        ("GET /ping HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        (
            "POST /v1/batch HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\nexpect: 100-continue\r\n\r\n",
            "413",
        ),
        ("OPTIONS /v1/nope HTTP/1.1\r\nhost: a\r\norigin: http://a.example\r\n\r\n", "404"),
    ] {
        let answer = raw(&endpoint, head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{head} {answer}");
    }
    // A proxy on this machine hands on what comes from elsewhere.
    let request = agent()
        .get(format!("{}/v1/keys", endpoint.url))
        .header("authorization", format!("Bearer {}", endpoint.keys.admin));
    assert_eq!(read(request.header("x-forwarded-for", "10.1.2.3").call().unwrap()).status, 403);
    assert_eq!(endpoint.get(&endpoint.keys.admin, "/v1/keys").status, 200);
}

#[test]
fn a_copy_is_another_endpoint_and_is_pulled_from_its_start() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    let admin = endpoint.keys.admin.clone();
    let copy = endpoint.post(&admin, "/v1/backup", b"").body["folder"].as_str().unwrap().to_owned();
    endpoint.track("ada", "order", &json!({}));
    endpoint.track("ada", "order", &json!({}));
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(folder.path()).unwrap();
    let pulled = |endpoint: &TestEndpoint| {
        let client = workspace::Client::new(&endpoint.url, Some(admin.clone()));
        project.pull(&client, &workspace::Job::unwatched()).unwrap().accepted
    };
    assert_eq!(pulled(&endpoint), 3);
    assert_eq!(endpoint.get(&admin, "/v1/events?from=99").status, 400, "no such place");
    // The copy lacks two of them; what it gets comes where they were.
    endpoint.data = std::path::PathBuf::from(&copy);
    endpoint.restart();
    endpoint.track("bo", "order", &json!({}));
    endpoint.track("bo", "order", &json!({}));
    assert_eq!(pulled(&endpoint), 2);
    assert_eq!(pulled(&endpoint), 0);
}

#[test]
fn a_customer_is_erased_here_and_there() {
    let endpoint = TestEndpoint::new();
    for customer in ["ada", "ada", "bo"] {
        endpoint.track(customer, "order", &json!({ "amount": 5 }));
    }
    let folder = tempfile::tempdir().unwrap();
    let job = workspace::Job::unwatched();
    let project = workspace::Project::open(folder.path()).unwrap();
    let client = workspace::Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()));
    assert_eq!(project.pull(&client, &job).unwrap().accepted, 3);
    let view = "name = \"v\"\n[[features]]\nname = \"n\"\naggregation = \"count\"\n";
    std::fs::create_dir_all(folder.path().join("views")).unwrap();
    std::fs::write(folder.path().join("views/v.toml"), view).unwrap();
    let compute = || {
        let computed = project
            .compute_view(
                &"v".parse().unwrap(),
                None,
                kernel::features::Knowledge::AsItWas,
                None,
                &job,
            )
            .unwrap();
        computed.rows
    };
    assert_eq!(compute(), 2);
    let erased = project.erase("ada", Some(&client), &job).unwrap();
    assert_eq!((erased.here.events, erased.here.computed), (2, 1));
    assert_eq!(erased.endpoint.unwrap()["events"], 2);
    assert_eq!(endpoint.get(&endpoint.keys.score, "/v1/customers/ada").status, 404);
    assert_eq!(project.pull(&client, &job).unwrap().accepted, 0, "nothing brings them back");
    let left = |sql: &str| project.query(sql, 10, &job).unwrap().rows.len();
    assert_eq!(left("SELECT * FROM events WHERE customer_id = 'ada'"), 0);
    assert_eq!(left("SELECT * FROM views.v"), 1);
    assert_eq!(compute(), 1, "nor what was kept of timelines");
}
