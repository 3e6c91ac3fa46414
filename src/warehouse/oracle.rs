//! The SQL oracle: a view as one DuckDB query, written without looking at the kernel's code.
//!
//! It is what "Show SQL" shows, and what tests hold the kernel against.

use kernel::domain::{MICROS_PER_DAY, NOT_SYSTEM_SQL, Span, Type};
use kernel::expression::{quote_identifier, quote_text};
use kernel::features::{Aggregate, Aggregation, Feature, Input, Knowledge, Source, View};

/// A view as DuckDB SQL over `events` and `traits`, for the rows of `spine`: a query that gives
/// `customer_id` and `as_of`.
#[must_use]
pub fn view_sql(view: &View, spine: &str, knowledge: Knowledge) -> String {
    let known = |table: &str| match knowledge {
        Knowledge::AsItWas => String::new(),
        Knowledge::AsItWasKnown => format!(" AND {table}.received_at < spine.as_of"),
    };
    let aggregates: String = view
        .features()
        .iter()
        .filter_map(|feature| match &feature.source {
            Source::Aggregate(aggregate) => Some(column(feature, &aggregate_sql(view, aggregate))),
            Source::Trait(_) | Source::Expression(..) => None,
        })
        .collect();
    let mut traits: Vec<&str> = view.reads().traits.keys().map(String::as_str).collect();
    traits.sort_unstable();
    let traits: String = traits
        .iter()
        .map(|name| {
            let type_ = view.reads().traits.get(*name).copied().unwrap_or(Type::Text);
            let alias = quote_identifier(&trait_alias(name));
            format!(",\n    {} AS {alias}", trait_sql(name, type_, &known("t")))
        })
        .collect();
    let context: String = view
        .context()
        .iter()
        .map(|(name, _)| format!(", any_value(spine.{0}) AS {0}", quote_identifier(name)))
        .collect();
    let mut sql = format!(
        "WITH spine AS ({spine}),\naggregated AS (\n  SELECT spine.customer_id, spine.as_of{context}{aggregates}\
         \n  FROM spine LEFT JOIN events e ON e.customer_id = spine.customer_id\
         \n    AND e.event_time < spine.as_of{}\n  GROUP BY spine.customer_id, spine.as_of),\
         \nlayer0 AS (\n  SELECT spine.*{traits}\n  FROM aggregated spine)",
        known("e")
    );
    let mut layer = 0;
    for feature in view.features() {
        let value = match &feature.source {
            Source::Aggregate(_) => continue,
            Source::Trait(name) => quote_identifier(&trait_alias(name)),
            Source::Expression(expression, inputs) => {
                expression.to_sql(&|index| match &inputs[index] {
                    Input::Feature(position) => {
                        quote_identifier(view.features()[*position].name.as_str())
                    }
                    Input::Trait(name) => quote_identifier(&trait_alias(name)),
                    // The spine has what is known of each row's occasion.
                    Input::Context(place) => quote_identifier(&view.context()[*place].0),
                })
            }
        };
        sql.push_str(&format!(
            ",\nlayer{} AS (SELECT *{} FROM layer{layer})",
            layer + 1,
            column(feature, &value)
        ));
        layer += 1;
    }
    let names: String = view
        .features()
        .iter()
        .map(|feature| format!(", {}", quote_identifier(feature.name.as_str())))
        .collect();
    sql + &format!(
        "\nSELECT customer_id, as_of{names} FROM layer{layer} ORDER BY as_of, customer_id"
    )
}

fn trait_alias(name: &str) -> String {
    format!("trait {name}")
}

fn column(feature: &Feature, value: &str) -> String {
    let name = quote_identifier(feature.name.as_str());
    match feature.type_ {
        // A feature that is not finite is null.
        Type::Number => format!(",\n    CASE WHEN isfinite({value}) THEN {value} END AS {name}"),
        _ => format!(",\n    {value} AS {name}"),
    }
}

