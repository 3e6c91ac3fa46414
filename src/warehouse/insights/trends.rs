use kernel::domain::{Time, Type};
use kernel::expression::{Expression, quote_identifier};
use kernel::features::{BoundFilter, Catalog, Column, EventFilter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::calendar::table_sql;
use super::groups::{By, Counts, Groups, add_counts};
use super::scene::{Scene, bound, filter, read_number};
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// Lines over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrendsSpec {
    /// What is counted; the first is A in a formula, the second B.
    pub series: Vec<Series>,
    /// Shown instead of the series: an expression over A, B and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formula: Option<String>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Which events.
    #[serde(default)]
    pub event: Events,
    /// What of them.
    #[serde(default)]
    pub measure: Measure,
    /// The property that is added up, or whose quantile it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

/// What of events is measured in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How many.
    #[default]
    Total,
    /// How many customers had one.
    Unique,
    /// How many customers had one in the 7 days before the end of the interval.
    WeeklyActive,
    /// How many customers had one in the 30 days before the end of the interval.
    MonthlyActive,
    /// The sum of a property.
    Sum,
    /// The mean of a property.
    Mean,
    /// The least value of a property.
    Min,
    /// The largest value of a property.
    Max,
    /// The middle value of a property.
    Median,
    /// The value that 75 % of a property are not above.
    P75,
    /// The same of 90 %.
    P90,
    /// The same of 95 %.
    P95,
    /// The same of 99 %.
    P99,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Total,
        Self::Unique,
        Self::WeeklyActive,
        Self::MonthlyActive,
        Self::Sum,
        Self::Mean,
        Self::Min,
        Self::Max,
        Self::Median,
        Self::P75,
        Self::P90,
        Self::P95,
        Self::P99,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Unique => "unique",
            Self::WeeklyActive => "weekly_active",
            Self::MonthlyActive => "monthly_active",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Median => "median",
            Self::P75 => "p75",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// Whether it is of the values of a property.
    #[must_use]
    pub const fn needs_property(self) -> bool {
        !matches!(self, Self::Total | Self::Unique | Self::WeeklyActive | Self::MonthlyActive)
    }

    /// The table of SQL with the intervals that it looks at.
    const fn table(self) -> &'static str {
        match self {
            Self::WeeklyActive => "last_7_days",
            Self::MonthlyActive => "last_30_days",
            _ => "calendar",
        }
    }

    /// The calendar days before the end of an interval that it looks back.
    const fn days(self) -> Option<i64> {
        match self {
            Self::WeeklyActive => Some(7),
            Self::MonthlyActive => Some(30),
            _ => None,
        }
    }

    const fn quantile(self) -> Option<f64> {
        match self {
            Self::Median => Some(0.5),
            Self::P75 => Some(0.75),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }
}

impl Default for TrendsSpec {
    fn default() -> Self {
        let series = Series { event: Events::default(), measure: Measure::Unique, property: None };
        Self { series: vec![series], formula: None }
    }
}

/// Lines over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trends {
    /// The first instant of each interval.
    pub starts: Vec<Time>,
    /// The lines: of each series, one a value of the breakdown.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// The series; none of a formula.
    pub series: Option<usize>,
    /// The value of the breakdown; empty without one.
    pub group: String,
    /// One number an interval; none where there is nothing to measure.
    pub values: Vec<Option<f64>>,
    /// The same of the intervals before, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Vec<Option<f64>>>,
}

/// A checked spec.
#[derive(Debug)]
pub(super) struct Checked {
    filters: Vec<EventFilter>,
    formula: Option<Expression>,
    /// For each series that looks back, the instant from which each interval looks.
    since: Vec<Option<Vec<i64>>>,
    /// The same of the intervals before.
    previous_since: Vec<Option<Vec<i64>>>,
}

const MOST_SERIES: usize = 26;

