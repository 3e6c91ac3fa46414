use std::path::{Path, PathBuf};

use kernel::domain::{Name, did_you_mean};
use kernel::features::{View, ViewDefinition};
use kernel::scoring::ScoringFunction;
use models::ModelSpec;
use warehouse::{Access, ProjectFolder};

use crate::project::WINDOW;
use crate::{Error, Project, Result};

/// Maximum size of a definition: a view, model, insight, experiment, rule, segment, query or board.
pub const MAX_DEFINITION_BYTES: u64 = 1 << 20;

/// Views, model specs and functions: the text files of a project.
impl Project {
    pub(crate) fn names(&self, folder: &str, ending: &str) -> Result<Vec<Name>> {
        let names = self.files().names(folder)?;
        let mut names: Vec<Name> = names
            .iter()
            .filter_map(|name| name.strip_suffix(ending)?.strip_suffix('.')?.parse().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn read(&self, folder: &'static str, name: &Name, ending: &str) -> Result<String> {
        if let Some(text) = self.files().read_text(&place(folder, name, ending))? {
            let size = text.len();
            if ending == "toml" && size as u64 > MAX_DEFINITION_BYTES {
                let message =
                    format!("a definition has at most {MAX_DEFINITION_BYTES} bytes, not {size}");
                let path = self.definition_path(folder, name, ending);
                return Err(Error::File { path, message });
            }
            return Ok(text);
        }
        let names = self.names(folder, ending)?;
        let kind = folder.trim_end_matches('s');
        let suggestion = did_you_mean(name.as_str(), names.iter().map(Name::as_str));
        let known: Vec<&str> = names.iter().map(Name::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Error::NotFound(format!(
            "there is no {kind} '{name}' in this project{suggestion} (there are: {known})"
        )))
    }

    /// Writes a definition, so that it is whole or as it was.
    pub(crate) fn save(
        &self,
        folder: &'static str,
        name: &Name,
        ending: &str,
        text: &str,
    ) -> Result<()> {
        let place = place(folder, name, ending);
        Ok(self.files().write(&place, text.as_bytes(), Access::Default)?)
    }

    /// The path of a definition, to name it in a message.
    pub(crate) fn definition_path(&self, folder: &str, name: &Name, ending: &str) -> PathBuf {
        self.files().path_of(&place(folder, name, ending))
    }

    /// The names of its views.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn views(&self) -> Result<Vec<Name>> {
        self.names("views", "toml")
    }

    /// A view as it is written.
    ///
    /// # Errors
    /// There is no such view, or its file is not one.
    pub fn view_definition(&self, name: &Name) -> Result<ViewDefinition> {
        let text = self.read("views", name, "toml")?;
        let path = self.definition_path("views", name, "toml");
        let definition: ViewDefinition = toml::from_str(&text)
            .map_err(|error| Error::File { path: path.clone(), message: error.to_string() })?;
        if definition.name == *name {
            Ok(definition)
        } else {
            let message =
                format!("the view in it is named '{}'; name it '{name}'", definition.name);
            Err(Error::File { path, message })
        }
    }

    /// A view, checked against the data.
    ///
    /// # Errors
    /// There is no such view, or it makes no sense on this data.
    pub fn view(&self, name: &Name) -> Result<View> {
        View::check(&self.view_definition(name)?, &self.catalog()?).map_err(|error| Error::File {
            path: self.definition_path("views", name, "toml"),
            message: error.to_string(),
        })
    }

    /// Saves a view that makes sense on this data.
    ///
    /// # Errors
    /// It makes no sense, or the file cannot be written.
    pub fn save_view(&self, definition: &ViewDefinition) -> Result<()> {
        View::check(definition, &self.catalog()?)?;
        let name = &definition.name;
        let text = toml::to_string(definition)
            .map_err(|error| self.bad_file(&place("views", name, "toml"), &error))?;
        self.save("views", name, "toml", &text)
    }

    /// The names of its model specs.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn models(&self) -> Result<Vec<Name>> {
        self.names("models", "toml")
    }

    /// A model spec.
    ///
    /// # Errors
    /// There is no such spec, or its file is not one.
    pub fn model(&self, name: &Name) -> Result<ModelSpec> {
        let text = self.read("models", name, "toml")?;
        let path = self.definition_path("models", name, "toml");
        ModelSpec::from_toml(&text)
            .map_err(|error| Error::File { path, message: error.to_string() })
    }

    /// Saves a model spec.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_model(&self, spec: &ModelSpec) -> Result<()> {
        self.save("models", &spec.name, "toml", &spec.to_toml()?)
    }

    /// Saves a query.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_query(&self, name: &Name, sql: &str) -> Result<()> {
        self.save("queries", name, "sql", sql)
    }

    /// Saves a board: tiles side by side, as the window wrote them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_board(&self, name: &Name, text: &str) -> Result<()> {
        self.save("boards", name, "json", text)
    }

    /// What the window showed when the project was open before, as it wrote it.
    #[must_use]
    pub fn kept_window(&self) -> Option<String> {
        self.files().read_text(WINDOW).ok().flatten()
    }

    /// The names of its scoring functions.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn functions(&self) -> Result<Vec<Name>> {
        self.names("functions", "json")
    }

    /// A scoring function.
    ///
    /// # Errors
    /// There is no such function, or its file is not one, or was changed.
    pub fn function(&self, name: &Name) -> Result<ScoringFunction> {
        let text = self.read("functions", name, "json")?;
        let path = self.definition_path("functions", name, "json");
        ScoringFunction::from_json(&text)
            .map_err(|error| Error::File { path, message: error.to_string() })
    }

    /// Saves a scoring function under the name of its model; gives the file's path in the project.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_function(&self, function: &ScoringFunction) -> Result<String> {
        let name = &function.file().name;
        self.save("functions", name, "json", &function.file().to_json()?)?;
        Ok(format!("functions/{name}.json"))
    }

    /// The function with a hash.
    ///
    /// # Errors
    /// No function of the project has it.
    pub fn function_with_hash(&self, hash: &str) -> Result<ScoringFunction> {
        for name in self.functions()? {
            match self.function(&name) {
                Ok(function) if function.hash() == hash => return Ok(function),
                _ => {}
            }
        }
        Err(Error::NotFound(format!(
            "no function of this project has the hash {hash}, which is live; it was deployed from \
             elsewhere, or trained anew since: 'fullcircle runs NAME --use RUN' chooses an earlier run"
        )))
    }
}

/// Keeps what the window shows of the project in a folder.
///
/// # Errors
/// The file cannot be written.
pub fn keep_window(folder: &Path, text: &str) -> Result<()> {
    Ok(ProjectFolder::open(folder)?.write(WINDOW, text.as_bytes(), Access::Default)?)
}

/// The place of a definition in the project.
fn place(folder: &str, name: &Name, ending: &str) -> String {
    format!("{folder}/{name}.{ending}")
}
