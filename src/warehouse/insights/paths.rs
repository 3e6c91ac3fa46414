use std::collections::{HashMap, HashSet};

use kernel::domain::Span;
use kernel::expression::quote_text;
use kernel::features::{BoundFilter, Catalog, EventFilter};
use serde::{Deserialize, Serialize};

use super::scene::{Scene, filter};
use super::{Calendar, Events, Scope, sql};
use crate::{Error, Result};

/// What customers do after what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathsSpec {
    /// Which events are steps.
    #[serde(skip_serializing_if = "Events::is_any")]
    pub event: Events,
    /// A path begins at the first event of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// A path ends at the first event of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// A pause that ends a path.
    pub gap: Gap,
    /// The steps of a path that are looked at.
    pub steps: Steps,
    /// The connections that are shown.
    pub edges: Edges,
}

macro_rules! with_usual {
    ($(#[$about:meta])* $name:ident, $type:ty, $usual:expr) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $type);

        impl Default for $name {
            fn default() -> Self {
                Self($usual)
            }
        }
    };
}

with_usual!(
    /// A pause; half an hour where nothing is said.
    Gap,
    Span,
    "30m".parse().unwrap_or(Span::days(1))
);
with_usual!(
    /// How many steps; 5 where nothing is said.
    Steps,
    usize,
    5
);
with_usual!(
    /// How many connections; 50 where nothing is said.
    Edges,
    usize,
    50
);

/// What customers do after what.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Paths {
    /// The most frequent connections, most frequent first.
    pub edges: Vec<Edge>,
    /// Paths that were looked at.
    pub paths: u64,
}

/// A connection between two steps that follow each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// The place of the first step, from 1.
    pub step: usize,
    /// The event of the first step.
    pub from: String,
    /// The event of the second.
    pub to: String,
    /// How often.
    pub n: u64,
    /// The mean time between them, in seconds.
    pub mean_seconds: f64,
}

const MOST_STEPS: usize = 20;
/// What stands for the middle of a path that is longer than is shown.
const MIDDLE: &str = "...";
const MIDDLE_CODE: u32 = u32::MAX;

/// A connection, by codes of events.
type Key = (usize, u32, u32);
type Sums = HashMap<Key, (u64, i64)>;

impl PathsSpec {
    pub(super) fn check(&self, scope: &Scope, catalog: &Catalog) -> Result<(EventFilter, Catalog)> {
        if scope.breakdown.is_some() {
            return Err(Error::Mapping("paths have no breakdown; use a segment".to_owned()));
        }
        if !(2..=MOST_STEPS).contains(&self.steps.0) || self.edges.0 == 0 {
            let message =
                format!("paths have 2 to {MOST_STEPS} steps, and at least one connection");
            return Err(Error::Mapping(message));
        }
        for event in self.start.iter().chain(&self.end) {
            EventFilter::check(std::slice::from_ref(event), None, catalog)?;
        }
        let event = filter(&self.event, scope, catalog)?;
        let reads = event.reads();
        Ok((event, reads))
    }

    pub(super) fn compute(&self, event: &EventFilter, scene: &Scene<'_>) -> Paths {
        let filter = event.bind(scene.timelines);
        let each = |(sums, n, scratch): &mut (Sums, u64, Scratch), customer: usize| {
            self.paths(&filter, scene, customer, scratch, |path| {
                *n += 1;
                for (at, pair) in path.windows(2).enumerate() {
                    let sum = sums.entry((at, pair[0].0, pair[1].0)).or_default();
                    sum.0 += 1;
                    sum.1 += pair[1].1 - pair[0].1;
                }
            });
        };
        let start = || (Sums::new(), 0, Scratch::default());
        let (sums, paths, _) = scene.fold(start, each, |sum, piece| {
            for (key, (n, micros)) in piece.0 {
                let own = sum.0.entry(key).or_default();
                own.0 += n;
                own.1 += micros;
            }
            sum.1 += piece.1;
        });
        Paths { edges: self.edges(sums, scene), paths }
    }

