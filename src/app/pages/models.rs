use eframe::egui::{self, Frame, Grid, Margin, Panel, RichText, ScrollArea, Ui, vec2};
use egui_plot::{Legend, Line, Plot, PlotPoints, Points};
use workspace::{
    AggregationName, Algorithm, Command, Evaluation, LabelDefinition, ModelDefinition, ModelSpec,
    Overview, SpineDefinition, SplitBy, SplitDefinition, Task, Time, TrainReport,
};

use super::{Page, error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{
    card, choice, empty_state, label_cell, number, primary_button, section, share_bar_ui,
    text_field, thousands,
};

/// Specs, training, and what came out of it.
#[derive(Debug, Default)]
pub(super) struct Models {
    form: Option<Form>,
}

/// A model spec as texts, while it is being written.
#[derive(Clone, Debug)]
struct Form {
    name: String,
    view: String,
    event: String,
    horizon: String,
    every: String,
    from: String,
    until: String,
    test: String,
    alpha: String,
    /// The spec that it came from: what the form does not show stays.
    spec: Option<ModelSpec>,
}

/// Parameters that are shown.
const SHOWN_PARAMETERS: usize = 14;

impl Models {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Models", "train on what was known then, test on what came later");
        let overview = state.look();
        if self.form.is_none() && state.overview.value().is_some() {
            self.form = Some(Form::of(overview.models.first(), overview));
        }
        let frame = Frame::NONE.inner_margin(Margin { right: 12, ..Margin::ZERO });
        Panel::left("model-spec").default_size(270.0).size_range(230.0..=420.0).frame(frame).show(
            ui,
            |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    self.spec_ui(ui, state, outbox);
                });
            },
        );
        egui::CentralPanel::default()
            .frame(Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO }))
            .show(ui, |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    error_ui(ui, &state.trained);
                    match state.trained.value() {
                        Some(report) => report_ui(ui, report, outbox),
                        None => {
                            let sentence =
                                "Train a model to see how good it is, and what it reads.";
                            empty_state(ui, sentence);
                            functions_ui(ui, overview);
                        }
                    }
                });
            });
    }

    fn spec_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let overview = state.look();
        let Some(form) = &mut self.form else { return };
        let names: Vec<&str> = overview.models.iter().map(|model| model.name.as_str()).collect();
        let mut current = form.name.clone();
        if choice(ui, "Model", &mut current, names, 160.0) {
            let spec = overview.models.iter().find(|model| model.name.as_str() == current);
            *form = Form::of(spec, overview);
        }
        text_field(ui, "Name", &mut form.name, "repurchase", f32::INFINITY);
        let views = overview.views.iter().map(|view| view.name.as_str());
        choice(ui, "View", &mut form.view, views, 160.0);
        section(ui, "Label: will they do this?");
        let events = overview.catalog.events.iter().map(String::as_str);
        choice(ui, "Event", &mut form.event, events, 160.0);
        text_field(ui, "Within", &mut form.horizon, "30d", 100.0);
        section(ui, "Rows");
        text_field(ui, "Every customer, every", &mut form.every, "30d", 100.0);
        ui.horizontal(|ui| {
            text_field(ui, "From", &mut form.from, "2024-04-01", 100.0);
            text_field(ui, "Until", &mut form.until, "2025-06-30", 100.0);
        });
        section(ui, "Learning");
        ui.horizontal(|ui| {
            text_field(ui, "Latest share tests", &mut form.test, "0.25", 100.0);
            text_field(ui, "L2 penalty", &mut form.alpha, "1", 100.0);
        });
        ui.add_space(6.0);
        let busy = state.trained.job();
        match form.spec(overview) {
            Ok(spec) => {
                if primary_button(ui, "Save and train", busy.is_none()).clicked() {
                    outbox.send(Command::SaveModel(spec));
                }
            }
            Err(message) => {
                primary_button(ui, "Save and train", false);
                ui.label(RichText::new(message).color(Tokens::at(ui).bad));
            }
        }
        if let Some(job) = busy {
            ui.horizontal(|ui| {
                ui.spinner();
                let stage = state.jobs.get(&job).and_then(|job| job.progress.as_ref());
                ui.label(stage.map_or("Training", |progress| progress.stage.as_str()));
                if ui.button("Cancel training").clicked() {
                    outbox.cancel(job);
                }
            });
        }
    }
}

