//! Experiments: what is tried on live customers, set up on the left, read out on the right.

mod form;
mod readout;

use std::time::{Duration, Instant};

use eframe::egui::{self, Frame, Margin, Panel, RichText, ScrollArea, Ui};
use serde::{Deserialize, Serialize};
use workspace::{
    Command, ExperimentCommand, ExperimentDefinition, LiveExperiment, Name, Overview, PowerPlan,
};

use self::form::Form;
use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{choice, empty_state, number, primary_button, section, text_area};

/// The page.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    form: Option<Form>,
    /// The definition as text, while it is edited so.
    text: Option<String>,
    /// The experiment that was read out last, and where from.
    asked: Option<(Name, Option<String>)>,
    /// When the endpoint was asked last.
    listed: Option<Instant>,
    /// The variant that a first click chose: the second one gives it to everybody.
    chosen: Option<Name>,
    /// The experiment to show, when the experiments are there.
    wanted: Option<String>,
    /// Whether the form is not what is saved.
    is_changed: bool,
}

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExperimentsShown {
    experiment: Option<String>,
    /// What is not saved of it, as a form or as a text.
    form: Option<Form>,
    text: Option<String>,
}

/// How often the endpoint is asked while the page is shown.
const POLL: Duration = Duration::from_secs(5);

impl Experiments {
    pub(super) fn shown(&self) -> ExperimentsShown {
        let form = self.form.as_ref();
        ExperimentsShown {
            experiment: form.map(|form| form.name.clone()).or_else(|| self.wanted.clone()),
            form: form.filter(|_| self.is_changed).cloned(),
            text: self.text.clone(),
        }
    }

    pub(super) fn show(&mut self, shown: ExperimentsShown) {
        self.wanted = shown.experiment;
        self.form = shown.form;
        self.is_changed = self.form.is_some();
        self.text = shown.text;
    }

