use kernel::domain::{Time, Type};
use kernel::expression::quote_identifier;

use crate::{Error, Result, Warehouse};

/// Events of one name, and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct EventKind {
    /// The name.
    pub name: String,
    /// How many there are.
    pub events: u64,
    /// The time of the first.
    pub first: Time,
    /// The time of the last.
    pub last: Time,
    /// The properties that some of them have.
    pub properties: Vec<PropertyUse>,
}

/// A property of events of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyUse {
    /// The name.
    pub name: String,
    /// The type, which is the same for all events.
    pub type_: Type,
    /// Events that have it.
    pub values: u64,
    /// One of its values, as text.
    pub example: String,
}

/// Properties that are looked at: each is a column that is read whole.
pub const MOST_PROPERTIES: usize = 500;
/// Names of events that are listed.
const MOST_EVENTS: usize = 500;
/// The longest example, in characters.
const LONGEST_EXAMPLE: usize = 80;

impl Warehouse {
    /// What kinds of events there are, most frequent first, with their properties.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn inventory(&self) -> Result<Vec<EventKind>> {
        let connection = self.connect()?;
        let mut properties = crate::schema::properties(&connection)?;
        properties.truncate(MOST_PROPERTIES);
        let columns: String = properties
            .iter()
            .map(|(name, _)| {
                let name = quote_identifier(name);
                format!(
                    ", count({name}), left(CAST(any_value({name}) AS VARCHAR), {LONGEST_EXAMPLE})"
                )
            })
            .collect();
        let sql = format!(
            "SELECT event, count(*), epoch_us(min(event_time)), epoch_us(max(event_time)){columns}
             FROM events GROUP BY event ORDER BY 2 DESC, 1 LIMIT {MOST_EVENTS}"
        );
        let read = || {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map([], |row| {
                let mut used = Vec::new();
                for (place, (name, type_)) in properties.iter().enumerate() {
                    let values: u64 = row.get(4 + 2 * place)?;
                    if values > 0 {
                        let example: Option<String> = row.get(5 + 2 * place)?;
                        let (name, type_) = (name.clone(), *type_);
                        let example = example.unwrap_or_default();
                        used.push(PropertyUse { name, type_, values, example });
                    }
                }
                Ok(EventKind {
                    name: row.get(0)?,
                    events: row.get(1)?,
                    first: Time(row.get(2)?),
                    last: Time(row.get(3)?),
                    properties: used,
                })
            })?;
            rows.collect::<duckdb::Result<Vec<_>>>()
        };
        read().map_err(Error::duckdb("list its kinds of events"))
    }
}
