use eframe::egui::{self, Frame, Margin, Panel, RichText, ScrollArea, Slider, Ui};
use egui_extras::syntax_highlighting::{CodeTheme, code_view_ui};
use egui_extras::{Column, TableBuilder};
use workspace::{
    AggregationName, Catalog, Command, Draft, FeatureDefinition, Overview, Preview, Type, Value,
    ViewDefinition,
};

use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{
    bars_ui, choice, empty_state, grid_ui, number, primary_button, section, text_field, thousands,
};

/// Views and their features, with what they are like on the data while they are written.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// The view as it is being written.
    draft: Option<ViewDefinition>,
    chosen: usize,
    asked: Option<Draft>,
    show_sql: bool,
}

const ALL: &str = "all events";
const NO_PROPERTY: &str = "(none)";
/// Windows that the slider goes through, in days; beyond the last one is all time.
const WINDOW_DAYS: [u16; 10] = [1, 2, 3, 7, 14, 30, 60, 90, 180, 365];

impl Features {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Features", "one definition, exact at any instant, the same live");
        if self.draft.is_none() {
            self.draft = state.look().views.first().cloned();
        }
        let Some(mut draft) = self.draft.take() else {
            empty_state(ui, "There is no view yet; import events, then make one.");
            if ui.button("New view").clicked()
                && let Ok(name) = "shopper".parse()
            {
                self.draft = Some(ViewDefinition { name, features: Vec::new() });
            }
            return;
        };
        let asking = Draft { definition: draft.clone(), chosen: self.chosen, model: None };
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
                    self.editor_ui(ui, &mut draft, state.look(), outbox);
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
            let theme = CodeTheme::from_memory(ui.ctx(), ui.style());
            ScrollArea::both().id_salt("view-sql").auto_shrink(false).show(ui, |ui| {
                code_view_ui(ui, &theme, &preview.sql, "sql");
            });
            return;
        }
        let height = (ui.available_height() - 230.0).max(160.0);
        ui.push_id("list", |ui| {
            ui.set_max_height(height);
            self.list_ui(ui, draft, preview, height);
        });
        section(ui, "A few customers");
        if let Some(preview) = preview {
            customers_ui(ui, preview);
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

    fn editor_ui(
        &mut self,
        ui: &mut Ui,
        draft: &mut ViewDefinition,
        overview: &Overview,
        outbox: &mut Outbox,
    ) {
        let names: Vec<String> = overview.views.iter().map(|view| view.name.to_string()).collect();
        let mut current = draft.name.to_string();
        if choice(ui, "View", &mut current, names.iter().map(String::as_str), 160.0)
            && let Some(other) = overview.views.iter().find(|view| view.name.as_str() == current)
        {
            self.draft = Some(other.clone());
            self.chosen = 0;
            return;
        }
        ui.horizontal(|ui| {
            let saved = overview.views.iter().any(|view| view == draft);
            if primary_button(ui, "Save view", !saved).clicked() {
                outbox.send(Command::SaveView(draft.clone()));
            }
            if ui.button("Add feature").clicked() {
                add_feature(draft, &overview.catalog);
                self.chosen = draft.features.len() - 1;
            }
            let is_there = self.chosen < draft.features.len();
            if ui.add_enabled(is_there, egui::Button::new("Remove")).clicked() {
                draft.features.remove(self.chosen);
                self.chosen = self.chosen.saturating_sub(1);
            }
        });
        ui.separator();
        let taken: Vec<String> = draft.features.iter().map(|f| f.name.to_string()).collect();
        if let Some(feature) = draft.features.get_mut(self.chosen) {
            feature_ui(ui, self.chosen, feature, &taken, &overview.catalog);
        }
    }
}

/// A new count over all events, under a name that is free.
fn add_feature(draft: &mut ViewDefinition, catalog: &Catalog) {
    let names = (1..).map(|n| format!("feature_{n}"));
    let free = names
        .into_iter()
        .find(|name| draft.features.iter().all(|feature| feature.name.as_str() != name));
    if let Some(Ok(name)) = free.map(|name| name.parse()) {
        let mut feature = FeatureDefinition::named(name);
        feature.aggregation = Some(AggregationName::Count);
        feature.events = catalog
            .events
            .iter()
            .find(|event| !workspace::is_system(event))
            .cloned()
            .into_iter()
            .collect();
        feature.window = "30d".parse().ok();
        draft.features.push(feature);
    }
}

