use eframe::egui::{Grid, RichText, Sense, Ui, vec2};
use workspace::insights::{Point, SEGMENTS, Segments, segment_of};

use super::Chosen;
use crate::theme::Tokens;
use crate::widgets::{empty_state, thousands};

const CELL: f32 = 76.0;

/// The grid of recency and frequency, and what each segment is like.
pub(in super::super) fn segments_ui(ui: &mut Ui, segments: &Segments) -> Chosen {
    if segments.segments.is_empty() {
        empty_state(ui, "Nobody ordered in this time.");
        return None;
    }
    let tokens = Tokens::at(ui);
    let mut chosen = None;
    let of = |name: &str| (Point::Segments(name.to_owned()), name.to_owned());
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.label(
                RichText::new("recency up, frequency to the right").small().color(tokens.weak),
            );
            ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
            let most = segments.grid.iter().flatten().copied().max().unwrap_or(1).max(1);
            for recency in (1..=5_u8).rev() {
                ui.horizontal(|ui| {
                    for frequency in 1..=5_u8 {
                        let n = segments.grid[usize::from(recency - 1)][usize::from(frequency - 1)];
                        let name = SEGMENTS[segment_of(recency, frequency)];
                        let (rect, cell) = ui.allocate_exact_size(vec2(CELL, 40.0), Sense::click());
                        #[allow(clippy::cast_precision_loss, reason = "a share for a color")]
                        let (fill, text) = tokens.ramp(n as f64 / most as f64);
                        ui.painter().rect_filled(rect, 3.0, fill);
                        let label = RichText::new(thousands(n)).color(text).size(12.0);
                        ui.put(rect, eframe::egui::Label::new(label).selectable(false));
                        let hover = format!(
                            "{name}: {n} customers, recency {recency}, frequency {frequency}"
                        );
                        cell.widget_info(|| {
                            eframe::egui::WidgetInfo::labeled(
                                eframe::egui::Role::Button,
                                true,
                                &hover,
                            )
                        });
                        if cell.on_hover_text(&hover).clicked() {
                            chosen = Some(of(name));
                        }
                    }
                });
            }
        });
        ui.add_space(16.0);
        Grid::new("segments").num_columns(5).spacing([18.0, 6.0]).striped(false).show(ui, |ui| {
            for title in ["segment", "customers", "days since", "orders", "worth"] {
                ui.label(RichText::new(title).small().color(tokens.weak));
            }
            ui.end_row();
            for row in &segments.segments {
                if ui.link(&row.name).clicked() {
                    chosen = Some(of(&row.name));
                }
                ui.label(RichText::new(thousands(row.customers)).monospace());
                for x in [row.mean_recency_days, row.mean_frequency, row.mean_monetary] {
                    ui.label(RichText::new(format!("{x:.1}")).monospace());
                }
                ui.end_row();
            }
        });
    });
    chosen
}
