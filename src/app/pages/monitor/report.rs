//! How a deployment does: what matters first, then how it moved, feature by feature.

use eframe::egui::{self, Grid, RichText, Sense, Ui, vec2};
use egui_plot::{Legend, Line, Plot, PlotPoints, Points};
use workspace::{LiveMoved, LiveOutcomes, LivePoint, LiveReport};

use crate::theme::Tokens;
use crate::widgets::{
    card, empty_state, key_figure, label_cell, number, section, shorten, thousands,
};

/// Features that are listed.
const SHOWN: usize = 60;
/// An index from which on a feature has moved fills the bar.
const FULL: f64 = 0.5;
const CHART: f32 = 150.0;

pub(super) fn ui(ui: &mut Ui, report: &LiveReport, chosen: &mut Option<String>) {
    figures_ui(ui, report);
    series_ui(ui, report);
    let known = report.score.iter().chain(&report.features);
    let moved: Vec<&LiveMoved> = known.filter(|moved| moved.drift.is_some()).collect();
    match (moved.is_empty(), &report.score) {
        (false, _) => drift_ui(ui, report, &moved, chosen),
        (true, None) => empty_state(
            ui,
            "This function does not say what it was trained on. Train it again, and deploy it.",
        ),
        (true, Some(_)) => {
            empty_state(ui, "Nobody was scored in this time. Ask for scores; drift is shown here.");
        }
    }
    if let Some(outcomes) = &report.outcomes {
        outcomes_ui(ui, outcomes);
    }
}

fn figures_ui(ui: &mut Ui, report: &LiveReport) {
    let all = report.score.iter().chain(&report.features);
    let moved = all.filter(|moved| moved.has_moved).count();
    let millis = |millis: Option<f64>| millis.map_or("–".to_owned(), |it| format!("{it:.2} ms"));
    let share = |n: u64| match report.requests {
        0 => "–".to_owned(),
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        all => format!("{:.2} %", 100.0 * n as f64 / all as f64),
    };
    let error = report.outcomes.as_ref().and_then(|outcomes| outcomes.calibration_error);
    let came_out = report.outcomes.as_ref().map_or(0, |outcomes| outcomes.n);
    let figures = [
        ("Requests", thousands(report.requests), format!("{} refused", thousands(report.refused))),
        ("99 of 100 took", millis(report.p99_ms), format!("half {}", millis(report.p50_ms))),
        ("Failed", share(report.failed), format!("{} requests", thousands(report.failed))),
        ("Moved", moved.to_string(), format!("of {} and the score", report.features.len())),
        (
            "Calibration error",
            error.map_or("–".to_owned(), number),
            format!("{} scores came out", thousands(came_out)),
        ),
    ];
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let n = figures.len() as f32;
    // What a card has around it, and what is between two.
    let width = ((ui.available_width() - 12.0 - 8.0 * (n - 1.0)) / n - 26.0).max(84.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
        for (title, figure, remark) in figures {
            key_figure(ui, width, title, &figure, &remark);
        }
    });
}

/// Requests, latency and scores, quarter by quarter.
fn series_ui(ui: &mut Ui, report: &LiveReport) {
    if report.series.len() < 2 {
        return;
    }
    let now = report.until;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        let width = (ui.available_width() - 20.0) / 2.0 - 26.0;
        let of = |value: fn(&LivePoint) -> Option<f64>| -> Vec<[f64; 2]> {
            #[allow(clippy::cast_precision_loss, reason = "hours for a chart")]
            let hours = |point: &LivePoint| (point.at.0 - now.0) as f64 / 3.6e9;
            report.series.iter().filter_map(|point| Some([hours(point), value(point)?])).collect()
        };
        let latency = of(|point| point.p99_ms);
        chart_ui(ui, width, "99 of 100 took, ms", &latency);
        chart_ui(ui, width, "Mean score", &of(|point| point.mean_score));
    });
}

