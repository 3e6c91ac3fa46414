//! Views and their features, with what they are like on the data while they are written.

mod editor;
mod effect;

use eframe::egui::{self, Frame, Margin, Panel, RichText, ScrollArea, Ui};
use egui_extras::{Column, TableBuilder};
use serde::{Deserialize, Serialize};
use workspace::{
    AggregationName, Command, Draft, FeatureDefinition, Name, Overview, Preview, Value,
    ViewDefinition,
};

use self::editor::{add_feature, feature_ui};
use self::effect::{distribution_ui, relation_ui, timelines_ui};

use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{
    bars_ui, choice, empty_state, grid_ui, number, primary_button, section, sql_ui, text_area,
    thousands,
};

/// Views and their features, with what they are like on the data while they are written.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// The view as it is being written.
    draft: Option<ViewDefinition>,
    chosen: usize,
    asked: Option<Draft>,
    /// The model whose label features are held against; none until one is chosen or found.
    model: Option<Name>,
    show_sql: bool,
    /// The view as text, while it is edited so.
    text: Option<String>,
    /// Whether that text cannot be read.
    is_broken: bool,
    /// The view to show, when the views are there.
    wanted: Option<Name>,
    /// Whether the draft is not what is saved.
    is_changed: bool,
}

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FeaturesShown {
    view: Option<Name>,
    /// What is not saved of it.
    draft: Option<ViewDefinition>,
    chosen: usize,
    model: Option<Name>,
    text: Option<String>,
}

/// The name of a first view.
pub(in crate::pages) const FIRST_VIEW: &str = "customer";
const ALL: &str = "all events";
const NO_PROPERTY: &str = "(none)";
/// Windows that the slider goes through, in days; beyond the last one is all time.
const WINDOW_DAYS: [u16; 10] = [1, 2, 3, 7, 14, 30, 60, 90, 180, 365];

impl Features {
    pub(super) fn shown(&self) -> FeaturesShown {
        let draft = self.draft.as_ref();
        FeaturesShown {
            view: draft.map(|draft| draft.name.clone()).or_else(|| self.wanted.clone()),
            draft: draft.filter(|_| self.is_changed).cloned(),
            chosen: self.chosen,
            model: self.model.clone(),
            text: self.text.clone(),
        }
    }

