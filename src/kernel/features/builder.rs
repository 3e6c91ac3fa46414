use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::{Catalog, Cell, Column, Texts, Timelines, TraitTimeline};
use crate::domain::{Event, IDENTIFY, Time, Type, is_system, property};

/// Builds [`Timelines`] from events and trait changes in any order.
///
/// Rows are kept as they come, as plain columns; [`Self::finish`] orders them by customer, event time
/// and seq: a counting sort by customer, then a sort of those customers whose rows came out of order.
#[derive(Debug)]
pub struct TimelinesBuilder {
    customers: Texts,
    names: Texts,
    rows: Rows,
    events: Vec<u32>,
    columns: Vec<(String, Column)>,
    traits: Vec<(String, Rows, Column)>,
}

/// What events and trait changes have in common, a row each.
#[derive(Debug, Default)]
struct Rows {
    customers: Vec<u32>,
    times: Vec<i64>,
    /// None while all were received when they happened.
    received: Option<Vec<i64>>,
    seqs: Seqs,
}

impl Rows {
    fn push(&mut self, customer: u32, time: Time, received_at: Time, seq: u64) {
        self.customers.push(customer);
        self.extend(&[time.0], &[received_at.0]);
        self.seqs.push(seq);
    }

    fn extend(&mut self, times: &[i64], received: &[i64]) {
        if self.received.is_none() && times != received {
            self.received = Some(self.times.clone());
        }
        self.times.extend_from_slice(times);
        if let Some(known) = &mut self.received {
            known.extend_from_slice(received);
        }
    }

    fn bytes(&self) -> usize {
        let received = self.received.as_ref().map_or(0, Vec::len);
        self.customers.len() * 4 + (self.times.len() + received + self.seqs.runs.len() * 2) * 8
    }
}

/// Sequence numbers by row. Almost all are one more than the one before, so only where they are not is kept.
#[derive(Debug, Default)]
struct Seqs {
    /// The rows where a run of numbers begins, and its first number.
    runs: Vec<(usize, u64)>,
    n: usize,
}

impl Seqs {
    fn push(&mut self, seq: u64) {
        let goes_on =
            |(row, first): &(usize, u64)| first.checked_add((self.n - row) as u64) == Some(seq);
        if !self.runs.last().is_some_and(goes_on) {
            self.runs.push((self.n, seq));
        }
        self.n += 1;
    }

    fn get(&self, row: usize) -> u64 {
        let run = self.runs.partition_point(|(start, _)| *start <= row);
        let known = run.checked_sub(1).and_then(|run| self.runs.get(run));
        known.map_or(0, |(start, first)| first + (row - start) as u64)
    }
}

/// A run of events by column: each function gives the value of a row of the run.
pub struct EventRun<'f, 'c> {
    /// The number of rows.
    pub n_rows: usize,
    /// Who.
    pub customer: &'f dyn Fn(usize) -> &'c str,
    /// What.
    pub event: &'f dyn Fn(usize) -> &'c str,
    /// When, in microseconds.
    pub times: &'f [i64],
    /// When it was learned of, in microseconds.
    pub received: &'f [i64],
    /// What orders equal times.
    pub seqs: &'f [i64],
}

