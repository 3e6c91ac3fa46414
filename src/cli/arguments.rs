use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use workspace::insights::InsightKind;

/// A workbench for customer data: from raw events to a live decision about one customer.
#[derive(Debug, Parser)]
#[command(name = "fullcircle", version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do; without it, the workbench opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The project of the workbench; without it, the bundled sample.
    #[arg(long)]
    pub project: Option<PathBuf>,
}

/// What can be done without the window.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole circle headless on the bundled CDNOW data, a line and a figure a step.
    Demo(Demo),
    /// Generate the events of a synthetic shop.
    Generate(Generate),
    /// Import events or traits from files, folders or globs.
    Import(Import),
    /// Run a SQL query that reads.
    Query(Query),
    /// Compute an insight from a spec.
    Insight(Insight),
    /// Show one customer.
    Customer(Customer),
    /// Compute a view for all customers.
    View(View),
    /// Compute the training set of a model.
    TrainingSet(TrainingSet),
    /// Train a model and freeze it into a scoring function.
    Train(Train),
    /// List the trainings of a model side by side, and choose the one to deploy.
    Runs(Runs),
    /// Write a function's model as ONNX, or make a function of a model trained elsewhere (ONNX, LightGBM).
    Onnx(Onnx),
    /// Serve an endpoint until it is told to stop.
    Serve(Serve),
    /// Publish the history of the project's customers to an endpoint.
    Publish(ToEndpoint),
    /// Put a scoring function live under a name.
    Deploy(Deploy),
    /// Make the version before champion again.
    Rollback(AtEndpoint),
    /// Make the challenger, or else the shadow, the champion.
    Promote(AtEndpoint),
    /// Plan, start, read out and decide experiments.
    Experiment(Experiment),
    /// How a deployment does: requests, drift against the training set, outcomes.
    Monitor(Monitor),
    /// Rules that tell somebody what happens at an endpoint.
    Rule(Rule),
    /// List, make, replace and end the keys of an endpoint.
    Keys(Keys),
    /// Copy an endpoint's data while it runs.
    Backup(Backup),
    /// Ask for a customer's score.
    Score(Score),
    /// Pull new live events into the warehouse, exactly once.
    Pull(Pull),
    /// Compare live and offline scores bit for bit.
    Verify(Verify),
}

/// Print one JSON object instead of text.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The project to work on.
#[derive(Debug, Args)]
pub struct InProject {
    /// The project folder; made if it is not there.
    #[arg(long)]
    pub project: PathBuf,
}

/// `fullcircle demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the project in this folder.
    #[arg(long)]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// Formats of generated files.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Text separated by commas.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Ndjson,
}

/// `fullcircle generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// Customers.
    #[arg(long, default_value_t = 5_000)]
    pub customers: usize,
    /// Events, about.
    #[arg(long, default_value_t = 200_000)]
    pub events: usize,
    /// What everything follows from.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Format of the files.
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    pub format: Format,
    /// The file with the events; customers go beside it, as NAME-customers.
    #[arg(long)]
    pub out: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle import`.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub to: InProject,
    /// Files, folders or globs: CSV, TSV, blanks, Parquet, NDJSON, gzipped or not.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The column that says who.
    #[arg(long)]
    pub customer: Option<String>,
    /// The column that says when.
    #[arg(long)]
    pub time: Option<String>,
    /// How times are written: iso, epoch_s, epoch_ms, epoch_us, or a pattern like %d.%m.%Y.
    #[arg(long)]
    pub time_format: Option<String>,
    /// The column that says what.
    #[arg(long, conflicts_with_all = ["event_name", "traits"])]
    pub event: Option<String>,
    /// What every row is.
    #[arg(long, conflicts_with = "traits")]
    pub event_name: Option<String>,
    /// Each row sets traits of a customer.
    #[arg(long)]
    pub traits: bool,
    /// The column with an id for each row.
    #[arg(long)]
    pub message_id: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle query`.
