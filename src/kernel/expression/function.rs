use crate::domain::Type;

/// The functions of the language, each with DuckDB's name and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the DuckDB function of its name")]
pub enum Function {
    Abs,
    Ceil,
    Coalesce,
    Contains,
    Day,
    DayOfWeek,
    EndsWith,
    Epoch,
    Exp,
    Floor,
    Greatest,
    Hour,
    Least,
    Length,
    Ln,
    Log10,
    Lower,
    Minute,
    Month,
    NullIf,
    Power,
    Round,
    Sign,
    Sqrt,
    StartsWith,
    Trim,
    Upper,
    Year,
}

/// What a function takes and gives.
pub(super) struct Signature {
    /// Fewest and most arguments.
    pub(super) count: (usize, usize),
    /// The type of every argument; none where all must share one type.
    pub(super) argument: Option<Type>,
    /// The type of the result; none where it is that of the arguments.
    pub(super) result: Option<Type>,
}

/// Names and functions, aliases included.
const NAMES: [(&str, Function); 37] = [
    ("abs", Function::Abs),
    ("ceil", Function::Ceil),
    ("ceiling", Function::Ceil),
    ("coalesce", Function::Coalesce),
    ("contains", Function::Contains),
    ("day", Function::Day),
    ("dayofmonth", Function::Day),
    ("dayofweek", Function::DayOfWeek),
    ("ends_with", Function::EndsWith),
    ("suffix", Function::EndsWith),
    ("epoch", Function::Epoch),
    ("exp", Function::Exp),
    ("floor", Function::Floor),
    ("greatest", Function::Greatest),
    ("hour", Function::Hour),
    ("ifnull", Function::Coalesce),
    ("least", Function::Least),
    ("len", Function::Length),
    ("length", Function::Length),
    ("ln", Function::Ln),
    ("log", Function::Log10),
    ("log10", Function::Log10),
    ("lower", Function::Lower),
    ("lcase", Function::Lower),
    ("minute", Function::Minute),
    ("month", Function::Month),
    ("nullif", Function::NullIf),
    ("pow", Function::Power),
    ("power", Function::Power),
    ("round", Function::Round),
    ("sign", Function::Sign),
    ("sqrt", Function::Sqrt),
    ("starts_with", Function::StartsWith),
    ("prefix", Function::StartsWith),
    ("trim", Function::Trim),
    ("upper", Function::Upper),
    ("year", Function::Year),
];

impl Function {
    /// The function of a name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    /// All names, for suggestions and completion.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(name, _)| name)
    }

    /// The name that DuckDB knows it by.
    #[must_use]
    pub fn sql(self) -> &'static str {
        NAMES.into_iter().find(|(_, known)| *known == self).map_or("coalesce", |(name, _)| name)
    }

    pub(super) const fn signature(self) -> Signature {
        let (count, argument, result) = match self {
            Self::Abs
            | Self::Ceil
            | Self::Exp
            | Self::Floor
            | Self::Ln
            | Self::Log10
            | Self::Round
            | Self::Sign
            | Self::Sqrt => ((1, 1), Some(Type::Number), Some(Type::Number)),
            Self::Power => ((2, 2), Some(Type::Number), Some(Type::Number)),
            Self::Coalesce | Self::Greatest | Self::Least => ((1, 64), None, None),
            Self::NullIf => ((2, 2), None, None),
            Self::Contains | Self::EndsWith | Self::StartsWith => {
                ((2, 2), Some(Type::Text), Some(Type::Boolean))
            }
            Self::Length => ((1, 1), Some(Type::Text), Some(Type::Number)),
            Self::Lower | Self::Trim | Self::Upper => ((1, 1), Some(Type::Text), Some(Type::Text)),
            Self::Day
            | Self::DayOfWeek
            | Self::Epoch
            | Self::Hour
            | Self::Minute
            | Self::Month
            | Self::Year => ((1, 1), Some(Type::Time), Some(Type::Number)),
        };
        Signature { count, argument, result }
    }
}
