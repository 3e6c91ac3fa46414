use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::domain::{Event, Name, Time, Type, Value};
use kernel::experiments::ExperimentDefinition;
use kernel::features::{Catalog, ViewDefinition};
use kernel::monitoring::RuleDefinition;
use models::ModelSpec;
use warehouse::import::{ImportReport, Proposal};
use warehouse::insights::{Insight, InsightSpec};
use warehouse::{ColumnSummary, CustomerSummary, EventKind, HeldPage, QueryResult, Summary};

use crate::KnownEndpoint;
use crate::client::{Activity, Deployment, LiveCustomer, LiveScore, Rehearsal};
use crate::command::Slot;
use crate::experimenting::ExperimentAnswer;
use crate::going_live::{Published, Pulls, Verified};
use crate::modeling::{TrainReport, Tried};
use crate::monitoring::MonitorAnswer;
use crate::preview::Preview;
use crate::runs::Run;

/// What a command gave.
#[derive(Debug)]
pub enum Answer {
    /// A project is open: its name and folder.
    Opened {
        /// What it is called.
        name: String,
        /// Where it is.
        folder: PathBuf,
        /// What the window showed when it was open before.
        window: Option<String>,
    },
    /// What there is.
    Looked(Box<Overview>),
    /// How to import files.
    Proposed(Box<Proposal>),
    /// What was imported.
    Imported(Box<ImportReport>),
    /// A page of customers, from a place on, and how many there are.
    Customers(Vec<CustomerSummary>, u64),
    /// One customer.
    Customer(Box<CustomerView>),
    /// How the numbers of a view are spread over customers.
    Distributions(Name, BTreeMap<Name, Vec<f64>>),
    /// The rows of a query, and what their columns are like.
    Queried(Slot, QueryResult, Vec<ColumnSummary>),
    /// All rows of a query are kept: how many, and what their columns are like.
    Held(Slot, u64, Vec<ColumnSummary>),
    /// A page of rows that are kept.
    Page(Slot, HeldPage),
    /// A query was saved.
    SavedQuery(Name),
    /// A file was written.
    Exported(PathBuf),
    /// An insight, and what was asked.
    Insight(Slot, Box<Insight>, Box<InsightSpec>),
    /// The customers behind a point; perhaps they are what is chosen now, from a place.
    People(Vec<String>, Option<Slot>),
    /// So many customers are chosen, from a place.
    Selected(Slot, usize),
    /// A board was saved.
    SavedBoard(Name),
    /// What the window shows is kept.
    KeptWindow,
    /// An insight was saved.
    SavedInsight(Name),
    /// A segment was saved, which has so many customers.
    SavedSegment(Name, usize),
    /// What a view is like.
    Previewed(Box<Preview>),
    /// A view was saved.
    SavedView(Name),
    /// A model spec was saved.
    SavedModel(Name),
    /// A model was trained.
    Trained(Box<TrainReport>),
    /// Algorithms were tried.
    Tried(Box<Tried>),
    /// The runs of a model, latest first.
    Runs(Name, Vec<Run>),
    /// A run is what is deployed now.
    UsedRun(Name, String),
    /// A model that was trained elsewhere is a function; remarks on how it was read.
    ImportedModel(Name, Vec<String>),
    /// An endpoint runs.
    Live(String),
    /// The endpoint was stopped.
    Stopped,
    /// What is live at an endpoint.
    Endpoint(EndpointView),
    /// A function went live.
    Deployed(Deployment, Published),
    /// What a function would have said.
    Rehearsed(Box<Rehearsal>),
    /// Another version answers: what was done, and what is live now.
    Switched(&'static str, Deployment),
    /// What happens at the endpoint.
    Activity(Box<Activity>),
    /// A customer at the endpoint; none if they are not known there.
    LiveCustomer(Option<Box<LiveCustomer>>),
    /// A score.
    Scored(Box<LiveScore>),
    /// The kinds of events that there are.
    Inventory(Vec<EventKind>),
    /// An event was taken.
    Sent,
    /// What was pulled.
    Pulled(Pulls),
    /// How live and offline compare.
    Verified(Verified),
    /// Something about experiments.
    Experiment(ExperimentAnswer),
    /// Something about what is live.
    Monitor(MonitorAnswer),
}

/// What there is in a project.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Events and customers at a glance.
    pub summary: Summary,
    /// What is known of the data.
    pub catalog: Catalog,
    /// The views, as far as their files can be read.
    pub views: Vec<ViewDefinition>,
    /// The model specs, as far as their files can be read.
    pub models: Vec<ModelSpec>,
    /// The functions: name, hash, metrics of the test part.
    pub functions: Vec<FunctionEntry>,
    /// The saved insights, as far as their files can be read.
    pub insights: Vec<(Name, InsightSpec)>,
    /// The names of the segments.
    pub segments: Vec<Name>,
    /// The experiments, as far as their files can be read.
    pub experiments: Vec<ExperimentDefinition>,
    /// The rules, as far as their files can be read.
    pub rules: Vec<RuleDefinition>,
    /// The saved queries.
    pub queries: Vec<(Name, String)>,
    /// The saved boards, as the window wrote them.
    pub boards: Vec<(Name, String)>,
    /// Endpoints that the project works with.
    pub endpoints: Vec<(String, KnownEndpoint)>,
    /// What is wrong with files that cannot be read.
    pub problems: Vec<String>,
}

impl Overview {
    /// The event that is most likely an order, by its name; among several the most frequent.
    #[must_use]
    pub fn order_event(&self) -> Option<&str> {
        let events = self.summary.by_event.iter().map(|(event, _)| event.as_str());
        named(events, &["order", "purchase", "buy", "paid", "checkout"])
    }

    /// The number that is most likely the worth of an order, by its name.
    #[must_use]
    pub fn worth_property(&self) -> Option<&str> {
        let numbers = self.catalog.properties.iter();
        let numbers = numbers.filter(|(_, type_)| **type_ == Type::Number);
        let words = ["amount", "total", "revenue", "value", "price"];
        named(numbers.map(|(name, _)| name.as_str()), &words)
    }
}

/// The first that has the first of some words in it, or else the second, and so on.
fn named<'a>(names: impl Iterator<Item = &'a str> + Clone, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| names.clone().find(|name| name.to_lowercase().contains(word)))
}

/// A scoring function in a list.
#[derive(Clone, Debug)]
pub struct FunctionEntry {
    /// Its name.
    pub name: Name,
    /// Its hash.
    pub hash: String,
    /// AUC on the test part, if it has one.
    pub auc: Option<f64>,
}

/// One customer.
#[derive(Clone, Debug)]
pub struct CustomerView {
    /// Who.
    pub customer_id: String,
    /// Their events, in order.
    pub events: Vec<Event>,
    /// Their features as of a time.
    pub features: Vec<(Name, Value)>,
    /// For each feature, the events that it comes from, as places among the events.
    pub evidence: Vec<Vec<usize>>,
    /// The segments that they are in.
    pub segments: Vec<Name>,
    /// As of when.
    pub as_of: Time,
}

/// An endpoint as the window shows it.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Where it is.
    pub url: String,
    /// What is live there.
    pub deployments: Vec<Deployment>,
    /// Seconds by which the clock of its machine is ahead of the endpoint's, or behind if negative.
    pub clock_difference_seconds: f64,
}
