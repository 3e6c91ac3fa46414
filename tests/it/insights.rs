//! Insights against known tables.

use kernel::domain::Job;
use warehouse::import::Options;
use warehouse::insights::{Interval, RetentionMode, RetentionSpec};

use crate::support::Project;

/// p1 is active on days 0, 1, 2, 5, 5, 6 and p2 on days 1, 2, 3, 6 from 2020-06-10.
fn two_customers() -> Project {
    let project = Project::new();
    let mut csv = "customer,event,time\n".to_owned();
    for (customer, days) in [("p1", vec![0, 1, 2, 5, 5, 6]), ("p2", vec![1, 2, 3, 6])] {
        for day in days {
            csv.push_str(&format!("{customer},visit,2020-06-{:02}T10:00:00\n", 10 + day));
        }
    }
    // The table ends with the last event, so one that starts and returns nothing ends it.
    csv.push_str("p3,other,2020-06-20\n");
    let file = project.file("visits.csv", csv);
    project.import(&file, &Options::default());
    project
}

#[test]
fn retention_by_day_is_the_known_table() {
    let project = two_customers();
    let spec = RetentionSpec {
        start: Some("visit".to_owned()),
        return_event: Some("visit".to_owned()),
        interval: Interval::Day,
        mode: RetentionMode::Recurring,
        intervals: 11,
    };
    let retention = project.warehouse.retention(&spec, &Job::unwatched()).unwrap();
    let expected: [&[u64]; 11] = [
        &[1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        &[2, 2, 1, 0, 1, 2, 0, 0, 0, 0],
        &[2, 1, 0, 1, 2, 0, 0, 0, 0],
        &[1, 0, 0, 1, 0, 0, 0, 0],
        &[0; 7],
        &[1, 1, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0],
        &[0; 4],
        &[0; 3],
        &[0; 2],
        &[0],
    ];
    assert_eq!(retention.counts, expected);
    assert_eq!(retention.cohorts[0].date(), "2020-06-10");
}

#[test]
fn first_time_cohorts_hold_each_customer_once() {
    let project = two_customers();
    let spec = RetentionSpec { interval: Interval::Day, intervals: 11, ..RetentionSpec::default() };
    let retention = project.warehouse.retention(&spec, &Job::unwatched()).unwrap();
    let sizes: Vec<u64> = retention.counts.iter().map(|row| row[0]).collect();
    assert_eq!(sizes, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // p1 returns the day after; so does p2; p3's day after has not come.
    assert!((retention.mean[1] - 1.0).abs() < 1e-12, "{:?}", retention.mean);
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let project = two_customers();
    let spec = RetentionSpec { intervals: 1, ..RetentionSpec::default() };
    let error = project.warehouse.retention(&spec, &Job::unwatched()).unwrap_err();
    assert!(error.to_string().contains("between 2 and 60"), "{error}");
}
