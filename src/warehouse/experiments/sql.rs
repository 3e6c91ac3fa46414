use kernel::domain::{EXPOSURE, NOT_SYSTEM_SQL};
use kernel::experiments::{ExperimentDefinition, MetricDefinition};
use kernel::expression::{quote_identifier, quote_text};
use kernel::features::{AggregationName, EventFilter};

/// Customers, mean and variance of a metric by variant as one query, written without looking at the code
/// that computes them. None for what it does not say.
pub(super) fn readout(
    definition: &ExperimentDefinition,
    metric: &MetricDefinition,
    filter: &EventFilter,
    version: u32,
) -> Option<String> {
    if metric.per.is_some() {
        return None;
    }
    let property = metric.property.as_deref().map(quote_identifier);
    let value = match (metric.aggregation, property) {
        (AggregationName::Count, None) => "count(e.event)".to_owned(),
        (AggregationName::Count, Some(property)) => format!("count(e.{property})"),
        (AggregationName::Sum, Some(property)) => format!("coalesce(sum(e.{property}), 0)"),
        (AggregationName::Mean, Some(property)) => format!("avg(e.{property})"),
        (AggregationName::Min, Some(property)) => format!("min(e.{property})"),
        (AggregationName::Max, Some(property)) => format!("max(e.{property})"),
        (AggregationName::Distinct, Some(property)) => format!("count(DISTINCT e.{property})"),
        _ => return None,
    };
    let value = if metric.conversion { format!("({value} > 0)::INT") } else { value };
    let (end, is_over) = match metric.within {
        Some(within) => {
            let interval = format!("INTERVAL {} MICROSECONDS", within.micros());
            let last = format!("(SELECT max(event_time) FROM events WHERE {NOT_SYSTEM_SQL})");
            (
                format!("\n      AND e.event_time < x.exposed_at + {interval}"),
                format!("\n    WHERE x.exposed_at + {interval} <= {last}"),
            )
        }
        None => (String::new(), String::new()),
    };
    Some(format!(
        "WITH exposed AS (
    SELECT customer_id, min(event_time) AS exposed_at, any_value(variant) AS variant
    FROM events
    WHERE event = {} AND experiment = {} AND version = {version}
    GROUP BY customer_id HAVING count(DISTINCT variant) = 1),
counted AS (SELECT * FROM events WHERE {}),
measured AS (
    SELECT x.customer_id, x.variant, {value} AS value
    FROM exposed x LEFT JOIN counted e ON e.customer_id = x.customer_id
      AND e.event_time >= x.exposed_at{end}{is_over}
    GROUP BY x.customer_id, x.variant)
SELECT variant, count(value) AS customers, avg(value) AS mean, var_samp(value) AS variance
FROM measured GROUP BY variant ORDER BY variant",
        quote_text(EXPOSURE),
        quote_text(definition.name.as_str()),
        filter.to_sql(),
    ))
}
