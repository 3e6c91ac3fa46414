use eframe::egui::{self, RichText, Sense, Ui, vec2};
use workspace::insights::{Point, Range, Retention};

use super::Chosen;
use crate::theme::{Tokens, strong};
use crate::widgets::{section, thousands};

/// Size of a cell.
const CELL: egui::Vec2 = vec2(58.0, 24.0);
const COHORT: f32 = 124.0;
const SIZE: f32 = 64.0;

/// Cohorts down, intervals across, the share in each cell.
pub(in super::super) fn retention_ui(ui: &mut Ui, retention: &Retention, range: &Range) -> Chosen {
    ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
    let mut chosen = None;
    if retention.groups.is_empty() {
        let table = Table { retention, group: "", range };
        chosen = table.ui(ui, &retention.counts, &retention.mean);
    }
    for group in &retention.groups {
        section(ui, &group.group);
        let table = Table { retention, group: &group.group, range };
        chosen = table.ui(ui, &group.counts, &group.mean).or(chosen);
        ui.add_space(8.0);
    }
    chosen
}

struct Table<'a> {
    retention: &'a Retention,
    group: &'a str,
    range: &'a Range,
}

impl Table<'_> {
    fn ui(&self, ui: &mut Ui, counts: &[Vec<u64>], mean: &[f64]) -> Chosen {
        let mut chosen = None;
        ui.horizontal(|ui| {
            head_ui(ui, "cohort", COHORT);
            head_ui(ui, "size", SIZE);
            for column in 1..self.retention.columns.len() {
                head_ui(ui, &self.column(column), CELL.x);
            }
        });
        ui.horizontal(|ui| {
            head_ui(ui, "mean", COHORT);
            head_ui(ui, "", SIZE);
            for share in mean.iter().skip(1) {
                cell_ui(ui, *share, false, "mean over complete columns");
            }
        });
        for (cohort, row) in counts.iter().enumerate() {
            chosen = self.row_ui(ui, cohort, row).or(chosen);
        }
        chosen
    }

    fn row_ui(&self, ui: &mut Ui, cohort: usize, row: &[u64]) -> Chosen {
        let size = row.first().copied().unwrap_or(0);
        let mut date = self.range.labels.get(cohort).cloned().unwrap_or_default();
        if self.range.is_partial(cohort) {
            date += " (part)";
        }
        let mut chosen = None;
        let point = |column: usize, title: String| {
            let point = Point::Retention { group: self.group.to_owned(), cohort, column };
            (point, title)
        };
        ui.horizontal(|ui| {
            let date_text = RichText::new(&date).monospace().size(11.5);
            ui.add_sized(vec2(COHORT, CELL.y), egui::Label::new(date_text));
            let size_text = RichText::new(thousands(size)).monospace().size(11.5);
            let label = egui::Label::new(size_text).sense(Sense::click());
            if ui.add_sized(vec2(SIZE, CELL.y), label).clicked() {
                chosen = Some(point(0, format!("cohort of {date}")));
            }
            for (column, count) in row.iter().enumerate().skip(1) {
                #[allow(clippy::cast_precision_loss, reason = "a share for people")]
                let share = if size == 0 { f64::NAN } else { *count as f64 / size as f64 };
                let last = self.retention.columns[column].1;
                let is_running = cohort + usize::from(last) >= self.range.complete;
                let hover = format!("{count} of {size}");
                if cell_ui(ui, share, is_running, &hover) {
                    let title = format!("cohort of {date}, {}: {hover}", self.column(column));
                    chosen = Some(point(column, title));
                }
            }
        });
        chosen
    }

    /// What a column is called.
    fn column(&self, column: usize) -> String {
        let word: String =
            self.range.interval.word().chars().take(1).collect::<String>().to_uppercase();
        match self.retention.columns[column] {
            (from, to) if from == to => format!("{word}{from}"),
            (from, to) => format!("{word}{from}-{to}"),
        }
    }
}

fn head_ui(ui: &mut Ui, text: &str, wide: f32) {
    let text = RichText::new(text).font(strong(11.5)).color(Tokens::at(ui).weak);
    ui.add_sized(vec2(wide, CELL.y), egui::Label::new(text));
}

/// A share in its color; whether it was clicked.
fn cell_ui(ui: &mut Ui, share: f64, is_running: bool, hover: &str) -> bool {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(CELL, Sense::click());
    if share.is_finite() {
        let (fill, color) = tokens.ramp(share);
        ui.painter().rect_filled(rect, 3.0, fill);
        let mut text = RichText::new(format!("{:.1}", share * 100.0)).size(11.5).color(color);
        if is_running {
            text = text.italics();
        }
        ui.put(rect, egui::Label::new(text).selectable(false));
    }
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, hover));
    response.on_hover_text(hover).clicked()
}
