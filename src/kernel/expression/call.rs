use std::borrow::Cow;
use std::cmp::Ordering;

use super::evaluate::{Columns, LONGEST_RESULT, Operand, evaluate};
use super::node::Node;
use super::text::{is_space, lower, map_case, upper};
use super::{Function, calendar, number, text};
use crate::domain::Time;

/// The most that a replacement may look like making, in bytes: length of the text times that of the new.
const LARGEST_REPLACE: usize = 4 << 20;

/// The value of a function.
pub(super) fn call<'a>(
    function: Function,
    arguments: &'a [Node],
    column: Columns<'_, 'a>,
) -> Operand<'a> {
    let mut values = arguments.iter().map(|argument| evaluate(argument, column));
    match function {
        Function::Coalesce => values.find(|value| !value.is_null()).unwrap_or(Operand::Null),
        Function::Greatest => extreme(values, Ordering::Greater),
        Function::Least => extreme(values, Ordering::Less),
        Function::Concat => joined("", values),
        Function::ConcatWs => match values.next() {
            Some(Operand::Text(separator)) => joined(&separator, values),
            _ => Operand::Null,
        },
        Function::Pi => Operand::Number(std::f64::consts::PI),
        function => {
            let mut next = || values.next();
            let (first, second, third) = (next(), next(), next());
            // Null in, null out: but what is not there at all is another matter.
            if [&first, &second, &third].into_iter().flatten().any(Operand::is_null)
                && function != Function::NullIf
            {
                return Operand::Null;
            }
            call_scalar(function, first.unwrap_or(Operand::Null), second, third)
        }
    }
}

/// The greatest or least of the values that are not null.
fn extreme<'a>(values: impl Iterator<Item = Operand<'a>>, wanted: Ordering) -> Operand<'a> {
    values.filter(|value| !value.is_null()).fold(Operand::Null, |best, value| {
        if best.is_null() || value.compare(&best) == Some(wanted) { value } else { best }
    })
}

/// The texts that are not null, one after the other.
fn joined<'a>(separator: &str, values: impl Iterator<Item = Operand<'a>>) -> Operand<'a> {
    let texts: Vec<Cow<'a, str>> = values
        .filter_map(|value| match value {
            Operand::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    let text = texts.join(separator);
    Operand::made(text.len(), || text)
}

fn call_scalar<'a>(
    function: Function,
    first: Operand<'a>,
    second: Option<Operand<'a>>,
    third: Option<Operand<'a>>,
) -> Operand<'a> {
    match (first, second, third) {
        (first, Some(second), None) if function == Function::NullIf => {
            if first.compare(&second) == Some(Ordering::Equal) { Operand::Null } else { first }
        }
        (Operand::Number(x), second, None) => of_number(function, x, second.as_ref()),
        (Operand::Time(time), second, None) => of_time(function, time, second.as_ref()),
        (Operand::Text(text), None, None) => of_text(function, text),
        (Operand::Text(text), Some(second), third) => {
            of_texts(function, text, &second, third.as_ref())
        }
        _ => Operand::Null,
    }
}

