use std::time::Instant;

use kernel::domain::{Job, Name, Time, Type, Value};
use kernel::features::{
    AsOf, Bound, Catalog, Column, Knowledge, SpineRows, Table, Timelines, View, ViewDefinition,
    compute,
};
use warehouse::Warehouse;

use crate::{Error, Project, Result};

/// A view as it is being written.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The view.
    pub definition: ViewDefinition,
    /// The feature that is being looked at, by its place in the definition.
    pub chosen: usize,
    /// The model whose label the feature is held against.
    pub model: Option<Name>,
}

/// What a view is like on the data, while it is being written.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The as-of time.
    pub as_of: Time,
    /// Each feature's name, type, and what it is like over all customers.
    pub features: Vec<FeatureSummary>,
    /// A few customers and their values.
    pub rows: Vec<(String, Vec<Value>)>,
    /// The same customers' timelines, and what the chosen feature reads of them.
    pub timelines: Vec<Marked>,
    /// How the chosen feature goes with the label of a model, or why that cannot be said.
    pub relation: Option<std::result::Result<LabelRelation, String>>,
    /// The same view as DuckDB SQL.
    pub sql: String,
    /// How long the kernel took for all customers.
    pub seconds: f64,
    /// Customers.
    pub n_customers: usize,
}

/// The timeline of a customer, and which events a feature reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Marked {
    /// Who.
    pub customer_id: String,
    /// When, what, and whether the feature reads it; the latest events, in order.
    pub events: Vec<(Time, String, bool)>,
}

/// What a feature is like over all customers.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSummary {
    /// Its name.
    pub name: Name,
    /// The type of its values.
    pub type_: Type,
    /// Missing values, between 0 and 1.
    pub null_share: f64,
    /// Least, mean and greatest number.
    pub range: Option<(f64, f64, f64)>,
    /// A histogram of the numbers between least and greatest.
    pub histogram: Vec<u32>,
}

/// How a feature goes with a label: the share of positive rows, by the feature's value.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelRelation {
    /// The model that the label is of.
    pub model: Name,
    /// Rows that were looked at.
    pub rows: usize,
    /// Positive rows among them.
    pub positives: usize,
    /// The area under the ROC curve of the feature alone, missing values in the middle: 0.5 says nothing,
    /// 0 and 1 say everything. None for what is no number.
    pub auc: Option<f64>,
    /// Rows by the feature's value: for numbers about equally many each.
    pub bins: Vec<LabelBin>,
}

/// Rows with like values of a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelBin {
    /// Which values, as a person reads it.
    pub values: String,
    /// Rows.
    pub rows: usize,
    /// The share of positive ones.
    pub positive_share: f64,
}

/// Bars of a histogram.
const BARS: usize = 24;
/// Customers of a preview.
const SHOWN_CUSTOMERS: usize = 8;
/// Events of a timeline that are shown.
const SHOWN_EVENTS: usize = 500;
/// Rows of a training set that a label is looked at over.
const LABEL_ROWS: usize = 20_000;
/// Distinct texts that are told apart.
const MOST_GROUPS: usize = 100;
/// Bins of a label's relation.
const LABEL_BINS: usize = 8;

