use sqlparser::ast::{
    self, BinaryOperator, CeilFloorKind, DataType, Expr, InTarget, Spanned as _, UnaryOperator,
};

use super::calendar::Unit;
use super::node::{Arithmetic, Comparison, Node};
use super::{DEEPEST, ExpressionError, Function, MOST_NODES};
use crate::domain::{Type, Value, did_you_mean};

/// The columns that an expression may read.
pub trait Scope {
    /// The type of a column; none if there is no such column.
    fn type_of(&self, column: &str) -> Option<Type>;
    /// The names of all columns, for suggestions.
    fn names(&self) -> Vec<String>;
}

impl Scope for std::collections::BTreeMap<String, Type> {
    fn type_of(&self, column: &str) -> Option<Type> {
        self.get(column).copied()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A checked node and its type; no type for what is always null.
pub(super) type Typed = (Node, Option<Type>);

/// Turns a parsed expression into a checked one.
pub(super) struct Checker<'a> {
    scope: &'a dyn Scope,
    columns: Vec<(String, Type)>,
    nodes: usize,
    depth: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(scope: &'a dyn Scope) -> Self {
        Self { scope, columns: Vec::new(), nodes: 0, depth: 0 }
    }

    pub(super) fn into_columns(self) -> Vec<(String, Type)> {
        self.columns
    }

    pub(super) fn check(&mut self, expr: &Expr) -> Result<Typed, ExpressionError> {
        self.nodes += 1;
        self.depth += 1;
        let error = |message: String| Err(ExpressionError::at(expr.span(), message));
        if self.nodes > MOST_NODES {
            return error(format!("the expression has more than {MOST_NODES} parts"));
        }
        if self.depth > DEEPEST {
            return error(format!("the expression is nested deeper than {DEEPEST} levels"));
        }
        let typed = self.check_kind(expr);
        self.depth -= 1;
        typed
    }

    fn check_kind(&mut self, expr: &Expr) -> Result<Typed, ExpressionError> {
        match expr {
            Expr::Nested(inner) => self.check(inner),
            Expr::Value(value) => literal(&value.value, expr),
            Expr::TypedString(typed) => typed_literal(typed, expr),
            Expr::Identifier(ident) => self.column(&ident.value, expr),
            Expr::CompoundIdentifier(parts) => {
                let name: Vec<_> = parts.iter().map(|part| part.value.as_str()).collect();
                self.column(&name.join("."), expr)
            }
            Expr::UnaryOp { op, expr: inner } => self.unary(*op, inner, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, expr),
            Expr::IsNull(inner) => self.is_null(inner),
            Expr::IsNotNull(inner) => Ok(negate(self.is_null(inner)?)),
            Expr::IsTrue(inner) => self.is_boolean(inner, true),
            Expr::IsNotTrue(inner) => Ok(negate(self.is_boolean(inner, true)?)),
            Expr::IsFalse(inner) => self.is_boolean(inner, false),
            Expr::IsNotFalse(inner) => Ok(negate(self.is_boolean(inner, false)?)),
            Expr::IsDistinctFrom(left, right) => Ok(negate(self.same(left, right, expr)?)),
            Expr::IsNotDistinctFrom(left, right) => self.same(left, right, expr),
            Expr::In { expr: inner, target: InTarget::List(list), negated, .. } => {
                self.in_list(inner, list, *negated)
            }
            Expr::Between { expr: inner, negated, low, high } => {
                self.between(inner, low, high, *negated, expr)
            }
            Expr::Like { negated, expr: text, pattern, escape_char, any: false } => {
                self.like(text, pattern, escape_char.as_deref(), *negated, false)
            }
            Expr::ILike { negated, expr: text, pattern, escape_char, any: false } => {
                self.like(text, pattern, escape_char.as_deref(), *negated, true)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), expr)
            }
            Expr::Cast { expr: inner, data_type, .. } => self.cast(inner, data_type, expr),
            Expr::Ceil { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                self.call(Function::Ceil, &[inner], expr)
            }
            Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                self.call(Function::Floor, &[inner], expr)
            }
            Expr::Trim { expr: inner, trim_where, trim_what, trim_characters } => {
                let function = match trim_where {
                    Some(ast::TrimWhereField::Leading) => Function::Ltrim,
                    Some(ast::TrimWhereField::Trailing) => Function::Rtrim,
                    Some(ast::TrimWhereField::Both) | None => Function::Trim,
                };
                let set = trim_what.as_deref().into_iter();
                let set = set.chain(trim_characters.iter().flatten());
                let arguments: Vec<&Expr> = std::iter::once(inner.as_ref()).chain(set).collect();
                self.call(function, &arguments, expr)
            }
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                let rest = substring_from.as_deref().into_iter().chain(substring_for.as_deref());
                let arguments: Vec<&Expr> = std::iter::once(inner.as_ref()).chain(rest).collect();
                self.call(Function::Substring, &arguments, expr)
            }
            Expr::Position { expr: part, r#in: text } => {
                self.call(Function::Strpos, &[text, part], expr)
            }
            Expr::Extract { field, expr: inner, .. } => self.part(&field.to_string(), inner, expr),
            Expr::Function(function) => self.function(function, expr),
            _ => Err(ExpressionError::at(
                expr.span(),
                format!("'{expr}' is not part of the expression language"),
            )),
        }
    }

    fn column(&mut self, name: &str, expr: &Expr) -> Result<Typed, ExpressionError> {
        if let Some(index) = self.columns.iter().position(|(known, _)| known == name) {
            let type_ = self.columns.get(index).map(|(_, type_)| *type_);
            return Ok((Node::Column(index), type_));
        }
        let Some(type_) = self.scope.type_of(name) else {
            let names = self.scope.names();
            let suggestion = did_you_mean(name, names.iter().map(String::as_str));
            let is_quoted =
                matches!(expr, Expr::Identifier(ident) if ident.quote_style == Some('"'));
            let quotes = if is_quoted { "; a text is written in single quotes" } else { "" };
            let message = format!("there is no column '{name}' here{suggestion}{quotes}");
            let unknown = Some(name.to_owned());
            return Err(ExpressionError { unknown, ..ExpressionError::at(expr.span(), message) });
        };
        self.columns.push((name.to_owned(), type_));
        Ok((Node::Column(self.columns.len() - 1), Some(type_)))
    }

    /// Checks an operand that must have the type `wanted` (or be null).
    pub(super) fn expect(&mut self, expr: &Expr, wanted: Type) -> Result<Node, ExpressionError> {
        let (node, found) = self.check(expr)?;
        match (found, &node) {
            (None, _) => Ok(node),
            (Some(found), _) if found == wanted => Ok(node),
            (Some(Type::Text), Node::Literal(text)) if wanted == Type::Time => {
                time_literal(text, expr)
            }
            (Some(found), _) => Err(ExpressionError::at(
                expr.span(),
                format!("'{expr}' is a {found}, but a {wanted} is needed here"),
            )),
        }
    }

    /// Checks operands that must share one type.
    pub(super) fn alike(
        &mut self,
        exprs: &[&Expr],
    ) -> Result<(Vec<Node>, Option<Type>), ExpressionError> {
        let mut typed = Vec::with_capacity(exprs.len());
        for expr in exprs {
            typed.push(self.check(expr)?);
        }
        let literal = |node: &Node| matches!(node, Node::Literal(_));
        let common = typed
            .iter()
            .filter(|(node, type_)| type_.is_some() && !literal(node))
            .chain(typed.iter())
            .find_map(|(_, type_)| *type_);
        let mut nodes = Vec::with_capacity(exprs.len());
        for ((node, type_), expr) in typed.into_iter().zip(exprs) {
            match (type_, common, &node) {
                (Some(found), Some(wanted), _) if found == wanted => nodes.push(node),
                (Some(Type::Text), Some(Type::Time), Node::Literal(text)) => {
                    nodes.push(time_literal(text, expr)?);
                }
                (Some(found), Some(wanted), _) => {
                    return Err(ExpressionError::at(
                        expr.span(),
                        format!("'{expr}' is a {found}, but a {wanted} is needed here"),
                    ));
                }
                _ => nodes.push(node),
            }
        }
        Ok((nodes, common))
    }

    fn unary(
        &mut self,
        op: UnaryOperator,
        inner: &Expr,
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        match op {
            UnaryOperator::Plus => Ok((self.expect(inner, Type::Number)?, Some(Type::Number))),
            UnaryOperator::Minus => {
                let node = match self.expect(inner, Type::Number)? {
                    Node::Literal(Value::Number(number)) => Node::Literal(Value::Number(-number)),
                    node => Node::Negate(Box::new(node)),
                };
                Ok((node, Some(Type::Number)))
            }
            UnaryOperator::Not => {
                Ok((Node::Not(Box::new(self.expect(inner, Type::Boolean)?)), Some(Type::Boolean)))
            }
            _ => Err(ExpressionError::at(
                whole.span(),
                format!("the operator {op} is not part of the expression language"),
            )),
        }
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        if let Some(moved) = self.moved(left, op, right, whole)? {
            return Ok(moved);
        }
        let arithmetic = match op {
            BinaryOperator::Plus => Some(Arithmetic::Add),
            BinaryOperator::Minus => Some(Arithmetic::Subtract),
            BinaryOperator::Multiply => Some(Arithmetic::Multiply),
            BinaryOperator::Divide => Some(Arithmetic::Divide),
            BinaryOperator::Modulo => Some(Arithmetic::Remainder),
            _ => None,
        };
        if let Some(arithmetic) = arithmetic {
            let left = Box::new(self.expect(left, Type::Number)?);
            let right = Box::new(self.expect(right, Type::Number)?);
            return Ok((Node::Arithmetic(arithmetic, left, right), Some(Type::Number)));
        }
        let comparison = match op {
            BinaryOperator::Eq => Some(Comparison::Equal),
            BinaryOperator::NotEq => Some(Comparison::NotEqual),
            BinaryOperator::Lt => Some(Comparison::Less),
            BinaryOperator::LtEq => Some(Comparison::LessOrEqual),
            BinaryOperator::Gt => Some(Comparison::Greater),
            BinaryOperator::GtEq => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let (left, right) = self.pair(left, right)?;
            return Ok((Node::Compare(comparison, left, right), Some(Type::Boolean)));
        }
        match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let left = Box::new(self.expect(left, Type::Boolean)?);
                let right = Box::new(self.expect(right, Type::Boolean)?);
                let node = if *op == BinaryOperator::And {
                    Node::And(left, right)
                } else {
                    Node::Or(left, right)
                };
                Ok((node, Some(Type::Boolean)))
            }
            BinaryOperator::StringConcat => {
                let left = Box::new(self.expect(left, Type::Text)?);
                let right = Box::new(self.expect(right, Type::Text)?);
                Ok((Node::Concatenate(left, right), Some(Type::Text)))
            }
            _ => Err(ExpressionError::at(
                whole.span(),
                format!("the operator {op} is not part of the expression language"),
            )),
        }
    }

    fn pair(
        &mut self,
        left: &Expr,
        right: &Expr,
    ) -> Result<(Box<Node>, Box<Node>), ExpressionError> {
        let (mut nodes, _) = self.alike(&[left, right])?;
        let right = nodes.pop().unwrap_or(Node::Literal(Value::Null));
        let left = nodes.pop().unwrap_or(Node::Literal(Value::Null));
        Ok((Box::new(left), Box::new(right)))
    }

    fn same(&mut self, left: &Expr, right: &Expr, _: &Expr) -> Result<Typed, ExpressionError> {
        let (left, right) = self.pair(left, right)?;
        Ok((Node::Same(left, right), Some(Type::Boolean)))
    }

    fn is_null(&mut self, inner: &Expr) -> Result<Typed, ExpressionError> {
        let (node, _) = self.check(inner)?;
        let null = Box::new(Node::Literal(Value::Null));
        Ok((Node::Same(Box::new(node), null), Some(Type::Boolean)))
    }

    fn is_boolean(&mut self, inner: &Expr, wanted: bool) -> Result<Typed, ExpressionError> {
        let node = Box::new(self.expect(inner, Type::Boolean)?);
        let wanted = Box::new(Node::Literal(Value::Boolean(wanted)));
        Ok((Node::Same(node, wanted), Some(Type::Boolean)))
    }

    fn in_list(
        &mut self,
        inner: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Typed, ExpressionError> {
        let exprs: Vec<&Expr> = std::iter::once(inner).chain(list).collect();
        let (mut nodes, _) = self.alike(&exprs)?;
        let first = nodes.remove(0);
        let typed = (Node::In(Box::new(first), nodes), Some(Type::Boolean));
        Ok(if negated { negate(typed) } else { typed })
    }

    fn between(
        &mut self,
        inner: &Expr,
        low: &Expr,
        high: &Expr,
        negated: bool,
        _: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let (nodes, _) = self.alike(&[inner, low, high])?;
        let mut nodes = nodes.into_iter().map(Box::new);
        let mut next = || nodes.next().unwrap_or_else(|| Box::new(Node::Literal(Value::Null)));
        let (value, low, high) = (next(), next(), next());
        let node = Node::Between(value, low, high);
        let typed = (node, Some(Type::Boolean));
        Ok(if negated { negate(typed) } else { typed })
    }

    fn like(
        &mut self,
        text: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
        any_case: bool,
    ) -> Result<Typed, ExpressionError> {
        let text = Box::new(self.expect(text, Type::Text)?);
        let written = pattern;
        let pattern = Box::new(self.expect(pattern, Type::Text)?);
        let escape = match escape {
            None => None,
            Some(escape) => escape_of(escape, &pattern, written, any_case)?,
        };
        let typed = (Node::Like { text, pattern, any_case, escape }, Some(Type::Boolean));
        Ok(if negated { negate(typed) } else { typed })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
        _: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let mut whens = Vec::with_capacity(conditions.len());
        for when in conditions {
            whens.push(match operand {
                Some(operand) => {
                    let (left, right) = self.pair(operand, &when.condition)?;
                    Node::Compare(Comparison::Equal, left, right)
                }
                None => self.expect(&when.condition, Type::Boolean)?,
            });
        }
        let results: Vec<&Expr> =
            conditions.iter().map(|when| &when.result).chain(otherwise).collect();
        let (mut results, type_) = self.alike(&results)?;
        let otherwise = if otherwise.is_some() { results.pop() } else { None };
        let otherwise = Box::new(otherwise.unwrap_or(Node::Literal(Value::Null)));
        Ok((Node::Case(whens.into_iter().zip(results).collect(), otherwise), type_))
    }

    fn cast(
        &mut self,
        inner: &Expr,
        data_type: &DataType,
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let to = match data_type {
            DataType::Double(_) | DataType::DoublePrecision | DataType::Float(_) => Type::Number,
            DataType::BigInt(_) => return self.call(Function::BigInt, &[inner], whole),
            DataType::Date => {
                return self.call(Function::DateTrunc(Unit::Day), &[inner], whole);
            }
            DataType::Boolean | DataType::Bool => Type::Boolean,
            DataType::Varchar(None) | DataType::Text => Type::Text,
            DataType::Timestamp(None, _) => Type::Time,
            other => {
                return Err(ExpressionError::at(
                    whole.span(),
                    format!(
                        "cannot cast to {other}; use DOUBLE, BIGINT, VARCHAR, BOOLEAN, DATE or TIMESTAMP"
                    ),
                ));
            }
        };
        let (node, from) = self.check(inner)?;
        let possible = match (from, to) {
            (None, _) => true,
            (Some(from), to) if from == to => true,
            (Some(Type::Text), Type::Number | Type::Boolean) => true,
            (Some(Type::Boolean), Type::Number | Type::Text) => true,
            (Some(Type::Number), Type::Boolean | Type::Text) => true,
            (Some(Type::Text), Type::Time) => matches!(node, Node::Literal(_)),
            _ => false,
        };
        match (possible, from, to) {
            (true, Some(Type::Text), Type::Time) => match &node {
                Node::Literal(text) => Ok((time_literal(text, inner)?, Some(Type::Time))),
                _ => Ok((node, Some(Type::Time))),
            },
            (true, from, _) => Ok((Node::Cast(Box::new(node), from, to), Some(to))),
            (false, from, _) => Err(ExpressionError::at(
                whole.span(),
                format!("a {} cannot be cast to a {to}", from.unwrap_or(Type::Text)),
            )),
        }
    }
}

