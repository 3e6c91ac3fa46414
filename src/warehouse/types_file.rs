//! The types of properties and traits, kept as text in the project so that they outlive the warehouse.

use std::sync::{Arc, PoisonError};

use kernel::domain::PropertyTypes;

use crate::{Access, Error, ProjectFolder, Result, Warehouse};

/// The file in the project folder.
const TYPES: &str = "types.toml";
/// What the file begins with.
const HEAD: &str = "# The types of properties and traits, which no value changes: one that does not fit is a misfit.\n\
     # To change a type: fullcircle retype --project P PROPERTY TYPE\n\n";

/// Reads the types of a project; none if it has no such file yet.
pub(crate) fn read(folder: &ProjectFolder) -> Result<Option<PropertyTypes>> {
    let Some(text) = folder.read_text(TYPES)? else { return Ok(None) };
    toml::from_str(&text).map(Some).map_err(|error| Error::File {
        path: folder.path_of(TYPES),
        message: format!(
            "the types of properties cannot be read: {}; a type is \"boolean\", \"number\", \
             \"rounded_number\", \"text\" or \"time\"",
            error.message()
        ),
    })
}

/// Writes the types of a project.
pub(crate) fn write(folder: &ProjectFolder, types: &PropertyTypes) -> Result<()> {
    let text = toml::to_string(types)
        .map_err(|error| Error::File { path: folder.path_of(TYPES), message: error.to_string() })?;
    folder.write(TYPES, format!("{HEAD}{text}").as_bytes(), Access::Default)
}

impl Warehouse {
    /// The types of the project's properties and traits.
    #[must_use]
    pub fn types(&self) -> Arc<PropertyTypes> {
        self.types.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