#[derive(Debug, Args)]
pub struct Query {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The query; tables are events, customers, traits, imports and rejected_rows.
    pub sql: String,
    /// Write all rows to this file: .csv, .parquet or .json.
    #[arg(long)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle insight`.
#[derive(Debug, Args)]
pub struct Insight {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// Which insight: trends, retention, funnel, lifecycle, stickiness, paths or segments.
    pub kind: InsightKind,
    /// Its spec, as TOML; without it, the usual one.
    #[arg(long)]
    pub spec: Option<PathBuf>,
    /// Write the numbers to this file (.csv, .parquet or .json), one row a point.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Print the SQL that gives the same numbers, and compute nothing else.
    #[arg(long)]
    pub sql: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle customer`.
#[derive(Debug, Args)]
pub struct Customer {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// Who.
    pub id: String,
    /// As of when; without it, after the last event.
    #[arg(long)]
    pub as_of: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle view`.
#[derive(Debug, Args)]
pub struct View {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The view.
    pub name: String,
    /// As of when; without it, after the last event.
    #[arg(long)]
    pub as_of: Option<String>,
    /// Read only what had been received before that time.
    #[arg(long)]
    pub as_known: bool,
    /// Print the same as DuckDB SQL.
    #[arg(long)]
    pub sql: bool,
    /// Write the rows to this file (.parquet, .csv or .json); without it, they become the table
    /// views.NAME of the project's warehouse.
    #[arg(long)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle training-set`.
#[derive(Debug, Args)]
pub struct TrainingSet {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The model.
    pub model: String,
    /// Take the rows from this file instead of the model's spine: customer_id, as_of, then what the view
    /// reads as context, and perhaps label.
    #[arg(long)]
    pub spine: Option<PathBuf>,
    /// Write the rows to this file (.parquet, .csv or .json); without it, they become the table
    /// training_sets.MODEL of the project's warehouse.
    #[arg(long)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle train`.
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The model.
    pub model: String,
    /// Try the algorithms of the model's task, judge them by cross-validation, and keep the best.
    #[arg(long)]
    pub try_all: bool,
    /// For how long new algorithms are begun, with --try-all.
    #[arg(long, default_value = "120", value_name = "SECONDS", requires = "try_all")]
    pub budget: f64,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle runs`.
#[derive(Debug, Args)]
pub struct Runs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The model.
    pub model: String,
    /// Make the function of this run (its hash, or the beginning of it) the one that is deployed.
    #[arg(long, value_name = "RUN")]
    pub r#use: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle onnx`.
#[derive(Debug, Args)]
pub struct Onnx {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// What to do.
    #[command(subcommand)]
    pub command: OnnxCommand,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// What to do with ONNX files.
#[derive(Debug, Subcommand)]
pub enum OnnxCommand {
    /// Write the model of a function: encoded columns in, a score out.
    Export {
        /// The function.
        function: String,
        /// The file.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make a function of a linear model or a tree ensemble in ONNX, or of boosted trees in LightGBM's text.
    Import {
        /// The file.
        file: PathBuf,
        /// The view whose features are the model's columns, in their order.
        #[arg(long)]
        view: String,
        /// The name of the function.
        #[arg(long)]
        name: String,
    },
}

/// Stores of an endpoint.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Store {
    /// One process, one folder.
    Embedded,
}

/// `fullcircle serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Its data folder; made if it is not there.
    #[arg(long)]
    pub data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7360")]
    pub listen: SocketAddr,
    /// Where its data is.
    #[arg(long, value_enum, default_value_t = Store::Embedded)]
    pub store: Store,
    /// Memory for recently used timelines, in MB.
    #[arg(long, default_value_t = 512)]
    pub memory: usize,
    /// Forget events and scores that happened longer ago, in days; traits stay.
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<u32>,
    /// Forget all but the latest events of a customer; traits stay.
    #[arg(long, value_name = "N")]
    pub keep_events: Option<usize>,
    /// Take administration from other machines too, by whoever has an admin key.
    #[arg(long)]
    pub allow_remote_administration: bool,
    /// When it is told to stop, say that it is not ready for so many seconds before it does.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub stop_delay: f64,
    /// How its log is written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle monitor`.
#[derive(Debug, Args)]
pub struct Monitor {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The name that the function is live under.
    pub name: String,
    /// The period up to now: 15m to 7d.
    #[arg(long, default_value = "1d")]
    pub over: String,
    /// The version; the champion if not said.
    #[arg(long)]
    pub version: Option<u32>,
    /// The project that knows its admin key; or set FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// Rules.
#[derive(Debug, Args)]
pub struct Rule {
    /// What to do.
    #[command(subcommand)]
    pub command: RuleCommand,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long, global = true, default_value = "http://127.0.0.1:7360")]
    pub to: String,
    /// The project that has the rule and knows the endpoint's admin key; or set FULLCIRCLE_KEY.
    #[arg(long, global = true)]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// All rules at an endpoint, and whether they hold.
    List,
    /// Put a rule of the project at an endpoint, rules/NAME.toml; one with another definition begins anew.
    Put {
        /// The rule.
        name: String,
    },
    /// Remove a rule from an endpoint; its file stays.
    Remove {
        /// The rule.
        name: String,
    },
    /// Send something to the webhook of a rule, to see whether it arrives.
    Test {
        /// The rule.
        name: String,
    },
    /// What rules told, newest first, and whether it arrived.
    Deliveries {
        /// Of this rule only.
        #[arg(long)]
        rule: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Send something again.
    Again {
        /// The delivery.
        id: String,
    },
    /// What webhooks are signed with, for whoever receives them.
    Secret {
        /// Make another one; for a day both sign.
        #[arg(long)]
        rotate: bool,
    },
}

/// Experiments.
#[derive(Debug, Args)]
pub struct Experiment {
    /// What to do.
    #[command(subcommand)]
    pub command: ExperimentCommand,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// What to do with experiments.
#[derive(Debug, Subcommand)]
pub enum ExperimentCommand {
    /// How long it would take, from what customers did until now.
    Plan {
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would print it")]
        of: InProject,
        /// The experiment, experiments/NAME.toml.
        name: String,
    },
    /// Start it at an endpoint; with another definition than before it begins anew.
    Start {
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would print it")]
        of: InProject,
        /// The experiment, experiments/NAME.toml.
        name: String,
        /// The endpoint, like http://127.0.0.1:7360.
        #[arg(long)]
        to: String,
    },
    /// All that were ever started at an endpoint, with what bandits have learned.
    List {
        /// The endpoint, like http://127.0.0.1:7360.
        #[arg(long)]
        to: String,
        /// The project that knows its key; or set FULLCIRCLE_KEY.
        #[arg(long)]
        project: Option<PathBuf>,
    },
    /// What a customer gets; who gets it for the first time is exposed.
    Ask {
        /// The endpoint, like http://127.0.0.1:7360.
        #[arg(long)]
        to: String,
        /// The project that knows its key; or set FULLCIRCLE_KEY.
        #[arg(long)]
        project: Option<PathBuf>,
        /// The experiment.
        name: String,
        /// Who.
        customer_id: String,
    },
    /// What came of it, from the events in the warehouse, and what to do.
    Readout {
        #[command(flatten)]
        #[allow(missing_docs, reason = "clap would print it")]
        of: InProject,
        /// The experiment, experiments/NAME.toml.
        name: String,
        /// The version; the latest if not said.
        #[arg(long)]
        version: Option<u32>,
        /// Pull new events from this endpoint first.
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// Print the metrics as SQL instead.
        #[arg(long)]
        sql: bool,
    },
    /// Give everybody a variant; a version of a deployment becomes champion.
    Decide {
        /// The endpoint, like http://127.0.0.1:7360.
        #[arg(long)]
        to: String,
        /// The project that knows its admin key; or set FULLCIRCLE_KEY.
        #[arg(long)]
        project: Option<PathBuf>,
        /// The experiment.
        name: String,
        /// The variant.
        #[arg(long)]
        variant: String,
        /// Why, for the decision log.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Give everybody the control.
    Stop {
        /// The endpoint, like http://127.0.0.1:7360.
        #[arg(long)]
        to: String,
        /// The project that knows its admin key; or set FULLCIRCLE_KEY.
        #[arg(long)]
        project: Option<PathBuf>,
        /// The experiment.
        name: String,
        /// Why, for the decision log.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// The keys of an endpoint.
#[derive(Debug, Args)]
pub struct Keys {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The project that knows its admin key; or set FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// All keys, without the keys themselves.
    List,
    /// Make a key, which is printed once.
    New {
        /// What it is for.
        #[arg(value_enum)]
        role: KeyRole,
        /// Requests a second that it may make.
        #[arg(long, value_name = "N")]
        requests_per_second: Option<f64>,
    },
    /// Make a key that replaces another.
    Rotate {
        /// The id of the old one.
        id: String,
        /// Seconds that the old one stays valid; a day if not said.
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<f64>,
    },
    /// End a key at once.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyRole {
    /// To send events.
    Write,
    /// To ask for scores and customers.
    Score,
    /// To deploy, and everything else.
    Admin,
}

impl KeyRole {
    /// Its name at the endpoint.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }
}

/// A backup of an endpoint.
#[derive(Debug, Args)]
pub struct Backup {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The project that knows its admin key; or set FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text an entry.
    Text,
    /// A JSON object a line.
    Json,
}

/// A project and an endpoint.
#[derive(Debug, Args)]
pub struct ToEndpoint {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The scoring function of the project.
    pub function: String,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The name to be live under.
    #[arg(long)]
    pub name: String,
    /// Answer for this share of the customers only, in percent; the champion answers for the others.
    #[arg(long, value_name = "PERCENT", conflicts_with = "shadow")]
    pub challenger: Option<f64>,
    /// Score every request and record it, without answering.
    #[arg(long)]
    pub shadow: bool,
    /// Give a score again that is younger than this, unless an event came since; 0 computes each anew.
    #[arg(long, value_name = "SECONDS")]
    pub shelf_life: Option<f64>,
    /// Do not ask on a terminal after the replay.
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle promote` and `fullcircle rollback`: a name at an endpoint.
#[derive(Debug, Args)]
pub struct AtEndpoint {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The name.
    #[arg(long)]
    pub name: String,
    /// A project that knows the endpoint's keys; else FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle score`.
#[derive(Debug, Args)]
pub struct Score {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The name that the function is live under.
    pub name: String,
    /// Who.
    pub customer: String,
    /// Say why.
    #[arg(long)]
    pub explain: bool,
    /// A project that knows the endpoint's keys; else FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle pull`.
#[derive(Debug, Args)]
pub struct Pull {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub from: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle verify`.
#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The name that the function is live under.
    #[arg(long)]
    pub name: String,
    /// Customers to compare.
    #[arg(long, default_value_t = 1_000)]
    pub customers: usize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}
