use eframe::egui::{self, Grid, RichText, Ui};

use crate::actions::TABLE;
use crate::pages::Page;
use crate::theme::{Tokens, strong};

/// Help on the page that is shown, with all keys.
#[derive(Debug, Default)]
pub(crate) struct Help {
    is_open: bool,
}

impl Help {
    pub(crate) const fn toggle(&mut self) {
        self.is_open = !self.is_open;
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) const fn close(&mut self) {
        self.is_open = false;
    }

    pub(crate) fn ui(&mut self, ui: &Ui, page: Page) {
        if !self.is_open {
            return;
        }
        let mut is_open = true;
        egui::Window::new(format!("Help: {}", page.name()))
            .id(egui::Id::unique("help"))
            .open(&mut is_open)
            .collapsible(false)
            .default_width(460.0)
            .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
            .show(ui.ctx(), |ui| {
                egui::ScrollArea::vertical().max_height(460.0).show(ui, |ui| page_ui(ui, page));
            });
        self.is_open = is_open;
    }
}

fn page_ui(ui: &mut Ui, page: Page) {
    let tokens = Tokens::at(ui);
    for paragraph in page.help() {
        ui.add(egui::Label::new(*paragraph).wrap());
        ui.add_space(4.0);
    }
    ui.add_space(6.0);
    ui.label(RichText::new("Keys").font(strong(13.0)).color(tokens.strong));
    Grid::new("keys").num_columns(2).spacing([24.0, 2.0]).show(ui, |ui| {
        for entry in &TABLE {
            let Some(shortcut) = entry.shortcut else { continue };
            ui.label(entry.name);
            ui.label(RichText::new(ui.ctx().format_shortcut(&shortcut)).monospace());
            ui.end_row();
        }
        for (what, keys) in [
            ("Run a query", "Ctrl+Enter"),
            ("Larger, smaller, as it was", "Ctrl++  Ctrl+-  Ctrl+0"),
        ] {
            ui.label(what);
            ui.label(RichText::new(keys).monospace());
            ui.end_row();
        }
    });
}
