use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kernel::domain::{Event, Job, Time, Type};
use kernel::features::{Catalog, Timelines};
use serde::{Deserialize, Serialize};
use warehouse::import::{ImportReport, Options, Proposal};
use warehouse::{
    Access, CustomerList, CustomerSummary, Held, ProjectFolder, QueryResult, Retyped, Summary,
    Warehouse,
};

use crate::client::with_scheme;
use crate::segments::Segments;
use crate::{Error, Result};

/// A project: a folder with definitions as text, and a warehouse.
#[derive(Debug)]
pub struct Project {
    folder: Arc<ProjectFolder>,
    settings: Settings,
    /// The id, where the settings had none.
    new_id: OnceLock<String>,
    pub(crate) warehouse: Warehouse,
    pub(crate) segments: Segments,
}

/// `project.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Format of the project folder.
    format: u32,
    /// Tells projects apart at an endpoint, whatever they are called and wherever they are. Projects of
    /// earlier versions get one when they first need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What the project is called.
    name: String,
    /// Memory for timelines, in MB; beyond it they are read in ranges of customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timelines_mb: Option<usize>,
}

/// An endpoint that this project works with, and its keys. In a file that only its owner may read, in a
/// folder that git ignores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownEndpoint {
    /// Its id: keys go to no other endpoint that answers at the same address.
    pub id: Option<String>,
    /// The browser key, which sends events.
    pub write_key: Option<String>,
    /// The server key, which also joins user ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_key: Option<String>,
    /// To ask for scores.
    pub score_key: Option<String>,
    /// To deploy.
    pub admin_key: Option<String>,
}

const FORMAT: u32 = 1;
const SETTINGS: &str = "project.toml";
/// Subfolders with definitions.
const FOLDERS: [&str; 10] = [
    "views",
    "models",
    "functions",
    "runs",
    "insights",
    "segments",
    "queries",
    "experiments",
    "rules",
    "boards",
];
/// What git must not see: caches and keys.
const IGNORED: [&str; 5] =
    ["warehouse.duckdb*", "timelines.cache", "window.json", ".staging/", ".endpoint/"];
const IGNORE: &str = ".gitignore";
/// What the window showed last.
pub(crate) const WINDOW: &str = "window.json";
/// The folder for keys and for the endpoint on this machine.
pub(crate) const PRIVATE: &str = ".endpoint";
const ENDPOINTS: &str = ".endpoint/keys.toml";

