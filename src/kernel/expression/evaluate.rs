use std::cmp::Ordering;

use super::Function;
use super::node::{Arithmetic, Comparison, Node};
use crate::domain::{Time, Type, Value};

/// The longest text that a concatenation gives, in bytes; beyond it is null.
const LONGEST_RESULT: usize = 64 * 1024;

/// The value of a node for one row. The depth was bounded by the check, so the recursion is too.
pub(super) fn evaluate(node: &Node, column: &dyn Fn(usize) -> Value) -> Value {
    match node {
        Node::Literal(value) => value.clone(),
        Node::Column(index) => column(*index),
        Node::Not(inner) => truth(&evaluate(inner, column)).map_or(Value::Null, |b| (!b).into()),
        Node::Negate(inner) => number(&evaluate(inner, column), |x| Some(-x)),
        Node::Arithmetic(op, left, right) => {
            let (left, right) = (evaluate(left, column), evaluate(right, column));
            match (left, right) {
                (Value::Number(left), Value::Number(right)) => arithmetic(*op, left, right),
                _ => Value::Null,
            }
        }
        Node::Compare(op, left, right) => {
            let (left, right) = (evaluate(left, column), evaluate(right, column));
            compare(&left, &right).map_or(Value::Null, |order| holds(*op, order).into())
        }
        Node::And(left, right) => match truth(&evaluate(left, column)) {
            Some(false) => false.into(),
            left => match (left, truth(&evaluate(right, column))) {
                (_, Some(false)) => false.into(),
                (Some(true), Some(true)) => true.into(),
                _ => Value::Null,
            },
        },
        Node::Or(left, right) => match truth(&evaluate(left, column)) {
            Some(true) => true.into(),
            left => match (left, truth(&evaluate(right, column))) {
                (_, Some(true)) => true.into(),
                (Some(false), Some(false)) => false.into(),
                _ => Value::Null,
            },
        },
        Node::Same(left, right) => {
            let (left, right) = (evaluate(left, column), evaluate(right, column));
            let both_null = left.is_null() && right.is_null();
            (both_null || compare(&left, &right) == Some(Ordering::Equal)).into()
        }
        Node::In(inner, list) => in_list(&evaluate(inner, column), list, column),
        Node::Between(value, low, high) => {
            let value = evaluate(value, column);
            let least = compare(&value, &evaluate(low, column)).map(Ordering::is_ge);
            let most = compare(&value, &evaluate(high, column)).map(Ordering::is_le);
            match (least, most) {
                (Some(false), _) | (_, Some(false)) => false.into(),
                (Some(true), Some(true)) => true.into(),
                _ => Value::Null,
            }
        }
        Node::Like { text, pattern, any_case } => {
            match (evaluate(text, column), evaluate(pattern, column)) {
                (Value::Text(text), Value::Text(pattern)) if *any_case => {
                    like(&map_case(&text, lower), &map_case(&pattern, lower)).into()
                }
                (Value::Text(text), Value::Text(pattern)) => like(&text, &pattern).into(),
                _ => Value::Null,
            }
        }
        Node::Case(whens, otherwise) => whens
            .iter()
            .find(|(condition, _)| truth(&evaluate(condition, column)) == Some(true))
            .map_or_else(|| evaluate(otherwise, column), |(_, result)| evaluate(result, column)),
        Node::Cast(inner, to) => cast(&evaluate(inner, column), *to),
        Node::Concatenate(left, right) => match (evaluate(left, column), evaluate(right, column)) {
            // Expressions over expressions could double a text for ever.
            (Value::Text(left), Value::Text(right))
                if left.len() + right.len() <= LONGEST_RESULT =>
            {
                Value::text(format!("{left}{right}"))
            }
            _ => Value::Null,
        },
        Node::Call(function, arguments) => call(*function, arguments, column),
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

const fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(boolean) => Some(*boolean),
        _ => None,
    }
}

fn number(value: &Value, f: impl Fn(f64) -> Option<f64>) -> Value {
    value.as_number().and_then(f).map_or(Value::Null, Value::Number)
}

fn arithmetic(op: Arithmetic, left: f64, right: f64) -> Value {
    match op {
        Arithmetic::Add => (left + right).into(),
        Arithmetic::Subtract => (left - right).into(),
        Arithmetic::Multiply => (left * right).into(),
        // DuckDB follows IEEE for doubles: 1 / 0 is infinite, 0 / 0 is not a number.
        Arithmetic::Divide => (left / right).into(),
        Arithmetic::Remainder => (left % right).into(),
    }
}

