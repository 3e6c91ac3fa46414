//! A grid that is looked through: sorted, filtered, copied from, with a summary of each column.

mod cells;
mod copying;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use cells::Cells;
use copying::as_csv;
pub(crate) use copying::as_tsv;
use eframe::egui::{self, Align, Key, Layout, Modifiers, RichText, Ui, vec2};
use egui_table::{AutoSizeMode, Column, HeaderRow, Table};
use workspace::{Arrangement, ColumnSummary, HeldPage, Value, before};

use super::grid::{MOST_ROWS, width};
use super::{empty_state, shorten, text_field, thousands};
use crate::theme::Tokens;

/// A grid that is looked through: sorted by a click on a header, filtered, and copied from.
#[derive(Debug, Default)]
pub(crate) struct ResultTable {
    filter: String,
    /// The column that the filter is about; none is all of them.
    filtered: Option<usize>,
    /// Columns that are not shown.
    hidden: BTreeSet<usize>,
    /// The column that it is sorted by, and whether from the largest.
    sort: Sort,
    /// Rows that are shown, in order; made anew when something above changes.
    order: Vec<u32>,
    /// What the order was made from.
    made_from: Option<(u64, Arrangement)>,
    /// The chosen cell, by its row among those that are shown, and the other end of chosen rows.
    chosen: Option<(usize, usize)>,
    until: usize,
    /// Which part of the rows is in the scroll area.
    part: usize,
    /// What was asked for last of rows that are kept elsewhere.
    asked: Option<(u64, Arrangement, u64)>,
}

/// A result that is looked through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// Tells it from others.
    pub(crate) version: u64,
    pub(crate) columns: &'a [String],
    pub(crate) rows: Rows<'a>,
    pub(crate) summaries: &'a [ColumnSummary],
}

/// Where its rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// All here.
    Whole(&'a [Vec<Value>]),
    /// Kept elsewhere, so many; those that were fetched last are here.
    Held { n: u64, page: Option<&'a HeldPage> },
}

/// What a table asks for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Rows that are kept elsewhere, from a place on.
    pub(crate) page: Option<(Arrangement, u64)>,
    /// Customers to choose.
    pub(crate) customers: Option<Vec<String>>,
    /// Something to tell.
    pub(crate) said: Option<String>,
}

/// What is wanted of a column.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// To sort by it, then the other way, then not.
    Turn,
    Sort(bool),
    Filter,
    Hide,
}

/// A column, and whether from the largest; none is as the rows came.
type Sort = Option<(usize, bool)>;

const HEADER: f32 = 58.0;
/// Characters of a cell that the inspector shows.
const INSPECTED: usize = 4_000;
/// Rows before the visible ones that are asked for, too.
const MARGIN: u64 = 300;

impl<'a> Rows<'a> {
    /// Some of them, to look at.
    const fn here(self) -> &'a [Vec<Value>] {
        match self {
            Self::Whole(rows) => rows,
            Self::Held { page: Some(page), .. } => page.rows.as_slice(),
            Self::Held { page: None, .. } => &[],
        }
    }
}

impl ResultTable {
    /// Draws it. `is_active` says whether keys are for it.
    pub(crate) fn ui(&mut self, ui: &mut Ui, shown: &Shown<'_>, is_active: bool) -> Asked {
        let mut asked = Asked::default();
        ui.horizontal_wrapped(|ui| {
            let of = self.filtered.and_then(|place| shown.columns.get(place));
            let hint = match of {
                Some(name) => format!("a text in {}", shorten(name, 20)),
                None => "a text in any column".to_owned(),
            };
            text_field(ui, "Filter rows", &mut self.filter, &hint, 220.0);
            ui.with_layout(Layout::left_to_right(Align::BOTTOM), |ui| {
                if self.filtered.is_some() && ui.button("In any column").clicked() {
                    self.filtered = None;
                }
                if !self.hidden.is_empty() && ui.button("Show all columns").clicked() {
                    self.hidden.clear();
                }
                self.copy_ui(ui, shown, is_active, &mut asked);
                self.choose_ui(ui, shown, &mut asked);
                self.parts_ui(ui, shown);
            });
        });
        self.arrange(shown);
        if self.n(shown) == 0 && self.n_all(shown) > 0 && !self.filter.is_empty() {
            empty_state(ui, "No row has this text.");
            return asked;
        }
        let inspector = if self.chosen.is_some() { 74.0 } else { 0.0 };
        let height = (ui.available_height() - inspector).max(120.0);
        let layout = Layout::top_down(Align::Min);
        let size = vec2(ui.available_width(), height);
        let visible = ui.allocate_ui_with_layout(size, layout, |ui| self.grid_ui(ui, shown)).inner;
        asked.page = self.page(shown, visible);
        self.inspector_ui(ui, shown);
        asked
    }

    /// Asks again for rows that are kept elsewhere.
    pub(crate) fn ask_again(&mut self) {
        self.asked = None;
    }

