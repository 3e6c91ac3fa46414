//! The rules of an endpoint, and what they told.

use eframe::egui::{self, RichText, Ui};
use workspace::{Command, LiveDelivery, LiveRule, MonitorCommand, Subject, Time};

use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{card, section, shorten, thousands};

/// Deliveries that are listed.
const SHOWN: usize = 30;

pub(super) fn ui(ui: &mut Ui, state: &State, url: &str, outbox: &mut Outbox) {
    section(ui, "Rules");
    let tokens = Tokens::at(ui);
    let Some(watched) = state.watched.value() else { return };
    if watched.rules.rules.is_empty() {
        let text = "No rule yet. A rule tells somebody when a deployment drifts, or when a customer's score \
                    crosses a line.";
        ui.add(egui::Label::new(RichText::new(text).color(tokens.weak)).wrap());
    }
    for rule in &watched.rules.rules {
        rule_ui(ui, rule, url, outbox);
    }
}

fn rule_ui(ui: &mut Ui, rule: &LiveRule, url: &str, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    let definition = &rule.definition;
    let (color, state) = match (&rule.problem, definition.on, rule.is_firing()) {
        (Some(_), ..) => (tokens.warn, "cannot be looked at".to_owned()),
        (None, Subject::Deployment, true) => {
            (tokens.bad, format!("holds since {}", short(rule.since)))
        }
        (None, Subject::Deployment, false) => (tokens.good, "does not hold".to_owned()),
        (None, Subject::Customer, _) => {
            (tokens.good, format!("acted on {} customers", thousands(rule.fired)))
        }
    };
    card(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("●").color(color));
            ui.label(RichText::new(definition.name.as_str()).color(tokens.strong));
            ui.label(RichText::new(state).small().color(tokens.weak));
        });
        let whom = match definition.on {
            Subject::Deployment => format!("{} over {}", definition.deployment, definition.over),
            Subject::Customer => match definition.every {
                Some(every) => format!("customers of {}, every {every}", definition.deployment),
                None => format!("customers of {}", definition.deployment),
            },
        };
        let when = RichText::new(&definition.when).monospace().size(12.0);
        ui.add(egui::Label::new(when).wrap());
        let to = definition.webhook.as_deref().map_or("recorded only", |webhook| webhook);
        let text =
            RichText::new(format!("{whom} → {}", shorten(to, 60))).small().color(tokens.weak);
        ui.add(egui::Label::new(text).wrap());
        if let Some(problem) = &rule.problem {
            ui.add(egui::Label::new(RichText::new(problem).color(tokens.warn)).wrap());
        }
        ui.horizontal(|ui| {
            let name = &definition.name;
            if definition.webhook.is_some()
                && ui
                    .small_button("Test")
                    .on_hover_text("Send something, to see whether it arrives")
                    .clicked()
            {
                let test = MonitorCommand::Test(url.to_owned(), name.clone());
                outbox.send(Command::Monitor(test));
            }
            if ui.small_button("Remove").on_hover_text("Its file stays in the project").clicked() {
                let remove = MonitorCommand::Remove(url.to_owned(), name.clone());
                outbox.send(Command::Monitor(remove));
            }
        });
    });
}

pub(super) fn deliveries_ui(ui: &mut Ui, state: &State, url: &str, outbox: &mut Outbox) {
    let Some(watched) = state.watched.value() else { return };
    section(ui, "What was told");
    let tokens = Tokens::at(ui);
    if watched.rules.dropped > 0 {
        let text =
            format!("{} made room for later ones before they arrived", watched.rules.dropped);
        ui.label(RichText::new(text).color(tokens.bad));
    }
    if watched.deliveries.is_empty() {
        ui.label(RichText::new("Nothing yet.").color(tokens.weak));
    }
    for told in watched.deliveries.iter().take(SHOWN) {
        told_ui(ui, told, url, outbox);
    }
}

fn told_ui(ui: &mut Ui, told: &LiveDelivery, url: &str, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    let (color, word) = match told.state.as_str() {
        "delivered" => (tokens.good, "arrived"),
        "waiting" => (tokens.warn, "waits"),
        "failed" => (tokens.bad, "failed"),
        _ => (tokens.weak, "recorded"),
    };
    let what = match (told.kind.as_str(), &told.customer_id) {
        ("alert.firing", _) => format!("{} holds", told.rule),
        ("alert.resolved", _) => format!("{} is over", told.rule),
        (_, Some(customer)) => format!("{}: {}", told.rule, shorten(customer, 30)),
        _ => format!("{}: a test", told.rule),
    };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(short(told.at)).monospace().size(11.5).color(tokens.weak));
        ui.label(RichText::new(what).size(12.5));
        ui.label(RichText::new(word).size(12.0).color(color)).on_hover_text(&told.body);
        if told.webhook.is_some()
            && told.state != "delivered"
            && ui.small_button("Again").on_hover_text("Send it now").clicked()
        {
            let again = MonitorCommand::Again(url.to_owned(), told.id.clone());
            outbox.send(Command::Monitor(again));
        }
    });
    let error = told.attempts.last().and_then(|tried| tried.error.as_ref());
    if let Some(error) = error.filter(|_| told.state != "delivered") {
        let text = format!("try {}: {}", told.attempts.len(), shorten(error, 120));
        ui.add(egui::Label::new(RichText::new(text).small().color(tokens.bad)).wrap());
    }
}

/// A time to the second, the date left out where it is today's at most.
fn short(at: Time) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}