impl Project {
    /// Opens the project in a folder, and makes one if the folder has none.
    ///
    /// # Errors
    /// The folder cannot be written, is open in another process, or is of a newer program.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = Arc::new(ProjectFolder::create(folder)?);
        for place in [SETTINGS, WINDOW] {
            folder.check(place, false)?;
        }
        // Its contents are checked when they are used: an endpoint may be at work there.
        folder.names(PRIVATE)?;
        let settings = match folder.read_text(SETTINGS)? {
            Some(text) => read_settings(&folder.path_of(SETTINGS), &text)?,
            None => make(&folder)?,
        };
        for name in FOLDERS {
            folder.make_folder(name)?;
        }
        let mut warehouse = Warehouse::open_in(folder.clone())?;
        if let Some(mb) = settings.timelines_mb {
            warehouse.set_timelines_budget(mb << 20);
        }
        let segments = Segments::default();
        Ok(Self { folder, settings, new_id: OnceLock::new(), warehouse, segments })
    }

    /// The path of its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The files of its folder.
    pub(crate) fn files(&self) -> &ProjectFolder {
        &self.folder
    }

    /// Its warehouse.
    #[must_use]
    pub const fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// The timelines of all customers, with at least what a catalog names.
    ///
    /// # Errors
    /// The warehouse cannot be read, or the job was canceled.
    pub fn timelines(&self, reads: &Catalog, job: &Job) -> Result<Arc<Timelines>> {
        Ok(self.warehouse.timelines(reads, job)?)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The id of the project, which is written to `project.toml` if that has none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn id(&self) -> Result<&str> {
        if let Some(id) = self.settings.id.as_ref().or_else(|| self.new_id.get()) {
            return Ok(id);
        }
        let id = new_id();
        let text = self.folder.read_text(SETTINGS)?.unwrap_or_default();
        // In front, so that it belongs to no table of the file.
        let text = format!("id = \"{id}\"\n{text}");
        self.folder.write(SETTINGS, text.as_bytes(), Access::Default)?;
        Ok(self.new_id.get_or_init(|| id))
    }

    /// The id of the project, if it has one.
    #[must_use]
    pub fn known_id(&self) -> Option<&str> {
        self.settings.id.as_deref().or_else(|| self.new_id.get().map(String::as_str))
    }

    /// What there is, at a glance.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn summary(&self) -> Result<Summary> {
        Ok(self.warehouse.summary()?)
    }

    /// What is known of the data.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn catalog(&self) -> Result<Catalog> {
        Ok(self.warehouse.catalog()?)
    }

    /// Looks at files and proposes how to import them.
    ///
    /// # Errors
    /// A file cannot be read or is of no known format.
    pub fn propose(&self, files: &[PathBuf], options: &Options) -> Result<Proposal> {
        Ok(self.warehouse.propose(files, options)?)
    }

    /// Imports files; importing the same again changes nothing.
    ///
    /// # Errors
    /// A file cannot be read, or the job was canceled; then nothing changed.
    pub fn import(&self, files: &[PathBuf], options: &Options, job: &Job) -> Result<ImportReport> {
        Ok(self.warehouse.import(files, options, job)?)
    }

    /// Gives a property, or a trait, another type, and reads its values and misfits again.
    ///
    /// # Errors
    /// There is no such property, or the job was canceled; then nothing changed.
    pub fn retype(
        &self,
        property: &str,
        type_: Type,
        is_trait: bool,
        job: &Job,
    ) -> Result<Retyped> {
        Ok(self.warehouse.retype(property, type_, is_trait, job)?)
    }

    /// Runs a query that reads.
    ///
    /// # Errors
    /// The SQL has an error, or the job was canceled.
    pub fn query(&self, sql: &str, limit: usize, job: &Job) -> Result<QueryResult> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.query(sql, limit, job)?)
    }

    /// Runs a query that reads, with nested values as texts of JSON; and tells which columns have such texts.
    ///
    /// # Errors
    /// As those of `query`.
    pub fn query_json(
        &self,
        sql: &str,
        limit: usize,
        job: &Job,
    ) -> Result<(QueryResult, Vec<bool>)> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.query_json(sql, limit, job)?)
    }

    /// Runs a query that reads, and keeps all of its rows.
    ///
    /// # Errors
    /// The SQL has an error, the disk is full, or the job was canceled.
    pub fn hold(&self, sql: &str, job: &Job) -> Result<Held> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.hold(sql, job)?)
    }

    /// Writes the rows of a query to a file.
    ///
    /// # Errors
    /// The SQL has an error, or the file cannot be written.
    pub fn export(&self, sql: &str, out: &Path, job: &Job) -> Result<()> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.export(sql, out, job)?)
    }

    /// Writes the rows of a query to a CSV file whose texts no spreadsheet takes for a formula.
    ///
    /// # Errors
    /// The SQL has an error, or the file cannot be written or is not CSV.
    pub fn export_without_formulas(&self, sql: &str, out: &Path, job: &Job) -> Result<()> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.export_without_formulas(sql, out, job)?)
    }

    /// The first customers of a list, at most so many, and how many there are in all.
    ///
    /// # Errors
    /// There is no such segment, or the warehouse cannot be read.
    pub fn customers(
        &self,
        list: &CustomerList,
        limit: usize,
        job: &Job,
    ) -> Result<(Vec<CustomerSummary>, u64)> {
        if let Some(segment) = &list.segment {
            self.refresh_segment(segment, job)?;
        }
        Ok(self.warehouse.customers(list, limit)?)
    }

    /// All events of a customer, in order.
    ///
    /// # Errors
    /// There is no such customer, or the warehouse cannot be read.
    pub fn events_of(&self, customer_id: &str) -> Result<Vec<Event>> {
        let events = self.warehouse.events_of(customer_id)?;
        if !events.is_empty() {
            return Ok(events);
        }
        let (alike, _) = self.warehouse.customers(&CustomerList::search(customer_id), 3)?;
        let alike: Vec<&str> = alike.iter().map(|found| found.customer_id.as_str()).collect();
        let hint = if alike.is_empty() {
            String::new()
        } else {
            format!("; ids that contain it: {}", alike.join(", "))
        };
        Err(Error::NotFound(format!("there is no customer '{customer_id}' in this project{hint}")))
    }

    /// The instant after the last event: as of it, everything is known.
    ///
    /// # Errors
    /// The warehouse cannot be read, or has no events.
    pub fn now(&self) -> Result<Time> {
        self.warehouse.last_event()?.map(|last| last.plus(1)).ok_or_else(|| {
            Error::BadInput("the project has no events; import some first".to_owned())
        })
    }

    /// The endpoints that this project works with, by address.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn endpoints(&self) -> Result<BTreeMap<String, KnownEndpoint>> {
        let Some(text) = self.folder.read_text(ENDPOINTS)? else { return Ok(BTreeMap::new()) };
        toml::from_str(&text).map_err(|error| self.bad_file(ENDPOINTS, &error))
    }

    /// Remembers an endpoint and its keys.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember_endpoint(&self, url: &str, endpoint: KnownEndpoint) -> Result<()> {
        let mut all = self.endpoints()?;
        all.insert(with_scheme(url), endpoint);
        let text = toml::to_string(&all).map_err(|error| self.bad_file(ENDPOINTS, &error))?;
        Ok(self.folder.write(ENDPOINTS, text.as_bytes(), Access::Owner)?)
    }

    /// The error of a file of the project.
    pub(crate) fn bad_file(&self, place: &str, error: &dyn std::fmt::Display) -> Error {
        Error::File { path: self.folder.path_of(place), message: error.to_string() }
    }
}

