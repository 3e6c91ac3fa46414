use std::collections::HashMap;
use std::ops::Range;

use super::Column;
use super::codes::{Code, with_codes};
use super::exact::{self, Extent, Wide};
use super::needs::Needs;
use crate::domain::MICROS_PER_DAY;

/// The selected events of one customer with a value, in order, and prefixes over them: what a window
/// holds is a range of places, and most aggregates of it are a difference of two prefixes.
///
/// Prefixes grow with the series, so that an event that comes last costs what it adds.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    len: usize,
    /// Rows, counted from the customer's first; empty while each place is its own row.
    rows: Vec<u32>,
    /// The values, if they are numbers; zero has no sign.
    pub(super) numbers: Vec<f64>,
    extent: Extent,
    /// Places that the prefixes cover.
    indexed: usize,
    /// Sums of the first so many values, in units of the extent; empty where those would not be exact.
    sums: Vec<i128>,
    squares: Vec<Wide>,
    moments: Vec<Moments>,
    /// Least and greatest value of each block.
    blocks: Vec<(f64, f64)>,
    /// One more than the place of the value's occurrence before; 0 for its first.
    previous: Vec<u32>,
    latest: Latest,
    /// How many of the first so many values were new.
    fresh: Vec<u32>,
    /// How many days began after the first event.
    days: Vec<u32>,
    /// Sums of the squared gaps up to each event.
    gaps: Vec<Wide>,
    /// For each session gap, how many sessions began after the first.
    sessions: Vec<Vec<u32>>,
    /// For each half-life, what is left at each event of the one before, and of all until then.
    decays: Vec<Vec<(f64, f64)>>,
}

/// The place of the latest occurrence of each value, and one more: of texts by their codes.
#[derive(Clone, Debug, Default)]
struct Latest {
    /// Counted from `begin`: what is not above it is of a customer before.
    by_code: Vec<u32>,
    begin: u32,
    by_key: HashMap<u64, u32, foldhash::fast::RandomState>,
}

/// Rows that a series takes what has a value of, counted from the customer's first.
#[derive(Clone, Debug)]
pub(super) enum Picked<'p> {
    All(Range<usize>),
    Rows(&'p [u32]),
}

/// Sums over the first so many events, of times since the first, their squares, and times by values.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    times: i128,
    squares: Wide,
    products: Wide,
}

impl Default for Extent {
    fn default() -> Self {
        Self::NONE
    }
}

/// Values of a block.
const BLOCK: usize = 64;

