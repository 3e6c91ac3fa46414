use std::collections::BTreeMap;

use eframe::egui::{self, Grid, RichText, Sense, Ui, pos2, vec2};
use workspace::{CustomerView, EXPOSURE, Event, SCORE};

use crate::theme::Tokens;
use crate::widgets::{label_cell, number, section, shorten, thousands};

/// The latest value of each trait before the as-of time.
pub(super) fn traits_ui(ui: &mut Ui, customer: &CustomerView) {
    let mut traits = BTreeMap::new();
    let known = customer.events.iter().filter(|event| event.event_time < customer.as_of);
    for identify in known.filter(|event| event.event == "$identify") {
        traits.extend(identify.properties.iter());
    }
    if traits.is_empty() {
        return;
    }
    section(ui, "Traits");
    Grid::new("traits").num_columns(2).spacing([12.0, 4.0]).show(ui, |ui| {
        for (name, value) in traits {
            label_cell(ui, RichText::new(name).size(12.0), 170.0);
            ui.label(shorten(&value.to_string(), 28));
            ui.end_row();
        }
    });
}

/// The variants of experiments that a customer got, by what their timeline says.
pub(super) fn variants_ui(ui: &mut Ui, customer: &CustomerView) {
    let exposures: Vec<&Event> =
        customer.events.iter().filter(|event| event.event == EXPOSURE).collect();
    if exposures.is_empty() {
        return;
    }
    section(ui, "Experiments");
    let tokens = Tokens::at(ui);
    let text = |event: &Event, name: &str| {
        event.properties.get(name).map(ToString::to_string).unwrap_or_default()
    };
    for event in exposures {
        ui.horizontal_wrapped(|ui| {
            ui.label(text(event, "experiment"));
            ui.label(RichText::new(text(event, "variant")).color(tokens.accent_text));
            ui.label(RichText::new(event.event_time.date()).small().color(tokens.weak));
        });
    }
}

/// The scores that were given of a customer, by deployment, as they went on.
pub(super) fn scores_ui(ui: &mut Ui, customer: &CustomerView) {
    let tokens = Tokens::at(ui);
    let mut by_name: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for event in customer.events.iter().filter(|event| event.event == SCORE) {
        let score = event.properties.get("score").and_then(workspace::Value::as_number);
        if let (Some(name), Some(score)) = (event.properties.get("name"), score) {
            by_name.entry(name.to_string()).or_default().push((event.event_time.0, score));
        }
    }
    if by_name.is_empty() {
        return;
    }
    section(ui, "Scores");
    for (name, scores) in by_name {
        ui.horizontal(|ui| {
            label_cell(ui, RichText::new(&name).size(12.0), 90.0);
            spark_ui(ui, &scores, 110.0);
            let last = scores.last().map_or(f64::NAN, |(_, score)| *score);
            ui.label(RichText::new(number(last)).monospace());
            let n = thousands(u64::try_from(scores.len()).unwrap_or(0));
            ui.label(RichText::new(format!("{n} given")).small().color(tokens.weak));
        });
    }
}

/// Numbers over time as a line without axes.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "pixels")]
fn spark_ui(ui: &mut Ui, points: &[(i64, f64)], width: f32) {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let values = || points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::MIN, f64::max));
    let at = |(time, value): &(i64, f64)| {
        let x = (time - first.0) as f64 / (last.0 - first.0).max(1) as f64;
        let y = (value - low) / (high - low).max(1e-12);
        pos2(rect.left() + x as f32 * rect.width(), rect.bottom() - 2.0 - y as f32 * 14.0)
    };
    let line: Vec<egui::Pos2> = points.iter().filter(|(_, it)| it.is_finite()).map(at).collect();
    if let Some(end) = line.last() {
        ui.painter().circle_filled(*end, 2.0, tokens.series[0]);
    }
    ui.painter().line(line, egui::Stroke::new(1.5, tokens.series[0]));
    response.on_hover_text(format!("{} to {}", number(low), number(high)));
}
