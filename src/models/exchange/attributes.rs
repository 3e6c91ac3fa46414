use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::proto::{Attribute, Node};
use super::refused;
use crate::{Error, Result};

/// The attributes of a node. Those that were read are remembered, so that one that was not is an error.
pub(super) struct Attributes<'a> {
    op: &'a str,
    attributes: BTreeMap<&'a str, &'a Attribute>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Attributes<'a> {
    /// # Errors
    /// An attribute occurs twice.
    pub(super) fn new(node: &'a Node) -> Result<Self> {
        let mut attributes = BTreeMap::new();
        for attribute in &node.attribute {
            if attributes.insert(attribute.name.as_str(), attribute).is_some() {
                return Err(refused(format!(
                    "the operator {} has two attributes '{}'",
                    node.op_type, attribute.name
                )));
            }
        }
        Ok(Self { op: &node.op_type, attributes, read: RefCell::default() })
    }

    fn get(&self, name: &str) -> Option<&'a Attribute> {
        self.read.borrow_mut().insert(name.to_owned());
        self.attributes.get(name).copied()
    }

    /// Reads attributes that do not change scores.
    pub(super) fn ignore(&self, names: &[&str]) {
        names.iter().for_each(|name| _ = self.get(name));
    }

    /// # Errors
    /// The first attribute that nothing has read: it would change scores in a way that is not known.
    pub(super) fn finish(self) -> Result<()> {
        let read = self.read.into_inner();
        match self.attributes.keys().find(|name| !read.contains(**name)) {
            None => Ok(()),
            Some(name) => Err(refused(format!(
                "the attribute '{name}' of the operator {} is not supported",
                self.op
            ))),
        }
    }

    /// The error that an attribute has a value that cannot be honored.
    pub(super) fn unsupported(&self, name: &str, value: impl std::fmt::Display) -> Error {
        refused(format!("the operator {} with {name} {value} is not supported", self.op))
    }

    /// Numbers of single or double precision.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let double = format!("{name}_as_tensor");
        match (self.get(&double).and_then(|it| it.t.as_ref()), self.get(name)) {
            (Some(_), Some(it)) if !it.floats.is_empty() => {
                Err(refused(format!("the operator {} has both '{name}' and '{double}'", self.op)))
            }
            (Some(tensor), _) => tensor.numbers(),
            (None, Some(it)) => Ok(it.floats.iter().copied().map(f64::from).collect()),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Whole numbers from 0.
    pub(super) fn places(&self, name: &str) -> Result<Vec<usize>> {
        let ints = self.get(name).map(|it| it.ints.as_slice()).unwrap_or_default();
        let place = |int: &i64| {
            usize::try_from(*int).map_err(|_negative| {
                refused(format!("'{name}' of the operator {} has {int}", self.op))
            })
        };
        ints.iter().map(place).collect()
    }

    /// A text; `default` if it is not there.
    pub(super) fn text(&self, name: &str, default: &str) -> String {
        self.get(name).map_or_else(|| default.to_owned(), |it| it.text())
    }

    /// Texts.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.get(name).into_iter().flat_map(|it| &it.strings);
        texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// A whole number.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.get(name).map(|it| it.i)
    }

    /// A number of single precision.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.get(name).map(|it| it.f)
    }

    /// Whole numbers.
    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.get(name).map(|it| it.ints.as_slice()).unwrap_or_default()
    }

    /// The classes of a classifier.
    pub(super) fn classes(&self) -> Vec<String> {
        let mut classes = self.texts("classlabels_strings");
        for name in ["classlabels_ints", "classlabels_int64s"] {
            classes.extend(self.ints(name).iter().map(ToString::to_string));
        }
        classes
    }
}
