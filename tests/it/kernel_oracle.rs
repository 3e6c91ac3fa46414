//! The kernel against DuckDB: the same definitions over the same events, two implementations. And the
//! kernel against itself: for all customers, row by row, and live.

use std::collections::BTreeMap;

use duckdb as _;
use kernel::domain::{Event, Job, Time, Type, Value};
use kernel::features::{
    AggregationName, AsOf, Bound, Catalog, Cell, Column, FeatureDefinition, Knowledge,
    LiveTimeline, SpineRows, Table, View, ViewDefinition, compute,
};
use proptest::prelude::*;
use proptest::sample::select;
use warehouse::view_sql;

use crate::support::Project;

const EVENTS: [&str; 4] = ["order", "view", "refund", "$score"];
const MINUTE: i64 = 60_000_000;
const CHANNELS: [&str; 4] = ["web", "app", "Straße", "東京"];

/// Random events of a few customers: few distinct times, so that ties happen, and late arrivals.
fn event() -> impl Strategy<Value = Event> {
    let when = (0..90_i64, prop_oneof![3 => Just(0_i64), 1 => 0..60_i64]);
    let lateness = prop_oneof![3 => Just(0_i64), 1 => 1..40_i64];
    // Quarters and tenths; large, tiny and negative ones; and many equal ones.
    let amount = prop_oneof![
        6 => (-8..40_i32).prop_map(|n| f64::from(n) / 4.0),
        2 => (0..500_i32).prop_map(|n| f64::from(n) / 10.0),
        1 => select(vec![0.0, -0.0, 1e6, 1e-6, -1e9]),
    ];
    let channel = proptest::option::weighted(0.8, select(CHANNELS.to_vec()));
    let flag = proptest::option::weighted(0.7, any::<bool>());
    let at = proptest::option::weighted(0.6, 0..50_i64);
    let values = (proptest::option::weighted(0.8, amount), channel, flag, at);
    (0..5_u8, select(EVENTS.to_vec()), when, lateness, values).prop_map(
        |(customer, name, (hour, minute), late, (amount, channel, flag, at))| {
            let mut properties = BTreeMap::new();
            let mut set = |name: &str, value: Option<Value>| {
                value.map(|value| properties.insert(name.to_owned(), value))
            };
            set("amount", amount.map(Value::Number));
            set("channel", channel.map(Value::text));
            set("flag", flag.map(Value::Boolean));
            set("delivered", at.map(|hour| Value::Time(Time(hour * 60 * MINUTE + 1))));
            let time = Time((hour * 60 + minute) * MINUTE);
            Event {
                message_id: String::new(),
                customer_id: format!("c{customer}"),
                anonymous_id: None,
                event: name.to_owned(),
                event_time: time,
                received_at: time.plus(late * 60 * MINUTE),
                seq: 0,
                properties,
            }
        },
    )
}

fn identify() -> impl Strategy<Value = Event> {
    let country = prop_oneof![Just(Value::Null), select(CHANNELS.to_vec()).prop_map(Value::text)];
    let age = prop_oneof![Just(Value::Null), (18..90_i32).prop_map(|n| Value::Number(n.into()))];
    let value = prop_oneof![
        country.prop_map(|value| ("country", value)),
        age.prop_map(|value| ("age", value)),
    ];
    (event(), value).prop_map(|(event, (name, value))| Event {
        event: "$identify".to_owned(),
        properties: BTreeMap::from([(name.to_owned(), value)]),
        ..event
    })
}

/// Events as they would be logged: numbered in some order that is not that of their times.
fn log() -> impl Strategy<Value = Vec<Event>> {
    let events = proptest::collection::vec(event(), 1..90);
    let identifies = proptest::collection::vec(identify(), 0..8);
    (events, identifies).prop_map(|(mut events, identifies)| {
        events.extend(identifies);
        for (n, event) in events.iter_mut().enumerate() {
            event.message_id = format!("m{n}");
            event.seq = n as u64 + 1;
        }
        events
    })
}

fn window() -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(
        0.7,
        prop_oneof![
            (1..90_i64).prop_map(|n| format!("{n}m")),
            (1..60_i64).prop_map(|n| format!("{n}h")),
            (1..4_i64).prop_map(|n| format!("{n}d")),
        ],
    )
}

