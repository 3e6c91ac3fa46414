//! Import: real and hostile files, by the same path.

use std::io::Write as _;

use kernel::domain::{Job, Type};
use warehouse::import::{Options, RowKind};

use crate::support::{Project, sample};

fn named(event_name: &str) -> Options {
    Options { event_name: Some(event_name.to_owned()), ..Options::default() }
}

fn counts(report: &warehouse::import::ImportReport) -> [u64; 4] {
    [report.read, report.accepted, report.duplicate, report.rejected]
}

#[test]
fn cdnow_imports_as_it_is_and_twice_adds_nothing() {
    let project = Project::new();
    let file = sample("cdnow/cdnow_master.txt");
    let first = project.import(&file, &named("order_completed"));
    assert_eq!(counts(&first), [69_659, 69_659, 0, 0]);
    let second = project.import(&file, &named("order_completed"));
    assert_eq!(counts(&second), [69_659, 0, 69_659, 0]);
    assert_eq!(
        project.query(
            "SELECT count(*), count(DISTINCT customer_id), min(customer_id), sum(number_of_cds),
                round(sum(dollar_value), 2), min(event_time) FROM events"
        ),
        [["69659", "23570", "00001", "167881", "2500315.63", "1997-01-01T00:00:00Z"]]
    );
}

#[test]
fn proposals_name_customer_time_event_and_types() {
    let project = Project::new();
    let file = project.file(
        "shop.csv",
        "Event Name,User ID,Timestamp,amount,zip,vip\n\
         order,u1,2024-01-01T10:00:00Z,1.5,01234,true\n\
         view,u2,2024-01-02T11:30:00+01:00,,99999,false\n",
    );
    let proposal = project.warehouse.propose(&[file], &Options::default()).unwrap();
    let mapping = &proposal.mapping;
    assert_eq!(mapping.kind, RowKind::Events);
    assert_eq!(mapping.customer, "User ID");
    assert_eq!(mapping.time.as_deref(), Some("Timestamp"));
    assert_eq!(mapping.event.as_deref(), Some("Event Name"));
    let types: Vec<_> = proposal
        .columns
        .iter()
        .filter_map(|column| column.property.as_deref().map(|name| (name, column.type_)))
        .collect();
    assert_eq!(types, [("amount", Type::Number), ("zip", Type::Text), ("vip", Type::Boolean)]);
    assert_eq!(proposal.preview.len(), 2);
}

#[test]
fn every_format_gives_the_same_events() {
    let expected =
        [["a", "buy", "2024-01-01T00:00:00Z", "2.5"], ["b", "buy", "2024-01-02T00:00:00Z", ""]];
    let check = |name: &str, content: &[u8]| {
        let project = Project::new();
        let report = project.import(&project.file(name, content), &Options::default());
        assert_eq!(counts(&report), [2, 2, 0, 0], "{name}: {report:?}");
        let rows =
            project.query("SELECT customer_id, event, event_time, amount FROM events ORDER BY 1");
        assert_eq!(rows, expected, "{name}");
    };
    let csv = "customer,event,time,amount\na,buy,2024-01-01,2.5\nb,buy,2024-01-02,\n";
    check("comma.csv", csv.as_bytes());
    check("semicolon.csv", csv.replace(',', ";").as_bytes());
    check("tab.tsv", csv.replace(',', "\t").as_bytes());
    check("crlf.csv", csv.replace('\n', "\r\n").as_bytes());
    check("bom.csv", format!("\u{feff}{csv}").as_bytes());
    let ndjson = "{\"userId\":\"a\",\"event\":\"buy\",\"timestamp\":\"2024-01-01T00:00:00Z\",\"properties\":{\"amount\":2.5}}\n\
                  {\"userId\":\"b\",\"event\":\"buy\",\"timestamp\":\"2024-01-02T00:00:00Z\",\"properties\":{\"amount\":null}}\n";
    check("segment.ndjson", ndjson.as_bytes());
    let gzip = |content: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    check("comma.csv.gz", &gzip(csv));
    check("no-ending", &gzip(ndjson));

    let project = Project::new();
    let parquet = project.folder.path().join("events.parquet");
    let sql =
        "SELECT 'a' AS customer, 'buy' AS event, TIMESTAMP '2024-01-01' AS time, 2.5 AS amount
               UNION ALL SELECT 'b', 'buy', TIMESTAMP '2024-01-02', NULL";
    project.warehouse.export(sql, &parquet, &Job::unwatched()).unwrap();
    check("events.parquet", &std::fs::read(&parquet).unwrap());
}

