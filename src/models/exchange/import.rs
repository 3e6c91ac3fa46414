//! The graph of an ONNX file, followed from its inputs to the score.
//!
//! Each tensor is known by what it is: columns of the input, constants, scores of the model, or its labels. An
//! operator either has a meaning on those, or is refused by its name.

use std::collections::HashMap;
use std::rc::Rc;

use kernel::scoring::{Encoding, FrozenModel, Link, MAX_COLUMNS, Multinomial, Trees};
use prost::Message as _;

use super::attributes::Attributes;
use super::column::Column;
use super::ensemble::Ensemble;
use super::linear::Sums;
use super::proto::{DOUBLE, FLOAT, INT32, INT64, Model, Node, Size, TEXT, ValueInfo, check_sizes};
use super::{Imported, position, refused};
use crate::Result;

/// Reads an ONNX file.
pub(super) fn from_onnx(bytes: &[u8]) -> Result<Imported> {
    check_sizes(bytes)?;
    let file = Model::decode(bytes).map_err(|error| {
        refused(format!("this is neither an ONNX file nor a model of LightGBM: {error}"))
    })?;
    let graph = file.graph.ok_or_else(|| refused("the ONNX file has no graph"))?;
    let mut reader = Reader::default();
    for tensor in &graph.initializer {
        let known = match tensor.data_type {
            TEXT => Known::Texts,
            _ => Known::Constant(tensor.numbers()?.into()),
        };
        reader.set(&tensor.name, known)?;
    }
    // Old files list initializers among the inputs too.
    let inputs: Vec<&ValueInfo> =
        graph.input.iter().filter(|input| !reader.known.contains_key(&input.name)).collect();
    for input in &inputs {
        reader.input(input)?;
    }
    for node in &graph.node {
        reader.node(node)?;
    }
    let mut scores = None;
    for output in &graph.output {
        match reader.known.remove(&output.name) {
            Some(Known::Scores(own)) if scores.is_none() => scores = Some(own),
            Some(Known::Scores(_)) => return Err(refused("the file has more than one model")),
            Some(Known::Labels) => {}
            Some(Known::Columns(_) | Known::Constant(_) | Known::Texts) | None => {
                return Err(refused(format!("the output '{}' is not from a model", output.name)));
            }
        }
    }
    let scores = scores.ok_or_else(|| refused("no output of the file has scores of a model"))?;
    let width = reader.n_inputs;
    let is_named = inputs.len() == width && width > 0;
    let names = inputs.iter().filter(|_| is_named).map(|input| input.name.clone()).collect();
    scores.frozen(width, names)
}

/// What is known of a tensor.
#[derive(Clone)]
enum Known {
    /// Columns of the inputs, one row a customer.
    Columns(Vec<Column>),
    /// Numbers of the file.
    Constant(Rc<[f64]>),
    /// Names of classes.
    Texts,
    /// Scores of the model.
    Scores(Scores),
    /// The likeliest class, which follows from the scores.
    Labels,
}

#[derive(Clone)]
struct Scores {
    columns: Rc<[Column]>,
    form: Form,
    /// Applied to the sums, once it is known.
    link: Option<Link>,
    classes: Vec<String>,
    /// Whether the scores of all classes are 0 or more, and 1 together.
    are_shares: bool,
}

/// Sums that a model adds up.
#[derive(Clone)]
enum Form {
    Linear(Rc<Sums>, Vec<f64>),
    Trees(Rc<Ensemble>, Vec<f64>),
}

/// Maximum number of columns of all tensors together, so that joins of joins stay small.
const MAX_KNOWN_COLUMNS: usize = 8 * MAX_COLUMNS;

#[derive(Default)]
struct Reader {
    known: HashMap<String, Known>,
    n_inputs: usize,
    n_known_columns: usize,
    n_models: usize,
}

impl Reader {
    fn set(&mut self, name: &str, known: Known) -> Result<()> {
        if let Known::Columns(columns) = &known {
            self.n_known_columns += columns.len();
            if self.n_known_columns > MAX_KNOWN_COLUMNS {
                let message = format!("the graph has more than {MAX_KNOWN_COLUMNS} columns");
                return Err(refused(message));
            }
        }
        match self.known.insert(name.to_owned(), known) {
            None => Ok(()),
            Some(_) => Err(refused(format!("the tensor '{name}' is made twice"))),
        }
    }

