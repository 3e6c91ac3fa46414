//! Every task a spec can name, from events to a function: what comes out is right, and repeats.

use std::time::Duration;

use kernel::scoring::{Detail, FunctionFile, ScoringFunction};
use workspace::{Job, Name, Options, Project, Value};

const VIEW: &str = r#"
name = "v"

[[features]]
name = "orders"
aggregation = "count"
events = ["order"]

[[features]]
name = "spent"
aggregation = "sum"
events = ["order"]
property = "amount"

[[features]]
name = "days"
aggregation = "active_days"
events = ["order"]

[[features]]
name = "age"
aggregation = "days_since_first"
events = ["order"]

[[features]]
name = "since_last"
aggregation = "days_since_last"
events = ["order"]

[[features]]
name = "channel"
aggregation = "last"
events = ["order"]
property = "channel"

[[features]]
name = "items"
aggregation = "histogram"
events = ["order"]
property = "item"
k = 50

[[features]]
name = "called"
aggregation = "count"
events = ["call"]

[[features]]
name = "repeats"
expression = "greatest(days - 1, 0)"

[[features]]
name = "recency"
expression = "age - since_last"
"#;

const SPINE: &str = "[spine]\nat = [\"2024-03-01\", \"2024-05-01\"]\n";
const SPLIT: &str = "[split]\nby = \"customer\"\ntest = 0.3\n";

fn spec(name: &str, task: &str, label: &str, model: &str) -> String {
    format!("name = \"{name}\"\nview = \"v\"\ntask = \"{task}\"\n{SPINE}{label}\n{SPLIT}{model}\n")
}

/// Customers of three kinds: often and dear on the web, now and then in the shop, once by phone. Each kind
/// has its own items; half of the first kind's customers are called, and buy more then.
fn project(folder: &std::path::Path) -> Project {
    let mut csv = "customer,event,time,channel,item,amount\n".to_owned();
    for customer in 0..300_u32 {
        let kind = customer % 3;
        let is_called = customer % 2 == 0;
        let (step, last, channel, amount) = match kind {
            0 => (5 + customer % 3, 180, "web", 80.0),
            1 => (17 + customer % 5, 180, "shop", 20.0),
            _ => (400, 60, "phone", 5.0),
        };
        let date = |day: u32| {
            kernel::domain::Time(1_704_067_200_000_000 + i64::from(day) * 86_400_000_000)
        };
        for (n, day) in (customer % 11..last).step_by(step as usize).enumerate() {
            let item = (n as u32 * 7 + customer) % 6 + kind * 6;
            let more = if is_called && kind == 0 { 40.0 } else { 0.0 };
            let amount = amount + f64::from((customer * 31 + day) % 17) + more;
            csv.push_str(&format!(
                "c{customer:03},order,{},{channel},i{item:02},{amount}\n",
                date(day)
            ));
        }
        if is_called {
            csv.push_str(&format!("c{customer:03},call,{},,,\n", date(20)));
        }
    }
    let project = Project::open(folder).unwrap();
    let file = folder.join("events.csv");
    std::fs::write(&file, csv).unwrap();
    project.import(&[file], &Options::default(), &Job::unwatched()).unwrap();
    std::fs::write(folder.join("views/v.toml"), VIEW).unwrap();
    project
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

struct Shop {
    folder: tempfile::TempDir,
    project: Project,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path());
        Self { folder, project }
    }

    fn put(&self, model: &str, text: &str) {
        let path = self.folder.path().join(format!("models/{model}.toml"));
        std::fs::write(path, text).unwrap();
    }

    fn train(&self, model: &str, text: &str) -> workspace::TrainReport {
        self.put(model, text);
        self.project.train(&name(model), &Job::unwatched()).unwrap()
    }

    /// What the trained function says of a customer now.
    fn detail(&self, model: &str, customer: &str) -> (f64, Option<Detail>) {
        let function = self.project.function(&name(model)).unwrap();
        let at = "2024-04-15".parse().unwrap();
        let features = self.project.features_of(&name("v"), customer, at).unwrap();
        let values: Vec<Value> = features.into_iter().map(|(_, value)| value).collect();
        (function.score_features(&values), function.detail(&values))
    }
}

const COUNT: &str = "[label]\naggregation = \"count\"\nevents = [\"order\"]\nhorizon = \"30d\"\n";
const SUM: &str = "[label]\naggregation = \"sum\"\nproperty = \"amount\"\nevents = [\"order\"]\nhorizon = \"30d\"\n";

