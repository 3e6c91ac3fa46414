use super::Function;
use super::node::Node;
use crate::domain::Value;

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
        Node::Like { text, pattern, any_case, escape: _ } => {
            format!("({} {} {})", p(text), if *any_case { "ILIKE" } else { "LIKE" }, p(pattern))
        }
        Node::Case(whens, otherwise) => {
            let whens: String = whens
                .iter()
                .map(|(condition, result)| format!(" WHEN {} THEN {}", p(condition), p(result)))
                .collect();
            format!("(CASE{whens} ELSE {} END)", p(otherwise))
        }
        Node::Cast(inner, to) => format!("TRY_CAST({} AS {})", p(inner), to.sql()),
        Node::Concatenate(left, right) => format!("({} || {})", p(left), p(right)),
        Node::Call(function, arguments) => {
            let arguments: Vec<_> = arguments.iter().map(p).collect();
            call(*function, &arguments)
        }
    }
}

fn call(function: Function, arguments: &[String]) -> String {
    let plain = format!("{}({})", function.sql(), arguments.join(", "));
    match function {
        Function::Length
        | Function::Sign
        | Function::Day
        | Function::DayOfWeek
        | Function::Hour
        | Function::Minute
        | Function::Month
        | Function::Year => {
            format!("CAST({plain} AS DOUBLE)")
        }
        _ => plain,
    }
}
