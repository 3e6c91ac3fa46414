use super::{AsOf, Column};
use crate::domain::Value;

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
    pub(super) fn new(type_: crate::domain::Type) -> Self {
        Self {
            offsets: Vec::new(),
            times: Vec::new(),
            received: Vec::new(),
            values: Column::new(type_),
        }
    }

    /// The value that the trait of a customer has as of a time: the last change strictly before it.
    #[must_use]
    pub fn value(&self, customer: usize, as_of: AsOf) -> Value {
        let (Some(&from), Some(&to)) = (self.offsets.get(customer), self.offsets.get(customer + 1))
        else {
            return Value::Null;
        };
        let before = from + self.times[from..to].partition_point(|time| *time < as_of.time.0);
        (from..before)
            .rev()
            .find(|row| as_of.knows(self.received[*row]))
            .map_or(Value::Null, |row| self.values.value(row))
    }
}