    /// The form of what is saved, if there is no other; and whether it still is that.
    fn take_saved(&mut self, overview: &Overview) {
        let saved = |name: &str| overview.experiments.iter().find(|it| it.name.as_str() == name);
        let form = self.form.get_or_insert_with(|| {
            let wanted = self.wanted.as_deref().and_then(saved);
            Form::of(wanted.or_else(|| overview.experiments.first()), overview)
        });
        // Where it came from does not count, and is what is saved once both are alike.
        let known = Form::of(saved(&form.name), overview);
        let mut alike = form.clone();
        alike.base.clone_from(&known.base);
        self.is_changed = alike != known;
        if !self.is_changed {
            form.base = known.base;
        }
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(
            ui,
            "Experiments",
            "test a hypothesis on live customers, and know when to believe it",
        );
        let overview = state.look();
        if state.overview.value().is_some() {
            self.take_saved(overview);
        }
        self.poll(ui, state, outbox);
        let frame = Frame::NONE.inner_margin(Margin { right: 12, ..Margin::ZERO });
        Panel::left("experiment").default_size(300.0).size_range(240.0..=460.0).frame(frame).show(
            ui,
            |ui| {
                let definition = self.definition(state);
                Panel::bottom("experiment-actions").frame(Frame::NONE).show(ui, |ui| {
                    ui.add_space(6.0);
                    self.text_switch_ui(ui, state, &definition);
                    actions_ui(ui, &definition, state, outbox);
                });
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| self.set_up_ui(ui, state));
            },
        );
        let frame = Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO });
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                self.live_ui(ui, state, outbox);
            });
        });
    }

    fn name(&self) -> Option<Name> {
        self.form.as_ref()?.name()
    }

    /// Asks the endpoint what runs, now and then; and reads out what is shown, once.
    fn poll(&mut self, ui: &Ui, state: &State, outbox: &mut Outbox) {
        if let Some(url) = &state.url
            && self.listed.is_none_or(|listed| listed.elapsed() > POLL)
            && state.experiments.job().is_none()
        {
            self.listed = Some(Instant::now());
            outbox.send(Command::Experiment(ExperimentCommand::List(url.clone())));
        }
        if state.url.is_some() {
            ui.ctx().request_repaint_after(POLL);
        }
        let is_saved = |name: &Name| state.look().experiments.iter().any(|it| it.name == *name);
        let Some(name) = self.name().filter(is_saved) else { return };
        let wanted = (name, state.url.clone());
        if self.asked.as_ref() != Some(&wanted) {
            read_out(&wanted.0, None, outbox);
            self.asked = Some(wanted);
            self.chosen = None;
        }
    }

    /// The definition that the form, or the text, says; or what is wrong with it.
    fn definition(&self, state: &State) -> Result<ExperimentDefinition, String> {
        let definition = match (&self.text, &self.form) {
            (Some(text), _) => ExperimentDefinition::from_toml(text),
            (None, Some(form)) => return form.definition(),
            (None, None) if state.overview.error().is_some() => {
                return Err("the project cannot be read".to_owned());
            }
            (None, None) => return Err("the project is being read".to_owned()),
        };
        definition.map_err(|error| error.to_string())
    }

    fn set_up_ui(&mut self, ui: &mut Ui, state: &State) {
        let overview = state.look();
        let Some(form) = &mut self.form else { return };
        let names: Vec<&str> = overview.experiments.iter().map(|it| it.name.as_str()).collect();
        let mut current = form.saved_name().unwrap_or("new").to_owned();
        let options = names.iter().copied().chain(["new"]);
        if choice(ui, "Experiment", &mut current, options, 220.0) {
            let known = overview.experiments.iter().find(|it| it.name.as_str() == current);
            *form = Form::of(known, overview);
            self.text = None;
            self.asked = None;
        }
        match &mut self.text {
            Some(text) => {
                text_area(ui, "Definition", text, 24);
            }
            None => form.ui(ui, overview),
        }
    }

    fn text_switch_ui(
        &mut self,
        ui: &mut Ui,
        state: &State,
        definition: &Result<ExperimentDefinition, String>,
    ) {
        let mut is_text = self.text.is_some();
        ui.checkbox(&mut is_text, "As text");
        match (is_text, self.text.is_some(), definition) {
            (true, false, Ok(definition)) => self.text = Some(definition.to_toml()),
            (false, true, Ok(definition)) => {
                self.form = Some(Form::of(Some(definition), state.look()));
                self.text = None;
            }
            _ => {}
        }
    }

    /// What runs of the experiment, and what came of it.
    fn live_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let Some(name) = self.name() else {
            empty_state(ui, "Say what is tried, on whom, and what would be better.");
            return;
        };
        let live = state.experiments.value().and_then(|all| all.iter().find(|it| it.name == name));
        let tokens = Tokens::at(ui);
        ui.horizontal_wrapped(|ui| {
            section(ui, name.as_str());
            match live {
                Some(live) => live_line(ui, live),
                None => {
                    ui.label(RichText::new("not started here").color(tokens.weak));
                }
            }
            if ui
                .button("Read out")
                .on_hover_text("Pull new events, and compare the variants")
                .clicked()
            {
                read_out(&name, state.url.clone(), outbox);
            }
            if state.readout.job().is_some() {
                ui.spinner();
            }
        });
        if let Some((planned, plan)) = state.plan.value().filter(|(planned, _)| *planned == name) {
            plan_ui(ui, planned, plan);
        }
        error_ui(ui, &state.plan);
        match state.readout.value().filter(|readout| readout.experiment == name) {
            Some(shown) => {
                readout::advice_ui(ui, shown);
                self.decision_ui(ui, state, &name, live, &shown.advice.why, outbox);
                readout::ui(ui, shown);
            }
            None => {
                error_ui(ui, &state.readout);
                empty_state(
                    ui,
                    "Nobody was exposed yet. Start it; then customers who are asked for get a variant.",
                );
                self.decision_ui(ui, state, &name, live, "", outbox);
            }
        }
        if let Some(live) = live {
            log_ui(ui, live);
        }
    }

    /// Two clicks end an experiment: which variant, and yes.
    fn decision_ui(
        &mut self,
        ui: &mut Ui,
        state: &State,
        name: &Name,
        live: Option<&LiveExperiment>,
        why: &str,
        outbox: &mut Outbox,
    ) {
        let (Some(url), Some(live)) = (&state.url, live) else { return };
        section(ui, "Decide");
        ui.horizontal_wrapped(|ui| {
            for variant in &live.definition.variants {
                let is_chosen = self.chosen.as_ref() == Some(&variant.name);
                let text = format!("Everybody gets {}", variant.name);
                if ui.selectable_label(is_chosen, text).clicked() {
                    self.chosen = (!is_chosen).then(|| variant.name.clone());
                }
            }
            let end = |variant: Option<Name>| {
                let (url, name, note) = (url.clone(), name.clone(), why.to_owned());
                Command::Experiment(ExperimentCommand::End { url, name, variant, note })
            };
            if let Some(chosen) = self.chosen.clone()
                && ui.button(format!("Yes, {chosen} for everybody")).clicked()
            {
                outbox.send(end(Some(chosen)));
                self.chosen = None;
            }
            if live.state != "stopped" && ui.button("Stop: back to the control").clicked() {
                outbox.send(end(None));
            }
        });
    }
}

