use eframe::egui::{RichText, Ui};
use egui_plot::{Bar, BarChart, Line, Plot, PlotPoints};
use workspace::{QueryResult, Value};

use crate::theme::Tokens;
use crate::widgets::{choice, number, shorten};

/// A chart of the rows of a query, as they are.
#[derive(Debug, Default)]
pub(super) struct Quick {
    pub(super) is_shown: bool,
    x: String,
    y: String,
    /// The columns that it was set up for.
    columns: Vec<String>,
}

/// Rows that are drawn: two a pixel and more say nothing more.
const MOST_POINTS: usize = 4_000;
/// Texts that have a bar.
const MOST_BARS: usize = 40;
const HEIGHT: f32 = 220.0;

impl Quick {
    pub(super) fn ui(&mut self, ui: &mut Ui, result: &QueryResult) {
        if self.columns != result.columns {
            self.set_up(result);
        }
        let place = |name: &str| result.columns.iter().position(|column| column == name);
        ui.horizontal(|ui| {
            let columns = || result.columns.iter().map(String::as_str);
            choice(ui, "Across", &mut self.x, columns(), 150.0);
            let numbers = columns().enumerate().filter(|(place, _)| is_number(result, *place));
            choice(ui, "Upwards", &mut self.y, numbers.map(|(_, name)| name), 150.0);
        });
        let (Some(x), Some(y)) = (place(&self.x), place(&self.y)) else {
            let text = "No column of this result is a number to draw.";
            ui.label(RichText::new(text).color(Tokens::at(ui).weak));
            return;
        };
        if result.rows.iter().all(|row| position(&row[x]).is_none()) {
            bars_ui(ui, result, (x, y), &self.y);
        } else {
            line_ui(ui, result, (x, y), &self.y);
        }
    }

    /// A time or a text across and a number upwards, as far as there are.
    fn set_up(&mut self, result: &QueryResult) {
        self.columns.clone_from(&result.columns);
        let columns = || 0..result.columns.len();
        let is = |place: usize, wanted: fn(&Value) -> bool| {
            result.rows.iter().map(|row| &row[place]).find(|it| !it.is_null()).is_some_and(wanted)
        };
        let across = |value: &Value| matches!(value, Value::Time(_) | Value::Text(_));
        let x = columns().find(|place| is(*place, across)).unwrap_or(0);
        let y = columns().find(|place| *place != x && is_number(result, *place));
        let name = |place: Option<usize>| {
            place.and_then(|place| result.columns.get(place)).cloned().unwrap_or_default()
        };
        self.x = name(Some(x));
        self.y = name(y);
    }
}

fn is_number(result: &QueryResult, place: usize) -> bool {
    let mut known = result.rows.iter().map(|row| &row[place]).filter(|value| !value.is_null());
    known.next().is_some_and(|value| matches!(value, Value::Number(_)))
}

/// Where a value is on an axis: a number, or days of a time.
#[allow(clippy::cast_precision_loss, reason = "days for a chart")]
fn position(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number).filter(|number| number.is_finite()),
        Value::Time(time) => Some(time.0 as f64 / DAY),
        _ => None,
    }
}

/// Microseconds of a day.
const DAY: f64 = 86_400e6;

fn line_ui(ui: &mut Ui, result: &QueryResult, (x, y): (usize, usize), name: &str) {
    let mut points: Vec<[f64; 2]> = result
        .rows
        .iter()
        .filter_map(|row| Some([position(&row[x])?, row[y].as_number().filter(|y| y.is_finite())?]))
        .collect();
    points.sort_by(|left, right| left[0].total_cmp(&right[0]));
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<[f64; 2]> = points.into_iter().step_by(step).collect();
    let is_time = result.rows.iter().any(|row| matches!(row[x], Value::Time(_)));
    let color = Tokens::at(ui).series[0];
    Plot::new("quick")
        .height(HEIGHT)
        .allow_scroll(false)
        .show_grid([false, true])
        .x_axis_formatter(move |mark, _| {
            if !is_time {
                return number(mark.value);
            }
            #[allow(clippy::cast_possible_truncation, reason = "a time from a chart")]
            let time = workspace::Time((mark.value * DAY) as i64);
            time.date()
        })
        .show(ui, |plot| {
            plot.line(Line::new(name, PlotPoints::from(points)).color(color).width(2.0));
        });
}

fn bars_ui(ui: &mut Ui, result: &QueryResult, (x, y): (usize, usize), name: &str) {
    let known = result.rows.iter().filter_map(|row| {
        let height = row[y].as_number().filter(|height| height.is_finite())?;
        Some((row[x].to_string(), height))
    });
    let shown: Vec<(String, f64)> = known.take(MOST_BARS).collect();
    let color = Tokens::at(ui).series[0];
    #[allow(clippy::cast_precision_loss, reason = "places of bars")]
    let bar = |(place, (text, height)): (usize, &(String, f64))| {
        Bar::new(place as f64, *height).name(shorten(text, 40)).width(0.7)
    };
    let bars: Vec<Bar> = shown.iter().enumerate().map(bar).collect();
    let names: Vec<String> = shown.into_iter().map(|(text, _)| shorten(&text, 14)).collect();
    Plot::new("quick")
        .height(HEIGHT)
        .allow_scroll(false)
        .include_y(0.0)
        .show_grid([false, true])
        .x_axis_formatter(move |mark, _| {
            let place = mark.value.round();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a place of a bar"
            )]
            let name = names.get(place.max(0.0) as usize);
            let is_at_a_bar = (place - mark.value).abs() < 0.01 && place >= 0.0;
            name.filter(|_| is_at_a_bar).cloned().unwrap_or_default()
        })
        .show(ui, |plot| plot.bar_chart(BarChart::new(name, bars).color(color)));
    if result.rows.len() > MOST_BARS {
        let text = format!("the first {MOST_BARS} of {} rows", result.rows.len());
        ui.label(RichText::new(text).small().color(Tokens::at(ui).weak));
    }
}
