//! Message ids as the warehouse keeps them.
//!
//! A UUID as almost all clients send it, and an id that an import makes, takes 16 bytes in `message_uuid`;
//! any other text is kept as it is in `message_id`. Each id has one form only, so equal ids are equal in
//! their form; in the view `events`, `message_id` is the text of either.

use std::collections::HashMap;
use std::sync::Arc;

use duckdb::arrow::array::{ArrayRef, FixedSizeBinaryBuilder, StringArray};
use duckdb::arrow::datatypes::{DataType, Field};
use duckdb::arrow::error::ArrowError;

/// A message id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MessageId {
    /// In `message_uuid`.
    Uuid(u128),
    /// In `message_id`.
    Text(Arc<str>),
}

/// The UUID of a text that is written just as DuckDB writes it.
pub(crate) fn uuid_of(text: &str) -> Option<u128> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut uuid = 0;
    for (place, byte) in bytes.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(place, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' if !matches!(place, 8 | 13 | 18 | 23) => byte - b'0',
            b'a'..=b'f' if !matches!(place, 8 | 13 | 18 | 23) => byte - b'a' + 10,
            _ => return None,
        };
        uuid = uuid << 4 | u128::from(digit);
    }
    Some(uuid)
}

impl MessageId {
    pub(crate) fn of(text: &str) -> Self {
        uuid_of(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }

    /// The id as text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Uuid(uuid) => {
                let digits = format!("{uuid:032x}");
                let (time, rest) = digits.split_at(8);
                format!("{time}-{}-{}-{}-{}", &rest[..4], &rest[4..8], &rest[8..12], &rest[12..])
            }
        }
    }
}

/// The column `message_uuid`.
pub(crate) fn uuid_field() -> Field {
    let kind = ("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
    let field = Field::new("message_uuid", DataType::FixedSizeBinary(16), true);
    field.with_metadata(HashMap::from([kind]))
}

/// The values of `message_uuid`.
pub(crate) fn uuids(ids: &[MessageId]) -> Result<ArrayRef, ArrowError> {
    let mut uuids = FixedSizeBinaryBuilder::with_capacity(ids.len(), 16);
    for id in ids {
        match id {
            MessageId::Uuid(uuid) => uuids.append_value(uuid.to_be_bytes())?,
            MessageId::Text(_) => uuids.append_null(),
        }
    }
    Ok(Arc::new(uuids.finish()))
}

/// The values of `message_id`.
pub(crate) fn texts(ids: &[MessageId]) -> ArrayRef {
    let text = |id| match id {
        &MessageId::Uuid(_) => None,
        MessageId::Text(text) => Some(text),
    };
    Arc::new(ids.iter().map(text).collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_written() {
        for text in [
            "9dd4e461-268c-8034-f5c8-564e155c67a6",
            "00000000-0000-0000-0000-000000000000",
            "9DD4E461-268c-8034-f5c8-564e155c67a6",
            "9dd4e461268c-8034-f5c8-564e155c67a6-",
            "9dd4e461268c8034f5c8564e155c67a6",
            "m1",
        ] {
            assert_eq!(MessageId::of(text).text(), text);
        }
        assert_eq!(uuid_of("00000000-0000-0000-0000-0000000000ff"), Some(255));
    }
}
