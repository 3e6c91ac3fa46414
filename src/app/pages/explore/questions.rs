//! What each insight asks, as fields.

use eframe::egui::{self, Ui};
use workspace::insights::{
    Attribution, Counting, Events, FunnelSpec, InsightSpec, Mean, Measure, Measured, Order,
    PathsSpec, Question, RetentionMode, RetentionSpec, Series, Steps, Times, TrendsSpec,
};
use workspace::{Catalog, Overview, Type};

use crate::widgets::{choice, text_field};

const ANY: &str = "any event";
const NOTHING: &str = "anything";

/// Steps of a funnel that nobody has chosen yet.
const FIRST_STEPS: usize = 3;

/// Fills a new spec from what the data has: a funnel from what is frequent to what is rarer; orders by what
/// events and properties are called.
pub(super) fn first(spec: &mut InsightSpec, look: &Overview) {
    match &mut spec.question {
        Question::Funnel(funnel) => {
            let frequent = look.summary.by_event.iter().take(FIRST_STEPS);
            let mut steps: Vec<Events> = frequent.map(|(event, _)| Events::named(event)).collect();
            while steps.len() < 2 {
                steps.push(Events::default());
            }
            funnel.steps = steps;
        }
        Question::Segments(segments) => {
            segments.event = look.order_event().map(Events::named).unwrap_or_default();
            segments.value = look.worth_property().map(str::to_owned);
        }
        _ => {}
    }
}

pub(super) fn ui(ui: &mut Ui, spec: &mut InsightSpec, catalog: &Catalog) {
    match &mut spec.question {
        Question::Trends(own) => trends_ui(ui, own, catalog),
        Question::Retention(own) => retention_ui(ui, own, catalog),
        Question::Funnel(own) => funnel_ui(ui, own, catalog),
        Question::Lifecycle(own) => {
            ui.horizontal_wrapped(|ui| event_ui(ui, "Active is", &mut own.event, catalog));
        }
        Question::Stickiness(own) => {
            ui.horizontal_wrapped(|ui| {
                event_ui(ui, "Active is", &mut own.event, catalog);
                times_ui(ui, &mut own.times);
            });
        }
        Question::Paths(own) => paths_ui(ui, own, catalog),
        Question::Segments(own) => {
            ui.horizontal_wrapped(|ui| {
                event_ui(ui, "An order is", &mut own.event, catalog);
                property_ui(ui, "Its worth", &mut own.value, catalog, true);
            });
        }
    }
}

/// A choice of one event, or any.
fn event_ui(ui: &mut Ui, label: &str, events: &mut Events, catalog: &Catalog) {
    let mut current = match events.names.as_slice() {
        [] => ANY.to_owned(),
        names => names.join(" or "),
    };
    let names = std::iter::once(ANY).chain(catalog.events.iter().map(String::as_str));
    if choice(ui, label, &mut current, names, 150.0) {
        events.names = if current == ANY { Vec::new() } else { vec![current] };
    }
}

/// A choice of a property with numbers.
fn property_ui(
    ui: &mut Ui,
    label: &str,
    property: &mut Option<String>,
    catalog: &Catalog,
    is_optional: bool,
) {
    let none = "1 each";
    let mut current = property.clone().unwrap_or_else(|| none.to_owned());
    let numbers = catalog.properties.iter().filter(|(_, type_)| **type_ == Type::Number);
    let numbers = numbers.map(|(name, _)| name.as_str());
    let options = is_optional.then_some(none).into_iter().chain(numbers);
    if choice(ui, label, &mut current, options, 130.0) {
        *property = (current != none).then_some(current);
    }
}

/// A choice among things that have words.
fn word_ui<T: Copy + PartialEq>(
    ui: &mut Ui,
    label: &str,
    value: &mut T,
    all: &[(&str, T)],
    width: f32,
) {
    let known = all.iter().find(|(_, known)| known == value);
    let mut current = known.map_or("", |(word, _)| *word).to_owned();
    if choice(ui, label, &mut current, all.iter().map(|(word, _)| *word), width)
        && let Some((_, chosen)) = all.iter().find(|(word, _)| *word == current)
    {
        *value = *chosen;
    }
}

