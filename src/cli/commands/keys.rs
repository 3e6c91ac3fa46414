use super::{Result, client};
use crate::arguments::{KeyCommand, Keys};
use crate::output;

/// Lists, makes, replaces and ends keys. A new key is printed once, and kept nowhere.
pub(super) fn run(arguments: &Keys) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let answer = match &arguments.command {
        KeyCommand::List => client.keys()?,
        KeyCommand::New { role, requests_per_second } => {
            client.make_key(role.name(), *requests_per_second)?
        }
        KeyCommand::Rotate { id, overlap } => client.rotate_key(id, *overlap)?,
        KeyCommand::Revoke { id } => client.revoke_key(id)?,
    };
    if arguments.json.json {
        output::json(&answer);
        return Ok(());
    }
    let text = |key: &serde_json::Value, name: &str| match &key[name] {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let one = std::slice::from_ref(&answer);
    let keys = answer["keys"].as_array().map_or(one, Vec::as_slice);
    for key in keys {
        let [id, made, until, rate] =
            ["id", "made_at", "valid_until", "requests_per_second"].map(|name| text(key, name));
        output::line(&format!("{id}  made {made}  valid until {until}  requests a second {rate}"));
    }
    if let Some(key) = answer["key"].as_str() {
        output::line("this key is shown once; only its hash is kept");
        output::line(&format!("  {key}"));
    }
    Ok(())
}
