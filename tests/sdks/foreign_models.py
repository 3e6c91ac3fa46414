"""Random models of LightGBM and scikit-learn (as ONNX), against the programs that they come from.

Usage: foreign_models.py FULLCIRCLE URL ADMIN_KEY WORK [MODELS] [SEED]

Each model is trained on random data, imported, uploaded and asked for scores over HTTP. Scores must be those of
LightGBM, or of onnxruntime for the single-precision inputs that the file asks for. Rows include missing values,
and doubles at and beside every threshold. A model is refused only where it is listed here, by name. Files that went
through Windows are the same; files that are cut off are refused."""

import collections, json, random, subprocess, sys, urllib.request, warnings

warnings.filterwarnings("ignore")
import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier,
                              GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

binary, url, key, work = sys.argv[1:5]
n_models = int(sys.argv[5]) if len(sys.argv) > 5 else 120
seed = int(sys.argv[6]) if len(sys.argv) > 6 else random.randrange(1 << 32)
print(f"foreign models: seed {seed}")
rng = np.random.default_rng(seed)
WIDEST = 6
project = f"{work}/project"


def cli(*arguments):
    return subprocess.run([binary, *arguments], capture_output=True, text=True)


def post(path, body):
    request = urllib.request.Request(url + path, body if isinstance(body, bytes) else json.dumps(body).encode(),
                                     {"authorization": f"Bearer {key}"})
    return json.load(urllib.request.urlopen(request, timeout=60))


def make_project():
    with open(f"{work}/events.csv", "w") as file:
        names = [f"p{n}" for n in range(WIDEST)] + ["t0", "t1"]
        file.write("customer,event,time," + ",".join(names) + "\n")
        file.write("a,e,2024-01-01T00:00:00Z," + ",".join(["1.5"] * WIDEST + ["x", "y"]) + "\n")
    assert cli("import", "--project", project, f"{work}/events.csv").returncode == 0
    for width in range(1, WIDEST + 1):
        write_view(f"w{width}", [f"x{n}" for n in range(width)])
    write_view("all", [f"x{n}" for n in range(WIDEST)] + ["t0", "t1"])


def write_view(name, features):
    text = f'name = "{name}"\n'
    for feature in features:
        text += f'[[features]]\nname = "{feature}"\naggregation = "last"\nproperty = "{feature.replace("x", "p")}"\n'
    with open(f"{project}/views/{name}.toml", "w") as file:
        file.write(text)


def load(path, view):
    """The message of a refusal, or none: the model is live as `theirs` then."""
    made = cli("onnx", "--project", project, "import", path, "--view", view, "--name", "theirs", "--json")
    if made.returncode:
        return json.loads(made.stderr)["error"]
    with open(f"{project}/functions/theirs.json", "rb") as file:
        uploaded = post("/v1/functions", file.read())
    post("/v1/deployments/theirs", {"function": uploaded["function"], "role": "champion"})
    return None


def ask(columns):
    """Scores of rows, given by columns: name -> values."""
    inputs = []
    for name, values in columns.items():
        is_text = isinstance(values[0], str) or values[0] is None
        data = [None if value is None or value != value else value for value in values]
        inputs.append({"name": name, "shape": [len(data)], "datatype": "BYTES" if is_text else "FP64", "data": data})
    answer = post("/v2/models/theirs/infer", {"inputs": inputs})
    return np.array([np.nan if s is None else s for o in answer["outputs"] if o["name"] == "score" for s in o["data"]])


def beside(thresholds, width, n):
    """Rows of random numbers, many of them at or beside a threshold, in single and in double precision."""
    rows = rng.normal(size=(n, width)) * rng.choice([0.1, 1, 10], size=(n, width))
    for row in rows:
        for column in range(width):
            if len(thresholds) and rng.random() < 0.6:
                x = float(rng.choice(thresholds))
                f = np.float32(x)
                half = (float(f) + float(np.nextafter(f, np.float32(np.inf)))) / 2
                row[column] = rng.choice([x, float(f), np.nextafter(x, np.inf), np.nextafter(x, -np.inf),
                                          float(np.nextafter(f, np.float32(np.inf))), half, np.nextafter(half, np.inf),
                                          np.nextafter(half, -np.inf), round(x, 3)])
    return rows


stats = collections.Counter()
worst = collections.defaultdict(float)
refusals = collections.Counter()


def compare(kind, what, found, wanted, tolerance):
    off = np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
    off = np.where(np.isnan(found) & np.isnan(wanted), 0, off)
    stats[f"{kind} models"] += 1
    stats[f"{kind} rows"] += len(found)
    worst[kind] = max(worst[kind], float(np.max(off)))
    if not np.all(off <= tolerance):
        at = int(np.nanargmax(np.where(np.isnan(off), np.inf, off)))
        sys.exit(f"{what}: row {at} scores {found[at]!r} here and {wanted[at]!r} there (seed {seed})")