impl TrendsSpec {
    pub(super) fn check(
        &self,
        scope: &Scope,
        catalog: &Catalog,
        calendar: &Calendar,
    ) -> Result<(Checked, Catalog)> {
        if self.series.is_empty() || self.series.len() > MOST_SERIES {
            return Err(Error::Mapping(format!("trends have 1 to {MOST_SERIES} series")));
        }
        let mut reads = Catalog::default();
        let mut filters = Vec::new();
        for series in &self.series {
            let filter = filter(&series.event, scope, catalog)?;
            reads.extend(&filter.reads());
            filters.push(filter);
            match (&series.property, series.measure.needs_property()) {
                (Some(property), true) => read_number(property, catalog, &mut reads)?,
                (None, true) => {
                    let message = format!("{} needs a property", series.measure.word());
                    return Err(Error::Mapping(message));
                }
                (Some(_), false) => {
                    let message = format!("{} has no property", series.measure.word());
                    return Err(Error::Mapping(message));
                }
                (None, false) => {}
            }
        }
        let letters: BTreeMap<String, Type> =
            (0..self.series.len()).map(|place| (letter(place), Type::Number)).collect();
        let formula = self.formula.as_ref().map(|formula| {
            let compiled = Expression::compile(formula, &letters)
                .map_err(|error| Error::Mapping(format!("the formula: {error}")))?;
            match compiled.result() {
                None | Some(Type::Number) => Ok(compiled),
                Some(other) => Err(Error::Mapping(format!("the formula is a {other}, no number"))),
            }
        });
        let since = |calendar: &Calendar| -> Result<Vec<Option<Vec<i64>>>> {
            let days = self.series.iter().map(|series| series.measure.days());
            days.map(|days| days.map(|days| calendar.days_before_ends(days)).transpose()).collect()
        };
        let checked = Checked {
            filters,
            formula: formula.transpose()?,
            since: since(calendar)?,
            previous_since: match scope.compare {
                true => since(&calendar.previous()?)?,
                false => Vec::new(),
            },
        };
        Ok((checked, reads))
    }

    pub(super) fn compute(
        &self,
        checked: &Checked,
        scope: &Scope,
        scene: &Scene<'_>,
        previous: Option<&Calendar>,
    ) -> Trends {
        let filters = bound(&checked.filters, scene.timelines);
        let by = By::of(scope, scene);
        let groups = groups(checked, scene, previous, &filters, &by);
        let lines = |scene: &Scene<'_>, since: &[Option<Vec<i64>>]| -> Vec<Vec<Vec<Option<f64>>>> {
            let each = self.series.iter().zip(&filters).zip(since);
            each.map(|((series, filter), since)| {
                series.lines(scene, filter, (&by, &groups), since.as_deref())
            })
            .collect()
        };
        let now = lines(scene, &checked.since);
        let before =
            previous.map(|calendar| lines(&Scene { calendar, ..*scene }, &checked.previous_since));
        let mut trends = Trends { starts: scene.calendar.starts().collect(), lines: Vec::new() };
        for (group, label) in groups.labels.iter().enumerate() {
            if let Some(formula) = &checked.formula {
                let values = |lines: &[Vec<Vec<Option<f64>>>]| combined(formula, lines, group);
                trends.lines.push(Line {
                    name: self.formula.clone().unwrap_or_default(),
                    series: None,
                    group: label.clone(),
                    values: values(&now),
                    previous: before.as_deref().map(values),
                });
                continue;
            }
            for (place, series) in self.series.iter().enumerate() {
                trends.lines.push(Line {
                    name: series.title(),
                    series: Some(place),
                    group: label.clone(),
                    values: now[place][group].clone(),
                    previous: before.as_ref().map(|before| before[place][group].clone()),
                });
            }
        }
        trends
    }

    /// The customers that a point of a line counts.
    pub(super) fn people(
        &self,
        checked: &Checked,
        scope: &Scope,
        scene: &Scene<'_>,
        (series, group, interval): (usize, &str, usize),
    ) -> Vec<usize> {
        let filters = bound(&checked.filters, scene.timelines);
        let by = By::of(scope, scene);
        let previous = scope.compare.then(|| scene.calendar.previous().ok()).flatten();
        let groups = groups(checked, scene, previous.as_ref(), &filters, &by);
        let Some(group) = groups.labels.iter().position(|label| label == group) else {
            return Vec::new();
        };
        let (Some(filter), Some(since)) = (filters.get(series), checked.since.get(series)) else {
            return Vec::new();
        };
        if interval >= scene.calendar.len() {
            return Vec::new();
        }
        let (start, end) = scene.calendar.interval(interval);
        let start = since.as_ref().map_or(start, |since| since[interval]);
        scene.select(|customer| {
            scene
                .rows_between(customer, start, end)
                .any(|row| filter.passes(row) && groups.place(by.key(customer, row)) == group)
        })
    }

    pub(super) fn rule(&self, scope: &Scope) -> String {
        let each: Vec<String> = self.series.iter().map(Series::rule).collect();
        let formula =
            self.formula.as_ref().map_or(String::new(), |formula| format!(" Shown is {formula}."));
        format!("By {}: {}.{formula}", scope.interval.word(), each.join("; "))
    }

    pub(super) fn sql(
        &self,
        checked: &Checked,
        scope: &Scope,
        calendar: &Calendar,
    ) -> Result<String> {
        let parts: Vec<String> = self
            .series
            .iter()
            .zip(&checked.filters)
            .enumerate()
            .map(|(place, (series, filter))| series.sql(place, filter, scope))
            .collect();
        let mut tables = vec![calendar.to_sql()];
        for measure in [Measure::WeeklyActive, Measure::MonthlyActive] {
            if let Some(days) = measure.days()
                && self.series.iter().any(|series| series.measure == measure)
            {
                let ends: Vec<i64> = (0..calendar.len()).map(|k| calendar.interval(k).1).collect();
                tables.push(table_sql(measure.table(), &calendar.days_before_ends(days)?, &ends));
            }
        }
        Ok(format!(
            "WITH {},\nwho AS ({})\n{}\nORDER BY 1, 2, 3",
            tables.join(",\n"),
            sql::who(scope, calendar),
            parts.join("\nUNION ALL\n")
        ))
    }
}