#[test]
fn a_folder_and_a_glob_are_many_files() {
    let project = Project::new();
    for (name, customer) in [("part-1.csv", "a"), ("part-2.csv", "b"), ("part-3.csv", "c")] {
        project.file(name, format!("customer,event,time\n{customer},buy,2024-01-01\n"));
    }
    let glob = project.folder.path().join("part-[12].csv");
    assert_eq!(counts(&project.import(&glob, &Options::default())), [2, 2, 0, 0]);
    let folder = project.folder.path().join("parts");
    std::fs::create_dir(&folder).unwrap();
    for n in 1..=3 {
        let part = format!("part-{n}.csv");
        std::fs::rename(project.folder.path().join(&part), folder.join(&part)).unwrap();
    }
    assert_eq!(counts(&project.import(&folder, &Options::default())), [3, 1, 2, 0]);
}

#[test]
fn rejected_rows_are_kept_with_line_column_and_reason() {
    let project = Project::new();
    let file = project.file(
        "bad.csv",
        "customer,event,time,amount\n\
         a,buy,2024-01-01,1\n\
         ,buy,2024-01-01,2\n\
         b,buy,2024-02-30,3\n\
         too,many,2024-01-01,4,columns\n\
         c,buy,2024-01-03,x\n\
         d,,2024-01-03,6\n\
         e,buy,1024-01-03,7\n\
         f,buy,2024-01-04,8\n",
    );
    let options =
        Options { types: [("amount".to_owned(), Type::Number)].into(), ..Options::default() };
    let report = project.import(&file, &options);
    assert_eq!((counts(&report), report.misfits), ([8, 3, 0, 5], 1), "{report:#?}");
    let kept: Vec<Vec<String>> = project
        .query("SELECT line, \"column\", reason FROM rejected_rows ORDER BY line")
        .into_iter()
        .collect();
    let expected = [
        ["3", "customer", "no customer"],
        ["4", "time", "not a time as iso: 2024-02-30"],
        ["5", "", "too many columns"],
        ["7", "event", "no event"],
        ["8", "time", "not between 1900 and 2200: 1024-01-03T00:00:00Z"],
    ];
    assert_eq!(kept, expected);
    assert_eq!(
        project.query("SELECT property, original, reason FROM misfits"),
        [["amount", "x", "not a number"]]
    );
}

#[test]
fn equal_rows_of_one_file_are_two_events() {
    let project = Project::new();
    let file =
        project.file("twice.csv", "customer,event,time\na,buy,2024-01-01\na,buy,2024-01-01\n");
    assert_eq!(counts(&project.import(&file, &Options::default())), [2, 2, 0, 0]);
    assert_eq!(counts(&project.import(&file, &Options::default())), [2, 0, 2, 0]);
}

#[test]
fn message_ids_of_the_file_count_once() {
    let project = Project::new();
    let file = project.file(
        "ids.csv",
        "customer,event,time,message_id\na,buy,2024-01-01,m1\na,buy,2024-01-02,m1\nb,buy,2024-01-03,m2\n",
    );
    assert_eq!(counts(&project.import(&file, &Options::default())), [3, 2, 1, 0]);
}

#[test]
fn a_row_per_customer_imports_as_traits() {
    let project = Project::new();
    let file = project.file("people.csv", "customer_id,country,age\na,DE,41\nb,FR,\n");
    let options = Options { traits: true, ..Options::default() };
    assert_eq!(counts(&project.import(&file, &options)), [2, 2, 0, 0]);
    assert_eq!(counts(&project.import(&file, &options)), [2, 0, 2, 0]);
    let catalog = project.warehouse.catalog().unwrap();
    assert_eq!(catalog.traits["country"], Type::Text);
    assert_eq!(catalog.traits["age"], Type::Number);
    assert_eq!(project.query("SELECT count(*) FROM events"), [["0"]]);
}

#[test]
fn a_property_keeps_its_first_type() {
    let project = Project::new();
    let numbers = project.file("numbers.csv", "customer,event,time,size\na,buy,2024-01-01,42\n");
    let texts = project.file("texts.csv", "customer,event,time,size\na,buy,2024-01-02,XL\n");
    project.import(&numbers, &Options::default());
    project.import(&texts, &Options::default());
    project.import(&numbers, &Options::default());
    assert_eq!(project.query("SELECT size FROM events ORDER BY event_time"), [["42"], [""]]);
    assert_eq!(project.query("SELECT original FROM misfits"), [["XL"]]);
    // Files of one import are looked at together.
    let together = Project::new();
    let files = [numbers, texts];
    together.warehouse.import(&files, &Options::default(), &Job::unwatched()).unwrap();
    assert_eq!(together.query("SELECT size FROM events ORDER BY event_time"), [["42"], ["XL"]]);
}

