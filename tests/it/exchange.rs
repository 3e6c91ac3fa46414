//! Models of other programs: scores are those of the program that wrote the file, or the file is refused by name.

use kernel::scoring::{Encoding, FrozenModel};
use models::exchange::{Imported, import};

use crate::support::{Project, fullcircle_fails, fullcircle_json};

/// Two trees as `LightGBM` saves them: a number with missing values to the right, then one without; and
/// categories 1 and 33 to the left.
const LIGHTGBM: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n\
max_feature_idx=1\nobjective=binary sigmoid:2\nfeature_names=orders spent\nfeature_infos=[0:9] 1:33\n\
tree_sizes=300 300\n\n\
Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 1\nsplit_gain=1 1\nthreshold=2.5 10\n\
decision_type=8 0\nleft_child=1 -1\nright_child=-2 -3\nleaf_value=0.25 -0.5 0.125\nleaf_weight=1 1 1\n\
leaf_count=10 20 30\ninternal_value=0 0\ninternal_weight=1 1\ninternal_count=60 40\nis_linear=0\n\
shrinkage=0.1\n\n\n\
Tree=1\nnum_leaves=2\nnum_cat=1\nsplit_feature=1\nsplit_gain=1\nthreshold=0\ndecision_type=1\n\
left_child=-1\nright_child=-2\nleaf_value=1 -1\nleaf_weight=1 1\nleaf_count=30 30\ninternal_value=0\n\
internal_weight=1\ninternal_count=60\ncat_boundaries=0 2\ncat_threshold=2 2\nis_linear=0\n\
shrinkage=0.1\n\n\nend of trees\n\nfeature_importances:\norders=2\n\nparameters:\n[boosting: dart]\n\
end of parameters\n\npandas_categorical:null\n";

fn refusal(bytes: &[u8]) -> String {
    import(bytes).unwrap_err().to_string()
}

fn scores(imported: &Imported, rows: &[[f64; 2]]) -> Vec<f64> {
    rows.iter().map(|row| imported.model.score(row)).collect()
}

#[test]
fn a_model_of_lightgbm_scores_as_there() {
    let imported = import(LIGHTGBM.as_bytes()).unwrap();
    assert_eq!(imported.names, ["orders", "spent"]);
    let logistic = |sum: f64| 1.0 / (1.0 + (-2.0 * sum).exp());
    for (row, sum) in [
        ([2.0, 1.0], 0.25 + 1.0),
        ([2.0, 33.0], 0.125 + 1.0),
        ([3.0, 2.0], -0.5 - 1.0),
        // Missing orders go right; missing amounts are 0, and no category.
        ([f64::NAN, 33.0], -0.5 + 1.0),
        ([0.0, f64::NAN], 0.25 - 1.0),
        // A category is cut to a whole number.
        ([0.0, 1.9], 0.25 + 1.0),
        ([0.0, -0.5], 0.25 - 1.0),
        ([0.0, -1.0], 0.25 - 1.0),
    ] {
        assert!((imported.model.score(&row) - logistic(sum)).abs() < 1e-15, "{row:?}");
    }
}