impl TimelinesBuilder {
    /// A builder for the properties and traits of a catalog.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let column = |(name, type_): (&String, &_)| (name.clone(), Column::new(*type_));
        let changes =
            |(name, type_): (&String, &_)| (name.clone(), Rows::default(), Column::new(*type_));
        Self {
            customers: Texts::default(),
            names: Texts::default(),
            rows: Rows::default(),
            events: Vec::new(),
            columns: catalog.properties.iter().map(column).collect(),
            traits: catalog.traits.iter().map(changes).collect(),
        }
    }

    /// A builder whose names of events begin with those of the catalog, in its order: so timelines that are
    /// built one by one have the same codes.
    pub(super) fn with_names_of(catalog: &Catalog) -> Self {
        let names: Vec<Arc<str>> =
            catalog.events.iter().map(|name| Arc::from(name.as_str())).collect();
        Self { names: Texts::of(&names), ..Self::new(catalog) }
    }

    /// A builder that goes on where timelines ended: all that is added comes later in the order of
    /// equal times than what they have.
    #[must_use]
    pub fn continuing(timelines: Timelines) -> Self {
        let owners = |offsets: &[usize]| -> Vec<u32> {
            let ranges = offsets.windows(2).enumerate();
            ranges.flat_map(|(customer, pair)| vec![code(customer); pair[1] - pair[0]]).collect()
        };
        let traits = timelines.traits.into_iter().map(|(name, changes)| {
            let rows = Rows {
                customers: owners(&changes.offsets),
                seqs: Seqs { runs: vec![(0, 0)], n: changes.times.len() },
                times: changes.times,
                received: Some(changes.received),
            };
            (name, rows, changes.values)
        });
        Self {
            customers: Texts::of(&timelines.customers),
            names: Texts::of(&timelines.names),
            rows: Rows {
                customers: owners(&timelines.offsets),
                seqs: Seqs { runs: vec![(0, 0)], n: timelines.times.len() },
                received: timelines.received,
                times: timelines.times,
            },
            events: timelines.events,
            traits: traits.collect(),
            columns: timelines.properties,
        }
    }

    /// Takes a property too, or one that has no value yet as another type.
    pub fn open(&mut self, name: &str, type_: Type) {
        let mut column = Column::new(type_);
        column.extend_null(self.n_events());
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = column,
            None => self.columns.push((name.to_owned(), column)),
        }
    }

    /// The names of the properties, in the order of their places.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The number of events so far.
    #[must_use]
    pub fn n_events(&self) -> usize {
        self.events.len()
    }

    /// The memory that its events take, in bytes, roughly; while they are ordered it is up to a half more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let ids = (self.customers.dictionary().len() + self.names.dictionary().len()) * 80;
        let columns: usize = self.columns.iter().map(|(_, column)| column.bytes()).sum();
        ids + self.rows.bytes() + self.events.len() * 4 + columns
    }

    /// Appends a run of events; `property` gives what knows the values of a property by their rows, by the
    /// place of the property; none where all of them are null.
    pub fn events<'c, V: Fn(usize) -> Cell<'c>>(
        &mut self,
        run: &EventRun<'_, 'c>,
        property: impl Fn(usize) -> Option<V>,
    ) {
        let rows = &mut self.rows;
        for row in 0..run.n_rows {
            rows.customers.push(self.customers.code((run.customer)(row)));
            self.events.push(self.names.code((run.event)(row)));
        }
        rows.extend(run.times, run.received);
        run.seqs.iter().for_each(|seq| rows.seqs.push(seq.cast_unsigned()));
        for (place, (_, column)) in self.columns.iter_mut().enumerate() {
            match property(place) {
                Some(value) => column.extend((0..run.n_rows).map(value)),
                None => column.extend_null(run.n_rows),
            }
        }
    }

    /// Appends an event, or the trait changes of an identify event.
    pub fn event(&mut self, event: &Event) {
        let customer = self.customers.code(&event.customer_id);
        let (time, received_at, seq) = (event.event_time, event.received_at, event.seq);
        if event.event == IDENTIFY {
            for (name, value) in &event.properties {
                self.change(customer, name, (time, received_at, seq), Cell::from(value));
            }
            return;
        }
        self.rows.push(customer, time, received_at, seq);
        self.events.push(self.names.code(&event.event));
        for (name, column) in &mut self.columns {
            column.push(property(&event.properties, name).map_or(Cell::Null, Cell::from));
        }
    }

    /// Appends a change of a trait, if the catalog has it. `when` is the time of the event, the time of
    /// its arrival, and what orders equal times.
    pub fn trait_change(
        &mut self,
        customer_id: &str,
        name: &str,
        when: (Time, Time, u64),
        cell: Cell<'_>,
    ) {
        let customer = self.customers.code(customer_id);
        self.change(customer, name, when, cell);
    }

    fn change(&mut self, customer: u32, name: &str, when: (Time, Time, u64), cell: Cell<'_>) {
        if let Some((_, rows, values)) = self.traits.iter_mut().find(|(known, ..)| known == name) {
            rows.push(customer, when.0, when.1, when.2);
            values.push(cell);
        }
    }

    /// The timelines of all that was added.
    #[must_use]
    pub fn finish(self) -> Timelines {
        let ids = self.customers.dictionary();
        let mut sorted: Vec<u32> = (0..code(ids.len())).collect();
        sorted.par_sort_unstable_by(|left, right| ids[*left as usize].cmp(&ids[*right as usize]));
        let mut rank = vec![0; ids.len()];
        for (place, customer) in sorted.iter().enumerate() {
            rank[*customer as usize] = code(place);
        }
        let customers: Vec<Arc<str>> = sorted.iter().map(|id| ids[*id as usize].clone()).collect();
        let traits = self.traits.into_iter().map(|(name, rows, values)| {
            let (offsets, order) = rows.order(&rank);
            let times = pick(&rows.times, &order);
            let received = pick(rows.received.as_ref().unwrap_or(&rows.times), &order);
            (name, TraitTimeline { offsets, times, received, values: values.gather(&order) })
        });
        let traits = traits.collect();
        let (offsets, order) = self.rows.order(&rank);
        let times = pick(&self.rows.times, &order);
        let received = self.rows.received.as_ref().map(|received| pick(received, &order));
        drop(self.rows);
        let events = pick(&self.events, &order);
        drop(self.events);
        let properties = self.columns.into_par_iter().with_min_len(piece(order.len()));
        let properties = properties.map(|(name, column)| (name, column.gather(&order)));
        let properties = properties.collect();
        let names = self.names.dictionary().to_vec();
        let own: Vec<bool> = names.iter().map(|name| !is_system(name)).collect();
        let is_own = |row: &usize| own[events[*row] as usize];
        let first_seen = offsets
            .par_windows(2)
            .with_min_len(FEW_ROWS)
            .map(|pair| (pair[0]..pair[1]).find(is_own).map_or(i64::MAX, |row| times[row]))
            .collect();
        let rows = (0..times.len()).into_par_iter().with_min_len(FEW_ROWS);
        let latest = rows.filter(is_own).map(|row| times[row]).max();
        let observed_until = Time(latest.unwrap_or(i64::MIN));
        Timelines {
            customers,
            offsets,
            times,
            received,
            events,
            names,
            properties,
            traits,
            first_seen,
            observed_until,
            places: OnceLock::new(),
        }
    }
}