#[test]
fn what_cannot_be_imported_says_why_and_changes_nothing() {
    let project = Project::new();
    let check = |name: &str, content: &[u8], options: &Options, expected: &str| {
        let file = project.file(name, content);
        let error = project.warehouse.import(&[file], options, &Job::unwatched()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_eq!(project.query("SELECT count(*) FROM events"), [["0"]]);
    };
    let none = Options::default();
    let csv = b"customer,event,time\na,buy,2024-01-01\n";
    let missing = Options { customer: Some("costumer".to_owned()), ..Options::default() };
    check(
        "missing.csv",
        csv,
        &missing,
        "there is no customer column 'costumer' in missing.csv; did you mean 'customer'?",
    );
    check("empty.csv", b"", &none, "the file is empty");
    check(
        "picture.csv",
        &[0x89, b'P', b'N', b'G', 0, 1, 2, 255],
        &none,
        "neither UTF-8 text nor Parquet",
    );
    check("prose.txt", b"this is prose\nand not at all a table\n", &none, "no columns were found");
    check("list.json", b"[{\"a\":1}]", &none, "one JSON object a line");
    check(
        "no-time.csv",
        b"customer,what\na,b\nc,d\n",
        &none,
        "no column of no-time.csv holds times",
    );
    check("broken.parquet", b"PAR1 is all there is", &none, "broken.parquet");
    let gone = project.folder.path().join("gone.csv");
    let error = project.warehouse.import(&[gone], &none, &Job::unwatched()).unwrap_err();
    assert!(error.to_string().contains("cannot read: No such file"), "{error}");
}

#[test]
fn a_canceled_import_leaves_the_warehouse_as_it_was() {
    let project = Project::new();
    let job = std::sync::Arc::new(std::sync::OnceLock::<std::sync::Weak<Job>>::new());
    let seen = job.clone();
    // Cancels itself when the rows are being checked.
    let canceling = std::sync::Arc::new(Job::new(move |progress| {
        if progress.fraction > 0.3
            && let Some(job) = seen.get().and_then(std::sync::Weak::upgrade)
        {
            job.cancel();
        }
    }));
    job.set(std::sync::Arc::downgrade(&canceling)).unwrap();
    let file = sample("cdnow/cdnow_master.txt");
    let error = project.warehouse.import(&[file], &named("order"), &canceling).unwrap_err();
    assert_eq!(error.to_string(), "canceled; nothing was changed");
    assert_eq!(project.query("SELECT count(*) FROM events"), [["0"]]);
    assert_eq!(project.query("SELECT count(*) FROM imports"), [["0"]]);
}

#[test]
fn sql_of_a_person_reaches_no_file_and_changes_nothing() {
    let project = Project::new();
    let secret = project.file("secret.txt", "secret");
    for sql in [
        format!("SELECT * FROM read_text('{}')", secret.display()),
        format!("COPY (SELECT 1) TO '{}'", secret.display()),
        format!("ATTACH '{}'", secret.display()),
        "INSTALL httpfs".to_owned(),
        "SET enable_external_access = true".to_owned(),
        "DROP TABLE events".to_owned(),
        "INSERT INTO pulls VALUES ('x', 1)".to_owned(),
        "SELECT * FROM glob('/*')".to_owned(),
        "SELECT 1; DROP TABLE events".to_owned(),
        "COMMIT; DROP TABLE events".to_owned(),
        "SELECT e'\\''; COMMIT; DELETE FROM events; SELECT 2 --'".to_owned(),
        "EXPLAIN ANALYZE DELETE FROM events".to_owned(),
        "DESCRIBE events; DELETE FROM events".to_owned(),
        "PRAGMA database_list".to_owned(),
    ] {
        let result = project.warehouse.query(&sql, 10, &Job::unwatched());
        assert!(result.is_err(), "{sql}: {result:?}");
    }
    let out = project.folder.path().join("out.csv");
    for sql in ["SELECT 1) TO 'x'; DELETE FROM events; COPY (SELECT 1", "DELETE FROM events"] {
        assert!(project.warehouse.export(sql, &out, &Job::unwatched()).is_err(), "{sql}");
    }
    project.warehouse.export("SELECT 1 AS one -- a comment", &out, &Job::unwatched()).unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "one\n1\n");
    assert_eq!(project.query("SELECT count(*) FROM events"), [["0"]]);
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
}

#[test]
fn odd_types_and_looking_statements_are_shown_or_refused() {
    let project = Project::new();
    let query = |sql: &str| project.warehouse.query(sql, 10, &Job::unwatched());
    for sql in [
        "SELECT NULL",
        "DESCRIBE events",
        "SELECT DATE '2024-01-01', 1::HUGEINT, [1, 2]",
        "SHOW TABLES",
    ] {
        assert!(query(sql).is_ok(), "{sql}: {:?}", query(sql));
    }
    for sql in ["SELECT [NULL]", "SELECT TIME_NS '10:00:00'", "SELECT DATE '400000-01-01'"] {
        // An answer or an error that says what to do: never the end of the process.
        if let Err(error) = query(sql) {
            assert!(error.to_string().contains("cast it to VARCHAR"), "{sql}: {error}");
        }
    }
}

