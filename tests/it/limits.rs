//! Limits of definitions and function files: what is within them works, one more is refused with a message, and
//! nothing small becomes large.

use kernel::domain::{Type, Value};
use kernel::features::{
    Catalog, MAX_CATEGORIES, MAX_LIST_VALUES, MAX_TEXT_COPIES, MOST_FEATURES, MOST_VALUES,
};
use kernel::features::{View, ViewDefinition};
use kernel::scoring::{
    Branch, FrozenModel, Link, MAX_NODES, MAX_OUTPUTS, MAX_TREE_DEPTH, Split, Trees,
};
use serde_json::json;

use crate::endpoint::function;
use crate::support::{Project, TestEndpoint, fullcircle_fails};

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.events.insert("order".to_owned());
    catalog.properties.insert("item".to_owned(), Type::Text);
    catalog
}

fn view(features: &str) -> Result<View, String> {
    let text = format!("name = \"v\"\n{features}");
    let definition: ViewDefinition = toml::from_str(&text).map_err(|error| error.to_string())?;
    View::check(&definition, &catalog()).map_err(|error| error.to_string())
}

fn last() -> String {
    "[[features]]\nname = \"f0\"\naggregation = \"last\"\nproperty = \"item\"\n".to_owned()
}

fn expression(name: usize, expression: &str) -> String {
    format!("[[features]]\nname = \"f{name}\"\nexpression = \"{expression}\"\n")
}

#[test]
fn texts_of_texts_are_refused_before_they_are_made() {
    let doubled = |n: usize| {
        (1..=n).fold(last(), |all, n| {
            let before = n - 1;
            all + &expression(n, &format!("concat(f{before}, f{before})"))
        })
    };
    let error = view(&doubled(40)).unwrap_err();
    assert!(
        error.contains("f11") && error.contains("2048 times") && error.contains("1024"),
        "{error}"
    );
    assert!(view(&doubled(10)).is_ok(), "1,024 copies");
    // Exactly the limit, one less and one more, by each way to make text grow.
    let of =
        |text: &str| view(&(doubled(9) + &expression(10, text) + &expression(11, "length(f10)")));
    let half = "concat(f9, f8, f7, f6, f5, f4, f3, f2, f1";
    assert_eq!(MAX_TEXT_COPIES, 1_024);
    for (text, fits) in [
        // 512 + 511 - 1, and one or two more.
        (format!("{half})"), true),
        (format!("{half}, f0, f0)"), true),
        (format!("{half}, f0, f0, f0)"), false),
        ("f9 || f9".to_owned(), true),
        ("f9 || f9 || f0".to_owned(), false),
        ("replace(f5, 'a', f5)".to_owned(), true),
        ("replace(f5, 'a', f6)".to_owned(), false),
        ("concat_ws(f9, f0, f0)".to_owned(), true),
        ("concat_ws(f9, f0, f0, f0)".to_owned(), false),
        ("CASE WHEN f0 = 'a' THEN f9 || f9 ELSE f9 END".to_owned(), true),
        ("upper(f9 || f9 || f9)".to_owned(), false),
        ("CAST(f9 || f9 || f9 AS VARCHAR)".to_owned(), false),
    ] {
        assert_eq!(of(&text).is_ok(), fits, "{text}: {:?}", of(&text).err());
    }
    // A number that is made of a long text is no text.
    assert!(view(&(doubled(10) + &expression(11, "length(concat(f10, f10))"))).is_ok());
}

