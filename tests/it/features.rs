//! Views and training sets at the command line: spines, labels, knowledge, memory, and bad input.

use std::path::Path;

use kernel::domain::{Element, Job, Time, Type, Value};
use kernel::features::{
    Bound, Knowledge, Label, LabelDefinition, SpineRows, View, ViewDefinition, compute,
};
use serde_json::Value as Json;
use warehouse::Warehouse;
use warehouse::import::Options;

use crate::support::{self, fullcircle_fails, fullcircle_json, sample};

/// A project with a few shoppers; `position` is where on the page a product was shown.
fn shop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let events = "customer_id,event,event_time,amount,position,tag\n\
        ada,shown,2024-01-01T10:00:00Z,,3,x\n\
        ada,order,2024-01-02T10:00:00Z,10.5,,y\n\
        ada,shown,2024-01-05T10:00:00Z,,1,x\n\
        ada,order,2024-01-06T10:00:00Z,4.5,,y\n\
        bob,shown,2024-01-03T10:00:00Z,,2,z\n\
        bob,shown,2024-01-08T10:00:00Z,,5,\n\
        cat,order,2024-01-09T10:00:00Z,7,,y\n";
    write(folder.path(), "events.csv", events);
    let project = path(&folder, "p");
    fullcircle_json(&["import", "--project", &project, &path(&folder, "events.csv"), "--json"]);
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn query(folder: &tempfile::TempDir, sql: &str) -> Vec<Vec<Json>> {
    let out = path(folder, "out.json");
    let project = path(folder, "p");
    drop(std::fs::remove_file(&out));
    fullcircle_json(&["query", "--project", &project, sql, "--out", &out, "--json"]);
    let text = std::fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| {
            let row: serde_json::Map<String, Json> = serde_json::from_str(line).unwrap();
            row.into_iter().map(|(_, value)| value).collect()
        })
        .collect()
}

const VIEW: &str = r#"
name = "v"

[[features]]
name = "orders"
aggregation = "count"
events = ["order"]

[[features]]
name = "tags"
aggregation = "first_k"
property = "tag"
k = 2

[[features]]
name = "spent"
aggregation = "histogram"
property = "amount"
k = 3
"#;

#[test]
fn a_view_becomes_a_table_with_lists_and_counts() {
    let folder = shop();
    write(folder.path(), "p/views/v.toml", VIEW);
    let project = path(&folder, "p");
    let report = fullcircle_json(&["view", "--project", &project, "v", "--json"]);
    assert_eq!((&report["rows"], &report["out"]), (&3.into(), &"views.v".into()));
    let rows = query(
        &folder,
        "SELECT customer_id AS a, orders AS b, tags AS c, map_keys(spent) AS d FROM views.v ORDER BY 1",
    );
    let expected: Vec<Vec<Json>> = serde_json::from_str(
        r#"[["ada", 2.0, ["x", "y"], [4.5, 10.5]], ["bob", 0.0, ["z"], null], ["cat", 1.0, ["y"], [7.0]]]"#,
    )
    .unwrap();
    assert_eq!(rows, expected);
    // Parquet has the same.
    let out = path(&folder, "v.parquet");
    fullcircle_json(&["view", "--project", &project, "v", "--out", &out, "--json"]);
    assert!(std::fs::metadata(out).unwrap().len() > 100);
}

const CONTEXT_VIEW: &str = r#"
name = "ranked"

[[features]]
name = "orders"
aggregation = "count"
events = ["order"]

[[features]]
name = "high"
expression = "context.position <= 2"
"#;

const RANKING: &str = r#"
name = "ranking"
view = "ranked"
task = "classification"
[spine]
events = ["shown"]
[label]
aggregation = "count"
events = ["order"]
horizon = "2d"
positive = "label > 0"
[model]
algorithm = "logistic_regression"
"#;