#[test]
fn times_with_offsets_are_the_same_instant() {
    let project = Project::new();
    let rows = [
        "2024-01-01T11:30:00+01:00",
        "2024-01-01 02:30:00-08",
        "2024-01-01T10:30:00Z",
        "2024-01-01 10:30:00",
    ];
    let csv: String = rows.iter().map(|time| format!("a,buy,{time}\n")).collect();
    let file = project.file("offsets.csv", format!("customer,event,time\n{csv}"));
    assert_eq!(counts(&project.import(&file, &Options::default())), [4, 4, 0, 0]);
    assert_eq!(project.query("SELECT DISTINCT event_time FROM events"), [["2024-01-01T10:30:00Z"]]);
}

#[test]
fn file_names_are_names_and_not_patterns() {
    let project = Project::new();
    project.file("o1.csv", "customer,event,time\nwrong,buy,2024-01-01\n");
    let odd = project.file("o[1].csv", "customer,event,time\nright,buy,2024-01-01\n");
    project.import(&odd, &Options::default());
    assert_eq!(project.query("SELECT customer_id FROM events"), [["right"]]);
    let folder = project.folder.path().join("customer=zz");
    std::fs::create_dir(&folder).unwrap();
    let inside = folder.join("x.csv");
    std::fs::write(&inside, "customer,event,time\nown,buy,2024-01-02\n").unwrap();
    project.import(&inside, &Options::default());
    assert_eq!(project.query("SELECT customer_id FROM events ORDER BY 1"), [["own"], ["right"]]);
    let twice = [odd.clone(), project.folder.path().join("./o[1].csv")];
    let report = project.warehouse.import(&twice, &Options::default(), &Job::unwatched()).unwrap();
    assert_eq!(counts(&report), [1, 0, 1, 0], "one file by two paths");
}

#[test]
fn ids_that_look_like_numbers_stay_as_they_are() {
    let project = Project::new();
    let file = project.file(
        "ids.csv",
        ",customer,event,time,sku,order\n0,a,buy,2024-01-01,12_34,1234567890123456789\n",
    );
    project.import(&file, &Options::default());
    assert_eq!(
        project.query("SELECT customer_id, sku, \"order\", column_1 FROM events"),
        [["a", "12_34", "1234567890123456789", "0"]]
    );
}

#[test]
fn what_later_rows_say_counts_as_much_as_what_the_first_say() {
    let project = Project::new();
    // The first 20,000 rows promise numbers, nothing, booleans and times.
    let mut csv = "customer,event,time,size,coupon,vip,due\n".to_owned();
    for n in 0..25_000 {
        csv.push_str(&format!("c{n},buy,2024-01-01,{n},,true,2024-02-01\n"));
    }
    csv.push_str("late,buy,2024-01-02,XL,17,maybe,soon\n");
    let report = project.import(&project.file("late.csv", csv), &Options::default());
    assert_eq!(counts(&report), [25_001, 25_001, 0, 0]);
    assert_eq!(
        project.query(
            "SELECT size, CAST(coupon AS VARCHAR), typeof(coupon), vip, due FROM events
             WHERE customer_id IN ('c7', 'late') ORDER BY 1"
        ),
        [["7", "", "DOUBLE", "true", "2024-02-01"], ["XL", "17.0", "DOUBLE", "maybe", "soon"]]
    );
    let mut ndjson = String::new();
    for n in 0..21_000 {
        ndjson.push_str(&format!("{{\"user\":\"u{n}\",\"at\":\"2024-01-01\",\"event\":\"x\"}}\n"));
    }
    ndjson.push_str(
        "{\"user\":\"new\",\"at\":\"2024-01-01\",\"event\":\"x\",\"deep\":{\"key\":5}}\n",
    );
    project.import(&project.file("late.ndjson", ndjson), &Options::default());
    assert_eq!(
        project.query("SELECT customer_id, \"deep.key\" FROM events WHERE \"deep.key\" > 0"),
        [["new", "5"]]
    );
}

#[test]
fn a_column_begins_with_its_first_value() {
    let project = Project::new();
    // Two columns begin late, one after the other, and one never does.
    let mut csv = "customer,event,time,size,coupon,gift,never\n".to_owned();
    for n in 0..60_000 {
        let coupon = if n % 20_000 == 19_999 && n > 20_000 { "17.5" } else { "" };
        let gift = if n > 50_000 { "true" } else { "" };
        csv.push_str(&format!("c{n},buy,2024-01-01,{n},{coupon},{gift},\n"));
    }
    let file = project.file("late.csv", csv);
    let report = project.import(&file, &Options::default());
    assert_eq!(counts(&report), [60_000, 60_000, 0, 0]);
    assert_eq!(
        project.query(
            "SELECT typeof(any_value(coupon)), sum(coupon), typeof(any_value(gift)),
                count(*) FILTER (gift), min(seq), max(seq), count(DISTINCT message_id)
             FROM events"
        ),
        [["DOUBLE", "35", "BOOLEAN", "9999", "1", "60000", "60000"]]
    );
    let columns = "SELECT count(*) FROM information_schema.columns
        WHERE table_name = 'stored_events' AND column_name = 'never'";
    assert_eq!(project.query(columns), [["0"]]);
    // The timelines that grew meanwhile have the same values.
    let catalog = project.warehouse.catalog().unwrap();
    let timelines = project.warehouse.timelines(&catalog, &Job::unwatched()).unwrap();
    assert_eq!(timelines.n_events(), 60_000);
    let (coupons, gifts) =
        (timelines.property("coupon").unwrap(), timelines.property("gift").unwrap());
    assert_eq!((coupons.len(), coupons.n_null()), (60_000, 59_998));
    assert_eq!((gifts.len(), gifts.n_null()), (60_000, 50_001));
    // Again, all of it is known.
    assert_eq!(counts(&project.import(&file, &Options::default())), [60_000, 0, 60_000, 0]);
}

