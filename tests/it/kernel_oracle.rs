//! The kernel against DuckDB: the same definitions over the same events, two implementations.

use std::collections::BTreeMap;

use duckdb as _;
use kernel::domain::{Event, Job, Time, Value};
use kernel::features::{AggregationName, FeatureDefinition, Knowledge, View, ViewDefinition};
use proptest::prelude::*;
use warehouse::view_sql;

use crate::support::Project;

const EVENTS: [&str; 3] = ["order", "view", "$score"];
const HOUR: i64 = 3_600_000_000;

/// An event in a few numbers: customer, kind, hour, lateness, amount, channel.
type Drawn = (u8, u8, i64, i64, Option<i32>, Option<u8>);

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        0..4_u8,
        0..3_u8,
        // Few distinct times, so that ties happen.
        0..60_i64,
        prop_oneof![3 => Just(0_i64), 1 => 1..30_i64],
        proptest::option::weighted(0.8, -8..40_i32),
        proptest::option::weighted(0.8, 0..3_u8),
    )
}

fn events(drawn: &[Drawn]) -> Vec<Event> {
    drawn
        .iter()
        .enumerate()
        .map(|(n, (customer, kind, hour, late, amount, channel))| {
            let mut properties = BTreeMap::new();
            // Quarters add up exactly in any order, so even sums must agree to the bit.
            if let Some(amount) = amount {
                properties.insert("amount".to_owned(), Value::Number(f64::from(*amount) / 4.0));
            }
            if let Some(channel) = channel {
                let channel = ["web", "app", "Straße"][usize::from(*channel)];
                properties.insert("channel".to_owned(), Value::text(channel));
            }
            let time = Time(hour * HOUR);
            Event {
                message_id: format!("m{n}"),
                customer_id: format!("c{customer}"),
                anonymous_id: None,
                event: EVENTS[usize::from(*kind)].to_owned(),
                event_time: time,
                received_at: time.plus(late * HOUR),
                seq: n as u64,
                properties,
            }
        })
        .collect()
}

fn identifies() -> Vec<Event> {
    let identify = |n: u64, customer: &str, hour: i64, name: &str, value: Value| Event {
        message_id: format!("i{n}"),
        customer_id: customer.to_owned(),
        anonymous_id: None,
        event: "$identify".to_owned(),
        event_time: Time(hour * HOUR),
        received_at: Time((hour + 5) * HOUR),
        seq: 1_000_000 + n,
        properties: BTreeMap::from([(name.to_owned(), value)]),
    };
    vec![
        identify(1, "c0", 3, "country", Value::text("DE")),
        identify(2, "c0", 20, "country", Value::Null),
        identify(3, "c0", 40, "country", Value::text("FR")),
        identify(4, "c1", 10, "age", Value::Number(41.0)),
        identify(5, "c1", 10, "age", Value::Number(42.0)),
        identify(6, "c2", 50, "country", Value::text("東京")),
    ]
}

/// A view with every aggregation, with and without windows and conditions, traits and expressions.
fn everything() -> ViewDefinition {
    let mut features = Vec::new();
    for (n, window) in [None, Some("7h"), Some("1d")].into_iter().enumerate() {
        for (m, condition) in [
            None,
            Some("amount > 2 AND channel <> 'web'"),
            Some("channel LIKE '%e%' OR amount IS NULL"),
        ]
        .into_iter()
        .enumerate()
        {
            for aggregation in AggregationName::ALL {
                let name = format!("{aggregation}_{n}_{m}");
                let mut feature = FeatureDefinition::named(name.parse().unwrap());
                feature.aggregation = Some(aggregation);
                feature.window = window.map(|window| window.parse().unwrap());
                feature.condition = condition.map(str::to_owned);
                if m == 1 {
                    feature.events = vec!["order".to_owned()];
                }
                if aggregation.needs_property() {
                    let text = matches!(
                        aggregation,
                        AggregationName::Mode | AggregationName::Distinct | AggregationName::First
                    );
                    let property = if text && m != 2 { "channel" } else { "amount" };
                    feature.property = Some(property.to_owned());
                }
                match aggregation {
                    AggregationName::CountBy | AggregationName::SumBy => {
                        feature.by = Some("channel".to_owned());
                        feature.categories = vec!["web".to_owned(), "Straße".to_owned()];
                    }
                    AggregationName::Quantile => feature.p = Some(0.3),
                    AggregationName::Sessions => feature.gap = Some("3h".parse().unwrap()),
                    AggregationName::DecayedCount | AggregationName::DecayedSum => {
                        feature.half_life = Some("12h".parse().unwrap());
                    }
                    _ => {}
                }
                features.push(feature);
            }
        }
    }
    for name in ["country", "age"] {
        let mut feature = FeatureDefinition::named(format!("the_{name}").parse().unwrap());
        feature.trait_name = Some(name.to_owned());
        features.push(feature);
    }
    for (n, expression) in [
        "sum_0_0 / nullif(count_0_0, 0)",
        "coalesce(traits.age, -1) + count_1_0 * 2",
        "CASE WHEN the_country IN ('DE', 'FR') THEN upper(the_country) ELSE 'other' END",
        "the_age IS NULL OR the_age BETWEEN 1 AND 41",
        "round(mean_0_0) + ln(count_0_0) - sqrt(variance_0_0)",
        "the_country || '!' = 'DE!' AND NOT starts_with(mode_0_0, 'w')",
    ]
    .into_iter()
    .enumerate()
    {
        let mut feature = FeatureDefinition::named(format!("expression_{n}").parse().unwrap());
        feature.expression = Some(expression.to_owned());
        features.push(feature);
    }
    ViewDefinition { name: "everything".parse().unwrap(), features }
}

