//! Servers in processes of their own, and what they cost.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

/// A server that runs; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// What it said when it was ready.
    pub(crate) ready: Json,
}

impl Server {
    /// The product itself.
    pub(crate) fn endpoint(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fullcircle"));
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--memory", "3000", "--data"]);
        Self::start(command.arg(data))
    }

    /// A reference of this program.
    pub(crate) fn reference(name: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::start(command.args(["child", name]).arg(folder))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Json = serde_json::from_str(&line).unwrap();
        let address = ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self { child, address, ready }
    }

    /// User and system seconds so far.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Memory in MB, open files and threads.
    pub(crate) fn resources(&self) -> (f64, usize, usize) {
        let of = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{of}/status")).unwrap();
        let line = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        };
        let files = std::fs::read_dir(format!("{of}/fd")).unwrap().count();
        (line("VmRSS") / 1024.0, files, line("Threads") as usize)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