    fn input(&mut self, input: &ValueInfo) -> Result<()> {
        let name = &input.name;
        let tensor = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
        let elem_type = tensor.map_or(0, |tensor| tensor.elem_type);
        // Whole numbers are exact until the graph casts them, or a model does.
        let is_single = match elem_type {
            FLOAT | INT32 | INT64 => true,
            DOUBLE => false,
            other => {
                return Err(refused(format!(
                    "the input '{name}' has the type {other}; float, double and whole numbers are supported"
                )));
            }
        };
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let columns = match shape.map(|shape| shape.dim.as_slice()) {
            Some([_, columns]) => match columns.size {
                Some(Size::Value(n)) => usize::try_from(n).ok().filter(|n| *n > 0),
                _ => None,
            },
            _ => None,
        };
        let Some(n) = columns else {
            return Err(refused(format!(
                "the input '{name}' does not state its number of columns; export the model with a shape such as \
                 [None, 12]"
            )));
        };
        if n > MAX_COLUMNS || self.n_inputs + n > MAX_COLUMNS {
            return Err(refused(format!("the model has more than {MAX_COLUMNS} columns")));
        }
        let columns = self.n_inputs..self.n_inputs + n;
        self.n_inputs += n;
        let columns = columns.map(|column| Column::new(column, is_single)).collect();
        self.set(name, Known::Columns(columns))
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        let op = node.op_type.as_str();
        if !matches!(node.domain.as_str(), "" | "ai.onnx" | "ai.onnx.ml") {
            return Err(refused(format!(
                "the operator {op} of the domain '{}' is not supported",
                node.domain
            )));
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(self.known.get(name).cloned().ok_or_else(|| {
                refused(format!("the operator {op} reads '{name}', which no operator makes"))
            })?);
        }
        let is_model = inputs.iter().all(|input| !matches!(input, Known::Scores(_)));
        let attributes = Attributes::new(node)?;
        let outputs = evaluate(op, inputs, &attributes)?;
        let has_scores = outputs.iter().any(|output| matches!(output, Known::Scores(_)));
        self.n_models += usize::from(is_model && has_scores);
        if self.n_models > 1 {
            return Err(refused("the file has more than one model"));
        }
        attributes.finish()?;
        if node.output.len() > outputs.len() {
            return Err(refused(format!("the operator {op} has {} outputs", node.output.len())));
        }
        for (name, known) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            self.set(name, known)?;
        }
        Ok(())
    }
}

/// The outputs of an operator.
fn evaluate(op: &str, mut inputs: Vec<Known>, attributes: &Attributes<'_>) -> Result<Vec<Known>> {
    let second = if inputs.len() == 2 { inputs.pop() } else { None };
    let unknown = || Err(refused(format!("the operator {op} is not supported")));
    if op == "Concat" || op == "FeatureVectorizer" {
        inputs.extend(second);
        return Ok(vec![Known::Columns(joined(op, inputs, attributes)?)]);
    }
    let (Some(first), true) = (inputs.pop(), inputs.is_empty()) else { return unknown() };
    Ok(match (op, first, second) {
        ("Identity", known, None) => vec![known],
        ("Constant", ..) => return unknown(),
        (_, Known::Columns(columns), second) => on_columns(op, columns, second, attributes)?,
        // The likeliest class, as classifiers in double precision are written.
        ("ArgMax", Known::Scores(_), None) => {
            if !matches!(attributes.int("axis"), Some(1 | -1)) {
                return Err(attributes.unsupported("axis", "other than 1"));
            }
            attributes.ignore(&["keepdims", "select_last_index"]);
            vec![Known::Labels]
        }
        (_, Known::Scores(scores), second) => {
            vec![Known::Scores(scores.through(op, second, attributes)?)]
        }
        // Labels are not read.
        ("Cast", Known::Labels, None) => {
            attributes.ignore(&["to"]);
            vec![Known::Labels]
        }
        ("Reshape", Known::Labels, Some(Known::Constant(_))) => {
            attributes.ignore(&["allowzero"]);
            vec![Known::Labels]
        }
        ("ArrayFeatureExtractor", Known::Constant(_) | Known::Texts, Some(Known::Labels)) => {
            vec![Known::Labels]
        }
        // Sums are commutative.
        ("Add" | "Mul", Known::Constant(numbers), Some(Known::Columns(columns))) => {
            on_columns(op, columns, Some(Known::Constant(numbers)), attributes)?
        }
        ("Add", Known::Constant(numbers), Some(Known::Scores(scores))) => {
            vec![Known::Scores(scores.through(op, Some(Known::Constant(numbers)), attributes)?)]
        }
        _ => return unknown(),
    })
}

