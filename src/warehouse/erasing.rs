use kernel::domain::{Job, normalized_id};
use kernel::expression::quote_identifier;
use serde::Serialize;

use crate::warehouse::TIMELINES;
use crate::{Error, Result, Warehouse};

/// What was erased of a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Events.
    pub events: u64,
    /// Values of traits.
    pub traits: u64,
    /// Ids that were joined to theirs.
    pub aliases: u64,
    /// Rows of views, training sets and segments that were computed.
    pub computed: u64,
    /// Rows of files that were rejected, and named them.
    pub rejected: u64,
}

impl Warehouse {
    /// Erases a customer: their events and traits, and the rows about them that were computed. Files that
    /// they came from would bring them back.
    ///
    /// # Errors
    /// The warehouse cannot be written, or the job was canceled. Then nothing changed.
    pub fn erase(&self, customer_id: &str, job: &Job) -> Result<Erased> {
        let customer_id = &*normalized_id(customer_id);
        let erased = self.transaction(job, |connection| {
            let delete = |sql: &str| -> Result<u64> {
                let n = connection.execute(sql, [customer_id]);
                let n = n.map_err(Error::duckdb("erase a customer"))?;
                Ok(u64::try_from(n).unwrap_or(u64::MAX))
            };
            for id in ["message_uuid", "message_id"] {
                delete(&format!(
                    "DELETE FROM stored_originals WHERE {id} IN
                        (SELECT {id} FROM stored_events WHERE customer_id = ? AND {id} IS NOT NULL)"
                ))?;
            }
            delete(
                "DELETE FROM stored_originals WHERE is_trait
                    AND coalesce(message_id, CAST(message_uuid AS VARCHAR)) IN
                        (SELECT message_id FROM traits WHERE customer_id = ?)",
            )?;
            delete(
                "DELETE FROM known_as WHERE id = ?1 OR id IN
                    (SELECT anonymous_id FROM aliases WHERE customer_id = ?1)",
            )?;
            delete(
                "DELETE FROM joins WHERE id = ?1 OR customer_id = ?1 OR id IN
                    (SELECT anonymous_id FROM aliases WHERE customer_id = ?1)",
            )?;
            let mut erased = Erased {
                events: delete("DELETE FROM stored_events WHERE customer_id = ?")?,
                traits: delete("DELETE FROM traits WHERE customer_id = ?")?,
                aliases: delete("DELETE FROM aliases WHERE customer_id = ?")?,
                rejected: delete("DELETE FROM rejected_rows WHERE contains(content, ?)")?,
                computed: 0,
            };
            for (schema, table) in computed(connection).map_err(Error::duckdb("list its tables"))? {
                let (schema, table) = (quote_identifier(&schema), quote_identifier(&table));
                erased.computed +=
                    delete(&format!("DELETE FROM {schema}.{table} WHERE customer_id = ?"))?;
            }
            // What is kept of it elsewhere, in memory and in a file, is of another warehouse then.
            connection
                .execute_batch("UPDATE warehouse SET id = CAST(uuid() AS VARCHAR)")
                .map_err(Error::duckdb("erase a customer"))?;
            Ok::<_, Error>(erased)
        })?;
        self.folder().remove(TIMELINES)?;
        let connection = self.connect()?;
        connection.execute_batch("CHECKPOINT").map_err(Error::duckdb("write what is left"))?;
        Ok(erased)
    }
}

/// Tables beside the warehouse's own that have a row a customer.
fn computed(connection: &duckdb::Connection) -> duckdb::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(
        "SELECT c.table_schema, c.table_name FROM information_schema.columns c
         JOIN information_schema.tables t USING (table_catalog, table_schema, table_name)
         WHERE c.column_name = 'customer_id' AND t.table_type = 'BASE TABLE'
            AND c.table_schema <> 'main' AND c.table_catalog = current_database()",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