impl Form {
    /// A form of a spec, or of the usual one for what is there.
    fn of(spec: Option<&ModelSpec>, overview: &Overview) -> Self {
        let day = |time: Option<Time>| time.map(Time::date).unwrap_or_default();
        let Some(spec) = spec else {
            let view = overview.views.first().map(|view| view.name.to_string());
            let (first, last) = overview.summary.span.unzip();
            let orders = |event: &&String| event.contains("order") || event.contains("purchase");
            let event = overview.catalog.events.iter().find(orders);
            let event = event.or_else(|| overview.catalog.events.first());
            return Self {
                name: "repurchase".to_owned(),
                view: view.unwrap_or_default(),
                event: event.cloned().unwrap_or_default(),
                horizon: "30d".to_owned(),
                every: "30d".to_owned(),
                from: day(first),
                until: day(last),
                test: "0.25".to_owned(),
                alpha: "1".to_owned(),
                spec: None,
            };
        };
        Self {
            name: spec.name.to_string(),
            view: spec.view.to_string(),
            event: spec.label.events.first().cloned().unwrap_or_default(),
            horizon: spec.label.horizon.map(|span| span.to_string()).unwrap_or_default(),
            every: spec.spine.every.map(|every| every.to_string()).unwrap_or_default(),
            from: day(spec.spine.from),
            until: day(spec.spine.until),
            test: spec.split.test.to_string(),
            alpha: spec.model.alpha.to_string(),
            spec: Some(spec.clone()),
        }
    }

    /// The spec that the form says, or what is wrong with it.
    fn spec(&self, overview: &Overview) -> Result<ModelSpec, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let time = |written: &str| written.parse::<Time>().map(Some).map_err(|e| text(&e));
        let number = |written: &str| {
            written.trim().parse::<f64>().map_err(|_nan| format!("'{written}' is not a number"))
        };
        if !overview.catalog.events.contains(&self.event) {
            return Err("choose the event that is to be predicted".to_owned());
        }
        let spine = SpineDefinition {
            every: Some(self.every.trim().parse().map_err(|e| text(&e))?),
            from: time(&self.from)?,
            until: time(&self.until)?,
            ..SpineDefinition::default()
        };
        let label = LabelDefinition {
            aggregation: Some(AggregationName::Count),
            events: vec![self.event.clone()],
            property: None,
            condition: self.spec.as_ref().and_then(|spec| spec.label.condition.clone()),
            horizon: Some(self.horizon.trim().parse().map_err(|e| text(&e))?),
            positive: Some("label > 0".to_owned()),
        };
        let (by, seed) = match &self.spec {
            Some(spec) => (spec.split.by, spec.model.seed),
            None => (SplitBy::Time, 7),
        };
        Ok(ModelSpec {
            name: self.name.trim().parse().map_err(|e| text(&e))?,
            view: self.view.parse().map_err(|_no_name| "choose a view".to_owned())?,
            task: Task::Classification,
            spine,
            label,
            split: SplitDefinition { by, test: number(&self.test)? },
            model: ModelDefinition {
                algorithm: Algorithm::LogisticRegression,
                seed,
                alpha: number(&self.alpha)?,
            },
        })
    }
}

/// What came out of a training.
fn report_ui(ui: &mut Ui, report: &TrainReport, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new(report.name.as_str()).font(strong(16.0)).color(tokens.strong));
        let n = |n: usize| thousands(u64::try_from(n).unwrap_or(0));
        ui.label(format!(
            "{} rows, {} positive, {} not fully observed, {:.1} s",
            n(report.rows),
            n(report.positives),
            n(report.dropped),
            report.seconds
        ));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("Deploy…").clicked() {
                outbox.go(Page::Deploy);
            }
        });
    });
    ui.horizontal_top(|ui| {
        let third = (ui.available_width() - 16.0) / 3.0;
        ui.allocate_ui(vec2(third, 0.0), |ui| metrics_ui(ui, report));
        ui.allocate_ui(vec2(third, 0.0), |ui| roc_ui(ui, report));
        ui.allocate_ui(vec2(third, 0.0), |ui| calibration_ui(ui, &report.test));
    });
    parameters_ui(ui, report);
    let hash: String = report.hash.chars().take(16).collect();
    ui.label(
        RichText::new(format!("frozen into {} with hash {hash}…", report.path))
            .small()
            .color(tokens.weak),
    );
}

