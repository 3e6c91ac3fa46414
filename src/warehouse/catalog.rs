use std::collections::BTreeMap;
use std::sync::PoisonError;

use duckdb::Connection;
use kernel::domain::{PropertyTypes, Time, Type};
use kernel::features::Catalog;

use crate::{Error, Result, Warehouse, customers, schema};

/// What is known of the data after so many writes: looking for it reads all events.
#[derive(Debug, Default)]
pub(crate) struct Known {
    writes: Option<u64>,
    catalog: Catalog,
    last_event: Option<Time>,
}

impl Warehouse {
    /// What is known of the data: events, properties and traits, with their types.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn catalog(&self) -> Result<Catalog> {
        self.with_known(|known| known.catalog.clone())
    }

    /// The time of the last event; system events do not count.
    ///
    /// # Errors
    /// The warehouse cannot be read.
    pub fn last_event(&self) -> Result<Option<Time>> {
        self.with_known(|known| known.last_event)
    }

    fn with_known<T>(&self, take: impl FnOnce(&Known) -> T) -> Result<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // What is written meanwhile is seen the next time.
        let writes = self.writes();
        if known.writes != Some(writes) {
            let connection = self.connect()?;
            let last_event = customers::last_event(&connection)?;
            *known = Known {
                writes: Some(writes),
                catalog: of(&connection, &self.types())?,
                last_event,
            };
        }
        Ok(take(&known))
    }
}

/// Texts that are times, as JSON has them: a date, perhaps with a time of the day in UTC.
const TIMES: &str = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z?)?";

/// What is known of the data, as a connection sees it.
pub(crate) fn of(connection: &Connection, types: &PropertyTypes) -> Result<Catalog> {
    let events = || {
        let mut statement =
            connection.prepare("SELECT DISTINCT event FROM events ORDER BY event")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        names.collect::<duckdb::Result<_>>()
    };
    Ok(Catalog {
        events: events().map_err(Error::duckdb("list its events"))?,
        properties: schema::properties(connection)?.into_iter().collect(),
        traits: types.traits.iter().map(|(name, type_)| (name.clone(), type_.type_of())).collect(),
        context: BTreeMap::new(),
    })
}

/// The types that the values of traits have, where the project says none.
pub(crate) fn trait_types(connection: &Connection) -> Result<BTreeMap<String, Type>> {
    let read = || {
        let mut statement = connection.prepare(
            "SELECT trait, bool_and(kind IN ('DOUBLE', 'BIGINT', 'UBIGINT')),
                    bool_and(kind = 'BOOLEAN'), bool_and(kind = 'VARCHAR' AND is_time)
                 FROM (SELECT trait, json_type(value) AS kind,
                        regexp_full_match(value ->> '$', $1)
                            AND TRY_CAST(value ->> '$' AS TIMESTAMP) IS NOT NULL AS is_time
                    FROM traits)
                 WHERE kind <> 'NULL' GROUP BY trait",
        )?;
        let types = statement.query_map([TIMES], |row| {
            let type_ = match (row.get(1)?, row.get(2)?, row.get(3)?) {
                (true, ..) => Type::Number,
                (_, true, _) => Type::Boolean,
                (.., true) => Type::Time,
                _ => Type::Text,
            };
            Ok((row.get::<_, String>(0)?, type_))
        })?;
        types.collect::<duckdb::Result<BTreeMap<_, _>>>()
    };
    read().map_err(Error::duckdb("list its traits"))
}
