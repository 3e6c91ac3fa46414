use std::time::Duration;

use serde_json::json;
use workspace::{Project, TrainReport, Tried};

use super::{Result, name, to_json};
use crate::Failure;
use crate::arguments::Train;
use crate::output;

/// Parameters that are named in the JSON object; a model with more says them in its file.
const FEW: usize = 200;
/// Parameters and features that are printed.
const SHOWN: usize = 15;

pub(super) fn run(arguments: &Train) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let model = name(&arguments.model)?;
    if arguments.try_all {
        let budget = Duration::try_from_secs_f64(arguments.budget)
            .map_err(|error| Failure::Argument(format!("--budget: {error}")))?;
        let tried = project.try_all(&model, budget, &output::watched_job())?;
        if arguments.json.json {
            output::json(&to_json(&tried)?);
        } else {
            print_tried(&tried);
        }
        return Ok(());
    }
    let report = project.train(&model, &output::watched_job())?;
    if arguments.json.json {
        let few: Vec<_> = report.parameters.iter().take(FEW).collect();
        output::json(&json!({
            "rows": report.rows,
            "positives": report.positives,
            "dropped": report.dropped,
            "seconds": report.seconds,
            "metrics": report.metrics,
            "parameters": to_json(&few)?,
            "importance": to_json(&report.importance)?,
            "segments": to_json(&report.segments)?,
            "warnings": report.warnings,
            "function": { "path": report.path, "hash": report.hash },
        }));
        return Ok(());
    }
    print(&report);
    Ok(())
}

fn print(report: &TrainReport) {
    let positives = match report.positives {
        0 => String::new(),
        positives => format!(", {positives} positive"),
    };
    output::line(&format!(
        "{} with {}: {} rows{positives}, {} dropped in {:.1} s",
        report.task, report.algorithm, report.rows, report.dropped, report.seconds
    ));
    for metric in &report.test.metrics {
        let train = report.train.metric(&metric.name).unwrap_or(f64::NAN);
        let interval = metric.interval.map(|(low, high)| format!("  [{low:.4}, {high:.4}]"));
        output::line(&format!(
            "  {:<24} test {:>9.4}{}  train {train:.4}",
            metric.name,
            metric.value,
            interval.unwrap_or_default()
        ));
    }
    for (part, metrics) in report.metrics.iter().filter(|(part, _)| part.starts_with("baseline")) {
        let few = ["auc", "log_loss", "rmse", "r2"];
        let known = few.iter().filter_map(|name| Some((name, metrics.get(*name)?)));
        let known: Vec<String> = known.map(|(name, value)| format!("{name} {value:.4}")).collect();
        output::line(&format!("  {part}: {}", known.join("  ")));
    }
    for segment in &report.segments {
        output::line(&format!(
            "  {:>8} rows of {} customers: {}",
            segment.rows, segment.customers, segment.name
        ));
    }
    if !report.importance.is_empty() {
        output::line("what the loss grows by without a feature");
    }
    for one in report.importance.iter().take(SHOWN) {
        output::line(&format!("  {:<32} {:>9.5} +- {:.5}", one.feature, one.loss, one.spread));
    }
    if !report.parameters.is_empty() {
        output::line("what was learned");
    }
    for parameter in report.parameters.iter().take(SHOWN) {
        output::line(&format!("  {:<32} {:>9.4}", parameter.name, parameter.weight));
    }
    for warning in &report.warnings {
        output::remark(&format!("look at this: {warning}"));
    }
    output::line(&format!("{} ({})", report.path, &report.hash[..12]));
}

fn print_tried(tried: &Tried) {
    output::line("algorithms, best first, judged on parts of the training rows");
    for candidate in &tried.candidates {
        let said = match (&candidate.metric, candidate.value, &candidate.problem) {
            (Some(metric), Some(value), _) => format!("{metric} {value:.4}"),
            (_, _, Some(problem)) => problem.clone(),
            _ => String::new(),
        };
        let test: Vec<String> = candidate
            .test
            .iter()
            .filter(|(name, _)| ["auc", "log_loss", "rmse", "r2"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let run = candidate.run.as_ref().and_then(|run| run.get(..12)).unwrap_or("-");
        output::line(&format!(
            "  {:<22} {said:<26} test {}  {:.1} s  {run}",
            candidate.algorithm.name(),
            test.join("  "),
            candidate.seconds
        ));
    }
    match &tried.best {
        Some(best) => print(best),
        None => output::remark("none of them could be trained"),
    }
}
