use eframe::egui::{self, CornerRadius, Frame, InnerResponse, Margin, RichText, Stroke, Ui};

use crate::theme::{Tokens, strong};

/// A card: a filled, rounded frame.
pub(crate) fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let tokens = Tokens::at(ui);
    Frame::NONE
        .fill(tokens.field)
        .stroke(Stroke::new(1.0, tokens.line))
        .corner_radius(CornerRadius::same(6))
        .inner_margin(Margin::same(12))
        .show(ui, |ui| ui.vertical(add).inner)
}

/// A number that matters, with what it is above and a remark below.
pub(crate) fn key_figure(ui: &mut Ui, width: f32, title: &str, figure: &str, remark: &str) {
    card(ui, |ui| {
        ui.set_width(width);
        ui.set_height(76.0);
        let tokens = Tokens::at(ui);
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.label(RichText::new(title).small().color(tokens.weak));
        ui.label(RichText::new(figure).font(strong(24.0)).color(tokens.strong));
        ui.add(egui::Label::new(RichText::new(remark).small().color(tokens.weak)).truncate());
    });
}

/// A heading of a part of a page.
pub(crate) fn section(ui: &mut Ui, title: &str) {
    let tokens = Tokens::at(ui);
    ui.add_space(4.0);
    ui.label(RichText::new(title).font(strong(13.0)).color(tokens.strong));
}

/// A button that opens a place with fields. Unlike a menu it stays while they are clicked.
pub(crate) fn popup_button(ui: &mut Ui, text: &str, add: impl FnOnce(&mut Ui)) {
    let stays = egui::containers::menu::MenuConfig::new()
        .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside);
    egui::containers::menu::MenuButton::new(text).config(stays).ui(ui, add);
}

/// What an empty place says: one sentence.
pub(crate) fn empty_state(ui: &mut Ui, sentence: &str) {
    let tokens = Tokens::at(ui);
    ui.add_space(24.0);
    ui.vertical_centered(|ui| ui.label(RichText::new(sentence).color(tokens.weak)));
    ui.add_space(12.0);
}

/// A label of a fixed width, cut where it is too long, at the left.
pub(crate) fn label_cell(ui: &mut Ui, text: RichText, width: f32) {
    let size = egui::vec2(width, 16.0);
    let layout = egui::Layout::left_to_right(egui::Align::Center);
    ui.allocate_ui_with_layout(size, layout, |ui| {
        ui.set_min_size(size);
        ui.add(egui::Label::new(text).truncate());
    });
}
