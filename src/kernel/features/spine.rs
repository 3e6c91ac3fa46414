use serde::{Deserialize, Serialize};

use super::{DefinitionError, Timelines};
use crate::domain::{Span, Time};

/// The rows of a training set before features, as a model spec writes them: which customers, when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpineDefinition {
    /// A calendar: an as-of time every so often, with `from` and `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// The first as-of time of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// The end of the calendar, itself left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// As-of times, for every customer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Time>,
    /// A row for each event of these names, as of its own time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// A checked spine.
#[derive(Clone, Debug, PartialEq)]
pub enum Spine {
    /// Every customer that was one, at each of these times, ascending.
    At(Vec<Time>),
    /// Each event of these names, as of its own time.
    Events(Vec<String>),
}

/// A row of a spine: the place of a customer in the timelines, and the as-of time.
pub type SpineRow = (usize, Time);

/// The most as-of times of a calendar.
const MOST_TIMES: usize = 10_000;
/// The most rows of a training set.
const MOST_ROWS: usize = 5_000_000;

impl SpineDefinition {
    /// The checked spine.
    ///
    /// # Errors
    /// It is not exactly one of a calendar, times and events, or a calendar without end.
    pub fn check(&self) -> Result<Spine, DefinitionError> {
        let error = |message: &str| Err(DefinitionError::new("spine", message));
        match (self.every, self.at.is_empty(), self.events.is_empty()) {
            (Some(every), true, true) => {
                let (Some(from), Some(until)) = (self.from, self.until) else {
                    return error("a calendar needs from and until: from = 1997-03-01");
                };
                let times: Vec<Time> =
                    std::iter::successors(Some(from), |time| Some(time.plus(every.micros())))
                        .take_while(|time| *time < until)
                        .take(MOST_TIMES + 1)
                        .collect();
                if times.is_empty() || times.len() > MOST_TIMES {
                    return error("a calendar has between 1 and 10000 times");
                }
                Ok(Spine::At(times))
            }
            (None, false, true) => {
                let mut times = self.at.clone();
                times.sort_unstable();
                times.dedup();
                Ok(Spine::At(times))
            }
            (None, true, false) => Ok(Spine::Events(self.events.clone())),
            _ => error("give it exactly one of every (with from and until), at and events"),
        }
    }
}

impl Spine {
    /// Its rows, by time and then customer: only customers with an event before the time.
    ///
    /// # Errors
    /// There are more than a training set may have.
    pub fn rows(&self, timelines: &Timelines) -> Result<Vec<SpineRow>, DefinitionError> {
        let n_customers = timelines.customers().len();
        let is_customer = |customer: usize, time: Time| {
            timelines.first_seen(customer).is_some_and(|first_seen| first_seen < time)
        };
        let rows: Vec<SpineRow> = match self {
            Self::At(times) => times
                .iter()
                .flat_map(|time| (0..n_customers).map(move |customer| (customer, *time)))
                .filter(|(customer, time)| is_customer(*customer, *time))
                .take(MOST_ROWS + 1)
                .collect(),
            Self::Events(events) => {
                let wanted: Vec<bool> = timelines
                    .names()
                    .iter()
                    .map(|name| events.iter().any(|event| event.as_str() == name.as_ref()))
                    .collect();
                let mut rows: Vec<SpineRow> = (0..n_customers)
                    .flat_map(|customer| timelines.rows(customer).map(move |row| (customer, row)))
                    .filter(|(_, row)| wanted[timelines.events[*row] as usize])
                    .map(|(customer, row)| (customer, Time(timelines.times[row])))
                    .filter(|(customer, time)| is_customer(*customer, *time))
                    .take(MOST_ROWS + 1)
                    .collect();
                rows.sort_by_key(|(customer, time)| (*time, *customer));
                rows
            }
        };
        if rows.len() > MOST_ROWS {
            let message = format!("a training set has at most {MOST_ROWS} rows; use fewer times");
            return Err(DefinitionError::new("spine", message));
        }
        Ok(rows)
    }
}
