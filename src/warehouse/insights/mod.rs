//! Insights: the charts of product analytics, with exact semantics.
//!
//! In: a spec (TOML, also the state of the page). Out: plain numbers, ready to draw; the rule that they were
//! counted by, in one sentence; the SQL that gives the same; and the customers behind a point.
//!
//! One file an insight, each with its spec, its result, its rule and its SQL. They run over the timelines in
//! memory (`scene`), which have the events of a customer in their order; the SQL is what a person would
//! write for DuckDB, and what tests hold them against. Times are cut by a `calendar` in a time `zone`, from
//! one `bound` to another; every answer has its `range`. Parts are told apart by the most frequent values of a
//! property or a trait (`groups`).

mod bound;
mod calendar;
mod funnel;
mod groups;
mod lifecycle;
mod paths;
mod range;
mod retention;
mod scene;
mod segments;
mod spec;
mod sql;
mod stickiness;
mod table;
mod trends;
mod zone;

use std::collections::HashSet;

pub use bound::{Bound, BoundError};
pub use calendar::{Calendar, Interval};
pub use funnel::{
    Attribution, Bin, Exclusion, Funnel, FunnelGroup, FunnelSpec, FunnelStep, Order, Window,
};
use kernel::domain::{Job, Time};
use kernel::features::{Catalog, Timelines};
pub use lifecycle::{Lifecycle, LifecycleSpec, Status};
pub use paths::{Edge, Edges, Gap, Paths, PathsSpec, Steps};
pub use range::Range;
pub use retention::{
    Counting, Mean, Measured, Retention, RetentionGroup, RetentionMode, RetentionSpec, Times,
};
use scene::Scene;
pub use segments::{SEGMENTS, SegmentRow, Segments, SegmentsSpec, segment_of};
use serde::Serialize;
pub use spec::{Breakdown, Events, InsightKind, InsightSpec, Question, Scope};
pub use stickiness::{Stickiness, StickinessSpec};
pub use trends::{Line, Measure, Series, Trends, TrendsSpec};

use crate::{Error, Result, Warehouse};

/// An insight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Insight {
    /// The days that it was computed over.
    pub range: Range,
    /// The numbers.
    #[serde(flatten)]
    pub chart: Chart,
    /// The same of the time before, if that is compared: as many intervals, right before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// What was counted, in a sentence or two.
    pub rule: String,
    /// SQL that gives the same.
    pub sql: String,
}

/// A chart of the time before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Before {
    /// The days that it was computed over.
    pub range: Range,
    /// The numbers; none of lines, which have them in the chart itself.
    #[serde(flatten)]
    pub chart: Option<Chart>,
}

/// The numbers of an insight.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "insight", rename_all = "lowercase")]
pub enum Chart {
    /// How much of something happens, over time.
    Trends(Trends),
    /// Who comes back, by cohort.
    Retention(Retention),
    /// How many take one step after the other.
    Funnel(Funnel),
    /// Who is new, returns, comes back after a break, or stays away.
    Lifecycle(Lifecycle),
    /// In how many intervals customers are active.
    Stickiness(Stickiness),
    /// What customers do after what.
    Paths(Paths),
    /// Customers by recency, frequency and money.
    Segments(Segments),
}

/// A point of a chart, behind which there are customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Point {
    /// Of lines: the series, the value of the breakdown, and the interval.
    Trends {
        /// The series.
        series: usize,
        /// The value of the breakdown; empty without one.
        group: String,
        /// The interval.
        interval: usize,
    },
    /// Of a retention table.
    Retention {
        /// The value of the breakdown; empty without one.
        group: String,
        /// The cohort.
        cohort: usize,
        /// The column; the first is the whole cohort.
        column: usize,
    },
    /// Of a funnel.
    Funnel {
        /// The value of the breakdown; empty without one.
        group: String,
        /// The step, from 0.
        step: usize,
        /// Whether it is those who came to the step before and no further.
        dropped: bool,
    },
    /// Of a lifecycle.
    Lifecycle {
        /// The status.
        status: Status,
        /// The interval.
        interval: usize,
    },
    /// Of stickiness: active in exactly so many intervals.
    Stickiness(usize),
    /// Of paths: a connection.
    Paths {
        /// The place of the first step, from 1.
        step: usize,
        /// Its event.
        from: String,
        /// The event after it.
        to: String,
    },
    /// Of segments: one by its name.
    Segments(String),
}