#[test]
fn names_that_come_late_are_the_same_events_as_names_that_come_first() {
    let project = Project::new();
    let plain =
        |n| format!("{{\"user\":\"u{n}\",\"at\":\"2024-01-01\",\"event\":\"x\",\"b\":{n}}}\n");
    let with_more =
        "{\"user\":\"new\",\"at\":\"2024-01-01\",\"event\":\"x\",\"a\":true,\"c\":\"text\"}\n";
    let late: String = (0..21_000).map(plain).chain([with_more.to_owned()]).collect();
    let first: String =
        std::iter::once(with_more.to_owned()).chain((0..21_000).map(plain)).collect();
    let report = project.import(&project.file("late.ndjson", late), &Options::default());
    assert_eq!(counts(&report), [21_001, 21_001, 0, 0]);
    assert_eq!(
        project.query("SELECT typeof(a), a, b, c FROM events WHERE customer_id = 'new'"),
        [["BOOLEAN", "true", "", "text"]]
    );
    let report = project.import(&project.file("first.ndjson", first), &Options::default());
    assert_eq!(counts(&report), [21_001, 0, 21_001, 0]);
}

#[test]
fn a_column_without_values_leaves_the_numbers_of_another_file_alone() {
    let project = Project::new();
    let first = "customer,event,time,size\na,buy,2024-01-01,12.5\n";
    project.import(&project.file("first.csv", first), &Options::default());
    let second = "customer,event,time,size,note\nb,buy,2024-01-01,,\n";
    project.import(&project.file("second.csv", second), &Options::default());
    assert_eq!(
        project.query("SELECT customer_id, size, typeof(size) FROM events ORDER BY 1"),
        [["a", "12.5", "DOUBLE"], ["b", "", "DOUBLE"]]
    );
    let mut third = "customer,event,time,size,note\n".to_owned();
    (0..30_000).for_each(|n| third.push_str(&format!("c{n},buy,2024-01-01,,\n")));
    third.push_str("late,buy,2024-01-01,3,said\n");
    project.import(&project.file("third.csv", third), &Options::default());
    assert_eq!(
        project.query("SELECT size, typeof(size), note FROM events WHERE customer_id = 'late'"),
        [["3", "DOUBLE", "said"]]
    );
}

#[test]
fn quotes_keep_what_is_inside_and_a_bad_one_costs_one_row() {
    let project = Project::new();
    let plain: String = (0..40).map(|n| format!("x{n},see,2024-02-01,\r\n")).collect();
    let file = project.file(
        "quotes.csv",
        "customer,event,time,note\r\n\
          a,buy,2024-01-01,\"one, \"\"two\"\"\r\nthree\"\r\n\
          \r\n\
          b,buy,2024-01-02,5\" pipe\r\n\
          c,buy,2024-01-03,\"never closed\r\n\
          d,buy,2024-01-04,fine\r\n\
          f,buy,2024-01-06\r\n\
          g,buy,2024-01-07,\"\"\r\n"
            .to_owned()
            + plain.trim_end(),
    );
    let report = project.import(&file, &Options::default());
    assert_eq!(counts(&report), [46, 44, 0, 2], "{report:#?}");
    assert_eq!(
        project.query("SELECT customer_id, note FROM events WHERE event = 'buy' ORDER BY 1"),
        [["a", "one, \"two\"\r\nthree"], ["b", "5\" pipe"], ["d", "fine"], ["g", ""]]
    );
    assert_eq!(
        project.query("SELECT line, reason FROM rejected_rows ORDER BY line"),
        [["6", "unterminated quotes"], ["8", "missing columns"]]
    );
}

