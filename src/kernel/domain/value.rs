use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Time, number_of_json};

/// The types that a property, trait or feature can have. Only features have lists and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// True or false.
    Boolean,
    /// A finite `f64`.
    Number,
    /// UTF-8 text.
    Text,
    /// An instant.
    Time,
    /// Values of one type, in an order that means something.
    List(Element),
    /// Values of one type with how often each was there, most frequent first.
    Counts(Element),
}

/// The types that the values of a list or of counts can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the type of its name")]
pub enum Element {
    Boolean,
    Number,
    Text,
    Time,
}

/// One value: null, or of one of the [`Type`]s.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing is known.
    #[default]
    Null,
    /// True or false.
    Boolean(bool),
    /// A number. Finite where it comes from outside; expressions may make others.
    Number(f64),
    /// A text, shared, so that copies are cheap.
    Text(Arc<str>),
    /// An instant.
    Time(Time),
    /// Values in order; never without any.
    List(Arc<[Value]>),
    /// Values and how often each was there; never without any.
    Counts(Arc<[(Value, u64)]>),
}

impl Type {
    /// The name of the type in DuckDB.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Number => "DOUBLE",
            Self::Text => "VARCHAR",
            Self::Time => "TIMESTAMP",
            Self::List(Element::Boolean) => "BOOLEAN[]",
            Self::List(Element::Number) => "DOUBLE[]",
            Self::List(Element::Text) => "VARCHAR[]",
            Self::List(Element::Time) => "TIMESTAMP[]",
            Self::Counts(Element::Boolean) => "MAP(BOOLEAN, BIGINT)",
            Self::Counts(Element::Number) => "MAP(DOUBLE, BIGINT)",
            Self::Counts(Element::Text) => "MAP(VARCHAR, BIGINT)",
            Self::Counts(Element::Time) => "MAP(TIMESTAMP, BIGINT)",
        }
    }

    /// The type of single values of it: of the values of a list, or of what is counted.
    #[must_use]
    pub const fn element(self) -> Element {
        match self {
            Self::Boolean => Element::Boolean,
            Self::Number => Element::Number,
            Self::Text => Element::Text,
            Self::Time => Element::Time,
            Self::List(element) | Self::Counts(element) => element,
        }
    }

    /// Whether it is one value, which expressions can read.
    #[must_use]
    pub const fn is_scalar(self) -> bool {
        !matches!(self, Self::List(_) | Self::Counts(_))
    }
}

impl From<Element> for Type {
    fn from(element: Element) -> Self {
        match element {
            Element::Boolean => Self::Boolean,
            Element::Number => Self::Number,
            Element::Text => Self::Text,
            Element::Time => Self::Time,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Text => "text",
            Self::Time => "time",
            Self::List(element) => return write!(f, "list of {}s", Self::from(*element)),
            Self::Counts(element) => return write!(f, "counts of {}s", Self::from(*element)),
        })
    }
}

/// The number that a text from outside says; it is finite.
#[must_use]
pub fn number_of(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// The boolean that a text from outside says: `true` or `false`, in any case.
#[must_use]
pub fn boolean_of(text: &str) -> Option<bool> {
    let text = text.trim();
    match (text.eq_ignore_ascii_case("true"), text.eq_ignore_ascii_case("false")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Its type; none for null.
    #[must_use]
    pub fn type_of(&self) -> Option<Type> {
        let element = |value: Option<&Self>| {
            value.and_then(Self::type_of).map_or(Element::Text, Type::element)
        };
        match self {
            Self::Null => None,
            Self::Boolean(_) => Some(Type::Boolean),
            Self::Number(_) => Some(Type::Number),
            Self::Text(_) => Some(Type::Text),
            Self::Time(_) => Some(Type::Time),
            Self::List(values) => Some(Type::List(element(values.first()))),
            Self::Counts(counts) => {
                Some(Type::Counts(element(counts.first().map(|(value, _)| value))))
            }
        }
    }

    /// The order of two values of one type: numbers by size (zero has one sign), text by its bytes.
    #[must_use]
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Time(left), Self::Time(right)) => left.cmp(right),
            _ => std::cmp::Ordering::Equal,
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// This value as the type that a definition declares: live and offline read a property by the
    /// same rule, whatever type it arrived with. What does not fit is null. Going through text and
    /// back gives the same value, so that a warehouse column may be wider than the declared type.
    #[must_use]
    pub fn coerce(&self, to: Type) -> Self {
        self.fit(to).unwrap_or_default()
    }

    /// The value of a JSON scalar; a list becomes its JSON text, an object too. A whole number that an `f64`
    /// cannot hold is the text of its digits.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(boolean) => Self::Boolean(*boolean),
            serde_json::Value::Number(number) => match number.as_f64() {
                // Most are short, and need no text.
                Some(value) if value.abs() < 1e15 => Self::Number(value),
                _ => number_of_json(&number.to_string()),
            },
            serde_json::Value::String(text) => Self::text(text.as_str()),
            nested => Self::text(nested.to_string()),
        }
    }

    /// As JSON: times as RFC 3339 text, numbers that are not finite as null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(boolean) => (*boolean).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_ref().into(),
            Self::Time(time) => time.to_string().into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Counts(counts) => counts
                .iter()
                .map(|(value, count)| (value.to_string(), serde_json::Value::from(*count)))
                .collect(),
        }
    }
}

/// As a person reads it, and as [`Value::coerce`] makes text of it. Null is empty.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Time(time) => write!(f, "{time}"),
            Self::List(values) => {
                // Only the list of a query has nulls.
                let text = |value: &Self| match value {
                    Self::Null => "NULL".to_owned(),
                    value => value.to_string(),
                };
                let values: Vec<String> = values.iter().map(text).collect();
                write!(f, "[{}]", values.join(", "))
            }
            Self::Counts(counts) => {
                let counts: Vec<String> =
                    counts.iter().map(|(value, count)| format!("{value}: {count}")).collect();
                write!(f, "{{{}}}", counts.join(", "))
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Number(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Number(_) => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => time.serialize(serializer),
            Self::List(values) => serializer.collect_seq(values.iter()),
            Self::Counts(counts) => serializer
                .collect_map(counts.iter().map(|(value, count)| (value.to_string(), count))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_json(&serde_json::Value::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Number),
            "[ -~]{0,12}".prop_map(Value::text),
            (-62_000_000_000_000_000_i64..250_000_000_000_000_000)
                .prop_map(|micros| Value::Time(Time(micros))),
        ]
    }

    proptest! {
        #[test]
        fn coercion_survives_a_stay_in_a_text_column(value in any_value()) {
            for to in [Type::Boolean, Type::Number, Type::Text, Type::Time] {
                let direct = value.coerce(to);
                let through_text = value.coerce(Type::Text).coerce(to);
                // A text column may know more (a number written as text), never something else.
                if !direct.is_null() {
                    prop_assert_eq!(direct, through_text);
                }
            }
        }
    }
}
