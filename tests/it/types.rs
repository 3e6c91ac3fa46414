//! The types of properties: facts of a project that no value changes, in files, live and pulled.

use kernel::domain::{Event, IDENTIFY, Job, Properties, PropertyType, Time, Type, Value};
use warehouse::import::Options;
use warehouse::{Pulled, Warehouse};

use crate::support::Project;

const HEAD: &str = "customer,event,time,amount\n";

fn typed(column: &str, type_: Type) -> Options {
    Options { types: [(column.to_owned(), type_)].into(), ..Options::default() }
}

fn event(id: &str, name: &str, seq: u64, properties: &[(&str, Value)]) -> Event {
    Event {
        message_id: id.to_owned(),
        customer_id: "c".to_owned(),
        anonymous_id: None,
        event: name.to_owned(),
        event_time: Time(1_700_000_000_000_000),
        received_at: Time(1_700_000_000_000_000),
        seq: (1 << 40) + seq,
        properties: properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
    }
}

impl Project {
    fn pull(&self, events: &[Event]) -> Pulled {
        let next = events.last().map_or(0, |event| event.seq + 1);
        self.warehouse.add_live("endpoint", events, &[], next, &Job::unwatched()).unwrap()
    }

    fn misfits(&self) -> Vec<Vec<String>> {
        self.query("SELECT property, original, reason FROM misfits ORDER BY ALL")
    }

    fn type_of(&self, property: &str) -> Option<Type> {
        self.warehouse.catalog().unwrap().properties.get(property).copied()
    }

    fn retype(&self, property: &str, type_: Type) -> (u64, u64) {
        let done = self.warehouse.retype(property, type_, false, &Job::unwatched()).unwrap();
        (done.values, done.misfits)
    }

    /// The same project without its warehouse, which is a cache.
    fn without_warehouse(mut self) -> Self {
        let folder = self.folder;
        drop(self.warehouse);
        std::fs::remove_file(folder.path().join("warehouse.duckdb")).unwrap();
        self.warehouse = Warehouse::open(folder.path()).unwrap();
        self.folder = folder;
        self
    }
}

#[test]
fn a_value_of_a_file_that_does_not_fit_is_a_misfit() {
    let project = Project::new();
    let first = project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1.5\n"));
    project.import(&first, &Options::default());
    let rows = "b,buy,2024-01-02,zz\nb,buy,2024-01-03,n/a\nb,buy,2024-01-04, 7 \nb,buy,2024-01-05,12345678901234567890\n";
    let second = project.file("b.csv", format!("{HEAD}{rows}"));
    let report = project.import(&second, &Options::default());
    assert_eq!((report.accepted, report.rejected, report.misfits), (4, 0, 2));
    assert_eq!(project.type_of("amount"), Some(Type::Number));
    assert_eq!(project.query("SELECT sum(amount), count(amount) FROM events"), [["8.5", "2"]]);
    let expected = [
        ["amount", "12345678901234567890", "more digits than a number keeps"],
        ["amount", "zz", "not a number"],
    ];
    assert_eq!(project.misfits(), expected);
    let of_rows =
        "SELECT count(*) FROM misfits JOIN events USING (message_id) WHERE customer_id = 'b'";
    assert_eq!(project.query(of_rows), [["2"]]);
    let again = project.import(&second, &Options::default());
    assert_eq!((again.duplicate, again.misfits), (4, 0));
    assert_eq!(project.misfits().len(), 2, "a row that is there already adds none");
}