#[test]
fn a_field_of_lightgbm_that_is_not_honored_is_named() {
    for (from, to, said) in [
        ("version=v4", "version=v1", "version 3 or 4"),
        ("left_child=1 -1", "left_child=0 -1", "two parents, or is in a circle"),
        ("left_child=1 -1", "left_child=9 -1", "no node"),
        ("right_child=-2 -3", "right_child=-2 -2", "reached twice"),
        ("leaf_count=10 20 30", "leaf_count=10 20", "leaf_count"),
        ("decision_type=8 0", "decision_type=4 0", "zero_as_missing"),
        ("decision_type=8 0", "decision_type=12 0", "'decision_type' 12"),
        ("decision_type=8 0", "decision_type=16 0", "'decision_type' 16"),
        ("cat_boundaries=0 2", "cat_boundaries=0 9", "'cat_boundaries' or 'cat_threshold'"),
        ("cat_boundaries=0 2", "cat_boundaries=3 2", "no set 0"),
        ("num_cat=1", "num_cat=2", "'num_cat' is 2"),
        ("cat_threshold=2 2", "cat_threshold=2 2 0 0 0 0 0 0 1", "cat_boundaries"),
        ("binary sigmoid:2", "magic", "'magic'"),
        ("binary sigmoid:2", "regression sqrt", "reg_sqrt"),
        ("binary sigmoid:2", "binary sigmoid:0", "sigmoid"),
        ("binary sigmoid:2", "binary spice:2", "spice:2"),
        ("binary sigmoid:2", "multiclassova num_class:3 sigmoid:1", "multiclassova"),
        ("binary sigmoid:2", "multiclass num_class:3", "num_class"),
        ("num_class=1", "num_class=3", "'num_class' 3"),
        ("threshold=2.5 10", "threshold=2.5 ten", "'ten'"),
        ("threshold=2.5 10", "threshold=nan 10", "'threshold'"),
        ("split_feature=0 1", "split_feature=0 7", "makes no sense"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0", "'num_tree_per_iteration' is 0"),
        (
            "num_tree_per_iteration=1",
            "num_tree_per_iteration=1001",
            "'num_tree_per_iteration' is 1001",
        ),
        ("max_feature_idx=1", "max_feature_idx=65536", "more than 65536 columns"),
        ("max_feature_idx=1", "max_feature_idx=18446744073709551615", "more than 65536 columns"),
        ("feature_names=orders spent", "feature_names=orders", "feature_names"),
        ("is_linear=0", "is_linear=1", "is_linear"),
        ("label_index=0", "label_index=0\nnew_thing=7", "'new_thing'"),
        ("split_gain=1 1", "split_gain=1 1\nleaf_magic=7", "'leaf_magic'"),
        ("num_leaves=3", "num_leaves=3\nnum_leaves=3", "there twice"),
        ("Tree=1", "Tree=2", "tree 1 is missing"),
        ("tree_sizes=300 300", "tree_sizes=300 300 300", "lists 3 trees, and 2"),
        ("pandas_categorical:null", "pandas_categorical:[[\"a\"],[\"b\"]]", "pandas_categorical"),
        ("pandas_categorical:null", "pandas_categorical:[[\"a\",\"b\"]]", "pandas_categorical"),
    ] {
        let text = LIGHTGBM.replacen(from, to, 1);
        assert_ne!(text, LIGHTGBM, "{from}");
        let error = refusal(text.as_bytes());
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn a_file_of_lightgbm_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let place = |text| LIGHTGBM.find(text).unwrap();
    let (end, parameters) = (place("end of trees") + 11, place("parameters:") + 11);
    for n in (0..end).chain(parameters..place("end of parameters")) {
        let error = refusal(&LIGHTGBM.as_bytes()[..n]);
        assert!(error.starts_with("cannot read this model"), "{n}: {error}");
    }
    let between = LIGHTGBM.find("Tree=1").unwrap();
    assert!(refusal(&LIGHTGBM.as_bytes()[..between]).contains("'end of trees'"));
    let without_second = LIGHTGBM[..between].to_owned() + "end of trees\n";
    assert!(refusal(without_second.as_bytes()).contains("cut off: 'tree_sizes'"));
}

#[test]
fn a_file_of_lightgbm_that_went_through_windows_is_the_same_model() {
    let lf = import(LIGHTGBM.as_bytes()).unwrap();
    let crlf = LIGHTGBM.replace('\n', "\r\n");
    assert_eq!(import(crlf.as_bytes()).unwrap(), lf);
    assert_eq!(import(format!("\u{feff}{crlf}").as_bytes()).unwrap(), lf);
}

#[test]
fn a_number_next_to_zero_is_zero() {
    let zero = f64::from(1e-35_f32);
    for (threshold, x, is_left) in [
        (-zero, -zero, false),
        (-zero, (-zero).next_down(), true),
        (-zero, 0.0, false),
        (zero, zero, true),
        (zero, zero.next_up(), false),
        (0.0, zero, true),
        (0.0, -zero, true),
        (-1e-36, 0.0, false),
    ] {
        let text =
            LIGHTGBM.replacen("threshold=2.5 10", &format!("threshold={threshold:e} 1e9"), 1);
        let score = import(text.as_bytes()).unwrap().model.score(&[x, 1.0]);
        let sum = if is_left { 0.25 } else { -0.5 } + 1.0;
        let wanted = 1.0 / (1.0 + (-2.0_f64 * sum).exp());
        assert!((score - wanted).abs() < 1e-15, "{threshold:e} {x:e}");
    }
}

#[test]
fn a_random_forest_of_lightgbm_is_the_mean_of_its_trees() {
    let text = LIGHTGBM.replacen("binary sigmoid:2", "binary sigmoid:1\naverage_output", 1);
    let score = import(text.as_bytes()).unwrap().model.score(&[2.0, 1.0]);
    assert!((score - 1.0 / (1.0 + (-0.625_f64).exp())).abs() < 1e-15, "{score}");
}

#[test]
fn categories_of_pandas_are_matched_by_their_text() {
    // In the order of training, which need not be sorted; bit 1 is "b".
    let list = format!(
        "[{}]",
        (0..34).rev().map(|n| format!("\"c{n:02}\"")).collect::<Vec<_>>().join(",")
    );
    let text = LIGHTGBM
        .replacen("pandas_categorical:null", &format!("pandas_categorical:[{list}]"), 1)
        .replacen("threshold=2.5 10", "threshold=2.5 1.5", 1)
        .replacen("split_feature=0 1", "split_feature=0 0", 1);
    let imported = import(text.as_bytes()).unwrap();
    let score = |category: &str| {
        let mut row = vec![2.0];
        imported.encodings[1].encode_into(&kernel::domain::Value::text(category), &mut row);
        imported.model.score(&row)
    };
    let logistic = |sum: f64| 1.0 / (1.0 + (-2.0 * sum).exp());
    // Numbers 1 and 33 of training are c32 and c00.
    for (category, sum) in [("c32", 1.125), ("c00", 1.125), ("c01", -0.875), ("new", -0.875)] {
        assert!((score(category) - logistic(sum)).abs() < 1e-15, "{category}");
    }
}

#[test]
fn columns_are_matched_with_features_by_name() {
    let imported = || import(LIGHTGBM.as_bytes()).unwrap();
    let row = [2.0, 33.0];
    let wanted = imported().model.score(&row);
    // Another order, and a feature that the model does not read.
    let matched = imported().matched(&["spent", "other", "orders"]).unwrap();
    assert_eq!(matched.encodings, [Encoding::Plain, Encoding::Dropped, Encoding::Plain]);
    assert_eq!(matched.model.score(&[33.0, 2.0]).to_bits(), wanted.to_bits());
    assert!(matched.remark.unwrap().contains("by name"));
    let matched = imported().matched(&["orders", "spent"]).unwrap();
    assert_eq!((matched.model.score(&row), matched.remark), (wanted, None));
    // No name is a feature: by position, with a remark.
    let matched = imported().matched(&["a", "b"]).unwrap();
    assert_eq!(matched.model.score(&row).to_bits(), wanted.to_bits());
    assert!(matched.remark.unwrap().contains("orders, spent"));
    assert!(imported().matched(&["a", "b", "c"]).unwrap_err().to_string().contains("3 features"));
    // Some are and some are not: both lists are in the message.
    let error = imported().matched(&["orders", "b"]).unwrap_err().to_string();
    assert!(
        error.contains("'spent'") && error.contains("orders, spent") && error.contains("orders, b"),
        "{error}"
    );
    let twice = LIGHTGBM.replacen("feature_names=orders spent", "feature_names=orders orders", 1);
    let error = import(twice.as_bytes()).unwrap().matched(&["orders", "b"]).unwrap_err();
    assert!(error.to_string().contains("two columns"), "{error}");
}

/// The bytes of `onnx.proto` messages, field by field.
mod onnx {
    fn varint(mut n: u64, out: &mut Vec<u8>) {
        while n >= 128 {
            out.push((n % 128) as u8 | 128);
            n /= 128;
        }
        out.push(n as u8);
    }

    pub(super) fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3 | 2, &mut out);
        varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    }

    pub(super) fn int(field: u64, n: i64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3, &mut out);
        varint(n as u64, &mut out);
        out
    }

    pub(super) enum Attribute<'a> {
        Int(i64),
        Ints(&'a [i64]),
        Floats(&'a [f32]),
        Text(&'a str),
        Texts(&'a [&'a str]),
        Float(f32),
    }

    pub(super) type Named<'a> = (&'a str, Attribute<'a>);

    fn attribute((name, value): &Named<'_>) -> Vec<u8> {
        let mut out = bytes(1, name.as_bytes());
        match value {
            Attribute::Int(n) => out.extend(int(3, *n)),
            Attribute::Ints(ints) => ints.iter().for_each(|n| out.extend(int(8, *n))),
            Attribute::Float(x) => {
                varint(2 << 3 | 5, &mut out);
                out.extend_from_slice(&x.to_le_bytes());
            }
            Attribute::Floats(floats) => {
                let packed: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                out.extend(bytes(7, &packed));
            }
            Attribute::Text(text) => out.extend(bytes(4, text.as_bytes())),
            Attribute::Texts(texts) => {
                texts.iter().for_each(|it| out.extend(bytes(9, it.as_bytes())))
            }
        }
        out
    }

    pub(super) fn node(
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Named<'_>],
    ) -> Vec<u8> {
        let mut out: Vec<u8> = inputs.iter().flat_map(|it| bytes(1, it.as_bytes())).collect();
        outputs.iter().for_each(|it| out.extend(bytes(2, it.as_bytes())));
        out.extend(bytes(4, op.as_bytes()));
        attributes.iter().for_each(|it| out.extend(bytes(5, &attribute(it))));
        bytes(1, &out)
    }

    /// A tensor of double precision; `None` for the rows of a shape.
    pub(super) fn constant(name: &str, numbers: &[f64]) -> Vec<u8> {
        let mut out = int(1, numbers.len() as i64);
        out.extend(int(2, 11));
        out.extend(bytes(8, name.as_bytes()));
        out.extend(bytes(9, &numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()));
        bytes(5, &out)
    }

    fn value(field: u64, name: &str, type_: i64, columns: i64) -> Vec<u8> {
        let dim = [bytes(1, &bytes(2, b"N")), bytes(1, &int(1, columns))].concat();
        let tensor = [int(1, type_), bytes(2, &dim)].concat();
        let mut out = bytes(1, name.as_bytes());
        out.extend(bytes(2, &bytes(1, &tensor)));
        bytes(field, &out)
    }

    pub(super) fn input(name: &str, type_: i64, columns: i64) -> Vec<u8> {
        value(11, name, type_, columns)
    }

    pub(super) fn output(name: &str) -> Vec<u8> {
        value(12, name, 1, 1)
    }

    pub(super) fn file(parts: &[Vec<u8>]) -> Vec<u8> {
        [int(1, 8), bytes(7, &parts.concat())].concat()
    }
}

