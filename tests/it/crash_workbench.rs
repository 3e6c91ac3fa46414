//! A workbench that is killed inside an import or a pull: afterwards the project has the state before or after,
//! and the same again leads to the same end. `.ci/kill-import` does it with a million rows.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::{TestEndpoint, fullcircle_json, program};

/// Kills of each kind.
const MOMENTS: u32 = 8;
/// What tells two states apart: every event, trait and import is in it.
const STATE: &str = "SELECT count(*), count(DISTINCT message_id),
    coalesce(bit_xor(hash(message_id, customer_id, event, event_time)), 0),
    (SELECT count(*) FROM traits), (SELECT count(*) FROM imports) FROM events";

fn state(project: &str) -> Json {
    fullcircle_json(&["query", "--project", project, STATE, "--json"])["rows"][0].clone()
}

fn command(arguments: &[&str], key: &str) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env("FULLCIRCLE_KEY", key).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a command, kills it at a moment, and says how long it ran if it ended by itself.
fn killed(arguments: &[&str], key: &str, moment: Option<Duration>) -> Duration {
    let started = Instant::now();
    let mut child = command(arguments, key).spawn().unwrap();
    if let Some(moment) = moment {
        let (_never, nothing) = sync_channel::<()>(0);
        assert!(nothing.recv_timeout(moment).is_err());
        drop(child.kill());
    }
    drop(child.wait());
    started.elapsed()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Kills a command on copies of a project at moments spread over the time that it takes.
fn check(folder: &Path, before: &Path, key: &str, of: impl Fn(&str) -> Vec<String>) {
    let run = |project: &str, moment| {
        let arguments = of(project);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        killed(&arguments, key, moment)
    };
    let path = |name: &str| folder.join(name).display().to_string();
    copy(before, Path::new(&path("after")));
    let whole = run(&path("after"), None);
    let (before_state, after_state) = (state(&before.display().to_string()), state(&path("after")));
    assert_ne!(before_state, after_state);
    for n in 0..MOMENTS {
        let project = path(&format!("killed-{n}"));
        copy(before, Path::new(&project));
        run(&project, Some(whole * (2 * n + 1) / (2 * MOMENTS)));
        let left = state(&project);
        assert!(left == before_state || left == after_state, "kill {n}: {left}");
        run(&project, None);
        let mut again = state(&project);
        // An import that was done is recorded once more.
        if left == after_state {
            again[4] = after_state[4].clone();
        }
        assert_eq!(again, after_state, "kill {n}");
    }
}

#[test]
fn an_import_that_is_killed_happened_or_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.csv").display().to_string();
    let generate = ["generate", "--customers", "400", "--events", "40000", "--format", "csv"];
    fullcircle_json(&[&generate[..], &["--out", &events, "--json"]].concat());
    let before = folder.path().join("before");
    fullcircle_json(&["query", "--project", before.to_str().unwrap(), "SELECT 1", "--json"]);
    check(folder.path(), &before, "", |project| {
        ["import", "--project", project, &events, "--json"].map(str::to_owned).into()
    });
}

#[test]
fn a_pull_that_is_killed_happened_or_did_not() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = TestEndpoint::new();
    for batch in 0..4 {
        let event = |n: u32| match n % 10 {
            0 => {
                json!({ "type": "identify", "userId": format!("c{n}"), "traits": { "plan": "x" } })
            }
            1 => {
                json!({ "type": "identify", "userId": format!("c{n}"), "anonymousId": format!("a{n}") })
            }
            2 => json!({ "type": "track", "event": "view", "anonymousId": format!("a{}", n + 9) }),
            _ => json!({ "type": "track", "event": "order", "userId": format!("c{}", n % 97),
                "properties": { "amount": n } }),
        };
        let events: Vec<Json> = (batch * 500..(batch + 1) * 500).map(event).collect();
        let body = json!({ "batch": events }).to_string();
        let answer = endpoint.post(&endpoint.keys.write, "/v1/batch", body.as_bytes());
        assert_eq!(answer.body["rejected"], 0, "{answer:?}");
    }
    let before = folder.path().join("before");
    fullcircle_json(&["query", "--project", before.to_str().unwrap(), "SELECT 1", "--json"]);
    check(folder.path(), &before, &endpoint.keys.admin, |project| {
        ["pull", "--project", project, "--from", &endpoint.url, "--json"].map(str::to_owned).into()
    });
}
