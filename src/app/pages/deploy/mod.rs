//! What is live: the endpoint, deployments and their rollout, a test call, and what happens there.

mod activity;
mod rollout;
mod snippets;

use std::time::{Duration, Instant};

use activity::Activity;
use eframe::egui::{self, Grid, RichText, ScrollArea, Ui, vec2};
use rollout::Rollout;
use workspace::{Command, LiveCustomer, LiveScore, Name};

use super::{error_ui, heading};

use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{
    card, choice, empty_state, number, primary_button, secret_field, section, shorten, text_area,
    text_field,
};

/// What is live: the endpoint, deployments, a test call, and events as they arrive.
#[derive(Debug)]
pub(super) struct Deploy {
    function: String,
    name: String,
    customer: String,
    event: String,
    properties: String,
    rollout: Rollout,
    activity: Activity,
    /// Another endpoint to work with, and a key of it.
    elsewhere: (String, String),
    asked: Option<Instant>,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            function: String::new(),
            name: String::new(),
            customer: String::new(),
            event: "order_completed".to_owned(),
            properties: "{ \"amount\": 42.50, \"category\": \"books\" }".to_owned(),
            rollout: Rollout::default(),
            activity: Activity::default(),
            elsewhere: (String::new(), String::new()),
            asked: None,
        }
    }
}

/// How often the customer is asked for while the page is shown.
const POLL: Duration = Duration::from_secs(1);
/// As high as the customer's cards are with all that they show: they do not grow when it comes.
const CARD_HEIGHT: f32 = 470.0;
/// Events and reasons that are shown.
const SHOWN_EVENTS: usize = 12;
const SHOWN_REASONS: usize = 8;

