use std::collections::HashMap;

use duckdb::Connection;

use crate::{Error, Result};

/// Anonymous ids of files and who they turned out to be: the customer of the first row that says it.
#[derive(Debug, Default)]
pub(super) struct Joins {
    customers: HashMap<String, String>,
    /// The anonymous ids in the order in which they came.
    order: Vec<String>,
    /// Rows that say another customer than the first row did.
    others: u64,
}

impl Joins {
    pub(super) fn add(&mut self, joins: Vec<(String, String)>) {
        for (anonymous, customer) in joins {
            match self.customers.get(&anonymous) {
                None => {
                    self.order.push(anonymous.clone());
                    self.customers.insert(anonymous, customer);
                }
                Some(known) => self.others += u64::from(*known != customer),
            }
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.others += other.others;
        let mut customers = other.customers;
        let joins = other
            .order
            .into_iter()
            .filter_map(|id| customers.remove(&id).map(|customer| (id, customer)));
        self.add(joins.collect());
    }

    /// Keeps those that are new in the warehouse; how many. An id that is a customer of its own is not joined, and
    /// neither is one that was joined before.
    pub(super) fn insert(&self, connection: &Connection) -> Result<u64> {
        if self.order.is_empty() {
            return Ok(0);
        }
        let failed = || Error::duckdb("join timelines");
        let create =
            "CREATE OR REPLACE TEMP TABLE new_aliases (anonymous_id VARCHAR, customer_id VARCHAR)";
        connection.execute_batch(create).map_err(failed())?;
        let mut appender = connection.appender("new_aliases").map_err(failed())?;
        for anonymous in &self.order {
            appender.append_row([anonymous, &self.customers[anonymous]]).map_err(failed())?;
        }
        appender.flush().map_err(failed())?;
        drop(appender);
        let joined = connection
            .execute(
                "INSERT INTO aliases (anonymous_id, customer_id)
                 SELECT n.anonymous_id, coalesce(k.customer_id, n.customer_id)
                 FROM new_aliases n LEFT JOIN aliases k ON k.anonymous_id = n.customer_id
                 WHERE NOT EXISTS (SELECT 1 FROM aliases a WHERE a.anonymous_id = n.anonymous_id)
                    AND NOT EXISTS (SELECT 1 FROM stored_events e WHERE e.customer_id = n.anonymous_id
                        AND e.anonymous_id IS DISTINCT FROM e.customer_id)",
                [],
            )
            .map_err(failed())?;
        connection.execute_batch("DROP TABLE new_aliases").map_err(failed())?;
        Ok(joined as u64)
    }

    /// Says of anonymous ids that they have several customers.
    pub(super) fn remark(&self) -> Option<String> {
        (self.others > 0).then(|| {
            format!(
                "{} rows have an anonymous id that an earlier row gives to another customer; it stays with the first",
                self.others
            )
        })
    }
}
