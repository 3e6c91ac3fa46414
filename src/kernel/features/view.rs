use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::binding::Binding;
use super::event_filter::{check_condition, check_event};
use super::{
    Aggregation, AggregationName, Catalog, DefinitionError, FeatureDefinition, ViewDefinition,
};
use crate::domain::{Name, Span, Type, did_you_mean};
use crate::expression::{Expression, ExpressionError};

/// What the names of the occasion's values begin with in expressions.
const CONTEXT: &str = "context.";
/// The most features of one view.
pub const MOST_FEATURES: usize = 2_000;
/// Maximum number of times that the text of a feature can repeat the texts that it is made from, through all of the
/// features that it reads.
pub const MAX_TEXT_COPIES: usize = 1_024;
/// Maximum number of values that the lists and counts of one row keep together.
pub const MAX_LIST_VALUES: usize = 20_000;

/// A checked view: its features compiled, and everything that they read named and typed.
#[derive(Clone, Debug)]
pub struct View {
    definition: ViewDefinition,
    reads: Catalog,
    selections: Vec<Selection>,
    windows: Vec<Option<Span>>,
    features: Vec<Feature>,
    /// For each feature, how many times its text can repeat the texts that it is made from.
    text_copies: Vec<usize>,
    n_list_values: usize,
    context: Vec<(String, Type)>,
    /// What live timelines share.
    pub(super) live: OnceLock<Arc<Binding>>,
}

/// Which events an aggregation is over. Features that select the same share one selection.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Names of events; empty means all but system events.
    pub events: Vec<String>,
    /// The condition as it was written, and compiled.
    pub condition: Option<(String, Expression)>,
}

/// A checked feature.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name.
    pub name: Name,
    /// The type of its values.
    pub type_: Type,
    /// Where its value comes from.
    pub source: Source,
}

/// Where the value of a feature comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Events of a selection and a window.
    Aggregate(Aggregate),
    /// A trait, by name.
    Trait(String),
    /// An expression, and what each of its columns is.
    Expression(Expression, Vec<Input>),
}

/// A column of a feature's expression.
#[derive(Clone, Debug)]
pub enum Input {
    /// The value of an earlier feature, by its position.
    Feature(usize),
    /// A trait, by name.
    Trait(String),
    /// A column of [`View::context`], by its position.
    Context(usize),
}

/// An aggregation over the events of a selection and a window.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// How the events become one value.
    pub aggregation: Aggregation,
    /// Position of the selection.
    pub selection: usize,
    /// Position of the window.
    pub window: usize,
    /// The property, if it reads one.
    pub property: Option<String>,
}

impl View {
    /// Checks a definition against what is known of the data.
    ///
    /// # Errors
    /// The first feature that makes no sense, with its field and what would be right.
    pub fn check(definition: &ViewDefinition, catalog: &Catalog) -> Result<Self, DefinitionError> {
        if definition.features.len() > MOST_FEATURES {
            let message = format!("a view has at most {MOST_FEATURES} features");
            return Err(DefinitionError::new("features", message));
        }
        let mut view = Self {
            definition: definition.clone(),
            reads: Catalog::default(),
            live: OnceLock::new(),
            selections: Vec::new(),
            windows: Vec::new(),
            features: Vec::new(),
            text_copies: Vec::new(),
            n_list_values: 0,
            context: Vec::new(),
        };
        for written in &definition.features {
            for feature in written.expand(catalog).map_err(|error| error.of(&written.name))? {
                // An expression states its own.
                view.text_copies.push(1);
                let checked = view
                    .check_feature(&feature, catalog)
                    .map_err(|error| error.of(&feature.name))?;
                view.features.push(checked);
            }
            if view.features.len() > MOST_FEATURES {
                let message =
                    format!("a view has at most {MOST_FEATURES} features; one for each category");
                return Err(DefinitionError::new("features", message).of(&written.name));
            }
        }
        Ok(view)
    }

    /// The definition that it was checked from.
    #[must_use]
    pub const fn definition(&self) -> &ViewDefinition {
        &self.definition
    }