use onnx::Attribute::{Float, Floats, Int, Ints, Text, Texts};

/// One split of column 0 at 0.7, lower or equal: 1, else 2.
fn stump<'a>() -> Vec<onnx::Named<'a>> {
    vec![
        ("n_targets", Int(1)),
        ("nodes_treeids", Ints(&[0, 0, 0])),
        ("nodes_nodeids", Ints(&[0, 1, 2])),
        ("nodes_featureids", Ints(&[0, 0, 0])),
        ("nodes_values", Floats(&[0.7, 0.0, 0.0])),
        ("nodes_modes", Texts(&["BRANCH_LEQ", "LEAF", "LEAF"])),
        ("nodes_truenodeids", Ints(&[1, 0, 0])),
        ("nodes_falsenodeids", Ints(&[2, 0, 0])),
        ("nodes_missing_value_tracks_true", Ints(&[0, 0, 0])),
        ("target_treeids", Ints(&[0, 0])),
        ("target_nodeids", Ints(&[1, 2])),
        ("target_ids", Ints(&[0, 0])),
        ("target_weights", Floats(&[1.0, 2.0])),
        ("post_transform", Text("NONE")),
    ]
}

/// The stump behind other operators, over two columns.
fn behind(parts: &[Vec<u8>], reads: &str) -> Vec<u8> {
    let mut all = vec![onnx::input("X", 1, 2)];
    all.extend_from_slice(parts);
    all.push(onnx::node("TreeEnsembleRegressor", &[reads], &["y"], &stump()));
    all.push(onnx::output("y"));
    onnx::file(&all)
}