fn chart_ui(ui: &mut Ui, width: f32, title: &str, points: &[[f64; 2]]) {
    let tokens = Tokens::at(ui);
    card(ui, |ui| {
        ui.set_width(width);
        section(ui, title);
        Plot::new(title)
            .height(CHART)
            .allow_scroll(false)
            .allow_drag(false)
            .allow_zoom(false)
            .include_y(0.0)
            .show_grid([false, true])
            .x_axis_formatter(|mark, _| match mark.value {
                hours if hours > -0.01 => "now".to_owned(),
                hours => format!("{hours:.0} h"),
            })
            .show(ui, |plot| {
                let line = Line::new(title, PlotPoints::from(points.to_vec()));
                plot.line(line.color(tokens.series[0]).width(2.0));
            });
    });
}

/// Each feature with its index, most first; one of them bin by bin.
fn drift_ui(ui: &mut Ui, report: &LiveReport, moved: &[&LiveMoved], chosen: &mut Option<String>) {
    let tokens = Tokens::at(ui);
    section(ui, "Against what it was trained on");
    let text = format!(
        "Of {} of {} scores of version {} the features were looked at. Below an index of 0.1 nothing has \
         moved, from 0.2 on it has, unless chance alone would do it. Click a feature for its values.",
        thousands(report.observed),
        thousands(report.scores),
        report.version
    );
    ui.add(egui::Label::new(RichText::new(text).small().color(tokens.weak)).wrap());
    let current = chosen.clone().or_else(|| moved.first().map(|moved| moved.name.clone()));
    ui.spacing_mut().item_spacing.y = 3.0;
    for moved in moved.iter().take(SHOWN) {
        let is_chosen = current.as_deref() == Some(moved.name.as_str());
        if feature_ui(ui, moved, is_chosen) {
            *chosen = Some(moved.name.clone());
        }
        if is_chosen {
            bins_ui(ui, moved);
        }
    }
    if moved.len() > SHOWN {
        let text = format!("and {} more that moved less", moved.len() - SHOWN);
        ui.label(RichText::new(text).small().color(tokens.weak));
    }
}

fn feature_ui(ui: &mut Ui, moved: &LiveMoved, is_chosen: bool) -> bool {
    let tokens = Tokens::at(ui);
    let Some(drift) = &moved.drift else { return false };
    let color = match (moved.has_moved, drift.psi >= 0.1 && drift.psi > drift.noise) {
        (true, _) => tokens.bad,
        (false, true) => tokens.warn,
        (false, false) => tokens.good,
    };
    ui.horizontal(|ui| {
        let name = RichText::new(shorten(&moved.name, 30)).size(12.0);
        let left = egui::Layout::left_to_right(egui::Align::Center);
        let response = ui
            .allocate_ui_with_layout(vec2(190.0, 18.0), left, |ui| {
                ui.set_min_size(vec2(190.0, 18.0));
                ui.add(egui::Button::selectable(is_chosen, name).truncate().small())
            })
            .inner;
        bar_ui(ui, drift.psi, drift.noise, color);
        label_cell(ui, RichText::new(format!("{:.3}", drift.psi)).monospace().size(11.5), 44.0);
        let word = match (moved.has_moved, drift.psi > drift.noise) {
            (true, _) => RichText::new("moved").color(tokens.bad),
            (false, false) if drift.psi >= 0.1 => {
                RichText::new("too few to say").color(tokens.weak)
            }
            _ => RichText::new(""),
        };
        label_cell(ui, word.size(12.0), 84.0);
        let changed = (drift.missing - moved.missing_then).abs() > 0.01;
        let mut remarks = Vec::new();
        if changed {
            remarks.push(format!(
                "missing {:.0} %, was {:.0} %",
                100.0 * drift.missing,
                100.0 * moved.missing_then
            ));
        }
        if drift.unseen > 0.0 {
            let examples: Vec<&str> = moved.unseen.keys().take(3).map(String::as_str).collect();
            remarks.push(format!("{:.0} % unseen: {}", 100.0 * drift.unseen, examples.join(", ")));
        }
        let remark = RichText::new(remarks.join("; ")).size(12.0).color(tokens.weak);
        ui.add(egui::Label::new(remark).truncate());
        response.clicked()
    })
    .inner
}

