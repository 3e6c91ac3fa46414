use std::collections::HashMap;
use std::ops::Range;

use super::codes::{Code, with_codes};
use super::ranked::{By, FEW_DISTINCT, Ranked};
use super::{Column, Texts};
use crate::domain::Value;

/// What a window holds, for the aggregates that need to know all of it. It moves from one window of a
/// series to the next by what enters and what leaves, so that many rows of one customer cost what their
/// events do, not what their windows hold.
///
/// The first window of a customer is counted on its own, and most have no second.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    asked: bool,
    range: Range<usize>,
    /// How often each value is in the window, and a row that has it.
    counts: HashMap<u64, (u64, usize), foldhash::fast::RandomState>,
    sorted: Sorted,
    ranked: Ranked,
    /// Room for the counts of a window on its own.
    few: Few,
}

/// The distinct values of some rows, and how often each is there with a row that has it.
#[derive(Clone, Debug, Default)]
struct Few {
    keys: Vec<u64>,
    counts: Vec<(u64, usize)>,
    /// For each code of a small dictionary, one more than the place of its count; 0 while nobody counts.
    places: Vec<u16>,
}

impl Tally {
    /// Forgets its window.
    pub(super) fn clear(&mut self) {
        self.asked = false;
        self.range = 0..0;
        if !self.counts.is_empty() {
            self.counts.clear();
        }
        self.sorted.blocks.clear();
        self.ranked.clear();
    }

    /// The most frequent values of a window, at most `k`, by count and then by value. `row` gives the
    /// row of a place.
    pub(super) fn top(
        &mut self,
        range: &Range<usize>,
        k: usize,
        column: &Column,
        row: impl Fn(usize) -> usize,
    ) -> Vec<(Value, u64)> {
        if !std::mem::replace(&mut self.asked, true) {
            let counts = self.few.count(range.clone().map(&row), column).to_vec();
            return most_frequent(counts, k, column);
        }
        self.move_counts(range, By::Count, column, row);
        if self.ranked.is_on() {
            let best = self.ranked.counts().take(k);
            return best.map(|(count, row)| (value_of(row, column), count)).collect();
        }
        most_frequent(self.counts.values().copied().collect(), k, column)
    }

    /// A row with the least value of a window, or with the greatest.
    pub(super) fn extreme(
        &mut self,
        range: &Range<usize>,
        is_greatest: bool,
        column: &Column,
        row: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        let order = |left: &usize, right: &usize| column.order(*left, *right);
        let of = |mut rows: &mut dyn Iterator<Item = usize>| match is_greatest {
            true => (&mut rows).max_by(order),
            false => (&mut rows).min_by(order),
        };
        if !std::mem::replace(&mut self.asked, true) {
            // Equal keys are equal values: most rows need no look at the value itself.
            let mut last = None;
            let is_new = |row: &usize| last.replace(column.key(*row)) != Some(column.key(*row));
            return of(&mut range.clone().map(&row).filter(is_new));
        }
        self.move_counts(range, By::Value, column, row);
        match (self.ranked.is_on(), is_greatest) {
            (true, true) => self.ranked.rows().next_back(),
            (true, false) => self.ranked.rows().next(),
            (false, _) => of(&mut self.counts.values().map(|(_, row)| *row)),
        }
    }

    /// A row with the most frequent value of a window; of equally frequent ones the first.
    pub(super) fn mode(
        &mut self,
        range: &Range<usize>,
        column: &Column,
        row: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        let best = if std::mem::replace(&mut self.asked, true) {
            self.move_counts(range, By::Count, column, row);
            match self.ranked.counts().next() {
                Some(best) => Some(best),
                None => self.counts.values().copied().min_by(|l, r| by_count(l, r, column)),
            }
        } else if let Column::Text(texts) = column
            && texts.dictionary().len() <= FEW_TEXTS
        {
            let rows = range.clone().map(&row);
            return with_codes!(texts.codes(), codes => most_frequent_text(rows, codes, texts));
        } else {
            let counts = self.few.count(range.clone().map(&row), column);
            counts.iter().copied().min_by(|left, right| by_count(left, right, column))
        };
        best.map(|(_, row)| row)
    }

    /// Moves the counts to a window, and where they are many, their order.
    fn move_counts(
        &mut self,
        range: &Range<usize>,
        by: By,
        column: &Column,
        row: impl Fn(usize) -> usize,
    ) {
        let (entering, leaving) = self.move_to(range);
        for row in entering.into_iter().flatten().map(&row) {
            let (count, first) = self.counts.entry(column.key(row)).or_insert((0, row));
            *count += 1;
            self.ranked.change(*count - 1, *count, *first, column);
        }
        for row in leaving.into_iter().flatten().map(&row) {
            let key = column.key(row);
            if let Some((count, first)) = self.counts.get_mut(&key) {
                *count -= 1;
                let (count, first) = (*count, *first);
                self.ranked.change(count + 1, count, first, column);
                if count == 0 {
                    self.counts.remove(&key);
                }
            }
        }
        if !self.ranked.is_on() && self.counts.len() > FEW_DISTINCT {
            self.ranked.begin(by, self.counts.values().copied(), column);
        }
    }

