use std::fmt;
use std::str::FromStr;

use kernel::domain::{Name, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::funnel::FunnelSpec;
use super::lifecycle::LifecycleSpec;
use super::paths::PathsSpec;
use super::retention::RetentionSpec;
use super::segments::SegmentsSpec;
use super::stickiness::StickinessSpec;
use super::trends::TrendsSpec;
use super::{Bound, Calendar, Interval};
use crate::{Error, Result};

/// The kinds of insights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsightKind {
    /// How much of something happens, over time.
    Trends,
    /// Who comes back, by cohort.
    Retention,
    /// How many take one step after the other.
    Funnel,
    /// Who is new, returns, comes back after a break, or stays away.
    Lifecycle,
    /// In how many intervals customers are active.
    Stickiness,
    /// What customers do after what.
    Paths,
    /// Customers by recency, frequency and money.
    Segments,
}

impl InsightKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Trends,
        Self::Retention,
        Self::Funnel,
        Self::Lifecycle,
        Self::Stickiness,
        Self::Paths,
        Self::Segments,
    ];

    /// Its word, as in files and commands.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trends => "trends",
            Self::Retention => "retention",
            Self::Funnel => "funnel",
            Self::Lifecycle => "lifecycle",
            Self::Stickiness => "stickiness",
            Self::Paths => "paths",
            Self::Segments => "segments",
        }
    }
}

impl fmt::Display for InsightKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for InsightKind {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|kind| kind.word()).collect();
            format!("'{text}' is no insight; there are {}", words.join(", "))
        })
    }
}

/// An insight as it is asked for: what all have, and its own question.
#[derive(Clone, Debug, PartialEq)]
pub struct InsightSpec {
    /// When, and of whom.
    pub scope: Scope,
    /// What is asked.
    pub question: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Question {
    /// How much of something happens, over time.
    Trends(TrendsSpec),
    /// Who comes back, by cohort.
    Retention(RetentionSpec),
    /// How many take one step after the other.
    Funnel(FunnelSpec),
    /// Who is new, returns, comes back after a break, or stays away.
    Lifecycle(LifecycleSpec),
    /// In how many intervals customers are active.
    Stickiness(StickinessSpec),
    /// What customers do after what.
    Paths(PathsSpec),
    /// Customers by recency, frequency and money.
    Segments(SegmentsSpec),
}

/// When, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// The length of an interval.
    pub interval: Interval,
    /// How many intervals, where it does not say from when.
    pub intervals: u16,
    /// The first day, in the zone. Its interval may begin earlier; then the first interval is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Bound>,
    /// The day before which the range ends, in the zone. Without it, the range ends with the interval of the
    /// last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Bound>,
    /// Where days begin: a zone of the IANA database.
    pub zone: String,
    /// Only customers of this segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<Name>,
    /// Only events that meet this condition over their properties.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// One chart for each value of a property or a trait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakdown: Option<Breakdown>,
    /// Whether the intervals before are shown beside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compare: bool,
}

/// What tells parts of a chart apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Breakdown {
    /// A property of events.
    Property(String),
    /// A trait of customers, as of the end.
    Trait(String),
}

/// The most intervals.
const MOST_INTERVALS: u16 = 366;

impl Default for Scope {
    fn default() -> Self {
        Self {
            interval: Interval::Week,
            intervals: 12,
            from: None,
            until: None,
            zone: "UTC".to_owned(),
            segment: None,
            condition: None,
            breakdown: None,
            compare: false,
        }
    }
}

/// The fields of [`Scope`].
const SCOPE: [&str; 9] =
    ["interval", "intervals", "from", "until", "zone", "segment", "where", "breakdown", "compare"];

impl Scope {
    /// The intervals, given the last event of all. Where the scope has no end, they end with the interval of
    /// the last event, or with its day.
    ///
    /// # Errors
    /// The range is empty or too long, or the zone is not known.
    fn calendar(&self, last_event: Time, ends_with_day: bool) -> Result<Calendar> {
        let Self { interval, zone, intervals, .. } = self;
        if self.from.is_none() && !(1..=MOST_INTERVALS).contains(intervals) {
            return Err(Error::Mapping(format!(
                "intervals must be between 1 and {MOST_INTERVALS}, not {intervals}"
            )));
        }
        let last = |n: u16| match ends_with_day {
            true => Calendar::last_until_day_of(*interval, zone, n, last_event),
            false => Calendar::last(*interval, zone, n, last_event),
        };
        match (self.from, self.until) {
            (Some(from), Some(until)) => Calendar::between(*interval, zone, from, until),
            (Some(from), None) => {
                let until = Bound::Instant(last(1)?.until());
                Calendar::between(*interval, zone, from, until)
            }
            (None, Some(until)) => Calendar::last_until(*interval, zone, *intervals, until),
            (None, None) => last(*intervals),
        }
    }
}

