use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::domain::{Event, Job, Name, Time};
use kernel::features::{Catalog, Timelines};
use serde::{Deserialize, Serialize};
use warehouse::import::{ImportReport, Options, Proposal};
use warehouse::{CustomerList, CustomerSummary, Held, QueryResult, Summary, Warehouse};

use crate::segments::Segments;
use crate::{Error, Result};

/// A project: a folder with definitions as text, and a warehouse.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    settings: Settings,
    pub(crate) warehouse: Warehouse,
    pub(crate) segments: Segments,
}

/// `project.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Format of the project folder.
    format: u32,
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
    /// To send events.
    pub write_key: Option<String>,
    /// To ask for scores.
    pub score_key: Option<String>,
    /// To deploy.
    pub admin_key: Option<String>,
}

const FORMAT: u32 = 1;
const SETTINGS: &str = "project.toml";
/// Subfolders with definitions.
const FOLDERS: [&str; 9] = [
    "views",
    "models",
    "functions",
    "insights",
    "segments",
    "queries",
    "experiments",
    "rules",
    "boards",
];
/// What git must not see: caches and keys.
const IGNORED: &str = "warehouse.duckdb*\ntimelines.cache\nwindow.json\n.staging/\n.endpoint/\n";

impl Project {
    /// Opens the project in a folder, and makes one if the folder has none.
    ///
    /// # Errors
    /// The folder cannot be written, is open in another process, or is of a newer program.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("make the project folder", folder))?;
        let path = folder.join(SETTINGS);
        let settings = if path.exists() { read_settings(&path)? } else { make(folder, &path)? };
        for name in FOLDERS {
            let sub = folder.join(name);
            std::fs::create_dir_all(&sub).map_err(Error::io("write in the project", &sub))?;
        }
        let mut warehouse = Warehouse::open(folder)?;
        if let Some(mb) = settings.timelines_mb {
            warehouse.set_timelines_budget(mb << 20);
        }
        let segments = Segments::default();
        Ok(Self { folder: folder.to_owned(), settings, warehouse, segments })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
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

    /// Runs a query that reads.
    ///
    /// # Errors
    /// The SQL has an error, or the job was canceled.
    pub fn query(&self, sql: &str, limit: usize, job: &Job) -> Result<QueryResult> {
        self.refresh_segments(sql, job)?;
        Ok(self.warehouse.query(sql, limit, job)?)
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

    fn endpoints_file(&self) -> PathBuf {
        self.folder.join(".endpoint").join("keys.toml")
    }

    /// The endpoints that this project works with, by address.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn endpoints(&self) -> Result<BTreeMap<String, KnownEndpoint>> {
        let path = self.endpoints_file();
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        toml::from_str(&text).map_err(|error| Error::File { path, message: error.to_string() })
    }

    /// Remembers an endpoint and its keys.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember_endpoint(&self, url: &str, endpoint: KnownEndpoint) -> Result<()> {
        let mut all = self.endpoints()?;
        all.insert(url.trim_end_matches('/').to_owned(), endpoint);
        let path = self.endpoints_file();
        let text = toml::to_string(&all)
            .map_err(|error| Error::File { path: path.clone(), message: error.to_string() })?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("write in the project", folder))?;
        }
        write_private(&path, &text)
    }

    /// The folder for the data of an endpoint on this machine.
    #[must_use]
    pub fn endpoint_data(&self) -> PathBuf {
        self.folder.join(".endpoint").join("data")
    }

    /// The path of a definition.
    pub(crate) fn definition_path(&self, folder: &str, name: &Name, ending: &str) -> PathBuf {
        self.folder.join(folder).join(format!("{name}.{ending}"))
    }
}

fn read_settings(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let file = |message: String| Error::File { path: path.to_owned(), message };
    let settings: Settings = toml::from_str(&text)
        .map_err(|error| file(format!("this is not a project: {}", error.message())))?;
    if settings.format > FORMAT {
        return Err(file(format!(
            "the project has format {}, this program reads up to {FORMAT}; use a newer program",
            settings.format
        )));
    }
    Ok(settings)
}

fn make(folder: &Path, path: &Path) -> Result<Settings> {
    let name =
        folder.file_name().map_or_else(|| "project".into(), std::ffi::OsStr::to_string_lossy);
    let settings = Settings { format: FORMAT, name: name.into_owned(), timelines_mb: None };
    let text = toml::to_string(&settings)
        .map_err(|error| Error::File { path: path.to_owned(), message: error.to_string() })?;
    std::fs::write(path, text).map_err(Error::io("write in the project", path))?;
    let ignore = folder.join(".gitignore");
    std::fs::write(&ignore, IGNORED).map_err(Error::io("write in the project", &ignore))?;
    Ok(settings)
}

/// Writes a file that only its owner may read: first beside it, then moved, so that it is whole.
fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let temporary = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&temporary).map_err(Error::io("write", &temporary))?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", &temporary))?;
    std::fs::rename(&temporary, path).map_err(Error::io("write", path))
}
