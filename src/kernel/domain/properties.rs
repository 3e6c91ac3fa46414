use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Value;
use super::event::{EVENT_FIELDS, MESSAGE_UUID};
use super::json::{DEEPEST, Key, compact, number_of_json, without_lone_surrogates};

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
/// text, and of two with one name the last one counts. A number that an `f64` cannot hold is the text of its
/// digits, and half of a surrogate pair is U+FFFD.
///
/// # Errors
/// The text is not one JSON object, or it is too deep.
pub fn properties_of_json(json: &str) -> serde_json::Result<Properties> {
    let mut flat = Properties::new();
    add_fields(&without_lone_surrogates(json), "", 0, &mut flat)?;
    Ok(flat)
}

/// Adds the fields of an object that is inside of `outer`.
fn add_fields(
    json: &str,
    outer: &str,
    depth: usize,
    flat: &mut Properties,
) -> serde_json::Result<()> {
    if depth > DEEPEST {
        return Err(serde::de::Error::custom("objects are too deep"));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    reader.deserialize_map(Fields { outer, depth, flat })?;
    reader.end()
}

/// The fields of an object that is inside of `outer`.
struct Fields<'f> {
    outer: &'f str,
    depth: usize,
    flat: &'f mut Properties,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some((Key(key), json)) = fields.next_entry::<Key<'de>, &'de RawValue>()? {
            let name = match self.outer {
                "" => key.into_owned(),
                outer => format!("{outer}.{key}"),
            };
            let read = match json.get().as_bytes().first() {
                Some(b'{') => add_fields(json.get(), &name, self.depth + 1, self.flat),
                _ => value_of_json(json, self.depth).map(|value| {
                    self.flat.insert(name, value);
                }),
            };
            read.map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

/// The value of JSON that is no object; a list is its text.
fn value_of_json(json: &RawValue, depth: usize) -> serde_json::Result<Value> {
    let text = json.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        Some(b'"') => {
            let Key(text) = serde_json::from_str(text)?;
            Value::text(text)
        }
        Some(b'[') => {
            let mut list = String::new();
            compact(json, depth + 1, &mut list)?;
            Value::text(list)
        }
        _ => number_of_json(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_properties_are_flat() {
        let json = r#"{"a": 1, "b": {"c": {"d": "x"}, "e": null}, "f": [1, {"z": "\u00e9", "y": 2}],
            "g": -3, "h": 2.5, "i": true, "j\n": "first", "j\n": "last", "k": {},
            "l": 9007199254740993, "m": [9007199254740993], "n": "half \ud83d", "o": 1e400,
            "half \ude00": false}"#;
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
            ("l", Value::text("9007199254740993")),
            ("m", Value::text("[9007199254740993]")),
            ("n", Value::text("half \u{fffd}")),
            ("o", Value::text("1e400")),
            ("half \u{fffd}", Value::Boolean(false)),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(flat, Properties::from(expected));
        for text in ["[]", "1", "{\"a\":1", "{\"a\":1} x", "{\"a\":\"\\x\"}", "{\"a\":01}"] {
            assert!(properties_of_json(text).is_err(), "{text}");
        }
        let nested = |open: &str, close: &str, n: usize| {
            format!("{{\"a\":{}1{}}}", open.repeat(n), close.repeat(n))
        };
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert!(properties_of_json(&nested(open, close, DEEPEST)).is_ok());
            assert!(properties_of_json(&nested(open, close, DEEPEST + 1)).is_err());
            assert!(properties_of_json(&nested(open, close, 6_000)).is_err());
        }
    }
}
