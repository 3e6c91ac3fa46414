use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Event, IDENTIFY, Properties, Type, Value, boolean_of, is_missing};

/// The type of a property or trait: a fact of the project, which no value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyType {
    /// True or false.
    Boolean,
    /// Numbers that an `f64` holds with every digit.
    Number,
    /// Any finite number, as the nearest `f64`. Only a person chooses it.
    RoundedNumber,
    /// UTF-8 text.
    Text,
    /// An instant.
    Time,
}

/// Why a value does not fit the type of its property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MisfitReason {
    /// It is not a number.
    NoNumber,
    /// It is a number with digits that an `f64` cannot hold.
    MoreDigits,
    /// It is a number beyond the largest `f64`, or infinite.
    Infinite,
    /// It is neither true nor false.
    NoBoolean,
    /// It is not an instant.
    NoTime,
}

impl fmt::Display for MisfitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "not a number",
            Self::MoreDigits => "more digits than a number keeps",
            Self::Infinite => "larger than the largest number",
            Self::NoBoolean => "neither true nor false",
            Self::NoTime => "not a time",
        })
    }
}

impl PropertyType {
    /// The type that a person chose: of numbers they accept the nearest `f64`.
    #[must_use]
    pub const fn chosen(type_: Type) -> Self {
        match type_ {
            Type::Number => Self::RoundedNumber,
            other => Self::found(other),
        }
    }

    /// The type that values were found to have.
    #[must_use]
    pub const fn found(type_: Type) -> Self {
        match type_ {
            Type::Boolean => Self::Boolean,
            Type::Number => Self::Number,
            Type::Time => Self::Time,
            Type::Text | Type::List(_) | Type::Counts(_) => Self::Text,
        }
    }

    /// The type of the values that fit.
    #[must_use]
    pub const fn type_of(self) -> Type {
        match self {
            Self::Boolean => Type::Boolean,
            Self::Number | Self::RoundedNumber => Type::Number,
            Self::Text => Type::Text,
            Self::Time => Type::Time,
        }
    }

    /// Returns a value as this type. Files, live events and pulled events read a property by this one rule:
    /// a text that is written as a number, a boolean or an instant is one, and every value can be a text.
    ///
    /// # Errors
    /// The value does not fit. It is null in its property then, and kept as a misfit.
    pub fn fit(self, value: &Value) -> Result<Value, MisfitReason> {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Self::RoundedNumber, Value::Text(text)) => rounded_number(text),
            (type_, value) => value.fit(type_.type_of()),
        }
    }
}

impl fmt::Display for PropertyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundedNumber => f.write_str("rounded number"),
            other => other.type_of().fmt(f),
        }
    }
}

impl Value {
    /// Returns the value as a type, where it is one.
    ///
    /// # Errors
    /// The value does not fit the type.
    pub fn fit(&self, to: Type) -> Result<Self, MisfitReason> {
        match (self, to) {
            (Self::Null, _) => Ok(Self::Null),
            (Self::Number(number), Type::Number) => finite(*number),
            (value, to) if value.type_of() == Some(to) => Ok(value.clone()),
            (value, Type::Text) => Ok(Self::text(value.to_string())),
            (Self::Text(text), Type::Number) => match number_in(text)? {
                Some(number) => Ok(Self::Number(number)),
                None => Ok(Self::Null),
            },
            (Self::Text(text), Type::Boolean) => match boolean_of(text) {
                Some(boolean) => Ok(Self::Boolean(boolean)),
                None => null_if_missing(text, MisfitReason::NoBoolean),
            },
            (Self::Text(text), Type::Time) => match text.parse() {
                Ok(time) => Ok(Self::Time(time)),
                Err(_) => null_if_missing(text, MisfitReason::NoTime),
            },
            (_, Type::Number) => Err(MisfitReason::NoNumber),
            (_, Type::Boolean) => Err(MisfitReason::NoBoolean),
            (_, Type::Time) => Err(MisfitReason::NoTime),
            // Definitions compute lists; no value that arrives is one.
            (_, Type::List(_) | Type::Counts(_)) => Ok(Self::Null),
        }
    }
}

fn finite(number: f64) -> Result<Value, MisfitReason> {
    match number {
        _ if number.is_nan() => Ok(Value::Null),
        _ if number.is_infinite() => Err(MisfitReason::Infinite),
        _ => Ok(Value::Number(number)),
    }
}

