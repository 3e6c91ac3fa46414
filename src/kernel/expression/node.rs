use super::Function;
use crate::domain::{Type, Value};

/// A checked expression tree.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Value),
    /// Index into the expression's columns, and the type of that column.
    Column(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// Null-safe equality.
    Same(Box<Node>, Box<Node>),
    In(Box<Node>, Vec<Node>),
    /// A value, and the least and greatest that it may have.
    Between(Box<Node>, Box<Node>, Box<Node>),
    Like {
        text: Box<Node>,
        pattern: Box<Node>,
        any_case: bool,
        escape: Option<char>,
    },
    /// Pairs of condition and result, then the result of none.
    Case(Vec<(Node, Node)>, Box<Node>),
    /// A value, its type if it has one, and the type that it becomes.
    Cast(Box<Node>, Option<Type>, Type),
    Concatenate(Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Arithmetic {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Comparison {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}
