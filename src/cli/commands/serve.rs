use endpoint::serving::{Config, Ready};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::Result;
use crate::arguments::{Serve, Store};
use crate::output;

pub(super) fn run(arguments: &Serve) -> Result {
    let filter =
        EnvFilter::try_from_env("FULLCIRCLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    if let Err(error) = started {
        output::remark(&format!("no log: {error}"));
    }
    let Store::Embedded = arguments.store;
    let config = Config::new(arguments.data.clone(), arguments.listen);
    let print = if arguments.json.json { print_json } else { print_text };
    endpoint::serving::run(&config, print)?;
    Ok(())
}

fn print_json(ready: &Ready) {
    let mut object = json!({ "url": ready.url, "pid": std::process::id() });
    if let Some(keys) = &ready.keys {
        object["write_key"] = keys.write.as_str().into();
        object["score_key"] = keys.score.as_str().into();
        object["admin_key"] = keys.admin.as_str().into();
    }
    output::json(&object);
}

fn print_text(ready: &Ready) {
    output::line(&format!("serving {} (process {})", ready.url, std::process::id()));
    if let Some(keys) = &ready.keys {
        output::line("these keys are shown once; only their hashes are kept");
        output::line(&format!("  write  {}", keys.write));
        output::line(&format!("  score  {}", keys.score));
        output::line(&format!("  admin  {}", keys.admin));
    }
}