#[test]
fn a_live_value_that_does_not_fit_is_a_misfit() {
    let project = Project::new();
    project.import(
        &project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1.5\n")),
        &Options::default(),
    );
    let live = [
        event("m1", "buy", 1, &[("amount", Value::text("5.50"))]),
        event("m2", "buy", 2, &[("AMOUNT", Value::text("lots"))]),
        event("m3", "buy", 3, &[("amount", Value::Boolean(true)), ("plan", Value::Null)]),
        event("m4", "buy", 4, &[("amount", Value::text("9007199254740993"))]),
        event("m5", "buy", 5, &[("amount", Value::text("N/A")), ("size", Value::text("42"))]),
    ];
    let pulled = project.pull(&live);
    assert_eq!((pulled.accepted, pulled.misfits), (5, 3));
    assert_eq!(project.type_of("amount"), Some(Type::Number));
    assert_eq!(project.query("SELECT amount FROM events WHERE message_id = 'm1'"), [["5.5"]]);
    let expected = [
        ["amount", "9007199254740993", "more digits than a number keeps"],
        ["amount", "lots", "not a number"],
        ["amount", "true", "not a number"],
    ];
    assert_eq!(project.misfits(), expected);
    assert_eq!(project.pull(&live).misfits, 0, "what is there already adds none");
    assert_eq!(project.warehouse.n_misfits().unwrap(), 3);
    // New properties have the type that their values would have in a file, and none while they are null.
    assert_eq!((project.type_of("size"), project.type_of("plan")), (Some(Type::Number), None));
    project.pull(&[event("m6", "buy", 6, &[("plan", Value::text("pro"))])]);
    assert_eq!(project.type_of("plan"), Some(Type::Text));
}

#[test]
fn a_type_changes_on_purpose_in_both_directions() {
    let project = Project::new();
    let file = project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,5.50\na,buy,2024-01-02,2\n"));
    project.import(&file, &Options::default());
    project.pull(&[
        event("m1", "buy", 1, &[("amount", Value::text("007"))]),
        event("m2", "buy", 2, &[("amount", Value::text("lots"))]),
        event("m3", "buy", 3, &[("amount", Value::Number(2.5))]),
        event("m4", "buy", 4, &[]),
    ]);
    let amounts = || project.query("SELECT CAST(amount AS VARCHAR) FROM events ORDER BY seq");
    let state = project.warehouse.state().unwrap();
    assert_eq!(project.retype("Amount", Type::Text), (5, 0));
    assert_ne!(project.warehouse.state().unwrap(), state, "what was computed is computed again");
    // Live values are as they came, and so are misfits; numbers of files are as numbers are written.
    assert_eq!(amounts(), [["5.5"], ["2"], ["007"], ["lots"], ["2.5"], [""]]);
    assert_eq!(project.misfits(), [[""; 3]; 0]);
    assert_eq!(project.retype("amount", Type::Number), (4, 1));
    assert_eq!(amounts(), [["5.5"], ["2.0"], ["7.0"], [""], ["2.5"], [""]]);
    assert_eq!(project.misfits(), [["amount", "lots", "not a number"]]);
    assert_eq!(project.retype("amount", Type::Boolean), (0, 5));
    assert_eq!(project.retype("amount", Type::Time), (0, 5));
    assert_eq!(project.retype("amount", Type::Text), (5, 0));
    assert_eq!(amounts(), [["5.5"], ["2"], ["007"], ["lots"], ["2.5"], [""]]);
    let said = project.warehouse.retype("amuont", Type::Text, false, &Job::unwatched());
    let said = said.unwrap_err().to_string();
    assert!(said.contains("there is no property 'amuont'") && said.contains("amount"), "{said}");
    // What comes next has the new type.
    project.pull(&[event("m5", "buy", 5, &[("amount", Value::Number(8.0))])]);
    assert_eq!(project.query("SELECT amount FROM events WHERE message_id = 'm5'"), [["8"]]);
}

