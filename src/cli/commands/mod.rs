//! One file a command.

mod backup;
mod customer;
mod demo;
mod deploy;
mod erase;
mod experiment;
mod generate;
mod import;
mod insight;
mod joins;
mod keys;
mod monitor;
mod onnx;
mod promote;
mod publish;
mod pull;
mod query;
mod retype;
mod rollback;
mod rule;
mod runs;
mod score;
mod serve;
mod train;
mod training_set;
mod verify;
mod verify_log;
mod view;

use std::path::Path;

use workspace::{Client, Name, Project, Time};

use crate::{Command, Failure};

/// The result of a command.
type Result = std::result::Result<(), Failure>;

pub(crate) fn run(command: Command) -> Result {
    match command {
        Command::Demo(arguments) => demo::run(arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Query(arguments) => query::run(&arguments),
        Command::Retype(arguments) => retype::run(&arguments),
        Command::Insight(arguments) => insight::run(&arguments),
        Command::Customer(arguments) => customer::run(&arguments),
        Command::View(arguments) => view::run(&arguments),
        Command::TrainingSet(arguments) => training_set::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Runs(arguments) => runs::run(&arguments),
        Command::Onnx(arguments) => onnx::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Deploy(arguments) => deploy::run(&arguments),
        Command::Promote(arguments) => promote::run(&arguments),
        Command::Rollback(arguments) => rollback::run(&arguments),
        Command::Experiment(arguments) => experiment::run(&arguments),
        Command::Monitor(arguments) => monitor::run(&arguments),
        Command::Rule(arguments) => rule::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Joins(arguments) => joins::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Pull(arguments) => pull::run(&arguments),
        Command::Erase(arguments) => erase::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::VerifyLog(arguments) => verify_log::run(&arguments),
    }
}

/// A name from an argument.
fn name(text: &str) -> std::result::Result<Name, Failure> {
    text.parse().map_err(|error| Failure::Workspace(workspace::Error::Name(error)))
}

/// A time from an argument.
fn time(text: Option<&String>) -> std::result::Result<Option<Time>, Failure> {
    text.map(|text| text.parse::<Time>().map_err(|error| Failure::Argument(error.to_string())))
        .transpose()
}

/// The key of the environment; keys are never on the command line, where others could read them.
fn environment_key() -> Option<String> {
    std::env::var("FULLCIRCLE_KEY").ok().filter(|key| !key.is_empty())
}

/// A client with the environment's key, or the one that a project knows.
fn client(url: &str, project: Option<&Path>) -> std::result::Result<Client, Failure> {
    match project {
        Some(folder) => Ok(Project::open(folder)?.client(url, environment_key())?),
        None => Ok(Client::new(url, environment_key())),
    }
}

/// What is the same as JSON for people who ask for it.
fn to_json<T: serde::Serialize>(value: &T) -> std::result::Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::Found(error.to_string()))
}
