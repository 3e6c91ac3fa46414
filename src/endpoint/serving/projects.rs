use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel::domain::limits;

use super::wire;
use crate::online::ConfigStore;
use crate::{Error, Result};

/// Projects whose history was published here, with their names by their ids. Who pulls sees whether events
/// may be of another project than theirs.
#[derive(Debug)]
pub(super) struct Projects {
    names: Mutex<BTreeMap<String, String>>,
}

/// What their names in the configuration begin with.
const PREFIX: &str = "project/";
/// Projects that are remembered.
const MAX_PROJECTS: usize = 1_000;

impl Projects {
    /// Reads the projects that the configuration has.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub(super) fn open(store: &dyn ConfigStore) -> Result<Self> {
        let mut names = BTreeMap::new();
        for key in store.names(PREFIX)? {
            if let Some(name) = store.get(&key)? {
                let id = key.trim_start_matches(PREFIX).to_owned();
                names.insert(id, String::from_utf8_lossy(&name).into_owned());
            }
        }
        Ok(Self { names: Mutex::new(names) })
    }

    /// Remembers a project under the name that it has now.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if the id or the name is too long, or there are 1,000 projects;
    /// [`Error::Store`] if the configuration cannot be written.
    pub(super) fn add(&self, store: &dyn ConfigStore, id: &str, name: &str) -> Result<()> {
        if !limits::is_id(id) || name.len() > limits::LONGEST_ID {
            let most = limits::LONGEST_ID;
            let message = format!("project: an id has 1 to {most} bytes, a name at most {most}");
            return Err(Error::BadRequest(message));
        }
        let mut names = self.names();
        if names.get(id).is_some_and(|known| known == name) {
            return Ok(());
        }
        if !names.contains_key(id) && names.len() >= MAX_PROJECTS {
            let message =
                format!("{MAX_PROJECTS} projects were published here; use another endpoint");
            return Err(Error::BadRequest(message));
        }
        store.put(&[(format!("{PREFIX}{id}"), name.as_bytes().to_vec())])?;
        names.insert(id.to_owned(), name.to_owned());
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<wire::PublishedProject> {
        let project = |(id, name): (&String, &String)| wire::PublishedProject {
            id: id.clone(),
            name: name.clone(),
        };
        self.names().iter().map(project).collect()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
