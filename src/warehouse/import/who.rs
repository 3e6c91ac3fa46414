use std::sync::Arc;

use duckdb::arrow::array::{Array, ArrayRef, StringArray};

/// The customer of each row.
pub(super) struct Who {
    /// The customer of each row, or the anonymous id where there is none.
    pub(super) customers: ArrayRef,
    /// The anonymous id of each row.
    pub(super) anonymous: Option<ArrayRef>,
    /// Whether the customer of each row is known, and not only an anonymous id.
    known: Vec<bool>,
}

/// Who rows are of, by their customers and their anonymous ids.
pub(super) fn of(customers: ArrayRef, anonymous: Option<ArrayRef>) -> Who {
    let (Some(own), Some(others)) = (texts(&customers), anonymous.as_ref().and_then(texts)) else {
        return Who { customers, anonymous: None, known: Vec::new() };
    };
    let is_known = |id: Option<&str>| id.is_some_and(|id| !id.trim().is_empty());
    let known: Vec<bool> = own.iter().map(is_known).collect();
    let both = own.iter().zip(others).zip(&known);
    let customers = both.map(|((own, other), known)| if *known { own } else { other });
    let customers: ArrayRef = Arc::new(customers.collect::<StringArray>());
    Who { customers, anonymous, known }
}

impl Who {
    /// The anonymous ids of kept rows that say whose they are, each with that customer.
    pub(super) fn joins(&self, keep: &[bool]) -> Vec<(String, String)> {
        let others = self.anonymous.as_ref().and_then(texts);
        let (Some(own), Some(others)) = (texts(&self.customers), others) else { return Vec::new() };
        let mut joins: Vec<(String, String)> = Vec::new();
        for row in
            (0..own.len()).filter(|row| keep[*row] && self.known[*row] && !others.is_null(*row))
        {
            let (customer, other) = (own.value(row), others.value(row));
            let is_last = joins.last().is_some_and(|(id, known)| id == other && known == customer);
            if customer != other && !is_last {
                joins.push((other.to_owned(), customer.to_owned()));
            }
        }
        joins
    }
}

fn texts(array: &ArrayRef) -> Option<&StringArray> {
    array.as_any().downcast_ref()
}
