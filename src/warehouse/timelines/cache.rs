use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::Connection;
use kernel::domain::{Job, Time};
use kernel::expression::quote_text;
use kernel::features::{Catalog, Timelines, TimelinesBuilder};
use serde::{Deserialize, Serialize};

use super::read::read_into;
use crate::schema::LIVE_SEQ;
use crate::{Error, Result, Warehouse};

/// The timelines that were read last.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) budget: usize,
    kept: Mutex<Option<Kept>>,
    /// How often the warehouse had been written when the kept ones were last seen to be right.
    right_after: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) catalog: Catalog,
    pub(super) state: State,
    pub(super) timelines: Arc<Timelines>,
}

/// What the warehouse holds, as far as it tells whether timelines are still right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Which warehouse it is; a new one has a new number.
    warehouse: String,
    events: u64,
    traits: u64,
    /// The latest row of a file, and the latest that came live.
    last_file: i64,
    last_live: i64,
    joins: u64,
}

impl State {
    /// Whether there are so many events, all of files and none joined to another customer.
    pub(super) fn has_only_events(&self, n: usize) -> bool {
        self.events == n as u64 && self.joins == 0 && self.last_live < live_seq()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            budget: DEFAULT_BUDGET,
            kept: Mutex::new(None),
            right_after: AtomicU64::new(u64::MAX),
        }
    }
}

/// Memory for timelines unless a project says otherwise.
const DEFAULT_BUDGET: usize = 4 << 30;

impl Warehouse {
    /// The timelines of all customers, with the properties and traits of a catalog and perhaps more. They
    /// are kept until the warehouse changes; then what is new is added.
    ///
    /// # Errors
    /// The warehouse cannot be read, they do not fit the budget of memory, or the job was canceled.
    pub fn timelines(&self, catalog: &Catalog, job: &Job) -> Result<Arc<Timelines>> {
        let mut kept = self.cache.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What was written since is seen the next time.
        let writes = self.writes();
        if let Some(known) = kept.as_ref().filter(|known| known.catalog.covers(catalog))
            && self.cache.right_after.load(Ordering::Acquire) == writes
        {
            return Ok(known.timelines.clone());
        }
        let timelines = self.timelines_of_now(&mut kept, catalog, job)?;
        self.cache.right_after.store(writes, Ordering::Release);
        Ok(timelines)
    }

    /// The timelines of what the warehouse holds now, kept in `kept`.
    fn timelines_of_now(
        &self,
        kept: &mut Option<Kept>,
        catalog: &Catalog,
        job: &Job,
    ) -> Result<Arc<Timelines>> {
        let connection = self.connect()?;
        let in_one_view = "BEGIN TRANSACTION READ ONLY";
        connection.execute_batch(in_one_view).map_err(Error::duckdb("read its timelines"))?;
        let state = state(&connection)?;
        // Definitions that are tried in turn read a little more each: keep what was read before.
        let with = |others: Option<Catalog>| {
            let mut wanted = catalog.clone();
            others.iter().for_each(|others| wanted.extend(others));
            if wanted.covers(catalog) { wanted } else { catalog.clone() }
        };
        if kept.as_ref().is_none_or(|known| !known.catalog.covers(catalog)) {
            let wanted = with(kept.as_ref().map(|known| known.catalog.clone()));
            let read = self.read_kept(&wanted).or_else(|| self.read_kept(catalog));
            *kept = read.or_else(|| kept.take());
        }
        if let Some(known) = kept.take_if(|known| known.catalog.covers(catalog)) {
            if known.state == state {
                let timelines = known.timelines.clone();
                *kept = Some(known);
                return Ok(timelines);
            }
            // The file is written anew, with all that it has.
            let known = self.read_more(&known).unwrap_or(known);
            if let Some(extended) = extend(&connection, known, &state, job)? {
                return Ok(self.keep_timelines(kept, extended));
            }
        }
        let known = kept.take().map(|known| known.catalog);
        let catalog = with(self.kept_catalog().or(known));
        let mut builder = TimelinesBuilder::new(&catalog);
        read_into(&mut builder, &connection, &catalog, "true", job)?;
        let timelines = Arc::new(builder.finish());
        Ok(self.keep_timelines(kept, Kept { catalog, state, timelines }))
    }

