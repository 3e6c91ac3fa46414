use std::time::Duration;

use endpoint::online::Retention;
use endpoint::serving::{Config, Ready};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::Result;
use crate::Failure;
use crate::arguments::{LogFormat, Serve, Store};
use crate::output;

pub(super) fn run(arguments: &Serve) -> Result {
    start_log(arguments.log);
    let Store::Embedded = arguments.store;
    let mut config = Config::new(arguments.data.clone(), arguments.listen);
    config.store.memory = arguments.memory.saturating_mul(1024 * 1024);
    config.store.retention = Retention { days: arguments.keep_days, events: arguments.keep_events };
    config.allows_remote_administration = arguments.allow_remote_administration;
    config.allows_private_webhooks = arguments.allow_private_webhooks;
    config.store.accepts_clock = arguments.accept_clock;
    config.store.forget_after = arguments
        .forget_arrivals_after
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| Failure::Argument(format!("--forget-arrivals-after: {error}")))?;
    config.stop_delay = Duration::try_from_secs_f64(arguments.stop_delay)
        .map_err(|error| Failure::Argument(format!("--stop-delay: {error}")))?;
    let print = if arguments.json.json { print_json } else { print_text };
    endpoint::serving::run(&config, print)?;
    Ok(())
}

/// What happens goes to standard error: never whose events or scores they are.
fn start_log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("FULLCIRCLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        output::remark(&format!("no log: {error}"));
    }
}

fn print_json(ready: &Ready) {
    let mut object = json!({ "url": ready.url, "pid": std::process::id() });
    if let Some(keys) = &ready.keys {
        object["write_key"] = keys.write.as_str().into();
        object["server_key"] = keys.server.as_str().into();
        object["score_key"] = keys.score.as_str().into();
        object["admin_key"] = keys.admin.as_str().into();
    }
    output::json(&object);
}

fn print_text(ready: &Ready) {
    output::line(&format!("serving {} (process {})", ready.url, std::process::id()));
    if let Some(keys) = &ready.keys {
        output::line("these keys are shown once; only their hashes are kept");
        output::line(&format!("  browser  {}", keys.write));
        output::line(&format!("  server   {}", keys.server));
        output::line(&format!("  score    {}", keys.score));
        output::line(&format!("  admin    {}", keys.admin));
    }
}
