//! The cache of timelines beside the warehouse.

#![no_main]

use std::io::Cursor;

use kernel::domain::{Event, Time, Type, Value};
use kernel::features::{Catalog, Timelines};
use libfuzzer_sys::fuzz_target;

static WRITTEN: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let mut catalog = Catalog::default();
    catalog.events.insert("order".to_owned());
    for (name, type_) in [("amount", Type::Number), ("item", Type::Text), ("paid", Type::Boolean)] {
        catalog.properties.insert(name.to_owned(), type_);
        catalog.traits.insert(name.to_owned(), type_);
    }
    let event = |n: i64| Event {
        message_id: n.to_string(),
        customer_id: "c".to_owned(),
        anonymous_id: None,
        event: if n % 3 == 0 { "$identify" } else { "order" }.to_owned(),
        event_time: Time(n * 1_000),
        received_at: Time(n * 1_000 + n % 2),
        seq: n.unsigned_abs(),
        properties: [
            ("amount".to_owned(), Value::Number(1.5)),
            ("item".to_owned(), Value::text("a")),
            ("paid".to_owned(), Value::Boolean(n % 2 == 0)),
        ]
        .into_iter()
        .collect(),
    };
    let events: Vec<Event> = (0..8).map(event).collect();
    let mut bytes = Vec::new();
    Timelines::of_events(&catalog, &events).write_to(&mut bytes).expect("a file in memory");
    bytes
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, edits)) = input.split_first() else { return };
    let mut bytes = if choice % 2 == 0 { edits.to_vec() } else { WRITTEN.clone() };
    if choice % 2 == 1 {
        for edit in edits.as_chunks::<3>().0 {
            let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= edit[2];
            }
        }
    }
    let Ok(timelines) = Timelines::read_from(&mut Cursor::new(&bytes), |name| name != "item") else {
        return;
    };
    // Every row of every customer can be read.
    for customer in 0..timelines.customers().len() {
        let _seen = timelines.first_seen(customer);
        for row in timelines.rows(customer) {
            let name = timelines.events()[row] as usize;
            let _event = (&timelines.names()[name], timelines.times()[row], timelines.received_at(row));
            for name in ["amount", "paid"] {
                let _value = timelines.property(name).map(|column| column.value(row));
            }
        }
    }
    let mut again = Vec::new();
    timelines.write_to(&mut again).expect("a file in memory");
    let _read = Timelines::read_from(&mut Cursor::new(&again), |_| true).expect("what was written");
});
