//! Files as they are, how to read them, and what became of them.

mod columns;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use eframe::egui::{self, Grid, RichText, ScrollArea, Ui};
use workspace::{Command, EventKind, MOST_PROPERTIES, Options, Proposal, RowKind, Value};

use columns::columns_ui;

use super::features::FIRST_VIEW;
use super::{error_ui, heading};
use crate::Page;
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{
    card, choice, empty_state, grid_ui, primary_button, section, shorten, text_field, thousands,
};

/// Import: files, how to read them, what became of them.
#[derive(Debug, Default)]
pub(super) struct Data {
    path: String,
    files: Vec<PathBuf>,
    options: Options,
    picked: Option<Receiver<Vec<PathBuf>>>,
}

/// A choice that stands for none.
const NONE: &str = "(none)";
/// Rejected rows that are shown.
const SHOWN_REJECTS: usize = 50;

impl Data {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Data", "drop files here: CSV, TSV, Parquet or NDJSON, gzipped or not");
        self.take_files(ui, outbox);
        self.source_ui(ui, outbox);
        ask_for_inventory(state, outbox);
        ui.separator();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            error_ui(ui, &state.proposal);
            error_ui(ui, &state.imported);
            match state.proposal.value().filter(|_| !self.files.is_empty()) {
                Some(proposal) => self.proposal_ui(ui, state, proposal, outbox),
                None if !self.files.is_empty() && state.proposal.error().is_some() => {
                    self.ask_ui(ui, outbox);
                }
                None => {
                    empty_state(
                        ui,
                        "Choose a file to see its columns before anything is imported.",
                    );
                    if let Some(source) = imports_ui(ui, state) {
                        self.choose(vec![source], outbox);
                    }
                    misfits_ui(ui, state);
                    inventory_ui(ui, state);
                }
            }
        });
    }

    /// Files that were dropped on the window or picked in the dialog.
    fn take_files(&mut self, ui: &Ui, outbox: &mut Outbox) {
        let dropped: Vec<PathBuf> = ui.ctx().input(|input| {
            input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect()
        });
        let picked = self.picked.as_ref().and_then(|picked| picked.try_recv().ok());
        if let Some(files) = picked.or((!dropped.is_empty()).then_some(dropped)) {
            self.picked = None;
            self.choose(files, outbox);
        }
    }

    fn choose(&mut self, files: Vec<PathBuf>, outbox: &mut Outbox) {
        if files.is_empty() {
            return;
        }
        self.path =
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ");
        self.files = files;
        self.options = Options::default();
        outbox.send(Command::Propose(self.files.clone(), self.options.clone()));
    }

    fn source_ui(&mut self, ui: &mut Ui, outbox: &mut Outbox) {
        ui.horizontal(|ui| {
            let width = (ui.available_width() - 260.0).max(200.0);
            let field = text_field(
                ui,
                "File, folder or glob",
                &mut self.path,
                "orders.csv, data/*.parquet",
                width,
            );
            let entered =
                field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                if ui.button("Look at it").clicked() || entered {
                    let path = PathBuf::from(self.path.trim());
                    self.choose(vec![path], outbox);
                }
                if ui.button("Open file…").clicked() {
                    self.picked = Some(open_dialog(ui.ctx().clone()));
                }
            });
        });
    }

    /// Asks for columns that the files do not show.
    fn ask_ui(&mut self, ui: &mut Ui, outbox: &mut Outbox) {
        ui.horizontal_wrapped(|ui| {
            for (label, column) in [
                ("Customer column", &mut self.options.customer),
                ("Time column", &mut self.options.time),
                ("Time format", &mut self.options.time_format),
            ] {
                said_field(ui, label, "", column, 150.0);
                column.take_if(|column| column.is_empty());
            }
            if ui.button("Preview").clicked() {
                outbox.send(Command::Propose(self.files.clone(), self.options.clone()));
            }
        });
    }

    /// The mapping, the columns, a preview, and the button.
    fn proposal_ui(
        &mut self,
        ui: &mut Ui,
        state: &State,
        proposal: &Proposal,
        outbox: &mut Outbox,
    ) {
        let tokens = Tokens::at(ui);
        let before = self.options.clone();
        card(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.horizontal(|ui| {
                section(ui, "How to read it");
                ui.label(RichText::new(&proposal.format).color(tokens.weak));
            });
            ui.horizontal_wrapped(|ui| self.mapping_ui(ui, proposal));
            ui.add_space(4.0);
            ui.horizontal(|ui| {
                let busy = state.imported.job().is_some();
                if primary_button(ui, "Import", !busy && state.proposal.job().is_none()).clicked() {
                    outbox.send(Command::Import(self.files.clone(), self.options.clone()));
                }
                if let Some(job) = state.imported.job()
                    && ui.button("Cancel import").clicked()
                {
                    outbox.cancel(job);
                }
                report_ui(ui, state);
                next_ui(ui, state, outbox);
            });
        });
        remarks_ui(ui, state, proposal);
        rejects_ui(ui, state);
        columns_ui(ui, proposal, &mut self.options);
        if self.options != before {
            outbox.send(Command::Propose(self.files.clone(), self.options.clone()));
        }
        section(ui, "First rows");
        let names: Vec<String> =
            proposal.columns.iter().map(|column| column.name.clone()).collect();
        let cell = |cell: &Option<String>| cell.as_deref().map_or(Value::Null, Value::text);
        let rows: Vec<Vec<Value>> =
            proposal.preview.iter().map(|row| row.iter().map(cell).collect()).collect();
        ui.allocate_ui(egui::vec2(ui.available_width(), 300.0), |ui| {
            ui.set_min_height(300.0);
            grid_ui(ui, "preview", &names, &rows);
        });
    }

    fn mapping_ui(&mut self, ui: &mut Ui, proposal: &Proposal) {
        let mapping = &proposal.mapping;
        let names: Vec<&str> = proposal.columns.iter().map(|column| column.name.as_str()).collect();
        let column =
            |ui: &mut Ui, label: &str, proposed: Option<&String>, said: &mut Option<String>| {
                let mut current = said.as_ref().or(proposed).map_or(NONE.to_owned(), Clone::clone);
                if choice(ui, label, &mut current, names.iter().copied(), 150.0) {
                    *said = Some(current);
                }
            };
        let mut kind =
            if mapping.kind == RowKind::Traits { "traits of customers" } else { "events" }
                .to_owned();
        if choice(ui, "Rows are", &mut kind, ["events", "traits of customers"], 140.0) {
            self.options.traits = kind != "events";
        }
        column(ui, "Customer", Some(&mapping.customer), &mut self.options.customer);
        column(ui, "Time", mapping.time.as_ref(), &mut self.options.time);
        said_field(ui, "Time format", &mapping.time_format, &mut self.options.time_format, 110.0);
        if mapping.kind == RowKind::Events {
            column(ui, "Event column", mapping.event.as_ref(), &mut self.options.event);
            if mapping.event.is_none() {
                let name = mapping.event_name.as_deref().unwrap_or_default();
                said_field(ui, "Every row is", name, &mut self.options.event_name, 150.0);
            }
        }
        column(ui, "Message id", mapping.message_id.as_ref(), &mut self.options.message_id);
        column(ui, "Arrived", mapping.received_at.as_ref(), &mut self.options.received_at);
    }
}

