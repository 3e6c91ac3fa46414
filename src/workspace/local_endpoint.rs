use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use warehouse::Access;

use crate::client::with_scheme;
use crate::{Client, Error, KnownEndpoint, Project, Result};

/// An endpoint on this machine, in a process of its own. It goes on when this is dropped.
#[derive(Debug)]
pub struct LocalEndpoint {
    url: String,
    keys: KnownEndpoint,
    child: Child,
}

/// The data folder of the endpoint of a project.
const DATA: &str = ".endpoint/data";
/// What that endpoint writes to its log.
const LOG: &str = ".endpoint/data.log";

/// What `fullcircle serve --json` says once it is ready.
#[derive(Deserialize)]
struct Ready {
    url: String,
    write_key: Option<String>,
    server_key: Option<String>,
    score_key: Option<String>,
    admin_key: Option<String>,
}

impl LocalEndpoint {
    /// Starts `program serve` on the data folder of a project and waits until it answers.
    ///
    /// # Errors
    /// The data folder has links, or the endpoint does not start; with what it says about it.
    pub fn start(program: &Path, project: &Project, listen: &str) -> Result<Self> {
        // Its log goes to a file beside its data: a pipe that nobody reads would stop it one day.
        let files = project.files();
        files.check(DATA, true)?;
        let log = files.create_file(LOG, Access::Default)?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--json")
            .arg("--data")
            .arg(files.path_of(DATA))
            .args(["--listen", listen])
            // A project may rest for months, and whoever opens it sees the clock of the machine.
            .arg("--accept-clock")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        #[cfg(unix)]
        {
            // So that a Ctrl+C for us does not stop it.
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|error| Error::Endpoint(error.to_string()))?;
        let failed = |child: &mut Child, message: String| {
            drop(child.kill());
            drop(child.wait());
            let said = files.read_text(LOG).ok().flatten().unwrap_or_default();
            Error::Endpoint(if said.trim().is_empty() { message } else { said.trim().to_owned() })
        };
        let Some(output) = child.stdout.take() else {
            return Err(failed(&mut child, "it has no output".to_owned()));
        };
        let mut line = String::new();
        if BufReader::new(output).read_line(&mut line).is_err() || line.is_empty() {
            return Err(failed(&mut child, "it ended before it was ready".to_owned()));
        }
        let ready: Ready = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(_) => return Err(failed(&mut child, format!("it says: {}", line.trim()))),
        };
        let keys = KnownEndpoint {
            id: Client::new(&ready.url, None).health().ok().map(|health| health.endpoint),
            write_key: ready.write_key,
            server_key: ready.server_key,
            score_key: ready.score_key,
            admin_key: ready.admin_key,
        };
        Ok(Self { url: ready.url, keys, child })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its keys, if this was its first start.
    #[must_use]
    pub const fn keys(&self) -> &KnownEndpoint {
        &self.keys
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it: asks it to end, and waits.
    pub fn stop(mut self) {
        #[cfg(unix)]
        {
            let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid
                && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
            {
                drop(self.child.wait());
                return;
            }
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Project {
    /// Starts an endpoint for this project on this machine, or finds the one that runs. Its keys are
    /// kept in the project.
    ///
    /// # Errors
    /// It does not start.
    pub fn go_live(&self, program: &Path, listen: &str) -> Result<(String, Option<LocalEndpoint>)> {
        for (url, keys) in self.endpoints()? {
            let health = Client::new(&url, None).health();
            if health.is_ok_and(|health| Some(health.endpoint) == keys.id) {
                return Ok((url, None));
            }
        }
        let local = match LocalEndpoint::start(program, self, listen) {
            // Something else has the usual port: any other will do.
            Err(Error::Endpoint(said)) if said.contains("cannot listen") => {
                LocalEndpoint::start(program, self, "127.0.0.1:0")?
            }
            started => started?,
        };
        let url = local.url().to_owned();
        let mut keys = local.keys().clone();
        if keys.admin_key.is_none() {
            // A later start gives no keys; they are those of the same data folder before.
            let id = keys.id.clone();
            let known = self
                .endpoints()?
                .into_values()
                .find(|known| known.admin_key.is_some() && known.id == id);
            let Some(known) = known else {
                local.stop();
                return Err(Error::Endpoint(
                    "its keys are not in this project; set FULLCIRCLE_KEY".to_owned(),
                ));
            };
            keys = known;
        }
        self.remember_endpoint(&url, keys)?;
        Ok((url, Some(local)))
    }

    /// A client of an endpoint, with the admin key that the project knows or the one given.
    ///
    /// # Errors
    /// The project's keys cannot be read.
    pub fn client(&self, url: &str, key: Option<String>) -> Result<Client> {
        let url = with_scheme(url);
        if key.is_some() {
            return Ok(Client::new(&url, key));
        }
        let Some(known) = self.endpoints()?.remove(&url) else {
            return Ok(Client::new(&url, None));
        };
        if let Some(id) = &known.id
            && Client::new(&url, None).health()?.endpoint != *id
        {
            return Err(Error::BadInput(format!(
                "another endpoint answers at {url} than the one that this project knows; start that one \
                 again, or set FULLCIRCLE_KEY"
            )));
        }
        Ok(Client::new(&url, known.admin_key))
    }
}
