use std::path::PathBuf;

use eframe::egui::{self, Key, Modifiers, RichText, TextEdit, Ui};
use egui_extras::syntax_highlighting::{CodeTheme, highlight};
use workspace::Command;

use crate::pages::error_ui;
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{empty_state, grid_ui, primary_button, text_field, thousands};

/// Queries on the warehouse.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) sql: String,
    export: String,
}

const FIRST_QUERY: &str = "SELECT event, count(*) AS events, count(DISTINCT customer_id) AS customers,\n       \
     min(event_time) AS first, max(event_time) AS last\nFROM events\nGROUP BY event\nORDER BY events DESC";

impl Default for Sql {
    fn default() -> Self {
        Self { sql: FIRST_QUERY.to_owned(), export: String::new() }
    }
}

impl Sql {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
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