#[test]
fn events_of_a_spine_bring_their_properties_as_context() {
    let folder = shop();
    write(folder.path(), "p/views/ranked.toml", CONTEXT_VIEW);
    write(folder.path(), "p/models/ranking.toml", RANKING);
    let project = path(&folder, "p");
    let report = fullcircle_json(&["training-set", "--project", &project, "ranking", "--json"]);
    // The last one's horizon is not observed; a first event of a customer is a row like any other.
    assert_eq!((&report["rows"], &report["dropped"]), (&3.into(), &1.into()));
    let rows = query(
        &folder,
        "SELECT customer_id AS a, orders AS b, high AS c, label AS d FROM training_sets.ranking ORDER BY as_of",
    );
    let expected: Vec<Vec<Json>> = serde_json::from_str(
        r#"[["ada", 0.0, false, 1.0], ["bob", 0.0, true, 0.0], ["ada", 1.0, true, 1.0]]"#,
    )
    .unwrap();
    assert_eq!(rows, expected);
    // A point in time has no context.
    let said = fullcircle_fails(&["view", "--project", &project, "ranked"]);
    assert!(said.contains("context.position"), "{said}");
}

#[test]
fn a_file_is_a_spine_and_loses_no_customer() {
    let folder = shop();
    write(folder.path(), "p/views/ranked.toml", CONTEXT_VIEW);
    write(folder.path(), "p/models/ranking.toml", RANKING);
    let project = path(&folder, "p");
    let spine = path(&folder, "spine.csv");
    write(
        folder.path(),
        "spine.csv",
        "customer_id,as_of,position,label\n\
         nobody,2024-01-04,1,true\n\
         ada,2024-01-07,9,false\n\
         bob,2024-01-01,2,true\n",
    );
    let said =
        fullcircle_fails(&["training-set", "--project", &project, "ranking", "--spine", &spine]);
    assert!(said.contains("leave one of them out"), "two labels: {said}");
    // Without an aggregation the label is what the file says, and nothing is too late for it.
    let given = RANKING.replace("aggregation = \"count\"\nevents = [\"order\"]\nhorizon = \"2d\"\npositive = \"label > 0\"\n", "");
    write(folder.path(), "p/models/ranking.toml", &given);
    let report = fullcircle_json(&[
        "training-set",
        "--project",
        &project,
        "ranking",
        "--spine",
        &spine,
        "--json",
    ]);
    assert_eq!((&report["rows"], &report["dropped"]), (&3.into(), &0.into()));
    let rows = query(
        &folder,
        "SELECT customer_id AS a, orders AS b, high AS c, label AS d FROM training_sets.ranking",
    );
    let expected: Vec<Vec<Json>> = serde_json::from_str(
        r#"[["nobody", 0.0, true, true], ["ada", 2.0, false, false], ["bob", 0.0, true, true]]"#,
    )
    .unwrap();
    assert_eq!(rows, expected);
    // What is missing is said.
    write(folder.path(), "spine.csv", "customer_id,as_of\nada,2024-01-07\n");
    let failing = ["training-set", "--project", &project, "ranking", "--spine", &spine];
    let said = fullcircle_fails(&failing);
    assert!(said.contains("label") || said.contains("context.position"), "{said}");
    write(folder.path(), "spine.csv", "customer_id,as_of,position\nada,soon,1\n");
    let said = fullcircle_fails(&failing);
    assert!(said.contains("as_of") || said.contains("label"), "{said}");
    // A project's own spine stays inside of the project.
    write(
        folder.path(),
        "p/models/ranking.toml",
        &RANKING.replace("events = [\"shown\"]\n[label]", "file = \"../spine.csv\"\n[label]"),
    );
    let said = fullcircle_fails(&["training-set", "--project", &project, "ranking"]);
    assert!(said.contains("not a file of this project"), "{said}");
}

