use sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned as _,
    UnaryOperator,
};

use super::calendar::{Part, Unit};
use super::check::{Checker, Typed};
use super::function::WITH_UNIT;
use super::node::Node;
use super::{ExpressionError, Function};
use crate::domain::{Type, Value, did_you_mean};

/// Functions, their units, and intervals of time.
impl Checker<'_> {
    pub(super) fn function(
        &mut self,
        function: &ast::Function,
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let name = function.name.to_string();
        let arguments = plain_arguments(function, &name, whole)?;
        let lower = name.to_lowercase();
        if WITH_UNIT.contains(&lower.as_str()) {
            return self.with_unit(&name, &arguments, whole);
        }
        if let ("if", [condition, then, otherwise]) = (lower.as_str(), arguments.as_slice()) {
            let condition = self.expect(condition, Type::Boolean)?;
            let (mut nodes, type_) = self.alike(&[then, otherwise])?;
            let otherwise = Box::new(nodes.pop().unwrap_or(Node::Literal(Value::Null)));
            let then = nodes.pop().unwrap_or(Node::Literal(Value::Null));
            return Ok((Node::Case(vec![(condition, then)], otherwise), type_));
        }
        let Some(known) = Function::named(&name) else {
            let suggestion = did_you_mean(&name, Function::names());
            let message = format!("there is no function '{name}'{suggestion}");
            return Err(ExpressionError::at(whole.span(), message));
        };
        self.call(known, &arguments, whole)
    }

    pub(super) fn call(
        &mut self,
        function: Function,
        arguments: &[&Expr],
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let signature = function.signature();
        let (fewest, most) = signature.count;
        if arguments.len() < fewest || arguments.len() > most {
            let count =
                if fewest == most { fewest.to_string() } else { format!("{fewest} to {most}") };
            return Err(ExpressionError::at(
                whole.span(),
                format!("{} takes {count} arguments, not {}", function.sql(), arguments.len()),
            ));
        }
        let Some(last) = signature.arguments.last() else {
            let (nodes, shared) = self.alike(arguments)?;
            return Ok((Node::Call(function, nodes), signature.result.or(shared)));
        };
        let types = signature.arguments.iter().chain(std::iter::repeat(last));
        let nodes: Result<Vec<Node>, _> = arguments
            .iter()
            .zip(types)
            .map(|(argument, type_)| self.expect(argument, *type_))
            .collect();
        Ok((Node::Call(function, nodes?), signature.result))
    }

    /// `date_trunc('month', x)` and its like: the unit is written out and becomes part of the function.
    fn with_unit(
        &mut self,
        name: &str,
        arguments: &[&Expr],
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let Some((first, rest)) = arguments.split_first() else {
            let message = format!("write {name}('day', …)");
            return Err(ExpressionError::at(whole.span(), message));
        };
        let written = match first {
            Expr::Value(value) => match &value.value {
                ast::Value::SingleQuotedString(text) => text.as_str(),
                _ => "",
            },
            _ => "",
        };
        if let ("date_part" | "datepart", [time]) = (name.to_lowercase().as_str(), rest) {
            return self.part(written, time, whole);
        }
        let function = Unit::named(written).and_then(|unit| Function::with_unit(name, unit));
        match function {
            Some(function) => self.call(function, rest, whole),
            None => Err(ExpressionError::at(
                first.span(),
                format!("{first} is no unit; write one like 'day', 'week' or 'month'"),
            )),
        }
    }

    /// A part of a time by its name.
    pub(super) fn part(
        &mut self,
        name: &str,
        time: &Expr,
        whole: &Expr,
    ) -> Result<Typed, ExpressionError> {
        let unit = Unit::named(name).map(|unit| match unit {
            Unit::Microsecond => Part::Microsecond,
            Unit::Millisecond => Part::Millisecond,
            Unit::Second => Part::Second,
            Unit::Minute => Part::Minute,
            Unit::Hour => Part::Hour,
            Unit::Day => Part::Day,
            Unit::Week => Part::Week,
            Unit::Month => Part::Month,
            Unit::Quarter => Part::Quarter,
            Unit::Year => Part::Year,
        });
        let by_name = || Function::named(name).filter(|f| f.signature().arguments == [Type::Time]);
        match unit.map(Function::Part).or_else(by_name) {
            Some(function) => self.call(function, &[time], whole),
            None => Err(ExpressionError::at(
                whole.span(),
                format!(
                    "'{name}' is no part of a time; write one like 'hour', 'dayofweek' or 'month'"
                ),
            )),
        }
    }

    /// A time plus or minus an interval; none if the operation is another one.
    pub(super) fn moved(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        whole: &Expr,
    ) -> Result<Option<Typed>, ExpressionError> {
        let (time, interval, sign) = match (left, op, right) {
            (time, BinaryOperator::Plus, Expr::Interval(interval)) => (time, interval, 1.0),
            (Expr::Interval(interval), BinaryOperator::Plus, time) => (time, interval, 1.0),
            (time, BinaryOperator::Minus, Expr::Interval(interval)) => (time, interval, -1.0),
            _ => return Ok(None),
        };
        let bad = || {
            let message = format!(
                "{interval} is no interval here; write a whole number and a unit: INTERVAL 3 DAY"
            );
            ExpressionError::at(whole.span(), message)
        };
        let field = interval.leading_field.as_ref().map(ToString::to_string);
        let (n, unit) = length_of(&interval.value, field.as_deref()).ok_or_else(bad)?;
        let (n, unit) = match unit {
            Unit::Quarter => (n * 3.0, Unit::Month),
            Unit::Year => (n * 12.0, Unit::Month),
            unit => (n, unit),
        };
        // What DuckDB keeps in 32 or 64 bits.
        #[allow(clippy::cast_precision_loss, reason = "a bound")]
        let most = unit.fixed().map_or(f64::from(i32::MAX), |size| 9e18 / size as f64);
        if n.abs() > most.min(9e15) {
            return Err(bad());
        }
        let time = self.expect(time, Type::Time)?;
        let n = Node::Literal(Value::Number(n * sign));
        Ok(Some((Node::Call(Function::AddInterval(unit), vec![time, n]), Some(Type::Time))))
    }
}