impl Rows {
    /// Where the rows of each customer begin, and the rows in the order of customer, time and seq.
    fn order(&self, rank: &[u32]) -> (Vec<usize>, Vec<u32>) {
        let mut offsets = vec![0; rank.len() + 1];
        for customer in &self.customers {
            offsets[rank[*customer as usize] as usize + 1] += 1;
        }
        for place in 1..offsets.len() {
            offsets[place] += offsets[place - 1];
        }
        let mut next = offsets.clone();
        let mut order = vec![0; self.customers.len()];
        for (row, customer) in self.customers.iter().enumerate() {
            let place = &mut next[rank[*customer as usize] as usize];
            order[*place] = code(row);
            *place += 1;
        }
        let compare = |left: &u32, right: &u32| {
            let (left, right) = (*left as usize, *right as usize);
            let by_seq = || self.seqs.get(left).cmp(&self.seqs.get(right));
            self.times[left].cmp(&self.times[right]).then_with(by_seq)
        };
        let mut rest = order.as_mut_slice();
        let mut unsorted = Vec::new();
        for pair in offsets.windows(2) {
            let (own, after) = rest.split_at_mut(pair[1] - pair[0]);
            if !own.is_sorted_by(|left, right| compare(left, right).is_le()) {
                unsorted.push(own);
            }
            rest = after;
        }
        let unsorted = unsorted.into_par_iter().with_min_len(piece(self.customers.len()));
        unsorted.for_each(|own| own.sort_by(compare));
        (offsets, order)
    }
}

/// Rows and customers are counted in 32 bits: four thousand million of them.
fn code(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Rows that one thread orders sooner than another one takes them over: the timeline of one customer is
/// made where it is asked for.
const FEW_ROWS: usize = 16 * 1024;

/// The least pieces of work over so many rows that are shared between threads, where each is over many.
const fn piece(n_rows: usize) -> usize {
    if n_rows < FEW_ROWS { usize::MAX } else { 1 }
}

fn pick<T: Copy + Send + Sync>(values: &[T], order: &[u32]) -> Vec<T> {
    order.par_iter().with_min_len(FEW_ROWS).map(|row| values[*row as usize]).collect()
}