#[test]
fn the_same_rows_are_the_same_events_whatever_file_they_come_in() {
    let project = Project::new();
    let csv = "customer,event,time,amount,count,what\na,buy,2024-01-01 10:00:00,2.5,3,x\nb,see,2024-01-02 00:00:00,,4,\n";
    let columns = "what,count,amount,time,event,customer\nx,3,2.5,2024-01-01T10:00:00Z,buy,a\n\"\",4,,2024-01-02,see,b\n";
    let ndjson = "{\"customer\":\"a\",\"event\":\"buy\",\"time\":\"2024-01-01T10:00:00Z\",\"amount\":2.5,\"count\":3,\"what\":\"x\"}\n\
                  {\"customer\":\"b\",\"event\":\"see\",\"time\":\"2024-01-02\",\"amount\":null,\"count\":4}\n";
    project.import(&project.file("one.csv", csv), &Options::default());
    let parquet = project.folder.path().join("same.parquet");
    let sql = "SELECT customer_id AS customer, event, event_time AS time, amount, CAST(count AS INTEGER) AS count,
                what FROM events";
    project.warehouse.export(sql, &parquet, &Job::unwatched()).unwrap();
    for file in [project.file("two.csv", columns), project.file("three.ndjson", ndjson), parquet] {
        assert_eq!(counts(&project.import(&file, &Options::default())), [2, 0, 2, 0], "{file:?}");
    }
}

#[test]
fn ids_of_a_file_are_kept_as_they_are() {
    let project = Project::new();
    let ids =
        ["9dd4e461-268c-8034-f5c8-564e155c67a6", "9DD4E461-268C-8034-F5C8-564E155C67A6", "m-1"];
    let rows: String = ids.iter().map(|id| format!("a,buy,2024-01-01,{id}\n")).collect();
    let file = project
        .file("ids.csv", format!("customer,event,time,message_id\n{rows}a,buy,2024-01-01,\n"));
    assert_eq!(counts(&project.import(&file, &Options::default())), [4, 4, 0, 0]);
    let kept = project.query("SELECT message_id FROM events ORDER BY seq");
    assert_eq!(kept.iter().map(|row| row[0].as_str()).take(3).collect::<Vec<_>>(), ids);
    assert_eq!(kept[3][0].len(), 36, "a row without an id gets one: {kept:?}");
    // What was exported with its ids comes back as the same events.
    let copy = project.folder.path().join("copy.csv");
    let sql = "SELECT message_id, customer_id, event, event_time FROM events";
    project.warehouse.export(sql, &copy, &Job::unwatched()).unwrap();
    assert_eq!(counts(&project.import(&copy, &Options::default())), [4, 0, 4, 0]);
}

#[test]
fn whole_numbers_that_a_number_cannot_keep_stay_text() {
    let project = Project::new();
    let parquet = project.folder.path().join("big.parquet");
    let sql = "SELECT 'c' || i AS customer, 'buy' AS event, TIMESTAMP '2024-01-01' AS time,
            CASE WHEN i = 24999 THEN 9007199254740993 ELSE i END AS big,
            18446744073709551615::UBIGINT AS huge
        FROM range(25000) t(i)";
    project.warehouse.export(sql, &parquet, &Job::unwatched()).unwrap();
    project.import(&parquet, &Options::default());
    assert_eq!(
        project
            .query("SELECT big, huge FROM events WHERE customer_id IN ('c7', 'c24999') ORDER BY 1"),
        [["7", "18446744073709551615"], ["9007199254740993", "18446744073709551615"]]
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a warehouse as an earlier version made it")]
fn a_warehouse_of_an_earlier_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let old = duckdb::Connection::open(folder.path().join("warehouse.duckdb")).unwrap();
    old.execute_batch(
        "CREATE TABLE events (message_id VARCHAR, customer_id VARCHAR, anonymous_id VARCHAR,
            event VARCHAR, event_time TIMESTAMP, received_at TIMESTAMP, seq BIGINT, amount DOUBLE);
         CREATE VIEW customers AS SELECT customer_id FROM events;
         INSERT INTO events VALUES
            ('m-1', 'a', NULL, 'buy', '2024-01-01', '2024-01-05', 1, 2.5)",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let warehouse = warehouse::Warehouse::open(folder.path()).unwrap();
        let file = folder.path().join("more.csv");
        std::fs::write(&file, "customer,event,time,amount,id\nb,buy,2024-01-02,3,x\n").unwrap();
        warehouse.import(&[file], &Options::default(), &Job::unwatched()).unwrap();
        let sql = "SELECT customer_id, amount, received_at FROM events ORDER BY seq";
        let rows = warehouse.query(sql, 10, &Job::unwatched()).unwrap().rows;
        let rows: Vec<String> =
            rows.iter().map(|row| format!("{} {} {}", row[0], row[1], row[2])).collect();
        assert_eq!(rows, ["a 2.5 2024-01-05T00:00:00Z", "b 3 2024-01-02T00:00:00Z"]);
    }
}