fn changed(name: &str, value: onnx::Attribute<'static>) -> Vec<u8> {
    let mut attributes: Vec<_> = stump().into_iter().filter(|(own, _)| *own != name).collect();
    attributes.push((name, value));
    let node = onnx::node("TreeEnsembleRegressor", &["X"], &["y"], &attributes);
    onnx::file(&[onnx::input("X", 1, 2), node, onnx::output("y")])
}

#[test]
fn a_double_takes_the_branch_of_its_single_precision_number() {
    let imported = import(&behind(&[], "X")).unwrap();
    for (x, wanted) in
        [(0.7, 1.0), (0.1, 1.0), (0.700_000_05, 2.0), (0.700_000_1, 2.0), (f64::NAN, 2.0)]
    {
        assert_eq!(imported.model.score(&[x, 0.0]), wanted, "{x}");
    }
    // Every double beside the boundary, also where it is between two numbers of single precision.
    let threshold = 0.7_f32;
    let middle = (f64::from(threshold) + f64::from(threshold.next_up())) / 2.0;
    let mut x = middle;
    (0..1_000).for_each(|_| x = x.next_down());
    for _ in 0..2_000 {
        let wanted = if x as f32 <= threshold { 1.0 } else { 2.0 };
        assert_eq!(imported.model.score(&[x, 0.0]), wanted, "{x:e}");
        x = x.next_up();
    }
}

