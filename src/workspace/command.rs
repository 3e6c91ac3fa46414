use std::path::PathBuf;

use kernel::domain::{Name, Time};
use kernel::features::ViewDefinition;
use models::ModelSpec;
use serde::{Deserialize, Serialize};
use warehouse::import::Options;
use warehouse::insights::{InsightSpec, Point};
use warehouse::{Arrangement, CustomerList};

use crate::client::Rollout;
use crate::experimenting::ExperimentCommand;
use crate::monitoring::MonitorCommand;
use crate::preview::Draft;
use crate::segments::SegmentDefinition;

/// A place of the window that shows one answer: what is asked for it later replaces what was asked before.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Slot(pub u64);

/// What the window asks for. Each runs as a job of its own, away from the window's thread.
#[derive(Clone, Debug)]
pub enum Command {
    /// Opens a project; fills it with the sample if that is asked for and it is empty.
    Open {
        /// The folder.
        folder: PathBuf,
        /// Whether to fill it.
        sample: bool,
    },
    /// The kinds of events that there are, with their properties.
    Inventory,
    /// What there is: summary, catalog and definitions.
    Look,
    /// Looks at files and proposes how to import them.
    Propose(Vec<PathBuf>, Options),
    /// Imports files.
    Import(Vec<PathBuf>, Options),
    /// Lists the first customers of a list, at most so many.
    Customers(CustomerList, usize),
    /// One customer: events, and features of a view as of a time (or the last event).
    Customer {
        /// Who.
        customer_id: String,
        /// Which features.
        view: Option<Name>,
        /// As of when.
        as_of: Option<Time>,
    },
    /// How the numbers of a view are spread over customers.
    Distributions(Name),
    /// Runs a query.
    Query(Slot, String),
    /// Keeps all rows of a query, for pages of them.
    Hold(Slot, String),
    /// Rows that are kept, in an arrangement, from a place on.
    Page(Slot, Arrangement, u64),
    /// Saves a query under a name.
    SaveQuery(Name, String),
    /// Writes the rows of a query to a file.
    Export(String, PathBuf),
    /// Computes an insight.
    Insight(Slot, InsightSpec),
    /// Lists the customers behind a point of an insight; perhaps they are what is chosen from now on.
    People {
        /// Where the insight is.
        slot: Slot,
        /// What it asks.
        spec: InsightSpec,
        /// The point.
        point: Point,
        /// Whether they are chosen.
        select: bool,
    },
    /// Chooses customers.
    Select(Slot, Vec<String>),
    /// Writes the numbers of an insight to a file.
    ExportInsight(InsightSpec, PathBuf),
    /// Saves an insight under a name.
    SaveInsight(Name, InsightSpec),
    /// Saves a board under a name: tiles side by side, as the window wrote them.
    SaveBoard(Name, String),
    /// Keeps what the window shows for the next time, as the window wrote it.
    KeepWindow(String),
    /// Saves a segment.
    SaveSegment(SegmentDefinition),
    /// Computes a view that may not be saved yet.
    Preview(Draft),
    /// Makes a first view of what there is, and saves it under a name.
    ProposeView(Name),
    /// Saves a view.
    SaveView(ViewDefinition),
    /// Saves a model spec.
    SaveModel(ModelSpec),
    /// Trains a model.
    Train(Name),
    /// Saves a model spec and tries all algorithms of its task, for about so many seconds.
    TryAll(ModelSpec, f64),
    /// The runs of a model.
    Runs(Name),
    /// Makes the function of a run the one that is deployed.
    UseRun(Name, String),
    /// Makes a function of a model that was trained elsewhere.
    ImportModel {
        /// Its file.
        file: PathBuf,
        /// The view whose features its columns are.
        view: Name,
        /// The name of the function.
        name: Name,
    },
    /// Writes the model of a function as ONNX.
    ExportModel(Name, PathBuf),
    /// Starts an endpoint on this machine, or finds the one that runs.
    GoLive,
    /// Stops the endpoint that this session started.
    StopEndpoint,
    /// What is live at an endpoint.
    Endpoint(String),
    /// Works with an endpoint elsewhere, with an admin key of it.
    Connect {
        /// Where it is.
        url: String,
        /// The key.
        key: String,
    },
    /// Publishes history, uploads a function, and says what it would have said to the latest requests.
    Rehearse {
        /// The endpoint.
        url: String,
        /// The function.
        function: Name,
        /// The name to be live under.
        name: Name,
    },
    /// Publishes history, uploads a function, and makes it live.
    Deploy {
        /// The endpoint.
        url: String,
        /// The function.
        function: Name,
        /// The name to be live under.
        name: Name,
        /// As what.
        role: Rollout,
    },
    /// The challenger, or else the shadow, is champion.
    Promote(String, Name),
    /// There is no challenger and no shadow any more.
    StopRollout(String, Name),
    /// The version before is champion again.
    RollBack(String, Name),
    /// What happens at the endpoint.
    Activity(String),
    /// A customer as the endpoint knows them.
    LiveCustomer {
        /// The endpoint.
        url: String,
        /// Who.
        customer_id: String,
    },
    /// An explained score of a customer, which is recorded.
    Score {
        /// The endpoint.
        url: String,
        /// The deployment.
        name: String,
        /// Who.
        customer_id: String,
    },
    /// Sends an event to the endpoint, as an application would.
    Send {
        /// The endpoint.
        url: String,
        /// Who.
        customer_id: String,
        /// What.
        event: String,
        /// Its properties, as JSON.
        properties: String,
    },
    /// Pulls live events.
    Pull(String),
    /// Compares live and offline scores.
    Verify(String, Name),
    /// Something about experiments.
    Experiment(ExperimentCommand),
    /// Something about what is live.
    Monitor(MonitorCommand),
}