#[test]
fn lists_categories_and_features_have_limits() {
    let list = |n: usize, k: usize| {
        format!(
            "[[features]]\nname = \"l{n}\"\naggregation = \"last_k\"\nproperty = \"item\"\nk = {k}\n"
        )
    };
    for (k, fits) in [(MOST_VALUES - 1, true), (MOST_VALUES, true), (MOST_VALUES + 1, false)] {
        assert_eq!(view(&list(0, k)).is_ok(), fits, "{k}");
    }
    let lists = |rest: usize| {
        let all: String =
            (0..MAX_LIST_VALUES / MOST_VALUES - 1).map(|n| list(n, MOST_VALUES)).collect();
        view(&(all + &list(100, rest) + &list(101, 1)))
    };
    assert!(lists(MOST_VALUES - 2).is_ok() && lists(MOST_VALUES - 1).is_ok());
    let error = lists(MOST_VALUES).unwrap_err();
    assert!(error.contains("l101") && error.contains("20000 values"), "{error}");
    let categories = |n: usize| {
        let names: Vec<String> = (0..n).map(|n| format!("\"{n}\"")).collect();
        view(&format!(
            "[[features]]\nname = \"c\"\naggregation = \"count_by\"\nby = \"item\"\ncategories = [{}]\n",
            names.join(", ")
        ))
    };
    for n in [MAX_CATEGORIES - 1, MAX_CATEGORIES] {
        assert!(categories(n).is_ok(), "{n}: {:?}", categories(n).err());
    }
    assert!(categories(MAX_CATEGORIES + 1).unwrap_err().contains("at most 500"));
    assert!(categories(200_000).unwrap_err().contains("there are 200000"));
    let features = |n: usize| (0..n).map(|n| expression(n, "1")).collect::<String>();
    for n in [MOST_FEATURES - 1, MOST_FEATURES] {
        assert!(view(&features(n)).is_ok(), "{n}");
    }
    assert!(view(&features(MOST_FEATURES + 1)).unwrap_err().contains("2000 features"));
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    for n in [100, 1_000, 4_000] {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(n), close.repeat(n));
        for text in [
            nested("(", ")"),
            nested("abs(", ")"),
            nested("NOT ", ""),
            nested("- ", ""),
            nested("CASE WHEN true THEN ", " END"),
            nested("1+", ""),
            nested("[", "]"),
            format!("1 IN {}1{}", "(".repeat(n), ")".repeat(n)),
            format!("abs(1) IN {}", "(1 IN ".repeat(n)),
            nested("CAST(", " AS DOUBLE)"),
            format!("1{}", "::DOUBLE".repeat(n)),
            format!("CAST(1 AS {}INT{})", "STRUCT(a ".repeat(n), ")".repeat(n)),
            format!("CAST(1 AS INT{})", "[]".repeat(n)),
        ] {
            // Either is right; it returns.
            let _either = view(&expression(0, &text));
        }
    }
    assert!(view(&format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000))).is_err());
    // Limits of what is written side by side.
    let sum = |tokens: usize| {
        view(&expression(0, &format!("n{}", " + 1".repeat((tokens - 1) / 2)))).unwrap_err()
    };
    for tokens in [1_999, 2_001] {
        let error = sum(tokens);
        assert_eq!(error.contains("more than 2000 words"), tokens > 2_000, "{error}");
    }
}

#[test]
fn a_definition_file_has_a_limit_of_bytes() {
    let project = Project::new();
    let csv = project.file("e.csv", "customer,event,time,item\na,order,2024-01-01T00:00:00Z,x\n");
    project.import(&csv, &warehouse::import::Options::default());
    let folder = project.folder.path().to_owned();
    drop(project.warehouse);
    std::fs::create_dir_all(folder.join("views")).unwrap();
    let size = usize::try_from(workspace::MAX_DEFINITION_BYTES).unwrap();
    let name: workspace::Name = "v".parse().unwrap();
    for (size, fits) in [(size - 1, true), (size, true), (size + 1, false)] {
        let text = "name = \"v\"\n".to_owned() + &last();
        let text = format!("{text}#{}", " ".repeat(size - text.len() - 1));
        std::fs::write(folder.join("views/v.toml"), text).unwrap();
        let project = workspace::Project::open(&folder).unwrap();
        let read = project.view(&name);
        assert_eq!(read.is_ok(), fits, "{size}: {:?}", read.err());
    }
    let error = fullcircle_fails(&["view", "--project", folder.to_str().unwrap(), "v"]);
    assert!(error.contains("at most 1048576 bytes"), "{error}");
}

fn leaf() -> Branch {
    Branch::Leaf { value: 1.0, cover: 1.0 }
}

fn split(children: (usize, usize)) -> Branch {
    let split = Split::Number { threshold: 0.5 };
    Branch::Split { column: 0, split, missing_left: true, cover: 1.0, children }
}

/// A tree whose only path goes that deep.
fn chain(depth: usize) -> Vec<Branch> {
    let mut branches = Vec::new();
    for n in 0..depth {
        branches.push(split((2 * n + 1, 2 * n + 2)));
        branches.push(leaf());
    }
    branches.push(leaf());
    branches
}

