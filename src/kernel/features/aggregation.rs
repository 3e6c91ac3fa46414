use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DefinitionError, FeatureDefinition};
use crate::domain::{Span, Type};

/// The aggregations by the names that definitions use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "each is described at the variant of Aggregation of its name; those by category at `by`"
)]
pub enum AggregationName {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    Stddev,
    Variance,
    Median,
    Quantile,
    First,
    Last,
    FirstK,
    LastK,
    Distinct,
    Mode,
    TopK,
    Histogram,
    DaysSinceFirst,
    DaysSinceLast,
    ActiveDays,
    MeanGapDays,
    StddevGapDays,
    Sessions,
    Trend,
    DecayedCount,
    DecayedSum,
    CountBy,
    SumBy,
}

/// An aggregation with its parameters: how the events of a window become one value.
///
/// "Values" are the non-null values of the property, in (event time, seq) order. Counts, distinct
/// counts and sums over nothing are 0; everything else over nothing is null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// Events; with a property, values.
    Count,
    /// Sum of the values.
    Sum,
    /// Arithmetic mean of the values.
    Mean,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Sample standard deviation (n - 1) of the values; null under two.
    Stddev,
    /// Sample variance (n - 1) of the values; null under two.
    Variance,
    /// Quantile of the values by linear interpolation, as DuckDB's `quantile_cont`.
    Quantile(f64),
    /// Earliest value.
    First,
    /// Latest value.
    Last,
    /// The earliest so many values, oldest first.
    FirstK(usize),
    /// The latest so many values, oldest first.
    LastK(usize),
    /// Number of distinct values.
    Distinct,
    /// Most frequent value; of equally frequent ones the least.
    Mode,
    /// The most frequent so many values, by count and then by value.
    TopK(usize),
    /// The same, with their counts.
    Histogram(usize),
    /// Days from the first event to the as-of time.
    DaysSinceFirst,
    /// Days from the last event to the as-of time.
    DaysSinceLast,
    /// Distinct UTC calendar days with an event.
    ActiveDays,
    /// Mean of the gaps between consecutive events, in days.
    MeanGapDays,
    /// Sample standard deviation of the gaps between consecutive events, in days.
    StddevGapDays,
    /// Runs of events; a gap of this length or more starts a new one.
    Sessions(Span),
    /// Least-squares slope of the value per day; null under two distinct times.
    Trend,
    /// Sum of `2^-(age / half-life)` over events.
    DecayedCount(Span),
    /// Sum of `value * 2^-(age / half-life)`.
    DecayedSum(Span),
}

/// The most values that a list or a histogram keeps.
pub const MOST_VALUES: usize = 1_000;

/// Whether an aggregation reads a property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    No,
    Optional,
    AnyType,
    Numbers,
}

impl AggregationName {
    /// All of them, in the order of their documentation.
    pub const ALL: [Self; 28] = [
        Self::Count,
        Self::Sum,
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Stddev,
        Self::Variance,
        Self::Median,
        Self::Quantile,
        Self::First,
        Self::Last,
        Self::FirstK,
        Self::LastK,
        Self::Distinct,
        Self::Mode,
        Self::TopK,
        Self::Histogram,
        Self::DaysSinceFirst,
        Self::DaysSinceLast,
        Self::ActiveDays,
        Self::MeanGapDays,
        Self::StddevGapDays,
        Self::Sessions,
        Self::Trend,
        Self::DecayedCount,
        Self::DecayedSum,
        Self::CountBy,
        Self::SumBy,
    ];