/// An index as a bar, and where chance alone may reach as a mark.
fn bar_ui(ui: &mut Ui, psi: f64, noise: f64, color: egui::Color32) {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(110.0, 14.0), Sense::hover());
    #[allow(clippy::cast_possible_truncation, reason = "pixels")]
    let x = |index: f64| rect.left() + rect.width() * (index / FULL).clamp(0.0, 1.0) as f32;
    let track = egui::Rect::from_center_size(rect.center(), vec2(rect.width(), 6.0));
    ui.painter().rect_filled(track, 3.0, tokens.hover);
    let filled = egui::Rect::from_min_max(track.min, egui::pos2(x(psi), track.bottom()));
    ui.painter().rect_filled(filled, 3.0, color);
    let mark = egui::Stroke::new(1.5, tokens.weak);
    ui.painter().vline(x(noise), rect.y_range(), mark);
    response.on_hover_text(format!(
        "index {}; chance alone stays below {} in 99 of 100 cases",
        number(psi),
        number(noise)
    ));
}

/// The shares of the bins, as they were and as they are.
fn bins_ui(ui: &mut Ui, moved: &LiveMoved) {
    let tokens = Tokens::at(ui);
    if moved.bins.is_empty() {
        return;
    }
    ui.spacing_mut().interact_size.y = 14.0;
    let most = moved.bins.iter().flat_map(|bin| [bin.then, bin.now]).fold(1e-9, f64::max);
    card(ui, |ui| {
        ui.set_min_width(ui.available_width() - 12.0);
        Grid::new(("bins", moved.name.as_str())).num_columns(4).spacing([10.0, 2.0]).show(
            ui,
            |ui| {
                for title in ["Value", "", "at training", "now"] {
                    ui.label(RichText::new(title).small().color(tokens.weak));
                }
                ui.end_row();
                for bin in &moved.bins {
                    ui.label(RichText::new(shorten(&bin.label, 28)).size(12.0));
                    pair_ui(ui, bin.then / most, bin.now / most);
                    let percent = |share: f64| {
                        RichText::new(format!("{:.1} %", 100.0 * share)).monospace().size(11.5)
                    };
                    ui.label(percent(bin.then).color(tokens.weak));
                    ui.label(percent(bin.now));
                    ui.end_row();
                }
            },
        );
    });
}

fn pair_ui(ui: &mut Ui, then: f64, now: f64) {
    let tokens = Tokens::at(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(190.0, 14.0), Sense::hover());
    #[allow(clippy::cast_possible_truncation, reason = "pixels")]
    let bar = |share: f64, top: f32| {
        let size = vec2(rect.width() * share.clamp(0.0, 1.0) as f32, 5.0);
        egui::Rect::from_min_size(rect.min + vec2(0.0, top), size)
    };
    ui.painter().rect_filled(bar(then, 1.0), 1.0, tokens.series[7]);
    ui.painter().rect_filled(bar(now, 7.0), 1.0, tokens.series[0]);
}

/// What was said beside what was.
fn outcomes_ui(ui: &mut Ui, outcomes: &LiveOutcomes) {
    let tokens = Tokens::at(ui);
    section(ui, "What became of scores");
    if outcomes.n == 0 {
        let text = "No score is so old yet that its outcome is known.";
        ui.label(RichText::new(text).color(tokens.weak));
        return;
    }
    let error = match outcomes.is_probability {
        true => "Brier score",
        false => "mean squared error",
    };
    let text = format!(
        "{} scores whose time has come; {error} {}. On the diagonal they say what is.",
        thousands(outcomes.n),
        outcomes.mean_squared_error.map_or("–".to_owned(), number)
    );
    ui.add(egui::Label::new(RichText::new(text).small().color(tokens.weak)).wrap());
    let points: Vec<[f64; 2]> = outcomes.bins.iter().map(|bin| [bin.score, bin.outcome]).collect();
    let all = points.iter().flatten().copied();
    let (low, high) = all.fold((0.0_f64, 0.0_f64), |(low, high), it| (low.min(it), high.max(it)));
    Plot::new("outcomes")
        .height(CHART + 40.0)
        .legend(Legend::default())
        .allow_scroll(false)
        .allow_drag(false)
        .show(ui, |plot| {
            let diagonal = PlotPoints::from(vec![[low, low], [high, high]]);
            plot.line(Line::new("as it was said", diagonal).color(tokens.weak).width(1.0));
            plot.line(
                Line::new("as it was", PlotPoints::from(points.clone())).color(tokens.series[0]),
            );
            let marks = Points::new("as it was", PlotPoints::from(points));
            plot.points(marks.color(tokens.series[0]).radius(4.0));
        });
}
