//! What the window shows: enough to show it again. It is kept for the next start, undone, and sent as links.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
pub(crate) const STABLE: f64 = 0.5;
/// Seconds after what a person did in which a change is theirs.
const TOUCHED: f64 = 1.0;
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

/// What was shown, step by step.
///
/// A step is what a person did. What a page changes by itself (it chooses the first customer, it finds that a
/// draft is what was saved) belongs to the step before: otherwise undoing it would only make it happen again.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    points: VecDeque<Shown>,
    /// Where among them we are.
    at: usize,
    /// What is not a step yet, and since when it is so.
    flux: Option<(Shown, f64)>,
    /// When the person did something last.
    touched: Option<f64>,
    /// Something was just undone: the key for that changes nothing else.
    is_stepping: bool,
}

impl Steps {
    /// Takes note of what is shown now, at a time in seconds; whether a change waits to be a step.
    pub(crate) fn note(&mut self, seconds: f64, shown: &Shown, has_input: bool) -> bool {
        if std::mem::take(&mut self.is_stepping) {
            self.touched = None;
        } else if has_input {
            self.touched = Some(seconds);
        }
        let Some(point) = self.points.get_mut(self.at) else {
            self.points.push_back(shown.clone());
            return false;
        };
        if point == shown {
            self.flux = None;
            return false;
        }
        let is_touched = self.touched.is_some_and(|touched| seconds - touched <= TOUCHED);
        if self.flux.is_none() && !is_touched {
            point.clone_from(shown);
            return false;
        }
        match &self.flux {
            Some((known, since)) if known == shown => {
                if seconds - since < STABLE {
                    return true;
                }
                self.add(shown);
                false
            }
            _ => {
                self.flux = Some((shown.clone(), seconds));
                true
            }
        }
    }

    fn add(&mut self, shown: &Shown) {
        self.flux = None;
        self.points.truncate(self.at + 1);
        self.points.push_back(shown.clone());
        if self.points.len() > STEPS {
            self.points.pop_front();
        }
        self.at = self.points.len() - 1;
    }

    /// What was shown before the latest change.
    pub(crate) fn undo(&mut self, now: &Shown) -> Option<Shown> {
        if self.points.get(self.at).is_some_and(|point| point != now) {
            self.add(now);
        }
        self.at = self.at.checked_sub(1)?;
        self.is_stepping = true;
        self.points.get(self.at).cloned()
    }

    /// What was undone last.
    pub(crate) fn redo(&mut self, now: &Shown) -> Option<Shown> {
        if !self.ways(now).1 {
            return None;
        }
        self.at += 1;
        self.is_stepping = true;
        self.points.get(self.at).cloned()
    }

    /// Whether something can be undone, and done again.
    pub(crate) fn ways(&self, now: &Shown) -> (bool, bool) {
        let is_here = self.points.get(self.at) == Some(now);
        (
            self.at > 0 || (!is_here && !self.points.is_empty()),
            is_here && self.at + 1 < self.points.len(),
        )
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

    #[test]
    fn what_a_page_does_by_itself_is_no_step() {
        let page = |page| Shown { page, ..Shown::default() };
        let (home, data, models) = (page(Page::Home), page(Page::Data), page(Page::Models));
        let mut steps = Steps::default();
        assert!(!steps.note(0.0, &home, false));
        assert!(steps.note(5.0, &data, true), "a person went there");
        assert!(!steps.note(5.6, &data, false));
        assert_eq!(steps.ways(&data), (true, false));
        assert!(!steps.note(20.0, &models, false), "this happened by itself");
        assert_eq!(steps.undo(&models), Some(home.clone()));
        assert!(!steps.note(20.1, &home, true));
        // The page does it again: there is still something to do again, and nothing more to undo.
        assert!(!steps.note(20.2, &data, false));
        assert_eq!(steps.ways(&data), (false, true));
        assert_eq!(steps.redo(&data), Some(models));
    }

    #[test]
    fn what_is_begun_is_a_step_when_it_is_undone() {
        let page = |page| Shown { page, ..Shown::default() };
        let (home, data) = (page(Page::Home), page(Page::Data));
        let mut steps = Steps::default();
        steps.note(0.0, &home, false);
        steps.note(5.0, &data, true);
        assert_eq!(steps.undo(&data), Some(home.clone()));
        assert_eq!(steps.redo(&home), Some(data));
    }

    /// A tile that is its own child would be laid out for ever.
    #[test]
    fn a_board_that_cannot_be_laid_out_is_refused() {
        let json = Shown::default().to_json().unwrap();
        let file: serde_json::Value = serde_json::from_str(&json).unwrap();
        let root = file["shown"]["explore"]["tree"]["root"].clone();
        let own = root.as_u64().unwrap().to_string();
        let with = |container: serde_json::Value| {
            let mut file = file.clone();
            file["shown"]["explore"]["tree"]["tiles"]["tiles"][&own] = container;
            Shown::from_json(&file.to_string())
        };
        let children = serde_json::json!([1, 2]);
        let tabs =
            serde_json::json!({ "Container": { "Tabs": { "children": children, "active": 1 } } });
        assert!(with(tabs).is_ok());
        for container in [
            serde_json::json!({ "Tabs": { "children": [root], "active": null } }),
            serde_json::json!({ "Grid": { "children": children, "layout": { "Columns": 9_000_000_000_000_000_u64 },
                "col_shares": [], "row_shares": [] } }),
            serde_json::json!({ "Linear": { "children": children, "dir": "Horizontal",
                "shares": { "shares": { "1": -1.0 } } } }),
        ] {
            let refused = with(serde_json::json!({ "Container": container }));
            assert!(refused.unwrap_err().contains("was changed"), "{container}");
        }
    }
}
