use super::{Result, client, to_json};
use crate::arguments::AtEndpoint;
use crate::output;

pub(super) fn run(arguments: &AtEndpoint) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let deployment = client.promote(&arguments.name)?;
    if arguments.json.json {
        output::json(&to_json(&deployment)?);
    } else {
        let said = format!("{} version {} is champion now", deployment.name, deployment.version);
        output::line(&said);
    }
    Ok(())
}