/// A text that is proposed until a person says another.
fn said_field(ui: &mut Ui, label: &str, proposed: &str, said: &mut Option<String>, width: f32) {
    let mut text = said.clone().unwrap_or_else(|| proposed.to_owned());
    if text_field(ui, label, &mut text, proposed, width).changed() {
        *said = Some(text);
    }
}

/// Asks for files away from the window's thread.
fn open_dialog(context: egui::Context) -> Receiver<Vec<PathBuf>> {
    let (sender, receiver) = sync_channel(1);
    let spawned = std::thread::Builder::new().name("open-dialog".to_owned()).spawn(move || {
        let files = rfd::FileDialog::new().set_title("Import events").pick_files();
        if sender.send(files.unwrap_or_default()).is_ok() {
            context.request_repaint();
        }
    });
    drop(spawned);
    receiver
}

fn report_ui(ui: &mut Ui, state: &State) {
    let Some(report) = state.imported.value() else { return };
    let tokens = Tokens::at(ui);
    let color = if report.rejected + report.misfits > 0 { tokens.warn } else { tokens.good };
    ui.label(
        RichText::new(format!(
            "read {}, accepted {}, duplicate {}, rejected {}, misfits {} in {:.1} s",
            thousands(report.read),
            thousands(report.accepted),
            thousands(report.duplicate),
            thousands(report.rejected),
            thousands(report.misfits),
            report.seconds
        ))
        .color(color),
    );
}

/// The next step: features, where there are none yet.
fn next_ui(ui: &mut Ui, state: &State, outbox: &mut Outbox) {
    let look = state.look();
    let is_first = state.imported.value().is_some() && look.views.is_empty();
    if is_first
        && look.summary.events > 0
        && ui.button("Propose features").clicked()
        && let Ok(name) = FIRST_VIEW.parse()
    {
        outbox.send(Command::ProposeView(name));
        outbox.go(Page::Features);
    }
}

/// What became of values, or will, that a person may not expect.
fn remarks_ui(ui: &mut Ui, state: &State, proposal: &Proposal) {
    let proposed = proposal.remarks();
    let imported = state.imported.value().map(|report| report.remarks.clone());
    let new = imported.unwrap_or_default().into_iter().filter(|known| !proposed.contains(known));
    for remark in new.chain(proposed.iter().cloned()) {
        ui.add(egui::Label::new(RichText::new(remark).color(Tokens::at(ui).warn)).wrap());
    }
}

