//! Insights against known tables, and against the SQL that they say gives the same.

use std::collections::{BTreeMap, HashSet};

use kernel::domain::{Job, Value};
use proptest::prelude::*;
use warehouse::import::Options;
use warehouse::insights::{
    Breakdown, Calendar, Chart, Events, Funnel, FunnelSpec, Insight, InsightKind, InsightSpec,
    Interval, Order, Point, Question, Scope, Status,
};

use crate::support::{Project, fullcircle_fails, fullcircle_json};

fn insight(project: &Project, spec: &InsightSpec) -> Insight {
    project.warehouse.insight(spec, None, &Job::unwatched()).unwrap()
}

fn spec(kind: InsightKind, text: &str) -> InsightSpec {
    InsightSpec::parse(Some(kind), text).unwrap()
}

fn project_of(csv: &str) -> Project {
    let project = Project::new();
    let file = project.file("events.csv", csv);
    project.import(&file, &Options::default());
    project
}

/// p1 is active on days 0, 1, 2, 5, 5, 6 and p2 on days 1, 2, 3, 6 from 2020-06-10.
fn two_customers() -> Project {
    let mut csv = "customer,event,time\n".to_owned();
    for (customer, days) in [("p1", vec![0, 1, 2, 5, 5, 6]), ("p2", vec![1, 2, 3, 6])] {
        for day in days {
            csv.push_str(&format!("{customer},visit,2020-06-{:02}T10:00:00\n", 10 + day));
        }
    }
    // The table ends with the last event, so one that starts and returns nothing ends it.
    csv.push_str("p3,other,2020-06-20\n");
    project_of(&csv)
}

const BY_DAY: &str = "interval = \"day\"\nintervals = 11\nmode = \"recurring\"\nstart = \"visit\"\nreturn = \"visit\"\n";

fn counts(insight: &Insight) -> Vec<Vec<u64>> {
    match &insight.chart {
        Chart::Retention(retention) => retention.counts.clone(),
        other => panic!("no retention: {other:?}"),
    }
}

#[test]
fn retention_by_day_is_the_known_table() {
    let project = two_customers();
    let retention = insight(&project, &spec(InsightKind::Retention, BY_DAY));
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
    assert_eq!(counts(&retention), expected);
    let Chart::Retention(table) = &retention.chart else { unreachable!() };
    assert_eq!(table.cohorts[0].date(), "2020-06-10");
}