/// Columns beside each other.
fn joined(op: &str, inputs: Vec<Known>, attributes: &Attributes<'_>) -> Result<Vec<Column>> {
    if op == "Concat" && !matches!(attributes.int("axis"), Some(1 | -1)) {
        return Err(attributes.unsupported("axis", "other than 1"));
    }
    let sizes = attributes.ints("inputdimensions");
    let mut columns = Vec::new();
    for (at, input) in inputs.into_iter().enumerate() {
        let Known::Columns(own) = input else {
            return Err(refused(format!("the operator {op} joins something other than columns")));
        };
        let size = sizes.get(at).copied().map(usize::try_from);
        if size.is_some_and(|size| size != Ok(own.len())) {
            return Err(refused(format!("'inputdimensions' of {op} does not fit its inputs")));
        }
        columns.extend(own);
        if columns.len() > MAX_COLUMNS {
            return Err(refused(format!(
                "the operator {op} gives more than {MAX_COLUMNS} columns"
            )));
        }
    }
    // The vectorizer casts to single precision.
    match op {
        "FeatureVectorizer" => columns.into_iter().map(|column| column.cast(true)).collect(),
        _ => Ok(columns),
    }
}

/// The outputs of an operator on columns: columns again, or those of a model.
fn on_columns(
    op: &str,
    columns: Vec<Column>,
    second: Option<Known>,
    attributes: &Attributes<'_>,
) -> Result<Vec<Known>> {
    let n = columns.len();
    let one_each = |numbers: &[f64]| match numbers.len() {
        1 => Ok(vec![numbers[0]; n]),
        own if own == n => Ok(numbers.to_vec()),
        own => Err(refused(format!("the operator {op} has {own} numbers for {n} columns"))),
    };
    let each = |numbers: &[f64], step: fn(Column, f64) -> Result<Column>| {
        let columns = columns.clone().into_iter().zip(one_each(numbers)?);
        let columns: Result<Vec<Column>> = columns.map(|(it, number)| step(it, number)).collect();
        Ok(vec![Known::Columns(columns?)])
    };
    let scores = |form, link, classes, are_shares| {
        let columns = columns.clone().into();
        Known::Scores(Scores { columns, form, link, classes, are_shares })
    };
    match (op, second) {
        ("Cast", None) => {
            let to_single = match attributes.int("to").and_then(|to| i32::try_from(to).ok()) {
                Some(FLOAT) => true,
                Some(DOUBLE) => false,
                to => return Err(attributes.unsupported("to", to.unwrap_or_default())),
            };
            let columns: Result<_> = columns.into_iter().map(|it| it.cast(to_single)).collect();
            Ok(vec![Known::Columns(columns?)])
        }
        ("Scaler", None) => {
            let (offsets, scales) = (attributes.numbers("offset")?, attributes.numbers("scale")?);
            let offsets: Vec<f64> = offsets.iter().map(|offset| -offset).collect();
            let shifted = each(&offsets, Column::plus)?;
            match shifted.into_iter().next() {
                Some(Known::Columns(columns)) => {
                    let scaled = columns.into_iter().zip(one_each(&scales)?);
                    let scaled: Result<_> = scaled.map(|(it, scale)| it.times(scale)).collect();
                    Ok(vec![Known::Columns(scaled?)])
                }
                _ => Ok(Vec::new()),
            }
        }
        ("Imputer", None) => {
            if !attributes.float("replaced_value_float").is_some_and(f32::is_nan) {
                return Err(attributes.unsupported("replaced_value_float", "other than NaN"));
            }
            each(&attributes.numbers("imputed_value_floats")?, Column::filled)
        }
        ("Add", Some(Known::Constant(numbers))) => each(&numbers, Column::plus),
        ("Sub", Some(Known::Constant(numbers))) => {
            each(&numbers.iter().map(|number| -number).collect::<Vec<f64>>(), Column::plus)
        }
        ("Mul", Some(Known::Constant(numbers))) => each(&numbers, Column::times),
        ("Div", Some(Known::Constant(numbers))) => each(&numbers, Column::divided),
        ("ArrayFeatureExtractor" | "Gather", Some(Known::Constant(places))) => {
            if op == "Gather" && attributes.int("axis") != Some(1) {
                return Err(attributes.unsupported("axis", "other than 1"));
            }
            let pick = |place: f64| {
                position(place, n).map(|at| columns[at].clone()).ok_or_else(|| {
                    refused(format!("the operator {op} selects column {place} of {n}"))
                })
            };
            if places.len() > MAX_COLUMNS {
                return Err(refused(format!(
                    "the operator {op} gives more than {MAX_COLUMNS} columns"
                )));
            }
            let picked: Result<Vec<Column>> = places.iter().copied().map(pick).collect();
            Ok(vec![Known::Columns(picked?)])
        }
        ("Reshape", Some(Known::Constant(shape))) => {
            attributes.ignore(&["allowzero"]);
            match &*shape {
                [_, last] if position(*last, n + 1) == Some(n) => Ok(vec![Known::Columns(columns)]),
                _ => Err(refused(
                    "the operator Reshape of columns to another shape is not supported",
                )),
            }
        }
        ("Flatten", None) if attributes.int("axis").is_none_or(|axis| axis == 1) => {
            Ok(vec![Known::Columns(columns)])
        }
        ("MatMul", Some(Known::Constant(numbers))) => {
            let n_outputs = numbers.len() / n.max(1);
            if n_outputs == 0 || numbers.len() != n_outputs * n {
                return Err(refused(format!(
                    "MatMul has {} numbers for {n} columns",
                    numbers.len()
                )));
            }
            let row = |output| numbers.iter().skip(output).step_by(n_outputs).copied().collect();
            let weights: Vec<Vec<f64>> = (0..n_outputs).map(row).collect();
            let sums = Sums { intercepts: vec![0.0; n_outputs], weights };
            let form = Form::Linear(sums.into(), vec![0.0; n_outputs]);
            Ok(vec![scores(form, None, Vec::new(), false)])
        }
        ("LinearRegressor", None) => {
            attributes.ignore(&["targets"]);
            let sums = Sums::new(attributes, n)?;
            let base = vec![0.0; sums.weights.len()];
            let link = link_of(attributes)?;
            Ok(vec![scores(Form::Linear(sums.into(), base), link, Vec::new(), false)])
        }
        ("LinearClassifier", None) => {
            let (sums, link, are_shares, classes) = linear_classifier(attributes, n)?;
            let base = vec![0.0; sums.weights.len()];
            let scores = scores(Form::Linear(sums.into(), base), link, classes, are_shares);
            Ok(vec![Known::Labels, scores])
        }
        ("TreeEnsembleRegressor", None) => {
            let targets = attributes.int("n_targets").and_then(|n| usize::try_from(n).ok());
            let trees = Ensemble::new(attributes, "target", targets.unwrap_or(1).max(1), &columns)?;
            let base = base_of(&trees)?;
            let link = link_of(attributes)?;
            Ok(vec![scores(Form::Trees(trees.into(), base), link, Vec::new(), false)])
        }
        ("TreeEnsembleClassifier", None) => {
            let (trees, base, link, are_shares, classes) = tree_classifier(attributes, &columns)?;
            let scores = scores(Form::Trees(trees.into(), base), link, classes, are_shares);
            Ok(vec![Known::Labels, scores])
        }
        ("Normalizer", _) => {
            Err(refused("the operator Normalizer before the model is not supported"))
        }
        _ => Err(refused(format!("the operator {op} on columns is not supported"))),
    }
}

