//! Import: text files as other tools write them, and the roles of their columns.

use kernel::domain::{Job, Type};
use warehouse::import::{Decimal, ImportReport, Options};

use crate::support::{Project, fullcircle_fails, fullcircle_json};

fn counts(report: &ImportReport) -> [u64; 4] {
    [report.read, report.accepted, report.duplicate, report.rejected]
}

/// Imports one file into a new project.
fn imported(name: &str, content: impl AsRef<[u8]>, options: &Options) -> (Project, ImportReport) {
    let project = Project::new();
    let report = project.import(&project.file(name, content), options);
    (project, report)
}

fn refused(name: &str, content: impl AsRef<[u8]>, options: &Options) -> String {
    let project = Project::new();
    let file = project.file(name, content);
    let error = project.warehouse.import(&[file], options, &Job::unwatched()).unwrap_err();
    assert_eq!(project.query("SELECT count(*) FROM events"), [["0"]]);
    error.to_string()
}

/// Events of each customer.
fn customers(project: &Project) -> Vec<Vec<String>> {
    project.query("SELECT customer_id, count(*) FROM events GROUP BY ALL ORDER BY ALL")
}

#[test]
fn ids_that_name_nobody_are_no_customers() {
    let spelled = [
        "NULL",
        "\\N",
        "null",
        "None",
        "nan",
        "NaN",
        "undefined",
        "[object Object]",
        "",
        "  ",
        "N/A",
        "#N/A",
        "-",
        "NA",
    ];
    for (delimiter, end) in [(',', "\n"), (';', "\r\n"), ('\t', "\n")] {
        let row = |id: &str| {
            format!("{id}|visit|2024-02-01T10:00:00Z{end}").replace('|', &delimiter.to_string())
        };
        let rows: String = spelled.iter().map(|id| row(id)).collect();
        let header =
            row("user_id").replace("visit", "event").replace("2024-02-01T10:00:00Z", "timestamp");
        let text = format!("{header}{}{rows}{}", row("u1"), row("u2"));
        let (project, report) = imported("ids.csv", text, &Options::default());
        assert_eq!(counts(&report), [16, 2, 0, 14], "{report:#?}");
        assert_eq!(customers(&project), [["u1", "1"], ["u2", "1"]]);
        let reasons = project.query("SELECT DISTINCT \"column\", reason FROM rejected_rows");
        assert_eq!(reasons, [["user_id", "no customer"]]);
    }
}

#[test]
fn missing_values_leave_a_number_a_number_and_a_text_a_text() {
    let text = "customer_id\torder_time\tamount\tgift\tcountry\n\
                c1\t2024-03-01 10:00:00\t10\ttrue\tDE\n\
                c2\t2024-03-01 11:00:00\t\\N\tNULL\tNA\n\
                c3\t2024-03-02 10:00:00\t20.5\tfalse\tNA\n\
                c4\tNULL\tn/a\t-\tFR\n";
    let order = Options { event_name: Some("order".to_owned()), ..Options::default() };
    let as_number =
        Options { types: [("amount".to_owned(), Type::Number)].into(), ..order.clone() };
    for options in [&order, &as_number] {
        let (project, report) = imported("orders.tsv", text, options);
        assert_eq!(counts(&report), [4, 3, 0, 1], "{report:#?}");
        assert_eq!(report.rejects[0].reason, "no time");
        assert_eq!(report.missing, [("amount".to_owned(), 2), ("gift".to_owned(), 2)].into());
        let rows = project.query(
            "SELECT typeof(any_value(amount)), sum(amount), count(amount), typeof(any_value(gift)),
                count(*) FILTER (country = 'NA') FROM events",
        );
        assert_eq!(rows, [["DOUBLE", "30.5", "2", "BOOLEAN", "2"]]);
        let said = report.remarks.join("\n");
        assert!(said.contains("'country': 2 texts like 'NA' are kept as text"), "{said}");
    }
    let dropped = Options { missing: vec!["country".to_owned()], ..order };
    let (project, report) = imported("orders.tsv", text, &dropped);
    assert_eq!(report.missing["country"], 2);
    assert_eq!(project.query("SELECT count(country) FROM events"), [["1"]]);
}

