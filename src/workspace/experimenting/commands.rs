use kernel::domain::{Job, Name};
use kernel::experiments::ExperimentDefinition;

use super::{LiveExperiment, PowerPlan, Readout};
use crate::{Project, Result};

/// What the window asks for about experiments.
#[derive(Clone, Debug, PartialEq)]
pub enum ExperimentCommand {
    /// What runs at an endpoint.
    List(String),
    /// Saves a definition, and says how long it would take.
    Plan(Box<ExperimentDefinition>),
    /// Saves a definition, and starts it at an endpoint.
    Start {
        /// The endpoint.
        url: String,
        /// The experiment.
        definition: Box<ExperimentDefinition>,
    },
    /// Reads out an experiment, after pulling what is new from an endpoint.
    ReadOut {
        /// The experiment.
        name: Name,
        /// The endpoint; none reads what is here.
        url: Option<String>,
    },
    /// Gives everybody a variant, or the control.
    End {
        /// The endpoint.
        url: String,
        /// The experiment.
        name: Name,
        /// The variant; none is the control.
        variant: Option<Name>,
        /// Why, for the decision log.
        note: String,
    },
}

/// What came of a command about experiments.
#[derive(Clone, Debug, PartialEq)]
pub enum ExperimentAnswer {
    /// What runs at an endpoint.
    Listed(Vec<LiveExperiment>),
    /// How long an experiment would take.
    Planned(Name, Box<PowerPlan>),
    /// What came of it.
    ReadOut(Box<Readout>),
    /// It was started or ended.
    Changed(Box<LiveExperiment>),
}

impl ExperimentCommand {
    /// The kind, as a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::List(_) => "list-experiments",
            Self::Plan(_) => "plan-experiment",
            Self::Start { .. } | Self::End { .. } => "change-experiment",
            Self::ReadOut { .. } => "read-out",
        }
    }

    /// What it does, as a person reads it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::List(_) => "Asking for experiments".to_owned(),
            Self::Plan(definition) => format!("Planning {}", definition.name),
            Self::Start { definition, .. } => format!("Starting {}", definition.name),
            Self::ReadOut { name, .. } => format!("Reading out {name}"),
            Self::End { name, .. } => format!("Ending {name}"),
        }
    }
}

impl Project {
    pub(crate) fn run_experiment(
        &self,
        command: ExperimentCommand,
        job: &Job,
    ) -> Result<ExperimentAnswer> {
        Ok(match command {
            ExperimentCommand::List(url) => {
                ExperimentAnswer::Listed(self.client(&url, None)?.experiments()?)
            }
            ExperimentCommand::Plan(definition) => {
                self.save_experiment(&definition)?;
                let plan = self.plan_experiment(&definition, job)?;
                ExperimentAnswer::Planned(definition.name, Box::new(plan))
            }
            ExperimentCommand::Start { url, definition } => {
                self.save_experiment(&definition)?;
                let client = self.client(&url, None)?;
                let live = self.start_experiment(&definition.name, &client)?;
                ExperimentAnswer::Changed(Box::new(live))
            }
            ExperimentCommand::ReadOut { name, url } => {
                if let Some(url) = url {
                    self.pull(&self.client(&url, None)?, job)?;
                }
                ExperimentAnswer::ReadOut(Box::new(self.readout(&name, None, job)?))
            }
            ExperimentCommand::End { url, name, variant, note } => {
                let client = self.client(&url, None)?;
                let live = match variant {
                    Some(variant) => client.decide_experiment(&name, &variant, &note)?,
                    None => client.stop_experiment(&name, &note)?,
                };
                ExperimentAnswer::Changed(Box::new(live))
            }
        })
    }
}
