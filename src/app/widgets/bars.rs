use eframe::egui::{Color32, Rect, Sense, Ui, pos2, vec2};

use crate::theme::Tokens;

/// A small histogram, its bars from left to right.
pub(crate) fn bars_ui(ui: &mut Ui, bars: &[u32], width: f32, height: f32, hover: &str) {
    let color = Tokens::at(ui).series[0];
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    let most = bars.iter().copied().max().unwrap_or(0);
    if most > 0 && ui.is_rect_visible(rect) {
        let step = rect.width() / f32_of(bars.len());
        for (place, bar) in bars.iter().enumerate().filter(|(_, bar)| **bar > 0) {
            // The root keeps small bars visible beside large ones.
            let share = (f32_of(*bar as usize) / f32_of(most as usize)).sqrt();
            let left = rect.left() + step * f32_of(place);
            let top = rect.bottom() - (rect.height() * share).max(1.0);
            let bar = Rect::from_min_max(pos2(left, top), pos2(left + step - 1.0, rect.bottom()));
            ui.painter().rect_filled(bar, 0.0, color);
        }
    }
    if !hover.is_empty() {
        response.on_hover_text(hover);
    }
}

/// A share between 0 and 1 as a bar with its text.
pub(crate) fn share_bar_ui(ui: &mut Ui, share: f32, width: f32, color: Color32) {
    let track = Tokens::at(ui).hover;
    let (rect, _) = ui.allocate_exact_size(vec2(width, 6.0), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, track);
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * share.clamp(0.0, 1.0), 6.0));
    ui.painter().rect_filled(filled, 3.0, color);
}

#[allow(clippy::cast_precision_loss, reason = "pixels")]
fn f32_of(n: usize) -> f32 {
    n as f32
}
