use kernel::domain::Time;
use kernel::features::{BoundFilter, Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use super::groups::{By, Counts, Groups, add_counts};
use super::scene::{Scene, filter};
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// Who comes back, by cohort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSpec {
    /// The event that makes a cohort.
    #[serde(skip_serializing_if = "Events::is_any")]
    pub start: Events,
    /// The event that counts as a return.
    #[serde(rename = "return", skip_serializing_if = "Events::is_any")]
    pub return_event: Events,
    /// Which cohorts a customer is in.
    pub mode: RetentionMode,
    /// What is counted in a column.
    pub counting: Counting,
    /// How intervals after the start are measured.
    pub measured: Measured,
    /// Columns of several intervals each: `[1, 3, 5]` are the first, the next three and the next five.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brackets: Vec<u16>,
    /// How often a customer must return in an interval to count in it.
    pub times: Times,
    /// What the line above all cohorts is.
    pub mean: Mean,
}

/// How often; at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(pub u32);

impl Default for Times {
    fn default() -> Self {
        Self(1)
    }
}

/// Which cohorts a customer is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionMode {
    /// Of every interval in which they did the start event.
    Recurring,
    /// Of the interval of their first start event that meets the conditions, over all time.
    #[default]
    FirstTime,
    /// Of the interval of their first event of that name, if it meets the conditions.
    FirstEver,
}

/// What is counted in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Who returned in that interval.
    #[default]
    On,
    /// Who returned in that interval or a later one.
    OnOrAfter,
}

/// How intervals after the start are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// By the calendar.
    #[default]
    Calendar,
    /// From the start event itself, in lengths that are all alike.
    Rolling,
}

/// What the line above all cohorts is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mean {
    /// The share of all customers of the cohorts.
    #[default]
    Weighted,
    /// The mean of the cohorts' shares.
    Simple,
}

/// A retention table, and one for each value of the breakdown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Retention {
    /// The first instant of each cohort's interval.
    pub cohorts: Vec<Time>,
    /// What each column is: the intervals after that it is of, the first and the last.
    pub columns: Vec<(u16, u16)>,
    /// For each cohort, customers by column; the first is the size of the cohort. Columns that have not
    /// begun are left out, so rows get shorter; the last one of each may be running still.
    pub counts: Vec<Vec<u64>>,
    /// For each column, the mean over the cohorts in which it is over.
    pub mean: Vec<f64>,
    /// The tables of the values of the breakdown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<RetentionGroup>,
}

/// The table of a value of the breakdown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RetentionGroup {
    /// The value.
    pub group: String,
    /// As of all.
    pub counts: Vec<Vec<u64>>,
    /// As of all.
    pub mean: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Checked {
    start: EventFilter,
    first_ever: EventFilter,
    returned: EventFilter,
}

impl RetentionSpec {
    pub(super) fn check(&self, scope: &Scope, catalog: &Catalog) -> Result<(Checked, Catalog)> {
        if self.brackets.contains(&0) {
            return Err(Error::Mapping("a bracket has at least one interval".to_owned()));
        }
        if self.times.0 == 0 {
            return Err(Error::Mapping("times must be at least 1".to_owned()));
        }
        let start = filter(&self.start, scope, catalog)?;
        let returned = filter(&self.return_event, scope, catalog)?;
        let mut reads = start.reads();
        reads.extend(&returned.reads());
        let first_ever = start.by_name();
        Ok((Checked { start, first_ever, returned }, reads))
    }

    /// What each column is of, for so many intervals.
    fn columns(&self, n: usize) -> Vec<(u16, u16)> {
        let n = u16::try_from(n).unwrap_or(u16::MAX);
        if self.brackets.is_empty() {
            return (0..n).map(|k| (k, k)).collect();
        }
        let mut columns = vec![(0, 0)];
        let mut from = 1;
        for bracket in &self.brackets {
            if from >= n {
                break;
            }
            columns.push((from, from.saturating_add(bracket - 1)));
            from = from.saturating_add(*bracket);
        }
        columns
    }

