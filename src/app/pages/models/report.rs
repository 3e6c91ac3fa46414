use eframe::egui::{self, Grid, RichText, Ui, vec2};
use egui_plot::{Bar, BarChart, Legend, Line, Plot, PlotPoints};
use workspace::{Chart, Evaluation, TrainReport};

use super::super::Page;
use crate::state::Outbox;
use crate::theme::{Tokens, strong};
use crate::widgets::{card, label_cell, number, section, share_bar_ui, thousands};

/// Parameters and features that are shown.
const SHOWN: usize = 14;
/// The height of a chart.
const HEIGHT: f32 = 216.0;

/// What came out of a training.
pub(super) fn ui(ui: &mut Ui, report: &TrainReport, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(report.name.as_str()).font(strong(16.0)).color(tokens.strong));
        let n = |n: usize| thousands(u64::try_from(n).unwrap_or(0));
        let positives = match report.positives {
            0 => String::new(),
            positives => format!(", {} positive", n(positives)),
        };
        ui.label(format!(
            "{} with {}: {} rows{positives}, {} left out, {:.1} s",
            report.task,
            report.algorithm,
            n(report.rows),
            n(report.dropped),
            report.seconds
        ));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("Deploy…").clicked() {
                outbox.go(Page::Deploy);
            }
        });
    });
    for warning in &report.warnings {
        ui.label(RichText::new(format!("Look at this: {warning}")).color(tokens.warn));
    }
    ui.horizontal_top(|ui| {
        let half = (ui.available_width() - 12.0) / 2.0;
        ui.allocate_ui(vec2(half, 0.0), |ui| metrics_ui(ui, report));
        ui.allocate_ui(vec2(half, 0.0), |ui| first_chart_ui(ui, report));
    });
    let rest: Vec<(Chart, Option<&Chart>)> = charts(report).into_iter().skip(1).collect();
    charts_ui(ui, "more", &rest);
    segments_ui(ui, report);
    importance_ui(ui, report);
    if !report.dependence.is_empty() {
        section(ui, "How the mean score changes with a feature");
        let own: Vec<(Chart, Option<&Chart>)> =
            report.dependence.iter().map(|chart| (chart.clone(), None)).collect();
        charts_ui(ui, "dependence", &own);
    }
    parameters_ui(ui, report);
    let hash: String = report.hash.chars().take(16).collect();
    ui.label(
        RichText::new(format!("frozen into {} with hash {hash}…", report.path))
            .small()
            .color(tokens.weak),
    );
}

/// The charts of the test part, each with that of the training part.
fn charts(report: &TrainReport) -> Vec<(Chart, Option<&Chart>)> {
    let twin = |title: &str| report.train.charts.iter().find(|chart| chart.title == title);
    report.test.charts.iter().map(|chart| (chart.clone(), twin(&chart.title))).collect()
}

fn first_chart_ui(ui: &mut Ui, report: &TrainReport) {
    if let Some((chart, train)) = charts(report).first() {
        card(ui, |ui| chart_ui(ui, "first", chart, *train));
    }
}

/// Charts in rows of as many as fit.
pub(super) fn charts_ui(ui: &mut Ui, id: &str, charts: &[(Chart, Option<&Chart>)]) {
    let columns = if ui.available_width() > 900.0 { 3 } else { 2 };
    for (row, charts) in charts.chunks(columns).enumerate() {
        ui.horizontal_top(|ui| {
            #[allow(clippy::cast_precision_loss, reason = "two or three columns")]
            let width = ui.available_width() / columns as f32 - 10.0;
            for (place, (chart, train)) in charts.iter().enumerate() {
                ui.allocate_ui(vec2(width, 0.0), |ui| {
                    card(ui, |ui| chart_ui(ui, &format!("{id}-{row}-{place}"), chart, *train));
                });
            }
        });
    }
}

