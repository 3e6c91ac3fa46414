//! Monitor: whether what is live still is what was trained, and rules that tell somebody when it is not.

mod form;
mod report;
mod rules;

use std::time::{Duration, Instant};

use eframe::egui::{self, Frame, Margin, Panel, ScrollArea, Ui};
use serde::{Deserialize, Serialize};
use workspace::{Command, MonitorCommand, Name, Span};

use self::form::Form;
use super::{error_ui, heading};
use crate::state::{Outbox, State};
use crate::widgets::{choice, empty_state, primary_button};

/// The page.
#[derive(Debug)]
pub(super) struct Monitor {
    deployment: String,
    over: &'static str,
    /// The feature whose bins are shown.
    chosen: Option<String>,
    form: Form,
    /// What was asked for last, and when.
    asked: Option<(Name, &'static str, Instant)>,
}

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MonitorShown {
    deployment: String,
    /// Over how long, as a span.
    over: String,
    feature: Option<String>,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            deployment: String::new(),
            over: PERIODS[1].0,
            chosen: None,
            form: Form::default(),
            asked: None,
        }
    }
}

/// The periods of a report, as they are shown and as they are asked for.
const PERIODS: [(&str, &str); 4] = [
    ("the last hour", "1h"),
    ("the last day", "1d"),
    ("the last 3 days", "3d"),
    ("the last week", "7d"),
];
/// How often the endpoint is asked while the page is shown.
const POLL: Duration = Duration::from_secs(3);

impl Monitor {
    pub(super) fn shown(&self) -> MonitorShown {
        let period = PERIODS.iter().find(|(title, _)| *title == self.over);
        MonitorShown {
            deployment: self.deployment.clone(),
            over: period.map(|(_, span)| (*span).to_owned()).unwrap_or_default(),
            feature: self.chosen.clone(),
        }
    }

    pub(super) fn show(&mut self, shown: MonitorShown) {
        let period = PERIODS.iter().find(|(_, span)| *span == shown.over);
        self.over = period.map_or(PERIODS[1].0, |(title, _)| *title);
        self.deployment = shown.deployment;
        self.chosen = shown.feature;
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Monitor", "whether what is live still is what was trained");
        let Some(url) = &state.url else {
            empty_state(
                ui,
                "Nothing is live. An endpoint counts what it is asked and what it says.",
            );
            ui.vertical_centered(|ui| {
                if primary_button(ui, "Go live", true).clicked() {
                    outbox.send(Command::GoLive);
                }
            });
            return;
        };
        self.poll(ui, state, url, outbox);
        let frame = Frame::NONE.inner_margin(Margin { left: 12, ..Margin::ZERO });
        Panel::right("rules").default_size(380.0).size_range(260.0..=560.0).frame(frame).show(
            ui,
            |ui| {
                ScrollArea::vertical().id_salt("rules").auto_shrink(false).show(ui, |ui| {
                    rules::ui(ui, state, url, outbox);
                    self.form.ui(ui, state, &self.deployment, url, outbox);
                    rules::deliveries_ui(ui, state, url, outbox);
                });
            },
        );
        let frame = Frame::NONE.inner_margin(Margin { right: 12, ..Margin::ZERO });
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            self.choices_ui(ui, state);
            ScrollArea::vertical().id_salt("report").auto_shrink(false).show(ui, |ui| {
                self.report_ui(ui, state);
            });
        });
    }

    /// Asks the endpoint now and then, and at once if something else is to be shown.
    fn poll(&mut self, ui: &Ui, state: &State, url: &str, outbox: &mut Outbox) {
        let names = deployments(state);
        if !names.contains(&self.deployment.as_str()) {
            self.deployment = names.first().copied().unwrap_or_default().to_owned();
        }
        ui.ctx().request_repaint_after(POLL);
        let period = PERIODS.iter().find(|(shown, _)| *shown == self.over).map(|(_, asked)| *asked);
        let Some(over) = period.and_then(|period| period.parse::<Span>().ok()) else { return };
        let Ok(name) = self.deployment.parse::<Name>() else { return };
        let is_known = self.asked.as_ref().is_some_and(|(asked, period, at)| {
            *asked == name && *period == self.over && at.elapsed() < POLL
        });
        if !is_known && state.watched.job().is_none() {
            self.asked = Some((name.clone(), self.over, Instant::now()));
            let look = MonitorCommand::Look { url: url.to_owned(), name: Some(name), over };
            outbox.send(Command::Monitor(look));
        }
    }

    fn choices_ui(&mut self, ui: &mut Ui, state: &State) {
        ui.horizontal_wrapped(|ui| {
            if choice(ui, "Deployment", &mut self.deployment, deployments(state), 160.0) {
                self.chosen = None;
            }
            let mut over = self.over.to_owned();
            if choice(ui, "Over", &mut over, PERIODS.map(|(shown, _)| shown), 120.0) {
                let period = PERIODS.iter().find(|(shown, _)| *shown == over);
                self.over = period.map_or(self.over, |(shown, _)| shown);
            }
            if state.watched.job().is_some() && state.watched.value().is_none() {
                ui.spinner();
            }
        });
        ui.add_space(6.0);
    }

    fn report_ui(&mut self, ui: &mut Ui, state: &State) {
        error_ui(ui, &state.watched);
        let watched = state.watched.value().and_then(|watched| watched.report.as_ref());
        match watched.filter(|report| report.name.as_str() == self.deployment) {
            Some(shown) => report::ui(ui, shown, &mut self.chosen),
            None if self.deployment.is_empty() => {
                empty_state(ui, "Nothing is deployed. Deploy a function, and ask it for scores.");
            }
            None => {}
        }
    }
}

fn deployments(state: &State) -> Vec<&str> {
    let view = state.endpoint.value();
    view.map(|view| view.deployments.iter().map(|live| live.name.as_str()).collect())
        .unwrap_or_default()
}
