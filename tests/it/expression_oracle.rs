//! The expression language against DuckDB: random expressions over rows of edge cases.

use std::collections::BTreeMap;

use kernel::domain::{Cell, Job, Time, Type, Value};
use kernel::expression::Expression;
use proptest::prelude::*;

use crate::support::Project;

/// Columns of the rows: two numbers, two texts, two booleans, two times.
const COLUMNS: [(&str, Type); 8] = [
    ("n", Type::Number),
    ("m", Type::Number),
    ("s", Type::Text),
    ("u", Type::Text),
    ("b", Type::Boolean),
    ("c", Type::Boolean),
    ("x", Type::Time),
    ("y", Type::Time),
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
        Value::Number(-1234.5678),
        Value::Number(1e16),
        Value::Number(2.675),
        Value::Number(-32_768.0),
    ];
    let texts = [
        "",
        "a",
        "A%b_",
        "Straße",
        "東京",
        "ÅNGSTRÖM",
        "  padded  ",
        "true",
        "12.5",
        "e\u{301}",
        "-1e5",
        "a,b,,c",
        "x\u{1f468}\u{200d}\u{1f469}y",
        " 7 ",
        "1_000",
        "inf",
    ];
    let times = [
        0,
        -1,
        951_782_399_999_999,
        -2_208_988_800_000_000,
        4_107_542_399_000_000,
        1_706_659_200_123_456,
        9_214_646_400_000_000,
    ];
    let pick = |n: usize, k: usize| numbers[(n * k + k) % numbers.len()].clone();
    let text = |n: usize, k: usize| match (n * k) % (texts.len() + 1) {
        place if place == texts.len() => Value::Null,
        place => Value::text(texts[place]),
    };
    let time = |n: usize| match n % (times.len() + 1) {
        place if place == times.len() => Value::Null,
        place => Value::Time(Time(times[place])),
    };
    let boolean = |n: usize| match n % 3 {
        0 => Value::Null,
        1 => Value::Boolean(true),
        _ => Value::Boolean(false),
    };
    (0..72)
        .map(|n| {
            let numbers = [pick(n, 1), pick(n, 5)];
            let [x, y] = numbers;
            let (s, u) = (text(n, 1), text(n, 3));
            vec![x, y, s, u, boolean(n), boolean(n / 3), time(n), time(n / 2 + 1)]
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

/// Expressions of each type, of a depth: number, text, boolean, time.
fn expressions(depth: u32) -> [BoxedStrategy<String>; 4] {
    let number = leaf(&["n", "m", "0", "1", "-3", "2.5", "1e10", "NULL + 1"]);
    let text = leaf(&["s", "u", "''", "'a'", "'東'", "'%'", "'it''s'", "','"]);
    let boolean = leaf(&["b", "c", "true", "false", "NULL IS NULL"]);
    let time = leaf(&["x", "y", "TIMESTAMP '2024-01-31 12:00:00'", "DATE '1969-12-31'"]);
    if depth == 0 {
        return [number, text, boolean, time];
    }
    let [n, t, b, x] = expressions(depth - 1);
    let wrap = |s: BoxedStrategy<String>| s.prop_map(|x| format!("({x})")).boxed();
    [
        wrap(numbers(number, [&n, &t, &b, &x])),
        wrap(texts(text, [&n, &t, &b, &x])),
        wrap(booleans(boolean, [&n, &t, &b, &x])),
        wrap(times(time, [&n, &t, &b, &x])),
    ]
}

type Strategies<'s> = [&'s BoxedStrategy<String>; 4];

fn two(s: &BoxedStrategy<String>) -> (BoxedStrategy<String>, BoxedStrategy<String>) {
    (s.clone(), s.clone())
}

const EITHER: &[&str] = &["coalesce", "nullif", "least", "greatest", "ifnull"];
const UNITS: &[&str] =
    &["second", "minute", "hour", "day", "week", "month", "quarter", "year", "millisecond"];

fn numbers(number: BoxedStrategy<String>, [n, t, b, x]: Strategies<'_>) -> BoxedStrategy<String> {
    let functions = leaf(&[
        "abs", "ceil", "floor", "round", "trunc", "sign", "even", "-", "degrees", "radians",
    ]);
    let of_text = leaf(&["length", "strlen", "ascii", "unicode"]);
    let parts = leaf(&[
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "quarter",
        "week",
        "isodow",
        "isoyear",
        "dayofweek",
        "dayofyear",
        "yearweek",
        "millisecond",
        "microsecond",
        "epoch",
        "epoch_ms",
        "epoch_us",
    ]);
    prop_oneof![
        2 => number,
        3 => (two(n), leaf(&["+", "-", "*", "/", "%"])).prop_map(|((l, r), op)| format!("({l} {op} {r})")),
        3 => (functions, n.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        2 => (leaf(EITHER), two(n)).prop_map(|(f, (l, r))| format!("{f}({l}, {r})")),
        1 => (leaf(&["round", "trunc"]), n.clone(), -4..5_i32).prop_map(|(f, x, places)| format!("{f}({x}, {places})")),
        1 => two(n).prop_map(|(l, r)| format!("mod({l}, {r})")),
        1 => (b.clone(), two(n)).prop_map(|(c, (l, r))| format!("CASE WHEN {c} THEN {l} ELSE {r} END")),
        1 => (b.clone(), two(n)).prop_map(|(c, (l, r))| format!("if({c}, {l}, {r})")),
        2 => (of_text, t.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        1 => two(t).prop_map(|(s, part)| format!("strpos({s}, {part})")),
        1 => two(t).prop_map(|(part, s)| format!("position({part} IN {s})")),
        1 => b.clone().prop_map(|x| format!("CAST({x} AS DOUBLE)")),
        1 => t.clone().prop_map(|x| format!("CAST({x} AS DOUBLE)")),
        1 => n.clone().prop_map(|x| format!("CAST({x} AS BIGINT)")),
        3 => (parts, x.clone()).prop_map(|(part, x)| format!("{part}({x})")),
        1 => x.clone().prop_map(|x| format!("EXTRACT(month FROM {x})")),
        2 => (leaf(&["date_diff", "date_sub"]), leaf(UNITS), two(x)).prop_map(|(f, unit, (l, r))| format!("{f}('{unit}', {l}, {r})")),
    ]
    .boxed()
}

fn texts(text: BoxedStrategy<String>, [n, t, b, x]: Strategies<'_>) -> BoxedStrategy<String> {
    let n = n.clone();
    prop_oneof![
        2 => text,
        2 => two(t).prop_map(|(l, r)| format!("({l} || {r})")),
        2 => (leaf(&["lower", "upper", "trim", "ltrim", "rtrim"]), t.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        1 => (leaf(&["trim", "ltrim", "rtrim"]), two(t)).prop_map(|(f, (x, set))| format!("{f}({x}, {set})")),
        1 => (leaf(EITHER), two(t)).prop_map(|(f, (l, r))| format!("{f}({l}, {r})")),
        1 => (t.clone(), two(t)).prop_map(|(k, (l, r))| format!("CASE {k} WHEN 'a' THEN {l} WHEN u THEN {r} END")),
        1 => (two(t), t.clone()).prop_map(|((a, b), c)| format!("concat({a}, {b}, {c})")),
        1 => (two(t), t.clone()).prop_map(|((a, b), c)| format!("concat_ws({a}, {b}, {c})")),
        1 => (two(t), t.clone()).prop_map(|((a, b), c)| format!("replace({a}, {b}, {c})")),
        2 => (leaf(&["left", "right", "substring"]), t.clone(), n.clone()).prop_map(|(f, s, n)| format!("{f}({s}, {n})")),
        2 => (t.clone(), -6..6_i32, -4..6_i32).prop_map(|(s, start, count)| format!("substr({s}, {start}, {count})")),
        1 => (leaf(&["lpad", "rpad"]), two(t), -2..12_i32).prop_map(|(f, (s, fill), n)| format!("{f}({s}, {n}, {fill})")),
        1 => (two(t), -3..4_i32).prop_map(|((s, separator), n)| format!("split_part({s}, {separator}, {n})")),
        1 => n.prop_map(|x| format!("CAST({x} AS VARCHAR)")),
        1 => b.clone().prop_map(|x| format!("CAST({x} AS VARCHAR)")),
        1 => (leaf(&["dayname", "monthname"]), x.clone()).prop_map(|(f, x)| format!("{f}({x})")),
    ]
    .boxed()
}

fn booleans(boolean: BoxedStrategy<String>, [n, t, b, x]: Strategies<'_>) -> BoxedStrategy<String> {
    let compare = || leaf(&["=", "<>", "<", "<=", ">", ">="]);
    let escaped = leaf(&["'%!%%' ESCAPE '!'", "'_!_%' ESCAPE '!'", "'%%a%_' ESCAPE '%'"]);
    prop_oneof![
        2 => boolean,
        2 => (two(n), compare()).prop_map(|((l, r), op)| format!("{l} {op} {r}")),
        2 => (two(t), compare()).prop_map(|((l, r), op)| format!("{l} {op} {r}")),
        2 => (two(x), compare()).prop_map(|((l, r), op)| format!("{l} {op} {r}")),
        2 => (two(b), leaf(&["AND", "OR"])).prop_map(|((l, r), op)| format!("(({l}) {op} ({r}))")),
        1 => b.clone().prop_map(|x| format!("(NOT ({x}))")),
        1 => (n.clone(), two(n), leaf(&["", "NOT "])).prop_map(|(x, (l, h), no)| format!("{x} {no}BETWEEN {l} AND {h}")),
        1 => (n.clone(), two(n), leaf(&["", "NOT "])).prop_map(|(x, (l, h), no)| format!("{x} {no}IN ({l}, {h}, 42)")),
        1 => (two(t), leaf(&["", "NOT "]), leaf(&["LIKE", "ILIKE"])).prop_map(|((x, p), no, like)| format!("{x} {no}{like} {p}")),
        1 => (t.clone(), escaped).prop_map(|(x, pattern)| format!("{x} LIKE {pattern}")),
        1 => (two(t), leaf(&["starts_with", "ends_with", "contains"])).prop_map(|((l, r), f)| format!("{f}({l}, {r})")),
        1 => (leaf(&["isnan", "isinf", "isfinite"]), n.clone()).prop_map(|(f, x)| format!("{f}({x})")),
        1 => n.clone().prop_map(|x| format!("CAST({x} AS BOOLEAN)")),
        1 => (n.clone(), leaf(&["IS NULL", "IS NOT NULL", "IS DISTINCT FROM 1"])).prop_map(|(x, is)| format!("{x} {is}")),
        1 => leaf(&["x < '2000-02-29'", "x >= TIMESTAMP '1970-01-01'", "x IS NULL"]),
    ]
    .boxed()
}

fn times(time: BoxedStrategy<String>, [_, _, b, x]: Strategies<'_>) -> BoxedStrategy<String> {
    let interval = (-40..40_i32, leaf(UNITS)).prop_map(|(n, unit)| format!("INTERVAL {n} {unit}"));
    prop_oneof![
        2 => time,
        2 => (leaf(UNITS), x.clone()).prop_map(|(unit, x)| format!("date_trunc('{unit}', {x})")),
        3 => (x.clone(), leaf(&["+", "-"]), interval).prop_map(|(x, op, interval)| format!("{x} {op} {interval}")),
        1 => x.clone().prop_map(|x| format!("CAST({x} AS DATE)")),
        1 => (leaf(EITHER), two(x)).prop_map(|(f, (l, r))| format!("{f}({l}, {r})")),
        1 => (b.clone(), two(x)).prop_map(|(c, (l, r))| format!("CASE WHEN {c} THEN {l} ELSE {r} END")),
    ]
    .boxed()
}

fn any_expression() -> impl Strategy<Value = String> {
    let [numbers, texts, booleans, times] = expressions(3);
    prop_oneof![numbers, texts, booleans, times]
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
        "log2(n)",
        "log(n, m)",
        "cbrt(n)",
        "sin(n)",
        "cos(m)",
        "tan(n)",
        "asin(n / 100)",
        "acos(n / 100)",
        "atan(n)",
        "atan2(n, m)",
        "pi() * n",
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
        ("date_trunc('fortnight', x)", 1, 12, "is no unit"),
        ("x + INTERVAL 1.5 DAY", 1, 1, "is no interval"),
        ("x - x", 1, 1, "is a time"),
        ("s LIKE u ESCAPE '!'", 1, 8, "must be a text"),
        ("s LIKE 'a!' ESCAPE '!'", 1, 8, "ends in its escape"),
        ("left(s)", 1, 1, "takes 2 arguments"),
        ("lenght(s)", 1, 1, "did you mean 'length'?"),
        ("CAST(n AS SMALLINT)", 1, 6, "cannot cast to SMALLINT"),
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
