use workspace::Project;

use super::{Result, environment_key, to_json};
use crate::arguments::Pull;
use crate::output;

pub(super) fn run(arguments: &Pull) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.from, environment_key())?;
    let job = output::watched_job();
    if arguments.from_other_project {
        project.accept_other_projects(&client, &job)?;
    }
    let pulls = project.pull(&client, &job)?;
    if arguments.json.json {
        output::json(&to_json(&pulls)?);
    } else {
        output::line(&format!("pulled {} in {:.1} s", pulls.accepted, pulls.seconds));
        if pulls.misfits > 0 {
            output::line(&format!(
                "{} values do not fit the type of their property: fullcircle query --project {} \
                 \"SELECT * FROM misfits\"",
                pulls.misfits,
                arguments.of.project.display()
            ));
        }
    }
    Ok(())
}
