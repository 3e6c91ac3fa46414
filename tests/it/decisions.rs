//! Decisions over a real port: variants, rankings, other protocols, and erasing who asked for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value as Json, json};

use crate::endpoint::{deploy, function, score};
use crate::support::{Answer, TestEndpoint, agent, read};

/// Uploads a function and makes it something other than champion.
fn deploy_as(endpoint: &TestEndpoint, function: &str, role: Json) -> Answer {
    let admin = &endpoint.keys.admin;
    let uploaded = endpoint.post(admin, "/v1/functions", function.as_bytes());
    let mut body = role;
    body["function"] = uploaded.body["function"].clone();
    endpoint.post(admin, "/v1/deployments/tiny", body.to_string().as_bytes())
}

/// The recorded scores of a customer, oldest first. What was recorded is in the log before any event that
/// was sent after it.
fn recorded(endpoint: &TestEndpoint, customer: &str) -> Vec<Json> {
    endpoint.track(customer, "view", &json!({}));
    let timeline = endpoint.customer(customer)["timeline"].as_array().unwrap().clone();
    let scores = timeline.iter().rev().filter(|event| event["event"] == "$score");
    scores.map(|event| event["properties"].clone()).collect()
}

fn texts(list: &Json, name: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_challenger_answers_for_its_share_and_always_for_the_same_customers() {
    let mut endpoint = TestEndpoint::new();
    let admin = endpoint.keys.admin.clone();
    let challenger = |percent: Json| json!({ "role": "challenger", "percent": percent });
    let early = deploy_as(&endpoint, &function(2.0), challenger(json!(25)));
    assert_eq!(early.status, 400, "a champion comes first: {early:?}");
    deploy(&endpoint, "tiny", &function(0.5));
    for percent in [json!(0), json!(100), json!(null)] {
        let refused = deploy_as(&endpoint, &function(2.0), challenger(percent));
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    let answer = deploy_as(&endpoint, &function(2.0), challenger(json!(25)));
    assert_eq!(answer.body["challenger"], json!({ "version": 2, "percent": 25.0 }), "{answer:?}");
    let ids: Vec<String> = (0..1_000).map(|n| format!("c{n}")).collect();
    let variants = |endpoint: &TestEndpoint| -> Vec<(String, u64)> {
        let body = json!({ "customer_ids": ids }).to_string();
        let answer = endpoint.post(&endpoint.keys.score, "/v1/score/tiny", body.as_bytes());
        let scores = answer.body["scores"].as_array().unwrap().clone();
        let variant = |score: &Json| {
            (score["variant"].as_str().unwrap().to_owned(), score["version"].as_u64().unwrap())
        };
        scores.iter().map(variant).collect()
    };
    let first = variants(&endpoint);
    let n = first.iter().filter(|(variant, _)| variant == "challenger").count();
    // Four standard deviations of a binomial with n = 1,000 and p = 0.25 are 55.
    assert!((195..=305).contains(&n), "{n} of 1,000");
    assert!(first.iter().all(|(variant, version)| (variant == "challenger") == (*version == 2)));
    endpoint.restart();
    assert_eq!(variants(&endpoint), first, "shares are sticky, also over a restart");
    let promoted = endpoint.post(&admin, "/v1/deployments/tiny/promote", b"").body;
    assert_eq!((&promoted["version"], &promoted["challenger"]), (&json!(2), &Json::Null));
    let of_second = |(variant, version): &(String, u64)| variant == "champion" && *version == 2;
    assert!(variants(&endpoint).iter().all(of_second));
    let back = endpoint.post(&admin, "/v1/deployments/tiny/rollback", b"").body;
    assert_eq!(back["version"], 1);
    let actions = texts(&back["changes"], "action");
    assert_eq!(actions, ["deploy", "challenge", "promote", "rollback"]);
    let none = endpoint.post(&admin, "/v1/deployments/tiny/promote", b"");
    assert_eq!(none.status, 400, "{none:?}");
}

#[test]
fn a_shadow_is_recorded_and_never_answers() {
    let endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    deploy(&endpoint, "tiny", &function(0.5));
    let alone = score(&endpoint, "tiny", "ada")["score"].clone();
    deploy_as(&endpoint, &function(2.0), json!({ "role": "shadow" }));
    let said = score(&endpoint, "tiny", "ada");
    assert_eq!((&said["score"], &said["variant"]), (&alone, &json!("champion")));
    let recorded = recorded(&endpoint, "ada");
    let variants = texts(&json!(recorded), "variant");
    assert_eq!(variants, ["champion", "champion", "shadow"]);
    assert!(recorded[2]["score"].as_f64() > recorded[1]["score"].as_f64());
    endpoint.post(&endpoint.keys.admin, "/v1/deployments/tiny/stop", b"");
    let listed = endpoint.get(&endpoint.keys.score, "/v1/deployments").body;
    assert_eq!(listed["deployments"][0].get("shadow"), None, "{listed}");
}

/// A function whose score falls with a number of the occasion.
fn of_price() -> String {
    use kernel::features::FeatureDefinition;
    use kernel::scoring::{FrozenModel, FunctionFile};
    let mut file = FunctionFile::from_json(&function(0.0)).unwrap();
    let mut price = FeatureDefinition::named("price".parse().unwrap());
    price.expression = Some("context.price".to_owned());
    file.view.features[0] = price;
    file.schema.context.insert("price".to_owned(), kernel::domain::Type::Number);
    file.encoder.columns[0].feature = "price".to_owned();
    file.model = FrozenModel::LogisticRegression { intercept: 0.0, weights: vec![-0.1, 0.0] };
    file.sealed().unwrap().to_json().unwrap()
}

#[test]
fn candidates_are_ranked_by_their_own_context() {
    let endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    deploy(&endpoint, "cheapest", &of_price());
    let rank = |candidates: Json| {
        let body = json!({ "customer_id": "ada", "candidates": candidates }).to_string();
        endpoint.post(&endpoint.keys.score, "/v1/rank/cheapest", body.as_bytes())
    };
    let candidate = |id: &str, price: f64| json!({ "id": id, "context": { "price": price } });
    let said = rank(json!([candidate("b", 20.0), candidate("a", 5.0), candidate("c", 20.0)])).body;
    let ids = texts(&said["ranking"], "id");
    assert_eq!(ids, ["a", "b", "c"], "best first, equal ones in their order: {said}");
    assert_eq!(said["known"], true);
    assert_eq!(recorded(&endpoint, "ada")[0]["candidate"], "a");
    let wrong = rank(json!([{ "id": "a", "context": { "prise": 1 } }]));
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["detail"].as_str().unwrap().contains("did you mean 'price'?"), "{wrong:?}");
    assert_eq!(rank(json!([])).status, 400);
    let many: Vec<Json> = (0..1_001).map(|n| json!({ "id": n.to_string() })).collect();
    assert_eq!(rank(json!(many)).status, 400);
}

/// An endpoint with a function, where ada has three orders; and her score.
fn with_orders() -> (TestEndpoint, f64) {
    let endpoint = TestEndpoint::new();
    for _ in 0..3 {
        endpoint.track("ada", "order", &json!({}));
    }
    deploy(&endpoint, "tiny", &function(0.5));
    let expected = score(&endpoint, "tiny", "ada")["score"].as_f64().unwrap();
    (endpoint, expected)
}

fn tensor(name: &str, datatype: &str, data: Json) -> Json {
    let n = data.as_array().unwrap().len();
    json!({ "name": name, "shape": [n, 1], "datatype": datatype, "data": data })
}

#[test]
fn the_open_inference_protocol_scores_by_customer_and_by_rows() {
    let (endpoint, expected) = with_orders();
    let get = |path: &str| endpoint.get(&endpoint.keys.score, path);
    for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready", "/ping"] {
        assert_eq!(get(path).status, 200, "{path}");
    }
    let inputs = texts(&get("/v2/models/tiny/versions/1").body["inputs"], "name");
    assert_eq!(inputs, ["customer_id", "orders", "country"]);
    let infer = |path: &str, body: &[u8], head: Option<usize>| {
        let mut request = agent()
            .post(format!("{}/v2/models/tiny{path}/infer", endpoint.url))
            .header("authorization", format!("Bearer {}", endpoint.keys.score));
        if let Some(length) = head {
            request = request.header("inference-header-content-length", length.to_string());
        }
        read(request.send(body).unwrap())
    };
    let ask = |path: &str, inputs: Json| {
        infer(path, json!({ "id": "r1", "inputs": inputs }).to_string().as_bytes(), None)
    };
    let said = ask("", json!([tensor("customer_id", "BYTES", json!(["ada", "nobody"]))])).body;
    assert_eq!((&said["id"], &said["model_version"]), (&json!("r1"), &json!("1")), "{said}");
    assert_eq!(said["outputs"][0]["data"][0].as_f64(), Some(expected));
    assert_eq!(said["outputs"][1]["data"], json!([true, false]));
    let orders = tensor("orders", "FP64", json!([3.0, 0.0]));
    let countries = tensor("country", "BYTES", json!(["FR", "DE"]));
    let said = ask("/versions/1", json!([orders, countries])).body;
    assert_eq!(said["outputs"][0]["data"][0].as_f64(), Some(expected), "{said}");
    // The same rows as tritonclient sends them unless told otherwise.
    let binary = |name: &str, datatype: &str, size: usize| {
        let parameters = json!({ "binary_data_size": size });
        json!({ "name": name, "shape": [2, 1], "datatype": datatype, "parameters": parameters })
    };
    let inputs = json!([binary("orders", "FP64", 16), binary("country", "BYTES", 12)]);
    let parameters = json!({ "binary_data_output": true });
    let head = json!({ "inputs": inputs, "parameters": parameters }).to_string();
    let mut body = head.as_bytes().to_vec();
    body.extend([3.0_f64.to_le_bytes(), 0.0_f64.to_le_bytes()].concat());
    body.extend(b"\x02\0\0\0FR\x02\0\0\0DE");
    assert_eq!(infer("", &body, Some(head.len())).body["outputs"], said["outputs"]);
    let misshapen = |shape: Json| json!([{ "name": "orders", "shape": shape, "datatype": "FP64", "data": [1] }]);
    for (path, inputs, status) in [
        ("/versions/9", json!([tensor("customer_id", "BYTES", json!(["ada"]))]), 404),
        ("", inputs, 400),
        ("", json!([tensor("ordres", "FP64", json!([1]))]), 400),
        ("", misshapen(json!([2])), 400),
        ("", misshapen(json!([u64::MAX, 3])), 400),
        ("", json!([]), 400),
        ("", json!([tensor("orders", "FP64", json!([3.0]))]), 400),
        (
            "",
            json!([
                tensor("orders", "BYTES", json!(["many"])),
                tensor("country", "BYTES", json!(["FR"]))
            ]),
            400,
        ),
        (
            "",
            json!([
                tensor("orders", "INT8", json!([300])),
                tensor("country", "BYTES", json!(["FR"]))
            ]),
            400,
        ),
        ("", json!([tensor("customer_id", "BYTES", json!([null]))]), 400),
        ("", json!([tensor("customer_id", "STRING", json!(["ada"]))]), 400),
        (
            "",
            json!([
                tensor("customer_id", "BYTES", json!(["ada"])),
                tensor("customer_id", "BYTES", json!(["bob"]))
            ]),
            400,
        ),
    ] {
        let refused = ask(path, inputs);
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body["error"].is_string(), "clients look for 'error': {refused:?}");
    }
    // An output can be asked for alone; what is given beside a customer counts instead of what is known.
    let body = json!({
        "inputs": [tensor("customer_id", "BYTES", json!(["nobody"])), tensor("orders", "INT64", json!([3])),
            tensor("country", "BYTES", json!(["FR"]))],
        "outputs": [{ "name": "score" }],
    });
    let said = infer("", body.to_string().as_bytes(), None).body;
    assert_eq!(said["outputs"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(said["outputs"][0]["data"][0].as_f64(), Some(expected));
    let unknown = json!({ "inputs": body["inputs"], "outputs": [{ "name": "scor" }] });
    assert_eq!(infer("", unknown.to_string().as_bytes(), None).status, 400);
}

#[test]
fn rows_of_one_answer_say_their_own_versions() {
    let (endpoint, _) = with_orders();
    deploy_as(&endpoint, &function(1.5), json!({ "role": "challenger", "percent": 50 }));
    let customers: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let body = json!({ "inputs": [tensor("customer_id", "BYTES", json!(customers))] }).to_string();
    let path = "/v2/models/tiny/infer";
    let said = endpoint.post(&endpoint.keys.score, path, body.as_bytes()).body;
    assert!(said["model_version"].is_null(), "there are two: {said}");
    let versions = said["outputs"][2]["data"].as_array().unwrap();
    for (n, customer) in customers.iter().enumerate() {
        let score =
            endpoint.get(&endpoint.keys.score, &format!("/v1/score/tiny?customer_id={customer}"));
        assert_eq!(score.body["version"], versions[n], "{customer}");
        assert_eq!(score.body["score"], said["outputs"][0]["data"][n], "{customer}");
    }
    assert!(versions.contains(&json!(1)) && versions.contains(&json!(2)), "{versions:?}");
}

#[test]
fn every_shape_of_mlflow_gives_the_same_score() {
    let (endpoint, expected) = with_orders();
    for body in [
        json!({ "dataframe_records": [{ "customer_id": "ada" }] }),
        json!({ "dataframe_split": { "columns": ["orders", "country"], "data": [[3, "FR"]] } }),
        json!({ "instances": [{ "orders": 3, "country": null }] }),
        json!({ "inputs": { "orders": [3.0], "country": [null] } }),
    ] {
        let answer =
            endpoint.post(&endpoint.keys.score, "/invocations", body.to_string().as_bytes());
        assert_eq!(answer.body["predictions"][0].as_f64(), Some(expected), "{body}: {answer:?}");
    }
}

#[test]
fn nothing_is_left_of_a_customer_who_is_erased() {
    let mut endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    let send = |endpoint: &TestEndpoint, method: &str, body: Json| {
        endpoint.post(&endpoint.keys.write, method, body.to_string().as_bytes()).body
    };
    let first = json!({ "anonymousId": "anon", "event": "order", "messageId": "m1" });
    send(&endpoint, "/v1/track", first);
    let traits = json!({ "mail": "a@b.c" });
    send(
        &endpoint,
        "/v1/identify",
        json!({ "anonymousId": "anon", "userId": "ada", "traits": traits }),
    );
    endpoint.track("bob", "order", &json!({}));
    score(&endpoint, "tiny", "ada");
    endpoint.track("ada", "order", &json!({ "last": true }));
    let refused = endpoint.delete(&endpoint.keys.score, "/v1/customers/ada");
    assert_eq!(refused.status, 403, "{refused:?}");
    let erased = endpoint.delete(&endpoint.keys.admin, "/v1/customers/anon").body;
    let expected =
        json!({ "customer_id": "ada", "events": 3, "scores": 1, "aliases": 1, "rejected": 0 });
    assert_eq!(erased, expected, "by any of their ids");
    for restarted in [false, true] {
        if restarted {
            endpoint.restart();
        }
        for id in ["ada", "anon"] {
            let answer = endpoint.get(&endpoint.keys.score, &format!("/v1/customers/{id}"));
            assert_eq!(answer.status, 404, "{answer:?}");
        }
        let log = endpoint.get(&endpoint.keys.admin, "/v1/events?from=0").body;
        assert_eq!(texts(&log["events"], "customer_id"), ["bob"], "{log}");
    }
    // What was sent before is not taken again, and nobody gets the place of what was erased.
    let again = json!({ "userId": "ada", "event": "order", "messageId": "m1" });
    assert_eq!(send(&endpoint, "/v1/track", again)["duplicate"], 1);
    endpoint.track("carl", "order", &json!({}));
    let events = endpoint.get(&endpoint.keys.admin, "/v1/events?from=0").body;
    let seq = |n: usize| events["events"][n]["seq"].as_u64().unwrap();
    assert!(seq(1) - seq(0) > 2, "{events}");
    assert_eq!(score(&endpoint, "tiny", "ada")["known"], false);
}

#[test]
fn five_hundred_switches_fail_no_request_and_mix_no_versions() {
    let endpoint = TestEndpoint::new();
    let admin = endpoint.keys.admin.clone();
    for n in 0..20 {
        endpoint.track(&format!("c{n}"), "order", &json!({}));
    }
    let upload = |weight: f64| {
        let uploaded = endpoint.post(&admin, "/v1/functions", function(weight).as_bytes());
        uploaded.body["function"].as_str().unwrap().to_owned()
    };
    let hashes = [upload(0.5), upload(2.0)];
    let deploy = |hash: &str| {
        let body = json!({ "function": hash }).to_string();
        endpoint.post(&admin, "/v1/deployments/tiny", body.as_bytes()).status
    };
    assert_eq!(deploy(&hashes[0]), 200);
    let ids: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let body = json!({ "customer_ids": ids }).to_string();
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let ask = || {
        let client = agent();
        while !done.load(Ordering::Relaxed) {
            let request = client.post(format!("{}/v1/score/tiny", endpoint.url));
            let key = format!("Bearer {}", endpoint.keys.score);
            let answer = read(request.header("authorization", key).send(body.as_bytes()).unwrap());
            assert_eq!(answer.status, 200, "{answer:?}");
            let scores = answer.body["scores"].as_array().unwrap();
            let is_one = |name: &str| scores.iter().all(|score| score[name] == scores[0][name]);
            assert!(["version", "function", "score"].into_iter().all(is_one), "{answer:?}");
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(ask)));
        for n in 0..250 {
            assert_eq!(deploy(&hashes[(n + 1) % 2]), 200);
            let back = endpoint.post(&admin, "/v1/deployments/tiny/rollback", b"");
            assert_eq!(back.status, 200, "{back:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?} requests during the switches");
}

#[test]
fn a_replay_says_what_a_function_would_have_said_and_changes_nothing() {
    let endpoint = TestEndpoint::new();
    let admin = endpoint.keys.admin.clone();
    for n in 0..10 {
        for _ in 0..n {
            endpoint.track(&format!("c{n}"), "order", &json!({}));
        }
    }
    let replay = |function: &str| {
        let uploaded = endpoint.post(&admin, "/v1/functions", function.as_bytes());
        let body = json!({ "function": uploaded.body["function"] }).to_string();
        endpoint.post(&admin, "/v1/deployments/tiny/replay", body.as_bytes()).body
    };
    let first = replay(&function(0.5));
    assert_eq!((&first["source"], &first["requests"]), (&json!("customers"), &json!(9)), "{first}");
    assert_eq!(first["live"], Json::Null, "nothing is live yet");
    deploy(&endpoint, "tiny", &function(0.5));
    let before: Vec<f64> = (0..10)
        .map(|n| score(&endpoint, "tiny", &format!("c{n}"))["score"].as_f64().unwrap())
        .collect();
    // What comes later, also a late event, does not change what was known then.
    let late = json!({ "userId": "c3", "event": "order", "timestamp": "2026-01-01" }).to_string();
    endpoint.post(&endpoint.keys.write, "/v1/track", late.as_bytes());
    let same = replay(&function(0.5));
    assert_eq!((&same["source"], &same["requests"]), (&json!("requests"), &json!(10)), "{same}");
    assert_eq!(same["parity"], json!({ "checked": 10, "different": 0 }), "{same}");
    assert_eq!((&same["shift"]["min"], &same["shift"]["max"]), (&json!(0.0), &json!(0.0)));
    let mean = before.iter().sum::<f64>() / 10.0;
    assert!((same["candidate"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(same["null_share"], json!({ "orders": 0.0, "country": 1.0 }));
    let other = replay(&function(2.0));
    assert!(other["shift"]["max"].as_f64() > Some(0.1), "{other}");
    let listed = endpoint.get(&endpoint.keys.score, "/v1/deployments").body;
    assert_eq!(listed["deployments"][0]["version"], 1, "a replay changes nothing");
    let again = replay(&function(0.5));
    assert_eq!(again["requests"], 10, "and is not recorded");
}

#[test]
fn who_was_only_ever_scored_is_found() {
    let endpoint = TestEndpoint::new();
    deploy(&endpoint, "tiny", &function(0.5));
    score(&endpoint, "tiny", "eve");
    // What was recorded is in the log before an event that was sent after it.
    endpoint.track("ada", "view", &json!({}));
    let eve = endpoint.customer("eve");
    assert_eq!((&eve["event_count"], &eve["timeline"][0]["event"]), (&json!(0), &json!("$score")));
}

#[test]
fn a_function_that_reads_scores_sees_each_that_was_given() {
    let mut endpoint = TestEndpoint::new();
    endpoint.track("ada", "order", &json!({}));
    deploy(&endpoint, "tiny", &function(0.5));
    score(&endpoint, "tiny", "ada");
    let mut file = kernel::scoring::FunctionFile::from_json(&function(0.5)).unwrap();
    file.view.features[0].events = vec!["$score".to_owned()];
    file.schema.events.insert("$score".to_owned());
    let reading = file.sealed().unwrap().to_json().unwrap();
    assert_eq!(deploy(&endpoint, "reading", &reading).status, 200);
    let seen = |endpoint: &TestEndpoint| {
        // What was recorded is in the log before an event that was sent after it.
        endpoint.track("ada", "view", &json!({}));
        score(endpoint, "reading", "ada")["features"]["orders"].clone()
    };
    assert_eq!(seen(&endpoint), 1.0, "what was said before it was live");
    assert_eq!(seen(&endpoint), 2.0);
    endpoint.restart();
    assert_eq!(seen(&endpoint), 3.0);
}
