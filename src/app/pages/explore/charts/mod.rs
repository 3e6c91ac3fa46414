//! The charts of insights. Each gives the point that was chosen, and what a person calls it.

mod funnel;
mod lines;
mod paths;
mod retention;
mod segments;
mod stacks;

pub(super) use funnel::funnel_ui;
pub(super) use lines::trends_ui;
pub(super) use paths::paths_ui;
pub(super) use retention::retention_ui;
pub(super) use segments::segments_ui;
pub(super) use stacks::{lifecycle_ui, stickiness_ui};
use workspace::insights::Point;

/// A point that was chosen, and what it is called.
type Chosen = Option<(Point, String)>;

/// Height of a chart with axes: what there is, with room for its rule below.
fn height(ui: &eframe::egui::Ui) -> f32 {
    (ui.available_height() - 90.0).clamp(240.0, 620.0)
}

#[allow(clippy::cast_precision_loss, reason = "a place on an axis")]
const fn at(place: usize) -> f64 {
    place as f64
}

/// The place that a number on an axis is nearest to.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within")]
fn nearest(x: f64, n: usize) -> Option<usize> {
    let place = x.round();
    (place >= 0.0 && place < at(n)).then_some(place as usize)
}
