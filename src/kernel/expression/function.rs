use super::calendar::{Part, Unit};
use crate::domain::Type;

/// The functions of the language, each with DuckDB's name and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the DuckDB function of its name")]
pub enum Function {
    Abs,
    Acos,
    /// A time and months, days or microseconds: what `+ INTERVAL` becomes.
    AddInterval(Unit),
    Ascii,
    Asin,
    Atan,
    Atan2,
    /// What a cast to BIGINT becomes: the nearest whole number, half to even.
    BigInt,
    Cbrt,
    Ceil,
    Coalesce,
    Concat,
    ConcatWs,
    Contains,
    Cos,
    DateDiff(Unit),
    DateSub(Unit),
    DateTrunc(Unit),
    DayName,
    Degrees,
    EndsWith,
    Epoch,
    Even,
    Exp,
    Floor,
    Greatest,
    IsFinite,
    IsInf,
    IsNan,
    Least,
    Left,
    Length,
    Ln,
    Log,
    Log2,
    Lower,
    Lpad,
    Ltrim,
    Mod,
    MonthName,
    NullIf,
    Part(Part),
    Pi,
    Power,
    Radians,
    Replace,
    Right,
    Round,
    Rpad,
    Rtrim,
    Sign,
    Sin,
    SplitPart,
    Sqrt,
    StartsWith,
    Strlen,
    Strpos,
    Substring,
    Tan,
    Trim,
    Trunc,
    Unicode,
    Upper,
}

/// What a function takes and gives.
pub(super) struct Signature {
    /// Fewest and most arguments.
    pub(super) count: (usize, usize),
    /// The types of the arguments, the last one for all that follow; none where all must share one type.
    pub(super) arguments: &'static [Type],
    /// The type of the result; none where it is that of the arguments.
    pub(super) result: Option<Type>,
}

/// Names and functions; of several names of one function, DuckDB is told the first.
const NAMES: [(&str, Function); 89] = [
    ("abs", Function::Abs),
    ("acos", Function::Acos),
    ("ascii", Function::Ascii),
    ("asin", Function::Asin),
    ("atan", Function::Atan),
    ("atan2", Function::Atan2),
    ("cbrt", Function::Cbrt),
    ("ceil", Function::Ceil),
    ("ceiling", Function::Ceil),
    ("coalesce", Function::Coalesce),
    ("concat", Function::Concat),
    ("concat_ws", Function::ConcatWs),
    ("contains", Function::Contains),
    ("cos", Function::Cos),
    ("day", Function::Part(Part::Day)),
    ("dayname", Function::DayName),
    ("dayofmonth", Function::Part(Part::Day)),
    ("dayofweek", Function::Part(Part::DayOfWeek)),
    ("dayofyear", Function::Part(Part::DayOfYear)),
    ("degrees", Function::Degrees),
    ("ends_with", Function::EndsWith),
    ("epoch", Function::Epoch),
    ("epoch_ms", Function::Part(Part::EpochMs)),
    ("epoch_us", Function::Part(Part::EpochUs)),
    ("even", Function::Even),
    ("exp", Function::Exp),
    ("floor", Function::Floor),
    ("greatest", Function::Greatest),
    ("hour", Function::Part(Part::Hour)),
    ("ifnull", Function::Coalesce),
    ("instr", Function::Strpos),
    ("isfinite", Function::IsFinite),
    ("isinf", Function::IsInf),
    ("isnan", Function::IsNan),
    ("isodow", Function::Part(Part::IsoDow)),
    ("isoyear", Function::Part(Part::IsoYear)),
    ("lcase", Function::Lower),
    ("least", Function::Least),
    ("left", Function::Left),
    ("len", Function::Length),
    ("length", Function::Length),
    ("ln", Function::Ln),
    ("log", Function::Log),
    ("log10", Function::Log),
    ("log2", Function::Log2),
    ("lower", Function::Lower),
    ("lpad", Function::Lpad),
    ("ltrim", Function::Ltrim),
    ("microsecond", Function::Part(Part::Microsecond)),
    ("millisecond", Function::Part(Part::Millisecond)),
    ("minute", Function::Part(Part::Minute)),
    ("mod", Function::Mod),
    ("month", Function::Part(Part::Month)),
    ("monthname", Function::MonthName),
    ("nullif", Function::NullIf),
    ("ord", Function::Unicode),
    ("pi", Function::Pi),
    ("pow", Function::Power),
    ("power", Function::Power),
    ("prefix", Function::StartsWith),
    ("quarter", Function::Part(Part::Quarter)),
    ("radians", Function::Radians),
    ("replace", Function::Replace),
    ("right", Function::Right),
    ("round", Function::Round),
    ("rpad", Function::Rpad),
    ("rtrim", Function::Rtrim),
    ("second", Function::Part(Part::Second)),
    ("sign", Function::Sign),
    ("sin", Function::Sin),
    ("split_part", Function::SplitPart),
    ("sqrt", Function::Sqrt),
    ("starts_with", Function::StartsWith),
    ("strlen", Function::Strlen),
    ("strpos", Function::Strpos),
    ("substr", Function::Substring),
    ("substring", Function::Substring),
    ("suffix", Function::EndsWith),
    ("tan", Function::Tan),
    ("trim", Function::Trim),
    ("trunc", Function::Trunc),
    ("ucase", Function::Upper),
    ("unicode", Function::Unicode),
    ("upper", Function::Upper),
    ("week", Function::Part(Part::Week)),
    ("weekday", Function::Part(Part::DayOfWeek)),
    ("weekofyear", Function::Part(Part::Week)),
    ("year", Function::Part(Part::Year)),
    ("yearweek", Function::Part(Part::YearWeek)),
];