fn condition() -> impl Strategy<Value = Option<String>> {
    let conditions = [
        "amount > 2 AND channel <> 'web'",
        "channel LIKE '%e%' OR amount IS NULL",
        "flag",
        "NOT flag OR amount BETWEEN 1 AND 5",
        "channel IN ('web', '東京') AND delivered IS NOT NULL",
        "delivered >= '1970-01-02' OR amount * 2 < 3",
    ];
    proptest::option::weighted(0.4, select(conditions.to_vec()).prop_map(str::to_owned))
}

/// A feature of any aggregation over anything that fits it.
fn feature() -> impl Strategy<Value = FeatureDefinition> {
    let events = proptest::collection::vec(select(EVENTS.to_vec()), 0..3);
    let property = select(vec!["amount", "channel", "flag", "delivered"]);
    let extra = (0.0..=1.0_f64, 1..5_u32, 1..30_i64, any::<bool>());
    let parts = (select(AggregationName::ALL.to_vec()), events, property, window(), condition());
    (parts, extra).prop_map(|((aggregation, mut events, property, window, condition), extra)| {
        let (p, k, hours, with_property) = extra;
        let mut feature = FeatureDefinition::named("f".parse().unwrap());
        events.sort_unstable();
        events.dedup();
        feature.aggregation = Some(aggregation);
        feature.events = events.into_iter().map(str::to_owned).collect();
        feature.window = window.map(|window| window.parse().unwrap());
        feature.condition = condition;
        if aggregation.takes_property() && (aggregation.needs_property() || with_property) {
            let name = if aggregation.needs_numbers() { "amount" } else { property };
            feature.property = Some(name.to_owned());
        }
        feature.k = aggregation.takes_k().then_some(k);
        let span = Some(format!("{hours}h").parse().unwrap());
        match aggregation {
            AggregationName::CountBy | AggregationName::SumBy => {
                feature.by = Some("channel".to_owned());
                feature.categories = vec!["web".to_owned(), "Straße".to_owned()];
            }
            AggregationName::Quantile => feature.p = Some(p),
            AggregationName::Sessions => feature.gap = span,
            AggregationName::DecayedCount | AggregationName::DecayedSum => feature.half_life = span,
            _ => {}
        }
        feature
    })
}

/// A view of random features, with traits and expressions over them.
fn view() -> impl Strategy<Value = ViewDefinition> {
    proptest::collection::vec(feature(), 28).prop_map(|mut features| {
        for (n, feature) in features.iter_mut().enumerate() {
            let aggregation = feature.aggregation.unwrap();
            feature.name = format!("f{n}_{aggregation}").parse().unwrap();
        }
        let mut add = |name: &str, set: &dyn Fn(&mut FeatureDefinition)| {
            let mut feature = FeatureDefinition::named(name.parse().unwrap());
            set(&mut feature);
            features.push(feature);
        };
        add("n", &|f| f.aggregation = Some(AggregationName::Count));
        add("total", &|f| {
            f.aggregation = Some(AggregationName::Sum);
            f.property = Some("amount".to_owned());
        });
        for name in ["country", "age"] {
            add(&format!("the_{name}"), &|f| f.trait_name = Some(name.to_owned()));
        }
        for (n, expression) in [
            "total / nullif(n, 0)",
            "coalesce(traits.age, -1) + n * 2",
            "CASE WHEN the_country IN ('web', 'app') THEN upper(the_country) ELSE 'other' END",
            "the_age IS NULL OR the_age BETWEEN 1 AND 41",
            "the_country || '!' = '東京!' AND NOT starts_with(the_country, 'w')",
        ]
        .into_iter()
        .enumerate()
        {
            add(&format!("expression_{n}"), &|f| f.expression = Some(expression.to_owned()));
        }
        ViewDefinition { name: "random".parse().unwrap(), features }
    })
}

