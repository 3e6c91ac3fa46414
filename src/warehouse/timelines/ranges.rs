use std::sync::Arc;

use duckdb::Connection;
use kernel::domain::{Job, NOT_SYSTEM_SQL, Time, Type};
use kernel::expression::quote_text;
use kernel::features::{Catalog, Timelines, TimelinesBuilder};

use super::read::read_into;
use crate::{Error, Result, Warehouse};

/// What an event takes in memory beside its properties, while timelines are built, in bytes.
const EVENT_BYTES: usize = 44;
/// The most ranges: each is a scan of the warehouse.
const MOST_RANGES: usize = 1_000;

impl Warehouse {
    /// Sets how much memory timelines may take, in bytes.
    pub fn set_timelines_budget(&mut self, bytes: usize) {
        self.cache.budget = bytes;
    }

    /// Whether the timelines of all customers fit the budget of memory at once.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn timelines_fit(&self, catalog: &Catalog) -> Result<bool> {
        Ok(self.ranges(catalog)?.len() <= 1)
    }

    /// Gives the timelines of all customers to `take`: at once where they fit the budget of memory, else
    /// in ranges of customers, one after the other, in the order of their ids.
    ///
    /// # Errors
    /// The warehouse cannot be read, the job was canceled, or `take` failed.
    pub fn each_timelines<E: From<Error>>(
        &self,
        catalog: &Catalog,
        job: &Job,
        mut take: impl FnMut(Arc<Timelines>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let ranges = self.ranges(catalog)?;
        if ranges.len() <= 1 {
            return take(self.timelines(catalog, job)?);
        }
        let connection = self.connect()?;
        let until = observed_until(&connection).map_err(Error::duckdb("read its events"))?;
        for condition in ranges {
            let mut builder = TimelinesBuilder::new(catalog);
            read_into(&mut builder, &connection, catalog, &condition, job)?;
            take(Arc::new(builder.finish().of_part(until)))?;
        }
        Ok(())
    }

    /// Conditions on `customer_id` that cut the customers into ranges of about as many events as fit.
    fn ranges(&self, catalog: &Catalog) -> Result<Vec<String>> {
        let connection = self.connect()?;
        let failed = || Error::duckdb("count its events");
        let n: usize = connection
            .query_row("SELECT count(*) FROM stored_events", [], |row| row.get(0))
            .map_err(failed())?;
        let properties = catalog.properties.values();
        let event: usize = EVENT_BYTES + properties.map(|type_| value_bytes(*type_)).sum::<usize>();
        let fit = (self.cache.budget / event).max(1);
        if n <= fit {
            return Ok(Vec::new());
        }
        let n_ranges = n.div_ceil(fit).min(MOST_RANGES);
        let starts = starts(&connection, n.div_ceil(n_ranges)).map_err(failed())?;
        let until = |next: Option<&String>| {
            next.map_or_else(String::new, |next| format!(" AND customer_id < {}", quote_text(next)))
        };
        let range = |(place, start): (usize, &String)| {
            format!("(customer_id >= {}{})", quote_text(start), until(starts.get(place + 1)))
        };
        Ok(starts.iter().enumerate().map(range).collect())
    }
}

/// The time of the latest event of all customers; system events do not count.
fn observed_until(connection: &Connection) -> duckdb::Result<Time> {
    let sql = format!("SELECT epoch_us(max(event_time)) FROM stored_events WHERE {NOT_SYSTEM_SQL}");
    let latest: Option<i64> = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(Time(latest.unwrap_or(i64::MIN)))
}

/// A value takes its bytes twice while rows are ordered.
const fn value_bytes(type_: Type) -> usize {
    match type_ {
        Type::Boolean => 2,
        Type::Text => 8,
        _ => 16,
    }
}

/// The first customer of each range of at least so many events.
fn starts(connection: &Connection, events: usize) -> duckdb::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT customer_id, sum(n)::BIGINT FROM (
            SELECT customer_id, count(*) AS n FROM events GROUP BY 1
            UNION ALL SELECT DISTINCT customer_id, 0 FROM traits)
         GROUP BY 1 ORDER BY 1",
    )?;
    let mut rows = statement.query([])?;
    let (mut starts, mut so_far) = (Vec::new(), events);
    while let Some(row) = rows.next()? {
        if so_far >= events {
            starts.push(row.get::<_, String>(0)?);
            so_far = 0;
        }
        so_far += row.get::<_, usize>(1)?;
    }
    Ok(starts)
}