#[test]
fn ids_with_a_fraction_of_zero_are_those_without() {
    let head = "customer_id,event,time\n";
    let row = |id: &str| format!("{id},buy,2024-01-01\n");
    let (project, report) = imported(
        "a.csv",
        format!("{head}{}{}{}", row("1001"), row("1001.0"), row("1002.0")),
        &Options::default(),
    );
    assert_eq!(customers(&project), [["1001", "2"], ["1002", "1"]]);
    assert!(report.remarks.join("\n").contains("'1001.0'"), "{report:#?}");
    // Ids with other fractions, such as those of Google Analytics, stay as they are.
    let (project, _) =
        imported("b.csv", format!("{head}{}{}", row("1001.0"), row("111.1")), &Options::default());
    assert_eq!(customers(&project), [["1001.0", "1"], ["111.1", "1"]]);
    // Also where the first such id comes late.
    let many: String = (0..30_000).map(|n| row(&n.to_string())).collect();
    let (project, _) =
        imported("c.csv", format!("{head}{many}{}", row("7.0")), &Options::default());
    assert_eq!(project.query("SELECT count(*) FROM events WHERE customer_id = '7'"), [["2"]]);
}

#[test]
fn a_customer_column_needs_evidence() {
    let said = refused(
        "weird.csv",
        "thing,when,kunde\nx,2024-01-01,a\nx,2024-01-02,b\ny,2024-01-03,a\n",
        &Options::default(),
    );
    assert!(
        said.contains("--customer") && said.contains("'kunde' (2 different in 3 rows)"),
        "{said}"
    );
    // Neither a name of events, nor an order id, nor the first column of a file without names.
    let mixpanel = "{\"event\":\"Sign up\",\"properties\":{\"time\":1704276000,\"id\":\"m\"}}\n";
    assert!(refused("odd.ndjson", mixpanel, &Options::default()).contains("--customer"));
    let snowplow = "web\t2024-01-01 10:00:00\te1\tada\nweb\t2024-01-01 10:01:00\te2\tbob\n";
    let said = refused("snowplow.tsv", snowplow, &Options::default());
    assert!(said.contains("--customer") && said.contains("line 1 looks like data"), "{said}");
    for (name, column) in [("Loyalty Member No", "Loyalty Member No"), ("custId", "custId")] {
        let text =
            format!("order_id,{name},date,amount\n1001,a,2024-01-01,5\n1002,b,2024-01-02,6\n");
        let (_, report) = imported("named.csv", text, &Options::default());
        assert_eq!(report.mapping.customer, column);
    }
}

#[test]
fn a_log_without_names_of_columns_is_read_from_its_first_line() {
    let log = "alice,2024-01-05T09:00:00Z,signup\nbob,2024-01-05T09:10:00Z,signup\n\
               alice,2024-01-06T10:00:00Z,visit\nbob,2024-01-07T11:00:00Z,visit\n\
               carol,2024-01-07T12:00:00Z,visit\ncarol,2024-01-08T12:00:00Z,buy\n";
    for text in
        [log.to_owned(), log.replace(',', ";").replace('\n', "\r\n"), format!("\u{feff}{log}")]
    {
        let (project, report) = imported("log.csv", text, &Options::default());
        assert_eq!(counts(&report), [6, 6, 0, 0], "{report:#?}");
        assert_eq!(customers(&project), [["alice", "2"], ["bob", "2"], ["carol", "2"]]);
        let events = project.query("SELECT event, count(*) FROM events GROUP BY ALL ORDER BY ALL");
        assert_eq!(events, [["buy", "1"], ["signup", "2"], ["visit", "3"]]);
        assert!(report.remarks.join("\n").contains("line 1 looks like data"));
    }
}

