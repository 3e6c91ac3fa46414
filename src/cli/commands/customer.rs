use serde_json::json;
use workspace::{IDENTIFY, Project, Properties, is_system};

use super::{Result, time, to_json};
use crate::arguments::Customer;
use crate::output;

/// Events that are printed, newest first.
const SHOWN: usize = 50;

pub(super) fn run(arguments: &Customer) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let as_of = time(arguments.as_of.as_ref())?;
    let mut events = project.events_of(&arguments.id)?;
    if let Some(as_of) = as_of {
        events.retain(|event| event.event_time < as_of);
    }
    let mut traits = Properties::new();
    for event in events.iter().filter(|event| event.event == IDENTIFY) {
        traits.extend(event.properties.clone());
    }
    traits.retain(|_, value| !value.is_null());
    // Traits without a date are no event of 1970.
    events.retain(|event| !event.is_undated());
    let instant = as_of.map_or_else(|| project.now(), Ok)?;
    let mut views = serde_json::Map::new();
    let mut problems = Vec::new();
    for view in project.views()? {
        // A view that makes no sense on this data does not keep the others from being shown.
        let features = match project.features_of(&view, &arguments.id, instant) {
            Ok(features) => features,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        let features: serde_json::Map<_, _> =
            features.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect();
        views.insert(view.to_string(), features.into());
    }
    let own = events.iter().filter(|event| !is_system(&event.event)).count();
    if arguments.json.json {
        let timeline = to_json(&events.iter().rev().collect::<Vec<_>>())?;
        output::json(&json!({
            "customer_id": arguments.id,
            "as_of": instant,
            "event_count": own,
            "traits": to_json(&traits)?,
            "features": views,
            "problems": problems,
            "timeline": timeline,
        }));
        return Ok(());
    }
    output::line(&format!("customer {}: {own} events as of {instant}", arguments.id));
    if !traits.is_empty() {
        output::line("\ntraits");
        for (name, value) in &traits {
            output::line(&format!("  {name:<28} {value}"));
        }
    }
    for (view, features) in &views {
        output::line(&format!("\n{view}"));
        for (name, value) in features.as_object().into_iter().flatten() {
            output::line(&format!("  {name:<28} {value}"));
        }
    }
    for problem in &problems {
        output::remark(&format!("a view is left out: {problem}"));
    }
    output::line("\ntimeline, newest first");
    for event in events.iter().rev().take(SHOWN) {
        let properties: Vec<String> =
            event.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        output::line(&format!("  {}  {}  {}", event.event_time, event.event, properties.join(" ")));
    }
    if events.len() > SHOWN {
        output::line(&format!("  … and {} earlier ones", events.len() - SHOWN));
    }
    Ok(())
}
