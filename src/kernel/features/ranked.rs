use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Column;

/// The distinct values of a window in an order that is kept as it moves, once a look at all of them for each
/// row would take longer.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranked {
    ranks: BTreeSet<Rank>,
    by: By,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum By {
    /// What is there most often; of equally frequent ones the smaller value.
    #[default]
    Count,
    /// The smaller value.
    Value,
}

/// Distinct values up to which a look at all of them is quick.
pub(super) const FEW_DISTINCT: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    count: Reverse<u64>,
    value: Ordered,
    row: usize,
}

/// A value as it is ordered among those of its column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ordered {
    Whole(i64),
    Text(Arc<str>),
}

impl Ordered {
    fn of(column: &Column, row: usize) -> Self {
        match column {
            Column::Text(texts) => {
                texts.get(row).map_or(Self::Whole(0), |text| Self::Text(text.clone()))
            }
            // The bits of numbers are in the order of the numbers, but for those below zero.
            Column::Number(_) => {
                let bits = column.key(row).cast_signed();
                Self::Whole(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed())
            }
            column => Self::Whole(column.key(row).cast_signed()),
        }
    }
}

impl Ranked {
    /// Whether the order is kept.
    pub(super) fn is_on(&self) -> bool {
        !self.ranks.is_empty()
    }

    /// Forgets the order.
    pub(super) fn clear(&mut self) {
        if self.is_on() {
            self.ranks.clear();
        }
    }

    /// Keeps the order of values from now on, given by their counts and a row of each.
    pub(super) fn begin(
        &mut self,
        by: By,
        counts: impl Iterator<Item = (u64, usize)>,
        column: &Column,
    ) {
        self.by = by;
        self.ranks = counts.map(|(count, row)| rank(by, count, row, column)).collect();
    }

    /// A value is there more or less often than before; 0 is not at all.
    pub(super) fn change(&mut self, before: u64, count: u64, row: usize, column: &Column) {
        // Where all count alike, nothing moves.
        if !self.is_on() || (self.by == By::Value && before > 0 && count > 0) {
            return;
        }
        if before > 0 {
            self.ranks.remove(&rank(self.by, before, row, column));
        }
        if count > 0 {
            self.ranks.insert(rank(self.by, count, row, column));
        }
    }

    /// A row of each value, in order.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.ranks.iter().map(|rank| rank.row)
    }

    /// How often each value is there with a row of it, the most frequent first.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, usize)> {
        self.ranks.iter().map(|rank| (rank.count.0, rank.row))
    }
}

fn rank(by: By, count: u64, row: usize, column: &Column) -> Rank {
    let count = if by == By::Count { count } else { 0 };
    Rank { count: Reverse(count), value: Ordered::of(column, row), row }
}
