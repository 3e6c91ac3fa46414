use serde_json::json;
use workspace::Project;

use super::{Result, name};
use crate::arguments::TrainingSet;
use crate::output;

pub(super) fn run(arguments: &TrainingSet) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let model = name(&arguments.model)?;
    let rows = project.training_set(&model, &arguments.out, &output::watched_job())?;
    let out = arguments.out.display().to_string();
    if arguments.json.json {
        output::json(&json!({ "rows": rows, "out": out }));
    } else {
        output::line(&format!("{rows} rows: {out}"));
    }
    Ok(())
}