/// DuckDB's order: a NaN equals itself and is greater than every number; text by its UTF-8 bytes.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            Some(left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
        }
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn holds(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn in_list(value: &Value, list: &[Node], column: &dyn Fn(usize) -> Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let mut unknown = false;
    for node in list {
        match compare(value, &evaluate(node, column)) {
            Some(Ordering::Equal) => return true.into(),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { Value::Null } else { false.into() }
}

/// `%` matches any characters, `_` one; linear in the text for each `%`.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                resume = Some((t, p + 1));
                p += 1;
            }
            Some(c) if *c == '_' || text.get(t) == Some(c) => {
                t += 1;
                p += 1;
            }
            _ => match resume {
                Some((from, after)) => {
                    t = from + 1;
                    p = after;
                    resume = Some((from + 1, after));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '%')
}

fn cast(value: &Value, to: Type) -> Value {
    match (value, to) {
        (Value::Boolean(boolean), Type::Number) => f64::from(u8::from(*boolean)).into(),
        (Value::Text(text), Type::Boolean) => match text.to_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "y" => true.into(),
            "false" | "f" | "0" | "no" | "n" => false.into(),
            _ => Value::Null,
        },
        (value, to) => value.coerce(to),
    }
}

/// One character to one character, as DuckDB maps case.
fn map_case(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

/// A separator of Unicode's class Zs, which is what DuckDB trims.
const fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

fn lower(c: char) -> char {
    if c == '\u{130}' {
        return 'i';
    }
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn upper(c: char) -> char {
    if c == '\u{df}' {
        return '\u{1e9e}';
    }
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn call(function: Function, arguments: &[Node], column: &dyn Fn(usize) -> Value) -> Value {
    let mut values = arguments.iter().map(|argument| evaluate(argument, column));
    match function {
        Function::Coalesce => values.find(|value| !value.is_null()).unwrap_or_default(),
        Function::Greatest => extreme(values, Ordering::Greater),
        Function::Least => extreme(values, Ordering::Less),
        one_or_two => {
            let first = values.next().unwrap_or_default();
            let second = values.next().unwrap_or_default();
            call_scalar(one_or_two, &first, &second)
        }
    }
}

/// The greatest or least of the values that are not null.
fn extreme(values: impl Iterator<Item = Value>, wanted: Ordering) -> Value {
    values.filter(|value| !value.is_null()).fold(Value::Null, |best, value| {
        if best.is_null() || compare(&value, &best) == Some(wanted) { value } else { best }
    })
}

fn call_scalar(function: Function, first: &Value, second: &Value) -> Value {
    match (function, first, second) {
        (Function::NullIf, first, second) => {
            if compare(first, second) == Some(Ordering::Equal) {
                Value::Null
            } else {
                first.clone()
            }
        }
        (Function::Abs, x, _) => number(x, |x| Some(x.abs())),
        (Function::Ceil, x, _) => number(x, |x| Some(x.ceil())),
        (Function::Floor, x, _) => number(x, |x| Some(x.floor())),
        (Function::Round, x, _) => number(x, |x| Some(x.round())),
        (Function::Exp, x, _) => number(x, |x| Some(x.exp())),
        (Function::Ln, x, _) => number(x, |x| Some(x.ln())),
        (Function::Log10, x, _) => number(x, |x| Some(x.log10())),
        (Function::Sqrt, x, _) => number(x, |x| Some(x.sqrt())),
        (Function::Sign, x, _) => number(x, |x| Some(sign(x))),
        (Function::Power, Value::Number(base), Value::Number(exponent)) => {
            base.powf(*exponent).into()
        }
        (Function::Length, Value::Text(text), _) => {
            u32::try_from(text.chars().count()).map_or(Value::Null, |n| f64::from(n).into())
        }
        (Function::Lower, Value::Text(text), _) => Value::text(map_case(text, lower)),
        (Function::Upper, Value::Text(text), _) => Value::text(map_case(text, upper)),
        (Function::Trim, Value::Text(text), _) => Value::text(text.trim_matches(is_space)),
        (Function::Contains, Value::Text(text), Value::Text(part)) => {
            text.contains(part.as_ref()).into()
        }
        (Function::StartsWith, Value::Text(text), Value::Text(part)) => {
            text.starts_with(part.as_ref()).into()
        }
        (Function::EndsWith, Value::Text(text), Value::Text(part)) => {
            text.ends_with(part.as_ref()).into()
        }
        (part, Value::Time(time), _) => time_part(part, *time),
        _ => Value::Null,
    }
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn time_part(part: Function, time: Time) -> Value {
    let Ok(timestamp) = jiff::Timestamp::from_microsecond(time.0) else {
        return Value::Null;
    };
    let utc = jiff::tz::Offset::UTC.to_datetime(timestamp);
    match part {
        Function::Year => f64::from(utc.year()).into(),
        Function::Month => f64::from(utc.month()).into(),
        Function::Day => f64::from(utc.day()).into(),
        Function::Hour => f64::from(utc.hour()).into(),
        Function::Minute => f64::from(utc.minute()).into(),
        // DuckDB counts from Sunday as 0.
        Function::DayOfWeek => f64::from(utc.weekday().to_sunday_zero_offset()).into(),
        #[allow(clippy::cast_precision_loss, reason = "DuckDB gives seconds as a double as well")]
        Function::Epoch => (time.0 as f64 / 1_000_000.0).into(),
        _ => Value::Null,
    }
}
