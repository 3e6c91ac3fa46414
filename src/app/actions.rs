//! The one table of what can be done everywhere: the menu, the keys and the palette are made of it, so
//! they agree.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};

use crate::pages::{Page, Pages};
use crate::state::State;

/// Something that a person can do on any page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Palette,
    Help,
    Go(Page),
    Back,
    Forward,
    OpenFile,
    Refresh,
    Cancel,
    Undo,
    Redo,
    CopyLink,
    ChooseNobody,
    GoLive,
    Pull,
    StopEndpoint,
    Theme,
}

/// An entry of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its key.
    pub(crate) shortcut: Option<KeyboardShortcut>,
}

const fn entry(action: Action, name: &'static str) -> Entry {
    Entry { action, name, shortcut: None }
}

const fn with(action: Action, name: &'static str, modifiers: Modifiers, key: Key) -> Entry {
    Entry { action, name, shortcut: Some(KeyboardShortcut::new(modifiers, key)) }
}

const fn page(page: Page, name: &'static str, key: Key) -> Entry {
    with(Action::Go(page), name, Modifiers::COMMAND, key)
}

/// All of it, as the menu shows it.
pub(crate) const TABLE: [Entry; 24] = [
    with(Action::Palette, "Run a command", Modifiers::COMMAND, Key::K),
    with(Action::Help, "Help on this page", Modifiers::NONE, Key::F1),
    page(Page::Home, "Go to Home", Key::Num1),
    page(Page::Data, "Go to Data", Key::Num2),
    page(Page::Customers, "Go to Customers", Key::Num3),
    page(Page::Explore, "Go to Explore", Key::Num4),
    page(Page::Features, "Go to Features", Key::Num5),
    page(Page::Models, "Go to Models", Key::Num6),
    page(Page::Deploy, "Go to Deploy", Key::Num7),
    page(Page::Experiments, "Go to Experiments", Key::Num8),
    page(Page::Monitor, "Go to Monitor", Key::Num9),
    with(Action::Back, "Back", Modifiers::ALT, Key::ArrowLeft),
    with(Action::Forward, "Forward", Modifiers::ALT, Key::ArrowRight),
    // Before undo: a key with shift also is the key without it.
    with(Action::Redo, "Redo", Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z),
    with(Action::Undo, "Undo what was shown", Modifiers::COMMAND, Key::Z),
    with(Action::CopyLink, "Copy a link to this view", Modifiers::COMMAND, Key::L),
    entry(Action::ChooseNobody, "Choose nobody"),
    with(Action::OpenFile, "Import a file", Modifiers::COMMAND, Key::O),
    with(Action::Refresh, "Refresh", Modifiers::NONE, Key::F5),
    with(Action::Cancel, "Cancel what runs", Modifiers::NONE, Key::Escape),
    entry(Action::GoLive, "Go live"),
    entry(Action::Pull, "Pull live events"),
    entry(Action::StopEndpoint, "Stop the endpoint"),
    with(Action::Theme, "Next theme", Modifiers::COMMAND, Key::T),
];

impl Action {
    /// Whether it can be done now.
    pub(crate) fn is_possible(self, state: &State, pages: &Pages) -> bool {
        match self {
            Self::Back => pages.ways().0,
            Self::Forward => pages.ways().1,
            Self::Cancel => !state.jobs.is_empty(),
            Self::Undo => state.steps.0,
            Self::Redo => state.steps.1,
            Self::ChooseNobody => state.tiles.selection.is_some(),
            Self::GoLive => state.url.is_none(),
            Self::Pull | Self::StopEndpoint => state.url.is_some(),
            Self::Palette
            | Self::Help
            | Self::Go(_)
            | Self::CopyLink
            | Self::OpenFile
            | Self::Refresh
            | Self::Theme => true,
        }
    }

    /// Its key.
    pub(crate) fn shortcut(self) -> Option<KeyboardShortcut> {
        TABLE.iter().find(|entry| entry.action == self)?.shortcut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_the_table_and_no_key_is_there_twice() {
        for page in Page::ALL {
            assert!(Action::Go(page).shortcut().is_some(), "{page:?}");
        }
        let keys: Vec<KeyboardShortcut> = TABLE.iter().filter_map(|entry| entry.shortcut).collect();
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "{key:?}");
        }
    }
}