impl InsightSpec {
    /// The usual question of a kind.
    #[must_use]
    pub fn usual(kind: InsightKind) -> Self {
        let question = match kind {
            InsightKind::Trends => Question::Trends(TrendsSpec::default()),
            InsightKind::Retention => Question::Retention(RetentionSpec::default()),
            InsightKind::Funnel => Question::Funnel(FunnelSpec::default()),
            InsightKind::Lifecycle => Question::Lifecycle(LifecycleSpec::default()),
            InsightKind::Stickiness => Question::Stickiness(StickinessSpec::default()),
            InsightKind::Paths => Question::Paths(PathsSpec::default()),
            InsightKind::Segments => Question::Segments(SegmentsSpec::default()),
        };
        let scope = match kind {
            InsightKind::Segments => {
                Scope { interval: Interval::Month, intervals: 24, ..Scope::default() }
            }
            InsightKind::Stickiness => {
                Scope { interval: Interval::Day, intervals: 30, ..Scope::default() }
            }
            _ => Scope::default(),
        };
        Self { scope, question }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> InsightKind {
        match &self.question {
            Question::Trends(_) => InsightKind::Trends,
            Question::Retention(_) => InsightKind::Retention,
            Question::Funnel(_) => InsightKind::Funnel,
            Question::Lifecycle(_) => InsightKind::Lifecycle,
            Question::Stickiness(_) => InsightKind::Stickiness,
            Question::Paths(_) => InsightKind::Paths,
            Question::Segments(_) => InsightKind::Segments,
        }
    }

    /// The intervals that it is computed over, given the last event of all. Segments are as of the day after
    /// the last event.
    ///
    /// # Errors
    /// The range is empty or too long, or the zone is not known.
    pub fn calendar(&self, last_event: Time) -> Result<Calendar> {
        self.scope.calendar(last_event, self.kind() == InsightKind::Segments)
    }

    /// Reads a spec of a kind; a file may say its kind itself (`insight = "funnel"`).
    ///
    /// # Errors
    /// The text is no TOML, or has what such an insight has not.
    pub fn parse(kind: Option<InsightKind>, text: &str) -> Result<Self> {
        let bad = |error: toml::de::Error| Error::Mapping(format!("the spec: {error}"));
        Self::of_table(kind, toml::from_str(text).map_err(bad)?)
    }

    fn of_table(kind: Option<InsightKind>, mut own: toml::Table) -> Result<Self> {
        let bad = |message: String| Error::Mapping(format!("the spec: {message}"));
        let said = own.remove("insight").map(|said| match said.as_str() {
            Some(word) => word.parse::<InsightKind>().map_err(bad),
            None => Err(bad("insight must be a text".to_owned())),
        });
        let kind = match (kind, said.transpose()?) {
            (Some(kind), Some(said)) if kind != said => {
                return Err(bad(format!("it is of {said}, not of {kind}")));
            }
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => return Err(bad("it has no insight = \"…\"".to_owned())),
        };
        let mut scope = toml::Table::new();
        for field in SCOPE {
            if let Some(value) = own.remove(field) {
                scope.insert(field.to_owned(), value);
            }
        }
        let scope: Scope = read(scope)?;
        let question = match kind {
            InsightKind::Trends => Question::Trends(read(own)?),
            InsightKind::Retention => Question::Retention(read(own)?),
            InsightKind::Funnel => Question::Funnel(read(own)?),
            InsightKind::Lifecycle => Question::Lifecycle(read(own)?),
            InsightKind::Stickiness => Question::Stickiness(read(own)?),
            InsightKind::Paths => Question::Paths(read(own)?),
            InsightKind::Segments => Question::Segments(read(own)?),
        };
        Ok(Self { scope, question })
    }

    /// The spec as a file, which says its kind.
    ///
    /// # Errors
    /// A field has no form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        let failed = |error: toml::ser::Error| Error::Mapping(format!("the spec: {error}"));
        self.to_table().and_then(|table| toml::to_string_pretty(&table)).map_err(failed)
    }

    fn to_table(&self) -> std::result::Result<toml::Table, toml::ser::Error> {
        let mut table = toml::Table::try_from(&self.scope)?;
        table.insert("insight".to_owned(), self.kind().word().into());
        table.extend(toml::Table::try_from(&self.question)?);
        Ok(table)
    }
}

/// As its file: the question says which fields there are.
impl Serialize for InsightSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_table().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InsightSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::of_table(None, table).map_err(serde::de::Error::custom)
    }
}

fn read<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    table.try_into().map_err(|error: toml::de::Error| {
        Error::Mapping(format!("the spec: {}", error.to_string().trim()))
    })
}

/// Events that count for something: of some names, and meeting a condition. As a text it is one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "EventsFile", into = "EventsFile")]
pub struct Events {
    /// Names; none is any event.
    pub names: Vec<String>,
    /// The condition, over properties.
    pub condition: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum EventsFile {
    Name(String),
    Full(FullEvents),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullEvents {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

impl From<EventsFile> for Events {
    fn from(file: EventsFile) -> Self {
        match file {
            EventsFile::Name(name) => Self::named(&name),
            EventsFile::Full(FullEvents { event, mut events, condition }) => {
                events.extend(event);
                Self { names: events, condition }
            }
        }
    }
}

impl From<Events> for EventsFile {
    fn from(events: Events) -> Self {
        match (events.names.as_slice(), events.condition) {
            ([name], None) => Self::Name(name.clone()),
            ([name], condition) => {
                Self::Full(FullEvents { event: Some(name.clone()), events: Vec::new(), condition })
            }
            (names, condition) => {
                Self::Full(FullEvents { event: None, events: names.to_vec(), condition })
            }
        }
    }
}

impl Events {
    /// The events of one name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { names: vec![name.to_owned()], condition: None }
    }

    /// Whether it is any event.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.names.is_empty() && self.condition.is_none()
    }

    /// What a person calls them.
    #[must_use]
    pub fn title(&self) -> String {
        let names = match self.names.as_slice() {
            [] => "any event".to_owned(),
            names => names.join(" or "),
        };
        match &self.condition {
            None => names,
            Some(condition) => format!("{names} where {condition}"),
        }
    }
}