/// The most frequent values over the whole time, once, so that a line is of the same all along. What is
/// only before that time, where a line looks back, comes after them.
fn groups(
    checked: &Checked,
    scene: &Scene<'_>,
    previous: Option<&Calendar>,
    filters: &[BoundFilter<'_>],
    by: &By<'_>,
) -> Groups {
    if matches!(by, By::Nothing) {
        return Groups::of(by, Counts::new());
    }
    let first = previous.unwrap_or(scene.calendar).from().0;
    let all = checked.since.iter().chain(&checked.previous_since).flatten();
    let since =
        all.filter_map(|since| since.first().copied()).min().map_or(first, |at| at.min(first));
    let now = scene.calendar.from().0;
    let each = |counts: &mut Counts, customer: usize| {
        for row in scene.rows_between(customer, since, scene.calendar.until().0) {
            if filters.iter().any(|filter| filter.passes(row)) {
                let n = counts.entry(by.key(customer, row)).or_default();
                *n += u64::from(scene.time(row) >= now);
            }
        }
    };
    Groups::of(by, scene.fold(Counts::new, each, add_counts))
}

/// A for the first, B for the second.
pub(super) fn letter(place: usize) -> String {
    let place = u8::try_from(place % MOST_SERIES).unwrap_or(0);
    char::from(b'A' + place).to_string()
}

/// A formula over the series of one group.
fn combined(
    formula: &Expression,
    lines: &[Vec<Vec<Option<f64>>>],
    group: usize,
) -> Vec<Option<f64>> {
    let n = lines.first().and_then(|series| series.get(group)).map_or(0, Vec::len);
    let places: Vec<usize> = formula
        .columns()
        .iter()
        .map(|(name, _)| usize::from(name.bytes().next().unwrap_or(b'A') - b'A'))
        .collect();
    (0..n)
        .map(|at| {
            let value = formula.evaluate(&|index| {
                lines[places[index]][group][at]
                    .map_or(kernel::domain::Cell::Null, kernel::domain::Cell::Number)
            });
            match value {
                kernel::domain::Value::Number(x) if x.is_finite() => Some(x),
                _ => None,
            }
        })
        .collect()
}

/// What was found in an interval.
#[derive(Clone, Debug, Default)]
struct Found {
    n: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// The values themselves, for quantiles.
    values: Vec<f64>,
}

impl Found {
    fn value(mut self, measure: Measure) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        let n = self.n as f64;
        if let Some(share) = measure.quantile() {
            return quantile(&mut self.values, share);
        }
        match measure {
            Measure::Sum => Some(self.sum),
            Measure::Mean => (self.n > 0).then(|| self.sum / n),
            Measure::Min => (self.n > 0).then_some(self.min),
            Measure::Max => (self.n > 0).then_some(self.max),
            _ => Some(n),
        }
    }

    fn add(&mut self, x: f64) {
        self.min = if self.n == 0 { x } else { self.min.min(x) };
        self.max = if self.n == 0 { x } else { self.max.max(x) };
        self.n += 1;
        self.sum += x;
    }

    fn join(&mut self, other: Self) {
        if other.n > 0 {
            self.min = if self.n == 0 { other.min } else { self.min.min(other.min) };
            self.max = if self.n == 0 { other.max } else { self.max.max(other.max) };
        }
        self.n += other.n;
        self.sum += other.sum;
        self.values.extend(other.values);
    }
}

/// The value at a share of values, between two of them where it falls so (as DuckDB's `quantile_cont`).
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among values"
)]
pub(super) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = share * (values.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(values[low] + (values[high] - values[low]) * (at - at.floor()))
}

impl Series {
    /// What a line of it is called.
    #[must_use]
    pub fn title(&self) -> String {
        let measure = self.measure.word().replace('_', " ");
        match &self.property {
            Some(property) => format!("{measure} of {property}, {}", self.event.title()),
            None => format!("{measure}, {}", self.event.title()),
        }
    }

    fn rule(&self) -> String {
        let of = self.event.title();
        match (self.measure, &self.property) {
            (Measure::Total, _) => format!("how often {of}"),
            (Measure::Unique, _) => format!("how many customers had {of}, each once an interval"),
            (Measure::WeeklyActive, _) => {
                format!(
                    "how many customers had {of} in the 7 calendar days before the interval's end"
                )
            }
            (Measure::MonthlyActive, _) => {
                format!(
                    "how many customers had {of} in the 30 calendar days before the interval's end"
                )
            }
            (measure, property) => format!(
                "the {} of {} over {of}; a gap is where there is none",
                measure.word(),
                property.as_deref().unwrap_or("")
            ),
        }
    }

