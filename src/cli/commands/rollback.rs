use super::{Result, client, to_json};
use crate::arguments::AtEndpoint;
use crate::output;

pub(super) fn run(arguments: &AtEndpoint) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let deployment = client.roll_back(&arguments.name)?;
    if arguments.json.json {
        output::json(&to_json(&deployment)?);
    } else {
        output::line(&format!("{} is back at version {}", deployment.name, deployment.version));
    }
    Ok(())
}