#[test]
fn every_algorithm_of_two_classes_finds_who_buys_again() {
    let shop = Shop::open();
    for algorithm in [
        "logistic_regression",
        "gradient_boosting",
        "random_forest",
        "decision_tree",
        "naive_bayes",
    ] {
        let model = format!("[model]\nalgorithm = \"{algorithm}\"\nseed = 3\n");
        let report = shop.train("m", &spec("m", "classification", COUNT, &model));
        let auc = report.test.metric("auc").unwrap();
        assert!(auc > 0.97, "{algorithm}: {auc}");
        let (score, _) = shop.detail("m", "c000");
        assert!((0.5..=1.0).contains(&score), "{algorithm}: {score}");
    }
}

#[test]
fn classes_have_names_and_their_probabilities_add_up() {
    let shop = Shop::open();
    let label = "[label]\naggregation = \"last\"\nproperty = \"channel\"\nevents = [\"order\"]\nhorizon = \"60d\"\n";
    for algorithm in ["logistic_regression", "gradient_boosting", "random_forest", "naive_bayes"] {
        let model = format!("[model]\nalgorithm = \"{algorithm}\"\n");
        // The last order's channel is what the next one's is: two kinds of customers still buy.
        let report = shop.train("m", &spec("m", "classification", label, &model));
        let accuracy = report.test.metric("accuracy").or(report.test.metric("auc"));
        assert!(accuracy.unwrap() > 0.95, "{algorithm}: {:?}", report.test.metrics);
        if let (_, Some(Detail::Classes(classes))) = shop.detail("m", "c000") {
            let total: f64 = classes.iter().map(|(_, share)| share).sum();
            assert!((total - 1.0).abs() < 1e-9, "{classes:?}");
        }
    }
}

#[test]
fn numbers_are_predicted_better_than_by_their_mean() {
    let shop = Shop::open();
    for algorithm in ["gradient_boosting", "random_forest", "decision_tree", "ridge", "elastic_net"]
    {
        let model = format!("[model]\nalgorithm = \"{algorithm}\"\n");
        let report = shop.train("m", &spec("m", "regression", SUM, &model));
        let r2 = report.test.metric("r2").unwrap();
        assert!(r2 > 0.8, "{algorithm}: {r2}");
        let baseline = report.metrics["baseline: the mean"]["rmse"];
        assert!(report.test.metric("rmse").unwrap() < baseline);
    }
    for algorithm in ["poisson", "tweedie"] {
        let model = format!("[model]\nalgorithm = \"{algorithm}\"\n");
        let report = shop.train("m", &spec("m", "lifetime_value", SUM, &model));
        assert!(report.test.metric("r2").unwrap() > 0.5, "{algorithm}");
    }
}

