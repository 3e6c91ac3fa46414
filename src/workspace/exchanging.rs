use std::collections::BTreeMap;
use std::path::Path;

use kernel::domain::{Name, Type};
use kernel::scoring::{
    EncodedColumn, Encoder, Encoding, FORMAT, FunctionFile, ScoringFunction, Trained,
};
use serde::Serialize;

use crate::{Error, Project, Result};

/// A model that came from elsewhere.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedModel {
    /// The scoring function's file in the project.
    pub path: String,
    /// Its hash.
    pub hash: String,
    /// The features that its columns are, in order.
    pub columns: Vec<String>,
    /// How columns were matched with features, where users should check it.
    pub remarks: Vec<String>,
}

impl Project {
    /// Writes the model of a function as ONNX; gives the names of the columns that it reads, as the encoder
    /// makes them.
    ///
    /// # Errors
    /// There is no such function, it has no form there, or the file cannot be written.
    pub fn export_onnx(&self, function: &Name, out: &Path) -> Result<Vec<String>> {
        let function = self.function(function)?;
        let file = function.file();
        let bytes = models::exchange::to_onnx(&file.model)?;
        std::fs::write(out, bytes).map_err(Error::io("write", out))?;
        Ok(file.encoder.names())
    }

    /// Makes a function of a model that was trained elsewhere, from an ONNX file or `LightGBM`'s text. Its
    /// columns are features of a view: by name if the file names features of the view, otherwise in their order.
    ///
    /// # Errors
    /// The file is no such model or has a part that is not supported, or its columns are not features of the view.
    pub fn import_model(&self, file: &Path, view: &Name, name: &Name) -> Result<ImportedModel> {
        let size = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
        if size > models::exchange::MOST_BYTES as u64 {
            return Err(Error::BadInput(format!("{} is larger than 256 MB", file.display())));
        }
        let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
        let imported = models::exchange::import(&bytes)?;
        let view = self.view(view)?;
        let features: Vec<&str> =
            view.features().iter().map(|feature| feature.name.as_str()).collect();
        let matched = imported.matched(&features)?;
        for (feature, encoding) in view.features().iter().zip(&matched.encodings) {
            if let Some(wanted) = unfit(encoding, feature.type_) {
                return Err(Error::BadInput(format!(
                    "the feature '{}' is a {}; the model reads {wanted} there",
                    feature.name, feature.type_
                )));
            }
        }
        let columns: Vec<EncodedColumn> = features
            .iter()
            .map(|name| (*name).to_owned())
            .zip(matched.encodings)
            .map(|(feature, encoding)| EncodedColumn { feature, encoding })
            .collect();
        let is_read = |column: &&EncodedColumn| column.encoding != Encoding::Dropped;
        let names = columns.iter().filter(is_read).map(|column| column.feature.clone()).collect();
        let file = FunctionFile {
            format: FORMAT,
            hash: String::new(),
            name: name.clone(),
            view: view.definition().clone(),
            schema: view.reads().clone(),
            encoder: Encoder { columns },
            model: matched.model,
            trained: Trained {
                spec: format!("# imported from {}", file.display()),
                observed_until: self.now()?,
                rows: 0,
                positives: 0,
                metrics: BTreeMap::new(),
            },
            expected: None,
            outcome: None,
        };
        let function = ScoringFunction::new(file.sealed()?)?;
        let path = self.save_function(&function)?;
        let remarks = matched.remark.into_iter().collect();
        Ok(ImportedModel { path, hash: function.hash().to_owned(), columns: names, remarks })
    }
}

/// What the column of an imported model reads, if a feature of that type does not give it.
const fn unfit(encoding: &Encoding, type_: Type) -> Option<&'static str> {
    match (encoding, type_) {
        (Encoding::Dropped, _)
        | (Encoding::Codes { .. }, Type::Text | Type::Number | Type::Boolean)
        | (Encoding::Plain | Encoding::Number { .. }, Type::Number | Type::Boolean) => None,
        (Encoding::Codes { .. }, _) => Some("categories"),
        _ => Some("numbers"),
    }
}
