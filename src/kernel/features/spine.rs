use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AsOf, Column, DefinitionError, Knowledge, Timelines};
use crate::domain::{Span, Time, Type};

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
    /// A row for each event of these names, as of its own time, with its properties as context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// A file with a row for each row: `customer_id, as_of`, then context and perhaps `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether features read what was, or what was known by then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub knowledge: Knowledge,
}

fn is_default(knowledge: &Knowledge) -> bool {
    *knowledge == Knowledge::default()
}

/// A checked spine.
#[derive(Clone, Debug, PartialEq)]
pub enum Spine {
    /// Every customer that was one, at each of these times, ascending.
    At(Vec<Time>),
    /// Each event of these names, as of its own time.
    Events(Vec<String>),
    /// The rows of a file, which whoever can read files must bring.
    File(String),
}

/// A row of a spine: the place of a customer in the timelines, and the as-of time.
pub type SpineRow = (usize, Time);

/// The rows of a training set or a view, before features.
#[derive(Clone, Debug, Default)]
pub struct SpineRows {
    /// Who and when.
    pub rows: Vec<SpineRow>,
    /// Customers that have no timeline; their places follow those that have one.
    pub strangers: Vec<Arc<str>>,
    /// What else is known of each row.
    pub occasions: Occasions,
}

/// What is known of the occasion of each row, by column.
#[derive(Clone, Debug, Default)]
pub struct Occasions {
    /// Names and values.
    pub columns: Vec<(String, Column)>,
}

/// The most as-of times of a calendar.
const MOST_TIMES: usize = 10_000;
/// The most rows of a training set.
const MOST_ROWS: usize = 20_000_000;

impl SpineDefinition {
    /// The checked spine.
    ///
    /// # Errors
    /// It is not exactly one of a calendar, times, events and a file, or a calendar without end.
    pub fn check(&self) -> Result<Spine, DefinitionError> {
        let error = |message: &str| Err(DefinitionError::new("spine", message));
        if self.every.is_none() && (self.from.is_some() || self.until.is_some()) {
            return error("from and until belong to a calendar: every = \"30d\"");
        }
        match (self.every, self.at.is_empty(), self.events.is_empty(), &self.file) {
            (Some(every), true, true, None) => {
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
            (None, false, true, None) => {
                let mut times = self.at.clone();
                times.sort_unstable();
                times.dedup();
                Ok(Spine::At(times))
            }
            (None, true, false, None) => Ok(Spine::Events(self.events.clone())),
            (None, true, true, Some(file)) => Ok(Spine::File(file.clone())),
            _ => error("give it exactly one of every (with from and until), at, events and file"),
        }
    }
}

impl Spine {
    /// Its rows, by time and then customer. At given times a row is a customer with an event before, and as
    /// it was known with one that had been received; of
    /// events each is a row, also the first of a customer. `context` names what is read of the occasion.
    ///
    /// # Errors
    /// There are more than a training set may have, or the occasions do not have what is read of them.
    pub fn rows(
        &self,
        timelines: &Timelines,
        context: &[(String, Type)],
        knowledge: Knowledge,
    ) -> Result<SpineRows, DefinitionError> {
        let rows = match self {
            Self::At(times) => at(timelines, times, context, knowledge)?,
            Self::Events(events) => of_events(timelines, events, context),
            Self::File(file) => {
                let message = format!("the rows of '{file}' were not read");
                return Err(DefinitionError::new("spine", message));
            }
        };
        rows.check_size()
    }
}

fn at(
    timelines: &Timelines,
    times: &[Time],
    context: &[(String, Type)],
    knowledge: Knowledge,
) -> Result<SpineRows, DefinitionError> {
    if let Some((name, _)) = context.first() {
        let message = format!(
            "the view reads context.{name}, which a point in time does not have; use a spine of events or a file"
        );
        return Err(DefinitionError::new("spine", message));
    }
    let customers = || 0..timelines.customers().len();
    let rows = times
        .iter()
        .flat_map(|time| customers().map(move |customer| (customer, *time)))
        .filter(|(customer, time)| timelines.is_seen(*customer, AsOf { time: *time, knowledge }))
        .take(MOST_ROWS + 1);
    Ok(SpineRows { rows: rows.collect(), ..SpineRows::default() })
}

fn of_events(timelines: &Timelines, events: &[String], context: &[(String, Type)]) -> SpineRows {
    let is_wanted = |name: &Arc<str>| events.iter().any(|event| event.as_str() == name.as_ref());
    let wanted: Vec<bool> = timelines.names().iter().map(is_wanted).collect();
    let mut rows: Vec<(Time, usize, u32)> = (0..timelines.customers().len())
        .flat_map(|customer| timelines.rows(customer).map(move |row| (customer, row)))
        .filter(|(_, row)| wanted[timelines.events[*row] as usize])
        .map(|(customer, row)| {
            (Time(timelines.times[row]), customer, u32::try_from(row).unwrap_or(u32::MAX))
        })
        .take(MOST_ROWS + 1)
        .collect();
    rows.sort_unstable();
    let places: Vec<u32> = rows.iter().map(|(.., row)| *row).collect();
    let columns = context
        .iter()
        .filter_map(|(name, _)| Some((name.clone(), timelines.property(name)?.gather(&places))));
    SpineRows {
        occasions: Occasions { columns: columns.collect() },
        rows: rows.into_iter().map(|(time, customer, _)| (customer, time)).collect(),
        strangers: Vec::new(),
    }
}

impl SpineRows {
    /// Every customer with an event before a time.
    #[must_use]
    pub fn at(timelines: &Timelines, time: Time) -> Self {
        Self::as_of(timelines, AsOf::at(time))
    }

