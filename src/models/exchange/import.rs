use std::collections::HashMap;

use kernel::scoring::{Branch, Encoding, FrozenModel, Link, Multinomial, Split, Trees};
use prost::Message as _;

use super::proto::{Attribute, Graph, Model, Node};
use super::{Imported, checked};
use crate::{Error, Result};

/// Operators that pass numbers on as they are, or come after what is wanted.
const PASSED: [&str; 7] =
    ["Cast", "Identity", "ZipMap", "Reshape", "Flatten", "Normalizer", "ArrayFeatureExtractor"];

/// Reads an ONNX file.
pub(super) fn from_onnx(bytes: &[u8]) -> Result<Imported> {
    let file = Model::decode(bytes).map_err(|error| {
        Error::Data(format!("this is no ONNX file, nor a model of LightGBM: {error}"))
    })?;
    let graph = file.graph.ok_or_else(|| Error::Data("the ONNX file has no graph".to_owned()))?;
    let scaler = graph.node.iter().find(|node| node.op_type == "Scaler");
    let mut model = None;
    for node in &graph.node {
        let read = match node.op_type.as_str() {
            "LinearRegressor" => linear_regressor(node)?,
            "LinearClassifier" => linear_classifier(node)?,
            "TreeEnsembleRegressor" => trees(node, &graph, "target")?,
            "TreeEnsembleClassifier" => trees(node, &graph, "class")?,
            "Scaler" => continue,
            passed if PASSED.contains(&passed) => continue,
            other => {
                return Err(Error::Data(format!(
                    "the operator {other} is not known; linear models, tree ensembles and scalers are"
                )));
            }
        };
        if model.replace(read).is_some() {
            return Err(Error::Data("the file has more than one model".to_owned()));
        }
    }
    let model = model.ok_or_else(|| Error::Data("the file has no model".to_owned()))?;
    model.check().map_err(Error::Data)?;
    let encodings = encodings(scaler, model.width())?;
    Ok(Imported { encodings, model })
}

struct Attributes<'a>(HashMap<&'a str, &'a Attribute>);

impl<'a> Attributes<'a> {
    fn of(node: &'a Node) -> Self {
        Self(node.attribute.iter().map(|attribute| (attribute.name.as_str(), attribute)).collect())
    }

    /// Numbers, single or double.
    fn numbers(&self, name: &str) -> Vec<f64> {
        let double = format!("{name}_as_tensor");
        if let Some(tensor) = self.0.get(double.as_str()).and_then(|a| a.t.as_ref()) {
            return tensor.numbers();
        }
        let floats = self.0.get(name).map(|attribute| attribute.floats.as_slice());
        floats.unwrap_or_default().iter().copied().map(f64::from).collect()
    }

    fn places(&self, name: &str) -> Result<Vec<usize>> {
        let ints = self.0.get(name).map(|attribute| attribute.ints.as_slice()).unwrap_or_default();
        let place = |int: &i64| {
            usize::try_from(*int).map_err(|_negative| Error::Data(format!("{name} has {int}")))
        };
        ints.iter().map(place).collect()
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).map_or_else(|| "NONE".to_owned(), |attribute| attribute.text())
    }

    /// The classes of a classifier.
    fn classes(&self) -> Vec<String> {
        let ints = ["classlabels_ints", "classlabels_int64s"];
        let ints = ints.iter().find_map(|name| self.0.get(name)).map(|attribute| &attribute.ints);
        if let Some(ints) = ints.filter(|ints| !ints.is_empty()) {
            return ints.iter().map(ToString::to_string).collect();
        }
        let texts = self.0.get("classlabels_strings").map(|attribute| &attribute.strings);
        let texts = texts.into_iter().flatten();
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }
}

/// Scaled columns, or columns as they are.
fn encodings(scaler: Option<&Node>, width: usize) -> Result<Vec<Encoding>> {
    let Some(scaler) = scaler else { return Ok(vec![Encoding::Plain; width]) };
    let attributes = Attributes::of(scaler);
    let (offsets, scales) = (attributes.numbers("offset"), attributes.numbers("scale"));
    let at = |numbers: &[f64], column: usize| match numbers.len() {
        1 => Some(numbers[0]),
        _ => numbers.get(column).copied(),
    };
    (0..width)
        .map(|column| {
            let (Some(mean), Some(scale)) = (at(&offsets, column), at(&scales, column)) else {
                return Err(Error::Data(format!("the scaler has no column {column}")));
            };
            let scale = if scale == 0.0 { 1.0 } else { 1.0 / scale };
            // What is missing is at the mean.
            Ok(Encoding::Number { fill: mean, mean, scale, indicator: false, log: false })
        })
        .collect()
}