def lightgbm_model():
    width, n = int(rng.integers(1, WIDEST + 1)), 400
    objective = rng.choice(["regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma",
                            "tweedie", "binary", "cross_entropy", "multiclass", "multiclassova", "lambdarank"])
    parameters = {"objective": str(objective), "verbose": -1, "num_threads": 1, "seed": int(rng.integers(1 << 30)),
                  "num_leaves": int(rng.integers(2, 40)), "min_data_in_leaf": int(rng.integers(1, 20)),
                  "learning_rate": float(rng.choice([0.05, 0.3, 1.0])), "max_bin": int(rng.choice([15, 255])),
                  "boosting": str(rng.choice(["gbdt", "gbdt", "dart", "rf"])),
                  "use_missing": bool(rng.random() < 0.8), "zero_as_missing": bool(rng.random() < 0.1),
                  "boost_from_average": bool(rng.random() < 0.7), "sigmoid": float(rng.choice([1.0, 0.5, 2.0])),
                  "linear_tree": bool(rng.random() < 0.08), "reg_sqrt": bool(rng.random() < 0.08)}
    if parameters["boosting"] == "rf":
        parameters |= {"bagging_freq": 1, "bagging_fraction": 0.7}
    if parameters["linear_tree"] or parameters["boosting"] == "rf" and objective in ("regression_l1", "lambdarank"):
        parameters["boosting"] = "gbdt"
    numbers = rng.normal(size=(n, width)).round(int(rng.integers(0, 6)))
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    frame = pd.DataFrame({f"x{at}": numbers[:, at] for at in range(width)})
    texts = ["t0", "t1"] if rng.random() < 0.4 else []
    for name in texts:
        categories = [f"k{at}" for at in rng.permutation(int(rng.integers(3, 60)))]
        frame[name] = pd.Categorical(rng.choice(categories, n), categories=categories)
        frame.loc[rng.random(n) < 0.1, name] = np.nan
    frame = frame[list(rng.permutation(frame.columns))]
    plain = np.nan_to_num(numbers[:, 0]) * 2 + rng.normal(size=n) * 0.3
    plain += sum(frame[name].cat.codes.to_numpy() % 3 for name in texts)
    label = {"binary": (plain > 0), "cross_entropy": 1 / (1 + np.exp(-plain)), "multiclass": np.digitize(plain, [-1, 1]),
             "multiclassova": np.digitize(plain, [-1, 1]), "lambdarank": np.digitize(plain, [-1, 1])}.get(
                 objective, plain if objective in ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
                 else np.abs(plain) + 0.1)
    if str(objective).startswith("multiclass"):
        parameters["num_class"] = 3
    group = [n // 4] * 4 if objective == "lambdarank" else None
    try:
        booster = lightgbm.train(parameters, lightgbm.Dataset(frame, label.astype(float), group=group),
                                 int(rng.integers(1, 25)))
    except lightgbm.basic.LightGBMError as error:
        return stats.update([f"not trained: {str(error)[:40]}"])
    text = booster.model_to_string()
    path = f"{work}/model.txt"
    with open(path, "w", newline="") as file:
        file.write(text.replace("\n", "\r\n") if rng.random() < 0.3 else text)
    expected = []
    if parameters["linear_tree"]:
        expected.append("linear")
    if objective == "multiclassova":
        expected.append("multiclassova")
    if "sqrt" in text.split("objective=")[1].split("\n")[0]:
        expected.append("reg_sqrt")
    if parameters["zero_as_missing"]:
        expected.append("zero_as_missing")
    if texts and any("none" == info for info in text.split("feature_infos=")[1].split("\n")[0].split(" ")):
        expected.append("pandas_categorical")
    refused = load(path, "all")
    if refused:
        named = [name for name in expected if name in refused]
        if not named:
            sys.exit(f"LightGBM {parameters}: {refused} (seed {seed})")
        refusals["LightGBM " + named[0]] += 1
        return
    if set(expected) - {"zero_as_missing", "linear", "pandas_categorical"}:
        sys.exit(f"LightGBM {parameters}: should be refused for {expected} (seed {seed})")
    thresholds = [float(t) for line in text.split("\n") if line.startswith("threshold=") for t in line[10:].split()]
    rows = beside([t for t in thresholds if abs(t) < 1e30], width, 200)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    asked = pd.DataFrame({f"x{at}": rows[:, at] for at in range(width)})
    for name in texts:
        known = list(frame[name].cat.categories)
        asked[name] = pd.Series([None if rng.random() < 0.1 else str(rng.choice(known + ["new"])) for _ in rows], dtype=object)
    columns = {name: list(asked[name]) for name in asked}
    for at in range(width, WIDEST):
        columns[f"x{at}"] = [0.5] * len(rows)
    for name in {"t0", "t1"} - set(texts):
        columns[name] = ["x"] * len(rows)
    for name in texts:
        asked[name] = pd.Categorical(asked[name], categories=list(frame[name].cat.categories))
    wanted = booster.predict(asked[list(frame.columns)])
    wanted = wanted.max(axis=1) if wanted.ndim == 2 else wanted
    compare("LightGBM", f"LightGBM {parameters}", ask(columns), wanted, 1e-12)
    cut = int(rng.integers(10, text.index("end of trees")))
    with open(path, "w", newline="") as file:
        file.write(text[:cut])
    if not load(path, "all"):
        sys.exit(f"LightGBM: a file that is cut off at {cut} is accepted (seed {seed})")
    stats["LightGBM files cut off and refused"] += 1


def onnx_model():
    width, n = int(rng.integers(2, WIDEST + 1)), 300
    x = (rng.normal(size=(n, width)) * rng.choice([0.3, 1, 30], size=width)).astype(np.float32)
    plain = x[:, 0] / np.std(x[:, 0]) + rng.normal(size=n) * 0.3
    depth, state = int(rng.integers(1, 9)), int(rng.integers(1 << 30))
    trees = int(rng.integers(1, 15))
    classes = int(rng.choice([2, 3]))
    classifiers = [LogisticRegression(max_iter=200), DecisionTreeClassifier(max_depth=depth, random_state=state),
                   RandomForestClassifier(trees, max_depth=depth, random_state=state),
                   ExtraTreesClassifier(trees, max_depth=depth, random_state=state),
                   GradientBoostingClassifier(n_estimators=trees, max_depth=3, random_state=state)]
    regressors = [LinearRegression(), Ridge(), ElasticNet(alpha=0.01), DecisionTreeRegressor(max_depth=depth, random_state=state),
                  RandomForestRegressor(trees, max_depth=depth, random_state=state),
                  ExtraTreesRegressor(trees, max_depth=depth, random_state=state),
                  GradientBoostingRegressor(n_estimators=trees, max_depth=3, random_state=state)]
    is_classifier = rng.random() < 0.5
    model = (classifiers if is_classifier else regressors)[int(rng.integers(5 if is_classifier else 7))]
    y = np.digitize(plain, [0] if classes == 2 else [-0.7, 0.7]) if is_classifier else plain
    steps = []
    with_missing = rng.random() < 0.2
    if with_missing:
        x[rng.random(x.shape) < 0.1] = np.nan
        steps.append(SimpleImputer(strategy=str(rng.choice(["mean", "median"]))))
    scalers = [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()]
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        steps.append(scalers[int(rng.integers(4))])
    selects = rng.random() < 0.25
    if selects:
        chosen = [int(at) for at in rng.permutation(width)[: int(rng.integers(1, width + 1))]]
        steps.insert(int(with_missing), ColumnTransformer([("own", StandardScaler() if rng.random() < 0.5 else "passthrough", chosen)]))
    normalizes = rng.random() < 0.1
    if normalizes:
        steps.append(Normalizer(norm=str(rng.choice(["l1", "l2"]))))
    pipeline = make_pipeline(*steps, model).fit(x, y)
    is_double = rng.random() < 0.25
    type_ = DoubleTensorType if is_double else FloatTensorType
    options = {id(model): {"zipmap": False}} if is_classifier else None
    try:
        file = to_onnx(pipeline, initial_types=[("X", type_([None, width]))], options=options, target_opset={"": 17, "ai.onnx.ml": 3})
    except Exception:
        return stats.update(["ONNX pipelines that skl2onnx does not convert"])
    path = f"{work}/model.onnx"
    with open(path, "wb") as out:
        out.write(file.SerializeToString())
    what = f"ONNX {pipeline} {'double' if is_double else 'float'}"
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception:
        return stats.update(["ONNX files that onnxruntime itself refuses (skl2onnx with double inputs)"])
    refused = load(path, f"w{width}")
    if refused:
        # In double precision the converter writes a Normalizer as several operators.
        if not (normalizes and "the operator" in refused and "not supported" in refused):
            print(f"{what}: {refused}")
            sys.exit(f"an ONNX model is refused (seed {seed})")
        refusals["ONNX " + refused.split("the operator ")[1].split(" ")[0] + " before the model"] += 1
        return
    if normalizes:
        sys.exit(f"{what}: a Normalizer is passed over (seed {seed})")
    # In the units of the input, thresholds are where scikit-learn's are only without scaling; values of x are others.
    tree = getattr(model, "tree_", None)
    thresholds = [] if tree is None else [t for t in tree.threshold if t != -2]
    rows = beside(thresholds + [float(v) for v in x[np.isfinite(x)][:50]], width, 300)
    if with_missing:
        rows[rng.random(rows.shape) < 0.1] = np.nan
    given = rows if is_double else rows.astype(np.float32)
    wanted = session.run(None, {"X": given})[-1]
    wanted = np.asarray(wanted, dtype=float).reshape(len(rows), -1)
    wanted = wanted[:, 0] if not is_classifier else wanted[:, 1] if classes == 2 else wanted.max(axis=1)
    found = ask({f"x{at}": list(rows[:, at]) for at in range(width)})
    compare("ONNX", what, found, wanted, 2e-4 if not hasattr(model, "estimators_") and tree is None else 2e-5)


make_project()
for n in range(n_models):
    (lightgbm_model if n % 2 else onnx_model)()
for name, count in sorted(stats.items()):
    print(f"  {name}: {count}")
for name, count in sorted(refusals.items()):
    print(f"  refused by name, {name}: {count}")
for kind, off in sorted(worst.items()):
    print(f"  largest relative difference to {kind}: {off:.3g}")