/// The link of a regressor.
fn link_of(attributes: &Attributes<'_>) -> Result<Option<Link>> {
    match attributes.text("post_transform", "NONE").as_str() {
        "NONE" => Ok(None),
        "LOGISTIC" => Ok(Some(Link::Logistic)),
        other => Err(attributes.unsupported("post_transform", other)),
    }
}

fn base_of(trees: &Ensemble) -> Result<Vec<f64>> {
    match trees.base.len() {
        0 => Ok(vec![0.0; trees.n_outputs]),
        n if n == trees.n_outputs => Ok(trees.base.clone()),
        n => Err(refused(format!("'base_values' has {n} numbers for {} outputs", trees.n_outputs))),
    }
}

type Classifier<T> = (T, Option<Link>, bool, Vec<String>);

/// A linear classifier as onnxruntime evaluates it. Of two classes the score is that of the second.
fn linear_classifier(attributes: &Attributes<'_>, n: usize) -> Result<Classifier<Sums>> {
    attributes.ignore(&["multi_class"]);
    let classes = attributes.classes();
    let mut sums = Sums::new(attributes, n)?;
    let n_rows = sums.weights.len();
    let transform = attributes.text("post_transform", "NONE");
    if classes.len() != n_rows && (classes.len(), n_rows) != (2, 1) {
        return Err(refused(format!(
            "LinearClassifier has {n_rows} rows for {} classes",
            classes.len()
        )));
    }
    if classes.len() > 2 {
        return match transform.as_str() {
            "SOFTMAX" => Ok((sums, Some(Link::Softmax), true, classes)),
            other => {
                Err(attributes.unsupported("post_transform", format!("{other} of several classes")))
            }
        };
    }
    let (Some(weights), Some(intercept)) = (sums.weights.pop(), sums.intercepts.pop()) else {
        return Err(refused("LinearClassifier has no rows"));
    };
    let other = sums.weights.pop().zip(sums.intercepts.pop());
    let (weights, intercept, link, are_shares) = match (transform.as_str(), other) {
        ("NONE", _) => (weights, intercept, None, false),
        // Two opposite rows are shares of 1; so is one row.
        ("LOGISTIC", other) => {
            let is_opposite = other.is_none_or(|(row, own)| {
                own == -intercept && row.iter().zip(&weights).all(|(a, b)| *a == -b)
            });
            (weights, intercept, Some(Link::Logistic), is_opposite)
        }
        // The odds of two rows are their difference.
        ("SOFTMAX", Some((row, own))) => {
            let weights = weights.iter().zip(&row).map(|(b, a)| b - a).collect();
            (weights, intercept - own, Some(Link::Logistic), true)
        }
        (other, _) => return Err(attributes.unsupported("post_transform", other)),
    };
    let sums = Sums { intercepts: vec![intercept], weights: vec![weights] };
    Ok((sums, link, are_shares, Vec::new()))
}

