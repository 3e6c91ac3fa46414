use std::ops::{Range, RangeInclusive};

use eframe::egui::{self, RichText, Sense, Ui};
use egui_table::{CellInfo, HeaderCellInfo, PrefetchInfo, TableDelegate};
use workspace::ColumnSummary;

use super::super::grid::{ROW, cell_text, label_ui};
use super::super::{bars_ui, shorten, thousands};
use super::{ResultTable, Shown, Wish};
use crate::theme::{Tokens, strong};

/// The cells of a result, while they are painted.
pub(super) struct Cells<'a, 's> {
    pub(super) table: &'a ResultTable,
    pub(super) shown: &'a Shown<'s>,
    /// The columns that are shown.
    pub(super) columns: &'a [usize],
    /// Rows before the first of the scroll area.
    pub(super) before: usize,
    pub(super) chosen_rows: Option<RangeInclusive<usize>>,
    pub(super) visible: Range<u64>,
    /// What is wanted of which column.
    pub(super) wish: Option<(usize, Wish)>,
    pub(super) clicked: Option<(usize, usize)>,
}

impl TableDelegate for Cells<'_, '_> {
    fn prepare(&mut self, info: &PrefetchInfo) {
        let before = self.before as u64;
        self.visible = info.visible_rows.start + before..info.visible_rows.end + before;
    }

    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &HeaderCellInfo) {
        let tokens = Tokens::at(ui);
        let Some(place) = self.columns.get(cell.col_range.start).copied() else { return };
        let Some(name) = self.shown.columns.get(place) else { return };
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, tokens.field);
        let response = ui.interact(rect, ui.scope_id().with(("sort", place)), Sense::click());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Sort by {name}"))
        });
        if response.clicked() {
            self.wish = Some((place, Wish::Turn));
        }
        let arrow = match self.table.sort {
            Some((column, false)) if column == place => " ▲",
            Some((column, true)) if column == place => " ▼",
            _ => "",
        };
        response.context_menu(|ui| {
            let wishes = [
                ("Sort from the least", Wish::Sort(false)),
                ("Sort from the largest", Wish::Sort(true)),
                ("Filter this column", Wish::Filter),
                ("Hide this column", Wish::Hide),
            ];
            for (text, wish) in wishes {
                if ui.button(text).clicked() {
                    self.wish = Some((place, wish));
                    ui.close();
                }
            }
            if ui.button("Copy the name").clicked() {
                ui.copy_text(name.clone());
                ui.close();
            }
        });
        ui.add_space(4.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ui.add_space(3.0);
            let title = RichText::new(format!("{}{arrow}", shorten(name, 40)));
            label_ui(ui, title.font(strong(12.0)).color(tokens.strong));
            if let Some(summary) = self.shown.summaries.get(place) {
                label_ui(ui, RichText::new(self.about(summary)).size(10.0).color(tokens.weak));
                if !summary.histogram.is_empty() {
                    let range = summary.range.as_ref();
                    let range = range.map_or_else(String::new, |(l, r)| format!("{l} to {r}"));
                    bars_ui(
                        ui,
                        &summary.histogram,
                        (rect.width() - 14.0).clamp(20.0, 120.0),
                        16.0,
                        &range,
                    );
                }
            }
        });
    }

    fn row_ui(&mut self, ui: &mut Ui, row: u64) {
        let tokens = Tokens::at(ui);
        let row = usize::try_from(row).unwrap_or(usize::MAX).saturating_add(self.before);
        if self.chosen_rows.as_ref().is_some_and(|rows| rows.contains(&row)) {
            ui.painter().rect_filled(ui.max_rect(), 0.0, tokens.selected);
        } else if ui.rect_contains_pointer(ui.max_rect()) {
            ui.painter().rect_filled(ui.max_rect(), 0.0, tokens.hover);
        }
        let stroke = egui::Stroke::new(0.5, tokens.line);
        ui.painter().hline(ui.max_rect().x_range(), ui.max_rect().bottom() - 0.5, stroke);
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &CellInfo) {
        let Ok(row) = usize::try_from(cell.row_nr) else { return };
        let Some(column) = self.columns.get(cell.col_nr).copied() else { return };
        let row = row + self.before;
        let Some(values) = self.table.row(self.shown, row) else {
            label_ui(ui, RichText::new("…").color(Tokens::at(ui).weak));
            return;
        };
        let Some(value) = values.get(column) else { return };
        let rect = ui.max_rect();
        let id = ui.scope_id().with((row, column));
        if ui.interact(rect, id, Sense::click()).clicked() {
            self.clicked = Some((row, column));
        }
        if self.table.chosen == Some((row, column)) {
            let stroke = egui::Stroke::new(1.5, Tokens::at(ui).focus);
            ui.painter().rect_stroke(rect.shrink(1.0), 2.0, stroke, egui::StrokeKind::Inside);
        }
        cell_text(ui, value);
    }

    fn default_row_height(&self) -> f32 {
        ROW
    }
}

impl Cells<'_, '_> {
    /// A column in a line.
    fn about(&self, summary: &ColumnSummary) -> String {
        let n = self.table.n_all(self.shown).max(1);
        #[allow(clippy::cast_precision_loss, reason = "a share for people")]
        let nulls = summary.nulls as f64 / n as f64 * 100.0;
        let count = |n: usize| thousands(u64::try_from(n).unwrap_or(0));
        let distinct = match summary.distinct {
            Some(n) => format!("{} distinct", count(n)),
            None => "very many".to_owned(),
        };
        match summary.nulls {
            0 => distinct,
            _ => format!("{distinct}, {nulls:.0} % null"),
        }
    }
}
