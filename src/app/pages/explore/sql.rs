use std::path::PathBuf;

use eframe::egui::{self, Color32, Key, Modifiers, RichText, TextEdit, Ui};
use workspace::{Command, Name, Overview, SELECTION};

use super::board::{Place, fold_ui};
use super::quick::Quick;
use crate::pages::{again_ui, error_ui};
use crate::state::{Outbox, Queried, State, Tone};
use crate::theme::Tokens;
use crate::widgets::{
    MAX_TEXT_CHARS, ResultTable, Rows, Shown, empty_state, full_field_ui, popup_button,
    primary_button, shorten, sql_job, text_field, thousands,
};

/// Queries on the warehouse.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) sql: String,
    /// Whether only the rows are shown, without the editor.
    pub(super) is_folded: bool,
    export: String,
    name: String,
    /// What was run, latest first.
    history: Vec<String>,
    table: ResultTable,
    quick: Quick,
    /// Where the cursor was, in characters.
    cursor: usize,
    /// Of which selection it was run last.
    selection: u64,
}

const FIRST_QUERY: &str = "SELECT event, count(*) AS events, count(DISTINCT customer_id) AS customers,\n       \
     min(event_time) AS first, max(event_time) AS last\nFROM events\nGROUP BY event\nORDER BY events DESC";
/// The share of the page that the editor takes at most, and what it takes anyhow.
const EDITOR_SHARE: f32 = 0.4;
const LEAST_EDITOR: f32 = 110.0;
/// Queries that are remembered.
const MOST_QUERIES: usize = 50;
/// Words that are proposed.
const MOST_WORDS: usize = 8;
/// Words of SQL that are proposed.
const WORDS: [&str; 34] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "JOIN",
    "LEFT JOIN",
    "USING",
    "DISTINCT",
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "MEDIAN",
    "QUANTILE_CONT",
    "DATE_TRUNC",
    "DATEDIFF",
    "INTERVAL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "COALESCE",
    "PARTITION BY",
    "ROW_NUMBER",
    "LAG",
    "LEAD",
    "UNION ALL",
    "WITH",
    "QUALIFY",
];

impl Default for Sql {
    fn default() -> Self {
        Self {
            sql: FIRST_QUERY.to_owned(),
            is_folded: false,
            export: String::new(),
            name: String::new(),
            history: Vec::new(),
            table: ResultTable::default(),
            quick: Quick::default(),
            cursor: 0,
            selection: 0,
        }
    }
}

impl Sql {
    /// A tile with a query.
    pub(super) fn of(sql: String) -> Self {
        Self { sql, ..Self::default() }
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, place: Place, state: &State, outbox: &mut Outbox) {
        let has_key = |modifiers: Modifiers, key: Key| {
            place.is_active && ui.input_mut(|input| input.consume_key(modifiers, key))
        };
        let run_key = has_key(Modifiers::COMMAND, Key::Enter);
        let take_word = has_key(Modifiers::CTRL, Key::Space);
        let answer = state.tiles.query(place.slot);
        // The place is that of the text that was run.
        let is_same = self.history.first() == Some(&self.sql);
        let wrong = answer.and_then(|answer| answer.wrong).filter(|_| is_same);
        let mut selected = None;
        if !self.is_folded {
            selected = self.editor_ui(ui, wrong);
            self.words_ui(ui, state.look(), take_word);
        }
        let busy = answer.and_then(|answer| answer.rows.job().or(answer.held.job()));
        ui.horizontal_wrapped(|ui| {
            let run =
                primary_button(ui, "Run", busy.is_none()).on_hover_text("Ctrl+Enter").clicked();
            if run || run_key {
                self.run(selected.unwrap_or_else(|| self.sql.clone()), place, state, outbox);
            } else if let Some(text) = self.stale(place, state) {
                self.run(text, place, state, outbox);
            }
            if let Some(job) = busy {
                ui.spinner();
                if ui.button("Cancel").clicked() {
                    outbox.cancel(job);
                }
            }
            fold_ui(ui, &mut self.is_folded);
            self.menus_ui(ui, state.look(), outbox);
            if let Some((result, _)) = answer.and_then(|answer| answer.rows.value()) {
                ui.toggle_value(&mut self.quick.is_shown, "Chart");
                let all = answer.and_then(|answer| answer.held.value()).map(|(n, _)| *n);
                let n = all.unwrap_or_else(|| u64::try_from(result.rows.len()).unwrap_or(0));
                let more = if result.truncated && all.is_none() { "the first " } else { "" };
                ui.label(format!("{more}{} rows in {:.0} ms", thousands(n), result.seconds * 1e3));
            }
        });
        let Some(answer) = answer else {
            empty_state(ui, "Run a query; tables are events, customers, traits, imports.");
            return;
        };
        error_ui(ui, &answer.rows);
        error_ui(ui, &answer.held);
        error_ui(ui, &answer.page);
        if again_ui(ui, &answer.page) {
            self.table.ask_again();
        }
        self.rows_ui(ui, place, answer, outbox);
    }

