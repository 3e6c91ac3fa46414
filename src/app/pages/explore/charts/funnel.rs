use eframe::egui::{self, RichText, Sense, Ui, vec2};
use egui_plot::{Bar, BarChart, Plot};
use workspace::insights::{Funnel, FunnelGroup, Point};

use super::Chosen;
use crate::theme::{Tokens, strong};
use crate::widgets::{empty_state, section, thousands};

/// Width of the longest bar, and height of all.
const BAR: egui::Vec2 = vec2(420.0, 26.0);
const TIMES: f32 = 150.0;

/// Steps down, a bar each with who got there; beside it who did not come from the step before.
pub(in super::super) fn funnel_ui(ui: &mut Ui, funnel: &Funnel) -> Chosen {
    let mut chosen = None;
    if funnel.groups.iter().all(|group| group.steps.first().is_none_or(|s| s.customers == 0)) {
        empty_state(ui, "Nobody took the first step in this time.");
        return None;
    }
    for group in &funnel.groups {
        if !group.group.is_empty() {
            section(ui, &group.group);
        }
        chosen = group_ui(ui, funnel, group).or(chosen);
        if group.excluded > 0 {
            let text = format!("{} left out for an excluded event", thousands(group.excluded));
            ui.label(RichText::new(text).color(Tokens::at(ui).weak));
        }
        ui.add_space(10.0);
    }
    if let [group] = funnel.groups.as_slice()
        && !group.times.is_empty()
    {
        times_ui(ui, group);
    }
    chosen
}

fn group_ui(ui: &mut Ui, funnel: &Funnel, group: &FunnelGroup) -> Chosen {
    let tokens = Tokens::at(ui);
    let first = group.steps.first().map_or(0, |step| step.customers);
    let mut chosen = None;
    for (place, (step, name)) in group.steps.iter().zip(&funnel.steps).enumerate() {
        ui.horizontal(|ui| {
            ui.label(RichText::new(format!("{}", place + 1)).font(strong(13.0)).color(tokens.weak));
            ui.label(RichText::new(name).color(tokens.strong));
            if place > 0 {
                let share = step.of_previous * 100.0;
                let mut text = format!("{share:.1} % of the step before");
                if let Some(median) = step.median_seconds {
                    text.push_str(&format!(", half of them within {}", duration(median)));
                }
                ui.label(RichText::new(text).small().color(tokens.weak));
            }
        });
        ui.horizontal(|ui| {
            #[allow(clippy::cast_precision_loss, reason = "pixels")]
            let share = if first == 0 { 0.0 } else { step.customers as f32 / first as f32 };
            let (rect, bar) = ui.allocate_exact_size(BAR, Sense::click());
            ui.painter().rect_filled(rect, 4.0, tokens.field);
            let mut filled = rect;
            filled.set_width(BAR.x * share);
            ui.painter().rect_filled(filled, 4.0, tokens.series[0]);
            let of_first = step.of_first * 100.0;
            let text = format!("{} ({of_first:.1} %)", thousands(step.customers));
            let hover = format!("{name}: {text}");
            bar.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &hover));
            let point =
                |dropped| Point::Funnel { group: group.group.clone(), step: place, dropped };
            if bar.on_hover_text("The people who got here").clicked() {
                chosen = Some((point(false), hover.clone()));
            }
            ui.label(RichText::new(text).monospace());
            let lost = match place {
                0 => 0,
                _ => group.steps[place - 1].customers.saturating_sub(step.customers),
            };
            if lost > 0 && ui.link(format!("{} dropped off", thousands(lost))).clicked() {
                chosen = Some((point(true), format!("{lost} did not come to {name}")));
            }
        });
    }
    chosen
}

/// How long it took from the first step to the last.
fn times_ui(ui: &mut Ui, group: &FunnelGroup) {
    section(ui, "Time from the first step to the last");
    let color = Tokens::at(ui).series[2];
    #[allow(clippy::cast_precision_loss, reason = "a height")]
    let bar = |(place, bin): (usize, &workspace::insights::Bin)| {
        Bar::new(super::at(place), bin.customers as f64).width(0.95).name(format!(
            "{} to {}",
            duration(bin.from),
            duration(bin.to)
        ))
    };
    let bars: Vec<Bar> = group.times.iter().enumerate().map(bar).collect();
    let froms: Vec<f64> = group.times.iter().map(|bin| bin.from).collect();
    Plot::new("times")
        .height(TIMES)
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .x_axis_formatter(move |mark, _| {
            super::nearest(mark.value, froms.len())
                .map_or_else(String::new, |place| duration(froms[place]))
        })
        .show(ui, |plot| plot.bar_chart(BarChart::new("customers", bars).color(color)));
}

/// A time as a person says it.
fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    match units.into_iter().find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => format!("{:.1} {unit}", seconds / length),
        None => format!("{seconds:.0} s"),
    }
}
