use workspace::ExportFormat;

use super::{Result, to_json};
use crate::arguments::{Format, Generate};
use crate::output;

pub(super) fn run(arguments: &Generate) -> Result {
    let format = match arguments.format {
        Format::Csv => ExportFormat::Csv,
        Format::Parquet => ExportFormat::Parquet,
        Format::Ndjson => ExportFormat::Ndjson,
    };
    let Generate { customers, events, seed, out, json, .. } = arguments;
    let generated = workspace::generate(*customers, *events, *seed, format, out)?;
    if json.json {
        output::json(&to_json(&generated)?);
    } else {
        output::line(&format!(
            "{} events of {} customers in {:.1} s: {} and {}",
            generated.events,
            generated.customers,
            generated.seconds,
            generated.events_file,
            generated.customers_file
        ));
    }
    Ok(())
}