#[test]
fn exports_of_other_tools_say_who_and_when() {
    let mixpanel = |time: u32, who: &str, id: u32| {
        format!(
            "{{\"event\":\"Played\",\"properties\":{{\"time\":{time},\"distinct_id\":\"{who}\",\
             \"$insert_id\":\"i{id}\",\"amount\":9.5}}}}\n"
        )
    };
    let text = mixpanel(1_704_276_000, "ada", 1) + &mixpanel(1_704_279_600, "bob", 2);
    let (project, report) = imported("mixpanel.ndjson", &text, &Options::default());
    assert_eq!(counts(&report), [2, 2, 0, 0]);
    assert_eq!(
        project.query(
            "SELECT customer_id, event, event_time, message_id, amount FROM events ORDER BY 1"
        ),
        [
            ["ada", "Played", "2024-01-03T10:00:00Z", "i1", "9.5"],
            ["bob", "Played", "2024-01-03T11:00:00Z", "i2", "9.5"]
        ]
    );
    // Shopify: the order id is no time.
    let shopify = "Id,Name,Email,Created at,Total\n5123456789012,#1001,a@x.test,2024-01-05 09:00:00 +0100,10\n\
                   5123456789013,#1002,b@x.test,2024-01-05 10:00:00 +0000,12\n";
    let (project, report) = imported("orders.csv", shopify, &Options::default());
    assert_eq!(
        (report.mapping.customer.as_str(), report.mapping.time.as_deref()),
        ("Email", Some("Created at"))
    );
    assert_eq!(
        project.query("SELECT event_time FROM events ORDER BY 1"),
        [["2024-01-05T08:00:00Z"], ["2024-01-05T10:00:00Z"]]
    );
    // Amplitude: event_id is a counter of a device.
    let amplitude = "user_id,event_type,event_time,event_id,uuid\n\
                     u1,view,2024-01-03 10:01:00.123,1,aa\nu2,view,2024-01-03 10:02:00,1,ab\n";
    let (project, report) = imported("a.csv", amplitude, &Options::default());
    assert_eq!(
        (counts(&report), report.mapping.message_id.as_deref()),
        ([2, 2, 0, 0], Some("uuid"))
    );
    assert_eq!(project.query("SELECT message_id FROM events ORDER BY 1"), [["aa"], ["ab"]]);
    let (_, report) = imported("b.csv", amplitude.replace(",uuid", ",note"), &Options::default());
    assert_eq!((counts(&report), report.mapping.message_id), ([2, 2, 0, 0], None));
    // Google Analytics: the finer time, and people without a user id.
    let ga4 = |time: u64, user: &str, pseudo: &str| {
        format!(
            "{{\"event_date\":\"20240105\",\"event_timestamp\":\"{time}\",\"event_name\":\"view\",\
             \"user_id\":{user},\"user_pseudo_id\":\"{pseudo}\"}}\n"
        )
    };
    let text = ga4(1_704_441_600_100_001, "null", "111.1")
        + &ga4(1_704_441_600_100_002, "\"42\"", "111.1")
        + &ga4(1_704_499_199_000_000, "null", "222.2");
    let (project, report) = imported("ga4.ndjson", text, &Options::default());
    assert_eq!(counts(&report), [3, 3, 0, 0]);
    assert_eq!(customers(&project), [["222.2", "1"], ["42", "2"]]);
    let said = report.remarks.join("\n");
    assert!(said.contains("'event_timestamp'") && said.contains("'user_id' (2 of 3"), "{said}");
}

#[test]
fn a_counter_is_no_message_id_however_late_it_repeats() {
    let row = |user: &str, n: usize| format!("{user},view,2024-01-01T00:00:00Z,{n}\n");
    let rows: String =
        (0..21_000).map(|n| row("u1", n)).chain((0..10).map(|n| row("u2", n))).collect();
    let (_, report) = imported(
        "counter.csv",
        format!("user_id,event,time,event_id\n{rows}"),
        &Options::default(),
    );
    assert_eq!(counts(&report), [21_010, 21_010, 0, 0]);
    assert_eq!(report.mapping.message_id, None);
}

#[test]
fn an_archive_of_calls_is_what_the_calls_are() {
    let call = |more: &str, id: u32| {
        format!(
            "{{\"messageId\":\"s-{id}\",\"timestamp\":\"2024-05-01T10:0{id}:00.000Z\",\"context\":{{\"ip\":\"x\"}},{more}}}\n"
        )
    };
    let text = [
        call("\"anonymousId\":\"an-1\",\"type\":\"page\",\"name\":\"Home\",\"properties\":{\"url\":\"/\"}", 1),
        call("\"anonymousId\":\"an-1\",\"userId\":\"u-1\",\"type\":\"identify\",\"traits\":{\"plan\":\"pro\"}", 2),
        call("\"anonymousId\":\"an-1\",\"userId\":\"u-1\",\"type\":\"track\",\"event\":\"Bought\"", 3),
        call("\"anonymousId\":\"an-2\",\"userId\":null,\"type\":\"track\",\"event\":\"Viewed\"", 4),
        call("\"userId\":\"u-2\",\"previousId\":\"an-2\",\"type\":\"alias\"", 5),
    ]
    .concat();
    let (project, report) = imported("archive.ndjson", &text, &Options::default());
    assert_eq!(counts(&report), [5, 5, 0, 0], "{report:#?}");
    assert_eq!(
        project.query("SELECT customer_id, event, message_id FROM events ORDER BY 3"),
        [["u-1", "page", "s-1"], ["u-1", "Bought", "s-3"], ["u-2", "Viewed", "s-4"]]
    );
    assert_eq!(
        project.query("SELECT customer_id, trait, message_id FROM traits"),
        [["u-1", "plan", "s-2"]]
    );
    let names = project
        .query("SELECT column_name FROM information_schema.columns WHERE table_name = 'events'");
    assert!(!names.concat().iter().any(|name| name.starts_with("context")), "{names:?}");
    let again = project.import(&project.file("again.ndjson", &text), &Options::default());
    assert_eq!(counts(&again), [5, 0, 5, 0]);
}

