use kernel::domain::{Job, NOT_SYSTEM_SQL};
use kernel::expression::quote_text;

use super::Proposal;
use super::check::Checker;
use super::read::{Columns, Rows, Stop};
use super::source::Source;
use crate::{Error, Result, Warehouse};

/// Names of events that are tried, the most frequent ones.
const MOST_NAMES: usize = 20;
/// Rows that are looked for.
const MOST_ROWS: usize = 500;

impl Warehouse {
    /// The event that the first rows of a file were imported as before, where the file's name is the only name
    /// that this import has for them: the same file under another name has no new rows.
    ///
    /// An id that is made of what a row says holds the event, so the rows are looked for under each name.
    pub(super) fn event_of_known_rows(
        &self,
        source: &Source,
        columns: &Columns,
        proposal: &Proposal,
        job: &Job,
    ) -> std::result::Result<Option<String>, Stop> {
        let (true, None) = (proposal.is_named_by_file, &proposal.mapping.message_id) else {
            return Ok(None);
        };
        let names = self.frequent_events()?;
        if names.is_empty() {
            return Ok(None);
        }
        let mut first: Option<Rows> = None;
        self.read_rows(source, columns, job, &mut |rows| {
            first.get_or_insert(rows);
            Err(Stop::Enough)
        })?;
        let Some(first) = first.map(|rows| rows.first(MOST_ROWS)) else { return Ok(None) };
        let types = self.types();
        // Under the name of the file first: then it is as it was.
        let own = proposal.mapping.event_name.iter().cloned();
        for name in own.chain(names) {
            let mut named = proposal.clone();
            named.mapping.event_name = Some(name.clone());
            let ids = Checker::new(&named, &types, 0)?.check(first.clone())?.ids;
            let texts: Vec<String> = ids.iter().map(|id| quote_text(&id.text())).collect();
            if !texts.is_empty() && self.count_known(&texts)? * 2 >= texts.len() as u64 {
                return Ok(
                    Some(name).filter(|name| Some(name) != proposal.mapping.event_name.as_ref())
                );
            }
        }
        Ok(None)
    }

    fn frequent_events(&self) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT event FROM stored_events WHERE {NOT_SYSTEM_SQL} GROUP BY event ORDER BY count(*) DESC, event
             LIMIT {MOST_NAMES}"
        );
        let connection = self.connect()?;
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect::<duckdb::Result<Vec<String>>>()
        };
        read().map_err(Error::duckdb("list its events"))
    }

    fn count_known(&self, ids: &[String]) -> Result<u64> {
        let sql = format!(
            "SELECT count(*) FROM stored_events WHERE message_uuid IN ({})",
            ids.join(", ")
        );
        self.connect()?
            .query_row(&sql, [], |row| row.get(0))
            .map_err(Error::duckdb("look for known rows"))
    }
}
