//! The nouns of the product, in one meaning each.
//!
//! In: text and numbers from files, requests and definitions. Out: checked values of these types.
//! Never: I/O, a clock, or knowledge of features and models.

mod cell;
mod event;
mod identity;
mod job;
mod json;
mod kind;
pub mod limits;
mod missing;
mod name;
mod properties;
mod property_type;
mod span;
mod suggestion;
mod time;
mod value;

pub use cell::Cell;
pub use event::{
    ACTION, ALIAS, EVENT_FIELDS, EXPOSURE, Event, IDENTIFY, NOT_SYSTEM_SQL, SCORE, SYSTEM_EVENTS,
    UNALIAS, is_system,
};
pub use identity::{id_of_number, normalized_id};
pub use job::{Job, Progress};
pub use json::{id_of_json_number, number_of_json, without_lone_surrogates};
pub use kind::ErrorKind;
pub use missing::{is_missing, is_missing_id};
pub use name::{Name, NameError};
pub use properties::{Properties, is_taken, properties_of_json, property, property_name};
pub use property_type::{MisfitReason, PropertyType, PropertyTypes, keeps_digits, number_in};
pub use span::{Span, SpanError};
pub use suggestion::did_you_mean;
pub use time::{MICROS_PER_DAY, Time, TimeError};
pub use value::{Element, Type, Value, boolean_of, number_of};
