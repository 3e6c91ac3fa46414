//! Queries of any type and form: what they print, write and keep, and what a foreign file cannot change.

use std::io::Write as _;
use std::process::{Command, Stdio};

use kernel::domain::{Job, Value};
use warehouse::import::Options;
use warehouse::{Arrangement, Warehouse};

use crate::support::{Project, fullcircle, fullcircle_fails, fullcircle_json, program};

/// A type each: its SQL, what DuckDB prints, and the JSON of the value.
const TYPES: &[(&str, &str, &str)] = &[
    (
        "INTERVAL '1 day 2 hours 0.000001 seconds'",
        "1 day 02:00:00.000001",
        "\"1 day 02:00:00.000001\"",
    ),
    ("MAP {'a': 1}", "{a=1}", "{\"a\":1}"),
    ("MAP {1: {'x': NULL}}", "{1={'x': NULL}}", "{\"1\":{\"x\":null}}"),
    ("{'a': 1, 'b': 'x'}", "{'a': 1, 'b': x}", "{\"a\":1,\"b\":\"x\"}"),
    ("[{'a': 1}, NULL]", "[{'a': 1}, NULL]", "[{\"a\":1},null]"),
    ("[1, NULL, 2]", "[1, NULL, 2]", "[1.0,null,2.0]"),
    ("[[1], [2, 3]]", "[[1], [2, 3]]", "[[1],[2,3]]"),
    ("[]", "[]", "[]"),
    ("array_value(1, 2)", "[1, 2]", "[1,2]"),
    ("union_value(k := 1)", "1", "{\"k\":1}"),
    ("'b'::ENUM('a', 'b')", "b", "\"b\""),
    ("'10101'::BIT", "10101", "\"10101\""),
    (
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
    ),
    (
        "170141183460469231731687303715884105727::HUGEINT",
        "170141183460469231731687303715884105727",
        "\"170141183460469231731687303715884105727\"",
    ),
    ("9007199254740993::HUGEINT", "9007199254740993", "\"9007199254740993\""),
    ("9007199254740993::BIGINT", "9007199254740993", "\"9007199254740993\""),
    ("12::HUGEINT", "12", "12.0"),
    ("7::UHUGEINT", "7", "7.0"),
    (
        "'123456789012345678901234567890123456789012345678'::BIGNUM",
        "123456789012345678901234567890123456789012345678",
        "\"123456789012345678901234567890123456789012345678\"",
    ),
    ("12345678901234567.125::DECIMAL(38, 3)", "12345678901234567.125", "\"12345678901234567.125\""),
    ("1.5::DECIMAL(10, 1)", "1.5", "1.5"),
    ("0.1::FLOAT", "0.1", "0.1"),
    ("TIME '10:00:01.5'", "10:00:01.5", "\"10:00:01.5\""),
    ("TIMETZ '10:00:00+02'", "10:00:00+02", "\"10:00:00+02\""),
    ("'\\xAA\\x00b'::BLOB", "\\xAA\\x00b", "\"\\\\xAA\\\\x00b\""),
    ("42::VARIANT", "42", "42"),
    ("{'a': [1, 2]}::VARIANT", "", ""),
    (
        "{'a': 9007199254740993, 'b': INTERVAL 1 DAY}",
        "{'a': 9007199254740993, 'b': 1 day}",
        "{\"a\":9007199254740993,\"b\":\"1 day\"}",
    ),
    (
        "TIMESTAMP_NS '2024-01-01 10:00:00.123456789'",
        "2024-01-01 10:00:00.123456789",
        "\"2024-01-01 10:00:00.123456789\"",
    ),
    ("'infinity'::TIMESTAMP", "infinity", "\"infinity\""),
    ("'-infinity'::DATE", "-infinity", "\"-infinity\""),
    ("'290000-01-01'::DATE", "", ""),
    ("NULL", "", "null"),
    ("'2024-01-01'::TIMESTAMP_S", "2024-01-01T00:00:00Z", "\"2024-01-01T00:00:00Z\""),
    ("TIME_NS '10:00:00.123456789'", "10:00:00.123456789", "\"10:00:00.123456789\""),
    ("'{\"a\":1}'::JSON", "{\"a\":1}", "\"{\\\"a\\\":1}\""),
];

