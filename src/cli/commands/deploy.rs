use workspace::Project;

use super::{Result, environment_key, name, to_json};
use crate::arguments::Deploy;
use crate::output;

pub(super) fn run(arguments: &Deploy) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.to, environment_key())?;
    let (function, live) = (name(&arguments.function)?, name(&arguments.name)?);
    let deployment = project.deploy(&function, &client, &live)?;
    if arguments.json.json {
        output::json(&to_json(&deployment)?);
    } else {
        output::line(&format!("{} version {} is live", deployment.name, deployment.version));
    }
    Ok(())
}