    fn edges(&self, sums: Sums, scene: &Scene<'_>) -> Vec<Edge> {
        let name = |code: u32| match scene.timelines.names().get(code as usize) {
            Some(name) => name.to_string(),
            None => MIDDLE.to_owned(),
        };
        #[allow(clippy::cast_precision_loss, reason = "a mean time for people")]
        let edge = |((at, from, to), (n, micros)): (Key, (u64, i64))| Edge {
            step: at + 1,
            from: name(from),
            to: name(to),
            n,
            mean_seconds: micros as f64 / n as f64 / 1e6,
        };
        let mut edges: Vec<Edge> = sums.into_iter().map(edge).collect();
        edges.sort_by(|l, r| {
            let key = |edge: &Edge| (edge.step, edge.from.clone(), edge.to.clone());
            r.n.cmp(&l.n).then_with(|| key(l).cmp(&key(r)))
        });
        edges.truncate(self.edges.0);
        // What no first step leads to would hang in the air.
        let mut reached: HashSet<(usize, String)> =
            edges.iter().filter(|edge| edge.step == 1).map(|edge| (1, edge.from.clone())).collect();
        for step in 1..self.steps.0 {
            let next: Vec<(usize, String)> = edges
                .iter()
                .filter(|edge| edge.step == step && reached.contains(&(step, edge.from.clone())))
                .map(|edge| (step + 1, edge.to.clone()))
                .collect();
            reached.extend(next);
        }
        edges.retain(|edge| reached.contains(&(edge.step, edge.from.clone())));
        edges
    }

    /// Says the paths of a customer: codes of events and times.
    fn paths(
        &self,
        filter: &BoundFilter<'_>,
        scene: &Scene<'_>,
        customer: usize,
        scratch: &mut Scratch,
        mut say: impl FnMut(&[(u32, i64)]),
    ) {
        let code = |name: &Option<String>| {
            let name = name.as_ref()?;
            let place = scene.timelines.names().iter().position(|known| **known == **name);
            Some(place.and_then(|place| u32::try_from(place).ok()).unwrap_or(MIDDLE_CODE))
        };
        let ends = (code(&self.start), code(&self.end));
        let gap = self.gap.0.micros();
        let Scratch { path, shown } = scratch;
        path.clear();
        let mut last_time = i64::MIN;
        for row in scene.rows(customer) {
            if !filter.passes(row) {
                continue;
            }
            let (code, time) = (scene.timelines.events()[row], scene.time(row));
            if !path.is_empty() && time - last_time >= gap {
                self.cut(path, ends, shown, &mut say);
                path.clear();
            }
            last_time = time;
            // Of a run of the same, the last one stays.
            match path.last_mut() {
                Some(last) if last.0 == code => last.1 = time,
                _ => path.push((code, time)),
            }
        }
        self.cut(path, ends, shown, &mut say);
    }

    /// Says the part of a path that is looked at.
    fn cut(
        &self,
        path: &[(u32, i64)],
        (start, end): (Option<u32>, Option<u32>),
        shown: &mut Vec<(u32, i64)>,
        say: &mut impl FnMut(&[(u32, i64)]),
    ) {
        let find = |path: &[(u32, i64)], code: u32| path.iter().position(|step| step.0 == code);
        let mut part = path;
        if let Some(start) = start {
            match find(part, start) {
                Some(at) => part = &part[at..],
                None => return,
            }
        }
        if let Some(end) = end {
            match find(part, end) {
                Some(at) => part = &part[..=at],
                None => return,
            }
        }
        if part.is_empty() {
            return;
        }
        let n = self.steps.0;
        match (start, end) {
            (Some(_), Some(_)) if part.len() > n => {
                // Both ends stay; what is between is one step.
                let tail = (n - 1) / 2;
                let head = n - 1 - tail;
                shown.clear();
                shown.extend_from_slice(&part[..head]);
                shown.push((MIDDLE_CODE, part[head].1));
                shown.extend_from_slice(&part[part.len() - tail..]);
                say(shown);
            }
            (None, Some(_)) => say(&part[part.len().saturating_sub(n)..]),
            _ => say(&part[..part.len().min(n)]),
        }
    }

    /// The customers who went from one step to another.
    pub(super) fn people(
        &self,
        event: &EventFilter,
        scene: &Scene<'_>,
        (step, from, to): (usize, &str, &str),
    ) -> Vec<usize> {
        let filter = event.bind(scene.timelines);
        let name = |code: u32| {
            scene.timelines.names().get(code as usize).map_or(MIDDLE, |name| name.as_ref())
        };
        scene.select(|customer| {
            let mut is_in = false;
            self.paths(&filter, scene, customer, &mut Scratch::default(), |path| {
                let pair = step.checked_sub(1).and_then(|at| path.get(at..at + 2));
                is_in |= pair.is_some_and(|pair| name(pair[0].0) == from && name(pair[1].0) == to);
            });
            is_in
        })
    }

