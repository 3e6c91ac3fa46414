use std::collections::BTreeMap;
use std::str::FromStr;

use kernel::domain::Value;
use kernel::scoring::{Branch, Encoding, Link, MAX_COLUMNS, MAX_OUTPUTS, Split, Trees};

use super::tree_text::branches;
use super::{Imported, refused};
use crate::{Error, Result};

/// The first line of a model in `LightGBM`'s own text.
pub(super) const FIRST_LINE: &str = "tree";

/// Fields of the header that are read.
const HEAD: [&str; 9] = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "max_feature_idx",
    "objective",
    "feature_names",
    "feature_infos",
    "tree_sizes",
    "average_output",
];
/// Fields of the header that do not change scores.
const HEAD_IGNORED: [&str; 2] = ["label_index", "monotone_constraints"];

/// Reads a model as `LightGBM` saves it (`save_model`, version 3 or 4): all of its trees, numbers in full
/// precision, and the number of training rows that reached each node, so that explanations are as there.
///
/// # Errors
/// The file is cut off, or a field cannot be honored; the error names it.
pub(super) fn from_text(text: &str) -> Result<Imported> {
    let File { head, trees: sections, categories } = File::new(text)?;
    if !matches!(head.text("version"), Some("v3" | "v4")) {
        return Err(refused("this is not a model of LightGBM, version 3 or 4"));
    }
    head.allow(&HEAD, &HEAD_IGNORED)?;
    let width = head.number::<usize>("max_feature_idx")?.saturating_add(1);
    if width > MAX_COLUMNS {
        return Err(refused(format!("the model has more than {MAX_COLUMNS} columns")));
    }
    let n_outputs: usize = head.number("num_tree_per_iteration")?;
    if !(1..=MAX_OUTPUTS).contains(&n_outputs) {
        return Err(refused(format!("'num_tree_per_iteration' is {n_outputs}")));
    }
    let names = head.list::<String>("feature_names", Some(width))?;
    if sections.len() % n_outputs != 0 {
        let n = sections.len();
        return Err(refused(format!("{n} trees are not {n_outputs} in each iteration")));
    }
    let sizes: Vec<u64> = head.list("tree_sizes", None)?;
    if head.text("tree_sizes").is_some() && sizes.len() != sections.len() {
        return Err(refused(format!(
            "the file is cut off: 'tree_sizes' lists {} trees, and {} are there",
            sizes.len(),
            sections.len()
        )));
    }
    let (link, sigmoid) = link(&head, n_outputs)?;
    let scale = match head.has("average_output") {
        // Random forests are the mean of their iterations.
        #[allow(clippy::cast_precision_loss, reason = "a number of trees")]
        true => sigmoid / (sections.len() / n_outputs).max(1) as f64,
        false => sigmoid,
    };
    let classes = match n_outputs {
        1 => Vec::new(),
        n => (0..n).map(|class| class.to_string()).collect(),
    };
    let categories = Categories::new(&head, categories, width)?;
    let mut trees = Trees::new(width, vec![0.0; n_outputs], link, classes);
    for (number, section) in sections.iter().enumerate() {
        let wrong = |message: String| refused(format!("tree {number}: {message}"));
        let of_tree = |error| match error {
            Error::Exchange(message) => wrong(message),
            other => other,
        };
        if section.number::<usize>("Tree")? != number {
            return Err(refused(format!("tree {number} is missing: the file is cut off")));
        }
        let mut branches = branches(section, scale).map_err(of_tree)?;
        categories.renumber(&mut branches).map_err(of_tree)?;
        trees.push(&branches).map_err(wrong)?;
    }
    trees.check().map_err(refused)?;
    let model = kernel::scoring::FrozenModel::Trees(trees);
    Ok(Imported { names, encodings: categories.encodings(width), model })
}

/// The parts of a file.
struct File<'a> {
    head: Section<'a>,
    trees: Vec<Section<'a>>,
    /// The value of `pandas_categorical`.
    categories: Option<&'a str>,
}

