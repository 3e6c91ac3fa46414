//! What came of an experiment: what to do first, then why.

use eframe::egui::{self, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};
use egui_plot::{FilledArea, HLine, Legend, Line, Plot, PlotPoints};
use workspace::{
    Guardrail, Interval, MetricReadout, MetricRole, Name, RatioMismatch, Readout, Verdict,
};

use crate::theme::{Tokens, strong};
use crate::widgets::{card, number, section, thousands};

/// Width of an interval that is painted.
const INTERVAL_WIDTH: f32 = 180.0;

/// Why: what each metric says.
pub(super) fn ui(ui: &mut Ui, readout: &Readout) {
    if let Some(split) = &readout.split {
        split_ui(ui, readout, split);
    }
    if readout.advice.verdict == Verdict::SplitIsWrong {
        return;
    }
    for metric in &readout.metrics {
        metric_ui(ui, metric);
    }
    looks_ui(ui, readout);
    novelty_ui(ui, readout);
    segments_ui(ui, readout);
    policies_ui(ui, readout);
}

/// What to do.
pub(super) fn advice_ui(ui: &mut Ui, readout: &Readout) {
    let tokens = Tokens::at(ui);
    let (color, word) = match readout.advice.verdict {
        Verdict::Ship => (tokens.good, "Ship it"),
        Verdict::RollBack => (tokens.bad, "Roll back"),
        Verdict::NoDifference => (tokens.text, "No difference"),
        Verdict::KeepRunning => (tokens.warn, "Keep running"),
        Verdict::SplitIsWrong => (tokens.bad, "Do not believe it"),
    };
    card(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(word).font(strong(18.0)).color(color));
            if let Some(days) = readout.advice.days_to_decision {
                let text = format!("{} days to a decision", number(days));
                ui.label(RichText::new(text).color(tokens.weak));
            }
        });
        ui.add(egui::Label::new(&readout.advice.why).wrap());
        let text = format!(
            "version {}, {} customers in {} days, {} left out because they got several variants",
            readout.version,
            thousands(u64::try_from(readout.customers).unwrap_or(0)),
            number(readout.days),
            readout.crossed
        );
        ui.add(egui::Label::new(RichText::new(text).small().color(tokens.weak)).wrap());
    });
}

fn split_ui(ui: &mut Ui, readout: &Readout, split: &RatioMismatch) {
    let tokens = Tokens::at(ui);
    let arms: Vec<String> = readout.arms.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let (color, word) = match split.is_wrong() {
        true => (tokens.bad, "The split is wrong"),
        false => (tokens.good, "The split is right"),
    };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(word).color(color));
        let text = format!("{} (p {})", arms.join(", "), number(split.p_value));
        ui.label(RichText::new(text).color(tokens.weak));
    });
}

fn metric_ui(ui: &mut Ui, metric: &MetricReadout) {
    let tokens = Tokens::at(ui);
    let role = match metric.role {
        MetricRole::Primary => "decides",
        MetricRole::Guardrail => "must not get worse",
        MetricRole::Secondary => "looked at",
    };
    section(ui, metric.name.as_str());
    let waiting = match metric.waiting {
        0 => role.to_owned(),
        n => format!("{role}; the time of {n} customers is not over"),
    };
    ui.label(RichText::new(waiting).small().color(tokens.weak));
    let widest = metric.effects.iter().map(|effect| reach(&effect.relative)).fold(0.05, f64::max);
    egui::Grid::new(("metric", metric.name.as_str())).num_columns(5).spacing([14.0, 4.0]).show(
        ui,
        |ui| {
            for title in ["Variant", "Mean", "Change", "At every look", "One look, belief"] {
                ui.label(RichText::new(title).small().color(tokens.weak));
            }
            ui.end_row();
            for arm in &metric.arms {
                ui.label(arm.variant.as_str());
                ui.label(format!("{} of {}", number(arm.mean), arm.customers));
                match metric.effects.iter().find(|effect| effect.variant == arm.variant) {
                    Some(effect) => {
                        ui.label(percent(effect.relative.estimate));
                        interval_ui(
                            ui,
                            &effect.relative,
                            widest,
                            is_good(metric, &effect.relative),
                        );
                        let fixed = &effect.fixed_relative;
                        let belief = effect.belief.map(|belief| {
                            format!(", {:.0} % to win", 100.0 * belief.chance_to_win)
                        });
                        let guardrail = effect.guardrail.map(|guardrail| match guardrail {
                            Guardrail::Safe => ", safe",
                            Guardrail::Harmed => ", HARMED",
                            Guardrail::Unclear => ", unclear yet",
                        });
                        ui.label(format!(
                            "{} to {}{}{}",
                            percent(fixed.low),
                            percent(fixed.high),
                            belief.unwrap_or_default(),
                            guardrail.unwrap_or_default()
                        ));
                    }
                    None => {
                        ui.label(RichText::new("control").color(tokens.weak));
                    }
                }
                ui.end_row();
            }
        },
    );
}

/// Whether an interval says that a change is good, or bad.
fn is_good(metric: &MetricReadout, interval: &Interval) -> Option<bool> {
    let more = metric.goal == workspace::Goal::Increase;
    match (interval.low > 0.0, interval.high < 0.0) {
        (true, _) => Some(more),
        (_, true) => Some(!more),
        _ => None,
    }
}

