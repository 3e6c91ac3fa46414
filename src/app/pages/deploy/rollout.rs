use eframe::egui::{self, Grid, RichText, Ui};
use workspace::{Command, Deployment, EndpointView, Name, Rehearsal, Spread};

use crate::state::{Outbox, State};
use crate::theme::{Tokens, strong};
use crate::widgets::{choice, number, primary_button, text_field};

/// A function on its way to be live: what it would have said is looked at first, then it is confirmed.
#[derive(Debug)]
pub(super) struct Rollout {
    waiting: Option<(Name, Name)>,
    role: String,
    percent: String,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { waiting: None, role: CHAMPION.to_owned(), percent: "10".to_owned() }
    }
}

const CHAMPION: &str = "champion";
const CHALLENGER: &str = "challenger";
const SHADOW: &str = "shadow";
/// Features with the most nulls that are named.
const SHOWN_NULLS: usize = 4;

impl Rollout {
    /// A function is to be looked at before it is live under a name.
    pub(super) fn begin(&mut self, function: &Name, name: &Name) {
        self.waiting = Some((function.clone(), name.clone()));
        self.role = CHAMPION.to_owned();
    }

    /// What the replay says, and the choice that follows from it.
    pub(super) fn confirm_ui(&mut self, ui: &mut Ui, state: &State, outbox: &mut Outbox) {
        let (Some((function, name)), Some(rehearsal)) =
            (self.waiting.clone(), state.rehearsed.value())
        else {
            return;
        };
        if state.rehearsed.job().is_some() {
            return;
        }
        ui.separator();
        ui.label(
            RichText::new(format!("{function} as {name}, before it says anything"))
                .font(strong(13.0)),
        );
        report_ui(ui, rehearsal);
        let is_first = state
            .endpoint
            .value()
            .is_none_or(|view| view.deployments.iter().all(|live| live.name != name.as_str()));
        let mut done = false;
        ui.horizontal(|ui| {
            if !is_first {
                choice(ui, "Deploy as", &mut self.role, [CHAMPION, CHALLENGER, SHADOW], 130.0);
            }
            if self.role == CHALLENGER {
                text_field(ui, "Percent of customers", &mut self.percent, "10", 80.0);
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::BOTTOM), |ui| {
                let percent = self.percent.trim().parse::<f64>().ok();
                let percent = percent.filter(|percent| *percent > 0.0 && *percent < 100.0);
                let role = match (self.role.as_str(), percent) {
                    (CHALLENGER, percent) => percent.map(workspace::Rollout::Challenger),
                    (SHADOW, _) => Some(workspace::Rollout::Shadow),
                    _ => Some(workspace::Rollout::Champion),
                };
                let busy = state.deployed.job().is_some();
                if primary_button(ui, "Confirm", role.is_some() && !busy).clicked()
                    && let (Some(role), Some(url)) = (role, state.url.clone())
                {
                    outbox.send(Command::Deploy { url, function, name, role });
                    done = true;
                }
                done |= ui.button("Cancel").clicked();
            });
        });
        if done {
            self.waiting = None;
        }
    }
}

/// What a function would have said, beside what was said.
fn report_ui(ui: &mut Ui, rehearsal: &Rehearsal) {
    let tokens = Tokens::at(ui);
    let source = match rehearsal.source.as_str() {
        "requests" => "of the latest requests, each as of its own time",
        _ => "of the customers seen last: no request was recorded yet",
    };
    ui.label(format!("{} {source}", rehearsal.requests));
    let rows = [
        ("its scores", &rehearsal.candidate),
        ("scores of what is live", &rehearsal.live),
        ("shift", &rehearsal.shift),
        ("microseconds a score", &rehearsal.micros),
    ];
    Grid::new("replay").num_columns(5).spacing([18.0, 2.0]).show(ui, |ui| {
        for title in ["", "mean", "median", "p99", "min to max"] {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for (what, spread) in rows {
            let Some(Spread { mean, min, median, p99, max }) = spread else { continue };
            ui.label(what);
            for figure in [*mean, *median, *p99] {
                ui.label(RichText::new(number(figure)).monospace());
            }
            let range = format!("{} to {}", number(*min), number(*max));
            ui.label(RichText::new(range).monospace());
            ui.end_row();
        }
    });
    let (checked, different) = (rehearsal.parity.checked, rehearsal.parity.different);
    let parity = format!("{checked} recorded scores computed again, {different} differ");
    ui.label(RichText::new(parity).color(if different == 0 { tokens.weak } else { tokens.bad }));
    if rehearsal.errors > 0 {
        let errors = format!("{} scores are no numbers", rehearsal.errors);
        ui.label(RichText::new(errors).color(tokens.bad));
    }
    let mut nulls: Vec<(&String, &f64)> =
        rehearsal.null_share.iter().filter(|(_, share)| **share > 0.0).collect();
    nulls.sort_by(|left, right| right.1.total_cmp(left.1));
    if !nulls.is_empty() {
        let named: Vec<String> = nulls
            .iter()
            .take(SHOWN_NULLS)
            .map(|(name, share)| format!("{name} {:.0} %", **share * 100.0))
            .collect();
        let text = format!("null most often: {}", named.join(", "));
        ui.label(RichText::new(text).color(tokens.weak));
    }
}

/// What is live, and what can be done with it.
pub(super) fn deployments_ui(ui: &mut Ui, view: &EndpointView, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    if view.deployments.is_empty() {
        ui.label(RichText::new("Nothing is deployed there yet.").color(tokens.weak));
        return;
    }
    Grid::new("deployments").num_columns(6).spacing([20.0, 4.0]).show(ui, |ui| {
        for title in ["name", "champion", "function", "since", "beside it", ""] {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for live in &view.deployments {
            deployment_ui(ui, &view.url, live, outbox);
            ui.end_row();
        }
    });
}

fn deployment_ui(ui: &mut Ui, url: &str, live: &Deployment, outbox: &mut Outbox) {
    ui.label(RichText::new(&live.name).font(strong(13.0)));
    ui.label(format!("version {} of {}", live.version, live.versions.len()));
    let hash: String = live.function.chars().take(12).collect();
    ui.label(RichText::new(hash).monospace());
    let since = live.deployed_at.map(|time| time.to_string()).unwrap_or_default();
    ui.label(since.chars().take(19).collect::<String>().replace('T', " "));
    let mut beside = Vec::new();
    if let Some(challenger) = live.challenger {
        let (version, percent) = (challenger.version, challenger.percent);
        beside.push(format!("version {version} for {percent} %"));
    }
    beside.extend(live.shadow.map(|version| format!("version {version} as shadow")));
    ui.label(if beside.is_empty() { "–".to_owned() } else { beside.join(", ") });
    ui.horizontal(|ui| {
        let Ok(name) = live.name.parse::<Name>() else { return };
        let mut button = |text: &str, can: bool, command: Command| {
            if ui.add_enabled(can, egui::Button::new(text).small()).clicked() {
                outbox.send(command);
            }
        };
        let (has_more, url) = (!beside.is_empty(), url.to_owned());
        button("Promote", has_more, Command::Promote(url.clone(), name.clone()));
        button("End", has_more, Command::StopRollout(url.clone(), name.clone()));
        let can = live.versions.len() > 1 && live.version > 1;
        button("Roll back", can, Command::RollBack(url, name));
    });
}
