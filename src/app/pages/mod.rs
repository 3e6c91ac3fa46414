//! The pages, in the order of the flow: one file each.
//!
//! A page is the state of its fields and one `ui` function that reads the shared state and sends commands.

mod customers;
mod data;
mod deploy;
mod experiments;
mod explore;
mod features;
mod home;
mod models;
mod monitor;

pub(crate) use customers::CustomersShown;
use eframe::egui::{CentralPanel, Frame, Margin, RichText, Ui};
pub(crate) use experiments::ExperimentsShown;
pub(crate) use explore::{BoardShown, board_link};
pub(crate) use features::FeaturesShown;
pub(crate) use models::ModelsShown;
pub(crate) use monitor::MonitorShown;
use serde::{Deserialize, Serialize};
use workspace::Slot;

use crate::loadable::Loadable;
use crate::shown::{Link, Shown};
use crate::state::{Outbox, State};
use crate::theme::{Icon, Tokens};

/// A page of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Page {
    /// What there is, and the next step.
    #[default]
    Home,
    /// Import.
    Data,
    /// Who they are.
    Customers,
    /// SQL and charts.
    Explore,
    /// Views and their features.
    Features,
    /// Training.
    Models,
    /// What is live.
    Deploy,
    /// What is tried on live customers.
    Experiments,
    /// Whether what is live still is what was trained.
    Monitor,
}

impl Page {
    /// All pages, in the order of the rail.
    pub const ALL: [Self; 9] = [
        Self::Home,
        Self::Data,
        Self::Customers,
        Self::Explore,
        Self::Features,
        Self::Models,
        Self::Deploy,
        Self::Experiments,
        Self::Monitor,
    ];

    /// Its name on the rail.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Data => "Data",
            Self::Customers => "Customers",
            Self::Explore => "Explore",
            Self::Features => "Features",
            Self::Models => "Models",
            Self::Deploy => "Deploy",
            Self::Experiments => "Experiments",
            Self::Monitor => "Monitor",
        }
    }

    pub(crate) const fn icon(self) -> Icon {
        match self {
            Self::Home => Icon::Home,
            Self::Data => Icon::Data,
            Self::Customers => Icon::Customers,
            Self::Explore => Icon::Explore,
            Self::Features => Icon::Features,
            Self::Models => Icon::Models,
            Self::Deploy => Icon::Deploy,
            Self::Experiments => Icon::Experiments,
            Self::Monitor => Icon::Monitor,
        }
    }

    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Home => "What there is, and the next step",
            Self::Data => "Import events and traits",
            Self::Customers => "One customer: timeline and features",
            Self::Explore => "Charts and SQL",
            Self::Features => "Views and their features",
            Self::Models => "Train and evaluate",
            Self::Deploy => "What is live",
            Self::Experiments => "What is tried on live customers",
            Self::Monitor => "Drift, outcomes and alerts of what is live",
        }
    }

    /// What a person who is here for the first time wants to know.
    pub(crate) const fn help(self) -> &'static [&'static str] {
        match self {
            Self::Home => &[
                "What there is in the project, and the next step. The numbers come from the warehouse; a click \
                 leads to the page that says more.",
                "A project is a folder: definitions as text files, and a warehouse that can be made again from \
                 its sources.",
            ],
            Self::Data => &[
                "Drop a file, or open one: CSV, TSV, Parquet or NDJSON, gzipped or not. Its columns are shown \
                 before anything is imported; say which one is the customer, the time and the event.",
                "A row that makes no sense is kept aside with its line, column and reason. Importing a file \
                 twice changes nothing.",
                "Below are the sources, to look at again, and the events with their properties.",
            ],
            Self::Customers => &[
                "One customer after the other: what they did, and what is known of them at any time. Move the \
                 slider and everything goes back to what was known then.",
                "Turn the wheel over the lanes to see a shorter time, drag to move it, double-click for all of \
                 it. A click on a feature shows the events behind it.",
            ],
            Self::Explore => &[
                "Charts over all customers, each with its rule in a sentence under it and the SQL that gives the \
                 same numbers. Click a point for the people behind it, and save them as a segment.",
                "Drag a tab to the side of another tile to see both, or use Tile…. With Link tiles, what is chosen \
                 in one tile is what the others show. Boards… keeps what is arranged; it opens from Home, too.",
                "SQL reads the tables events, customers, views.NAME, segments.NAME and segments.selection (who is \
                 chosen). It only reads. A result of any size can be sorted, filtered and scrolled.",
            ],
            Self::Features => &[
                "A view is a set of features: aggregations over events in a window before a time, traits, and \
                 expressions over them. A change shows at once what it does to values, to missing shares and to \
                 the label.",
                "What is computed here is computed by the same code when a score is asked for.",
            ],
            Self::Models => &[
                "Choose a view, what is to be predicted and over which time, and train. The test part is later \
                 than the training part, by a gap of one horizon, so that nothing leaks.",
                "Baselines are beside every result; runs are compared side by side; each can be deployed.",
            ],
            Self::Deploy => &[
                "Go live starts an endpoint on this machine, which goes on when the window is closed. Before a \
                 function is live, it scores the latest requests, and you see what would change.",
                "A challenger answers for a share of the customers; a shadow scores and is recorded, and answers \
                 nobody.",
            ],
            Self::Experiments => &[
                "Say what is tried, on whom, and what would be better. Plan says how long it takes; Start makes \
                 it live. Who asks for it is exposed, once, and keeps the variant.",
                "The intervals hold however often you look. A split that is not as it should be stops the \
                 readout: find out why first.",
            ],
            Self::Monitor => &[
                "The index says how far a feature, or the score, has moved since training: below 0.1 it has not, \
                 from 0.2 on it has, if it is above the mark that says what chance alone would do.",
                "Scores are held against what became of them once the horizon of their label is over.",
                "A rule tells somebody when its condition becomes true: of the deployment, or of a customer. What \
                 is sent is signed, tried again until it arrives, and listed here.",
            ],
        }
    }
}

