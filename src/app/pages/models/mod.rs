//! Specs, training, and what came out of it: the form on the left, a run in the middle, and the runs of the
//! model side by side.

mod exchange;
mod form;
mod parameters;
mod report;
mod runs;
mod sections;

use eframe::egui::{self, Frame, Margin, Panel, RichText, ScrollArea, Ui};
use serde::{Deserialize, Serialize};
use workspace::{Command, ModelSpec, Name, Overview};

use self::exchange::Exchange;
use self::form::Form;
use self::runs::Runs;
use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{choice, empty_state, primary_button, section, text_area};

/// The page.
#[derive(Debug, Default)]
pub(super) struct Models {
    form: Option<Form>,
    /// The spec as text, while it is edited so.
    text: Option<String>,
    tab: Tab,
    runs: Runs,
    exchange: Exchange,
    /// The model whose runs were asked for, and the result that was the latest then.
    asked: Option<(Name, Option<String>)>,
    /// The model to show, when the models are there.
    wanted: Option<String>,
    /// Whether the form is not what is saved.
    is_changed: bool,
}

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ModelsShown {
    model: Option<String>,
    /// What is not saved of it, as a form or as a text.
    form: Option<Form>,
    text: Option<String>,
    tab: Tab,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tab {
    #[default]
    Result,
    Runs,
}

/// Seconds in which new algorithms are begun.
const TRY_SECONDS: f64 = 120.0;

impl Models {
    pub(super) fn shown(&self) -> ModelsShown {
        let form = self.form.as_ref();
        ModelsShown {
            model: form.map(|form| form.name.clone()).or_else(|| self.wanted.clone()),
            form: form.filter(|_| self.is_changed).cloned(),
            text: self.text.clone(),
            tab: self.tab,
        }
    }

    pub(super) fn show(&mut self, shown: ModelsShown) {
        self.wanted = shown.model;
        self.form = shown.form;
        self.is_changed = self.form.is_some();
        self.text = shown.text;
        self.tab = shown.tab;
    }

    /// The form of what is saved, if there is no other; and whether it still is that.
    fn take_saved(&mut self, overview: &Overview) {
        let saved = |name: &str| overview.models.iter().find(|model| model.name.as_str() == name);
        let form = self.form.get_or_insert_with(|| {
            let wanted = self.wanted.as_deref().and_then(saved);
            Form::of(wanted.or_else(|| overview.models.first()), overview)
        });
        // Where it came from does not count, and is what is saved once both are alike.
        let known = Form::of(saved(&form.name), overview);
        let mut alike = form.clone();
        alike.spec.clone_from(&known.spec);
        self.is_changed = alike != known;
        if !self.is_changed {
            form.spec = known.spec;
        }
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Models", "train on what was known then, test on what came later");
        let overview = state.look();
        if state.overview.value().is_some() {
            self.take_saved(overview);
        }
        self.ask_for_runs(outbox, state);
        let frame = Frame::NONE.inner_margin(Margin { right: 12, ..Margin::ZERO });
        Panel::left("model-spec").default_size(290.0).size_range(240.0..=460.0).frame(frame).show(
            ui,
            |ui| {
                let spec = self.spec(state);
                // What to do with the spec is there however long it is.
                Panel::bottom("model-actions").frame(Frame::NONE).show(ui, |ui| {
                    ui.add_space(6.0);
                    self.text_switch_ui(ui, state.look(), &spec);
                    buttons_ui(ui, &spec, state, outbox);
                });
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| self.spec_ui(ui, state));
            },
        );
        egui::CentralPanel::default()
            .frame(Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO }))
            .show(ui, |ui| self.result_ui(ui, state, outbox));
    }

    fn result_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        ui.horizontal(|ui| {
            for (tab, title) in [(Tab::Result, "Latest result"), (Tab::Runs, "All runs")] {
                if ui.selectable_label(self.tab == tab, title).clicked() {
                    self.tab = tab;
                }
            }
            self.exchange.ui(ui, state, outbox);
        });
        ui.add_space(4.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            error_ui(ui, &state.trained);
            match (self.tab, state.trained.value()) {
                (Tab::Runs, _) => self.runs.ui(ui, state, outbox),
                (Tab::Result, Some(report)) => report::ui(ui, report, outbox),
                (Tab::Result, None) => {
                    empty_state(ui, "Train a model to see how good it is, and what it reads.");
                    functions_ui(ui, state);
                }
            }
        });
    }

    /// Asks for the runs of the model in the form, once, and again when there is a new result.
    fn ask_for_runs(&mut self, outbox: &mut Outbox, state: &State) {
        let Some(name) = self.form.as_ref().and_then(Form::name) else { return };
        let latest = state.trained.value().map(|report| report.hash.clone());
        let wanted = (name, latest);
        if self.asked.as_ref() != Some(&wanted) && state.overview.value().is_some() {
            outbox.send(Command::Runs(wanted.0.clone()));
            self.asked = Some(wanted);
        }
    }

    /// The spec that the form, or the text, says; or what is wrong with it.
    fn spec(&self, state: &State) -> Result<ModelSpec, String> {
        match (&self.text, &self.form) {
            (Some(text), _) => ModelSpec::from_toml(text)
                .and_then(|spec| spec.check().map(|()| spec))
                .map_err(|error| error.to_string()),
            (None, Some(form)) => form.spec(state.look()),
            (None, None) => Err("the project is being read".to_owned()),
        }
    }

    fn spec_ui(&mut self, ui: &mut Ui, state: &State) {
        let overview = state.look();
        let Some(form) = &mut self.form else { return };
        let names: Vec<&str> = overview.models.iter().map(|model| model.name.as_str()).collect();
        let mut current = form.name.clone();
        if choice(ui, "Model", &mut current, names, 160.0) {
            let spec = overview.models.iter().find(|model| model.name.as_str() == current);
            *form = Form::of(spec, overview);
            self.text = None;
        }
        match &mut self.text {
            None => form.ui(ui, overview),
            Some(text) => {
                text_area(ui, "Spec, as in its file", text, 26);
            }
        }
    }

    /// Between the form and the text of its file, which says everything.
    fn text_switch_ui(
        &mut self,
        ui: &mut Ui,
        overview: &workspace::Overview,
        spec: &Result<ModelSpec, String>,
    ) {
        let title = if self.text.is_none() { "Edit as text" } else { "Back to the form" };
        let can_switch = spec.is_ok() || self.text.is_none();
        if !ui.add_enabled(can_switch, egui::Button::new(title)).clicked() {
            return;
        }
        match (&self.text, spec) {
            (None, Ok(spec)) => self.text = spec.to_toml().ok(),
            (None, Err(_)) => {
                let known = self.form.as_ref().and_then(|form| form.spec.clone());
                self.text = Some(known.and_then(|spec| spec.to_toml().ok()).unwrap_or_default());
            }
            (Some(_), Ok(spec)) => {
                self.form = Some(Form::of(Some(spec), overview));
                self.text = None;
            }
            (Some(_), Err(_)) => {}
        }
    }
}

fn buttons_ui(ui: &mut Ui, spec: &Result<ModelSpec, String>, state: &State, outbox: &mut Outbox) {
    let busy = state.trained.job();
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let can_train = busy.is_none() && spec.is_ok();
        if primary_button(ui, "Save and train", can_train).clicked()
            && let Ok(spec) = spec
        {
            outbox.send(Command::SaveModel(spec.clone()));
        }
        let try_all = ui.add_enabled(can_train, egui::Button::new("Try them all"));
        let hint = "Every algorithm of the task, judged on parts of the training rows; begun within two \
                    minutes";
        if try_all.on_hover_text(hint).clicked()
            && let Ok(spec) = spec
        {
            outbox.send(Command::TryAll(spec.clone(), TRY_SECONDS));
        }
    });
    if let Err(message) = spec {
        ui.label(RichText::new(message).color(Tokens::at(ui).bad));
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

/// Functions that were trained before.
fn functions_ui(ui: &mut Ui, state: &State) {
    let overview = state.look();
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
