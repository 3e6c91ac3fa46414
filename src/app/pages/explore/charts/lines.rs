use eframe::egui::{RichText, Ui};
use egui_plot::{HoverPosition, Legend, Line, LineStyle, Plot, PlotPoints, Points};
use workspace::insights::{Line as Series, Point, Range, Trends};

use super::{Chosen, at, height, nearest};
use crate::theme::Tokens;
use crate::widgets::{empty_state, number};

/// Lines over time; a click takes the point nearest to it.
pub(in super::super) fn trends_ui(ui: &mut Ui, trends: &Trends, range: &Range) -> Chosen {
    if trends.lines.is_empty() {
        empty_state(ui, "Nothing of this happened in this time.");
        return None;
    }
    let tokens = Tokens::at(ui);
    let dates = range.labels.clone();
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
                let line_of = |points: &[[f64; 2]]| {
                    Line::new(title.clone(), PlotPoints::from(points.to_vec()))
                        .color(color)
                        .width(2.0)
                };
                if run.len() == 1 {
                    let points = Points::new(title.clone(), PlotPoints::from(run.clone()));
                    plot.points(points.color(color).radius(3.0));
                }
                for (part, is_complete) in parts(&run, range) {
                    let style =
                        if is_complete { LineStyle::Solid } else { LineStyle::dashed_loose() };
                    plot.line(line_of(part).style(style));
                }
            }
            for run in line.previous.iter().flat_map(|values| runs(values)) {
                let name = format!("{title}, previous period");
                let line = Line::new(name, PlotPoints::from(run));
                plot.line(line.color(color.gamma_multiply(0.5)).style(LineStyle::dotted_dense()));
            }
        }
        if plot.response().clicked() {
            clicked = plot.pointer_coordinate();
        }
    });
    ui.label(
        RichText::new("Click a point for the people behind it. Dashed: period not complete.")
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

/// The parts of a line whose points are all of complete intervals, or not.
fn parts<'a>(run: &'a [[f64; 2]], range: &Range) -> Vec<(&'a [[f64; 2]], bool)> {
    let is_complete = |[x, _]: &[f64; 2]| {
        nearest(*x, range.intervals)
            .is_some_and(|place| place < range.complete && !range.is_partial(place))
    };
    let mut parts: Vec<(usize, usize, bool)> = Vec::new();
    for (end, pair) in run.windows(2).enumerate() {
        let whole = pair.iter().all(is_complete);
        match parts.last_mut() {
            Some((_, last, known)) if *known == whole => *last = end + 1,
            _ => parts.push((end, end + 1, whole)),
        }
    }
    parts.into_iter().map(|(first, last, whole)| (&run[first..=last], whole)).collect()
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
