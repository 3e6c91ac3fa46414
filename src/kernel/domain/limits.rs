//! The limits on what comes from outside, in one place.

/// The longest customer id or message id, in bytes.
pub const LONGEST_ID: usize = 256;
/// Whether a text can be a customer id or a message id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_ID && !text.contains('\0')
}

/// Whether a text can be the name of an event, property or trait.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// The longest name of an event, property or trait, in bytes.
pub const LONGEST_NAME: usize = 128;
/// The most properties of one event.
pub const MOST_PROPERTIES: usize = 200;