fn place(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The row of a place, where no rows say that each place is its own.
#[inline]
fn row_at(rows: &[u32], at: usize) -> usize {
    rows.get(at).map_or(at, |row| *row as usize)
}

impl Series {
    /// Begins anew for what features need to know, with the memory that it has.
    pub(super) fn begin(&mut self, needs: &Needs) {
        self.clear();
        self.sessions.resize_with(needs.sessions.len(), Vec::new);
        self.decays.resize_with(needs.decays.len(), Vec::new);
    }

    fn clear(&mut self) {
        self.latest.clear(self.len);
        self.len = 0;
        self.rows.clear();
        self.numbers.clear();
        self.extent = Extent::NONE;
        self.indexed = 0;
        self.sums.clear();
        self.squares.clear();
        self.moments.clear();
        self.blocks.clear();
        self.previous.clear();
        self.fresh.clear();
        self.days.clear();
        self.gaps.clear();
        self.sessions.iter_mut().for_each(Vec::clear);
        self.decays.iter_mut().for_each(Vec::clear);
    }

    /// Gives back the memory that it has in reserve.
    pub(super) fn shrink(&mut self) {
        self.rows.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.sums.shrink_to_fit();
        self.squares.shrink_to_fit();
        self.moments.shrink_to_fit();
        self.previous.shrink_to_fit();
        self.fresh.shrink_to_fit();
        self.days.shrink_to_fit();
        self.gaps.shrink_to_fit();
        self.sessions.iter_mut().for_each(Vec::shrink_to_fit);
        self.decays.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// The number of values.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The row of a place, counted from the customer's first.
    #[inline]
    pub(super) fn row(&self, at: usize) -> usize {
        row_at(&self.rows, at)
    }

    /// Appends the events of rows that have a value. `column` has the values by the rows from `base` on.
    pub(super) fn feed(
        &mut self,
        picked: Picked<'_>,
        needs: &Needs,
        column: Option<&Column>,
        base: usize,
    ) {
        if !needs.more {
            self.feed_first(picked, column, base);
            return;
        }
        // While every row of the customer is taken, a place is its own row and need not be kept.
        if let Picked::All(range) = &picked
            && range.start == self.len
            && self.rows.is_empty()
        {
            let rows = base + range.start..base + range.end;
            if column.is_none_or(|column| column.has_all(&rows)) {
                self.len = range.end;
                if let Some(Column::Number(numbers)) = column {
                    self.numbers.extend(numbers[rows].iter().map(|x| x + 0.0));
                }
                return;
            }
        }
        if self.rows.is_empty() {
            self.rows.extend(0..place(self.len));
        }
        match picked {
            Picked::All(range) => {
                self.feed_rows(place(range.start)..place(range.end), column, base);
            }
            Picked::Rows(rows) => self.feed_rows(rows.iter().copied(), column, base),
        }
        self.len = self.rows.len();
    }

    /// Takes the first row that has a value, if there is none yet.
    fn feed_first(&mut self, picked: Picked<'_>, column: Option<&Column>, base: usize) {
        if self.len > 0 {
            return;
        }
        let has_value = |row: &u32| column.is_none_or(|it| !it.is_null(base + *row as usize));
        let first = match picked {
            Picked::All(range) => (place(range.start)..place(range.end)).find(has_value),
            Picked::Rows(rows) => rows.iter().copied().find(has_value),
        };
        let Some(first) = first else { return };
        self.rows.push(first);
        self.len = 1;
        if let Some(Column::Number(numbers)) = column {
            self.numbers.push(numbers[base + first as usize] + 0.0);
        }
    }

    fn feed_rows(
        &mut self,
        picked: impl ExactSizeIterator<Item = u32>,
        column: Option<&Column>,
        base: usize,
    ) {
        match column {
            None => self.rows.extend(picked),
            Some(Column::Number(numbers)) => {
                let numbers = &numbers[base..];
                self.keep(picked, |row| !numbers[row].is_nan());
                let kept = self.rows[self.numbers.len()..].iter();
                // Zero has one sign, so that sums and extremes do not depend on an order.
                self.numbers.extend(kept.map(|row| numbers[*row as usize] + 0.0));
            }
            Some(Column::Text(texts)) => with_codes!(texts.codes(), codes => {
                let codes = &codes[base..];
                self.keep(picked, |row| !codes[row].is_null());
            }),
            Some(column) => self.keep(picked, |row| !column.is_null(base + row)),
        }
    }

    /// Appends the rows that have a value. Without a branch: whether one has only says where the next one goes.
    #[inline]
    fn keep(
        &mut self,
        picked: impl ExactSizeIterator<Item = u32>,
        has_value: impl Fn(usize) -> bool,
    ) {
        let mut end = self.rows.len();
        self.rows.resize(end + picked.len(), 0);
        for row in picked {
            self.rows[end] = row;
            end += usize::from(has_value(row as usize));
        }
        self.rows.truncate(end);
    }

    /// The first place of a row or one after it, looked for from `end` backwards in growing steps:
    /// windows are short beside a history.
    #[inline]
    pub(super) fn place_from(&self, row: usize, end: usize) -> usize {
        if self.rows.is_empty() {
            return row.min(end);
        }
        // Rows ascend, so that none is before its place.
        first_from(&self.rows[..end.min(row)], &place(row))
    }

    /// Brings the prefixes up to the last value. `column` has the values by the rows from `base` on,
    /// `times` the times of the customer's rows.
    pub(super) fn index(
        &mut self,
        needs: &Needs,
        column: Option<&Column>,
        base: usize,
        times: &[i64],
    ) {
        let from = self.indexed;
        if from == self.len {
            return;
        }
        if needs.sums {
            self.index_sums(needs, from, times);
        }
        if needs.extremes {
            self.index_extremes(from);
        }
        if let (true, Some(column)) = (needs.distinct, column) {
            self.index_distinct(column, base, from);
        }
        if needs.days {
            self.index_days(from, times);
        }
        let Self { rows, gaps, .. } = self;
        let time = |at: usize| times[row_at(rows, at)];
        if needs.gaps {
            for at in from..self.len {
                let gap = at.checked_sub(1).map_or(0, |before| time(at) - time(before));
                let sum = at.checked_sub(1).map_or(Wide::default(), |before| gaps[before]);
                gaps.push(sum.plus(Wide::product(gap.into(), gap.into())));
            }
        }
        for (sessions, gap) in self.sessions.iter_mut().zip(&needs.sessions) {
            let begins = |at: usize| time(at) - time(at - 1) >= *gap;
            count_from(sessions, from, self.len, begins);
        }
        for (decays, half_life) in self.decays.iter_mut().zip(&needs.decays) {
            index_decays(decays, from..self.len, time, &self.numbers, *half_life);
        }
        self.indexed = self.len;
    }

    fn index_sums(&mut self, needs: &Needs, from: usize, times: &[i64]) {
        let before = self.extent;
        self.extent = self.numbers[from..].iter().fold(before, |extent, x| extent.with(*x));
        let goes_on = self.extent.unit() == before.unit() || from == 0;
        if !self.extent.fits(self.len) {
            self.sums.clear();
            return;
        }
        let from = if goes_on && !self.sums.is_empty() { from } else { 0 };
        let unit = self.extent.unit();
        let new = &self.numbers[from..];
        self.sums.truncate(from + 1);
        if self.sums.is_empty() {
            self.sums.push(0);
        }
        let mut sum = self.sums.last().copied().unwrap_or(0);
        self.sums.extend(new.iter().map(|x| {
            sum += exact::integer(*x, unit);
            sum
        }));
        if needs.squares {
            self.squares.truncate(from + 1);
            if self.squares.is_empty() {
                self.squares.push(Wide::default());
            }
            let mut sum = self.squares.last().copied().unwrap_or_default();
            self.squares.extend(new.iter().map(|x| {
                let whole = exact::integer(*x, unit);
                sum = sum.plus(Wide::product(whole, whole));
                sum
            }));
        }
        if needs.moments {
            self.moments.truncate(from + 1);
            if self.moments.is_empty() {
                self.moments.push(Moments::default());
            }
            let mut sum = self.moments.last().copied().unwrap_or_default();
            let Self { rows, moments, .. } = self;
            let time = |at: usize| times[row_at(rows, at)];
            let first = time(0);
            moments.extend(new.iter().zip(from..).map(|(x, at)| {
                let time = i128::from(time(at) - first);
                sum.times += time;
                sum.squares = sum.squares.plus(Wide::product(time, time));
                sum.products = sum.products.plus(Wide::product(time, exact::integer(*x, unit)));
                sum
            }));
        }
    }

    fn index_extremes(&mut self, from: usize) {
        self.blocks.truncate(from / BLOCK);
        let start = self.blocks.len() * BLOCK;
        let blocks = self.numbers.get(start..).unwrap_or_default().chunks(BLOCK);
        self.blocks.extend(blocks.map(|block| (least(block), greatest(block))));
    }

    fn index_distinct(&mut self, column: &Column, base: usize, from: usize) {
        match column {
            Column::Text(texts) => with_codes!(texts.codes(), codes => {
                let codes = &codes[base..];
                let of_code = |latest: &mut Latest, row: usize, at| latest.of_code(codes[row].wide(), at);
                self.index_distinct_by(from, of_code);
            }),
            column => self.index_distinct_by(from, |latest, row, at| {
                latest.by_key.insert(column.key(base + row), at).unwrap_or(0)
            }),
        }
    }

    /// The same with what sets the latest place of the value of a row, and gives the one before.
    #[inline]
    fn index_distinct_by(&mut self, from: usize, set: impl Fn(&mut Latest, usize, u32) -> u32) {
        let Self { len, rows, latest, previous, fresh, .. } = self;
        let ends = place(from + 1)..=place(*len);
        if rows.is_empty() {
            previous.extend((from..*len).zip(ends).map(|(row, at)| set(latest, row, at)));
        } else {
            let rows = rows[from..].iter();
            previous.extend(rows.zip(ends).map(|(row, at)| set(latest, *row as usize, at)));
        }
        if fresh.is_empty() {
            fresh.push(0);
        }
        let mut count = fresh.last().copied().unwrap_or(0);
        fresh.extend(previous[from..].iter().map(|previous| {
            count += u32::from(*previous == 0);
            count
        }));
    }

    fn index_days(&mut self, from: usize, times: &[i64]) {
        let end_of_day =
            |time: i64| (time.div_euclid(MICROS_PER_DAY) + 1).saturating_mul(MICROS_PER_DAY);
        let mut count = self.days.last().copied().unwrap_or(0);
        // Times only go on: only the first of a day needs a division.
        let mut end = end_of_day(times[self.row(from.saturating_sub(1))]);
        let mut days = |time: i64| {
            if time >= end {
                count += 1;
                end = end_of_day(time);
            }
            count
        };
        if self.rows.is_empty() {
            self.days.extend(times[from..self.len].iter().map(|time| days(*time)));
        } else {
            let rows = self.rows[from..].iter();
            self.days.extend(rows.map(|row| days(times[*row as usize])));
        }
    }

    /// The exact sum of a range with the exponent of its unit; none where it would not be exact.
    pub(super) fn sum(&self, range: &Range<usize>) -> Option<(i128, i32)> {
        if !self.sums.is_empty() {
            return Some((self.sums[range.end] - self.sums[range.start], self.extent.unit()));
        }
        let (numbers, unit) = self.integers(range)?;
        Some((numbers.iter().map(|x| exact::integer(*x, unit)).sum(), unit))
    }

    /// The exact sum of the squares of a range, in the square of the unit of its sum.
    pub(super) fn sum_of_squares(&self, range: &Range<usize>) -> Option<Wide> {
        if !self.sums.is_empty() {
            return Some(self.squares[range.end].minus(self.squares[range.start]));
        }
        let (numbers, unit) = self.integers(range)?;
        let square = |x: &f64| {
            let whole = exact::integer(*x, unit);
            Wide::product(whole, whole)
        };
        Some(numbers.iter().map(square).fold(Wide::default(), Wide::plus))
    }

    /// The values of a range and their unit, where their sum is exact although that of all is not.
    fn integers(&self, range: &Range<usize>) -> Option<(&[f64], i32)> {
        let numbers = &self.numbers[range.clone()];
        let extent = Extent::of(numbers);
        extent.fits(numbers.len()).then(|| (numbers, extent.unit()))
    }

    /// The least-squares slope of the values per microsecond; none under two distinct times.
    pub(super) fn slope(&self, range: &Range<usize>, times: &[i64]) -> Option<f64> {
        let n = range.len() as u64;
        let (sum, unit, moments) = match (self.sum(range), self.sums.is_empty()) {
            (Some((sum, unit)), false) => {
                let (from, to) = (self.moments[range.start], self.moments[range.end]);
                let times = to.times - from.times;
                let squares = to.squares.minus(from.squares);
                let products = to.products.minus(from.products);
                (sum, unit, Moments { times, squares, products })
            }
            (Some((sum, unit)), true) => (sum, unit, self.moments_of(range, unit, times)),
            (None, _) => return self.slope_in_order(range, times),
        };
        let spread = moments.squares.times(n).minus(Wide::product(moments.times, moments.times));
        let together = moments.products.times(n).minus(Wide::product(moments.times, sum));
        (!spread.is_zero()).then(|| exact::scaled(together.rounded() / spread.rounded(), unit))
    }

    fn moments_of(&self, range: &Range<usize>, unit: i32, times: &[i64]) -> Moments {
        let time = |at: usize| times[self.row(at)];
        let first = time(range.start);
        range.clone().fold(Moments::default(), |sum, at| {
            let time = i128::from(time(at) - first);
            let whole = exact::integer(self.numbers[at], unit);
            Moments {
                times: sum.times + time,
                squares: sum.squares.plus(Wide::product(time, time)),
                products: sum.products.plus(Wide::product(time, whole)),
            }
        })
    }

    /// The slope around the means, for values that span too much to be exact.
    #[allow(clippy::cast_precision_loss, reason = "times within a few hundred years")]
    fn slope_in_order(&self, range: &Range<usize>, times: &[i64]) -> Option<f64> {
        let first = times[self.row(range.start)];
        let since = |at: usize| (times[self.row(at)] - first) as f64;
        let points = || range.clone().map(|at| (since(at), self.numbers[at]));
        let n = range.len() as f64;
        let (sum_t, sum_x) = points().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        let (mean_t, mean_x) = (sum_t / n, sum_x / n);
        let (together, spread) = points().fold((0.0, 0.0), |sum, (t, x)| {
            (sum.0 + (t - mean_t) * (x - mean_x), sum.1 + (t - mean_t) * (t - mean_t))
        });
        (spread > 0.0).then(|| together / spread)
    }

    /// The sum of the squared gaps between the events of a range.
    pub(super) fn squared_gaps(&self, range: &Range<usize>) -> Wide {
        self.gaps[range.end - 1].minus(self.gaps[range.start])
    }

    /// The least and the greatest number of a range that is not empty.
    pub(super) fn extremes(&self, range: &Range<usize>) -> (f64, f64) {
        let (first, last) = (range.start.div_ceil(BLOCK), range.end / BLOCK);
        if first >= last {
            let numbers = &self.numbers[range.clone()];
            return (least(numbers), greatest(numbers));
        }
        let blocks = &self.blocks[first..last];
        let before = &self.numbers[range.start..first * BLOCK];
        let after = &self.numbers[last * BLOCK..range.end];
        let low = blocks.iter().fold(f64::INFINITY, |low, block| low.min(block.0));
        let high = blocks.iter().fold(f64::NEG_INFINITY, |high, block| high.max(block.1));
        (low.min(least(before)).min(least(after)), high.max(greatest(before)).max(greatest(after)))
    }

    /// The number of distinct values of a range: those without an occurrence before in it.
    pub(super) fn distinct(&self, range: &Range<usize>) -> u32 {
        if range.start == 0 {
            return self.fresh.get(range.end).copied().unwrap_or(0);
        }
        let start = place(range.start);
        let previous = self.previous.get(range.clone()).unwrap_or_default();
        previous.iter().map(|previous| u32::from(*previous <= start)).sum()
    }

    /// The number of days with an event of a range.
    pub(super) fn active_days(&self, range: &Range<usize>) -> u32 {
        runs(&self.days, range)
    }

    /// The number of sessions of a range.
    pub(super) fn sessions(&self, session: usize, range: &Range<usize>) -> u32 {
        runs(&self.sessions[session], range)
    }

    /// What is left of the values of a range at its last event, each halved with its age.
    pub(super) fn decayed(&self, decay: usize, range: &Range<usize>) -> f64 {
        let decays = &self.decays[decay];
        if range.start == 0 {
            return decays[range.end - 1].1;
        }
        range.clone().fold(0.0, |left, at| left * decays[at].0 + self.weight(at))
    }

    fn weight(&self, at: usize) -> f64 {
        self.numbers.get(at).copied().unwrap_or(1.0)
    }

    /// The memory that it takes, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * 4
            + self.numbers.capacity() * 8
            + self.sums.capacity() * 16
            + self.squares.capacity() * 32
            + self.moments.capacity() * 80
            + self.blocks.capacity() * 16
            + (self.previous.capacity() + self.fresh.capacity() + self.days.capacity()) * 4
            + self.latest.by_key.capacity() * 16
            + self.latest.by_code.capacity() * 4
            + self.gaps.capacity() * 32
            + self.sessions.iter().map(|sessions| sessions.capacity() * 4).sum::<usize>()
            + self.decays.iter().map(|decays| decays.capacity() * 16).sum::<usize>()
    }
}

impl Latest {
    /// Forgets a series of so many values.
    fn clear(&mut self, len: usize) {
        self.begin = self.begin.saturating_add(place(len));
        if self.begin > u32::MAX / 2 {
            self.begin = 0;
            self.by_code.fill(0);
        }
        if !self.by_key.is_empty() {
            self.by_key.clear();
        }
    }

    /// Sets the latest place of a text, and gives the one before.
    #[inline]
    fn of_code(&mut self, code: u32, latest: u32) -> u32 {
        let place = code as usize;
        if place >= self.by_code.len() {
            self.by_code.resize((place + 1).next_power_of_two(), 0);
        }
        let before = std::mem::replace(&mut self.by_code[place], self.begin + latest);
        before.saturating_sub(self.begin)
    }
}

/// What is left at each event of the sum at the one before it, and the new sum.
fn index_decays(
    decays: &mut Vec<(f64, f64)>,
    places: Range<usize>,
    time: impl Fn(usize) -> i64,
    numbers: &[f64],
    half_life: i64,
) {
    for at in places {
        let before = at.checked_sub(1).and_then(|before| decays.get(before).copied());
        let left = match before {
            Some(_) => half(time(at) - time(at - 1), half_life),
            None => 1.0,
        };
        let sum = before.map_or(0.0, |(_, sum)| sum);
        let weight = numbers.get(at).copied().unwrap_or(1.0);
        decays.push((left, sum * left + weight));
    }
}

/// The first place of what is at least `least` in an ascending list, looked for from its end backwards in
/// growing steps.
#[inline]
pub(super) fn first_from<T: PartialOrd>(ascending: &[T], least: &T) -> usize {
    let mut step = 1;
    let mut high = ascending.len();
    while high > 0 {
        let low = high.saturating_sub(step);
        if ascending[low] < *least {
            return low + ascending[low..high].partition_point(|known| known < least);
        }
        high = low;
        step *= 2;
    }
    0
}

/// What is left of one after a time, by halves.
#[allow(clippy::cast_precision_loss, reason = "a span has less than 53 bits")]
pub(super) fn half(age: i64, half_life: i64) -> f64 {
    (-(age as f64) / half_life as f64).exp2()
}

/// Counts the places, from the second on, where something begins.
fn count_from(counts: &mut Vec<u32>, from: usize, to: usize, begins: impl Fn(usize) -> bool) {
    let mut count = counts.last().copied().unwrap_or(0);
    counts.extend((from..to).map(|at| {
        count += u32::from(at > 0 && begins(at));
        count
    }));
}

/// The number of runs in a range: the one at its first place, and those that begin after it.
fn runs(counts: &[u32], range: &Range<usize>) -> u32 {
    if range.is_empty() { 0 } else { 1 + counts[range.end - 1] - counts[range.start] }
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().fold(f64::INFINITY, |least, x| if *x < least { *x } else { least })
}

fn greatest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(f64::NEG_INFINITY, |most, x| if *x > most { *x } else { most })
}
