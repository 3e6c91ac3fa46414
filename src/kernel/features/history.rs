use std::ops::Range;

use super::aggregate::Window;
use super::binding::{Binding, BoundFeature, BoundInput, TOGETHER, holds};
use super::row::Values;
use super::series::{Picked, Series, first_from};
use super::tally::Tally;
use super::{AsOf, Knowledge, Source, Timelines, View};
use crate::domain::{Cell, Time, Value};

/// A view bound to timelines: what a history is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) view: &'a View,
    pub(super) binding: &'a Binding,
    pub(super) timelines: &'a Timelines,
}

/// Which time a window is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// `as_of - window <= event_time < as_of`: of features.
    Before,
    /// `as_of <= event_time < as_of + horizon`, in microseconds: of labels.
    After(i64),
}

/// Rows that pass a selection, counted from the customer's first: the first `n` of `rows`.
#[derive(Clone, Debug, Default)]
struct Picks {
    rows: Vec<u32>,
    n: usize,
}

/// One customer as a view sees them: a series for each selection and property. Every row of a view, of a
/// training set and of a live request is computed from one, whatever its as-of time.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    customer: usize,
    rows: Range<usize>,
    series: Vec<Series>,
    /// What aggregations that must know all of a window remember between rows.
    tallies: Vec<Tally>,
    /// For each row, the latest arrival until then, as far as anybody asked.
    arrivals: Vec<i64>,
    /// Where each window of the view begins in the row that is being computed, as a row of the customer.
    begins: Vec<usize>,
    /// The windows of all series in the row that is being computed, as places of their series.
    windows: Vec<Range<usize>>,
    /// The rows that pass the selections that are being read.
    picked: Vec<Picks>,
}

/// Maximum number of bytes of the texts that the expressions of one row make together; a text beyond it is null, as
/// one over 64 KB is.
const MAX_ROW_TEXT_BYTES: usize = 1 << 20;

impl History {
    /// Reads a customer: all of their events, or only those that are known at a time.
    pub(super) fn load(&mut self, reading: Reading<'_>, customer: usize, known: Option<AsOf>) {
        self.begin(reading, customer);
        self.extend(reading, reading.timelines.rows(customer).end, known);
    }

    /// Gives back the memory that it has in reserve: it is kept for long, and grows rarely.
    pub(super) fn shrink(&mut self) {
        self.series.iter_mut().for_each(Series::shrink);
        self.picked = Vec::new();
    }

    /// Reads a customer's events up to a time, as far as they are not read yet.
    pub(super) fn extend_until(&mut self, reading: Reading<'_>, until: Time) {
        let rows = reading.timelines.rows(self.customer);
        let unread = &reading.timelines.times[self.rows.end.min(rows.end)..rows.end];
        // Most often everything, or nothing, that is left lies before the time.
        let n = match (unread.first(), unread.last()) {
            (Some(first), _) if *first >= until.0 => return,
            (_, Some(last)) if *last < until.0 => unread.len(),
            _ => unread.partition_point(|time| *time < until.0),
        };
        if n > 0 {
            self.extend(reading, self.rows.end + n, None);
        }
    }

    /// Turns to a customer, of whom nothing is read yet.
    pub(super) fn begin(&mut self, reading: Reading<'_>, customer: usize) {
        let rows = reading.timelines.rows(customer);
        self.customer = customer;
        self.rows = rows.start..rows.start;
        self.series.resize_with(reading.binding.series.len(), Series::default);
        for (series, bound) in self.series.iter_mut().zip(&reading.binding.series) {
            series.begin(&bound.needs);
        }
        self.tallies.resize_with(reading.binding.n_tallies, Tally::default);
        self.tallies.iter_mut().for_each(Tally::clear);
        self.arrivals.clear();
    }