fn interval(span: Span) -> String {
    format!("to_microseconds({})", span.micros())
}

/// The last change before the as-of time; JSON null is an unset trait.
fn trait_sql(name: &str, type_: Type, known: &str) -> String {
    let value = match type_ {
        // A number is a text as the kernel writes it, not as JSON does.
        Type::Text => "CASE WHEN json_type(value) IN ('DOUBLE', 'BIGINT', 'UBIGINT')
                AND CAST(value AS DOUBLE) = trunc(CAST(value AS DOUBLE))
                AND abs(CAST(value AS DOUBLE)) < 1e38
            THEN CAST(CAST(CAST(value AS DOUBLE) AS HUGEINT) AS VARCHAR) ELSE value ->> '$' END"
            .to_owned(),
        other => format!("TRY_CAST(value ->> '$' AS {})", other.sql()),
    };
    format!(
        "(SELECT {value} FROM (SELECT max_by(t.value, (t.event_time, t.seq)) AS value FROM traits t
      WHERE t.customer_id = spine.customer_id AND t.trait = {} AND t.event_time < spine.as_of{known}))",
        quote_text(name)
    )
}

/// An aggregate over the joined rows of one customer and as-of time.
fn aggregate_sql(view: &View, aggregate: &Aggregate) -> String {
    let selection = &view.selections()[aggregate.selection];
    let mut conditions = vec![if selection.events.is_empty() {
        format!("e.{NOT_SYSTEM_SQL}")
    } else {
        let names: Vec<String> = selection.events.iter().map(|name| quote_text(name)).collect();
        format!("e.event IN ({})", names.join(", "))
    }];
    if let Some(window) = view.windows()[aggregate.window] {
        conditions.push(format!("e.event_time >= spine.as_of - {}", interval(window)));
    }
    if let Some((_, condition)) = &selection.condition {
        let sql = condition
            .to_sql(&|index| format!("e.{}", quote_identifier(&condition.columns()[index].0)));
        conditions.push(sql);
    }
    let property = aggregate.property.as_ref().map(|name| format!("e.{}", quote_identifier(name)));
    if let Some(property) = &property {
        conditions.push(format!("{property} IS NOT NULL"));
    }
    let filter = format!("FILTER (WHERE {})", conditions.join(" AND "));
    expression(aggregate.aggregation, &property.unwrap_or_default(), &filter)
}

