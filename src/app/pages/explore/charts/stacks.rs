use eframe::egui::{Color32, Ui};
use egui_plot::{Bar, BarChart, Legend, Plot};
use workspace::insights::{Interval, Lifecycle, Point, Range, Status, Stickiness};

use super::{Chosen, at, height, nearest};
use crate::theme::Tokens;

#[allow(clippy::cast_precision_loss, reason = "a height")]
const fn count(n: u64) -> f64 {
    n as f64
}

/// Active customers above, dormant ones below.
pub(in super::super) fn lifecycle_ui(ui: &mut Ui, lifecycle: &Lifecycle, range: &Range) -> Chosen {
    let tokens = Tokens::at(ui);
    let dates = range.labels.clone();
    let n = dates.len();
    let axis = dates.clone();
    let color = |status: Status| -> Color32 {
        match status {
            Status::New => tokens.series[0],
            Status::Returning => tokens.series[2],
            Status::Resurrecting => tokens.series[1],
            Status::Dormant => tokens.series[7],
        }
    };
    let mut clicked = None;
    let plot = Plot::new("lifecycle")
        .height(height(ui))
        .legend(Legend::default())
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .x_axis_formatter(move |mark, _| {
            let place =
                nearest(mark.value, n).filter(|place| (at(*place) - mark.value).abs() < 0.01);
            place.map_or_else(String::new, |place| axis[place].clone())
        });
    plot.show(ui, |plot| {
        let mut below = vec![0.0; n];
        for (status, counts) in Status::ALL.iter().zip(&lifecycle.counts) {
            let sign = if *status == Status::Dormant { -1.0 } else { 1.0 };
            let bars: Vec<Bar> = counts
                .iter()
                .enumerate()
                .map(|(place, count)| {
                    let base = if *status == Status::Dormant { 0.0 } else { below[place] };
                    let name = format!("{}, {}: {count}", status.word(), dates[place]);
                    Bar::new(at(place), sign * self::count(*count))
                        .base_offset(base)
                        .width(0.8)
                        .name(name)
                })
                .collect();
            if *status != Status::Dormant {
                below.iter_mut().zip(counts).for_each(|(sum, n)| *sum += count(*n));
            }
            plot.bar_chart(BarChart::new(status.word(), bars).color(color(*status)));
        }
        if plot.response().clicked() {
            clicked = plot.pointer_coordinate();
        }
    });
    let clicked = clicked?;
    let interval = nearest(clicked.x, n)?;
    let mut top = 0.0;
    let active = Status::ALL.into_iter().filter(|status| *status != Status::Dormant);
    let status = match clicked.y < 0.0 {
        true => Some(Status::Dormant),
        false => active.zip(&lifecycle.counts).find_map(|(status, counts)| {
            top += count(counts[interval]);
            (clicked.y <= top).then_some(status)
        }),
    }?;
    let title = format!("{}, {}", status.word(), dates[interval]);
    Some((Point::Lifecycle { status, interval }, title))
}

/// A bar for each number of intervals.
pub(in super::super) fn stickiness_ui(
    ui: &mut Ui,
    stickiness: &Stickiness,
    interval: Interval,
) -> Chosen {
    let tokens = Tokens::at(ui);
    let n = stickiness.exactly.len();
    let word = interval.word();
    let bars: Vec<Bar> = stickiness
        .exactly
        .iter()
        .zip(&stickiness.at_least)
        .enumerate()
        .map(|(place, (exactly, at_least))| {
            let name = format!(
                "active in {} {word}s: {exactly}; in at least so many: {at_least}",
                place + 1
            );
            Bar::new(at(place + 1), count(*exactly)).width(0.85).name(name)
        })
        .collect();
    let mut clicked = None;
    Plot::new("stickiness")
        .height(height(ui))
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .x_axis_label(format!("{word}s with activity"))
        .show(ui, |plot| {
            plot.bar_chart(BarChart::new("customers", bars).color(tokens.series[0]));
            if plot.response().clicked() {
                clicked = plot.pointer_coordinate();
            }
        });
    let place = nearest(clicked?.x, n + 1).filter(|place| *place > 0)?;
    Some((Point::Stickiness(place), format!("active in {place} {word}s")))
}