    /// For each group, a value an interval.
    fn lines(
        &self,
        scene: &Scene<'_>,
        filter: &BoundFilter<'_>,
        (by, groups): (&By<'_>, &Groups),
        since: Option<&[i64]>,
    ) -> Vec<Vec<Option<f64>>> {
        let n = scene.calendar.len();
        let column = match self.property.as_ref().and_then(|name| scene.timelines.property(name)) {
            Some(Column::Number(numbers)) => Some(numbers.as_slice()),
            _ => None,
        };
        let start = || Sums::new(groups.len() * n, groups.len());
        let each = |sums: &mut Sums, customer: usize| {
            sums.begin();
            match (since, column) {
                (Some(since), _) => {
                    let from = since.first().copied().unwrap_or(i64::MAX);
                    let until = scene.calendar.until().0;
                    let mut first = 0;
                    for row in scene.rows_between(customer, from, until) {
                        let time = scene.time(row);
                        // The intervals that end after it, and look back as far as it.
                        first = scene.calendar.place_from(first, time);
                        if filter.passes(row) {
                            let group = groups.place(by.key(customer, row));
                            sums.mark_while(group, n, first, |place| since[place] <= time);
                        }
                    }
                }
                (None, column) => {
                    let mut place = 0;
                    for row in scene.rows(customer) {
                        if !filter.passes(row) {
                            continue;
                        }
                        place = scene.calendar.place_from(place, scene.time(row));
                        let group = groups.place(by.key(customer, row));
                        match (self.measure, column) {
                            (Measure::Total, _) => sums.found[group * n + place].n += 1,
                            (Measure::Unique, _) => sums.mark(group, n, place),
                            (measure, Some(column)) if !column[row].is_nan() => {
                                let found = &mut sums.found[group * n + place];
                                found.add(column[row]);
                                if measure.quantile().is_some() {
                                    found.values.push(column[row]);
                                }
                            }
                            _ => {}
                        }
                    }
                }
            }
        };
        let mut sums = scene.fold(start, each, Sums::add);
        sums.found
            .chunks_mut(n.max(1))
            .map(|line| {
                line.iter_mut().map(|found| std::mem::take(found).value(self.measure)).collect()
            })
            .collect()
    }

    fn sql(&self, place: usize, filter: &EventFilter, scope: &Scope) -> String {
        let value = self.property.as_ref().map(|name| quote_identifier(name)).unwrap_or_default();
        let measure = match (self.measure, self.measure.quantile()) {
            (_, Some(share)) => format!("quantile_cont({value}, {share})"),
            (Measure::Total, _) => "count(*)".to_owned(),
            (Measure::Sum, _) => format!("sum({value})"),
            (Measure::Mean, _) => format!("avg({value})"),
            (Measure::Min, _) => format!("min({value})"),
            (Measure::Max, _) => format!("max({value})"),
            _ => "count(DISTINCT customer_id)".to_owned(),
        };
        let table = self.measure.table();
        format!(
            "SELECT '{}' AS series, {} AS \"group\", k, {measure} AS value\nFROM events JOIN who USING \
             (customer_id) JOIN {table} ON event_time >= b AND event_time < e\nWHERE {}\nGROUP BY ALL",
            letter(place),
            sql::group(scope),
            filter.to_sql()
        )
    }
}

/// Sums of all groups and intervals; and for the customer that is read, up to which interval each group has
/// them.
struct Sums {
    found: Vec<Found>,
    /// The first interval of each group that the customer is not counted in yet.
    next: Vec<usize>,
}

impl Sums {
    fn new(n: usize, groups: usize) -> Self {
        Self { found: vec![Found::default(); n], next: vec![0; groups] }
    }

    /// Turns to the next customer.
    fn begin(&mut self) {
        self.next.fill(0);
    }

    /// Counts the customer once in an interval; intervals do not go back.
    fn mark(&mut self, group: usize, n: usize, place: usize) {
        if self.next[group] <= place {
            self.found[group * n + place].n += 1;
            self.next[group] = place + 1;
        }
    }

    /// Counts the customer once in each interval from one on, as long as something holds.
    fn mark_while(&mut self, group: usize, n: usize, first: usize, holds: impl Fn(usize) -> bool) {
        let mut place = self.next[group].max(first);
        while place < n && holds(place) {
            self.found[group * n + place].n += 1;
            place += 1;
        }
        self.next[group] = place;
    }

    fn add(&mut self, other: Self) {
        self.found.iter_mut().zip(other.found).for_each(|(sum, found)| sum.join(found));
    }
}
