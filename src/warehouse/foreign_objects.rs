//! What a warehouse file must not have: objects that stand in the place of DuckDB's own.
//!
//! A name is looked up in the file before it is looked up in DuckDB. A macro with the name of a function, or of
//! an operator, would answer in every query that we run.

use std::collections::HashSet;
use std::path::Path;

use duckdb::Connection;

use crate::{Error, Result};

/// Refuses a file with a macro or a type, which we never make, or with a view or a table that has the name of
/// one of DuckDB's own.
///
/// # Errors
/// `Error::File` with the name of the object.
pub(crate) fn refuse(connection: &Connection, file: &Path) -> Result<()> {
    let names = |sql: &str| -> Result<Vec<String>> {
        let read = || {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<duckdb::Result<Vec<_>>>()
        };
        read().map_err(Error::duckdb("list its objects"))
    };
    // These queries have no function or operator that the file could have in another way.
    let macros =
        names("SELECT function_name FROM system.main.duckdb_functions() WHERE NOT internal")?;
    let types = names("SELECT type_name FROM system.main.duckdb_types() WHERE NOT internal")?;
    let own = "SELECT view_name FROM system.main.duckdb_views()
        WHERE internal AND schema_name = 'main'";
    let own: HashSet<String> = names(own)?.into_iter().collect();
    let views = names("SELECT view_name FROM system.main.duckdb_views() WHERE NOT internal")?;
    let tables = names("SELECT table_name FROM system.main.duckdb_tables() WHERE NOT internal")?;
    let shadows = |name: &&String| own.contains(name.to_lowercase().as_str());
    let found = macros.first().map(|name| ("macro", name));
    let found = found.or_else(|| types.first().map(|name| ("type", name)));
    let found = found.or_else(|| views.iter().find(shadows).map(|name| ("view", name)));
    let found = found.or_else(|| tables.iter().find(shadows).map(|name| ("table", name)));
    match found {
        None => Ok(()),
        Some((kind, name)) => Err(Error::File {
            path: file.to_owned(),
            message: format!(
                "the warehouse has a {kind} '{name}' that Full Circle did not make, and that could change what \
                 queries mean; drop it with DuckDB, or remove the file and import the sources again"
            ),
        }),
    }
}
