use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use duckdb::Connection;
use kernel::domain::{Job, PropertyTypes};

use crate::catalog::Known;
use crate::timelines::Cache;
use crate::{Access, Error, ProjectFolder, Result, instance, schema, types_file};

/// The database file.
const DATABASE: &str = "warehouse.duckdb";
/// The folder for files on their way in or out: the only one that SQL reaches.
const STAGING: &str = ".staging";
/// Timelines that are kept for the next start.
pub(crate) const TIMELINES: &str = "timelines.cache";
/// What names of staged files begin with: they are followed by a process and a number, or by DuckDB's.
const STAGED: [&str; 6] =
    ["held-rows-", "held-", "export-", "relation-", "timelines-", "duckdb_temp_"];
/// Files of the bundled samples on their way in.
const STAGED_SAMPLES: [&str; 3] = ["customers.parquet", "events.parquet", "cdnow_master.txt"];

/// The warehouse of one project: `warehouse.duckdb` and a folder for what is on its way in or out.
#[derive(Debug)]
pub struct Warehouse {
    root: Mutex<Connection>,
    folder: Arc<ProjectFolder>,
    /// Parses SQL of users; opened when there is some.
    parser: OnceLock<Mutex<Connection>>,
    staging: PathBuf,
    /// Held while something writes: DuckDB would refuse the second writer, we let it wait.
    writing: Mutex<()>,
    /// How often something was written since it was opened: nobody else can write meanwhile.
    writes: AtomicU64,
    /// The timelines in memory.
    pub(crate) cache: Cache,
    /// What is known of the data.
    pub(crate) known: Mutex<Known>,
    /// The types of properties and traits, as the project's file has them.
    pub(crate) types: Mutex<Arc<PropertyTypes>>,
}

impl Warehouse {
    /// Opens the warehouse of a project folder, and makes it if it is not there.
    ///
    /// # Errors
    /// The folder cannot be written, another process has it open, or it has links where the warehouse has
    /// files.
    pub fn open(project: &Path) -> Result<Self> {
        Self::open_in(Arc::new(ProjectFolder::create(project)?))
    }