fn points(pairs: &[(f64, f64)]) -> PlotPoints<'static> {
    pairs.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, y)| [*x, *y]).collect()
}

/// A chart as it is said in numbers; a second one of the same kind is drawn weaker.
fn chart_ui(ui: &mut Ui, id: &str, chart: &Chart, train: Option<&Chart>) {
    let tokens = Tokens::at(ui);
    section(ui, &chart.title);
    let all = chart.series.iter().flat_map(|series| &series.points);
    let most = all.fold(0.0_f64, |most, (x, y)| most.max(*x).max(*y));
    let plot = Plot::new(id.to_owned())
        .height(HEIGHT)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .x_axis_label(chart.x.clone())
        .y_axis_label(chart.y.clone());
    let plot = if chart.diagonal { plot.include_x(0.0).include_y(0.0) } else { plot };
    let has_legend = chart.series.len() > 1 || (train.is_some() && !chart.bars);
    let plot = if has_legend { plot.legend(Legend::default()) } else { plot };
    plot.show(ui, |plot| {
        if chart.diagonal && most > 0.0 {
            let ends = [(0.0, 0.0), (most, most)];
            plot.line(Line::new("diagonal", points(&ends)).color(tokens.line));
        }
        if chart.bars {
            let bars = chart.series.iter().flat_map(|series| &series.points);
            let finite = bars.filter(|(x, y)| x.is_finite() && y.is_finite());
            let width = bar_width(chart);
            let bars = finite.map(|(x, y)| Bar::new(*x, *y).width(width)).collect();
            plot.bar_chart(BarChart::new(chart.title.clone(), bars).color(tokens.series[0]));
            return;
        }
        if let (Some(train), 1) = (train, chart.series.len()) {
            for series in &train.series {
                plot.line(Line::new("train", points(&series.points)).color(tokens.series[7]));
            }
        }
        for (place, series) in chart.series.iter().enumerate() {
            let name =
                if train.is_some() && chart.series.len() == 1 { "test" } else { &series.name };
            let color = tokens.series[place % tokens.series.len()];
            plot.line(Line::new(name, points(&series.points)).color(color).width(2.0));
        }
    });
}

/// Bars touch nearly.
fn bar_width(chart: &Chart) -> f64 {
    let xs: Vec<f64> =
        chart.series.iter().flat_map(|series| &series.points).map(|(x, _)| *x).collect();
    let gaps = xs.windows(2).map(|pair| (pair[1] - pair[0]).abs()).filter(|gap| *gap > 0.0);
    let least = gaps.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least * 0.9 } else { 0.9 }
}

fn metrics_ui(ui: &mut Ui, report: &TrainReport) {
    let tokens = Tokens::at(ui);
    card(ui, |ui| {
        ui.set_min_size(vec2(ui.available_width(), HEIGHT + 34.0));
        section(ui, "Metrics");
        Grid::new("metrics").num_columns(4).spacing([16.0, 4.0]).show(ui, |ui| {
            for title in ["", "test", "95 % of samples", "train"] {
                ui.label(RichText::new(title).small().color(tokens.weak));
            }
            ui.end_row();
            for metric in &report.test.metrics {
                ui.label(metric.name.replace('_', " "));
                ui.label(RichText::new(number(metric.value)).monospace());
                let interval = metric
                    .interval
                    .map(|(low, high)| format!("{} to {}", number(low), number(high)));
                ui.label(RichText::new(interval.unwrap_or_default()).small().color(tokens.weak));
                let train = report.train.metric(&metric.name).map(number).unwrap_or_default();
                ui.label(RichText::new(train).monospace());
                ui.end_row();
            }
            baselines_ui(ui, report);
        });
        confusion_ui(ui, &report.test);
    });
}