    pub(super) fn compute(&self, checked: &Checked, scope: &Scope, scene: &Scene<'_>) -> Retention {
        let walk = Walk::new(self, checked, scene, scope);
        let groups = walk.groups();
        let n = scene.calendar.len();
        let columns = self.columns(n);
        let column_of = columns_of(&columns, n);
        let size = groups.len() * n * columns.len();
        let each = |sums: &mut (Vec<u64>, Visits), customer: usize| {
            let (sums, visits) = sums;
            walk.visit(customer, visits, |cohort, key, after| {
                let group = groups.place(key);
                let row = (group * n + cohort) * columns.len();
                sums[row] += 1;
                let mut last = 0;
                for k in after {
                    let column = column_of[*k];
                    // Several intervals of a bracket count once; what is beyond the last one does not.
                    if column != last && column != 0 {
                        sums[row + column] += 1;
                        last = column;
                    }
                }
            });
        };
        let start = || (vec![0_u64; size], Visits::default());
        let (sums, _) = scene.fold(start, each, |(sum, _), (piece, _)| {
            sum.iter_mut().zip(piece).for_each(|(sum, n)| *sum += n);
        });
        let table = |group: usize| -> (Vec<Vec<u64>>, Vec<f64>) {
            let row = |cohort: usize| {
                let at = (group * n + cohort) * columns.len();
                // A column has begun when its first interval has.
                let begun = columns.iter().take_while(|(from, _)| cohort + usize::from(*from) < n);
                sums[at..at + begun.count()].to_vec()
            };
            let counts: Vec<Vec<u64>> = (0..n).map(row).collect();
            let mean = self.means(&counts, &columns, scene.complete);
            (counts, mean)
        };
        let groups: Vec<RetentionGroup> = groups
            .labels
            .iter()
            .enumerate()
            .map(|(place, label)| {
                let (counts, mean) = table(place);
                RetentionGroup { group: label.clone(), counts, mean }
            })
            .collect();
        // Every customer of a cohort is in one group.
        let mut counts = groups.first().map(|group| group.counts.clone()).unwrap_or_default();
        for group in groups.iter().skip(1) {
            for (sum, row) in counts.iter_mut().flatten().zip(group.counts.iter().flatten()) {
                *sum += row;
            }
        }
        Retention {
            cohorts: scene.calendar.starts().collect(),
            mean: self.means(&counts, &columns, scene.complete),
            counts,
            groups: if scope.breakdown.is_some() { groups } else { Vec::new() },
            columns,
        }
    }

    fn means(&self, counts: &[Vec<u64>], columns: &[(u16, u16)], complete: usize) -> Vec<f64> {
        (0..columns.len()).map(|column| self.share(counts, columns, column, complete)).collect()
    }

    /// The mean share of a column, over cohorts in which it is over: all its intervals are complete.
    fn share(
        &self,
        counts: &[Vec<u64>],
        columns: &[(u16, u16)],
        column: usize,
        complete: usize,
    ) -> f64 {
        let until = usize::from(columns[column].1);
        // Lengths from the start event on reach into the interval after.
        let beyond = usize::from(self.measured == Measured::Rolling);
        let complete = counts.iter().enumerate().filter(|(cohort, row)| {
            row.len() > column && row[0] > 0 && (column == 0 || cohort + until + beyond < complete)
        });
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let share = |returned: u64, size: u64| returned as f64 / size as f64;
        match self.mean {
            Mean::Weighted => {
                let sums = complete.fold((0, 0), |(a, b), (_, row)| (a + row[column], b + row[0]));
                if sums.1 == 0 { f64::NAN } else { share(sums.0, sums.1) }
            }
            Mean::Simple => {
                let shares: Vec<f64> =
                    complete.map(|(_, row)| share(row[column], row[0])).collect();
                #[allow(clippy::cast_precision_loss, reason = "a number of cohorts")]
                let n = shares.len() as f64;
                shares.iter().sum::<f64>() / n
            }
        }
    }

