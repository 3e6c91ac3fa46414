use kernel::domain::{Type, Value};
use kernel::features::{Cell, Column};

use super::{Chart, Insight, Status};
use crate::Relation;

/// Rows that are written one by one, with named and typed columns.
struct Table {
    columns: Vec<(&'static str, Column)>,
}

impl Table {
    fn new(columns: &[(&'static str, Type)]) -> Self {
        Self { columns: columns.iter().map(|(name, type_)| (*name, Column::new(*type_))).collect() }
    }

    fn push(&mut self, cells: &[Cell<'_>]) {
        self.columns.iter_mut().zip(cells).for_each(|((_, column), cell)| column.push(*cell));
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of customers")]
const fn count(n: u64) -> Cell<'static> {
    Cell::Number(n as f64)
}

#[allow(clippy::cast_precision_loss, reason = "a place")]
const fn place(n: usize) -> Cell<'static> {
    Cell::Number(n as f64)
}

fn perhaps(x: Option<f64>) -> Cell<'static> {
    x.filter(|x| x.is_finite()).map_or(Cell::Null, Cell::Number)
}

#[allow(clippy::cast_precision_loss, reason = "a share for people")]
fn share(n: u64, of: u64) -> Cell<'static> {
    if of == 0 { Cell::Null } else { Cell::Number(n as f64 / of as f64) }
}

impl Insight {
    /// The numbers as rows, one a point of the chart: what is written to files.
    #[must_use]
    pub fn relation(&self) -> Relation {
        let mut relation = Relation::default();
        for (name, column) in self.table().columns {
            relation = relation.with_column(name, column);
        }
        let n = relation.n_rows();
        let days = |day: &str| vec![day.to_owned(); n];
        relation
            .with_texts("range_from", days(&self.range.from).iter().map(String::as_str))
            .with_texts("range_until", days(&self.range.until).iter().map(String::as_str))
            .with_texts("range_zone", days(&self.range.zone).iter().map(String::as_str))
    }

    /// The names of the columns and the rows.
    #[must_use]
    pub fn rows(&self) -> (Vec<String>, Vec<Vec<Value>>) {
        let table = self.table();
        let n = table.columns.first().map_or(0, |(_, column)| column.len());
        let row = |at: usize| table.columns.iter().map(|(_, column)| column.value(at)).collect();
        let names = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        (names, (0..n).map(row).collect())
    }

    /// What an interval is called.
    fn label(&self, interval: usize) -> Cell<'_> {
        self.range.labels.get(interval).map_or(Cell::Null, |label| Cell::Text(label))
    }

    /// Whether only a part of an interval is within the range.
    fn partial(&self, interval: usize) -> Cell<'static> {
        Cell::Boolean(self.range.is_partial(interval))
    }

    fn table(&self) -> Table {
        use Type::{Boolean, Number, Text, Time as Instant};
        match &self.chart {
            Chart::Trends(trends) => {
                let mut table = Table::new(&[
                    ("start", Instant),
                    ("series", Text),
                    ("group", Text),
                    ("value", Number),
                    ("previous", Number),
                    ("interval", Text),
                    ("partial", Boolean),
                ]);
                for line in &trends.lines {
                    for (at, (start, value)) in trends.starts.iter().zip(&line.values).enumerate() {
                        let previous = line.previous.as_ref().and_then(|values| values[at]);
                        table.push(&[
                            Cell::Time(*start),
                            Cell::Text(&line.name),
                            Cell::Text(&line.group),
                            perhaps(*value),
                            perhaps(previous),
                            self.label(at),
                            self.partial(at),
                        ]);
                    }
                }
                table
            }
            Chart::Retention(retention) => {
                let mut table = Table::new(&[
                    ("group", Text),
                    ("cohort", Instant),
                    ("from", Number),
                    ("to", Number),
                    ("customers", Number),
                    ("share", Number),
                    ("interval", Text),
                    ("partial", Boolean),
                ]);
                let mut add = |group: &str, counts: &[Vec<u64>]| {
                    for (at, (cohort, row)) in retention.cohorts.iter().zip(counts).enumerate() {
                        for (n, (from, to)) in row.iter().zip(&retention.columns) {
                            table.push(&[
                                Cell::Text(group),
                                Cell::Time(*cohort),
                                Cell::Number(f64::from(*from)),
                                Cell::Number(f64::from(*to)),
                                count(*n),
                                share(*n, row[0]),
                                self.label(at),
                                self.partial(at),
                            ]);
                        }
                    }
                };
                match retention.groups.as_slice() {
                    [] => add("", &retention.counts),
                    groups => groups.iter().for_each(|group| add(&group.group, &group.counts)),
                }
                table
            }
            Chart::Funnel(funnel) => {
                let mut table = Table::new(&[
                    ("group", Text),
                    ("step", Number),
                    ("event", Text),
                    ("customers", Number),
                    ("of_first", Number),
                    ("of_previous", Number),
                    ("mean_seconds", Number),
                    ("median_seconds", Number),
                ]);
                for group in &funnel.groups {
                    for (at, (step, name)) in group.steps.iter().zip(&funnel.steps).enumerate() {
                        table.push(&[
                            Cell::Text(&group.group),
                            place(at + 1),
                            Cell::Text(name),
                            count(step.customers),
                            perhaps(Some(step.of_first)),
                            perhaps(Some(step.of_previous)),
                            perhaps(step.mean_seconds),
                            perhaps(step.median_seconds),
                        ]);
                    }
                }
                table
            }
            Chart::Lifecycle(lifecycle) => {
                let mut table = Table::new(&[
                    ("start", Instant),
                    ("status", Text),
                    ("customers", Number),
                    ("interval", Text),
                    ("partial", Boolean),
                ]);
                for (status, counts) in Status::ALL.iter().zip(&lifecycle.counts) {
                    for (at, (start, n)) in lifecycle.starts.iter().zip(counts).enumerate() {
                        table.push(&[
                            Cell::Time(*start),
                            Cell::Text(status.word()),
                            count(*n),
                            self.label(at),
                            self.partial(at),
                        ]);
                    }
                }
                table
            }
            Chart::Stickiness(stickiness) => {
                let mut table =
                    Table::new(&[("intervals", Number), ("exactly", Number), ("at_least", Number)]);
                let both = stickiness.exactly.iter().zip(&stickiness.at_least);
                for (at, (exactly, at_least)) in both.enumerate() {
                    table.push(&[place(at + 1), count(*exactly), count(*at_least)]);
                }
                table
            }
            Chart::Paths(paths) => {
                let mut table = Table::new(&[
                    ("step", Number),
                    ("source", Text),
                    ("target", Text),
                    ("n", Number),
                    ("mean_seconds", Number),
                ]);
                for edge in &paths.edges {
                    table.push(&[
                        place(edge.step),
                        Cell::Text(&edge.from),
                        Cell::Text(&edge.to),
                        count(edge.n),
                        Cell::Number(edge.mean_seconds),
                    ]);
                }
                table
            }
            Chart::Segments(segments) => {
                let mut table = Table::new(&[
                    ("segment", Text),
                    ("customers", Number),
                    ("mean_recency_days", Number),
                    ("mean_frequency", Number),
                    ("mean_monetary", Number),
                ]);
                for row in &segments.segments {
                    table.push(&[
                        Cell::Text(&row.name),
                        count(row.customers),
                        Cell::Number(row.mean_recency_days),
                        Cell::Number(row.mean_frequency),
                        Cell::Number(row.mean_monetary),
                    ]);
                }
                table
            }
        }
    }
}
