use eframe::egui::{RichText, Ui};
use egui_plot::{HoverPosition, Legend, Line, LineStyle, Plot, PlotPoints, Points};
use workspace::insights::{Interval, Line as Series, Point, Trends};

use super::{Chosen, at, height, nearest};
use crate::theme::Tokens;
use crate::widgets::{empty_state, number};

/// Lines over time; a click takes the point nearest to it.
pub(in super::super) fn trends_ui(ui: &mut Ui, trends: &Trends, interval: Interval) -> Chosen {
    if trends.lines.is_empty() {
        empty_state(ui, "Nothing of this happened in this time.");
        return None;
    }
    let tokens = Tokens::at(ui);
    let dates: Vec<String> = trends.starts.iter().map(|start| label(start, interval)).collect();
    let n = dates.len();
    let dates_of_axis = dates.clone();
    let dates_of_hover = dates.clone();
    let name = |line: &Series| match (line.group.is_empty(), trends.lines.len()) {
        (true, _) => line.name.clone(),
        (false, _) => match has_many_series(trends) {
            true => format!("{}: {}", line.name, line.group),
            false => line.group.clone(),
        },
    };
    let plot = Plot::new("trends")
        .height(height(ui))
        .legend(Legend::default())
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .include_y(0.0)
        .x_axis_formatter(move |mark, _| {
            let place =
                nearest(mark.value, n).filter(|place| (at(*place) - mark.value).abs() < 0.01);
            place.map_or_else(String::new, |place| dates_of_axis[place].clone())
        })
        .label_formatter(move |hover| {
            let (HoverPosition::NearDataPoint { position, .. }
            | HoverPosition::Elsewhere { position }) = hover;
            let when = nearest(position.x, n).map_or("", |place| dates_of_hover[place].as_str());
            Some(format!("{when}\n{}", number(position.y)))
        });
    let mut clicked = None;
    plot.show(ui, |plot| {
        for (place, line) in trends.lines.iter().enumerate() {
            let color = match line.group.as_str() {
                "Other" => tokens.series[7],
                _ => tokens.series[place % 7],
            };
            let title = name(line);
            for run in runs(&line.values) {
                // The last interval is running still: its part of the line is broken.
                let ends_now = run.last().is_some_and(|[x, _]| nearest(*x, n) == Some(n - 1));
                let (whole, running) = if ends_now && run.len() > 1 {
                    (&run[..run.len() - 1], Some(&run[run.len() - 2..]))
                } else {
                    (&run[..], None)
                };
                let line_of = |points: &[[f64; 2]]| {
                    Line::new(title.clone(), PlotPoints::from(points.to_vec()))
                        .color(color)
                        .width(2.0)
                };
                if whole.len() == 1 && running.is_none() {
                    let points = Points::new(title.clone(), PlotPoints::from(whole.to_vec()));
                    plot.points(points.color(color).radius(3.0));
                }
                plot.line(line_of(whole));
                if let Some(running) = running {
                    plot.line(line_of(running).style(LineStyle::dashed_loose()));
                }
            }
            for run in line.previous.iter().flat_map(|values| runs(values)) {
                let name = format!("{title}, the time before");
                let line = Line::new(name, PlotPoints::from(run));
                plot.line(line.color(color.gamma_multiply(0.5)).style(LineStyle::dotted_dense()));
            }
        }
        if plot.response().clicked() {
            clicked = plot.pointer_coordinate();
        }
    });
    ui.label(
        RichText::new(
            "Click a point for the people behind it. Broken: the interval is running still.",
        )
        .small()
        .color(tokens.weak),
    );
    let clicked = clicked?;
    let interval = nearest(clicked.x, n)?;
    let distance = |line: &Series| line.values[interval].map(|y| (y - clicked.y).abs());
    let lines = trends.lines.iter().filter_map(|line| Some((distance(line)?, line)));
    let (_, line) = lines.min_by(|left, right| left.0.total_cmp(&right.0))?;
    let series = line.series?;
    let point = Point::Trends { series, group: line.group.clone(), interval };
    Some((point, format!("{}, {}", name(line), dates[interval])))
}

fn has_many_series(trends: &Trends) -> bool {
    trends.lines.iter().any(|line| line.series > Some(0))
}

/// A date, and the hour where intervals are so short.
fn label(start: &workspace::Time, interval: Interval) -> String {
    match interval {
        Interval::Hour => start.to_string().chars().take(16).collect::<String>().replace('T', " "),
        _ => start.date(),
    }
}

/// The values in a row that are there.
fn runs(values: &[Option<f64>]) -> Vec<Vec<[f64; 2]>> {
    let mut runs = vec![Vec::new()];
    for (place, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push([at(place), *value]),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}
