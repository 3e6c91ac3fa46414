//! What goes between workbench and endpoint: history there, live events back, and the proof that both agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use kernel::domain::{ALIAS, Event, Job, Name, Properties, Time, Value};
use serde_json::json;
use workspace::{Client, KnownEndpoint, Options, Project, Rollout, Sample};

use crate::support::{self, TestEndpoint, fullcircle, fullcircle_fails, fullcircle_json, program};

fn client(endpoint: &TestEndpoint) -> Client {
    Client::new(&endpoint.url, Some(endpoint.keys.admin.clone()))
}

/// A project that knows the endpoint's admin key, so that commands in it need none.
fn project(folder: &Path, endpoint: &TestEndpoint) -> Project {
    let project = Project::open(folder).unwrap();
    let admin_key = Some(endpoint.keys.admin.clone());
    let keys = KnownEndpoint { admin_key, ..KnownEndpoint::default() };
    project.remember_endpoint(&endpoint.url, keys).unwrap();
    project
}

fn import(project: &Project, folder: &Path, csv: &str) -> u64 {
    let file = folder.join("history.csv");
    std::fs::write(&file, csv).unwrap();
    project.import(&[file], &Options::default(), &Job::unwatched()).unwrap().accepted
}

/// The contents of all files below a folder, by path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        if path.is_dir() {
            let inner = contents(&path).into_iter();
            all.extend(inner.map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
            all.insert(name, Vec::new());
        } else {
            all.insert(name, std::fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn verify_compares_events_that_were_not_pulled_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cdnow");
    let endpoint = TestEndpoint::new();
    let job = Job::unwatched();
    let name: Name = "repurchase".parse().unwrap();
    let opened = project(&place, &endpoint);
    Sample::Cdnow.fill(&opened, &job).unwrap();
    opened.train(&name, &job).unwrap();
    let client = client(&endpoint);
    opened.publish(&client, &job).unwrap();
    opened.deploy(&name, &client, &name, Rollout::Champion).unwrap();
    drop(opened);
    let purchase = json!({ "number_of_cds": 3, "dollar_value": 44.97 });
    for customer in ["00002", "00003", "newcomer"] {
        endpoint.track(customer, "order_completed", &purchase);
    }
    let anonymous = json!({ "anonymousId": "anon", "event": "order_completed",
        "properties": { "number_of_cds": 9, "dollar_value": 99.5 } });
    endpoint.post(&endpoint.keys.write, "/v1/track", anonymous.to_string().as_bytes());
    let identify = json!({ "anonymousId": "anon", "userId": "joined", "traits": { "age": 7 } });
    endpoint.post(&endpoint.keys.write, "/v1/identify", identify.to_string().as_bytes());

    let before = contents(&place);
    let place = place.display().to_string();
    let verify = ["verify", "--project", &place, "--to", &endpoint.url, "--name", "repurchase"];
    let verified = fullcircle_json(&[&verify[..], &["--customers", "50", "--json"]].concat());
    assert_eq!((&verified["compared"], &verified["different"]), (&json!(50), &json!(0)));
    let after = contents(Path::new(&place));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (file, bytes) in &before {
        assert!(after[file] == *bytes, "{file} was written");
    }
    // All that have new events are among the compared, however few are asked for.
    let verified = fullcircle_json(&[&verify[..], &["--customers", "1", "--json"]].concat());
    assert_eq!((&verified["compared"], &verified["different"]), (&json!(4), &json!(0)));
    let pull = ["pull", "--project", &place, "--from", &endpoint.url, "--json"];
    assert_eq!(fullcircle_json(&pull)["accepted"], 5, "nothing was pulled before");
    let verified = fullcircle_json(&[&verify[..], &["--customers", "1000", "--json"]].concat());
    assert_eq!((&verified["compared"], &verified["different"]), (&json!(1000), &json!(0)));
}

#[test]
fn a_pull_from_an_endpoint_of_another_project_asks_first() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    let job = Job::unwatched();
    // An endpoint that nothing was published to asks nothing.
    endpoint.track("ada", "order", &json!({}));
    let other = project(&folder.path().join("other"), &endpoint);
    assert_eq!(other.pull(&client(&endpoint), &job).unwrap().accepted, 1);
    other.publish(&client(&endpoint), &job).unwrap();
    assert_eq!(other.pull(&client(&endpoint), &job).unwrap().accepted, 0, "it is its own");

    let place = folder.path().join("mine");
    drop(project(&place, &endpoint));
    let place = place.display().to_string();
    let pull = ["pull", "--project", &place, "--from", &endpoint.url, "--json"];
    let said = fullcircle_fails(&pull);
    assert!(said.contains("'other'") && said.contains("--from-other-project"), "{said}");
    let count = ["query", "--project", &place, "SELECT count(*) FROM events", "--json"];
    assert_eq!(fullcircle_json(&count)["rows"][0][0], 0.0);
    let pulled = fullcircle_json(&[&pull[..], &["--from-other-project"]].concat());
    assert_eq!(pulled["accepted"], 1);
    assert_eq!(fullcircle_json(&pull)["accepted"], 0, "it was accepted");
    // A third one was not, so its first event is asked about.
    endpoint.track("bo", "order", &json!({}));
    let third = project(&folder.path().join("third"), &endpoint);
    third.publish(&client(&endpoint), &job).unwrap();
    let said = fullcircle_fails(&pull);
    assert!(said.contains("'third'") && !said.contains("'other'"), "{said}");
}