impl Deploy {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        heading(ui, "Deploy", "a live score that has read the last event");
        self.fill(state);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            self.endpoint_ui(ui, state, outbox);
            let Some(url) = state.url.clone() else {
                error_ui(ui, &state.endpoint);
                return;
            };
            error_ui(ui, &state.deployed);
            let half = (ui.available_width() - 8.0) / 2.0;
            ui.horizontal_top(|ui| {
                ui.allocate_ui(vec2(half, 0.0), |ui| self.call_ui(ui, state, &url, outbox));
                ui.allocate_ui(vec2(half, 0.0), |ui| self.events_ui(ui, state, &url, outbox));
            });
            self.activity.ui(ui, state);
            snippets::ui(ui, &url, &self.name, &self.customer);
            circle_ui(ui, state, &url, outbox);
        });
        self.poll(ui, state, outbox);
    }

    /// First values of the fields, from what is there.
    fn fill(&mut self, state: &State) {
        if self.function.is_empty()
            && let Some(function) = state.look().functions.first()
        {
            self.function = function.name.to_string();
            self.name = function.name.to_string();
        }
        if self.customer.is_empty()
            && let Some((customers, _)) = state.customers.value()
            && let Some(first) = customers.first()
        {
            self.customer.clone_from(&first.customer_id);
        }
    }

    fn endpoint_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let tokens = Tokens::at(ui);
        card(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.horizontal(|ui| {
                section(ui, "Endpoint");
                match &state.url {
                    Some(url) => {
                        ui.label(RichText::new("●").color(tokens.good));
                        ui.label(RichText::new(url).monospace());
                        if ui.small_button("Stop").clicked() {
                            outbox.send(Command::StopEndpoint);
                        }
                        keys_ui(ui, state, url);
                    }
                    None => {
                        ui.label(RichText::new("none").color(tokens.weak));
                    }
                }
            });
            if state.url.is_none() {
                ui.label(
                    "An endpoint is a process of its own on this machine. It takes events and answers \
                     with scores, and goes on when this window is closed.",
                );
                let busy = state.jobs.values().any(|job| job.kind == "go-live");
                if primary_button(ui, "Go live", !busy).clicked() {
                    outbox.send(Command::GoLive);
                }
                self.connect_ui(ui, state, outbox);
                return;
            }
            if let Some(view) = state.endpoint.value() {
                rollout::deployments_ui(ui, view, outbox);
            }
            self.deploy_form_ui(ui, state, outbox);
        });
    }

    /// Fields for an endpoint that runs elsewhere.
    fn connect_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        ui.add_space(6.0);
        ui.label("Or work with one that runs elsewhere:");
        ui.horizontal(|ui| {
            let (url, key) = &mut self.elsewhere;
            text_field(ui, "Address", url, "http://10.0.0.5:7360", 220.0);
            secret_field(ui, "Admin key", key, 220.0);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                let busy = state.connected.job().is_some();
                let ready = url.starts_with("http") && !key.trim().is_empty() && !busy;
                if ui.add_enabled(ready, egui::Button::new("Connect")).clicked() {
                    let (url, key) = (url.trim().to_owned(), std::mem::take(key));
                    outbox.send(Command::Connect { url, key: key.trim().to_owned() });
                }
                if busy {
                    ui.spinner();
                }
            });
        });
        error_ui(ui, &state.connected);
    }

    fn deploy_form_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let functions: Vec<&str> =
            state.look().functions.iter().map(|function| function.name.as_str()).collect();
        if functions.is_empty() {
            ui.label("Train a model on the Models page; its function is deployed here.");
            return;
        }
        ui.horizontal(|ui| {
            choice(ui, "Function", &mut self.function, functions, 160.0);
            text_field(ui, "Live under the name", &mut self.name, "repurchase", 160.0);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                let names = (self.function.parse::<Name>(), self.name.trim().parse::<Name>());
                let busy = state.deployed.job().is_some() || state.rehearsed.job().is_some();
                let ready = matches!(names, (Ok(_), Ok(_))) && !busy;
                if primary_button(ui, "Deploy…", ready).clicked()
                    && let (Ok(function), Ok(name)) = names
                    && let Some(url) = state.url.clone()
                {
                    self.rollout.begin(&function, &name);
                    outbox.send(Command::Rehearse { url, function, name });
                }
                if busy {
                    ui.spinner();
                }
            });
        });
        error_ui(ui, &state.rehearsed);
        self.rollout.confirm_ui(ui, state, outbox);
    }

    /// A test call, its answer, and the same as curl.
    fn call_ui(&mut self, ui: &mut Ui, state: &State, url: &str, outbox: &mut Outbox) {
        card(ui, |ui| {
            ui.set_min_size(vec2(ui.available_width(), CARD_HEIGHT));
            section(ui, "Score of a customer");
            ui.horizontal(|ui| {
                text_field(ui, "Customer", &mut self.customer, "C000001", 160.0);
                ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                    let live = state.endpoint.value().is_some_and(|v| !v.deployments.is_empty());
                    if primary_button(ui, "Score", live).clicked() {
                        let (url, name) = (url.to_owned(), self.name.clone());
                        let customer_id = self.customer.trim().to_owned();
                        outbox.send(Command::Score { url, name, customer_id });
                    }
                });
            });
            error_ui(ui, &state.score);
            match state.score.value() {
                Some(score) => score_ui(ui, score),
                None => empty_state(ui, "Deploy a function, then ask for a score."),
            }
            let curl = format!(
                "curl -H \"Authorization: Bearer $SCORE_KEY\" \\\n  \"{url}/v1/score/{}?customer_id={}\"",
                self.name, self.customer
            );
            code_ui(ui, "Copy curl", &curl);
        });
    }

    /// Sends an event as an application would, and shows those that arrive.
    fn events_ui(&mut self, ui: &mut Ui, state: &State, url: &str, outbox: &mut Outbox) {
        card(ui, |ui| {
            ui.set_min_size(vec2(ui.available_width(), CARD_HEIGHT));
            section(ui, "Events of this customer, live");
            let events = state.look().catalog.events.iter().map(String::as_str);
            choice(ui, "Event", &mut self.event, events, 180.0);
            text_area(ui, "Properties", &mut self.properties, 2);
            if ui.button("Send event").clicked() {
                outbox.send(Command::Send {
                    url: url.to_owned(),
                    customer_id: self.customer.trim().to_owned(),
                    event: self.event.clone(),
                    properties: self.properties.clone(),
                });
                self.asked = None;
            }
            error_ui(ui, &state.sent);
            match state.live_customer.value() {
                Some(Some(customer)) => live_ui(ui, customer),
                Some(None) => empty_state(ui, "The endpoint knows no event of this customer."),
                None => {}
            }
            let curl = format!(
                "curl -u $WRITE_KEY: {url}/v1/track \\\n  -d '{{\"userId\": \"{}\", \"event\": \"{}\", \"properties\": {}}}'",
                self.customer, self.event, self.properties
            );
            code_ui(ui, "Copy curl of the event", &curl);
        });
    }

    /// Asks for the customer once a second while the page is shown; that records nothing.
    fn poll(&mut self, ui: &Ui, state: &State, outbox: &mut Outbox) {
        let Some(url) = state.url.clone() else { return };
        let due = self.asked.is_none_or(|asked| asked.elapsed() >= POLL);
        if due && state.live_customer.job().is_none() && !self.customer.trim().is_empty() {
            self.asked = Some(Instant::now());
            let customer_id = self.customer.trim().to_owned();
            outbox.send(Command::LiveCustomer { url: url.clone(), customer_id });
        }
        if due && state.activity.job().is_none() {
            self.asked = Some(Instant::now());
            outbox.send(Command::Activity(url));
        }
        ui.ctx().request_repaint_after(POLL);
    }
}

