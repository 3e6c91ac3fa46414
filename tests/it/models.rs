//! Models: from a spec and events to a function that repeats, and data that is not fit for one.

use workspace::{Job, ModelSpec, Name, Options, Project};

const VIEW: &str = r#"
name = "v"

[[features]]
name = "orders"
aggregation = "count"
events = ["order"]
window = "30d"

[[features]]
name = "channel"
aggregation = "last"
events = ["order"]
property = "channel"
"#;

const MODEL: &str = r#"
name = "m"
view = "v"
task = "classification"

[spine]
every = "10d"
from = 2024-01-11
until = 2024-12-01

[label]
aggregation = "count"
events = ["order"]
horizon = "20d"

[model]
algorithm = "logistic_regression"
"#;

/// Frequent customers order every few days on the web, rare ones in the shop and soon no more.
fn project(folder: &std::path::Path) -> Project {
    let mut csv = "customer,event,time,channel\n".to_owned();
    for customer in 0..60_u32 {
        let frequent = customer % 2 == 0;
        let (step, last, channel) = if frequent { (7, 330, "web") } else { (11, 90, "shop") };
        for day in (customer % 10..last).step_by(step) {
            let date =
                kernel::domain::Time(1_704_067_200_000_000 + i64::from(day) * 86_400_000_000);
            csv.push_str(&format!("c{customer:02},order,{date},{channel}\n"));
        }
    }
    let project = Project::open(folder).unwrap();
    let file = folder.join("orders.csv");
    std::fs::write(&file, csv).unwrap();
    project.import(&[file], &Options::default(), &Job::unwatched()).unwrap();
    std::fs::write(folder.join("views/v.toml"), VIEW).unwrap();
    std::fs::write(folder.join("models/m.toml"), MODEL).unwrap();
    project
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_model_learns_what_is_there_and_freezes_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let report = project.train(&name("m"), &Job::unwatched()).unwrap();
    assert!(report.test.metric("auc").unwrap() > 0.95, "{:?}", report.test);
    assert!(report.dropped > 0, "the last horizons are not observed");
    let function = project.function(&name("m")).unwrap();
    assert_eq!(function.hash(), report.hash);
    let text = std::fs::read_to_string(folder.path().join("functions/m.json")).unwrap();
    assert!(text.contains("\"kind\": \"one_hot\""), "{text}");
    // A file that was touched is not trusted any more.
    std::fs::write(folder.path().join("functions/m.json"), text.replace("web", "wed")).unwrap();
    let error = project.function(&name("m")).unwrap_err().to_string();
    assert!(error.contains("was changed after it was made"), "{error}");
}

#[test]
fn the_encoder_has_seen_the_training_part_only() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    // A channel that appears only after the training part ended must have no column.
    let late = folder.path().join("late.csv");
    let rows: String =
        (0..30).map(|n| format!("late{n},order,2024-11-{:02},kiosk\n", 1 + n % 20)).collect();
    std::fs::write(&late, format!("customer,event,time,channel\n{rows}")).unwrap();
    project.import(&[late], &Options::default(), &Job::unwatched()).unwrap();
    let report = project.train(&name("m"), &Job::unwatched()).unwrap();
    let columns: Vec<&str> = report.parameters.iter().map(|p| p.name.as_str()).collect();
    assert!(columns.contains(&"channel = web"), "{columns:?}");
    assert!(!columns.contains(&"channel = kiosk"), "{columns:?}");
}

#[test]
fn data_that_is_not_fit_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let check = |from: &str, to: &str, expected: &str| {
        assert!(MODEL.contains(from), "{from}");
        std::fs::write(folder.path().join("models/m.toml"), MODEL.replace(from, to)).unwrap();
        let error = project.train(&name("m"), &Job::unwatched()).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    };
    check("horizon = \"20d\"", "horizon = \"20d\"\npositive = \"label > 1000\"", "0 are positive");
    check(
        "horizon = \"20d\"",
        "horizon = \"20d\"\npositive = \"lable > 0\"",
        "did you mean 'label'?",
    );
    check("horizon = \"20d\"", "horizon = \"300d\"", "the split leaves");
    check("from = 2024-01-11", "from = 2030-01-11", "between 1 and 10000 times");
    check("[\"order\"]", "[\"odrer\"]", "did you mean 'order'?");
    check("view = \"v\"", "view = \"w\"", "there is no view 'w'");
    check("\"classification\"", "\"guessing\"", "unknown variant");
}

#[test]
fn definitions_that_make_no_sense_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let check = |feature: &str, expected: &str| {
        let text = format!("name = \"v\"\n\n[[features]]\nname = \"f\"\n{feature}\n");
        std::fs::write(folder.path().join("views/v.toml"), text).unwrap();
        let error = project.view(&name("v")).unwrap_err().to_string();
        assert!(error.contains(expected), "{feature}: {error}");
    };
    check("aggregation = \"sum\"", "feature 'f', property: sum needs a property");
    check(
        "aggregation = \"sum\"\nproperty = \"channel\"",
        "sum needs numbers, but the property is a text",
    );
    check("aggregation = \"mean\"\nproperty = \"chanel\"", "did you mean 'channel'?");
    check("aggregation = \"count\"\nevents = [\"orders\"]", "did you mean 'order'?");
    check("aggregation = \"count\"\nwhere = \"channel = 3\"", "(line 1, column 11)");
    check("aggregation = \"count\"\nwhere = \"chanel = 'a'\"", "did you mean 'channel'?");
    check("aggregation = \"count\"\nwhere = \"upper(channel)\"", "must be true or false");
    check("aggregation = \"count\"\nwhere = \"uper(channel) = 'A'\"", "did you mean 'upper'?");
    check("aggregation = \"count\"\nwindow = \"30\"", "is not a span");
    check("aggregation = \"median\"\nproperty = \"channel\"\np = 0.5", "median needs numbers");
    check("aggregation = \"count_by\"", "name a property and its values");
    check("aggregation = \"count\"\nby = \"channel\"", "belongs to count_by and sum_by");
    check("expression = \"g + 1\"", "there is no column 'g' here");
    check("expression = \"1\"\nwindow = \"3d\"", "belongs to an aggregation");
    check(
        "aggregation = \"count\"\ntrait = \"x\"",
        "exactly one of aggregation, trait and expression",
    );
}

#[test]
fn definitions_that_grow_without_end_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let between = format!("1 BETWEEN 0 AND 2{}", " BETWEEN false AND true".repeat(28));
    let mut view =
        "name = \"v\"\n\n[[features]]\nname = \"f0\"\nexpression = \"'text'\"\n".to_owned();
    for n in 1..=40 {
        let before = n - 1;
        view.push_str(&format!(
            "\n[[features]]\nname = \"f{n}\"\nexpression = \"f{before} || f{before}\"\n"
        ));
    }
    view.push_str(&format!("\n[[features]]\nname = \"b\"\nexpression = \"{between}\"\n"));
    std::fs::write(folder.path().join("views/v.toml"), view).unwrap();
    let features = project.features_of(&name("v"), "c00", workspace::Time(1_720_000_000_000_000));
    let features = features.unwrap();
    assert!(features[40].1.is_null(), "a text beyond the limit is null");
    assert_eq!(features[41].1, workspace::Value::Boolean(true));
}

#[test]
fn a_spec_is_written_as_it_is_read() {
    let spec = ModelSpec::from_toml(MODEL).unwrap();
    assert_eq!(ModelSpec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
}
