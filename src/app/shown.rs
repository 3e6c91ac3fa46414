//! What the window shows: enough to show it again. It is kept for the next start, undone, and sent as links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eframe::egui::util::undoer::{Settings, Undoer};
use serde::{Deserialize, Serialize};

use crate::pages::{
    BoardShown, CustomersShown, ExperimentsShown, FeaturesShown, ModelsShown, MonitorShown, Page,
};

/// What the window shows, page by page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    pub(crate) page: Page,
    pub(crate) customers: CustomersShown,
    pub(crate) explore: BoardShown,
    pub(crate) features: FeaturesShown,
    pub(crate) models: ModelsShown,
    pub(crate) experiments: ExperimentsShown,
    pub(crate) monitor: MonitorShown,
}

/// What one page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Link {
    Page(Page),
    Customers(CustomersShown),
    Explore(BoardShown),
    Features(FeaturesShown),
    Models(Box<ModelsShown>),
    Experiments(Box<ExperimentsShown>),
    Monitor(MonitorShown),
}

/// The file of what was shown last.
#[derive(Serialize, Deserialize)]
struct File<S> {
    format: u32,
    shown: S,
}

const FORMAT: u32 = 1;
/// What links begin with.
const SCHEME: &str = "workbench://";
/// The longest link, in bytes.
const LONGEST: usize = 64 << 10;
/// Seconds after which a change is a step of its own.
const STABLE: f32 = 0.5;
/// Steps that can be undone.
const STEPS: usize = 100;

impl Shown {
    /// It as a file.
    pub(crate) fn to_json(&self) -> Option<String> {
        serde_json::to_string_pretty(&File { format: FORMAT, shown: self }).ok()
    }

    /// It from a file.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        let File { format, shown } = serde_json::from_str::<File<Self>>(text)
            .map_err(|error| format!("window.json: {error}"))?;
        match format == FORMAT && shown.explore.is_sound() {
            true => Ok(shown),
            false => Err(format!("window.json: it is of format {format}, or was changed")),
        }
    }
}

impl Link {
    /// A link to the page that is shown.
    pub(crate) fn to(shown: Shown) -> Self {
        match shown.page {
            Page::Customers => Self::Customers(shown.customers),
            Page::Explore => Self::Explore(shown.explore),
            Page::Features => Self::Features(shown.features),
            Page::Models => Self::Models(Box::new(shown.models)),
            Page::Experiments => Self::Experiments(Box::new(shown.experiments)),
            Page::Monitor => Self::Monitor(shown.monitor),
            page @ (Page::Home | Page::Data | Page::Deploy) => Self::Page(page),
        }
    }

    /// The page that it leads to.
    pub(crate) const fn page(&self) -> Page {
        match self {
            Self::Page(page) => *page,
            Self::Customers(_) => Page::Customers,
            Self::Explore(_) => Page::Explore,
            Self::Features(_) => Page::Features,
            Self::Models(_) => Page::Models,
            Self::Experiments(_) => Page::Experiments,
            Self::Monitor(_) => Page::Monitor,
        }
    }

    /// Whether a text is meant as a link.
    pub(crate) fn is_link(text: &str) -> bool {
        text.trim_start().starts_with(SCHEME)
    }

    /// It as a text to send: the page, readable, and what it shows.
    pub(crate) fn to_text(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let page = self.page().name().to_lowercase();
        format!("{SCHEME}{page}/{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// It from a text.
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rest = text.strip_prefix(SCHEME).ok_or("a link begins with workbench://")?;
        if text.len() > LONGEST {
            return Err("the link is too long".to_owned());
        }
        let (page, code) = rest.split_once('/').unwrap_or((rest, ""));
        if code.is_empty() {
            let known = Page::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(page));
            return known.map(Self::Page).ok_or_else(|| format!("there is no page '{page}'"));
        }
        let broken = |error: &dyn std::fmt::Display| format!("it was cut or changed ({error})");
        let json = URL_SAFE_NO_PAD.decode(code).map_err(|error| broken(&error))?;
        let link: Self = serde_json::from_slice(&json).map_err(|error| broken(&error))?;
        match &link {
            Self::Explore(board) if !board.is_sound() => {
                Err(broken(&"its tiles do not hang together"))
            }
            _ => Ok(link),
        }
    }
}

/// What was shown before, step by step.
pub(crate) struct Steps(Undoer<Shown>);

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").finish_non_exhaustive()
    }
}

impl Default for Steps {
    fn default() -> Self {
        let settings = Settings { max_undos: STEPS, stable_time: STABLE, ..Settings::default() };
        Self(Undoer::with_settings(settings))
    }
}

impl Steps {
    /// Takes note of what is shown now, at a time in seconds; whether a change waits to be one step.
    pub(crate) fn note(&mut self, seconds: f64, shown: &Shown) -> bool {
        self.0.feed_state(seconds, shown);
        self.0.is_in_flux()
    }

    /// What was shown before the latest change.
    pub(crate) fn undo(&mut self, now: &Shown) -> Option<Shown> {
        self.0.undo(now).cloned()
    }

    /// What was undone last.
    pub(crate) fn redo(&mut self, now: &Shown) -> Option<Shown> {
        self.0.redo(now).cloned()
    }

    /// Whether something can be undone, and done again.
    pub(crate) fn ways(&self, now: &Shown) -> (bool, bool) {
        (self.0.has_undo(now), self.0.has_redo(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_comes_back_and_a_broken_one_says_so() {
        for page in Page::ALL {
            let link = Link::to(Shown { page, ..Shown::default() });
            assert_eq!(Link::from_text(&link.to_text()), Ok(link));
        }
        let link = Link::to(Shown { page: Page::Explore, ..Shown::default() }).to_text();
        assert!(Link::from_text(&link[..link.len() - 4]).is_err());
        assert!(Link::from_text("workbench://nowhere").is_err());
        assert!(Link::from_text("https://example.com").is_err());
        assert_eq!(Link::from_text("workbench://data"), Ok(Link::Page(Page::Data)));
    }

    #[test]
    fn what_is_shown_comes_back_from_its_file() {
        let shown = Shown { page: Page::Explore, ..Shown::default() };
        assert_eq!(Shown::from_json(&shown.to_json().unwrap()), Ok(shown));
        assert!(Shown::from_json("{}").is_err());
    }

    /// A tile that is its own child would be laid out for ever.
    #[test]
    fn a_board_that_goes_round_in_a_circle_is_refused() {
        let json = Shown::default().to_json().unwrap();
        let mut file: serde_json::Value = serde_json::from_str(&json).unwrap();
        let tree = &mut file["shown"]["explore"]["tree"];
        let root = tree["root"].clone();
        let tiles = &mut tree["tiles"]["tiles"];
        let own = root.as_u64().unwrap().to_string();
        tiles[&own]["Container"]["Tabs"]["children"][0] = root;
        assert!(Shown::from_json(&file.to_string()).is_err(), "{file}");
    }
}
