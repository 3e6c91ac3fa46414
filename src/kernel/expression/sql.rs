use super::Function;
use super::calendar::Unit;
use super::node::Node;
use crate::domain::{Type, Value};

/// `name` as a quoted SQL identifier.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a SQL text literal. A NUL cannot be part of SQL text and is left out.
#[must_use]
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\0', ""))
}

pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(boolean) => boolean.to_string(),
        // With an exponent it is a DOUBLE in DuckDB, never a DECIMAL or an INTEGER.
        Value::Number(number) => format!("{number:e}"),
        Value::Text(text) => quote_text(text),
        Value::Time(time) => format!("make_timestamp({})", time.0),
        // No expression has one of these.
        Value::List(_) | Value::Counts(_) => "NULL".to_owned(),
    }
}

/// Prints a node with parentheses around everything, so that no rule of precedence matters.
pub(super) fn print(node: &Node, column: &dyn Fn(usize) -> String) -> String {
    let p = |node: &Node| print(node, column);
    match node {
        Node::Literal(value) => literal(value),
        Node::Column(index) => column(*index),
        Node::Not(inner) => format!("(NOT {})", p(inner)),
        Node::Negate(inner) => format!("(-{})", p(inner)),
        Node::Arithmetic(op, left, right) => {
            format!("({} {} {})", p(left), op.symbol(), p(right))
        }
        Node::Compare(op, left, right) => format!("({} {} {})", p(left), op.symbol(), p(right)),
        Node::And(left, right) => format!("({} AND {})", p(left), p(right)),
        Node::Or(left, right) => format!("({} OR {})", p(left), p(right)),
        Node::Same(left, right) => format!("({} IS NOT DISTINCT FROM {})", p(left), p(right)),
        Node::In(inner, list) => {
            let list: Vec<_> = list.iter().map(p).collect();
            format!("({} IN ({}))", p(inner), list.join(", "))
        }
        Node::Between(value, low, high) => {
            format!("({} BETWEEN {} AND {})", p(value), p(low), p(high))
        }
        Node::Like { text, pattern, any_case, escape } => {
            let like = if *any_case { "ILIKE" } else { "LIKE" };
            let escape = escape
                .map(|c| format!(" ESCAPE {}", quote_text(&c.to_string())))
                .unwrap_or_default();
            format!("({} {like} {}{escape})", p(text), p(pattern))
        }
        Node::Case(whens, otherwise) => {
            let whens: String = whens
                .iter()
                .map(|(condition, result)| format!(" WHEN {} THEN {}", p(condition), p(result)))
                .collect();
            format!("(CASE{whens} ELSE {} END)", p(otherwise))
        }
        Node::Cast(inner, from, to) => cast(&p(inner), *from, *to),
        Node::Concatenate(left, right) => format!("({} || {})", p(left), p(right)),
        Node::Call(function, arguments) => {
            let arguments: Vec<_> = arguments.iter().map(p).collect();
            call(*function, &arguments)
        }
    }
}

fn cast(inner: &str, from: Option<Type>, to: Type) -> String {
    match (from, to) {
        // DuckDB misreads long texts with underscores; they are no numbers here.
        (Some(Type::Text), Type::Number) => {
            format!("TRY_CAST(replace({inner}, '_', '?') AS DOUBLE)")
        }
        // Whether it writes the sign of a NaN depends on how that came to be.
        (Some(Type::Number), Type::Text) => {
            format!("replace(CAST({inner} AS VARCHAR), '-nan', 'nan')")
        }
        (_, to) => format!("TRY_CAST({inner} AS {})", to.sql()),
    }
}

/// A call that never fails: what DuckDB would stop the query for is null. Counts and places must be whole
/// numbers there, and results are numbers of one kind here.
fn call(function: Function, arguments: &[String]) -> String {
    let name = function.sql();
    let argument = |place: usize| arguments.get(place).map_or("NULL", String::as_str);
    let whole = |place: usize| format!("TRY_CAST({} AS BIGINT)", argument(place));
    let plain = format!("{name}({})", arguments.join(", "));
    match function {
        Function::Ascii
        | Function::Length
        | Function::Sign
        | Function::Strlen
        | Function::Strpos
        | Function::Unicode
        | Function::Part(_) => format!("CAST({plain} AS DOUBLE)"),
        Function::BigInt => format!("CAST({} AS DOUBLE)", whole(0)),
        Function::Mod => format!("({} % {})", argument(0), argument(1)),
        Function::Round | Function::Trunc if arguments.len() == 2 => {
            format!("{name}({}, TRY_CAST({} AS INTEGER))", argument(0), argument(1))
        }
        Function::Left => format!("TRY(\"left\"({}, {}))", argument(0), whole(1)),
        Function::Right => format!("\"right\"({}, {})", argument(0), whole(1)),
        Function::Substring if arguments.len() == 2 => {
            format!("TRY(substring({}, {}))", argument(0), whole(1))
        }
        Function::Substring => {
            format!("TRY(substring({}, {}, {}))", argument(0), whole(1), whole(2))
        }
        Function::Lpad | Function::Rpad => format!(
            "TRY({name}({}, TRY_CAST({} AS SMALLINT), {}))",
            argument(0),
            argument(1),
            argument(2)
        ),
        // These two are macros that write their arguments several times, which nested would explode.
        Function::SplitPart => format!(
            "list_transform([{{'s': {}, 'd': {}, 'n': {}}}], lambda r: split_part(r.s, r.d, r.n))[1]",
            argument(0),
            argument(1),
            whole(2)
        ),
        Function::NullIf if arguments.iter().any(|argument| argument.contains("nullif(")) => {
            format!(
                "list_transform([{{'a': {}, 'b': {}}}],
                lambda r: CASE WHEN r.a = r.b THEN NULL ELSE r.a END /* nullif() */)[1]",
                argument(0),
                argument(1)
            )
        }
        Function::DateTrunc(unit) => format!("TRY(date_trunc('{}', {}))", unit.sql(), argument(0)),
        Function::DateDiff(unit) | Function::DateSub(unit) => {
            let name =
                if matches!(function, Function::DateDiff(_)) { "date_diff" } else { "date_sub" };
            let unit = unit.sql();
            format!("CAST(TRY({name}('{unit}', {}, {})) AS DOUBLE)", argument(0), argument(1))
        }
        Function::AddInterval(unit) => {
            let length = match unit {
                Unit::Month | Unit::Quarter | Unit::Year => "to_months",
                _ => "to_microseconds",
            };
            let size = unit.fixed().unwrap_or(1);
            let n = format!("CAST({} * {size} AS BIGINT)", argument(1));
            let n = if length == "to_months" { format!("CAST({n} AS INTEGER)") } else { n };
            format!("TRY({} + {length}({n}))", argument(0))
        }
        _ => plain,
    }
}