/// Null where a text spells a missing value, which is no misfit.
fn null_if_missing(text: &str, reason: MisfitReason) -> Result<Value, MisfitReason> {
    if is_missing(text) { Ok(Value::Null) } else { Err(reason) }
}

fn rounded_number(text: &str) -> Result<Value, MisfitReason> {
    finite(parsed(text)?)
}

/// The number of a text, which may be infinite; NaN where it spells a missing value.
fn parsed(text: &str) -> Result<f64, MisfitReason> {
    match text.trim().parse() {
        Ok(number) => Ok(number),
        Err(_) if is_missing(text) => Ok(f64::NAN),
        Err(_) => Err(MisfitReason::NoNumber),
    }
}

/// The number of a text that an `f64` holds with every digit; none where it spells a missing value.
///
/// # Errors
/// The text is not a number, or one that an `f64` does not hold.
pub fn number_in(text: &str) -> Result<Option<f64>, MisfitReason> {
    let number = parsed(text)?;
    if number.is_nan() {
        Ok(None)
    } else if number.is_infinite() {
        Err(MisfitReason::Infinite)
    } else if keeps_digits(number, text) {
        Ok(Some(number))
    } else {
        Err(MisfitReason::MoreDigits)
    }
}

/// Decimal digits that every `f64` keeps, unless it is next to zero.
const SAFE_DIGITS: usize = 15;
/// The most significant decimal digits that an `f64` has, written out in full.
const MOST_DIGITS: usize = 767;

/// Digits that tell every two `f64` apart.
const DISTINCT_DIGITS: usize = 17;

/// Whether a number that was read from a text has all of the text's digits: its shortest form has them, or, for texts
/// of 17 digits and more, its form with as many digits.
#[must_use]
pub fn keeps_digits(number: f64, text: &str) -> bool {
    let is_tiny = number.abs() < f64::MIN_POSITIVE;
    if text.len() <= SAFE_DIGITS && !is_tiny {
        return true;
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    let n_written = digits.len();
    let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    digits.truncate(n_written - trailing);
    if digits.is_empty() {
        return true;
    }
    if digits.len() <= SAFE_DIGITS && !is_tiny {
        return true;
    }
    if digits.len() > MOST_DIGITS || number == 0.0 {
        return false;
    }
    let has_digits_of = |form: String| {
        let mantissa = form.split('e').next().unwrap_or_default();
        let form: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        form.starts_with(&digits) && form[digits.len()..].iter().all(|digit| *digit == b'0')
    };
    has_digits_of(format!("{number:e}"))
        || (n_written >= DISTINCT_DIGITS
            && has_digits_of(format!("{:.*e}", n_written.min(MOST_DIGITS) - 1, number)))
}

/// The types of a project's properties and traits, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyTypes {
    /// Properties of events. Names differ by more than case.
    #[serde(default)]
    pub properties: BTreeMap<String, PropertyType>,
    /// Traits of customers.
    #[serde(default)]
    pub traits: BTreeMap<String, PropertyType>,
}

impl PropertyTypes {
    /// The name of a property as the project has it, and its type; none while it has no value.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<(&str, PropertyType)> {
        let exact = self.properties.get_key_value(name);
        let same = || {
            let lower = name.to_lowercase();
            self.properties.iter().find(|(known, _)| known.to_lowercase() == lower)
        };
        exact.or_else(same).map(|(name, type_)| (name.as_str(), *type_))
    }

    /// The type of a trait; none while it has no value.
    #[must_use]
    pub fn trait_type(&self, name: &str) -> Option<PropertyType> {
        self.traits.get(name).copied()
    }

    /// Whether a property or trait, whose type in a definition is given, may read otherwise as its own type:
    /// where the types are the same, one rule reads both.
    #[must_use]
    pub fn differ_from(
        &self,
        properties: &BTreeMap<String, Type>,
        traits: &BTreeMap<String, Type>,
    ) -> bool {
        let differs = |known: Option<PropertyType>, type_: Type| {
            known.is_some_and(|known| known != PropertyType::found(type_))
        };
        properties
            .iter()
            .any(|(name, type_)| differs(self.property(name).map(|(_, known)| known), *type_))
            || traits.iter().any(|(name, type_)| differs(self.trait_type(name), *type_))
    }

    /// Returns the properties of an event, or the traits of an identify event, as their types. What does not
    /// fit is null, and what has no type stays as it came.
    #[must_use]
    pub fn read(&self, event: &Event) -> Properties {
        let is_identify = event.event == IDENTIFY;
        let read = |(name, value): (&String, &Value)| {
            let type_ = match is_identify {
                true => self.trait_type(name),
                false => self.property(name).map(|(_, type_)| type_),
            };
            let value = type_.map_or_else(|| value.clone(), |type_| fitted(type_, value));
            (name.clone(), value)
        };
        event.properties.iter().map(read).collect()
    }
}