/// The fields of one feature.
fn feature_ui(
    ui: &mut Ui,
    place: usize,
    feature: &mut FeatureDefinition,
    taken: &[String],
    catalog: &Catalog,
) {
    name_ui(ui, place, feature, taken);
    if let Some(expression) = &mut feature.expression {
        text_field(
            ui,
            "Expression",
            expression,
            "revenue_90d / nullif(orders_90d, 0)",
            f32::INFINITY,
        );
        return;
    }
    if let Some(name) = &mut feature.trait_name {
        choice(ui, "Trait", name, catalog.traits.keys().map(String::as_str), 180.0);
        return;
    }
    let Some(aggregation) = feature.aggregation else { return };
    let mut current = aggregation.to_string();
    let all = AggregationName::ALL.iter().map(|aggregation| aggregation.as_str());
    if choice(ui, "Aggregation", &mut current, all, 180.0) {
        change_aggregation(feature, &current, catalog);
    }
    let mut event = match feature.events.as_slice() {
        [] => ALL.to_owned(),
        events => events.join(", "),
    };
    let events = std::iter::once(ALL).chain(catalog.events.iter().map(String::as_str));
    if choice(ui, "Events", &mut event, events, 180.0) {
        feature.events = if event == ALL { Vec::new() } else { vec![event] };
    }
    if aggregation.takes_property() {
        property_ui(ui, feature, aggregation, catalog);
    }
    if let Some(by) = &mut feature.by {
        choice(ui, "By", by, catalog.properties.keys().map(String::as_str), 180.0);
        // While it is typed a list may end with a comma; the text stays, the list follows.
        let id = ui.scope_id().with("categories");
        let mut categories: String = ui
            .data_mut(|data| data.get_temp(id))
            .filter(|_| ui.ctx().memory(|memory| memory.focused().is_some()))
            .unwrap_or_else(|| feature.categories.join(", "));
        if text_field(ui, "Categories", &mut categories, "web, app", f32::INFINITY).changed() {
            feature.categories = categories
                .split(',')
                .map(|category| category.trim().to_owned())
                .filter(|category| !category.is_empty())
                .collect();
            ui.data_mut(|data| data.insert_temp(id, categories));
        }
    }
    window_ui(ui, feature);
    let mut condition = feature.condition.clone().unwrap_or_default();
    text_field(ui, "Where", &mut condition, "amount > 10 AND channel = 'web'", f32::INFINITY);
    feature.condition = (!condition.trim().is_empty()).then_some(condition);
}

fn name_ui(ui: &mut Ui, place: usize, feature: &mut FeatureDefinition, taken: &[String]) {
    // While a name is being typed it may be none; the last good one stays in the definition.
    let id = ui.scope_id().with(("feature-name", place));
    let mut name: String = ui
        .data_mut(|data| data.get_temp(id))
        .filter(|_| ui.ctx().memory(|memory| memory.focused().is_some()))
        .unwrap_or_else(|| feature.name.to_string());
    let field = text_field(ui, "Name", &mut name, "orders_30d", f32::INFINITY);
    if field.changed() {
        let free = !taken.iter().enumerate().any(|(at, known)| at != place && *known == name);
        if let (true, Ok(parsed)) = (free, name.parse()) {
            feature.name = parsed;
        }
        ui.data_mut(|data| data.insert_temp(id, name));
    }
}

/// A new aggregation keeps what fits it.
fn change_aggregation(feature: &mut FeatureDefinition, name: &str, catalog: &Catalog) {
    let Some(aggregation) = AggregationName::ALL.into_iter().find(|known| known.as_str() == name)
    else {
        return;
    };
    feature.aggregation = Some(aggregation);
    if !aggregation.takes_property() {
        feature.property = None;
    } else if aggregation.needs_property() && feature.property.is_none() {
        let number = catalog.properties.iter().find(|(_, type_)| **type_ == Type::Number);
        feature.property =
            number.or_else(|| catalog.properties.iter().next()).map(|(name, _)| name.clone());
    }
    let span = |text: &str| text.parse().ok();
    let decays = matches!(aggregation, AggregationName::DecayedCount | AggregationName::DecayedSum);
    let by_category = matches!(aggregation, AggregationName::CountBy | AggregationName::SumBy);
    let texts = || catalog.properties.iter().find(|(_, type_)| **type_ == Type::Text);
    if by_category {
        feature.by = feature.by.take().or_else(|| texts().map(|(name, _)| name.clone()));
        if feature.categories.is_empty() {
            feature.categories = vec!["web".to_owned()];
        }
    } else {
        feature.by = None;
        feature.categories.clear();
    }
    feature.p = (aggregation == AggregationName::Quantile).then_some(0.9);
    feature.gap = if aggregation == AggregationName::Sessions { span("30m") } else { None };
    feature.half_life = if decays { span("30d") } else { None };
}

fn property_ui(
    ui: &mut Ui,
    feature: &mut FeatureDefinition,
    aggregation: AggregationName,
    catalog: &Catalog,
) {
    let mut property = feature.property.clone().unwrap_or_else(|| NO_PROPERTY.to_owned());
    let none = (!aggregation.needs_property()).then_some(NO_PROPERTY);
    let names = none.into_iter().chain(catalog.properties.keys().map(String::as_str));
    if choice(ui, "Property", &mut property, names, 180.0) {
        feature.property = (property != NO_PROPERTY).then_some(property);
    }
}

/// A slider through the usual windows; its end is all time.
fn window_ui(ui: &mut Ui, feature: &mut FeatureDefinition) {
    let days = |days: u16| workspace::Span::days(days);
    let mut place = match feature.window {
        None => WINDOW_DAYS.len(),
        Some(window) => {
            WINDOW_DAYS.iter().position(|d| days(*d) >= window).unwrap_or(WINDOW_DAYS.len() - 1)
        }
    };
    let weak = Tokens::at(ui).weak;
    let name = ui.label(RichText::new("Window").small().color(weak));
    ui.horizontal(|ui| {
        ui.spacing_mut().slider_width = 200.0;
        let slider = Slider::new(&mut place, 0..=WINDOW_DAYS.len()).show_value(false);
        if ui.add(slider).labelled_by(name.id).changed() {
            feature.window = WINDOW_DAYS.get(place).map(|d| days(*d));
        }
        ui.label(feature.window.map_or("all time".to_owned(), |window| window.to_string()));
    });
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
