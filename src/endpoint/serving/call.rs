//! One call of a client as the Segment API has it, read as an event.

use std::borrow::Cow;
use std::fmt;

use kernel::domain::{
    IDENTIFY, Properties, Time, Value, is_system, is_taken, limits, properties_of_json,
    property_name,
};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_json::value::RawValue;

use super::keys::Keys;
use crate::online::{Incoming, Kind};

/// The largest event, as JSON.
const LARGEST_EVENT: usize = 32 * 1024;

/// What is read of an event. SDKs send as much again that is not, and it is skipped, not kept. Of two fields
/// with one name the last one counts.
#[derive(Default)]
pub(super) struct Call<'a> {
    anonymous_id: Scalar<'a>,
    category: Scalar<'a>,
    event: Scalar<'a>,
    group_id: Scalar<'a>,
    message_id: Scalar<'a>,
    name: Scalar<'a>,
    original_timestamp: Scalar<'a>,
    previous_id: Scalar<'a>,
    properties: Option<&'a RawValue>,
    sent_at: Scalar<'a>,
    timestamp: Scalar<'a>,
    traits: Option<&'a RawValue>,
    type_: Scalar<'a>,
    user_id: Scalar<'a>,
    write_key: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    AnonymousId,
    Category,
    Event,
    GroupId,
    MessageId,
    Name,
    OriginalTimestamp,
    PreviousId,
    Properties,
    SentAt,
    Timestamp,
    Traits,
    Type,
    UserId,
    WriteKey,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Call<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Call<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Call<'de>, A::Error> {
                let mut call = Call::default();
                while let Some(field) = fields.next_key()? {
                    match field {
                        Field::AnonymousId => call.anonymous_id = fields.next_value()?,
                        Field::Category => call.category = fields.next_value()?,
                        Field::Event => call.event = fields.next_value()?,
                        Field::GroupId => call.group_id = fields.next_value()?,
                        Field::MessageId => call.message_id = fields.next_value()?,
                        Field::Name => call.name = fields.next_value()?,
                        Field::OriginalTimestamp => {
                            call.original_timestamp = fields.next_value()?
                        }
                        Field::PreviousId => call.previous_id = fields.next_value()?,
                        Field::Properties => call.properties = fields.next_value()?,
                        Field::SentAt => call.sent_at = fields.next_value()?,
                        Field::Timestamp => call.timestamp = fields.next_value()?,
                        Field::Traits => call.traits = fields.next_value()?,
                        Field::Type => call.type_ = fields.next_value()?,
                        Field::UserId => call.user_id = fields.next_value()?,
                        Field::WriteKey => call.write_key = fields.next_value()?,
                        Field::Other => drop(fields.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(call)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A field that should be one value.
#[derive(Default)]
enum Scalar<'a> {
    /// There is none, or null.
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Number(Number),
    /// Something that is no text and no number.
    Other,
}

impl Scalar<'_> {
    /// The text, unless it is empty.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&**text).filter(|text| !text.is_empty()),
            Self::Nothing | Self::Number(_) | Self::Other => None,
        }
    }

    /// An id: text, or a number as text.
    fn id(&self, name: &str) -> Result<Option<String>, String> {
        let id = match self {
            Self::Nothing => return Ok(None),
            Self::Text(text) if text.is_empty() => return Ok(None),
            Self::Text(text) => text.as_ref().to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Other => return Err(format!("{name} must be a text")),
        };
        if !limits::is_id(&id) {
            return Err(format!(
                "{name} must have at most {} bytes and no NUL",
                limits::LONGEST_ID
            ));
        }
        Ok(Some(id))
    }

    /// Whether something is said, be it empty.
    fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing) && !matches!(self, Self::Text(text) if text.is_empty())
    }

    /// A time: ISO 8601, or seconds, milliseconds or microseconds since 1970.
    fn time(&self) -> Option<Time> {
        match self {
            Self::Number(number) => number.as_f64().and_then(since_1970),
            other => {
                let text = other.text()?;
                text.parse().ok().or_else(|| text.parse().ok().and_then(since_1970))
            }
        }
    }

    /// Why it is no time.
    fn no_time(&self) -> String {
        let said = match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.chars().take(60).collect(),
            Self::Nothing | Self::Other => "what it has".to_owned(),
        };
        format!("its timestamp is no time of ISO 8601 and none since 1970: {said}")
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Nothing)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number.into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Scalar<'de>, E> {
                let number = Number::from_f64(number);
                number.map(Scalar::Number).ok_or_else(|| E::custom("number out of range"))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One event of a request, or why it is none. `type_` is what the path says it is.
///
/// # Errors
/// What is wrong with it, in words.
pub fn incoming(
    item: &str,
    type_: Option<&str>,
    batch_sent_at: Option<Time>,
    now: Time,
) -> Result<Incoming, String> {
    if item.len() > LARGEST_EVENT {
        return Err(format!("it is larger than {LARGEST_EVENT} bytes"));
    }
    if !item.starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    let call: Call<'_> = serde_json::from_str(item).map_err(|error| format!("no JSON: {error}"))?;
    call.event(type_, batch_sent_at, now)
}

impl<'a> Call<'a> {
    /// The call that a body is, if it is one of a size that may be.
    pub(super) fn read(body: &'a str) -> Option<Self> {
        if body.len() > LARGEST_EVENT { None } else { serde_json::from_str(body).ok() }
    }

    /// The key that browsers write into a call.
    pub(super) fn write_key(&self) -> Option<&str> {
        self.write_key.text()
    }

