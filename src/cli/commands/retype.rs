use workspace::Project;

use super::{Result, to_json};
use crate::arguments::Retype;
use crate::output;

pub(super) fn run(arguments: &Retype) -> Result {
    let folder = &arguments.of.project;
    let project = Project::open(folder)?;
    let job = output::watched_job();
    let done = project.retype(&arguments.property, arguments.type_, arguments.is_trait, &job)?;
    if arguments.json.json {
        output::json(&to_json(&done)?);
        return Ok(());
    }
    output::line(&format!(
        "'{}' was a {} and is a {} now: {} values fit, {} do not",
        done.property, done.was, done.is, done.values, done.misfits
    ));
    if done.misfits > 0 {
        output::line(&format!(
            "values that do not fit: fullcircle query --project {} \"SELECT * FROM misfits\"",
            folder.display()
        ));
    }
    if !project.endpoints()?.is_empty() {
        output::line("publish again, so that endpoints read live values as this type");
    }
    Ok(())
}