impl<'a> File<'a> {
    /// Lines may end as on Windows. A section ends where the next tree begins.
    fn new(text: &'a str) -> Result<Self> {
        let mut lines = text.lines().map(str::trim_end).skip(1);
        let mut sections = vec![Section::default()];
        let mut is_whole = false;
        for line in lines.by_ref().filter(|line| !line.is_empty()) {
            if line == "end of trees" {
                is_whole = true;
                break;
            }
            if line.starts_with("Tree=") {
                sections.push(Section::default());
            }
            if let Some(section) = sections.last_mut() {
                section.add(line)?;
            }
        }
        if !is_whole {
            return Err(refused("the file is cut off: it has no line 'end of trees'"));
        }
        // What follows describes the training; only the categories change scores.
        let (mut categories, mut is_in_parameters) = (None, false);
        for line in lines {
            match line {
                "parameters:" => is_in_parameters = true,
                "end of parameters" => is_in_parameters = false,
                line => {
                    let own = line.strip_prefix("pandas_categorical:");
                    categories = categories.or(own.filter(|_| !is_in_parameters));
                }
            }
        }
        if is_in_parameters {
            return Err(refused("the file is cut off: it has no line 'end of parameters'"));
        }
        let head = sections.remove(0);
        Ok(Self { head, trees: sections, categories })
    }
}

/// Lines of names and values.
#[derive(Default)]
pub(super) struct Section<'a> {
    values: BTreeMap<&'a str, &'a str>,
}

impl<'a> Section<'a> {
    fn add(&mut self, line: &'a str) -> Result<()> {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        match self.values.insert(name.trim(), value.trim()) {
            None => Ok(()),
            Some(_) => Err(refused(format!("the field '{name}' is there twice"))),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).copied()
    }

    /// # Errors
    /// The first field that is in neither list: it may change scores.
    pub(super) fn allow(&self, read: &[&str], ignored: &[&str]) -> Result<()> {
        let is_known = |name: &str| read.contains(&name) || ignored.contains(&name);
        match self.values.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(64).collect();
                Err(refused(format!("the field '{name}' is not supported")))
            }
        }
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let number = self.text(name).and_then(|text| text.parse().ok());
        number.ok_or_else(|| refused(format!("'{name}' is not a number, or not there")))
    }

    /// A list; `wanted` is its length, if that is known.
    pub(super) fn list<T: FromStr>(&self, name: &str, wanted: Option<usize>) -> Result<Vec<T>> {
        let text = self.text(name).unwrap_or_default();
        let mut list = Vec::new();
        for item in text.split_ascii_whitespace() {
            let number = item.parse().ok();
            list.push(
                number.ok_or_else(|| {
                    refused(format!("'{name}' has '{item}', which is not a number"))
                })?,
            );
        }
        match wanted {
            Some(wanted) if wanted != list.len() => {
                Err(refused(format!("'{name}' has {} values, not {wanted}", list.len())))
            }
            _ => Ok(list),
        }
    }
}

/// The function of the sum of the trees, and the factor of the sum.
fn link(head: &Section<'_>, n_outputs: usize) -> Result<(Link, f64)> {
    let objective = head.text("objective");
    let unsupported = |what: &str| {
        Err(refused(format!("the objective '{}' {what}", objective.unwrap_or_default())))
    };
    let mut words = objective.unwrap_or("custom").split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let (mut sigmoid, mut n_classes) = (1.0, None);
    for word in words {
        match word.split_once(':').unwrap_or((word, "")) {
            ("sigmoid", number) => match number.parse::<f64>() {
                Ok(number) if number.is_finite() && number > 0.0 => sigmoid = number,
                _ => return unsupported("has a sigmoid that is not a number above 0"),
            },
            ("num_class", number) => n_classes = number.parse::<usize>().ok(),
            // Parameters of the loss in training.
            ("alpha" | "tweedie_variance_power" | "fair_c", _) => {}
            ("sqrt", "") => return unsupported("(reg_sqrt) is not supported"),
            _ => return unsupported(&format!("has the unknown parameter '{word}'")),
        }
    }
    let n_class: usize = head.number("num_class")?;
    let link = match name {
        "binary" => (Link::Logistic, sigmoid),
        "cross_entropy" => (Link::Logistic, 1.0),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
        | "rank_xendcg" | "custom" => (Link::Identity, 1.0),
        "poisson" | "gamma" | "tweedie" => (Link::Exponential, 1.0),
        "multiclass" => (Link::Softmax, 1.0),
        _ => return unsupported("is not supported"),
    };
    let is_of_classes = name == "multiclass";
    if is_of_classes && (n_classes != Some(n_outputs) || n_class != n_outputs || n_outputs < 2) {
        return unsupported(&format!(
            "does not fit 'num_class' and {n_outputs} trees an iteration"
        ));
    }
    if !is_of_classes && (n_outputs, n_class) != (1, 1) {
        return unsupported(&format!("has {n_outputs} trees an iteration ('num_class' {n_class})"));
    }
    Ok(link)
}