#[test]
fn segments_are_named_by_what_is_different() {
    let shop = Shop::open();
    for (algorithm, more) in
        [("k_means", "clusters = 3"), ("gaussian_mixture", "clusters = 3"), ("k_means", "")]
    {
        let model = format!("[model]\nalgorithm = \"{algorithm}\"\n{more}\n");
        let report = shop.train("m", &spec("m", "clustering", "", &model));
        assert!(report.segments.len() >= 2, "{algorithm}");
        assert!(report.segments.iter().any(|segment| segment.name.contains("high")));
        let own = |customer| match shop.detail("m", customer).1 {
            Some(Detail::Classes(all)) => {
                all.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(own("c000"), own("c003"), "two of a kind are in one segment");
        assert_ne!(own("c000"), own("c002"), "two of other kinds are not");
    }
    let model = "[model]\nalgorithm = \"isolation_forest\"\n";
    let report = shop.train("odd", &spec("odd", "anomaly", "", model));
    assert!(report.test.metric("99th percentile") > report.test.metric("median"));
}

#[test]
fn recommendations_are_items_of_the_own_kind() {
    let shop = Shop::open();
    let label = "[label]\naggregation = \"histogram\"\nproperty = \"item\"\nevents = [\"order\"]\nhorizon = \"30d\"\n";
    for algorithm in ["ease", "implicit_als", "item_item", "buy_again"] {
        let model = format!(
            "[model]\nalgorithm = \"{algorithm}\"\n[recommendation]\nitems = \"items\"\nrepeats = true\ncategory = \"channel\"\n"
        );
        let report = shop.train("m", &spec("m", "recommendation", label, &model));
        let own = report.test.metric("recall_20").unwrap();
        assert!(own > 0.9, "{algorithm}: {own}");
        let Some(Detail::Items(items)) = shop.detail("m", "c001").1 else { panic!("no items") };
        let first: Vec<&str> = items.iter().take(3).map(|item| item.item.as_str()).collect();
        assert!(first.iter().all(|item| ("i06".."i12").contains(item)), "{algorithm}: {first:?}");
    }
    let function = shop.project.function(&name("m")).unwrap();
    let nobody: Vec<Value> = function.view().features().iter().map(|_| Value::Null).collect();
    let wish = kernel::scoring::Wish {
        categories: vec!["phone".to_owned()],
        exclude: vec!["i12".to_owned()],
        limit: 3,
        ..Default::default()
    };
    let items = function.recommend(&nobody, &wish).unwrap();
    assert!(!items.is_empty() && items.iter().all(|item| item.item.as_str() > "i12"), "{items:?}");
}

#[test]
fn a_lifetime_value_comes_from_purchases_alone() {
    let shop = Shop::open();
    let model = "[model]\nalgorithm = \"bg_nbd\"\n[lifetime]\nfrequency = \"repeats\"\nrecency = \"recency\"\nage = \"age\"\nunit = \"7d\"\nhorizon = \"28d\"\n";
    let report = shop.train("m", &spec("m", "lifetime_value", COUNT, model));
    let names: Vec<&str> = report.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["r", "alpha", "a", "b"]);
    let (often, seldom) = (shop.detail("m", "c000").0, shop.detail("m", "c001").0);
    // Every 5th and every 18th day, for 28 days.
    assert!(often > 3.0 && often < 7.0, "{often}");
    assert!(seldom > 0.5 && seldom < 2.5, "{seldom}");
}

#[test]
fn uplift_needs_a_control_group_and_finds_who_is_moved() {
    let shop = Shop::open();
    for algorithm in ["t_learner", "x_learner", "dr_learner"] {
        let model = format!(
            "[model]\nalgorithm = \"{algorithm}\"\nmin_rows = 5\n[uplift]\ntreatment = \"called\"\n"
        );
        let report = shop.train("m", &spec("m", "uplift", SUM, &model));
        assert!(report.test.metric("qini").unwrap() > 0.0, "{algorithm}");
        let (moved, not_moved) = (shop.detail("m", "c000").0, shop.detail("m", "c001").0);
        assert!(moved > not_moved + 50.0, "{algorithm}: {moved} {not_moved}");
    }
    // Everybody has ordered: nobody is left to compare with.
    let model = "[model]\nalgorithm = \"t_learner\"\n[uplift]\ntreatment = \"orders\"\n";
    shop.put("m", &spec("m", "uplift", SUM, model));
    let error = shop.project.train(&name("m"), &Job::unwatched()).unwrap_err().to_string();
    assert!(error.contains("needs a control group"), "{error}");
}

#[test]
fn lists_are_ranked() {
    let shop = Shop::open();
    let model = "[model]\nalgorithm = \"gradient_boosting\"\n[ranking]\ngroup = \"called\"\n";
    let report = shop.train("m", &spec("m", "ranking", COUNT, model));
    assert!(report.test.metric("lists").is_some());
}

#[test]
fn a_training_repeats_bit_for_bit_and_is_kept_as_a_run() {
    let shop = Shop::open();
    let model = "[model]\nalgorithm = \"gradient_boosting\"\nseed = 5\n";
    let first = shop.train("m", &spec("m", "classification", COUNT, model));
    let again = shop.train("m", &spec("m", "classification", COUNT, model));
    assert_eq!(first.hash, again.hash);
    let other = shop.train("m", &spec("m", "classification", COUNT, &model.replace('5', "6")));
    assert_ne!(first.hash, other.hash);
    let runs = shop.project.runs(&name("m")).unwrap();
    assert_eq!(runs.len(), 2);
    shop.project.use_run(&name("m"), &first.hash[..12]).unwrap();
    assert_eq!(shop.project.function(&name("m")).unwrap().hash(), first.hash);
    let error = shop.project.use_run(&name("m"), "none").unwrap_err().to_string();
    assert!(error.contains("fullcircle runs m"), "{error}");
}

#[test]
fn all_are_tried_and_ranked_and_the_best_is_kept() {
    let shop = Shop::open();
    shop.put("m", &spec("m", "classification", COUNT, "[model]\nalgorithm = \"naive_bayes\"\n"));
    let tried =
        shop.project.try_all(&name("m"), Duration::from_secs(300), &Job::unwatched()).unwrap();
    assert_eq!(tried.candidates.len(), 5);
    let values: Vec<f64> = tried.candidates.iter().filter_map(|tried| tried.value).collect();
    assert!(values.is_sorted(), "log-loss, least first: {values:?}");
    let best = tried.best.unwrap();
    assert_eq!(shop.project.function(&name("m")).unwrap().hash(), best.hash);
}

#[test]
fn parameters_are_looked_for_and_calibration_keeps_the_order() {
    let shop = Shop::open();
    let model = "[model]\nalgorithm = \"gradient_boosting\"\ncalibration = \"isotonic\"\n[search]\nbudget = \"5m\"\ntrials = 3\n";
    let report = shop.train("m", &spec("m", "classification", COUNT, model));
    assert!(report.test.metric("auc").unwrap() > 0.95);
    let run = &shop.project.runs(&name("m")).unwrap()[0];
    assert!(
        !run.spec.contains("[search]"),
        "a run has the parameters that were found: {}",
        run.spec
    );
    assert!(run.spec.contains("isotonic"));
}

#[test]
fn a_feature_that_knows_the_label_is_named() {
    let shop = Shop::open();
    // The label is over the past of the feature's window as well: orders tell it nearly alone.
    let label = "[label]\naggregation = \"count\"\nevents = [\"order\"]\nhorizon = \"1d\"\npositive = \"label >= 0\"\n";
    shop.put(
        "m",
        &spec("m", "classification", label, "[model]\nalgorithm = \"logistic_regression\"\n"),
    );
    let error = shop.project.train(&name("m"), &Job::unwatched()).unwrap_err().to_string();
    assert!(error.contains("are negative"), "{error}");
    let leaking =
        spec("m", "classification", COUNT, "[model]\nalgorithm = \"logistic_regression\"\n");
    let report = shop.train("m", &leaking);
    let warned = report.warnings.iter().any(|warning| warning.contains("nearly is the label"));
    assert!(warned, "{:?}", report.warnings);
}

#[test]
fn a_feature_of_ten_thousand_categories_is_learned_from() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    let mut csv = "customer,event,time,city,answer\n".to_owned();
    for n in 0..20_000_u32 {
        // Half of the cities buy; each is there twice.
        let city = n % 10_000;
        csv.push_str(&format!("c{n:05},visit,2024-01-01T00:00:00Z,city{city},\n"));
        if city % 2 == 0 {
            csv.push_str(&format!("c{n:05},buy,2024-01-20T00:00:00Z,,\n"));
        }
    }
    csv.push_str("end,visit,2024-06-01T00:00:00Z,city0,\n");
    let file = folder.path().join("events.csv");
    std::fs::write(&file, csv).unwrap();
    project.import(&[file], &Options::default(), &Job::unwatched()).unwrap();
    let view = "name = \"v\"\n\n[[features]]\nname = \"city\"\naggregation = \"last\"\nevents = [\"visit\"]\nproperty = \"city\"\n";
    std::fs::write(folder.path().join("views/v.toml"), view).unwrap();
    for algorithm in ["logistic_regression", "gradient_boosting", "naive_bayes"] {
        let text = format!(
            "name = \"m\"\nview = \"v\"\ntask = \"classification\"\n[spine]\nat = [\"2024-01-10\"]\n\
             [label]\naggregation = \"count\"\nevents = [\"buy\"]\nhorizon = \"30d\"\npositive = \"label > 0\"\n\
             [split]\nby = \"random\"\ntest = 0.3\n[model]\nalgorithm = \"{algorithm}\"\n"
        );
        std::fs::write(folder.path().join("models/m.toml"), text).unwrap();
        let report = project.train(&name("m"), &Job::unwatched()).unwrap();
        let auc = report.metrics["test"]["auc"];
        // A city that was seen says what it does; one in three test rows has one that was not.
        assert!(auc > 0.75, "{algorithm}: {auc}");
    }
}

#[test]
fn a_function_of_the_first_format_is_still_read() {
    let text = include_str!("format-1.json");
    let function = ScoringFunction::from_json(text).unwrap();
    assert_eq!(function.file().format, 1);
    assert_eq!(FunctionFile::from_json(text).unwrap().hash, function.hash());
}

#[test]
fn a_canceled_training_changes_nothing() {
    let shop = Shop::open();
    shop.put("m", &spec("m", "classification", COUNT, "[model]\nalgorithm = \"random_forest\"\n"));
    let job = Job::unwatched();
    job.cancel();
    let error = shop.project.train(&name("m"), &job).unwrap_err();
    assert_eq!(error.kind(), workspace::ErrorKind::Canceled);
    assert!(shop.project.functions().unwrap().is_empty());
}
