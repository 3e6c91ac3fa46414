use std::cmp::Ordering;

use eframe::egui::{self, Align, Key, Layout, Modifiers, RichText, Sense, Ui, vec2};
use egui_table::{AutoSizeMode, CellInfo, Column, HeaderCellInfo, HeaderRow, Table, TableDelegate};
use workspace::{ColumnSummary, Value, before};

use super::grid::{MOST_ROWS, ROW, cell_text, label_ui, width};
use super::{bars_ui, empty_state, shorten, text_field, thousands};
use crate::theme::{Tokens, strong};

/// A grid that is looked through: sorted by a click on a header, filtered, and copied from.
#[derive(Debug, Default)]
pub(crate) struct ResultTable {
    filter: String,
    /// The column that it is sorted by, and whether from the largest.
    sort: Sort,
    /// Rows that are shown, in order; made anew when something above changes.
    order: Vec<u32>,
    /// What the order was made from.
    made_from: Option<(u64, String, Sort)>,
    /// The chosen cell, by its row among those that are shown, and the other end of chosen rows.
    chosen: Option<(usize, usize)>,
    until: usize,
}

/// A column, and whether from the largest; none is as the rows came.
type Sort = Option<(usize, bool)>;

const HEADER: f32 = 58.0;
/// Characters of a cell that the inspector shows.
const INSPECTED: usize = 4_000;

impl ResultTable {
    /// Draws it; `version` tells one result from another.
    pub(crate) fn ui(
        &mut self,
        ui: &mut Ui,
        version: u64,
        columns: &[String],
        rows: &[Vec<Value>],
        summaries: &[ColumnSummary],
    ) {
        ui.horizontal(|ui| {
            text_field(ui, "Filter rows", &mut self.filter, "a text in any column", 220.0);
            ui.with_layout(Layout::left_to_right(Align::BOTTOM), |ui| {
                self.copy_ui(ui, columns, rows);
            });
        });
        self.arrange(version, rows);
        if self.order.is_empty() && !rows.is_empty() {
            empty_state(ui, "No row has this text.");
            return;
        }
        let inspector = if self.chosen.is_some() { 74.0 } else { 0.0 };
        let height = (ui.available_height() - inspector).max(120.0);
        let layout = Layout::top_down(Align::Min);
        ui.allocate_ui_with_layout(vec2(ui.available_width(), height), layout, |ui| {
            self.grid_ui(ui, columns, rows, summaries);
        });
        self.inspector_ui(ui, columns, rows);
    }

    fn grid_ui(
        &mut self,
        ui: &mut Ui,
        columns: &[String],
        rows: &[Vec<Value>],
        summaries: &[ColumnSummary],
    ) {
        let widths: Vec<Column> = (0..columns.len())
            .map(|place| {
                let wide = width(&columns[place], rows, place).max(96.0);
                Column::new(wide).range(96.0..=520.0).resizable(true)
            })
            .collect();
        let n = self.order.len().min(MOST_ROWS);
        let chosen_rows = self.chosen.map(|(row, _)| row.min(self.until)..=row.max(self.until));
        let mut delegate = Grid {
            columns,
            rows,
            summaries,
            order: &self.order,
            sort: self.sort,
            chosen: self.chosen,
            chosen_rows,
            sorted_by: None,
            clicked: None,
        };
        Table::new()
            .id_salt("result")
            .num_rows(u64::try_from(n).unwrap_or(0))
            .columns(widths)
            .headers([HeaderRow::new(HEADER)])
            .auto_size_mode(AutoSizeMode::Never)
            .show(ui, &mut delegate);
        let (sorted_by, clicked) = (delegate.sorted_by, delegate.clicked);
        if let Some(column) = sorted_by {
            self.sort = match self.sort {
                Some((known, false)) if known == column => Some((column, true)),
                Some((known, true)) if known == column => None,
                _ => Some((column, false)),
            };
        }
        if let Some((row, column)) = clicked {
            let extends = ui.input(|input| input.modifiers.shift) && self.chosen.is_some();
            self.until = row;
            if !extends {
                self.chosen = Some((row, column));
            }
        }
    }

