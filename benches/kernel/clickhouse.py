#!/usr/bin/env python3
"""ClickHouse's own functions on the events of the benchmark `insights`, for comparison.

    python3 -m venv /tmp/clickhouse && /tmp/clickhouse/bin/pip install chdb
    /tmp/clickhouse/bin/python benches/kernel/clickhouse.py FOLDER

FOLDER is that of `cargo bench --profile release --bench kernel -- FOLDER insights`, whose windows of time these
are. The table is sorted by customer and time before anything is measured; two threads, the median of five runs.
"""
import statistics
import sys
import time

from chdb import session

FUNNEL = """
SELECT level, count() FROM (SELECT customer_id, windowFunnel(604800000000)(toUInt64(t), event = 'page_viewed',
  event = 'product_viewed', event = 'product_added', event = 'order_completed') AS level
  FROM events WHERE t >= {year} GROUP BY customer_id) WHERE level > 0 GROUP BY level ORDER BY level"""
RETENTION = """
SELECT s, r - s AS k, count() FROM (
  SELECT customer_id, arrayJoin(groupUniqArrayIf(w, event = 'page_viewed') AS starts) AS s,
    arrayJoin(groupUniqArrayIf(w, event = 'product_viewed')) AS r
  FROM (SELECT customer_id, event, intDiv(t - {weeks}, 604800000000) AS w FROM events
        WHERE t >= {weeks} AND event IN ('page_viewed', 'product_viewed')) GROUP BY customer_id)
WHERE r > s GROUP BY ALL"""
UNIQUE = "SELECT intDiv(t, 86400000000) AS d, uniqExact(customer_id) FROM events WHERE t >= {year} GROUP BY d"


def main():
    folder = sys.argv[1]
    clickhouse = session.Session()
    clickhouse.query("SET max_threads = 2")
    clickhouse.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
    clickhouse.query("USE b")
    clickhouse.query(f"""
        CREATE TABLE events ENGINE = MergeTree ORDER BY (customer_id, t) AS
        SELECT assumeNotNull(customer_id) AS customer_id, assumeNotNull(event) AS event,
          toUnixTimestamp64Micro(toDateTime64(assumeNotNull(event_time), 6, 'UTC')) AS t
        FROM file('{folder}/events.parquet')""")
    clickhouse.query("OPTIMIZE TABLE events FINAL")
    last = int(clickhouse.query("SELECT max(t) FROM events", "CSV").bytes().decode())
    day = 86_400_000_000
    until = (last // day + 1) * day
    # 1970-01-01 was a Thursday: weeks begin on Mondays.
    monday = (last - 4 * day) // (7 * day) * 7 * day + 4 * day
    bounds = {"year": until - 366 * day, "weeks": monday - 51 * 7 * day}
    for name, sql in [("funnel", FUNNEL), ("retention", RETENTION), ("trends", UNIQUE)]:
        cpu, wall = [], []
        for _ in range(5):
            started, since = time.process_time(), time.time()
            said = clickhouse.query(sql.format(**bounds), "CSV").bytes().decode()
            cpu.append(time.process_time() - started)
            wall.append(time.time() - since)
        sums = sum(int(line.rsplit(",", 1)[1]) for line in said.splitlines())
        print(f"{name:10} {statistics.median(cpu):6.2f} cpu-s {statistics.median(wall):6.2f} s   sum {sums}")


main()