/// Functions whose first argument is a unit, which is part of the function.
pub(super) const WITH_UNIT: [&str; 8] = [
    "date_trunc",
    "datetrunc",
    "date_diff",
    "datediff",
    "date_sub",
    "datesub",
    "date_part",
    "datepart",
];

impl Function {
    /// The function of a name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
    }

    /// The function of a name that takes a unit first.
    pub(super) fn with_unit(name: &str, unit: Unit) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "date_trunc" | "datetrunc" => Self::DateTrunc(unit),
            "date_diff" | "datediff" => Self::DateDiff(unit),
            "date_sub" | "datesub" => Self::DateSub(unit),
            _ => return None,
        })
    }

    /// All names, for suggestions and completion.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(name, _)| name).chain(WITH_UNIT).chain(["if", "extract"])
    }

    /// The name that DuckDB knows it by.
    #[must_use]
    pub fn sql(self) -> &'static str {
        let known = NAMES.into_iter().find(|(_, known)| *known == self);
        known.map_or("", |(name, _)| name)
    }

    pub(super) const fn signature(self) -> Signature {
        const NUMBER: Type = Type::Number;
        const TEXT: Type = Type::Text;
        const TIME: Type = Type::Time;
        let (count, arguments, result): ((usize, usize), &'static [Type], Option<Type>) = match self
        {
            Self::Abs
            | Self::Acos
            | Self::Asin
            | Self::Atan
            | Self::BigInt
            | Self::Cbrt
            | Self::Ceil
            | Self::Cos
            | Self::Degrees
            | Self::Even
            | Self::Exp
            | Self::Floor
            | Self::Ln
            | Self::Log2
            | Self::Radians
            | Self::Sign
            | Self::Sin
            | Self::Sqrt
            | Self::Tan => ((1, 1), &[NUMBER], Some(NUMBER)),
            Self::Log | Self::Round | Self::Trunc => ((1, 2), &[NUMBER], Some(NUMBER)),
            Self::Atan2 | Self::Mod | Self::Power => ((2, 2), &[NUMBER], Some(NUMBER)),
            Self::Pi => ((0, 0), &[NUMBER], Some(NUMBER)),
            Self::IsFinite | Self::IsInf | Self::IsNan => ((1, 1), &[NUMBER], Some(Type::Boolean)),
            Self::Coalesce | Self::Greatest | Self::Least => ((1, 64), &[], None),
            Self::NullIf => ((2, 2), &[], None),
            Self::Concat => ((1, 64), &[TEXT], Some(TEXT)),
            Self::ConcatWs => ((2, 64), &[TEXT], Some(TEXT)),
            Self::Contains | Self::EndsWith | Self::StartsWith => {
                ((2, 2), &[TEXT], Some(Type::Boolean))
            }
            Self::Ascii | Self::Length | Self::Strlen | Self::Unicode => {
                ((1, 1), &[TEXT], Some(NUMBER))
            }
            Self::Strpos => ((2, 2), &[TEXT], Some(NUMBER)),
            Self::Lower | Self::Upper => ((1, 1), &[TEXT], Some(TEXT)),
            Self::Ltrim | Self::Rtrim | Self::Trim => ((1, 2), &[TEXT], Some(TEXT)),
            Self::Replace => ((3, 3), &[TEXT], Some(TEXT)),
            Self::Left | Self::Right => ((2, 2), &[TEXT, NUMBER], Some(TEXT)),
            Self::Substring => ((2, 3), &[TEXT, NUMBER], Some(TEXT)),
            Self::Lpad | Self::Rpad => ((3, 3), &[TEXT, NUMBER, TEXT], Some(TEXT)),
            Self::SplitPart => ((3, 3), &[TEXT, TEXT, NUMBER], Some(TEXT)),
            Self::Epoch | Self::Part(_) => ((1, 1), &[TIME], Some(NUMBER)),
            Self::DayName | Self::MonthName => ((1, 1), &[TIME], Some(TEXT)),
            Self::DateTrunc(_) => ((1, 1), &[TIME], Some(TIME)),
            Self::DateDiff(_) | Self::DateSub(_) => ((2, 2), &[TIME], Some(NUMBER)),
            Self::AddInterval(_) => ((2, 2), &[TIME, NUMBER], Some(TIME)),
        };
        Signature { count, arguments, result }
    }
}
