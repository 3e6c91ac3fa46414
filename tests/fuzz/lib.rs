//! Fuzz targets: each takes bytes from outside and reads them as the product does. It returns, whatever the bytes are;
//! a panic, a hang or an abort is a fault. `.ci/fuzz` runs them under libFuzzer; the tests run the kept corpus and
//! mutations of it.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::LazyLock;

use endpoint::online::log::{Frame, Log};
use kernel::domain::{Cell, Event, Time, Type, Value};
use kernel::experiments::ExperimentDefinition;
use kernel::expression::Expression;
use kernel::features::{AsOf, Bound, Catalog, Timelines, View, ViewDefinition};
use kernel::monitoring::RuleDefinition;
use kernel::scoring::{FunctionFile, ScoringFunction};
use models::exchange::Imported;

/// Segments of the log are that small, so that a few records fill several.
const SEGMENT_BYTES: u64 = 256;

/// A target: its name, which is that of its corpus, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("configuration", configuration),
    ("expressions", expressions),
    ("frames", frames),
    ("functions", functions),
    ("lightgbm", lightgbm),
    ("onnx", onnx),
    ("segment_calls", segment_calls),
    ("timelines", timelines),
];

/// Definitions as a project has them: views, models, rules and experiments.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _rule = RuleDefinition::from_toml(text);
    let _experiment = ExperimentDefinition::from_toml(text);
    if let Ok(spec) = models::ModelSpec::from_toml(text) {
        let again = models::ModelSpec::from_toml(&spec.to_toml().expect("a spec is written"));
        assert_eq!(again.expect("what is written is read"), spec);
    }
    let Ok(definition) = toml::from_str::<ViewDefinition>(text) else { return };
    let mut catalog = Catalog::default();
    for name in ["order", "view", "cart"] {
        catalog.events.insert(name.to_owned());
    }
    for (name, type_) in [
        ("amount", Type::Number),
        ("item", Type::Text),
        ("paid", Type::Boolean),
        ("due", Type::Time),
    ] {
        catalog.properties.insert(name.to_owned(), type_);
        catalog.traits.insert(name.to_owned(), type_);
    }
    let Ok(view) = View::check(&definition, &catalog) else { return };
    let none: [Event; 0] = [];
    let timelines = Timelines::of_events(view.reads(), &none);
    let _row = Bound::new(&view, &timelines).row(0, AsOf::at(Time(9)), &[]);
}

/// Expressions: parsed, checked, evaluated and printed as SQL.
pub fn expressions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let columns = BTreeMap::from([
        ("n".to_owned(), Type::Number),
        ("t".to_owned(), Type::Text),
        ("b".to_owned(), Type::Boolean),
        ("at".to_owned(), Type::Time),
    ]);
    let Ok(expression) = Expression::compile(text, &columns) else { return };
    let _sql = expression.to_sql(&|_| "c".to_owned());
    let _copies = expression.text_copies(&|_| 1);
    for (number, text, time) in [
        (Cell::Number(1.5), Cell::Text("a b"), Cell::Time(Time(1_700_000_000_000_000))),
        (Cell::Number(-1e300), Cell::Text(""), Cell::Time(Time(i64::MAX))),
        (Cell::Number(9.1e18), Cell::Text("éß\u{1F600}%_"), Cell::Time(Time(i64::MIN + 1))),
        (Cell::Null, Cell::Null, Cell::Null),
    ] {
        let value = expression.evaluate(&|at| match expression.columns()[at].1 {
            Type::Number => number,
            Type::Text => text,
            Type::Time => time,
            _ => Cell::Boolean(true),
        });
        if let Value::Text(text) = value {
            assert!(text.len() <= 64 * 1024, "a text is bounded");
        }
    }
}

