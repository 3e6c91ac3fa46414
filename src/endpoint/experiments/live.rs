use kernel::domain::{Name, Time};
use kernel::experiments::ExperimentFile;
use serde::{Deserialize, Serialize};

/// An experiment as it is stored, with all that was decided about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Counts how often it was started anew: exposures of earlier versions do not count.
    pub version: u32,
    /// What was started.
    pub file: ExperimentFile,
    /// What it does now.
    pub state: State,
    /// When this version was started.
    pub started_at: Time,
    /// The end of the log then: what a bandit learns from comes after it.
    pub started_offset: u64,
    /// What was done, latest last.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// What an experiment does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It divides customers.
    Running,
    /// All get this variant.
    Decided(Name),
    /// All get the control.
    Stopped,
}

/// An entry of the decision log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Time,
    /// `start`, `decide` or `stop`.
    pub action: String,
    /// Of which version of the experiment.
    pub version: u32,
    /// The variant that was decided for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
    /// Why, in the words of who decided.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}
