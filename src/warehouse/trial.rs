use std::collections::BTreeSet;

use duckdb::Connection;
use kernel::domain::{Event, Job, PropertyTypes, UNALIAS};
use kernel::features::{Catalog, Timelines, TimelinesBuilder};

use crate::joins::Joins;
use crate::timelines::read_into;
use crate::{Error, Result, Warehouse, live};

/// The warehouse with live events that were not pulled: they are in a transaction that is rolled back, so
/// nothing of them stays.
#[derive(Debug)]
pub struct Trial<'c> {
    connection: &'c Connection,
    types: PropertyTypes,
    /// Customers that the events are of.
    customers: BTreeSet<String>,
}

impl Warehouse {
    /// Runs `work` on the warehouse as it would be with more live events, and undoes them.
    ///
    /// # Errors
    /// The warehouse cannot be read, the job was canceled, or `work` failed.
    pub fn with_trial<T, E: From<Error>>(
        &self,
        job: &Job,
        work: impl FnOnce(&mut Trial<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.undone_transaction(job, |connection, types| {
            work(&mut Trial { connection, types, customers: BTreeSet::new() })
        })
    }
}

impl Trial<'_> {
    /// Adds events of an endpoint's log as a pull does.
    ///
    /// # Errors
    /// The events cannot be added.
    pub fn add_live(&mut self, events: &[Event], known_as: &[(u64, String)]) -> Result<()> {
        let (_, owned) = Joins::read(events);
        self.customers.extend(owned.iter().map(|owned| owned.customer_id.to_owned()));
        let undone = events.iter().filter(|event| event.event == UNALIAS);
        self.customers.extend(undone.filter_map(|undone| undone.anonymous_id.clone()));
        live::add(self.connection, &mut self.types, events, known_as).map(|_| ())
    }

    /// The timelines of `n` customers: all that have added events, even if there are more of them, and
    /// others spread evenly over all ids.
    ///
    /// # Errors
    /// The warehouse cannot be read, or the job was canceled.
    pub fn timelines(&self, n: usize, catalog: &Catalog, job: &Job) -> Result<Timelines> {
        let failed = || Error::duckdb("choose customers");
        let others = n.saturating_sub(self.customers.len());
        self.choose(others).map_err(failed())?;
        let condition = "customer_id IN (FROM compared)";
        let mut builder = TimelinesBuilder::new(catalog);
        read_into(&mut builder, self.connection, catalog, condition, job)?;
        self.connection.execute_batch("DROP TABLE compared").map_err(failed())?;
        Ok(builder.finish())
    }

    /// Makes the table of customers to read: those of the added events, and `n` others.
    fn choose(&self, n: usize) -> duckdb::Result<()> {
        self.connection.execute_batch("CREATE TEMP TABLE compared (customer_id VARCHAR)")?;
        let mut appender = self.connection.appender("compared")?;
        for customer in &self.customers {
            appender.append_row([customer])?;
        }
        appender.flush()?;
        drop(appender);
        self.connection.execute_batch(&format!(
            "INSERT INTO compared
             WITH ids AS (SELECT customer_id FROM stored_events UNION SELECT customer_id FROM traits),
                  numbered AS (
                    SELECT customer_id, row_number() OVER (ORDER BY customer_id) - 1 AS place,
                        count(*) OVER () AS total
                    FROM ids ANTI JOIN compared USING (customer_id))
             SELECT customer_id FROM numbered
             WHERE total <= {n} OR (place + 1) * {n} // total > place * {n} // total"
        ))
    }
}