#[test]
fn a_horizon_longer_than_the_data_says_so() {
    let folder = shop();
    write(folder.path(), "p/views/v.toml", VIEW);
    let spec = RANKING.replace("ranked", "v").replace("\"2d\"", "\"400d\"");
    write(folder.path(), "p/models/ranking.toml", &spec);
    let project = path(&folder, "p");
    for command in ["training-set", "train"] {
        let said = fullcircle_fails(&[command, "--project", &project, "ranking"]);
        assert!(said.contains("all 4 rows are too late"), "{said}");
    }
    let unknown = RANKING.replace("[\"shown\"]", "[\"shwon\"]").replace("ranked", "v");
    write(folder.path(), "p/models/ranking.toml", &unknown);
    let said = fullcircle_fails(&["train", "--project", &project, "ranking"]);
    assert!(said.contains("did you mean 'shown'?"), "{said}");
}

fn checked(features: &str, warehouse: &Warehouse) -> Result<View, String> {
    let definition: ViewDefinition =
        toml::from_str(&format!("name = \"v\"\n{features}")).map_err(|error| error.to_string())?;
    View::check(&definition, &warehouse.catalog().unwrap()).map_err(|error| error.to_string())
}

/// The values of the only customer of a view, after all events.
fn values(features: &str, warehouse: &Warehouse) -> Vec<Value> {
    let view = checked(features, warehouse).unwrap();
    let timelines = warehouse.timelines(view.reads(), &Job::unwatched()).unwrap();
    let spine = SpineRows::at(&timelines, Time(i64::MAX));
    let bound = Bound::new(&view, &timelines);
    compute(&view, &bound, &spine, Knowledge::AsItWas, &Job::unwatched()).unwrap().row(0)
}

fn amount(aggregation: &str) -> String {
    format!(
        "[[features]]\nname = \"{aggregation}_x\"\naggregation = \"{aggregation}\"\nproperty = \"amount\"\n"
    )
}

#[test]
fn what_a_file_says_of_arrivals_is_what_was_known() {
    let project = support::Project::new();
    let file = project.file(
        "e.csv",
        "customer_id,event,event_time,received_at,amount\n\
         c,order,2024-01-01,2024-01-01,1\nc,order,2024-01-02,2024-02-01,10\n\
         c,order,2024-01-03,,100\n",
    );
    project.import(&file, &Options::default());
    let view = checked(&amount("sum"), &project.warehouse).unwrap();
    let sums = |knowledge: Knowledge| {
        ["2024-01-02T12:00:00Z", "2024-01-10", "2024-02-02"].map(|as_of| {
            let timelines = project.warehouse.timelines(view.reads(), &Job::unwatched()).unwrap();
            let spine = SpineRows::at(&timelines, as_of.parse().unwrap());
            let bound = Bound::new(&view, &timelines);
            compute(&view, &bound, &spine, knowledge, &Job::unwatched()).unwrap().row(0)[0].clone()
        })
    };
    assert_eq!(sums(Knowledge::AsItWas), [11.0, 111.0, 111.0].map(Value::Number));
    assert_eq!(sums(Knowledge::AsItWasKnown), [1.0, 101.0, 111.0].map(Value::Number));
}

#[test]
fn a_date_of_a_customer_is_a_time() {
    let project = support::Project::new();
    project.import(
        &project.file("e.csv", "customer_id,event,event_time\nc,order,2024-03-01\n"),
        &Options::default(),
    );
    let traits = "customer_id,event_time,signup,note\nc,2024-01-01,2024-02-01,2024-02-01 or so\n";
    let options = Options { traits: true, ..Options::default() };
    project.import(&project.file("t.csv", traits), &options);
    let signup = "[[features]]\nname = \"signup\"\ntrait = \"signup\"\n\
        [[features]]\nname = \"tenure\"\nexpression = \"datediff('day', signup, timestamp '2024-03-02')\"\n\
        [[features]]\nname = \"note\"\ntrait = \"note\"\n";
    let found = values(signup, &project.warehouse);
    assert_eq!(found[0], Value::Time("2024-02-01".parse().unwrap()));
    assert_eq!(found[1], Value::Number(30.0));
    assert_eq!(found[2], Value::text("2024-02-01 or so"));
}

