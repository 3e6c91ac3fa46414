use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Value;
use super::event::{EVENT_FIELDS, MESSAGE_UUID};

/// Properties of an event (or traits of an identify), flat, by name.
pub type Properties = BTreeMap<String, Value>;

/// The name that a property is kept under: its own, or with `_` after it if every event has that name.
#[must_use]
pub fn property_name(name: impl Into<String>) -> String {
    let mut name = name.into();
    while is_taken(&name) {
        name.push('_');
    }
    name
}

/// Whether every event has something of that name, so that no property can have it.
#[must_use]
pub fn is_taken(name: &str) -> bool {
    EVENT_FIELDS.iter().chain([&MESSAGE_UUID]).any(|taken| taken.eq_ignore_ascii_case(name))
}

/// A property by its name; names differ by more than case, as in SQL. The exact name comes first.
#[must_use]
pub fn property<'p>(properties: &'p Properties, name: &str) -> Option<&'p Value> {
    properties.get(name).or_else(|| {
        properties
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Properties of a JSON object: objects inside it are flattened to `outer.inner`, a list becomes its JSON
/// text, and of two with one name the last one counts.
///
/// # Errors
/// The text is not one JSON object.
pub fn properties_of_json(json: &str) -> serde_json::Result<Properties> {
    let mut flat = Properties::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_map(Fields { outer: "", flat: &mut flat })?;
    reader.end()?;
    Ok(flat)
}

/// The name of a field, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object that is inside of `outer`.
struct Fields<'f> {
    outer: &'f str,
    flat: &'f mut Properties,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = fields.next_key()? {
            let name = match self.outer {
                "" => key.into_owned(),
                outer => format!("{outer}.{key}"),
            };
            fields.next_value_seed(Field { name, flat: self.flat })?;
        }
        Ok(())
    }
}

/// A field of an object, whose value is one property, or an object of several.
struct Field<'f> {
    name: String,
    flat: &'f mut Properties,
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Field<'_> {
    fn is(self, value: Value) {
        self.flat.insert(self.name, value);
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.is(Value::Null);
        Ok(())
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<(), E> {
        self.is(Value::Boolean(boolean));
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of JSON is an f64 here")]
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.is(Value::Number(number as f64));
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of JSON is an f64 here")]
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.is(Value::Number(number as f64));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.is(if number.is_finite() { Value::Number(number) } else { Value::Null });
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.is(Value::text(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<serde_json::Value>()? {
            list.push(item);
        }
        self.is(Value::text(serde_json::Value::Array(list).to_string()));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        Fields { outer: &self.name, flat: self.flat }.visit_map(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_properties_are_flat() {
        let json = r#"{"a": 1, "b": {"c": {"d": "x"}, "e": null}, "f": [1, {"z": "\u00e9", "y": 2}],
            "g": -3, "h": 2.5, "i": true, "j\n": "first", "j\n": "last", "k": {}}"#;
        let flat = properties_of_json(json).unwrap();
        let expected = [
            ("a", Value::Number(1.0)),
            ("b.c.d", Value::text("x")),
            ("b.e", Value::Null),
            ("f", Value::text("[1,{\"y\":2,\"z\":\"\u{e9}\"}]")),
            ("g", Value::Number(-3.0)),
            ("h", Value::Number(2.5)),
            ("i", Value::Boolean(true)),
            ("j\n", Value::text("last")),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(flat, Properties::from(expected));
        for text in ["[]", "1", "{\"a\":1", "{\"a\":1} x", "{\"a\":\"\\ud800\"}"] {
            assert!(properties_of_json(text).is_err(), "{text}");
        }
    }
}