#[test]
fn columns_are_followed_through_the_graph() {
    let scaler = |reads, makes, offset: &'static [f32], scale: &'static [f32]| {
        onnx::node(
            "Scaler",
            &[reads],
            &[makes],
            &[("offset", Floats(offset)), ("scale", Floats(scale))],
        )
    };
    // Two scalers: (x - 1) * 2, then (x - 0.5) * -1: at most 0.7 where x is 0.9 or more, in single precision.
    let two = behind(
        &[scaler("X", "a", &[1.0, 0.0], &[2.0, 1.0]), scaler("a", "b", &[0.5], &[-1.0])],
        "b",
    );
    let two = import(&two).unwrap();
    let single = |x: f64| -((x as f32 - 1.0) * 2.0 - 0.5);
    let mut x = 0.899_999;
    while x < 0.900_001 {
        let wanted = if single(x) <= 0.7 { 1.0 } else { 2.0 };
        assert_eq!(two.model.score(&[x, 0.0]), wanted, "{x:e}");
        x += 1e-9;
    }
    assert_eq!(two.model.score(&[f64::NAN, 0.0]), 2.0);
    // A selection of columns, and two that are joined.
    let picked = behind(
        &[
            onnx::constant("i", &[1.0]),
            onnx::node("ArrayFeatureExtractor", &["X", "i"], &["a"], &[]),
        ],
        "a",
    );
    assert_eq!(scores(&import(&picked).unwrap(), &[[9.0, 0.1], [0.1, 9.0]]), [1.0, 2.0]);
    let joined = behind(
        &[
            onnx::constant("i", &[1.0]),
            onnx::node("ArrayFeatureExtractor", &["X", "i"], &["a"], &[]),
            onnx::node("Concat", &["a", "X"], &["b"], &[("axis", Int(1))]),
        ],
        "b",
    );
    assert_eq!(scores(&import(&joined).unwrap(), &[[9.0, 0.1], [0.1, 9.0]]), [1.0, 2.0]);
    // A missing value is filled first.
    let filled = behind(
        &[onnx::node(
            "Imputer",
            &["X"],
            &["a"],
            &[("imputed_value_floats", Floats(&[0.5])), ("replaced_value_float", Float(f32::NAN))],
        )],
        "a",
    );
    assert_eq!(scores(&import(&filled).unwrap(), &[[f64::NAN, 0.0], [0.8, 0.0]]), [1.0, 2.0]);
    // Inputs with names and one column each are matched by name.
    let named = onnx::file(&[
        onnx::input("spent", 1, 1),
        onnx::input("orders", 1, 1),
        onnx::node("Concat", &["orders", "spent"], &["a"], &[("axis", Int(1))]),
        onnx::node("TreeEnsembleRegressor", &["a"], &["y"], &stump()),
        onnx::output("y"),
    ]);
    let matched = import(&named).unwrap().matched(&["orders", "spent"]).unwrap();
    assert_eq!((matched.model.score(&[0.1, 9.0]), matched.model.score(&[9.0, 0.1])), (1.0, 2.0));
}