    /// The customers of a cell: of a cohort, who count in a column.
    pub(super) fn people(
        &self,
        checked: &Checked,
        scope: &Scope,
        scene: &Scene<'_>,
        (group, cohort, column): (&str, usize, usize),
    ) -> Vec<usize> {
        let walk = Walk::new(self, checked, scene, scope);
        let groups = walk.groups();
        let columns = self.columns(scene.calendar.len());
        let column_of = columns_of(&columns, scene.calendar.len());
        let Some(group) = groups.labels.iter().position(|label| label == group) else {
            return Vec::new();
        };
        scene.select(|customer| {
            let mut is_in = false;
            walk.visit(customer, &mut Visits::default(), |own, key, after| {
                let counts = column == 0 || after.iter().any(|k| column_of[*k] == column);
                is_in |= own == cohort && groups.place(key) == group && counts;
            });
            is_in
        })
    }

    pub(super) fn rule(&self, scope: &Scope) -> String {
        let interval = scope.interval.word();
        let cohort = match self.mode {
            RetentionMode::Recurring => format!("of each {interval} with {}", self.start.title()),
            RetentionMode::FirstTime => {
                format!("of the {interval} of their first {}", self.start.title())
            }
            RetentionMode::FirstEver => format!(
                "of the {interval} of their first {} ever, if it meets the conditions",
                self.start.title()
            ),
        };
        let when = match (self.measured, self.counting) {
            (Measured::Calendar, Counting::On) => format!("in that calendar {interval} after"),
            (Measured::Calendar, Counting::OnOrAfter) => {
                format!("in that calendar {interval} after, or a later one")
            }
            (Measured::Rolling, Counting::On) => {
                format!("so many times {} hours after the start", scope.interval.rolling_hours())
            }
            (Measured::Rolling, Counting::OnOrAfter) => format!(
                "so many times {} hours after the start, or later",
                scope.interval.rolling_hours()
            ),
        };
        let often = match self.times.0 {
            1 => String::new(),
            n => format!(" at least {n} times"),
        };
        let mean = match self.mean {
            Mean::Weighted => "weighted by cohort size",
            Mean::Simple => "of the cohorts' shares",
        };
        format!(
            "A customer is in the cohort {cohort}, and counts in a column with {}{often} {when}. Column 0 is \
             the cohort itself; a return in its own {interval} is not counted. The mean is {mean}, over \
             complete columns.",
            self.return_event.title()
        )
    }

    pub(super) fn sql(&self, checked: &Checked, scope: &Scope, calendar: &Calendar) -> String {
        let until = sql::instant(calendar.until());
        let source = "events JOIN who USING (customer_id)";
        let at = "JOIN calendar ON event_time >= b AND event_time < e";
        let group = sql::group(scope);
        // The value of the first start event within the time that has one.
        let value = match &scope.breakdown {
            None => "''".to_owned(),
            Some(_) => {
                format!("coalesce(min_by(nullif({group}, '(none)'), (event_time, seq)), '(none)')")
            }
        };
        let first = |filter: &EventFilter, also: &str| {
            format!(
                "SELECT customer_id, k AS c, t0 FROM (SELECT customer_id, min(event_time) AS t0\
                 \n    FROM {source} WHERE {} AND event_time < {until} GROUP BY customer_id)\
                 \n    JOIN calendar ON t0 >= b AND t0 < e{also}",
                filter.to_sql()
            )
        };
        let starts = match self.mode {
            RetentionMode::Recurring => format!(
                "SELECT customer_id, k AS c, min(event_time) AS t0 FROM {source} {at}\n    WHERE {} GROUP BY \
                 ALL",
                checked.start.to_sql()
            ),
            RetentionMode::FirstTime => first(&checked.start, ""),
            RetentionMode::FirstEver => format!(
                "SELECT customer_id, c, t0 FROM ({}) JOIN events USING (customer_id)\n    WHERE event_time = \
                 t0 AND {} GROUP BY ALL",
                first(&checked.first_ever, ""),
                checked.start.to_sql()
            ),
        };
        let returned = checked.returned.to_sql();
        let times = self.times.0;
        let act = match self.measured {
            Measured::Calendar => format!(
                "SELECT customer_id, c, r - c AS after FROM starts JOIN (SELECT customer_id, k AS r\
                 \n    FROM {source} {at} WHERE {returned} GROUP BY ALL HAVING count(*) >= {times})\
                 \n    USING (customer_id) WHERE r > c"
            ),
            Measured::Rolling => format!(
                "SELECT customer_id, c, after FROM (\
                 \n    SELECT customer_id, c, (epoch_us(event_time) - epoch_us(t0)) // {} AS after\
                 \n    FROM starts JOIN events USING (customer_id)\
                 \n    WHERE event_time < {until} AND event_time > t0 AND {returned})\
                 \n  WHERE after > 0 GROUP BY customer_id, c, after HAVING count(*) >= {times}",
                scope.interval.rolling_hours() * 3_600_000_000
            ),
        };
        let columns: Vec<String> = self
            .columns(calendar.len())
            .iter()
            .enumerate()
            .map(|(at, (from, to))| format!("({at}, {from}, {to})"))
            .collect();
        let is_in = match self.counting {
            Counting::On => "after BETWEEN f AND l",
            Counting::OnOrAfter => "after >= f",
        };
        format!(
            "WITH {},\nwho AS ({}),\ncolumns(col, f, l) AS (VALUES {}),\nstarts AS ({starts}),\
             \nvalues_of AS (SELECT customer_id, {value} AS \"group\" FROM {source} {at}\
             \n    WHERE {} GROUP BY customer_id),\nact AS ({act}),\
             \ncells AS (SELECT customer_id, c, 0 AS col FROM starts UNION\
             \n    SELECT customer_id, c, col FROM act JOIN columns ON col > 0 AND {is_in}\
             \n    WHERE c + f < {})\
             \nSELECT \"group\", c AS cohort, col AS \"column\", count(*) AS customers\
             \nFROM cells JOIN values_of USING (customer_id) GROUP BY ALL ORDER BY ALL",
            calendar.to_sql(),
            sql::who(scope, calendar),
            columns.join(", "),
            checked.start.to_sql(),
            calendar.len()
        )
    }
}

