use eframe::egui::{self, ComboBox, Response, RichText, TextEdit, Ui};

use super::thousands;
use crate::theme::Tokens;

/// A one-line text field under its label, which is also its accessible name.
pub(crate) fn text_field(
    ui: &mut Ui,
    label: &str,
    text: &mut String,
    hint: &str,
    width: f32,
) -> Response {
    let field = TextEdit::singleline(text).hint_text(hint.to_owned());
    let response = line(ui, label, width, field);
    full_field_ui(ui, text, MAX_LINE_CHARS);
    response
}

/// A one-line field for what is not to be read over a shoulder.
pub(crate) fn secret_field(ui: &mut Ui, label: &str, text: &mut String, width: f32) -> Response {
    line(ui, label, width, TextEdit::singleline(text).password(true))
}

/// Begins the next row, if this one has no room for so much.
fn make_room(ui: &mut Ui, width: f32) {
    let wraps = ui.layout().is_horizontal() && ui.layout().main_wrap();
    let is_begun = ui.cursor().left() > ui.max_rect().left() + 1.0;
    if wraps && is_begun && width.is_finite() && ui.available_size_before_wrap().x < width {
        ui.end_row();
    }
}

/// Characters of a one-line field. A longer text is cut, and the field says so: laying out a megabyte takes longer
/// than a frame.
pub(crate) const MAX_LINE_CHARS: usize = 4_096;
/// Characters of a field of several lines; see [`MAX_LINE_CHARS`].
pub(crate) const MAX_TEXT_CHARS: usize = 200_000;

/// Notes that a field is full: the rest of what was typed or pasted is not in it.
pub(crate) fn full_field_ui(ui: &mut Ui, text: &str, most: usize) {
    // A text with fewer bytes than that has fewer characters, too.
    if text.len() >= most && text.chars().count() >= most {
        let n = thousands(u64::try_from(most).unwrap_or(u64::MAX));
        let note = format!("Only the first {n} characters are kept.");
        ui.label(RichText::new(note).small().color(Tokens::at(ui).warn));
    }
}

/// What a field has beside its text: margins, and of a choice the sign that it opens.
const AROUND: f32 = 28.0;

fn line(ui: &mut Ui, label: &str, width: f32, field: TextEdit<'_>) -> Response {
    let weak = Tokens::at(ui).weak;
    make_room(ui, width + AROUND);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let name = ui.label(RichText::new(label).small().color(weak));
        let field = field.id_salt(label).desired_width(width).char_limit(MAX_LINE_CHARS);
        ui.add(field.margin(egui::Margin::symmetric(6, 5))).labelled_by(name.id)
    })
    .inner
}

/// A text field of several lines under its label, in the monospace font.
pub(crate) fn text_area(ui: &mut Ui, label: &str, text: &mut String, rows: usize) -> Response {
    let weak = Tokens::at(ui).weak;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let name = ui.label(RichText::new(label).small().color(weak));
        let field = TextEdit::multiline(text)
            .id_salt(label)
            .code_editor()
            .char_limit(MAX_TEXT_CHARS)
            .desired_rows(rows)
            .desired_width(f32::INFINITY);
        let response = ui.add(field).labelled_by(name.id);
        full_field_ui(ui, text, MAX_TEXT_CHARS);
        response
    })
    .inner
}

/// A choice of one of several texts under its label; gives whether it changed.
pub(crate) fn choice<'a>(
    ui: &mut Ui,
    label: &str,
    current: &mut String,
    options: impl IntoIterator<Item = &'a str>,
    width: f32,
) -> bool {
    let weak = Tokens::at(ui).weak;
    let mut changed = false;
    make_room(ui, width + AROUND);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let name = ui.label(RichText::new(label).small().color(weak));
        let combo = ComboBox::from_id_salt(label).width(width).selected_text(current.as_str());
        let shown = combo.show_ui(ui, |ui| {
            for option in options {
                if ui.selectable_label(option == current.as_str(), option).clicked()
                    && option != current.as_str()
                {
                    option.clone_into(current);
                    changed = true;
                }
            }
        });
        shown.response.labelled_by(name.id)
    });
    changed
}

/// The button of the next step: there is one on a page.
pub(crate) fn primary_button(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let tokens = Tokens::at(ui);
    let text = RichText::new(text).color(if enabled { tokens.on_accent } else { tokens.weak });
    let fill = if enabled { tokens.accent } else { tokens.hover };
    ui.add_enabled(enabled, egui::Button::new(text).fill(fill))
}
