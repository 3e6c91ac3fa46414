use eframe::egui::{self, Align, Layout, RichText, Ui};
use egui_table::{AutoSizeMode, CellInfo, Column, HeaderCellInfo, HeaderRow, Table, TableDelegate};
use workspace::Value;

use super::{number, shorten};
use crate::theme::{Tokens, strong};

/// Rows of one scroll area; beyond, their places are not exact in `f32`.
pub(super) const MOST_ROWS: usize = 500_000;
/// Characters of a cell.
const CELL: usize = 120;
/// Height of a row.
pub(super) const ROW: f32 = 22.0;

/// A grid of values with named columns: only what is visible is laid out.
pub(crate) fn grid_ui(ui: &mut Ui, id: &str, columns: &[String], rows: &[Vec<Value>]) {
    let widths: Vec<Column> = (0..columns.len())
        .map(|place| {
            Column::new(width(&columns[place], rows, place)).range(48.0..=420.0).resizable(true)
        })
        .collect();
    let mut delegate = Grid { columns, rows };
    let n = rows.len().min(MOST_ROWS);
    Table::new()
        .id_salt(id)
        .num_rows(u64::try_from(n).unwrap_or(0))
        .columns(widths)
        .headers([HeaderRow::new(28.0)])
        .auto_size_mode(AutoSizeMode::Never)
        .show(ui, &mut delegate);
}

/// A first width from the name and the first rows.
pub(super) fn width(name: &str, rows: &[Vec<Value>], place: usize) -> f32 {
    let cells =
        rows.iter().take(40).filter_map(|row| row.get(place)).map(|value| text(value).len());
    let longest = cells.chain([name.len() + 2]).max().unwrap_or(8).clamp(5, 36);
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let width = longest as f32 * 7.4 + 20.0;
    width
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Number(x) => number(*x),
        other => shorten(&other.to_string(), CELL),
    }
}

struct Grid<'a> {
    columns: &'a [String],
    rows: &'a [Vec<Value>],
}

impl TableDelegate for Grid<'_> {
    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &HeaderCellInfo) {
        let tokens = Tokens::at(ui);
        ui.painter().rect_filled(ui.max_rect(), 0.0, tokens.field);
        if let Some(name) = self.columns.get(cell.col_range.start) {
            ui.add_space(8.0);
            let name = RichText::new(shorten(name, 40)).font(strong(12.0)).color(tokens.strong);
            label_ui(ui, name);
        }
    }

    fn row_ui(&mut self, ui: &mut Ui, _: u64) {
        let tokens = Tokens::at(ui);
        if ui.rect_contains_pointer(ui.max_rect()) {
            ui.painter().rect_filled(ui.max_rect(), 0.0, tokens.hover);
        }
        let line = ui.max_rect().bottom() - 0.5;
        let stroke = egui::Stroke::new(0.5, tokens.line);
        ui.painter().hline(ui.max_rect().x_range(), line, stroke);
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &CellInfo) {
        let row = usize::try_from(cell.row_nr).ok().and_then(|row| self.rows.get(row));
        let Some(value) = row.and_then(|row| row.get(cell.col_nr)) else { return };
        cell_text(ui, value);
    }

    fn default_row_height(&self) -> f32 {
        ROW
    }
}

/// A value in its cell: numbers to the right, what is missing in italics.
pub(super) fn cell_text(ui: &mut Ui, value: &Value) {
    let tokens = Tokens::at(ui);
    let written = RichText::new(text(value));
    let written = match value {
        Value::Null => written.italics().color(tokens.weak),
        Value::Number(_) => written.monospace(),
        _ => written,
    };
    let to_the_right = matches!(value, Value::Number(_)) && !ui.is_sizing_pass();
    let layout = if to_the_right {
        Layout::right_to_left(Align::Center)
    } else {
        Layout::left_to_right(Align::Center)
    };
    ui.with_layout(layout, |ui| {
        ui.add_space(8.0);
        label_ui(ui, written);
    });
}

/// A label that is cut at the edge of its column; while columns are measured it takes what it needs. It
/// leaves clicks to the cell that it is in.
pub(super) fn label_ui(ui: &mut Ui, text: RichText) {
    if ui.is_sizing_pass() {
        ui.add(egui::Label::new(text).extend().selectable(false));
        ui.add_space(8.0);
    } else {
        ui.add(egui::Label::new(text).truncate().selectable(false));
    }
}