    /// The event that it is, or why it is none.
    pub(super) fn event(
        &self,
        type_: Option<&str>,
        batch_sent_at: Option<Time>,
        now: Time,
    ) -> Result<Incoming, String> {
        let type_ = type_.or_else(|| self.type_.text()).unwrap_or("track");
        let customer_id = self.user_id.id("userId")?;
        let anonymous_id = match type_ {
            "alias" => self.previous_id.id("previousId")?,
            _ => self.anonymous_id.id("anonymousId")?,
        };
        if type_ == "alias" && (customer_id.is_none() || anonymous_id.is_none()) {
            return Err("an alias needs a userId and a previousId".to_owned());
        }
        if customer_id.is_none() && anonymous_id.is_none() {
            return Err("it has neither a userId nor an anonymousId".to_owned());
        }
        let message_id = self.message_id.id("messageId")?;
        let message_id =
            message_id.unwrap_or_else(|| format!("made-{}-{}", now.0, Keys::random_id()));
        let event = match type_ {
            "track" => self.event.text().ok_or("a track needs an 'event'")?,
            "identify" | "alias" => IDENTIFY,
            "page" | "screen" | "group" => type_,
            other => return Err(format!("there is no type '{other}'")),
        };
        if type_ == "track" && is_system(event) {
            return Err(format!("'{event}' is an event that Full Circle records itself"));
        }
        if !limits::is_name(event) {
            let most = limits::LONGEST_NAME;
            return Err(format!("its name must have 1 to {most} bytes and no control characters"));
        }
        let mut properties = match type_ {
            "alias" => Properties::new(),
            "identify" => properties("traits", self.traits, true)?,
            "group" => properties("traits", self.traits, false)?,
            _ => properties("properties", self.properties, false)?,
        };
        if matches!(type_, "page" | "screen") {
            for (name, said) in [("name", self.name.text()), ("category", self.category.text())] {
                if let Some(said) = said {
                    properties.entry(name.to_owned()).or_insert_with(|| Value::text(said));
                }
            }
        }
        if type_ == "group"
            && let Some(group) = self.group_id.id("groupId")?
        {
            properties.insert("group_id".to_owned(), Value::text(group));
        }
        let stamps = [&self.original_timestamp, &self.timestamp];
        let said = stamps.iter().find(|stamp| stamp.is_there());
        let said = said.map(|stamp| stamp.time().ok_or_else(|| stamp.no_time())).transpose()?;
        let event_time = corrected(said, self.sent_at.time().or(batch_sent_at), now);
        if event_time.is_some_and(|time| !time.is_plausible()) {
            return Err("its time is not between 1900 and 2200".to_owned());
        }
        // What the client's clock said is kept where it was corrected.
        if let (Some(said), Some(corrected)) = (said, event_time)
            && said != corrected
        {
            properties.insert("original_timestamp".to_owned(), Value::text(said.to_string()));
        }
        let joins = matches!(type_, "identify" | "alias")
            && customer_id.is_some()
            && anonymous_id.is_some();
        Ok(Incoming {
            message_id,
            customer_id,
            anonymous_id,
            event: event.to_owned(),
            event_time,
            properties,
            kind: if joins { Kind::Join } else { Kind::Live },
        })
    }
}

/// A time since 1970 by the size of its number: from 1973 on, seconds, milliseconds and microseconds have no
/// number in common before the year 5000.
#[allow(clippy::cast_possible_truncation, reason = "microseconds of the next thousands of years")]
fn since_1970(number: f64) -> Option<Time> {
    let micros = match number.abs() {
        1e8..1e11 => number * 1e6,
        1e11..1e14 => number * 1e3,
        1e14..1e17 => number,
        _ => return None,
    };
    Some(Time(micros.round() as i64))
}

/// What a field says of an event or a customer; nothing where it is not there, or null.
fn properties(
    field: &str,
    json: Option<&RawValue>,
    are_traits: bool,
) -> Result<Properties, String> {
    let flat = match json.map(RawValue::get) {
        None => return Ok(Properties::new()),
        Some(json) if json.starts_with('{') => properties_of_json(json),
        Some(_) => return Err(format!("'{field}' must be an object")),
    };
    let mut flat = flat.map_err(|error| format!("no JSON in '{field}': {error}"))?;
    if flat.len() > limits::MOST_PROPERTIES {
        return Err(format!("it has more than {} properties", limits::MOST_PROPERTIES));
    }
    for name in flat.keys() {
        if !limits::is_name(name) {
            let most = limits::LONGEST_NAME;
            return Err(format!(
                "a property's name must have 1 to {most} bytes and no control characters"
            ));
        }
    }
    if !are_traits {
        let taken: Vec<String> = flat.keys().filter(|name| is_taken(name)).cloned().collect();
        for name in taken {
            if let Some(value) = flat.remove(&name) {
                flat.entry(property_name(name)).or_insert(value);
            }
        }
    }
    Ok(flat)
}

/// The time of an event by our clock: what the client's said, less how far it was off when it sent.
/// A clock that is less than a second off is taken as it is, and nothing happens after its arrival.
fn corrected(said: Option<Time>, sent_at: Option<Time>, now: Time) -> Option<Time> {
    const CLOSE: i64 = 1_000_000;
    let said = said?;
    let skew = sent_at.map_or(0, |sent_at| now.0.saturating_sub(sent_at.0));
    let corrected = if skew.abs() <= CLOSE { said } else { said.plus(skew) };
    Some(corrected.min(now))
}
