//! What can be said on the command line: one type a command, as clap reads it.

mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use live::{
    AtEndpoint, Backup, Deploy, Erase, Experiment, ExperimentCommand, JoinCommand, Joins,
    KeyCommand, Keys, LogFormat, Monitor, Publish, Pull, Rule, RuleCommand, Score, Serve, Store,
    Verify, VerifyLog,
};
use workspace::insights::InsightKind;
use workspace::{Decimal, Type};

/// A workbench for customer data: from raw events to a live decision about one customer.
#[derive(Debug, Parser)]
#[command(name = "fullcircle", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do; without it, the workbench opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The project of the workbench; without it, the bundled sample.
    #[arg(long)]
    pub project: Option<PathBuf>,
    /// What the workbench shows first: a link, as *Copy a link to this view* gives it.
    #[arg(long, value_name = "LINK")]
    pub open: Option<String>,
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
    /// Change the type of a property, and read its values and misfits again.
    Retype(Retype),
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
    Publish(Publish),
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
    /// List and undo the joins of ids to customers at an endpoint.
    Joins(Joins),
    /// Copy an endpoint's data while it runs.
    Backup(Backup),
    /// Ask for a customer's score.
    Score(Score),
    /// Pull new live events into the warehouse, exactly once.
    Pull(Pull),
    /// Erase a customer: here, and at an endpoint.
    Erase(Erase),
    /// Compare live and offline scores bit for bit.
    Verify(Verify),
    /// Check the log of an endpoint's data folder, offline, and list what can be read.
    VerifyLog(VerifyLog),
}

/// Print one JSON object instead of text.
#[derive(Clone, Copy, Debug, Args)]
pub struct Json {
    /// Print one JSON object instead of text; an error is {"error": message, "kind": kind} on standard error.
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
    /// Print how the files would be read, and import nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The column that says who.
    #[arg(long)]
    pub customer: Option<String>,
    /// The column that says who where the customer is missing; a row with both joins the two.
    #[arg(long)]
    pub anonymous: Option<String>,
    /// The column that says when.
    #[arg(long)]
    pub time: Option<String>,
    /// How times are written: iso, epoch_s, epoch_ms, epoch_us, epoch_ns, day_first, month_first, year_first,
    /// month_name, or a pattern like %d.%m.%Y.
    #[arg(long)]
    pub time_format: Option<String>,
    /// The column with the name of the event.
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
    /// The column that says when a row arrived: from then on it was known.
    #[arg(long)]
    pub received_at: Option<String>,
    /// The type of a column, as COLUMN=number, text, boolean or time, which its property gets; a value that
    /// does not fit is a misfit. Numbers are rounded to 64-bit floating point.
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = column_type)]
    pub types: Vec<(String, Type)>,
    /// A column that is not imported.
    #[arg(long = "leave-out", value_name = "COLUMN")]
    pub left_out: Vec<String>,
    /// The files are exports of Full Circle: $exposure, $score and $action are its own events. Without it, they are
    /// kept as events of the customers, named exposure, score and action.
    #[arg(long)]
    pub own_events: bool,
    /// What comes before the fraction of numbers: . or , (else each column shows it).
    #[arg(long, value_name = "CHARACTER", value_parser = decimal)]
    pub decimal: Option<Decimal>,
    /// A text column in which NULL, NA, N/A, - and the like are missing values too.
    #[arg(long = "missing", value_name = "COLUMN")]
    pub missing: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// Reads `.` or `,`.
fn decimal(said: &str) -> Result<Decimal, String> {
    match said {
        "." => Ok(Decimal::Point),
        "," => Ok(Decimal::Comma),
        _ => Err("write . or ,".to_owned()),
    }
}

/// Reads `COLUMN=TYPE`.
fn column_type(said: &str) -> Result<(String, Type), String> {
    let (column, type_) = said.rsplit_once('=').ok_or("write COLUMN=TYPE, like amount=number")?;
    Ok((column.to_owned(), property_type(type_)?))
}

/// Reads the name of a type.
fn property_type(name: &str) -> Result<Type, String> {
    let known = [Type::Number, Type::Text, Type::Boolean, Type::Time];
    let type_ = known.into_iter().find(|known| known.to_string() == name);
    type_.ok_or_else(|| "the type is number, text, boolean or time".to_owned())
}

/// `fullcircle retype`.
#[derive(Debug, Args)]
pub struct Retype {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The property.
    pub property: String,
    /// Its type: number, text, boolean or time. Numbers are rounded to 64-bit floating point.
    #[arg(value_name = "TYPE", value_parser = property_type)]
    pub type_: Type,
    /// It is a trait of customers.
    #[arg(long = "trait")]
    pub is_trait: bool,
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
    /// The query, or - to read it from standard input; tables are events, customers, traits, imports,
    /// rejected_rows and misfits.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Read the query from this file.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write all rows to this file: .csv, .parquet or .json.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write a ' before texts that a spreadsheet would take for a formula (= + - @ or a tab), in a .csv file.
    #[arg(long, requires = "out")]
    pub escape_formulas: bool,
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
        /// The view whose features are the model's columns: by name, or in their order if the file names none of
        /// them.
        #[arg(long)]
        view: String,
        /// The name of the function.
        #[arg(long)]
        name: String,
    },
}
