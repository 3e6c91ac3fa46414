use workspace::Project;

use super::{Result, environment_key, to_json};
use crate::arguments::Erase;
use crate::output;

pub(super) fn run(arguments: &Erase) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client =
        arguments.to.as_ref().map(|to| project.client(to, environment_key())).transpose()?;
    let erased = project.erase(&arguments.customer, client.as_ref(), &output::watched_job())?;
    if arguments.json.json {
        output::json(&to_json(&erased)?);
        return Ok(());
    }
    if let Some(there) = &erased.endpoint {
        output::line(&format!("at the endpoint: {there}"));
    }
    let here = &erased.here;
    output::line(&format!(
        "here: {} events, {} traits, {} joined ids, {} computed rows, {} rejected rows",
        here.events, here.traits, here.aliases, here.computed, here.rejected
    ));
    output::line("files and backups that have them would bring them back");
    Ok(())
}
