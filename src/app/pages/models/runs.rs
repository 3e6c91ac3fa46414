use eframe::egui::{Checkbox, Grid, RichText, Role, Ui, WidgetInfo};
use workspace::{Chart, Command, Run, Series, Tried};

use super::report;
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{empty_state, number, section};

/// The runs of a model: which of them are compared.
#[derive(Debug, Default)]
pub(super) struct Runs {
    compared: Vec<String>,
}

/// Runs that are compared.
const MOST_COMPARED: usize = 2;
/// Metrics of a run that are shown.
const METRICS: usize = 2;

impl Runs {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        if let Some(tried) = state.tried.value() {
            tried_ui(ui, tried);
        }
        let Some((_, runs)) = state.runs.value().filter(|(_, runs)| !runs.is_empty()) else {
            empty_state(ui, "Every training is a run, and is listed here.");
            return;
        };
        section(ui, "Runs, latest first; mark two to compare them");
        self.table_ui(ui, state, runs, outbox);
        let compared: Vec<&Run> =
            runs.iter().filter(|run| self.compared.contains(&run.hash)).collect();
        if let [left, right] = compared.as_slice() {
            compare_ui(ui, left, right);
        }
    }

    fn table_ui(&mut self, ui: &mut Ui, state: &State, runs: &[Run], outbox: &mut Outbox) {
        let weak = Tokens::at(ui).weak;
        let live = |run: &Run| state.look().functions.iter().any(|known| known.hash == run.hash);
        Grid::new("runs").striped(true).num_columns(7).spacing([14.0, 4.0]).show(ui, |ui| {
            for title in ["", "run", "ended", "algorithm", "rows", "", "test"] {
                ui.label(RichText::new(title).small().color(weak));
            }
            ui.end_row();
            for run in runs {
                let short: String = run.hash.chars().take(8).collect();
                let mut is_marked = self.compared.contains(&run.hash);
                let mark = ui.add(Checkbox::without_text(&mut is_marked));
                mark.widget_info(|| {
                    let text = format!("Compare run {short}");
                    WidgetInfo::labeled(Role::CheckBox, true, text)
                });
                if mark.changed() {
                    self.mark(&run.hash, is_marked);
                }
                ui.label(RichText::new(&short).monospace());
                ui.label(run.at.to_string().chars().take(16).collect::<String>());
                ui.label(run.report.algorithm.name());
                ui.label(run.report.rows.to_string());
                if live(run) {
                    ui.label(RichText::new("to deploy").small().color(weak));
                } else if ui.button("Use").on_hover_text("Deploy this one").clicked() {
                    outbox.send(Command::UseRun(run.report.name.clone(), run.hash.clone()));
                }
                let metrics = run.report.test.metrics.iter().take(METRICS);
                let metrics: Vec<String> =
                    metrics.map(|one| format!("{} {}", one.name, number(one.value))).collect();
                ui.label(RichText::new(metrics.join("   ")).size(12.0));
                ui.end_row();
            }
        });
    }

    fn mark(&mut self, hash: &str, is_marked: bool) {
        self.compared.retain(|known| known != hash);
        if is_marked {
            self.compared.push(hash.to_owned());
            let surplus = self.compared.len().saturating_sub(MOST_COMPARED);
            self.compared.drain(..surplus);
        }
    }
}

fn tried_ui(ui: &mut Ui, tried: &Tried) {
    let weak = Tokens::at(ui).weak;
    section(ui, "Algorithms that were tried, best first, on parts of the training rows");
    Grid::new("tried").striped(true).num_columns(4).spacing([14.0, 4.0]).show(ui, |ui| {
        for title in ["algorithm", "judged by", "value", "seconds"] {
            ui.label(RichText::new(title).small().color(weak));
        }
        ui.end_row();
        for candidate in &tried.candidates {
            ui.label(candidate.algorithm.name());
            match (&candidate.metric, candidate.value, &candidate.problem) {
                (Some(metric), Some(value), _) => {
                    ui.label(metric);
                    ui.label(RichText::new(number(value)).monospace());
                }
                (_, _, problem) => {
                    ui.label(problem.clone().unwrap_or_default());
                    ui.label("");
                }
            }
            ui.label(RichText::new(format!("{:.1}", candidate.seconds)).monospace());
            ui.end_row();
        }
    });
}

/// Two runs side by side: metrics, what differs in their specs, and their curves.
fn compare_ui(ui: &mut Ui, left: &Run, right: &Run) {
    let tokens = Tokens::at(ui);
    let short = |run: &Run| run.hash.chars().take(8).collect::<String>();
    section(ui, &format!("{} and {}", short(left), short(right)));
    Grid::new("compared").num_columns(4).spacing([18.0, 4.0]).show(ui, |ui| {
        for title in ["", &short(left), &short(right), "difference"] {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for metric in &left.report.test.metrics {
            let Some(other) = right.report.test.metric(&metric.name) else { continue };
            ui.label(metric.name.replace('_', " "));
            ui.label(RichText::new(number(metric.value)).monospace());
            ui.label(RichText::new(number(other)).monospace());
            ui.label(RichText::new(format!("{:+.4}", metric.value - other)).monospace());
            ui.end_row();
        }
        let lines = |run: &Run| run.spec.lines().map(str::to_owned).collect::<Vec<String>>();
        let (own, others) = (lines(left), lines(right));
        let only = |these: &[String], those: &[String]| {
            let only: Vec<&str> =
                these.iter().filter(|line| !those.contains(line)).map(String::as_str).collect();
            only.join("\n")
        };
        ui.label("only in its spec");
        ui.label(RichText::new(only(&own, &others)).monospace().size(11.0));
        ui.label(RichText::new(only(&others, &own)).monospace().size(11.0));
        ui.end_row();
    });
    let both: Vec<(Chart, Option<&Chart>)> = left
        .report
        .test
        .charts
        .iter()
        .filter_map(|chart| {
            let twin = right.report.test.charts.iter().find(|twin| twin.title == chart.title)?;
            let named = |run: &Run, chart: &Chart| {
                let points = chart.series.first().map(|series| series.points.clone());
                Series {
                    name: format!("{} {}", short(run), run.report.algorithm),
                    points: points.unwrap_or_default(),
                }
            };
            let series = vec![named(left, chart), named(right, twin)];
            Some((Chart { series, bars: false, ..chart.clone() }, None))
        })
        .collect();
    report::charts_ui(ui, "compared", &both);
}
