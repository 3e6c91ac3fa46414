use std::path::PathBuf;

use eframe::egui::{self, Rect, RichText, ScrollArea, Ui, vec2};
use workspace::insights::{Before, Chart, Insight, InsightKind, InsightSpec, Point, Range};
use workspace::{Command, Name, SELECTION, Value};

use super::board::{Place, fold_ui};
use super::{charts, form, people::People, questions};
use crate::pages::{again_ui, error_ui};
use crate::state::{Outbox, State, Tone};
use crate::theme::Tokens;
use crate::widgets::{
    Picture, as_tsv, copy_picture, empty_state, popup_button, section, sql_ui, text_field,
};

/// The tab of a chart.
#[derive(Debug)]
pub(super) struct InsightTab {
    pub(super) spec: InsightSpec,
    /// What was asked for last, of which selection, and of how many events.
    asked: Option<(InsightSpec, u64, u64)>,
    form: form::Form,
    show_sql: bool,
    /// Whether only the chart is shown, without its fields.
    pub(super) is_folded: bool,
    name: String,
    file: String,
    /// The point that is chosen, and what it is called.
    chosen: Option<(Point, String)>,
    people: People,
    /// Where the chart was painted last.
    shown: Rect,
    /// The destination of a picture of the chart, which is taken when no menu covers it.
    wanted: Option<Destination>,
    picture: Option<Picture>,
}

/// The destination of a picture.
#[derive(Debug)]
enum Destination {
    File(PathBuf),
    Clipboard,
}

/// Width of the panel of people.
const PEOPLE: f32 = 250.0;

impl InsightTab {
    pub(super) fn new(spec: InsightSpec) -> Self {
        Self {
            spec,
            asked: None,
            form: form::Form::default(),
            show_sql: false,
            is_folded: false,
            name: String::new(),
            file: String::new(),
            chosen: None,
            people: People::default(),
            shown: Rect::NOTHING,
            wanted: None,
            picture: None,
        }
    }

    pub(super) const fn kind(&self) -> InsightKind {
        self.spec.kind()
    }

    /// Asks something else.
    pub(super) fn ask(&mut self, spec: InsightSpec) {
        if self.spec != spec {
            self.spec = spec;
            self.asked = None;
            self.form = form::Form::default();
        }
    }

    /// What it asks on a board: of those who are chosen in another tile, if that is wanted.
    fn wanted(&self, place: Place, state: &State) -> (InsightSpec, u64, u64) {
        let mut spec = self.spec.clone();
        let chosen = state.tiles.selection.filter(|_| place.is_linked);
        if chosen.is_some_and(|chosen| chosen.slot == place.slot)
            && let Some(asked) = &self.asked
            && asked.2 == state.look().summary.events
            && is_alike(&asked.0, &spec)
        {
            // Who chooses here goes on seeing what was chosen from.
            return asked.clone();
        }
        let chosen = chosen.filter(|chosen| chosen.slot != place.slot);
        if chosen.is_some() {
            spec.scope.segment = SELECTION.parse().ok();
        }
        (spec, chosen.map_or(0, |chosen| chosen.number), state.look().summary.events)
    }