    /// Every customer with an event before a time, and as it was known with one that had been received.
    #[must_use]
    pub fn as_of(timelines: &Timelines, as_of: AsOf) -> Self {
        at(timelines, &[as_of.time], &[], as_of.knowledge).unwrap_or_default()
    }

    /// Rows of given ids and times, in their order. An id without a timeline is a customer without
    /// events, never left out.
    ///
    /// # Errors
    /// There are more than a training set may have, or a column that is read is not there.
    pub fn of_customers(
        timelines: &Timelines,
        customers: &Column,
        times: &[Time],
        occasions: Occasions,
        context: &[(String, Type)],
    ) -> Result<Self, DefinitionError> {
        if let Some((name, type_)) =
            context.iter().find(|(name, _)| occasions.column(name).is_none())
        {
            let message = format!(
                "the view reads context.{name}; the spine needs a column '{name}' with a {type_}"
            );
            return Err(DefinitionError::new("spine", message));
        }
        let known = timelines.customers().len();
        let mut strangers: Vec<Arc<str>> = Vec::new();
        let places = timelines.places();
        let Column::Text(ids) = customers else {
            return Err(DefinitionError::new("spine", "the ids of customers are texts"));
        };
        // Each id is looked for once, however many rows it has.
        let mut found: Vec<Option<usize>> = vec![None; ids.dictionary().len()];
        let mut place = |code: u32| {
            let id = ids.dictionary().get(code as usize)?;
            let place = found.get_mut(code as usize)?;
            Some(*place.get_or_insert_with(|| match places.get(id.as_ref()) {
                Some(place) => *place as usize,
                None => {
                    strangers.push(id.clone());
                    known + strangers.len() - 1
                }
            }))
        };
        let rows: Option<Vec<SpineRow>> = times
            .iter()
            .enumerate()
            .map(|(row, time)| Some((place(ids.codes().at(row))?, *time)))
            .collect();
        let Some(rows) = rows else {
            return Err(DefinitionError::new("spine", "each row needs the id of a customer"));
        };
        Self { rows, strangers, occasions }.check_size()
    }

    fn check_size(self) -> Result<Self, DefinitionError> {
        if self.rows.len() <= MOST_ROWS {
            return Ok(self);
        }
        let message = format!("a training set has at most {MOST_ROWS} rows; use fewer times");
        Err(DefinitionError::new("spine", message))
    }

    /// The id of a customer by their place.
    #[must_use]
    pub fn customer_id<'s>(&'s self, timelines: &'s Timelines, customer: usize) -> &'s str {
        let known = timelines.customers();
        let stranger = || self.strangers.get(customer - known.len());
        known.get(customer).or_else(stranger).map_or("", AsRef::as_ref)
    }

    /// Keeps the rows that pass, and says how many did not.
    pub fn retain(&mut self, passes: impl Fn(&SpineRow) -> bool) -> usize {
        let kept: Vec<u32> = (0_u32..)
            .zip(&self.rows)
            .filter(|(_, row)| passes(row))
            .map(|(place, _)| place)
            .collect();
        let dropped = self.rows.len() - kept.len();
        if dropped > 0 {
            self.rows = kept.iter().map(|place| self.rows[*place as usize]).collect();
            for (_, column) in &mut self.occasions.columns {
                *column = column.gather(&kept);
            }
        }
        dropped
    }
}

impl Occasions {
    /// The column of a name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, column)| column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, Properties};
    use crate::features::Catalog;

    #[test]
    fn who_was_not_known_yet_has_no_row_as_it_was_known() {
        let event = |customer: &str, event: &str, (time, received): (i64, i64)| Event {
            message_id: format!("{customer}-{event}"),
            customer_id: customer.to_owned(),
            anonymous_id: None,
            event: event.to_owned(),
            event_time: Time(time),
            received_at: Time(received),
            seq: 0,
            properties: Properties::new(),
        };
        let events = [
            event("early", "order", (1, 2)),
            event("late", "order", (1, 10)),
            event("scored", "$score", (1, 2)),
            event("scored", "order", (2, 10)),
        ];
        let timelines = Timelines::of_events(&Catalog::default(), &events);
        let seen = |time: i64, knowledge: Knowledge| {
            let as_of = AsOf { time: Time(time), knowledge };
            let rows = SpineRows::as_of(&timelines, as_of);
            let ids =
                rows.rows.iter().map(|(customer, _)| timelines.customers()[*customer].as_ref());
            ids.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(seen(5, Knowledge::AsItWas), ["early", "late", "scored"]);
        assert_eq!(seen(5, Knowledge::AsItWasKnown), ["early"]);
        assert_eq!(seen(10, Knowledge::AsItWasKnown), ["early"]);
        assert_eq!(seen(11, Knowledge::AsItWasKnown), ["early", "late", "scored"]);
    }
}
