use workspace::Project;

use super::{Result, name, to_json};
use crate::arguments::TrainingSet;
use crate::output;

pub(super) fn run(arguments: &TrainingSet) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let model = name(&arguments.model)?;
    let (spine, out) = (arguments.spine.as_deref(), arguments.out.as_deref());
    let report = project.training_set(&model, spine, out, &output::watched_job())?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
    } else {
        output::line(&format!(
            "{} rows, {} dropped in {:.2} s: {}",
            report.rows, report.dropped, report.seconds, report.out
        ));
    }
    Ok(())
}
