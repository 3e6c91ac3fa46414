//! What the tests share: temporary projects and endpoints, and events in a few words.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kernel::domain::Job;
use serde_json::{Value as Json, json};
use warehouse::Warehouse;
use warehouse::import::{ImportReport, Options};

/// A temporary project folder with a warehouse; gone when dropped.
pub(crate) struct Project {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) warehouse: Warehouse,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(folder.path()).unwrap();
        Self { folder, warehouse }
    }

    /// Writes a file beside the project.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn import(&self, file: &Path, options: &Options) -> ImportReport {
        self.warehouse.import(&[file.to_owned()], options, &Job::unwatched()).unwrap()
    }

    /// The cells of a query, by rows, as text.
    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let result = self.warehouse.query(sql, 100_000, &Job::unwatched()).unwrap();
        result.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }
}

/// The repository's sample data.
pub(crate) fn sample(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").join(file)
}

/// The program that is tested.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_fullcircle"))
}

/// Runs the program as a person would in a shell.
pub(crate) fn fullcircle(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).env_remove("FULLCIRCLE_KEY").output().unwrap()
}

/// Runs the program, which must succeed, and reads the JSON object that it prints.
pub(crate) fn fullcircle_json(arguments: &[&str]) -> Json {
    let output = fullcircle(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the program, which must fail with exit code 1, and gives what it says.
pub(crate) fn fullcircle_fails(arguments: &[&str]) -> String {
    let output = fullcircle(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// An endpoint on a free port, in this process.
pub(crate) struct TestEndpoint {
    pub(crate) url: String,
    pub(crate) keys: endpoint::serving::Keys,
    pub(crate) data: PathBuf,
    pub(crate) running: Option<endpoint::serving::Running>,
    _folder: tempfile::TempDir,
}

/// An answer of the endpoint.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Json,
}

fn start(data: &Path) -> endpoint::serving::Running {
    let config = endpoint::serving::Config::new(data.to_owned(), "127.0.0.1:0".parse().unwrap());
    endpoint::serving::Running::start(&config).unwrap()
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
}

impl TestEndpoint {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let running = start(&data);
        let ready = running.ready().clone();
        let keys = ready.keys.unwrap();
        Self { url: ready.url, keys, data, running: Some(running), _folder: folder }
    }

    /// Stops it and starts it again on the same data.
    pub(crate) fn restart(&mut self) {
        drop(self.running.take());
        self.restart_stopped();
    }

    /// Starts it again on the same data.
    pub(crate) fn restart_stopped(&mut self) {
        let running = start(&self.data);
        assert_eq!(running.ready().keys, None, "keys are given once");
        self.url = running.ready().url.clone();
        self.running = Some(running);
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        let request = agent().get(format!("{}{path}", self.url));
        read(request.header("authorization", format!("Bearer {key}")).call().unwrap())
    }

    pub(crate) fn post(&self, key: &str, path: &str, body: &[u8]) -> Answer {
        let request = agent().post(format!("{}{path}", self.url));
        read(request.header("authorization", format!("Bearer {key}")).send(body).unwrap())
    }

    pub(crate) fn delete(&self, key: &str, path: &str) -> Answer {
        let request = agent().delete(format!("{}{path}", self.url));
        read(request.header("authorization", format!("Bearer {key}")).call().unwrap())
    }

    /// Sends one track event, which must be taken.
    pub(crate) fn track(&self, customer: &str, event: &str, properties: &Json) {
        let body = json!({ "userId": customer, "event": event, "properties": properties });
        let answer = self.post(&self.keys.write, "/v1/track", body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    pub(crate) fn customer(&self, id: &str) -> Json {
        let answer = self.get(&self.keys.score, &format!("/v1/customers/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

pub(crate) fn read(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let text = response.body_mut().read_to_string().unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: serde_json::from_str(&text).unwrap_or(Json::String(text)),
    }
}
