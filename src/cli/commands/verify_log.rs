use endpoint::online::{LogReport, Verification, verify_log};

use super::{Result, to_json};
use crate::Failure;
use crate::arguments::VerifyLog;
use crate::output;

/// Checks the logs of a data folder offline, and fails if something is damaged.
pub(super) fn run(arguments: &VerifyLog) -> Result {
    let found = verify_log(&arguments.data)?;
    if arguments.json.json {
        output::json(&to_json(&found)?);
    } else {
        print("log", &found.log);
        print("config", &found.config);
    }
    if found.intact { Ok(()) } else { Err(Failure::Found(summary(&found))) }
}

fn summary(found: &Verification) -> String {
    let damages = found.log.damages.len() + found.config.damages.len();
    format!(
        "the logs have {damages} damaged or missing parts; put back the named files from a backup"
    )
}

fn print(name: &str, report: &LogReport) {
    output::line(&format!(
        "{name}: {} records can be read, offsets {} to {}",
        report.records, report.first, report.next
    ));
    for segment in &report.segments {
        let ranges = segment.intact.iter().map(|(first, end)| format!("{first} to {end}"));
        let ranges: Vec<String> = ranges.collect();
        let intact = if ranges.is_empty() { "no records".to_owned() } else { ranges.join(", ") };
        output::line(&format!("  {name}/{}  {} bytes  {intact}", segment.file, segment.bytes));
        if segment.unfinished_bytes > 0 {
            let bytes = segment.unfinished_bytes;
            output::line(&format!("    the last {bytes} bytes were never acknowledged"));
        }
    }
    for damage in &report.damages {
        let lost = damage.lost.map(|(first, end)| format!("; offsets {first} to {end} are lost"));
        output::line(&format!(
            "  damaged: {name}/{} at byte {}: {}{}",
            damage.file,
            damage.byte,
            damage.problem,
            lost.unwrap_or_default()
        ));
    }
}
