use super::super::{Calendar, sql};
use super::{Attribution, Checked, FunnelSpec, MOST_STEPS, Order};
use crate::insights::Scope;

impl FunnelSpec {
    /// Whether it matters what lies between steps.
    fn looks_between(&self) -> bool {
        self.order == Order::Strict || !self.exclusions.is_empty()
    }

    /// Whether an event is one that ends attempts that have got to a step.
    fn ends(&self, step: usize, checked: &Checked) -> String {
        let all = self.exclusions.iter().zip(&checked.exclusions);
        let own = all.filter(|(exclusion, _)| (exclusion.from..exclusion.to).contains(&step));
        let conditions: Vec<String> =
            own.map(|(_, filter)| format!("({})", filter.to_sql())).collect();
        match conditions.is_empty() {
            true => "false".to_owned(),
            false => format!("coalesce({}, false)", conditions.join(" OR ")),
        }
    }

    /// How far each customer got where it matters what lies between. The events of a step are cut into runs
    /// by what ends an attempt; `s` is the start that an event joins, `q` the start of its run so far, `b` the
    /// one before the event. An attempt is clean if no excluded event ended it within its window.
    fn sql_of_attempts(&self, value: &str) -> String {
        let n = self.steps.len();
        let window = self.window.0.micros();
        let order = "ORDER BY event_time, first_step NULLS LAST, bits, seq";
        let within = |k: usize| format!("epoch_us(event_time) - epoch_us(b{k}) <= {window}");
        let mut layers =
            "e1 AS (SELECT *, CASE WHEN list_contains(steps, 1) THEN event_time END AS s1 FROM stepped)"
                .to_owned();
        for k in 2..=n {
            let last = k - 1;
            let cut = match self.order {
                Order::Strict => {
                    format!("x{last} OR NOT coalesce(list_contains(steps, {last}), false)")
                }
                _ => format!("x{last}"),
            };
            layers.push_str(&format!(
                ",\ne{k} AS (SELECT *, CASE WHEN list_contains(steps, {k}) AND NOT x{last} AND {} \
                 THEN b{last} END AS s{k}\
                 \n  FROM (SELECT *, lag(q{last}) OVER (PARTITION BY customer_id {order}) AS b{last}\
                 \n  FROM (SELECT *, max(s{last}) OVER (PARTITION BY customer_id, r{last} {order}\
                 \n    ROWS UNBOUNDED PRECEDING) AS q{last}\
                 \n  FROM (SELECT *, count_if({cut}) OVER (PARTITION BY customer_id {order}\
                 \n    ROWS UNBOUNDED PRECEDING) AS r{last} FROM e{last}))))",
                within(last)
            ));
        }
        let ended = |k: usize| format!("count_if(x{k} AND coalesce({}, false))", within(k));
        let clean = |k: usize| {
            format!(
                "WHEN count(DISTINCT r{k}) FILTER (WHERE s{k} IS NOT NULL) > {} THEN {k}",
                ended(k)
            )
        };
        let reached: Vec<String> = std::iter::once(format!("WHEN count(s{n}) > 0 THEN {n}"))
            .chain((1..n).rev().map(clean))
            .collect();
        let excluded: Vec<String> =
            (1..n).rev().map(|k| format!("WHEN {} > 0 THEN {k}", ended(k))).collect();
        format!(
            "{layers},\nper AS (SELECT customer_id, \"group\", reached FROM (\
             \n  SELECT customer_id, {value} AS \"group\",\
             \n    CASE {} ELSE 0 END AS reached,\
             \n    CASE {} ELSE 0 END AS excluded\
             \n  FROM e{n} GROUP BY customer_id) WHERE reached >= excluded)",
            reached.join(" "),
            excluded.join(" ")
        )
    }

