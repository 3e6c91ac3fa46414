//! Experiments of a project: their definitions, putting them live, and reading what came of them.

mod commands;
mod decisions;
mod file;
mod planning;
mod readout;

pub use commands::{ExperimentAnswer, ExperimentCommand};
pub use decisions::{LiveArm, LiveChange, LiveDecision, LiveExperiment};
pub use planning::{MetricPlan, PowerPlan};
pub use readout::{
    Advice, ArmReadout, EffectReadout, Guardrail, Look, MetricReadout, Novelty, PolicyReadout,
    Readout, SegmentReadout, Verdict,
};

use kernel::domain::Name;
use kernel::experiments::ExperimentDefinition;

use crate::{Error, Project, Result};

/// The folder of definitions.
const FOLDER: &str = "experiments";

impl Project {
    /// The names of its experiments.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn experiments(&self) -> Result<Vec<Name>> {
        self.names(FOLDER, "toml")
    }

    /// An experiment as it is written.
    ///
    /// # Errors
    /// There is no such experiment, or its file is not one.
    pub fn experiment(&self, name: &Name) -> Result<ExperimentDefinition> {
        let text = self.read(FOLDER, name, "toml")?;
        let path = self.definition_path(FOLDER, name, "toml");
        let definition = ExperimentDefinition::from_toml(&text)
            .map_err(|error| Error::File { path: path.clone(), message: error.to_string() })?;
        if definition.name != *name {
            let message =
                format!("the experiment in it is named '{}'; name it '{name}'", definition.name);
            return Err(Error::File { path, message });
        }
        Ok(definition)
    }

    /// Saves an experiment that makes sense.
    ///
    /// # Errors
    /// It makes no sense, or the file cannot be written.
    pub fn save_experiment(&self, definition: &ExperimentDefinition) -> Result<()> {
        definition.check()?;
        let path = self.definition_path(FOLDER, &definition.name, "toml");
        let text = toml::to_string(definition)
            .map_err(|error| Error::File { path, message: error.to_string() })?;
        self.save(FOLDER, &definition.name, "toml", &text)
    }
}