    /// Keeps what `make` makes of the state that the warehouse is in, if it makes something.
    pub(super) fn keep_if_same(
        &self,
        connection: &Connection,
        make: impl FnOnce(State) -> Result<Option<Kept>>,
    ) -> Result<()> {
        let mut kept = self.cache.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = self.writes();
        let in_one_view = "BEGIN TRANSACTION READ ONLY";
        connection.execute_batch(in_one_view).map_err(Error::duckdb("read its timelines"))?;
        if let Some(new) = make(state(connection)?)? {
            self.keep_timelines(&mut kept, new);
            self.cache.right_after.store(writes, Ordering::Release);
        }
        Ok(())
    }

    /// Keeps timelines in memory and, as far as that can be written, in a file for the next start.
    fn keep_timelines(&self, place: &mut Option<Kept>, new: Kept) -> Arc<Timelines> {
        self.write_kept(&new);
        let timelines = new.timelines.clone();
        *place = Some(new);
        timelines
    }

    /// Timelines of all customers with only what happened before a time; these are not kept.
    ///
    /// # Errors
    /// The warehouse cannot be read, or the job was canceled.
    pub fn timelines_until(&self, catalog: &Catalog, until: Time, job: &Job) -> Result<Timelines> {
        let condition = format!("event_time < make_timestamp({})", until.0);
        let mut builder = TimelinesBuilder::new(catalog);
        read_into(&mut builder, &self.connect()?, catalog, &condition, job)?;
        Ok(builder.finish())
    }

    /// The timeline of one customer; without events if there is no such customer.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn timeline_of(&self, customer_id: &str, catalog: &Catalog) -> Result<Timelines> {
        let condition = format!("customer_id = {}", quote_text(customer_id));
        let mut builder = TimelinesBuilder::new(catalog);
        read_into(&mut builder, &self.connect()?, catalog, &condition, &Job::unwatched())?;
        Ok(builder.finish())
    }
}

/// The same timelines with what is new in the warehouse; none where that does not simply come after.
fn extend(connection: &Connection, known: Kept, now: &State, job: &Job) -> Result<Option<Kept>> {
    let then = &known.state;
    let new_files = now.last_file > then.last_file;
    let new_live = now.last_live > then.last_live;
    // Rows of a file come before live ones in the order of equal times.
    let comes_after = !new_files || then.last_live < live_seq();
    if now.warehouse != then.warehouse
        || now.joins != then.joins
        || !comes_after
        || !(new_files || new_live)
    {
        return Ok(None);
    }
    let condition = format!(
        "((seq > {} AND seq < {LIVE_SEQ}) OR seq > {})",
        then.last_file,
        then.last_live.max(live_seq() - 1)
    );
    let count = |table: &str| -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {table} WHERE {condition}");
        connection.query_row(&sql, [], |row| row.get(0)).map_err(Error::duckdb("count its events"))
    };
    if (then.events + count("events")?, then.traits + count("traits")?) != (now.events, now.traits)
    {
        return Ok(None);
    }
    let timelines = Arc::unwrap_or_clone(known.timelines);
    let mut builder = TimelinesBuilder::continuing(timelines);
    read_into(&mut builder, connection, &known.catalog, &condition, job)?;
    let timelines = Arc::new(builder.finish());
    Ok(Some(Kept { catalog: known.catalog, state: now.clone(), timelines }))
}

fn live_seq() -> i64 {
    i64::try_from(LIVE_SEQ).unwrap_or(i64::MAX)
}

impl Warehouse {
    /// What the warehouse holds, as a text that is another one whenever an event or a trait is.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn state(&self) -> Result<String> {
        Ok(format!("{:?}", state(&self.connect()?)?))
    }
}

fn state(connection: &Connection) -> Result<State> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM stored_events), (SELECT count(*) FROM traits),
            coalesce(max(CASE WHEN seq < {LIVE_SEQ} THEN seq END), 0), coalesce(max(seq), 0),
            (SELECT count(*) FROM aliases), (SELECT min(id) FROM warehouse)
         FROM (SELECT seq FROM stored_events UNION ALL SELECT seq FROM traits)"
    );
    connection
        .query_row(&sql, [], |row| {
            Ok(State {
                events: row.get(0)?,
                traits: row.get(1)?,
                last_file: row.get(2)?,
                last_live: row.get(3)?,
                joins: row.get(4)?,
                warehouse: row.get(5)?,
            })
        })
        .map_err(Error::duckdb("look for changes"))
}
