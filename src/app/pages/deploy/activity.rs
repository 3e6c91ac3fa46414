use std::collections::VecDeque;
use std::time::{Duration, Instant};

use eframe::egui::{RichText, ScrollArea, Ui, vec2};
use egui_plot::{Line, Plot, PlotPoints};
use workspace::{Event, Value};

use crate::state::State;
use crate::theme::Tokens;
use crate::widgets::{card, empty_state, section, shorten, text_field};

/// What happens at the endpoint: counts over time, and the latest events and scores.
#[derive(Debug, Default)]
pub(super) struct Activity {
    filter: String,
    samples: VecDeque<Sample>,
    /// What was sampled last.
    seen: Option<workspace::Activity>,
}

/// Counts at a moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    scores: f64,
    events: f64,
    errors: f64,
    score_seconds: (f64, f64),
}

/// What a chart shows of two samples, one after the other.
type Between = fn(&Sample, &Sample) -> f64;

/// Samples that are kept: five minutes.
const MOST_SAMPLES: usize = 300;
/// Where nothing changes there is a sample all the same.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Entries of the log that are shown.
const SHOWN: usize = 100;

impl Activity {
    pub(super) fn ui(&mut self, ui: &mut Ui, state: &State) {
        if let Some(activity) = state.activity.value() {
            self.take(activity);
        }
        card(ui, |ui| {
            ui.set_min_width(ui.available_width());
            section(ui, "What happens there");
            let third = (ui.available_width() - 16.0) / 3.0;
            ui.horizontal(|ui| {
                let charts: [(&str, &str, Between); 3] = [
                    ("Scores a second", "scores", |a, b| per_second(a, b, b.scores - a.scores)),
                    ("Events a second", "events", |a, b| per_second(a, b, b.events - a.events)),
                    ("Mean milliseconds of a score", "latency", |a, b| {
                        let n = b.score_seconds.1 - a.score_seconds.1;
                        let seconds = b.score_seconds.0 - a.score_seconds.0;
                        if n > 0.0 { seconds / n * 1e3 } else { 0.0 }
                    }),
                ];
                for (title, id, of) in charts {
                    ui.allocate_ui(vec2(third, 120.0), |ui| self.chart_ui(ui, title, id, of));
                }
            });
            let errors = match (self.samples.front(), self.samples.back()) {
                (Some(first), Some(last)) => last.errors - first.errors,
                _ => 0.0,
            };
            let tokens = Tokens::at(ui);
            let color = if errors > 0.0 { tokens.warn } else { tokens.weak };
            let text = format!("{errors:.0} refusals and errors while this page was shown");
            ui.label(RichText::new(text).color(color));
            text_field(ui, "Filter", &mut self.filter, "customer, event or value", 240.0);
            self.log_ui(ui);
        });
    }

    fn take(&mut self, activity: &workspace::Activity) {
        let is_recent = self.samples.back().is_some_and(|last| last.at.elapsed() < SAMPLE_EVERY);
        if self.seen.as_ref() == Some(activity) && is_recent {
            return;
        }
        // Another endpoint, or the same after a restart, counts from nothing.
        if self.samples.back().is_some_and(|last| last.scores > activity.scores) {
            self.samples.clear();
        }
        let &workspace::Activity { scores, events, errors, score_seconds, .. } = activity;
        self.samples.push_back(Sample {
            at: Instant::now(),
            scores,
            events,
            errors,
            score_seconds,
        });
        if self.samples.len() > MOST_SAMPLES {
            self.samples.pop_front();
        }
        self.seen = Some(activity.clone());
    }

    fn chart_ui(&self, ui: &mut Ui, title: &str, id: &str, of: Between) {
        let tokens = Tokens::at(ui);
        ui.vertical(|ui| {
            ui.label(RichText::new(title).small().color(tokens.weak));
            let now = Instant::now();
            let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
            let points: Vec<[f64; 2]> = pairs
                .map(|(a, b)| [-now.duration_since(b.at).as_secs_f64(), of(a, b)])
                .filter(|[_, y]| y.is_finite())
                .collect();
            Plot::new(id)
                .height(90.0)
                .allow_drag(false)
                .allow_zoom(false)
                .allow_scroll(false)
                .show_x(false)
                .include_y(0.0)
                .include_x(-60.0)
                .include_x(0.0)
                .show(ui, |plot| {
                    plot.line(Line::new(title, PlotPoints::from(points)).color(tokens.accent));
                });
        });
    }

    /// The latest events and scores that the filter leaves.
    fn log_ui(&self, ui: &mut Ui) {
        // As high without entries as with them: what is below stays where it is when one comes.
        let area = ScrollArea::vertical().id_salt("activity").max_height(240.0);
        area.min_scrolled_height(240.0).auto_shrink(false).show(ui, |ui| self.entries_ui(ui));
    }

    fn entries_ui(&self, ui: &mut Ui) {
        let Some(activity) = &self.seen else {
            empty_state(ui, "Nothing was heard of the endpoint yet.");
            return;
        };
        let filter = self.filter.trim().to_lowercase();
        let wanted =
            |event: &&Event| filter.is_empty() || text_of(event).to_lowercase().contains(&filter);
        let mut shown = activity.latest.iter().filter(wanted).take(SHOWN).peekable();
        if shown.peek().is_none() {
            empty_state(ui, "No event or score of late. Send one, or change the filter.");
            return;
        }
        let tokens = Tokens::at(ui);
        ui.spacing_mut().item_spacing.y = 2.0;
        for event in shown {
            ui.horizontal(|ui| {
                let time: String = event.received_at.to_string().chars().take(19).collect();
                let time = RichText::new(time.replace('T', " ")).monospace().size(11.0);
                ui.label(time.color(tokens.weak));
                let name = RichText::new(&event.event).size(12.0);
                ui.label(name.color(tokens.series_of(&event.event)));
                ui.label(RichText::new(shorten(&event.customer_id, 32)).size(12.0));
                let text = RichText::new(shorten(&properties(event), 160)).size(11.5);
                ui.add(eframe::egui::Label::new(text.color(tokens.weak)).truncate());
            });
        }
    }
}

fn per_second(a: &Sample, b: &Sample, n: f64) -> f64 {
    n / b.at.duration_since(a.at).as_secs_f64().max(0.05)
}

fn properties(event: &Event) -> String {
    let known = event.properties.iter().filter(|(_, value)| !matches!(value, Value::Null));
    known.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn text_of(event: &Event) -> String {
    format!("{} {} {}", event.customer_id, event.event, properties(event))
}