#[test]
fn every_type_is_printed_as_duckdb_prints_it() {
    let project = Project::new();
    let job = Job::unwatched();
    for (sql, text, json) in TYPES {
        let query = format!("SELECT {sql} AS x, 1 AS n");
        let result = project.warehouse.query(&query, 10, &job).unwrap();
        assert_eq!(result.columns, ["x", "n"]);
        assert_eq!(result.rows[0][1], Value::Number(1.0), "{sql}");
        if !text.is_empty() {
            assert_eq!(result.rows[0][0].to_string(), *text, "{sql}");
        }
        let held = project.warehouse.hold(&query, &job).unwrap();
        let page = held.page(&Arrangement::default(), 0, 10, &job).unwrap();
        assert_eq!(page.rows[0][0].to_string(), result.rows[0][0].to_string(), "{sql}");
        let by_x = Arrangement { sort: Some((0, true)), ..Arrangement::default() };
        assert_eq!(held.page(&by_x, 0, 10, &job).unwrap().rows, page.rows, "{sql}");
        held.summaries(&job).unwrap();
        let (result, are_json) = project.warehouse.query_json(&query, 10, &job).unwrap();
        let own = match (&result.rows[0][0], are_json[0]) {
            (Value::Text(text), true) => text.to_string(),
            (value, _) => value.to_json().to_string(),
        };
        if !json.is_empty() {
            assert_eq!(own, *json, "{sql}");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "another reader of the file")]
fn every_type_is_written_and_read_back() {
    let project = Project::new();
    let job = Job::unwatched();
    for (sql, text, _) in TYPES {
        let query = format!("SELECT {sql} AS x, 1 AS n;  -- all");
        for ending in ["parquet", "csv", "json"] {
            let out = project.folder.path().join(format!("o.{ending}"));
            project.warehouse.export(&query, &out, &job).unwrap_or_else(|error| {
                panic!("{ending}: {sql}: {error}");
            });
            if ending == "csv" && !text.is_empty() && !text.contains(['T', '"']) {
                let csv = std::fs::read_to_string(&out).unwrap();
                assert!(csv.contains(text), "{sql}: {csv}");
            }
            if ending == "json" {
                let line = std::fs::read_to_string(&out).unwrap();
                assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{sql}: {line}");
            }
        }
    }
    // Digits beyond those of a float are in the file.
    let wide = "SELECT 'c' AS customer, 'x' AS event, TIMESTAMP '2024-01-01' AS time,
        sum(9007199254740993::BIGINT)::HUGEINT AS a, INTERVAL '1 day 0.000001 seconds' AS b,
        170141183460469231731687303715884105727::HUGEINT AS c, TIMETZ '10:00:00+02' AS d";
    let out = project.folder.path().join("wide.parquet");
    project.warehouse.export(wide, &out, &job).unwrap();
    let file = duckdb::Connection::open_in_memory().unwrap();
    let sql = format!(
        "SELECT concat_ws(' ', a::VARCHAR, b::VARCHAR, c::VARCHAR, d::VARCHAR) FROM '{}'",
        out.display()
    );
    let cells: String = file.query_row(&sql, [], |row| row.get(0)).unwrap();
    assert_eq!(
        cells,
        "9007199254740993 1 day 00:00:00.000001 170141183460469231731687303715884105727 10:00:00+02"
    );
    let nan = project.folder.path().join("nan.json");
    project.warehouse.export("SELECT 'nan'::DOUBLE AS x", &nan, &job).unwrap();
    assert_eq!(std::fs::read_to_string(&nan).unwrap().trim(), "{\"x\":null}");
}

fn shop(folder: &std::path::Path) -> String {
    let project = folder.join("shop").display().to_string();
    let file = folder.join("e.csv");
    std::fs::write(&file, "customer,event,time\na,x,2024-01-01\nb,y,2024-01-02\nb,x,2024-01-02\n")
        .unwrap();
    fullcircle_json(&["import", "--project", &project, &file.display().to_string(), "--json"]);
    project
}

#[test]
fn a_query_may_be_a_pivot() {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(folder.path());
    let out = folder.path().join("pivot.csv").display().to_string();
    let counts = "PIVOT (SELECT customer_id, event FROM events) ON event USING count(*) GROUP BY customer_id";
    for sql in [
        format!("{counts} ORDER BY customer_id"),
        format!("{counts} ORDER BY customer_id;\n-- the last line\n"),
        format!("SELECT * FROM ({counts}) ORDER BY 1"),
        "WITH e AS (SELECT customer_id, event FROM events) PIVOT e ON event IN ('x', 'y') USING count(*) GROUP BY customer_id ORDER BY 1".to_owned(),
    ] {
        let said = fullcircle_json(&["query", "--project", &shop, &sql, "--json"]);
        assert_eq!(said["columns"], serde_json::json!(["customer_id", "x", "y"]), "{sql}");
        assert_eq!(said["rows"], serde_json::json!([["a", 1.0, 0.0], ["b", 1.0, 1.0]]), "{sql}");
        fullcircle_json(&["query", "--project", &shop, &sql, "--out", &out, "--json"]);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "customer_id,x,y\na,1,0\nb,1,1\n");
    }
    let sum = "PIVOT (SELECT event, INTERVAL 1 DAY AS i FROM events) ON event USING max(i)";
    let said = fullcircle_json(&["query", "--project", &shop, sum, "--json"]);
    assert_eq!(said["rows"], serde_json::json!([["1 day", "1 day"]]));
    for sql in [
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        "SUMMARIZE events",
        "DESCRIBE events",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "FROM events",
        "VALUES (1, INTERVAL 1 DAY)",
    ] {
        fullcircle_json(&["query", "--project", &shop, sql, "--json"]);
    }
}