#[test]
fn categories_are_counted_whatever_they_are_made_of() {
    let project = support::Project::new();
    let file = project.file(
        "e.csv",
        "customer_id,event,event_time,size,is_gift,city\n\
         c,order,2024-03-01,38,true,Äa\nc,order,2024-03-02,40,false,Öa\nc,order,2024-03-03,38,,Öa\n",
    );
    project.import(&file, &Options::default());
    let count = |by: &str, categories: &str| {
        let text = format!(
            "[[features]]\nname = \"n\"\naggregation = \"count_by\"\nby = \"{by}\"\ncategories = {categories}\n"
        );
        values(&text, &project.warehouse)
    };
    let numbers = |numbers: &[f64]| numbers.iter().map(|n| Value::Number(*n)).collect::<Vec<_>>();
    assert_eq!(count("size", "[\"38\", \"40\"]"), numbers(&[2.0, 1.0, 0.0]));
    assert_eq!(count("is_gift", "[\"true\"]"), numbers(&[1.0, 2.0]));
    assert_eq!(count("city", "[\"Äa\", \"Öa\"]"), numbers(&[1.0, 2.0, 0.0]), "each has a name");
    let said = checked(
        "[[features]]\nname = \"n\"\naggregation = \"count_by\"\nby = \"siz\"\ncategories = [\"38\"]\n",
        &project.warehouse,
    );
    let said = said.unwrap_err();
    assert!(said.contains("no event has a property 'siz'; did you mean 'size'?"), "{said}");
}

#[test]
fn numbers_at_the_edge_have_a_defined_result() {
    let project = support::Project::new();
    // What is not finite is missing; the sum of the rest is too large for a number, and missing too.
    let file = project.file(
        "e.csv",
        "customer_id,event,event_time,amount\n\
         c,order,1950-06-01,1e308\nc,order,1969-12-31T23:59:59Z,1e308\n\
         c,order,1970-01-02,inf\nc,order,1970-01-03,nan\nc,order,2199-01-01,-1e-308\n",
    );
    project.import(&file, &Options::default());
    let all: String =
        ["sum", "mean", "count", "max", "min", "variance", "trend"].map(amount).concat();
    let found = values(&all, &project.warehouse);
    assert_eq!(found[0], Value::Null, "{found:?}");
    assert_eq!(found[2..5], [3.0, 1e308, -1e-308].map(Value::Number), "{found:?}");
    assert_eq!(found[5], Value::Null, "{found:?}");
    let days = "[[features]]\nname = \"d\"\naggregation = \"active_days\"\n\
                [[features]]\nname = \"s\"\naggregation = \"sessions\"\ngap = \"1h\"\n";
    assert_eq!(values(days, &project.warehouse), [5.0, 5.0].map(Value::Number));
    // A year that no event has is a typing error, and said.
    let late = project.file("late.csv", "customer_id,event,event_time\nc,order,2262-01-01\n");
    let report = project.import(&late, &Options::default());
    assert_eq!(report.rejected, 1);
    assert!(report.rejects[0].reason.contains("not between 1900 and 2200"), "{report:?}");
}

#[test]
fn a_label_takes_what_its_aggregation_needs() {
    let project = support::Project::new();
    let file = project.file("e.csv", "customer_id,event,event_time,amount\nc,order,2024-01-01,1\n");
    project.import(&file, &Options::default());
    let check = |text: &str| {
        let definition: LabelDefinition = toml::from_str(text).unwrap();
        let checked = Label::check(&definition, &project.warehouse.catalog().unwrap(), None);
        checked.map(|label| label.type_of()).map_err(|error| error.to_string())
    };
    let amount = "horizon = \"30d\"\nproperty = \"amount\"\naggregation = ";
    let needs = [
        ("\"quantile\"\np = 0.9", Type::Number),
        ("\"last_k\"\nk = 3", Type::List(Element::Number)),
        ("\"decayed_sum\"\nhalf_life = \"7d\"", Type::Number),
    ];
    for (aggregation, type_) in needs {
        assert_eq!(check(&format!("{amount}{aggregation}")).unwrap(), type_);
    }
    let sessions = "horizon = \"30d\"\naggregation = \"sessions\"\ngap = \"30m\"";
    assert_eq!(check(sessions).unwrap(), Type::Number);
    let said = check("horizon = \"30d\"\naggregation = \"count_by\"").unwrap_err();
    assert!(said.contains("a label is one value"), "{said}");
}