fn rejects_ui(ui: &mut Ui, state: &State) {
    let Some(report) = state.imported.value().filter(|report| report.rejected > 0) else { return };
    section(ui, "Rejected rows");
    ui.label("All of them are in the table rejected_rows, with line, column and reason.");
    for reject in report.rejects.iter().take(SHOWN_REJECTS) {
        let column = reject.column.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
        ui.label(format!("line {}{column}: {}", reject.line, shorten(&reject.reason, 160)));
    }
}

/// Asks for the kinds of events, once for each state of the data.
fn ask_for_inventory(state: &State, outbox: &mut Outbox) {
    let events = state.look().summary.events;
    let known = state.inventory.value().map(|(_, events)| *events);
    let has_failed = state.inventory.error().is_some();
    if events > 0 && known != Some(events) && state.inventory.job().is_none() && !has_failed {
        outbox.send(Command::Inventory);
    }
}

/// What was imported, each source to look at again.
fn imports_ui(ui: &mut Ui, state: &State) -> Option<PathBuf> {
    let overview = state.look();
    if overview.summary.imports.is_empty() {
        return None;
    }
    let tokens = Tokens::at(ui);
    section(ui, "Sources, latest first");
    let mut again = None;
    Grid::new("sources").num_columns(5).striped(true).spacing([16.0, 4.0]).show(ui, |ui| {
        for title in ["Source", "Accepted", "Duplicate", "Rejected", ""] {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for (source, accepted, duplicate, rejected) in &overview.summary.imports {
            ui.label(shorten(source, 80)).on_hover_text(source);
            ui.label(thousands(*accepted));
            ui.label(thousands(*duplicate));
            let color = if *rejected > 0 { tokens.warn } else { tokens.text };
            ui.label(RichText::new(thousands(*rejected)).color(color));
            let hover = "Look at it again: what is known already counts once";
            // Whether it is still there is found out by the job: a disk may be slow.
            if ui.small_button("Refresh…").on_hover_text(hover).clicked() {
                again = Some(PathBuf::from(source));
            }
            ui.end_row();
        }
    });
    again
}

/// The number of values that do not fit, and where they are.
fn misfits_ui(ui: &mut Ui, state: &State) {
    let misfits = state.look().summary.misfits;
    if misfits == 0 {
        return;
    }
    let text = format!(
        "{} values do not fit the type of their property, and are null in it. They are in the table misfits, \
         with message id, original and reason.",
        thousands(misfits)
    );
    ui.add(egui::Label::new(RichText::new(text).color(Tokens::at(ui).warn)).wrap());
}

/// The kinds of events, with their properties and an example of each.
fn inventory_ui(ui: &mut Ui, state: &State) {
    error_ui(ui, &state.inventory);
    let Some((kinds, _)) = state.inventory.value() else {
        if state.inventory.job().is_some() {
            ui.spinner();
        }
        return;
    };
    let tokens = Tokens::at(ui);
    section(ui, "Events and their properties");
    for kind in kinds {
        kind_ui(ui, kind);
    }
    let catalog = &state.look().catalog;
    if catalog.properties.len() > MOST_PROPERTIES {
        let text = format!("Only {MOST_PROPERTIES} properties are looked at here.");
        ui.label(RichText::new(text).color(tokens.weak));
    }
    if !catalog.traits.is_empty() {
        section(ui, "Traits of customers");
        let traits = catalog.traits.iter();
        let traits: Vec<String> = traits.map(|(name, type_)| format!("{name} ({type_})")).collect();
        ui.add(egui::Label::new(traits.join(", ")).wrap());
    }
}

fn kind_ui(ui: &mut Ui, kind: &EventKind) {
    let tokens = Tokens::at(ui);
    let days = format!("{} to {}", kind.first.date(), kind.last.date());
    let title = format!("{}  ·  {}  ·  {days}", shorten(&kind.name, 60), thousands(kind.events));
    let header = egui::CollapsingHeader::new(title).id_salt(("kind", &kind.name));
    header.show(ui, |ui| {
        if kind.properties.is_empty() {
            ui.label(RichText::new("no properties").color(tokens.weak));
            return;
        }
        let grid = Grid::new(("properties", &kind.name)).num_columns(4);
        grid.striped(true).spacing([16.0, 4.0]).show(ui, |ui| {
            for title in ["Property", "Type", "Has it", "For example"] {
                ui.label(RichText::new(title).small().color(tokens.weak));
            }
            ui.end_row();
            for property in &kind.properties {
                ui.label(shorten(&property.name, 40));
                ui.label(RichText::new(property.type_.to_string()).color(tokens.weak));
                #[allow(clippy::cast_precision_loss, reason = "a share for people")]
                let share = 100.0 * property.values as f64 / kind.events.max(1) as f64;
                ui.label(format!("{share:.1} %"));
                ui.label(RichText::new(shorten(&property.example, 60)).monospace().size(12.0));
                ui.end_row();
            }
        });
    });
}