#[test]
fn a_linear_model_is_read_through_its_scalers() {
    let regressor = |reads| {
        onnx::node(
            "LinearRegressor",
            &[reads],
            &["y"],
            &[("coefficients", Floats(&[2.0, -3.0])), ("intercepts", Floats(&[0.5]))],
        )
    };
    let scaler = onnx::node(
        "Scaler",
        &["X"],
        &["a"],
        &[("offset", Floats(&[1.0, 2.0])), ("scale", Floats(&[2.0, 4.0]))],
    );
    let again = onnx::node(
        "Scaler",
        &["a"],
        &["b"],
        &[("offset", Floats(&[1.0])), ("scale", Floats(&[0.5]))],
    );
    let file =
        onnx::file(&[onnx::input("X", 1, 2), scaler, again, regressor("b"), onnx::output("y")]);
    let imported = import(&file).unwrap();
    let mut row = Vec::new();
    for (encoding, x) in imported.encodings.iter().zip([3.0, 5.0]) {
        encoding.encode_into(&kernel::domain::Value::Number(x), &mut row);
    }
    // A shape of one column changes nothing.
    let shape =
        [onnx::constant("s", &[-1.0, 1.0]), onnx::node("Reshape", &["y", "s"], &["z"], &[])];
    let mut parts = vec![onnx::input("X", 1, 2), regressor("X")];
    parts.extend(shape);
    parts.push(onnx::output("z"));
    assert_eq!(import(&onnx::file(&parts)).unwrap().model.score(&[1.0, 1.0]), 0.5 + 2.0 - 3.0);
    // ((3 - 1) * 2 - 1) / 2 = 1.5 and ((5 - 2) * 4 - 1) / 2 = 5.5.
    assert!((imported.model.score(&row) - (0.5 + 2.0 * 1.5 - 3.0 * 5.5)).abs() < 1e-12);
}

