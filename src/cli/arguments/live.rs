use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{InProject, Json};

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
    /// Memory for timelines and what is beside them, in MB; the process takes up to 260 MB more.
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
    /// Let webhooks lead to private addresses, which are refused otherwise.
    #[arg(long)]
    pub allow_private_webhooks: bool,
    /// Start although the clock is more than 90 days after the last event: it is right.
    #[arg(long)]
    pub accept_clock: bool,
    /// Forget what arrived after a time, such as 2026-11-30T12:00:00Z: it came while the clock was wrong.
    #[arg(long, value_name = "TIME")]
    pub forget_arrivals_after: Option<String>,
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
    /// Sends events from web pages and apps; it may be public.
    #[value(alias = "write")]
    Browser,
    /// Sends events from a server, and joins user ids.
    Server,
    /// Asks for scores and customers.
    Score,
    /// Deploys, and does everything else.
    Admin,
}

impl KeyRole {
    /// Its name at the endpoint.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Server => "server",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }
}

/// The joins of ids to customers.
#[derive(Debug, Args)]
pub struct Joins {
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// The project that knows its admin key; or set FULLCIRCLE_KEY.
    #[arg(long)]
    pub project: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: JoinCommand,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// What to do with joins.
#[derive(Debug, Subcommand)]
pub enum JoinCommand {
    /// List joins: the id, its customer, when and by which kind of key.
    List {
        /// Only those of this customer.
        #[arg(long)]
        customer: Option<String>,
        /// Only ids after this one, in the order of their bytes.
        #[arg(long, default_value = "", hide_default_value = true)]
        after: String,
        /// At most this many.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Undo the joins of ids: what came with an id is its own again.
    Undo {
        /// The ids that were joined.
        #[arg(required = true)]
        ids: Vec<String>,
    },
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

/// `fullcircle verify-log`.
#[derive(Debug, Args)]
pub struct VerifyLog {
    /// The data folder of an endpoint that is stopped, or a backup.
    #[arg(long)]
    pub data: PathBuf,
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

/// `fullcircle publish`.
#[derive(Debug, Args)]
pub struct Publish {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// The endpoint, like http://127.0.0.1:7360.
    #[arg(long)]
    pub to: String,
    /// Publish all history, not only what is new since the last time.
    #[arg(long)]
    pub all: bool,
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
    /// Pull although another project was published to the endpoint; remembered for that project.
    #[arg(long)]
    pub from_other_project: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub json: Json,
}

/// `fullcircle erase`.
#[derive(Debug, Args)]
pub struct Erase {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub of: InProject,
    /// Also at this endpoint, like http://127.0.0.1:7360, whose admin key is needed; there first.
    #[arg(long)]
    pub to: Option<String>,
    /// Who.
    pub customer: String,
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