/// The first metric of simple scores, to compare with.
fn baselines_ui(ui: &mut Ui, report: &TrainReport) {
    let weak = Tokens::at(ui).weak;
    let Some(first) = report.test.metrics.first() else { return };
    for (part, metrics) in &report.metrics {
        if let (Some(name), Some(value)) =
            (part.strip_prefix("baseline: "), metrics.get(&first.name))
        {
            ui.label(RichText::new(format!("{} of {name}", first.name)).color(weak));
            ui.label(RichText::new(number(*value)).monospace().color(weak));
            ui.end_row();
        }
    }
}

fn confusion_ui(ui: &mut Ui, test: &Evaluation) {
    let Some(confusion) = &test.confusion else { return };
    let weak = Tokens::at(ui).weak;
    ui.add_space(4.0);
    ui.label(
        RichText::new(format!(
            "at a threshold of {}: {} right alarms, {} false ones, {} missed, {} rightly left; precision {}, \
             recall {}",
            number(confusion.threshold),
            number(confusion.true_positives),
            number(confusion.false_positives),
            number(confusion.false_negatives),
            number(confusion.true_negatives),
            number(confusion.precision()),
            number(confusion.recall())
        ))
        .small()
        .color(weak),
    );
}

fn bar_row_ui(ui: &mut Ui, name: &str, share: f64, text: String, is_positive: bool) {
    let tokens = Tokens::at(ui);
    ui.horizontal(|ui| {
        label_cell(ui, RichText::new(name).size(12.0), 220.0);
        #[allow(clippy::cast_possible_truncation, reason = "pixels")]
        let share = share.clamp(0.0, 1.0) as f32;
        let color = if is_positive { tokens.series[0] } else { tokens.series[1] };
        share_bar_ui(ui, share, 220.0, color);
        ui.label(RichText::new(text).monospace().size(11.5));
    });
}

fn importance_ui(ui: &mut Ui, report: &TrainReport) {
    if report.importance.is_empty() {
        return;
    }
    section(ui, "What the loss grows by without a feature");
    let most = report.importance.first().map_or(1.0, |one| one.loss.max(1e-12));
    ui.spacing_mut().item_spacing.y = 2.0;
    for one in report.importance.iter().take(SHOWN) {
        let text = format!("{:.5} ± {:.5}", one.loss, one.spread);
        bar_row_ui(ui, &one.feature, one.loss / most, text, one.loss >= 0.0);
    }
}

fn parameters_ui(ui: &mut Ui, report: &TrainReport) {
    if report.parameters.is_empty() {
        return;
    }
    section(ui, "What was learned, strongest first");
    let strongest = report.parameters.first().map_or(1.0, |p| p.weight.abs().max(1e-12));
    ui.spacing_mut().item_spacing.y = 2.0;
    for parameter in report.parameters.iter().take(SHOWN) {
        let (weight, text) = (parameter.weight, format!("{:+.3}", parameter.weight));
        bar_row_ui(ui, &parameter.name, weight.abs() / strongest, text, weight >= 0.0);
    }
}

fn segments_ui(ui: &mut Ui, report: &TrainReport) {
    let weak = Tokens::at(ui).weak;
    for segment in &report.segments {
        card(ui, |ui| {
            let customers = thousands(u64::try_from(segment.customers).unwrap_or(0));
            let rows = thousands(u64::try_from(segment.rows).unwrap_or(0));
            section(ui, &format!("{}: {rows} rows of {customers} customers", segment.name));
            let id = format!("segment {}", segment.name);
            Grid::new(id).num_columns(4).spacing([18.0, 3.0]).show(ui, |ui| {
                for title in ["feature", "here", "everywhere", "standard deviations"] {
                    ui.label(RichText::new(title).small().color(weak));
                }
                ui.end_row();
                for (feature, here, everywhere, difference) in &segment.features {
                    ui.label(feature);
                    ui.label(RichText::new(number(*here)).monospace());
                    ui.label(RichText::new(number(*everywhere)).monospace());
                    ui.label(RichText::new(format!("{difference:+.2}")).monospace());
                    ui.end_row();
                }
            });
        });
    }
}