/// Categories of columns, as pandas had them in training.
struct Categories {
    /// By column: the categories as texts, sorted, and for each old number the new one.
    of_columns: BTreeMap<usize, (Vec<String>, Vec<usize>)>,
}

impl Categories {
    /// `LightGBM` lists the categories in the order of the columns and does not say of which columns; those are the
    /// ones whose `feature_infos` has categories.
    fn new(head: &Section<'_>, text: Option<&str>, width: usize) -> Result<Self> {
        let field = "'pandas_categorical'";
        let lists: Option<Vec<Vec<serde_json::Value>>> = match text {
            None => None,
            Some(text) => serde_json::from_str(text)
                .map_err(|error| refused(format!("{field} cannot be read: {error}")))?,
        };
        let lists = lists.unwrap_or_default();
        if lists.is_empty() {
            return Ok(Self { of_columns: BTreeMap::new() });
        }
        let infos: Vec<String> = head.list("feature_infos", Some(width))?;
        let is_categorical = |info: &str| !info.starts_with('[') && info != "none";
        let columns: Vec<usize> =
            (0..width).filter(|column| is_categorical(&infos[*column])).collect();
        if columns.len() != lists.len() {
            return Err(refused(format!(
                "{field} has categories of {} columns, and 'feature_infos' of {}; train without columns of one \
                 category, and with categories of pandas alone",
                lists.len(),
                columns.len()
            )));
        }
        let mut of_columns = BTreeMap::new();
        for (column, list) in columns.into_iter().zip(lists) {
            let mut texts = Vec::with_capacity(list.len());
            for category in &list {
                texts.push(match category {
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Bool(boolean) => boolean.to_string(),
                    serde_json::Value::Number(number) => {
                        Value::Number(number.as_f64().unwrap_or(f64::NAN)).to_string()
                    }
                    other => return Err(refused(format!("{field} has the category {other}"))),
                });
            }
            let mut sorted = texts.clone();
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(refused(format!("{field} has a category twice")));
            }
            let new = |text: &String| sorted.partition_point(|known| known < text);
            let numbers = texts.iter().map(new).collect();
            of_columns.insert(column, (sorted, numbers));
        }
        Ok(Self { of_columns })
    }

    /// Gives the categories of splits the numbers that they have in sorted order.
    fn renumber(&self, branches: &mut [Branch]) -> Result<()> {
        for branch in branches {
            let Branch::Split { column, split, .. } = branch else { continue };
            let Some((_, numbers)) = self.of_columns.get(column) else { continue };
            let Split::Categories { left } = split else {
                return Err(refused(format!(
                    "column {column} has categories ('pandas_categorical') and is split as a number"
                )));
            };
            let mut new = [0_u64; 4];
            for old in (0..256).filter(|old| left[old / 64] >> (old % 64) & 1 == 1) {
                let number = numbers.get(old).copied().filter(|number| *number < 256);
                let number = number.ok_or_else(|| {
                    refused(
                        "'pandas_categorical' has fewer categories than a split, or more than 256",
                    )
                })?;
                new[number / 64] |= 1 << (number % 64);
            }
            *left = new;
        }
        Ok(())
    }

    fn encodings(self, width: usize) -> Vec<Encoding> {
        let mut encodings = vec![Encoding::Plain; width];
        for (column, (categories, _)) in self.of_columns {
            encodings[column] = Encoding::Codes { categories };
        }
        encodings
    }
}
