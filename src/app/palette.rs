use std::path::PathBuf;

use eframe::egui::{
    self, Align2, Area, Frame, Key, Modifiers, Order, RichText, ScrollArea, TextEdit, Ui, vec2,
};
use workspace::Command;

use crate::actions::{Action, TABLE};
use crate::pages::{Page, Pages, board_link};
use crate::shown::Link;
use crate::state::{Outbox, State, Tone};
use crate::theme::Tokens;
use crate::widgets::MAX_LINE_CHARS;

/// The command palette: everything that can be done, found by a few letters.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    open: bool,
    search: String,
    chosen: usize,
}

/// What an entry of the palette does.
enum Choice {
    Show(Result<Box<Link>, String>),
    Act(Action),
    Do(Box<Command>),
}

impl Palette {
    pub(crate) fn toggle(&mut self) {
        *self = Self { open: !self.open, ..Self::default() };
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn ui(
        &mut self,
        ui: &mut Ui,
        state: &State,
        (pages, recent): (&Pages, &[PathBuf]),
        outbox: &mut Outbox,
    ) {
        if !self.open {
            return;
        }
        let entries = self.entries(state, pages, recent);
        let (down, up, enter, escape) = ui.ctx().input_mut(|input| {
            (
                input.consume_key(Modifiers::NONE, Key::ArrowDown),
                input.consume_key(Modifiers::NONE, Key::ArrowUp),
                input.consume_key(Modifiers::NONE, Key::Enter),
                input.consume_key(Modifiers::NONE, Key::Escape),
            )
        });
        self.chosen = (self.chosen + usize::from(down)).saturating_sub(usize::from(up));
        self.chosen = self.chosen.min(entries.len().saturating_sub(1));
        let mut picked = enter.then_some(self.chosen);
        Area::new(egui::Id::unique("palette"))
            .anchor(Align2::CENTER_TOP, vec2(0.0, 60.0))
            .order(Order::Foreground)
            .show(ui.ctx(), |ui| picked = self.list_ui(ui, &entries).or(picked));
        if let Some((_, action)) = picked.and_then(|place| entries.into_iter().nth(place)) {
            match action {
                Choice::Show(Ok(link)) => outbox.show(*link),
                Choice::Show(Err(text)) => outbox.say(Tone::Bad, text),
                Choice::Act(action) => outbox.act(action),
                Choice::Do(command) => outbox.send(*command),
            }
            self.open = false;
        }
        if escape {
            self.open = false;
        }
    }

    fn list_ui(&mut self, ui: &mut Ui, entries: &[(String, Choice)]) -> Option<usize> {
        let mut picked = None;
        Frame::window(ui.style()).show(ui, |ui| {
            ui.set_width(460.0);
            let name = ui.label(RichText::new("Command").small().color(Tokens::at(ui).weak));
            let field = TextEdit::singleline(&mut self.search).char_limit(MAX_LINE_CHARS);
            let field = field.desired_width(f32::INFINITY);
            let field = ui.add(field).labelled_by(name.id);
            field.request_focus();
            ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
                ui.set_width(ui.available_width());
                for (place, (text, _)) in entries.iter().enumerate() {
                    if ui.selectable_label(place == self.chosen, text).clicked() {
                        picked = Some(place);
                    }
                }
                if entries.is_empty() {
                    ui.label(RichText::new("No command has this name").color(Tokens::at(ui).weak));
                }
            });
        });
        picked
    }

    /// The entries that have all letters of the search, in order.
    fn entries(&self, state: &State, pages: &Pages, recent: &[PathBuf]) -> Vec<(String, Choice)> {
        if Link::is_link(&self.search) {
            let link = Link::from_text(&self.search);
            let text = match &link {
                Ok(link) => format!("Open the link to {}", link.page().name()),
                Err(text) => format!("This is no link: {text}"),
            };
            return vec![(text, Choice::Show(link.map(Box::new)))];
        }
        let possible = TABLE.iter().filter(|entry| {
            entry.action != Action::Palette && entry.action.is_possible(state, pages)
        });
        let mut all: Vec<(String, Choice)> =
            possible.map(|entry| (entry.name.to_owned(), Choice::Act(entry.action))).collect();
        for (name, text) in &state.look().boards {
            let link = board_link(name, text).map(Box::new);
            all.push((format!("Open board {name}"), Choice::Show(link)));
        }
        for model in &state.look().models {
            let train = Choice::Do(Box::new(Command::Train(model.name.clone())));
            all.push((format!("Train {}", model.name), train));
        }
        if state.url.is_some() {
            // What it would say is looked at there first.
            for function in &state.look().functions {
                let deploy = Choice::Act(Action::Go(Page::Deploy));
                all.push((format!("Deploy {}…", function.name), deploy));
            }
        }
        for folder in recent.iter().filter(|folder| Some(folder.as_path()) != state.folder()) {
            let open = Command::Open { folder: folder.clone(), sample: false };
            all.push((format!("Open {}", folder.display()), Choice::Do(Box::new(open))));
        }
        all.retain(|(text, _)| has_letters(text, &self.search));
        all
    }
}

/// Whether a text has the letters of a search, in their order.
fn has_letters(text: &str, search: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    search
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .all(|wanted| letters.any(|letter| letter == wanted))
}

#[cfg(test)]
mod tests {
    use super::has_letters;

    #[test]
    fn letters_are_found_in_order() {
        assert!(has_letters("Go to Explore", "gex"));
        assert!(has_letters("Go to Explore", ""));
        assert!(!has_letters("Go to Explore", "xg"));
    }
}