fn read_out(name: &Name, url: Option<String>, outbox: &mut Outbox) {
    let name = name.clone();
    outbox.send(Command::Experiment(ExperimentCommand::ReadOut { name, url }));
}

fn live_line(ui: &mut Ui, live: &LiveExperiment) {
    let tokens = Tokens::at(ui);
    let color = if live.state == "running" { tokens.good } else { tokens.warn };
    let winner = live.winner.as_ref().map(|winner| format!(": {winner}")).unwrap_or_default();
    ui.label(RichText::new("●").color(color));
    ui.label(format!("version {} {}{winner}", live.version, live.state));
    for arm in &live.arms {
        let text = format!("{}: {:.0} % of the next", arm.variant, 100.0 * arm.chance);
        ui.label(RichText::new(text).color(tokens.weak));
    }
}

fn actions_ui(
    ui: &mut Ui,
    definition: &Result<ExperimentDefinition, String>,
    state: &State,
    outbox: &mut Outbox,
) {
    let tokens = Tokens::at(ui);
    let definition = match definition {
        Ok(definition) => definition,
        Err(problem) => {
            ui.add(egui::Label::new(RichText::new(problem).color(tokens.warn)).wrap());
            return;
        }
    };
    ui.horizontal_wrapped(|ui| {
        if ui.button("Save and plan").on_hover_text("How long it would take").clicked() {
            let command = ExperimentCommand::Plan(Box::new(definition.clone()));
            outbox.send(Command::Experiment(command));
        }
        match &state.url {
            Some(url) => {
                if primary_button(ui, "Start", true).clicked() {
                    let (url, definition) = (url.clone(), Box::new(definition.clone()));
                    let command = ExperimentCommand::Start { url, definition };
                    outbox.send(Command::Experiment(command));
                }
            }
            None => {
                if primary_button(ui, "Go live", true).clicked() {
                    outbox.send(Command::GoLive);
                }
            }
        }
    });
}

fn plan_ui(ui: &mut Ui, name: &Name, plan: &PowerPlan) {
    section(ui, "How long it would take");
    let tokens = Tokens::at(ui);
    let text = format!(
        "{name}: {} customers a day, by {} of the last weeks. A true effect is found in {:.0} % of cases.",
        number(plan.customers_a_day.round()),
        plan.measured_on,
        100.0 * plan.power
    );
    ui.label(RichText::new(text).color(tokens.weak));
    egui::Grid::new("plan").num_columns(6).striped(true).spacing([16.0, 4.0]).show(ui, |ui| {
        for title in
            ["Metric", "Now", "Change", "Customers", "Days, looking any time", "Four weeks find"]
        {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        let count = |n: Option<f64>| n.map_or_else(|| "–".to_owned(), |n| number(n.ceil()));
        for metric in &plan.metrics {
            ui.label(&metric.name);
            ui.label(number(metric.mean));
            ui.label(format!("{:+.0} %", 100.0 * metric.effect));
            ui.label(count(metric.customers_always));
            ui.label(count(metric.days_always));
            let found = metric.in_four_weeks;
            ui.label(found.map_or_else(|| "–".to_owned(), |it| format!("{:.1} %", 100.0 * it)));
            ui.end_row();
        }
    });
    ui.add_space(8.0);
}

fn log_ui(ui: &mut Ui, live: &LiveExperiment) {
    section(ui, "Decision log");
    let tokens = Tokens::at(ui);
    for change in live.changes.iter().rev() {
        let variant = change.variant.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        let at = change.at.to_string().chars().take(16).collect::<String>().replace('T', " ");
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(at).monospace().color(tokens.weak));
            ui.label(format!("version {}: {}{variant}", change.version, change.action));
            ui.label(RichText::new(&change.note).color(tokens.weak));
        });
    }
}
