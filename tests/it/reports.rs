//! Reports of the command line: errors as JSON, the run in use, and values that are refused before the work.

use serde_json::Value as Json;

use crate::support::{Project, fullcircle, fullcircle_json};

/// The error that a command prints under `--json`, and its exit code. It prints nothing else.
fn error(arguments: &[&str]) -> (Json, i32) {
    let output = fullcircle(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    let json: Json =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{arguments:?}: {said}"));
    assert!(!json["error"].as_str().unwrap().is_empty());
    (json, output.status.code().unwrap())
}

#[test]
fn an_error_is_json_where_json_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let p = folder.path().to_str().unwrap();
    for (arguments, kind, code) in [
        (vec!["view", "--project", p, "nothing", "--json"], "not_found", 1),
        (vec!["train", "--json", "--project", p, "nothing"], "not_found", 1),
        (vec!["view", "--project", p, "not a name", "--json"], "bad_input", 1),
        (vec!["view", "--project", p, "v", "--as-of", "someday", "--json"], "bad_usage", 1),
        (vec!["query", "--project", p, "SELEC 1", "--json"], "bad_input", 1),
        (
            vec![
                "onnx",
                "--project",
                p,
                "import",
                "/no/such",
                "--view",
                "v",
                "--name",
                "n",
                "--json",
            ],
            "bad_input",
            1,
        ),
        (vec!["score", "--to", "http://127.0.0.1:1", "x", "c", "--json"], "unavailable", 1),
        (vec!["monitor", "--to", "http://127.0.0.1:1", "x", "--json"], "unavailable", 1),
        (vec!["view", "--project", p, "--jsn", "--json"], "bad_usage", 2),
        (vec!["nothing", "--json"], "bad_usage", 2),
    ] {
        let (json, status) = error(&arguments);
        assert_eq!((json["kind"].as_str(), status), (Some(kind), code), "{arguments:?}: {json}");
    }
    // Without it, it is text.
    let output = fullcircle(&["view", "--project", p, "nothing"]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: there is no view"));
    let output = fullcircle(&["query", "--project", p, "--", "--json"]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
}

#[test]
fn a_value_that_cannot_be_is_refused_before_the_work() {
    // Nothing answers there: the value is looked at first.
    let to = "http://127.0.0.1:1";
    for over in ["30d", "8d", "14m", "1s"] {
        let (json, _) = error(&["monitor", "--to", to, "x", "--over", over, "--json"]);
        let said = json["error"].as_str().unwrap();
        assert!(said.contains("15m to 7d") && said.contains(over), "{json}");
    }
    for percent in ["0", "100", "101", "-5", "NaN"] {
        let challenger = format!("--challenger={percent}");
        let (json, _) = error(&[
            "deploy",
            "f",
            "--project",
            "/no/such/project",
            "--to",
            to,
            "--name",
            "x",
            &challenger,
            "--json",
        ]);
        assert!(json["error"].as_str().unwrap().contains("above 0 and below 100"), "{json}");
    }
}

#[test]
fn the_run_in_use_is_marked() {
    let project = Project::new();
    let mut csv = "customer,event,time\n".to_owned();
    for n in 0..300 {
        csv.push_str(&format!("c{},order,2024-0{}-01T00:00:00Z\n", n % 61, 1 + n % 5));
    }
    let events = project.file("events.csv", csv);
    let folder = project.folder.path().to_owned();
    drop(project.warehouse);
    let p = folder.to_str().unwrap();
    fullcircle_json(&["import", "--project", p, events.to_str().unwrap(), "--json"]);
    for folder in ["views", "models"].map(|name| folder.join(name)) {
        std::fs::create_dir_all(folder).unwrap();
    }
    let view = "name = \"v\"\n[[features]]\nname = \"n\"\naggregation = \"count\"\n";
    std::fs::write(folder.join("views/v.toml"), view).unwrap();
    for seed in [1, 2, 3] {
        let spec = format!(
            "name = \"m\"\nview = \"v\"\ntask = \"regression\"\n[spine]\nat = [\"2024-03-15\"]\n[label]\n\
             aggregation = \"count\"\nhorizon = \"40d\"\n[split]\nby = \"customer\"\ntest = 0.3\n[model]\n\
             algorithm = \"ridge\"\nseed = {seed}\n"
        );
        std::fs::write(folder.join("models/m.toml"), spec).unwrap();
        fullcircle_json(&["train", "--project", p, "m", "--json"]);
    }
    let used = |runs: &Json| -> Vec<String> {
        let runs = runs.as_array().unwrap().iter().filter(|run| run["in_use"] == true);
        runs.map(|run| run["hash"].as_str().unwrap().to_owned()).collect()
    };
    let runs = fullcircle_json(&["runs", "--project", p, "m", "--json"]);
    assert_eq!(runs.as_array().unwrap().len(), 3);
    assert_eq!(used(&runs), [runs[0]["hash"].as_str().unwrap()], "the latest");
    let other = runs[2]["hash"].as_str().unwrap();
    let runs = fullcircle_json(&["runs", "--project", p, "m", "--use", &other[..12], "--json"]);
    assert_eq!(used(&runs), [other]);
    let text = fullcircle(&["runs", "--project", p, "m"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with("* ")).collect();
    assert!(marked[0].contains(&other[..12]), "{text}");
}
