use std::collections::HashMap;

use duckdb::Connection;
use kernel::domain::{ALIAS, Event};

use crate::{Error, Result, own_ids};

/// A live event, and the customer that it belongs to after all joins of its run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owned<'e> {
    pub(crate) event: &'e Event,
    pub(crate) customer_id: &'e str,
}

/// What the joins of a run of live events do: a join assigns what came before it under an anonymous id to
/// a customer. Computed for all of them at once, so that the warehouse is changed once a run.
#[derive(Debug, Default)]
pub(crate) struct Joins<'e> {
    /// Joined ids in the order of the log, with the customer each of them belongs to in the end.
    joined: Vec<(&'e str, &'e str)>,
}

impl<'e> Joins<'e> {
    /// Reads a run in the order of the log; gives its events other than joins with their owners.
    pub(crate) fn read(events: &'e [Event]) -> (Self, Vec<Owned<'e>>) {
        let mut owner_of: HashMap<&str, &str> = HashMap::new();
        let (mut joined, mut owned) = (Vec::new(), Vec::with_capacity(events.len()));
        // Backwards: at each event, `owner_of` has what all later joins do.
        for event in events.iter().rev() {
            let customer_id: &str = &event.customer_id;
            let owner = owner_of.get(customer_id).copied().unwrap_or(customer_id);
            if event.event != ALIAS {
                owned.push(Owned { event, customer_id: owner });
            } else if let Some(anonymous) = event.anonymous_id.as_deref() {
                owner_of.insert(anonymous, owner);
                joined.push((anonymous, owner));
            }
        }
        joined.reverse();
        owned.reverse();
        (Self { joined }, owned)
    }

    /// Assigns what the warehouse has under joined ids to their customers.
    pub(crate) fn apply(&self, connection: &Connection) -> Result<()> {
        if self.joined.is_empty() {
            return Ok(());
        }
        self.write(connection).map_err(Error::duckdb("join timelines"))
    }

    fn write(&self, connection: &Connection) -> duckdb::Result<()> {
        connection.execute_batch(
            "CREATE OR REPLACE TEMP TABLE joined (place BIGINT, anonymous_id VARCHAR, customer_id VARCHAR)",
        )?;
        let mut appender = connection.appender("joined")?;
        for (place, (anonymous, customer)) in self.joined.iter().enumerate() {
            appender.append_row(duckdb::params![place as u64, anonymous, customer])?;
        }
        appender.flush()?;
        drop(appender);
        // Of several joins of one id, the first one moved what was there before.
        for table in ["stored_events", "traits", "aliases"] {
            connection.execute_batch(&format!(
                "UPDATE {table} SET customer_id = j.customer_id
                 FROM (SELECT anonymous_id, arg_min(customer_id, place) AS customer_id
                       FROM joined GROUP BY anonymous_id) j
                 WHERE {table}.customer_id = j.anonymous_id AND j.anonymous_id <> j.customer_id
                    AND {}",
                if table == "aliases" { "true".to_owned() } else { own_ids::is_moved(table) }
            ))?;
        }
        connection.execute_batch(
            "INSERT INTO aliases SELECT anonymous_id, customer_id FROM joined ORDER BY place;
             DROP TABLE joined",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::domain::{Properties, Time};

    fn event(name: &str, customer: &str, anonymous: Option<&str>) -> Event {
        Event {
            message_id: String::new(),
            customer_id: customer.to_owned(),
            anonymous_id: anonymous.map(str::to_owned),
            event: name.to_owned(),
            event_time: Time(0),
            received_at: Time(0),
            seq: 0,
            properties: Properties::new(),
        }
    }

    #[test]
    fn a_join_moves_what_came_before_it_and_chains() {
        let run = [
            event("a", "anon", None),
            event(ALIAS, "ada", Some("anon")),
            event("b", "anon", None),
            event("c", "ada", None),
            event(ALIAS, "bo", Some("ada")),
            event("d", "ada", None),
            event(ALIAS, "anon", Some("bo")),
        ];
        let (joins, owned) = Joins::read(&run);
        let owners: Vec<&str> = owned.iter().map(|owned| owned.customer_id).collect();
        assert_eq!(owners, ["anon", "anon", "anon", "ada"]);
        assert_eq!(joins.joined, [("anon", "anon"), ("ada", "anon"), ("bo", "anon")]);
    }

    #[test]
    fn a_run_of_many_joins_onto_one_customer_is_read_at_once() {
        let run: Vec<Event> =
            (0..100_000).map(|n| event(ALIAS, "ada", Some(&format!("anon-{n}")))).collect();
        let (joins, owned) = Joins::read(&run);
        assert!(owned.is_empty() && joins.joined.iter().all(|(_, owner)| *owner == "ada"));
    }
}
