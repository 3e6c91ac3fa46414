//! The workspace: the one facade over the rooms, and all that the command line and the window call.
//!
//! In: commands on a project. Out: plain results, and updates of jobs that take long. It reads and writes
//! the project folder, runs the circle (import, view, train, publish, deploy, score, pull, verify) and
//! talks to endpoints over HTTP like any other client. Never: pixels, terminals, or exit codes.

mod answer;
mod client;
mod command;
mod definitions;
mod demo;
mod error;
mod exchanging;
mod experimenting;
mod going_live;
mod local_endpoint;
mod modeling;
mod monitoring;
mod preview;
mod project;
mod proposing;
mod runs;
mod sample;
mod segments;
mod session;
mod shop;
mod views;

pub use answer::{Answer, CustomerView, EndpointView, FunctionEntry, Overview};
pub use client::{
    Activity, Challenger, Client, Deployment, EndpointHealth, LiveCustomer, LiveEvent, LiveScore,
    Parity, Reason, ReasonEvent, Recommended, Rehearsal, Rollout, Spread,
};
pub use command::{Command, Slot};
pub use definitions::{MAX_DEFINITION_BYTES, keep_window};
pub use demo::{DemoReport, run_demo};
pub use error::Error;
pub use exchanging::ImportedModel;
pub use experimenting::{
    Advice, ArmReadout, EffectReadout, ExperimentAnswer, ExperimentCommand, Guardrail, LiveArm,
    LiveChange, LiveDecision, LiveExperiment, Look, MetricPlan, MetricReadout, Novelty,
    PolicyReadout, PowerPlan, Readout, SegmentReadout, Verdict,
};
pub use going_live::{Erasure, Published, Pulls, Verified};
pub use local_endpoint::LocalEndpoint;
pub use modeling::{TrainReport, TrainingSetReport, Tried, TriedAlgorithm};
pub use monitoring::{
    LiveAttempt, LiveBin, LiveDelivery, LiveMoved, LiveOutcomeBin, LiveOutcomes, LivePoint,
    LiveReport, LiveRule, LiveRules, LiveSecrets, MonitorAnswer, MonitorCommand, Watched,
};
pub use preview::{Draft, FeatureSummary, LabelBin, LabelRelation, Marked, Preview};
pub use project::{KnownEndpoint, Project};
pub use runs::Run;
pub use sample::{CDNOW_EVENT, Sample, sample_folder};
pub use segments::{SELECTION, SegmentDefinition};
pub use session::{JobId, Session, Update};
pub use shop::{Generated, Truth, generate, truth};
pub use views::ViewReport;

// What the facade speaks in; cli and app need no other room.
pub use kernel::domain::{
    EXPOSURE, ErrorKind, Event, IDENTIFY, Job, Name, Progress, Properties, SCORE, Span, SpanError,
    Time, Type, Value, did_you_mean, is_system,
};
pub use kernel::experiments::{
    Allocation, ExperimentDefinition, Goal, Layer, Measure, MetricDefinition, MetricRole,
    VariantDefinition,
};
pub use kernel::expression::Function;
pub use kernel::features::{
    AggregationName, Catalog, FeatureDefinition, Knowledge, LabelDefinition, SpineDefinition,
    ViewDefinition,
};
pub use kernel::monitoring::{Drift, OVER as MONITOR_OVER, RuleDefinition, Subject};
pub use kernel::scoring::FunctionFile;
pub use models::experiments::{Interval, RatioMismatch};
pub use models::{
    Algorithm, CalibrationKind, Chart, Costs, Evaluation, Importance, LifetimeSection, Metric,
    ModelDefinition, ModelSpec, Objective, Parameter, RankingSection, RecommendationSection,
    SearchSection, SegmentProfile, Series, SplitBy, SplitDefinition, Task, UpliftSection,
};
pub use warehouse::import::{
    ColumnMapping, Decimal, ImportReport, Mapping, Options, Proposal, ProposedColumn, Reject,
    RowKind,
};
pub use warehouse::insights;
pub use warehouse::{
    Arrangement, ColumnSummary, CustomerList, CustomerSort, CustomerSummary, EventKind,
    ExportFormat, HeldPage, MOST_PROPERTIES, PropertyUse, QueryResult, Retyped, SqlError, Summary,
    before,
};

/// The result of a workspace call.
pub type Result<T> = std::result::Result<T, Error>;
