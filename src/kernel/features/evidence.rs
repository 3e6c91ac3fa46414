use super::event_filter::is_among;
use super::{AsOf, Cell, Input, Source, View};
use crate::domain::Event;

/// The events behind each feature of a view: for an aggregation those within its window that pass its
/// selection and have its property, as places in `events`; for an expression those of the features that it
/// reads. A trait comes from none of these.
#[must_use]
pub fn evidence(view: &View, events: &[Event], as_of: AsOf) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::with_capacity(view.features().len());
    for feature in view.features() {
        let places = match &feature.source {
            Source::Aggregate(aggregate) => {
                let window = view.windows()[aggregate.window].map(|span| span.micros());
                let since = window.map_or(i64::MIN, |window| as_of.time.minus(window).0);
                let counts = |event: &Event| {
                    let time = event.event_time.0;
                    (since..as_of.time.0).contains(&time)
                        && as_of.knows(event.received_at.0)
                        && passes(view, aggregate.selection, event)
                        && aggregate.property.as_ref().is_none_or(|name| has(event, name))
                };
                (0..events.len()).filter(|place| counts(&events[*place])).collect()
            }
            Source::Trait(_) => Vec::new(),
            Source::Expression(_, inputs) => {
                let of = |input: &Input| match input {
                    Input::Feature(place) => found[*place].clone(),
                    Input::Trait(_) | Input::Context(_) => Vec::new(),
                };
                let mut all: Vec<usize> = inputs.iter().flat_map(of).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        };
        found.push(places);
    }
    found
}

fn has(event: &Event, property: &str) -> bool {
    event.properties.get(property).is_some_and(|value| !value.is_null())
}

fn passes(view: &View, selection: usize, event: &Event) -> bool {
    let selection = &view.selections()[selection];
    is_among(&event.event, &selection.events)
        && selection.condition.as_ref().is_none_or(|(_, condition)| {
            condition.is_true(&|index| {
                let value = event.properties.get(&condition.columns()[index].0);
                value.map_or(Cell::Null, Cell::from)
            })
        })
}
