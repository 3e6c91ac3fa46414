//! The limits on what comes from outside, in one place.

/// The longest customer id or message id, in bytes.
pub const LONGEST_ID: usize = 256;
/// The longest name of an event, property or trait, in bytes.
pub const LONGEST_NAME: usize = 128;
/// The most properties of one event.
pub const MOST_PROPERTIES: usize = 200;
/// The longest text value, in bytes.
pub const LONGEST_TEXT: usize = 8 * 1024;
