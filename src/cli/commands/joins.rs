use serde_json::{Value, json};

use super::{Result, client};
use crate::arguments::{JoinCommand, Joins};
use crate::output;

/// Lists and undoes joins of ids to customers.
pub(super) fn run(arguments: &Joins) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let (name, joins) = match &arguments.command {
        JoinCommand::List { customer, after, limit } => {
            let list = client.joins(customer.as_deref(), after, *limit)?;
            ("joins", list["joins"].as_array().cloned().unwrap_or_default())
        }
        JoinCommand::Undo { ids } => {
            let undone = ids.iter().map(|id| client.undo_join(id));
            ("undone", undone.collect::<workspace::Result<Vec<Value>>>()?)
        }
    };
    if arguments.json.json {
        output::json(&json!({ name: joins }));
        return Ok(());
    }
    for join in &joins {
        let text = |name: &str| join[name].as_str().unwrap_or("an earlier version").to_owned();
        let [id, customer, at, by] = ["id", "customer_id", "joined_at", "joined_by"].map(text);
        let undone = if name == "undone" { "  undone" } else { "" };
        output::line(&format!("{id}  customer {customer}  joined {at}  by {by}{undone}"));
    }
    Ok(())
}