    /// Reads the customer's rows up to `end` that it has not read yet.
    pub(super) fn extend(&mut self, reading: Reading<'_>, end: usize, known: Option<AsOf>) {
        let Reading { view, binding, timelines } = reading;
        let base = self.rows.start;
        let new = self.rows.end - base..end - base;
        let events = &timelines.events[self.rows.end..end];
        self.picked.resize_with(TOGETHER, Picks::default);
        let selections = view.selections().iter().zip(&binding.selections);
        for (place, (selection, bound)) in selections.enumerate() {
            if place % TOGETHER == 0 {
                pick(&mut self.picked, &binding.passes[place / TOGETHER], events, new.start);
            }
            if bound.series.is_empty() {
                continue;
            }
            let condition = selection.condition.as_ref().map(|(_, condition)| condition);
            let picks = &mut self.picked[place % TOGETHER];
            if condition.is_some() || known.is_some() {
                picks.retain(|row| {
                    let row = base + row;
                    known.is_none_or(|as_of| as_of.knows(timelines.received_at(row)))
                        && condition.is_none_or(|it| holds(it, &bound.columns, timelines, row))
                });
            }
            let picked = if picks.n == new.len() {
                Picked::All(new.clone())
            } else {
                Picked::Rows(&picks.rows[..picks.n])
            };
            for &series in &bound.series {
                let column = binding.column(series, timelines);
                let needs = &binding.series[series].needs;
                self.series[series].feed(picked.clone(), needs, column, base);
            }
        }
        self.rows.end = end;
        for (place, series) in self.series.iter_mut().enumerate() {
            let bound = &binding.series[place];
            let times = &timelines.times[base..end];
            series.index(&bound.needs, binding.column(place, timelines), base, times);
        }
    }

    /// Whether all that happened before a time had been received by then, so that what it was and what
    /// was known are the same.
    pub(super) fn is_complete(&mut self, timelines: &Timelines, as_of: AsOf) -> bool {
        let Some(received) = &timelines.received else { return true };
        if as_of.knowledge == Knowledge::AsItWas {
            return true;
        }
        let mut latest = self.arrivals.last().copied().unwrap_or(i64::MIN);
        let unseen = &received[self.rows.start + self.arrivals.len()..self.rows.end];
        self.arrivals.extend(unseen.iter().map(|arrival| {
            latest = latest.max(*arrival);
            latest
        }));
        let times = &timelines.times[self.rows.clone()];
        let before = times.partition_point(|time| *time < as_of.time.0);
        before == 0 || self.arrivals[before - 1] < as_of.time.0
    }

    /// The values of all features as of a time, in the order of the features. `context` has the values of
    /// [`View::context`].
    pub(super) fn values<'t>(
        &mut self,
        reading: Reading<'t>,
        as_of: AsOf,
        side: Side,
        context: &[Value],
        out: &mut impl Values<'t>,
    ) {
        let Reading { view, binding, timelines } = reading;
        out.clear();
        let times = &timelines.times[self.rows.clone()];
        self.find_windows(binding, times, as_of.time, side);
        let mut made = 0;
        for (place, feature) in binding.features.iter().enumerate() {
            match feature {
                BoundFeature::Aggregate { series, window, aggregation, tally } => {
                    let range = self.windows[*window].clone();
                    if let Some(number) = Window::number_by_count(*aggregation, range.len()) {
                        out.number(number);
                        continue;
                    }
                    let window = Window {
                        series: &self.series[*series],
                        needs: &binding.series[*series].needs,
                        range,
                        times,
                        column: binding.column(*series, timelines),
                        base: self.rows.start,
                        as_of: as_of.time,
                    };
                    let tally = &mut self.tallies[*tally];
                    match window.number(*aggregation, tally) {
                        Some(number) => out.number(number),
                        None => match window.text(*aggregation, tally) {
                            Some((texts, code)) => out.text(texts, code),
                            None => out.value(window.value(*aggregation, tally)),
                        },
                    }
                }
                BoundFeature::Trait(Some(place)) => {
                    out.value(timelines.traits[*place].1.value(self.customer, as_of));
                }
                BoundFeature::Trait(None) => out.value(Value::Null),
                BoundFeature::Expression(inputs) => {
                    let Source::Expression(expression, _) = &view.features()[place].source else {
                        continue;
                    };
                    let value = expression.evaluate(&|index| match inputs[index] {
                        BoundInput::Feature(place) => out.cell(place),
                        BoundInput::Trait(Some(place)) => {
                            timelines.traits[place].1.cell(self.customer, as_of)
                        }
                        BoundInput::Trait(None) => Cell::Null,
                        BoundInput::Context(place) => {
                            context.get(place).map_or(Cell::Null, Cell::from)
                        }
                    });
                    match value {
                        Value::Number(number) => out.number(number),
                        Value::Text(text) => {
                            made += text.len();
                            let is_small = made <= MAX_ROW_TEXT_BYTES;
                            out.value(if is_small { Value::Text(text) } else { Value::Null });
                        }
                        value => out.value(value),
                    }
                }
            }
        }
    }

    /// Finds the windows of a row: first as rows of the customer, whose times are given, then as places
    /// of each series.
    fn find_windows(&mut self, binding: &Binding, times: &[i64], as_of: Time, side: Side) {
        self.begins.clear();
        let end = match side {
            Side::Before => {
                let end = first_from(times, &as_of.0);
                let mut begin = end;
                self.begins.extend(binding.windows.iter().map(|window| {
                    // A longer window begins where a shorter one did, or earlier.
                    begin = window
                        .map_or(0, |window| first_from(&times[..begin], &as_of.minus(window).0));
                    begin
                }));
                end
            }
            Side::After(horizon) => {
                let end = times.partition_point(|time| *time < as_of.plus(horizon).0);
                let begin = times[..end].partition_point(|time| *time < as_of.0);
                self.begins.resize(binding.windows.len(), begin);
                end
            }
        };
        self.windows.clear();
        for (series, bound) in self.series.iter().zip(&binding.series) {
            let last = series.place_from(end, series.len());
            let (mut row, mut first) = (end, last);
            for window in &bound.windows {
                let begin = self.begins[*window];
                if begin != row {
                    first = series.place_from(begin, first);
                    row = begin;
                }
                self.windows.push(first..last);
            }
        }
    }

    /// The rows of the timelines that the last computed value of a feature read.
    pub(super) fn rows_read(&self, binding: &Binding, feature: usize) -> Vec<usize> {
        match binding.features.get(feature) {
            Some(BoundFeature::Aggregate { series, window, .. }) => {
                let places = self.windows[*window].clone();
                places.map(|at| self.rows.start + self.series[*series].row(at)).collect()
            }
            Some(BoundFeature::Expression(inputs)) => {
                let mut rows: Vec<usize> = inputs
                    .iter()
                    .flat_map(|input| match input {
                        BoundInput::Feature(place) => self.rows_read(binding, *place),
                        BoundInput::Trait(_) | BoundInput::Context(_) => Vec::new(),
                    })
                    .collect();
                rows.sort_unstable();
                rows.dedup();
                rows
            }
            Some(BoundFeature::Trait(_)) | None => Vec::new(),
        }
    }

    /// The memory that it takes, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.series.iter().map(Series::bytes).sum::<usize>() + self.arrivals.capacity() * 8
    }
}