/// A spec that was checked against the data.
enum Checked {
    Trends(trends::Checked),
    Retention(retention::Checked),
    Funnel(funnel::Checked),
    Lifecycle(lifecycle::Checked),
    Segments(segments::Checked),
    Event(kernel::features::EventFilter),
}

fn of_another() -> Error {
    Error::Mapping("the spec is of another insight".to_owned())
}

/// The numbers that a spec asks for, of what a scene shows.
fn chart(
    InsightSpec { scope, question }: &InsightSpec,
    checked: &Checked,
    scene: &Scene<'_>,
    previous: Option<&Calendar>,
) -> Result<Chart> {
    Ok(match (question, checked) {
        (Question::Trends(own), Checked::Trends(checked)) => {
            Chart::Trends(own.compute(checked, scope, scene, previous))
        }
        (Question::Retention(own), Checked::Retention(checked)) => {
            Chart::Retention(own.compute(checked, scope, scene))
        }
        (Question::Funnel(own), Checked::Funnel(checked)) => {
            Chart::Funnel(own.compute(checked, scope, scene))
        }
        (Question::Lifecycle(_), Checked::Lifecycle(checked)) => {
            Chart::Lifecycle(LifecycleSpec::compute(checked, scene))
        }
        (Question::Stickiness(own), Checked::Event(event)) => {
            Chart::Stickiness(own.compute(event, scene))
        }
        (Question::Paths(own), Checked::Event(event)) => Chart::Paths(own.compute(event, scene)),
        (Question::Segments(own), Checked::Segments(checked)) => {
            Chart::Segments(own.compute(checked, scene))
        }
        _ => return Err(of_another()),
    })
}

/// What is counted in a sentence or two, and the SQL that gives the same.
fn rule_and_sql(
    InsightSpec { scope, question }: &InsightSpec,
    checked: &Checked,
    calendar: &Calendar,
) -> Result<(String, String)> {
    Ok(match (question, checked) {
        (Question::Trends(own), Checked::Trends(checked)) => {
            (own.rule(scope), own.sql(checked, scope, calendar)?)
        }
        (Question::Retention(own), Checked::Retention(checked)) => {
            (own.rule(scope), own.sql(checked, scope, calendar))
        }
        (Question::Funnel(own), Checked::Funnel(checked)) => {
            (own.rule(), own.sql(checked, scope, calendar))
        }
        (Question::Lifecycle(own), Checked::Lifecycle(checked)) => {
            (own.rule(scope), LifecycleSpec::sql(checked, scope, calendar))
        }
        (Question::Stickiness(own), Checked::Event(event)) => {
            (own.rule(scope), own.sql(event, scope, calendar))
        }
        (Question::Paths(own), Checked::Event(event)) => {
            (own.rule(), own.sql(event, scope, calendar))
        }
        (Question::Segments(own), Checked::Segments(checked)) => {
            (own.rule(calendar)?, own.sql(checked, scope, calendar))
        }
        _ => return Err(of_another()),
    })
}

impl Warehouse {
    /// Computes an insight; `members` are the customers of its segment, if it has one.
    ///
    /// # Errors
    /// The spec makes no sense for the data, the warehouse cannot be read, or the job was canceled.
    pub fn insight(
        &self,
        spec: &InsightSpec,
        members: Option<&HashSet<String>>,
        job: &Job,
    ) -> Result<Insight> {
        let (mut insight, previous) = self.with_scene(spec, members, job, |checked, scene| {
            let calendar = scene.calendar;
            let previous = match spec.scope.compare {
                true => Some(calendar.previous()?),
                false => None,
            };
            let chart = chart(spec, checked, scene, previous.as_ref())?;
            let range = Range::of(calendar, &spec.scope, scene.complete)?;
            let (rule, sql) = rule_and_sql(spec, checked, calendar)?;
            // Not a comment of dashes: a shell command takes those for an option.
            let sql = format!("/* {} */\n{sql}", range.text());
            Ok((Insight { range, chart, before: None, rule, sql }, previous))
        })?;
        if let Some(calendar) = previous {
            // Lines have the time before in them; of other charts it is what would be asked for then.
            let chart = match &insight.chart {
                Chart::Trends(_) => None,
                _ => {
                    let (mut scope, last) = (spec.scope.clone(), calendar.until());
                    scope.from = Some(Bound::Instant(calendar.from()));
                    scope.until = Some(Bound::Instant(last));
                    scope.compare = false;
                    let then = InsightSpec { scope, question: spec.question.clone() };
                    Some(self.insight(&then, members, job)?.chart)
                }
            };
            insight.before = Some(Before { range: calendar.range(calendar.len())?, chart });
        }
        Ok(insight)
    }