fn times_ui(ui: &mut Ui, times: &mut Times) {
    let mut n = times.0.to_string();
    if choice(ui, "At least times", &mut n, ["1", "2", "3", "5", "10"], 60.0) {
        times.0 = n.parse().unwrap_or(1);
    }
}

fn trends_ui(ui: &mut Ui, spec: &mut TrendsSpec, catalog: &Catalog) {
    let n = spec.series.len();
    let mut removed = None;
    for (place, series) in spec.series.iter_mut().enumerate() {
        let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or(0));
        ui.push_id(place, |ui| {
            ui.horizontal_wrapped(|ui| {
                series_ui(ui, letter, series, catalog);
                if n > 1 {
                    ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                        if ui.button("Remove").clicked() {
                            removed = Some(place);
                        }
                    });
                }
            });
        });
    }
    if let Some(place) = removed {
        spec.series.remove(place);
    }
    ui.horizontal_wrapped(|ui| {
        if n < 6 && ui.button("Add a series").clicked() {
            spec.series.push(Series {
                event: Events::default(),
                measure: Measure::Total,
                property: None,
            });
        }
        if n > 1 {
            let mut text = spec.formula.clone().unwrap_or_default();
            let response = text_field(ui, "Formula", &mut text, "A / B * 100", 140.0);
            if response.changed() {
                spec.formula = (!text.trim().is_empty()).then_some(text);
            }
        }
    });
}

fn series_ui(ui: &mut Ui, letter: char, series: &mut Series, catalog: &Catalog) {
    let mut word = series.measure.word().to_owned();
    let words = Measure::ALL.map(Measure::word);
    if choice(ui, &format!("{letter} measures"), &mut word, words, 120.0) {
        let found = Measure::ALL.into_iter().find(|known| known.word() == word);
        series.measure = found.unwrap_or_default();
        series.property = match series.measure.needs_property() {
            false => None,
            true => series.property.take().or_else(|| {
                let mut numbers =
                    catalog.properties.iter().filter(|(_, type_)| **type_ == Type::Number);
                numbers.next().map(|(name, _)| name.clone())
            }),
        };
    }
    if series.measure.needs_property() {
        property_ui(ui, &format!("{letter} of"), &mut series.property, catalog, false);
    }
    event_ui(ui, &format!("{letter} event"), &mut series.event, catalog);
}

fn retention_ui(ui: &mut Ui, spec: &mut RetentionSpec, catalog: &Catalog) {
    ui.horizontal_wrapped(|ui| {
        event_ui(ui, "Start", &mut spec.start, catalog);
        event_ui(ui, "Return", &mut spec.return_event, catalog);
        let modes = [
            ("first time", RetentionMode::FirstTime),
            ("recurring", RetentionMode::Recurring),
            ("first ever", RetentionMode::FirstEver),
        ];
        word_ui(ui, "Cohort", &mut spec.mode, &modes, 92.0);
        let counting = [("on", Counting::On), ("on or after", Counting::OnOrAfter)];
        word_ui(ui, "Counting", &mut spec.counting, &counting, 92.0);
        let measured = [("calendar", Measured::Calendar), ("24 hours", Measured::Rolling)];
        word_ui(ui, "Measured by", &mut spec.measured, &measured, 92.0);
        let mut brackets = brackets_text(&spec.brackets);
        let usual = ["each", "1, 3, 5", "1, 2, 4, 8", "4, 4, 4"];
        if choice(ui, "Brackets", &mut brackets, usual, 86.0) {
            spec.brackets =
                brackets.split(',').filter_map(|part| part.trim().parse().ok()).collect();
        }
        times_ui(ui, &mut spec.times);
        let means = [("weighted", Mean::Weighted), ("simple", Mean::Simple)];
        word_ui(ui, "Mean", &mut spec.mean, &means, 86.0);
    });
}

