use super::binding::holds;
use super::{Catalog, DefinitionError, Timelines};
use crate::domain::{NOT_SYSTEM_SQL, Type, did_you_mean, is_system};
use crate::expression::{Expression, quote_identifier, quote_text};

/// Which events count: those of some names, and of them those that meet a condition.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Names of events; empty means all but system events.
    events: Vec<String>,
    condition: Option<Expression>,
}

impl EventFilter {
    /// Checks names of events, none for all but system events, and a condition over properties.
    ///
    /// # Errors
    /// An event or a property is not in the data, or the condition is no condition.
    pub fn check(
        events: &[String],
        condition: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Self, DefinitionError> {
        events.iter().try_for_each(|event| check_event(event, catalog))?;
        let condition = condition.map(|source| check_condition(source, catalog)).transpose()?;
        Ok(Self { events: events.to_vec(), condition })
    }

    /// What timelines must be built for.
    #[must_use]
    pub fn reads(&self) -> Catalog {
        let properties = self.condition.iter().flat_map(Expression::columns).cloned();
        Catalog {
            events: self.events.iter().cloned().collect(),
            properties: properties.collect(),
            ..Catalog::default()
        }
    }

    /// The same without the condition.
    #[must_use]
    pub fn by_name(&self) -> Self {
        Self { events: self.events.clone(), condition: None }
    }

    /// Finds what it reads in timelines; what they do not have is null.
    #[must_use]
    pub fn bind<'a>(&'a self, timelines: &'a Timelines) -> BoundFilter<'a> {
        let columns = self.condition.iter().flat_map(Expression::columns);
        let place = |(name, type_): &(String, Type)| {
            let place = timelines.place_of(name)?;
            (timelines.properties[place].1.type_of() == *type_).then_some(place)
        };
        BoundFilter {
            names: timelines.names().iter().map(|name| is_among(name, &self.events)).collect(),
            columns: columns.map(place).collect(),
            condition: self.condition.as_ref(),
            timelines,
        }
    }

    /// The same as a condition of DuckDB over the columns of `events`.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let names: Vec<String> = self.events.iter().map(|event| quote_text(event)).collect();
        let by_name = match names.as_slice() {
            [] => NOT_SYSTEM_SQL.to_owned(),
            [name] => format!("event = {name}"),
            names => format!("event IN ({})", names.join(", ")),
        };
        match &self.condition {
            None => by_name,
            Some(condition) => {
                let column = |index: usize| quote_identifier(&condition.columns()[index].0);
                format!("{by_name} AND ({})", condition.to_sql(&column))
            }
        }
    }
}

/// A filter that knows where timelines have what it reads.
#[derive(Clone, Debug)]
pub struct BoundFilter<'a> {
    /// For each name of an event, whether it passes.
    names: Vec<bool>,
    columns: Vec<Option<usize>>,
    condition: Option<&'a Expression>,
    timelines: &'a Timelines,
}

impl BoundFilter<'_> {
    /// For each name of an event, in the order of the timelines' names, whether its events may count.
    #[must_use]
    pub fn names(&self) -> &[bool] {
        &self.names
    }

    /// Whether all events of those names count.
    #[must_use]
    pub const fn is_by_name(&self) -> bool {
        self.condition.is_none()
    }

    /// Whether the event of a row counts.
    #[must_use]
    #[inline]
    pub fn passes(&self, row: usize) -> bool {
        self.names[self.timelines.events[row] as usize]
            && self.condition.is_none_or(|it| holds(it, &self.columns, self.timelines, row))
    }
}

/// Whether an event is among names; none of them means all but system events.
pub(super) fn is_among(event: &str, names: &[String]) -> bool {
    match names.is_empty() {
        true => !is_system(event),
        false => names.iter().any(|name| name == event),
    }
}

/// Whether an event is in the data.
pub(super) fn check_event(event: &str, catalog: &Catalog) -> Result<(), DefinitionError> {
    if catalog.events.contains(event) || is_system(event) {
        return Ok(());
    }
    let suggestion = did_you_mean(event, catalog.events.iter().map(String::as_str));
    let message = format!("there is no event '{event}' in the data{suggestion}");
    Err(DefinitionError::new("events", message))
}

/// A condition over the properties of an event.
pub(super) fn check_condition(
    source: &str,
    catalog: &Catalog,
) -> Result<Expression, DefinitionError> {
    let compiled = Expression::compile(source, &catalog.properties)
        .map_err(|error| DefinitionError::expression("where", &error))?;
    if compiled.result().is_some_and(|type_| type_ != Type::Boolean) {
        let message = format!("'{source}' must be true or false");
        return Err(DefinitionError::new("where", message));
    }
    Ok(compiled)
}