fn reach(interval: &Interval) -> f64 {
    let ends = [interval.low, interval.high, interval.estimate];
    ends.into_iter().filter(|end| end.is_finite()).map(f64::abs).fold(0.0, f64::max)
}

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:+.1} %", 100.0 * share) } else { "–".to_owned() }
}

/// An interval around an effect, with no effect in the middle.
fn interval_ui(ui: &mut Ui, interval: &Interval, widest: f64, is_good: Option<bool>) {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(INTERVAL_WIDTH, 14.0), Sense::hover());
    let color = match is_good {
        Some(true) => tokens.good,
        Some(false) => tokens.bad,
        None => tokens.series[0],
    };
    #[allow(clippy::cast_possible_truncation, reason = "pixels")]
    let x = |share: f64| {
        let share = (share / widest).clamp(-1.0, 1.0) as f32;
        rect.center().x + share * rect.width() / 2.0
    };
    let painter = ui.painter();
    let middle = rect.center();
    painter.vline(middle.x, rect.y_range(), Stroke::new(1.0, tokens.line));
    let bar = Rect::from_min_max(
        pos2(x(interval.low), middle.y - 3.0),
        pos2(x(interval.high), middle.y + 3.0),
    );
    painter.rect_filled(bar, 3.0, color.gamma_multiply(0.45));
    painter.circle_filled(pos2(x(interval.estimate), middle.y), 3.5, color);
    response.on_hover_text(format!("{} to {}", percent(interval.low), percent(interval.high)));
}

/// The interval as customers came.
fn looks_ui(ui: &mut Ui, readout: &Readout) {
    let known = || readout.looks.iter().filter(|look| look.relative.low.is_finite());
    if known().count() < 2 {
        return;
    }
    section(ui, "As customers came");
    let tokens = Tokens::at(ui);
    let mut variants: Vec<&Name> = Vec::new();
    for look in known() {
        if !variants.contains(&&look.variant) {
            variants.push(&look.variant);
        }
    }
    Plot::new("looks")
        .height(220.0)
        .legend(Legend::default())
        .allow_scroll(false)
        .allow_drag(false)
        .show_grid([false, true])
        .y_axis_formatter(|mark, _| format!("{:.0} %", 100.0 * mark.value))
        .show(ui, |plot| {
            plot.hline(HLine::new("no change", 0.0).color(tokens.line));
            for (place, variant) in variants.iter().enumerate() {
                let color = tokens.series[place % 7];
                let own = || known().filter(|look| look.variant == **variant);
                #[allow(clippy::cast_precision_loss, reason = "a number of customers")]
                let points = |value: fn(&Interval) -> f64| -> Vec<[f64; 2]> {
                    own().map(|look| [look.customers as f64, value(&look.relative)]).collect()
                };
                let of = |points: Vec<[f64; 2]>, place: usize| -> Vec<f64> {
                    points.into_iter().map(|point| point[place]).collect()
                };
                let (low, high) = (points(|it| it.low), points(|it| it.high));
                let xs = of(low.clone(), 0);
                let band = FilledArea::new(variant.as_str(), &xs, &of(low, 1), &of(high, 1));
                plot.add(band.fill_color(color.gamma_multiply(0.2)).stroke(Stroke::NONE));
                let line = Line::new(variant.as_str(), PlotPoints::from(points(|it| it.estimate)));
                plot.line(line.color(color).width(2.0));
            }
        });
    let text = "Customers from left to right, the change of the first metric upwards. The band holds \
                however often it is looked at.";
    ui.label(RichText::new(text).small().color(tokens.weak));
}

fn novelty_ui(ui: &mut Ui, readout: &Readout) {
    let tokens = Tokens::at(ui);
    for novelty in readout.novelty.iter().filter(|novelty| novelty.late.low.is_finite()) {
        let changes =
            if novelty.p_value < 0.01 { "the effect changes" } else { "no sign of a change" };
        let text = format!(
            "{}: {} among those who came first, {} among those who came last: {changes} (p {})",
            novelty.variant,
            number(novelty.early.estimate),
            number(novelty.late.estimate),
            number(novelty.p_value)
        );
        ui.label(RichText::new(text).color(tokens.weak));
    }
}

fn segments_ui(ui: &mut Ui, readout: &Readout) {
    if readout.segments.is_empty() {
        return;
    }
    section(ui, "By who they were");
    let tokens = Tokens::at(ui);
    let finite = readout.segments.iter().filter(|segment| segment.relative.low.is_finite());
    let widest = finite.map(|segment| reach(&segment.relative)).fold(0.05, f64::max);
    egui::Grid::new("segments").num_columns(5).striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
        for segment in &readout.segments {
            ui.label(format!("{} = {}", segment.name, segment.value));
            ui.label(RichText::new(segment.customers.to_string()).color(tokens.weak));
            ui.label(segment.variant.as_str());
            ui.label(percent(segment.relative.estimate));
            interval_ui(ui, &segment.relative, widest, None);
            ui.end_row();
        }
    });
}

fn policies_ui(ui: &mut Ui, readout: &Readout) {
    if readout.policies.is_empty() {
        return;
    }
    section(ui, "If everybody got one variant");
    for policy in &readout.policies {
        ui.label(format!(
            "{}: {} ± {} (doubly robust), {} (inverse propensity)",
            policy.variant,
            number(policy.value.doubly_robust),
            number(policy.value.error),
            number(policy.value.self_normalized)
        ));
    }
}
