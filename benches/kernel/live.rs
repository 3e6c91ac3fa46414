//! One customer: a row of 40 features with 100 events, and a score with a million.

use std::time::Instant;

use kernel::domain::{Event, Time};
use kernel::features::{AsOf, Knowledge, LiveTimeline, View, ViewDefinition};

use crate::events::{MINUTE, catalog, event};

/// Events a minute apart, each learned of two milliseconds later.
fn events(n: usize) -> Vec<Event> {
    let event = |n: usize| {
        let time = Time(n as i64 * MINUTE);
        Event { received_at: time.plus(2_000), ..event("c", 0, n, time) }
    };
    (0..n).map(event).collect()
}

pub(crate) fn live() {
    let definition: ViewDefinition = toml::from_str(include_str!("view.toml")).unwrap();
    let view = View::check(&definition, &catalog()).unwrap();
    for n in [100, 10_000, 1_000_000] {
        row(&view, n);
    }
    println!("   every aggregation alone, over all time and 30 days, 1,000,000 events:");
    every_aggregation();
}

fn row(view: &View, n: usize) {
    let all = events(n);
    let mut live = LiveTimeline::new(view, &all[..n / 2]);
    let started = Instant::now();
    live.extend(view, &all[n / 2..]);
    let per_event = started.elapsed().as_secs_f64() / (n / 2) as f64;
    let end = all[n - 1].received_at.0;
    let as_of = |k: i64| AsOf { time: Time(end + k), knowledge: Knowledge::AsItWasKnown };
    let mut out = Vec::with_capacity(view.features().len());
    live.values(view, as_of(1), &[], &mut out);
    let rounds = 2_000;
    let started = Instant::now();
    for k in 0..rounds {
        live.values(view, as_of(2 + k), &[], &mut out);
    }
    let per_row = started.elapsed().as_secs_f64() / rounds as f64;
    println!(
        "   {n:>9} events: a row of {} features in {:.2} us, an event more in {:.2} us, {:.1} MB",
        out.len(),
        per_row * 1e6,
        per_event * 1e6,
        live.bytes() as f64 / 1e6
    );
}

/// A view of 4,000 customers with 50 events each, 10 times, without DuckDB: for a profiler that counts
/// instructions.
pub(crate) fn hot() {
    let definition: ViewDefinition = toml::from_str(include_str!("view.toml")).unwrap();
    let view = View::check(&definition, &catalog()).unwrap();
    let mut all = events(200_000);
    for (n, event) in all.iter_mut().enumerate() {
        event.customer_id = format!("c{}", n % 4_000);
    }
    let timelines = kernel::features::Timelines::of_events(view.reads(), &all);
    let spine = kernel::features::SpineRows::at(&timelines, Time(i64::MAX));
    let job = kernel::domain::Job::unwatched();
    for _ in 0..10 {
        let bound = kernel::features::Bound::new(&view, &timelines);
        let table =
            kernel::features::compute(&view, &bound, &spine, Knowledge::AsItWas, &job).unwrap();
        assert_eq!(table.values[0].len(), 4_000);
    }
}

fn every_aggregation() {
    let all = events(1_000_000);
    for aggregation in kernel::features::AggregationName::ALL {
        let mut definition = ViewDefinition { name: "one".parse().unwrap(), features: Vec::new() };
        for window in [None, Some("30d")] {
            let name = format!("{aggregation}_{}", window.unwrap_or("all"));
            let mut feature = kernel::features::FeatureDefinition::named(name.parse().unwrap());
            feature.aggregation = Some(aggregation);
            feature.window = window.map(|window| window.parse().unwrap());
            if aggregation.needs_property() {
                feature.property = Some("amount".to_owned());
            }
            feature.k = aggregation.takes_k().then_some(5);
            match aggregation.as_str() {
                "count_by" | "sum_by" => {
                    feature.by = Some("channel".to_owned());
                    feature.categories = vec!["web".to_owned()];
                }
                "quantile" => feature.p = Some(0.9),
                "sessions" => feature.gap = "30m".parse().ok(),
                "decayed_count" | "decayed_sum" => feature.half_life = "30d".parse().ok(),
                _ => {}
            }
            definition.features.push(feature);
        }
        let view = View::check(&definition, &catalog()).unwrap();
        let mut live = LiveTimeline::new(&view, &all[..all.len() - 1_000]);
        let mut out = Vec::new();
        let rounds = 1_000;
        let mut spent = 0.0;
        // Each score comes after one more event, as it does live.
        for k in 0..rounds {
            let end = all.len() - 1_000 + k + 1;
            let as_of =
                AsOf { time: all[end - 1].received_at.plus(1), knowledge: Knowledge::AsItWasKnown };
            if k == 0 {
                live.values(&view, as_of, &[], &mut out);
            }
            let started = Instant::now();
            let taken = live.taken();
            live.extend(&view, &all[taken..end]);
            live.values(&view, as_of, &[], &mut out);
            spent += started.elapsed().as_secs_f64();
        }
        println!("   {:<16} {:>8.2} us", aggregation.as_str(), spent / rounds as f64 * 1e6);
    }
}
