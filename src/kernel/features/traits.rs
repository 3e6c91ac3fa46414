use super::{AsOf, Column};
use crate::domain::{Cell, Time, Value};

/// The values of one trait over time, for customers in the order of their timelines.
#[derive(Clone, Debug)]
pub struct TraitTimeline {
    /// Where each customer's changes begin; one more than there are customers.
    pub(super) offsets: Vec<usize>,
    pub(super) times: Vec<i64>,
    pub(super) received: Vec<i64>,
    pub(super) values: Column,
}

impl TraitTimeline {
    /// The value that the trait of a customer has as of a time: the last change strictly before it.
    #[must_use]
    pub fn value(&self, customer: usize, as_of: AsOf) -> Value {
        self.row(customer, as_of).map_or(Value::Null, |row| self.values.value(row))
    }

    /// The same, borrowed.
    #[must_use]
    pub fn cell(&self, customer: usize, as_of: AsOf) -> Cell<'_> {
        self.row(customer, as_of).map_or(Cell::Null, |row| self.values.cell(row))
    }

    fn row(&self, customer: usize, as_of: AsOf) -> Option<usize> {
        let bounds = (self.offsets.get(customer), self.offsets.get(customer.saturating_add(1)));
        let (Some(&from), Some(&to)) = bounds else { return None };
        let before = from + self.times[from..to].partition_point(|time| *time < as_of.time.0);
        (from..before).rev().find(|row| as_of.knows(self.received[*row]))
    }

    /// Appends a change of the last customer that comes last.
    pub(super) fn push(&mut self, time: Time, received_at: Time, value: Cell<'_>) {
        self.times.push(time.0);
        self.received.push(received_at.0);
        self.values.push(value);
        if let Some(end) = self.offsets.last_mut() {
            *end += 1;
        }
    }

    /// The memory that it takes, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        (self.offsets.capacity() + self.times.capacity() + self.received.capacity()) * 8
            + self.values.bytes()
    }
}
