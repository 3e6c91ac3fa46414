use eframe::egui::{RichText, ScrollArea, Ui, vec2};
use egui_plot::{Bar, BarChart, Plot};
use workspace::Command;

use super::{Page, board_link, heading};
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{card, key_figure, label_cell, section, share_bar_ui, thousands};

/// What there is, and the next step.
#[derive(Debug, Default)]
pub(super) struct Home;

/// Names of events that are shown.
const SHOWN_EVENTS: usize = 12;
/// Height of the charts.
const CHARTS: f32 = 262.0;
const WEEK: f64 = 7.0 * 86_400e6;

impl Home {
    #[allow(clippy::unused_self, reason = "pages are alike")]
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let place = state.folder().map(|folder| folder.display().to_string());
        let failed = state.project.error().is_some();
        let waiting = if failed { "no project" } else { "opening the project…" };
        heading(ui, "Home", place.as_deref().unwrap_or(waiting));
        if state.project.error().is_some() {
            super::error_ui(ui, &state.project);
            ui.label("Start with another folder: fullcircle --project FOLDER");
            return;
        }
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            figures_ui(ui, state);
            ui.add_space(4.0);
            let half = (ui.available_width() - 8.0) / 2.0;
            ui.horizontal_top(|ui| {
                for part in [weekly_ui, events_ui] {
                    ui.allocate_ui(vec2(half, 0.0), |ui| {
                        card(ui, |ui| {
                            ui.set_min_size(vec2(half - 26.0, CHARTS));
                            ui.set_max_width(half - 26.0);
                            part(ui, state);
                        });
                    });
                }
            });
            ui.add_space(4.0);
            boards_ui(ui, state, outbox);
            checklist_ui(ui, state, outbox);
        });
    }
}

fn figures_ui(ui: &mut Ui, state: &State) {
    let summary = &state.look().summary;
    let width = (ui.available_width() - 3.0 * 8.0) / 4.0 - 26.0;
    ui.horizontal(|ui| {
        let span = summary.span.map(|(first, last)| format!("{} to {}", first.date(), last.date()));
        let span = span.unwrap_or_else(|| "no events yet".to_owned());
        key_figure(ui, width, "Events", &thousands(summary.events), &span);
        key_figure(
            ui,
            width,
            "Customers",
            &thousands(summary.customers),
            &format!("{} active in the last 30 days", thousands(summary.active_customers)),
        );
        let back = state.come_back;
        let back = back.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
        key_figure(ui, width, "Come back", &back, "of new customers, one week later");
        let live = state.endpoint.value().filter(|_| state.url.is_some());
        let (figure, remark) = match live {
            Some(view) if !view.deployments.is_empty() => {
                let names: Vec<&str> = view.deployments.iter().map(|d| d.name.as_str()).collect();
                (names.join(", "), view.url.clone())
            }
            Some(view) => {
                ("Nothing yet".to_owned(), format!("an endpoint answers at {}", view.url))
            }
            None => ("–".to_owned(), "no endpoint; go live on the Deploy page".to_owned()),
        };
        key_figure(ui, width, "Live", &figure, &remark);
    });
}

/// Events a week.
fn weekly_ui(ui: &mut Ui, state: &State) {
    let tokens = Tokens::at(ui);
    section(ui, "Events a week");
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let bars: Vec<Bar> = state
        .look()
        .summary
        .weekly
        .iter()
        .map(|(week, n)| Bar::new(week.0 as f64 / WEEK, *n as f64).width(0.8))
        .collect();
    Plot::new("weekly")
        .height(CHARTS - 30.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        // A mark each quarter and half a year, so that the labels have room.
        .x_grid_spacer(egui_plot::uniform_grid_spacer(|_| [26.0, 13.0, 13.0]))
        .x_axis_formatter(|mark, _| {
            #[allow(clippy::cast_possible_truncation, reason = "microseconds of a few years")]
            let micros = (mark.value * WEEK) as i64;
            workspace::Time(micros).date().chars().take(7).collect()
        })
        .show(ui, |plot| {
            plot.bar_chart(BarChart::new("events", bars).color(tokens.series[0]));
        });
}

/// Events by name.
fn events_ui(ui: &mut Ui, state: &State) {
    let tokens = Tokens::at(ui);
    section(ui, "What they do");
    let by_event = &state.look().summary.by_event;
    let most = by_event.first().map_or(1, |(_, n)| (*n).max(1));
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.spacing_mut().interact_size.y = 16.0;
    for (event, n) in by_event.iter().take(SHOWN_EVENTS) {
        ui.horizontal(|ui| {
            let width = ui.available_width();
            label_cell(ui, RichText::new(event).size(12.0), width * 0.38);
            #[allow(clippy::cast_precision_loss, reason = "pixels")]
            share_bar_ui(ui, *n as f32 / most as f32, width * 0.38, tokens.series_of(event));
            ui.label(RichText::new(thousands(*n)).monospace().size(11.5));
        });
    }
    if by_event.is_empty() {
        ui.label(RichText::new("Import events on the Data page").color(tokens.weak));
    }
}

/// The boards that were saved, a click away.
fn boards_ui(ui: &mut Ui, state: &State, outbox: &mut Outbox) {
    let boards = &state.look().boards;
    if boards.is_empty() {
        return;
    }
    card(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            section(ui, "Boards");
            for (name, text) in boards {
                if ui.link(name.as_str()).clicked() {
                    outbox.show_board(board_link(name, text));
                }
            }
        });
    });
    ui.add_space(4.0);
}

/// The steps of the circle, ticked as they are done.
fn checklist_ui(ui: &mut Ui, state: &State, outbox: &mut Outbox) {
    let overview = state.look();
    let live = state.url.is_some()
        && state.endpoint.value().is_some_and(|view| !view.deployments.is_empty());
    let came_back = overview.catalog.events.contains("$score");
    let steps = [
        (overview.summary.events > 0, "Import events", Page::Data),
        (!overview.views.is_empty(), "Define a view: what a customer looks like", Page::Features),
        (!overview.functions.is_empty(), "Train a model", Page::Models),
        (live, "Deploy it: a live score for every customer", Page::Deploy),
        (came_back, "Pull what happened back", Page::Deploy),
    ];
    card(ui, |ui| {
        let tokens = Tokens::at(ui);
        ui.horizontal(|ui| {
            section(ui, "The circle");
            if ui.small_button("Refresh").clicked() {
                outbox.send(Command::Look);
            }
        });
        ui.set_min_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.spacing_mut().interact_size.y = 18.0;
        for (done, text, page) in steps {
            ui.horizontal(|ui| {
                let (sign, color) = if done { ("✓", tokens.good) } else { ("○", tokens.weak) };
                ui.label(RichText::new(sign).color(color));
                if ui.link(text).clicked() {
                    outbox.go(page);
                }
            });
        }
    });
}