fn metrics_ui(ui: &mut Ui, report: &TrainReport) {
    let tokens = Tokens::at(ui);
    card(ui, |ui| {
        ui.set_min_size(vec2(ui.available_width(), 250.0));
        section(ui, "Metrics");
        Grid::new("metrics").num_columns(3).spacing([18.0, 6.0]).show(ui, |ui| {
            for title in ["", "train", "test"] {
                ui.label(RichText::new(title).small().color(tokens.weak));
            }
            ui.end_row();
            let row = |ui: &mut Ui, name: &str, value: fn(&Evaluation) -> f64| {
                ui.label(name);
                ui.label(RichText::new(number(value(&report.train))).monospace());
                ui.label(RichText::new(number(value(&report.test))).monospace());
                ui.end_row();
            };
            #[allow(clippy::cast_precision_loss, reason = "counts for people")]
            let count = |n: usize| n as f64;
            row(ui, "AUC", |e| e.auc);
            row(ui, "log-loss", |e| e.log_loss);
            row(ui, "Brier", |e| e.brier);
            row(ui, "calibration error", |e| e.calibration_error);
            ui.label("rows");
            ui.label(RichText::new(number(count(report.train.rows))).monospace());
            ui.label(RichText::new(number(count(report.test.rows))).monospace());
            ui.end_row();
            ui.label("positive");
            ui.label(RichText::new(number(count(report.train.positives))).monospace());
            ui.label(RichText::new(number(count(report.test.positives))).monospace());
            ui.end_row();
        });
    });
}

fn plot(id: &str) -> Plot<'static> {
    Plot::new(id.to_owned())
        .height(216.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .include_x(0.0)
        .include_x(1.0)
        .include_y(0.0)
        .include_y(1.0)
}

fn points(pairs: impl Iterator<Item = (f64, f64)>) -> PlotPoints<'static> {
    pairs.filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, y)| [x, y]).collect()
}

fn diagonal(tokens: &Tokens) -> Line<'static> {
    Line::new("chance", points([(0.0, 0.0), (1.0, 1.0)].into_iter())).color(tokens.line)
}

fn roc_ui(ui: &mut Ui, report: &TrainReport) {
    let tokens = Tokens::at(ui);
    card(ui, |ui| {
        section(ui, "ROC");
        plot("roc").legend(Legend::default()).show(ui, |plot| {
            plot.line(diagonal(tokens));
            for (name, evaluation, color) in [
                ("train", &report.train, tokens.series[7]),
                ("test", &report.test, tokens.series[0]),
            ] {
                let curve = points(evaluation.roc.iter().copied());
                plot.line(Line::new(name, curve).color(color).width(2.0));
            }
        });
    });
}

fn calibration_ui(ui: &mut Ui, test: &Evaluation) {
    let tokens = Tokens::at(ui);
    card(ui, |ui| {
        section(ui, "Calibration on the test part");
        let pairs = || test.calibration.iter().map(|bin| (bin.score, bin.observed));
        let most = pairs().fold(0.05_f64, |most, (x, y)| most.max(x).max(y));
        let most = (most * 10.0).ceil() / 10.0;
        Plot::new("calibration")
            .height(216.0)
            .allow_drag(false)
            .allow_zoom(false)
            .allow_scroll(false)
            .include_x(0.0)
            .include_y(0.0)
            .include_x(most)
            .include_y(most)
            .show(ui, |plot| {
                let ideal = points([(0.0, 0.0), (most, most)].into_iter());
                plot.line(Line::new("ideal", ideal).color(tokens.line));
                plot.line(
                    Line::new("observed", points(pairs())).color(tokens.series[0]).width(2.0),
                );
                plot.points(
                    Points::new("bins", points(pairs())).radius(3.5).color(tokens.series[0]),
                );
            });
    });
}

fn parameters_ui(ui: &mut Ui, report: &TrainReport) {
    let tokens = Tokens::at(ui);
    section(ui, "What it reads, strongest first");
    let strongest = report.parameters.first().map_or(1.0, |p| p.weight.abs().max(1e-12));
    ui.spacing_mut().item_spacing.y = 2.0;
    for parameter in report.parameters.iter().take(SHOWN_PARAMETERS) {
        ui.horizontal(|ui| {
            label_cell(ui, RichText::new(&parameter.name).size(12.0), 220.0);
            #[allow(clippy::cast_possible_truncation, reason = "pixels")]
            let share = (parameter.weight.abs() / strongest) as f32;
            let color = if parameter.weight >= 0.0 { tokens.series[0] } else { tokens.series[1] };
            share_bar_ui(ui, share, 220.0, color);
            ui.label(RichText::new(format!("{:+.3}", parameter.weight)).monospace().size(11.5));
        });
    }
}

/// Functions that were trained before.
fn functions_ui(ui: &mut Ui, overview: &Overview) {
    if overview.functions.is_empty() {
        return;
    }
    section(ui, "Trained before");
    for function in &overview.functions {
        let auc = function.auc.map(|auc| format!(", test AUC {auc:.3}")).unwrap_or_default();
        let hash: String = function.hash.chars().take(12).collect();
        ui.label(format!("{}{auc} ({hash}…)", function.name));
    }
}
