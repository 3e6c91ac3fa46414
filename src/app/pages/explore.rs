use eframe::egui::{self, Key, Modifiers, RichText, ScrollArea, TextEdit, Ui, vec2};
use egui_extras::syntax_highlighting::{CodeTheme, highlight};
use std::path::PathBuf;
use workspace::{Command, Interval, Retention, RetentionMode, RetentionSpec};

use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{choice, empty_state, grid_ui, primary_button, text_field, thousands};

/// SQL and retention.
#[derive(Debug)]
pub(super) struct Explore {
    tab: Tab,
    sql: String,
    export: String,
    spec: RetentionSpec,
    show_sql: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Sql,
    Retention,
}

const FIRST_QUERY: &str = "SELECT event, count(*) AS events, count(DISTINCT customer_id) AS customers,\n       \
     min(event_time) AS first, max(event_time) AS last\nFROM events\nGROUP BY event\nORDER BY events DESC";
const ANY: &str = "any event";
/// Size of a cell of the retention table.
const CELL: egui::Vec2 = vec2(58.0, 24.0);

impl Default for Explore {
    fn default() -> Self {
        Self {
            tab: Tab::Retention,
            sql: FIRST_QUERY.to_owned(),
            export: String::new(),
            spec: RetentionSpec::default(),
            show_sql: false,
        }
    }
}

impl Explore {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Explore", "ask the warehouse");
        ui.horizontal(|ui| {
            ui.selectable_value(&mut self.tab, Tab::Retention, "Retention");
            ui.selectable_value(&mut self.tab, Tab::Sql, "SQL");
        });
        ui.separator();
        match self.tab {
            Tab::Sql => self.sql_ui(ui, state, outbox),
            Tab::Retention => self.retention_ui(ui, state, outbox),
        }
    }

    fn sql_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let run_key = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
        let selected = editor_ui(ui, &mut self.sql);
        let busy = state.queried.job();
        ui.horizontal(|ui| {
            let run =
                primary_button(ui, "Run", busy.is_none()).on_hover_text("Ctrl+Enter").clicked();
            if run || run_key {
                outbox.send(Command::Query(selected.unwrap_or_else(|| self.sql.clone())));
            }
            if let Some(job) = busy {
                ui.spinner();
                if ui.button("Cancel").clicked() {
                    outbox.cancel(job);
                }
            }
            if let Some(result) = state.queried.value() {
                let n = thousands(u64::try_from(result.rows.len()).unwrap_or(0));
                let more = if result.truncated { "the first " } else { "" };
                ui.label(format!("{more}{n} rows in {:.0} ms", result.seconds * 1e3));
            }
        });
        ui.horizontal(|ui| {
            text_field(ui, "Export to", &mut self.export, "orders.parquet, .csv or .json", 320.0);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                let ready = !self.export.trim().is_empty();
                if ui.add_enabled(ready, egui::Button::new("Export")).clicked() {
                    let path = PathBuf::from(self.export.trim());
                    outbox.send(Command::Export(self.sql.clone(), path));
                }
            });
        });
        error_ui(ui, &state.queried);
        match state.queried.value() {
            Some(result) => grid_ui(ui, "result", &result.columns, &result.rows),
            None => empty_state(ui, "Run a query; tables are events, customers, traits, imports."),
        }
    }

    fn retention_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let before = self.spec.clone();
        ui.horizontal(|ui| self.spec_ui(ui, state));
        if self.spec != before {
            outbox.send(Command::Retention(self.spec.clone()));
        }
        error_ui(ui, &state.retention);
        let Some(retention) = state.retention.value() else {
            ui.spinner();
            return;
        };
        if self.show_sql {
            let theme = CodeTheme::from_memory(ui.ctx(), ui.style());
            ScrollArea::vertical().id_salt("sql").max_height(220.0).show(ui, |ui| {
                egui_extras::syntax_highlighting::code_view_ui(ui, &theme, &retention.sql, "sql");
            });
        }
        ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            table_ui(ui, retention);
            let weak = Tokens::at(ui).weak;
            ui.label(
                RichText::new(
                    "Column 0 is the cohort itself; a return in its own interval is not counted. Italic: \
                     the interval is still running. The mean is weighted by cohort size, over complete \
                     intervals.",
                )
                .small()
                .color(weak),
            );
        });
    }

    fn spec_ui(&mut self, ui: &mut Ui, state: &State) {
        let events: Vec<&str> = std::iter::once(ANY)
            .chain(state.look().catalog.events.iter().map(String::as_str))
            .collect();
        let event = |ui: &mut Ui, label: &str, event: &mut Option<String>| {
            let mut current = event.clone().unwrap_or_else(|| ANY.to_owned());
            if choice(ui, label, &mut current, events.iter().copied(), 150.0) {
                *event = (current != ANY).then_some(current);
            }
        };
        event(ui, "Start", &mut self.spec.start);
        event(ui, "Return", &mut self.spec.return_event);
        let mut mode = match self.spec.mode {
            RetentionMode::FirstTime => "first time",
            RetentionMode::Recurring => "recurring",
        }
        .to_owned();
        if choice(ui, "Mode", &mut mode, ["first time", "recurring"], 100.0) {
            self.spec.mode = match mode.as_str() {
                "recurring" => RetentionMode::Recurring,
                _ => RetentionMode::FirstTime,
            };
        }
        let mut interval = format!("{:?}", self.spec.interval).to_lowercase();
        if choice(ui, "Interval", &mut interval, ["day", "week", "month"], 80.0) {
            self.spec.interval = match interval.as_str() {
                "day" => Interval::Day,
                "month" => Interval::Month,
                _ => Interval::Week,
            };
        }
        let mut intervals = self.spec.intervals.to_string();
        if choice(ui, "Intervals", &mut intervals, ["6", "12", "18", "24"], 60.0) {
            self.spec.intervals = intervals.parse().unwrap_or(12);
        }
        ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
            ui.toggle_value(&mut self.show_sql, "Show SQL");
        });
    }
}

