use std::path::PathBuf;

use eframe::egui::{Button, Ui};
use workspace::{Command, Name};

use crate::state::{Outbox, State};
use crate::widgets::{choice, popup_button, section, text_field};

/// Models to and from other programs.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    file: String,
    view: String,
    name: String,
    function: String,
    out: String,
}

const WIDE: f32 = 260.0;

impl Exchange {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let look = state.look();
        popup_button(ui, "Import…", |ui| {
            section(ui, "A model that was trained elsewhere");
            text_field(ui, "File", &mut self.file, "model.onnx, or LightGBM's model.txt", WIDE);
            let views = look.views.iter().map(|view| view.name.as_str());
            choice(ui, "View that its columns are", &mut self.view, views, WIDE);
            text_field(ui, "Name of the function", &mut self.name, "theirs", WIDE);
            let names = (self.view.parse::<Name>(), self.name.trim().parse::<Name>());
            let is_ready = names.0.is_ok() && names.1.is_ok() && !self.file.trim().is_empty();
            if ui.add_enabled(is_ready, Button::new("Import the model")).clicked()
                && let (Ok(view), Ok(name)) = names
            {
                let file = PathBuf::from(self.file.trim());
                outbox.send(Command::ImportModel { file, view, name });
                ui.close();
            }
        });
        popup_button(ui, "Export…", |ui| {
            section(ui, "A function's model as ONNX");
            let functions = look.functions.iter().map(|function| function.name.as_str());
            choice(ui, "Function", &mut self.function, functions, WIDE);
            text_field(ui, "Export to", &mut self.out, "model.onnx", WIDE);
            let function = self.function.parse::<Name>();
            let is_ready = function.is_ok() && !self.out.trim().is_empty();
            if ui.add_enabled(is_ready, Button::new("Export the model")).clicked()
                && let Ok(function) = function
            {
                outbox.send(Command::ExportModel(function, PathBuf::from(self.out.trim())));
                ui.close();
            }
        });
    }
}