    /// The name as definitions write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Stddev => "stddev",
            Self::Variance => "variance",
            Self::Median => "median",
            Self::Quantile => "quantile",
            Self::First => "first",
            Self::Last => "last",
            Self::FirstK => "first_k",
            Self::LastK => "last_k",
            Self::Distinct => "distinct",
            Self::Mode => "mode",
            Self::TopK => "top_k",
            Self::Histogram => "histogram",
            Self::DaysSinceFirst => "days_since_first",
            Self::DaysSinceLast => "days_since_last",
            Self::ActiveDays => "active_days",
            Self::MeanGapDays => "mean_gap_days",
            Self::StddevGapDays => "stddev_gap_days",
            Self::Sessions => "sessions",
            Self::Trend => "trend",
            Self::DecayedCount => "decayed_count",
            Self::DecayedSum => "decayed_sum",
            Self::CountBy => "count_by",
            Self::SumBy => "sum_by",
        }
    }

    const fn property(self) -> Property {
        match self {
            Self::Count | Self::CountBy => Property::Optional,
            Self::Sum
            | Self::Mean
            | Self::Stddev
            | Self::Variance
            | Self::Median
            | Self::Quantile
            | Self::Trend
            | Self::DecayedSum
            | Self::SumBy => Property::Numbers,
            Self::Min
            | Self::Max
            | Self::First
            | Self::Last
            | Self::FirstK
            | Self::LastK
            | Self::Distinct
            | Self::Mode
            | Self::TopK
            | Self::Histogram => Property::AnyType,
            Self::DaysSinceFirst
            | Self::DaysSinceLast
            | Self::ActiveDays
            | Self::MeanGapDays
            | Self::StddevGapDays
            | Self::Sessions
            | Self::DecayedCount => Property::No,
        }
    }

    /// Whether it needs a property.
    #[must_use]
    pub fn needs_property(self) -> bool {
        matches!(self.property(), Property::AnyType | Property::Numbers)
    }

    /// Whether its property must be a number.
    #[must_use]
    pub fn needs_numbers(self) -> bool {
        self.property() == Property::Numbers
    }

    /// Whether it has a parameter `k`: how many values it keeps.
    #[must_use]
    pub const fn takes_k(self) -> bool {
        matches!(self, Self::FirstK | Self::LastK | Self::TopK | Self::Histogram)
    }

    /// Whether it may have a property.
    #[must_use]
    pub fn takes_property(self) -> bool {
        self.property() != Property::No
    }

    fn check_property(self, property: Option<Type>) -> Result<(), DefinitionError> {
        match (self.property(), property) {
            (Property::No, Some(_)) => Err(DefinitionError::new(
                "property",
                format!("{self} is over events; leave the property out"),
            )),
            (Property::AnyType | Property::Numbers, None) => Err(DefinitionError::new(
                "property",
                format!("{self} needs a property: property = \"amount\""),
            )),
            (Property::Numbers, Some(found)) if found != Type::Number => Err(DefinitionError::new(
                "property",
                format!("{self} needs numbers, but the property is a {found}"),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for AggregationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Aggregation {
    /// The aggregation of a definition, its parameters checked against the type of its property.
    pub(super) fn check(
        name: AggregationName,
        definition: &FeatureDefinition,
        property: Option<Type>,
    ) -> Result<Self, DefinitionError> {
        name.check_property(property)?;
        let only = |field, present: bool, owner: bool| {
            if present && !owner {
                Err(DefinitionError::new(field, format!("{name} has no parameter '{field}'")))
            } else {
                Ok(())
            }
        };
        let decays = matches!(name, AggregationName::DecayedCount | AggregationName::DecayedSum);
        only("p", definition.p.is_some(), name == AggregationName::Quantile)?;
        only("k", definition.k.is_some(), name.takes_k())?;
        only("gap", definition.gap.is_some(), name == AggregationName::Sessions)?;
        only("half_life", definition.half_life.is_some(), decays)?;
        let span = |field, span: Option<Span>| {
            span.ok_or_else(|| {
                DefinitionError::new(field, format!("{name} needs a span: {field} = \"30m\""))
            })
        };
        let k = || match definition.k.map(usize::try_from) {
            Some(Ok(k @ 1..=MOST_VALUES)) => Ok(k),
            _ => Err(DefinitionError::new(
                "k",
                format!("{name} needs a k between 1 and {MOST_VALUES}: k = 5"),
            )),
        };
        Ok(match name {
            // By category they have become plain ones before they come here.
            AggregationName::Count | AggregationName::CountBy => Self::Count,
            AggregationName::Sum | AggregationName::SumBy => Self::Sum,
            AggregationName::Mean => Self::Mean,
            AggregationName::Min => Self::Min,
            AggregationName::Max => Self::Max,
            AggregationName::Stddev => Self::Stddev,
            AggregationName::Variance => Self::Variance,
            AggregationName::Median => Self::Quantile(0.5),
            AggregationName::Quantile => match definition.p {
                Some(p) if (0.0..=1.0).contains(&p) => Self::Quantile(p),
                _ => {
                    let message = "quantile needs a p between 0 and 1: p = 0.9";
                    return Err(DefinitionError::new("p", message));
                }
            },
            AggregationName::First => Self::First,
            AggregationName::Last => Self::Last,
            AggregationName::FirstK => Self::FirstK(k()?),
            AggregationName::LastK => Self::LastK(k()?),
            AggregationName::Distinct => Self::Distinct,
            AggregationName::Mode => Self::Mode,
            AggregationName::TopK => Self::TopK(k()?),
            AggregationName::Histogram => Self::Histogram(k()?),
            AggregationName::DaysSinceFirst => Self::DaysSinceFirst,
            AggregationName::DaysSinceLast => Self::DaysSinceLast,
            AggregationName::ActiveDays => Self::ActiveDays,
            AggregationName::MeanGapDays => Self::MeanGapDays,
            AggregationName::StddevGapDays => Self::StddevGapDays,
            AggregationName::Sessions => Self::Sessions(span("gap", definition.gap)?),
            AggregationName::Trend => Self::Trend,
            AggregationName::DecayedCount => {
                Self::DecayedCount(span("half_life", definition.half_life)?)
            }
            AggregationName::DecayedSum => {
                Self::DecayedSum(span("half_life", definition.half_life)?)
            }
        })
    }

    /// Whether it needs to know all that a window holds, where its value has a type.
    pub(super) fn needs_tally(self, type_: Type) -> bool {
        match self {
            Self::Quantile(_) | Self::Mode | Self::TopK(_) | Self::Histogram(_) => true,
            // Of numbers a series knows the extremes.
            Self::Min | Self::Max => type_ != Type::Number,
            _ => false,
        }
    }

    /// The number of values that its result keeps, at most; 0 if that is not a list.
    pub(super) const fn n_values(self) -> usize {
        match self {
            Self::FirstK(k) | Self::LastK(k) | Self::TopK(k) | Self::Histogram(k) => k,
            _ => 0,
        }
    }

    /// The type of its value, given the type of its property.
    #[must_use]
    pub fn result(self, property: Option<Type>) -> Type {
        match self {
            Self::Min | Self::Max | Self::First | Self::Last | Self::Mode => {
                property.unwrap_or(Type::Number)
            }
            Self::FirstK(_) | Self::LastK(_) | Self::TopK(_) => {
                Type::List(property.unwrap_or(Type::Text).element())
            }
            Self::Histogram(_) => Type::Counts(property.unwrap_or(Type::Text).element()),
            _ => Type::Number,
        }
    }
}