    /// The quantile of a window that is not empty, by linear interpolation between two of its numbers.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position is between 0 and the number of values"
    )]
    pub(super) fn quantile(&mut self, range: &Range<usize>, p: f64, numbers: &[f64]) -> f64 {
        let position = (range.len() - 1) as f64 * p;
        let (below, above) = (position.floor(), position.ceil());
        let between = |low: f64, high: f64| low + (high - low) * (position - below);
        if !std::mem::replace(&mut self.asked, true) {
            let mut window = numbers[range.clone()].to_vec();
            let (_, low, after) = window.select_nth_unstable_by(below as usize, f64::total_cmp);
            let next = after.iter().copied().fold(f64::INFINITY, f64::min);
            return between(*low, if above > below { next } else { *low });
        }
        let (entering, leaving) = self.move_to(range);
        if leaving.iter().all(|range| range.is_empty()) && self.sorted.blocks.is_empty() {
            self.sorted.fill(&numbers[range.clone()]);
        } else {
            entering.into_iter().flatten().for_each(|at| self.sorted.insert(numbers[at]));
            leaving.into_iter().flatten().for_each(|at| self.sorted.remove(numbers[at]));
        }
        between(self.sorted.get(below as usize), self.sorted.get(above as usize))
    }

    /// The places that enter and leave on the way to a window. A window that overlaps little with the one
    /// before begins anew.
    fn move_to(&mut self, to: &Range<usize>) -> ([Range<usize>; 2], [Range<usize>; 2]) {
        let from = std::mem::replace(&mut self.range, to.clone());
        let kept = from.end.min(to.end).saturating_sub(from.start.max(to.start));
        if kept == 0 || kept * 2 < from.len() {
            self.counts.clear();
            self.sorted.blocks.clear();
            self.ranked.clear();
            return ([to.clone(), 0..0], [0..0, 0..0]);
        }
        let before = |a: &Range<usize>, b: &Range<usize>| a.start..b.start.max(a.start);
        let after = |a: &Range<usize>, b: &Range<usize>| b.end.min(a.end)..a.end;
        ([before(to, &from), after(to, &from)], [before(&from, to), after(&from, to)])
    }
}

/// Texts of a dictionary whose codes are counted by their places.
const SMALL_DICTIONARY: usize = 4_096;

/// Texts of a dictionary of which the most frequent is looked for among all.
const FEW_TEXTS: usize = 64;

/// Distinct values up to which a look at all of them is quicker than a sort.
const FEW: usize = 16;

impl Few {
    /// How often each value is there, and a row that has it.
    fn count(
        &mut self,
        rows: impl Iterator<Item = usize> + Clone,
        column: &Column,
    ) -> &[(u64, usize)] {
        if let Column::Text(texts) = column
            && texts.dictionary().len() <= SMALL_DICTIONARY
        {
            let n = texts.dictionary().len();
            return with_codes!(texts.codes(), codes => self.count_codes(rows, codes, n));
        }
        let Self { keys, counts, .. } = self;
        keys.clear();
        counts.clear();
        for row in rows.clone() {
            let key = column.key(row);
            match keys.iter().position(|known| *known == key) {
                Some(place) => counts[place].0 += 1,
                None if keys.len() < FEW => {
                    keys.push(key);
                    counts.push((1, row));
                }
                None => {
                    let all = rows.map(|row| (column.key(row), row));
                    let mut all: Vec<(u64, usize)> = all.collect();
                    all.sort_unstable_by_key(|(key, _)| *key);
                    let runs = all.chunk_by(|left, right| left.0 == right.0);
                    counts.clear();
                    counts.extend(runs.map(|run| (run.len() as u64, run[0].1)));
                    return counts;
                }
            }
        }
        counts
    }
}

impl Few {
    /// The same of so many texts by their codes: nothing is looked for.
    fn count_codes<C: Code>(
        &mut self,
        rows: impl Iterator<Item = usize>,
        codes: &[C],
        n: usize,
    ) -> &[(u64, usize)] {
        let Self { counts, places, .. } = self;
        counts.clear();
        places.resize(n, 0);
        for row in rows {
            let place = &mut places[codes[row].wide() as usize];
            if *place == 0 {
                counts.push((0, row));
                *place = u16::try_from(counts.len()).unwrap_or(u16::MAX);
            }
            counts[usize::from(*place) - 1].0 += 1;
        }
        counts.iter().for_each(|(_, row)| places[codes[*row].wide() as usize] = 0);
        counts
    }
}

/// The first row with the most frequent of few texts; of equally frequent ones the least.
fn most_frequent_text<C: Code>(
    mut rows: impl Iterator<Item = usize> + Clone,
    codes: &[C],
    texts: &Texts,
) -> Option<usize> {
    let mut counts = [0_u32; FEW_TEXTS];
    // A series has only rows with a text, whose codes are below the number of texts.
    rows.clone().for_each(|row| counts[codes[row].wide() as usize % FEW_TEXTS] += 1);
    let counts = counts.iter().zip(0_u32..).zip(texts.dictionary());
    let counts = counts.filter(|((count, _), _)| **count > 0);
    let best = counts
        .max_by(|(left, less), (right, more)| left.0.cmp(right.0).then_with(|| more.cmp(less)));
    let code = best?.0.1;
    rows.find(|row| codes[*row].wide() == code)
}