#[test]
fn an_operator_or_attribute_of_onnx_that_is_not_honored_is_named() {
    let normalizer = onnx::node("Normalizer", &["X"], &["a"], &[("norm", Text("L2"))]);
    let selector = onnx::node("OneHotEncoder", &["X"], &["a"], &[]);
    let imputer =
        onnx::node("Imputer", &["X"], &["a"], &[("imputed_value_floats", Floats(&[0.5]))]);
    let zero = onnx::node(
        "Scaler",
        &["X"],
        &["a"],
        &[("offset", Floats(&[0.0])), ("scale", Floats(&[0.0]))],
    );
    let short = onnx::node(
        "Scaler",
        &["X"],
        &["a"],
        &[("offset", Floats(&[0.0; 3])), ("scale", Floats(&[1.0]))],
    );
    let classifier = |transform: &'static str, more: &[Vec<u8>], last: &str| {
        let attributes = [
            ("coefficients", Floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("intercepts", Floats(&[0.1, 0.2, 0.3])),
            ("classlabels_ints", Ints(&[0, 1, 2])),
            ("post_transform", Text(transform)),
        ];
        let node = onnx::node("LinearClassifier", &["X"], &["l", "p"], &attributes);
        let mut parts = vec![onnx::input("X", 1, 2), node];
        parts.extend_from_slice(more);
        parts.push(onnx::output(last));
        onnx::file(&parts)
    };
    let l1 = onnx::node("Normalizer", &["p"], &["q"], &[("norm", Text("L1"))]);
    let l2 = onnx::node("Normalizer", &["p"], &["q"], &[("norm", Text("L2"))]);
    assert!(matches!(
        import(&classifier("SOFTMAX", std::slice::from_ref(&l1), "q")).unwrap().model,
        FrozenModel::Multinomial(_)
    ));
    let dag = changed("nodes_falsenodeids", Ints(&[1, 0, 0]));
    let circle = changed("nodes_falsenodeids", Ints(&[0, 0, 0]));
    let more = |op| behind(&[onnx::node(op, &["X"], &["a"], &[])], "a");
    let foreign = [onnx::bytes(7, b"com.example")].concat();
    let mut domain = onnx::node("Scaler", &["X"], &["a"], &[]);
    // The domain is the last field of the node, whose length is one byte.
    domain[1] += u8::try_from(foreign.len()).unwrap();
    domain.extend(foreign);
    for (file, said) in [
        (behind(&[normalizer], "a"), "Normalizer before the model"),
        (behind(&[selector], "a"), "OneHotEncoder"),
        (behind(&[imputer], "a"), "replaced_value_float"),
        (behind(&[zero], "a"), "multiplied by 0"),
        (behind(&[short], "a"), "Scaler has 3 numbers for 2 columns"),
        (behind(&[domain], "a"), "com.example"),
        (behind(&[], "nothing"), "'nothing'"),
        (more("Sigmoid"), "Sigmoid"),
        (classifier("LOGISTIC", std::slice::from_ref(&l1), "q"), "LOGISTIC of several classes"),
        (classifier("PROBIT", &[], "p"), "PROBIT"),
        (classifier("SOFTMAX", &[l2], "q"), "norm L2"),
        (classifier("SOFTMAX", &[], "l"), "no output"),
        (changed("aggregate_function", Text("MIN")), "aggregate_function MIN"),
        (changed("post_transform", Text("PROBIT")), "PROBIT"),
        (changed("n_targets", Int(2)), "2 targets"),
        (changed("target_ids", Ints(&[0, 1])), "target_ids"),
        (changed("nodes_modes", Texts(&["BRANCH_EQ", "LEAF", "LEAF"])), "BRANCH_EQ"),
        (changed("nodes_magic", Ints(&[1])), "nodes_magic"),
        (changed("nodes_featureids", Ints(&[2, 0, 0])), "column 2 of 2"),
        (changed("target_treeids", Ints(&[0])), "different lengths"),
        (dag, "two parents"),
        (circle, "circle"),
        (b"no model".to_vec(), "neither an ONNX file nor a model of LightGBM"),
        (Vec::new(), "no graph"),
    ] {
        let error = refusal(&file);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn every_order_of_a_split_is_read() {
    for (mode, at, below) in [
        ("BRANCH_LEQ", 1.0, 1.0),
        ("BRANCH_LT", 2.0, 1.0),
        ("BRANCH_GTE", 1.0, 2.0),
        ("BRANCH_GT", 2.0, 2.0),
    ] {
        let modes: &'static [&'static str] = match mode {
            "BRANCH_LEQ" => &["BRANCH_LEQ", "LEAF", "LEAF"],
            "BRANCH_LT" => &["BRANCH_LT", "LEAF", "LEAF"],
            "BRANCH_GTE" => &["BRANCH_GTE", "LEAF", "LEAF"],
            _ => &["BRANCH_GT", "LEAF", "LEAF"],
        };
        let imported = import(&changed("nodes_modes", Texts(modes))).unwrap();
        let scores = scores(&imported, &[[f64::from(0.7_f32), 0.0], [0.1, 0.0]]);
        assert_eq!(scores, [at, below], "{mode}");
    }
}

/// A tree with a node of two parents at each of 60 levels would have 2^60 paths.
#[test]
fn a_tree_that_is_a_graph_is_refused_at_once() {
    let n: i64 = 60;
    let ids: Vec<i64> = (0..=n).collect();
    let next: Vec<i64> = (0..=n).map(|at| (at + 1).min(n)).collect();
    let modes: Vec<&str> = (0..=n).map(|at| if at < n { "BRANCH_LEQ" } else { "LEAF" }).collect();
    let (zeros, numbers) = (vec![0; ids.len()], vec![0.5_f32; ids.len()]);
    let attributes = [
        ("n_targets", Int(1)),
        ("nodes_treeids", Ints(&zeros)),
        ("nodes_nodeids", Ints(&ids)),
        ("nodes_featureids", Ints(&zeros)),
        ("nodes_values", Floats(&numbers)),
        ("nodes_modes", Texts(&modes)),
        ("nodes_truenodeids", Ints(&next)),
        ("nodes_falsenodeids", Ints(&next)),
        ("target_treeids", Ints(&[0])),
        ("target_nodeids", Ints(&[n])),
        ("target_ids", Ints(&[0])),
        ("target_weights", Floats(&[1.0])),
    ];
    let node = onnx::node("TreeEnsembleRegressor", &["X"], &["y"], &attributes);
    let file = onnx::file(&[onnx::input("X", 1, 2), node, onnx::output("y")]);
    assert!(refusal(&file).contains("two parents"), "{}", refusal(&file));
}

/// Messages of two bytes would become gigabytes.
#[test]
fn a_file_of_very_many_messages_is_refused_before_it_is_decoded() {
    let graph = |n: usize| [onnx::int(1, 8), onnx::bytes(7, &[0x0a, 0].repeat(n))].concat();
    assert!(refusal(&graph(4_097)).contains("more than 4096"));
    assert!(!refusal(&graph(4_096)).contains("more than"));
    let node = |n: usize| {
        [onnx::int(1, 8), onnx::bytes(7, &onnx::bytes(1, &[0x2a, 0].repeat(n)))].concat()
    };
    assert!(refusal(&node(65_537)).contains("more than 65536"));
    assert!(!refusal(&node(65_536)).contains("more than"));
    // Joins of joins double the columns.
    let mut parts = vec![onnx::input("0", 1, 2)];
    for n in 0..40 {
        let (from, to) = (n.to_string(), (n + 1).to_string());
        parts.push(onnx::node("Concat", &[&from, &from], &[&to], &[("axis", Int(1))]));
    }
    parts.push(onnx::output("40"));
    assert!(refusal(&onnx::file(&parts)).contains("more than 65536 columns"));
}

const VIEW: &str = "name = \"n\"\n\n[[features]]\nname = \"orders\"\naggregation = \"count\"\nevents = [\"order\"]\n\n\
[[features]]\nname = \"spent\"\naggregation = \"sum\"\nevents = [\"order\"]\nproperty = \"amount\"\n";

#[test]
fn a_model_goes_out_as_onnx_and_comes_back() {
    let project = Project::new();
    let mut csv = "customer,event,time,amount\n".to_owned();
    for n in 0..400 {
        let (customer, amount) = (n % 97, n % 13);
        csv.push_str(&format!("c{customer},order,2024-0{}-01T00:00:00Z,{amount}\n", 1 + n % 5));
    }
    let events = project.file("events.csv", csv);
    let folder = project.folder.path().to_owned();
    drop(project.warehouse);
    let p = folder.to_str().unwrap();
    fullcircle_json(&["import", "--project", p, events.to_str().unwrap(), "--json"]);
    std::fs::create_dir_all(folder.join("models")).unwrap();
    std::fs::create_dir_all(folder.join("views")).unwrap();
    std::fs::write(folder.join("views/n.toml"), VIEW).unwrap();
    let out = folder.join("m.onnx");
    let out = out.to_str().unwrap();
    for (task, algorithm, positive) in [
        ("regression", "decision_tree", ""),
        ("regression", "ridge", ""),
        ("regression", "poisson", ""),
        ("classification", "gradient_boosting", "positive = \"label > 0\"\n"),
        ("classification", "logistic_regression", "positive = \"label > 0\"\n"),
    ] {
        let spec = format!(
            "name = \"m\"\nview = \"n\"\ntask = \"{task}\"\n[spine]\nat = [\"2024-03-15\"]\n[label]\n\
             aggregation = \"count\"\nevents = [\"order\"]\nhorizon = \"40d\"\n{positive}[split]\nby = \"customer\"\n\
             test = 0.3\n[model]\nalgorithm = \"{algorithm}\"\n"
        );
        std::fs::write(folder.join("models/m.toml"), spec).unwrap();
        fullcircle_json(&["train", "--project", p, "m", "--json"]);
        fullcircle_json(&["onnx", "--project", p, "--json", "export", "m", "--out", out]);
        let back = import(&std::fs::read(out).unwrap()).unwrap();
        let text = std::fs::read_to_string(folder.join("functions/m.json")).unwrap();
        let own = kernel::scoring::FunctionFile::from_json(&text).unwrap().model;
        for n in 0..200 {
            let row = [f64::from(n % 7) - 2.0, f64::from(n) * 0.37 - 20.0];
            // The trees of ONNX add up in single precision only where the runtime does; here nothing is rounded.
            let (there, here) = (back.model.score(&row), own.score(&row));
            assert!(
                (there - here).abs() <= 1e-12 * here.abs().max(1.0),
                "{algorithm} {row:?}: {there} {here}"
            );
        }
    }
    std::fs::write(out, b"no model").unwrap();
    let error =
        fullcircle_fails(&["onnx", "--project", p, "import", out, "--view", "n", "--name", "back"]);
    assert!(error.contains("ONNX"), "{error}");
}
