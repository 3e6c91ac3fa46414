use workspace::{Options, Project};

use super::{Result, to_json};
use crate::arguments::Import;
use crate::output;

/// Rejected rows that are printed.
const SHOWN: usize = 10;

pub(super) fn run(arguments: Import) -> Result {
    let project = Project::open(&arguments.to.project)?;
    let options = Options {
        customer: arguments.customer,
        time: arguments.time,
        time_format: arguments.time_format,
        event: arguments.event,
        event_name: arguments.event_name,
        message_id: arguments.message_id,
        received_at: arguments.received_at,
        traits: arguments.traits,
        types: arguments.types.into_iter().collect(),
        left_out: arguments.left_out,
    };
    let report = project.import(&arguments.files, &options, &output::watched_job())?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
        return Ok(());
    }
    output::line(&format!(
        "read {}, accepted {}, duplicate {}, rejected {} in {:.1} s",
        report.read, report.accepted, report.duplicate, report.rejected, report.seconds
    ));
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