fn linear_regressor(node: &Node) -> Result<FrozenModel> {
    let attributes = Attributes::of(node);
    let weights = attributes.numbers("coefficients");
    let intercept = attributes.numbers("intercepts").first().copied().unwrap_or(0.0);
    match attributes.0.get("targets").map_or(1, |attribute| attribute.i) {
        0 | 1 => Ok(FrozenModel::LinearRegression { intercept, weights }),
        targets => Err(Error::Data(format!("the model has {targets} targets; one is read"))),
    }
}

fn linear_classifier(node: &Node) -> Result<FrozenModel> {
    let attributes = Attributes::of(node);
    let (weights, intercepts) =
        (attributes.numbers("coefficients"), attributes.numbers("intercepts"));
    let classes = attributes.classes();
    let n = intercepts.len().max(1);
    if n == 0 || weights.len() % n != 0 {
        return Err(Error::Data("the weights do not fit the classes".to_owned()));
    }
    let width = weights.len() / n;
    let rows: Vec<Vec<f64>> = weights.chunks(width.max(1)).map(<[f64]>::to_vec).collect();
    if classes.len() == 2 && n <= 2 {
        // Two opposite rows, or the one of the second class.
        let (weights, intercept) = (&rows[n - 1], intercepts.last().copied().unwrap_or(0.0));
        let by_softmax = n == 2 && attributes.text("post_transform") == "SOFTMAX";
        // The odds of two rows are their difference.
        let (weights, intercept) = match by_softmax {
            true => (
                weights.iter().zip(&rows[0]).map(|(b, a)| b - a).collect(),
                intercept - intercepts[0],
            ),
            false => (weights.clone(), intercept),
        };
        return Ok(FrozenModel::LogisticRegression { intercept, weights });
    }
    Ok(FrozenModel::Multinomial(Multinomial::new(classes, intercepts, rows)))
}

/// A node of a tree as the file lists it.
struct Listed {
    column: usize,
    value: f64,
    mode: String,
    children: (usize, usize),
    missing_left: bool,
    cover: f64,
}

fn trees(node: &Node, graph: &Graph, of: &str) -> Result<FrozenModel> {
    let attributes = Attributes::of(node);
    let list = |name: &str| attributes.places(&format!("nodes_{name}"));
    let (tree_ids, node_ids) = (list("treeids")?, list("nodeids")?);
    let (columns, left, right) = (list("featureids")?, list("truenodeids")?, list("falsenodeids")?);
    let (values, hits) = (attributes.numbers("nodes_values"), attributes.numbers("nodes_hitrates"));
    let missing = list("missing_value_tracks_true")?;
    let modes = attributes.0.get("nodes_modes").map(|a| a.strings.clone()).unwrap_or_default();
    let n = tree_ids.len();
    let lengths =
        [node_ids.len(), columns.len(), left.len(), right.len(), values.len(), modes.len()];
    if lengths.iter().any(|length| *length != n) {
        return Err(Error::Data("the lists of the trees have different lengths".to_owned()));
    }
    let mut listed: HashMap<(usize, usize), Listed> = HashMap::with_capacity(n);
    let mut roots: Vec<(usize, usize)> = Vec::new();
    for at in 0..n {
        let key = (tree_ids[at], node_ids[at]);
        if roots.last().is_none_or(|(tree, _)| *tree != key.0) {
            roots.push(key);
        }
        let node = Listed {
            column: columns[at],
            value: values[at],
            mode: String::from_utf8_lossy(&modes[at]).into_owned(),
            children: (left[at], right[at]),
            missing_left: missing.get(at) == Some(&1),
            cover: hits.get(at).copied().unwrap_or(1.0),
        };
        listed.insert(key, node);
    }
    let leaf = |name: &str| attributes.places(&format!("{of}_{name}"));
    let (leaf_trees, leaf_nodes, ids) = (leaf("treeids")?, leaf("nodeids")?, leaf("ids")?);
    let weights = attributes.numbers(&format!("{of}_weights"));
    let mut leaves: HashMap<(usize, usize), Vec<(usize, f64)>> = HashMap::new();
    for (at, weight) in weights.iter().enumerate() {
        if let (Some(tree), Some(node), Some(id)) =
            (leaf_trees.get(at), leaf_nodes.get(at), ids.get(at))
        {
            leaves.entry((*tree, *node)).or_default().push((*id, *weight));
        }
    }
    let classes = attributes.classes();
    let ensemble =
        Ensemble { listed, leaves, is_mean: attributes.text("aggregate_function") == "AVERAGE" };
    let width =
        graph_width(graph).unwrap_or_else(|| columns.iter().max().map_or(0, |last| last + 1));
    let base = attributes.numbers("base_values");
    let transform = attributes.text("post_transform");
    ensemble.frozen(&roots, width, &classes, &base, &transform)
}