    pub(super) fn rule(&self) -> String {
        let part = match (&self.start, &self.end) {
            (None, None) => format!("Its first {} steps are shown.", self.steps.0),
            (Some(start), None) => {
                format!("It begins at the first {start}; {} steps are shown.", self.steps.0)
            }
            (None, Some(end)) => {
                format!("It ends at the first {end}; the last {} steps are shown.", self.steps.0)
            }
            (Some(start), Some(end)) => format!(
                "It goes from the first {start} to the {end} after it; a long middle is one step."
            ),
        };
        format!(
            "A path ends with a pause of {}; of the same event several times in a row the last counts. {part} \
             Ribbons do not chain: three in a row are not the share that took that route.",
            self.gap.0
        )
    }

    pub(super) fn sql(&self, event: &EventFilter, scope: &Scope, calendar: &Calendar) -> String {
        let mut cut = String::new();
        let steps = self.steps.0;
        let mut from = "k0".to_owned();
        if let Some(start) = &self.start {
            cut.push_str(&format!(
                ",\nk1 AS (SELECT *, min(CASE WHEN event = {} THEN i END) OVER path AS i0 FROM {from}\
                 \n  WINDOW path AS (PARTITION BY customer_id, sess) QUALIFY i >= i0)",
                quote_text(start)
            ));
            "k1".clone_into(&mut from);
        }
        if let Some(end) = &self.end {
            cut.push_str(&format!(
                ",\nk2 AS (SELECT *, min(CASE WHEN event = {} THEN i END) OVER path AS i1 FROM {from}\
                 \n  WINDOW path AS (PARTITION BY customer_id, sess) QUALIFY i <= i1)",
                quote_text(end)
            ));
            "k2".clone_into(&mut from);
        }
        let note = match (&self.start, &self.end) {
            (Some(_), Some(_)) => {
                "-- The middle of long paths is one step in memory; here only the first steps \
                                   are shown.\n"
            }
            _ => "",
        };
        let order = match (&self.start, &self.end) {
            (None, Some(_)) => {
                format!(
                    "greatest(row_number() OVER w - greatest(count(*) OVER path - {steps}, 0), 0)"
                )
            }
            _ => "row_number() OVER w".to_owned(),
        };
        format!(
            "{note}WITH who AS ({}),\
             \no AS (SELECT customer_id, event, event_time, seq, lag(event_time) OVER w AS before\
             \n  FROM events JOIN who USING (customer_id)\
             \n  WHERE event_time >= {} AND event_time < {} AND {}\
             \n  WINDOW w AS (PARTITION BY customer_id ORDER BY event_time, seq)),\
             \ns AS (SELECT *, sum(CASE WHEN before IS NULL OR epoch_us(event_time) - epoch_us(before) >= {} THEN \
             1 ELSE 0 END)\
             \n  OVER (PARTITION BY customer_id ORDER BY event_time, seq ROWS UNBOUNDED PRECEDING) AS sess FROM o),\
             \nd AS (SELECT *, lead(event) OVER w AS next FROM s\
             \n  WINDOW w AS (PARTITION BY customer_id, sess ORDER BY event_time, seq)),\
             \nk0 AS (SELECT customer_id, sess, event, event_time, seq, row_number() OVER w AS i FROM d\
             \n  WHERE next IS DISTINCT FROM event\
             \n  WINDOW w AS (PARTITION BY customer_id, sess ORDER BY event_time, seq)){cut},\
             \nk AS (SELECT customer_id, sess, event, event_time, {order} AS i FROM {from}\
             \n  WINDOW w AS (PARTITION BY customer_id, sess ORDER BY event_time, seq),\
             \n  path AS (PARTITION BY customer_id, sess)),\
             \np AS (SELECT *, lag(event) OVER w AS source, lag(event_time) OVER w AS source_time FROM k WHERE i > 0\
             \n  WINDOW w AS (PARTITION BY customer_id, sess ORDER BY i))\
             \nSELECT i - 1 AS step, source, event AS target, count(*) AS n,\
             \n  avg(epoch_us(event_time) - epoch_us(source_time)) / 1e6 AS seconds\
             \nFROM p WHERE source IS NOT NULL AND i <= {steps} GROUP BY ALL ORDER BY n DESC, 1, 2, 3 LIMIT {}",
            sql::who(scope, calendar),
            sql::instant(calendar.from()),
            sql::instant(calendar.until()),
            event.to_sql(),
            self.gap.0.micros(),
            self.edges.0
        )
    }
}

/// What is written while a customer is read.
#[derive(Debug, Default)]
struct Scratch {
    path: Vec<(u32, i64)>,
    shown: Vec<(u32, i64)>,
}
