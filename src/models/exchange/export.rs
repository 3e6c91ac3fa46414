use kernel::scoring::{Branch, FrozenModel, Link, Split, Trees};
use prost::Message as _;

use super::proto::{
    Attribute, DOUBLE, Dimension, Graph, Model, Node, OperatorSet, Shape, Size, Tensor, TensorType,
    Type, ValueInfo, kind,
};
use crate::{Error, Result};

/// The name of the input: the encoded columns, one row a customer.
const INPUT: &str = "columns";
/// The name of the output: a score a row.
const OUTPUT: &str = "score";

/// A frozen model as an ONNX file: `columns` (double, N by width, as the encoder gives them) to `score`
/// (double, N by 1; of several classes N by classes).
///
/// # Errors
/// The model has no operators there: only linear models and trees that split by numbers do.
pub fn to_onnx(model: &FrozenModel) -> Result<Vec<u8>> {
    let mut writer = Writer { graph: Graph { name: "score".to_owned(), ..Graph::default() } };
    let outputs = writer.model(model)?;
    writer.graph.input = vec![value(INPUT, model.width())];
    writer.graph.output = vec![value(OUTPUT, outputs)];
    let set = |domain: &str, version| OperatorSet { domain: domain.to_owned(), version };
    let file = Model {
        ir_version: 8,
        producer_name: "fullcircle".to_owned(),
        graph: Some(writer.graph),
        opset_import: vec![set("", 17), set("ai.onnx.ml", 3)],
    };
    Ok(file.encode_to_vec())
}

fn value(name: &str, columns: usize) -> ValueInfo {
    let dim = |size| Dimension { size: Some(size) };
    let columns = i64::try_from(columns).unwrap_or(i64::MAX);
    let dim = vec![dim(Size::Named("rows".to_owned())), dim(Size::Value(columns))];
    let tensor = TensorType { elem_type: DOUBLE, shape: Some(Shape { dim }) };
    ValueInfo { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
}

fn tensor(name: &str, dims: &[usize], numbers: &[f64]) -> Tensor {
    Tensor {
        dims: dims.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect(),
        data_type: DOUBLE,
        name: name.to_owned(),
        raw_data: numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        ..Tensor::default()
    }
}

struct Writer {
    graph: Graph,
}

impl Writer {
    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        let domain = if op.starts_with("TreeEnsemble") { "ai.onnx.ml" } else { "" };
        self.graph.node.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{op} {output}"),
            op_type: op.to_owned(),
            attribute,
            domain: domain.to_owned(),
        });
    }

    /// Adds what a model does; the number of columns of the output.
    fn model(&mut self, model: &FrozenModel) -> Result<usize> {
        match model {
            FrozenModel::LinearRegression { intercept, weights } => {
                self.linear(&[*intercept], std::slice::from_ref(weights), OUTPUT);
                Ok(1)
            }
            FrozenModel::LogisticRegression { intercept, weights } => {
                self.linear(&[*intercept], std::slice::from_ref(weights), "sum");
                self.node("Sigmoid", &["sum"], OUTPUT, Vec::new());
                Ok(1)
            }
            FrozenModel::LogLinear { intercept, weights } => {
                self.linear(&[*intercept], std::slice::from_ref(weights), "sum");
                self.node("Exp", &["sum"], OUTPUT, Vec::new());
                Ok(1)
            }
            FrozenModel::Multinomial(model) => {
                self.linear(model.intercepts(), model.weights(), "sum");
                self.node("Softmax", &["sum"], OUTPUT, vec![int("axis", 1)]);
                Ok(model.classes().len())
            }
            FrozenModel::Trees(trees) => self.trees(trees),
            _ => Err(Error::Spec(
                "only linear models and trees can be written as ONNX; calibrated models, segments and \
                 recommendations cannot"
                    .to_owned(),
            )),
        }
    }

    fn linear(&mut self, intercepts: &[f64], weights: &[Vec<f64>], output: &str) {
        let (rows, columns) = (weights.first().map_or(0, Vec::len), weights.len());
        let by_row: Vec<f64> =
            (0..rows).flat_map(|row| weights.iter().map(move |own| own[row])).collect();
        self.graph.initializer.push(tensor("weights", &[rows, columns], &by_row));
        self.graph.initializer.push(tensor("intercepts", &[columns], intercepts));
        self.node("MatMul", &[INPUT, "weights"], "products", Vec::new());
        self.node("Add", &["products", "intercepts"], output, Vec::new());
    }

    fn trees(&mut self, trees: &Trees) -> Result<usize> {
        let n_outputs = trees.base().len();
        let attributes = ensemble(trees)?;
        self.node("TreeEnsembleRegressor", &[INPUT], "single", attributes);
        self.node("Cast", &["single"], "trees", vec![int("to", i64::from(DOUBLE))]);
        self.graph.initializer.push(tensor("base", &[n_outputs], trees.base()));
        let last = match trees.link() {
            Link::Identity | Link::Share => None,
            Link::Logistic => Some("Sigmoid"),
            Link::Exponential => Some("Exp"),
            Link::Softmax => Some("Softmax"),
            Link::Shares | Link::Isolation => {
                return Err(Error::Spec(
                    "forests of several classes and isolation forests cannot be written as ONNX"
                        .to_owned(),
                ));
            }
        };
        let sum = if last.is_some() { "sum" } else { OUTPUT };
        self.node("Add", &["trees", "base"], sum, Vec::new());
        if let Some(op) = last {
            let attributes = if op == "Softmax" { vec![int("axis", 1)] } else { Vec::new() };
            self.node(op, &["sum"], OUTPUT, attributes);
        }
        Ok(n_outputs)
    }
}