/// The event log: its files changed byte by byte, opened, and read to the end.
pub fn frames(input: &[u8]) {
    let Some((choice, edits)) = input.split_first() else { return };
    let folder = folder();
    for (at, (name, content)) in LOG.iter().enumerate() {
        let mut content = content.clone();
        if usize::from(choice % 64) % LOG.len() == at {
            match choice / 64 {
                // Another content altogether, or a cut, or bytes that are changed.
                0 => content = edits.to_vec(),
                1 => content.truncate(edits.first().map_or(0, |n| usize::from(*n) * 4)),
                _ => {
                    for edit in edits.as_chunks::<3>().0 {
                        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
                        if let Some(byte) = content.get_mut(place) {
                            *byte ^= edit[2];
                        }
                    }
                }
            }
        }
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    let Ok(log) = Log::open_in(folder.path(), SEGMENT_BYTES) else { return };
    let _end = log.read(0, |_, _| true);
}

/// Function files as the endpoint takes them, with the right hash: checked, scored and explained.
pub fn functions(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<FunctionFile>(bytes) else { return };
    let Ok(file) = file.sealed() else { return };
    let Ok(text) = file.to_json() else { return };
    let Ok(function) = ScoringFunction::from_json(&text) else { return };
    let text = function.file().to_json().expect("a function that was read");
    // What is written is read, and is the same.
    let again = ScoringFunction::from_json(&text).expect("a function that was written");
    assert_eq!(again.hash(), function.hash());
    if function.encode(&[]).len() > 10_000 {
        return;
    }
    let features = function.view().features();
    for at in 0..4 {
        let value = |type_| match (at, type_) {
            (0, _) => Value::Null,
            (1, Type::Number) => Value::Number(0.0),
            (2, Type::Number) => Value::Number(-1e12),
            (_, Type::Number) => Value::Number(f64::MAX),
            (_, Type::Text) => Value::text("a"),
            (_, Type::Boolean) => Value::Boolean(true),
            (_, Type::Time) => Value::Time(Time(at * 86_400_000_000)),
            (_, Type::List(_)) => Value::List(vec![Value::text("a"), Value::Number(1.0)].into()),
            (_, Type::Counts(_)) => Value::Counts(vec![(Value::text("a"), 3)].into()),
        };
        let values: Vec<Value> = features.iter().map(|feature| value(feature.type_)).collect();
        let _score = function.score_features(&values);
        let _detail = function.detail(&values);
        let _reasons = function.reasons(&values);
        let _items = function.recommend(&values, &kernel::scoring::Wish::default());
    }
}

/// Models as `LightGBM` saves them. The first line is left out of the bytes: it alone tells them from ONNX.
pub fn lightgbm(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = format!("tree\n{text}");
    let Ok(imported) = models::exchange::import(text.as_bytes()) else { return };
    assert_eq!(imported.names.len(), imported.encodings.len());
    score(&imported);
    let reversed: Vec<&str> = imported.names.iter().rev().map(String::as_str).collect();
    let _matched = imported.clone().matched(&reversed);
}

/// Models as ONNX files.
pub fn onnx(bytes: &[u8]) {
    let Ok(imported) = models::exchange::import(bytes) else { return };
    score(&imported);
    // What is exported is read back.
    if let Ok(bytes) = models::exchange::to_onnx(&imported.model) {
        let _back = models::exchange::import(&bytes).expect("a file that was written");
    }
}

/// One call of a client as the Segment API has it.
pub fn segment_calls(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for type_ in [None, Some("identify"), Some("alias"), Some("group"), Some("page")] {
        let now = Time(1_700_000_000_000_000);
        let _incoming = endpoint::serving::read_call(text, type_, Some(now), now);
    }
}

/// The cache of timelines beside the warehouse.
pub fn timelines(input: &[u8]) {
    let Some((choice, edits)) = input.split_first() else { return };
    let mut bytes = if choice % 2 == 0 { edits.to_vec() } else { CACHE.clone() };
    if choice % 2 == 1 {
        for edit in edits.as_chunks::<3>().0 {
            let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= edit[2];
            }
        }
    }
    let Ok(timelines) = Timelines::read_from(&mut Cursor::new(&bytes), |name| name != "item")
    else {
        return;
    };
    // Every row of every customer can be read.
    for customer in 0..timelines.customers().len() {
        let _seen = timelines.first_seen(customer);
        for row in timelines.rows(customer) {
            let name = timelines.events()[row] as usize;
            let _event =
                (&timelines.names()[name], timelines.times()[row], timelines.received_at(row));
            for name in ["amount", "paid"] {
                let _value = timelines.property(name).map(|column| column.value(row));
            }
        }
    }
    let mut again = Vec::new();
    timelines.write_to(&mut again).expect("a file in memory");
    let _read = Timelines::read_from(&mut Cursor::new(&again), |_| true).expect("what was written");
}

/// A log as it is written, by names and contents of its files.
fn written() -> Vec<(String, Vec<u8>)> {
    let folder = folder();
    let log = Log::open_in(folder.path(), SEGMENT_BYTES).expect("a new log");
    for n in 0_u8..5 {
        let mut frame = Frame::new();
        for record in 0..=n {
            let record = vec![record; usize::from(n) * 7 + 1];
            let push = |bytes: &mut Vec<u8>| {
                bytes.extend_from_slice(&record);
                Ok::<(), std::io::Error>(())
            };
            let _range = frame.push(push).expect("a record");
        }
        let _bytes = log.append(frame).expect("a frame");
    }
    drop(log);
    let entries = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let entries = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

/// A folder in memory, where there is one.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.exists() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("a folder")
}

static LOG: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(written);

/// Timelines as they are written.
static CACHE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut catalog = Catalog::default();
    catalog.events.insert("order".to_owned());
    for (name, type_) in [("amount", Type::Number), ("item", Type::Text), ("paid", Type::Boolean)] {
        catalog.properties.insert(name.to_owned(), type_);
        catalog.traits.insert(name.to_owned(), type_);
    }
    let event = |n: i64| Event {
        message_id: n.to_string(),
        customer_id: "c".to_owned(),
        anonymous_id: None,
        event: if n % 3 == 0 { "$identify" } else { "order" }.to_owned(),
        event_time: Time(n * 1_000),
        received_at: Time(n * 1_000 + n % 2),
        seq: n.unsigned_abs(),
        properties: [
            ("amount".to_owned(), Value::Number(1.5)),
            ("item".to_owned(), Value::text("a")),
            ("paid".to_owned(), Value::Boolean(n % 2 == 0)),
        ]
        .into_iter()
        .collect(),
    };
    let events: Vec<Event> = (0..8).map(event).collect();
    let mut bytes = Vec::new();
    Timelines::of_events(&catalog, &events).write_to(&mut bytes).expect("a file in memory");
    bytes
});

/// Scores and explains a few rows by an imported model.
fn score(imported: &Imported) {
    let width = imported.model.width();
    assert_eq!(
        imported.encodings.iter().map(kernel::scoring::Encoding::width).sum::<usize>(),
        width
    );
    imported.model.check().expect("an imported model is sound");
    if width > 10_000 {
        return;
    }
    for x in [0.0, -1.5, 1e30, f64::NAN] {
        let row = vec![x; width];
        let _score = imported.model.score(&row);
        let _detail = imported.model.detail(&row);
        let _contributions = imported.model.contributions(&row);
    }
}
