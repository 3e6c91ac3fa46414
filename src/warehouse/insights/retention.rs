use duckdb::Connection;
use kernel::domain::{Job, Time};
use kernel::expression::quote_text;
use serde::{Deserialize, Serialize};

use crate::query::sql_error;
use crate::{Error, Result, Warehouse};

/// How long an interval of a retention table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// A UTC calendar day.
    Day,
    /// A UTC calendar week, from Monday.
    Week,
    /// A UTC calendar month.
    Month,
}

/// Which cohorts a customer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionMode {
    /// Of every interval in which they did the start event.
    Recurring,
    /// Of the interval of their first start event, over all time.
    FirstTime,
}

/// What a retention table is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSpec {
    /// The event that makes a cohort; none is any event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The event that counts as a return; none is any event.
    #[serde(default, rename = "return", skip_serializing_if = "Option::is_none")]
    pub return_event: Option<String>,
    /// The length of an interval.
    pub interval: Interval,
    /// Which cohorts a customer is in.
    pub mode: RetentionMode,
    /// The number of intervals: cohorts and columns. The last one is that of the last event.
    pub intervals: u16,
}

/// A retention table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retention {
    /// The first instant of each cohort's interval.
    pub cohorts: Vec<Time>,
    /// For each cohort, customers by intervals after; the first is the size of the cohort. Intervals
    /// that have not begun are left out, so rows get shorter; the last one of each is still running.
    pub counts: Vec<Vec<u64>>,
    /// For each number of intervals after, the share over all cohorts that have it complete, weighted
    /// by their sizes.
    pub mean: Vec<f64>,
    /// The SQL that it was computed with.
    pub sql: String,
}

/// The most intervals of a table.
const MOST_INTERVALS: u16 = 60;

impl Default for RetentionSpec {
    fn default() -> Self {
        Self {
            start: None,
            return_event: None,
            interval: Interval::Week,
            mode: RetentionMode::FirstTime,
            intervals: 12,
        }
    }
}

impl Interval {
    const fn sql(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl Warehouse {
    /// A retention table by calendar intervals: column 0 is the cohort; a customer counts in column k
    /// if they did the return event in the k-th interval after the cohort's.
    ///
    /// # Errors
    /// The spec makes no sense, the warehouse cannot be read, or the job was canceled.
    pub fn retention(&self, spec: &RetentionSpec, job: &Job) -> Result<Retention> {
        if spec.intervals < 2 || spec.intervals > MOST_INTERVALS {
            return Err(Error::Mapping(format!(
                "intervals must be between 2 and {MOST_INTERVALS}, not {}",
                spec.intervals
            )));
        }
        let connection = self.connect()?;
        let interrupt = connection.interrupt_handle();
        let sql = sql(spec);
        let rows = job.interruptible(move || interrupt.interrupt(), || read(&connection, &sql));
        if job.is_canceled() {
            return Err(Error::Canceled);
        }
        let rows = rows.map_err(|error| Error::Sql(sql_error(&error.to_string())))?;
        Ok(table(&rows, sql))
    }
}

/// (first instant of the cohort, intervals after, customers) and how many intervals have begun.
type Rows = Vec<(i64, usize, u64, usize)>;

fn read(connection: &Connection, sql: &str) -> duckdb::Result<Rows> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, u32>(1)? as usize,
            row.get(2)?,
            row.get::<_, u32>(3)? as usize,
        ))
    })?;
    rows.collect()
}

fn sql(spec: &RetentionSpec) -> String {
    let is = |event: &Option<String>| match event {
        Some(event) => format!("event = {}", quote_text(event)),
        None => "NOT starts_with(event, '$')".to_owned(),
    };
    let interval = spec.interval.sql();
    let starts = match spec.mode {
        RetentionMode::Recurring => format!(
            "SELECT DISTINCT customer_id, date_trunc('{interval}', event_time) AS b FROM events
    WHERE {start}",
            start = is(&spec.start)
        ),
        RetentionMode::FirstTime => format!(
            "SELECT customer_id, date_trunc('{interval}', min(event_time)) AS b FROM events
    WHERE {start} GROUP BY customer_id",
            start = is(&spec.start)
        ),
    };
    format!(
        "WITH last AS (SELECT date_trunc('{interval}', max(event_time)) AS b FROM events
    WHERE NOT starts_with(event, '$') HAVING max(event_time) IS NOT NULL),
  calendar AS (SELECT CAST(b - INTERVAL 1 {interval} * k AS TIMESTAMP) AS cohort, k
    FROM last, range({n}) AS r(k)),
  starts AS ({starts}),
  returns AS (SELECT DISTINCT customer_id, date_trunc('{interval}', event_time) AS b FROM events
    WHERE {returned}),
  act AS (SELECT customer_id, b AS cohort, 0 AS k FROM starts
    UNION ALL SELECT s.customer_id, s.b, datediff('{interval}', s.b, r.b)
    FROM starts s JOIN returns r USING (customer_id) WHERE r.b > s.b),
  counted AS (SELECT CAST(cohort AS TIMESTAMP) AS cohort, k, count(DISTINCT customer_id) AS n
    FROM act GROUP BY ALL)
SELECT epoch_us(calendar.cohort), coalesce(counted.k, 0), coalesce(counted.n, 0), calendar.k + 1
FROM calendar LEFT JOIN counted ON counted.cohort = calendar.cohort AND counted.k < {n}
ORDER BY 1, 2",
        n = spec.intervals,
        returned = is(&spec.return_event),
    )
}

fn table(rows: &Rows, sql: String) -> Retention {
    let mut cohorts = Vec::new();
    let mut counts: Vec<Vec<u64>> = Vec::new();
    for (cohort, k, n, begun) in rows {
        if cohorts.last() != Some(&Time(*cohort)) {
            cohorts.push(Time(*cohort));
            counts.push(vec![0; *begun]);
        }
        if let Some(count) = counts.last_mut().and_then(|row| row.get_mut(*k)) {
            *count = *n;
        }
    }
    let width = counts.iter().map(Vec::len).max().unwrap_or(0);
    let mean = (0..width).map(|k| weighted_share(&counts, k)).collect();
    Retention { cohorts, counts, mean, sql }
}

/// The share of customers who returned k intervals after, over cohorts where that interval is over.
fn weighted_share(counts: &[Vec<u64>], k: usize) -> f64 {
    let complete = counts.iter().filter(|row| row.len() > k + 1 || (k == 0 && !row.is_empty()));
    let (returned, size) =
        complete.fold((0, 0), |(returned, size), row| (returned + row[k], size + row[0]));
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    if size == 0 { f64::NAN } else { returned as f64 / size as f64 }
}