/// The arguments of a call that is nothing but a call.
fn plain_arguments<'e>(
    function: &'e ast::Function,
    name: &str,
    whole: &Expr,
) -> Result<Vec<&'e Expr>, ExpressionError> {
    let FunctionArguments::List(list) = &function.args else {
        return Err(ExpressionError::at(whole.span(), format!("{name} takes arguments")));
    };
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None)
        && list.clauses.is_empty()
        && list.duplicate_treatment.is_none();
    let arguments: Option<Vec<&Expr>> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    arguments.filter(|_| plain).ok_or_else(|| {
        ExpressionError::at(
            whole.span(),
            format!("write {name} with plain arguments only; aggregates belong into features"),
        )
    })
}

/// A whole number and a unit: `3 DAY`, `'3' DAY` or `'3 days'`.
fn length_of(value: &Expr, field: Option<&str>) -> Option<(f64, Unit)> {
    let whole = |digits: &str| digits.trim().parse::<i64>().ok();
    #[allow(clippy::cast_precision_loss, reason = "it is bounded far below 2^53")]
    let with = |n: Option<i64>, unit: Option<&str>| Some((n? as f64, Unit::named(unit?.trim())?));
    match value {
        Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => with(whole(digits), field),
            ast::Value::SingleQuotedString(text) => match text.trim().split_once(' ') {
                Some((digits, unit)) if field.is_none() => with(whole(digits), Some(unit)),
                _ => with(whole(text), field),
            },
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
            length_of(expr, field).map(|(n, unit)| (-n, unit))
        }
        Expr::Nested(inner) => length_of(inner, field),
        _ => None,
    }
}
