//! The range of an insight: calendar days in its zone, as they are written, in every answer.

use kernel::domain::Job;
use warehouse::import::Options;
use warehouse::insights::{Bound, Calendar, Chart, Insight, InsightKind, InsightSpec, Interval};

use crate::support::{Project, fullcircle, fullcircle_json};

fn project_of(csv: &str) -> Project {
    let project = Project::new();
    let file = project.file("events.csv", csv);
    project.import(&file, &Options::default());
    project
}

fn insight(project: &Project, kind: InsightKind, text: &str) -> Insight {
    let spec = InsightSpec::parse(Some(kind), text).unwrap();
    let insight = project.warehouse.insight(&spec, None, &Job::unwatched());
    insight.unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn calendar(interval: Interval, zone: &str, from: &str, until: &str) -> Calendar {
    let bound = |text: &str| text.parse::<Bound>().unwrap();
    Calendar::between(interval, zone, bound(from), bound(until)).unwrap()
}

fn starts(calendar: &Calendar) -> Vec<String> {
    calendar.starts().chain([calendar.until()]).map(|start| start.to_string()).collect()
}

/// The values of each line of trends.
fn values(insight: &Insight) -> Vec<Vec<f64>> {
    let Chart::Trends(trends) = &insight.chart else { panic!("no trends") };
    let values = |values: &Vec<Option<f64>>| values.iter().map(|x| x.unwrap_or(-1.0)).collect();
    trends.lines.iter().map(|line| values(&line.values)).collect()
}

#[test]
fn days_are_in_the_zone_as_written() {
    for (interval, zone, from, until, bounds) in [
        (
            Interval::Day,
            "Africa/Cairo",
            "2025-04-24",
            "2025-04-27",
            vec![
                "2025-04-23T22:00:00Z",
                "2025-04-24T22:00:00Z",
                "2025-04-25T21:00:00Z",
                "2025-04-26T21:00:00Z",
            ],
        ),
        (
            Interval::Day,
            "America/Santiago",
            "2024-09-07",
            "2024-09-09",
            vec!["2024-09-07T04:00:00Z", "2024-09-08T04:00:00Z", "2024-09-09T03:00:00Z"],
        ),
        (
            Interval::Week,
            "Africa/Cairo",
            "2025-04-25",
            "2025-05-05",
            vec!["2025-04-24T22:00:00Z", "2025-04-27T21:00:00Z", "2025-05-04T21:00:00Z"],
        ),
        (
            Interval::Month,
            "Asia/Beirut",
            "2024-03-31",
            "2024-05-01",
            vec!["2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z", "2024-04-30T21:00:00Z"],
        ),
        (
            Interval::Quarter,
            "America/Havana",
            "2024-03-10",
            "2024-11-03",
            vec![
                "2024-03-10T05:00:00Z",
                "2024-04-01T04:00:00Z",
                "2024-07-01T04:00:00Z",
                "2024-10-01T04:00:00Z",
                "2024-11-03T04:00:00Z",
            ],
        ),
        (
            Interval::Year,
            "America/Santiago",
            "2023-09-03",
            "2024-09-08",
            vec!["2023-09-03T04:00:00Z", "2024-01-01T03:00:00Z", "2024-09-08T04:00:00Z"],
        ),
        (
            Interval::Hour,
            "Africa/Cairo",
            "2025-04-25T00:00:00",
            "2025-04-25T03:00:00",
            vec!["2025-04-24T22:00:00Z", "2025-04-24T23:00:00Z", "2025-04-25T00:00:00Z"],
        ),
        (
            Interval::Week,
            "Europe/Berlin",
            "2024-03-27",
            "2024-04-03",
            vec!["2024-03-26T23:00:00Z", "2024-03-31T22:00:00Z", "2024-04-02T22:00:00Z"],
        ),
    ] {
        let calendar = calendar(interval, zone, from, until);
        assert_eq!(starts(&calendar), bounds, "{interval:?} {zone} {from} {until}");
    }
    // A day of the clock change has an hour less or more.
    for (day, after, n) in [
        ("2025-04-25", "2025-04-26", 23),
        ("2025-10-30", "2025-10-31", 25),
        ("2025-10-31", "2025-11-01", 24),
    ] {
        assert_eq!(calendar(Interval::Hour, "Africa/Cairo", day, after).len(), n, "{day}");
    }
    // A day that a zone skips has no length, and the next one begins with it.
    let skipped = calendar(Interval::Day, "Pacific/Apia", "2011-12-29", "2012-01-01");
    let bounds = starts(&skipped);
    assert_eq!((skipped.len(), &bounds[1]), (3, &bounds[2]));
}

#[test]
fn a_range_is_never_snapped() {
    let mut csv = "customer,event,time\n".to_owned();
    for day in 1..=31 {
        csv.push_str(&format!("c{day},visit,2024-01-{day:02}T12:00:00\n"));
    }
    let project = project_of(&csv);
    let own = "[[series]]\nmeasure = \"total\"\n";
    for (interval, from, until, expected, partial) in [
        ("day", "2024-01-03", "2024-01-06", vec![1.0; 3], vec![]),
        // Wednesday to Sunday, a week, and Monday to Thursday.
        ("week", "2024-01-03", "2024-01-19", vec![5.0, 7.0, 4.0], vec![0, 2]),
        ("week", "2024-01-01", "2024-01-15", vec![7.0, 7.0], vec![]),
        ("week", "2024-01-03", "2024-01-05", vec![2.0], vec![0]),
        ("month", "2023-12-15", "2024-01-16", vec![0.0, 15.0], vec![0, 1]),
        ("quarter", "2023-11-01", "2024-02-01", vec![0.0, 31.0], vec![0, 1]),
        ("year", "2024-01-31", "2024-02-02", vec![1.0], vec![0]),
    ] {
        let scope = format!("interval = \"{interval}\"\nfrom = {from}\nuntil = {until}\n");
        let trends = insight(&project, InsightKind::Trends, &format!("{scope}{own}"));
        assert_eq!(values(&trends)[0], expected, "{scope}");
        assert_eq!((trends.range.from.as_str(), trends.range.until.as_str()), (from, until));
        assert_eq!(trends.range.partial, partial, "{scope}");
        assert_eq!(trends.range.text().contains("partial"), !partial.is_empty());
        // Each of the others has all its events within the range.
        let n: f64 = expected.iter().sum();
        let stickiness = insight(&project, InsightKind::Stickiness, &scope);
        let Chart::Stickiness(stickiness) = stickiness.chart else { unreachable!() };
        assert_eq!(stickiness.at_least[0] as f64, n, "{scope}");
        let Chart::Segments(segments) = insight(&project, InsightKind::Segments, &scope).chart
        else {
            unreachable!()
        };
        assert_eq!(segments.grid.iter().flatten().sum::<u64>() as f64, n, "{scope}");
        let lifecycle = insight(&project, InsightKind::Lifecycle, &scope);
        let Chart::Lifecycle(lifecycle) = lifecycle.chart else { unreachable!() };
        assert_eq!(lifecycle.counts[0].iter().sum::<u64>() as f64, n, "{scope}");
        if expected.len() > 1 {
            let text = format!("{scope}mode = \"recurring\"\n");
            let retention = insight(&project, InsightKind::Retention, &text);
            let Chart::Retention(retention) = retention.chart else { unreachable!() };
            let sizes: Vec<f64> = retention.counts.iter().map(|row| row[0] as f64).collect();
            assert_eq!(sizes, expected, "{scope}");
        }
        let steps = format!("{scope}steps = [\"visit\", \"visit\"]\n");
        let Chart::Funnel(funnel) = insight(&project, InsightKind::Funnel, &steps).chart else {
            unreachable!()
        };
        assert_eq!(funnel.groups[0].steps[0].customers as f64, n, "{scope}");
        let Chart::Paths(paths) = insight(&project, InsightKind::Paths, &scope).chart else {
            unreachable!()
        };
        assert_eq!(paths.paths as f64, n, "{scope}");
    }
    // Without a first day, whole intervals lead to the one that the end is in.
    let text = format!("interval = \"week\"\nintervals = 2\nuntil = 2024-01-17\n{own}");
    let trends = insight(&project, InsightKind::Trends, &text);
    assert_eq!(values(&trends)[0], [7.0, 2.0]);
    assert_eq!(trends.range.from, "2024-01-08");
}

#[test]
fn a_time_of_the_day_is_widened_and_said() {
    let project = project_of(
        "customer,event,time\na,visit,2025-04-24T22:30:00Z\na,visit,2025-04-25T21:20:00Z\n",
    );
    let text = "interval = \"day\"\nfrom = \"2025-04-25T10:00:00Z\"\nuntil = \"2025-04-26T20:00:00Z\"\n\
                zone = \"Africa/Cairo\"\n[[series]]\nmeasure = \"total\"\n";
    let trends = insight(&project, InsightKind::Trends, text);
    assert_eq!(values(&trends)[0], [1.0, 1.0]);
    assert_eq!(
        (trends.range.from.as_str(), trends.range.last_day.as_str()),
        ("2025-04-25", "2025-04-26")
    );
    assert_eq!(trends.range.widened.len(), 2, "{:?}", trends.range.widened);
    // An hour is as exact as it is written.
    let text = "interval = \"hour\"\nfrom = \"2025-04-25T01:00:00\"\nuntil = \"2025-04-25T02:00:00\"\n\
                zone = \"Africa/Cairo\"\n[[series]]\nmeasure = \"total\"\n";
    let trends = insight(&project, InsightKind::Trends, text);
    assert_eq!((values(&trends)[0].as_slice(), trends.range.widened.len()), (&[1.0][..], 0));
    assert_eq!(trends.range.from, "2025-04-25");
    assert_eq!(trends.range.until, "2025-04-25T02:00");
}

/// A week whose clock changes has the customers of its seven days.
#[test]
fn active_customers_are_of_calendar_days() {
    let project = project_of(
        "customer,event,time\n\
         before,visit,2024-03-24T22:30:00Z\n\
         monday,visit,2024-03-24T23:30:00Z\n\
         sunday,visit,2024-03-31T21:30:00Z\n\
         month,visit,2024-03-02T12:00:00Z\n",
    );
    let text = "interval = \"week\"\nfrom = 2024-03-25\nuntil = 2024-04-01\nzone = \"Europe/Berlin\"\n\
                [[series]]\nmeasure = \"weekly_active\"\n[[series]]\nmeasure = \"unique\"\n\
                [[series]]\nmeasure = \"monthly_active\"\n";
    let trends = insight(&project, InsightKind::Trends, text);
    assert_eq!(values(&trends), [[2.0], [2.0], [4.0]]);
    let rows = project.query(&trends.sql);
    let counts: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(counts, ["2", "2", "4"]);
}

#[test]
fn the_previous_period_has_parts_as_long() {
    let project = project_of(
        "customer,event,time\na,visit,2024-02-29\na,visit,2024-03-31\na,visit,2024-03-20\n",
    );
    for (interval, from, until, before) in [
        ("month", "2024-03-01", "2024-04-01", ("2024-02-01", "2024-03-01")),
        ("month", "2024-03-31", "2024-04-01", ("2024-02-29", "2024-03-01")),
        ("month", "2024-02-10", "2024-03-20", ("2023-12-10", "2024-01-20")),
        ("week", "2024-03-06", "2024-03-22", ("2024-02-14", "2024-03-01")),
        ("day", "2024-03-06", "2024-03-08", ("2024-03-04", "2024-03-06")),
    ] {
        let text =
            format!("interval = \"{interval}\"\nfrom = {from}\nuntil = {until}\ncompare = true\n");
        for kind in [InsightKind::Trends, InsightKind::Stickiness] {
            let range = insight(&project, kind, &text).before.unwrap().range;
            assert_eq!((range.from.as_str(), range.until.as_str()), before, "{text}");
        }
    }
}

#[test]
fn means_of_retention_are_over_intervals_that_are_over() {
    let project = project_of(
        "customer,event,time\na,visit,2024-01-01\na,visit,2024-01-08\nb,visit,2024-01-02\nc,visit,2024-01-14\n",
    );
    let mean = |until: &str, more: &str| {
        let text =
            format!("interval = \"week\"\nfrom = 2024-01-01\n{until}mode = \"first_time\"\n{more}");
        let Chart::Retention(table) = insight(&project, InsightKind::Retention, &text).chart else {
            unreachable!()
        };
        table.mean[1]
    };
    // The second week is over: it has an end of its own, up to which there are data.
    assert!((mean("until = 2024-01-15\n", "") - 0.5).abs() < 1e-12);
    // It goes on, has only a part, or the last customers can still return.
    assert!(mean("", "").is_nan());
    assert!(mean("until = 2024-01-14\n", "").is_nan());
    assert!(mean("until = 2024-01-15\n", "measured = \"rolling\"\n").is_nan());
}

/// A customer of an earlier day of the first week is not new, nor counted in it; the first whole week is.
#[test]
fn a_lifecycle_counts_the_part_within() {
    let project = project_of(
        "customer,event,time\nearly,visit,2024-01-08\nearly,visit,2024-01-11\nold,visit,2024-01-03\n\
         old,visit,2024-01-12\ngone,visit,2024-01-04\ntuesday,visit,2024-01-09\nnew,visit,2024-01-10\n",
    );
    let text = "interval = \"week\"\nfrom = 2024-01-10\nuntil = 2024-01-15\n";
    let lifecycle = insight(&project, InsightKind::Lifecycle, text);
    let Chart::Lifecycle(chart) = &lifecycle.chart else { unreachable!() };
    // early and new are new in this week; old returns; gone is dormant; tuesday was active outside only.
    assert_eq!(chart.counts, [[2], [1], [0], [1]]);
    let rows = project.query(&lifecycle.sql);
    assert_eq!(rows, [["dormant", "0", "1"], ["new", "0", "2"], ["returning", "0", "1"]]);
}

#[test]
fn segments_are_as_of_the_day_after_the_last_event() {
    let project = project_of(
        "customer,event,time\n\
         a,order,2011-12-09T06:00:00Z\na,order,2011-11-01T06:00:00Z\nb,order,2011-12-09T20:00:00Z\n\
         c,order,2011-12-08T23:30:00Z\nd,order,2011-12-01T01:00:00Z\n",
    );
    let of = |text: &str| {
        let insight = insight(&project, InsightKind::Segments, text);
        let Chart::Segments(segments) = insight.chart else { unreachable!() };
        let days: Vec<f64> = segments.segments.iter().map(|row| row.mean_recency_days).collect();
        (segments.as_of.to_string(), insight.range.until, days, segments.grid)
    };
    let (as_of, until, _, grid) = of("");
    assert_eq!((as_of.as_str(), until.as_str()), ("2011-12-10T00:00:00Z", "2011-12-10"));
    // a and b came on the same day: they have the same score of recency, the best.
    assert_eq!(grid[4].iter().sum::<u64>(), 2);
    // c came on the same day too where days begin elsewhere.
    let (as_of, _, _, grid) =
        of("zone = \"Europe/Berlin\"\ninterval = \"month\"\nintervals = 24\n");
    assert_eq!(as_of, "2011-12-09T23:00:00Z");
    assert_eq!(grid[4].iter().sum::<u64>(), 3);
    let (as_of, _, days, _) = of("until = 2011-12-02\ninterval = \"month\"\nintervals = 24\n");
    assert_eq!(as_of, "2011-12-02T00:00:00Z");
    assert!(days.contains(&1.0), "{days:?}");
}

/// Events of one instant are one set, in whichever order a file has them.
#[test]
fn funnels_do_not_depend_on_the_order_of_a_file() {
    let rows = ["p,x,2024-01-01T00:00:00", "p,buy,2024-01-01T00:00:00", "p,y,2024-01-01T00:00:00"];
    let steps = |order: [usize; 3], more: &str| {
        let lines: String = order.iter().map(|place| format!("{}\n", rows[*place])).collect();
        let project = project_of(&format!("customer,event,time\n{lines}"));
        let text = format!(
            "from = 2024-01-01\nuntil = 2024-01-02\ninterval = \"day\"\nwindow = \"1h\"\n{more}"
        );
        let funnel = insight(&project, InsightKind::Funnel, &text);
        let by_sql: Vec<String> =
            project.query(&funnel.sql).iter().map(|row| row[2].clone()).collect();
        let Chart::Funnel(funnel) = funnel.chart else { unreachable!() };
        let own: Vec<u64> = funnel.groups[0].steps.iter().map(|step| step.customers).collect();
        let positive: Vec<String> = own.iter().filter(|n| **n > 0).map(u64::to_string).collect();
        assert_eq!(positive, by_sql, "{more}");
        own
    };
    let any = "[[steps]]\n[[steps]]\nevent = \"buy\"\n";
    for more in [
        "steps = [{ }, \"buy\"]\n".to_owned(),
        "steps = [\"x\", { events = [\"x\", \"buy\"] }]\n".to_owned(),
        "order = \"strict\"\nsteps = [{ }, \"buy\"]\n".to_owned(),
        "steps = [\"x\", \"buy\"]\nexclusions = [{ event = \"y\", from = 1, to = 2 }]\n".to_owned(),
        any.to_owned(),
    ] {
        let all = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let counts: Vec<Vec<u64>> = all.map(|order| steps(order, &more)).to_vec();
        assert!(counts.iter().all(|own| *own == counts[0]), "{more}: {counts:?}");
    }
}

/// A property that some event has is known, also where none within the range has it. One that no event has
/// is refused.
#[test]
fn a_property_may_be_absent_within_the_range() {
    let project = project_of(
        "customer,event,time,plan,seats\na,visit,2024-01-02,pro,5\na,visit,2024-02-02,,\nb,visit,2024-02-03,,\n",
    );
    let scope = "interval = \"day\"\nfrom = 2024-02-01\nuntil = 2024-02-05\n";
    let by = "breakdown = { property = \"plan\" }\n";
    let trends = insight(&project, InsightKind::Trends, &format!("{scope}{by}"));
    let Chart::Trends(chart) = &trends.chart else { unreachable!() };
    assert_eq!(chart.lines.len(), 1);
    assert_eq!(chart.lines[0].group, "(none)");
    assert_eq!(values(&trends), [[0.0, 1.0, 1.0, 0.0]]);
    let sum = format!("{scope}[[series]]\nmeasure = \"mean\"\nproperty = \"seats\"\n");
    assert_eq!(values(&insight(&project, InsightKind::Trends, &sum)), [[-1.0; 4]]);
    let none = format!("{scope}where = \"plan = 'pro'\"\n");
    assert_eq!(values(&insight(&project, InsightKind::Trends, &none)), [[0.0; 4]]);
    let funnel = format!("{scope}{by}steps = [\"visit\", \"visit\"]\n");
    let Chart::Funnel(funnel) = insight(&project, InsightKind::Funnel, &funnel).chart else {
        unreachable!()
    };
    assert_eq!((funnel.groups.len(), funnel.groups[0].steps[0].customers), (1, 2));
    // The smallest project with a column that is empty in all rows, as a random test found it.
    let empty = project_of("customer,event,time,plan,price\nc0,e0,2024-01-01T00:00:00Z,,0\n");
    for (text, said) in [
        ("breakdown = { property = \"plan\" }\n", "no event has a property 'plan'"),
        ("breakdown = { property = \"prise\" }\n", "did you mean 'price'"),
        ("breakdown = { trait = \"plan\" }\n", "no customer has a trait 'plan'"),
        ("[[series]]\nmeasure = \"sum\"\nproperty = \"plan\"\n", "no event has a property 'plan'"),
    ] {
        let spec = InsightSpec::parse(Some(InsightKind::Trends), text).unwrap();
        let error = empty.warehouse.insight(&spec, None, &Job::unwatched()).unwrap_err();
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[test]
fn every_answer_of_the_command_line_has_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let project = path("shop");
    let csv = "customer,event,time\na,x,2024-01-02T10:00:00\na,y,2024-01-02T10:05:00\nb,x,2024-01-09\nb,y,2024-01-09\n";
    std::fs::write(path("events.csv"), csv).unwrap();
    fullcircle_json(&["import", "--project", &project, &path("events.csv"), "--json"]);
    for kind in InsightKind::ALL {
        let own = if kind == InsightKind::Funnel { "steps = [\"x\", \"y\"]\n" } else { "" };
        let spec = format!(
            "interval = \"week\"\nfrom = 2024-01-02\nuntil = 2024-01-12\nzone = \"Africa/Cairo\"\ncompare = true\n{own}"
        );
        std::fs::write(path("spec.toml"), spec).unwrap();
        let spec = path("spec.toml");
        let base = ["insight", "--project", &project, kind.word(), "--spec", &spec];
        let out = path(&format!("{kind}.csv"));
        let json = fullcircle_json(&[&base[..], &["--json", "--out", &out]].concat());
        let range = &json["range"];
        assert_eq!(range["from"], "2024-01-02");
        assert_eq!(range["until"], "2024-01-12");
        assert_eq!(range["last_day"], "2024-01-11");
        assert_eq!(range["zone"], "Africa/Cairo");
        assert_eq!(range["start"], "2024-01-01T22:00:00Z");
        assert_eq!(range["partial"], serde_json::json!([0, 1]));
        assert_eq!(json["before"]["range"]["from"], "2023-12-19", "{kind}");
        let text = fullcircle(&base);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.contains("Range: 2024-01-02 to 2024-01-11, Africa/Cairo, by week"), "{text}");
        let sql = fullcircle_json(&[&base[..], &["--json", "--sql"]].concat());
        assert_eq!(sql["range"]["from"], "2024-01-02");
        fullcircle_json(&["query", "--project", &project, sql["sql"].as_str().unwrap(), "--json"]);
        let csv = std::fs::read_to_string(&out).unwrap();
        let mut lines = csv.lines();
        assert!(lines.next().unwrap().ends_with("range_from,range_until,range_zone"), "{csv}");
        assert!(lines.all(|line| line.ends_with("2024-01-02,2024-01-12,Africa/Cairo")), "{csv}");
    }
}
