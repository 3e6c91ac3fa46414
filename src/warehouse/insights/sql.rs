//! Pieces of SQL that insights share.

use kernel::domain::Time;
use kernel::expression::{quote_identifier, quote_text};

use super::{Breakdown, Calendar, Scope};

/// The customers that count, and the value of a trait where that breaks a chart down.
pub(super) fn who(scope: &Scope, calendar: &Calendar) -> String {
    let of = match &scope.segment {
        None => String::new(),
        Some(segment) => format!(
            "\n  WHERE customer_id IN (SELECT customer_id FROM segments.{})",
            quote_identifier(segment.as_str())
        ),
    };
    let value = match &scope.breakdown {
        Some(Breakdown::Trait(name)) => format!(
            ", (SELECT max_by(t.value, (t.event_time, t.seq)) ->> '$' FROM traits t
    WHERE t.customer_id = customers.customer_id AND t.trait = {} AND t.event_time < {}) AS value",
            quote_text(name),
            instant(calendar.until())
        ),
        _ => String::new(),
    };
    format!("SELECT customer_id, first_seen{value} FROM customers{of}")
}

/// The value that tells parts of a chart apart, of an event.
pub(super) fn group(scope: &Scope) -> String {
    match &scope.breakdown {
        None => "''".to_owned(),
        Some(Breakdown::Property(name)) => {
            format!("coalesce(CAST({} AS VARCHAR), '(none)')", quote_identifier(name))
        }
        Some(Breakdown::Trait(_)) => "coalesce(who.value, '(none)')".to_owned(),
    }
}

pub(super) fn instant(time: Time) -> String {
    format!("TIMESTAMP '{}'", time.to_string().trim_end_matches('Z').replace('T', " "))
}
