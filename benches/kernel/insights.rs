//! Insights over the timelines in memory, beside the best SQL on a plain typed table.

use std::path::Path;

use workspace::insights::{Chart, InsightKind, InsightSpec};
use workspace::{Job, Project};

use crate::measure::{cost, median, say};

/// An insight, its spec, and SQL that gives the same; the last column of a row is a count.
const CASES: [(&str, InsightKind, &str, &str); 6] = [
    (
        "retention",
        InsightKind::Retention,
        "interval = \"week\"\nintervals = 52\nmode = \"recurring\"\nstart = \"page_viewed\"\nreturn = \"product_viewed\"\n",
        "WITH starts AS (SELECT DISTINCT customer_id, date_trunc('week', event_time) AS b FROM events
            WHERE event = 'page_viewed' AND event_time >= {from} AND event_time < {until}),
          returns AS (SELECT DISTINCT customer_id, date_trunc('week', event_time) AS b FROM events
            WHERE event = 'product_viewed' AND event_time >= {from} AND event_time < {until}),
          act AS (SELECT b AS cohort, 0 AS k, count(*) AS n FROM starts GROUP BY ALL
            UNION ALL SELECT s.b, datediff('week', s.b, r.b), count(*)
            FROM starts s JOIN returns r USING (customer_id) WHERE r.b > s.b GROUP BY ALL)
         SELECT cohort, k, n FROM act",
    ),
    (
        "funnel",
        InsightKind::Funnel,
        "interval = \"day\"\nintervals = 366\nwindow = \"7d\"\nsteps = [\"page_viewed\", \"product_viewed\", \"product_added\", \"order_completed\"]\n",
        "WITH e1 AS (SELECT customer_id, event_time AS ts, seq AS id, CASE event WHEN 'page_viewed' THEN 1
              WHEN 'product_viewed' THEN 2 WHEN 'product_added' THEN 3 ELSE 4 END AS step,
              CASE WHEN event = 'page_viewed' THEN event_time END AS s1
            FROM events WHERE event IN ('page_viewed', 'product_viewed', 'product_added', 'order_completed')
              AND event_time >= {from} AND event_time < {until}),
          e2 AS (SELECT *, CASE WHEN step = 2 AND ts - p2 <= INTERVAL 7 DAY THEN p2 END AS s2 FROM (SELECT *,
            max(s1) OVER w AS p2 FROM e1 WINDOW w AS (PARTITION BY customer_id ORDER BY ts, step, id
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))),
          e3 AS (SELECT *, CASE WHEN step = 3 AND ts - p3 <= INTERVAL 7 DAY THEN p3 END AS s3 FROM (SELECT *,
            max(s2) OVER w AS p3 FROM e2 WINDOW w AS (PARTITION BY customer_id ORDER BY ts, step, id
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))),
          e4 AS (SELECT *, CASE WHEN step = 4 AND ts - p4 <= INTERVAL 7 DAY THEN p4 END AS s4 FROM (SELECT *,
            max(s3) OVER w AS p4 FROM e3 WINDOW w AS (PARTITION BY customer_id ORDER BY ts, step, id
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)))
         SELECT step, count(*) FROM (SELECT CASE WHEN count(s4) > 0 THEN 4 WHEN count(s3) > 0 THEN 3
             WHEN count(s2) > 0 THEN 2 ELSE 1 END AS reached FROM e4 GROUP BY customer_id HAVING count(s1) > 0)
           JOIN range(1, 5) r(step) ON reached >= step GROUP BY ALL",
    ),
    (
        "trends",
        InsightKind::Trends,
        "interval = \"day\"\nintervals = 366\n[[series]]\nmeasure = \"unique\"\n",
        "SELECT date_trunc('day', event_time) AS d, count(DISTINCT customer_id) FROM events
         WHERE event_time >= {from} AND event_time < {until} GROUP BY ALL",
    ),
    (
        "lifecycle",
        InsightKind::Lifecycle,
        "interval = \"week\"\nintervals = 52\n",
        "WITH born AS (SELECT customer_id, date_trunc('week', min(event_time)) AS born FROM events GROUP BY ALL),
          per AS (SELECT DISTINCT customer_id, date_trunc('week', event_time) AS p FROM events
            WHERE event_time >= {from} - INTERVAL 7 DAY AND event_time < {until}),
          seq AS (SELECT per.customer_id, p, lag(p) OVER w AS prev, lead(p) OVER w AS nxt, born
            FROM per JOIN born USING (customer_id) WINDOW w AS (PARTITION BY per.customer_id ORDER BY p)),
          st AS (SELECT p, CASE WHEN p = born THEN 'new' WHEN prev = p - INTERVAL 7 DAY THEN 'returning'
              ELSE 'resurrecting' END AS status FROM seq
            UNION ALL SELECT p + INTERVAL 7 DAY, 'dormant' FROM seq WHERE nxt IS DISTINCT FROM p + INTERVAL 7 DAY)
         SELECT p, status, count(*) FROM st WHERE p >= {from} AND p < {until} GROUP BY ALL",
    ),
    (
        "stickiness",
        InsightKind::Stickiness,
        "interval = \"day\"\nintervals = 60\n",
        "SELECT k, count(*) FROM (SELECT customer_id, count(DISTINCT date_trunc('day', event_time)) AS k
           FROM events WHERE event_time >= {from} AND event_time < {until} GROUP BY customer_id) GROUP BY k",
    ),
    (
        "paths",
        InsightKind::Paths,
        "interval = \"week\"\nintervals = 52\nedges = 1000\n",
        "WITH o AS (SELECT customer_id, event AS item, event_time AS ts, seq, lag(event_time) OVER w AS pts
            FROM events WHERE event_time >= {from} AND event_time < {until}
            WINDOW w AS (PARTITION BY customer_id ORDER BY event_time, seq)),
          s AS (SELECT *, sum(CASE WHEN pts IS NULL OR ts - pts >= INTERVAL 30 MINUTE THEN 1 ELSE 0 END) OVER
            (PARTITION BY customer_id ORDER BY ts, seq ROWS UNBOUNDED PRECEDING) AS sess FROM o),
          d AS (SELECT *, lead(item) OVER (PARTITION BY customer_id, sess ORDER BY ts, seq) AS nxt FROM s),
          k AS (SELECT *, row_number() OVER w AS i, lag(item) OVER w AS p, lag(ts) OVER w AS pt FROM d
            WHERE nxt IS DISTINCT FROM item WINDOW w AS (PARTITION BY customer_id, sess ORDER BY ts, seq))
         SELECT i - 1, p, item, count(*) FROM k WHERE p IS NOT NULL AND i <= 5 GROUP BY ALL",
    ),
];