fn negate((node, type_): Typed) -> Typed {
    (Node::Not(Box::new(node)), type_)
}

fn literal(value: &ast::Value, expr: &Expr) -> Result<Typed, ExpressionError> {
    match value {
        ast::Value::Null => Ok((Node::Literal(Value::Null), None)),
        ast::Value::Boolean(boolean) => {
            Ok((Node::Literal(Value::Boolean(*boolean)), Some(Type::Boolean)))
        }
        ast::Value::SingleQuotedString(text) => {
            Ok((Node::Literal(Value::text(text.as_str())), Some(Type::Text)))
        }
        ast::Value::Number(digits, _) => match digits.replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() => {
                Ok((Node::Literal(Value::Number(number)), Some(Type::Number)))
            }
            _ => Err(ExpressionError::at(expr.span(), format!("{digits} is not a number"))),
        },
        other => Err(ExpressionError::at(
            expr.span(),
            format!("{other} is not a literal of the expression language"),
        )),
    }
}

/// The escape of a LIKE. What DuckDB finds out while it runs, row by row, is refused here: escape and
/// pattern must be written out, and the pattern must not end in the escape.
fn escape_of(
    escape: &Expr,
    pattern: &Node,
    written: &Expr,
    any_case: bool,
) -> Result<Option<char>, ExpressionError> {
    let refuse = |expr: &Expr, message: &str| Err(ExpressionError::at(expr.span(), message));
    let character = match escape {
        Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) => text.clone(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let mut characters = character.chars();
    let (Some(escape), None) = (characters.next(), characters.next()) else {
        return refuse(escape, "the escape is one character: ESCAPE '!'");
    };
    if !escape.is_ascii() || any_case && escape.is_ascii_alphabetic() {
        return refuse(written, "the escape must be ASCII, and of ILIKE no letter");
    }
    let Node::Literal(Value::Text(pattern)) = pattern else {
        return refuse(written, "with an escape the pattern must be a text, not a column");
    };
    let trailing = pattern.chars().rev().take_while(|c| *c == escape).count();
    match trailing % 2 {
        1 => refuse(written, "the pattern ends in its escape, which escapes nothing"),
        _ => Ok(Some(escape)),
    }
}

fn typed_literal(typed: &ast::TypedString, expr: &Expr) -> Result<Typed, ExpressionError> {
    match (&typed.data_type, &typed.value.value) {
        (DataType::Timestamp(None, _) | DataType::Date, ast::Value::SingleQuotedString(text)) => {
            Ok((time_literal(&Value::text(text.as_str()), expr)?, Some(Type::Time)))
        }
        _ => Err(ExpressionError::at(
            expr.span(),
            format!("'{expr}' is not a literal; write TIMESTAMP '1997-03-01 12:00:00'"),
        )),
    }
}

pub(super) fn time_literal(text: &Value, expr: &Expr) -> Result<Node, ExpressionError> {
    match text.coerce(Type::Time) {
        Value::Null => Err(ExpressionError::at(
            expr.span(),
            format!("'{text}' is not a time; write it like '1997-03-01' or '1997-03-01 12:30:00'"),
        )),
        time => Ok(Node::Literal(time)),
    }
}
