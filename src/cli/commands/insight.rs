use workspace::{Project, Retention, RetentionSpec};

use super::{Result, to_json};
use crate::arguments::{Insight, InsightKind};
use crate::{Failure, output};

pub(super) fn run(arguments: &Insight) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let InsightKind::Retention = arguments.kind;
    let spec = match &arguments.spec {
        None => RetentionSpec::default(),
        Some(path) => {
            let bad = |error: &dyn std::fmt::Display| {
                Failure::Argument(format!("cannot read the spec: {error}: {}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
            toml::from_str(&text).map_err(|error| bad(&error))?
        }
    };
    let retention = project.retention(&spec, &output::watched_job())?;
    let object = to_json(&retention)?;
    if let Some(out) = &arguments.out {
        std::fs::write(out, object.to_string()).map_err(|error| {
            Failure::Argument(format!("cannot write: {error}: {}", out.display()))
        })?;
    }
    if arguments.json.json {
        output::json(&object);
    } else {
        print(&retention);
    }
    Ok(())
}

fn print(retention: &Retention) {
    for (cohort, counts) in retention.cohorts.iter().zip(&retention.counts) {
        let size = counts.first().copied().unwrap_or(0);
        let cells: String = counts
            .iter()
            .skip(1)
            .map(|count| {
                #[allow(clippy::cast_precision_loss, reason = "a share for people")]
                let share = if size == 0 { 0.0 } else { *count as f64 / size as f64 * 100.0 };
                format!(" {share:>5.1}%")
            })
            .collect();
        output::line(&format!("{} {size:>8}{cells}", cohort.date()));
    }
}
