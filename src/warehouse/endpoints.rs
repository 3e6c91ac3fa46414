use std::collections::BTreeSet;

use kernel::domain::Job;

use crate::{Error, Result, Warehouse};

/// What of the history was published to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishMark {
    /// Rows from files up to this sequence number are there.
    pub last_seq: u64,
    /// The end of the endpoint's log after that. A log that ends earlier has lost some of it.
    pub log_end: u64,
}

/// What is known of endpoints, by the id of each.
impl Warehouse {
    /// What of the history was published to an endpoint; none if nothing was, or by an earlier version.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn publish_mark(&self, endpoint: &str) -> Result<Option<PublishMark>> {
        let sql = "SELECT last_seq, log_end FROM publishes WHERE endpoint = ?
            ORDER BY last_seq DESC, log_end DESC LIMIT 1";
        let mark = self.connect()?.query_row(sql, [endpoint], |row| {
            Ok(PublishMark { last_seq: row.get(0)?, log_end: row.get(1)? })
        });
        match mark {
            Err(duckdb::Error::QueryReturnedNoRows) => Ok(None),
            mark => mark.map(Some).map_err(Error::duckdb("read what was published")),
        }
    }

    /// Remembers what of the history is published to an endpoint.
    ///
    /// # Errors
    /// The warehouse cannot be written.
    pub fn set_publish_mark(&self, endpoint: &str, mark: PublishMark, job: &Job) -> Result<()> {
        self.transaction(job, |connection| {
            connection
                .execute("DELETE FROM publishes WHERE endpoint = ?", [endpoint])
                .and_then(|_| {
                    let values = duckdb::params![endpoint, mark.last_seq, mark.log_end];
                    connection.execute("INSERT INTO publishes VALUES (?, ?, ?)", values)
                })
                .map_err(Error::duckdb("remember what was published"))?;
            Ok(())
        })
    }

    /// Ids of other projects whose events may be pulled from an endpoint, because the user said so.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn accepted_projects(&self, endpoint: &str) -> Result<BTreeSet<String>> {
        let connection = self.connect()?;
        let read = || {
            let sql = "SELECT project FROM accepted_projects WHERE endpoint = ?";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([endpoint], |row| row.get(0))?;
            rows.collect::<duckdb::Result<_>>()
        };
        read().map_err(Error::duckdb("read which projects are accepted"))
    }

    /// Remembers that events of other projects may be pulled from an endpoint.
    ///
    /// # Errors
    /// The warehouse cannot be written.
    pub fn accept_projects(&self, endpoint: &str, projects: &[String], job: &Job) -> Result<()> {
        self.transaction(job, |connection| {
            for project in projects {
                connection
                    .execute("INSERT INTO accepted_projects VALUES (?, ?)", [endpoint, project])
                    .map_err(Error::duckdb("remember which projects are accepted"))?;
            }
            Ok(())
        })
    }
}