#[test]
fn trees_have_limits_of_nodes_depth_and_outputs() {
    let trees = || Trees::new(1, vec![0.0], Link::Identity, Vec::new());
    for (depth, fits) in
        [(MAX_TREE_DEPTH - 1, true), (MAX_TREE_DEPTH, true), (MAX_TREE_DEPTH + 1, false)]
    {
        let mut deep = trees();
        let pushed = deep.push(&chain(depth));
        assert_eq!(pushed.is_ok(), fits, "{depth}: {pushed:?}");
        if fits {
            deep.check().unwrap();
            assert!(deep.contributions(0, &[1.0]).iter().all(|x| x.is_finite()));
        }
    }
    let mut many = trees();
    for _ in 0..MAX_NODES {
        many.push(&[leaf()]).unwrap();
    }
    many.check().unwrap();
    assert!(many.push(&[leaf()]).unwrap_err().contains("more than 2097152 nodes"));
    for (n, fits) in [(MAX_OUTPUTS - 1, true), (MAX_OUTPUTS, true), (MAX_OUTPUTS + 1, false)] {
        let classes = (0..n).map(|n| n.to_string()).collect();
        assert_eq!(
            Trees::new(1, vec![0.0; n], Link::Softmax, classes).check().is_ok(),
            fits,
            "{n}"
        );
    }
    for (branches, said) in [
        (vec![split((1, 1)), leaf()], "two parents"),
        (vec![split((1, 2)), split((0, 2)), leaf()], "reached twice"),
        (vec![split((1, 2)), leaf(), leaf(), leaf()], "cannot be reached"),
        (vec![split((1, 9)), leaf()], "no node"),
        (Vec::new(), "no node"),
    ] {
        let error = trees().push(&branches).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

/// The trees of a function file whose splits share their children: 2^n paths in n nodes.
#[test]
fn a_function_file_with_a_graph_for_a_tree_is_refused_by_the_endpoint() {
    let n = 60_u32;
    let nodes = |of: &dyn Fn(u32) -> serde_json::Value| (0..=n + 1).map(of).collect::<Vec<_>>();
    let model = json!({
        "algorithm": "trees", "width": 1, "link": "identity", "base": [0.0], "roots": [0],
        "kinds": nodes(&|at| json!(u8::from(at < n))),
        "columns": nodes(&|_| json!(0)),
        "values": nodes(&|_| json!(0.5)),
        "children": nodes(&|at| json!(if at < n { at + 1 } else { at })),
        "covers": nodes(&|_| json!(1.0)),
    });
    let error = serde_json::from_value::<FrozenModel>(model.clone()).unwrap_err().to_string();
    assert!(error.contains("two parents"), "{error}");
    let endpoint = TestEndpoint::new();
    let mut file: serde_json::Value = serde_json::from_str(&function(1.0)).unwrap();
    file["model"] = model;
    let answer = endpoint.post(&endpoint.keys.admin, "/v1/functions", file.to_string().as_bytes());
    assert_eq!(answer.status, 400, "{answer:?}");
    // Models of models, as deep as JSON can be.
    let mut deep = json!({ "algorithm": "linear_regression", "intercept": 0.0, "weights": [] });
    for _ in 0..2_000 {
        deep = json!({ "algorithm": "uplift", "treated": deep, "control": null });
    }
    file["model"] = deep;
    let answer = endpoint.post(&endpoint.keys.admin, "/v1/functions", file.to_string().as_bytes());
    assert_eq!(answer.status, 400, "{answer:?}");
}

/// Texts of one row that grow together are null beyond a limit, in a view as at the endpoint.
#[test]
fn the_texts_of_one_row_have_a_limit() {
    let features: String = (1..40).map(|n| expression(n, "concat(f0, 'x')")).collect();
    let view = view(&(last() + &features)).unwrap();
    let event = |text: &str| kernel::domain::Event {
        message_id: "1".to_owned(),
        customer_id: "c".to_owned(),
        anonymous_id: None,
        seq: 0,
        event: "order".to_owned(),
        event_time: kernel::domain::Time(1),
        received_at: kernel::domain::Time(1),
        properties: [("item".to_owned(), Value::text(text))].into_iter().collect(),
    };
    let long = "a".repeat(60 * 1_024);
    let mut live = kernel::features::LiveTimeline::new(&view, &[event(&long)]);
    let mut values = Vec::new();
    live.values(&view, kernel::features::AsOf::at(kernel::domain::Time(9)), &[], &mut values);
    let bytes = |value: &Value| match value {
        Value::Text(text) => text.len(),
        _ => 0,
    };
    // The first is the property itself; 17 more fit a mebibyte.
    assert_eq!(values.iter().filter(|value| bytes(value) > 0).count(), 18);
}
