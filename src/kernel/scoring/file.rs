use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Encoder, FrozenModel, FunctionError};
use crate::domain::{Name, Time};
use crate::features::{Catalog, LabelDefinition, ViewDefinition};
use crate::monitoring::Expectation;

/// The latest format of function files that this program reads and writes.
pub const FORMAT: u32 = 3;

/// The most bytes of a file that is indented.
const LONGEST_INDENTED: usize = 256 * 1024;

/// A scoring function as it is in `functions/*.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionFile {
    /// Format of the file.
    pub format: u32,
    /// Hash of everything else in it: BLAKE3 of its compact JSON with sorted keys, in hex.
    #[serde(default)]
    pub hash: String,
    /// The name of the model spec that it was made from.
    pub name: Name,
    /// The features that it reads.
    pub view: ViewDefinition,
    /// The events, properties and traits that the view reads, with their types.
    pub schema: Catalog,
    /// How feature values become numbers.
    pub encoder: Encoder,
    /// The model.
    pub model: FrozenModel,
    /// How it was trained; says nothing to scoring.
    pub trained: Trained,
    /// How features and scores were spread then, for who watches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expectation>,
    /// What is to become of a score, for who watches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeDefinition>,
}

/// What a score says ahead of time, so that it can be held against it once its time has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeDefinition {
    /// The label, over the horizon after the score.
    pub label: LabelDefinition,
    /// The events and properties that it reads, with their types.
    pub reads: Catalog,
    /// Whether the score is the probability that the label is positive, and not a guess of its value.
    pub is_probability: bool,
}

/// How a function was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trained {
    /// The model spec, as TOML.
    pub spec: String,
    /// The latest event that was in the data.
    pub observed_until: Time,
    /// Training rows.
    pub rows: u64,
    /// Positive training rows.
    pub positives: u64,
    /// Metrics on the training and the test part, by name.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
}

impl FunctionFile {
    /// The file with its hash set.
    ///
    /// # Errors
    /// The content cannot be written as JSON.
    pub fn sealed(mut self) -> Result<Self, FunctionError> {
        self.hash = self.content_hash()?;
        Ok(self)
    }

    /// Reads a file and checks its format and hash.
    ///
    /// # Errors
    /// It is no function, of a newer format, or was changed after it was made.
    pub fn from_json(text: &str) -> Result<Self, FunctionError> {
        let format_error = |error: serde_json::Error| FunctionError::Format(error.to_string());
        let json: serde_json::Value = serde_json::from_str(text).map_err(format_error)?;
        let found = json.get("format").and_then(serde_json::Value::as_u64);
        let found = found.and_then(|found| u32::try_from(found).ok());
        match found {
            Some(found) if found > FORMAT => {
                return Err(FunctionError::TooNew { found, known: FORMAT });
            }
            Some(_) => {}
            None => return Err(FunctionError::Format("it has no field 'format'".to_owned())),
        }
        let file: Self = serde_json::from_value(json).map_err(format_error)?;
        let actual = file.content_hash()?;
        if file.hash == actual {
            Ok(file)
        } else {
            Err(FunctionError::Hash { claimed: file.hash, actual })
        }
    }

    /// As JSON text, ready to be a file: indented, unless it is so long that nobody reads it.
    ///
    /// # Errors
    /// The content cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, FunctionError> {
        let failed = |error: serde_json::Error| FunctionError::Format(error.to_string());
        let indented = serde_json::to_string_pretty(self).map_err(failed)?;
        let text = match indented.len() > LONGEST_INDENTED {
            true => serde_json::to_string(self).map_err(failed)?,
            false => indented,
        };
        Ok(text + "\n")
    }

    fn content_hash(&self) -> Result<String, FunctionError> {
        let content = Self { hash: String::new(), ..self.clone() };
        // Through a JSON value, whose keys are sorted.
        let json = serde_json::to_value(&content)
            .map_err(|error| FunctionError::Format(error.to_string()))?;
        Ok(blake3::hash(json.to_string().as_bytes()).to_hex().to_string())
    }
}