fn fitted(type_: PropertyType, value: &Value) -> Value {
    type_.fit(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;
    use proptest::prelude::*;

    #[test]
    fn a_number_keeps_every_digit_or_is_none() {
        for text in [
            "0",
            "-0.0",
            "5.50",
            "1e3",
            "9007199254740992",
            "100000000000000000000",
            "1e22",
            "0.1",
            "0.30000000000000004",
            // As `%.17g` writes 0.1, and as Python writes it in full.
            "0.10000000000000001",
            "0.1000000000000000055511151231257827021181583404541015625",
            "1.100000000000000000",
            "12345678901234.5",
            "0e400",
        ] {
            assert!(matches!(number_in(text), Ok(Some(_))), "{text}");
        }
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "12345678901234567.89",
            "1.000000000000000001",
            "123456789012345678901234567890123456789",
            "1e-400",
            "1.234567890123456e-310",
        ] {
            assert_eq!(number_in(text), Err(MisfitReason::MoreDigits), "{text}");
        }
        let long = format!("0.{}1", "0123456789".repeat(10_000));
        assert_eq!(number_in(&long), Err(MisfitReason::MoreDigits));
        assert_eq!(number_in("1e400"), Err(MisfitReason::Infinite));
        assert_eq!(number_in("-inf"), Err(MisfitReason::Infinite));
        for text in ["NaN", "n/a", "NULL", "", " "] {
            assert_eq!(number_in(text), Ok(None), "{text}");
        }
        for text in ["5,5", "1_000", "0x10", "five"] {
            assert_eq!(number_in(text), Err(MisfitReason::NoNumber), "{text}");
        }
    }

    #[test]
    fn only_a_person_chooses_rounding() {
        let big = Value::text("9007199254740993");
        assert_eq!(PropertyType::found(Type::Number).fit(&big), Err(MisfitReason::MoreDigits));
        let rounded = PropertyType::chosen(Type::Number).fit(&big);
        assert_eq!(rounded, Ok(Value::Number(9_007_199_254_740_992.0)));
        let infinite = PropertyType::chosen(Type::Number).fit(&Value::text("1e400"));
        assert_eq!(infinite, Err(MisfitReason::Infinite));
    }

    #[test]
    fn a_value_that_does_not_fit_is_null_and_leaves_the_others() {
        let types: PropertyTypes = toml::from_str(
            "[properties]\nAmount = \"number\"\nnote = \"text\"\n[traits]\nage = \"number\"\n",
        )
        .unwrap();
        let event = |name: &str, properties: &[(&str, Value)]| Event {
            message_id: "m".to_owned(),
            customer_id: "c".to_owned(),
            anonymous_id: None,
            event: name.to_owned(),
            event_time: Time(0),
            received_at: Time(0),
            seq: 0,
            properties: properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
        };
        let bought = event(
            "buy",
            &[
                ("amount", Value::text("5.50")),
                ("note", Value::Number(7.0)),
                ("age", Value::text("x")),
            ],
        );
        let read = types.read(&bought);
        assert_eq!(read["amount"], Value::Number(5.5));
        assert_eq!(read["note"], Value::text("7"));
        assert_eq!(read["age"], Value::text("x"), "a property without a type");
        let read = types.read(&event(IDENTIFY, &[("age", Value::text("x"))]));
        assert_eq!(read["age"], Value::Null);
    }

    #[test]
    fn a_number_halfway_between_two_texts_fits_in_its_shortest_form() {
        assert_eq!(number_in("-71037427049605.63"), Ok(Some(-71_037_427_049_605.63)));
        assert_eq!(number_in("-71037427049605.62"), Err(MisfitReason::MoreDigits));
        assert_eq!(number_in("9007199254740993"), Err(MisfitReason::MoreDigits));
        assert_eq!(number_in("9007199254740992"), Ok(Some(9_007_199_254_740_992.0)));
    }

    proptest! {
        #[test]
        fn every_number_fits_as_it_is_written(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("{number}"), format!("{number:e}"), format!("{number:.16e}")] {
                prop_assert_eq!(number_in(&text), Ok(Some(number)), "{}", text);
            }
        }
    }
}
