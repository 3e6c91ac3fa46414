//! One call of a client as the Segment API has it, read as an event.

use std::borrow::Cow;
use std::fmt;

use kernel::domain::{
    IDENTIFY, Properties, Time, Value, id_of_number, is_missing_id, is_system, is_taken, limits,
    normalized_id, properties_of_json, property_name, without_lone_surrogates,
};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::keys::Keys;
use crate::online::{Incoming, Joiner, Kind, Origin};

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
    /// A number as it is written: an id is all of its digits.
    Number(&'a str),
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

    /// An id: text, or a number by its digits. What programs write where they have no id, such as `undefined`, is
    /// none: unrelated people would else be one customer.
    fn id(&self, name: &str) -> Result<Option<String>, String> {
        let id = match self {
            Self::Nothing => return Ok(None),
            Self::Text(text) if is_missing_id(text) => return Ok(None),
            Self::Text(text) => text.as_ref().to_owned(),
            Self::Number(number) => id_of_number(number).ok_or_else(|| {
                format!("{name} {number} is no number with all of its digits; send it as a text")
            })?,
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

    /// An id of a customer, in the form in which it is kept.
    fn customer_id(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.id(name)?.map(|id| normalized_id(&id).into_owned()))
    }

    /// Whether something is said, be it empty.
    fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing) && !matches!(self, Self::Text(text) if text.is_empty())
    }

    /// A time: ISO 8601, or seconds, milliseconds or microseconds since 1970.
    fn time(&self) -> Option<Time> {
        match self {
            Self::Number(number) => number.parse().ok().and_then(since_1970),
            other => {
                let text = other.text()?;
                text.parse().ok().or_else(|| text.parse().ok().and_then(since_1970))
            }
        }
    }

    /// Why it is no time.
    fn no_time(&self) -> String {
        let said = match self {
            Self::Number(number) => (*number).to_owned(),
            Self::Text(text) => text.chars().take(60).collect(),
            Self::Nothing | Self::Other => "what it has".to_owned(),
        };
        format!("its timestamp is no time of ISO 8601 and none since 1970: {said}")
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Borrowed where nothing in it is escaped.
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match json.as_bytes().first() {
            Some(b'"') => {
                let text: Text<'de> = serde_json::from_str(json).map_err(D::Error::custom)?;
                Scalar::Text(text.0)
            }
            Some(b'-' | b'0'..=b'9') => Scalar::Number(json),
            Some(b'n') | None => Scalar::Nothing,
            Some(_) => Scalar::Other,
        })
    }
}

/// What is known of an event beside itself.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'s> {
    /// What the path says that it is.
    pub(super) type_: Option<&'s str>,
    /// When the batch was sent, by the clock of the client.
    pub(super) sent_at: Option<Time>,
    /// When it arrived.
    pub(super) now: Time,
    pub(super) origin: Origin,
}

/// One event as a browser key sends it, read without an endpoint; `type_` is what the path says it is.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_call(
    item: &str,
    type_: Option<&str>,
    sent_at: Option<Time>,
    now: Time,
) -> Result<Incoming, String> {
    let origin = Origin { source: 1, joiner: Joiner::Browser };
    incoming(item, Surroundings { type_, sent_at, now, origin })
}

/// One event of a request, or why it is none.
pub(super) fn incoming(item: &str, around: Surroundings<'_>) -> Result<Incoming, String> {
    if item.len() > LARGEST_EVENT {
        return Err(format!("it is larger than {LARGEST_EVENT} bytes"));
    }
    if !item.starts_with('{') {
        return Err("it is not a JSON object".to_owned());
    }
    // JSON.stringify and others write half of a character where a text was cut.
    let whole = without_lone_surrogates(item);
    let call: Call<'_> = serde_json::from_str(&whole).map_err(|error| no_json(&whole, &error))?;
    call.event(item, around)
}

/// Why a text is no JSON, with the place.
fn no_json(text: &str, error: &serde_json::Error) -> String {
    let lines: usize = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum();
    let at = lines + error.column().saturating_sub(1);
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    let before = text.as_bytes().get(..at).unwrap_or_default().iter();
    let start = at - before.rev().take_while(|byte| is_word(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let words =
        ["NaN", "-NaN", "Infinity", "-Infinity", "undefined", "None", "True", "False", "nan"];
    match words.iter().find(|word| rest.starts_with(**word)) {
        Some(word) => format!(
            "no JSON: {word} at byte {} of the event is no value; send null instead",
            start + 1
        ),
        None => format!("no JSON: {error}"),
    }
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

    /// The event that it is, or why it is none. `sent` is the call as it was sent.
    pub(super) fn event(&self, sent: &str, around: Surroundings<'_>) -> Result<Incoming, String> {
        let Surroundings { type_, sent_at: batch_sent_at, now, origin } = around;
        let type_ = type_.or_else(|| self.type_.text()).unwrap_or("track");
        let customer_id = self.user_id.customer_id("userId")?;
        let anonymous_id = match type_ {
            "alias" => self.previous_id.customer_id("previousId")?,
            _ => self.anonymous_id.customer_id("anonymousId")?,
        };
        if type_ == "alias" && (customer_id.is_none() || anonymous_id.is_none()) {
            return Err("an alias needs a userId and a previousId".to_owned());
        }
        if customer_id.is_none() && anonymous_id.is_none() {
            if let Some(nobody) = self.user_id.text().or_else(|| self.anonymous_id.text()) {
                let said: String = nobody.chars().take(60).collect();
                return Err(format!("its id '{said}' is how programs write that they have no id"));
            }
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
            && let Some(group) = self.group_id.customer_id("groupId")?
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
            kind: match joins {
                true => Kind::Join { is_alias: type_ == "alias", sent: sent.into() },
                false => Kind::Live,
            },
            origin,
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
        // PHP has one type for lists and objects, and writes an empty one as a list.
        Some(json) if is_empty_list(json) => return Ok(Properties::new()),
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

fn is_empty_list(json: &str) -> bool {
    let inside = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// The time of an event by our clock. A client whose clock is ahead says that it sends later than the event
/// arrives: its times are moved back by that difference. A `sentAt` in the past moves nothing: that a clock is
/// behind cannot be told from a retry, whose `sentAt` is that of its first try in many SDKs, or from a queue that
/// waited. A clock that is less than a second off is taken as it is, and nothing happens after its arrival.
fn corrected(said: Option<Time>, sent_at: Option<Time>, now: Time) -> Option<Time> {
    const CLOSE: i64 = 1_000_000;
    let said = said?;
    let ahead = sent_at.map_or(0, |sent_at| sent_at.0.saturating_sub(now.0));
    let corrected = if ahead <= CLOSE { said } else { said.plus(-ahead) };
    Some(corrected.min(now))
}
