//! What the benchmarks' one customer after another did: pages, products and orders.

use std::collections::BTreeMap;

use kernel::domain::{Event, Time, Type, Value};
use kernel::features::Catalog;

/// A minute in microseconds.
pub(crate) const MINUTE: i64 = 60_000_000;

/// What is known of the events.
pub(crate) fn catalog() -> Catalog {
    let text = |name: &str| (name.to_owned(), Type::Text);
    Catalog {
        events: ["page_viewed", "product_viewed", "order_completed"].map(str::to_owned).into(),
        properties: [
            text("channel"),
            text("category"),
            text("product"),
            ("amount".to_owned(), Type::Number),
        ]
        .into(),
        traits: BTreeMap::new(),
        context: BTreeMap::new(),
    }
}

/// The n-th event of a customer; `shift` makes those of different customers differ.
pub(crate) fn event(customer_id: &str, shift: usize, n: usize, time: Time) -> Event {
    let name = ["page_viewed", "product_viewed", "product_viewed", "order_completed"][n % 4];
    let text = |text: String| Value::text(text);
    let at = shift + n;
    let properties = BTreeMap::from([
        ("channel".to_owned(), text(["web", "app"][at % 2].to_owned())),
        ("category".to_owned(), text(format!("category-{}", at % 11))),
        ("product".to_owned(), text(format!("product-{}", at * 31 % 997))),
        ("amount".to_owned(), Value::Number((at % 1_000) as f64 / 10.0)),
    ]);
    Event {
        message_id: format!("{shift}-{n}"),
        customer_id: customer_id.to_owned(),
        anonymous_id: None,
        event: name.to_owned(),
        event_time: time,
        received_at: time,
        seq: n as u64,
        properties,
    }
}