fn catalog() -> Catalog {
    let types = |types: &[(&str, Type)]| {
        types.iter().map(|(name, type_)| ((*name).to_owned(), *type_)).collect()
    };
    Catalog {
        events: EVENTS.map(str::to_owned).into(),
        properties: types(&[
            ("amount", Type::Number),
            ("channel", Type::Text),
            ("flag", Type::Boolean),
            ("delivered", Type::Time),
        ]),
        traits: types(&[("country", Type::Text), ("age", Type::Number)]),
        context: BTreeMap::new(),
    }
}

/// Integers, texts and lists are equal; other numbers within 1e-9, of themselves or, where values of both
/// signs nearly cancel, of what they were made from.
fn agree(kernel: &Value, duckdb: &Value, size: f64) -> bool {
    match (kernel, duckdb) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(size)
        }
        (left, right) => left == right,
    }
}

/// Whether both must compute it exactly: counts, and values that are picked.
fn is_exact(name: &str) -> bool {
    let inexact =
        ["stddev", "variance", "trend", "decayed", "mean", "quantile", "median", "sum", "total"];
    !inexact.iter().any(|part| name.contains(part)) && !name.starts_with("expression")
}

/// Customers and instants: on events, between them, and where windows begin and end.
fn rows(view: &View, events: &[Event], n: usize) -> Vec<(String, Time)> {
    let mut rows = Vec::new();
    for place in 0..n {
        let event = &events[place * 7 % events.len()];
        let window = view.windows()[place % view.windows().len()].map_or(0, |w| w.micros());
        let time = match place % 4 {
            0 => event.event_time,
            1 => event.event_time.plus(1),
            2 => event.event_time.plus(window),
            _ => event.event_time.plus(window + 1),
        };
        rows.push((format!("c{}", place % 6), time));
    }
    rows
}

/// Values that were compared.
fn check(events: &[Event], definition: &ViewDefinition, knowledge: Knowledge) -> usize {
    let project = Project::new();
    let warehouse = &project.warehouse;
    // A first event with every property makes its column, whatever the others have.
    let mut all = vec![full_event()];
    all.extend_from_slice(events);
    warehouse.add_live("test", &all, &[], 1, &Job::unwatched()).unwrap();
    let view = View::check(definition, &catalog()).unwrap();
    let timelines = warehouse.timelines(view.reads(), &Job::unwatched()).unwrap();
    let wanted = rows(&view, &all, 36);
    let values: Vec<String> =
        wanted.iter().map(|(id, time)| format!("('{id}', make_timestamp({}))", time.0)).collect();
    let spine =
        format!("SELECT DISTINCT * FROM (VALUES {}) AS t(customer_id, as_of)", values.join(", "));
    let sql = view_sql(&view, &spine, knowledge);
    let oracle =
        warehouse.query(&sql, 100_000, &Job::unwatched()).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let ids: Vec<(String, Time)> = oracle
        .rows
        .iter()
        .map(|row| match (&row[0], &row[1]) {
            (Value::Text(id), Value::Time(time)) => (id.to_string(), *time),
            other => panic!("{other:?}"),
        })
        .collect();
    let times: Vec<Time> = ids.iter().map(|(_, time)| *time).collect();
    let mut customers = Column::new(Type::Text);
    ids.iter().for_each(|(id, _)| customers.push(Cell::Text(id)));
    let spine =
        SpineRows::of_customers(&timelines, &customers, &times, Default::default(), &[]).unwrap();
    let bound = Bound::new(&view, &timelines);
    let table = compute(&view, &bound, &spine, knowledge, &Job::unwatched()).unwrap();
    let size = all.iter().filter_map(|e| e.properties.get("amount")?.as_number());
    let size = size.fold(1.0_f64, |size, x| size.max(x.abs()));
    for (n, row) in oracle.rows.iter().enumerate() {
        for (place, (name, _)) in table.columns.iter().enumerate() {
            let (kernel, duckdb) = (table.values[place].value(n), &row[place + 2]);
            // A variance is of the square of the values, and DuckDB's own is no better than that.
            let size = match is_exact(name.as_str()) {
                true => 0.0,
                false if name.as_str().contains("variance") => size * size,
                false => size,
            };
            assert!(
                agree(&kernel, duckdb, size),
                "{name} of {} as of {}: kernel {kernel:?}, DuckDB {duckdb:?}\n{}",
                row[0],
                row[1],
                described(&view, name.as_str(), &all, &row[0]),
            );
        }
    }
    one_by_one(&view, &all, &spine, &table, knowledge, &bound);
    oracle.rows.len() * table.columns.len()
}