    /// The customers behind a point of an insight, in the order of their ids.
    ///
    /// # Errors
    /// As of the insight itself, or the point is not of it.
    pub fn people(
        &self,
        spec: &InsightSpec,
        members: Option<&HashSet<String>>,
        point: &Point,
        job: &Job,
    ) -> Result<Vec<String>> {
        self.with_scene(spec, members, job, |checked, scene| {
            let InsightSpec { scope, question } = spec;
            let places = match (question, checked, point) {
                (
                    Question::Trends(own),
                    Checked::Trends(checked),
                    Point::Trends { series, group, interval },
                ) => own.people(checked, scope, scene, (*series, group, *interval)),
                (
                    Question::Retention(own),
                    Checked::Retention(checked),
                    Point::Retention { group, cohort, column },
                ) => own.people(checked, scope, scene, (group, *cohort, *column)),
                (
                    Question::Funnel(own),
                    Checked::Funnel(checked),
                    Point::Funnel { group, step, dropped },
                ) => own.people(checked, scope, scene, (group, *step, *dropped)),
                (
                    Question::Lifecycle(_),
                    Checked::Lifecycle(checked),
                    Point::Lifecycle { status, interval },
                ) => LifecycleSpec::people(checked, scene, (*status, *interval)),
                (Question::Stickiness(own), Checked::Event(event), Point::Stickiness(n)) => {
                    own.people(event, scene, *n)
                }
                (Question::Paths(own), Checked::Event(event), Point::Paths { step, from, to }) => {
                    own.people(event, scene, (*step, from, to))
                }
                (Question::Segments(own), Checked::Segments(checked), Point::Segments(name)) => {
                    own.people(checked, scene, name)
                }
                _ => return Err(Error::Mapping("the point is of another insight".to_owned())),
            };
            let customers = scene.timelines.customers();
            Ok(places.into_iter().map(|place| customers[place].to_string()).collect())
        })
    }

    /// Checks a spec, and brings what it reads into memory.
    fn with_scene<T>(
        &self,
        spec: &InsightSpec,
        members: Option<&HashSet<String>>,
        job: &Job,
        run: impl FnOnce(&Checked, &Scene<'_>) -> Result<T>,
    ) -> Result<T> {
        let catalog = self.catalog()?;
        let last_event = self.last_event()?.unwrap_or(Time::ALWAYS);
        let calendar = spec.calendar(last_event)?;
        let (checked, mut reads) = check(spec, &catalog, &calendar)?;
        reads.extend(&groups::reads(&spec.scope, &catalog)?);
        let timelines: &Timelines = &*self.timelines(&reads, job)?;
        let who: Option<Vec<bool>> = members.map(|members| {
            timelines.customers().iter().map(|id| members.contains(id.as_ref())).collect()
        });
        let complete = calendar.complete(last_event, spec.scope.until.is_some())?;
        let scene = Scene { timelines, calendar: &calendar, complete, who: who.as_deref(), job };
        let result = run(&checked, &scene)?;
        if job.is_canceled() { Err(Error::Canceled) } else { Ok(result) }
    }
}

fn check(spec: &InsightSpec, catalog: &Catalog, calendar: &Calendar) -> Result<(Checked, Catalog)> {
    let scope = &spec.scope;
    Ok(match &spec.question {
        Question::Trends(own) => {
            let (checked, reads) = own.check(scope, catalog, calendar)?;
            (Checked::Trends(checked), reads)
        }
        Question::Retention(own) => {
            if calendar.len() < 2 {
                return Err(Error::Mapping("retention needs at least 2 intervals; choose a longer range or a shorter interval".to_owned()));
            }
            let (checked, reads) = own.check(scope, catalog)?;
            (Checked::Retention(checked), reads)
        }
        Question::Funnel(own) => {
            let (checked, reads) = own.check(scope, catalog)?;
            (Checked::Funnel(checked), reads)
        }
        Question::Lifecycle(own) => {
            let (checked, reads) = own.check(scope, catalog, calendar)?;
            (Checked::Lifecycle(checked), reads)
        }
        Question::Stickiness(own) => {
            let (event, reads) = own.check(scope, catalog)?;
            (Checked::Event(event), reads)
        }
        Question::Paths(own) => {
            let (event, reads) = own.check(scope, catalog)?;
            (Checked::Event(event), reads)
        }
        Question::Segments(own) => {
            let (checked, reads) = own.check(scope, catalog, calendar)?;
            (Checked::Segments(checked), reads)
        }
    })
}