    /// Opens the warehouse of a project folder that is open.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(folder: Arc<ProjectFolder>) -> Result<Self> {
        // DuckDB opens files by their path and follows links: nothing of it is opened before all is checked.
        for name in folder.names("")?.iter().filter(|name| name.starts_with(DATABASE)) {
            folder.check(name, name.ends_with(".tmp"))?;
        }
        folder.check(TIMELINES, false)?;
        folder.check(STAGING, true)?;
        folder.make_folder(STAGING)?;
        let staging = folder.path_of(STAGING);
        let root = instance::open(&folder.checked_path(DATABASE)?, &staging)?;
        // What an ended process left behind is of no use; what it did not make is left alone.
        for name in folder.names(STAGING)?.iter().filter(|name| is_staged(name)) {
            folder.remove(&format!("{STAGING}/{name}"))?;
        }
        schema::create(&root)?;
        let written = types_file::read(&folder)?;
        let types = schema::apply_types(&root, written.clone())?;
        if written.unwrap_or_default() != types {
            types_file::write(&folder, &types)?;
        }
        Ok(Self {
            root: Mutex::new(root),
            folder,
            parser: OnceLock::new(),
            staging,
            writing: Mutex::new(()),
            writes: AtomicU64::new(0),
            cache: Cache::default(),
            known: Mutex::default(),
            types: Mutex::new(Arc::new(types)),
        })
    }

    /// The project's folder.
    #[must_use]
    pub const fn folder(&self) -> &Arc<ProjectFolder> {
        &self.folder
    }

    /// Writes a file into the staging folder, to import it from there; gives its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn stage(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let place = format!("{STAGING}/{name}");
        self.folder.write(&place, content, Access::Default)?;
        Ok(self.folder.path_of(&place))
    }

    /// Removes a file from the staging folder.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn unstage(&self, file: &Path) -> Result<()> {
        self.folder.remove(&place_of(file))?;
        Ok(())
    }

    /// A connection of its own, for one piece of work.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        root.try_clone().map_err(Error::duckdb("open a connection"))
    }

    /// Refuses all but one statement that reads.
    pub(crate) fn check_statement(&self, sql: &str) -> Result<()> {
        let parser = match self.parser.get() {
            Some(parser) => parser,
            None => {
                let opened = instance::open_parser()?;
                self.parser.get_or_init(|| Mutex::new(opened))
            }
        };
        let parser = parser.lock().unwrap_or_else(PoisonError::into_inner);
        crate::statement::one_statement(&parser, sql)
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

    /// Runs `work` in a transaction: all of it happens, or nothing.
    pub(crate) fn transaction<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.transaction_with_types(job, |connection, _types| work(connection))
    }

    /// Runs `work` in a transaction, which may give types to properties: all of it happens, or nothing.
    pub(crate) fn transaction_with_types<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&Connection, &mut PropertyTypes) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.begun(job, work, |connection, types| {
            connection.execute_batch("COMMIT").map_err(Error::duckdb("commit"))?;
            self.writes.fetch_add(1, Ordering::Release);
            // A crash before the file is written loses no type: the columns have them.
            let is_known = types == *self.types();
            let types = Arc::new(types);
            *self.types.lock().unwrap_or_else(PoisonError::into_inner) = types.clone();
            if is_known { Ok(()) } else { types_file::write(&self.folder, &types) }
        })
    }

    /// Runs `work` in a transaction whose changes are undone when it ends.
    pub(crate) fn undone_transaction<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&Connection, PropertyTypes) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let work = |connection: &Connection, types: &mut PropertyTypes| {
            work(connection, std::mem::take(types))
        };
        self.begun(job, work, |connection, _types| {
            connection.execute_batch("ROLLBACK").map_err(Error::duckdb("undo its changes"))
        })
    }

    fn begun<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&Connection, &mut PropertyTypes) -> std::result::Result<T, E>,
        end: impl FnOnce(&Connection, PropertyTypes) -> Result<()>,
    ) -> std::result::Result<T, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = self.connect()?;
        let interrupt = connection.interrupt_handle();
        connection.execute_batch("BEGIN").map_err(Error::duckdb("begin"))?;
        let mut types = PropertyTypes::clone(&self.types());
        let result =
            job.interruptible(move || interrupt.interrupt(), || work(&connection, &mut types));
        let result = if job.is_canceled() { Err(Error::Canceled.into()) } else { result };
        match result {
            Ok(value) => {
                end(&connection, types)?;
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

/// The place in the project of a file in the staging folder.
pub(crate) fn place_of(staged: &Path) -> String {
    let name = staged.file_name().unwrap_or_default().to_string_lossy();
    format!("{STAGING}/{name}")
}

/// Whether a name is one of those that [`Warehouse::staged`] and DuckDB give.
fn is_staged(name: &str) -> bool {
    let has_numbers = |rest: &str| {
        let rest = rest.strip_suffix(".wal").unwrap_or(rest);
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        rest.split_once('-').is_some_and(|(process, n)| is_number(process) && is_number(n))
    };
    STAGED_SAMPLES.contains(&name)
        || STAGED.iter().any(|start| match name.strip_prefix(start) {
            Some(rest) => *start == "duckdb_temp_" || has_numbers(rest),
            None => false,
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_names_that_were_given_here_are_removed() {
        for ours in
            ["held-1-0", "held-rows-20-3", "export-7-1.wal", "duckdb_temp_storage_S32K-0.tmp"]
        {
            assert!(super::is_staged(ours), "{ours}");
        }
        for other in ["held", "held-1", "held-rows-x-3", "notes.txt", "export-7-1.csv", "-1-2"] {
            assert!(!super::is_staged(other), "{other}");
        }
    }
}