/// The more frequent first, of equally frequent ones the smaller value.
fn by_count(left: &(u64, usize), right: &(u64, usize), column: &Column) -> std::cmp::Ordering {
    right.0.cmp(&left.0).then_with(|| column.order(left.1, right.1))
}

/// The most frequent of values, given by their counts and a row of each.
fn most_frequent(mut best: Vec<(u64, usize)>, k: usize, column: &Column) -> Vec<(Value, u64)> {
    let order = |left: &(u64, usize), right: &(u64, usize)| by_count(left, right, column);
    if k < best.len() && k > 0 {
        best.select_nth_unstable_by(k - 1, order);
        best.truncate(k);
    }
    best.sort_unstable_by(order);
    best.into_iter().map(|(count, row)| (value_of(row, column), count)).collect()
}

/// The value of a row. Zero has one sign, whichever row it is taken from.
pub(super) fn value_of(row: usize, column: &Column) -> Value {
    match column.value(row) {
        Value::Number(number) => Value::Number(number + 0.0),
        value => value,
    }
}

/// Numbers in ascending order, in blocks, so that one more moves only a block.
#[derive(Clone, Debug, Default)]
struct Sorted {
    blocks: Vec<Vec<f64>>,
}

/// Numbers that a block has at most.
const LARGEST_BLOCK: usize = 1_024;

impl Sorted {
    fn fill(&mut self, numbers: &[f64]) {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        self.blocks = sorted.chunks(LARGEST_BLOCK / 2).map(<[f64]>::to_vec).collect();
    }

    /// The first block whose last number is not below `x`.
    fn block_of(&self, x: f64) -> usize {
        self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < x))
    }

    fn insert(&mut self, x: f64) {
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let at = self.block_of(x).min(self.blocks.len() - 1);
        let block = &mut self.blocks[at];
        block.insert(block.partition_point(|known| *known < x), x);
        if block.len() > LARGEST_BLOCK {
            let upper = block.split_off(LARGEST_BLOCK / 2);
            self.blocks.insert(at + 1, upper);
        }
    }

    fn remove(&mut self, x: f64) {
        let at = self.block_of(x);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|known| *known < x);
        if block.get(place) == Some(&x) {
            block.remove(place);
        }
        if block.is_empty() {
            self.blocks.remove(at);
        }
    }

    fn get(&self, mut place: usize) -> f64 {
        for block in &self.blocks {
            match block.get(place) {
                Some(x) => return *x,
                None => place -= block.len(),
            }
        }
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_moved_window_is_a_new_window(
            numbers in proptest::collection::vec((-60..60_i8).prop_map(f64::from), 1..200),
            moves in proptest::collection::vec((0..200_usize, 0..200_usize), 1..30),
        ) {
            let column = Column::Number(numbers.clone());
            let mut moved = Tally::default();
            let mut counted = Tally::default();
            let (mut modes, mut least, mut greatest) =
                (Tally::default(), Tally::default(), Tally::default());
            for (a, b) in moves {
                let (start, end) = (a.min(b).min(numbers.len()), a.max(b).min(numbers.len()));
                let range = start..end;
                let top = counted.top(&range, 3, &column, |at| at);
                prop_assert_eq!(top, Tally::default().top(&range, 3, &column, |at| at));
                let mode = modes.mode(&range, &column, |at| at).map(|row| numbers[row]);
                let anew = Tally::default().mode(&range, &column, |at| at);
                prop_assert_eq!(mode, anew.map(|row| numbers[row]));
                for (tally, is_greatest) in [(&mut least, false), (&mut greatest, true)] {
                    let row = tally.extreme(&range, is_greatest, &column, |at| at);
                    let own = numbers[range.clone()].iter().copied();
                    let best = if is_greatest { own.reduce(f64::max) } else { own.reduce(f64::min) };
                    prop_assert_eq!(row.map(|row| numbers[row]), best);
                }
                if !range.is_empty() {
                    let quantile = moved.quantile(&range, 0.3, &numbers);
                    let anew = Tally::default().quantile(&range, 0.3, &numbers);
                    prop_assert_eq!(quantile.to_bits(), anew.to_bits());
                }
            }
        }
    }

    #[test]
    fn large_windows_are_split_into_blocks() {
        let numbers: Vec<f64> = (0..5_000_u32).map(|n| f64::from(n * 7919 % 5_000)).collect();
        let mut tally = Tally::default();
        for end in (10..=5_000).step_by(10) {
            let range = end / 3..end;
            let mut sorted = numbers[range.clone()].to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            assert_eq!(tally.quantile(&range, 0.0, &numbers), sorted[0]);
            assert_eq!(tally.quantile(&range, 1.0, &numbers), sorted[sorted.len() - 1]);
        }
    }
}
