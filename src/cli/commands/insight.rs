use serde_json::json;
use workspace::Project;
use workspace::insights::{Before, Chart, Insight, InsightSpec, Range, Retention};

use super::{Result, to_json};
use crate::arguments::Insight as Arguments;
use crate::{Failure, output};

pub(super) fn run(arguments: &Arguments) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let spec = match &arguments.spec {
        None => InsightSpec::usual(arguments.kind),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::Argument(format!("cannot read the spec: {error}: {}", path.display()))
            })?;
            InsightSpec::parse(Some(arguments.kind), &text)
                .map_err(|error| Failure::Argument(format!("{error}: {}", path.display())))?
        }
    };
    let insight = project.insight(&spec, &output::watched_job())?;
    if let Some(out) = &arguments.out {
        project.write_insight(&insight, out)?;
    }
    match (arguments.sql, arguments.json.json) {
        (true, true) => output::json(&json!({ "range": insight.range, "sql": insight.sql })),
        (true, false) => output::line(&insight.sql),
        (false, true) => output::json(&to_json(&insight)?),
        (false, false) => print(&insight),
    }
    Ok(())
}

fn print(insight: &Insight) {
    output::line(&format!("Range: {}", insight.range.text()));
    match &insight.chart {
        Chart::Retention(retention) => print_retention(retention, &insight.range),
        _ => {
            let (columns, rows) = insight.rows();
            output::table(&columns, &rows);
        }
    }
    output::remark(&insight.rule);
    if let Some(Before { range, chart }) = &insight.before {
        match chart {
            None => output::line(&format!("Previous period: {}", range.text())),
            Some(chart) => {
                output::line("Previous period");
                let (range, chart) = (range.clone(), chart.clone());
                print(&Insight { range, chart, before: None, ..insight.clone() });
            }
        }
    }
}

fn print_retention(retention: &Retention, range: &Range) {
    let all = [("", &retention.counts)];
    let groups = retention.groups.iter().map(|group| (group.group.as_str(), &group.counts));
    let tables: Vec<(&str, &Vec<Vec<u64>>)> =
        if retention.groups.is_empty() { all.to_vec() } else { groups.collect() };
    for (group, counts) in tables {
        if !group.is_empty() {
            output::line(group);
        }
        for (place, row) in counts.iter().enumerate() {
            let size = row.first().copied().unwrap_or(0);
            let cells: String = row.iter().skip(1).map(|count| share(*count, size)).collect();
            output::line(&format!("{} {size:>8}{cells}", range.labels[place]));
        }
    }
}

fn share(count: u64, size: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a share for people")]
    let share = if size == 0 { 0.0 } else { count as f64 / size as f64 * 100.0 };
    format!(" {share:>5.1}%")
}