#[test]
fn rows_with_both_ids_join_them() {
    let text = "anonymous_id,user_id,event,time\n\
                x1,,view,2024-01-01\nx1,u1,buy,2024-01-02\nx1,u2,buy,2024-01-03\nx2,,view,2024-01-04\n,u1,buy,2024-01-05\n,,buy,2024-01-06\n";
    let (project, report) = imported("both.csv", text, &Options::default());
    assert_eq!(counts(&report), [6, 5, 0, 1]);
    assert_eq!(customers(&project), [["u1", "3"], ["u2", "1"], ["x2", "1"]]);
    let said = report.remarks.join("\n");
    assert!(
        said.contains("1 rows have an anonymous id that an earlier row gives to another customer"),
        "{said}"
    );
    let more = project.file(
        "more.csv",
        "anonymous_id,user_id,event,time\nx2,u3,buy,2024-02-01\nx1,,view,2024-02-02\n",
    );
    project.import(&more, &Options::default());
    assert_eq!(customers(&project), [["u1", "4"], ["u2", "1"], ["u3", "2"]]);
    let timelines =
        project.warehouse.timelines(&project.warehouse.catalog().unwrap(), &Job::unwatched());
    assert_eq!(timelines.unwrap().n_events(), 7);
}

#[test]
fn days_and_months_are_told_apart_by_the_whole_column() {
    let row = |n: u32, day: u32| format!("c{n},{day:02}/{:02}/2024,{n}\n", n % 12 + 1);
    for (n_before, delimiter) in [(5_400, ","), (30_000, ";")] {
        let early: String = (0..n_before).map(|n| row(n, n % 12 + 1)).collect();
        let late: String = (0..600).map(|n| row(n, 27)).collect();
        let text = format!("customer_id,order_date,amount\n{early}{late}").replace(',', delimiter);
        let options = Options { event_name: Some("order".to_owned()), ..Options::default() };
        let (project, report) = imported("dayfirst.csv", text, &options);
        assert_eq!((report.accepted, report.rejected), (u64::from(n_before) + 600, 0));
        assert_eq!(project.query("SELECT max(day(event_time)) FROM events"), [["27"]]);
        assert_eq!(report.mapping.time_format, "day_first");
    }
}

#[test]
fn times_are_read_as_tools_write_them() {
    let noon = "2024-03-01T12:00:00Z";
    for time in [
        "2024-03-01 12:00:00 UTC",
        "2024-03-01 12:00:00.000 UTC",
        "2024-03-01 13:00:00 +0100",
        "202403011200",
        "2024030112",
        "20240301120000",
        "1709294400",
        "1709294400000",
        "1709294400000000",
        "1709294400.0",
        "03/01/2024 12:00 PM",
        "1-Mar-2024 12:00",
        "Mar 1, 2024 12:00:00 PM",
        "2024/03/01 12:00",
        "Fri, 01 Mar 2024 12:00:00 GMT",
        "20240301T120000Z",
        "1.709294400E9",
    ] {
        let text = format!("customer_id;event;timestamp\na;buy;{time}\nb;buy;{time}\n");
        let (project, report) = imported("times.csv", text, &Options::default());
        assert_eq!(counts(&report), [2, 2, 0, 0], "{time}: {report:#?}");
        assert_eq!(project.query("SELECT DISTINCT event_time FROM events"), [[noon]], "{time}");
    }
}

#[test]
fn times_of_day_beside_days_are_reported() {
    let text = "customer,event,date,clock\na,buy,2024-01-01,10:30\na,see,2024-01-01,9:15 AM\n";
    let (_, report) = imported("days.csv", text, &Options::default());
    assert_eq!(counts(&report), [2, 2, 0, 0]);
    assert!(
        report.remarks.join("\n").contains("times of day in 'clock' are not read"),
        "{report:#?}"
    );
}