    /// Rows before any filter.
    fn n_all(&self, shown: &Shown<'_>) -> usize {
        match shown.rows {
            Rows::Whole(rows) => rows.len(),
            Rows::Held { n, .. } => usize::try_from(n).unwrap_or(usize::MAX),
        }
    }

    /// Rows that fit the filter, as far as that is known.
    fn n(&self, shown: &Shown<'_>) -> usize {
        match shown.rows {
            Rows::Whole(_) => self.order.len(),
            Rows::Held { n, page } => {
                let page = page.filter(|page| page.arrangement == self.arrangement());
                usize::try_from(page.map_or(n, |page| page.n)).unwrap_or(usize::MAX)
            }
        }
    }

    fn arrangement(&self) -> Arrangement {
        let filter = self.filter.trim().to_owned();
        Arrangement { filter, column: self.filtered, sort: self.sort }
    }

    /// A row by its place among those that are shown; none if it is not here.
    fn row<'a>(&self, shown: &Shown<'a>, place: usize) -> Option<&'a [Value]> {
        match shown.rows {
            Rows::Whole(rows) => Some(rows.get(*self.order.get(place)? as usize)?.as_slice()),
            Rows::Held { page, .. } => {
                let page = page.filter(|page| page.arrangement == self.arrangement())?;
                let place = u64::try_from(place).ok()?.checked_sub(page.from)?;
                Some(page.rows.get(usize::try_from(place).ok()?)?.as_slice())
            }
        }
    }

    /// What to ask for so that the visible rows are here: some before and after them, too.
    fn page(
        &mut self,
        shown: &Shown<'_>,
        visible: std::ops::Range<u64>,
    ) -> Option<(Arrangement, u64)> {
        let Rows::Held { page, .. } = shown.rows else { return None };
        let arrangement = self.arrangement();
        let page = page.filter(|page| page.arrangement == arrangement);
        let is_here = page.is_some_and(|page| {
            let until = page.from + page.rows.len() as u64;
            page.from <= visible.start && (visible.end <= until || until >= page.n)
        });
        let from = visible.start.saturating_sub(MARGIN);
        let wanted = (shown.version, arrangement, from);
        if is_here || self.asked.as_ref() == Some(&wanted) {
            return None;
        }
        self.asked = Some(wanted.clone());
        Some((wanted.1, wanted.2))
    }

    /// The parts of a result that is too long for one scroll area.
    fn parts_ui(&mut self, ui: &mut Ui, shown: &Shown<'_>) {
        let n = self.n(shown);
        let parts = n.div_ceil(MOST_ROWS).max(1);
        self.part = self.part.min(parts - 1);
        if parts == 1 {
            return;
        }
        let count = |n: usize| thousands(u64::try_from(n).unwrap_or(0));
        let (first, last) = (self.part * MOST_ROWS + 1, ((self.part + 1) * MOST_ROWS).min(n));
        if ui.add_enabled(self.part > 0, egui::Button::new("Rows before")).clicked() {
            self.part -= 1;
        }
        ui.label(format!("rows {} to {} of {}", count(first), count(last), count(n)));
        if ui.add_enabled(self.part + 1 < parts, egui::Button::new("Rows after")).clicked() {
            self.part += 1;
        }
    }

    /// Draws the grid; gives the rows that are visible.
    fn grid_ui(&mut self, ui: &mut Ui, shown: &Shown<'_>) -> std::ops::Range<u64> {
        let rows = shown.rows.here();
        let columns: Vec<usize> =
            (0..shown.columns.len()).filter(|place| !self.hidden.contains(place)).collect();
        let widths: Vec<Column> = columns
            .iter()
            .map(|place| {
                let wide = width(&shown.columns[*place], rows, *place).max(96.0);
                Column::new(wide)
                    .id(egui::Id::unique(("column", *place)))
                    .range(96.0..=520.0)
                    .resizable(true)
            })
            .collect();
        let before = self.part * MOST_ROWS;
        let n = self.n(shown).saturating_sub(before).min(MOST_ROWS);
        let chosen_rows = self.chosen.map(|(row, _)| row.min(self.until)..=row.max(self.until));
        let mut cells = Cells {
            table: self,
            shown,
            columns: &columns,
            before,
            chosen_rows,
            visible: 0..0,
            wish: None,
            clicked: None,
        };
        Table::new()
            .id_salt("result")
            .num_rows(u64::try_from(n).unwrap_or(0))
            .columns(widths)
            .headers([HeaderRow::new(HEADER)])
            .auto_size_mode(AutoSizeMode::Never)
            .show(ui, &mut cells);
        let (wish, clicked, visible) = (cells.wish, cells.clicked, cells.visible);
        match wish {
            Some((column, Wish::Turn)) => {
                self.sort = match self.sort {
                    Some((known, false)) if known == column => Some((column, true)),
                    Some((known, true)) if known == column => None,
                    _ => Some((column, false)),
                };
            }
            Some((column, Wish::Sort(is_descending))) => self.sort = Some((column, is_descending)),
            Some((column, Wish::Filter)) => self.filtered = Some(column),
            Some((column, Wish::Hide)) => _ = self.hidden.insert(column),
            None => {}
        }
        if let Some((row, column)) = clicked {
            let extends = ui.input(|input| input.modifiers.shift) && self.chosen.is_some();
            self.until = row;
            if !extends {
                self.chosen = Some((row, column));
            }
        }
        visible
    }

    /// Filters and sorts, if something has changed; rows that are kept elsewhere are arranged there.
    fn arrange(&mut self, shown: &Shown<'_>) {
        let wanted = (shown.version, self.arrangement());
        if self.made_from.as_ref() == Some(&wanted) {
            return;
        }
        // The rows that are kept of a result have the next number: they are the same.
        if self.made_from.as_ref().is_some_and(|(known, _)| *known / 2 != shown.version / 2) {
            self.sort = None;
            self.filtered = None;
            self.hidden.clear();
        }
        self.chosen = None;
        self.part = 0;
        self.made_from = Some((shown.version, self.arrangement()));
        let Rows::Whole(rows) = shown.rows else {
            self.order = Vec::new();
            return;
        };
        let text = self.filter.trim().to_lowercase();
        let is_looked_at = |place: usize| self.filtered.is_none_or(|it| it == place);
        let has = |row: &Vec<Value>| {
            let values = row.iter().enumerate().filter(|(place, _)| is_looked_at(*place));
            values.map(|(_, value)| value.to_string().to_lowercase()).any(|it| it.contains(&text))
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
    }

    /// The chosen rows, or all that are shown, as far as they are here; and how many there are.
    fn picked<'a>(&self, shown: &Shown<'a>) -> (Vec<&'a [Value]>, usize) {
        let all = self.n(shown);
        let range = self.chosen.map(|(row, _)| row.min(self.until)..row.max(self.until) + 1);
        let range = range.unwrap_or(0..all);
        let range = range.start.min(all)..range.end.min(all);
        let n = range.len();
        let range = match shown.rows {
            Rows::Whole(_) => range,
            // Only those that are here need to be looked for.
            Rows::Held { page, .. } => {
                let from = page.and_then(|page| usize::try_from(page.from).ok()).unwrap_or(0);
                let until = from + shown.rows.here().len();
                range.start.clamp(from, until)..range.end.clamp(from, until)
            }
        };
        (range.filter_map(|place| self.row(shown, place)).collect(), n)
    }

    /// Copies the chosen rows, or all that are shown.
    fn copy_ui(&self, ui: &mut Ui, shown: &Shown<'_>, is_active: bool, asked: &mut Asked) {
        let (tsv, csv) = ui.input_mut(|input| {
            let csv = is_active && input.consume_key(Modifiers::COMMAND | Modifiers::SHIFT, Key::C);
            let is_copied = input.events.iter().any(|event| matches!(event, egui::Event::Copy));
            (is_active && is_copied && !csv, csv)
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
        let (rows, n) = self.picked(shown);
        if rows.len() < n {
            let (few, n) = (rows.len(), thousands(u64::try_from(n).unwrap_or(0)));
            let text = format!("Copied {few} of {n} rows, those that are here; Export… writes all");
            asked.said = Some(text);
        }
        let rows = rows.into_iter();
        ui.copy_text(if csv { as_csv(shown.columns, rows) } else { as_tsv(rows) });
    }

    /// Chooses the customers of the chosen rows, or of all that are shown.
    fn choose_ui(&self, ui: &mut Ui, shown: &Shown<'_>, asked: &mut Asked) {
        let Some(place) = shown.columns.iter().position(|name| name == "customer_id") else {
            return;
        };
        let button = ui.button("Choose customers");
        let hint =
            "Those of the chosen rows, or of all rows: other tiles show them, if tiles are linked";
        if button.on_hover_text(hint).clicked() {
            let (rows, n) = self.picked(shown);
            if rows.len() < n {
                let text =
                    "These are more rows than are here: choose some, or save a segment of them";
                asked.said = Some(text.to_owned());
                return;
            }
            let ids = rows.iter().filter_map(|row| row.get(place)).filter(|id| !id.is_null());
            asked.customers = Some(ids.map(ToString::to_string).collect());
        }
    }

    /// All of the chosen cell.
    fn inspector_ui(&self, ui: &mut Ui, shown: &Shown<'_>) {
        let Some((row, column)) = self.chosen else { return };
        let Some(value) = self.row(shown, row).and_then(|row| row.get(column)) else { return };
        let tokens = Tokens::at(ui);
        ui.horizontal(|ui| {
            let name = shown.columns.get(column).map(String::as_str).unwrap_or_default();
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
