-- The features of view.toml for each row of spine(customer_id, as_of), over `events`. Ages are in microseconds.
WITH s AS MATERIALIZED (
    SELECT row_number() OVER () AS rid, customer_id, as_of FROM spine
), pairs AS (
    SELECT rid, event_time, seq, channel, epoch_us(as_of) - epoch_us(event_time) AS age
    FROM s JOIN events AS e ON e.customer_id = s.customer_id AND e.event_time < s.as_of
    WHERE event NOT LIKE '$%'
), every AS (
    -- arg_min skips null channels; the key orders by (event_time, seq).
    SELECT
        rid, count(*) AS events_all, min(event_time) AS first_time, max(event_time) AS last_time,
        arg_min(channel, epoch_us(event_time)::HUGEINT * 9223372036854775807 + seq) AS first_channel,
        count(*) FILTER (age <= 7776000000000) AS events_90d
    FROM pairs
    GROUP BY rid
), recent_days AS (
    SELECT
        rid, event_time::DATE AS day, count(*) AS events_30d,
        count(*) FILTER (age <= 3600000000) AS events_1h,
        count(*) FILTER (age <= 86400000000) AS events_1d,
        count(*) FILTER (age <= 604800000000) AS events_7d
    FROM pairs
    WHERE age <= 2592000000000
    GROUP BY rid, day
), recent AS (
    SELECT
        rid, count(*) AS active_days_30d,
        sum(events_1h)::BIGINT AS events_1h,
        sum(events_1d)::BIGINT AS events_1d,
        sum(events_7d)::BIGINT AS events_7d,
        sum(events_30d)::BIGINT AS events_30d
    FROM recent_days
    GROUP BY rid
), order_pairs AS (
    -- Orders are few and scattered: sorting them first makes full vectors of them, which cuts the FILTERs' cost.
    SELECT rid, event_time, amount, epoch_us(as_of) - epoch_us(event_time) AS age
    FROM s JOIN (
        SELECT customer_id, event_time, amount
        FROM events
        WHERE event = 'order_completed'
        ORDER BY event_time
        LIMIT 9223372036854775807
    ) AS e ON e.customer_id = s.customer_id AND e.event_time < s.as_of
), orders AS (
    SELECT
        rid, count(*) AS orders_all, sum(amount) AS revenue_all, max(amount) AS largest_all,
        min(amount) AS smallest_order, max(event_time) AS last_order, avg(amount) FILTER (age <= 7776000000000) AS mean_order_90d,
        count(*) FILTER (age <= 3600000000) AS orders_1h, sum(amount) FILTER (age <= 3600000000) AS revenue_1h, max(amount) FILTER (age <= 3600000000) AS largest_1h,
        count(*) FILTER (age <= 86400000000) AS orders_1d, sum(amount) FILTER (age <= 86400000000) AS revenue_1d, max(amount) FILTER (age <= 86400000000) AS largest_1d,
        count(*) FILTER (age <= 604800000000) AS orders_7d, sum(amount) FILTER (age <= 604800000000) AS revenue_7d, max(amount) FILTER (age <= 604800000000) AS largest_7d,
        count(*) FILTER (age <= 2592000000000) AS orders_30d, sum(amount) FILTER (age <= 2592000000000) AS revenue_30d, max(amount) FILTER (age <= 2592000000000) AS largest_30d,
        count(*) FILTER (age <= 7776000000000) AS orders_90d, sum(amount) FILTER (age <= 7776000000000) AS revenue_90d, max(amount) FILTER (age <= 7776000000000) AS largest_90d
    FROM order_pairs
    GROUP BY rid
), product_ages AS (
    SELECT rid, product, min(epoch_us(as_of) - epoch_us(event_time)) AS age
    FROM s JOIN events AS e ON e.customer_id = s.customer_id AND e.event_time < s.as_of
    WHERE event = 'product_viewed' AND product IS NOT NULL
    GROUP BY rid, product
), products AS (
    SELECT
        rid, count(*) AS products_all,
        count(*) FILTER (age <= 3600000000) AS products_1h,
        count(*) FILTER (age <= 86400000000) AS products_1d,
        count(*) FILTER (age <= 604800000000) AS products_7d,
        count(*) FILTER (age <= 2592000000000) AS products_30d,
        count(*) FILTER (age <= 7776000000000) AS products_90d
    FROM product_ages
    GROUP BY rid
), category_counts AS (
    SELECT rid, category, count(*) AS n, max(epoch_us(event_time)::HUGEINT * 9223372036854775807 + seq) AS last_key
    FROM s JOIN events AS e ON e.customer_id = s.customer_id AND e.event_time < s.as_of
    WHERE event = 'product_viewed' AND category IS NOT NULL
    GROUP BY rid, category
), categories AS (
    SELECT
        rid, arg_max(category, last_key) AS last_category,
        first(category ORDER BY n DESC, category) AS top_category
    FROM category_counts
    GROUP BY rid
)
SELECT
    customer_id,
    as_of,
    coalesce(events_1h, 0) AS events_1h, coalesce(orders_1h, 0) AS orders_1h, coalesce(revenue_1h, 0) AS revenue_1h, largest_1h, coalesce(products_1h, 0) AS products_1h,
    coalesce(events_1d, 0) AS events_1d, coalesce(orders_1d, 0) AS orders_1d, coalesce(revenue_1d, 0) AS revenue_1d, largest_1d, coalesce(products_1d, 0) AS products_1d,
    coalesce(events_7d, 0) AS events_7d, coalesce(orders_7d, 0) AS orders_7d, coalesce(revenue_7d, 0) AS revenue_7d, largest_7d, coalesce(products_7d, 0) AS products_7d,
    coalesce(events_30d, 0) AS events_30d, coalesce(orders_30d, 0) AS orders_30d, coalesce(revenue_30d, 0) AS revenue_30d, largest_30d, coalesce(products_30d, 0) AS products_30d,
    coalesce(events_90d, 0) AS events_90d, coalesce(orders_90d, 0) AS orders_90d, coalesce(revenue_90d, 0) AS revenue_90d, largest_90d, coalesce(products_90d, 0) AS products_90d,
    coalesce(events_all, 0) AS events_all, coalesce(orders_all, 0) AS orders_all, coalesce(revenue_all, 0) AS revenue_all, largest_all, coalesce(products_all, 0) AS products_all,
    (epoch_us(as_of) - epoch_us(last_time)) / 86400000000 AS days_since_last,
    (epoch_us(as_of) - epoch_us(first_time)) / 86400000000 AS days_since_first,
    (epoch_us(as_of) - epoch_us(last_order)) / 86400000000 AS days_since_order,
    smallest_order,
    last_category,
    first_channel,
    mean_order_90d,
    coalesce(active_days_30d, 0) AS active_days_30d,
    coalesce(revenue_all, 0) / nullif(orders_all, 0) AS average_order,
    top_category
FROM s
LEFT JOIN every USING (rid)
LEFT JOIN recent USING (rid)
LEFT JOIN orders USING (rid)
LEFT JOIN products USING (rid)
LEFT JOIN categories USING (rid)