fn named(name: &str, kind: i32) -> Attribute {
    Attribute { name: name.to_owned(), kind, ..Attribute::default() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { i, ..named(name, kind::INT) }
}

fn ints(name: &str, ints: Vec<i64>) -> Attribute {
    Attribute { ints, ..named(name, kind::INTS) }
}

fn doubles(name: &str, numbers: &[f64]) -> Attribute {
    Attribute { t: Some(tensor("", &[numbers.len()], numbers)), ..named(name, kind::TENSOR) }
}

/// The attributes of a tree ensemble: a list a property of the nodes, and of the leaves.
fn ensemble(trees: &Trees) -> Result<Vec<Attribute>> {
    let n_outputs = trees.base().len().max(1);
    let mut nodes: [Vec<i64>; 6] = Default::default();
    let (mut modes, mut values) = (Vec::new(), Vec::new());
    let mut leaves: [Vec<i64>; 3] = Default::default();
    let mut weights = Vec::new();
    let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    for (tree, branches) in trees.branches().iter().enumerate() {
        for (place, branch) in branches.iter().enumerate() {
            let (column, threshold, children, missing_left, mode) = match branch {
                Branch::Leaf { value, .. } => {
                    leaves[0].push(whole(tree));
                    leaves[1].push(whole(place));
                    leaves[2].push(whole(tree % n_outputs));
                    weights.push(*value);
                    (0, 0.0, (0, 0), false, "LEAF")
                }
                Branch::Split { column, split, missing_left, children, .. } => match split {
                    Split::Number { threshold } => {
                        (*column, *threshold, *children, *missing_left, "BRANCH_LEQ")
                    }
                    Split::Categories { .. } => {
                        return Err(Error::Spec(
                            "trees that split by sets of categories cannot be written as ONNX"
                                .to_owned(),
                        ));
                    }
                },
            };
            let row = [tree, place, column, children.0, children.1, usize::from(missing_left)];
            nodes.iter_mut().zip(row).for_each(|(list, number)| list.push(whole(number)));
            modes.push(mode.as_bytes().to_vec());
            values.push(threshold);
        }
    }
    let [tree_ids, node_ids, columns, left, right, missing] = nodes;
    let [leaf_trees, leaf_nodes, leaf_targets] = leaves;
    Ok(vec![
        int("n_targets", whole(n_outputs)),
        ints("nodes_treeids", tree_ids),
        ints("nodes_nodeids", node_ids),
        ints("nodes_featureids", columns),
        doubles("nodes_values_as_tensor", &values),
        Attribute { strings: modes, ..named("nodes_modes", kind::STRINGS) },
        ints("nodes_truenodeids", left),
        ints("nodes_falsenodeids", right),
        ints("nodes_missing_value_tracks_true", missing),
        ints("target_treeids", leaf_trees),
        ints("target_nodeids", leaf_nodes),
        ints("target_ids", leaf_targets),
        doubles("target_weights_as_tensor", &weights),
        Attribute { s: b"NONE".to_vec(), ..named("post_transform", kind::STRING) },
        Attribute { s: b"SUM".to_vec(), ..named("aggregate_function", kind::STRING) },
    ])
}
