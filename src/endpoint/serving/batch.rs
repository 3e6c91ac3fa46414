//! What is around the events of a batch. The events stay text until each is read, so that one that is no JSON does
//! not take the others with it.

use std::borrow::Cow;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::{Error, Result};

/// The most events of one batch. The batches of the published SDKs have at most 500.
pub(super) const MAX_EVENTS_PER_BATCH: usize = 2_500;

/// The text of a body. Bytes that are no UTF-8 become U+FFFD: half of a character that some programs write, or a
/// name in another encoding, spoils neither its event nor the others.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            // A half of a surrogate pair in three bytes is one character that is missing, not three.
            let mut bytes = Vec::with_capacity(body.len());
            let mut rest = body;
            while let Some(byte) = rest.first() {
                if let [0xED, 0xA0..=0xBF, 0x80..=0xBF, more @ ..] = rest {
                    bytes.extend_from_slice("\u{fffd}".as_bytes());
                    rest = more;
                } else {
                    bytes.push(*byte);
                    rest = &rest[1..];
                }
            }
            Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

/// What is around events.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Envelope<'a> {
    /// The events, at most one more than there may be; none without a list `batch`.
    pub(super) items: Option<Vec<&'a str>>,
    pub(super) write_key: Option<String>,
    pub(super) sent_at: Option<String>,
}

impl<'a> Envelope<'a> {
    /// Reads a body that begins with `{`.
    ///
    /// # Errors
    /// It is no JSON, and the places where its events begin and end cannot be found either.
    pub(super) fn read(body: &'a str) -> Result<Self> {
        let text = |json: Option<Json>| json.as_ref().and_then(Json::as_str).map(str::to_owned);
        match serde_json::from_str::<Strict<'a>>(body) {
            Ok(Strict { batch, write_key, sent_at }) => Ok(Self {
                items: batch.map(|Items(items)| items.into_iter().map(RawValue::get).collect()),
                write_key: text(write_key),
                sent_at: text(sent_at),
            }),
            Err(error) => split(body).ok_or_else(|| {
                Error::BadRequest(format!("the body is not what is expected: {error}"))
            }),
        }
    }
}

#[derive(Deserialize)]
struct Strict<'a> {
    #[serde(borrow, default)]
    batch: Option<Items<'a>>,
    #[serde(rename = "writeKey", default)]
    write_key: Option<Json>,
    #[serde(rename = "sentAt", default)]
    sent_at: Option<Json>,
}

/// The items of a batch: at most one more than it may have, so that a refused batch takes little memory.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() <= MAX_EVENTS_PER_BATCH {
                    let Some(item) = list.next_element()? else { return Ok(Items(items)) };
                    items.push(item);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// The key that browsers write into each event of a batch.
pub(super) fn key_of_event(item: Option<&&str>) -> Option<String> {
    split(item?)?.write_key
}

/// Reads the envelope of something that is almost JSON: only quotes, brackets and commas are looked at, so that
/// `NaN` and the like stay within their event. None if even those do not fit.
fn split(body: &str) -> Option<Envelope<'_>> {
    let mut envelope = Envelope::default();
    let mut cursor = Cursor { text: body, at: 0 };
    cursor.pass(b'{')?;
    loop {
        if cursor.pass(b'}').is_some() {
            break;
        }
        let name = cursor.value()?;
        cursor.pass(b':')?;
        if name == "\"batch\"" && cursor.next() == Some(b'[') {
            envelope.items = Some(cursor.items()?);
        } else {
            let value = cursor.value()?;
            let text = || serde_json::from_str(value).ok();
            match name {
                "\"writeKey\"" => envelope.write_key = text(),
                "\"sentAt\"" => envelope.sent_at = text(),
                _ => {}
            }
        }
        match cursor.next()? {
            b',' => cursor.at += 1,
            b'}' => {}
            _ => return None,
        }
    }
    cursor.next().is_none().then_some(envelope)
}

/// A place in a text that is almost JSON.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// The items of the list that begins here, at most one more than a batch may have.
    fn items(&mut self) -> Option<Vec<&'a str>> {
        self.pass(b'[')?;
        let mut items = Vec::new();
        if self.pass(b']').is_some() {
            return Some(items);
        }
        loop {
            let item = self.value()?;
            if items.len() <= MAX_EVENTS_PER_BATCH {
                items.push(item);
            }
            if self.pass(b']').is_some() {
                return Some(items);
            }
            self.pass(b',')?;
        }
    }

    /// What begins here, up to the comma, colon or bracket after it that is not inside of it; none if it is empty
    /// or does not end.
    fn value(&mut self) -> Option<&'a str> {
        self.next()?;
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut depth = 0_usize;
        loop {
            match bytes.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' | b'}' | b']' if depth == 0 => break,
                _ => self.at += 1,
            }
        }
        let value = self.text[start..self.at].trim_ascii_end();
        (!value.is_empty()).then_some(value)
    }

    /// Passes the string that begins here.
    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.text.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_split_where_they_are_no_json() {
        let body = r#" {"a": {"batch": [1]}, "batch" : [ {"x": NaN, "y": "],}\\"} , 7,"é\"" ,[-Infinity]],
            "sentAt":"t", "writeKey": "k"} "#;
        let envelope = Envelope::read(body).unwrap();
        let items = [r#"{"x": NaN, "y": "],}\\"}"#, "7", r#""é\"""#, "[-Infinity]"];
        assert_eq!(envelope.items.as_deref(), Some(&items[..]));
        assert_eq!(
            (envelope.sent_at.as_deref(), envelope.write_key.as_deref()),
            (Some("t"), Some("k"))
        );
        assert_eq!(Envelope::read("{\"batch\":[],\"x\":NaN}").unwrap().items, Some(vec![]));
        for broken in [
            "{",
            "{}}",
            "{\"batch\":[NaN",
            "{\"batch\":[NaN,]}",
            "{\"batch\":[,NaN]}",
            "{\"batch\":[NaN}]",
            "{\"batch\":[\"NaN]}",
            "{\"batch\":[\"\\",
            "{\"batch\":[1]} NaN",
            "{\"batch\"}",
            "{NaN}",
        ] {
            assert!(Envelope::read(broken).is_err(), "{broken}");
        }
        let limit = MAX_EVENTS_PER_BATCH;
        for n in [limit - 1, limit, limit + 1, limit + 9] {
            let read = |item: &str| {
                let body = format!("{{\"batch\":[{}]}}", vec![item; n].join(","));
                Envelope::read(&body).unwrap().items.unwrap().len()
            };
            assert_eq!((read("1"), read("NaN")), (n.min(limit + 1), n.min(limit + 1)));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_one_character_each() {
        assert_eq!(text("é".as_bytes()), "é");
        assert_eq!(text(b"a\xED\xA0\xBDb"), "a\u{fffd}b");
        assert_eq!(text(b"caf\xe9"), "caf\u{fffd}");
    }
}
