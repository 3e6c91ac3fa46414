"""Sends events with Segment's SDK for Python: segment_python.py URL WRITE_KEY PART"""

import sys

import segment.analytics as analytics

url, analytics.write_key, part = sys.argv[1:]
analytics.host = url
analytics.gzip = part == "2"


def failed(error, _items):
    print(error, file=sys.stderr)
    sys.exit(1)


analytics.on_error = failed
user = "segment-python"
analytics.identify(user, {"plan": "pro", "part": int(part)})
for n in range(20):
    analytics.track(user, "order_completed", {"dollar_value": n + 0.5, "part": int(part)})
analytics.page(user, "Docs", "Home")
analytics.shutdown()