    pub(super) fn show(&mut self, shown: FeaturesShown) {
        self.wanted = shown.view;
        self.draft = shown.draft;
        self.is_changed = self.draft.is_some();
        self.chosen = shown.chosen;
        self.model = shown.model;
        self.text = shown.text;
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Features", "one definition, exact at any instant, the same live");
        let views = &state.look().views;
        let saved = |name: &Name| views.iter().find(|view| view.name == *name);
        if self.draft.is_none() {
            self.draft = self.wanted.as_ref().and_then(saved).or_else(|| views.first()).cloned();
        }
        let draft = self.draft.as_ref();
        self.is_changed = draft.is_some_and(|draft| saved(&draft.name) != Some(draft));
        let Some(mut draft) = self.draft.take() else {
            empty_state(ui, "There is no view yet; import events, then make one.");
            let name: Result<Name, _> = FIRST_VIEW.parse();
            ui.horizontal(|ui| {
                let has_events = state.look().summary.events > 0;
                if primary_button(ui, "Propose features", has_events).clicked()
                    && let Ok(name) = &name
                {
                    outbox.send(Command::ProposeView(name.clone()));
                }
                if ui.button("New view").clicked()
                    && let Ok(name) = name
                {
                    self.draft = Some(ViewDefinition { name, features: Vec::new() });
                }
            });
            return;
        };
        let models = &state.look().models;
        if self.model.is_none() {
            let own = models.iter().find(|model| model.view == draft.name);
            self.model = own.map(|model| model.name.clone());
        }
        let asking =
            Draft { definition: draft.clone(), chosen: self.chosen, model: self.model.clone() };
        if self.asked.as_ref() != Some(&asking) && state.overview.value().is_some() {
            outbox.send(Command::Preview(asking.clone()));
            self.asked = Some(asking);
        }
        let frame = Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO });
        Panel::right("feature-editor")
            .default_size(330.0)
            .size_range(280.0..=480.0)
            .frame(frame)
            .show(ui, |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    self.editor_ui(ui, &mut draft, state, outbox);
                });
            });
        self.view_ui(ui, &mut draft, state);
        // Unless the editor switched to another view.
        self.draft.get_or_insert(draft);
    }

    /// The features of the view as a list, and a few customers.
    fn view_ui(&mut self, ui: &mut Ui, draft: &mut ViewDefinition, state: &State) {
        error_ui(ui, &state.preview);
        let preview = state.preview.value();
        ui.horizontal(|ui| {
            let tokens = Tokens::at(ui);
            ui.label(RichText::new(draft.name.as_str()).font(strong(14.0)).color(tokens.strong));
            if let Some(preview) = preview {
                let n = thousands(u64::try_from(preview.n_customers).unwrap_or(0));
                ui.label(format!("{n} customers as of {}", preview.as_of.date()));
                let ms = preview.seconds * 1e3;
                ui.label(RichText::new(format!("computed in {ms:.0} ms")).color(tokens.weak));
            }
            ui.toggle_value(&mut self.show_sql, "Show SQL");
        });
        if let (true, Some(preview)) = (self.show_sql, preview) {
            ScrollArea::both().id_salt("view-sql").auto_shrink(false).show(ui, |ui| {
                sql_ui(ui, &preview.sql);
            });
            return;
        }
        let height = (ui.available_height() - 330.0).max(120.0);
        ui.push_id("list", |ui| {
            ui.set_max_height(height);
            self.list_ui(ui, draft, preview, height);
        });
        if let Some(preview) = preview {
            ScrollArea::vertical().id_salt("few-customers").auto_shrink(false).show(ui, |ui| {
                timelines_ui(ui, preview);
                section(ui, "A few customers");
                customers_ui(ui, preview);
            });
        }
    }

    fn list_ui(
        &mut self,
        ui: &mut Ui,
        draft: &ViewDefinition,
        preview: Option<&Preview>,
        height: f32,
    ) {
        let tokens = Tokens::at(ui);
        TableBuilder::new(ui)
            .sense(egui::Sense::click())
            .auto_shrink(false)
            .max_scroll_height(height)
            .column(Column::initial(150.0).clip(true).resizable(true))
            .column(Column::remainder().clip(true))
            .column(Column::exact(60.0))
            .column(Column::exact(64.0))
            .column(Column::exact(110.0))
            .header(22.0, |mut header| {
                for title in ["name", "definition", "type", "missing", "distribution"] {
                    header.col(|ui| {
                        ui.label(RichText::new(title).small().color(tokens.weak));
                    });
                }
            })
            .body(|body| {
                body.rows(24.0, draft.features.len(), |mut row| {
                    let place = row.index();
                    row.set_selected(place == self.chosen);
                    let Some(feature) = draft.features.get(place) else { return };
                    let summary = preview.and_then(|preview| {
                        preview.features.iter().find(|summary| summary.name == feature.name)
                    });
                    row.col(|ui| {
                        let name = RichText::new(feature.name.as_str()).color(tokens.strong);
                        ui.add(egui::Label::new(name).selectable(false).truncate());
                    });
                    row.col(|ui| {
                        let text = RichText::new(describe(feature)).size(12.0);
                        ui.add(egui::Label::new(text).selectable(false).truncate());
                    });
                    row.col(|ui| {
                        let type_ = summary.map(|summary| summary.type_.to_string());
                        ui.label(RichText::new(type_.unwrap_or_default()).small());
                    });
                    row.col(|ui| {
                        let share = summary.map(|s| format!("{:.1} %", s.null_share * 100.0));
                        ui.label(RichText::new(share.unwrap_or_default()).monospace().size(11.5));
                    });
                    row.col(|ui| {
                        if let Some(summary) = summary {
                            let range =
                                summary.range.map_or(String::new(), |(least, mean, most)| {
                                    let (a, b, c) = (number(least), number(mean), number(most));
                                    format!("least {a}, mean {b}, greatest {c}")
                                });
                            bars_ui(ui, &summary.histogram, 100.0, 18.0, &range);
                        }
                    });
                    if row.response().clicked() {
                        self.chosen = place;
                    }
                });
            });
    }

    /// The view as its file has it, if that is wanted: what can be read of it is the view at once.
    fn text_ui(&mut self, ui: &mut Ui, draft: &mut ViewDefinition) -> bool {
        let title = if self.text.is_none() { "Edit as text" } else { "Back to the form" };
        if ui.add_enabled(!self.is_broken, egui::Button::new(title)).clicked() {
            self.text = match self.text {
                None => toml::to_string(draft).ok(),
                Some(_) => None,
            };
        }
        self.is_broken = false;
        let Some(text) = &mut self.text else { return false };
        text_area(ui, "View, as in its file", text, 28);
        match toml::from_str::<ViewDefinition>(text) {
            Ok(read) => *draft = read,
            Err(error) => {
                self.is_broken = true;
                let bad = Tokens::at(ui).bad;
                ui.label(RichText::new(error.to_string()).small().monospace().color(bad));
            }
        }
        true
    }

    fn editor_ui(
        &mut self,
        ui: &mut Ui,
        draft: &mut ViewDefinition,
        state: &State,
        outbox: &mut Outbox,
    ) {
        let overview: &Overview = state.look();
        let names: Vec<String> = overview.views.iter().map(|view| view.name.to_string()).collect();
        let mut current = draft.name.to_string();
        if choice(ui, "View", &mut current, names.iter().map(String::as_str), 160.0)
            && let Some(other) = overview.views.iter().find(|view| view.name.as_str() == current)
        {
            self.draft = Some(other.clone());
            self.chosen = 0;
            self.text = None;
            return;
        }
        ui.horizontal(|ui| {
            let saved = overview.views.iter().any(|view| view == draft);
            let is_form = self.text.is_none();
            if primary_button(ui, "Save view", !saved && !self.is_broken).clicked() {
                outbox.send(Command::SaveView(draft.clone()));
            }
            if ui.add_enabled(is_form, egui::Button::new("Add feature")).clicked() {
                add_feature(draft, &overview.catalog);
                self.chosen = draft.features.len() - 1;
            }
            let is_there = self.chosen < draft.features.len();
            if ui.add_enabled(is_there && is_form, egui::Button::new("Remove")).clicked() {
                draft.features.remove(self.chosen);
                self.chosen = self.chosen.saturating_sub(1);
            }
        });
        if self.text_ui(ui, draft) {
            return;
        }
        ui.separator();
        let taken: Vec<String> = draft.features.iter().map(|f| f.name.to_string()).collect();
        if let Some(feature) = draft.features.get_mut(self.chosen) {
            feature_ui(ui, self.chosen, feature, &taken, &overview.catalog);
            let name = feature.name.to_string();
            self.effect_ui(ui, state, &name);
        }
    }

    /// What the chosen feature is like, and how it goes with a label.
    fn effect_ui(&mut self, ui: &mut Ui, state: &State, name: &str) {
        let Some(preview) = state.preview.value() else { return };
        section(ui, "Over all customers");
        distribution_ui(ui, preview, name);
        section(ui, "And the label");
        let models: Vec<String> =
            state.look().models.iter().map(|model| model.name.to_string()).collect();
        if !models.is_empty() {
            let mut current = self.model.as_ref().map(ToString::to_string).unwrap_or_default();
            if choice(ui, "Of model", &mut current, models.iter().map(String::as_str), 160.0) {
                self.model = current.parse().ok();
            }
        }
        relation_ui(ui, preview);
    }
}