#[test]
fn a_project_without_an_id_gets_one_when_it_publishes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("project.toml");
    std::fs::write(&settings, "# ours\nformat = 1\nname = \"old\"\n").unwrap();
    let endpoint = TestEndpoint::new();
    let job = Job::unwatched();
    let old = project(folder.path(), &endpoint);
    assert_eq!(old.known_id(), None);
    old.publish(&client(&endpoint), &job).unwrap();
    let id = old.known_id().unwrap().to_owned();
    drop(old);
    let again = Project::open(folder.path()).unwrap();
    assert_eq!(again.id().unwrap(), id);
    assert_eq!(again.pull(&client(&endpoint), &job).unwrap().accepted, 0);
    assert!(std::fs::read_to_string(settings).unwrap().contains("# ours\n"));
}

#[test]
fn only_what_is_new_is_published_again() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    let job = Job::unwatched();
    let own = project(&folder.path().join("own"), &endpoint);
    let first =
        "customer_id,event,event_time,amount\nada,order,2024-01-01,5\nbo,order,2024-01-02,6\n";
    assert_eq!(import(&own, folder.path(), first), 2);
    let published = own.publish(&client(&endpoint), &job).unwrap();
    assert_eq!((published.accepted, published.duplicate), (2, 0));
    let second = "customer_id,event,event_time,amount\nada,order,2024-02-01,7\n";
    assert_eq!(import(&own, folder.path(), second), 1);
    let published = own.publish(&client(&endpoint), &job).unwrap();
    assert_eq!((published.accepted, published.duplicate), (1, 2));
    let published = own.publish_all(&client(&endpoint), &job).unwrap();
    assert_eq!((published.accepted, published.duplicate), (0, 3));
    assert_eq!(endpoint.customer("ada")["event_count"], 2);
    assert_eq!(endpoint.customer("ada")["timeline"][0]["properties"]["amount"], 7.0);
    // Another endpoint has nothing yet.
    let other = TestEndpoint::new();
    assert_eq!(own.publish(&client(&other), &job).unwrap().accepted, 3);
}

fn with_key(key: &str, arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).env("FULLCIRCLE_KEY", key).output().unwrap()
}

