use super::{Result, client};
use crate::arguments::Backup;
use crate::output;

/// Has an endpoint copy what is durable now into a folder beside its data, while it goes on.
pub(super) fn run(arguments: &Backup) -> Result {
    let answer = client(&arguments.to, arguments.project.as_deref())?.back_up()?;
    if arguments.json.json {
        output::json(&answer);
    } else {
        let folder = answer["folder"].as_str().unwrap_or_default();
        output::line(&format!("{folder}: start it with fullcircle serve --data (on a copy)"));
        if let Some(note) = answer["note"].as_str() {
            output::line(note);
        }
    }
    Ok(())
}
