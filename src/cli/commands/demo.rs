use super::{Result, to_json};
use crate::arguments::Demo;
use crate::{Failure, output};

pub(super) fn run(arguments: Demo) -> Result {
    let program = std::env::current_exe().map_err(|error| Failure::Found(error.to_string()))?;
    // With --json standard output is for the object alone.
    let say: fn(&str) = if arguments.json.json { output::remark } else { output::line };
    let report = workspace::run_demo(&program, arguments.keep, &say)?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
    }
    if report.verified.different > 0 {
        return Err(Failure::Found(format!(
            "{} of {} live scores differ from the offline ones",
            report.verified.different, report.verified.compared
        )));
    }
    Ok(())
}