impl Project {
    /// Computes a view that may not be saved yet, for all customers as of the last event.
    ///
    /// # Errors
    /// It makes no sense on this data, or the job was canceled.
    pub fn preview(&self, draft: &Draft, job: &Job) -> Result<Preview> {
        let definition = &draft.definition;
        let catalog = self.catalog()?;
        let view = View::check(definition, &catalog)?;
        let timelines = self.warehouse.timelines(view.reads(), job)?;
        if timelines.n_events() == 0 {
            return Err(Error::BadInput("the project has no events; import some first".to_owned()));
        }
        let as_of = timelines.observed_until().plus(1);
        let started = Instant::now();
        let spine = SpineRows::at(&timelines, as_of);
        let bound = Bound::new(&view, &timelines);
        let table = compute(&view, &bound, &spine, Knowledge::AsItWas, job)?;
        let seconds = started.elapsed().as_secs_f64();
        let features = table
            .columns
            .iter()
            .zip(&table.values)
            .map(|((name, type_), column)| summarize(name, *type_, column))
            .collect();
        let n = spine.rows.len();
        let shown: Vec<usize> =
            (0..n).step_by((n / SHOWN_CUSTOMERS).max(1)).take(SHOWN_CUSTOMERS).collect();
        let id = |row: &usize| spine.customer_id(&timelines, spine.rows[*row].0).to_owned();
        let chosen = definition.features.get(draft.chosen).and_then(|chosen| {
            let places = |fits: &dyn Fn(&str) -> bool| {
                view.features().iter().position(|feature| fits(feature.name.as_str()))
            };
            // A feature by category has become several, named after it.
            let several = format!("{}_", chosen.name);
            places(&|name| name == chosen.name.as_str())
                .or_else(|| places(&|name| name.starts_with(&several)))
        });
        let mark = |row: &usize| {
            let customer = spine.rows[*row].0;
            let read = chosen
                .map_or_else(Vec::new, |chosen| bound.rows_read(chosen, customer, AsOf::at(as_of)));
            marked(id(row), &timelines, customer, &read)
        };
        let relation = draft.model.as_ref().zip(chosen).map(|(model, chosen)| {
            let name = &view.features()[chosen].name;
            self.label_relation(model, draft, name, &catalog, job)
                .map_err(|error| error.to_string())
        });
        Ok(Preview {
            as_of,
            features,
            rows: shown.iter().map(|row| (id(row), table.row(*row))).collect(),
            timelines: shown.iter().map(mark).collect(),
            relation,
            sql: Warehouse::view_sql_at(&view, as_of, kernel::features::Knowledge::AsItWas),
            seconds,
            n_customers: n,
        })
    }

    /// How a feature of a draft goes with the label of a model, over some rows of its training set.
    fn label_relation(
        &self,
        model: &Name,
        draft: &Draft,
        feature: &Name,
        catalog: &Catalog,
        job: &Job,
    ) -> Result<LabelRelation> {
        // Only what the feature needs: itself, and what its expression may read.
        let mut narrow = draft.definition.clone();
        narrow.features.truncate(draft.chosen + 1);
        if narrow.features.last().is_some_and(|chosen| chosen.expression.is_none()) {
            narrow.features.drain(..narrow.features.len() - 1);
        }
        let plan = self.plan_on(catalog.clone(), self.model(model)?, Some(&narrow), None)?;
        let timelines = self.warehouse.timelines(&plan.reads, job)?;
        let mut is_done = vec![false; plan.n_file_rows()];
        let mut spine = plan.rows(&timelines, &mut is_done, true)?;
        let observed = |time: Time| plan.label.is_observed(&timelines, time);
        spine.retain(|(_, time)| observed(*time));
        let every = spine.rows.len().div_ceil(LABEL_ROWS).max(1);
        let place = std::cell::Cell::new(0_usize);
        spine.retain(|_| place.replace(place.get() + 1).is_multiple_of(every));
        let (view, label) = (&plan.view, &plan.label);
        let knowledge = plan.spec.spine.knowledge;
        let set = models::TrainingSet::compute(view, label, spine, &timelines, knowledge, job)?;
        Ok(relate(model, feature, &set.features, &set.positive))
    }
}

