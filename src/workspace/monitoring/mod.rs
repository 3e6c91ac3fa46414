//! What is live, watched: reports of an endpoint, and the rules of a project that tell somebody.

mod commands;
mod live;

pub use commands::{MonitorAnswer, MonitorCommand, Watched};
pub use live::{
    LiveAttempt, LiveBin, LiveDelivery, LiveMoved, LiveOutcomeBin, LiveOutcomes, LivePoint,
    LiveReport, LiveRule, LiveRules, LiveSecrets,
};

use kernel::domain::Name;
use kernel::monitoring::RuleDefinition;

use crate::{Error, Project, Result};

/// The folder of rules.
const FOLDER: &str = "rules";

impl Project {
    /// The names of its rules.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn rules(&self) -> Result<Vec<Name>> {
        self.names(FOLDER, "toml")
    }

    /// A rule as it is written.
    ///
    /// # Errors
    /// There is no such rule, or its file is not one.
    pub fn rule(&self, name: &Name) -> Result<RuleDefinition> {
        let text = self.read(FOLDER, name, "toml")?;
        let path = self.definition_path(FOLDER, name, "toml");
        let rule = RuleDefinition::from_toml(&text)
            .map_err(|error| Error::File { path: path.clone(), message: error.to_string() })?;
        if rule.name != *name {
            let message = format!("the rule in it is named '{}'; name it '{name}'", rule.name);
            return Err(Error::File { path, message });
        }
        Ok(rule)
    }

    /// Saves a rule that makes sense.
    ///
    /// # Errors
    /// It makes no sense, or the file cannot be written.
    pub fn save_rule(&self, rule: &RuleDefinition) -> Result<()> {
        rule.check().map_err(|error| Error::BadInput(error.to_string()))?;
        let path = self.definition_path(FOLDER, &rule.name, "toml");
        let text = toml::to_string(rule)
            .map_err(|error| Error::File { path, message: error.to_string() })?;
        self.save(FOLDER, &rule.name, "toml", &text)
    }
}
