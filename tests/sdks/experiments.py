"""Holds experiments against what others have published: experiments.py FULLCIRCLE WORK N

The statistics of the shop's readout against scipy, statsmodels and GrowthBook's gbstats on the same numbers; and
N assignments of an endpoint against GrowthBook's SDK, some of them through OpenFeature's provider too."""

import json
import os
import subprocess
import sys
import threading
import http.client
import urllib.parse
import urllib.request

import numpy as np
import pandas as pd
import scipy.stats
from gbstats.frequentist.tests import (FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest)
from gbstats.models.statistics import (RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic, compute_theta)
from growthbook import GrowthBook
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

program, work, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
project = f"{work}/shop"
worst = {}


def run(*arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def same(what, ours, theirs, tolerance=1e-6):
    error = abs(ours - theirs) / max(abs(theirs), 1e-3)
    worst[what] = max(worst.get(what, 0), error)
    assert error <= tolerance, (what, ours, theirs)


def statistics():
    readout = json.loads(run("experiment", "readout", "--project", project, "free_shipping", "--json"))
    run("query", "--project", project, """
        WITH x AS (SELECT customer_id, min(event_time) AS at, any_value(variant) AS variant FROM events
                   WHERE event = '$exposure' AND experiment = 'free_shipping' GROUP BY customer_id),
        o AS (SELECT * FROM events WHERE event = 'order_completed')
        SELECT x.customer_id, x.variant, x.at,
          count(o.event) FILTER (o.event_time >= x.at AND o.event_time < x.at + INTERVAL 21 DAYS) AS orders,
          coalesce(sum(o.amount) FILTER (o.event_time >= x.at AND o.event_time < x.at + INTERVAL 21 DAYS), 0) AS revenue,
          count(o.event) FILTER (o.event_time < x.at AND o.event_time >= x.at - INTERVAL 90 DAYS) AS before,
          coalesce(sum(o.amount) FILTER (o.event_time < x.at AND o.event_time >= x.at - INTERVAL 21 DAYS), 0) AS spent
        FROM x LEFT JOIN o USING (customer_id) GROUP BY ALL""", "--out", f"{work}/rows.csv")
    rows = pd.read_csv(f"{work}/rows.csv", parse_dates=["at"])
    last = pd.Timestamp(readout["observed_until"])
    counts = rows.variant.value_counts()
    chi = scipy.stats.chisquare([counts["paid"], counts["free"]])
    same("sample ratio", readout["split"]["p_value"], chi.pvalue)
    same("sample ratio", readout["split"]["chi_squared"], chi.statistic)
    times = pd.to_datetime(rows["at"], utc=True)
    rows = rows[times + pd.Timedelta(days=21) <= last.tz_convert("UTC") if last.tzinfo else times + pd.Timedelta(days=21) <= last.tz_localize("UTC")]
    one, other = rows[rows.variant == "paid"], rows[rows.variant == "free"]
    metric = {m["name"]: m for m in readout["metrics"]}

    def mean(values):
        return SampleMeanStatistic(n=len(values), sum=float(values.sum()), sum_squares=float((values**2).sum()))

    def adjusted(values, before):
        return RegressionAdjustedStatistic(
            n=len(values), post_statistic=mean(values), pre_statistic=mean(before),
            post_pre_sum_of_products=float((values * before).sum()), theta=0)

    secondary = 2  # metrics whose intervals share the error
    for name, of, before, alpha in [("ordered", lambda d: (d.orders > 0).astype(float), "before", 0.05),
                                    ("revenue", lambda d: d.revenue, "spent", 0.05 / secondary)]:
        a, b = adjusted(of(one), one[before].astype(float)), adjusted(of(other), other[before].astype(float))
        a.theta = b.theta = compute_theta(a, b)
        ours = metric[name]["effects"][0]
        for field, kind in [("fixed", "absolute"), ("fixed_relative", "relative")]:
            theirs = TwoSidedTTest(a, b, FrequentistConfig(alpha=alpha, difference_type=kind))
            same("CUPED", ours[field]["estimate"], theirs.point_estimate)
            same("CUPED", ours[field]["p_value"], theirs.p_value)
            for side, end in zip(("low", "high"), theirs.confidence_interval):
                same("CUPED", ours[field][side], end)
        for field, kind in [("absolute", "absolute"), ("relative", "relative")]:
            theirs = SequentialTwoSidedTTest(a, b, SequentialConfig(alpha=alpha, difference_type=kind))
            same("always-valid", ours[field]["p_value"], theirs.p_value)
            for side, end in zip(("low", "high"), theirs.confidence_interval):
                same("always-valid", ours[field][side], end)
        # The same by hand, with scipy and statsmodels on the adjusted values.
        left, right = of(one) - a.theta * one[before], of(other) - a.theta * other[before]
        same("fixed horizon", ours["fixed"]["p_value"], scipy.stats.ttest_ind(right, left, equal_var=False).pvalue)
        low, high = CompareMeans(DescrStatsW(right), DescrStatsW(left)).tconfint_diff(alpha=alpha, usevar="unequal")
        same("fixed horizon", ours["fixed"]["low"], low)
        same("fixed horizon", ours["fixed"]["high"], high)
        variance = (left.var() + right.var()) / (of(one).var() + of(other).var())
        same("variance explained", ours["explained"], 1 - variance)

    def ratio(d):
        return RatioStatistic(n=len(d), m_statistic=mean(d.revenue), d_statistic=mean(d.orders.astype(float)),
                              m_d_sum_of_products=float((d.revenue * d.orders).sum()))

    ours = metric["order_value"]["effects"][0]
    for field, kind in [("fixed", "absolute"), ("fixed_relative", "relative")]:
        theirs = TwoSidedTTest(ratio(one), ratio(other), FrequentistConfig(alpha=0.05 / secondary, difference_type=kind))
        same("delta method", ours[field]["p_value"], theirs.p_value)
        for side, end in zip(("low", "high"), theirs.confidence_interval):
            same("delta method", ours[field][side], end)
    p_values = [metric[name]["effects"][0]["absolute"]["p_value"] for name in ("revenue", "order_value")]
    for name, corrected in zip(("revenue", "order_value"), multipletests(p_values, method="holm")[1]):
        same("Holm", metric[name]["effects"][0]["corrected_p"], corrected)
    # The beta posteriors of the conversion, by sampling.
    random = np.random.default_rng(1)
    draws = [random.beta(1 + (d.orders > 0).sum(), 1 + (d.orders == 0).sum(), 2_000_000) for d in (one, other)]
    belief = metric["ordered"]["effects"][0]["belief"]
    assert abs(belief["chance_to_win"] - (draws[1] > draws[0]).mean()) < 2e-3, belief
    # Sample sizes: z-tests of two samples.
    plan = json.loads(run("experiment", "plan", "--project", project, "free_shipping", "--json"))
    for m in plan["metrics"]:
        if m["name"] == "ordered":
            variance = m["mean"] * (1 - m["mean"]) * plan["measured_on"] / (plan["measured_on"] - 1) * (1 - m["explained"])
            size = m["effect"] * m["mean"] / variance**0.5
            theirs = 2 * NormalIndPower().solve_power(size, alpha=plan["alpha"], power=plan["power"])
            same("sample size", m["customers"], theirs)


def assignments():
    server = subprocess.Popen([program, "serve", "--data", f"{work}/experiments", "--listen", "127.0.0.1:0", "--json"],
                              stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(server.stdout.readline())
        url, write, score = ready["url"], ready["write_key"], ready["score_key"]
        os.environ["FULLCIRCLE_KEY"] = ready["admin_key"]
        definition = {"name": "checkout_color", "traffic": 0.8, "holdout": 0.1,
                      "layer": {"name": "checkout", "from": 0.0, "until": 0.7},
                      "variants": [{"name": "red", "weight": 0.5, "value": "red"},
                                   {"name": "green", "weight": 0.3, "value": "green"},
                                   {"name": "blue", "weight": 0.2, "value": "blue"}]}
        body = json.dumps({"format": 1, "definition": definition}).encode()
        request = urllib.request.Request(f"{url}/v1/experiments/checkout_color", body,
                                         {"authorization": f"Bearer {ready['admin_key']}"})
        urllib.request.urlopen(request).read()
        host = urllib.parse.urlparse(url).netloc
        decided = {}

        def ask(part):
            connection = http.client.HTTPConnection(host)
            for k in range(part, n, 4):
                connection.request("GET", f"/v1/decide/checkout_color?customer_id=customer-{k}",
                                   headers={"authorization": f"Bearer {score}"})
                answer = json.loads(connection.getresponse().read())
                decided[k] = (answer["variant"], answer["value"])

        threads = [threading.Thread(target=ask, args=(part,)) for part in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(decided) == n, len(decided)
        features = json.load(urllib.request.urlopen(f"{url}/api/features/{write}"))["features"]
        different, inside = 0, 0
        book = GrowthBook(features=features)
        for k in range(n):
            book.set_attributes({"id": f"customer-{k}"})
            result = book.eval_feature("checkout_color")
            theirs = (result.experimentResult.key if result.source == "experiment" else None, result.value)
            different += theirs != decided[k]
            inside += theirs[0] is not None
        print(f"GrowthBook's SDK: {n} customers, {inside} in the experiment, {different} different")
        assert different == 0 and inside > 0
        api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {score}"}))
        client = api.get_client()
        for k in range(min(n, 500)):
            details = client.get_string_details("checkout_color", "none", EvaluationContext(targeting_key=f"customer-{k}"))
            variant, value = decided[k]
            reason = "SPLIT" if variant else "DEFAULT"
            assert (details.variant, details.value, details.reason) == (variant or "red", value, reason), (details, decided[k])
        print(f"OpenFeature's provider: {min(n, 500)} customers, 0 different")
        # What was logged is what was said: once a customer.
        run("pull", "--project", f"{work}/logged", "--from", url)
        run("query", "--project", f"{work}/logged",
            "SELECT customer_id, any_value(variant) AS variant, count(*) AS n FROM events WHERE event = '$exposure' GROUP BY 1",
            "--out", f"{work}/logged.csv")
        logged = pd.read_csv(f"{work}/logged.csv")
        said = {f"customer-{k}": variant for k, (variant, _) in decided.items() if variant}
        assert (logged.n == 1).all() and dict(zip(logged.customer_id, logged.variant)) == said
        print(f"logged exposures: {len(logged)}, each once, 0 different from what was said")
    finally:
        server.terminate()
        server.wait()


statistics()
for what, error in sorted(worst.items()):
    print(f"{what}: worst relative difference {error:.1e}")
assignments()
