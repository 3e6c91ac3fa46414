use workspace::{
    Interval, LiveExperiment, MetricReadout, MetricRole, PowerPlan, Project, Readout, Verdict,
};

use super::{Result, client, environment_key, name, to_json};
use crate::arguments::{Experiment, ExperimentCommand};
use crate::{Failure, output};

pub(super) fn run(arguments: &Experiment) -> Result {
    match &arguments.command {
        ExperimentCommand::Plan { of, name } => {
            let project = Project::open(&of.project)?;
            let definition = project.experiment(&super::name(name)?)?;
            let plan = project.plan_experiment(&definition, &output::watched_job())?;
            say(arguments, &plan, || plan_lines(&plan))
        }
        ExperimentCommand::Start { of, name, to } => {
            let project = Project::open(&of.project)?;
            let client = project.client(to, environment_key())?;
            let started = project.start_experiment(&super::name(name)?, &client)?;
            say(arguments, &started, || live_lines(&started))
        }
        ExperimentCommand::List { to, project } => {
            let all = client(to, project.as_deref())?.experiments()?;
            say(arguments, &all, || all.iter().flat_map(live_lines).collect())
        }
        ExperimentCommand::Ask { to, project, name, customer_id } => {
            let decision = client(to, project.as_deref())?.decide(name, customer_id)?;
            let variant = decision.variant.as_ref().map_or("none", |variant| variant.as_str());
            let line = format!("{variant}  {}  ({})", decision.value, decision.why);
            say(arguments, &decision, || vec![line])
        }
        ExperimentCommand::Readout { of, name, version, from, sql } => {
            let project = Project::open(&of.project)?;
            let (name, job) = (super::name(name)?, output::watched_job());
            if let Some(url) = from {
                project.pull(&project.client(url, environment_key())?, &job)?;
            }
            let readout = project.readout(&name, *version, &job)?;
            if *sql {
                for (metric, sql) in project.readout_sql(&name, readout.version)? {
                    output::line(&format!("-- {metric}\n{sql};"));
                }
                return Ok(());
            }
            say(arguments, &readout, || readout_lines(&readout))
        }
        ExperimentCommand::Decide { to, project, name: experiment, variant, note } => {
            let client = client(to, project.as_deref())?;
            let decided = client.decide_experiment(&name(experiment)?, &name(variant)?, note)?;
            say(arguments, &decided, || live_lines(&decided))
        }
        ExperimentCommand::Stop { to, project, name: experiment, note } => {
            let client = client(to, project.as_deref())?;
            let stopped = client.stop_experiment(&name(experiment)?, note)?;
            say(arguments, &stopped, || live_lines(&stopped))
        }
    }
}

fn say<T: serde::Serialize>(
    arguments: &Experiment,
    value: &T,
    lines: impl FnOnce() -> Vec<String>,
) -> std::result::Result<(), Failure> {
    if arguments.json.json {
        output::json(&to_json(value)?);
    } else {
        lines().iter().for_each(|line| output::line(line));
    }
    Ok(())
}

fn live_lines(live: &LiveExperiment) -> Vec<String> {
    let winner = live.winner.as_ref().map(|winner| format!(": {winner}")).unwrap_or_default();
    let mut lines = vec![format!(
        "{} version {} is {}{winner}, since {}",
        live.name, live.version, live.state, live.started_at
    )];
    lines.extend(live.arms.iter().map(|arm| {
        let (exposed, rewards, chance) = (arm.exposed, arm.rewards, 100.0 * arm.chance);
        format!(
            "  {:<16} {exposed:>8} customers  {rewards:>10} rewards  {chance:>5.1} % of the next",
            arm.variant
        )
    }));
    lines
}

