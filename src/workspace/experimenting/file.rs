use std::collections::{BTreeMap, BTreeSet};

use kernel::domain::{Job, Type};
use kernel::experiments::{
    Allocation, ELIGIBLE, EXPERIMENT_FORMAT, ExperimentDefinition, ExperimentFile,
};
use kernel::features::{
    Bound, Catalog, Column, EventFilter, FeatureDefinition, Input, Knowledge, Source, SpineRows,
    Table, View, ViewDefinition, compute,
};
use kernel::scoring::{
    EncodedColumn, Encoder, Encoding, FORMAT, FrozenModel, FunctionFile, Trained,
};

use crate::{Error, Project, Result};

/// Categories of a context that have a column of their own.
const MOST_CATEGORIES: usize = 12;

impl Project {
    /// An experiment with all that an endpoint needs to decide.
    ///
    /// # Errors
    /// It names features or events that are not there, or its condition is no condition.
    pub(super) fn experiment_file(
        &self,
        definition: &ExperimentDefinition,
    ) -> Result<ExperimentFile> {
        let catalog = self.catalog()?;
        let mut reads = Catalog::default();
        for metric in &definition.metrics {
            let filter = EventFilter::check(&metric.events, metric.condition.as_deref(), &catalog)?;
            reads.extend(&filter.reads());
            let property =
                metric.property.iter().filter_map(|it| catalog.properties.get_key_value(it));
            reads.properties.extend(property.map(|(name, type_)| (name.clone(), *type_)));
        }
        let function = match &definition.view {
            Some(view) => {
                self.experiment_function(definition, &self.view_definition(view)?, &catalog)?
            }
            None => None,
        };
        Ok(ExperimentFile {
            format: EXPERIMENT_FORMAT,
            definition: definition.clone(),
            reads,
            function,
        })
    }

    fn experiment_function(
        &self,
        definition: &ExperimentDefinition,
        view: &ViewDefinition,
        catalog: &Catalog,
    ) -> Result<Option<FunctionFile>> {
        if definition.eligible.is_none() && definition.context.is_empty() {
            return Ok(None);
        }
        let view = needed(definition, view, catalog)?;
        if let Some((name, _)) = view.context().first() {
            let message = format!(
                "'{}' reads context.{name}, which is only known of a request; use another view",
                view.name()
            );
            return Err(Error::BadInput(message));
        }
        let encoder = match definition.allocation {
            Allocation::Contextual => self.context_encoder(definition, &view)?,
            Allocation::Fixed | Allocation::Thompson => encoder(&view, |_| Encoding::Dropped),
        };
        let weights = vec![0.0; encoder.width()];
        let file = FunctionFile {
            format: FORMAT,
            hash: String::new(),
            name: definition.name.clone(),
            schema: view.reads().clone(),
            view: view.definition().clone(),
            encoder,
            model: FrozenModel::LinearRegression { intercept: 0.0, weights },
            trained: Trained {
                spec: String::new(),
                observed_until: self.now()?,
                rows: 0,
                positives: 0,
                metrics: BTreeMap::new(),
            },
            expected: None,
            outcome: None,
        };
        Ok(Some(file.sealed()?))
    }

    /// How the features of a context become numbers: scaled by how they are spread over customers now.
    fn context_encoder(&self, definition: &ExperimentDefinition, view: &View) -> Result<Encoder> {
        let job = Job::unwatched();
        let timelines = self.warehouse.timelines(view.reads(), &job)?;
        let rows = SpineRows::at(&timelines, self.now()?);
        let bound = Bound::new(view, &timelines);
        let table = compute(view, &bound, &rows, Knowledge::AsItWas, &job)?;
        let is_context = |name: &str| definition.context.iter().any(|it| it.as_str() == name);
        Ok(encoder(view, |place| match is_context(view.features()[place].name.as_str()) {
            true => encoding(&table, place),
            false => Encoding::Dropped,
        }))
    }
}

fn encoder(view: &View, encoding: impl Fn(usize) -> Encoding) -> Encoder {
    let columns = view.features().iter().enumerate();
    let column = |(place, feature): (usize, &kernel::features::Feature)| EncodedColumn {
        feature: feature.name.to_string(),
        encoding: encoding(place),
    };
    Encoder { columns: columns.map(column).collect() }
}

fn encoding(table: &Table, place: usize) -> Encoding {
    let column = &table.values[place];
    match column.type_of() {
        Type::Text => categories(column),
        _ => scaled(column),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number of customers")]
fn scaled(column: &Column) -> Encoding {
    let number = |row: usize| match column.value(row) {
        kernel::domain::Value::Boolean(boolean) => Some(f64::from(u8::from(boolean))),
        other => other.as_number().filter(|number| number.is_finite()),
    };
    let known: Vec<f64> = (0..column.len()).filter_map(number).collect();
    let n = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / n;
    let variance = known.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / n;
    if variance == 0.0 {
        return Encoding::Dropped;
    }
    Encoding::Number { fill: mean, mean, scale: variance.sqrt(), indicator: false, log: false }
}

fn categories(column: &Column) -> Encoding {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in 0..column.len() {
        let value = column.value(row);
        if !value.is_null() {
            *counts.entry(value.to_string()).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.truncate(MOST_CATEGORIES);
    let categories = counts.into_iter().map(|(category, _)| category).collect();
    Encoding::OneHot { categories, rare: true }
}

/// The part of a view that an experiment reads, with the feature that says who may be in it.
fn needed(
    definition: &ExperimentDefinition,
    written: &ViewDefinition,
    catalog: &Catalog,
) -> Result<View> {
    let mut all = written.clone();
    let eligible = definition.eligible.clone().unwrap_or_else(|| "true".to_owned());
    all.features.push(FeatureDefinition {
        expression: Some(eligible),
        ..FeatureDefinition::named(ELIGIBLE.parse()?)
    });
    let view = View::check(&all, catalog)?;
    let last = view.features().len() - 1;
    if view.features()[last].type_ != Type::Boolean {
        let message = "eligible must be true or false of a customer";
        return Err(Error::BadInput(message.to_owned()));
    }
    let mut wanted = vec![last];
    for name in &definition.context {
        let place = view.features().iter().position(|feature| feature.name == *name);
        wanted.push(place.ok_or_else(|| {
            Error::BadInput(format!("the view '{}' has no feature '{name}'", written.name))
        })?);
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    while let Some(place) = wanted.pop() {
        let feature = &view.features()[place];
        if !names.insert(feature.name.to_string()) {
            continue;
        }
        if let Source::Expression(_, inputs) = &feature.source {
            wanted.extend(inputs.iter().filter_map(|input| match input {
                Input::Feature(place) => Some(*place),
                Input::Trait(_) | Input::Context(_) => None,
            }));
        }
    }
    // A feature with categories stands for several, whose names begin with its own.
    all.features.retain(|feature| {
        let own = format!("{}_", feature.name);
        names.contains(feature.name.as_str())
            || (feature.by.is_some() && names.iter().any(|name| name.starts_with(&own)))
    });
    Ok(View::check(&all, catalog)?)
}