/// Buttons that copy the keys of the endpoint; they are never shown.
fn keys_ui(ui: &mut Ui, state: &State, url: &str) {
    let endpoints = &state.look().endpoints;
    let Some((_, keys)) = endpoints.iter().find(|(known, _)| known == url) else { return };
    for (text, key) in [
        ("Copy browser key", &keys.write_key),
        ("Copy server key", &keys.server_key),
        ("Copy score key", &keys.score_key),
        ("Copy admin key", &keys.admin_key),
    ] {
        if let Some(key) = key
            && ui.small_button(text).clicked()
        {
            ui.ctx().copy_text(key.clone());
        }
    }
}

fn score_ui(ui: &mut Ui, score: &LiveScore) {
    let tokens = Tokens::at(ui);
    ui.horizontal(|ui| {
        let figure = RichText::new(format!("{:.4}", score.score)).font(strong(24.0));
        ui.label(figure.color(tokens.strong));
        let known = if score.known { "" } else { ", a customer without events" };
        ui.label(format!("{} version {}{known}", score.name, score.version));
    });
    let when = format!("{} as of {}", score.customer_id, score.as_of);
    ui.label(RichText::new(when).small().color(tokens.weak));
    let reasons = score.reasons.iter().flatten();
    Grid::new("reasons").num_columns(3).spacing([14.0, 2.0]).show(ui, |ui| {
        for reason in reasons.take(SHOWN_REASONS) {
            let (sign, color) = match reason.contribution {
                x if x > 0.0 => ("+", tokens.good),
                _ => ("–", tokens.warn),
            };
            let adds = format!("{sign}{:.3}", reason.contribution.abs());
            ui.label(RichText::new(adds).monospace().size(11.5).color(color));
            let events: String = reason
                .events
                .iter()
                .map(|event| format!("\n{} at {}", event.event, event.event_time))
                .collect();
            let behind = format!("{} events behind it{events}", reason.event_count);
            ui.label(RichText::new(&reason.feature).size(12.0)).on_hover_text(behind);
            let value = match &reason.value {
                workspace::Value::Null => "NULL".to_owned(),
                workspace::Value::Number(x) => number(*x),
                other => shorten(&other.to_string(), 24),
            };
            ui.label(RichText::new(value).monospace().size(11.5));
            ui.end_row();
        }
    });
}

fn live_ui(ui: &mut Ui, customer: &LiveCustomer) {
    let tokens = Tokens::at(ui);
    for score in &customer.scores {
        ui.label(format!("{} now: {:.4}", score.name, score.score));
    }
    ui.spacing_mut().item_spacing.y = 2.0;
    for event in customer.timeline.iter().take(SHOWN_EVENTS) {
        ui.horizontal(|ui| {
            let time: String = event.event_time.to_string().chars().take(19).collect();
            let time = time.replace('T', " ");
            ui.label(RichText::new(time).monospace().size(11.0).color(tokens.weak));
            let name = RichText::new(&event.event).size(12.0).color(tokens.series_of(&event.event));
            ui.label(name);
            let all: Vec<String> = event
                .properties
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let text = RichText::new(shorten(&all.join(" "), 120)).size(11.5).color(tokens.weak);
            ui.add(egui::Label::new(text).truncate());
        });
    }
}

/// Code with a button that copies it.
fn code_ui(ui: &mut Ui, button: &str, code: &str) {
    let tokens = Tokens::at(ui);
    ui.add_space(4.0);
    ui.label(RichText::new(code).monospace().size(11.0).color(tokens.weak));
    if ui.small_button(button).clicked() {
        ui.ctx().copy_text(code.to_owned());
    }
}

/// Back again: pull and verify.
fn circle_ui(ui: &mut Ui, state: &State, url: &str, outbox: &mut Outbox) {
    card(ui, |ui| {
        ui.set_min_width(ui.available_width());
        section(ui, "Back again");
        ui.horizontal(|ui| {
            let pull = egui::Button::new("Pull live events");
            if ui.add_enabled(state.pulled.job().is_none(), pull).clicked() {
                outbox.send(Command::Pull(url.to_owned()));
            }
            let verify = egui::Button::new("Verify 1000 scores");
            let name = state
                .endpoint
                .value()
                .and_then(|view| view.deployments.first())
                .and_then(|live| live.name.parse().ok());
            let ready = state.verified.job().is_none() && name.is_some();
            if ui.add_enabled(ready, verify).clicked()
                && let Some(name) = name
            {
                outbox.send(Command::Verify(url.to_owned(), name));
            }
            if let Some(pulls) = state.pulled.value() {
                ui.label(format!("pulled {} events and scores", pulls.accepted));
            }
            if let Some(verified) = state.verified.value() {
                let tokens = Tokens::at(ui);
                let color = if verified.different == 0 { tokens.good } else { tokens.bad };
                let text = format!(
                    "{} live scores equal the offline ones, {} differ",
                    verified.compared - verified.different,
                    verified.different
                );
                ui.label(RichText::new(text).color(color));
            }
        });
        error_ui(ui, &state.pulled);
        error_ui(ui, &state.verified);
    });
}