#[test]
fn numbers_are_read_as_people_write_them_or_said_to_be_text() {
    let order = Options { event_name: Some("order".to_owned()), ..Options::default() };
    let check = |amounts: &[&str], options: &Options, sum: &str| {
        let row = |(n, amount): (usize, &&str)| format!("c{n}\t2024-02-0{}\t{amount}\n", n + 1);
        let rows: String = amounts.iter().enumerate().map(row).collect();
        let (project, report) =
            imported("amounts.tsv", format!("customer_id\torder_date\tamount\n{rows}"), options);
        assert_eq!(report.accepted, amounts.len() as u64, "{amounts:?}");
        let kind = project.query("SELECT typeof(any_value(amount)) FROM events");
        match sum {
            "" => {
                assert_eq!(kind, [["VARCHAR"]], "{amounts:?}");
                assert!(report.remarks.join("\n").contains("'amount' is text"), "{report:#?}");
            }
            sum => {
                assert_eq!(kind, [["DOUBLE"]], "{amounts:?}");
                assert_eq!(
                    project.query("SELECT round(sum(amount), 6) FROM events"),
                    [[sum]],
                    "{amounts:?}"
                );
            }
        }
        report.remarks.join("\n")
    };
    check(&["12,50", "1.234,56", "7,00"], &order, "1254.06");
    check(&["12.50", "1,234.56", "7.00"], &order, "1254.06");
    check(&["$12.50", "($2.50)", "NULL", "$1,000"], &order, "1010");
    check(&["12,50 €", "1 234,50 €"], &order, "1247");
    check(&["EUR 5", "USD 6"], &order, "");
    check(&["12.5%", "7%"], &order, "19.5");
    let said = check(&["1,234", "2,345"], &order, "3579");
    assert!(said.contains("--decimal ,"), "{said}");
    let comma = Options { decimal: Some(Decimal::Comma), ..order.clone() };
    check(&["1,234", "2,345"], &comma, "3.579");
    check(&["1.234", "2.345"], &comma, "3579");
    check(&["1.234", "2.345"], &order, "3.579");
    let number = Options { types: [("amount".to_owned(), Type::Number)].into(), ..order };
    check(&["12,50", "1.234,56", "\\N"], &number, "1247.06");
}

#[test]
fn quotes_lines_and_comments_lose_no_row() {
    // Between tabs, a lone quote is text; a cell of several lines is one cell.
    let search = "user_id\ttimestamp\tquery\nu1\t2024-01-01T10:00:00Z\tshoes\nu2\t2024-01-01T10:01:00Z\t\"hello\n\
                  u3\t2024-01-01T10:02:00Z\tboots\nu4\t2024-01-01T10:03:00Z\tworld\"\nu5\t2024-01-01T10:04:00Z\t\"two\nlines\"\n\
                  u6\t2024-01-01T10:05:00Z\t\"open\n";
    let (project, report) = imported("search.tsv", search, &Options::default());
    assert_eq!(counts(&report), [6, 6, 0, 0], "{report:#?}");
    assert_eq!(
        project.query("SELECT query FROM events ORDER BY event_time").concat(),
        ["shoes", "\"hello", "boots", "world\"", "two\nlines", "\"open"]
    );
    // Between commas, it is said that rows may be inside of quotes.
    let (_, report) = imported("search.csv", search.replace('\t', ","), &Options::default());
    assert!(report.remarks.join("\n").contains("lines 3 to 5 are one row"), "{report:#?}");
    // Answers over several lines, in a file that has few rows on one line.
    let answer = |n: u32| {
        format!(
            "u{n},2024-01-0{n}T09:00:00Z,nps,{n},\"one, of {n}\ntwo\n\nline \"\"four\"\"\nlast\"\n"
        )
    };
    let answers: String = (1..5).map(answer).collect();
    for text in [answers.clone(), answers.replace('\n', "\r\n")] {
        let (project, report) = imported(
            "nps.csv",
            format!("user_id,timestamp,event,score,comment\n{text}"),
            &Options::default(),
        );
        assert_eq!(counts(&report), [4, 4, 0, 0], "{report:#?}");
        assert_eq!(
            project.query("SELECT sum(score), count(DISTINCT comment) FROM events"),
            [["10", "4"]]
        );
    }
    // Lines before the header, and a total after the rows.
    let google = "# ---\n# All Web Site Data\n# 20240101-20240104\n\nclientId,date,pages\nk1,20240101,3\nk2,20240102,1\n\n,,10\n";
    let visit = Options { event_name: Some("visit".to_owned()), ..Options::default() };
    let (project, report) = imported("ga.csv", google, &visit);
    assert_eq!(counts(&report), [3, 2, 0, 1]);
    assert_eq!(report.rejects[0].line, 9);
    assert_eq!(project.query("SELECT sum(pages) FROM events"), [["4"]]);
    assert!(report.remarks.join("\n").contains("the first 4 lines are skipped"), "{report:#?}");
    let (_, report) = imported(
        "sep.csv",
        "sep=;\r\nuser_id;event;time\r\na;buy;2024-01-01\r\n",
        &Options::default(),
    );
    assert_eq!(counts(&report), [1, 1, 0, 0]);
    // Lines that end with a carriage return alone, or with a delimiter.
    let (_, report) = imported(
        "old.csv",
        "user_id,event,time\ra,buy,2024-01-01\rb,buy,2024-01-02\r",
        &Options::default(),
    );
    assert_eq!(counts(&report), [2, 2, 0, 0]);
    let (_, report) = imported(
        "wide.csv",
        "user_id,event,time\na,buy,2024-01-01,\nb,buy,2024-01-02,x\n",
        &Options::default(),
    );
    assert_eq!(counts(&report), [2, 1, 0, 1]);
}