fn plan_lines(plan: &PowerPlan) -> Vec<String> {
    let mut lines = vec![format!(
        "{:.0} customers a day (from {} of the last weeks); power {}, alpha {}",
        plan.customers_a_day, plan.measured_on, plan.power, plan.alpha
    )];
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |it| format!("{it:.0}"));
    for metric in &plan.metrics {
        lines.push(format!(
            "  {:<16} mean {:.4}; a change of {:.0} % takes {} customers, {} days at one look, {} days \
             with looks at any time; four weeks find {}",
            metric.name,
            metric.mean,
            100.0 * metric.effect,
            number(metric.customers),
            number(metric.days),
            number(metric.days_always),
            metric.in_four_weeks.map_or("-".to_owned(), |it| format!("{:.1} %", 100.0 * it)),
        ));
    }
    lines
}

fn readout_lines(readout: &Readout) -> Vec<String> {
    let mut lines = vec![format!(
        "{} version {}: {} customers in {:.1} days, {} left out for several variants",
        readout.experiment, readout.version, readout.customers, readout.days, readout.crossed
    )];
    for (variant, n) in &readout.arms {
        lines.push(format!("  {:<16} {n:>8} customers", variant.as_str()));
    }
    if let Some(split) = &readout.split {
        let is_right = if split.is_wrong() { "is WRONG" } else { "is as it should be" };
        lines.push(format!(
            "split {is_right}: p {:.3}, {:.3} at every look",
            split.p_value, split.always_valid
        ));
    }
    if readout.advice.verdict != Verdict::SplitIsWrong {
        readout.metrics.iter().for_each(|metric| metric_lines(metric, &mut lines));
    }
    for segment in &readout.segments {
        lines.push(format!(
            "  {} = {:<12} {:>6} customers  {:<10} {}",
            segment.name,
            segment.value,
            segment.customers,
            segment.variant.as_str(),
            percent(&segment.relative)
        ));
    }
    for policy in &readout.policies {
        lines.push(format!(
            "  all {:<12} {:.4} +- {:.4} (doubly robust), {:.4} (inverse propensity)",
            policy.variant.as_str(),
            policy.value.doubly_robust,
            policy.value.error,
            policy.value.self_normalized
        ));
    }
    let days = readout.advice.days_to_decision;
    let days = days.map(|days| format!(" ({days:.1} days to a decision)")).unwrap_or_default();
    let verdict = match readout.advice.verdict {
        Verdict::Ship => "ship it",
        Verdict::RollBack => "roll back",
        Verdict::NoDifference => "no difference",
        Verdict::KeepRunning => "keep running",
        Verdict::SplitIsWrong => "the split is wrong",
    };
    lines.push(format!("{verdict}: {}{days}", readout.advice.why));
    lines
}

fn metric_lines(metric: &MetricReadout, lines: &mut Vec<String>) {
    let role = match metric.role {
        MetricRole::Primary => "primary",
        MetricRole::Guardrail => "guardrail",
        MetricRole::Secondary => "secondary",
    };
    let waiting = match metric.waiting {
        0 => String::new(),
        n => format!(", {n} customers' time is not over"),
    };
    lines.push(format!("{} ({role}{waiting})", metric.name));
    for arm in &metric.arms {
        lines.push(format!(
            "  {:<16} {:>8} customers  {:.4}",
            arm.variant.as_str(),
            arm.customers,
            arm.mean
        ));
    }
    for effect in &metric.effects {
        let belief = effect.belief.map(|belief| {
            let win = 100.0 * belief.chance_to_win;
            format!("; chance to win {win:.1} %, expected loss {:.2e}", belief.expected_loss)
        });
        lines.push(format!(
            "  {:<16} {} at every look, {} at one{}; {:.0} % of the variance explained before",
            effect.variant.as_str(),
            percent(&effect.relative),
            percent(&effect.fixed_relative),
            belief.unwrap_or_default(),
            100.0 * effect.explained
        ));
    }
}

fn percent(interval: &Interval) -> String {
    let Interval { estimate, low, high, .. } = interval;
    match low.is_finite() && high.is_finite() {
        true => format!("{:+.1} % ({:+.1} to {:+.1})", 100.0 * estimate, 100.0 * low, 100.0 * high),
        false => format!("{:+.1} % (too few to say)", 100.0 * estimate),
    }
}
