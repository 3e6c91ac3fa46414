use eframe::egui::{RichText, Slider, Ui};
use workspace::{AggregationName, Catalog, FeatureDefinition, Type, ViewDefinition};

use super::{ALL, NO_PROPERTY, WINDOW_DAYS};
use crate::theme::Tokens;
use crate::widgets::{choice, text_field};

/// A new count over all events, under a name that is free.
pub(super) fn add_feature(draft: &mut ViewDefinition, catalog: &Catalog) {
    let names = (1..).map(|n| format!("feature_{n}"));
    let free = names
        .into_iter()
        .find(|name| draft.features.iter().all(|feature| feature.name.as_str() != name));
    if let Some(Ok(name)) = free.map(|name| name.parse()) {
        let mut feature = FeatureDefinition::named(name);
        feature.aggregation = Some(AggregationName::Count);
        feature.events = catalog
            .events
            .iter()
            .find(|event| !workspace::is_system(event))
            .cloned()
            .into_iter()
            .collect();
        feature.window = "30d".parse().ok();
        draft.features.push(feature);
    }
}

/// The fields of one feature.
pub(super) fn feature_ui(
    ui: &mut Ui,
    place: usize,
    feature: &mut FeatureDefinition,
    taken: &[String],
    catalog: &Catalog,
) {
    name_ui(ui, place, feature, taken);
    if let Some(expression) = &mut feature.expression {
        text_field(
            ui,
            "Expression",
            expression,
            "revenue_90d / nullif(orders_90d, 0)",
            f32::INFINITY,
        );
        return;
    }
    if let Some(name) = &mut feature.trait_name {
        choice(ui, "Trait", name, catalog.traits.keys().map(String::as_str), 180.0);
        return;
    }
    let Some(aggregation) = feature.aggregation else { return };
    let mut current = aggregation.to_string();
    let all = AggregationName::ALL.iter().map(|aggregation| aggregation.as_str());
    if choice(ui, "Aggregation", &mut current, all, 180.0) {
        change_aggregation(feature, &current, catalog);
    }
    let mut event = match feature.events.as_slice() {
        [] => ALL.to_owned(),
        events => events.join(", "),
    };
    let events = std::iter::once(ALL).chain(catalog.events.iter().map(String::as_str));
    if choice(ui, "Events", &mut event, events, 180.0) {
        feature.events = if event == ALL { Vec::new() } else { vec![event] };
    }
    if aggregation.takes_property() {
        property_ui(ui, feature, aggregation, catalog);
    }
    if let Some(by) = &mut feature.by {
        choice(ui, "By", by, catalog.properties.keys().map(String::as_str), 180.0);
        // While it is typed a list may end with a comma; the text stays, the list follows.
        let id = ui.scope_id().with("categories");
        let mut categories: String = ui
            .data_mut(|data| data.get_temp(id))
            .filter(|_| ui.ctx().memory(|memory| memory.focused().is_some()))
            .unwrap_or_else(|| feature.categories.join(", "));
        if text_field(ui, "Categories", &mut categories, "web, app", f32::INFINITY).changed() {
            feature.categories = categories
                .split(',')
                .map(|category| category.trim().to_owned())
                .filter(|category| !category.is_empty())
                .collect();
            ui.data_mut(|data| data.insert_temp(id, categories));
        }
    }
    parameters_ui(ui, place, feature, aggregation);
    window_ui(ui, feature);
    let mut condition = feature.condition.clone().unwrap_or_default();
    text_field(ui, "Where", &mut condition, "amount > 10 AND channel = 'web'", f32::INFINITY);
    feature.condition = (!condition.trim().is_empty()).then_some(condition);
}

/// What only some aggregations have: how many values, which quantile, how long a gap or a half-life.
fn parameters_ui(
    ui: &mut Ui,
    place: usize,
    feature: &mut FeatureDefinition,
    aggregation: AggregationName,
) {
    if aggregation.takes_k() {
        typed_ui(ui, (place, "k"), "Values kept", "5", &mut feature.k);
    }
    match aggregation {
        AggregationName::Quantile => {
            typed_ui(ui, (place, "p"), "Quantile, between 0 and 1", "0.9", &mut feature.p);
        }
        AggregationName::Sessions => {
            typed_ui(ui, (place, "gap"), "Gap that starts a session", "30m", &mut feature.gap);
        }
        AggregationName::DecayedCount | AggregationName::DecayedSum => {
            typed_ui(ui, (place, "half-life"), "Half-life", "30d", &mut feature.half_life);
        }
        _ => {}
    }
}

