//! The whole circle, through the command line, as a person would close it.

use serde_json::Value as Json;

use crate::support::{fullcircle, fullcircle_json};

#[test]
fn demo_closes_the_circle_on_real_data() {
    let report = fullcircle_json(&["demo", "--json"]);
    assert_eq!(report["events"], 69_659);
    assert_eq!(report["customers"], 23_570);
    assert_eq!(report["verified"]["different"], 0);
    assert!(report["verified"]["compared"].as_u64().unwrap() >= 1_000, "{report}");
    assert_ne!(report["score_before"], report["score_after"]);
    let auc = report["auc_test"].as_f64().unwrap();
    assert!((0.75..0.95).contains(&auc), "a model that knows nothing, or too much: {auc}");
    // Two scores and the purchase between them.
    assert_eq!(report["pulled"], 3);
    for field in
        ["features", "training_rows", "positives", "auc_train", "function", "name", "customer"]
    {
        assert!(!report[field].is_null(), "{field}");
    }
}

#[test]
fn every_step_has_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("shop");
    let (project, out) = (project.to_str().unwrap(), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    let out = |name: &str| out.join(name).display().to_string();

    let events = out("shop.ndjson");
    let generate = ["generate", "--customers", "300", "--events", "9000", "--seed", "3"];
    let made = fullcircle_json(
        &[&generate[..], &["--format", "ndjson", "--out", &events, "--json"]].concat(),
    );
    assert_eq!(made["customers"], 300);

    let imported = fullcircle_json(&["import", "--project", project, &events, "--json"]);
    assert_eq!(imported["read"], made["events"]);
    assert_eq!(imported["accepted"], made["events"]);
    let customers = made["customers_file"].as_str().unwrap();
    let traits =
        fullcircle_json(&["import", "--project", project, customers, "--traits", "--json"]);
    assert_eq!(traits["accepted"], 300);

    for (kind, name) in [("views", "shopper"), ("models", "repurchase")] {
        let from = crate::support::sample(&format!("shop/{kind}/{name}.toml"));
        std::fs::copy(from, format!("{project}/{kind}/{name}.toml")).unwrap();
    }
    let view = fullcircle_json(&[
        "view",
        "--project",
        project,
        "shopper",
        "--out",
        &out("view.parquet"),
        "--json",
    ]);
    assert_eq!(view["rows"], 300);
    let sql = fullcircle(&["view", "--project", project, "shopper", "--sql"]);
    let sql = String::from_utf8(sql.stdout).unwrap();
    let rows = fullcircle_json(&["query", "--project", project, &sql, "--json"]);
    assert_eq!(rows["rows"].as_array().unwrap().len(), 300, "the shown SQL gives the same rows");
    let set = fullcircle_json(&[
        "training-set",
        "--project",
        project,
        "repurchase",
        "--out",
        &out("set.csv"),
        "--json",
    ]);
    let header = std::fs::read_to_string(out("set.csv")).unwrap();
    let header = header.lines().next().unwrap();
    assert!(
        header.starts_with("customer_id,as_of,orders,") && header.ends_with(",label"),
        "{header}"
    );

    let trained = fullcircle_json(&["train", "--project", project, "repurchase", "--json"]);
    assert!(trained["rows"].as_u64() < set["rows"].as_u64(), "some rows test, some are in the gap");
    assert_eq!(trained["function"]["path"], "functions/repurchase.json");
    let again = fullcircle_json(&["train", "--project", project, "repurchase", "--json"]);
    assert_eq!(again["function"]["hash"], trained["function"]["hash"], "training repeats exactly");

    let retention = fullcircle_json(&["insight", "--project", project, "retention", "--json"]);
    assert_eq!(retention["cohorts"].as_array().map(Vec::len), Some(12));
    let customer = fullcircle_json(&["customer", "--project", project, "C000001", "--json"]);
    assert!(customer["features"]["shopper"]["refunds"].is_number(), "{customer}");

    let csv = out("events.csv");
    fullcircle_json(&[
        "query",
        "--project",
        project,
        "SELECT * FROM events",
        "--out",
        &csv,
        "--json",
    ]);
    let n = std::fs::read_to_string(&csv).unwrap().lines().count() as u64;
    assert_eq!(Some(n - 1), made["events"].as_u64());
}

#[test]
fn what_goes_wrong_says_what_where_and_what_to_do() {
    use crate::support::fullcircle_fails;
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("p");
    let project = project.to_str().unwrap();
    let check = |arguments: &[&str], expected: &[&str]| {
        let said = fullcircle_fails(arguments);
        for part in expected {
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
    };
    check(&["import", "--project", project, "/nowhere.csv"], &["cannot read", "/nowhere.csv"]);
    check(
        &["query", "--project", project, "SELECT nothing FROM events"],
        &["nothing", "line 1, column 8"],
    );
    check(&["customer", "--project", project, "ada"], &["there is no customer 'ada'"]);
    check(&["train", "--project", project, "churn"], &["there is no model 'churn'"]);
    check(&["view", "--project", project, "a b", "--sql"], &["'a b' cannot be a name"]);
    check(
        &["score", "--to", "http://127.0.0.1:1", "churn", "ada"],
        &["no endpoint answers at http://127.0.0.1:1", "fullcircle serve"],
    );
    check(&["import", "--project", "/proc/none", "x.csv"], &["/proc/none"]);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("project").display().to_string();
    check(
        &["query", "--project", &inside, "SELECT 1"],
        &["cannot make the project folder", &inside],
    );
    assert_eq!(fullcircle(&["frobnicate"]).status.code(), Some(2), "bad usage");
    assert_eq!(fullcircle(&["query"]).status.code(), Some(2), "bad usage");
}

#[test]
fn a_second_process_on_a_project_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let held = warehouse::Warehouse::open(folder.path()).unwrap();
    let path = folder.path().display().to_string();
    let said = crate::support::fullcircle_fails(&["query", "--project", &path, "SELECT 1"]);
    assert!(said.contains("another process has this project open"), "{said}");
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    drop(held);
}

#[test]
fn without_a_display_the_window_names_the_commands() {
    let output = std::process::Command::new(crate::support::program())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("fullcircle --help"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn generated_shops_repeat_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| -> (Json, Vec<u8>) {
        let out = folder.path().join(name).display().to_string();
        let arguments =
            ["generate", "--customers", "50", "--events", "800", "--format", "csv", "--out", &out];
        (fullcircle_json(&[&arguments[..], &["--json"]].concat()), std::fs::read(out).unwrap())
    };
    assert_eq!(make("a.csv").1, make("b.csv").1);
}