#[test]
fn a_query_is_read_from_a_file_or_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(folder.path());
    let file = folder.path().join("q.sql");
    std::fs::write(&file, "\u{feff}-- how many\nSELECT count(*) AS n\nFROM events;\n").unwrap();
    let file = file.display().to_string();
    let said = fullcircle_json(&["query", "--project", &shop, "--file", &file, "--json"]);
    assert_eq!(said["rows"][0][0], 3.0);
    let mut child = Command::new(program())
        .args(["query", "--project", &shop, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 42 AS n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("42"));
    let missing = fullcircle_fails(&["query", "--project", &shop, "--file", "/nowhere/q.sql"]);
    assert!(missing.contains("cannot read the query") && missing.contains("q.sql"), "{missing}");
    assert_eq!(fullcircle(&["query", "--project", &shop]).status.code(), Some(2));
    let both = fullcircle(&["query", "--project", &shop, "SELECT 1", "--file", &file]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn only_one_statement_that_reads_runs() {
    let project = Project::new();
    let file = project.file("e.csv", "customer,event,time\na,x,2024-01-01\n");
    project.import(&file, &Options::default());
    let job = Job::unwatched();
    let staging = project.folder.path().join(".staging/out.csv").display().to_string();
    for sql in [
        "SELECT 1; SELECT 2".to_owned(),
        "COMMIT".to_owned(),
        "PIVOT events ON event; DROP VIEW events".to_owned(),
        "PIVOT events ON event;\n-- x\n; DROP VIEW events".to_owned(),
        "DESCRIBE events; COMMIT; DROP VIEW events".to_owned(),
        "WITH x AS (SELECT 1) DELETE FROM stored_events".to_owned(),
        "EXPLAIN ANALYZE DELETE FROM stored_events".to_owned(),
        "/* SELECT */ DELETE FROM stored_events".to_owned(),
        format!("COPY events TO '{staging}'"),
        format!("EXPLAIN ANALYZE COPY events TO '{staging}'"),
        "SET lock_configuration = false".to_owned(),
        "CREATE MACRO m() AS 1".to_owned(),
        "CALL pragma_version()".to_owned(),
        "ATTACH ':memory:' AS other".to_owned(),
        ";".to_owned(),
        String::new(),
    ] {
        let refused = |result: std::result::Result<(), warehouse::Error>| {
            assert!(matches!(result, Err(warehouse::Error::Sql(_))), "{sql}: {result:?}");
        };
        refused(project.warehouse.query(&sql, 10, &job).map(drop));
        refused(project.warehouse.hold(&sql, &job).map(drop));
        let out = project.folder.path().join("o.csv");
        refused(project.warehouse.export(&sql, &out, &job));
    }
    assert_eq!(project.query("SELECT count(*) FROM events"), [["1"]]);
    assert!(!std::path::Path::new(&staging).exists());
}

/// A foreign file cannot answer in the place of DuckDB's own functions: it is refused, and nothing of it ran.
#[test]
#[expect(clippy::disallowed_methods, reason = "a warehouse as another program made it")]
fn a_warehouse_with_objects_of_others_is_refused() {
    for (make, kind, name) in [
        (
            "CREATE MACRO json_serialize_sql(x) AS '{\"error\":false,\"statements\":[1]}'",
            "macro",
            "json_serialize_sql",
        ),
        ("CREATE MACRO starts_with(a, b) AS true", "macro", "starts_with"),
        ("CREATE MACRO \"+\"(a, b) AS 7", "macro", "+"),
        (
            "CREATE MACRO duckdb_functions() AS TABLE SELECT 1 AS internal",
            "macro",
            "duckdb_functions",
        ),
        ("CREATE TYPE json AS INTEGER", "type", "json"),
        ("CREATE VIEW duckdb_views AS SELECT 1 AS internal", "view", "duckdb_views"),
        ("CREATE TABLE duckdb_tables AS SELECT 1 AS internal", "table", "duckdb_tables"),
        ("CREATE SCHEMA other; CREATE MACRO other.epoch_us(x) AS 1", "macro", "epoch_us"),
    ] {
        let project = Project::new();
        let file = project.file("e.csv", "customer,event,time\na,x,2024-01-01\n");
        project.import(&file, &Options::default());
        let Project { folder, warehouse } = project;
        drop(warehouse);
        let path = folder.path().join("warehouse.duckdb");
        duckdb::Connection::open(&path).unwrap().execute_batch(make).unwrap();
        let error = Warehouse::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{kind} '{name}'")), "{make}: {error}");
        assert!(error.contains("warehouse.duckdb"), "{error}");
    }
}

#[test]
fn traits_without_a_date_are_no_event_of_1970() {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(folder.path());
    let file = folder.path().join("traits.csv");
    std::fs::write(&file, "customer,plan\na,pro\n").unwrap();
    let file = file.display().to_string();
    fullcircle_json(&["import", "--project", &shop, &file, "--traits", "--json"]);
    let said = fullcircle_json(&["customer", "--project", &shop, "a", "--json"]);
    assert_eq!(said["traits"]["plan"], "pro", "{said}");
    let timeline = said["timeline"].as_array().unwrap();
    assert_eq!(timeline.len(), 1, "{said}");
    assert_eq!(timeline[0]["event"], "x");
    let text = fullcircle(&["customer", "--project", &shop, "a"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(!text.contains("1970") && text.contains("pro"), "{text}");
}