fn marked(customer_id: String, timelines: &Timelines, customer: usize, read: &[usize]) -> Marked {
    let rows = timelines.rows(customer);
    let from = rows.end.saturating_sub(SHOWN_EVENTS).max(rows.start);
    let event = |row: usize| {
        let name = &timelines.names()[timelines.events()[row] as usize];
        (Time(timelines.times()[row]), name.to_string(), read.binary_search(&row).is_ok())
    };
    Marked { customer_id, events: (from..rows.end).map(event).collect() }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and bars for people"
)]
fn summarize(name: &Name, type_: Type, column: &Column) -> FeatureSummary {
    let n = column.len();
    let numbers: &[f64] = match column {
        Column::Number(numbers) => numbers,
        _ => &[],
    };
    let known = || numbers.iter().copied().filter(|x| x.is_finite());
    let least = known().fold(f64::INFINITY, f64::min);
    let greatest = known().fold(f64::NEG_INFINITY, f64::max);
    let n_known = known().count();
    let mean = known().sum::<f64>() / n_known as f64;
    let range = (n_known > 0).then_some((least, mean, greatest));
    let mut histogram = Vec::new();
    if greatest > least {
        histogram = vec![0_u32; BARS];
        for x in known() {
            let bar = ((x - least) / (greatest - least) * BARS as f64) as usize;
            histogram[bar.min(BARS - 1)] += 1;
        }
    }
    let null_share = if n == 0 { 0.0 } else { column.n_null() as f64 / n as f64 };
    FeatureSummary { name: name.clone(), type_, null_share, range, histogram }
}

fn relate(model: &Name, feature: &Name, table: &Table, positive: &[bool]) -> LabelRelation {
    let place = table.columns.iter().position(|(name, _)| name == feature);
    let values: Vec<Value> = place.map_or_else(Vec::new, |place| {
        (0..positive.len()).map(|row| table.values[place].value(row)).collect()
    });
    let mut groups: Vec<(String, Vec<bool>)> = Vec::new();
    let mut numbers: Vec<(f64, bool)> = Vec::new();
    let mut missing = Vec::new();
    for (value, positive) in values.iter().zip(positive) {
        match value {
            Value::Number(x) => numbers.push((*x, *positive)),
            Value::Null => missing.push(*positive),
            other => {
                let text = other.to_string();
                match groups.iter().position(|(known, _)| *known == text) {
                    Some(place) => groups[place].1.push(*positive),
                    None if groups.len() < MOST_GROUPS => groups.push((text, vec![*positive])),
                    None => {}
                }
            }
        }
    }
    numbers.sort_by(|left, right| left.0.total_cmp(&right.0));
    groups.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
    groups.truncate(LABEL_BINS);
    groups.extend(number_groups(&numbers));
    if !missing.is_empty() {
        groups.push(("missing".to_owned(), missing));
    }
    LabelRelation {
        model: model.clone(),
        rows: positive.len(),
        positives: positive.iter().filter(|positive| **positive).count(),
        auc: area(&numbers),
        bins: groups.into_iter().map(|(values, rows)| bin(values, &rows)).collect(),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share for people")]
fn bin(values: String, rows: &[bool]) -> LabelBin {
    let positives = rows.iter().filter(|positive| **positive).count();
    LabelBin { values, rows: rows.len(), positive_share: positives as f64 / rows.len() as f64 }
}

/// Sorted numbers in about equally large groups; equal numbers stay together.
fn number_groups(numbers: &[(f64, bool)]) -> Vec<(String, Vec<bool>)> {
    let size = numbers.len().div_ceil(LABEL_BINS).max(1);
    let mut groups = Vec::new();
    let mut rest = numbers;
    while !rest.is_empty() {
        let last = rest[size.min(rest.len()) - 1].0;
        let (group, after) = rest.split_at(rest.partition_point(|(x, _)| *x <= last));
        let short = |x: f64| {
            let text = format!("{x:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        let (low, high) = (short(group[0].0), short(last));
        let values = if low == high { low } else { format!("{low} to {high}") };
        groups.push((values, group.iter().map(|(_, positive)| *positive).collect()));
        rest = after;
    }
    groups
}

/// The area under the ROC curve of sorted numbers, ties counted half; none without both classes.
#[allow(clippy::cast_precision_loss, reason = "a share for people")]
fn area(numbers: &[(f64, bool)]) -> Option<f64> {
    let (mut below, mut pairs, mut positives) = (0.0, 0.0, 0.0);
    for tie in numbers.chunk_by(|left, right| left.0 == right.0) {
        let own = tie.iter().filter(|(_, positive)| *positive).count() as f64;
        let other = tie.len() as f64 - own;
        pairs += own * (below + other / 2.0);
        below += other;
        positives += own;
    }
    (positives > 0.0 && below > 0.0).then(|| pairs / (positives * below))
}
