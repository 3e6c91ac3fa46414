use workspace::{Knowledge, Project};

use super::{Result, name, time, to_json};
use crate::arguments::View;
use crate::output;

pub(super) fn run(arguments: &View) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let view = name(&arguments.name)?;
    let as_of = time(arguments.as_of.as_ref())?;
    let knowledge = if arguments.as_known { Knowledge::AsItWasKnown } else { Knowledge::AsItWas };
    if arguments.sql {
        output::line(&project.view_sql(&view, as_of, knowledge)?);
    }
    if arguments.sql && arguments.out.is_none() {
        return Ok(());
    }
    let out = arguments.out.as_deref();
    let report = project.compute_view(&view, as_of, knowledge, out, &output::watched_job())?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
    } else {
        output::remark(&format!(
            "{} features of {} customers as of {} in {:.2} s: {}",
            report.features, report.rows, report.as_of, report.seconds, report.out
        ));
    }
    Ok(())
}