fn agree(left: &Value, right: &Value, exact: bool) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) if !exact => {
            (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
        }
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.is_nan() && right.is_nan()
        }
        (left, right) => left == right,
    }
}

/// What both compute exactly: no irrational step and no division whose order could differ.
fn is_exact(name: &str) -> bool {
    let inexact =
        ["stddev", "variance", "trend", "decayed", "mean", "quantile", "median", "expression_4"];
    !inexact.iter().any(|part| name.starts_with(part))
}

fn check(events: &[Event], knowledge: Knowledge) {
    let project = Project::new();
    let warehouse = &project.warehouse;
    let mut all = events.to_vec();
    all.extend(identifies());
    warehouse.add_live("test", &all, 1, &Job::unwatched()).unwrap();
    let mut catalog = warehouse.catalog().unwrap();
    catalog.properties.entry("amount".into()).or_insert(kernel::domain::Type::Number);
    catalog.properties.entry("channel".into()).or_insert(kernel::domain::Type::Text);
    catalog.events.insert("order".into());
    if warehouse.catalog().unwrap().properties.len() < 2 {
        return;
    }
    let view = View::check(&everything(), &catalog).unwrap();
    let timelines = warehouse.timelines(view.reads(), &Job::unwatched()).unwrap();
    let spine = "SELECT DISTINCT c.customer_id, make_timestamp(h * 3600000000) AS as_of
        FROM (SELECT DISTINCT customer_id FROM events) c, unnest([0, 7, 20, 21, 45, 59, 60, 90]) AS t(h)";
    let sql = view_sql(&view, spine, knowledge);
    let oracle =
        warehouse.query(&sql, 100_000, &Job::unwatched()).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let rows: Vec<(usize, Time)> = oracle
        .rows
        .iter()
        .map(|row| match (&row[0], &row[1]) {
            (Value::Text(id), Value::Time(time)) => (timelines.position(id).unwrap(), *time),
            other => panic!("{other:?}"),
        })
        .collect();
    let flag = std::sync::atomic::AtomicBool::new(false);
    let table = kernel::features::compute(&view, &timelines, &rows, knowledge, &flag).unwrap();
    for (n, row) in oracle.rows.iter().enumerate() {
        for (place, (name, _)) in table.columns.iter().enumerate() {
            let (kernel, duckdb) = (table.values[place].value(n), &row[place + 2]);
            assert!(
                agree(&kernel, duckdb, is_exact(name.as_str())),
                "{name} of {} as of {}: kernel {kernel:?}, DuckDB {duckdb:?}\n{events:#?}",
                row[0],
                row[1]
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_equals_sql_as_it_was(drawn in proptest::collection::vec(drawn(), 1..60)) {
        check(&events(&drawn), Knowledge::AsItWas);
    }

    #[test]
    fn the_kernel_equals_sql_as_it_was_known(drawn in proptest::collection::vec(drawn(), 1..60)) {
        check(&events(&drawn), Knowledge::AsItWasKnown);
    }
}