type TreeClassifier = (Ensemble, Vec<f64>, Option<Link>, bool, Vec<String>);

/// Trees of classes as onnxruntime evaluates them. Of two classes the score is that of the second.
fn tree_classifier(attributes: &Attributes<'_>, columns: &[Column]) -> Result<TreeClassifier> {
    let classes = attributes.classes();
    let mut trees = Ensemble::new(attributes, "class", classes.len(), columns)?;
    let transform = attributes.text("post_transform", "NONE");
    let has_shares = trees.has_shares;
    if classes.len() > 2 {
        let link = match transform.as_str() {
            "SOFTMAX" => Link::Softmax,
            "NONE" if has_shares => Link::Shares,
            "NONE" => {
                let message = "NONE of class scores that are not shares";
                return Err(attributes.unsupported("post_transform", message));
            }
            other => return Err(attributes.unsupported("post_transform", other)),
        };
        let base = base_of(&trees)?;
        return Ok((trees, base, Some(link), true, classes));
    }
    if classes.len() != 2 {
        return Err(refused(format!("TreeEnsembleClassifier has {} classes", classes.len())));
    }
    let ids = attributes.ints("class_ids");
    let (has_first, has_second) = (ids.contains(&0), ids.contains(&1));
    // With one class in the file, its sum is the score of the second.
    let output = usize::from(has_second);
    let base = match (trees.base.as_slice(), has_first, has_second) {
        ([], ..) => 0.0,
        ([base], true, false) => *base,
        _ => return Err(attributes.unsupported("base_values", "for two classes")),
    };
    let link = match transform.as_str() {
        "NONE" if has_shares && has_first && has_second => Some(Link::Share),
        "NONE" => None,
        "LOGISTIC" => Some(Link::Logistic),
        other => {
            return Err(attributes.unsupported("post_transform", format!("{other} of two classes")));
        }
    };
    let is_both = has_first && has_second;
    let are_shares =
        if is_both { has_shares && transform == "NONE" } else { transform == "LOGISTIC" };
    let mut at = 0;
    trees.trees.retain(|_| {
        at += 1;
        (at - 1) % 2 == output
    });
    trees.n_outputs = 1;
    Ok((trees, vec![base], link, are_shares, Vec::new()))
}

