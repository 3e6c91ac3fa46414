use workspace::Project;

use super::{Result, environment_key, to_json};
use crate::arguments::ToEndpoint;
use crate::output;

pub(super) fn run(arguments: &ToEndpoint) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.to, environment_key())?;
    let published = project.publish(&client, &output::watched_job())?;
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
