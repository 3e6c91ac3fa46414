//! The expression language against DuckDB: random expressions over rows of edge cases.

use std::collections::BTreeMap;

use kernel::domain::{Cell, Job, Time, Type, Value};
use kernel::expression::Expression;
use proptest::prelude::*;

use crate::support::Project;

/// Columns of the rows: two numbers, two texts, two booleans, a time.
const COLUMNS: [(&str, Type); 7] = [
    ("n", Type::Number),
    ("m", Type::Number),
    ("s", Type::Text),
    ("u", Type::Text),
    ("b", Type::Boolean),
    ("c", Type::Boolean),
    ("x", Type::Time),
];

/// Values that are where mistakes are: null, zero, negative, huge, tiny, empty, non-Latin, odd cases.
fn rows() -> Vec<Vec<Value>> {
    let numbers = [
        Value::Null,
        Value::Number(0.0),
        Value::Number(-0.0),
        Value::Number(1.0),
        Value::Number(-2.5),
        Value::Number(0.5),
        Value::Number(1e300),
        Value::Number(-1e-300),
        Value::Number(9_007_199_254_740_993.0),
        Value::Number(42.0),
    ];
    let texts =
        ["", "a", "A%b_", "Straße", "東京", "ÅNGSTRÖM", "  padded  ", "true", "12.5", "e\u{301}"];
    let times = [0, -1, 951_782_399_999_999, -2_208_988_800_000_000, 4_107_542_399_000_000];
    let pick = |n: usize, k: usize| numbers[(n * k + k) % numbers.len()].clone();
    let text = |n: usize, k: usize| match (n * k) % 11 {
        10 => Value::Null,
        place => Value::text(texts[place]),
    };
    let boolean = |n: usize| match n % 3 {
        0 => Value::Null,
        1 => Value::Boolean(true),
        _ => Value::Boolean(false),
    };
    (0..60)
        .map(|n| {
            let time = match n % 6 {
                5 => Value::Null,
                place => Value::Time(Time(times[place])),
            };
            vec![pick(n, 1), pick(n, 7), text(n, 1), text(n, 3), boolean(n), boolean(n / 3), time]
        })
        .collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Number(number) => format!("{number:e}"),
        Value::Text(text) => kernel::expression::quote_text(text),
        Value::Time(time) => format!("make_timestamp({})", time.0),
        Value::List(_) | Value::Counts(_) => panic!("no expression reads one"),
    }
}

fn leaf(options: &'static [&'static str]) -> BoxedStrategy<String> {
    proptest::sample::select(options).prop_map(str::to_owned).boxed()
}

/// Expressions of each type, of a depth: number, text, boolean.
fn expressions(depth: u32) -> [BoxedStrategy<String>; 3] {
    let number = leaf(&["n", "m", "0", "1", "-3", "2.5", "1e10", "NULL + 1"]);
    let text = leaf(&["s", "u", "''", "'a'", "'東'", "'%'", "'it''s'"]);
    let boolean = leaf(&["b", "c", "true", "false", "NULL IS NULL"]);
    if depth == 0 {
        return [number, text, boolean];
    }
    let [n, t, b] = expressions(depth - 1);
    let two = |s: &BoxedStrategy<String>| (s.clone(), s.clone());
    let operator = leaf(&["+", "-", "*", "/", "%"]);
    let function = leaf(&["abs", "ceil", "floor", "round", "sign", "-"]);
    let either = leaf(&["coalesce", "nullif", "least", "greatest", "ifnull"]);
    let numbers = prop_oneof![
        2 => number,
        3 => (two(&n), operator).prop_map(|((l, r), op)| format!("({l} {op} {r})")),
        2 => (function, n.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        2 => (either.clone(), two(&n)).prop_map(|(f, (l, r))| format!("{f}({l}, {r})")),
        1 => (b.clone(), two(&n)).prop_map(|(c, (l, r))| format!("CASE WHEN {c} THEN {l} ELSE {r} END")),
        1 => t.clone().prop_map(|x| format!("length({x})")),
        1 => b.clone().prop_map(|x| format!("CAST({x} AS DOUBLE)")),
        1 => leaf(&["year(x)", "month(x)", "day(x)", "hour(x)", "minute(x)", "dayofweek(x)", "epoch(x)"]),
    ];
    let texts = prop_oneof![
        2 => text,
        2 => two(&t).prop_map(|(l, r)| format!("({l} || {r})")),
        2 => (leaf(&["lower", "upper", "trim"]), t.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        1 => (either, two(&t)).prop_map(|(f, (l, r))| format!("{f}({l}, {r})")),
        1 => (t.clone(), two(&t)).prop_map(|(k, (l, r))| format!("CASE {k} WHEN 'a' THEN {l} WHEN u THEN {r} END")),
    ];
    let compare = leaf(&["=", "<>", "<", "<=", ">", ">="]);
    let booleans = prop_oneof![
        2 => boolean,
        2 => (two(&n), compare.clone()).prop_map(|((l, r), op)| format!("{l} {op} {r}")),
        2 => (two(&t), compare).prop_map(|((l, r), op)| format!("{l} {op} {r}")),
        2 => (two(&b), leaf(&["AND", "OR"])).prop_map(|((l, r), op)| format!("(({l}) {op} ({r}))")),
        1 => b.clone().prop_map(|x| format!("(NOT ({x}))")),
        1 => (n.clone(), two(&n), leaf(&["", "NOT "])).prop_map(|(x, (l, h), no)| format!("{x} {no}BETWEEN {l} AND {h}")),
        1 => (n.clone(), two(&n), leaf(&["", "NOT "])).prop_map(|(x, (l, h), no)| format!("{x} {no}IN ({l}, {h}, 42)")),
        1 => (two(&t), leaf(&["", "NOT "]), leaf(&["LIKE", "ILIKE"])).prop_map(|((x, p), no, like)| format!("{x} {no}{like} {p}")),
        1 => (two(&t), leaf(&["starts_with", "ends_with", "contains"])).prop_map(|((l, r), f)| format!("{f}({l}, {r})")),
        1 => (n, leaf(&["IS NULL", "IS NOT NULL", "IS DISTINCT FROM 1"])).prop_map(|(x, is)| format!("{x} {is}")),
        1 => leaf(&["x < '2000-02-29'", "x >= TIMESTAMP '1970-01-01'", "x IS NULL"]),
    ];
    let wrap = |s: BoxedStrategy<String>| s.prop_map(|x| format!("({x})")).boxed();
    [wrap(numbers.boxed()), wrap(texts.boxed()), wrap(booleans.boxed())]
}

fn any_expression() -> impl Strategy<Value = String> {
    let [numbers, texts, booleans] = expressions(3);
    prop_oneof![numbers, texts, booleans]
}

fn agree(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            ours == theirs || ours.is_nan() && theirs.is_nan()
        }
        (ours, theirs) => ours == theirs,
    }
}