/// The columns of the input.
fn graph_width(graph: &Graph) -> Option<usize> {
    let tensor = graph.input.first()?.kind.as_ref()?.tensor.as_ref()?;
    match tensor.shape.as_ref()?.dim.get(1)?.size.as_ref()? {
        super::proto::Size::Value(columns) => usize::try_from(*columns).ok(),
        super::proto::Size::Named(_) => None,
    }
}

struct Ensemble {
    listed: HashMap<(usize, usize), Listed>,
    leaves: HashMap<(usize, usize), Vec<(usize, f64)>>,
    is_mean: bool,
}

impl Ensemble {
    fn frozen(
        &self,
        roots: &[(usize, usize)],
        width: usize,
        classes: &[String],
        base: &[f64],
        transform: &str,
    ) -> Result<FrozenModel> {
        // Two classes are one output, that of the second.
        let is_multiclass = classes.len() > 2;
        let outputs: Vec<usize> =
            if is_multiclass { (0..classes.len()).collect() } else { vec![0] };
        let link = match (transform, is_multiclass) {
            ("NONE", false) if classes.len() == 2 => Link::Share,
            ("NONE", false) => Link::Identity,
            ("LOGISTIC", false) => Link::Logistic,
            ("SOFTMAX", true) => Link::Softmax,
            ("NONE", true) => Link::Shares,
            (other, _) => {
                return Err(Error::Data(format!("the transformation {other} is not known")));
            }
        };
        let only: std::collections::BTreeSet<usize> =
            self.leaves.values().flatten().map(|(id, _)| *id).collect();
        let wanted = |output: usize| match (is_multiclass, only.len()) {
            (true, _) => Some(output),
            // Both classes are listed: the second; else the one that is.
            (false, 2..) => Some(1),
            (false, _) => None,
        };
        let start = |output: usize| match (base.len(), is_multiclass) {
            (0, _) => 0.0,
            (_, true) => base.get(output).copied().unwrap_or(0.0),
            (n, false) => base[n - 1],
        };
        let names = if is_multiclass { classes.to_vec() } else { Vec::new() };
        let mut trees = Trees::new(width, outputs.iter().map(|o| start(*o)).collect(), link, names);
        #[allow(clippy::cast_precision_loss, reason = "a number of trees")]
        let scale = if self.is_mean { 1.0 / roots.len().max(1) as f64 } else { 1.0 };
        for root in roots {
            for output in &outputs {
                let mut branches = Vec::new();
                self.branch(*root, wanted(*output), scale, &mut branches, 0)?;
                trees.push(&branches).map_err(Error::Data)?;
            }
        }
        checked(&trees)
    }

    /// Adds a tree from a node on; the place of the node.
    fn branch(
        &self,
        key: (usize, usize),
        wanted: Option<usize>,
        scale: f64,
        branches: &mut Vec<Branch>,
        depth: usize,
    ) -> Result<usize> {
        let place = branches.len();
        let Some(node) = self.listed.get(&key).filter(|_| depth < 1_000) else {
            return Err(Error::Data(format!("tree {} has no node {}", key.0, key.1)));
        };
        let own = self.leaves.get(&key).map(Vec::as_slice).unwrap_or_default();
        let own = own.iter().filter(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        let value = own.map(|(_, weight)| weight).sum::<f64>() * scale;
        branches.push(Branch::Leaf { value, cover: node.cover });
        let threshold = match node.mode.as_str() {
            "LEAF" => return Ok(place),
            "BRANCH_LEQ" => node.value,
            // What is below a number is up to the one before it.
            "BRANCH_LT" => node.value.next_down(),
            other => return Err(Error::Data(format!("the split {other} is not known"))),
        };
        let (left, right) = node.children;
        let children = (
            self.branch((key.0, left), wanted, scale, branches, depth + 1)?,
            self.branch((key.0, right), wanted, scale, branches, depth + 1)?,
        );
        branches[place] = Branch::Split {
            column: node.column,
            split: Split::Number { threshold },
            missing_left: node.missing_left,
            cover: node.cover,
            children,
        };
        Ok(place)
    }
}