/// The SQL editor; gives the selected text, if any.
fn editor_ui(ui: &mut Ui, sql: &mut String) -> Option<String> {
    let theme = CodeTheme::from_memory(ui.ctx(), ui.style());
    let mut layouter = |ui: &Ui, text: &dyn egui::TextBuffer, width: f32| {
        let mut job = highlight(ui.ctx(), ui.style(), &theme, text.as_str(), "sql");
        job.wrap.max_width = width;
        ui.fonts_mut(|fonts| fonts.layout_job(job))
    };
    let name = ui.label(RichText::new("Query").small().color(Tokens::at(ui).weak));
    let editor = TextEdit::multiline(sql)
        .id_salt("sql-editor")
        .code_editor()
        .desired_rows(7)
        .desired_width(f32::INFINITY)
        .layouter(&mut layouter);
    let shown = editor.show(ui);
    let range = shown.cursor_range;
    shown.response.response.labelled_by(name.id);
    let selected = range?.slice_str(sql).trim().to_owned();
    (!selected.is_empty()).then_some(selected)
}

/// Cohorts down, intervals across, the share in each cell.
fn table_ui(ui: &mut Ui, retention: &Retention) {
    let tokens = Tokens::at(ui);
    let width = retention.counts.iter().map(Vec::len).max().unwrap_or(0);
    ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
    let head = |ui: &mut Ui, text: &str, wide: f32| {
        let label = egui::Label::new(RichText::new(text).font(strong(11.5)).color(tokens.weak));
        ui.add_sized(vec2(wide, CELL.y), label);
    };
    ui.horizontal(|ui| {
        head(ui, "cohort", 92.0);
        head(ui, "size", 64.0);
        for k in 1..width {
            head(ui, &format!("+{k}"), CELL.x);
        }
    });
    ui.horizontal(|ui| {
        head(ui, "mean", 92.0);
        head(ui, "", 64.0);
        for share in retention.mean.iter().skip(1) {
            cell_ui(ui, *share, false, "mean over complete intervals");
        }
    });
    for (cohort, counts) in retention.cohorts.iter().zip(&retention.counts) {
        let size = counts.first().copied().unwrap_or(0);
        ui.horizontal(|ui| {
            let date = RichText::new(cohort.date()).monospace().size(11.5);
            ui.add_sized(vec2(92.0, CELL.y), egui::Label::new(date));
            let size_text = RichText::new(thousands(size)).monospace().size(11.5);
            ui.add_sized(vec2(64.0, CELL.y), egui::Label::new(size_text));
            for (k, count) in counts.iter().enumerate().skip(1) {
                #[allow(clippy::cast_precision_loss, reason = "a share for people")]
                let share = if size == 0 { f64::NAN } else { *count as f64 / size as f64 };
                let running = k + 1 == counts.len();
                cell_ui(ui, share, running, &format!("{count} of {size}"));
            }
        });
    }
}

fn cell_ui(ui: &mut Ui, share: f64, running: bool, hover: &str) {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(CELL, egui::Sense::hover());
    if share.is_finite() {
        let (fill, color) = tokens.ramp(share);
        ui.painter().rect_filled(rect, 3.0, fill);
        let mut text = RichText::new(format!("{:.1}", share * 100.0)).size(11.5).color(color);
        if running {
            text = text.italics();
        }
        ui.put(rect, egui::Label::new(text).selectable(false));
    }
    response.on_hover_text(hover);
}