const DATABASE: &str = "insights.duckdb";

/// Measures all of them; the sums of what both count must be the same.
pub(crate) fn child(folder: &Path, connect: impl Fn(&Path) -> duckdb::Connection) {
    let project = Project::open(&folder.join("project")).unwrap();
    let job = Job::unwatched();
    let spec = |kind, text| InsightSpec::parse(Some(kind), text).unwrap();
    let (_, first) = cost(|| project.insight(&spec(CASES[0].1, CASES[0].2), &job).unwrap());
    say("first-with-reading-timelines", first);
    let database = folder.join(DATABASE);
    let is_new = !database.exists();
    let reference = connect(&database);
    if is_new {
        let file = folder.join("events.parquet");
        let sql = format!(
            "CREATE TABLE events AS SELECT row_number() OVER () AS seq, * FROM read_parquet('{}')
             WHERE NOT starts_with(event, '$'); CHECKPOINT",
            file.display()
        );
        reference.execute_batch(&sql).unwrap();
    }
    for (name, kind, text, sql) in CASES {
        let spec = spec(kind, text);
        let insight = project.insight(&spec, &job).unwrap();
        let last = project.now().unwrap().minus(1);
        let calendar = spec.calendar(last).unwrap();
        let instant = |time: workspace::Time| format!("TIMESTAMP '{}'", time.date());
        let sql = sql
            .replace("{from}", &instant(calendar.from()))
            .replace("{until}", &instant(calendar.until()));
        let theirs = || -> (u64, u64) {
            let mut statement = reference.prepare(&sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            let mut sums = (0, 0);
            while let Some(row) = rows.next().unwrap() {
                let last = row.as_ref().column_count() - 1;
                sums.0 += 1;
                sums.1 += row.get::<_, u64>(last).unwrap();
            }
            sums
        };
        let sums = (theirs().1, own_sum(&insight.chart));
        assert_eq!(sums.0, sums.1, "{name}: the SQL and ours count differently");
        say(&format!("{name}-ours"), median(5, || drop(project.insight(&spec, &job).unwrap())));
        say(&format!("{name}-sql"), median(3, || _ = theirs()));
    }
}

/// The sum of all counts of a chart.
fn own_sum(chart: &Chart) -> u64 {
    match chart {
        Chart::Trends(trends) => {
            let all = trends.lines.iter().flat_map(|line| line.values.iter().flatten());
            all.map(|x| *x as u64).sum()
        }
        Chart::Retention(retention) => retention.counts.iter().flatten().sum(),
        Chart::Funnel(funnel) => funnel.groups[0].steps.iter().map(|step| step.customers).sum(),
        Chart::Lifecycle(lifecycle) => lifecycle.counts.iter().flatten().sum(),
        Chart::Stickiness(stickiness) => stickiness.exactly.iter().sum(),
        Chart::Paths(paths) => paths.edges.iter().map(|edge| edge.n).sum(),
        Chart::Segments(segments) => segments.grid.iter().flatten().sum(),
    }
}