/// A feature in one line.
fn describe(feature: &FeatureDefinition) -> String {
    if let Some(expression) = &feature.expression {
        return expression.clone();
    }
    if let Some(name) = &feature.trait_name {
        return format!("trait {name}");
    }
    let aggregation = feature.aggregation.map_or("", AggregationName::as_str);
    let property = feature.property.as_ref().map(|p| format!(" of {p}")).unwrap_or_default();
    let events =
        if feature.events.is_empty() { "all events".to_owned() } else { feature.events.join(", ") };
    let window = feature.window.map(|window| format!(" in {window}")).unwrap_or_default();
    let condition = feature.condition.as_ref().map(|c| format!(" where {c}")).unwrap_or_default();
    format!("{aggregation}{property} over {events}{window}{condition}")
}

fn customers_ui(ui: &mut Ui, preview: &Preview) {
    let mut columns = vec!["customer_id".to_owned()];
    columns.extend(preview.features.iter().map(|summary| summary.name.to_string()));
    let rows: Vec<Vec<Value>> = preview
        .rows
        .iter()
        .map(|(id, values)| {
            std::iter::once(Value::text(id.as_str())).chain(values.iter().cloned()).collect()
        })
        .collect();
    grid_ui(ui, "preview-customers", &columns, &rows);
}