fn expression(aggregation: Aggregation, x: &str, filter: &str) -> String {
    const ORDER: &str = "ORDER BY e.event_time, e.seq";
    let day = format!("{MICROS_PER_DAY}e0");
    let age = "epoch_us(spine.as_of) - epoch_us(e.event_time)";
    let gaps = format!(
        "list_transform(range(2, len(times) + 1),
      lambda i: (times[i] - times[i - 1]) / {day})"
    );
    let over_times = |body: &str| {
        format!(
            "list_transform([coalesce(list(epoch_us(e.event_time) {ORDER}) {filter}, [])],
      lambda times: {body})[1]"
        )
    };
    match aggregation {
        Aggregation::Count => format!("CAST(count(e.customer_id) {filter} AS DOUBLE)"),
        Aggregation::Sum => format!("coalesce(sum({x} {ORDER}) {filter}, 0e0)"),
        Aggregation::Mean => format!("avg({x}) {filter}"),
        Aggregation::Min => format!("min({x}) {filter}"),
        Aggregation::Max => format!("max({x}) {filter}"),
        Aggregation::Stddev => format!("stddev_samp({x}) {filter}"),
        Aggregation::Variance => format!("var_samp({x}) {filter}"),
        Aggregation::Quantile(p) => format!("quantile_cont({x}, {p:?}) {filter}"),
        Aggregation::First => format!("first({x} {ORDER}) {filter}"),
        Aggregation::Last => format!("last({x} {ORDER}) {filter}"),
        Aggregation::FirstK(k) => format!("list_slice(list({x} {ORDER}) {filter}, 1, {k})"),
        Aggregation::LastK(k) => {
            let latest = "ORDER BY e.event_time DESC, e.seq DESC";
            format!("list_reverse(list_slice(list({x} {latest}) {filter}, 1, {k}))")
        }
        Aggregation::TopK(k) => {
            format!("list_transform({}, lambda entry: entry.value)", most_frequent(x, filter, k))
        }
        Aggregation::Histogram(k) => {
            let entries = format!(
                "list_transform({}, lambda entry: {{'key': entry.value, 'value': -entry.rank}})",
                most_frequent(x, filter, k)
            );
            format!("CASE WHEN count({x}) {filter} > 0 THEN map_from_entries({entries}) END")
        }
        Aggregation::Distinct => format!("CAST(count(DISTINCT {x}) {filter} AS DOUBLE)"),
        Aggregation::Mode => format!("mode({x} ORDER BY {x}) {filter}"),
        Aggregation::DaysSinceFirst => format!("max({age}) {filter} / {day}"),
        Aggregation::DaysSinceLast => format!("min({age}) {filter} / {day}"),
        Aggregation::ActiveDays => {
            format!("CAST(count(DISTINCT CAST(e.event_time AS DATE)) {filter} AS DOUBLE)")
        }
        Aggregation::MeanGapDays => over_times(&format!("list_avg({gaps})")),
        Aggregation::StddevGapDays => over_times(&format!("list_stddev_samp({gaps})")),
        Aggregation::Sessions(gap) => over_times(&format!(
            "CAST(CASE WHEN len(times) = 0 THEN 0 ELSE 1 + len(list_filter(range(2, len(times) + 1),
      lambda i: times[i] - times[i - 1] >= {})) END AS DOUBLE)",
            gap.micros()
        )),
        Aggregation::Trend => {
            // Microseconds are whole numbers, which days are not.
            let micros = "CAST(epoch_us(e.event_time) - epoch_us(spine.as_of) AS DOUBLE)";
            format!(
                "CASE WHEN count(DISTINCT e.event_time) {filter} > 1
      THEN regr_slope({x}, {micros}) {filter} * {day} END"
            )
        }
        Aggregation::DecayedCount(half_life) => {
            format!("coalesce(sum(pow(2, -({age}) / {}e0)) {filter}, 0e0)", half_life.micros())
        }
        Aggregation::DecayedSum(half_life) => {
            format!(
                "coalesce(sum({x} * pow(2, -({age}) / {}e0)) {filter}, 0e0)",
                half_life.micros()
            )
        }
    }
}

/// The most frequent values as structs: by count descending, then by value. Structs order by their fields.
fn most_frequent(x: &str, filter: &str, k: usize) -> String {
    format!(
        "list_slice(list_sort(list_transform(map_entries(histogram({x}) {filter}),
      lambda entry: {{'rank': -CAST(entry.value AS BIGINT), 'value': entry.key}})), 1, {k})"
    )
}

/// The rows of a view at an instant: every customer with an event before it.
#[must_use]
pub(crate) fn spine_at(micros: i64, knowledge: Knowledge) -> String {
    let known = match knowledge {
        Knowledge::AsItWas => String::new(),
        Knowledge::AsItWasKnown => format!("received_at < make_timestamp({micros}) AND "),
    };
    format!(
        "SELECT DISTINCT customer_id, make_timestamp({micros}) AS as_of FROM events
   WHERE {known}event_time < make_timestamp({micros}) AND {NOT_SYSTEM_SQL}"
    )
}

impl crate::Warehouse {
    /// The SQL of a view at an instant, as "Show SQL" shows it.
    #[must_use]
    pub fn view_sql_at(view: &View, as_of: kernel::domain::Time, knowledge: Knowledge) -> String {
        view_sql(view, &spine_at(as_of.0, knowledge), knowledge)
    }
}