impl Command {
    /// The kind of a command, as a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Look => "look",
            Self::Inventory => "inventory",
            Self::Propose(..) => "propose",
            Self::Import(..) => "import",
            Self::Customers(..) => "customers",
            Self::Customer { .. } => "customer",
            Self::Distributions(_) => "distributions",
            Self::Query(..) => "query",
            Self::Hold(..) => "hold",
            Self::Page(..) => "page",
            Self::SaveQuery(..) => "save-query",
            Self::Export(..) => "export",
            Self::Insight(..) => "insight",
            Self::People { .. } => "people",
            Self::Select(..) => "select",
            Self::SaveBoard(..) => "save-board",
            Self::KeepWindow(_) => "keep-window",
            Self::ExportInsight(..) => "export-insight",
            Self::SaveInsight(..) => "save-insight",
            Self::SaveSegment(_) => "save-segment",
            Self::Preview(_) => "preview",
            Self::ProposeView(_) => "propose-view",
            Self::SaveView(_) => "save-view",
            Self::SaveModel(_) => "save-model",
            Self::Train(_) | Self::TryAll(..) => "train",
            Self::Runs(_) => "runs",
            Self::UseRun(..) => "use-run",
            Self::ImportModel { .. } => "import-model",
            Self::ExportModel(..) => "export-model",
            Self::GoLive => "go-live",
            Self::StopEndpoint => "stop-endpoint",
            Self::Endpoint(_) => "endpoint",
            Self::Connect { .. } => "connect",
            Self::Rehearse { .. } => "rehearse",
            Self::Deploy { .. } => "deploy",
            Self::Promote(..) => "promote",
            Self::StopRollout(..) => "stop-rollout",
            Self::RollBack(..) => "roll-back",
            Self::Activity(_) => "activity",
            Self::LiveCustomer { .. } => "live-customer",
            Self::Score { .. } => "score",
            Self::Send { .. } => "send",
            Self::Pull(_) => "pull",
            Self::Verify(..) => "verify",
            Self::Experiment(command) => command.kind(),
            Self::Monitor(command) => command.kind(),
        }
    }

    /// The place that its answer is for. Only one place shows most of them.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match self {
            Self::Query(slot, _)
            | Self::Hold(slot, _)
            | Self::Page(slot, ..)
            | Self::Insight(slot, _) => *slot,
            _ => Slot(0),
        }
    }

    /// Whether only the latest of its kind matters.
    pub(crate) const fn replaces_earlier(&self) -> bool {
        matches!(
            self,
            Self::Look
                | Self::Inventory
                | Self::Propose(..)
                | Self::Customers(..)
                | Self::Customer { .. }
                | Self::Distributions(_)
                | Self::Query(..)
                | Self::Hold(..)
                | Self::Page(..)
                | Self::Insight(..)
                | Self::People { .. }
                | Self::Select(..)
                | Self::Preview(_)
                | Self::Runs(_)
                | Self::Rehearse { .. }
                | Self::Activity(_)
                | Self::Monitor(MonitorCommand::Look { .. })
                | Self::Experiment(
                    ExperimentCommand::List(_)
                        | ExperimentCommand::Plan(_)
                        | ExperimentCommand::ReadOut { .. }
                )
        )
    }

    /// What it does, as a person reads it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Open { .. } => "Opening the project".to_owned(),
            Self::Look => "Reading the project".to_owned(),
            Self::Inventory => "Looking through the events".to_owned(),
            Self::Propose(..) => "Looking at the files".to_owned(),
            Self::Import(..) => "Importing".to_owned(),
            Self::Customers(..) => "Listing customers".to_owned(),
            Self::Customer { customer_id, .. } => format!("Reading customer {customer_id}"),
            Self::Distributions(view) => format!("Computing {view} of all customers"),
            Self::Query(..) => "Running the query".to_owned(),
            Self::Hold(..) => "Fetching all rows".to_owned(),
            Self::Page(..) => "Fetching rows".to_owned(),
            Self::SaveQuery(name, _) => format!("Saving {name}"),
            Self::Export(..) => "Writing a file".to_owned(),
            Self::Insight(_, spec) => format!("Computing {}", spec.kind()),
            Self::People { .. } => "Looking for the people".to_owned(),
            Self::Select(..) => "Choosing customers".to_owned(),
            Self::SaveBoard(name, _) => format!("Saving {name}"),
            Self::KeepWindow(_) => "Keeping what is shown".to_owned(),
            Self::ExportInsight(..) => "Writing a file".to_owned(),
            Self::SaveInsight(name, _) => format!("Saving {name}"),
            Self::SaveSegment(segment) => format!("Saving segment {}", segment.name),
            Self::Preview(_) => "Computing features".to_owned(),
            Self::ProposeView(_) => "Looking for features".to_owned(),
            Self::SaveView(definition) => format!("Saving view {}", definition.name),
            Self::SaveModel(spec) => format!("Saving model {}", spec.name),
            Self::Train(name) => format!("Training {name}"),
            Self::TryAll(spec, _) => format!("Trying all algorithms for {}", spec.name),
            Self::Runs(name) => format!("Reading the runs of {name}"),
            Self::UseRun(name, _) => format!("Choosing a run of {name}"),
            Self::ImportModel { name, .. } => format!("Importing {name}"),
            Self::ExportModel(..) => "Writing a file".to_owned(),
            Self::GoLive => "Starting an endpoint".to_owned(),
            Self::StopEndpoint => "Stopping the endpoint".to_owned(),
            Self::Endpoint(_) => "Asking the endpoint".to_owned(),
            Self::Deploy { function, .. } => format!("Deploying {function}"),
            Self::Connect { url, .. } => format!("Connecting to {url}"),
            Self::Rehearse { function, .. } => format!("Replaying requests with {function}"),
            Self::Promote(_, name) => format!("Promoting {name}"),
            Self::StopRollout(_, name) => format!("Ending the rollout of {name}"),
            Self::RollBack(_, name) => format!("Rolling back {name}"),
            Self::Activity(_) => "Looking at the endpoint".to_owned(),
            Self::LiveCustomer { customer_id, .. } => format!("Asking for {customer_id}"),
            Self::Score { customer_id, .. } => format!("Scoring customer {customer_id}"),
            Self::Send { .. } => "Sending an event".to_owned(),
            Self::Pull(_) => "Pulling live events".to_owned(),
            Self::Verify(_, name) => format!("Verifying {name}"),
            Self::Experiment(command) => command.title(),
            Self::Monitor(command) => command.title(),
        }
    }
}