impl Picks {
    /// Keeps the rows of which something holds.
    fn retain(&mut self, holds: impl Fn(usize) -> bool) {
        self.rows.truncate(self.n);
        self.rows.retain(|row| holds(*row as usize));
        self.n = self.rows.len();
    }
}

/// Rows that are picked at once.
const AT_ONCE: usize = 8;

/// Picks the rows from `first` on, whose events are given, for the selections that each passes by its name.
fn pick(picked: &mut [Picks], passes: &[u8], events: &[u32], first: usize) {
    let any = passes.iter().fold(0, |any, bits| any | bits);
    for (place, picks) in picked.iter_mut().enumerate() {
        picks.n = 0;
        if any >> place & 1 == 1 && picks.rows.len() < events.len() + AT_ONCE {
            picks.rows.resize(events.len() + AT_ONCE, 0);
        }
    }
    let selections = TOGETHER - any.leading_zeros() as usize;
    let (chunks, rest) = events.as_chunks::<AT_ONCE>();
    let mut row = u32::try_from(first).unwrap_or(u32::MAX);
    for chunk in chunks {
        let bits = chunk.map(|event| passes[event as usize]);
        pick_chunk(&mut picked[..selections], bits, row, AT_ONCE);
        row += AT_ONCE as u32;
    }
    let mut bits = [0; AT_ONCE];
    bits.iter_mut().zip(rest).for_each(|(bits, event)| *bits = passes[*event as usize]);
    pick_chunk(&mut picked[..selections], bits, row, rest.len());
}

/// The same of so many rows. Where some pass and some do not, it goes without a branch: whether a row passes
/// only says where the next one goes.
#[inline]
fn pick_chunk(picked: &mut [Picks], bits: [u8; AT_ONCE], first: u32, n: usize) {
    let any = bits.iter().fold(0, |any, bits| any | bits);
    let all = bits[..n].iter().fold(u8::MAX, |all, bits| all & bits);
    for (place, picks) in picked.iter_mut().enumerate() {
        if any >> place & 1 == 0 {
            continue;
        }
        let Some(out) = picks.rows[picks.n..].first_chunk_mut::<AT_ONCE>() else { continue };
        if all >> place & 1 == 1 {
            out.iter_mut().zip(first..).for_each(|(out, row)| *out = row);
            picks.n += n;
            continue;
        }
        let mut passed = 0;
        for (bits, row) in bits.iter().zip(first..) {
            out[passed % AT_ONCE] = row;
            passed += usize::from(bits >> place & 1);
        }
        picks.n += passed;
    }
}
