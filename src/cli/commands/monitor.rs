use workspace::{LiveMoved, LiveReport, Span};

use super::{Result, client, to_json};
use crate::arguments::Monitor;
use crate::{Failure, output};

pub(super) fn run(arguments: &Monitor) -> Result {
    let over: Span = arguments
        .over
        .parse()
        .map_err(|error: workspace::SpanError| Failure::Argument(error.to_string()))?;
    if !workspace::MONITOR_OVER.contains(&over.micros()) {
        let message = format!("--over is 15m to 7d, not {}", arguments.over);
        return Err(Failure::Argument(message));
    }
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let report = client.monitor(&arguments.name, over, arguments.version)?;
    if arguments.json.json {
        output::json(&to_json(&report)?);
    } else {
        lines(&report).iter().for_each(|line| output::line(line));
    }
    Ok(())
}

fn lines(report: &LiveReport) -> Vec<String> {
    let millis = |millis: Option<f64>| millis.map_or("-".to_owned(), |it| format!("{it:.2} ms"));
    let mut lines = vec![
        format!("{} version {}, since {}", report.name, report.version, report.from),
        format!(
            "{} requests: {} refused, {} failed; half took {}, 99 of 100 took {}",
            report.requests,
            report.refused,
            report.failed,
            millis(report.p50_ms),
            millis(report.p99_ms)
        ),
        format!("{} scores, the features of {} observed", report.scores, report.observed),
    ];
    if report.observed < report.minimum {
        let minimum = report.minimum;
        lines.push(format!("too few scores: alerts read drift and means of at least {minimum}"));
    }
    if report.score.is_none() {
        lines.push("the function does not say what it was trained on; train it again".to_owned());
    }
    let moved = report.score.iter().chain(&report.features);
    lines.extend(moved.filter(|moved| moved.drift.is_some()).map(moved_line));
    if let Some(outcomes) = &report.outcomes {
        let known = |number: Option<f64>| number.map_or("-".to_owned(), |it| format!("{it:.4}"));
        lines.push(format!(
            "{} scores came out: calibration error {}, mean squared error {}",
            outcomes.n,
            known(outcomes.calibration_error),
            known(outcomes.mean_squared_error)
        ));
        lines.extend(outcomes.bins.iter().map(|bin| {
            format!("  said {:.4}, was {:.4}  ({} scores)", bin.score, bin.outcome, bin.n)
        }));
    }
    lines
}

fn moved_line(moved: &LiveMoved) -> String {
    let Some(drift) = &moved.drift else { return moved.name.clone() };
    let verdict = if moved.has_moved { "MOVED" } else { "" };
    let unseen: Vec<&str> = moved.unseen.keys().map(String::as_str).collect();
    let unseen = match unseen.is_empty() {
        true => String::new(),
        false => format!("  unseen: {}", unseen.join(", ")),
    };
    format!(
        "  {:<28} psi {:>7.3}  chance alone {:>7.3}  missing {:>5.1} % (was {:.1} %)  {verdict}{unseen}",
        moved.name,
        drift.psi,
        drift.noise,
        100.0 * drift.missing,
        100.0 * moved.missing_then
    )
}
