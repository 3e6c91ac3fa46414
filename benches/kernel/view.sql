-- The features of view.toml for all customers at one instant, over `events`.
WITH every AS (
    -- arg_min skips null channels; the key orders by (event_time, seq).
    SELECT
        customer_id, count(*) AS events_all, min(event_time) AS first_time, max(event_time) AS last_time,
        arg_min(channel, epoch_us(event_time)::HUGEINT * 9223372036854775807 + seq) AS first_channel,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS events_90d
    FROM events
    WHERE customer_id IS NOT NULL AND event_time < CAST({as_of} AS TIMESTAMP) AND event NOT LIKE '$%'
    GROUP BY customer_id
), recent_days AS (
    SELECT
        customer_id, event_time::DATE AS day, count(*) AS events_30d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 HOUR) AS events_1h,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 DAY) AS events_1d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 7 DAY) AS events_7d
    FROM events
    WHERE customer_id IS NOT NULL AND event_time < CAST({as_of} AS TIMESTAMP) AND event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 30 DAY AND event NOT LIKE '$%'
    GROUP BY customer_id, day
), recent AS (
    SELECT
        customer_id, count(*) AS active_days_30d,
        sum(events_1h)::BIGINT AS events_1h,
        sum(events_1d)::BIGINT AS events_1d,
        sum(events_7d)::BIGINT AS events_7d,
        sum(events_30d)::BIGINT AS events_30d
    FROM recent_days
    GROUP BY customer_id
), orders AS (
    -- Orders are few and scattered: sorting them first makes full vectors of them, which halves the FILTERs' cost.
    SELECT
        customer_id, count(*) AS orders_all, sum(amount) AS revenue_all, max(amount) AS largest_all,
        min(amount) AS smallest_order, max(event_time) AS last_order, avg(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS mean_order_90d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 HOUR) AS orders_1h, sum(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 HOUR) AS revenue_1h, max(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 HOUR) AS largest_1h,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 DAY) AS orders_1d, sum(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 DAY) AS revenue_1d, max(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 DAY) AS largest_1d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 7 DAY) AS orders_7d, sum(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 7 DAY) AS revenue_7d, max(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 7 DAY) AS largest_7d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 30 DAY) AS orders_30d, sum(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 30 DAY) AS revenue_30d, max(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 30 DAY) AS largest_30d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS orders_90d, sum(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS revenue_90d, max(amount) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS largest_90d
    FROM (
        SELECT customer_id, event_time, amount
        FROM events
        WHERE customer_id IS NOT NULL AND event_time < CAST({as_of} AS TIMESTAMP) AND event = 'order_completed'
        ORDER BY event_time
        LIMIT 9223372036854775807
    )
    GROUP BY customer_id
), product_times AS (
    SELECT customer_id, product, max(event_time) AS event_time
    FROM events
    WHERE customer_id IS NOT NULL AND event_time < CAST({as_of} AS TIMESTAMP) AND event = 'product_viewed' AND product IS NOT NULL
    GROUP BY customer_id, product
), products AS (
    SELECT
        customer_id, count(*) AS products_all,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 HOUR) AS products_1h,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 1 DAY) AS products_1d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 7 DAY) AS products_7d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 30 DAY) AS products_30d,
        count(*) FILTER (event_time >= CAST({as_of} AS TIMESTAMP) - INTERVAL 90 DAY) AS products_90d
    FROM product_times
    GROUP BY customer_id
), category_counts AS (
    SELECT customer_id, category, count(*) AS n, max(epoch_us(event_time)::HUGEINT * 9223372036854775807 + seq) AS last_key
    FROM events
    WHERE customer_id IS NOT NULL AND event_time < CAST({as_of} AS TIMESTAMP) AND event = 'product_viewed' AND category IS NOT NULL
    GROUP BY customer_id, category
), categories AS (
    SELECT
        customer_id, arg_max(category, last_key) AS last_category,
        first(category ORDER BY n DESC, category) AS top_category
    FROM category_counts
    GROUP BY customer_id
)
SELECT
    customer_id,
    coalesce(events_1h, 0) AS events_1h, coalesce(orders_1h, 0) AS orders_1h, coalesce(revenue_1h, 0) AS revenue_1h, largest_1h, coalesce(products_1h, 0) AS products_1h,
    coalesce(events_1d, 0) AS events_1d, coalesce(orders_1d, 0) AS orders_1d, coalesce(revenue_1d, 0) AS revenue_1d, largest_1d, coalesce(products_1d, 0) AS products_1d,
    coalesce(events_7d, 0) AS events_7d, coalesce(orders_7d, 0) AS orders_7d, coalesce(revenue_7d, 0) AS revenue_7d, largest_7d, coalesce(products_7d, 0) AS products_7d,
    coalesce(events_30d, 0) AS events_30d, coalesce(orders_30d, 0) AS orders_30d, coalesce(revenue_30d, 0) AS revenue_30d, largest_30d, coalesce(products_30d, 0) AS products_30d,
    events_90d, coalesce(orders_90d, 0) AS orders_90d, coalesce(revenue_90d, 0) AS revenue_90d, largest_90d, coalesce(products_90d, 0) AS products_90d,
    events_all, coalesce(orders_all, 0) AS orders_all, coalesce(revenue_all, 0) AS revenue_all, largest_all, coalesce(products_all, 0) AS products_all,
    (epoch_us(CAST({as_of} AS TIMESTAMP)) - epoch_us(last_time)) / 86400000000 AS days_since_last,
    (epoch_us(CAST({as_of} AS TIMESTAMP)) - epoch_us(first_time)) / 86400000000 AS days_since_first,
    (epoch_us(CAST({as_of} AS TIMESTAMP)) - epoch_us(last_order)) / 86400000000 AS days_since_order,
    smallest_order,
    last_category,
    first_channel,
    mean_order_90d,
    coalesce(active_days_30d, 0) AS active_days_30d,
    coalesce(revenue_all, 0) / nullif(orders_all, 0) AS average_order,
    top_category
FROM every
LEFT JOIN recent USING (customer_id)
LEFT JOIN orders USING (customer_id)
LEFT JOIN products USING (customer_id)
LEFT JOIN categories USING (customer_id)
