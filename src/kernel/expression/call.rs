use std::borrow::Cow;
use std::cmp::Ordering;

use super::Function;
use super::evaluate::{Columns, Operand, evaluate};
use super::node::Node;
use super::text::{is_space, lower, map_case, upper};
use crate::domain::Time;

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
        one_or_two => {
            let first = values.next().unwrap_or(Operand::Null);
            let second = values.next().unwrap_or(Operand::Null);
            call_scalar(one_or_two, first, &second)
        }
    }
}

/// The greatest or least of the values that are not null.
fn extreme<'a>(values: impl Iterator<Item = Operand<'a>>, wanted: Ordering) -> Operand<'a> {
    values.filter(|value| !value.is_null()).fold(Operand::Null, |best, value| {
        if best.is_null() || value.compare(&best) == Some(wanted) { value } else { best }
    })
}

fn call_scalar<'a>(function: Function, first: Operand<'a>, second: &Operand<'a>) -> Operand<'a> {
    match (function, first, second) {
        (Function::NullIf, first, second) => {
            if first.compare(second) == Some(Ordering::Equal) {
                Operand::Null
            } else {
                first
            }
        }
        (Function::Power, Operand::Number(base), Operand::Number(exponent)) => {
            Operand::Number(base.powf(*exponent))
        }
        (function, Operand::Number(x), _) => number(function, x),
        (Function::Length, Operand::Text(text), _) => {
            u32::try_from(text.chars().count()).map_or(Operand::Null, |n| Operand::Number(n.into()))
        }
        (Function::Lower, Operand::Text(text), _) => {
            Operand::Text(Cow::Owned(map_case(&text, lower)))
        }
        (Function::Upper, Operand::Text(text), _) => {
            Operand::Text(Cow::Owned(map_case(&text, upper)))
        }
        (Function::Trim, Operand::Text(text), _) => {
            trimmed(text, |text| text.trim_matches(is_space))
        }
        (Function::Contains, Operand::Text(text), Operand::Text(part)) => {
            Operand::Boolean(text.contains(part.as_ref()))
        }
        (Function::StartsWith, Operand::Text(text), Operand::Text(part)) => {
            Operand::Boolean(text.starts_with(part.as_ref()))
        }
        (Function::EndsWith, Operand::Text(text), Operand::Text(part)) => {
            Operand::Boolean(text.ends_with(part.as_ref()))
        }
        (part, Operand::Time(time), _) => time_part(part, time),
        _ => Operand::Null,
    }
}

fn trimmed<'a>(text: Cow<'a, str>, trim: impl Fn(&str) -> &str) -> Operand<'a> {
    Operand::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    })
}

fn number(function: Function, x: f64) -> Operand<'static> {
    Operand::Number(match function {
        Function::Abs => x.abs(),
        Function::Ceil => x.ceil(),
        Function::Floor => x.floor(),
        Function::Round => x.round(),
        Function::Exp => x.exp(),
        Function::Ln => x.ln(),
        Function::Log10 => x.log10(),
        Function::Sqrt => x.sqrt(),
        Function::Sign => sign(x),
        _ => return Operand::Null,
    })
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

fn time_part(part: Function, time: Time) -> Operand<'static> {
    let Ok(timestamp) = jiff::Timestamp::from_microsecond(time.0) else {
        return Operand::Null;
    };
    let utc = jiff::tz::Offset::UTC.to_datetime(timestamp);
    Operand::Number(match part {
        Function::Year => f64::from(utc.year()),
        Function::Month => f64::from(utc.month()),
        Function::Day => f64::from(utc.day()),
        Function::Hour => f64::from(utc.hour()),
        Function::Minute => f64::from(utc.minute()),
        // DuckDB counts from Sunday as 0.
        Function::DayOfWeek => f64::from(utc.weekday().to_sunday_zero_offset()),
        #[allow(clippy::cast_precision_loss, reason = "DuckDB gives seconds as a double as well")]
        Function::Epoch => time.0 as f64 / 1_000_000.0,
        _ => return Operand::Null,
    })
}