    pub(in crate::insights) fn sql(
        &self,
        checked: &Checked,
        scope: &Scope,
        calendar: &Calendar,
    ) -> String {
        let n = self.steps.len();
        let (from, until) = (sql::instant(calendar.from()), sql::instant(calendar.until()));
        let window = self.window.0.micros();
        let steps: Vec<String> = checked
            .steps
            .iter()
            .enumerate()
            .map(|(step, filter)| format!("CASE WHEN {} THEN {} END", filter.to_sql(), step + 1))
            .collect();
        // What an event is, as one number: it orders events of one instant.
        let exclusions = checked.exclusions.iter().zip(MOST_STEPS..);
        let bits: Vec<String> = (0..)
            .zip(&checked.steps)
            .map(|(at, filter)| (filter, at))
            .chain(exclusions)
            .map(|(filter, bit)| {
                format!("CASE WHEN {} THEN {} ELSE 0 END", filter.to_sql(), 1_u32 << bit)
            })
            .collect();
        let who = sql::who(scope, calendar);
        let unnested =
            "SELECT *, list_min(steps) AS first_step, unnest(list_reverse_sort(steps)) AS step";
        let each =
            if self.looks_between() { "SELECT *, list_min(steps) AS first_step" } else { unnested };
        let between: String = match self.looks_between() {
            true => (1..n)
                .map(|step| format!(",\n    {} AS x{step}", self.ends(step, checked)))
                .collect(),
            false => String::new(),
        };
        let head = format!(
            "WITH who AS ({who}),\
             \nstepped AS ({each}\
             \n  FROM (SELECT customer_id, event_time, seq, {} AS \"group\",\
             \n    list_filter([{}], lambda x: x IS NOT NULL) AS steps, {} AS bits{between}\
             \n    FROM events JOIN who USING (customer_id)\
             \n    WHERE event_time >= {from} AND event_time < {until} AND {}))",
            sql::group(scope),
            steps.join(", "),
            bits.join(" + "),
            checked.any.to_sql()
        );
        // Events that are no step are there only where it matters what lies between.
        let of_steps = if self.looks_between() { " FILTER (WHERE len(steps) > 0)" } else { "" };
        let value = match (&scope.breakdown, self.attribution) {
            (None, _) => "''".to_owned(),
            (Some(_), attribution) => {
                let (pick, only) = match attribution {
                    Attribution::First => ("min_by", of_steps.to_owned()),
                    Attribution::Last => ("max_by", of_steps.to_owned()),
                    Attribution::Step(step) => {
                        ("min_by", format!(" FILTER (WHERE list_contains(steps, {step}))"))
                    }
                };
                let value = "nullif(\"group\", '(none)')";
                format!("coalesce({pick}({value}, (event_time, seq)){only}, '(none)')")
            }
        };
        let per = match self.order {
            _ if self.looks_between() => self.sql_of_attempts(&value),
            Order::Unordered => format!(
                "per AS (SELECT customer_id, max(n) AS reached, {value} AS \"group\" FROM (SELECT *,\
                 \n    count(DISTINCT step) OVER (PARTITION BY customer_id ORDER BY event_time\
                 \n      RANGE BETWEEN INTERVAL {window} MICROSECOND PRECEDING AND CURRENT ROW) AS n\
                 \n    FROM stepped) GROUP BY customer_id)"
            ),
            Order::Ordered | Order::Strict => {
                let mut layers =
                    "e1 AS (SELECT *, CASE WHEN step = 1 THEN event_time END AS s1 FROM stepped)"
                        .to_owned();
                for k in 2..=n {
                    let last = k - 1;
                    layers.push_str(&format!(
                        ",\ne{k} AS (SELECT *, CASE WHEN step = {k} AND epoch_us(event_time) - epoch_us(p{k}) \
                         <= {window} THEN p{k} END AS s{k}\
                         \n  FROM (SELECT *, max(s{last}) OVER (PARTITION BY customer_id\
                         \n    ORDER BY event_time, first_step, bits, seq, step DESC\
                         \n    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS p{k} FROM e{last}))"
                    ));
                }
                let reached: Vec<String> =
                    (1..=n).rev().map(|k| format!("WHEN count(s{k}) > 0 THEN {k}")).collect();
                format!(
                    "{layers},\nper AS (SELECT customer_id, CASE {} END AS reached, {value} AS \"group\" FROM \
                     e{n} GROUP BY customer_id)",
                    reached.join(" ")
                )
            }
        };
        format!(
            "{head},\n{per}\nSELECT \"group\", step, count(*) AS customers\
             \nFROM per JOIN range(1, {}) AS r(step) ON reached >= step GROUP BY ALL ORDER BY ALL",
            n + 1
        )
    }
}
