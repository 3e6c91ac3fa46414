use eframe::egui::{self, Rect, Sense, Ui, pos2, vec2};
use workspace::{CustomerView, Event, Time, is_system};

use super::properties;
use crate::theme::Tokens;
use crate::widgets::shorten;

/// From one instant to another, in microseconds.
pub(super) type Span = (i64, i64);

/// Height of a lane of the timeline.
const LANE: f32 = 20.0;
/// Lanes at most.
const MOST_LANES: usize = 16;
/// The shortest time that lanes show: a minute.
const SHORTEST: i64 = 60_000_000;

/// A lane for each kind of event, a mark for each event; what is after the as-of time is faint.
pub(super) fn lanes_ui(ui: &mut Ui, customer: &CustomerView, zoom: &mut Option<Span>) {
    let Some((first, last)) = span(&customer.events) else { return };
    let all = (first.0, last.0.max(first.0 + 1));
    let (from, until) = zoom.unwrap_or(all);
    let mut names: Vec<&str> = Vec::new();
    for event in customer.events.iter().filter(|event| !is_system(&event.event)) {
        if !names.contains(&event.event.as_str()) && names.len() < MOST_LANES {
            names.push(&event.event);
        }
    }
    let tokens = Tokens::at(ui);
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let height = names.len() as f32 * LANE;
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
    let labels = 130.0_f32.min(rect.width() / 3.0);
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let x = |time: Time| {
        let part = (time.0 - from) as f64 / (until - from) as f64;
        #[allow(clippy::cast_possible_truncation, reason = "pixels")]
        let part = part as f32;
        rect.left() + labels + part * (rect.width() - labels - 4.0)
    };
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let y = |lane: usize| rect.top() + (lane as f32 + 0.5) * LANE;
    let painter = ui.painter_at(rect);
    for (lane, name) in names.iter().enumerate() {
        let from = pos2(rect.left() + labels, y(lane));
        painter.hline(from.x..=rect.right(), from.y, egui::Stroke::new(1.0, tokens.line));
        let font = egui::FontId::proportional(11.0);
        let at = pos2(rect.left(), y(lane));
        let text = shorten(name, 20);
        painter.text(at, egui::Align2::LEFT_CENTER, text, font, tokens.weak);
    }
    let shown = rect.left() + labels - 2.0..=rect.right();
    for event in customer.events.iter().filter(|event| shown.contains(&x(event.event_time))) {
        let Some(lane) = names.iter().position(|name| *name == event.event) else { continue };
        let color = tokens.series_of(&event.event);
        let color =
            if event.event_time < customer.as_of { color } else { color.gamma_multiply(0.25) };
        let center = pos2(x(event.event_time), y(lane));
        painter.rect_filled(Rect::from_center_size(center, vec2(3.0, LANE * 0.6)), 1.0, color);
    }
    hover_ui(&response, customer, &names, x, y);
    let width = f64::from(rect.width() - labels - 4.0);
    let at =
        response.hover_pos().map(|pointer| f64::from(pointer.x - rect.left() - labels) / width);
    *zoom = zoomed(ui, &response, (from, until), all, (at, width));
}

/// What the lanes show after the wheel was turned (nearer, around the pointer) or they were dragged (to
/// another time); a double click shows all.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "instants in pixels and back"
)]
fn zoomed(
    ui: &Ui,
    response: &egui::Response,
    (from, until): Span,
    all: Span,
    (at, width): (Option<f64>, f64),
) -> Option<Span> {
    if response.double_clicked() {
        return None;
    }
    let wheel =
        if response.hovered() { ui.input(|input| input.smooth_scroll_delta().y) } else { 0.0 };
    let dragged = response.drag_delta().x;
    let length = (until - from) as f64;
    let (mut from, mut new) = (from as f64, length);
    if wheel != 0.0 {
        new = (length * (-f64::from(wheel) / 200.0).exp()).max(SHORTEST as f64);
        from += at.unwrap_or(0.5).clamp(0.0, 1.0) * (length - new);
    }
    from -= f64::from(dragged) / width * new;
    if new >= (all.1 - all.0) as f64 {
        return None;
    }
    let from = (from as i64).clamp(all.0, all.1 - new as i64);
    Some((from, from + new as i64))
}

/// What the pointer is on.
fn hover_ui(
    response: &egui::Response,
    customer: &CustomerView,
    names: &[&str],
    x: impl Fn(Time) -> f32,
    y: impl Fn(usize) -> f32,
) {
    let Some(pointer) = response.hover_pos() else { return };
    let near = customer.events.iter().find(|event| {
        names.iter().position(|name| *name == event.event).is_some_and(|lane| {
            (x(event.event_time) - pointer.x).abs() < 4.0
                && (y(lane) - pointer.y).abs() < LANE / 2.0
        })
    });
    if let Some(event) = near {
        response.clone().on_hover_text(format!(
            "{} at {}\n{}",
            event.event,
            event.event_time,
            properties(event, 300)
        ));
    }
}

pub(super) fn span(events: &[Event]) -> Option<(Time, Time)> {
    let own = || events.iter().filter(|event| !is_system(&event.event));
    Some((own().next()?.event_time, own().next_back()?.event_time))
}
