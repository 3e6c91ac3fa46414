use workspace::Project;

use super::{Result, environment_key, to_json};
use crate::arguments::Publish;
use crate::output;

pub(super) fn run(arguments: &Publish) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.to, environment_key())?;
    let job = output::watched_job();
    let published = match arguments.all {
        true => project.publish_all(&client, &job)?,
        false => project.publish(&client, &job)?,
    };
    if arguments.json.json {
        output::json(&to_json(&published)?);
    } else {
        output::line(&format!(
            "published {}, known already {} in {:.1} s",
            published.accepted, published.duplicate, published.seconds
        ));
    }
    Ok(())
}
