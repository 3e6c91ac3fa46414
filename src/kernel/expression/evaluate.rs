use std::borrow::Cow;
use std::cmp::Ordering;

use super::call::call;
use super::node::{Arithmetic, Comparison, Node};
use super::number;
use super::text::{lower, map_case};
use crate::domain::{Cell, Time, Type, Value};

/// The longest text that an expression gives, in bytes; beyond it is null.
pub(super) const LONGEST_RESULT: usize = 64 * 1024;

/// The value of a node: texts are borrowed from where they lie, unless they were made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand<'a> {
    Null,
    Boolean(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Time(Time),
}

/// The value of a column of an expression by its index.
pub(super) type Columns<'c, 'a> = &'c dyn Fn(usize) -> Cell<'a>;

/// The value of a node for one row. The depth was bounded by the check, so the recursion is too.
pub(super) fn evaluate<'a>(node: &'a Node, column: Columns<'_, 'a>) -> Operand<'a> {
    match node {
        Node::Literal(value) => Operand::from(Cell::from(value)),
        Node::Column(index) => Operand::from(column(*index)),
        Node::Not(inner) => match node_truth(inner, column) {
            Some(truth) => Operand::Boolean(!truth),
            None => Operand::Null,
        },
        Node::Negate(inner) => match evaluate(inner, column) {
            Operand::Number(x) => Operand::Number(-x),
            _ => Operand::Null,
        },
        Node::Arithmetic(op, left, right) => {
            match (evaluate(left, column), evaluate(right, column)) {
                (Operand::Number(left), Operand::Number(right)) => arithmetic(*op, left, right),
                _ => Operand::Null,
            }
        }
        Node::Compare(op, left, right) => {
            let (left, right) = (evaluate(left, column), evaluate(right, column));
            left.compare(&right).map_or(Operand::Null, |order| Operand::Boolean(holds(*op, order)))
        }
        Node::And(left, right) => match node_truth(left, column) {
            Some(false) => Operand::Boolean(false),
            left => match (left, node_truth(right, column)) {
                (_, Some(false)) => Operand::Boolean(false),
                (Some(true), Some(true)) => Operand::Boolean(true),
                _ => Operand::Null,
            },
        },
        Node::Or(left, right) => match node_truth(left, column) {
            Some(true) => Operand::Boolean(true),
            left => match (left, node_truth(right, column)) {
                (_, Some(true)) => Operand::Boolean(true),
                (Some(false), Some(false)) => Operand::Boolean(false),
                _ => Operand::Null,
            },
        },
        Node::Same(left, right) => {
            let (left, right) = (evaluate(left, column), evaluate(right, column));
            let both_null = left.is_null() && right.is_null();
            Operand::Boolean(both_null || left.compare(&right) == Some(Ordering::Equal))
        }
        Node::In(inner, list) => in_list(&evaluate(inner, column), list, column),
        Node::Between(value, low, high) => {
            let value = evaluate(value, column);
            let least = value.compare(&evaluate(low, column)).map(Ordering::is_ge);
            let most = value.compare(&evaluate(high, column)).map(Ordering::is_le);
            match (least, most) {
                (Some(false), _) | (_, Some(false)) => Operand::Boolean(false),
                (Some(true), Some(true)) => Operand::Boolean(true),
                _ => Operand::Null,
            }
        }
        Node::Like { text, pattern, any_case, escape } => {
            match (evaluate(text, column), evaluate(pattern, column)) {
                (Operand::Text(text), Operand::Text(pattern)) if *any_case => {
                    let (text, pattern) = (map_case(&text, lower), map_case(&pattern, lower));
                    Operand::Boolean(like(&text, &pattern, *escape))
                }
                (Operand::Text(text), Operand::Text(pattern)) => {
                    Operand::Boolean(like(&text, &pattern, *escape))
                }
                _ => Operand::Null,
            }
        }
        Node::Case(whens, otherwise) => whens
            .iter()
            .find(|(condition, _)| node_truth(condition, column) == Some(true))
            .map_or_else(|| evaluate(otherwise, column), |(_, result)| evaluate(result, column)),
        Node::Cast(inner, _, to) => cast(evaluate(inner, column), *to),
        Node::Concatenate(left, right) => match (evaluate(left, column), evaluate(right, column)) {
            (Operand::Text(left), Operand::Text(right)) => {
                Operand::made(left.len() + right.len(), || format!("{left}{right}"))
            }
            _ => Operand::Null,
        },
        Node::Call(function, arguments) => call(*function, arguments, column),
    }
}

