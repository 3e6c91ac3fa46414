use workspace::{Project, Run};

use super::{Result, name, to_json};
use crate::arguments::Runs;
use crate::output;

/// Metrics of the test part that are printed.
const SHOWN: usize = 4;

/// Lists the runs of a model side by side, or chooses one.
pub(super) fn run(arguments: &Runs) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let model = name(&arguments.model)?;
    if let Some(run) = &arguments.r#use {
        let function = project.use_run(&model, run)?;
        output::remark(&format!("functions/{model}.json is {} now", &function.hash()[..12]));
    }
    let runs = project.runs(&model)?;
    if arguments.json.json {
        output::json(&to_json(&runs)?);
        return Ok(());
    }
    if runs.is_empty() {
        output::line(&format!("{model} has not been trained yet"));
    }
    runs.iter().for_each(print);
    if runs.iter().any(|run| run.in_use) {
        output::line(&format!("* in use: functions/{model}.json"));
    } else if !runs.is_empty() {
        output::line(&format!("functions/{model}.json is not one of these runs"));
    }
    Ok(())
}

fn print(run: &Run) {
    let metrics: Vec<String> = run
        .report
        .test
        .metrics
        .iter()
        .take(SHOWN)
        .map(|metric| format!("{} {:.4}", metric.name, metric.value))
        .collect();
    output::line(&format!(
        "{} {}  {}  {:<20} {} rows  {}",
        if run.in_use { "*" } else { " " },
        &run.hash[..12],
        run.at,
        run.report.algorithm.name(),
        run.report.rows,
        metrics.join("  ")
    ));
}
