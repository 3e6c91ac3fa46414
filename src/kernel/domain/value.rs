use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Properties, Time};

/// The types that a property, trait or feature can have.
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
        })
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
    pub const fn type_of(&self) -> Option<Type> {
        match self {
            Self::Null => None,
            Self::Boolean(_) => Some(Type::Boolean),
            Self::Number(_) => Some(Type::Number),
            Self::Text(_) => Some(Type::Text),
            Self::Time(_) => Some(Type::Time),
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
        match (self, to) {
            (Self::Null, _) => Self::Null,
            (Self::Number(number), Type::Number) if !number.is_finite() => Self::Null,
            (value, to) if value.type_of() == Some(to) => value.clone(),
            (value, Type::Text) => Self::text(value.to_string()),
            (Self::Text(text), Type::Number) => text
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .map_or(Self::Null, Self::Number),
            (Self::Text(text), Type::Boolean) => match text.trim().to_lowercase().as_str() {
                "true" => Self::Boolean(true),
                "false" => Self::Boolean(false),
                _ => Self::Null,
            },
            (Self::Text(text), Type::Time) => text.parse().map_or(Self::Null, Self::Time),
            _ => Self::Null,
        }
    }

    /// The value of a JSON scalar; a list becomes its JSON text, an object too.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(boolean) => Self::Boolean(*boolean),
            serde_json::Value::Number(number) => {
                number.as_f64().filter(|number| number.is_finite()).map_or(Self::Null, Self::Number)
            }
            serde_json::Value::String(text) => Self::text(text.as_str()),
            nested => Self::text(nested.to_string()),
        }
    }

    /// Properties of a JSON object: objects inside it are flattened to `outer.inner`.
    #[must_use]
    pub fn flatten(object: &serde_json::Map<String, serde_json::Value>) -> Properties {
        let mut flat = Properties::new();
        flatten_into("", object, &mut flat);
        flat
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
        }
    }
}

fn flatten_into(
    prefix: &str,
    object: &serde_json::Map<String, serde_json::Value>,
    flat: &mut Properties,
) {
    for (key, json) in object {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match json {
            serde_json::Value::Object(inner) => flatten_into(&name, inner, flat),
            scalar => {
                flat.insert(name, Value::from_json(scalar));
            }
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

    #[test]
    fn nested_properties_are_flat() {
        let json = serde_json::json!({"a": 1, "b": {"c": {"d": "x"}, "e": null}, "f": [1, 2]});
        let flat = Value::flatten(json.as_object().unwrap());
        assert_eq!(flat["a"], Value::Number(1.0));
        assert_eq!(flat["b.c.d"], Value::text("x"));
        assert_eq!(flat["b.e"], Value::Null);
        assert_eq!(flat["f"], Value::text("[1,2]"));
    }
}
