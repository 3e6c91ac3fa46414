use super::{Result, client, to_json};
use crate::arguments::Score;
use crate::output;

pub(super) fn run(arguments: &Score) -> Result {
    let client = client(&arguments.to, arguments.project.as_deref())?;
    let score = client.score(&arguments.name, &arguments.customer, arguments.explain)?;
    if arguments.json.json {
        output::json(&to_json(&score)?);
        return Ok(());
    }
    let known = if score.known { "" } else { " (a customer without events)" };
    output::line(&format!(
        "{} {:.4}{known}, by {} version {} as of {}",
        score.customer_id, score.score, score.name, score.version, score.as_of
    ));
    for (class, share) in score.classes.iter().flatten() {
        output::line(&format!("  {share:.4}  {class}"));
    }
    for item in score.items.iter().flatten() {
        let because = item.because.as_ref().map(|because| format!("  because of {because}"));
        output::line(&format!("  {:.4}  {}{}", item.score, item.item, because.unwrap_or_default()));
    }
    for reason in score.reasons.iter().flatten() {
        let value =
            if reason.value.is_null() { "NULL".to_owned() } else { reason.value.to_string() };
        let from = match reason.events.first() {
            Some(latest) => {
                let (n, at) = (reason.event_count, latest.event_time);
                format!("  (from {n} events, the last {} at {at})", latest.event)
            }
            None => String::new(),
        };
        let (adds, feature) = (reason.contribution, &reason.feature);
        output::line(&format!("  {adds:+.4}  {feature} = {value}{from}"));
    }
    Ok(())
}