/// The state of all pages.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) current: Page,
    /// Pages that were left, the latest last, and those that were gone back from.
    before: Vec<Page>,
    after: Vec<Page>,
    home: home::Home,
    data: data::Data,
    customers: customers::Customers,
    explore: explore::Explore,
    features: features::Features,
    models: models::Models,
    deploy: deploy::Deploy,
    experiments: experiments::Experiments,
    monitor: monitor::Monitor,
}

/// Pages that are remembered.
const MOST_VISITED: usize = 50;

impl Pages {
    /// Goes to a page, from where one can go back.
    pub(crate) fn go(&mut self, page: Page) {
        if page != self.current {
            self.before.push(self.current);
            let surplus = self.before.len().saturating_sub(MOST_VISITED);
            self.before.drain(..surplus);
            self.after.clear();
            self.current = page;
        }
    }

    /// Goes to the page before, if there is one.
    pub(crate) fn back(&mut self) {
        if let Some(page) = self.before.pop() {
            self.after.push(std::mem::replace(&mut self.current, page));
        }
    }

    /// Goes where one has gone back from.
    pub(crate) fn forward(&mut self) {
        if let Some(page) = self.after.pop() {
            self.before.push(std::mem::replace(&mut self.current, page));
        }
    }

    /// Whether one can go back, and forward.
    pub(crate) const fn ways(&self) -> (bool, bool) {
        (!self.before.is_empty(), !self.after.is_empty())
    }

    /// What all pages show.
    pub(crate) fn shown(&self) -> Shown {
        Shown {
            page: self.current,
            customers: self.customers.shown(),
            explore: self.explore.shown(),
            features: self.features.shown(),
            models: self.models.shown(),
            experiments: self.experiments.shown(),
            monitor: self.monitor.shown(),
        }
    }

    /// Shows what was shown at another time.
    pub(crate) fn show(&mut self, shown: Shown) {
        self.go(shown.page);
        self.customers.show(shown.customers);
        self.explore.show(shown.explore);
        self.features.show(shown.features);
        self.models.show(shown.models);
        self.experiments.show(shown.experiments);
        self.monitor.show(shown.monitor);
    }

    /// Pages that show what was shown at another time, with nothing to go back to.
    pub(crate) fn showing(shown: Shown) -> Self {
        let mut pages = Self { current: shown.page, ..Self::default() };
        pages.show(shown);
        pages
    }

    /// Goes where a link leads.
    pub(crate) fn follow(&mut self, link: Link) {
        self.go(link.page());
        match link {
            Link::Page(_) => {}
            Link::Customers(shown) => self.customers.show(shown),
            Link::Explore(shown) => self.explore.open(shown),
            Link::Features(shown) => self.features.show(shown),
            Link::Models(shown) => self.models.show(*shown),
            Link::Experiments(shown) => self.experiments.show(*shown),
            Link::Monitor(shown) => self.monitor.show(shown),
        }
    }

    /// The places of Explore that show something.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.explore.slots()
    }

    /// The page that is shown.
    pub(crate) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let tokens = Tokens::at(ui);
        let frame = Frame::NONE.fill(tokens.canvas).inner_margin(Margin::same(16));
        CentralPanel::default().frame(frame).show(ui, |ui| match self.current {
            Page::Home => self.home.ui(ui, state, outbox),
            Page::Data => self.data.ui(ui, state, outbox),
            Page::Customers => self.customers.ui(ui, state, outbox),
            Page::Explore => self.explore.ui(ui, state, outbox),
            Page::Features => self.features.ui(ui, state, outbox),
            Page::Models => self.models.ui(ui, state, outbox),
            Page::Deploy => self.deploy.ui(ui, state, outbox),
            Page::Experiments => self.experiments.ui(ui, state, outbox),
            Page::Monitor => self.monitor.ui(ui, state, outbox),
        });
    }
}

/// A page's heading and one sentence.
fn heading(ui: &mut Ui, title: &str, sentence: &str) {
    let tokens = Tokens::at(ui);
    ui.horizontal(|ui| {
        ui.heading(RichText::new(title).color(tokens.strong));
        ui.label(RichText::new(sentence).color(tokens.weak));
    });
    ui.add_space(4.0);
}

/// What was canceled, and a way to ask for it again; whether that is wanted.
fn again_ui<T>(ui: &mut Ui, loadable: &Loadable<T>) -> bool {
    if !loadable.is_canceled() {
        return false;
    }
    let weak = Tokens::at(ui).weak;
    let shown = ui.horizontal(|ui| {
        ui.label(RichText::new("This was canceled.").color(weak));
        ui.button("Ask again").clicked()
    });
    shown.inner
}

/// What went wrong with something, where it would be.
fn error_ui<T>(ui: &mut Ui, loadable: &Loadable<T>) {
    if let Some(error) = loadable.error() {
        let bad = Tokens::at(ui).bad;
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("✗").color(bad));
            ui.label(RichText::new(error).color(bad));
        });
    }
}
