//! What is around every page: top bar, rail, status bar, notices.

use std::time::Duration;

use eframe::egui::{
    self, Align, Align2, Area, Button, Frame, Layout, Margin, Order, Panel, ProgressBar, RichText,
    Ui, vec2,
};

use crate::actions::{Action, TABLE};
use crate::pages::{Page, Pages};
use crate::settings::{Settings, ThemeChoice};
use crate::state::{Outbox, State, Tone};
use crate::theme::{Tokens, strong};
use crate::widgets::{shorten, thousands};

/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(6);
/// Notices at once.
const SHOWN_NOTICES: usize = 3;
/// A job that takes longer is shown with its progress.
const NOTABLE: Duration = Duration::from_millis(300);

/// Project, palette, jobs, theme.
pub(crate) fn top_bar_ui(
    ui: &mut Ui,
    state: &State,
    pages: &Pages,
    settings: &Settings,
    outbox: &mut Outbox,
) {
    let tokens = Tokens::at(ui);
    let frame = Frame::NONE.fill(tokens.panel).inner_margin(Margin::symmetric(12, 6));
    Panel::top("top").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let name = state.project.value().map_or("Full Circle", |(name, _)| name.as_str());
            ui.label(RichText::new(shorten(name, 40)).font(strong(14.0)).color(tokens.strong));
            let search = Button::new(RichText::new("Run a command  Ctrl+K").color(tokens.weak));
            ui.add_space(8.0);
            menu_ui(ui, state, pages, outbox);
            ways_ui(ui, pages, outbox);
            ui.add_space(4.0);
            if ui.add(search.min_size(vec2(240.0, 24.0))).clicked() {
                outbox.act(Action::Palette);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                theme_button_ui(ui, settings, outbox);
                messages_ui(ui, state);
                jobs_ui(ui, state, outbox);
            });
        });
    });
}

/// Everything that can be done anywhere, with its key.
fn menu_ui(ui: &mut Ui, state: &State, pages: &Pages, outbox: &mut Outbox) {
    ui.menu_button("Menu", |ui| {
        ui.set_min_width(240.0);
        for entry in &TABLE {
            let keys = entry.shortcut.map(|shortcut| ui.ctx().format_shortcut(&shortcut));
            let button = Button::new(entry.name).right_text(keys.unwrap_or_default());
            if ui.add_enabled(entry.action.is_possible(state, pages), button).clicked() {
                outbox.act(entry.action);
                ui.close();
            }
        }
    });
}

/// Back and forward.
fn ways_ui(ui: &mut Ui, pages: &Pages, outbox: &mut Outbox) {
    let (back, forward) = pages.ways();
    for (is_open, sign, name, action) in
        [(back, "‹", "Back", Action::Back), (forward, "›", "Forward", Action::Forward)]
    {
        let button = ui.add_enabled(is_open, Button::new(sign));
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, is_open, name));
        let keys = action.shortcut().map(|shortcut| ui.ctx().format_shortcut(&shortcut));
        if button.on_hover_text(format!("{name} ({})", keys.unwrap_or_default())).clicked() {
            outbox.act(action);
        }
    }
}

/// What was said, latest first.
fn messages_ui(ui: &mut Ui, state: &State) {
    ui.menu_button(format!("Messages {}", state.notices.len()), |ui| {
        if state.notices.is_empty() {
            ui.label("Nothing was said yet.");
        }
        egui::ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
            ui.set_min_width(320.0);
            let tokens = Tokens::at(ui);
            for notice in state.notices.iter().rev() {
                let color = match notice.tone {
                    Tone::Good => tokens.good,
                    Tone::Warn => tokens.warn,
                    Tone::Bad => tokens.bad,
                };
                ui.horizontal_wrapped(|ui| {
                    let ago = notice.since.elapsed().as_secs();
                    let when = format!("{} min ago", ago / 60);
                    ui.label(RichText::new(when).small().color(tokens.weak));
                    ui.label(RichText::new(&notice.text).color(color));
                });
            }
        });
    });
}

fn theme_button_ui(ui: &mut Ui, settings: &Settings, outbox: &mut Outbox) {
    let text = match settings.theme {
        ThemeChoice::System => "Theme: system",
        ThemeChoice::Dark => "Theme: dark",
        ThemeChoice::Light => "Theme: light",
    };
    if ui.button(text).clicked() {
        outbox.act(Action::Theme);
    }
}

/// The longest running job with its progress and a way to cancel it.
fn jobs_ui(ui: &mut Ui, state: &State, outbox: &mut Outbox) {
    let notable = state.jobs.iter().find(|(_, job)| job.started.elapsed() > NOTABLE);
    let Some((id, job)) = notable else {
        if !state.jobs.is_empty() {
            ui.ctx().request_repaint_after(NOTABLE);
        }
        return;
    };
    if ui.button("Cancel").clicked() {
        outbox.cancel(*id);
    }
    match &job.progress {
        Some(progress) => {
            ui.add(ProgressBar::new(progress.fraction).desired_width(140.0).desired_height(8.0));
            ui.label(shorten(&progress.stage, 40));
        }
        None => {
            ui.spinner();
            ui.label(shorten(&job.title, 40));
        }
    }
}

