use workspace::{Project, Rehearsal, Rollout, Spread};

use super::{Result, environment_key, name, to_json};
use crate::arguments::Deploy;
use crate::{Failure, output};

pub(super) fn run(arguments: &Deploy) -> Result {
    let (function, live) = (name(&arguments.function)?, name(&arguments.name)?);
    if let Some(percent) = arguments.challenger.filter(|it| !(*it > 0.0 && *it < 100.0)) {
        let message = format!("--challenger is a percent above 0 and below 100, not {percent}");
        return Err(Failure::Argument(message));
    }
    if let Some(seconds) = arguments.shelf_life.filter(|it| !(it.is_finite() && *it >= 0.0)) {
        let message = format!("--shelf-life is a number of seconds from 0, not {seconds}");
        return Err(Failure::Argument(message));
    }
    let project = Project::open(&arguments.of.project)?;
    let client = project.client(&arguments.to, environment_key())?;
    if (arguments.challenger.is_some() || arguments.shadow)
        && !client.deployments()?.iter().any(|known| known.name == arguments.name)
    {
        let message = format!("nothing is live as '{live}' yet: deploy a champion of it first");
        return Err(Failure::Argument(message));
    }
    let rehearsal = project.rehearse(&function, &client, &live)?;
    if !arguments.json.json {
        lines(&rehearsal).iter().for_each(|line| output::line(line));
    }
    if rehearsal.errors > 0 {
        let n = rehearsal.errors;
        return Err(Failure::Found(format!(
            "{n} scores of the replay are no numbers; not deployed"
        )));
    }
    let role = match arguments.challenger {
        Some(percent) => Rollout::Challenger(percent),
        None if arguments.shadow => Rollout::Shadow,
        None => Rollout::Champion,
    };
    if !arguments.yes && !arguments.json.json && !output::confirmed("Make it live?") {
        return Err(Failure::Found("not deployed".to_owned()));
    }
    let mut deployment = project.deploy(&function, &client, &live, role)?;
    if let Some(seconds) = arguments.shelf_life {
        let seconds = Some(seconds).filter(|seconds| *seconds != 0.0);
        deployment = client.set_shelf_life(live.as_str(), seconds)?;
    }
    if arguments.json.json {
        let mut json = to_json(&deployment)?;
        json["replay"] = to_json(&rehearsal)?;
        output::json(&json);
        return Ok(());
    }
    let version = deployment.versions.last().map_or(deployment.version, |last| last.version);
    output::line(&match role {
        Rollout::Champion => format!("{} version {version} is live", deployment.name),
        Rollout::Challenger(percent) => {
            format!(
                "{} version {version} answers for {percent} % of the customers",
                deployment.name
            )
        }
        Rollout::Shadow => {
            format!("{} version {version} is scored and recorded as a shadow", deployment.name)
        }
    });
    Ok(())
}

/// A replay, as a person reads it before they confirm.
fn lines(rehearsal: &Rehearsal) -> Vec<String> {
    let of = match rehearsal.source.as_str() {
        "requests" => "recorded requests",
        _ => "customers seen last; no request is recorded yet",
    };
    let mut lines = vec![format!("replay of {} {of}", rehearsal.requests)];
    let mut spread = |what: &str, spread: &Option<Spread>| {
        if let Some(Spread { mean, min, median, p99, max }) = spread {
            lines.push(format!(
                "  {what:<16} mean {mean:.4}, least {min:.4}, median {median:.4}, p99 {p99:.4}, \
                 greatest {max:.4}"
            ));
        }
    };
    spread("new scores", &rehearsal.candidate);
    spread("live scores", &rehearsal.live);
    spread("shift", &rehearsal.shift);
    spread("microseconds", &rehearsal.micros);
    let parity = rehearsal.parity;
    if parity.checked > 0 {
        let (checked, different) = (parity.checked, parity.different);
        lines.push(format!("  {checked} recorded scores computed again, {different} different"));
    }
    let mut nulls: Vec<(&String, &f64)> =
        rehearsal.null_share.iter().filter(|(_, share)| **share > 0.0).collect();
    nulls.sort_by(|left, right| right.1.total_cmp(left.1));
    for (feature, share) in nulls.iter().take(5) {
        lines.push(format!("  {feature} is null in {:.0} %", *share * 100.0));
    }
    lines
}