fn read_settings(path: &Path, text: &str) -> Result<Settings> {
    let file = |message: String| Error::File { path: path.to_owned(), message };
    let settings: Settings = toml::from_str(text)
        .map_err(|error| file(format!("this is not a project: {}", error.message())))?;
    if settings.format > FORMAT {
        return Err(file(format!(
            "the project has format {}, this program reads up to {FORMAT}; use a newer program",
            settings.format
        )));
    }
    Ok(settings)
}

fn make(folder: &ProjectFolder) -> Result<Settings> {
    let name = folder.path().file_name();
    let name = name.map_or_else(|| "project".into(), std::ffi::OsStr::to_string_lossy);
    let (format, id, name) = (FORMAT, Some(new_id()), name.into_owned());
    let settings = Settings { format, id, name, timelines_mb: None };
    let text = toml::to_string(&settings).map_err(|error| Error::File {
        path: folder.path_of(SETTINGS),
        message: error.to_string(),
    })?;
    // The folder may be a repository already: what it ignores stays ignored.
    let mut ignored = folder.read_text(IGNORE)?.unwrap_or_default();
    if !ignored.is_empty() && !ignored.ends_with('\n') {
        ignored.push('\n');
    }
    let missing = IGNORED.iter().filter(|line| !ignored.lines().any(|known| known == **line));
    let missing: String = missing.map(|line| format!("{line}\n")).collect();
    folder.write(IGNORE, (ignored + &missing).as_bytes(), Access::Default)?;
    folder.write(SETTINGS, text.as_bytes(), Access::Default)?;
    Ok(settings)
}

/// An id that no other project has.
fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
