use eframe::egui::{self, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};
use workspace::{LabelRelation, Marked, Preview};

use crate::theme::Tokens;
use crate::widgets::{bars_ui, label_cell, section, thousands};

/// Height of a customer's timeline.
const ROW: f32 = 18.0;
/// Width of the ids before them.
const IDS: f32 = 90.0;

/// How the chosen feature goes with the label of a model.
pub(super) fn relation_ui(ui: &mut Ui, preview: &Preview) {
    let tokens = Tokens::at(ui);
    let relation = match &preview.relation {
        None => {
            ui.label(
                RichText::new("Choose a model to see how the feature goes with its label.")
                    .size(12.0)
                    .color(tokens.weak),
            );
            return;
        }
        Some(Err(message)) => {
            ui.label(RichText::new(message).size(12.0).color(tokens.weak));
            return;
        }
        Some(Ok(relation)) => relation,
    };
    ui.label(RichText::new(summary(relation)).size(12.0));
    let most = relation.bins.iter().map(|bin| bin.positive_share).fold(0.0, f64::max);
    egui::Grid::new("relation").num_columns(4).spacing([10.0, 3.0]).show(ui, |ui| {
        for title in ["value", "rows", "positive", ""] {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for bin in &relation.bins {
            label_cell(ui, RichText::new(&bin.values).size(12.0), 90.0);
            let rows = thousands(u64::try_from(bin.rows).unwrap_or(0));
            ui.label(RichText::new(rows).monospace().size(11.5));
            let share = format!("{:.1} %", bin.positive_share * 100.0);
            ui.label(RichText::new(share).monospace().size(11.5));
            bar_ui(ui, if most > 0.0 { bin.positive_share / most } else { 0.0 });
            ui.end_row();
        }
    });
}

fn summary(relation: &LabelRelation) -> String {
    let rows = thousands(u64::try_from(relation.rows).unwrap_or(0));
    let positives = thousands(u64::try_from(relation.positives).unwrap_or(0));
    match relation.auc {
        Some(auc) => format!("{rows} rows, {positives} positive; AUC of it alone {auc:.3}"),
        None => format!("{rows} rows, {positives} positive"),
    }
}

fn bar_ui(ui: &mut Ui, share: f64) {
    let tokens = Tokens::at(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(70.0, 10.0), Sense::hover());
    #[allow(clippy::cast_possible_truncation, reason = "pixels")]
    let width = rect.width() * share.clamp(0.0, 1.0) as f32;
    let bar = Rect::from_min_size(rect.min, vec2(width.max(1.0), rect.height()));
    ui.painter().rect_filled(bar, 2.0, tokens.series_of("label"));
}

/// The chosen feature's distribution over all customers.
pub(super) fn distribution_ui(ui: &mut Ui, preview: &Preview, name: &str) {
    let several = format!("{name}_");
    let find = |fits: &dyn Fn(&str) -> bool| {
        preview.features.iter().find(|summary| fits(summary.name.as_str()))
    };
    let own = find(&|other| other == name).or_else(|| find(&|other| other.starts_with(&several)));
    let Some(summary) = own else { return };
    let text = summary.range.map_or_else(
        || "no numbers".to_owned(),
        |(least, mean, most)| {
            format!(
                "least {}, mean {}, greatest {}",
                crate::widgets::number(least),
                crate::widgets::number(mean),
                crate::widgets::number(most)
            )
        },
    );
    bars_ui(ui, &summary.histogram, ui.available_width().min(280.0), 44.0, &text);
    let missing = format!("{text}; {:.1} % missing", summary.null_share * 100.0);
    ui.label(RichText::new(missing).size(12.0));
}

/// The timelines of a few customers: a mark for each event, strong where the chosen feature reads it.
pub(super) fn timelines_ui(ui: &mut Ui, preview: &Preview) {
    section(ui, "What the feature reads of them");
    let times =
        || preview.timelines.iter().flat_map(|marked| &marked.events).map(|event| event.0.0);
    let (Some(first), last) = (times().min(), preview.as_of.0) else { return };
    for marked in &preview.timelines {
        timeline_ui(ui, marked, first, last);
    }
}

fn timeline_ui(ui: &mut Ui, marked: &Marked, first: i64, last: i64) {
    let tokens = Tokens::at(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let painter = ui.painter_at(rect);
    let font = egui::FontId::proportional(11.0);
    let id: String = marked.customer_id.chars().take(14).collect();
    let at = rect.left_center();
    painter.text(at, egui::Align2::LEFT_CENTER, id, font, tokens.weak);
    let from = rect.left() + IDS;
    painter.hline(from..=rect.right(), rect.center().y, Stroke::new(1.0, tokens.line));
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "pixels")]
    let x = |time: i64| {
        let part = (time - first) as f64 / (last - first).max(1) as f64;
        from + part as f32 * (rect.right() - from - 4.0)
    };
    let n_read = marked.events.iter().filter(|event| event.2).count();
    for (time, name, is_read) in &marked.events {
        let color = tokens.series_of(name);
        let (color, height) =
            if *is_read { (color, ROW * 0.75) } else { (color.gamma_multiply(0.3), ROW * 0.35) };
        let center = pos2(x(time.0), rect.center().y);
        painter.rect_filled(Rect::from_center_size(center, vec2(2.0, height)), 1.0, color);
    }
    let text = format!(
        "{}: {n_read} of {} events shown are read",
        marked.customer_id,
        marked.events.len()
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
    response.on_hover_text(text);
}