#[test]
fn a_wrong_key_is_refused_with_its_status_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    let own = Project::open(&folder.path().join("own")).unwrap();
    Sample::Cdnow.fill(&own, &Job::unwatched()).unwrap();
    own.train(&"repurchase".parse().unwrap(), &Job::unwatched()).unwrap();
    drop(own);
    let place = folder.path().join("own").display().to_string();
    let (to, name) = (["--to", &*endpoint.url], ["--name", "repurchase"]);
    let publish = [&["publish", "--project", &place][..], &to].concat();
    let deploy = [&["deploy", "--project", &place, "repurchase"][..], &to, &name].concat();
    let verify = [&["verify", "--project", &place][..], &to, &name].concat();
    let pull = ["pull", "--project", &place, "--from", &endpoint.url];
    let erase = [&["erase", "--project", &place, "00002"][..], &to].concat();
    let score = [&["score"][..], &to, &["repurchase", "00002"]].concat();
    for command in [&publish[..], &deploy, &verify, &pull, &erase, &score] {
        for key in ["fca_wrong", &endpoint.keys.write] {
            let output = with_key(key, command);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
            let status = if key == "fca_wrong" { "(401)" } else { "(403)" };
            let is_refused = said.contains("(401)") || said.contains(status);
            assert!(is_refused && said.contains("key"), "{command:?} {key}: {said}");
            assert!(!said.contains("Broken pipe") && !said.contains("no endpoint"), "{said}");
        }
    }
    // A large body, of which the endpoint reads nothing.
    let large = Client::new(&endpoint.url, Some("fca_wrong".to_owned()));
    let file = std::fs::read_to_string(format!("{place}/functions/repurchase.json")).unwrap();
    assert!(file.len() > 4_096, "{}", file.len());
    let opened = Project::open(Path::new(&place)).unwrap();
    let name: Name = "repurchase".parse().unwrap();
    for _ in 0..20 {
        let error = opened.deploy(&name, &large, &name, Rollout::Champion).unwrap_err();
        assert!(error.to_string().contains("(401)"), "{error}");
    }
}

#[test]
fn an_address_needs_no_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    let place = folder.path().join("own");
    drop(project(&place, &endpoint));
    let place = place.display().to_string();
    let bare = endpoint.url.trim_start_matches("http://");
    endpoint.track("ada", "order", &json!({}));
    let published = fullcircle_json(&["publish", "--project", &place, "--to", bare, "--json"]);
    assert_eq!(published["accepted"], 0);
    let pulled = fullcircle_json(&["pull", "--project", &place, "--from", bare, "--json"]);
    assert_eq!(pulled["accepted"], 1);
    let keys = fullcircle(&["keys", "--project", &place, "--to", bare, "list"]);
    assert!(keys.status.success(), "{}", String::from_utf8_lossy(&keys.stderr));
}

fn live(seq: u64, name: &str, customer: &str, anonymous: Option<String>) -> Event {
    let time = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
    Event {
        message_id: format!("m{seq}"),
        customer_id: customer.to_owned(),
        anonymous_id: anonymous,
        event: name.to_owned(),
        event_time: time,
        received_at: time,
        seq: (1 << 40) + seq,
        properties: Properties::from([("amount".to_owned(), Value::Number(1.0))]),
    }
}

#[test]
fn a_hundred_thousand_joins_assign_each_event_to_its_customer() {
    const JOINS: u64 = 100_000;
    const RUN: usize = 10_000;
    let project = support::Project::new();
    let job = Job::unwatched();
    let mut events = Vec::new();
    for n in 0..JOINS {
        let anonymous = format!("anon-{n}");
        events.push(live(2 * n, "view", &anonymous, None));
        events.push(live(2 * n + 1, ALIAS, &format!("c{}", n % 1_000), Some(anonymous)));
    }
    // What came before its own join in another run, and a customer who is joined to another one later.
    events.swap(0, 2 * RUN);
    events.push(live(2 * JOINS, ALIAS, "whole", Some("c7".to_owned())));
    for (n, run) in events.chunks(RUN).enumerate() {
        project.warehouse.add_live("endpoint", run, &[], (n * RUN) as u64, &job).unwrap();
    }
    let rows = project.query(
        "SELECT count(*), count(DISTINCT customer_id), count(*) FILTER (customer_id = 'whole')
         FROM events WHERE NOT starts_with(customer_id, 'anon')",
    );
    assert_eq!(rows, [["99999", "1000", "100"]]);
    let stray =
        project.query("SELECT customer_id FROM events WHERE starts_with(customer_id, 'anon')");
    assert_eq!(stray, [["anon-0"]], "it came after its join, as it is said to");
    // A file that knows the anonymous id is of the customer in the end.
    let csv = "customer_id,event,event_time\nanon-7,order,2024-01-01\n";
    project.import(&project.file("late.csv", csv), &Default::default());
    let rows = project.query("SELECT customer_id FROM events WHERE event = 'order'");
    assert_eq!(rows, [["whole"]]);
}
