use eframe::egui::{self, Checkbox, ComboBox, Grid, RichText, Ui};
use workspace::{ColumnSummary, Options, Proposal, ProposedColumn, Type};

use crate::theme::{Tokens, strong};
use crate::widgets::{bars_ui, section, shorten, thousands};

/// The columns of the files: what each becomes, as which type, and what its values are like.
pub(super) fn columns_ui(ui: &mut Ui, proposal: &Proposal, options: &mut Options) {
    let tokens = Tokens::at(ui);
    section(ui, "Columns");
    let remark = "Missing values are of all rows that were looked at; what is right of it, of the first ones.";
    ui.label(RichText::new(remark).small().color(tokens.weak));
    Grid::new("columns").num_columns(8).spacing([24.0, 4.0]).striped(false).show(ui, |ui| {
        let titles = ["column", "becomes", "type", "missing", "distinct", "from", "to"];
        for title in titles {
            ui.label(RichText::new(title).small().color(tokens.weak));
        }
        ui.end_row();
        for column in &proposal.columns {
            let name = ui.label(RichText::new(shorten(&column.name, 40)).font(strong(12.5)));
            let mut roles = proposal.mapping.roles();
            match roles.find(|(mapped, _)| **mapped == column.name) {
                Some((_, role)) => {
                    ui.label(role);
                    ui.label(column.type_.to_string());
                }
                None => {
                    use_ui(ui, column, options);
                    type_ui(ui, column, options, name.id);
                }
            }
            ui.label(RichText::new(format!("{:.1} %", column.null_share * 100.0)).monospace());
            profile_ui(ui, &column.summary);
            ui.end_row();
        }
    });
}

/// Whether a column becomes a property, and which.
fn use_ui(ui: &mut Ui, column: &ProposedColumn, options: &mut Options) {
    let text = match &column.property {
        Some(property) if *property == column.name => "property".to_owned(),
        Some(property) => format!("property {}", shorten(property, 40)),
        None => "left out".to_owned(),
    };
    let mut is_used = column.property.is_some();
    let response = ui.add(Checkbox::new(&mut is_used, text));
    if response.on_hover_text("Whether it is imported").changed() {
        options.left_out.retain(|left_out| *left_out != column.name);
        if !is_used {
            options.left_out.push(column.name.clone());
        }
    }
}

/// The type of a column; what does not fit one that a person chose is rejected.
fn type_ui(ui: &mut Ui, column: &ProposedColumn, options: &mut Options, name: egui::Id) {
    let found = match column.has_type() {
        true => column.type_.to_string(),
        false => "as its first value".to_owned(),
    };
    let combo = ComboBox::from_id_salt(("type", &column.name)).width(120.0).selected_text(found);
    let shown = combo.show_ui(ui, |ui| {
        for type_ in [Type::Number, Type::Text, Type::Boolean, Type::Time] {
            let is_chosen = column.has_type() && column.type_ == type_;
            if ui.selectable_label(is_chosen, type_.to_string()).clicked() {
                options.types.insert(column.name.clone(), type_);
            }
        }
    });
    let hover = "Rows that do not fit a type that is chosen are rejected";
    shown.response.on_hover_text(hover).labelled_by(name);
}

/// What the first values of a column are like.
fn profile_ui(ui: &mut Ui, summary: &ColumnSummary) {
    let distinct = summary.distinct.map(|n| thousands(u64::try_from(n).unwrap_or(0)));
    ui.label(RichText::new(distinct.unwrap_or_default()).monospace());
    let (least, largest) = summary.range.clone().unwrap_or_default();
    for end in [least, largest] {
        ui.label(RichText::new(shorten(&end, 24)).monospace().size(11.5)).on_hover_text(end);
    }
    bars_ui(ui, &summary.histogram, 90.0, 16.0, "");
}
