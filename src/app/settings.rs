use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What the window remembers between starts, in a file of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) theme: ThemeChoice,
    pub(crate) window: Option<[f32; 2]>,
    pub(crate) projects: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ThemeChoice {
    #[default]
    System,
    Dark,
    Light,
}

impl ThemeChoice {
    /// The one after it.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::System => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::System,
        }
    }
}

/// Projects that are remembered.
const MOST_PROJECTS: usize = 8;

impl Settings {
    fn path() -> Option<PathBuf> {
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
        Some(config.join("fullcircle").join("settings.toml"))
    }

    /// What was remembered; nothing if there is no such file or it cannot be read.
    pub(crate) fn load() -> Self {
        let text = Self::path().and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
    }

    /// Remembers; a failure is not worth a word.
    pub(crate) fn save(&self) {
        let (Some(path), Ok(text)) = (Self::path(), toml::to_string(self)) else { return };
        if let Some(folder) = path.parent() {
            drop(std::fs::create_dir_all(folder));
        }
        drop(std::fs::write(path, text));
    }

    pub(crate) fn window_size(&self) -> [f32; 2] {
        self.window.unwrap_or([1280.0, 800.0])
    }

    pub(crate) fn remember_project(&mut self, folder: &Path) {
        self.projects.retain(|known| known != folder);
        self.projects.insert(0, folder.to_owned());
        self.projects.truncate(MOST_PROJECTS);
    }
}