#[test]
fn arrivals_say_since_when_a_row_was_known() {
    let project = Project::new();
    let csv = "customer,event,time,received_at,amount\n\
               a,buy,2024-01-01,2024-01-05T10:00:00Z,1\n\
               a,buy,2024-01-02,,2\n\
               a,buy,2024-01-03,2024-01-02,3\n\
               a,buy,2024-01-04,soon,4\n\
               a,buy,2024-01-05,1600-01-01,5\n";
    let report = project.import(&project.file("late.csv", csv), &Options::default());
    assert_eq!(counts(&report), [5, 3, 0, 2]);
    let reasons: Vec<_> =
        report.rejects.iter().map(|r| (r.column.as_deref(), r.reason.as_str())).collect();
    assert_eq!(reasons[0], (Some("received_at"), "not a time as iso: soon"));
    assert!(reasons[1].1.contains("not between 1900 and 2200"), "{reasons:?}");
    let arrivals = "SELECT amount, received_at FROM events ORDER BY amount";
    let kept = project.query(arrivals);
    let expected = [
        ["1", "2024-01-05T10:00:00Z"],
        ["2", "2024-01-02T00:00:00Z"],
        ["3", "2024-01-03T00:00:00Z"],
    ];
    assert_eq!(kept, expected, "known when it happened where nothing says more, and never before");

    // What is exported comes back as it was, also where there are events already.
    let copy = project.folder.path().join("copy.parquet");
    let sql = "SELECT * EXCLUDE (anonymous_id, seq) FROM events";
    project.warehouse.export(sql, &copy, &Job::unwatched()).unwrap();
    assert_eq!(counts(&project.import(&copy, &Options::default())), [3, 0, 3, 0]);
    let other = Project::new();
    other.import(
        &other.file("first.csv", "customer,event,time\nz,buy,2024-01-01\n"),
        &Options::default(),
    );
    assert_eq!(counts(&other.import(&copy, &Options::default())), [3, 3, 0, 0]);
    assert_eq!(other.query(&format!("{arrivals} LIMIT 3")), expected);
    assert_eq!(project.query("SELECT * FROM events ORDER BY seq")[0].len(), 8, "no property more");

    // Any column, written in its own way; and traits.
    let traits = "customer,time,seen,plan\na,2024-01-01,1704880800,pro\n";
    let options =
        Options { traits: true, received_at: Some("seen".to_owned()), ..Options::default() };
    project.import(&project.file("traits.csv", traits), &options);
    let known = project.query("SELECT trait, event_time, received_at FROM traits");
    assert_eq!(known, [["plan", "2024-01-01T00:00:00Z", "2024-01-10T10:00:00Z"]]);
}

#[test]
fn what_becomes_of_values_unexpectedly_is_said() {
    let project = Project::new();
    let csv = |amounts: &[&str]| {
        let row = |(n, amount): (usize, &&str)| format!("c{n},buy,2024-01-01,{amount}\n");
        let rows: String = amounts.iter().enumerate().map(row).collect();
        format!("customer,event,time,amount\n{rows}")
    };
    let report =
        project.import(&project.file("a.csv", csv(&["1", "inf", "NaN", "2"])), &Options::default());
    assert_eq!(report.remarks, [""; 0]);
    assert_eq!(
        project.query("SELECT original, reason FROM misfits"),
        [["inf", "larger than the largest number"]]
    );
    assert_eq!(report.missing, [("amount".to_owned(), 1)].into(), "NaN is a missing value");
    let mut amounts = vec!["5"; 19];
    amounts.push("about 5");
    let odd = project.file("b.csv", csv(&amounts));
    let options =
        Options { types: [("amount".to_owned(), Type::Number)].into(), ..Options::default() };
    let strict = Project::new();
    let report = strict.import(&odd, &options);
    assert_eq!((counts(&report), report.misfits, report.remarks.len()), ([20, 20, 0, 0], 1, 0));
    let report = project.import(&odd, &Options::default());
    assert_eq!((report.accepted, report.misfits, report.remarks.len()), (20, 1, 0));
    let new = Project::new();
    let report = new.import(&odd, &Options::default());
    let said = report.remarks.join("\n");
    assert!(said.contains("1 of 20 values are no numbers, such as 'about 5'"), "{said}");
}

#[test]
fn an_event_with_too_many_properties_costs_only_itself() {
    let project = Project::new();
    let wide: Vec<String> = (0..10_000).map(|n| format!("\"p{n}\":{n}")).collect();
    let head = "\"customer_id\":\"c\",\"event\":\"order\",\"event_time\":\"2024-01-02\"";
    let lines = format!(
        "{{{head},\"amount\":1}}\n{{{head},{}}}\n{{{head},\"amount\":2,\"later\":3}}\n",
        wide.join(",")
    );
    let report = project.import(&project.file("wide.ndjson", lines), &Options::default());
    assert_eq!(counts(&report), [3, 2, 0, 1]);
    assert!(report.rejects[0].reason.contains("10003 values; there can be 1000"), "{report:?}");
    assert_eq!(
        project.query("SELECT amount, later FROM events ORDER BY 1"),
        [["1", ""], ["2", "3"]]
    );
}

