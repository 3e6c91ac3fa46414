use std::path::Path;

use duckdb::{Config, Connection};

use crate::{Error, Result};

/// Memory that one DuckDB instance may use.
const MEMORY: &str = "3GB";

/// Settings of every instance: nothing is fetched, loaded or remembered from outside.
fn config() -> duckdb::Result<Config> {
    Config::default()
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("allow_community_extensions", "false")?
        .with("allow_persistent_secrets", "false")?
        // Rows that are added go to the file group by group: several at once only take memory.
        .with("write_buffer_row_group_count", "1")?
        .max_memory(MEMORY)
}

/// Opens the instance with the data. It reads and writes nothing outside of `staging`, and its
/// configuration is locked, so that no SQL can change that.
#[expect(clippy::disallowed_methods, reason = "the one place that opens the warehouse")]
pub(crate) fn open(file: &Path, staging: &Path) -> Result<Connection> {
    let connection =
        config().and_then(|config| Connection::open_with_flags(file, config)).map_err(
            |source| in_use(file, &source).unwrap_or(Error::DuckDb { action: "open", source }),
        )?;
    crate::foreign_objects::refuse(&connection, file)?;
    crate::incoming::register(&connection)?;
    let staging = kernel::expression::quote_text(&format!("{}/", staging.display()));
    connection
        .execute_batch(&format!(
            "SET temp_directory = {staging}; SET allowed_directories = [{staging}];
             SET enable_external_access = false; SET lock_configuration = true;"
        ))
        .map_err(Error::duckdb("lock its configuration"))?;
    Ok(connection)
}

/// Opens an instance in memory that parses SQL. It has no data and reaches no file, and nobody has made
/// functions in it.
#[expect(clippy::disallowed_methods, reason = "the one place that opens a parser")]
pub(crate) fn open_parser() -> Result<Connection> {
    let connection = config()
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(Error::duckdb("open a parser of SQL"))?;
    connection
        .execute_batch("SET enable_external_access = false; SET lock_configuration = true;")
        .map_err(Error::duckdb("lock its configuration"))?;
    Ok(connection)
}

/// Opens an instance in memory that reads foreign files. It has no data but theirs.
#[expect(clippy::disallowed_methods, reason = "the one place that opens an import instance")]
pub(crate) fn open_for_files(staging: &Path) -> Result<Connection> {
    let connection = config()
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(Error::duckdb("open an instance for files"))?;
    let staging = kernel::expression::quote_text(&staging.display().to_string());
    connection
        .execute_batch(&format!("SET temp_directory = {staging}; SET lock_configuration = true;"))
        .map_err(Error::duckdb("lock its configuration"))?;
    Ok(connection)
}

/// Opens a database of its own for rows that are looked through and then thrown away.
#[expect(clippy::disallowed_methods, reason = "the one place that opens a scratch database")]
pub(crate) fn open_scratch(file: &Path) -> Result<Connection> {
    config()
        .and_then(|config| Connection::open_with_flags(file, config))
        .map_err(Error::duckdb("open a place for rows"))
}

/// The error of a file that another process has locked.
fn in_use(file: &Path, error: &duckdb::Error) -> Option<Error> {
    let text = error.to_string();
    if !text.contains("Could not set lock") && !text.contains("onflicting lock") {
        return None;
    }
    let pid = text
        .split_once("PID ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok());
    Some(Error::InUse { path: file.to_owned(), pid })
}
