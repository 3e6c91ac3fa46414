use kernel::domain::{Name, Span};
use kernel::monitoring::RuleDefinition;

use super::{LiveDelivery, LiveReport, LiveRules};
use crate::{Project, Result};

/// What the window asks for to watch what is live.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorCommand {
    /// How a deployment does, and what rules say.
    Look {
        /// The endpoint.
        url: String,
        /// The deployment; none asks for the rules only.
        name: Option<Name>,
        /// The period.
        over: Span,
    },
    /// Saves a rule, and puts it at an endpoint.
    Put {
        /// The endpoint.
        url: String,
        /// The rule.
        rule: Box<RuleDefinition>,
    },
    /// Removes a rule from an endpoint; its file stays.
    Remove(String, Name),
    /// Sends something to the webhook of a rule.
    Test(String, Name),
    /// Sends something again.
    Again(String, String),
}

/// What came of a command to watch what is live.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorAnswer {
    /// What is there.
    Looked(Box<Watched>),
    /// Something was changed; this says what.
    Changed(String),
}

/// A deployment, and the rules of its endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// How the deployment does.
    pub report: Option<LiveReport>,
    /// The rules.
    pub rules: LiveRules,
    /// What they told, newest first.
    pub deliveries: Vec<LiveDelivery>,
}

/// Deliveries that are shown.
const SHOWN: usize = 100;

impl MonitorCommand {
    /// The kind, as a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Look { .. } => "monitor",
            Self::Put { .. } | Self::Remove(..) => "change-rule",
            Self::Test(..) | Self::Again(..) => "deliver",
        }
    }

    /// What it does, as a person reads it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Look { .. } => "Asking how it does".to_owned(),
            Self::Put { rule, .. } => format!("Starting the rule {}", rule.name),
            Self::Remove(_, name) => format!("Removing the rule {name}"),
            Self::Test(_, name) => format!("Testing the rule {name}"),
            Self::Again(..) => "Sending again".to_owned(),
        }
    }
}

impl Project {
    pub(crate) fn run_monitor(&self, command: MonitorCommand) -> Result<MonitorAnswer> {
        Ok(match command {
            MonitorCommand::Look { url, name, over } => {
                let client = self.client(&url, None)?;
                let report = name.map(|name| client.monitor(name.as_str(), over, None));
                MonitorAnswer::Looked(Box::new(Watched {
                    report: report.transpose()?,
                    rules: client.rules()?,
                    deliveries: client.deliveries(None, SHOWN)?,
                }))
            }
            MonitorCommand::Put { url, rule } => {
                self.save_rule(&rule)?;
                let live = self.client(&url, None)?.put_rule(&rule)?;
                MonitorAnswer::Changed(format!("{} is {}", live.definition.name, live.state))
            }
            MonitorCommand::Remove(url, name) => {
                self.client(&url, None)?.remove_rule(&name)?;
                MonitorAnswer::Changed(format!("{name} is removed"))
            }
            MonitorCommand::Test(url, name) => {
                self.client(&url, None)?.test_rule(&name)?;
                MonitorAnswer::Changed(format!("{name} sends a test"))
            }
            MonitorCommand::Again(url, id) => {
                let told = self.client(&url, None)?.deliver_again(&id)?;
                MonitorAnswer::Changed(format!("{} is sent again", told.rule))
            }
        })
    }
}