#[test]
fn an_import_that_brings_nothing_changes_nothing() {
    let project = Project::new();
    let events = |name: &str, amount: &str| {
        let row = format!("a,buy,2024-01-01,m1,{amount}\n");
        project.file(name, format!("customer,event,time,message_id,amount\n{row}"))
    };
    project.import(&events("a.csv", "1"), &Options::default());
    let columns = || project.query("DESCRIBE events");
    let before = columns();
    let report = project.import(&events("b.csv", "x"), &Options::default());
    assert_eq!((counts(&report), report.remarks.len()), ([1, 0, 1, 0], 0));
    assert_eq!(columns(), before, "a duplicate makes no text of a number");
    // What is exported comes back as it was, with the numbers of its rows.
    let copy = project.folder.path().join("copy.csv");
    project.warehouse.export("SELECT * FROM events", &copy, &Job::unwatched()).unwrap();
    assert_eq!(counts(&project.import(&copy, &Options::default())), [1, 0, 1, 0]);
    assert_eq!(columns(), before);
    let other = Project::new();
    other.import(&copy, &Options::default());
    assert_eq!(other.query("DESCRIBE events"), before, "numbers of rows are no property");
    assert_eq!(
        project.query("SELECT count(*) FROM imports"),
        [["3"]],
        "each is noted all the same"
    );
    // The same rows, whatever is left out.
    let plain = Project::new();
    let file = plain.file("p.csv", "customer,event,time,amount,zip\na,buy,2024-01-01,1,8000\n");
    let without = Options { left_out: vec!["zip".to_owned()], ..Options::default() };
    assert_eq!(plain.import(&file, &without).accepted, 1);
    assert_eq!(plain.import(&file, &Options::default()).duplicate, 1);
}

#[test]
fn a_type_that_is_said_is_given_or_refused() {
    let project = Project::new();
    let rows = |name: &str, amounts: &[&str]| {
        let row = |amount: &&str| format!("a,buy,2024-01-01,{amount}\n");
        let rows: String = amounts.iter().map(row).collect();
        project.file(name, format!("customer,event,time,amount\n{rows}"))
    };
    let as_number =
        Options { types: [("amount".to_owned(), Type::Number)].into(), ..Options::default() };
    project.import(&rows("text.csv", &["007", "008"]), &Options::default());
    let type_of = || project.query("SELECT typeof(amount) FROM events LIMIT 1");
    assert_eq!(type_of(), [["VARCHAR"]], "digits that are an id");
    project.import(&rows("text.csv", &["007", "008"]), &as_number);
    assert_eq!(type_of(), [["DOUBLE"]], "as a person says");
    let report = project.import(&rows("odd.csv", &["zz"]), &Options::default());
    assert_eq!((counts(&report), report.misfits), ([1, 1, 0, 0], 1));
    assert_eq!(type_of(), [["DOUBLE"]], "no value changes a type");
    let again = [rows("more.csv", &["9"])];
    for (options, part) in [
        (
            Options {
                left_out: vec!["time".to_owned()],
                time: Some("time".to_owned()),
                ..Options::default()
            },
            "cannot be left out",
        ),
        (
            Options { types: [("customer".to_owned(), Type::Number)].into(), ..Options::default() },
            "is the customer",
        ),
        (Options { left_out: vec!["amount".to_owned()], ..as_number.clone() }, "is left out"),
    ] {
        let said = project.warehouse.propose(&again, &options).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn times_that_can_be_read_in_two_ways_are_said_to_be() {
    let project = Project::new();
    let said = |time: &str, format: Option<&str>| {
        let file = project.file("t.csv", format!("customer,event,date\na,buy,{time}\n"));
        let options = Options { time_format: format.map(str::to_owned), ..Options::default() };
        project.warehouse.propose(&[file], &options).unwrap().remarks().join("\n")
    };
    let remark = said("03/04/2024", None);
    assert!(remark.contains("%m/%d/%Y") && remark.contains("%d/%m/%Y"), "{remark}");
    assert_eq!(said("13/04/2024", None), "");
    assert_eq!(said("04/04/2024", None), "", "both ways are the same day");
    assert_eq!(said("03/04/2024", Some("%d/%m/%Y")), "");
    assert_eq!(said("2024-03-04", None), "");
    // Times that a file has as such are not read at all.
    let parquet = project.folder.path().join("t.parquet");
    let sql = "SELECT 'a' AS customer, 'buy' AS event, TIMESTAMP '2024-03-04' AS date";
    project.warehouse.export(sql, &parquet, &Job::unwatched()).unwrap();
    let proposal = project.warehouse.propose(&[parquet], &Options::default()).unwrap();
    assert_eq!(proposal.remarks(), [""; 0]);
}