#[test]
fn types_outlive_the_warehouse() {
    let project = Project::new();
    let file = project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1\n"));
    project.import(&file, &Options::default());
    project.retype("amount", Type::Text);
    let project = project.without_warehouse();
    assert_eq!(project.type_of("amount"), None, "there are no values");
    project.import(&file, &Options::default());
    assert_eq!(project.type_of("amount"), Some(Type::Text));
    // The text of the project is what counts, whoever writes it.
    let types = project.folder.path().join("types.toml");
    let text = std::fs::read_to_string(&types).unwrap();
    assert!(text.contains("amount = \"text\""), "{text}");
    let folder = project.folder;
    drop(project.warehouse);
    std::fs::write(&types, text.replace("\"text\"", "\"number\"")).unwrap();
    let warehouse = Warehouse::open(folder.path()).unwrap();
    let sum = warehouse.query("SELECT sum(amount) FROM events", 1, &Job::unwatched()).unwrap();
    assert_eq!(sum.rows[0][0], Value::Number(1.0));
    drop(warehouse);
    std::fs::write(&types, "[properties]\namount = \"money\"\n").unwrap();
    let said = Warehouse::open(folder.path()).unwrap_err().to_string();
    assert!(said.contains("types.toml") && said.contains("rounded_number"), "{said}");
}

#[test]
fn a_failed_import_gives_no_type() {
    let project = Project::new();
    let file = project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1\n"));
    let canceled = Job::unwatched();
    canceled.cancel();
    project.warehouse.import(&[file], &Options::default(), &canceled).unwrap_err();
    assert!(project.warehouse.types().properties.is_empty());
}