    fn rows_ui(&mut self, ui: &mut Ui, place: Place, answer: &Queried, outbox: &mut Outbox) {
        let Some((result, summaries)) = answer.rows.value() else { return };
        if self.quick.is_shown {
            self.quick.ui(ui, result);
        }
        let rows = match answer.held.value() {
            Some((n, _)) => Rows::Held { n: *n, page: answer.page.value() },
            None => Rows::Whole(&result.rows),
        };
        let summaries = answer.held.value().map_or(summaries, |(_, summaries)| summaries);
        // The rows that are kept are of the same query: a sort may go on.
        let version = answer.version * 2 + u64::from(answer.held.value().is_some());
        let shown = Shown { version, columns: &result.columns, rows, summaries };
        let asked = self.table.ui(ui, &shown, place.is_active);
        if let Some((arrangement, from)) = asked.page {
            outbox.send(Command::Page(place.slot, arrangement, from));
        }
        if let Some(customers) = asked.customers {
            outbox.send(Command::Select(place.slot, customers));
        }
        if let Some(text) = asked.said {
            outbox.say(Tone::Warn, text);
        }
    }

    fn run(&mut self, text: String, place: Place, state: &State, outbox: &mut Outbox) {
        self.selection = state.tiles.selection.map_or(0, |chosen| chosen.number);
        self.history.retain(|known| *known != text);
        self.history.insert(0, text.clone());
        self.history.truncate(MOST_QUERIES);
        outbox.send(Command::Query(place.slot, text));
    }

    /// What was run last, if it reads who is chosen and others are chosen now.
    fn stale(&self, place: Place, state: &State) -> Option<String> {
        let chosen = state.tiles.selection.filter(|_| place.is_linked)?;
        let is_other = chosen.slot != place.slot && chosen.number != self.selection;
        let text = self.history.first().filter(|_| is_other)?;
        text.to_lowercase().contains(&format!("segments.{SELECTION}")).then(|| text.clone())
    }