fn described(view: &View, name: &str, events: &[Event], customer: &Value) -> String {
    let feature = view.definition().features.iter().find(|f| name.starts_with(f.name.as_str()));
    let mut own: Vec<&Event> =
        events.iter().filter(|event| event.customer_id == customer.to_string()).collect();
    own.sort_by_key(|event| (event.event_time, event.seq));
    format!("{feature:#?}\n{own:#?}")
}

fn full_event() -> Event {
    Event {
        message_id: "full".to_owned(),
        customer_id: "c0".to_owned(),
        anonymous_id: None,
        event: "view".to_owned(),
        event_time: Time(5),
        received_at: Time(5),
        seq: 0,
        properties: BTreeMap::from([
            ("amount".to_owned(), Value::Number(2.5)),
            ("channel".to_owned(), Value::text("web")),
            ("flag".to_owned(), Value::Boolean(true)),
            ("delivered".to_owned(), Value::Time(Time(7))),
        ]),
    }
}

fn bits(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}

/// The same values to the bit: one row at a time, and live, event by event in the order of arrival.
fn one_by_one(
    view: &View,
    events: &[Event],
    spine: &SpineRows,
    table: &Table,
    knowledge: Knowledge,
    bound: &Bound<'_>,
) {
    let mut out = Vec::new();
    for (n, (customer, time)) in spine.rows.iter().enumerate() {
        let as_of = AsOf { time: *time, knowledge };
        let expected: Vec<String> = table.row(n).iter().map(bits).collect();
        let single = bound.row(*customer, as_of, &[]);
        assert_eq!(single.iter().map(bits).collect::<Vec<_>>(), expected);
        let id = spine.customer_id(bound.timelines(), *customer);
        let mut own: Vec<Event> =
            events.iter().filter(|event| event.customer_id == id).cloned().collect();
        own.sort_by_key(|event| (event.event_time, event.seq));
        // Some of the events are there at once, the others come one by one; a row is asked for between.
        let mut live = LiveTimeline::new(view, &own[..own.len() / 2]);
        for end in own.len() / 2..=own.len() {
            let taken = live.taken();
            live.extend(view, &own[taken..end]);
            live.values(view, as_of, &[], &mut out);
        }
        assert_eq!(out.iter().map(bits).collect::<Vec<_>>(), expected, "live, {id} at {time}");
    }
}

/// Nobody has named an event yet, neither the view nor what happened.
#[test]
fn a_view_of_all_events_says_that_none_happened() {
    let mut count = FeatureDefinition::named("visits".parse().unwrap());
    count.aggregation = AggregationName::ALL.into_iter().find(|name| name.as_str() == "count");
    let definition = ViewDefinition { name: "all".parse().unwrap(), features: vec![count] };
    let view = View::check(&definition, &Catalog::default()).unwrap();
    let mut live = LiveTimeline::new(&view, &[] as &[Event]);
    let (as_of, mut out) = (AsOf::at(Time(1)), Vec::new());
    live.values(&view, as_of, &[], &mut out);
    assert_eq!(out, [Value::Number(0.0)]);
    live.extend(&view, [&full_event()]);
    live.values(&view, AsOf::at(Time(i64::MAX)), &[], &mut out);
    assert_eq!(out, [Value::Number(1.0)]);
}

/// Runs random cases until so many values were compared.
fn run(cases: u32, knowledge: Knowledge, at_least: usize) {
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let compared = std::cell::Cell::new(0);
    let result =
        proptest::test_runner::TestRunner::new(config).run(&(log(), view()), |(log, view)| {
            compared.set(compared.get() + check(&log, &view, knowledge));
            Ok(())
        });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(compared.get() >= at_least, "{} values were compared", compared.get());
}

#[test]
fn the_kernel_equals_sql_as_it_was() {
    run(45, Knowledge::AsItWas, 50_000);
}

#[test]
fn the_kernel_equals_sql_as_it_was_known() {
    run(45, Knowledge::AsItWasKnown, 50_000);
}
