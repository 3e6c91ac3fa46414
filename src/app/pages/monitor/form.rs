use eframe::egui::{self, RichText, Ui};
use workspace::{Command, MonitorCommand, RuleDefinition, Subject};

use crate::state::{Outbox, State};
use crate::theme::Tokens;
use crate::widgets::{choice, section, text_field};

/// The fields of a new rule.
#[derive(Debug)]
pub(super) struct Form {
    name: String,
    on: String,
    when: String,
    every: String,
    webhook: String,
    send: String,
}

const ON_DEPLOYMENT: &str = "the deployment";
const ON_CUSTOMERS: &str = "each customer";
/// What a rule begins with, by what it is about.
const DRIFT: (&str, &str) = ("drifted", "drifted > 0 and scores > 100");
const SCORE: (&str, &str) = ("likely", "score >= 0.8");

impl Default for Form {
    fn default() -> Self {
        Self {
            name: DRIFT.0.to_owned(),
            on: ON_DEPLOYMENT.to_owned(),
            when: DRIFT.1.to_owned(),
            every: String::new(),
            webhook: String::new(),
            send: String::new(),
        }
    }
}

impl Form {
    pub(super) fn ui(
        &mut self,
        ui: &mut Ui,
        state: &State,
        deployment: &str,
        url: &str,
        outbox: &mut Outbox,
    ) {
        section(ui, "New rule");
        let tokens = Tokens::at(ui);
        let width = 220.0;
        if choice(ui, "About", &mut self.on, [ON_DEPLOYMENT, ON_CUSTOMERS], width) {
            let (name, when) = if self.on == ON_CUSTOMERS { SCORE } else { DRIFT };
            self.name = name.to_owned();
            self.when = when.to_owned();
        }
        text_field(ui, "Rule name", &mut self.name, "drifted", width);
        text_field(ui, "When", &mut self.when, "score >= 0.8", ui.available_width().min(340.0));
        let reads = match self.on.as_str() {
            ON_CUSTOMERS => {
                "reads score and the features of the function; tells once, as it becomes true"
            }
            _ => {
                "reads requests, error_share, p99_ms, scores, mean_score, score_psi, worst_psi, drifted, \
                 worst_missing, worst_unseen, calibration_error, psi.FEATURE and more, over a day"
            }
        };
        ui.add(egui::Label::new(RichText::new(reads).small().color(tokens.weak)).wrap());
        if self.on == ON_CUSTOMERS {
            let hint = "1h; empty: with their events only";
            text_field(ui, "Look at all of them every", &mut self.every, hint, width);
        }
        let hint = "https://…; empty: shown here only";
        text_field(ui, "Webhook", &mut self.webhook, hint, ui.available_width().min(340.0));
        text_field(ui, "Send along", &mut self.send, "JSON; empty: nothing", width);
        let rule = self.rule(deployment);
        if let Err(problem) = &rule {
            ui.add(egui::Label::new(RichText::new(problem).color(tokens.warn)).wrap());
        }
        let is_busy = state.jobs.values().any(|job| job.kind == "change-rule");
        let start = egui::Button::new("Start the rule");
        if ui.add_enabled(rule.is_ok() && !is_busy, start).clicked()
            && let Ok(rule) = rule
        {
            let put = MonitorCommand::Put { url: url.to_owned(), rule: Box::new(rule) };
            outbox.send(Command::Monitor(put));
        }
    }

    /// The rule that the fields say, or what is wrong.
    fn rule(&self, deployment: &str) -> Result<RuleDefinition, String> {
        let is_customers = self.on == ON_CUSTOMERS;
        let every = match self.every.trim() {
            "" => None,
            text if is_customers => Some(text.parse().map_err(|error| format!("every: {error}"))?),
            _ => None,
        };
        let send = match self.send.trim() {
            "" => "null",
            text => text,
        };
        let send = send.parse().map_err(|error| format!("Send along: {error}"))?;
        let rule = RuleDefinition {
            name: self.name.trim().parse().map_err(|error| format!("Rule name: {error}"))?,
            deployment: deployment
                .parse()
                .map_err(|_bad| "deploy a function first; a rule is about one".to_owned())?,
            on: if is_customers { Subject::Customer } else { Subject::Deployment },
            when: self.when.trim().to_owned(),
            over: workspace::Span::days(1),
            every,
            cooldown: None,
            webhook: Some(self.webhook.trim().to_owned()).filter(|webhook| !webhook.is_empty()),
            send,
        };
        rule.check().map_err(|error| error.to_string())?;
        Ok(rule)
    }
}