fn of_number(function: Function, x: f64, second: Option<&Operand<'_>>) -> Operand<'static> {
    let optional = |number: Option<f64>| number.map_or(Operand::Null, Operand::Number);
    if let Some(Operand::Number(y)) = second {
        let y = *y;
        return match function {
            Function::Atan2 => Operand::Number(x.atan2(y)),
            Function::Log => Operand::Number(y.log10() / x.log10()),
            Function::Mod => Operand::Number(x % y),
            Function::Power => Operand::Number(x.powf(y)),
            Function::Round => optional(number::to_places(x, y, f64::round, false)),
            Function::Trunc => optional(number::to_places(x, y, f64::trunc, true)),
            _ => Operand::Null,
        };
    }
    Operand::Number(match function {
        Function::Abs => x.abs(),
        Function::Acos => x.acos(),
        Function::Asin => x.asin(),
        Function::Atan => x.atan(),
        #[allow(clippy::cast_precision_loss, reason = "DuckDB gives the nearest double as well")]
        Function::BigInt => return optional(number::whole(x).map(|n| n as f64)),
        Function::Cbrt => x.cbrt(),
        Function::Ceil => x.ceil(),
        Function::Cos => x.cos(),
        Function::Degrees => x.to_degrees(),
        Function::Even => number::even(x),
        Function::Exp => x.exp(),
        Function::Floor => x.floor(),
        Function::IsFinite => return Operand::Boolean(x.is_finite()),
        Function::IsInf => return Operand::Boolean(x.is_infinite()),
        Function::IsNan => return Operand::Boolean(x.is_nan()),
        Function::Ln => x.ln(),
        Function::Log => x.log10(),
        Function::Log2 => x.log2(),
        Function::Radians => x.to_radians(),
        Function::Round => x.round(),
        Function::Sign => number::sign(x),
        Function::Sin => x.sin(),
        Function::Sqrt => x.sqrt(),
        Function::Tan => x.tan(),
        Function::Trunc => x.trunc(),
        _ => return Operand::Null,
    })
}

fn of_text(function: Function, text: Cow<'_, str>) -> Operand<'_> {
    let count = |n: usize| u32::try_from(n).map_or(Operand::Null, |n| Operand::Number(n.into()));
    let first = |empty: f64| {
        let code = |c: char| f64::from(u32::from(c));
        Operand::Number(text.chars().next().map_or(empty, code))
    };
    match function {
        Function::Ascii => first(0.0),
        Function::Unicode => first(-1.0),
        Function::Length => count(text.chars().count()),
        Function::Strlen => count(text.len()),
        Function::Lower => Operand::Text(Cow::Owned(map_case(&text, lower))),
        Function::Upper => Operand::Text(Cow::Owned(map_case(&text, upper))),
        Function::Trim => trimmed(text, |text| text.trim_matches(is_space)),
        Function::Ltrim => trimmed(text, |text| text.trim_start_matches(is_space)),
        Function::Rtrim => trimmed(text, |text| text.trim_end_matches(is_space)),
        _ => Operand::Null,
    }
}

fn of_texts<'a>(
    function: Function,
    first: Cow<'a, str>,
    second: &Operand<'a>,
    third: Option<&Operand<'a>>,
) -> Operand<'a> {
    let owned =
        |text: Option<String>| text.map_or(Operand::Null, |text| Operand::Text(text.into()));
    match (function, second, third) {
        (Function::Contains, Operand::Text(part), None) => {
            Operand::Boolean(first.contains(part.as_ref()))
        }
        (Function::StartsWith, Operand::Text(part), None) => {
            Operand::Boolean(first.starts_with(part.as_ref()))
        }
        (Function::EndsWith, Operand::Text(part), None) => {
            Operand::Boolean(first.ends_with(part.as_ref()))
        }
        #[allow(clippy::cast_precision_loss, reason = "a text has fewer characters")]
        (Function::Strpos, Operand::Text(part), None) => {
            Operand::Number(text::position(&first, part) as f64)
        }
        (Function::Trim, Operand::Text(set), None) => {
            trimmed(first, |text| text.trim_matches(|c| set.contains(c)))
        }
        (Function::Ltrim, Operand::Text(set), None) => {
            trimmed(first, |text| text.trim_start_matches(|c| set.contains(c)))
        }
        (Function::Rtrim, Operand::Text(set), None) => {
            trimmed(first, |text| text.trim_end_matches(|c| set.contains(c)))
        }
        (Function::Left, Operand::Number(n), None) => {
            owned(number::whole(*n).and_then(|n| text::left(&first, n)))
        }
        (Function::Right, Operand::Number(n), None) => {
            owned(number::whole(*n).map(|n| text::right(&first, n)))
        }
        (Function::Substring, Operand::Number(start), count) => {
            let count = match count {
                Some(Operand::Number(n)) => match number::whole(*n) {
                    Some(n) => Some(n),
                    None => return Operand::Null,
                },
                _ => None,
            };
            owned(number::whole(*start).and_then(|start| text::substring(&first, start, count)))
        }
        (Function::Lpad | Function::Rpad, Operand::Number(n), Some(Operand::Text(fill))) => {
            let at_left = function == Function::Lpad;
            owned(number::whole(*n).and_then(|n| text::pad(&first, n, fill, at_left)))
        }
        (Function::SplitPart, Operand::Text(separator), Some(Operand::Number(n))) => {
            owned(number::whole(*n).map(|n| text::split_part(&first, separator, n)))
        }
        (Function::Replace, Operand::Text(from), Some(Operand::Text(to))) => {
            replace(first, from, to)
        }
        _ => Operand::Null,
    }
}

fn replace<'a>(text: Cow<'a, str>, from: &str, to: &str) -> Operand<'a> {
    if text.len() * to.len() > LARGEST_REPLACE {
        return Operand::Null;
    }
    if from.is_empty() {
        return if text.len() <= LONGEST_RESULT { Operand::Text(text) } else { Operand::Null };
    }
    let replaced = text.replace(from, to);
    Operand::made(replaced.len(), || replaced)
}

fn trimmed<'a>(text: Cow<'a, str>, trim: impl Fn(&str) -> &str) -> Operand<'a> {
    Operand::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    })
}

#[allow(clippy::cast_precision_loss, reason = "DuckDB gives the nearest double as well")]
fn of_time(function: Function, time: Time, second: Option<&Operand<'_>>) -> Operand<'static> {
    let count = |n: Option<i64>| n.map_or(Operand::Null, |n| Operand::Number(n as f64));
    let moved = |micros: Option<i64>| micros.map_or(Operand::Null, |m| Operand::Time(Time(m)));
    match (function, second) {
        (Function::Epoch, None) => Operand::Number(time.0 as f64 / 1_000_000.0),
        (Function::Part(part), None) => count(Some(calendar::part(part, time.0))),
        (Function::DayName, None) => Operand::Text(Cow::Borrowed(calendar::day_name(time.0))),
        (Function::MonthName, None) => Operand::Text(Cow::Borrowed(calendar::month_name(time.0))),
        (Function::DateTrunc(unit), None) => moved(calendar::truncate(unit, time.0)),
        (Function::DateDiff(unit), Some(Operand::Time(to))) => {
            count(calendar::difference(unit, time.0, to.0))
        }
        (Function::DateSub(unit), Some(Operand::Time(to))) => {
            count(calendar::whole_units(unit, time.0, to.0))
        }
        (Function::AddInterval(unit), Some(Operand::Number(n))) => {
            let n = number::whole(*n);
            moved(match (unit.fixed(), n) {
                (None, Some(months)) => calendar::add_months(time.0, months),
                (Some(size), Some(n)) => {
                    n.checked_mul(size).and_then(|micros| calendar::add_micros(time.0, micros))
                }
                (_, None) => None,
            })
        }
        _ => Operand::Null,
    }
}
