/// What kind of failure an error is: what a caller can do about it.
///
/// Every error of every room has one; it becomes an HTTP status at the endpoint and a tone on screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was given makes no sense; change it.
    BadInput,
    /// What was named does not exist.
    NotFound,
    /// It is in the way of something that is already there.
    Conflict,
    /// Too much at once; try again later.
    Busy,
    /// What is needed is not there or does not answer.
    Unavailable,
    /// The person stopped it.
    Canceled,
    /// A fault of the program or the machine.
    Internal,
}

impl ErrorKind {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
        }
    }
}