/// The column of each number of intervals after; 0 where there is none.
fn columns_of(columns: &[(u16, u16)], n: usize) -> Vec<usize> {
    let column = |k: usize| {
        columns.iter().position(|(from, to)| (usize::from(*from)..=usize::from(*to)).contains(&k))
    };
    (0..=n).map(|k| column(k).unwrap_or(0)).collect()
}

/// What is written while a customer is read; kept, so that nothing is allocated for each.
#[derive(Debug, Default)]
struct Visits {
    /// The start of each cohort that the customer is in: its interval, and the time of the event.
    starts: Vec<(usize, i64)>,
    /// Intervals of returns, and how many there are.
    returns: Vec<(usize, u32)>,
    after: Vec<usize>,
}

struct Walk<'a> {
    spec: &'a RetentionSpec,
    scene: &'a Scene<'a>,
    start: BoundFilter<'a>,
    first_ever: BoundFilter<'a>,
    returned: BoundFilter<'a>,
    by: By<'a>,
    /// The length of an interval that is not of the calendar, in microseconds.
    length: i64,
}

impl<'a> Walk<'a> {
    fn new(
        spec: &'a RetentionSpec,
        checked: &'a Checked,
        scene: &'a Scene<'a>,
        scope: &Scope,
    ) -> Self {
        Self {
            spec,
            scene,
            start: checked.start.bind(scene.timelines),
            first_ever: checked.first_ever.bind(scene.timelines),
            returned: checked.returned.bind(scene.timelines),
            by: By::of(scope, scene),
            length: scope.interval.rolling_hours() * 3_600_000_000,
        }
    }

    fn key(&self, customer: usize) -> u64 {
        match self.by {
            By::Nothing => 0,
            _ => {
                let rows = self.scene.rows(customer);
                self.by.first(customer, rows.filter(|row| self.start.passes(*row)))
            }
        }
    }

    fn groups(&self) -> Groups {
        if matches!(self.by, By::Nothing) {
            return Groups::of(&self.by, Counts::new());
        }
        let each = |counts: &mut (Counts, Visits), customer: usize| {
            let (counts, visits) = counts;
            self.visit(customer, visits, |_, key, _| *counts.entry(key).or_default() += 1);
        };
        let start = || (Counts::new(), Visits::default());
        let add = |sum: &mut (Counts, Visits), piece: (Counts, Visits)| {
            add_counts(&mut sum.0, piece.0);
        };
        Groups::of(&self.by, self.scene.fold(start, each, add).0)
    }