/// A field of a value that is written as text: what cannot be read stays in the field, and the last value
/// that could be stays in the definition.
fn typed_ui<T: std::str::FromStr + std::fmt::Display>(
    ui: &mut Ui,
    id: (usize, &str),
    name: &str,
    hint: &str,
    value: &mut Option<T>,
) {
    let id = ui.scope_id().with(id);
    let mut text: String = ui
        .data_mut(|data| data.get_temp(id))
        .filter(|_| ui.ctx().memory(|memory| memory.focused().is_some()))
        .unwrap_or_else(|| value.as_ref().map(ToString::to_string).unwrap_or_default());
    if text_field(ui, name, &mut text, hint, 120.0).changed() {
        if let Ok(parsed) = text.trim().parse() {
            *value = Some(parsed);
        }
        ui.data_mut(|data| data.insert_temp(id, text));
    }
}

fn name_ui(ui: &mut Ui, place: usize, feature: &mut FeatureDefinition, taken: &[String]) {
    // While a name is being typed it may be none; the last good one stays in the definition.
    let id = ui.scope_id().with(("feature-name", place));
    let mut name: String = ui
        .data_mut(|data| data.get_temp(id))
        .filter(|_| ui.ctx().memory(|memory| memory.focused().is_some()))
        .unwrap_or_else(|| feature.name.to_string());
    let field = text_field(ui, "Name", &mut name, "orders_30d", f32::INFINITY);
    if field.changed() {
        let free = !taken.iter().enumerate().any(|(at, known)| at != place && *known == name);
        if let (true, Ok(parsed)) = (free, name.parse()) {
            feature.name = parsed;
        }
        ui.data_mut(|data| data.insert_temp(id, name));
    }
}

/// A new aggregation keeps what fits it.
fn change_aggregation(feature: &mut FeatureDefinition, name: &str, catalog: &Catalog) {
    let Some(aggregation) = AggregationName::ALL.into_iter().find(|known| known.as_str() == name)
    else {
        return;
    };
    feature.aggregation = Some(aggregation);
    if !aggregation.takes_property() {
        feature.property = None;
    } else if aggregation.needs_property() && feature.property.is_none() {
        let number = catalog.properties.iter().find(|(_, type_)| **type_ == Type::Number);
        feature.property =
            number.or_else(|| catalog.properties.iter().next()).map(|(name, _)| name.clone());
    }
    let span = |text: &str| text.parse().ok();
    let decays = matches!(aggregation, AggregationName::DecayedCount | AggregationName::DecayedSum);
    let by_category = matches!(aggregation, AggregationName::CountBy | AggregationName::SumBy);
    let texts = || catalog.properties.iter().find(|(_, type_)| **type_ == Type::Text);
    if by_category {
        feature.by = feature.by.take().or_else(|| texts().map(|(name, _)| name.clone()));
        if feature.categories.is_empty() {
            feature.categories = vec!["web".to_owned()];
        }
    } else {
        feature.by = None;
        feature.categories.clear();
    }
    let is_quantile = aggregation == AggregationName::Quantile;
    feature.p = feature.p.or(Some(0.9)).filter(|_| is_quantile);
    feature.k = feature.k.or(Some(5)).filter(|_| aggregation.takes_k());
    let is_sessions = aggregation == AggregationName::Sessions;
    feature.gap = feature.gap.or_else(|| span("30m")).filter(|_| is_sessions);
    feature.half_life = feature.half_life.or_else(|| span("30d")).filter(|_| decays);
}

fn property_ui(
    ui: &mut Ui,
    feature: &mut FeatureDefinition,
    aggregation: AggregationName,
    catalog: &Catalog,
) {
    let mut property = feature.property.clone().unwrap_or_else(|| NO_PROPERTY.to_owned());
    let none = (!aggregation.needs_property()).then_some(NO_PROPERTY);
    let names = none.into_iter().chain(catalog.properties.keys().map(String::as_str));
    if choice(ui, "Property", &mut property, names, 180.0) {
        feature.property = (property != NO_PROPERTY).then_some(property);
    }
}

/// A slider through the usual windows; its end is all time.
fn window_ui(ui: &mut Ui, feature: &mut FeatureDefinition) {
    let days = |days: u16| workspace::Span::days(days);
    let mut place = match feature.window {
        None => WINDOW_DAYS.len(),
        Some(window) => {
            WINDOW_DAYS.iter().position(|d| days(*d) >= window).unwrap_or(WINDOW_DAYS.len() - 1)
        }
    };
    let weak = Tokens::at(ui).weak;
    let name = ui.label(RichText::new("Window").small().color(weak));
    ui.horizontal(|ui| {
        ui.spacing_mut().slider_width = 200.0;
        let slider = Slider::new(&mut place, 0..=WINDOW_DAYS.len()).show_value(false);
        if ui.add(slider).labelled_by(name.id).changed() {
            feature.window = WINDOW_DAYS.get(place).map(|d| days(*d));
        }
        ui.label(feature.window.map_or("all time".to_owned(), |window| window.to_string()));
    });
}