impl<'a> From<Cell<'a>> for Operand<'a> {
    fn from(cell: Cell<'a>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Boolean(boolean) => Self::Boolean(boolean),
            Cell::Number(number) => Self::Number(number),
            Cell::Text(text) => Self::Text(Cow::Borrowed(text)),
            Cell::Time(time) => Self::Time(time),
            // The check lets no expression read one of these.
            Cell::List(_) | Cell::Counts(_) => Self::Null,
        }
    }
}

impl From<Operand<'_>> for Value {
    fn from(operand: Operand<'_>) -> Self {
        match operand {
            Operand::Null => Self::Null,
            Operand::Boolean(boolean) => Self::Boolean(boolean),
            Operand::Number(number) => Self::Number(number),
            Operand::Text(text) => Self::text(text.as_ref()),
            Operand::Time(time) => Self::Time(time),
        }
    }
}

impl Operand<'_> {
    pub(super) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text that is made, unless it would be longer than a text may get: expressions over expressions
    /// could double one for ever.
    pub(super) fn made(bytes: usize, make: impl FnOnce() -> String) -> Self {
        if bytes <= LONGEST_RESULT { Self::Text(Cow::Owned(make())) } else { Self::Null }
    }

    /// DuckDB's order: a NaN equals itself and is greater than every number; text by its UTF-8 bytes.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                Some(left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
            }
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Boolean(left), Self::Boolean(right)) => Some(left.cmp(right)),
            (Self::Time(left), Self::Time(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

fn node_truth<'a>(node: &'a Node, column: Columns<'_, 'a>) -> Option<bool> {
    match evaluate(node, column) {
        Operand::Boolean(boolean) => Some(boolean),
        _ => None,
    }
}

fn arithmetic(op: Arithmetic, left: f64, right: f64) -> Operand<'static> {
    Operand::Number(match op {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        // DuckDB follows IEEE for doubles: 1 / 0 is infinite, 0 / 0 is not a number.
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    })
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

fn in_list<'a>(value: &Operand<'a>, list: &'a [Node], column: Columns<'_, 'a>) -> Operand<'a> {
    if value.is_null() {
        return Operand::Null;
    }
    let mut unknown = false;
    for node in list {
        match value.compare(&evaluate(node, column)) {
            Some(Ordering::Equal) => return Operand::Boolean(true),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { Operand::Null } else { Operand::Boolean(false) }
}

/// `%` matches any characters, `_` one, and what follows `escape` only itself; linear in the text for
/// each `%`.
fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    #[derive(PartialEq)]
    enum Part {
        Any,
        One,
        Character(char),
    }
    let text: Vec<char> = text.chars().collect();
    let mut parts = Vec::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        parts.push(match c {
            c if Some(c) == escape => match characters.next() {
                Some(c) => Part::Character(c),
                None => return false,
            },
            '%' => Part::Any,
            '_' => Part::One,
            c => Part::Character(c),
        });
    }
    let (mut t, mut p) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        match parts.get(p) {
            Some(Part::Any) => {
                resume = Some((t, p + 1));
                p += 1;
            }
            Some(part) if *part == Part::One || *part == Part::Character(text[t]) => {
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
    parts.iter().skip(p).all(|part| *part == Part::Any)
}

fn cast(value: Operand<'_>, to: Type) -> Operand<'_> {
    match (value, to) {
        (Operand::Boolean(boolean), Type::Number) => Operand::Number(f64::from(u8::from(boolean))),
        (Operand::Boolean(boolean), Type::Text) => {
            Operand::Text(Cow::Borrowed(if boolean { "true" } else { "false" }))
        }
        (Operand::Number(x), Type::Boolean) => Operand::Boolean(x != 0.0),
        (Operand::Text(text), Type::Boolean) => match text.to_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "y" => Operand::Boolean(true),
            "false" | "f" | "0" | "no" | "n" => Operand::Boolean(false),
            _ => Operand::Null,
        },
        (Operand::Text(text), Type::Number) => {
            number::parse(&text).map_or(Operand::Null, Operand::Number)
        }
        (Operand::Text(text), Type::Text) => Operand::Text(text),
        (Operand::Number(x), Type::Number) => Operand::Number(x),
        (Operand::Number(x), Type::Text) => Operand::Text(Cow::Owned(number::write(x))),
        (Operand::Boolean(boolean), Type::Boolean) => Operand::Boolean(boolean),
        (Operand::Time(time), Type::Time) => Operand::Time(time),
        _ => Operand::Null,
    }
}