#[test]
fn a_column_that_is_added_later_costs_only_its_rows() {
    let visit = Options { event_name: Some("visit".to_owned()), ..Options::default() };
    for n_before in [1, 30, 1_000] {
        let before: String =
            (0..n_before).map(|n| format!("K{n},2024-03-01T00:00:00Z\n")).collect();
        let after: String = (0..170).map(|n| format!("K{n},2024-03-02T00:00:00Z,web\n")).collect();
        let (_, report) =
            imported("grown.csv", format!("customer_id,timestamp\n{before}{after}"), &visit);
        assert_eq!(counts(&report), [n_before + 170, n_before, 0, 170]);
        assert_eq!(report.rejects[0].reason, "too many columns");
    }
}

#[test]
fn events_of_other_tools_are_of_people_and_never_ours() {
    let text = "distinct_id,event,timestamp\na,$pageview,2024-01-01\nb,$set,2024-01-01\n\
                b,$identify,2024-01-02\nc,$exposure,2024-01-03\nc,$score,2024-01-04\n\
                c,$action,2024-01-05\nc,$alias,2024-01-06\n";
    let (project, report) = imported("posthog.csv", text, &Options::default());
    assert_eq!(counts(&report), [7, 7, 0, 0], "{report:#?}");
    let people = project.query("SELECT customer_id, event_count FROM customers ORDER BY 1");
    assert_eq!(people, [["a", "1"], ["b", "2"], ["c", "4"]]);
    let events = project.query("SELECT event FROM events ORDER BY 1").concat();
    let named = ["$pageview", "$set", "action", "alias", "exposure", "identify", "score"];
    assert_eq!(events, named);
    let said = report.remarks.join("\n");
    assert!(said.contains("1 events named '$exposure' are kept as 'exposure'"), "{said}");
    // A person may say that the file is an export of this product.
    let own = Options { own_events: true, ..Options::default() };
    let (project, _) = imported("export.csv", text, &own);
    let ours =
        project.query("SELECT event FROM events WHERE customer_id = 'c' ORDER BY event_time");
    assert_eq!(ours.concat(), ["$exposure", "$score", "$action", "alias"]);
    assert_eq!(project.query("SELECT event_count FROM customers WHERE customer_id = 'c'"), [["1"]]);
}

#[test]
fn there_is_a_most_of_columns() {
    let wide = |n: usize| {
        let names: String = (0..n - 3).map(|n| format!(",p{n}")).collect();
        let values = ",1".repeat(n - 3);
        format!("customer_id,event,time{names}\na,buy,2024-01-01{values}\n")
    };
    // Three columns have roles.
    for n in [1_002, 1_003] {
        let (_, report) = imported("wide.csv", wide(n), &Options::default());
        assert_eq!(counts(&report), [1, 1, 0, 0], "{n}");
    }
    assert!(refused("wide.csv", wide(1_004), &Options::default()).contains("1000 properties"));
    for n in [1_008, 100_000, 200_000] {
        let started = std::time::Instant::now();
        let said = refused("wide.csv", wide(n), &Options::default());
        assert!(said.contains(&format!("{n} columns")) && said.len() < 1_000, "{said}");
        assert!(started.elapsed().as_secs() < 10, "{n} columns are refused at once");
    }
}

