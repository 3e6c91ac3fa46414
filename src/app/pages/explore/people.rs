use std::collections::BTreeSet;

use eframe::egui::{self, RichText, ScrollArea, Ui};
use workspace::{Command, Name, SegmentDefinition};

use crate::pages::{CustomersShown, error_ui};
use crate::shown::Link;
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{section, text_field, thousands};

/// The customers behind a point of a chart.
#[derive(Debug, Default)]
pub(super) struct People {
    name: String,
}

/// Height of a row.
const ROW: f32 = 20.0;

impl People {
    /// Draws them; whether they are to be closed.
    pub(super) fn ui(
        &mut self,
        ui: &mut Ui,
        title: &str,
        state: &State,
        outbox: &mut Outbox,
    ) -> bool {
        let mut is_closed = false;
        ui.horizontal(|ui| {
            section(ui, "People");
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                is_closed = ui.button("Close").clicked();
            });
        });
        ui.label(RichText::new(title).color(Tokens::at(ui).weak));
        error_ui(ui, &state.people);
        if state.people.job().is_some() {
            ui.spinner();
        }
        let Some(people) = state.people.value() else { return is_closed };
        let n = u64::try_from(people.len()).unwrap_or(0);
        ui.label(format!("{} customers", thousands(n)));
        ui.horizontal(|ui| {
            text_field(ui, "Segment", &mut self.name, "came_back", 130.0);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                let name = self.name.trim().parse::<Name>();
                let is_ready = name.is_ok() && !people.is_empty();
                let save = ui.add_enabled(is_ready, egui::Button::new("Save"));
                if save.clicked()
                    && let Ok(name) = name
                {
                    outbox.send(Command::SaveSegment(SegmentDefinition {
                        name,
                        condition: None,
                        as_of: None,
                        customers: people.iter().cloned().collect::<BTreeSet<String>>(),
                        features: Vec::new(),
                    }));
                }
            });
        });
        ScrollArea::vertical().id_salt("people").auto_shrink(false).show_rows(
            ui,
            ROW,
            people.len(),
            |ui, rows| {
                for id in &people[rows] {
                    if ui.link(id).on_hover_text("Open the customer").clicked() {
                        outbox.show(Link::Customers(CustomersShown::of(id)));
                    }
                }
            },
        );
        is_closed
    }
}
