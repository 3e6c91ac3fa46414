use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use duckdb::Connection;
use kernel::domain::Job;

use crate::catalog::Known;
use crate::timelines::Cache;
use crate::{Error, Result, instance, schema};

/// The warehouse of one project: `warehouse.duckdb` and a folder for what is on its way in or out.
#[derive(Debug)]
pub struct Warehouse {
    root: Mutex<Connection>,
    staging: PathBuf,
    /// Held while something writes: DuckDB would refuse the second writer, we let it wait.
    writing: Mutex<()>,
    /// How often something was written since it was opened: nobody else can write meanwhile.
    writes: AtomicU64,
    /// The timelines in memory.
    pub(crate) cache: Cache,
    /// What is known of the data.
    pub(crate) known: Mutex<Known>,
}

impl Warehouse {
    /// Opens the warehouse of a project folder, and makes it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written, or another process has it open.
    pub fn open(project: &Path) -> Result<Self> {
        let staging = project.join(".staging");
        std::fs::create_dir_all(&staging).map_err(Error::io("write in the project", project))?;
        let staging =
            staging.canonicalize().map_err(Error::io("write in the project", &staging))?;
        let root = instance::open(&project.join("warehouse.duckdb"), &staging)?;
        // What an ended process left behind is of no use.
        if let Ok(entries) = std::fs::read_dir(&staging) {
            for entry in entries.flatten() {
                drop(std::fs::remove_file(entry.path()));
            }
        }
        schema::create(&root)?;
        Ok(Self {
            root: Mutex::new(root),
            staging,
            writing: Mutex::new(()),
            writes: AtomicU64::new(0),
            cache: Cache::default(),
            known: Mutex::default(),
        })
    }

    /// A connection of its own, for one piece of work.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        root.try_clone().map_err(Error::duckdb("open a connection"))
    }

    /// Where files are on their way in or out: the only place that the instance can reach.
    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// A name in the staging folder that nothing else has.
    pub(crate) fn staged(&self, what: &str) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        self.staging.join(format!("{what}-{}-{n}", std::process::id()))
    }

    /// How often something was written since it was opened.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// Where the timelines in memory are kept for the next start.
    pub(crate) fn timelines_file(&self) -> PathBuf {
        self.staging.with_file_name("timelines.cache")
    }

    /// Runs `work` in a transaction: all of it happens, or nothing.
    pub(crate) fn transaction<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = self.connect()?;
        let interrupt = connection.interrupt_handle();
        connection.execute_batch("BEGIN").map_err(Error::duckdb("begin"))?;
        let result = job.interruptible(move || interrupt.interrupt(), || work(&connection));
        let result = if job.is_canceled() { Err(Error::Canceled.into()) } else { result };
        match result {
            Ok(value) => {
                connection.execute_batch("COMMIT").map_err(Error::duckdb("commit"))?;
                self.writes.fetch_add(1, Ordering::Release);
                Ok(value)
            }
            Err(error) => {
                // A failed statement may have ended the transaction already.
                drop(connection.execute_batch("ROLLBACK"));
                Err(error)
            }
        }
    }
}
