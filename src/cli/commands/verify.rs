use workspace::Project;

use super::{Result, environment_key, name, to_json};
use crate::arguments::Verify;
use crate::{Failure, output};

pub(super) fn run(arguments: &Verify) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.to, environment_key())?;
    let job = output::watched_job();
    let verified = project.verify(&client, &name(&arguments.name)?, arguments.customers, &job)?;
    if arguments.json.json {
        output::json(&to_json(&verified)?);
    } else {
        output::line(&format!("compared {}, different {}", verified.compared, verified.different));
    }
    if verified.different == 0 {
        return Ok(());
    }
    for (customer, live, offline) in &verified.differences {
        output::remark(&format!("  {customer}: live {live}, offline {offline}"));
    }
    Err(Failure::Found(format!(
        "{} of {} live scores differ from the offline ones",
        verified.different, verified.compared
    )))
}