    /// Filters and sorts, if something has changed.
    fn arrange(&mut self, version: u64, rows: &[Vec<Value>]) {
        let wanted = (version, self.filter.clone(), self.sort);
        if self.made_from.as_ref() == Some(&wanted) {
            return;
        }
        if self.made_from.as_ref().is_some_and(|(known, ..)| *known != version) {
            self.sort = None;
        }
        self.chosen = None;
        let text = self.filter.trim().to_lowercase();
        let has = |row: &Vec<Value>| {
            row.iter().any(|value| value.to_string().to_lowercase().contains(&text))
        };
        let all = rows.iter().zip(0_u32..).filter(|(row, _)| text.is_empty() || has(row));
        self.order = all.map(|(_, place)| place).collect();
        if let Some((column, is_descending)) = self.sort {
            let value = |place: &u32| rows[*place as usize].get(column).unwrap_or(&Value::Null);
            self.order.sort_by(|left, right| {
                let (left, right) = (value(left), value(right));
                // What is null comes last, whichever way.
                match (left.is_null(), right.is_null()) {
                    (true, true) => Ordering::Equal,
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) if is_descending => compared(right, left),
                    (false, false) => compared(left, right),
                }
            });
        }
        self.made_from = Some((version, self.filter.clone(), self.sort));
    }

    /// Copies the chosen rows, or all that are shown.
    fn copy_ui(&self, ui: &mut Ui, columns: &[String], rows: &[Vec<Value>]) {
        let (tsv, csv) = ui.input_mut(|input| {
            let csv = input.consume_key(Modifiers::COMMAND | Modifiers::SHIFT, Key::C);
            let is_copied = input.events.iter().any(|event| matches!(event, egui::Event::Copy));
            (is_copied && !csv, csv)
        });
        let is_elsewhere = ui.memory(|memory| memory.focused().is_some());
        let tsv = tsv && self.chosen.is_some() && !is_elsewhere;
        let (tsv, csv) = (
            ui.button("Copy as TSV").on_hover_text("Ctrl+C on chosen rows").clicked() || tsv,
            ui.button("Copy as CSV").on_hover_text("Ctrl+Shift+C, with a header").clicked() || csv,
        );
        if !tsv && !csv {
            return;
        }
        let range = self.chosen.map(|(row, _)| row.min(self.until)..row.max(self.until) + 1);
        let range = range.unwrap_or(0..self.order.len());
        let shown = self.order[range.start.min(self.order.len())..range.end.min(self.order.len())]
            .iter()
            .map(|place| &rows[*place as usize]);
        let text = if csv { as_csv(columns, shown) } else { as_tsv(shown) };
        ui.copy_text(text);
    }

    /// All of the chosen cell.
    fn inspector_ui(&self, ui: &mut Ui, columns: &[String], rows: &[Vec<Value>]) {
        let Some((row, column)) = self.chosen else { return };
        let value = self.order.get(row).and_then(|place| rows[*place as usize].get(column));
        let Some(value) = value else { return };
        let tokens = Tokens::at(ui);
        ui.horizontal(|ui| {
            let name = columns.get(column).map(String::as_str).unwrap_or_default();
            let n = thousands(u64::try_from(row + 1).unwrap_or(0));
            ui.label(RichText::new(format!("{name}, row {n}")).small().color(tokens.weak));
            if ui.small_button("Copy the cell").clicked() {
                ui.copy_text(value.to_string());
            }
        });
        egui::ScrollArea::vertical().id_salt("inspector").max_height(44.0).show(ui, |ui| {
            ui.label(RichText::new(shorten(&value.to_string(), INSPECTED)).monospace());
        });
    }
}

fn compared(left: &Value, right: &Value) -> Ordering {
    match (before(left, right), before(right, left)) {
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}

fn as_tsv<'r>(rows: impl Iterator<Item = &'r Vec<Value>>) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => other.to_string().replace(['\t', '\n', '\r'], " "),
    };
    let line = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<_>>().join("\t");
    rows.map(line).collect::<Vec<_>>().join("\n")
}

fn as_csv<'r>(columns: &[String], rows: impl Iterator<Item = &'r Vec<Value>>) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        other => quoted(&other.to_string()),
    };
    let head = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
    let lines = rows.map(|row| row.iter().map(cell).collect::<Vec<_>>().join(","));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

struct Grid<'a> {
    columns: &'a [String],
    rows: &'a [Vec<Value>],
    summaries: &'a [ColumnSummary],
    order: &'a [u32],
    sort: Sort,
    chosen: Option<(usize, usize)>,
    chosen_rows: Option<std::ops::RangeInclusive<usize>>,
    sorted_by: Option<usize>,
    clicked: Option<(usize, usize)>,
}

impl TableDelegate for Grid<'_> {
    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &HeaderCellInfo) {
        let tokens = Tokens::at(ui);
        let place = cell.col_range.start;
        let Some(name) = self.columns.get(place) else { return };
        let rect = ui.max_rect();
        ui.painter().rect_filled(rect, 0.0, tokens.field);
        let response = ui.interact(rect, ui.scope_id().with(("sort", place)), Sense::click());
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Sort by {name}"))
        });
        if response.clicked() {
            self.sorted_by = Some(place);
        }
        let arrow = match self.sort {
            Some((column, false)) if column == place => " ▲",
            Some((column, true)) if column == place => " ▼",
            _ => "",
        };
        response.context_menu(|ui| {
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
            if let Some(summary) = self.summaries.get(place) {
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
        let row = usize::try_from(row).unwrap_or(usize::MAX);
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
        let value =
            self.order.get(row).and_then(|place| self.rows[*place as usize].get(cell.col_nr));
        let Some(value) = value else { return };
        let rect = ui.max_rect();
        let id = ui.scope_id().with((row, cell.col_nr));
        if ui.interact(rect, id, Sense::click()).clicked() {
            self.clicked = Some((row, cell.col_nr));
        }
        if self.chosen == Some((row, cell.col_nr)) {
            let stroke = egui::Stroke::new(1.5, Tokens::at(ui).focus);
            ui.painter().rect_stroke(rect.shrink(1.0), 2.0, stroke, egui::StrokeKind::Inside);
        }
        cell_text(ui, value);
    }

    fn default_row_height(&self) -> f32 {
        ROW
    }
}

impl Grid<'_> {
    /// A column in a line.
    fn about(&self, summary: &ColumnSummary) -> String {
        let n = self.rows.len().max(1);
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