impl Scores {
    /// The scores after an operator.
    fn through(
        mut self,
        op: &str,
        second: Option<Known>,
        attributes: &Attributes<'_>,
    ) -> Result<Self> {
        let link = |own: Link| match self.link {
            None => Ok(Some(own)),
            Some(_) => {
                Err(refused(format!("the operator {op} after another function is not supported")))
            }
        };
        match (op, second) {
            ("Cast", None) => match attributes.int("to").and_then(|to| i32::try_from(to).ok()) {
                Some(FLOAT | DOUBLE) => {}
                to => return Err(attributes.unsupported("to", to.unwrap_or_default())),
            },
            ("ZipMap", None) => {
                attributes.ignore(&["classlabels_int64s", "classlabels_strings"]);
            }
            ("Normalizer", None) => match attributes.text("norm", "MAX").as_str() {
                // Shares are 1 together already.
                "L1" if self.are_shares => {}
                "L1" => {
                    return Err(attributes.unsupported("norm", "L1 of scores that are not shares"));
                }
                other => return Err(attributes.unsupported("norm", other)),
            },
            ("Add", Some(Known::Constant(numbers))) if self.link.is_none() => {
                let (Form::Linear(_, base) | Form::Trees(_, base)) = &mut self.form;
                if numbers.len() != base.len() && numbers.len() != 1 {
                    return Err(refused(format!("Add has {} numbers for scores", numbers.len())));
                }
                for (at, base) in base.iter_mut().enumerate() {
                    *base += numbers[at % numbers.len()];
                }
                self.are_shares = false;
            }
            ("Reshape", Some(Known::Constant(shape))) => {
                attributes.ignore(&["allowzero"]);
                let (Form::Linear(_, base) | Form::Trees(_, base)) = &self.form;
                let n = base.len();
                let is_same = match &*shape {
                    [_, last] => position(*last, n + 1) == Some(n),
                    [_] => n == 1,
                    _ => false,
                };
                if !is_same {
                    let message =
                        "the operator Reshape of scores to another shape is not supported";
                    return Err(refused(message));
                }
            }
            ("Sigmoid", None) => self.link = link(Link::Logistic)?,
            ("Exp", None) => self.link = link(Link::Exponential)?,
            ("Softmax", None) => {
                if !attributes.int("axis").is_none_or(|axis| axis == 1 || axis == -1) {
                    return Err(attributes.unsupported("axis", "other than 1"));
                }
                self.link = link(Link::Softmax)?;
                self.are_shares = true;
            }
            _ => {
                return Err(refused(format!("the operator {op} after the model is not supported")));
            }
        }
        Ok(self)
    }

    fn frozen(self, width: usize, names: Vec<String>) -> Result<Imported> {
        let numbered = |n: usize| (0..n).map(|class| class.to_string()).collect::<Vec<String>>();
        let classes = |n: usize| match self.classes.is_empty() {
            true => numbered(n),
            false => self.classes.clone(),
        };
        let one = |n: usize| match n {
            1 => Ok(()),
            n => Err(refused(format!("the model has {n} targets; one is supported"))),
        };
        let (encodings, model) = match self.form {
            Form::Linear(sums, base) => {
                let mut intercepts = sums.intercepts.clone();
                intercepts.iter_mut().zip(&base).for_each(|(own, base)| *own += base);
                let sums = Sums { intercepts, weights: sums.weights.clone() };
                let (encodings, sums) = sums.of_inputs(&self.columns, width);
                if self.link == Some(Link::Softmax) {
                    let classes = classes(sums.weights.len());
                    let model = Multinomial::new(classes, sums.intercepts, sums.weights);
                    (encodings, FrozenModel::Multinomial(model))
                } else {
                    one(sums.weights.len())?;
                    let intercept = sums.intercepts.first().copied().unwrap_or_default();
                    let weights = sums.weights.into_iter().next().unwrap_or_default();
                    let model = match self.link {
                        None => FrozenModel::LinearRegression { intercept, weights },
                        Some(Link::Exponential) => FrozenModel::LogLinear { intercept, weights },
                        Some(_) => FrozenModel::LogisticRegression { intercept, weights },
                    };
                    (encodings, model)
                }
            }
            Form::Trees(ensemble, base) => {
                let link = self.link.unwrap_or(Link::Identity);
                let is_of_classes = matches!(link, Link::Softmax | Link::Shares);
                if !is_of_classes {
                    one(ensemble.n_outputs)?;
                }
                let names = if is_of_classes { classes(ensemble.n_outputs) } else { Vec::new() };
                let mut trees = Trees::new(width, base, link, names);
                for branches in &ensemble.trees {
                    trees.push(branches).map_err(refused)?;
                }
                (vec![Encoding::Plain; width], FrozenModel::Trees(trees))
            }
        };
        model.check().map_err(refused)?;
        Ok(Imported { names, encodings, model })
    }
}