    /// Draws it; gives SQL that is to be worked on.
    pub(super) fn ui(
        &mut self,
        ui: &mut Ui,
        place: Place,
        state: &State,
        outbox: &mut Outbox,
    ) -> Option<String> {
        let look = state.look();
        if look.summary.events == 0 {
            empty_state(ui, "There are no events yet. Import a file on the Data page.");
            return None;
        }
        if self.asked.is_none() && self.spec == InsightSpec::usual(self.kind()) {
            questions::first(&mut self.spec, look);
        }
        match self.wanted.take() {
            Some(Destination::File(path)) => {
                self.picture = Some(Picture::take(ui.ctx(), self.shown, &path));
            }
            Some(Destination::Clipboard) => copy_picture(ui.ctx(), self.shown),
            None => {}
        }
        if let Some(ended) = self.picture.as_ref().and_then(Picture::ended) {
            self.picture = None;
            match ended {
                Ok(text) => outbox.say(Tone::Good, text),
                Err(text) => outbox.say(Tone::Bad, text),
            }
        }
        let kind = self.kind();
        if !self.is_folded {
            self.form.scope_ui(ui, kind, &mut self.spec.scope, state);
            questions::ui(ui, &mut self.spec, &look.catalog);
        }
        let wanted = self.wanted(place, state);
        if self.asked.as_ref() != Some(&wanted) {
            self.chosen = None;
            outbox.send(Command::Insight(place.slot, wanted.0.clone()));
            self.asked = Some(wanted.clone());
        }
        let loadable = state.tiles.insight(place.slot);
        self.actions_ui(ui, place, state, outbox);
        if wanted.1 > 0 {
            let text = "Of the customers who are chosen in another tile.";
            ui.label(RichText::new(text).small().color(Tokens::at(ui).accent_text));
        }
        let loadable = loadable?;
        error_ui(ui, loadable);
        if again_ui(ui, loadable) {
            self.asked = None;
        }
        let (insight, spec) = loadable.value()?;
        let mut sql = None;
        if self.show_sql {
            if ui.button("Work on it in SQL").clicked() {
                sql = Some(insight.sql.clone());
            }
            ScrollArea::vertical().id_salt("sql").max_height(220.0).show(ui, |ui| {
                sql_ui(ui, &insight.sql);
            });
        }
        let is_stale = wanted.0 != *spec || loadable.job().is_some() || loadable.is_canceled();
        let size = ui.available_size();
        let has_people = self.chosen.is_some() && state.people_of == Some(place.slot);
        let wide = if has_people { (size.x - PEOPLE - 12.0).max(200.0) } else { size.x };
        ui.horizontal_top(|ui| {
            let layout = egui::Layout::top_down(egui::Align::Min);
            ui.allocate_ui_with_layout(vec2(wide, size.y), layout, |ui| {
                if is_stale {
                    ui.set_opacity(0.6);
                }
                self.shown = ui.max_rect();
                ScrollArea::both().auto_shrink(false).id_salt("chart").show(ui, |ui| {
                    // The highest number of an axis stands half above it.
                    ui.add_space(6.0);
                    range_ui(ui, &insight.range);
                    if let Some(chosen) = chart_ui(ui, &insight.chart, &insight.range) {
                        outbox.send(Command::People {
                            slot: place.slot,
                            spec: spec.clone(),
                            point: chosen.0.clone(),
                            select: place.is_linked,
                        });
                        self.chosen = Some(chosen);
                    }
                    ui.add_space(6.0);
                    let weak = Tokens::at(ui).weak;
                    ui.label(RichText::new(&insight.rule).small().color(weak));
                    if let Some(Before { range, chart }) = &insight.before {
                        section(ui, "Previous period");
                        range_ui(ui, range);
                        // Its points are not of what was asked: another tile can ask for them.
                        if let Some(chart) = chart {
                            ui.push_id("before", |ui| drop(chart_ui(ui, chart, range)));
                        }
                    }
                });
            });
            // There is one list of people: that of the point that was chosen last, in whichever tile.
            let own = self.chosen.as_ref().filter(|_| state.people_of == Some(place.slot));
            if let Some((_, title)) = own {
                let layout = egui::Layout::top_down(egui::Align::Min);
                let shown = ui.allocate_ui_with_layout(vec2(PEOPLE, size.y), layout, |ui| {
                    self.people.ui(ui, title, state, outbox)
                });
                if shown.inner {
                    self.chosen = None;
                }
            }
        });
        sql
    }