#[test]
fn files_of_other_kinds_say_what_to_do() {
    for (content, part) in [
        (&b"PK\x03\x04rest"[..], "zip archive"),
        (b"\xff\xfec\0u\0s\0", "UTF-16"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"customer,event,time\nM\xfcller,buy,2024-01-01\n", "WINDOWS-1252"),
        (b"BZh91AY", "bzip2"),
    ] {
        let said = refused("file.csv", content, &Options::default());
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn the_mapping_is_printed_and_in_json() {
    let project = Project::new();
    let file = project.file(
        "orders.csv",
        "user_id,account_id,date,created_at,amount\na,z,2024-01-01,2024-01-01T10:00:00Z,5\n",
    );
    let shop = project.folder.path().join("shop").display().to_string();
    let import = ["import", "--project", &shop, "--json", &file.display().to_string()];
    let seen = fullcircle_json(&[&import[..], &["--dry-run"]].concat());
    let done = fullcircle_json(&import);
    for report in [&seen, &done] {
        assert_eq!(report["mapping"]["customer"], "user_id", "{report}");
        let columns = report["columns"].as_array().unwrap();
        let roles: Vec<&str> =
            columns.iter().map(|column| column["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["customer", "property", "property", "time", "property"], "{report}");
        assert_eq!(columns[0]["alternatives"][0], "account_id");
        assert_eq!(columns[3]["alternatives"][0], "date");
        let said = report["remarks"].to_string();
        assert!(
            said.contains("'created_at'")
                && said.contains("'orders'")
                && said.contains("account_id"),
            "{said}"
        );
    }
    assert_eq!((seen.get("accepted"), &done["accepted"]), (None, &1.into()));
    let odd = project.file("odd.csv", "a,b\n2024-01-01,x\n");
    let said = fullcircle_fails(&["import", "--project", &shop, &odd.display().to_string()]);
    assert!(said.contains("--customer COLUMN"), "{said}");
}

#[test]
fn the_same_file_under_another_name_has_no_new_rows() {
    let project = Project::new();
    let text = "customer_id,order_date,amount\na,2024-01-01,5\na,2024-01-01,5\nb,2024-01-02,6\n";
    let first = project.import(&project.file("orders.csv", text), &Options::default());
    assert_eq!(counts(&first), [3, 3, 0, 0]);
    assert!(first.remarks.join("\n").contains("each row is the event 'orders'"), "{first:#?}");
    let more = format!("{text}c,2024-01-03,7\n");
    for (name, content, expected) in [
        ("orders (1).csv", text, [3, 0, 3, 0]),
        ("orders.csv", text, [3, 0, 3, 0]),
        ("orders-february.csv", more.as_str(), [4, 1, 3, 0]),
        ("refunds.csv", "customer_id,order_date,amount\na,2024-03-01,5\n", [1, 1, 0, 0]),
    ] {
        let report = project.import(&project.file(name, content), &Options::default());
        assert_eq!(counts(&report), expected, "{name}");
    }
    let events = project.query("SELECT event, count(*) FROM events GROUP BY ALL ORDER BY ALL");
    assert_eq!(events, [["orders", "4"], ["refunds", "1"]]);
}

#[test]
fn a_copy_beside_a_file_has_no_new_rows() {
    let project = Project::new();
    let text = "customer_id,event,time\na,buy,2024-01-01\na,buy,2024-01-01\nb,buy,2024-01-02\n";
    let files = [
        project.file("one.csv", text),
        project.file("copy.csv", text),
        project.file("more.csv", format!("{text}a,buy,2024-01-01\n")),
    ];
    let report = project.warehouse.import(&files, &Options::default(), &Job::unwatched()).unwrap();
    assert_eq!(counts(&report), [10, 4, 6, 0]);
    for file in files {
        let report = project.import(&file, &Options::default());
        assert_eq!(report.accepted, 0, "{file:?}");
    }
    assert_eq!(customers(&project), [["a", "3"], ["b", "1"]]);
}
