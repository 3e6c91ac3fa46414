use eframe::egui::{self, ComboBox, Response, RichText, TextEdit, Ui};

use crate::theme::Tokens;

/// A one-line text field under its label, which is also its accessible name.
pub(crate) fn text_field(
    ui: &mut Ui,
    label: &str,
    text: &mut String,
    hint: &str,
    width: f32,
) -> Response {
    line(ui, label, width, TextEdit::singleline(text).hint_text(hint.to_owned()))
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

/// What a field has beside its text: margins, and of a choice the sign that it opens.
const AROUND: f32 = 28.0;

fn line(ui: &mut Ui, label: &str, width: f32, field: TextEdit<'_>) -> Response {
    let weak = Tokens::at(ui).weak;
    make_room(ui, width + AROUND);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let name = ui.label(RichText::new(label).small().color(weak));
        let field = field.id_salt(label).desired_width(width);
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
            .desired_rows(rows)
            .desired_width(f32::INFINITY);
        ui.add(field).labelled_by(name.id)
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