#[test]
fn numbers_keep_every_digit_or_are_text() {
    let project = Project::new();
    let line = |order: &str, amount: &str, price: &str| {
        format!(
            "{{\"user_id\":\"a\",\"event\":\"buy\",\"time\":\"2024-01-01\",\"order\":{order},\"amount\":{amount},\"price\":{price}}}\n"
        )
    };
    let big = "12345678901234567.89";
    let lines = line("9007199254740992", "1", big) + &line("9007199254740993", "2.5", "1");
    let file = project.file("a.ndjson", lines);
    let report = project.import(&file, &Options::default());
    assert_eq!((report.accepted, report.misfits), (2, 0));
    assert_eq!(
        project.query("SELECT \"order\", price, typeof(amount) FROM events ORDER BY 1"),
        [["9007199254740992", big, "DOUBLE"], ["9007199254740993", "1", "DOUBLE"]]
    );
    // The same live, where no file was: and a whole number that fits is a number.
    let live = Project::new();
    let properties = |json: &str| kernel::domain::properties_of_json(json).unwrap();
    let order = |id: &str, seq, json: &str| Event {
        properties: properties(json),
        ..event(id, "buy", seq, &[])
    };
    live.pull(&[
        order("m1", 1, r#"{"order": 9007199254740992, "n": 7, "d": 0.1000000000000000000001}"#),
        order("m2", 2, r#"{"order": 9007199254740993, "n": 8.5, "d": 1}"#),
    ]);
    assert_eq!(
        live.query("SELECT \"order\", d, typeof(n) FROM events ORDER BY 1"),
        [
            ["9007199254740992", "0.1000000000000000000001", "DOUBLE"],
            ["9007199254740993", "1", "DOUBLE"]
        ]
    );
    // A person may choose numbers, which are rounded then: in files, live and pulled.
    let chosen = Project::new();
    let report = chosen.import(&file, &typed("order", Type::Number));
    assert_eq!(report.misfits, 0);
    assert_eq!(chosen.warehouse.types().properties["order"], PropertyType::RoundedNumber);
    chosen.pull(&[order("m3", 3, r#"{"order": 9007199254740993}"#)]);
    assert_eq!(chosen.query("SELECT count(\"order\") FROM events"), [["3"]]);
    assert_eq!(chosen.retype("order", Type::Text), (3, 0));
    let live = "SELECT \"order\" FROM events WHERE message_id = 'm3'";
    assert_eq!(chosen.query(live), [["9007199254740993"]]);
}

#[test]
fn half_a_surrogate_pair_spoils_only_itself() {
    let project = Project::new();
    let lines = r#"{"user_id":"u1","event":"x","time":"2024-01-01","comment":"cut \ud83d","n":1}
{"user_id":"u2","event":"x","time":"2024-01-01","deep":{"half \ude00":"y","z":2},"list":["\ud83d"]}
"#;
    let report = project.import(&project.file("a.ndjson", lines), &Options::default());
    assert_eq!((report.accepted, report.rejected), (2, 0));
    assert_eq!(
        project.query("SELECT comment, n, \"deep.half \u{fffd}\", \"deep.z\", list FROM events ORDER BY customer_id"),
        [["cut \u{fffd}", "1", "", "", ""], ["", "", "y", "2", "[\"\\ufffd\"]"]]
    );
}

#[test]
fn parquet_files_have_one_schema_over_all_of_them() {
    let source = Project::new();
    let file = |name: &str, columns: &str| {
        let path = source.folder.path().join(name);
        let sql = format!(
            "SELECT 'c' AS customer, 'buy' AS event, TIMESTAMP '2024-01-01' AS time, {columns}"
        );
        source.warehouse.export(&sql, &path, &Job::unwatched()).unwrap();
        path
    };
    let first = file(
        "1.parquet",
        "10::BIGINT AS amount, 1::INTEGER AS code, true AS flag, 5::BIGINT AS big, 7.5::DECIMAL(38,4) AS price,
         DATE '2024-02-01' AS due, 'x' AS only_first",
    );
    let second = file(
        "2.parquet",
        "12.49::DOUBLE AS Amount, 'A7' AS code, 'no' AS flag, 9007199254740993::BIGINT AS big, 2.25::DOUBLE AS price,
         '2024-03-01' AS due, [1, 2] AS only_second",
    );
    let rows = |files: [&std::path::PathBuf; 2]| {
        let project = Project::new();
        let files = files.map(Clone::clone);
        let report =
            project.warehouse.import(&files, &Options::default(), &Job::unwatched()).unwrap();
        assert_eq!((report.accepted, report.rejected, report.misfits), (2, 0, 0));
        project.query(
            "SELECT amount, typeof(amount), code, flag, big, price, typeof(price), due, typeof(due), only_first,
                only_second
             FROM events ORDER BY amount",
        )
    };
    let expected = [
        [
            "10",
            "DOUBLE",
            "1",
            "true",
            "5",
            "7.5",
            "DOUBLE",
            "2024-02-01T00:00:00Z",
            "TIMESTAMP",
            "x",
            "",
        ],
        [
            "12.49",
            "DOUBLE",
            "A7",
            "no",
            "9007199254740993",
            "2.25",
            "DOUBLE",
            "2024-03-01T00:00:00Z",
            "TIMESTAMP",
            "",
            "[1,2]",
        ],
    ];
    assert_eq!(rows([&first, &second]), expected);
    assert_eq!(rows([&second, &first]), expected);
}

#[test]
fn parquet_keeps_digits_and_text_in_bytes() {
    let project = Project::new();
    let path = project.folder.path().join("ids.parquet");
    let sql = "SELECT CAST(id AS DECIMAL(38,0)) AS customer, 'buy' AS event, TIMESTAMP '2024-01-01' AS time,
            encode(name) AS name, '\\xFF\\x00'::BLOB AS raw, CAST(id AS DECIMAL(20,3)) AS exact,
            1.000000000000000001::DECIMAL(38,18) AS wei, 19.90::DECIMAL(18,2) AS price
        FROM (VALUES (9007199254740992, 'é'), (9007199254740993, 'ü')) t(id, name)";
    project.warehouse.export(sql, &path, &Job::unwatched()).unwrap();
    project.import(&path, &Options::default());
    assert_eq!(
        project.query("SELECT customer_id, name, raw, exact, wei, price FROM events ORDER BY 1"),
        [
            [
                "9007199254740992",
                "é",
                "\\xFF\\x00",
                "9007199254740992",
                "1.000000000000000001",
                "19.9"
            ],
            [
                "9007199254740993",
                "ü",
                "\\xFF\\x00",
                "9007199254740993",
                "1.000000000000000001",
                "19.9"
            ],
        ]
    );
}

#[test]
fn a_trait_has_a_type_too() {
    let project = Project::new();
    let traits = Options { traits: true, ..Options::default() };
    let file = |name: &str, age: &str| {
        project.file(name, format!("customer,time,age\na,2024-01-01,{age}\n"))
    };
    project.import(&file("a.csv", "31"), &traits);
    let report = project.import(&file("b.csv", "old"), &traits);
    assert_eq!((report.accepted, report.misfits), (1, 1));
    let identify = |id: &str, seq, age: Value| event(id, IDENTIFY, seq, &[("age", age)]);
    let pulled = project
        .pull(&[identify("m1", 1, Value::text("unknown")), identify("m2", 2, Value::text("44"))]);
    assert_eq!((pulled.accepted, pulled.misfits), (2, 1));
    let type_of = || project.warehouse.catalog().unwrap().traits["age"];
    assert_eq!(type_of(), Type::Number);
    let expected = [["age", "old", "not a number"], ["age", "unknown", "not a number"]];
    assert_eq!(project.misfits(), expected);
    let retyped = project.warehouse.retype("age", Type::Text, true, &Job::unwatched()).unwrap();
    assert_eq!((retyped.values, retyped.misfits, type_of()), (4, 0, Type::Text));
    let retyped = project.warehouse.retype("age", Type::Number, true, &Job::unwatched()).unwrap();
    assert_eq!((retyped.values, retyped.misfits, type_of()), (2, 2, Type::Number));
    assert_eq!(project.misfits(), expected);
}

#[test]
fn misfits_of_a_customer_are_erased_with_them() {
    let project = Project::new();
    project
        .import(&project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1\n")), &Options::default());
    project.import(
        &project.file("b.csv", format!("{HEAD}a,buy,2024-01-02,one\nb,buy,2024-01-02,two\n")),
        &Options::default(),
    );
    project.pull(&[
        event("m1", "buy", 1, &[("amount", Value::text("three"))]),
        event("m2", IDENTIFY, 2, &[("age", Value::Number(1.0))]),
    ]);
    project.pull(&[event("m3", IDENTIFY, 3, &[("age", Value::text("four"))])]);
    assert_eq!(project.misfits().len(), 3 + 1);
    project.warehouse.erase("a", &Job::unwatched()).unwrap();
    project.warehouse.erase("c", &Job::unwatched()).unwrap();
    assert_eq!(project.query("SELECT original FROM stored_originals"), [["two"]]);
}

#[test]
fn properties_of_one_event_are_read_by_one_rule() {
    let types = kernel::domain::PropertyTypes {
        properties: [("amount".to_owned(), PropertyType::Number)].into(),
        ..Default::default()
    };
    let values = ["5.50", "007", "lots", "n/a", "9007199254740993", "1e400", "inf", " 7 ", "-0"]
        .map(Value::text);
    for (n, value) in
        values.into_iter().chain([Value::Boolean(true), Value::Number(0.1)]).enumerate()
    {
        let project = Project::new();
        project.import(
            &project.file("a.csv", format!("{HEAD}a,buy,2024-01-01,1\n")),
            &Options::default(),
        );
        let event = event("m1", "buy", n as u64, &[("amount", value.clone())]);
        let read: Properties = types.read(&event);
        project.pull(&[event]);
        let csv = format!("{HEAD}f,buy,2024-01-02,\"{value}\"\n");
        project.import(&project.file("b.csv", csv), &Options::default());
        let kept = project.warehouse.query(
            "SELECT amount FROM events WHERE customer_id <> 'a' ORDER BY customer_id",
            9,
            &Job::unwatched(),
        );
        let kept = kept.unwrap().rows;
        assert_eq!([&kept[0][0], &kept[1][0]], [&read["amount"]; 2], "{value:?}");
    }
}

#[test]
fn live_scores_read_values_as_the_warehouse_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let events = folder.path().join("shop.ndjson");
    let project = workspace::Project::open(&path).unwrap();
    workspace::generate(300, 9_000, 3, workspace::ExportFormat::Ndjson, &events).unwrap();
    let job = Job::unwatched();
    project.import(&[events], &Options::default(), &job).unwrap();
    let traits = Options { traits: true, ..Options::default() };
    project.import(&[folder.path().join("shop-customers.ndjson")], &traits, &job).unwrap();
    // History has misfits too: they are values under another type.
    let misfit = "{\"user_id\":\"C000001\",\"event\":\"order_completed\",\"time\":\"2026-06-01\",\"amount\":\"seven\"}\n";
    let more = folder.path().join("more.ndjson");
    std::fs::write(&more, misfit).unwrap();
    assert_eq!(project.import(&[more], &Options::default(), &job).unwrap().misfits, 1);
    for (kind, name) in [("views", "shopper"), ("models", "repurchase")] {
        let from = crate::support::sample(&format!("shop/{kind}/{name}.toml"));
        std::fs::copy(from, path.join(kind).join(format!("{name}.toml"))).unwrap();
    }
    let name = "repurchase".parse().unwrap();
    project.train(&name, &job).unwrap();
    let endpoint = crate::support::TestEndpoint::new();
    let client = project.client(&endpoint.url, Some(endpoint.keys.admin.clone())).unwrap();
    project.publish(&client, &job).unwrap();
    project.deploy(&name, &client, &name, workspace::Rollout::Champion).unwrap();
    let send = || {
        for (n, amount) in ["\"5.50\"", "\"lots\"", "9007199254740993", "\"n/a\"", "true", "12.5"]
            .iter()
            .enumerate()
        {
            let properties = serde_json::from_str(&format!("{{\"amount\":{amount}}}")).unwrap();
            endpoint.track(&format!("C00000{}", n + 1), "order_completed", &properties);
        }
    };
    let verified = || {
        project.pull(&client, &job).unwrap();
        let verified = project.verify(&client, &name, 300, &job).unwrap();
        (verified.compared, verified.different)
    };
    send();
    assert_eq!(verified(), (300, 0));
    assert_eq!(project.summary().unwrap().misfits, 4);
    for type_ in [Type::Text, Type::Time, Type::Number] {
        project.retype("amount", type_, false, &job).unwrap();
        project.publish(&client, &job).unwrap();
        assert_eq!(verified(), (300, 0), "{type_}");
        send();
        assert_eq!(verified(), (300, 0), "{type_}");
    }
    let types = endpoint.get(&endpoint.keys.admin, "/v1/types").body;
    assert_eq!(types["properties"]["amount"], "rounded_number");
    for key in [&endpoint.keys.write, &endpoint.keys.score] {
        let body = br#"{"properties": {"amount": "text"}}"#;
        assert!([401, 403].contains(&endpoint.post(key, "/v1/types", body).status));
    }
}

#[test]
fn csv_files_can_be_without_formulas() {
    let project = Project::new();
    let out = project.folder.path().join("out.csv");
    let sql = "SELECT * FROM (VALUES ('=1+1', -5, '-7'), ('@x', 2.5, 'a=b'), (chr(9) || 'y', NULL, 'z'), ('b', 0, NULL))
        AS t(\"=evil\", n, n2) ORDER BY n NULLS LAST";
    project.warehouse.export_without_formulas(sql, &out, &Job::unwatched()).unwrap();
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        "'=evil,n,n2\n'=1+1,-5.0,'-7\nb,0.0,\n'@x,2.5,a=b\n'\ty,,z\n"
    );
    project.warehouse.export(sql, &out, &Job::unwatched()).unwrap();
    assert!(std::fs::read_to_string(&out).unwrap().contains("\n=1+1,"), "unless it is asked for");
    let parquet = out.with_extension("parquet");
    let refused = project.warehouse.export_without_formulas(sql, &parquet, &Job::unwatched());
    assert!(refused.unwrap_err().to_string().contains("in .csv files only"));
}
