use serde_json::json;
use workspace::Project;

use super::{Result, name, to_json};
use crate::arguments::Train;
use crate::output;

/// Parameters that are named in the JSON object; a model with more says them in its file.
const FEW: usize = 200;

pub(super) fn run(arguments: &Train) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let report = project.train(&name(&arguments.model)?, &output::watched_job())?;
    if arguments.json.json {
        let few: Vec<_> = report.parameters.iter().take(FEW).collect();
        output::json(&json!({
            "rows": report.rows,
            "positives": report.positives,
            "dropped": report.dropped,
            "seconds": report.seconds,
            "metrics": report.metrics,
            "parameters": to_json(&few)?,
            "function": { "path": report.path, "hash": report.hash },
        }));
        return Ok(());
    }
    output::line(&format!(
        "{} rows, {} positive, {} dropped in {:.1} s",
        report.rows, report.positives, report.dropped, report.seconds
    ));
    for (part, metrics) in &report.metrics {
        let metrics: Vec<String> =
            metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        output::line(&format!("{part:<6} {}", metrics.join("  ")));
    }
    for parameter in report.parameters.iter().take(20) {
        output::line(&format!("  {:<32} {:>9.4}", parameter.name, parameter.weight));
    }
    output::line(&format!("{} ({})", report.path, &report.hash[..12]));
    Ok(())
}
