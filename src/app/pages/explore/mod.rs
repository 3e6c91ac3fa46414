//! Explore: charts of product analytics, and SQL, side by side.
//!
//! `board` lays the tiles out. A tile is a chart (`insight`): its spec as a form (`form`, `questions`), the
//! chart (`charts`), and the people behind a point (`people`); or a query (`sql`) with a chart of its rows
//! (`quick`).

mod board;
mod charts;
mod form;
mod insight;
mod people;
mod questions;
mod quick;
mod sql;

use board::Board;
pub(crate) use board::BoardShown;
use eframe::egui::{Button, RichText, Ui};
use workspace::{Command, Name};

use super::heading;
use crate::actions::Action;
use crate::shown::Link;
use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{popup_button, text_field, thousands};

/// Charts, and SQL.
#[derive(Debug, Default)]
pub(super) struct Explore {
    board: Board,
    /// The name to save the board under.
    name: String,
}

impl Explore {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        ui.horizontal_wrapped(|ui| {
            heading(ui, "Explore", "ask the data");
            self.boards_ui(ui, state, outbox);
            ui.toggle_value(&mut self.board.is_linked, "Link tiles").on_hover_text(
                "What is chosen in one tile is what the others show: the people of a point, the customers of \
                 rows. Queries read it as segments.selection.",
            );
            selection_ui(ui, state, outbox);
        });
        self.board.ui(ui, state, outbox);
    }

    /// Saved boards, to open and to save.
    fn boards_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        popup_button(ui, "Boards…", |ui| {
            for (name, text) in &state.look().boards {
                if ui.button(name.as_str()).clicked() {
                    outbox.show_board(board_link(name, text));
                    ui.close();
                }
            }
            text_field(ui, "Name of the board", &mut self.name, "weekly_review", 200.0);
            let name = self.name.trim().parse::<Name>();
            if ui.add_enabled(name.is_ok(), Button::new("Save this board")).clicked()
                && let Ok(name) = name
                && let Ok(text) = serde_json::to_string_pretty(&self.board.shown())
            {
                outbox.send(Command::SaveBoard(name, text));
                ui.close();
            }
            if ui.button("Begin anew").clicked() {
                self.board.begin_anew();
                ui.close();
            }
        });
    }

    pub(super) fn shown(&self) -> BoardShown {
        self.board.shown()
    }

    pub(super) fn show(&mut self, shown: BoardShown) {
        self.board.show(shown);
    }

    /// Opens another board.
    pub(super) fn open(&mut self, shown: BoardShown) {
        self.board.open(shown);
    }

    /// The places of its tiles.
    pub(super) fn slots(&self) -> impl Iterator<Item = workspace::Slot> + '_ {
        self.board.slots()
    }
}

/// A link to a saved board, or what is wrong with its file.
pub(crate) fn board_link(name: &Name, text: &str) -> Result<Link, String> {
    let shown: Result<BoardShown, _> = serde_json::from_str(text);
    match shown {
        Ok(shown) if shown.is_sound() => Ok(Link::Explore(shown)),
        Ok(_) => Err(format!("boards/{name}.json: its tiles do not hang together")),
        Err(error) => Err(format!("boards/{name}.json: {error}")),
    }
}

/// How many are chosen, and nobody any more.
fn selection_ui(ui: &mut Ui, state: &State, outbox: &mut Outbox) {
    let Some(selection) = state.tiles.selection else { return };
    let n = thousands(u64::try_from(selection.n).unwrap_or(0));
    ui.label(RichText::new(format!("{n} customers are chosen")).color(Tokens::at(ui).accent_text));
    if ui.small_button("Choose nobody").clicked() {
        outbox.act(Action::ChooseNobody);
    }
}