    /// The name of the view.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.definition.name
    }

    /// Everything that it reads: what timelines must be built for, and what a frozen function keeps.
    #[must_use]
    pub const fn reads(&self) -> &Catalog {
        &self.reads
    }

    /// Its features, in order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The distinct selections of its features.
    #[must_use]
    pub fn selections(&self) -> &[Selection] {
        &self.selections
    }

    /// The distinct windows of its features; none is all time.
    #[must_use]
    pub fn windows(&self) -> &[Option<Span>] {
        &self.windows
    }

    /// What its expressions read of the occasion, as `context.name`: names and types. A training set
    /// takes it from the spine, a request brings it along.
    #[must_use]
    pub fn context(&self) -> &[(String, Type)] {
        &self.context
    }

    /// The view of a single aggregation.
    pub(super) fn of_one(
        name: Name,
        aggregation: AggregationName,
        definition: &FeatureDefinition,
        catalog: &Catalog,
    ) -> Result<Self, DefinitionError> {
        let empty = ViewDefinition { name: name.clone(), features: Vec::new() };
        let mut view = Self::check(&empty, catalog)?;
        let (type_, aggregate) = view.check_aggregate(aggregation, definition, catalog)?;
        view.features.push(Feature { name, type_, source: Source::Aggregate(aggregate) });
        Ok(view)
    }

    fn check_feature(
        &mut self,
        definition: &FeatureDefinition,
        catalog: &Catalog,
    ) -> Result<Feature, DefinitionError> {
        let name = definition.name.clone();
        let same = |other: &str| other.eq_ignore_ascii_case(name.as_str());
        if ["customer_id", "as_of", "label"].into_iter().any(same) {
            return Err(DefinitionError::new(
                "name",
                format!("'{name}' is a column of every view"),
            ));
        }
        if self.features.iter().any(|feature| same(feature.name.as_str())) {
            return Err(DefinitionError::new("name", "there is an earlier feature of this name"));
        }
        let sources = (&definition.aggregation, &definition.trait_name, &definition.expression);
        let (type_, source) = match sources {
            (Some(aggregation), None, None) => {
                let (type_, aggregate) = self.check_aggregate(*aggregation, definition, catalog)?;
                (type_, Source::Aggregate(aggregate))
            }
            (None, Some(trait_name), None) => {
                only_that(definition, "trait")?;
                (self.check_trait(trait_name, catalog)?, Source::Trait(trait_name.clone()))
            }
            (None, None, Some(expression)) => {
                only_that(definition, "expression")?;
                self.check_expression(expression, catalog)?
            }
            _ => {
                return Err(DefinitionError::new(
                    "",
                    "give it exactly one of aggregation, trait and expression",
                ));
            }
        };
        Ok(Feature { name, type_, source })
    }

    fn check_aggregate(
        &mut self,
        name: AggregationName,
        definition: &FeatureDefinition,
        catalog: &Catalog,
    ) -> Result<(Type, Aggregate), DefinitionError> {
        for event in &definition.events {
            check_event(event, catalog)?;
            self.reads.events.insert(event.clone());
        }
        let property = match &definition.property {
            None => None,
            Some(property) => Some(self.check_property(property, catalog)?),
        };
        let aggregation = Aggregation::check(name, definition, property)?;
        self.n_list_values += aggregation.n_values();
        if self.n_list_values > MAX_LIST_VALUES {
            let message = format!(
                "the lists and counts of a view keep at most {MAX_LIST_VALUES} values together (the sum of k)"
            );
            return Err(DefinitionError::new("k", message));
        }
        let condition = match &definition.condition {
            None => None,
            Some(source) => {
                let compiled = check_condition(source, catalog)?;
                for (name, type_) in compiled.columns() {
                    self.reads.properties.insert(name.clone(), *type_);
                }
                Some((source.clone(), compiled))
            }
        };
        let aggregate = Aggregate {
            aggregation,
            selection: self.selection(&definition.events, condition),
            window: self.window(definition.window),
            property: definition.property.clone(),
        };
        Ok((aggregation.result(property), aggregate))
    }

    fn check_property(&mut self, name: &str, catalog: &Catalog) -> Result<Type, DefinitionError> {
        let Some(type_) = catalog.properties.get(name) else {
            let suggestion = did_you_mean(name, catalog.properties.keys().map(String::as_str));
            let message = format!("no event has a property '{name}'{suggestion}");
            return Err(DefinitionError::new("property", message));
        };
        self.reads.properties.insert(name.to_owned(), *type_);
        Ok(*type_)
    }

    fn check_trait(&mut self, name: &str, catalog: &Catalog) -> Result<Type, DefinitionError> {
        let Some(type_) = catalog.traits.get(name) else {
            let suggestion = did_you_mean(name, catalog.traits.keys().map(String::as_str));
            let message = format!("no customer has a trait '{name}'{suggestion}");
            return Err(DefinitionError::new("trait", message));
        };
        self.reads.traits.insert(name.to_owned(), *type_);
        Ok(*type_)
    }

    /// Says of a column that is not there whether it is a feature that is defined later, or in a circle.
    fn not_yet(&self, error: ExpressionError) -> ExpressionError {
        let Some(unknown) = &error.unknown else { return error };
        let mut later = self.definition.features.iter();
        if !later.any(|feature| feature.name.as_str() == unknown) {
            return error;
        }
        let message = format!(
            "'{unknown}' is not defined before this: an expression reads the features above it, and \
             neither itself nor one that reads it"
        );
        ExpressionError { message, ..error }
    }

    fn check_expression(
        &mut self,
        source: &str,
        catalog: &Catalog,
    ) -> Result<(Type, Source), DefinitionError> {
        let mut scope: BTreeMap<String, Type> =
            self.features.iter().map(|feature| (feature.name.to_string(), feature.type_)).collect();
        for (name, type_) in &catalog.traits {
            scope.insert(format!("traits.{name}"), *type_);
        }
        // What is known of the occasion has the type of the event's property.
        for (name, type_) in catalog.properties.iter().chain(&catalog.context) {
            scope.insert(format!("{CONTEXT}{name}"), *type_);
        }
        let compiled = Expression::compile(source, &scope).map_err(|error| {
            let error = self.not_yet(error);
            DefinitionError::expression("expression", &error)
        })?;
        let mut inputs = Vec::with_capacity(compiled.columns().len());
        for (column, type_) in compiled.columns() {
            let earlier = self.features.iter().position(|feature| feature.name.as_str() == column);
            inputs.push(if let Some(position) = earlier {
                Input::Feature(position)
            } else if let Some(name) = column.strip_prefix("traits.") {
                self.reads.traits.insert(name.to_owned(), *type_);
                Input::Trait(name.to_owned())
            } else if let Some(name) = column.strip_prefix(CONTEXT) {
                self.reads.context.insert(name.to_owned(), *type_);
                Input::Context(self.context_place(name, *type_))
            } else {
                let message = format!("'{column}' is neither a feature, a trait nor context");
                return Err(DefinitionError::new("expression", message));
            });
        }
        let type_ = compiled.result().unwrap_or(Type::Number);
        let copies = compiled.text_copies(&|index| match inputs.get(index) {
            Some(Input::Feature(position)) => self.text_copies[*position],
            _ => 1,
        });
        if type_ == Type::Text && copies > MAX_TEXT_COPIES {
            let message = format!(
                "the text can repeat the texts that it is made from {copies} times, at most {MAX_TEXT_COPIES} are \
                 allowed: concatenate fewer texts"
            );
            return Err(DefinitionError::new("expression", message));
        }
        if let Some(own) = self.text_copies.last_mut() {
            *own = if type_ == Type::Text { copies } else { 1 };
        }
        Ok((type_, Source::Expression(compiled, inputs)))
    }

    fn selection(&mut self, events: &[String], condition: Option<(String, Expression)>) -> usize {
        let mut events = events.to_vec();
        events.sort();
        events.dedup();
        let source = |condition: &Option<(String, Expression)>| {
            condition.as_ref().map(|(source, _)| source.clone())
        };
        let same = self.selections.iter().position(|selection| {
            selection.events == events && source(&selection.condition) == source(&condition)
        });
        same.unwrap_or_else(|| {
            self.selections.push(Selection { events, condition });
            self.selections.len() - 1
        })
    }

    fn context_place(&mut self, name: &str, type_: Type) -> usize {
        self.context.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.context.push((name.to_owned(), type_));
            self.context.len() - 1
        })
    }

    fn window(&mut self, window: Option<Span>) -> usize {
        self.windows.iter().position(|known| *known == window).unwrap_or_else(|| {
            self.windows.push(window);
            self.windows.len() - 1
        })
    }
}

/// A trait or an expression is over no events, so nothing that selects events belongs to it.
fn only_that(definition: &FeatureDefinition, kind: &str) -> Result<(), DefinitionError> {
    let others = [
        ("events", !definition.events.is_empty()),
        ("property", definition.property.is_some()),
        ("window", definition.window.is_some()),
        ("where", definition.condition.is_some()),
        ("p", definition.p.is_some()),
        ("k", definition.k.is_some()),
        ("gap", definition.gap.is_some()),
        ("half_life", definition.half_life.is_some()),
        ("by", definition.by.is_some()),
    ];
    match others.into_iter().find(|(_, present)| *present) {
        Some((field, _)) => {
            Err(DefinitionError::new(field, format!("belongs to an aggregation, not to a {kind}")))
        }
        None => Ok(()),
    }
}