    fn menus_ui(&mut self, ui: &mut Ui, look: &Overview, outbox: &mut Outbox) {
        ui.menu_button("History…", |ui| {
            if self.history.is_empty() {
                ui.label("Nothing was run yet.");
            }
            let mut chosen = None;
            for text in &self.history {
                let line = shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), 90);
                if ui.button(line).clicked() {
                    chosen = Some(text.clone());
                }
            }
            if let Some(text) = chosen {
                self.sql = text;
                ui.close();
            }
        });
        popup_button(ui, "Saved…", |ui| {
            for (name, text) in &look.queries {
                if ui.button(name.as_str()).clicked() {
                    self.sql.clone_from(text);
                    ui.close();
                }
            }
            text_field(ui, "Name of the query", &mut self.name, "orders_by_day", 200.0);
            let name = self.name.trim().parse::<Name>();
            if ui.add_enabled(name.is_ok(), egui::Button::new("Save this query")).clicked()
                && let Ok(name) = name
            {
                outbox.send(Command::SaveQuery(name, self.sql.clone()));
                ui.close();
            }
        });
        popup_button(ui, "Export…", |ui| {
            text_field(ui, "Export to", &mut self.export, "orders.parquet, .csv or .json", 280.0);
            let path = self.export.trim();
            if ui.add_enabled(!path.is_empty(), egui::Button::new("Export")).clicked() {
                outbox.send(Command::Export(self.sql.clone(), PathBuf::from(path)));
                ui.close();
            }
        });
    }

    /// The editor, with the place of an error underlined; gives the selected text, if any.
    fn editor_ui(&mut self, ui: &mut Ui, wrong: Option<(usize, usize)>) -> Option<String> {
        let bad = Tokens::at(ui).bad;
        let mut layouter = |ui: &Ui, text: &dyn egui::TextBuffer, width: f32| {
            let mut job = sql_job(ui, text.as_str());
            job.wrap.max_width = width;
            if let Some(range) = wrong.and_then(|place| word_at(text.as_str(), place)) {
                underline(&mut job, &range, bad);
            }
            ui.fonts_mut(|fonts| fonts.layout_job(job))
        };
        let name = ui.label(RichText::new("Query").small().color(Tokens::at(ui).weak));
        let editor = TextEdit::multiline(&mut self.sql)
            .id_salt("sql-editor")
            .code_editor()
            .char_limit(MAX_TEXT_CHARS)
            .desired_rows(7)
            .desired_width(f32::INFINITY)
            .layouter(&mut layouter);
        // However long a query is, what runs it stays in reach.
        let most = (ui.available_height() * EDITOR_SHARE).max(LEAST_EDITOR);
        let area = egui::ScrollArea::vertical().id_salt("editor").max_height(most);
        let shown = area.show(ui, |ui| editor.show(ui)).inner;
        let range = shown.cursor_range;
        full_field_ui(ui, &self.sql, MAX_TEXT_CHARS);
        shown.response.response.labelled_by(name.id);
        let range = range?;
        self.cursor = range.primary.index.0;
        let selected = range.slice_str(&self.sql).trim().to_owned();
        (!selected.is_empty()).then_some(selected)
    }

    /// Words that the one at the cursor may become.
    fn words_ui(&mut self, ui: &mut Ui, look: &Overview, take_first: bool) {
        let at = byte_of(&self.sql, self.cursor);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = self.sql[..at]
            .rfind(|c| !is_part(c))
            .map_or(0, |place| place + self.sql[place..].chars().next().map_or(1, char::len_utf8));
        let begun = self.sql[start..at].to_lowercase();
        ui.horizontal(|ui| {
            let weak = Tokens::at(ui).weak;
            if begun.len() < 2 {
                let hint = "Columns, tables and words are proposed while you write; Ctrl+Space takes the first";
                ui.label(RichText::new(hint).small().color(weak));
                return;
            }
            let tables = ["events", "customers", "traits", "imports", "rejected_rows"];
            let columns = ["customer_id", "event", "event_time", "received_at", "anonymous_id"];
            let known = tables.into_iter().chain(columns).map(str::to_owned);
            let properties = look.catalog.properties.keys().cloned();
            let words = WORDS.into_iter().map(str::to_owned);
            let fits = |word: &String| {
                word.to_lowercase().starts_with(&begun) && word.to_lowercase() != begun
            };
            let found: Vec<String> =
                known.chain(properties).chain(words).filter(fits).take(MOST_WORDS).collect();
            let mut taken = found.first().filter(|_| take_first).cloned();
            for word in &found {
                if ui.small_button(shorten(word, 40)).clicked() {
                    taken = Some(word.clone());
                }
            }
            if let Some(word) = taken {
                let plain = word.chars().all(|c| is_part(c) || c == ' ');
                let word = if plain { word } else { format!("\"{}\"", word.replace('"', "\"\"")) };
                self.sql.replace_range(start..at, &word);
                self.cursor += word.chars().count().saturating_sub(begun.chars().count());
            }
        });
    }
}

/// The byte that a character begins at.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// The word at a line and a column, from 1, as bytes.
fn word_at(text: &str, (line, column): (usize, usize)) -> Option<std::ops::Range<usize>> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let from = start + byte_of(rest.lines().next()?, column.checked_sub(1)?);
    let word = text.get(from..)?.find(|c: char| !c.is_alphanumeric() && c != '_');
    let end = word.map_or(text.len(), |length| from + length.max(1));
    text.is_char_boundary(end).then_some(from..end)
}

/// Underlines a part of a text that is laid out in sections.
fn underline(job: &mut egui::text::LayoutJob, range: &std::ops::Range<usize>, color: Color32) {
    let mut sections = Vec::with_capacity(job.sections.len() + 2);
    for section in std::mem::take(&mut job.sections) {
        let (start, end) = (section.byte_range.start.0, section.byte_range.end.0);
        let cuts = [start, range.start.clamp(start, end), range.end.clamp(start, end), end];
        for pair in cuts.windows(2).filter(|pair| pair[0] < pair[1]) {
            let mut part = section.clone();
            part.byte_range = egui::text::ByteIndex(pair[0])..egui::text::ByteIndex(pair[1]);
            if range.contains(&pair[0]) {
                part.format.underline = egui::Stroke::new(2.0, color);
            }
            if pair[0] > start {
                part.leading_space = 0.0;
            }
            sections.push(part);
        }
    }
    job.sections = sections;
}