/// The pages, in the order of the flow.
pub(crate) fn rail_ui(ui: &mut Ui, current: Page, outbox: &mut Outbox) {
    let tokens = Tokens::at(ui);
    let frame = Frame::NONE.fill(tokens.panel).inner_margin(Margin::symmetric(6, 8));
    Panel::left("rail").exact_size(84.0).resizable(false).frame(frame).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = GAP;
        // All of them are in reach, however low the window is.
        #[allow(clippy::cast_precision_loss, reason = "pixels")]
        let n = Page::ALL.len() as f32;
        let height = ((ui.available_height() - (n - 1.0) * GAP) / n).clamp(24.0, 50.0);
        for page in Page::ALL {
            let is_current = page == current;
            let button = rail_button(ui, page, is_current, height);
            let name = page.name();
            let info = egui::WidgetInfo::selected;
            button.widget_info(|| info(egui::Role::Button, true, is_current, name));
            let keys = Action::Go(page).shortcut();
            let keys = keys.map(|shortcut| ui.ctx().format_shortcut(&shortcut)).unwrap_or_default();
            if button.on_hover_text(format!("{} ({keys})", page.purpose())).clicked() {
                outbox.go(page);
            }
        }
    });
}

/// Between two buttons of the rail.
const GAP: f32 = 4.0;
/// The least height of a button with an icon above its word.
const WITH_ICON: f32 = 40.0;

fn rail_button(ui: &mut Ui, page: Page, is_current: bool, height: f32) -> egui::Response {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(72.0, height), egui::Sense::click());
    let color = if is_current { tokens.strong } else { tokens.weak };
    let painter = ui.painter();
    if is_current || response.hovered() {
        let fill = if is_current { tokens.selected } else { tokens.hover };
        painter.rect_filled(rect, 6.0, fill);
    }
    if response.has_focus() {
        let stroke = egui::Stroke::new(2.0, tokens.focus);
        painter.rect_stroke(rect, 6.0, stroke, egui::StrokeKind::Inside);
    }
    let center = rect.center();
    let has_icon = height >= WITH_ICON;
    if has_icon {
        page.icon().paint(painter, center - vec2(0.0, 9.0), color);
    }
    let font = egui::FontId::proportional(11.5);
    let below = if has_icon { 14.0 } else { 0.0 };
    painter.text(center + vec2(0.0, below), Align2::CENTER_CENTER, page.name(), font, color);
    response
}

/// What there is, how long the last query took, and what is live.
pub(crate) fn status_bar_ui(ui: &mut Ui, state: &State) {
    let tokens = Tokens::at(ui);
    let frame = Frame::NONE.fill(tokens.panel).inner_margin(Margin::symmetric(12, 4));
    Panel::bottom("status").frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            let say = |ui: &mut Ui, text: String| {
                ui.label(RichText::new(text).small().color(tokens.weak));
            };
            let summary = &state.look().summary;
            say(ui, format!("DuckDB 2.0 · {} events", thousands(summary.events)));
            if let Some(seconds) = state.query_seconds {
                say(ui, format!("last query {:.0} ms", seconds * 1e3));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if let n @ 1.. = state.alerts() {
                    let text = format!("● {n} {}", if n == 1 { "alert" } else { "alerts" });
                    ui.label(RichText::new(text).small().color(tokens.bad));
                }
                match (&state.url, state.endpoint.value()) {
                    (Some(url), Some(view)) => {
                        if let Some(text) = clock_warning(view.clock_difference_seconds) {
                            ui.label(RichText::new(text).small().color(tokens.bad));
                        }
                        let names: Vec<String> = view
                            .deployments
                            .iter()
                            .map(|live| format!("{} v{}", live.name, live.version))
                            .collect();
                        let live = if names.is_empty() {
                            "nothing deployed".to_owned()
                        } else {
                            names.join(", ")
                        };
                        ui.label(
                            RichText::new(format!("● live {url} · {live}"))
                                .small()
                                .color(tokens.good),
                        );
                    }
                    (Some(url), None) => say(ui, format!("endpoint {url}")),
                    (None, _) => say(ui, "no endpoint".to_owned()),
                }
            });
        });
    });
}

/// The latest notices, which fade after a while.
pub(crate) fn notices_ui(ui: &mut Ui, state: &mut State) {
    let is_new = |notice: &crate::state::Notice| notice.since.elapsed() < NOTICE;
    if !state.notices.iter().any(is_new) {
        return;
    }
    ui.ctx().request_repaint_after(Duration::from_millis(500));
    let tokens = Tokens::at(ui);
    let mut closed = None;
    Area::new(egui::Id::unique("notices"))
        .anchor(Align2::RIGHT_BOTTOM, vec2(-12.0, -36.0))
        .order(Order::Foreground)
        .show(ui.ctx(), |ui| {
            let all = state.notices.iter().enumerate().rev();
            for (place, notice) in all.filter(|(_, notice)| is_new(notice)).take(SHOWN_NOTICES) {
                let (color, sign) = match notice.tone {
                    Tone::Good => (tokens.good, "✓"),
                    Tone::Warn => (tokens.warn, "!"),
                    Tone::Bad => (tokens.bad, "✗"),
                };
                Frame::window(ui.style()).fill(tokens.field).show(ui, |ui| {
                    ui.set_max_width(420.0);
                    ui.horizontal_top(|ui| {
                        ui.label(RichText::new(sign).color(color));
                        ui.add(egui::Label::new(shorten(&notice.text, 400)).wrap());
                        if ui.small_button("Close").clicked() {
                            closed = Some(place);
                        }
                    });
                });
            }
        });
    if let Some(place) = closed {
        state.notices.remove(place);
    }
}

/// The warning of the status line for an endpoint whose clock differs from this machine's.
fn clock_warning(difference_seconds: f64) -> Option<String> {
    let direction = match difference_seconds {
        0.0 => return None,
        ahead if ahead > 0.0 => "ahead",
        _ => "behind",
    };
    let seconds = difference_seconds.abs();
    let span = match seconds {
        0.0..120.0 => format!("{seconds:.0} s"),
        120.0..7_200.0 => format!("{:.0} min", seconds / 60.0),
        7_200.0..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    };
    Some(format!("● the endpoint's machine clock is {span} {direction}"))
}