    fn actions_ui(&mut self, ui: &mut Ui, place: Place, state: &State, outbox: &mut Outbox) {
        ui.horizontal_wrapped(|ui| {
            fold_ui(ui, &mut self.is_folded);
            let compare = &mut self.spec.scope.compare;
            ui.checkbox(compare, "Compare with previous period");
            ui.toggle_value(&mut self.show_sql, "Show SQL");
            popup_button(ui, "Export…", |ui| {
                let hint = "chart.csv, .parquet, .json or .png";
                text_field(ui, "Export to", &mut self.file, hint, 240.0);
                let path = self.file.trim();
                if ui.add_enabled(!path.is_empty(), egui::Button::new("Write the file")).clicked() {
                    let path = PathBuf::from(path);
                    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
                        self.wanted = Some(Destination::File(path));
                    } else {
                        // What is shown, chosen customers and all.
                        let asked = self.asked.as_ref().map_or(&self.spec, |asked| &asked.0);
                        outbox.send(Command::ExportInsight(asked.clone(), path));
                    }
                    ui.close();
                }
            });
            popup_button(ui, "Copy…", |ui| {
                let insight = state.tiles.insight(place.slot).and_then(|loadable| loadable.value());
                if let Some((insight, _)) = insight
                    && ui
                        .button("Copy numbers")
                        .on_hover_text("As rows for a spreadsheet")
                        .clicked()
                {
                    ui.copy_text(insight_as_tsv(insight));
                    outbox.say(Tone::Good, "Copied the numbers of the chart".to_owned());
                    ui.close();
                }
                if ui.button("Copy picture").clicked() {
                    self.wanted = Some(Destination::Clipboard);
                    outbox.say(Tone::Good, "Copied the picture of the chart".to_owned());
                    ui.close();
                }
            });
            popup_button(ui, "Save…", |ui| {
                text_field(ui, "Name of the chart", &mut self.name, "weekly_retention", 200.0);
                let name = self.name.trim().parse::<Name>();
                if ui.add_enabled(name.is_ok(), egui::Button::new("Save the chart")).clicked()
                    && let Ok(name) = name
                {
                    outbox.send(Command::SaveInsight(name, self.spec.clone()));
                    ui.close();
                }
            });
            let saved = state.look().insights.iter().filter(|(_, spec)| spec.kind() == self.kind());
            let saved: Vec<_> = saved.collect();
            if !saved.is_empty() {
                ui.menu_button("Open…", |ui| {
                    for (name, spec) in saved {
                        if ui.button(name.as_str()).clicked() {
                            self.spec = (*spec).clone();
                            self.form = form::Form::default();
                            ui.close();
                        }
                    }
                });
            }
            if ui.button("Reset").clicked() {
                self.spec = InsightSpec::usual(self.kind());
                questions::first(&mut self.spec, state.look());
                self.form = form::Form::default();
            }
            if let Some(job) = state.tiles.insight(place.slot).and_then(|loadable| loadable.job()) {
                ui.spinner();
                if ui.button("Cancel").clicked() {
                    outbox.cancel(job);
                }
            }
        });
    }
}

/// The numbers of a chart with the names of their columns, as tab-separated rows.
fn insight_as_tsv(insight: &Insight) -> String {
    let (columns, rows) = insight.rows();
    let names: Vec<Value> = columns.into_iter().map(Value::text).collect();
    as_tsv(std::iter::once(names.as_slice()).chain(rows.iter().map(Vec::as_slice)))
}

/// Whether two specs ask the same, of whomever.
fn is_alike(left: &InsightSpec, right: &InsightSpec) -> bool {
    let mut left = left.clone();
    if left.scope.segment.as_ref().is_some_and(|segment| segment.as_str() == SELECTION) {
        left.scope.segment.clone_from(&right.scope.segment);
    }
    left == *right
}

/// The days that a chart was computed over.
fn range_ui(ui: &mut Ui, range: &Range) {
    ui.label(RichText::new(format!("Range: {}", range.text())).small().color(Tokens::at(ui).weak));
}

/// The chart; gives a point that was chosen, and what it is called.
fn chart_ui(ui: &mut Ui, chart: &Chart, range: &Range) -> Option<(Point, String)> {
    match chart {
        Chart::Trends(trends) => charts::trends_ui(ui, trends, range),
        Chart::Retention(retention) => charts::retention_ui(ui, retention, range),
        Chart::Funnel(funnel) => charts::funnel_ui(ui, funnel),
        Chart::Lifecycle(lifecycle) => charts::lifecycle_ui(ui, lifecycle, range),
        Chart::Stickiness(stickiness) => charts::stickiness_ui(ui, stickiness, range.interval),
        Chart::Paths(paths) => charts::paths_ui(ui, paths),
        Chart::Segments(segments) => charts::segments_ui(ui, segments),
    }
}
