//! Function files as the endpoint takes them, with the right hash: checked, scored and explained.

#![no_main]

use kernel::domain::{Time, Type, Value};
use kernel::scoring::{FunctionFile, ScoringFunction};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = serde_json::from_slice::<FunctionFile>(bytes) else { return };
    let Ok(file) = file.sealed() else { return };
    let Ok(text) = file.to_json() else { return };
    let Ok(function) = ScoringFunction::new(file) else { return };
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
});