fn brackets_text(brackets: &[u16]) -> String {
    match brackets {
        [] => "each".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn funnel_ui(ui: &mut Ui, spec: &mut FunnelSpec, catalog: &Catalog) {
    let n = spec.steps.len();
    ui.horizontal_wrapped(|ui| {
        for (place, step) in spec.steps.iter_mut().enumerate() {
            ui.push_id(place, |ui| event_ui(ui, &format!("Step {}", place + 1), step, catalog));
        }
        ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
            if n < 10 && ui.button("Add a step").clicked() {
                spec.steps.push(spec.steps.last().cloned().unwrap_or_default());
            }
            if n > 2 && ui.button("Remove the last").clicked() {
                spec.steps.pop();
                spec.exclusions.retain(|exclusion| exclusion.to < n);
                if matches!(spec.attribution, Attribution::Step(step) if step >= n) {
                    spec.attribution = Attribution::First;
                }
            }
        });
    });
    ui.horizontal_wrapped(|ui| {
        let orders = [
            ("in order", Order::Ordered),
            ("strictly", Order::Strict),
            ("in any order", Order::Unordered),
        ];
        word_ui(ui, "Order", &mut spec.order, &orders, 100.0);
        if spec.order == Order::Unordered {
            spec.exclusions.clear();
        }
        let mut window = spec.window.0.to_string();
        if choice(ui, "Within", &mut window, ["1h", "1d", "7d", "14d", "30d", "90d"], 70.0)
            && let Ok(span) = window.parse()
        {
            spec.window.0 = span;
        }
        let mut excluded = spec.exclusions.first().map_or(NOTHING.to_owned(), |exclusion| {
            exclusion.event.names.first().cloned().unwrap_or_else(|| NOTHING.to_owned())
        });
        let names = std::iter::once(NOTHING).chain(catalog.events.iter().map(String::as_str));
        if spec.order != Order::Unordered && choice(ui, "But not", &mut excluded, names, 130.0) {
            spec.exclusions.clear();
            if excluded != NOTHING {
                spec.exclusions.push(workspace::insights::Exclusion {
                    event: Events::named(&excluded),
                    from: 1,
                    to: spec.steps.len(),
                });
            }
        }
        let attributions = [("first", Attribution::First), ("last", Attribution::Last)];
        word_ui(ui, "Value that counts", &mut spec.attribution, &attributions, 80.0);
    });
}

fn paths_ui(ui: &mut Ui, spec: &mut PathsSpec, catalog: &Catalog) {
    ui.horizontal_wrapped(|ui| {
        event_ui(ui, "Steps are", &mut spec.event, catalog);
        for (label, end) in [("From", &mut spec.start), ("To", &mut spec.end)] {
            let label = format!("{label} the first");
            let mut current = end.clone().unwrap_or_else(|| NOTHING.to_owned());
            let names = std::iter::once(NOTHING).chain(catalog.events.iter().map(String::as_str));
            if choice(ui, &label, &mut current, names, 140.0) {
                *end = (current != NOTHING).then_some(current);
            }
        }
        let mut gap = spec.gap.0.to_string();
        if choice(ui, "Pause that ends it", &mut gap, ["10m", "30m", "1h", "1d", "7d", "90d"], 80.0)
            && let Ok(span) = gap.parse()
        {
            spec.gap.0 = span;
        }
        let mut steps = spec.steps.0.to_string();
        if choice(ui, "Steps", &mut steps, ["3", "4", "5", "6", "8"], 52.0) {
            spec.steps = Steps(steps.parse().unwrap_or(5));
        }
        let mut edges = spec.edges.0.to_string();
        if choice(ui, "Connections", &mut edges, ["20", "50", "100", "200"], 60.0) {
            spec.edges.0 = edges.parse().unwrap_or(50);
        }
    });
}
