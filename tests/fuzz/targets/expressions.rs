//! Expressions: parsed, checked, evaluated and printed as SQL.

#![no_main]

use std::collections::BTreeMap;

use kernel::domain::{Cell, Time, Type, Value};
use kernel::expression::Expression;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
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
});
