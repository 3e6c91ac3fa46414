use serde_json::json;
use workspace::{ColumnMapping, Mapping, Options, Project};

use super::{Result, to_json};
use crate::arguments::Import;
use crate::output;

/// Rejected rows that are printed.
const SHOWN: usize = 10;

pub(super) fn run(arguments: Import) -> Result {
    let project = Project::open(&arguments.to.project)?;
    let options = Options {
        customer: arguments.customer,
        anonymous: arguments.anonymous,
        time: arguments.time,
        time_format: arguments.time_format,
        event: arguments.event,
        event_name: arguments.event_name,
        message_id: arguments.message_id,
        received_at: arguments.received_at,
        traits: arguments.traits,
        types: arguments.types.into_iter().collect(),
        left_out: arguments.left_out,
        decimal: arguments.decimal,
        own_events: arguments.own_events,
        missing: arguments.missing,
    };
    if arguments.dry_run {
        let proposal = project.propose(&arguments.files, &options)?;
        let remarks = proposal.remarks();
        if arguments.json.json {
            output::json(&json!({
                "format": proposal.format,
                "mapping": to_json(&proposal.mapping)?,
                "columns": to_json(&proposal.mapped_columns())?,
                "remarks": remarks,
            }));
            return Ok(());
        }
        output::line(&proposal.format);
        mapping_lines(&proposal.mapping, &proposal.mapped_columns());
        remarks.iter().for_each(|remark| output::line(&format!("  {remark}")));
        return Ok(());
    }
    let report = project.import(&arguments.files, &options, &output::watched_job())?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
        return Ok(());
    }
    output::line(&format!(
        "read {}, accepted {}, duplicate {}, rejected {} in {:.1} s",
        report.read, report.accepted, report.duplicate, report.rejected, report.seconds
    ));
    mapping_lines(&report.mapping, &report.columns);
    for (property, n) in &report.missing {
        output::line(&format!("  '{property}': {n} values like NULL or N/A are missing values"));
    }
    if report.misfits > 0 {
        output::line(&format!(
            "{} values do not fit the type of their property: fullcircle query --project {} \
             \"SELECT * FROM misfits\"",
            report.misfits,
            arguments.to.project.display()
        ));
    }
    for remark in &report.remarks {
        output::line(&format!("  {remark}"));
    }
    for reject in report.rejects.iter().take(SHOWN) {
        let column =
            reject.column.as_ref().map(|name| format!(", column {name}")).unwrap_or_default();
        output::line(&format!("  {}:{}{column}: {}", reject.source, reject.line, reject.reason));
    }
    if report.rejected > 0 {
        output::line(&format!(
            "all rejected rows: fullcircle query --project {} \"SELECT * FROM rejected_rows\"",
            arguments.to.project.display()
        ));
    }
    Ok(())
}

/// Columns that are printed as properties.
const SHOWN_PROPERTIES: usize = 30;

/// Prints the role of each column, with its reason.
fn mapping_lines(mapping: &Mapping, columns: &[ColumnMapping]) {
    let of_role = |wanted: &'static str| columns.iter().filter(move |it| it.role == wanted);
    for role in ROLES {
        for column in of_role(role) {
            let format = column.format.as_ref().map(|format| format!(" as {format}"));
            let reason = column.reason.as_ref().map(|reason| format!(" ({reason})"));
            output::line(&format!(
                "  {role:<13} {}{}{}",
                column.column,
                format.unwrap_or_default(),
                reason.unwrap_or_default()
            ));
        }
    }
    if let Some(name) = &mapping.event_name {
        output::line(&format!("  {:<13} each row is '{name}'", "event"));
    }
    for (role, title) in [("property", "properties"), ("left out", "left out")] {
        let described = of_role(role).map(|column| {
            let type_ = column.type_.map_or("no value yet".to_owned(), |type_| type_.to_string());
            let format = column.format.as_ref().map(|format| format!(" as {format}"));
            let name = column.property.as_ref().unwrap_or(&column.column);
            format!("{name} ({type_}{})", format.unwrap_or_default())
        });
        let described: Vec<String> = described.collect();
        if !described.is_empty() {
            let more = match described.len().checked_sub(SHOWN_PROPERTIES) {
                Some(more @ 1..) => format!(" and {more} more"),
                _ => String::new(),
            };
            let shown: Vec<String> = described.into_iter().take(SHOWN_PROPERTIES).collect();
            output::line(&format!("  {title:<13} {}{more}", shown.join(", ")));
        }
    }
}

const ROLES: [&str; 7] =
    ["customer", "anonymous id", "time", "event", "type of call", "message id", "arrival"];