#[test]
fn retention_counts_later_returns_and_brackets() {
    let project = two_customers();
    let or_after = spec(InsightKind::Retention, &format!("{BY_DAY}counting = \"on_or_after\"\n"));
    // p1 of the first day was last back 6 days after.
    assert_eq!(counts(&insight(&project, &or_after))[0], [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    let brackets = spec(InsightKind::Retention, &format!("{BY_DAY}brackets = [1, 3, 5]\n"));
    let brackets = insight(&project, &brackets);
    // Of p1: day 1; days 2 to 4 have day 2; days 5 to 9 have 5 and 6, once.
    assert_eq!(counts(&brackets)[0], [1, 1, 1, 1]);
    let twice = spec(InsightKind::Retention, &format!("{BY_DAY}times = 2\n"));
    assert_eq!(counts(&insight(&project, &twice))[0], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
}

#[test]
fn first_time_cohorts_hold_each_customer_once() {
    let project = two_customers();
    let text = "interval = \"day\"\nintervals = 11\nmode = \"first_time\"\n";
    let retention = insight(&project, &spec(InsightKind::Retention, text));
    let sizes: Vec<u64> = counts(&retention).iter().map(|row| row[0]).collect();
    assert_eq!(sizes, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    // p1 returns the day after; so does p2; p3's day after has not come.
    let Chart::Retention(table) = &retention.chart else { unreachable!() };
    assert!((table.mean[1] - 1.0).abs() < 1e-12, "{:?}", table.mean);
}

#[test]
fn hours_from_the_start_are_not_days_of_the_calendar() {
    let project = project_of(
        "customer,event,time\na,visit,2024-01-01T23:00:00\na,visit,2024-01-02T01:00:00\n\
         a,visit,2024-01-03T00:30:00\nb,other,2024-01-05\n",
    );
    let text = "interval = \"day\"\nintervals = 5\nmode = \"first_time\"\nstart = \"visit\"\nreturn = \"visit\"\n";
    assert_eq!(counts(&insight(&project, &spec(InsightKind::Retention, text)))[0], [1, 1, 1, 0, 0]);
    // Two hours later is no day later; 25.5 hours later is one.
    let rolling = format!("{text}measured = \"rolling\"\n");
    let rolling = insight(&project, &spec(InsightKind::Retention, &rolling));
    assert_eq!(counts(&rolling)[0], [1, 1, 0, 0, 0]);
}

#[test]
fn a_lifecycle_is_the_known_one() {
    // p1 on 11, 12, 13, 15, 17, 19; p2 on 9, 12; p3 on 12; p4 on 15 of January.
    let mut csv = "customer,event,time\n".to_owned();
    let active = [
        ("p1", vec![11, 12, 13, 15, 17, 19]),
        ("p2", vec![9, 12]),
        ("p3", vec![12]),
        ("p4", vec![15]),
    ];
    for (customer, days) in active {
        for day in days {
            csv.push_str(&format!("{customer},visit,2020-01-{day:02}T12:00:00\n"));
        }
    }
    let text = "interval = \"day\"\nfrom = 2020-01-12\nuntil = 2020-01-20\nevent = \"visit\"\n";
    let spec = spec(InsightKind::Lifecycle, text);
    let project = project_of(&csv);
    let lifecycle = insight(&project, &spec);
    let Chart::Lifecycle(chart) = &lifecycle.chart else { unreachable!() };
    let expected: [[u64; 8]; 4] = [
        [1, 0, 0, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 1, 0, 1],
        [0, 2, 1, 0, 2, 0, 1, 0],
    ];
    assert_eq!(chart.counts, expected);
    let point = Point::Lifecycle { status: Status::Dormant, interval: 1 };
    let people = project.warehouse.people(&spec, None, &point, &Job::unwatched()).unwrap();
    assert_eq!(people, ["p2", "p3"]);
}

/// Customers by the furthest step, of a funnel of a, b and c within an hour.
fn steps(project: &Project, more: &str) -> Vec<u64> {
    let text = format!(
        "from = 2024-01-01\nuntil = 2024-01-02\nsteps = [\"a\", \"b\", \"c\"]\nwindow = \"1h\"\n{more}"
    );
    let Chart::Funnel(funnel) = insight(project, &spec(InsightKind::Funnel, &text)).chart else {
        unreachable!()
    };
    funnel.groups[0].steps.iter().map(|step| step.customers).collect()
}

#[test]
fn funnels_follow_their_rules() {
    let event = |customer: &str, event: &str, minute: u32| {
        format!("{customer},{event},2024-01-01T{:02}:{:02}:00\n", minute / 60, minute % 60)
    };
    let rows = |customer: &str, events: &[(&str, u32)]| -> String {
        events.iter().map(|(name, minute)| event(customer, name, *minute)).collect()
    };
    let mut csv = "customer,event,time\n".to_owned();
    csv.push_str(&rows("straight", &[("a", 0), ("b", 10), ("c", 20)]));
    csv.push_str(&rows("other_between", &[("a", 0), ("x", 5), ("b", 10), ("c", 20)]));
    csv.push_str(&rows("repeats", &[("a", 0), ("a", 5), ("b", 10), ("b", 12), ("c", 20)]));
    // Exactly the window counts; more does not, unless a later start is near enough.
    csv.push_str(&rows("exactly", &[("a", 0), ("b", 10), ("c", 60)]));
    csv.push_str(&rows("too_late", &[("a", 0), ("b", 10), ("c", 61)]));
    csv.push_str(&rows("again", &[("a", 0), ("a", 30), ("b", 40), ("c", 80)]));
    csv.push_str(&rows("backwards", &[("c", 0), ("b", 10), ("a", 20)]));
    let project = project_of(&csv);
    assert_eq!(steps(&project, ""), [7, 6, 5]);
    assert_eq!(steps(&project, "order = \"strict\"\n"), [7, 5, 4]);
    assert_eq!(steps(&project, "order = \"unordered\"\n"), [7, 7, 6]);
    // Who did x between the first and the last step is out, step 1 included.
    let excluded = "[[exclusions]]\nevent = \"x\"\nfrom = 1\nto = 3\n";
    assert_eq!(steps(&project, excluded), [6, 5, 4]);
    let spec = spec(
        InsightKind::Funnel,
        "from = 2024-01-01\nuntil = 2024-01-02\nsteps = [\"a\", \"b\", \"c\"]\nwindow = \"1h\"\n",
    );
    let point = Point::Funnel { group: String::new(), step: 2, dropped: true };
    let people = project.warehouse.people(&spec, None, &point, &Job::unwatched()).unwrap();
    assert_eq!(people, ["too_late"]);
    let Chart::Funnel(Funnel { groups, .. }) = insight(&project, &spec).chart else {
        unreachable!()
    };
    // The latest start counts: 10, 10, 10 (or 5 after the second a), 10, 10 minutes.
    assert_eq!(groups[0].steps[1].median_seconds, Some(600.0));
    assert_eq!(groups[0].times.iter().map(|bin| bin.customers).sum::<u64>(), 5);
}

#[test]
fn one_event_is_one_step_only() {
    let project = project_of(
        "customer,event,time\none,a,2024-01-01T00:00:00\ntwo,a,2024-01-01T00:00:00\ntwo,a,2024-01-01T00:00:01\n",
    );
    let text = "from = 2024-01-01\nuntil = 2024-01-02\nsteps = [\"a\", \"a\"]\n";
    let Chart::Funnel(funnel) = insight(&project, &spec(InsightKind::Funnel, text)).chart else {
        unreachable!()
    };
    let customers: Vec<u64> = funnel.groups[0].steps.iter().map(|step| step.customers).collect();
    assert_eq!(customers, [2, 1]);
}

#[test]
fn stickiness_and_segments_are_as_defined() {
    let project = two_customers();
    let text = "interval = \"day\"\nintervals = 11\nevent = \"visit\"\n";
    let Chart::Stickiness(stickiness) =
        insight(&project, &spec(InsightKind::Stickiness, text)).chart
    else {
        unreachable!()
    };
    // p1 was there on five days, p2 on four.
    assert_eq!(stickiness.exactly[..5], [0, 0, 0, 1, 1]);
    assert_eq!(stickiness.at_least[..5], [2, 2, 2, 2, 1]);
    let text = "interval = \"day\"\nintervals = 11\nevent = \"visit\"\n";
    let segments = insight(&project, &spec(InsightKind::Segments, text));
    let Chart::Segments(segments) = &segments.chart else { unreachable!() };
    // Both came last on the same day: they share the best score of it; p1 came more often.
    assert_eq!(segments.grid[4].iter().sum::<u64>(), 2);
    assert_eq!(segments.segments[0].name, "Champions");
    assert_eq!(segments.segments[0].customers, 1);
}

#[test]
fn days_begin_where_the_time_zone_says() {
    let at = |text: &str| text.parse().unwrap();
    let days = |from: &str, until: &str| {
        let bound = |text: &str| text.parse().unwrap();
        Calendar::between(Interval::Day, "Europe/Berlin", bound(from), bound(until)).unwrap()
    };
    // The clock goes forward on 2024-03-31: the day has 23 hours.
    let calendar = days("2024-03-30T23:30:00Z", "2024-04-01T10:00:00Z");
    let starts: Vec<String> = calendar.starts().map(|start| start.to_string()).collect();
    assert_eq!(starts, ["2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"]);
    let months = Calendar::last(Interval::Month, "UTC", 3, at("2024-03-31T12:00:00Z")).unwrap();
    let starts: Vec<String> = months.starts().map(|start| start.date()).collect();
    assert_eq!(starts, ["2024-01-01", "2024-02-01", "2024-03-01"]);
    let weeks = Calendar::last(Interval::Week, "UTC", 1, at("2024-03-31T12:00:00Z")).unwrap();
    assert_eq!(
        (weeks.from().date(), weeks.until().date()),
        ("2024-03-25".to_owned(), "2024-04-01".to_owned())
    );
    assert!(Calendar::last(Interval::Day, "Mars/Olympus", 1, at("2024-01-01")).is_err());
}

#[test]
fn what_only_was_before_has_a_line_of_its_own() {
    let project = project_of(
        "customer,event,time,plan\na,visit,2024-01-02,old\nb,visit,2024-01-09,new\nc,visit,2024-01-09,\n",
    );
    let scope =
        "interval = \"week\"\nintervals = 1\nbreakdown = { property = \"plan\" }\ncompare = true\n";
    let Chart::Trends(trends) = insight(&project, &spec(InsightKind::Trends, scope)).chart else {
        unreachable!()
    };
    let said: Vec<(&str, Option<f64>, Option<f64>)> = trends
        .lines
        .iter()
        .map(|line| (line.group.as_str(), line.values[0], line.previous.as_ref().unwrap()[0]))
        .collect();
    let (one, none) = (Some(1.0), Some(0.0));
    assert_eq!(said, [("(none)", one, none), ("new", one, none), ("old", none, one)]);
    // Nothing at all happened in this time, but before.
    let later = "interval = \"day\"\nfrom = 2024-01-10\nuntil = 2024-01-11\nbreakdown = { property = \"plan\" }\n[[series]]\nmeasure = \"weekly_active\"\n";
    let Chart::Trends(trends) = insight(&project, &spec(InsightKind::Trends, later)).chart else {
        unreachable!()
    };
    assert_eq!(trends.lines.len(), 2);
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let project = two_customers();
    for (kind, text, said) in [
        (InsightKind::Retention, "intervals = 1\n", "at least 2"),
        (InsightKind::Retention, "intervals = 0\n", "between 1 and 366"),
        (InsightKind::Retention, "start = \"vist\"\n", "did you mean 'visit'"),
        (InsightKind::Retention, "until = 2020-01-01\nfrom = 2020-02-01\n", "not after"),
        (InsightKind::Funnel, "", "2 to 20 steps"),
        (
            InsightKind::Funnel,
            "steps = [\"visit\", \"other\"]\n[[exclusions]]\nevent = \"visit\"\nfrom = 2\nto = 9\n",
            "between step 2 and 9",
        ),
        (InsightKind::Trends, "[[series]]\nmeasure = \"sum\"\n", "needs a property"),
        (
            InsightKind::Trends,
            "[[series]]\nmeasure = \"sum\"\nproperty = \"price\"\n",
            "no event has",
        ),
        (InsightKind::Trends, "formula = \"A / C\"\n", "formula"),
        (InsightKind::Trends, "where = \"plan = 1\"\n", "plan"),
        (InsightKind::Paths, "breakdown = { property = \"x\" }\n", "no breakdown"),
        (
            InsightKind::Trends,
            "interval = \"hour\"\nfrom = 1990-01-01\n",
            "more than 2000 intervals",
        ),
        (InsightKind::Trends, "zone = \"Nowhere\"\n", "time zone"),
    ] {
        let spec = spec(kind, text);
        let error = project.warehouse.insight(&spec, None, &Job::unwatched()).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    let error = InsightSpec::parse(None, "insight = \"funnel\"\nspets = []\n").unwrap_err();
    assert!(error.to_string().contains("spets"), "{error}");
}

#[test]
fn a_spec_survives_its_file() {
    for kind in InsightKind::ALL {
        let mut usual = InsightSpec::usual(kind);
        if let Question::Funnel(funnel) = &mut usual.question {
            let filtered =
                Events { names: vec!["a".to_owned()], condition: Some("x > 1".to_owned()) };
            funnel.steps = vec![filtered, Events::named("b"), Events::default()];
        }
        usual.scope.breakdown = Some(Breakdown::Trait("plan".to_owned()));
        let text = usual.to_toml().unwrap();
        assert_eq!(InsightSpec::parse(None, &text).unwrap(), usual, "{text}");
    }
}

#[test]
fn the_command_line_has_every_insight_and_writes_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let project = path("shop");
    let mut csv = "customer,event,time,plan\n".to_owned();
    for n in 0..40 {
        csv.push_str(&format!(
            "c{},{},2024-01-{:02}T0{}:00:00,p{}\n",
            n % 7,
            ["a", "b"][n % 2],
            n % 27 + 1,
            n % 9,
            n % 3
        ));
    }
    std::fs::write(path("events.csv"), csv).unwrap();
    fullcircle_json(&["import", "--project", &project, &path("events.csv"), "--json"]);
    std::fs::write(
        path("funnel.toml"),
        "steps = [\"a\", \"b\"]\nbreakdown = { property = \"plan\" }\n",
    )
    .unwrap();
    for kind in InsightKind::ALL {
        let mut arguments = vec!["insight", "--project", &project, kind.word(), "--json"];
        let (spec, out) = (path("funnel.toml"), path(&format!("{kind}.csv")));
        arguments.extend(["--out", &out]);
        if kind == InsightKind::Funnel {
            arguments.extend(["--spec", &spec]);
        }
        let said = fullcircle_json(&arguments);
        assert_eq!(said["insight"], kind.word());
        assert!(said["rule"].as_str().unwrap().ends_with('.') && said["sql"].is_string());
        // No two events are within half an hour, so that there are no paths.
        let lines = std::fs::read_to_string(&out).unwrap().lines().count();
        assert_eq!(lines > 1, kind != InsightKind::Paths, "{kind}: {lines}");
    }
    let said = fullcircle_fails(&["insight", "--project", &project, "funnel"]);
    assert!(said.contains("2 to 20 steps"), "{said}");
    std::fs::create_dir_all(path("shop/segments")).unwrap();
    let segment = "name = \"often\"\nwhere = \"n >= 6\"\ncustomers = [\"nobody\"]\n\n[[features]]\nname = \"n\"\naggregation = \"count\"\n";
    std::fs::write(path("shop/segments/often.toml"), segment).unwrap();
    std::fs::write(
        path("trends.toml"),
        "interval = \"month\"\nintervals = 1\nsegment = \"often\"\n",
    )
    .unwrap();
    let said = fullcircle_json(&[
        "insight",
        "--project",
        &project,
        "trends",
        "--spec",
        &path("trends.toml"),
        "--json",
    ]);
    // Of 40 events, five of seven customers have 6 and two have 5.
    assert_eq!(said["lines"][0]["values"][0], 5.0);
}

/// The time before is what would be asked for then.
#[test]
fn the_time_before_is_as_many_intervals_right_before() {
    let csv = "customer,event,time\nann,a,2024-01-01\nann,b,2024-01-02\nbob,a,2024-01-03\nbob,a,2024-01-04\n";
    let project = project_of(csv);
    let of = |kind, compare: bool, when: &str| {
        let own = match kind {
            InsightKind::Funnel => "steps = [\"a\", \"b\"]\n",
            _ => "",
        };
        insight(
            &project,
            &spec(kind, &format!("interval = \"day\"\ncompare = {compare}\n{when}{own}")),
        )
    };
    for kind in InsightKind::ALL.into_iter().filter(|kind| *kind != InsightKind::Trends) {
        let now = of(kind, true, "from = 2024-01-03\nuntil = 2024-01-05\n");
        let then = of(kind, false, "from = 2024-01-01\nuntil = 2024-01-03\n");
        let before = now.before.unwrap();
        assert_eq!(
            (before.range.from.as_str(), before.range.until.as_str()),
            ("2024-01-01", "2024-01-03")
        );
        // Shares of nothing are no numbers, which are not even themselves.
        let chart = before.chart.unwrap();
        assert_eq!(format!("{chart:?}"), format!("{:?}", then.chart), "{kind:?}");
        assert!(then.before.is_none());
    }
}

/// Events of a few customers at few instants, so that ties and gaps are frequent. The first has a plan: a
/// property that no event has is refused.
fn events() -> impl Strategy<Value = Vec<(u8, u8, u16, u8)>> {
    let events = prop::collection::vec((0_u8..6, 0_u8..4, 0_u16..400, 0_u8..4), 1..120);
    (events, 1_u8..4).prop_map(|(mut events, plan)| {
        events[0].3 = plan;
        events
    })
}

fn project_with(events: &[(u8, u8, u16, u8)]) -> Project {
    let mut csv = "customer,event,time,plan,price\n".to_owned();
    for (customer, event, step, plan) in events {
        // Steps of three hours from 2024-01-01, some of them the same instant.
        let hours = u32::from(*step) * 3;
        let (day, hour) = (hours / 24, hours % 24);
        let time = kernel::domain::Time(
            1_704_067_200_000_000 + (i64::from(day) * 24 + i64::from(hour)) * 3_600_000_000,
        );
        let plan = ["", "free", "pro", "team"][usize::from(*plan)];
        csv.push_str(&format!("c{customer},e{event},{time},{plan},{step}\n"));
    }
    project_of(&csv)
}

/// The rows of the SQL of an insight; counts of nothing are left out on both sides.
fn rows(project: &Project, sql: &str) -> Vec<Vec<String>> {
    let result = project.warehouse.query(sql, 100_000, &Job::unwatched()).unwrap_or_else(|error| {
        panic!("{error}\n{sql}");
    });
    result.rows.iter().map(|row| row.iter().map(cell).collect()).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Number(x) => format!("{:.6}", x),
        other => other.to_string(),
    }
}

fn known<const N: usize>(cells: [&str; N], n: f64) -> (Vec<String>, String) {
    (cells.map(str::to_owned).to_vec(), format!("{n:.6}"))
}

/// The SQL's rows as a map from what a number is of to the number.
fn by_key(rows: Vec<Vec<String>>) -> BTreeMap<Vec<String>, String> {
    let split = |mut row: Vec<String>| {
        let n = row.pop().unwrap();
        (row, n)
    };
    rows.into_iter().map(split).collect()
}

fn place(n: usize) -> String {
    format!("{:.6}", n as f64)
}

/// What an insight has, by the key that its SQL has.
fn own(insight: &Insight) -> BTreeMap<Vec<String>, String> {
    let mut own = BTreeMap::new();
    let mut put = |(key, n): (Vec<String>, String), is_there: bool| {
        if is_there {
            own.insert(key, n);
        }
    };
    match &insight.chart {
        Chart::Trends(trends) => {
            for line in &trends.lines {
                let series = ["A", "B", "C", "D", "E", "F"][line.series.unwrap()];
                for (k, value) in line.values.iter().enumerate() {
                    let Some(value) = value else { continue };
                    put(known([series, &line.group, &place(k)], *value), *value != 0.0);
                }
            }
        }
        Chart::Retention(retention) => {
            let all = [(String::new(), retention.counts.clone())];
            let groups = retention.groups.iter().map(|g| (g.group.clone(), g.counts.clone()));
            let tables: Vec<_> =
                if retention.groups.is_empty() { all.to_vec() } else { groups.collect() };
            for (group, counts) in tables {
                for (cohort, row) in counts.iter().enumerate() {
                    for (column, n) in row.iter().enumerate() {
                        put(known([&group, &place(cohort), &place(column)], *n as f64), *n > 0);
                    }
                }
            }
        }
        Chart::Funnel(funnel) => {
            for group in &funnel.groups {
                for (step, found) in group.steps.iter().enumerate() {
                    let n = found.customers;
                    put(known([&group.group, &place(step + 1)], n as f64), n > 0);
                }
            }
        }
        Chart::Lifecycle(lifecycle) => {
            for (status, counts) in Status::ALL.iter().zip(&lifecycle.counts) {
                for (k, n) in counts.iter().enumerate() {
                    put(known([status.word(), &place(k)], *n as f64), *n > 0);
                }
            }
        }
        Chart::Stickiness(stickiness) => {
            for (k, (exactly, at_least)) in
                stickiness.exactly.iter().zip(&stickiness.at_least).enumerate()
            {
                let key = vec![place(k + 1), format!("{:.6}", *exactly as f64)];
                put((key, format!("{:.6}", *at_least as f64)), *exactly > 0);
            }
        }
        Chart::Paths(paths) => {
            for edge in &paths.edges {
                let n = format!("{:.6}", edge.n as f64);
                let key = vec![place(edge.step), edge.from.clone(), edge.to.clone(), n];
                put((key, format!("{:.6}", edge.mean_seconds)), true);
            }
        }
        Chart::Segments(segments) => {
            for (r, row) in segments.grid.iter().enumerate() {
                for (f, n) in row.iter().enumerate() {
                    put(known([&place(r + 1), &place(f + 1)], *n as f64), *n > 0);
                }
            }
        }
    }
    own
}

fn check(project: &Project, kind: InsightKind, text: &str) {
    let spec = spec(kind, text);
    let insight = insight(project, &spec);
    let mut rows = rows(project, &insight.sql);
    if kind == InsightKind::Segments {
        // The SQL has the worth beside.
        rows.iter_mut().for_each(|row| _ = row.pop());
    }
    let own = own(&insight);
    if kind == InsightKind::Paths {
        // Connections that no first step leads to are shown by the SQL alone.
        let theirs: HashSet<_> = by_key(rows).into_keys().collect();
        assert!(own.keys().all(|key| theirs.contains(key)), "{text}\n{}", insight.sql);
        return;
    }
    // Where nothing happened, one side or the other may have no row.
    let theirs: BTreeMap<_, _> =
        by_key(rows).into_iter().filter(|(_, n)| n != "0.000000" && n != "NULL").collect();
    assert_eq!(own, theirs, "{text}\n{}", insight.sql);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Random events, all kinds of insights: the numbers are those of the SQL that is shown.
    #[test]
    fn insights_are_what_their_sql_says(events in events()) {
        let project = project_with(&events);
        let last = events.iter().map(|event| event.1).max().unwrap();
        let first = events.iter().map(|event| event.1).min().unwrap();
        let (a, b) = (format!("\"e{first}\""), format!("\"e{last}\""));
        for scope in [
            "interval = \"week\"\nfrom = 2024-01-03\nuntil = 2024-02-09\nzone = \"Africa/Cairo\"\n",
            "interval = \"day\"\nintervals = 20\n",
            "interval = \"week\"\nintervals = 6\nzone = \"America/New_York\"\n",
            "interval = \"day\"\nfrom = 2024-01-05\nuntil = 2024-01-25\nwhere = \"price < 300\"\n",
        ] {
            for breakdown in ["", "breakdown = { property = \"plan\" }\n"] {
                let scope = format!("{scope}{breakdown}");
                check(&project, InsightKind::Trends, &format!(
                    "{scope}[[series]]\nmeasure = \"total\"\n[[series]]\nmeasure = \"unique\"\nevent = {a}\n\
                     [[series]]\nmeasure = \"weekly_active\"\nevent = {b}\n\
                     [[series]]\nmeasure = \"monthly_active\"\n\
                     [[series]]\nmeasure = \"p75\"\nproperty = \"price\"\n\
                     [[series]]\nmeasure = \"mean\"\nproperty = \"price\"\nevent = {{ events = [{a}, {b}], where = \"price > 50\" }}\n"
                ));
                for more in ["mode = \"recurring\"\n", "mode = \"first_time\"\ncounting = \"on_or_after\"\n",
                    "mode = \"first_ever\"\nbrackets = [1, 2, 4]\n", "measured = \"rolling\"\ntimes = 2\nmode = \"recurring\"\n"] {
                    check(&project, InsightKind::Retention, &format!("{scope}start = {a}\nreturn = {b}\n{more}"));
                }
                // An event that never happened is refused.
                let unless_never = |event, exclusion| match events.iter().any(|it| it.1 == event) {
                    true => exclusion,
                    false => "",
                };
                let not = unless_never(2, "[[exclusions]]\nevent = \"e2\"\nfrom = 1\nto = 3\n");
                let not_first = unless_never(3, "[[exclusions]]\nevent = \"e3\"\nfrom = 1\nto = 2\n");
                let strict = "order = \"strict\"\n";
                for more in ["", "order = \"unordered\"\n", "attribution = \"last\"\n", strict, not, not_first,
                    &format!("{strict}{not}"), &format!("{not}{not_first}"), &format!("{strict}{not_first}")] {
                    let steps = format!("steps = [{a}, {b}, {a}]\nwindow = \"36h\"\n");
                    check(&project, InsightKind::Funnel, &format!("{scope}{steps}{more}"));
                }
            }
            check(&project, InsightKind::Lifecycle, &format!("{scope}event = {a}\n"));
            check(&project, InsightKind::Stickiness, &format!("{scope}times = 2\n"));
            check(&project, InsightKind::Segments, &format!("{scope}value = \"price\"\n"));
            for more in ["", "steps = 3\nedges = 1000\ngap = \"1d\"\n"] {
                check(&project, InsightKind::Paths, &format!("{scope}{more}"));
            }
            for more in [format!("start = {a}\n"), format!("end = {b}\n")] {
                check(&project, InsightKind::Paths, &format!("{scope}{more}gap = \"7d\"\nedges = 1000\n"));
            }
        }
    }

    /// The people behind a point are as many as the point says, and none else.
    #[test]
    fn people_behind_points_are_those_that_are_counted(events in events()) {
        let project = project_with(&events);
        let scope = Scope { interval: Interval::Day, intervals: 20, ..Scope::default() };
        let name = format!("e{}", events[0].1);
        let funnel = FunnelSpec { steps: vec![Events::named(&name), Events::default()], order: Order::Strict, ..FunnelSpec::default() };
        let people = |spec: &InsightSpec, point: Point| {
            project.warehouse.people(spec, None, &point, &Job::unwatched()).unwrap().len() as u64
        };
        let spec = InsightSpec { scope: scope.clone(), question: Question::Funnel(funnel) };
        let Chart::Funnel(funnel) = insight(&project, &spec).chart else { unreachable!() };
        for (step, found) in funnel.groups[0].steps.iter().enumerate() {
            let point = Point::Funnel { group: String::new(), step, dropped: false };
            prop_assert_eq!(people(&spec, point), found.customers);
        }
        let spec = InsightSpec { scope: scope.clone(), ..InsightSpec::usual(InsightKind::Retention) };
        let Chart::Retention(retention) = insight(&project, &spec).chart else { unreachable!() };
        for (cohort, row) in retention.counts.iter().enumerate().step_by(3) {
            for (column, n) in row.iter().enumerate().step_by(4) {
                let point = Point::Retention { group: String::new(), cohort, column };
                prop_assert_eq!(people(&spec, point), *n);
            }
        }
        let spec = InsightSpec { scope, ..InsightSpec::usual(InsightKind::Trends) };
        let Chart::Trends(trends) = insight(&project, &spec).chart else { unreachable!() };
        for (interval, n) in trends.lines[0].values.iter().enumerate().step_by(3) {
            let point = Point::Trends { series: 0, group: String::new(), interval };
            prop_assert_eq!(people(&spec, point) as f64, n.unwrap());
        }
    }
}
