use workspace::{LiveDelivery, LiveRule, Project};

use super::{Result, client, name, to_json};
use crate::arguments::{Rule, RuleCommand};
use crate::{Failure, output};

pub(super) fn run(arguments: &Rule) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    match &arguments.command {
        RuleCommand::List => {
            let rules = client.rules()?;
            say(arguments, &rules, || rules.rules.iter().map(rule_line).collect())
        }
        RuleCommand::Put { name: rule } => {
            let Some(folder) = &arguments.project else {
                let message = "name the project that has the rule: --project FOLDER";
                return Err(Failure::Argument(message.to_owned()));
            };
            let rule = Project::open(folder)?.rule(&name(rule)?)?;
            let live = client.put_rule(&rule)?;
            say(arguments, &live, || vec![rule_line(&live)])
        }
        RuleCommand::Remove { name: rule } => {
            let removed = client.remove_rule(&name(rule)?)?;
            say(arguments, &removed, || vec![format!("{} is removed", removed.definition.name)])
        }
        RuleCommand::Test { name: rule } => {
            let told = client.test_rule(&name(rule)?)?;
            say(arguments, &told, || vec![delivery_line(&told)])
        }
        RuleCommand::Deliveries { rule, limit } => {
            let rule = rule.as_deref().map(name).transpose()?;
            let told = client.deliveries(rule.as_ref(), *limit)?;
            say(arguments, &told, || told.iter().map(delivery_line).collect())
        }
        RuleCommand::Again { id } => {
            let told = client.deliver_again(id)?;
            say(arguments, &told, || vec![delivery_line(&told)])
        }
        RuleCommand::Secret { rotate } => {
            let secrets = client.webhook_secrets(*rotate)?;
            say(arguments, &secrets, || vec![secrets.current.clone()])
        }
    }
}

fn say<T: serde::Serialize>(
    arguments: &Rule,
    value: &T,
    lines: impl FnOnce() -> Vec<String>,
) -> Result {
    if arguments.json.json {
        output::json(&to_json(value)?);
    } else {
        lines().iter().for_each(|line| output::line(line));
    }
    Ok(())
}

fn rule_line(rule: &LiveRule) -> String {
    let definition = &rule.definition;
    let problem = rule.problem.as_ref().map(|it| format!("  CANNOT BE LOOKED AT: {it}"));
    format!(
        "{:<20} {:<9} since {}  {} times  {} on {}{}",
        definition.name.as_str(),
        rule.state,
        rule.since,
        rule.fired,
        definition.when,
        definition.deployment,
        problem.unwrap_or_default()
    )
}

fn delivery_line(told: &LiveDelivery) -> String {
    let tried = told.attempts.last();
    let error = tried.and_then(|tried| tried.error.as_ref()).map(|error| format!(": {error}"));
    format!(
        "{}  {}  {:<16} {:<16} {:<20} {} after {} tries{}",
        told.at,
        told.id,
        told.rule.as_str(),
        told.kind,
        told.customer_id.as_deref().unwrap_or("-"),
        told.state,
        told.attempts.len(),
        error.unwrap_or_default()
    )
}