fn check(sources: &[String], tolerant: bool) {
    let project = Project::new();
    let scope: BTreeMap<String, Type> =
        COLUMNS.iter().map(|(name, type_)| ((*name).to_owned(), *type_)).collect();
    let compiled: Vec<(&String, Expression)> = sources
        .iter()
        .map(|source| {
            (
                source,
                Expression::compile(source, &scope).unwrap_or_else(|e| panic!("{source}: {e}")),
            )
        })
        .collect();
    let rows = rows();
    let values: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let cells: Vec<String> = row
                .iter()
                .zip(COLUMNS)
                .map(|(value, (_, type_))| format!("CAST({} AS {})", literal(value), type_.sql()))
                .collect();
            format!("({id}, {})", cells.join(", "))
        })
        .collect();
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let columns: Vec<String> = compiled
        .iter()
        .map(|(_, expression)| expression.to_sql(&|index| expression.columns()[index].0.clone()))
        .collect();
    let sql = format!(
        "WITH t(id, {}) AS (VALUES {}) SELECT {} FROM t ORDER BY id",
        names.join(", "),
        values.join(", "),
        columns.join(", ")
    );
    let answer = project.warehouse.query(&sql, 1_000, &Job::unwatched());
    let answer = answer.unwrap_or_else(|error| panic!("{error}\n{sources:#?}"));
    for (row, theirs) in rows.iter().zip(&answer.rows) {
        for ((source, expression), theirs) in compiled.iter().zip(theirs) {
            let column = |index: usize| {
                let name = &expression.columns()[index].0;
                Cell::from(&row[names.iter().position(|known| known == name).unwrap()])
            };
            let ours = expression.evaluate(&column);
            let close = match (&ours, theirs) {
                (Value::Number(a), Value::Number(b)) => {
                    tolerant && (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
                }
                _ => false,
            };
            assert!(
                close || agree(&ours, theirs),
                "{source}\nrow {row:?}\nours {ours:?}\nDuckDB {theirs:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_expressions_mean_what_duckdb_means(sources in proptest::collection::vec(any_expression(), 30)) {
        check(&sources, false);
    }
}

#[test]
fn functions_of_the_math_library_agree_closely() {
    let sources: Vec<String> = [
        "ln(n)",
        "log10(n)",
        "sqrt(n)",
        "exp(n)",
        "pow(n, 2)",
        "pow(2, m)",
        "pow(n, m)",
        "ln(abs(n) + 1)",
        "sqrt(n * n)",
        "exp(-abs(n))",
        "log(m)",
        "power(abs(n), 0.5)",
    ]
    .map(str::to_owned)
    .into();
    check(&sources, true);
}

#[test]
fn errors_have_a_place() {
    let scope: BTreeMap<String, Type> =
        COLUMNS.iter().map(|(name, type_)| ((*name).to_owned(), *type_)).collect();
    for (source, line, column, part) in [
        ("n +", 1, 4, "Expected"),
        ("n + s", 1, 5, "'s' is a text, but a number is needed here"),
        ("n >\n  'a'", 2, 3, "is a text"),
        ("sum(n)", 1, 1, "there is no function 'sum'"),
        ("(SELECT 1)", 1, 2, "not part of the expression language"),
        ("x > 'yesterday'", 1, 5, "not a time"),
        ("n; m", 1, 2, "ends before"),
        ("CASE WHEN n THEN 1 END", 1, 11, "a boolean is needed"),
    ] {
        let error = Expression::compile(source, &scope).unwrap_err();
        assert!(error.message.contains(part), "{source}: {error}");
        assert_eq!((error.line, error.column), (line, column), "{source}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(Expression::compile(&deep, &scope).is_err());
    let wide = vec!["n"; 2_000].join(" + ");
    assert!(Expression::compile(&wide, &scope).is_err());
}