#[test]
fn too_much_is_refused_with_a_reason() {
    let project = support::Project::new();
    let file =
        project.file("e.csv", "customer_id,event,event_time,amount,note\nc,order,2024-01-01,1,x\n");
    project.import(&file, &Options::default());
    let many = |n: usize| -> String {
        (0..n)
            .map(|n| {
                format!(
                    "[[features]]\nname = \"f{n}\"\naggregation = \"count\"\nwindow = \"{}m\"\n",
                    n + 1
                )
            })
            .collect()
    };
    assert_eq!(values(&many(2_000), &project.warehouse).len(), 2_000);
    let said = checked(&many(2_001), &project.warehouse).unwrap_err();
    assert!(said.contains("at most 2000 features"), "{said}");
    // An expression sees the features before it only, so a cycle cannot be written.
    let cycle = "[[features]]\nname = \"a\"\nexpression = \"b + 1\"\n[[features]]\nname = \"b\"\nexpression = \"a + 1\"\n";
    let said = checked(cycle, &project.warehouse).unwrap_err();
    assert!(said.contains("'b' is not defined before this"), "{said}");
    let by = "[[features]]\nname = \"b\"\naggregation = \"count_by\"\nby = \"note\"\ncategories = ";
    let categories: Vec<String> = (0..150).map(|n| format!("\"c{n}\"")).collect();
    let by = format!("{by}[{}]\n", categories.join(", "));
    let said = checked(&(many(1_900) + &by), &project.warehouse).unwrap_err();
    assert!(said.contains("at most 2000 features"), "those of each category count: {said}");
    // A sum of many terms is long, not deep.
    let score: Vec<String> = (0..100).map(|n| format!("{n} * f{n}")).collect();
    let score = format!("[[features]]\nname = \"s\"\nexpression = \"{}\"\n", score.join(" + "));
    assert_eq!(values(&(many(100) + &score), &project.warehouse).len(), 101);
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    let deep = format!("[[features]]\nname = \"d\"\nexpression = \"{deep}\"\n");
    let said = checked(&deep, &project.warehouse).unwrap_err();
    assert!(said.contains("nested deeper"), "{said}");
    for (wrong, part) in [
        (amount("top_k"), "needs a k between 1 and 1000"),
        (amount("sum").replace("amount", "amuont"), "did you mean 'amount'?"),
        (amount("sum") + "where = \"amount >\"\n", "line 1, column"),
        (amount("sum") + "k = 3\n", "has no parameter 'k'"),
        (
            amount("last_k") + "k = 2\n[[features]]\nname = \"l\"\nexpression = \"last_k_x + 1\"\n",
            "is a list of numbers",
        ),
    ] {
        let said = checked(&wrong, &project.warehouse).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
    // Ten thousand properties do not fit a table; nothing of the file is taken.
    let names: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let numbers: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let wide = format!(
        "customer_id,event,event_time,{}\nc,order,2024-01-02,{}\n",
        names.join(","),
        numbers.join(",")
    );
    let wide = project.file("wide.csv", wide);
    let result = project.warehouse.import(&[wide], &Options::default(), &Job::unwatched());
    let said = result.unwrap_err().to_string();
    assert!(said.contains("properties"), "{said}");
    assert_eq!(project.query("SELECT count(*) FROM events"), [["1"]]);
}

/// All values of the sample's view, as bits.
fn all_values(warehouse: &Warehouse, view: &View) -> Vec<String> {
    let mut rows = Vec::new();
    warehouse
        .each_timelines(view.reads(), &Job::unwatched(), |timelines| {
            let spine = SpineRows::at(&timelines, "2024-12-01".parse().unwrap());
            let bound = Bound::new(view, &timelines);
            let table =
                compute(view, &bound, &spine, Knowledge::AsItWas, &Job::unwatched()).unwrap();
            for (n, (customer, _)) in spine.rows.iter().enumerate() {
                rows.push(format!("{}: {:?}", timelines.customers()[*customer], table.row(n)));
            }
            Ok::<(), warehouse::Error>(())
        })
        .unwrap();
    rows
}

#[test]
fn timelines_are_the_same_whole_in_ranges_extended_and_from_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let events = std::fs::read_dir(sample("shop")).unwrap().flatten().map(|entry| entry.path());
    let (traits, files): (Vec<_>, Vec<_>) = events
        .filter(|path| path.extension().is_some_and(|ending| ending == "parquet"))
        .partition(|path| path.display().to_string().contains("customers"));
    let job = Job::unwatched();
    let warehouse = Warehouse::open(folder.path()).unwrap();
    warehouse.import(&files, &Options::default(), &job).unwrap();
    let text = std::fs::read_to_string(sample("shop/views/shopper.toml")).unwrap();
    let definition: ViewDefinition = toml::from_str(&text).unwrap();
    let options = Options { traits: true, ..Options::default() };
    warehouse.import(&traits, &options, &job).unwrap();
    let view = View::check(&definition, &warehouse.catalog().unwrap()).unwrap();
    let whole = all_values(&warehouse, &view);
    assert!(whole.len() > 2_000);
    // What comes later is added to what is there.
    let more = folder.path().join("more.csv");
    std::fs::write(&more, "customer_id,event,event_time,amount\nC000001,order_completed,2024-11-30,5\nnew,page_viewed,2024-11-01,\n").unwrap();
    warehouse.import(&[more], &Options::default(), &job).unwrap();
    let extended = all_values(&warehouse, &view);
    assert_eq!(extended.len(), whole.len() + 1);
    assert_ne!(extended[0], whole[0]);
    // A new start reads the file; without the file it builds them again.
    drop(warehouse);
    let again = Warehouse::open(folder.path()).unwrap();
    assert_eq!(all_values(&again, &view), extended);
    drop(again);
    // A start that asks for little reads little of the file, and what comes then loses nothing of it.
    let again = Warehouse::open(folder.path()).unwrap();
    let mut little = view.reads().clone();
    little.properties.retain(|name, _| name == "amount");
    let read = again.timelines(&little, &job).unwrap();
    assert!(read.property("amount").is_some() && read.property("product").is_none());
    let late = folder.path().join("late.csv");
    std::fs::write(
        &late,
        "customer_id,event,event_time,amount\nC000002,order_completed,2024-11-30,7\n",
    )
    .unwrap();
    again.import(&[late], &Options::default(), &job).unwrap();
    assert_eq!(again.timelines(&little, &job).unwrap().n_events(), read.n_events() + 1);
    drop(again);
    let again = Warehouse::open(folder.path()).unwrap();
    let extended = all_values(&again, &view);
    drop(again);
    std::fs::write(folder.path().join("timelines.cache"), b"fctime01 is no such file").unwrap();
    let again = Warehouse::open(folder.path()).unwrap();
    assert_eq!(all_values(&again, &view), extended);
    drop(again);
    // In ranges where all do not fit.
    let mut again = Warehouse::open(folder.path()).unwrap();
    let until = again.timelines(view.reads(), &job).unwrap().observed_until();
    again.set_timelines_budget(4 << 20);
    assert_eq!(all_values(&again, &view), extended);
    let mut n = 0;
    let each = again.each_timelines(view.reads(), &job, |range| {
        n += 1;
        assert_eq!(range.observed_until(), until, "a label of any customer is observed until then");
        Ok::<(), warehouse::Error>(())
    });
    each.unwrap();
    assert!(n > 1);
}
