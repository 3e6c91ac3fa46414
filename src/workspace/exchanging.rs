use std::collections::BTreeMap;
use std::path::Path;

use kernel::domain::Name;
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
    /// columns are the features of a view, in their order.
    ///
    /// # Errors
    /// The file is no such model, or the view has another number of features.
    pub fn import_model(&self, file: &Path, view: &Name, name: &Name) -> Result<ImportedModel> {
        let size = std::fs::metadata(file).map_err(Error::io("read", file))?.len();
        if size > models::exchange::MOST_BYTES as u64 {
            return Err(Error::BadInput(format!("{} has more than 256 MB", file.display())));
        }
        let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
        let imported = models::exchange::import(&bytes)?;
        let view = self.view(view)?;
        let (features, columns) = (view.features().len(), imported.encodings.len());
        if features != columns {
            return Err(Error::BadInput(format!(
                "the model reads {columns} columns, the view '{}' has {features} features; make a view of \
                 the features that the model was trained on, in their order",
                view.definition().name
            )));
        }
        let not_a_number = view.features().iter().find(|feature| {
            let mut number = Vec::new();
            let zero = match feature.type_ {
                kernel::domain::Type::Number => kernel::domain::Value::Number(0.0),
                kernel::domain::Type::Boolean => kernel::domain::Value::Boolean(false),
                _ => kernel::domain::Value::Null,
            };
            Encoding::Plain.encode_into(&zero, &mut number);
            number.iter().all(|x| x.is_nan())
        });
        if let Some(feature) = not_a_number {
            return Err(Error::BadInput(format!(
                "the feature '{}' is a {}; the columns of an imported model are numbers",
                feature.name, feature.type_
            )));
        }
        let names: Vec<String> =
            view.features().iter().map(|feature| feature.name.to_string()).collect();
        let columns = names.iter().cloned().zip(imported.encodings);
        let columns =
            columns.map(|(feature, encoding)| EncodedColumn { feature, encoding }).collect();
        let file = FunctionFile {
            format: FORMAT,
            hash: String::new(),
            name: name.clone(),
            view: view.definition().clone(),
            schema: view.reads().clone(),
            encoder: Encoder { columns },
            model: imported.model,
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
        Ok(ImportedModel { path, hash: function.hash().to_owned(), columns: names })
    }
}