    /// Says each cohort that a customer is in, with the key of their group and the intervals after in which
    /// they count, ascending.
    fn visit(
        &self,
        customer: usize,
        visits: &mut Visits,
        mut say: impl FnMut(usize, u64, &[usize]),
    ) {
        let Visits { starts, returns, after } = visits;
        let n = self.scene.calendar.len();
        let rows = self.scene.rows(customer);
        self.find_starts(customer, rows.clone(), starts);
        if starts.is_empty() {
            return;
        }
        let key = self.key(customer);
        if self.spec.measured == Measured::Calendar {
            self.count_intervals(rows.clone(), starts[0].0, returns);
        }
        for (cohort, time) in starts.iter() {
            after.clear();
            match self.spec.measured {
                Measured::Calendar => {
                    let is_after =
                        |(place, n): &&(usize, u32)| place > cohort && *n >= self.spec.times.0;
                    after.extend(returns.iter().filter(is_after).map(|(place, _)| place - cohort));
                }
                Measured::Rolling => {
                    self.count_lengths(rows.clone(), *time, returns);
                    let counts = |(_, often): &&(usize, u32)| *often >= self.spec.times.0;
                    after.extend(returns.iter().filter(counts).map(|(k, _)| *k));
                }
            }
            if self.spec.counting == Counting::OnOrAfter {
                let last = after.last().copied().unwrap_or(0);
                after.clear();
                after.extend(1..=last);
            }
            after.retain(|k| cohort + k < n);
            say(*cohort, key, after);
        }
    }

    fn find_starts(
        &self,
        customer: usize,
        rows: std::ops::Range<usize>,
        starts: &mut Vec<(usize, i64)>,
    ) {
        starts.clear();
        let calendar = self.scene.calendar;
        match self.spec.mode {
            RetentionMode::Recurring => {
                let mut place = 0;
                for row in rows {
                    if self.start.passes(row) {
                        let time = self.scene.time(row);
                        place = calendar.place_from(place, time);
                        if starts.last().is_none_or(|(last, _)| *last != place) {
                            starts.push((place, time));
                        }
                    }
                }
            }
            RetentionMode::FirstTime | RetentionMode::FirstEver => {
                let is_first_ever = self.spec.mode == RetentionMode::FirstEver;
                let first = if is_first_ever { &self.first_ever } else { &self.start };
                let all = self.scene.timelines.rows(customer).start..rows.end;
                let found = all.clone().find(|row| first.passes(*row));
                let found = found.filter(|row| {
                    // Of several at the same first instant, one that meets the conditions is enough.
                    let time = self.scene.time(*row);
                    rows.contains(row)
                        && (!is_first_ever
                            || (*row..all.end)
                                .take_while(|row| self.scene.time(*row) == time)
                                .any(|row| self.start.passes(row)))
                });
                if let Some(row) = found {
                    let time = self.scene.time(row);
                    starts.push((calendar.place(time), time));
                }
            }
        }
    }

    /// Returns by interval of the calendar, from one on.
    fn count_intervals(
        &self,
        rows: std::ops::Range<usize>,
        from: usize,
        returns: &mut Vec<(usize, u32)>,
    ) {
        returns.clear();
        let mut place = from;
        let since = self.scene.calendar.interval(from).0;
        let times = &self.scene.timelines.times()[rows.clone()];
        let skip = times.partition_point(|time| *time < since);
        for row in rows.skip(skip) {
            if self.returned.passes(row) {
                place = self.scene.calendar.place_from(place, self.scene.time(row));
                match returns.last_mut() {
                    Some((last, n)) if *last == place => *n += 1,
                    _ => returns.push((place, 1)),
                }
            }
        }
    }

    /// Returns by how many lengths after a time they are, from one on.
    fn count_lengths(
        &self,
        rows: std::ops::Range<usize>,
        start: i64,
        returns: &mut Vec<(usize, u32)>,
    ) {
        returns.clear();
        for row in rows {
            let past = self.scene.time(row) - start;
            if past < self.length || !self.returned.passes(row) {
                continue;
            }
            let k = usize::try_from(past / self.length).unwrap_or(usize::MAX);
            match returns.last_mut() {
                Some((last, n)) if *last == k => *n += 1,
                _ => returns.push((k, 1)),
            }
        }
    }
}
